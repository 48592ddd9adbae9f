//! [`TelnetCodec`].

use std::sync::Arc;

use actor_core::BoxError;
use actor_io::{DEFAULT_MAX_LINE, LineTooLong};

use super::TelnetFilter;
use crate::codec::{Codec, Line};

/// Lines from people at telnet clients, and text to them.
///
/// The commands of telnet are taken out of what comes in, and none of them is answered, which a client
/// takes for a refusal. A line ends with CRLF, or with CR alone (which telnet sends with a zero behind it) or
/// LF alone; what is not UTF-8 in it is replaced. Text goes out as it is, without an end of line added, so that prompts can be written; but each end of line that is in
/// it becomes CRLF.
///
/// ```
/// use actor_net::{Codec, Line, TelnetCodec};
///
/// let mut codec = TelnetCodec::new();
/// let mut input = &b"\xff\xfd\x01look\r\n"[..];
/// assert_eq!(codec.decode(&mut input).unwrap(), Some(Line("look".into())));
///
/// let mut bytes = Vec::new();
/// codec.encode("You see nothing.\n> ".into(), &mut bytes).unwrap();
/// assert_eq!(bytes, b"You see nothing.\r\n> ");
/// ```
#[derive(Clone, Debug)]
pub struct TelnetCodec {
    filter: TelnetFilter,
    max_line: usize,
    /// Text that has come in, and has not been taken from `start` on.
    text: Vec<u8>,
    start: usize,
    /// How much of that is known not to end a line.
    searched: usize,
    /// The last line has ended with a carriage return, to which a line feed may belong that is still to come.
    returned: bool,
}

impl TelnetCodec {
    /// Lines of at most [`DEFAULT_MAX_LINE`] bytes.
    ///
    /// ```
    /// let codec = actor_net::TelnetCodec::new();
    /// ```
    pub fn new() -> Self {
        TelnetCodec {
            filter: TelnetFilter::new(),
            max_line: DEFAULT_MAX_LINE,
            text: Vec::new(),
            start: 0,
            searched: 0,
            returned: false,
        }
    }

    /// Sets how many bytes a line from the peer may have, its end not counted.
    ///
    /// ```
    /// use actor_io::LineTooLong;
    /// use actor_net::{Codec, TelnetCodec};
    ///
    /// let mut codec = TelnetCodec::new().with_max_line(4);
    /// let error = codec.decode(&mut &b"fifth"[..]).unwrap_err();
    /// assert_eq!(error.downcast_ref(), Some(&LineTooLong { limit: 4 }));
    /// ```
    pub fn with_max_line(mut self, limit: usize) -> Self {
        self.max_line = limit;
        self
    }

    fn checked(&self, line: &[u8]) -> Result<Line, BoxError> {
        self.check_length(line)?;
        Ok(Line(String::from_utf8_lossy(line).into_owned()))
    }

    fn check_length(&self, line: &[u8]) -> Result<(), LineTooLong> {
        let limit = self.max_line;
        match line.len() > limit {
            true => Err(LineTooLong { limit }),
            false => Ok(()),
        }
    }
}

impl Default for TelnetCodec {
    fn default() -> Self {
        TelnetCodec::new()
    }
}

impl Codec for TelnetCodec {
    type Item = Line;
    type Out = Arc<str>;

    fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Line>, BoxError> {
        if !input.is_empty() {
            self.text.drain(..self.start);
            self.start = 0;
            self.filter.filter(input, &mut self.text, &mut Vec::new());
            *input = &[];
        }
        if self.returned && self.start < self.text.len() {
            self.returned = false;
            self.start += usize::from(self.text[self.start] == b'\n');
        }
        let text = &self.text[self.start..];
        let Some(found) = memchr::memchr2(b'\r', b'\n', &text[self.searched..]) else {
            self.searched = text.len();
            self.check_length(text)?;
            return Ok(None);
        };
        let end = self.searched + found;
        let line = self.checked(&text[..end])?;
        self.returned = text[end] == b'\r';
        self.start += end + 1;
        self.searched = 0;
        Ok(Some(line))
    }

    fn finish(&mut self, _rest: &[u8]) -> Result<Option<Line>, BoxError> {
        match &self.text[self.start..] {
            [] => Ok(None),
            last => self.checked(last).map(Some),
        }
    }

    fn encode(&self, out: Arc<str>, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        let mut before = 0;
        for &byte in out.as_bytes() {
            match byte {
                b'\n' if before != b'\r' => bytes.extend(b"\r\n"),
                // UTF-8 has no byte that telnet would take for the begin of a command.
                _ => bytes.push(byte),
            }
            before = byte;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut codec = TelnetCodec::new();
        let mut lines = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(Line(line)) = codec.decode(&mut piece).unwrap() {
                lines.push(line);
            }
        }
        lines.extend(codec.finish(&[]).unwrap().map(|Line(line)| line));
        lines
    }

    #[test]
    fn each_end_of_line_ends_one_wherever_it_is_cut() {
        let input = b"one\r\ntwo\r\0three\nfour\r\n\r\0\r\nend";
        let expected = ["one", "two", "three", "four", "", "", "end"];
        assert_eq!(lines(&[input]), expected);
        for cut in 0..=input.len() {
            let (front, back) = input.split_at(cut);
            assert_eq!(lines(&[front, back]), expected, "cut at {cut}");
        }
    }
}
