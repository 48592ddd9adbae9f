//! [`BufferedReader`].

use std::io::{self, BufRead, IoSliceMut, Read};
use std::{fmt, str};

use super::{DEFAULT_CAPACITY, DEFAULT_MAX_LINE, LineTooLong};
use crate::net::TcpStream;

/// Reads a stream by lines, by delimiters and by lengths.
///
/// An error in the middle, a timeout above all, loses nothing: what had been read of the line stays
/// here, and the next call goes on with it. The same is true of a kill, where somebody else has the
/// reader too.
///
/// ```
/// use actor_io::BufferedReader;
///
/// # fn main() -> std::io::Result<()> {
/// let mut reader = BufferedReader::new(&b"one\r\ntwo\nthree"[..]);
/// assert_eq!(reader.read_line()?.as_deref(), Some("one"));
/// let rest: Vec<String> = reader.lines().collect::<Result<_, _>>()?;
/// assert_eq!(rest, ["two", "three"]);
/// # Ok(())
/// # }
/// ```
pub struct BufferedReader<S = TcpStream> {
    stream: S,
    /// Empty until the first read, then [`DEFAULT_CAPACITY`] or what the longest line here needs.
    buffer: Box<[u8]>,
    /// The unread bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// How many unread bytes are known not to be `sought`.
    searched: usize,
    sought: u8,
    max_line: usize,
    /// A line was found too long, and its rest is still to be dropped.
    overlong: bool,
}

/// What lies at the front of the buffer.
struct Record {
    /// With the delimiter.
    len: usize,
    /// Without it, and for lines without a carriage return before it.
    content: usize,
}

impl<S> BufferedReader<S> {
    /// Buffers what is read from `stream`. Nothing is allocated before the first read.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    ///
    /// let mut reader = BufferedReader::new(&b"hello"[..]);
    /// assert!(reader.buffer().is_empty());
    /// ```
    pub fn new(stream: S) -> Self {
        BufferedReader {
            stream,
            buffer: Box::default(),
            start: 0,
            end: 0,
            searched: 0,
            sought: b'\n',
            max_line: DEFAULT_MAX_LINE,
            overlong: false,
        }
    }

    /// Sets how many bytes a line may have, its end not counted; [`DEFAULT_MAX_LINE`] otherwise. It
    /// holds for all that looks for a delimiter, and bounds the memory that a peer can claim.
    ///
    /// A longer line is a [`LineTooLong`]. It takes nothing out of the buffer: who knows better may
    /// read on by length ([`read_some`](Self::read_some), [`Read`]). The next call that asks for a
    /// line drops the rest of the long one, as it comes in and without keeping it, and gives the
    /// line that follows.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    ///
    /// let mut reader = BufferedReader::new(&b"four\nfifth\nsix\n"[..]).with_max_line(4);
    /// assert!(reader.read_line().is_ok());
    /// assert!(reader.read_line().is_err());
    /// assert_eq!(reader.read_line().unwrap().unwrap(), "six");
    /// ```
    pub fn with_max_line(mut self, limit: usize) -> Self {
        self.max_line = limit;
        self
    }

    /// How long a line may be, in bytes. See [`with_max_line`](Self::with_max_line).
    ///
    /// ```
    /// let reader = actor_io::BufferedReader::new(std::io::empty()).with_max_line(80);
    /// assert_eq!(reader.max_line(), 80);
    /// ```
    pub fn max_line(&self) -> usize {
        self.max_line
    }

    /// What has been read from the stream and not been asked for yet.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    ///
    /// let mut reader = BufferedReader::new(&b"head\nbody"[..]);
    /// reader.read_line().unwrap();
    /// assert_eq!(reader.buffer(), b"body");
    /// ```
    pub fn buffer(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The stream beneath; what is read from it directly is missed here.
    ///
    /// ```
    /// let reader = actor_io::BufferedReader::new(&b"hello"[..]);
    /// assert_eq!(reader.get_ref().len(), 5);
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// As [`get_ref`](Self::get_ref), for streams that are changed through a mutable reference.
    ///
    /// ```
    /// let mut reader = actor_io::BufferedReader::new(&b"old"[..]);
    /// *reader.get_mut() = b"new";
    /// assert_eq!(reader.read_line().unwrap().unwrap(), "new");
    /// ```
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream beneath. What was read ahead is lost: see [`buffer`](Self::buffer).
    ///
    /// ```
    /// let reader = actor_io::BufferedReader::new(&b"hello"[..]);
    /// assert_eq!(reader.into_inner(), b"hello");
    /// ```
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn available(&self) -> usize {
        self.end - self.start
    }

    /// Takes the first `amount` unread bytes as read.
    fn advance(&mut self, amount: usize) {
        self.start += amount;
        self.searched = self.searched.saturating_sub(amount);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// How many bytes before `delimiter` are surely too many.
    fn allowance(&self, delimiter: u8) -> usize {
        // The carriage return of a line's end does not count.
        self.max_line
            .saturating_add(usize::from(delimiter == b'\n'))
    }
}

impl<S: Read> BufferedReader<S> {
    /// Reads the next line and strips its end, LF or CRLF; `None` at the end of the stream. A last
    /// line without an end counts as one. Waits until a whole line has come in.
    ///
    /// # Errors
    ///
    /// Those of the stream, [`LineTooLong`], and: a line that is not UTF-8 is an error of the kind [`InvalidData`](io::ErrorKind::InvalidData)
    /// around a [`FromUtf8Error`](std::string::FromUtf8Error), which gives back its bytes; the next
    /// call goes on with the line that follows.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    /// use std::string::FromUtf8Error;
    ///
    /// let mut reader = BufferedReader::new(&b"\xff\nok"[..]);
    /// let error = reader.read_line().unwrap_err().downcast::<FromUtf8Error>().unwrap();
    /// assert_eq!(error.into_bytes(), b"\xff");
    /// assert_eq!(reader.read_line().unwrap().as_deref(), Some("ok"));
    /// assert_eq!(reader.read_line().unwrap(), None);
    /// ```
    pub fn read_line(&mut self) -> io::Result<Option<String>> {
        let Some(line) = self.read_line_bytes()? else {
            return Ok(None);
        };
        String::from_utf8(line.to_vec())
            .map(Some)
            .map_err(invalid_data)
    }

    /// As [`read_line`](Self::read_line), into a string that is cleared first and can be used again
    /// and again; `false` at the end of the stream.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    ///
    /// let mut reader = BufferedReader::new(&b"one\ntwo\n"[..]);
    /// let mut line = String::new();
    /// while reader.read_line_into(&mut line).unwrap() {
    ///     assert_eq!(line.len(), 3);
    /// }
    /// ```
    pub fn read_line_into(&mut self, line: &mut String) -> io::Result<bool> {
        line.clear();
        let Some(bytes) = self.read_line_bytes()? else {
            return Ok(false);
        };
        match str::from_utf8(bytes) {
            Ok(text) => line.push_str(text),
            Err(_) => String::from_utf8(bytes.to_vec())
                .map(drop)
                .map_err(invalid_data)?,
        }
        Ok(true)
    }

    /// As [`read_line`](Self::read_line), of any bytes and without copying them.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    ///
    /// let mut reader = BufferedReader::new(&b"\xff\xfe\r\n"[..]);
    /// assert_eq!(reader.read_line_bytes().unwrap(), Some(&b"\xff\xfe"[..]));
    /// ```
    pub fn read_line_bytes(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(record) = self.fill_record(b'\n')? else {
            return Ok(None);
        };
        let start = self.start;
        self.advance(record.len);
        Ok(Some(&self.buffer[start..start + record.content]))
    }

    /// Appends what comes before the next `delimiter`, and the delimiter itself, to `bytes`; gives
    /// how many they are, 0 at the end of the stream. As [`BufRead::read_until`], but
    /// [the limit](Self::with_max_line) holds, and an error leaves `bytes` as it was.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    ///
    /// let mut reader = BufferedReader::new(&b"key=value"[..]);
    /// let mut key = Vec::new();
    /// assert_eq!(reader.read_until(b'=', &mut key).unwrap(), 4);
    /// assert_eq!(key, b"key=");
    /// ```
    pub fn read_until(&mut self, delimiter: u8, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let Some(Record { len, .. }) = self.fill_record(delimiter)? else {
            return Ok(0);
        };
        bytes.extend_from_slice(&self.buffer()[..len]);
        self.advance(len);
        Ok(len)
    }

    /// The lines to the end of the stream, as [`read_line`](Self::read_line) gives them. An error is
    /// not the end: who goes on after a timeout gets the rest.
    ///
    /// ```
    /// let mut reader = actor_io::BufferedReader::new(&b"a\nb\n"[..]);
    /// let lines: Vec<_> = reader.lines().map(Result::unwrap).collect();
    /// assert_eq!(lines, ["a", "b"]);
    /// ```
    pub fn lines(&mut self) -> Lines<'_, S> {
        Lines { reader: self }
    }

    /// Takes all that is there, at least one byte unless the stream has ended, and waits only if
    /// there is nothing.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    ///
    /// let mut reader = BufferedReader::new(&b"what there is"[..]);
    /// assert_eq!(reader.read_some().unwrap(), b"what there is");
    /// assert_eq!(reader.read_some().unwrap(), b"");
    /// ```
    pub fn read_some(&mut self) -> io::Result<&[u8]> {
        let len = self.fill_buf()?.len();
        let start = self.start;
        self.consume(len);
        Ok(&self.buffer[start..start + len])
    }

    /// Reads more behind what is [buffered](Self::buffer), for those who look there for what they want and
    /// [consume](BufRead::consume) it; gives how many bytes came, 0 at the end of the stream. The buffer
    /// grows to hold all: who asks for more and more without consuming has to know when to give up.
    ///
    /// ```
    /// use actor_io::BufferedReader;
    /// use std::io::Read;
    ///
    /// let mut reader = BufferedReader::new((&b"he"[..]).chain(&b"llo"[..]));
    /// assert_eq!(reader.read_more().unwrap(), 2);
    /// assert_eq!(reader.read_more().unwrap(), 3);
    /// assert_eq!(reader.buffer(), b"hello");
    /// ```
    pub fn read_more(&mut self) -> io::Result<usize> {
        self.fill()
    }

    /// Sees to it that a whole record stands at the front of the buffer, complete or ended by the
    /// stream's end; `None` if nothing comes any more.
    fn fill_record(&mut self, delimiter: u8) -> io::Result<Option<Record>> {
        if self.sought != delimiter {
            self.sought = delimiter;
            self.searched = 0;
        }
        if self.overlong {
            self.skip_record(delimiter)?;
        }
        loop {
            if let Some(len) = self.find(delimiter) {
                return self.checked_record(len, true).map(Some);
            }
            if self.available() > self.allowance(delimiter) {
                return Err(self.too_long());
            }
            if self.fill()? == 0 {
                let len = self.available();
                if len == 0 {
                    return Ok(None);
                }
                return self.checked_record(len, false).map(Some);
            }
        }
    }

    /// Drops what is left of a record that was too long.
    fn skip_record(&mut self, delimiter: u8) -> io::Result<()> {
        loop {
            if let Some(len) = self.find(delimiter) {
                self.advance(len);
                break;
            }
            self.advance(self.available());
            if self.fill()? == 0 {
                break;
            }
        }
        self.overlong = false;
        Ok(())
    }

    /// The length up to and with the next `delimiter`, if it has come in; no byte is looked at twice.
    fn find(&mut self, delimiter: u8) -> Option<usize> {
        match memchr::memchr(delimiter, &self.buffer()[self.searched..]) {
            Some(index) => Some(self.searched + index + 1),
            None => {
                self.searched = self.available();
                None
            }
        }
    }

    fn checked_record(&mut self, len: usize, delimited: bool) -> io::Result<Record> {
        let mut content = len - usize::from(delimited);
        if delimited && self.sought == b'\n' && self.buffer()[..content].ends_with(b"\r") {
            content -= 1;
        }
        if content > self.max_line {
            return Err(self.too_long());
        }
        Ok(Record { len, content })
    }

    fn too_long(&mut self) -> io::Error {
        self.overlong = true;
        LineTooLong {
            limit: self.max_line,
        }
        .into()
    }

    /// Reads more behind what is buffered; 0 at the end of the stream.
    fn fill(&mut self) -> io::Result<usize> {
        self.make_room();
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sees to it that there is room behind what is buffered.
    fn make_room(&mut self) {
        let available = self.available();
        if available == 0 && self.buffer.len() > DEFAULT_CAPACITY {
            // One long line should not cost its memory for the rest of the connection.
            self.buffer = Box::default();
        }
        if self.end < self.buffer.len() {
            return;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
        } else {
            let capacity = (self.buffer.len() * 2).max(DEFAULT_CAPACITY);
            let mut larger = vec![0; capacity].into_boxed_slice();
            larger[..available].copy_from_slice(self.buffer());
            self.buffer = larger;
        }
        (self.start, self.end) = (0, available);
    }
}

fn invalid_data(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<S: Read> Read for BufferedReader<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // What is no smaller than the buffer gains nothing by going through it.
        if self.available() == 0 && buf.len() >= DEFAULT_CAPACITY {
            self.overlong = false;
            return self.stream.read(buf);
        }
        let read = self.fill_buf()?.read(buf)?;
        self.consume(read);
        Ok(read)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.available() == 0 && len >= DEFAULT_CAPACITY {
            self.overlong = false;
            return self.stream.read_vectored(bufs);
        }
        let read = self.fill_buf()?.read_vectored(bufs)?;
        self.consume(read);
        Ok(read)
    }

    /// Up to the length of [a line](BufferedReader::with_max_line) nothing is taken before all is
    /// there, so that an error loses nothing and the call can be made again. What is longer goes
    /// straight to `buf`, and an error leaves part of it there.
    fn read_exact(&mut self, mut buf: &mut [u8]) -> io::Result<()> {
        if buf.len() <= self.max_line {
            while self.available() < buf.len() {
                if self.fill()? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            buf.copy_from_slice(&self.buffer()[..buf.len()]);
            self.consume(buf.len());
            return Ok(());
        }
        while !buf.is_empty() {
            match self.read(buf) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => buf = &mut buf[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The methods that look for a delimiter keep [the limit](BufferedReader::with_max_line) here too.
impl<S: Read> BufRead for BufferedReader<S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.available() == 0 {
            self.fill()?;
        }
        Ok(self.buffer())
    }

    fn consume(&mut self, amount: usize) {
        // Who reads by length takes over where a line was too long.
        self.overlong = false;
        self.advance(amount.min(self.available()));
    }

    fn read_until(&mut self, delimiter: u8, bytes: &mut Vec<u8>) -> io::Result<usize> {
        BufferedReader::read_until(self, delimiter, bytes)
    }

    fn read_line(&mut self, line: &mut String) -> io::Result<usize> {
        let Some(Record { len, .. }) = self.fill_record(b'\n')? else {
            return Ok(0);
        };
        let text = String::from_utf8(self.buffer()[..len].to_vec());
        self.advance(len);
        line.push_str(&text.map_err(invalid_data)?);
        Ok(len)
    }
}

impl<S: fmt::Debug> fmt::Debug for BufferedReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedReader")
            .field("stream", &self.stream)
            .field("buffered", &self.available())
            .field("max_line", &self.max_line)
            .finish_non_exhaustive()
    }
}

/// The lines of a reader: see [`BufferedReader::lines`].
///
/// ```
/// let mut reader = actor_io::BufferedReader::new(&b"first\nsecond"[..]);
/// assert_eq!(reader.lines().next().unwrap().unwrap(), "first");
/// assert_eq!(reader.buffer(), b"second");
/// ```
#[derive(Debug)]
pub struct Lines<'a, S = TcpStream> {
    reader: &'a mut BufferedReader<S>,
}

impl<S: Read> Iterator for Lines<'_, S> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
        self.reader.read_line().transpose()
    }
}
