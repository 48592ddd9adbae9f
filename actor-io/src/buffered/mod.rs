//! Buffers over streams: lines in, gathered writes out, and halves for two tasklets.

mod reader;
mod writer;

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, IoSlice, Read, Write};

pub use reader::{BufferedReader, Lines};
pub use writer::BufferedWriter;

use crate::net::{Family, Stream, TcpStream};

/// How many bytes a reader or a writer buffers, unless a longer line needs more.
///
/// ```
/// use actor_io::{BufferedWriter, DEFAULT_CAPACITY};
/// use std::io::Write;
///
/// let mut writer = BufferedWriter::new(Vec::new());
/// writer.write_all(&[b'x'; DEFAULT_CAPACITY]).unwrap();
/// assert!(writer.get_ref().is_empty(), "still in the buffer");
/// ```
pub const DEFAULT_CAPACITY: usize = 8 * 1024;

/// How long a line may be, its end not counted, unless
/// [`with_max_line`](BufferedReader::with_max_line) says otherwise. In bytes.
///
/// ```
/// use actor_io::{BufferedReader, DEFAULT_MAX_LINE};
///
/// assert_eq!(BufferedReader::new(std::io::empty()).max_line(), DEFAULT_MAX_LINE);
/// ```
pub const DEFAULT_MAX_LINE: usize = 64 * 1024;

/// A stream that can be read and written by two tasklets at once.
///
/// Splitting neither fails nor copies: the halves share what they were made of.
///
/// ```
/// use actor_io::{Split, TcpListener, TcpStream};
/// use std::os::fd::AsRawFd;
///
/// # fn main() -> std::io::Result<()> {
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// let (reader, writer) = stream.split();
/// assert_eq!(reader.as_raw_fd(), writer.as_raw_fd());
/// let stream = TcpStream::unsplit(reader, writer);
/// assert!(!stream.is_shared());
/// # Ok(())
/// # }
/// ```
pub trait Split: Sized {
    /// The half that reads.
    type Reader: Read;
    /// The half that writes.
    type Writer: Write;

    /// The two halves.
    fn split(self) -> (Self::Reader, Self::Writer);

    /// The stream whose halves these are.
    fn unsplit(reader: Self::Reader, writer: Self::Writer) -> Self;
}

/// Both halves are handles of the one connection: it is closed when both have been dropped.
impl<F: Family> Split for Stream<F> {
    type Reader = Stream<F>;
    type Writer = Stream<F>;

    fn split(self) -> (Stream<F>, Stream<F>) {
        (self.handle(), self)
    }

    fn unsplit(_reader: Stream<F>, writer: Stream<F>) -> Stream<F> {
        writer
    }
}

/// A stream with a buffer in each direction.
///
/// One tasklet may use it as it is; [`split`](BufferedStream::split) gives the directions to two.
/// A buffer is allocated when it is first needed, so that a silent connection has none.
///
/// ```
/// use actor_io::{BufferedStream, TcpListener, TcpStream};
/// use std::io::Write;
///
/// # fn main() -> std::io::Result<()> {
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let stream = TcpStream::connect(listener.local_addr()?)?;
/// let mut client = BufferedStream::new(stream);
/// let mut server = BufferedStream::new(listener.accept()?.0);
/// client.writer().write_line("what is your name?")?;
/// client.flush()?;
/// assert_eq!(server.reader().read_line()?.as_deref(), Some("what is your name?"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BufferedStream<S: Split = TcpStream> {
    reader: BufferedReader<S::Reader>,
    writer: BufferedWriter<S::Writer>,
}

impl<S: Split> BufferedStream<S> {
    /// Buffers `stream`, with the limits of [`DEFAULT_CAPACITY`] and [`DEFAULT_MAX_LINE`].
    ///
    /// ```
    /// # use actor_io::{BufferedStream, TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let addr = listener.local_addr().unwrap();
    /// let stream = BufferedStream::new(TcpStream::connect(addr).unwrap());
    /// ```
    pub fn new(stream: S) -> Self {
        let (reader, writer) = stream.split();
        BufferedStream {
            reader: BufferedReader::new(reader),
            writer: BufferedWriter::new(writer),
        }
    }

    /// Sets how long a line may be: see [`BufferedReader::with_max_line`].
    ///
    /// ```
    /// # use actor_io::{BufferedStream, TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let mut stream = BufferedStream::new(stream).with_max_line(512);
    /// assert_eq!(stream.reader().max_line(), 512);
    /// ```
    pub fn with_max_line(mut self, limit: usize) -> Self {
        self.reader = self.reader.with_max_line(limit);
        self
    }

    /// The half that reads.
    ///
    /// ```
    /// # use actor_io::{BufferedStream, TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// # drop(listener.accept().unwrap());
    /// let mut stream = BufferedStream::new(stream);
    /// assert_eq!(stream.reader().read_line().unwrap(), None, "the other end has closed");
    /// ```
    pub fn reader(&mut self) -> &mut BufferedReader<S::Reader> {
        &mut self.reader
    }

    /// The half that writes.
    ///
    /// ```
    /// # use actor_io::{BufferedStream, TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let mut stream = BufferedStream::new(stream);
    /// stream.writer().write_line("not sent yet").unwrap();
    /// assert_eq!(stream.writer().buffer(), b"not sent yet\n");
    /// ```
    pub fn writer(&mut self) -> &mut BufferedWriter<S::Writer> {
        &mut self.writer
    }

    /// Gives away the two halves, for two tasklets; what has been buffered stays with them.
    ///
    /// The connection is closed when both have been dropped: the end of the writer alone is not the
    /// end of the stream for the peer. [`TcpStream::shutdown`], through
    /// [`BufferedWriter::get_ref`], ends one direction.
    ///
    /// ```
    /// # use actor_io::{BufferedStream, TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// # drop(listener.accept().unwrap());
    /// use std::thread;
    ///
    /// let (mut reader, mut writer) = BufferedStream::new(stream).split();
    /// thread::spawn(move || writer.write_line("hello"));
    /// let answer = reader.read_line();
    /// # answer.ok();
    /// ```
    pub fn split(self) -> (BufferedReader<S::Reader>, BufferedWriter<S::Writer>) {
        (self.reader, self.writer)
    }

    /// The stream itself. What was read ahead and what has not been sent yet are lost: look at
    /// [`BufferedReader::buffer`] and [flush](Write::flush) first where that matters.
    ///
    /// ```
    /// # use actor_io::{BufferedStream, TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let stream: TcpStream = BufferedStream::new(stream).into_inner();
    /// ```
    pub fn into_inner(self) -> S {
        S::unsplit(self.reader.into_inner(), self.writer.into_inner())
    }
}

impl<S: Split> Read for BufferedStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(buf)
    }
}

impl<S: Split> BufRead for BufferedStream<S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }

    fn read_until(&mut self, delimiter: u8, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.reader.read_until(delimiter, bytes)
    }

    fn read_line(&mut self, line: &mut String) -> io::Result<usize> {
        BufRead::read_line(&mut self.reader, line)
    }
}

impl<S: Split> Write for BufferedStream<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writer.write_vectored(bufs)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.writer.write_all(buf)
    }

    fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
        self.writer.write_fmt(args)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A line was longer than its reader allows.
///
/// It comes inside an [`io::Error`] of the kind [`InvalidData`](io::ErrorKind::InvalidData). What
/// can be done then: see [`BufferedReader::with_max_line`].
///
/// ```
/// use actor_io::{BufferedReader, LineTooLong};
///
/// let mut reader = BufferedReader::new(&b"a long line\nok\n"[..]).with_max_line(4);
/// let error = reader.read_line().unwrap_err();
/// let limit = error.downcast::<LineTooLong>().unwrap().limit;
/// assert_eq!(limit, 4);
/// assert_eq!(reader.read_line().unwrap().as_deref(), Some("ok"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong {
    /// How many bytes were allowed, the end of the line not counted.
    pub limit: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LineTooLong { limit } = self;
        write!(
            f,
            "line longer than the {limit} bytes allowed (`with_max_line` sets the limit)"
        )
    }
}

impl Error for LineTooLong {}

impl From<LineTooLong> for io::Error {
    fn from(error: LineTooLong) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}
