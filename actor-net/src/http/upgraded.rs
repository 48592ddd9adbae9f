//! The stream that an upgraded connection is, and its halves.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use actor_core::sync::Mutex as Lock;
use actor_io::{Descriptor, Endpoint, Split, TcpStream};
use bytes::{Buf, Bytes};
use parking_lot::Mutex;

/// The stream that a connection has become by an [`Upgrade`](super::Upgrade).
///
/// It begins with what the client has sent behind its request. Reading and writing wait, and fail, as they do on a
/// [`TcpStream`], also for several tasklets at a time by references; [split](Split) it is one half for each direction.
/// Whether the connection is encrypted makes no difference.
///
/// ```
/// use actor_io::BufferedStream;
/// use actor_net::http::Upgraded;
/// use std::io;
///
/// fn echo(stream: Upgraded) -> io::Result<()> {
///     let (mut reader, mut writer) = BufferedStream::new(stream).split();
///     while let Some(line) = reader.read_line()? {
///         writer.write_line(line)?;
///         # use std::io::Write;
///         writer.flush()?;
///     }
///     Ok(())
/// }
/// ```
pub struct Upgraded {
    /// Also where it is encrypted, for its options.
    socket: TcpStream,
    /// What encrypts it.
    tls: Option<Box<Tls>>,
    /// What had been read before.
    ahead: Mutex<Bytes>,
    peer: SocketAddr,
}

/// The half of an [`Upgraded`] that reads.
///
/// ```
/// use actor_io::Split;
/// use actor_net::http::{Upgraded, UpgradedReader};
/// use std::io::{self, Read};
///
/// fn read_all(stream: Upgraded) -> io::Result<String> {
///     let (mut reader, _writer): (UpgradedReader, _) = stream.split();
///     let mut text = String::new();
///     reader.read_to_string(&mut text)?;
///     Ok(text)
/// }
/// ```
pub struct UpgradedReader {
    socket: TcpStream,
    tls: Option<Box<dyn Decrypts>>,
    ahead: Bytes,
    peer: SocketAddr,
}

/// The half of an [`Upgraded`] that writes.
///
/// ```
/// use actor_io::Split;
/// use actor_net::http::{Upgraded, UpgradedWriter};
/// use std::io::{self, Write};
///
/// fn greet(stream: Upgraded) -> io::Result<()> {
///     let (_reader, mut writer): (_, UpgradedWriter) = stream.split();
///     writer.write_all(b"hello")
/// }
/// ```
pub struct UpgradedWriter {
    socket: TcpStream,
    tls: Option<Box<dyn Encrypts>>,
    peer: SocketAddr,
}

/// The half of an encrypted stream that reads.
pub(super) trait Decrypts: Read + Send + Sync {
    fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>>;
}

/// The half that writes.
pub(super) trait Encrypts: Write + Send + Sync {
    /// Says that nothing more will be written.
    fn close_write(&mut self) -> io::Result<()>;
}

/// Both, for whoever comes. Locks of tasklets, since they are held while the other end is waited for.
struct Tls {
    reader: Lock<Box<dyn Decrypts>>,
    writer: Lock<Box<dyn Encrypts>>,
}

impl Tls {
    fn of((reader, writer): Halves) -> Box<Tls> {
        Box::new(Tls {
            reader: Lock::new(reader),
            writer: Lock::new(writer),
        })
    }

    fn read<T>(&self, read: impl FnOnce(&mut dyn Decrypts) -> io::Result<T>) -> io::Result<T> {
        // Without a limit of its own, but unlike `lock` it has an error to give.
        read(&mut **self.reader.lock_timeout(Duration::MAX)?)
    }

    fn write<T>(&self, write: impl FnOnce(&mut dyn Encrypts) -> io::Result<T>) -> io::Result<T> {
        write(&mut **self.writer.lock_timeout(Duration::MAX)?)
    }
}

/// The two halves that encrypt.
pub(super) type Halves = (Box<dyn Decrypts>, Box<dyn Encrypts>);

impl Upgraded {
    /// `ahead` has been read already.
    pub(super) fn new(
        socket: TcpStream,
        tls: Option<Halves>,
        ahead: Bytes,
        peer: SocketAddr,
    ) -> Upgraded {
        Upgraded {
            socket,
            tls: tls.map(Tls::of),
            ahead: Mutex::new(ahead),
            peer,
        }
    }

    /// Reads as [`Read::read`] does, but ends with `Ok(None)` once the server is to end.
    ///
    /// ```
    /// use actor_net::http::Upgraded;
    ///
    /// fn read_on(stream: &Upgraded) -> std::io::Result<()> {
    ///     while let Some(1..) = stream.read_or_stop(&mut [0; 1024])? {}
    ///     Ok(())
    /// }
    /// ```
    pub fn read_or_stop(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match (self.take_ahead(buf), &self.tls) {
            (count @ 1.., _) => Ok(Some(count)),
            (_, Some(tls)) => tls.read(|reader| reader.read_or_stop(buf)),
            (_, None) => self.socket.read_or_stop(buf),
        }
    }

    /// Takes of what had been read before. (A function, so that the lock is not held while somebody waits.)
    fn take_ahead(&self, buf: &mut [u8]) -> usize {
        take(&mut self.ahead.lock(), buf)
    }

    /// Ends one direction or both: see [`TcpStream::shutdown`](actor_io::Stream::shutdown).
    ///
    /// ```
    /// use actor_net::http::Upgraded;
    /// use std::io::{self, Read, Write};
    /// use std::net::Shutdown;
    ///
    /// fn ask(mut stream: Upgraded, question: &str) -> io::Result<String> {
    ///     stream.write_all(question.as_bytes())?;
    ///     stream.shutdown(Shutdown::Write)?;
    ///     let mut answer = String::new();
    ///     stream.read_to_string(&mut answer)?;
    ///     Ok(answer)
    /// }
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match (&self.tls, how) {
            (Some(tls), Shutdown::Write) => tls.write(|writer| writer.close_write()),
            _ => self.socket.shutdown(how),
        }
    }
}

/// Takes some of what had been read before.
fn take(ahead: &mut Bytes, buf: &mut [u8]) -> usize {
    let count = ahead.len().min(buf.len());
    ahead.copy_to_slice(&mut buf[..count]);
    if ahead.is_empty() {
        // It may have been a slice of much more.
        *ahead = Bytes::new();
    }
    count
}

macro_rules! common {
    ($($type:ident: $example:literal),*) => {$(
        impl $type {
            /// The address of the client.
            ///
            /// ```
            #[doc = concat!("use actor_net::http::", stringify!($type), ";")]
            ///
            #[doc = $example]
            ///     println!("{}", stream.peer_addr());
            /// }
            /// ```
            pub fn peer_addr(&self) -> SocketAddr {
                self.peer
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    .field("peer", &self.peer)
                    .finish_non_exhaustive()
            }
        }
    )*};
}

common!(
    Upgraded: "fn show(stream: &Upgraded) {",
    UpgradedReader: "fn show(stream: &UpgradedReader) {",
    UpgradedWriter: "fn show(stream: &UpgradedWriter) {"
);

macro_rules! timeouts {
    ($type:ident, $do:literal, $set:ident, $get:ident) => {
        impl $type {
            #[doc = concat!("Sets how long a ", $do, " may wait: see")]
            #[doc = concat!("[`TcpStream`](actor_io::Stream::", stringify!($set), "). Not limited by default.")]
            ///
            /// ```
            #[doc = concat!("use actor_net::http::", stringify!($type), ";")]
            /// use std::time::Duration;
            ///
            #[doc = concat!("fn hurry(stream: &", stringify!($type), ") -> std::io::Result<()> {")]
            #[doc = concat!("    stream.", stringify!($set), "(Some(Duration::from_secs(30)))")]
            /// }
            /// ```
            pub fn $set(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.socket.$set(timeout)
            }

            #[doc = concat!("How long a ", $do, " may wait.")]
            ///
            /// ```
            #[doc = concat!("use actor_net::http::", stringify!($type), ";")]
            ///
            #[doc = concat!("fn is_patient(stream: &", stringify!($type), ") -> bool {")]
            #[doc = concat!("    stream.", stringify!($get), "().is_ok_and(|limit| limit.is_none())")]
            /// }
            /// ```
            pub fn $get(&self) -> io::Result<Option<Duration>> {
                self.socket.$get()
            }
        }
    };
}

timeouts!(Upgraded, "read", set_read_timeout, read_timeout);
timeouts!(Upgraded, "write", set_write_timeout, write_timeout);
timeouts!(UpgradedReader, "read", set_read_timeout, read_timeout);
timeouts!(UpgradedWriter, "write", set_write_timeout, write_timeout);

impl Read for &Upgraded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match (self.take_ahead(buf), &self.tls) {
            (count @ 1.., _) => Ok(count),
            (_, Some(tls)) => tls.read(|reader| reader.read(buf)),
            (_, None) => (&self.socket).read(buf),
        }
    }
}

impl Write for &Upgraded {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &self.tls {
            Some(tls) => tls.write(|writer| writer.write(buf)),
            None => (&self.socket).write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.tls {
            Some(tls) => tls.write(|writer| writer.write_vectored(bufs)),
            None => (&self.socket).write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.tls {
            Some(tls) => tls.write(|writer| writer.flush()),
            None => (&self.socket).flush(),
        }
    }
}

impl Read for Upgraded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for Upgraded {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl Split for Upgraded {
    type Reader = UpgradedReader;
    type Writer = UpgradedWriter;

    fn split(self) -> (UpgradedReader, UpgradedWriter) {
        let (reader, writer) = self.socket.split();
        let (tls_reader, tls_writer) = match self.tls {
            Some(tls) => (Some(tls.reader.into_inner()), Some(tls.writer.into_inner())),
            None => (None, None),
        };
        let reader = UpgradedReader {
            socket: reader,
            tls: tls_reader,
            ahead: self.ahead.into_inner(),
            peer: self.peer,
        };
        let writer = UpgradedWriter {
            socket: writer,
            tls: tls_writer,
            peer: self.peer,
        };
        (reader, writer)
    }

    fn unsplit(reader: UpgradedReader, writer: UpgradedWriter) -> Upgraded {
        Upgraded {
            socket: TcpStream::unsplit(reader.socket, writer.socket),
            tls: reader.tls.zip(writer.tls).map(Tls::of),
            ahead: Mutex::new(reader.ahead),
            peer: reader.peer,
        }
    }
}

impl UpgradedWriter {
    /// The socket beneath, to be aborted while somebody else writes.
    #[cfg(feature = "websocket")]
    pub(super) fn socket(&self) -> io::Result<TcpStream> {
        self.socket.try_clone()
    }
}

impl UpgradedReader {
    /// As [`Upgraded::read_or_stop`].
    ///
    /// ```
    /// use actor_net::http::UpgradedReader;
    ///
    /// fn read_on(reader: &mut UpgradedReader) -> std::io::Result<()> {
    ///     while let Some(1..) = reader.read_or_stop(&mut [0; 1024])? {}
    ///     Ok(())
    /// }
    /// ```
    pub fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match (take(&mut self.ahead, buf), &mut self.tls) {
            (count @ 1.., _) => Ok(Some(count)),
            (_, Some(tls)) => tls.read_or_stop(buf),
            (_, None) => self.socket.read_or_stop(buf),
        }
    }
}

impl Read for UpgradedReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match (take(&mut self.ahead, buf), &mut self.tls) {
            (count @ 1.., _) => Ok(count),
            (_, Some(tls)) => tls.read(buf),
            (_, None) => self.socket.read(buf),
        }
    }
}

impl Write for UpgradedWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(buf),
            None => self.socket.write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write_vectored(bufs),
            None => self.socket.write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.flush(),
            None => self.socket.flush(),
        }
    }
}

/// So a tunnel is a matter of [`copy_bidirectional`](actor_io::copy_bidirectional()).
impl Endpoint for UpgradedReader {
    fn descriptor(&self) -> Option<Descriptor> {
        match self.ahead.is_empty() && self.tls.is_none() {
            true => self.socket.descriptor(),
            false => None,
        }
    }

    /// There is nothing to be told: it does not write.
    fn close_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn abort(&self) {
        self.socket.abort();
    }
}

impl Endpoint for UpgradedWriter {
    fn descriptor(&self) -> Option<Descriptor> {
        match self.tls {
            Some(_) => None,
            None => self.socket.descriptor(),
        }
    }

    fn close_write(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.close_write(),
            None => self.socket.close_write(),
        }
    }

    fn abort(&self) {
        self.socket.abort();
    }
}
