//! Where a head ends.
//!
//! A head is looked through line by line as it comes in, and each byte once. What is decided here (the ends
//! of lines, the lengths and numbers of things, the version) depends on what comes before it alone, so
//! a head that comes in pieces is refused for the same reason as one that comes at once, and as soon as the
//! reason is there. What the lines say is looked at when the head is complete.

use memchr::memchr;

use super::class::is_token;
use super::error::BadMessage;
use super::limits::Limits;

/// What the first line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstLine {
    /// Method, target and version.
    Request,
    /// Version, status and perhaps a reason.
    Status,
}

/// Where a head is, and how many headers it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where its first line begins: behind the empty line that a client may have sent in front of it.
    pub begin: usize,
    /// Behind its empty line.
    pub end: usize,
    /// How many lines are between the first and the empty one.
    pub headers: usize,
}

/// The search for the end of a head. A new one for each.
#[derive(Clone, Debug, Default)]
pub struct HeadScan {
    begin: usize,
    /// Where the line begins whose end has not come yet.
    line: usize,
    /// In what comes before this there is no end of that line.
    searched: usize,
    headers: usize,
}

impl HeadScan {
    /// Whether nothing has been looked at yet.
    #[inline]
    pub(super) fn is_new(&self) -> bool {
        self.searched == 0
    }

    /// Goes on with the search, in all that has come of the head so far. `None` if its end has not.
    pub fn find(
        &mut self,
        input: &[u8],
        first: FirstLine,
        limits: &Limits,
    ) -> Result<Option<Extent>, BadMessage> {
        // What is beyond the limit is not looked at, so it makes no difference how much of it has come.
        let seen = &input[..input.len().min(limits.head)];
        if self.line == self.begin && !self.begins(seen, first)? {
            return Ok(None);
        }
        while let Some(length) = memchr(b'\n', &seen[self.searched..]) {
            let end = self.searched + length;
            let line = &seen[self.line..end];
            if self.line == self.begin {
                first.check_length(without_cr(line), limits)?;
                first.check_version(line.strip_suffix(b"\r").ok_or(BadMessage::LineEnd)?)?;
            } else if self.is_last(line, limits)? {
                return Ok(Some(Extent {
                    begin: self.begin,
                    end: end + 1,
                    headers: self.headers,
                }));
            }
            self.line = end + 1;
            self.searched = end + 1;
        }
        self.searched = seen.len();
        let rest = without_cr(&seen[self.line..]);
        if self.line == self.begin {
            first.check_length(rest, limits)?;
        } else {
            check_header(rest, limits)?;
        }
        if input.len() > seen.len() {
            return Err(BadMessage::HeadTooLong);
        }
        Ok(None)
    }

    /// Whether anything has come, of which the first byte is looked at at once: who speaks another protocol
    /// may never end a line.
    fn begins(&mut self, seen: &[u8], first: FirstLine) -> Result<bool, BadMessage> {
        if first == FirstLine::Request && self.begin == 0 && seen.first() == Some(&b'\r') {
            match seen.get(1) {
                None => return Ok(false),
                Some(b'\n') => (self.begin, self.line, self.searched) = (2, 2, 2),
                Some(_) => return Err(BadMessage::FirstLine),
            }
        }
        match seen.get(self.begin) {
            None => Ok(false),
            Some(&byte) if first.may_begin_with(byte) => Ok(true),
            Some(_) => Err(BadMessage::FirstLine),
        }
    }

    /// Takes a line behind the first.
    fn is_last(&mut self, line: &[u8], limits: &Limits) -> Result<bool, BadMessage> {
        check_header(without_cr(line), limits)?;
        let line = line.strip_suffix(b"\r").ok_or(BadMessage::LineEnd)?;
        if line.is_empty() {
            return Ok(true);
        }
        if line.ends_with(b"\r") {
            return Err(BadMessage::LineEnd);
        }
        self.headers += 1;
        if self.headers > limits.headers {
            return Err(BadMessage::TooManyHeaders);
        }
        Ok(false)
    }
}

/// A line as far as its length is concerned: a CR at its end may be part of the end.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn check_header(line: &[u8], limits: &Limits) -> Result<(), BadMessage> {
    if line.len() > limits.header {
        return Err(BadMessage::HeaderTooLong);
    }
    Ok(())
}

impl FirstLine {
    fn may_begin_with(self, byte: u8) -> bool {
        match self {
            FirstLine::Request => is_token(byte),
            FirstLine::Status => byte == b'H',
        }
    }

    /// Of a line, or of what has come of it.
    fn check_length(self, line: &[u8], limits: &Limits) -> Result<(), BadMessage> {
        if self == FirstLine::Status {
            return check_header(line, limits);
        }
        let method = line
            .iter()
            .take(limits.method.saturating_add(1))
            .position(|&b| b == b' ');
        let Some(method) = method else {
            return match line.len() > limits.method {
                true => Err(BadMessage::MethodTooLong),
                false => Ok(()),
            };
        };
        let target = &line[method + 1..];
        if target.len() > limits.target && memchr(b' ', &target[..=limits.target]).is_none() {
            return Err(BadMessage::TargetTooLong);
        }
        // With the blank and the version behind it.
        if target.len() > limits.target.saturating_add(VERSION + 1) {
            return Err(BadMessage::FirstLine);
        }
        Ok(())
    }

    /// Of a whole line.
    fn check_version(self, line: &[u8]) -> Result<(), BadMessage> {
        let version = match self {
            FirstLine::Request => {
                let (rest, version) = line
                    .split_last_chunk::<VERSION>()
                    .ok_or(BadMessage::Version)?;
                if !rest.ends_with(b" ") {
                    return Err(BadMessage::Version);
                }
                version
            }
            FirstLine::Status => line.first_chunk().ok_or(BadMessage::Version)?,
        };
        match version {
            b"HTTP/1.0" | b"HTTP/1.1" => Ok(()),
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                Err(BadMessage::VersionNotSupported)
            }
            _ => Err(BadMessage::Version),
        }
    }
}

/// The length of a version.
pub(super) const VERSION: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn find(input: &[u8]) -> Result<Option<Extent>, BadMessage> {
        HeadScan::default().find(input, FirstLine::Request, &Limits::default())
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nmore";
        let extent = Extent {
            begin: 0,
            end: head.len() - 4,
            headers: 1,
        };
        assert_eq!(find(head), Ok(Some(extent)));
        for length in 0..head.len() - 4 {
            assert_eq!(find(&head[..length]), Ok(None));
        }
    }

    #[test]
    fn what_has_been_searched_is_not_searched_again() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut scan = HeadScan::default();
        for length in 0..head.len() {
            let found = scan.find(&head[..length], FirstLine::Request, &Limits::default());
            assert_eq!(found, Ok(None));
            assert_eq!(scan.searched, length);
        }
    }

    #[test]
    fn limits_hold_to_the_byte() {
        let limits = Limits::default();
        let ok = |head: &str| find(head.as_bytes());
        let target = "a".repeat(limits.target - 1);
        assert!(matches!(
            ok(&format!("GET /{target} HTTP/1.1\r\n\r\n")),
            Ok(Some(_))
        ));
        for end in ["", " HTTP/1.1\r\n\r\n"] {
            assert_eq!(
                ok(&format!("GET /{target}a{end}")),
                Err(BadMessage::TargetTooLong)
            );
        }
        let method = "M".repeat(limits.method);
        assert!(matches!(
            ok(&format!("{method} / HTTP/1.1\r\n\r\n")),
            Ok(Some(_))
        ));
        for end in ["", " / HTTP/1.1\r\n\r\n"] {
            assert_eq!(
                ok(&format!("{method}M{end}")),
                Err(BadMessage::MethodTooLong)
            );
        }
        let value = "v".repeat(limits.header - 3);
        let begin = "GET / HTTP/1.1\r\nx: ";
        assert!(matches!(
            ok(&format!("{begin}{value}\r\n\r\n")),
            Ok(Some(_))
        ));
        for end in ["", "\r", "\r\n\r\n"] {
            assert_eq!(
                ok(&format!("{begin}{value}v{end}")),
                Err(BadMessage::HeaderTooLong)
            );
        }
        let headers = "x: y\r\n".repeat(limits.headers);
        let begin = "GET / HTTP/1.1\r\n";
        assert!(matches!(ok(&format!("{begin}{headers}\r\n")), Ok(Some(_))));
        for end in ["", "\r\n"] {
            let head = format!("{begin}{headers}x: y\r\n{end}");
            assert_eq!(ok(&head), Err(BadMessage::TooManyHeaders));
        }
        let line = format!("x: {}\r\n", "v".repeat(4091));
        let rest = limits.head - begin.len() - 7 * line.len() - 2;
        let last = |extra| format!("x: {}\r\n", "v".repeat(rest - 5 + extra));
        let head = |extra| format!("{begin}{}{}\r\n", line.repeat(7), last(extra));
        assert_eq!(head(0).len(), limits.head);
        assert!(matches!(ok(&head(0)), Ok(Some(_))));
        assert_eq!(ok(&head(1)), Err(BadMessage::HeadTooLong));
    }
}
