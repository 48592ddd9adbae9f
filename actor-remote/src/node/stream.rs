//! What a link runs over: TCP, or TLS over that.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

#[cfg(feature = "tls")]
use actor_io::Split;
use actor_io::TcpStream;
#[cfg(feature = "tls")]
use actor_net::tls::{TlsStream, TlsWriter};

/// What a link runs over.
pub(super) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

impl Stream {
    /// The connection beneath.
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.get_ref(),
        }
    }

    /// Its halves, for two tasklets.
    pub(super) fn split(self) -> io::Result<(Box<dyn Read + Send>, Writer)> {
        Ok(match self {
            Stream::Plain(stream) => {
                let writer = stream.try_clone()?;
                (Box::new(stream), Writer::Plain(writer))
            }
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => {
                let (reader, writer) = stream.split();
                (Box::new(reader), Writer::Tls(writer))
            }
        })
    }
}

/// The half that writes.
pub(super) enum Writer {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(TlsWriter),
}

impl Writer {
    /// Says that no more will come.
    pub(super) fn finish(&mut self) {
        // Whoever reads there will notice in any case.
        match self {
            Writer::Plain(stream) => drop(stream.shutdown(Shutdown::Write)),
            #[cfg(feature = "tls")]
            Writer::Tls(writer) => drop(writer.close_notify()),
        }
    }
}

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Writer::Plain(stream) => stream.write(buf),
            #[cfg(feature = "tls")]
            Writer::Tls(writer) => writer.write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Writer::Plain(stream) => stream.write_vectored(bufs),
            #[cfg(feature = "tls")]
            Writer::Tls(writer) => writer.write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Writer::Plain(stream) => stream.flush(),
            #[cfg(feature = "tls")]
            Writer::Tls(writer) => writer.flush(),
        }
    }
}

#[cfg(feature = "tls")]
pub(super) mod tls {
    //! How a connection gets under TLS.

    use actor_io::TcpStream;
    use actor_net::tls::rustls::ProtocolVersion;
    use actor_net::tls::{ClientTls, ServerTls, TlsError, TlsStream};

    use super::super::connection::Side;
    use crate::error::ConnectError;
    use crate::handshake::Refused;

    /// What a connection's keying material is exported for.
    const LABEL: &[u8] = b"EXPORTER-concurrence";

    /// Makes TLS's own handshake.
    pub(in super::super) fn begin(
        (server, client): &(ServerTls, ClientTls),
        stream: TcpStream,
        side: &Side<'_>,
    ) -> Result<TlsStream, ConnectError> {
        let stream = match side {
            Side::Responder => server.accept(stream),
            Side::Initiator {
                name: Some(name), ..
            } => client.connect(name, stream),
            Side::Initiator { name: None, .. } => {
                let addr = stream.peer_addr().map_err(ConnectError::Io)?;
                client.connect(&addr.ip().to_string(), stream)
            }
        };
        let stream = stream.map_err(failed)?;
        // What is older neither hides who connects nor binds as well.
        if stream.version() != Some(ProtocolVersion::TLSv1_3) {
            return Err(ConnectError::Refused(Refused::Certificate));
        }
        Ok(stream)
    }

    /// What the two ends of this connection have in common, and nobody else.
    pub(in super::super) fn binding(stream: &TlsStream) -> Result<[u8; 32], ConnectError> {
        stream
            .export_keying_material([0; 32], LABEL, None)
            .map_err(failed)
    }

    fn failed(error: TlsError) -> ConnectError {
        match error {
            TlsError::TimedOut => ConnectError::Timeout,
            error => ConnectError::Io(error.into()),
        }
    }
}
