//! [`Switched`]: a connection that goes on with another protocol.

use std::io::{self, IoSlice, Read, Write};

use actor_io::{Endpoint, Split, TcpStream};
use bytes::{Buf, Bytes};

use super::conn::Conn;
use super::stream::Stream;
#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// What follows on a connection whose server has changed the protocol: see
/// [`HttpClient::upgrade`](super::HttpClient::upgrade).
///
/// It reads what has come behind the answer first. The client's timeouts do not hold for it, but those that are
/// [set](Self::tcp).
///
/// ```
/// use actor_io::Split;
/// use actor_net::http::Switched;
/// use std::io::{self, Read, Write};
///
/// fn talk(stream: Switched) -> io::Result<u8> {
///     let (mut reader, mut writer) = stream.split();
///     writer.write_all(b"hello")?;
///     let mut byte = [0];
///     reader.read_exact(&mut byte)?;
///     Ok(byte[0])
/// }
/// ```
#[derive(Debug)]
pub struct Switched {
    ahead: Bytes,
    stream: Either<TcpStream, Box<Secure>>,
}

#[cfg(feature = "tls")]
type Secure = TlsStream;
/// Never made.
#[cfg(not(feature = "tls"))]
type Secure = TcpStream;
type SecureReader = <Secure as Split>::Reader;
type SecureWriter = <Secure as Split>::Writer;

/// Without TLS, or with it.
#[derive(Debug)]
enum Either<P, S> {
    Plain(P),
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    Secure(S),
}

macro_rules! either {
    ($either:expr, $stream:ident => $do:expr) => {
        match $either {
            Either::Plain($stream) => $do,
            Either::Secure($stream) => $do,
        }
    };
}

impl Switched {
    pub(super) fn new(conn: Conn) -> Switched {
        let (stream, ahead) = conn.into_parts();
        let stream = match stream {
            Stream::Plain(timed) => Either::Plain(timed.into_inner()),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => {
                let stream = stream.map(super::stream::Timed::into_inner);
                Either::Secure(Box::new(stream))
            }
        };
        Switched {
            ahead: ahead.freeze(),
            stream,
        }
    }

    /// The TCP connection beneath, for its addresses, options and timeouts. Not to be read from or written to.
    ///
    /// ```
    /// use actor_net::http::Switched;
    /// use std::time::Duration;
    ///
    /// fn hurry(stream: &Switched) -> std::io::Result<()> {
    ///     stream.tcp().set_read_timeout(Some(Duration::from_secs(5)))
    /// }
    /// ```
    pub fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Either::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Either::Secure(stream) => stream.get_ref(),
            #[cfg(not(feature = "tls"))]
            Either::Secure(stream) => stream,
        }
    }

    /// Whether TLS is spoken.
    ///
    /// ```
    /// # use actor_net::http::Switched;
    /// fn may_say_it(stream: &Switched) -> bool {
    ///     stream.is_secure()
    /// }
    /// ```
    pub fn is_secure(&self) -> bool {
        matches!(self.stream, Either::Secure(_))
    }
}

fn take(ahead: &mut Bytes, buf: &mut [u8]) -> Option<usize> {
    if ahead.is_empty() || buf.is_empty() {
        return None;
    }
    let count = ahead.len().min(buf.len());
    ahead.copy_to_slice(&mut buf[..count]);
    Some(count)
}

impl Read for Switched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(count) = take(&mut self.ahead, buf) {
            return Ok(count);
        }
        either!(&mut self.stream, stream => stream.read(buf))
    }
}

impl Write for Switched {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        either!(&mut self.stream, stream => stream.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(&mut self.stream, stream => stream.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(&mut self.stream, stream => stream.flush())
    }
}

/// The half of a [`Switched`] that reads.
///
/// ```
/// use actor_io::Split;
/// use actor_net::http::{Switched, SwitchedReader};
/// use std::io::{self, Read};
///
/// fn listen(stream: Switched) -> io::Result<String> {
///     let (mut reader, _writer): (SwitchedReader, _) = stream.split();
///     let mut text = String::new();
///     reader.read_to_string(&mut text)?;
///     Ok(text)
/// }
/// ```
#[derive(Debug)]
pub struct SwitchedReader {
    ahead: Bytes,
    half: Either<TcpStream, Box<SecureReader>>,
}

impl SwitchedReader {
    /// Reads as [`Read::read`] does, but ends with `Ok(None)` once the current tasklet has been [asked to
    /// stop](actor_core::Tasklet::stop). Nothing is lost by it.
    ///
    /// ```
    /// # use actor_net::http::SwitchedReader;
    /// fn read_on(reader: &mut SwitchedReader) -> std::io::Result<()> {
    ///     while let Some(1..) = reader.read_or_stop(&mut [0; 1024])? {}
    ///     Ok(())
    /// }
    /// ```
    pub fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(count) = take(&mut self.ahead, buf) {
            return Ok(Some(count));
        }
        either!(&mut self.half, half => half.read_or_stop(buf))
    }
}

impl Read for SwitchedReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(count) = take(&mut self.ahead, buf) {
            return Ok(count);
        }
        either!(&mut self.half, half => half.read(buf))
    }
}

/// The half of a [`Switched`] that writes.
///
/// ```
/// use actor_io::{Endpoint, Split};
/// use actor_net::http::{Switched, SwitchedWriter};
/// use std::io::{self, Write};
///
/// fn say(stream: Switched) -> io::Result<()> {
///     let (_reader, mut writer): (_, SwitchedWriter) = stream.split();
///     writer.write_all(b"all")?;
///     writer.close_write()
/// }
/// ```
#[derive(Debug)]
pub struct SwitchedWriter(Either<TcpStream, Box<SecureWriter>>);

impl Write for SwitchedWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        either!(&mut self.0, half => half.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(&mut self.0, half => half.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(&mut self.0, half => half.flush())
    }
}

/// The halves may be used on different workers.
impl Split for Switched {
    type Reader = SwitchedReader;
    type Writer = SwitchedWriter;

    fn split(self) -> (SwitchedReader, SwitchedWriter) {
        let ahead = self.ahead;
        match self.stream {
            Either::Plain(stream) => {
                let (reader, writer) = stream.split();
                let half = Either::Plain(reader);
                (
                    SwitchedReader { ahead, half },
                    SwitchedWriter(Either::Plain(writer)),
                )
            }
            Either::Secure(stream) => {
                let (reader, writer) = stream.split();
                let half = Either::Secure(Box::new(reader));
                let writer = Either::Secure(Box::new(writer));
                (SwitchedReader { ahead, half }, SwitchedWriter(writer))
            }
        }
    }

    /// # Panics
    ///
    /// If these are not the halves of one stream.
    fn unsplit(reader: SwitchedReader, writer: SwitchedWriter) -> Switched {
        let stream = match (reader.half, writer.0) {
            (Either::Plain(reader), Either::Plain(writer)) => {
                Either::Plain(TcpStream::unsplit(reader, writer))
            }
            (Either::Secure(reader), Either::Secure(writer)) => {
                Either::Secure(Box::new(Secure::unsplit(*reader, *writer)))
            }
            _ => panic!("the halves are those of one stream"),
        };
        Switched {
            ahead: reader.ahead,
            stream,
        }
    }
}

/// The end of what this end sends is told in the stream's own way.
impl Endpoint for Switched {
    fn close_write(&mut self) -> io::Result<()> {
        either!(&mut self.stream, stream => stream.close_write())
    }

    fn abort(&self) {
        either!(&self.stream, stream => stream.abort());
    }
}

impl Endpoint for SwitchedReader {
    /// There is nothing to be told: it does not write.
    fn close_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn abort(&self) {
        either!(&self.half, half => half.abort());
    }
}

impl Endpoint for SwitchedWriter {
    fn close_write(&mut self) -> io::Result<()> {
        either!(&mut self.0, half => half.close_write())
    }

    fn abort(&self) {
        either!(&self.0, half => half.abort());
    }
}
