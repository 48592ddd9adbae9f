//! Why no connection came about.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use actor_core::TimedOut;

/// Why a [`Connector`](super::Connector) has no connection to give.
///
/// Turns into an [`io::Error`] of the kind of the last attempt's, which keeps this as its source.
///
/// ```
/// use actor_net::{ConnectError, Connector};
/// use std::io;
///
/// # let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
/// let error = Connector::connect(("127.0.0.1", port)).unwrap_err();
/// assert_eq!(error.attempts()[0].address.port(), port);
/// assert_eq!(io::Error::from(error).kind(), io::ErrorKind::ConnectionRefused);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name could not be resolved.
    Resolve(io::Error),
    /// The name stands for no address.
    NoAddress,
    /// Every address was tried, and none accepted.
    Failed {
        /// What was tried, in order; at least one.
        attempts: Vec<Attempt>,
    },
    /// The time was over, the connector's or that of an enclosing [`timeout`](actor_core::timeout),
    /// before an address accepted.
    TimedOut {
        /// What was tried, in order; none if the time was over before the name was resolved.
        attempts: Vec<Attempt>,
    },
    /// There was a connection, but TLS has failed on it.
    #[cfg(feature = "tls")]
    Tls {
        /// The address that had accepted; none if it did not come to that, or the server has gone.
        address: Option<SocketAddr>,
        /// What came of it.
        error: crate::tls::TlsError,
    },
}

/// One address that was tried in vain.
///
/// ```
/// use actor_net::{Attempt, Connector};
///
/// # let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
/// let failure = Connector::connect(dead).unwrap_err();
/// let [Attempt { address, error }] = failure.attempts() else { panic!("one attempt") };
/// assert_eq!((*address, error.kind()), (dead, std::io::ErrorKind::ConnectionRefused));
/// ```
#[derive(Debug)]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// What came of it.
    pub error: io::Error,
}

impl ConnectError {
    /// What was tried, in order; nothing if there were no addresses to try.
    ///
    /// ```
    /// let error = actor_net::Connector::connect("no port").unwrap_err();
    /// assert!(error.attempts().is_empty());
    /// ```
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            ConnectError::Failed { attempts } | ConnectError::TimedOut { attempts } => attempts,
            ConnectError::Resolve(_) | ConnectError::NoAddress => &[],
            #[cfg(feature = "tls")]
            ConnectError::Tls { .. } => &[],
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Resolve(error) => write!(f, "cannot resolve the name: {error}"),
            ConnectError::NoAddress => f.write_str("the name resolved to no address"),
            ConnectError::Failed { .. } => f.write_str("cannot connect"),
            ConnectError::TimedOut { .. } => f.write_str("connecting took too long"),
            #[cfg(feature = "tls")]
            ConnectError::Tls { address, error } => match address {
                Some(address) => write!(f, "{address}: {error}"),
                None => error.fmt(f),
            },
        }?;
        let mut separator = ": ";
        for Attempt { address, error } in self.attempts() {
            write!(f, "{separator}{address}: {error}")?;
            separator = "; ";
        }
        Ok(())
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConnectError::Resolve(error) => Some(error),
            #[cfg(feature = "tls")]
            ConnectError::Tls { error, .. } => Some(error),
            _ => Some(&self.attempts().last()?.error),
        }
    }
}

/// What a [`timeout`](actor_core::timeout) around a connector makes of its expiry.
impl From<TimedOut> for ConnectError {
    fn from(_: TimedOut) -> ConnectError {
        ConnectError::TimedOut {
            attempts: Vec::new(),
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> io::Error {
        let kind = match &error {
            ConnectError::Resolve(error) => error.kind(),
            #[cfg(feature = "tls")]
            ConnectError::Tls { error, .. } => error.kind(),
            ConnectError::NoAddress => io::ErrorKind::InvalidInput,
            ConnectError::TimedOut { .. } => io::ErrorKind::TimedOut,
            ConnectError::Failed { attempts } => attempts
                .last()
                .map_or(io::ErrorKind::Other, |attempt| attempt.error.kind()),
        };
        io::Error::new(kind, error)
    }
}
