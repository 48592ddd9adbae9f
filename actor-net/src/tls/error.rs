//! [`TlsError`].

use std::error::Error;
use std::fmt;
use std::io;

use actor_core::TimedOut;
use actor_io::__private::is_time_out;

/// What can go wrong with TLS.
///
/// From the operations of a [`TlsStream`](super::TlsStream) it comes inside an [`io::Error`], as far as
/// it is TLS that has failed and not the stream beneath.
///
/// ```
/// use actor_net::tls::{Identity, TlsError};
///
/// let error = Identity::from_pem(b"no certificate", b"no key").unwrap_err();
/// assert!(matches!(error, TlsError::Pem(_)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The stream beneath has failed.
    Io(io::Error),
    /// The handshake was not over in time.
    TimedOut,
    /// The other end breaks the protocol, is not who it ought to be, or has refused this one: what
    /// [rustls](super::rustls) says about it.
    Protocol(super::rustls::Error),
    /// The stream has ended without the message that belongs at its end (`close_notify`): somebody on the
    /// way may have cut it short.
    Truncated,
    /// A certificate or key could not be read.
    Pem(String),
    /// The system has no root certificates that can be used.
    NoRoots(String),
    /// What a server is called is no host name and no IP address.
    ServerName(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Io(error) => error.fmt(f),
            TlsError::TimedOut => f.write_str("the TLS handshake took too long"),
            TlsError::Protocol(error) => write!(f, "TLS: {error}"),
            TlsError::Truncated => {
                f.write_str("the stream was cut off: it ended without TLS's close_notify")
            }
            TlsError::Pem(what) => write!(f, "cannot read a certificate or key: {what}"),
            TlsError::NoRoots(what) => write!(f, "no root certificates: {what}"),
            TlsError::ServerName(name) => {
                write!(f, "{name:?} is neither a host name nor an IP address")
            }
        }
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // The text is that of the inner error, so the chain goes on behind it.
            TlsError::Io(error) => error.source(),
            TlsError::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

/// What a [`timeout`](actor_core::timeout) around a handshake makes of its expiry.
impl From<TimedOut> for TlsError {
    fn from(_: TimedOut) -> TlsError {
        TlsError::TimedOut
    }
}

/// An error of the runtime's own clock is [`TlsError::TimedOut`].
impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> TlsError {
        if is_time_out(&error) {
            return TlsError::TimedOut;
        }
        match error.downcast::<TlsError>() {
            Ok(error) => error,
            Err(error) => TlsError::Io(error),
        }
    }
}

impl From<super::rustls::Error> for TlsError {
    fn from(error: super::rustls::Error) -> TlsError {
        TlsError::Protocol(error)
    }
}

impl TlsError {
    /// The kind of the [`io::Error`] that it turns into.
    ///
    /// ```
    /// use actor_net::tls::TlsError;
    ///
    /// assert_eq!(TlsError::Truncated.kind(), std::io::ErrorKind::UnexpectedEof);
    /// ```
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            TlsError::Io(error) => error.kind(),
            TlsError::TimedOut => io::ErrorKind::TimedOut,
            TlsError::Truncated => io::ErrorKind::UnexpectedEof,
            TlsError::Protocol(_) | TlsError::Pem(_) => io::ErrorKind::InvalidData,
            TlsError::NoRoots(_) => io::ErrorKind::NotFound,
            TlsError::ServerName(_) => io::ErrorKind::InvalidInput,
        }
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> io::Error {
        match error {
            TlsError::Io(error) => error,
            error => io::Error::new(error.kind(), error),
        }
    }
}
