//! [`BufferedWriter`].

use std::fmt;
use std::io::{self, IoSlice, Write};
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::time::Duration;

use actor_core::timeout;

use super::DEFAULT_CAPACITY;
use crate::net::TcpStream;

/// How long the last flush, when a writer is dropped, may wait for its stream.
const FAREWELL: Duration = Duration::from_millis(10);

/// Gathers what is written, and sends it when the buffer is full or [flushed](Write::flush).
///
/// Nothing is sent twice or lost by an error. [`write_all`](Write::write_all),
/// [`write_line`](BufferedWriter::write_line) and `write!` always take all they were given: when
/// they fail, what could not be sent is kept, and [`flush`](Write::flush) goes on with it, after a
/// timeout for example. The same is true of a kill, where somebody else has the writer too.
/// ([`write`](Write::write) has taken nothing when it fails.)
///
/// Only once the stream is broken for good, with an error of the kind
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe), [`ConnectionReset`](io::ErrorKind::ConnectionReset),
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted),
/// [`NotConnected`](io::ErrorKind::NotConnected) or [`WriteZero`](io::ErrorKind::WriteZero), nothing
/// more is taken, so that who pays no heed to errors does not fill the memory.
///
/// Dropping it sends what the stream takes at once or within 10 ms, so that a peer that
/// does not read holds nobody up, and tells nobody whether that was all: flush first. While the
/// tasklet unwinds from a panic or a kill nothing is sent.
///
/// ```
/// use actor_io::BufferedWriter;
/// use std::io::Write;
///
/// # fn main() -> std::io::Result<()> {
/// let mut sent = Vec::new();
/// let mut writer = BufferedWriter::new(&mut sent);
/// writer.write_line("one")?;
/// write!(writer, "{}\n", "two")?;
/// assert_eq!(writer.buffer(), b"one\ntwo\n");
/// writer.flush()?;
/// drop(writer);
/// assert_eq!(sent, b"one\ntwo\n");
/// # Ok(())
/// # }
/// ```
pub struct BufferedWriter<S: Write = TcpStream> {
    stream: S,
    /// Unallocated until the first write.
    buffer: Vec<u8>,
    /// How much of the buffer's front has been sent.
    sent: usize,
}

impl<S: Write> BufferedWriter<S> {
    /// Buffers what is written to `stream`. Nothing is allocated before the first write.
    ///
    /// ```
    /// let mut writer = actor_io::BufferedWriter::new(Vec::new());
    /// writer.write_line("hello").unwrap();
    /// ```
    pub fn new(stream: S) -> Self {
        BufferedWriter {
            stream,
            buffer: Vec::new(),
            sent: 0,
        }
    }

    /// Writes `line` and a line feed. Waits for the stream only when the buffer is full.
    ///
    /// # Errors
    ///
    /// Those of the stream, when the buffer had to be sent. The line has been taken nevertheless,
    /// unless the stream is broken: see [there](Self).
    ///
    /// ```
    /// use actor_io::BufferedWriter;
    ///
    /// let mut writer = BufferedWriter::new(Vec::new());
    /// writer.write_line("hello").unwrap();
    /// writer.write_line(String::from("world")).unwrap();
    /// assert_eq!(writer.buffer(), b"hello\nworld\n");
    /// ```
    pub fn write_line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        let line = line.as_ref().as_bytes();
        // One look at the room for both, so that a line is not torn where it need not be.
        if self.fits(line.len() + 1) {
            self.append(line);
            self.append(b"\n");
            return Ok(());
        }
        // The end is taken even if the line could not be sent, or what follows would run into it.
        Rest {
            writer: self,
            now: line,
            later: b"\n",
        }
        .write()
    }

    /// What has been written and not been sent yet.
    ///
    /// ```
    /// use actor_io::BufferedWriter;
    /// use std::io::Write;
    ///
    /// let mut writer = BufferedWriter::new(Vec::new());
    /// writer.write_all(b"kept").unwrap();
    /// assert_eq!(writer.buffer(), b"kept");
    /// ```
    pub fn buffer(&self) -> &[u8] {
        &self.buffer[self.sent..]
    }

    /// The stream beneath; what is written to it directly overtakes what is buffered here.
    ///
    /// ```
    /// let mut writer = actor_io::BufferedWriter::new(Vec::new());
    /// writer.write_line("hello").unwrap();
    /// assert!(writer.get_ref().is_empty(), "not flushed yet");
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// As [`get_ref`](Self::get_ref), for streams that are changed through a mutable reference.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// let mut writer = actor_io::BufferedWriter::new(Vec::new());
    /// writer.write_line("behind").unwrap();
    /// writer.get_mut().extend_from_slice(b"ahead ");
    /// writer.flush().unwrap();
    /// assert_eq!(writer.into_inner(), b"ahead behind\n");
    /// ```
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream beneath. What has not been sent is lost: flush first.
    ///
    /// ```
    /// use actor_io::BufferedWriter;
    /// use std::io::Write;
    ///
    /// let mut writer = BufferedWriter::new(Vec::new());
    /// writer.write_all(b"data").unwrap();
    /// writer.flush().unwrap();
    /// assert_eq!(writer.into_inner(), b"data");
    /// ```
    pub fn into_inner(self) -> S {
        let mut this = ManuallyDrop::new(self);
        this.buffer = Vec::new();
        // SAFETY: `this` is not used after this read and never dropped, so the stream has one owner;
        // the only other field that owns memory has just been emptied.
        unsafe { ptr::read(&this.stream) }
    }

    /// Whether `len` more bytes can wait in the buffer. What was sent of its front makes no room.
    fn fits(&self, len: usize) -> bool {
        self.buffer.len() + len <= DEFAULT_CAPACITY
    }

    /// Takes bytes without sending any.
    fn append(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.allocate();
            self.buffer.extend_from_slice(bytes);
        }
    }

    fn allocate(&mut self) {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(DEFAULT_CAPACITY);
        }
    }

    /// Counts `amount` bytes of the buffer as sent.
    fn advance(&mut self, amount: usize) {
        self.sent += amount;
        if self.sent == self.buffer.len() {
            self.sent = 0;
            self.buffer.clear();
            // What a stalled peer made it keep should not stay for the rest of the connection.
            self.buffer.shrink_to(DEFAULT_CAPACITY);
        }
    }

    /// Sends all that is buffered. An error leaves the rest for the next attempt.
    fn send_buffer(&mut self) -> io::Result<()> {
        while !self.buffer().is_empty() {
            let sent = retried(|| self.stream.write(&self.buffer[self.sent..]))?;
            self.advance(sent);
        }
        Ok(())
    }

    /// Sends what is buffered and then `bufs`, with as few system calls as that takes; ends when the
    /// buffer is empty, with how much of `bufs` went out behind it.
    fn send_with(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.buffer().is_empty() {
            return Ok(0);
        }
        loop {
            let mut gathered = Vec::with_capacity(bufs.len() + 1);
            gathered.push(IoSlice::new(&self.buffer[self.sent..]));
            gathered.extend_from_slice(bufs);
            let sent = retried(|| self.stream.write_vectored(&gathered))?;
            let pending = self.buffer().len();
            self.advance(sent.min(pending));
            if sent >= pending {
                return Ok(sent - pending);
            }
        }
    }
}

/// What a writer was given and has still to take. However the attempt ends, by a kill too, it takes
/// all of it in the end: whoever has the writer then finds no torn line.
struct Rest<'a, S: Write> {
    writer: &'a mut BufferedWriter<S>,
    now: &'a [u8],
    /// What comes behind that.
    later: &'a [u8],
}

impl<S: Write> Rest<'_, S> {
    fn write(mut self) -> io::Result<()> {
        loop {
            if self.now.is_empty() {
                self.now = mem::take(&mut self.later);
            }
            if self.now.is_empty() {
                return Ok(());
            }
            match retried(|| self.writer.write(self.now)) {
                Ok(taken) => self.now = &self.now[taken..],
                Err(error) => {
                    if is_final(&error) {
                        (self.now, self.later) = (b"", b"");
                    }
                    return Err(error);
                }
            }
        }
    }
}

impl<S: Write> Drop for Rest<'_, S> {
    fn drop(&mut self) {
        self.writer.append(self.now);
        self.writer.append(self.later);
    }
}

/// Whether no further attempt will ever succeed.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::WriteZero
    )
}

/// Calls `write` until no signal interrupts it; writing nothing is an error.
fn retried(mut write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl<S: Write> Write for BufferedWriter<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if !self.fits(len) {
            let sent = self.send_with(bufs)?;
            if sent > 0 {
                return Ok(sent);
            }
            // What is no smaller than the buffer gains nothing by going through it.
            if len >= DEFAULT_CAPACITY {
                return self.stream.write_vectored(bufs);
            }
        }
        for buf in bufs {
            self.append(buf);
        }
        Ok(len)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        Rest {
            writer: self,
            now: buf,
            later: b"",
        }
        .write()
    }

    fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
        // Into the buffer as a whole, and not piece by piece, so that an error cuts nothing off.
        self.allocate();
        let before = self.buffer.len();
        self.buffer.write_fmt(args)?;
        if self.buffer.len() < DEFAULT_CAPACITY {
            return Ok(());
        }
        self.send_buffer().inspect_err(|error| {
            if is_final(error) {
                self.buffer.truncate(before.max(self.sent));
                self.advance(0);
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_buffer()?;
        self.stream.flush()
    }
}

impl<S: Write> Drop for BufferedWriter<S> {
    fn drop(&mut self) {
        if !self.buffer().is_empty() && !std::thread::panicking() {
            let farewell = timeout(FAREWELL, || self.send_buffer());
            if let Err(error) = farewell {
                tracing::debug!(unsent = self.buffer().len(), %error, "writer dropped before all was sent");
            }
        }
    }
}

impl<S: Write + fmt::Debug> fmt::Debug for BufferedWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedWriter")
            .field("stream", &self.stream)
            .field("buffered", &self.buffer().len())
            .finish()
    }
}
