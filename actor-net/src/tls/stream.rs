//! [`TlsStream`] and its halves.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::thread::panicking;
use std::time::Duration;

use actor_core::sync::Mutex;
use actor_core::timeout;
use actor_io::{Endpoint, Split, TcpStream};
use rustls::client::verify_server_name;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use rustls::{Connection, HandshakeKind, ProtocolVersion};

use super::TlsError;
use super::client::server_name;
use super::session::{Incoming, Session, TakeTurns, Wire};

/// How long it may take to send something in the middle of a read.
const AT_ONCE: Duration = Duration::from_millis(10);

/// How much of what a peer still sends is read, and for how long, once this end has closed.
const DRAIN_BYTES: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A stream that is encrypted on its way: TLS over the stream `S`.
///
/// Made by [`ServerTls::accept`](super::ServerTls::accept), [`ClientTls::connect`](super::ClientTls::connect)
/// and what is built on them; the handshake has been made. Reading and writing wait as the stream beneath
/// waits, with its timeouts. What was true of that stream stays so: an operation that has failed because time ran out,
/// or that a kill has ended, can be made again, and nothing has been lost.
///
/// A write sends what it is given at once, in records of 16 KiB, so that many small writes belong into a
/// [`BufferedStream`](actor_io::BufferedStream). If the time runs out when its bytes have been encrypted,
/// they count as written; the rest of them is sent by the next write or [flush](Write::flush).
///
/// The end is [told by itself](super#the-end-of-a-stream).
///
/// ```
/// use actor_io::BufferedStream;
/// use actor_net::tls::TlsStream;
/// use std::io;
///
/// fn greet(stream: TlsStream) -> io::Result<()> {
///     let (mut reader, mut writer) = BufferedStream::new(stream).split();
///     writer.write_line("who is there?")?;
///     # use std::io::Write;
///     writer.flush()?;
///     let name = reader.read_line()?;
///     # drop(name);
///     Ok(())
/// }
/// ```
pub struct TlsStream<S = TcpStream> {
    stream: S,
    incoming: Incoming,
    session: Arc<Session>,
    details: Arc<Details>,
}

/// What the handshake has agreed upon.
#[derive(Debug)]
struct Details {
    alpn: Option<Vec<u8>>,
    server_name: Option<String>,
    peer_certificates: Vec<CertificateDer<'static>>,
    version: Option<ProtocolVersion>,
    resumed: bool,
}

impl Details {
    fn of(tls: &Connection) -> Details {
        Details {
            alpn: tls.alpn_protocol().map(<[u8]>::to_vec),
            server_name: match tls {
                Connection::Server(tls) => tls.server_name().map(str::to_owned),
                Connection::Client(_) => None,
            },
            peer_certificates: tls.peer_certificates().unwrap_or_default().to_vec(),
            version: tls.protocol_version(),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

impl<S: Read + Write> TlsStream<S> {
    /// Makes the handshake, in `limit`.
    pub(super) fn establish(
        tls: Connection,
        mut stream: S,
        limit: Duration,
        mut turns: impl TakeTurns,
    ) -> Result<Self, TlsError> {
        let session = Session::new(tls);
        let mut incoming = Incoming::default();
        timeout(limit, || {
            session.shake_hands(&mut incoming, &mut stream, &mut turns)
        })?;
        Ok(TlsStream::from_parts(stream, incoming, Arc::new(session)))
    }

    /// Says that this end has nothing more to send (`close_notify`): a read at the other end gives 0
    /// bytes. The other direction stays open, if the peer lets it; some close both at this point.
    ///
    /// Writing fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) from now on.
    ///
    /// # Errors
    ///
    /// Those of the stream. If the time has run out it can be called again.
    ///
    /// ```
    /// use actor_net::tls::TlsStream;
    /// use std::io::{self, Read, Write};
    ///
    /// fn ask(mut stream: TlsStream, question: &str) -> io::Result<String> {
    ///     stream.write_all(question.as_bytes())?;
    ///     stream.close_notify()?;
    ///     let mut answer = String::new();
    ///     stream.read_to_string(&mut answer)?;
    ///     Ok(answer)
    /// }
    /// ```
    pub fn close_notify(&mut self) -> io::Result<()> {
        self.session.close(&mut self.stream)
    }

    /// Ends the stream in the orderly way: [`close_notify`](Self::close_notify), and then reads and throws
    /// away what the peer still sends, until it has closed too, but no more than 64 KiB, and for no longer
    /// than a second. To close a TCP connection with unread input would reset it, and the peer might
    /// lose what it has not read yet; and with TLS 1.3 there often is some, the server's tickets.
    ///
    /// # Errors
    ///
    /// Those of the stream while the rest is sent. How the peer ends does not matter.
    ///
    /// ```
    /// use actor_net::tls::TlsStream;
    /// use std::io::{self, Write};
    ///
    /// fn tell(mut stream: TlsStream) -> io::Result<()> {
    ///     stream.write_all(b"that is all")?;
    ///     stream.close()
    /// }
    /// ```
    pub fn close(mut self) -> io::Result<()> {
        self.close_notify()?;
        let mut waste = [0; 2048];
        let mut drained = 0;
        // Whatever ends it is the end.
        let _ = timeout(DRAIN_TIME, || -> io::Result<()> {
            while drained < DRAIN_BYTES {
                match self.read(&mut waste)? {
                    0 => break,
                    count => drained += count,
                }
            }
            Ok(())
        });
        Ok(())
    }
}

impl<S> TlsStream<S> {
    /// One whose handshake has been made.
    pub(crate) fn from_parts(stream: S, incoming: Incoming, session: Arc<Session>) -> Self {
        let details = Arc::new(session.with(Details::of));
        TlsStream {
            stream,
            incoming,
            session,
            details,
        }
    }

    /// The stream beneath, for its options and addresses. What is read from it or written to it directly
    /// is lost to TLS, and ends the connection.
    ///
    /// ```
    /// use actor_net::tls::TlsStream;
    /// use std::time::Duration;
    ///
    /// fn hurry(stream: &TlsStream) -> std::io::Result<()> {
    ///     stream.get_ref().set_read_timeout(Some(Duration::from_secs(1)))
    /// }
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The same over another stream, which is to be the same connection.
    #[cfg(feature = "http")]
    pub(crate) fn map<T>(self, f: impl FnOnce(S) -> T) -> TlsStream<T> {
        TlsStream {
            stream: f(self.stream),
            incoming: self.incoming,
            session: self.session,
            details: self.details,
        }
    }

    /// The protocol that both ends have agreed to speak (ALPN), if they have.
    ///
    /// ```
    /// use actor_net::tls::TlsStream;
    ///
    /// fn speaks_http(stream: &TlsStream) -> bool {
    ///     stream.alpn().is_none_or(|name| name == b"http/1.1")
    /// }
    /// ```
    pub fn alpn(&self) -> Option<&[u8]> {
        self.details.alpn.as_deref()
    }

    /// The name by which the client has called this server (SNI), if it has; nothing at the client's end.
    ///
    /// ```
    /// use actor_net::tls::TlsStream;
    ///
    /// fn is_for_shop(stream: &TlsStream) -> bool {
    ///     stream.server_name() == Some("shop.example")
    /// }
    /// ```
    pub fn server_name(&self) -> Option<&str> {
        self.details.server_name.as_deref()
    }

    /// The certificates of the other end, its own first; none if it has shown none.
    ///
    /// ```
    /// use actor_net::tls::TlsStream;
    ///
    /// fn is_known(stream: &TlsStream) -> bool {
    ///     !stream.peer_certificates().is_empty()
    /// }
    /// ```
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.details.peer_certificates
    }

    /// The version of the protocol.
    ///
    /// ```
    /// use actor_net::tls::{TlsStream, rustls::ProtocolVersion};
    ///
    /// fn is_recent(stream: &TlsStream) -> bool {
    ///     stream.version() == Some(ProtocolVersion::TLSv1_3)
    /// }
    /// ```
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.details.version
    }

    /// Whether the handshake could be short, because both ends remembered an earlier one.
    ///
    /// ```
    /// use actor_net::tls::TlsStream;
    ///
    /// fn count(streams: &[TlsStream]) -> usize {
    ///     streams.iter().filter(|stream| stream.is_resumed()).count()
    /// }
    /// ```
    pub fn is_resumed(&self) -> bool {
        self.details.resumed
    }
}

impl<S> TlsStream<S> {
    /// Bytes that both ends of this connection can compute, and nobody else (RFC 5705; RFC 8446, section 7.5): as
    /// many as `output` has, different for each `label` and `context`. What is proved over them is proved to be said
    /// over this very connection, with nobody between.
    ///
    /// # Errors
    ///
    /// [`TlsError::Protocol`] if `output` is empty, or too long.
    ///
    /// ```
    /// use actor_net::tls::{TlsError, TlsStream};
    ///
    /// fn binding(stream: &TlsStream) -> Result<[u8; 32], TlsError> {
    ///     stream.export_keying_material([0; 32], b"EXPORTER-example", None)
    /// }
    /// ```
    pub fn export_keying_material<T: AsMut<[u8]>>(
        &self,
        output: T,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<T, TlsError> {
        let exported = self.session.with(|tls| match tls {
            Connection::Client(tls) => tls.export_keying_material(output, label, context),
            Connection::Server(tls) => tls.export_keying_material(output, label, context),
        });
        Ok(exported?)
    }

    /// Whether the other end has shown a certificate for `name`, a host name or an IP address.
    ///
    /// Who has signed it was seen to in the handshake, where certificates are asked for.
    ///
    /// ```
    /// use actor_net::tls::TlsStream;
    ///
    /// fn is_printer(stream: &TlsStream) -> bool {
    ///     stream.peer_is_called("printer.example")
    /// }
    /// ```
    pub fn peer_is_called(&self, name: &str) -> bool {
        let Some(own) = self.peer_certificates().first() else {
            return false;
        };
        match (ParsedCertificate::try_from(own), server_name(name)) {
            (Ok(certificate), Ok(name)) => verify_server_name(&certificate, &name).is_ok(),
            _ => false,
        }
    }
}

impl TlsStream {
    /// What is to be done at the end for a handler that has returned.
    pub(crate) fn closer(&self) -> io::Result<Closer> {
        Ok(Closer {
            stream: self.stream.try_clone()?,
            session: Arc::clone(&self.session),
        })
    }
}

/// Says at the end that it is the end.
pub(crate) struct Closer {
    stream: TcpStream,
    session: Arc<Session>,
}

impl Closer {
    /// Closes unless somebody still has the stream, who would have to.
    pub(crate) fn close(mut self, limit: Duration) -> io::Result<()> {
        if Arc::strong_count(&self.session) > 1 {
            return Ok(());
        }
        timeout(limit, || self.session.close(&mut self.stream))
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut wire = Whole(&mut self.stream);
        let read = self.session.read(&mut self.incoming, buf, &mut wire)?;
        Ok(read.unwrap_or_default())
    }
}

/// A stream that has not been split.
struct Whole<'a, S>(&'a mut S);

impl<S: Read + Write> Wire for Whole<'_, S> {
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.0.read(buf).map(Some)
    }

    fn answer(&mut self, session: &Session) {
        send_at_once(session, self.0);
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.write(&mut self.stream, bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.session.flush(&mut self.stream)
    }
}

/// Sends what is there, and leaves what takes long in its place.
fn send_at_once(session: &Session, sink: &mut impl Write) {
    if !panicking() {
        // A failure is told by the next operation.
        let _ = timeout(AT_ONCE, || session.send(sink));
    }
}

/// The half of a [`TlsStream`] that reads.
///
/// ```
/// use actor_io::Split;
/// use actor_net::tls::{TlsReader, TlsStream};
/// use std::io::{self, Read};
///
/// fn read_all(stream: TlsStream) -> io::Result<String> {
///     let (mut reader, _writer): (TlsReader, _) = stream.split();
///     let mut text = String::new();
///     reader.read_to_string(&mut text)?;
///     Ok(text)
/// }
/// ```
pub struct TlsReader<S: Split = TcpStream> {
    stream: S::Reader,
    incoming: Incoming,
    session: Arc<Session>,
    details: Arc<Details>,
    /// For alerts alone.
    sink: Arc<Mutex<S::Writer>>,
}

/// The half of a [`TlsStream`] that writes.
///
/// Its end alone is not the end of the stream for the peer: see [`close_notify`](Self::close_notify).
///
/// ```
/// use actor_io::Split;
/// use actor_net::tls::TlsStream;
/// use std::io::{self, Write};
///
/// fn say_all(stream: TlsStream) -> io::Result<()> {
///     let (_reader, mut writer) = stream.split();
///     writer.write_all(b"all")?;
///     writer.close_notify()
/// }
/// ```
pub struct TlsWriter<S: Split = TcpStream> {
    session: Arc<Session>,
    /// Whoever sends has the lock. The reader does only if that can be done at once, so nobody waits for
    /// long.
    sink: Arc<Mutex<S::Writer>>,
}

/// The halves may be used on different workers.
impl<S: Split + Read + Write> Split for TlsStream<S> {
    type Reader = TlsReader<S>;
    type Writer = TlsWriter<S>;

    fn split(self) -> (TlsReader<S>, TlsWriter<S>) {
        let (reader, writer) = self.stream.split();
        let sink = Arc::new(Mutex::new(writer));
        let writer = TlsWriter {
            session: Arc::clone(&self.session),
            sink: Arc::clone(&sink),
        };
        let reader = TlsReader {
            stream: reader,
            incoming: self.incoming,
            session: self.session,
            details: self.details,
            sink,
        };
        (reader, writer)
    }

    /// # Panics
    ///
    /// If these are not the halves of one stream.
    fn unsplit(reader: TlsReader<S>, writer: TlsWriter<S>) -> TlsStream<S> {
        let TlsReader {
            stream,
            incoming,
            session,
            details,
            sink,
        } = reader;
        drop(sink);
        let writer = Arc::into_inner(writer.sink).expect("the halves are those of one stream");
        TlsStream {
            stream: S::unsplit(stream, writer.into_inner()),
            incoming,
            session,
            details,
        }
    }
}

impl<S: Split> TlsReader<S> {
    /// The half of the stream beneath: see [`TlsStream::get_ref`].
    ///
    /// ```
    /// use actor_net::tls::TlsReader;
    ///
    /// fn from(reader: &TlsReader) -> std::io::Result<std::net::SocketAddr> {
    ///     reader.get_ref().peer_addr()
    /// }
    /// ```
    pub fn get_ref(&self) -> &S::Reader {
        &self.stream
    }

    /// Reads what `receive` has read.
    fn read_by(
        &mut self,
        buf: &mut [u8],
        receive: impl FnMut(&mut S::Reader, &mut [u8]) -> io::Result<Option<usize>>,
    ) -> io::Result<Option<usize>> {
        let mut wire = Half::<S, _> {
            stream: &mut self.stream,
            sink: &self.sink,
            receive,
        };
        self.session.read(&mut self.incoming, buf, &mut wire)
    }
}

/// A half of a stream, and a way to the other.
struct Half<'a, S: Split, F> {
    stream: &'a mut S::Reader,
    sink: &'a Mutex<S::Writer>,
    receive: F,
}

impl<S, F> Wire for Half<'_, S, F>
where
    S: Split,
    F: FnMut(&mut S::Reader, &mut [u8]) -> io::Result<Option<usize>>,
{
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        (self.receive)(self.stream, buf)
    }

    fn answer(&mut self, session: &Session) {
        // If the writer has it, that one will find what is to be sent.
        if let Some(mut sink) = self.sink.try_lock() {
            send_at_once(session, &mut *sink);
        }
    }
}

impl TlsReader {
    /// Reads as [`Read::read`] does, but ends with `Ok(None)` once the current tasklet has been [asked to
    /// stop](actor_core::Tasklet::stop). Nothing is lost by it.
    ///
    /// ```
    /// use actor_net::tls::TlsReader;
    ///
    /// fn read_on(reader: &mut TlsReader) -> std::io::Result<()> {
    ///     while let Some(1..) = reader.read_or_stop(&mut [0; 1024])? {}
    ///     Ok(())
    /// }
    /// ```
    pub fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.read_by(buf, |stream, buf| stream.read_or_stop(buf))
    }
}

impl<S: Split> Read for TlsReader<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.read_by(buf, |stream, buf| stream.read(buf).map(Some))?;
        Ok(read.unwrap_or_default())
    }
}

impl<S: Split> TlsWriter<S> {
    /// Says that this end has nothing more to send: see [`TlsStream::close_notify`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use actor_io::BufferedWriter;
    /// use actor_net::tls::TlsWriter;
    /// use std::io::{self, Write};
    ///
    /// fn finish(mut writer: BufferedWriter<TlsWriter>) -> io::Result<()> {
    ///     writer.flush()?;
    ///     writer.get_mut().close_notify()
    /// }
    /// ```
    pub fn close_notify(&mut self) -> io::Result<()> {
        self.with_sink(Session::close)
    }

    /// Ends the stream beneath.
    pub(super) fn abort_sink(&self)
    where
        S::Writer: Endpoint,
    {
        // The reader has it for no longer than that; and if it has, something goes wrong already.
        if let Ok(sink) = self.sink.lock_timeout(AT_ONCE) {
            sink.abort();
        }
    }

    /// Has it to itself.
    fn with_sink<T>(
        &mut self,
        f: impl FnOnce(&Session, &mut S::Writer) -> io::Result<T>,
    ) -> io::Result<T> {
        // Without a limit of its own, but unlike `lock` it has an error to give.
        let mut sink = self.sink.lock_timeout(Duration::MAX)?;
        let done = f(&self.session, &mut sink)?;
        drop(sink);
        // The reader may have found it locked a moment ago.
        if self.session.has_unsent()
            && let Some(mut sink) = self.sink.try_lock()
        {
            send_at_once(&self.session, &mut *sink);
        }
        Ok(done)
    }
}

impl<S: Split> Write for TlsWriter<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.with_sink(|session, sink| session.write(sink, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with_sink(Session::flush)
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("stream", &self.stream)
            .field("version", &self.details.version)
            .finish_non_exhaustive()
    }
}

impl<S: Split> fmt::Debug for TlsReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReader")
            .field("version", &self.details.version)
            .finish_non_exhaustive()
    }
}

impl<S: Split> fmt::Debug for TlsWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsWriter").finish_non_exhaustive()
    }
}
