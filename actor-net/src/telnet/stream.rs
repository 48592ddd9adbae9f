//! [`TelnetStream`] and its halves.

use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;

use actor_io::Split;
use parking_lot::Mutex;

use super::{IAC, TelnetFilter};

/// A stream to a telnet client, on which only text is seen.
///
/// Commands are taken out of what is read, and what the client proposes is refused; a byte of 255 that is
/// written goes out twice, as telnet asks for. Ends of lines are left as they are: telnet's are CRLF.
///
/// Refusals are sent when they come up, in the middle of a read. After a [split](Split::split) it is the half
/// that writes which sends them, before the next that it writes or with the next flush.
///
/// ```no_run
/// use actor_io::{BufferedStream, TcpStream};
/// use actor_net::{Server, TelnetStream};
/// use std::io::{self, Write};
///
/// fn echo(stream: TcpStream) -> io::Result<()> {
///     let mut stream = BufferedStream::new(TelnetStream::new(stream));
///     while let Some(line) = stream.reader().read_line()? {
///         write!(stream.writer(), "{line}\r\n")?;
///         stream.flush()?;
///     }
///     Ok(())
/// }
///
/// actor_core::dispatch(|| Server::serve("localhost:2323", echo));
/// ```
#[derive(Debug)]
pub struct TelnetStream<S: Split> {
    reader: TelnetReader<S::Reader>,
    writer: TelnetWriter<S::Writer>,
}

impl<S: Split> TelnetStream<S> {
    /// Filters what comes from `stream`.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let stream = actor_net::TelnetStream::new(stream);
    /// ```
    pub fn new(stream: S) -> Self {
        let (reader, writer) = stream.split();
        let refusals = Arc::<Mutex<Vec<u8>>>::default();
        TelnetStream {
            reader: TelnetReader {
                inner: reader,
                filter: TelnetFilter::new(),
                refusals: refusals.clone(),
            },
            writer: TelnetWriter {
                inner: writer,
                refusals,
                owed: Vec::new(),
            },
        }
    }

    /// The stream itself.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// # let stream = actor_net::TelnetStream::new(stream);
    /// let stream: TcpStream = stream.into_inner();
    /// ```
    pub fn into_inner(self) -> S {
        S::unsplit(self.reader.inner, self.writer.inner)
    }
}

impl<S: Split> Split for TelnetStream<S> {
    type Reader = TelnetReader<S::Reader>;
    type Writer = TelnetWriter<S::Writer>;

    fn split(self) -> (Self::Reader, Self::Writer) {
        (self.reader, self.writer)
    }

    fn unsplit(reader: Self::Reader, writer: Self::Writer) -> Self {
        TelnetStream { reader, writer }
    }
}

impl<S: Split> Read for TelnetStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.reader.read_once(buf)?;
            // What goes wrong here is for the next write to tell: there may be text that was read.
            let _ = self.writer.settle();
            if let Some(count) = count {
                return Ok(count);
            }
        }
    }
}

impl<S: Split> Write for TelnetStream<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The half of a [`TelnetStream`] that reads.
#[derive(Debug)]
pub struct TelnetReader<R> {
    inner: R,
    filter: TelnetFilter,
    refusals: Arc<Mutex<Vec<u8>>>,
}

impl<R: Read> TelnetReader<R> {
    /// Reads once; `None` if all that came was commands.
    fn read_once(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let count = self.inner.read(buf)?;
        let mut refusals = Vec::new();
        let text = self
            .filter
            .filter_in_place(&mut buf[..count], &mut refusals);
        if !refusals.is_empty() {
            self.refusals.lock().append(&mut refusals);
        }
        Ok((text > 0 || count == 0).then_some(text))
    }
}

impl<R: Read> Read for TelnetReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = self.read_once(buf)? {
                return Ok(count);
            }
        }
    }
}

/// The half of a [`TelnetStream`] that writes, and refuses what the client has proposed.
#[derive(Debug)]
pub struct TelnetWriter<W> {
    inner: W,
    refusals: Arc<Mutex<Vec<u8>>>,
    /// What goes out before all else: the rest of a pair of bytes, and refusals.
    owed: Vec<u8>,
}

impl<W: Write> TelnetWriter<W> {
    /// Sends what is owed. What has gone out is no longer owed, should it not be all.
    fn settle(&mut self) -> io::Result<()> {
        let mut refusals = mem::take(&mut *self.refusals.lock());
        self.owed.append(&mut refusals);
        while !self.owed.is_empty() {
            match self.inner.write(&self.owed) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.owed.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for TelnetWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.settle()?;
        match memchr::memchr(IAC, buf) {
            Some(0) => {
                // Taken over; should it not go out now, it does with the next write.
                self.owed.extend([IAC, IAC]);
                Ok(1)
            }
            Some(next) => self.inner.write(&buf[..next]),
            None => self.inner.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.settle()?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a byte at a time, and fails at every other.
    #[derive(Default)]
    struct Reluctant {
        taken: Vec<u8>,
        willing: bool,
    }

    impl Write for Reluctant {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.willing = !self.willing;
            if !self.willing {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.taken.push(buf[0]);
            Ok(1)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Whoever goes on after an error loses nothing and sends nothing twice.
    #[test]
    fn pairs_and_refusals_stay_whole_on_a_stream_that_fails() {
        let refusals = Arc::new(Mutex::new(b"\xff\xfc\x01".to_vec()));
        let mut writer = TelnetWriter {
            inner: Reluctant::default(),
            refusals: refusals.clone(),
            owed: Vec::new(),
        };
        let mut rest = &b"a\xff\xffb\xff"[..];
        let mut second = Some(b"\xff\xfe\x18");
        let mut tries = 0;
        while !rest.is_empty() {
            tries += 1;
            assert!(tries < 100, "gets nowhere");
            if rest == b"b\xff" {
                refusals.lock().extend(second.take().into_iter().flatten());
            }
            if let Ok(count) = writer.write(rest) {
                rest = &rest[count..];
            }
        }
        while writer.flush().is_err() {}
        let taken = &writer.inner.taken;
        assert!(taken.starts_with(b"\xff\xfc\x01a"), "{taken:?}");
        let mut text = Vec::new();
        TelnetFilter::new().filter(taken, &mut text, &mut Vec::new());
        assert_eq!(text, b"a\xff\xffb\xff");
    }

    /// Gives commands alone, then text, then the end.
    #[test]
    fn commands_alone_are_not_the_end() {
        let mut reader = TelnetReader {
            inner: (&b"\xff\xfd\x01"[..]).chain(&b"\xff\xfb\x18text"[..]),
            filter: TelnetFilter::new(),
            refusals: Arc::default(),
        };
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert_eq!(*reader.refusals.lock(), b"\xff\xfc\x01\xff\xfe\x18");
    }
}
