//! [`LineCodec`].

use std::str;
use std::sync::Arc;

use actor_core::{BoxError, Message};
use actor_io::{DEFAULT_MAX_LINE, LineTooLong};

use super::Codec;

/// A line from the peer, without its end.
///
/// ```
/// use actor_core::{Actor, Context, Handler};
/// use actor_net::{Connection, Line, LineCodec};
///
/// struct Echo(Connection<LineCodec>);
///
/// impl Actor for Echo {}
///
/// impl Handler<Line> for Echo {
///     fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
///         self.0.send(line);
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub String);

impl Message for Line {
    type Reply = ();
}

/// Lines of text: they come with LF or CRLF and go out with LF.
///
/// What stands after the last end of a line counts as one, as it does for
/// [`read_line`](actor_io::BufferedReader::read_line). A line that is longer than the limit is a
/// [`LineTooLong`]; one that is not UTF-8 is an error as well.
///
/// ```
/// use actor_net::{Codec, Line, LineCodec};
///
/// let mut codec = LineCodec::new();
/// let mut input = &b"one\r\ntw"[..];
/// assert_eq!(codec.decode(&mut input).unwrap(), Some(Line("one".into())));
/// assert_eq!(codec.decode(&mut input).unwrap(), None);
/// assert_eq!(codec.finish(input).unwrap(), Some(Line("tw".into())));
/// ```
#[derive(Clone, Debug)]
pub struct LineCodec {
    max_line: usize,
    /// How many bytes of the input are known not to end a line.
    searched: usize,
}

impl LineCodec {
    /// Lines of at most [`DEFAULT_MAX_LINE`] bytes.
    ///
    /// ```
    /// use actor_net::{Codec, LineCodec};
    ///
    /// let mut bytes = Vec::new();
    /// LineCodec::new().encode("hello".into(), &mut bytes).unwrap();
    /// assert_eq!(bytes, b"hello\n");
    /// ```
    pub fn new() -> Self {
        LineCodec {
            max_line: DEFAULT_MAX_LINE,
            searched: 0,
        }
    }

    /// Sets how many bytes a line from the peer may have, its end not counted.
    ///
    /// ```
    /// use actor_io::LineTooLong;
    /// use actor_net::{Codec, LineCodec};
    ///
    /// let mut codec = LineCodec::new().with_max_line(4);
    /// let error = codec.decode(&mut &b"fifth"[..]).unwrap_err();
    /// assert_eq!(error.downcast_ref(), Some(&LineTooLong { limit: 4 }));
    /// ```
    pub fn with_max_line(mut self, limit: usize) -> Self {
        self.max_line = limit;
        self
    }

    fn line(&self, bytes: &[u8]) -> Result<Line, BoxError> {
        if bytes.len() > self.max_line {
            return Err(self.too_long());
        }
        Ok(Line(str::from_utf8(bytes)?.to_owned()))
    }

    fn too_long(&self) -> BoxError {
        let limit = self.max_line;
        LineTooLong { limit }.into()
    }
}

impl Default for LineCodec {
    fn default() -> Self {
        LineCodec::new()
    }
}

impl Codec for LineCodec {
    type Item = Line;
    type Out = Arc<str>;

    fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Line>, BoxError> {
        let Some(found) = memchr::memchr(b'\n', &input[self.searched..]) else {
            self.searched = input.len();
            // The carriage return of an end that is still to come does not count.
            let line = input.strip_suffix(b"\r").unwrap_or(input);
            return match line.len() > self.max_line {
                true => Err(self.too_long()),
                false => Ok(None),
            };
        };
        let (line, rest) = input.split_at(self.searched + found);
        *input = &rest[1..];
        self.searched = 0;
        self.line(line.strip_suffix(b"\r").unwrap_or(line))
            .map(Some)
    }

    fn finish(&mut self, rest: &[u8]) -> Result<Option<Line>, BoxError> {
        match rest {
            [] => Ok(None),
            last => self.line(last).map(Some),
        }
    }

    fn encode(&self, out: Arc<str>, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        bytes.extend_from_slice(out.as_bytes());
        bytes.push(b'\n');
        Ok(())
    }
}
