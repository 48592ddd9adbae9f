//! [`FetchError`], and what a request that was not sent comes back in.

use std::error::Error;
use std::fmt;
use std::io;

use actor_core::TimedOut;
use actor_io::__private::is_time_out;
use http::{Request, StatusCode, Uri};

use crate::ConnectError;
use crate::http::{BadMessage, Body};
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// What a request was at.
///
/// ```
/// use actor_net::http::Phase;
///
/// assert_eq!(Phase::Answer.to_string(), "waiting for the answer");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The look-up of the name, and the connection.
    Connect,
    /// Asking a proxy for a way to the server.
    Proxy,
    /// The handshake of TLS.
    Tls,
    /// Sending the request, its body included.
    Send,
    /// From the end of the request to the end of the answer's head.
    Answer,
    /// Reading the body of the answer.
    Body,
    /// None of these: an enclosing [`timeout`](actor_core::timeout) has expired between two of them.
    Outside,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Connect => "connecting",
            Phase::Proxy => "asking the proxy",
            Phase::Tls => "shaking hands",
            Phase::Send => "sending the request",
            Phase::Answer => "waiting for the answer",
            Phase::Body => "reading the answer's body",
            Phase::Outside => "waiting",
        })
    }
}

/// Why there is no answer to a request, or not all of one.
///
/// Reading the [body](Body) of an answer fails with an [`io::Error`] that holds this. It turns into one itself.
///
/// ```
/// use actor_net::http::{FetchError, fetch};
///
/// # let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
/// match fetch(format!("http://127.0.0.1:{port}/")) {
///     Err(FetchError::Connect { host, .. }) => assert_eq!(host, "127.0.0.1"),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// What was asked for cannot be asked: the address of no server, a header that says something else than
    /// the body. Change the request.
    Request(&'static str),
    /// The server's name, or that of the proxy, was not found.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        error: io::Error,
    },
    /// No connection came about. Nothing has been sent: try again later.
    Connect {
        /// The name of the server, or of the proxy.
        host: String,
        /// What has been tried.
        error: ConnectError,
    },
    /// The server is not who it ought to be, or speaks no TLS. Nothing has been sent.
    #[cfg(feature = "tls")]
    Tls {
        /// The name of the server.
        host: String,
        /// What went wrong.
        error: TlsError,
    },
    /// The proxy does not let this client through. 407 asks for a password.
    Proxy(StatusCode),
    /// It took too long. Before [`Phase::Answer`] the server has not got all of the request.
    TimedOut {
        /// What took too long.
        phase: Phase,
    },
    /// The connection was closed or has failed before any of an answer came. Who does not know whether the request may
    /// be made twice must find out whether it has been carried out.
    Closed(io::Error),
    /// The answer ends in the middle.
    Truncated,
    /// The connection has failed in the middle of the answer.
    Io(io::Error),
    /// The answer is not HTTP, or leaves open where it ends, or exceeds a limit.
    Refused(BadMessage),
    /// The server says that it will go on, again and again, and does not.
    TooManyInterim,
    /// The server wants to speak another protocol, and has not been asked to.
    Upgraded,
    /// The body of the request could not be read.
    Body(io::Error),
    /// One redirect after the other, or back to where it began.
    TooManyRedirects {
        /// Where it has been, in order.
        visited: Vec<Uri>,
    },
    /// A redirect from `https` to `http`, where what follows could be read and changed by anybody on the way.
    Downgrade {
        /// Where it leads.
        location: Uri,
    },
    /// A redirect to what is no address of a server.
    Location {
        /// What it says.
        location: String,
    },
    /// The last attempt at it has failed before anything of that was sent, but a server had seen the request by then:
    /// one that has redirected it, or refused its expectation, or closed the connection.
    Later {
        /// The redirects that have been followed, in order.
        visited: Vec<Uri>,
        /// What the last attempt has failed with.
        error: Box<FetchError>,
    },
}

impl FetchError {
    /// Whether time has run out.
    ///
    /// ```
    /// use actor_net::http::{FetchError, Phase};
    ///
    /// assert!(FetchError::TimedOut { phase: Phase::Connect }.is_timed_out());
    /// ```
    pub fn is_timed_out(&self) -> bool {
        match self {
            FetchError::TimedOut { .. } => true,
            FetchError::Later { error, .. } => error.is_timed_out(),
            _ => false,
        }
    }

    /// Whether certainly no server has seen the request, or all of its head, so that it can be made again. What fails
    /// behind a redirect, or after a refused expectation, is [`Later`](FetchError::Later): a server may have done
    /// something by then. The error inside of that speaks of the last attempt alone.
    ///
    /// ```
    /// use actor_net::http::{FetchError, Phase};
    ///
    /// assert!(FetchError::TimedOut { phase: Phase::Connect }.is_unsent());
    /// assert!(!FetchError::Truncated.is_unsent());
    /// ```
    pub fn is_unsent(&self) -> bool {
        match self {
            FetchError::Request(_)
            | FetchError::Resolve { .. }
            | FetchError::Connect { .. }
            | FetchError::Proxy(_) => true,
            #[cfg(feature = "tls")]
            FetchError::Tls { .. } => true,
            FetchError::TimedOut { phase } => {
                matches!(phase, Phase::Connect | Phase::Proxy | Phase::Tls)
            }
            _ => false,
        }
    }

    /// The kind of the [`io::Error`] that it turns into.
    ///
    /// ```
    /// use actor_net::http::FetchError;
    ///
    /// assert_eq!(FetchError::Truncated.kind(), std::io::ErrorKind::UnexpectedEof);
    /// ```
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            FetchError::Request(_) => io::ErrorKind::InvalidInput,
            FetchError::Resolve { error, .. }
            | FetchError::Closed(error)
            | FetchError::Io(error)
            | FetchError::Body(error) => error.kind(),
            FetchError::Connect { error, .. } => match error.attempts().last() {
                Some(attempt) => attempt.error.kind(),
                None => io::ErrorKind::NotConnected,
            },
            #[cfg(feature = "tls")]
            FetchError::Tls { error, .. } => error.kind(),
            FetchError::Proxy(_) => io::ErrorKind::PermissionDenied,
            FetchError::TimedOut { .. } => io::ErrorKind::TimedOut,
            FetchError::Truncated => io::ErrorKind::UnexpectedEof,
            FetchError::Refused(_) | FetchError::TooManyInterim | FetchError::Upgraded => {
                io::ErrorKind::InvalidData
            }
            FetchError::TooManyRedirects { .. }
            | FetchError::Downgrade { .. }
            | FetchError::Location { .. } => io::ErrorKind::Other,
            FetchError::Later { error, .. } => error.kind(),
        }
    }

    /// What a failure is, given whether no server has seen the request, and which redirects have been followed.
    pub(super) fn after(self, is_untouched: bool, visited: Vec<Uri>) -> FetchError {
        match self.is_unsent() && !is_untouched {
            true => FetchError::Later {
                visited,
                error: Box::new(self),
            },
            false => self,
        }
    }

    /// What an operation on the connection has failed with.
    pub(super) fn of_connection(error: io::Error, phase: Phase) -> FetchError {
        if is_time_out(&error) || error.kind() == io::ErrorKind::TimedOut {
            return FetchError::TimedOut { phase };
        }
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return FetchError::Truncated;
        }
        FetchError::Io(error)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Request(what) => f.write_str(what),
            FetchError::Resolve { host, error } => write!(f, "cannot find {host}: {error}"),
            FetchError::Connect { host, error } => write!(f, "{host}: {error}"),
            #[cfg(feature = "tls")]
            FetchError::Tls { host, error } => write!(f, "{host}: {error}"),
            FetchError::Proxy(status) => write!(f, "the proxy refuses with {status}"),
            FetchError::TimedOut { phase } => write!(f, "{phase} took too long"),
            FetchError::Closed(error) => {
                write!(
                    f,
                    "the connection ended before there was an answer: {error}"
                )
            }
            FetchError::Truncated => f.write_str("the answer ends in the middle"),
            FetchError::Io(error) => write!(f, "the connection has failed: {error}"),
            FetchError::Refused(error) => write!(f, "the answer is not taken: {error}"),
            FetchError::TooManyInterim => f.write_str("there are too many interim answers"),
            FetchError::Upgraded => f.write_str("the server changes the protocol unasked"),
            FetchError::Body(error) => write!(f, "cannot read the body of the request: {error}"),
            FetchError::TooManyRedirects { visited } => {
                write!(f, "there are too many redirects ({})", visited.len())
            }
            FetchError::Downgrade { location } => {
                write!(f, "a redirect leads from https to {location}")
            }
            FetchError::Location { location } => {
                write!(f, "a redirect leads to {location:?}, which is nowhere")
            }
            FetchError::Later { visited, error } => match visited.len() {
                0 => write!(f, "a further attempt has failed: {error}"),
                count => write!(f, "after {count} redirects: {error}"),
            },
        }
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            FetchError::Resolve { error, .. }
            | FetchError::Closed(error)
            | FetchError::Io(error)
            | FetchError::Body(error) => Some(error),
            FetchError::Connect { error, .. } => Some(error),
            #[cfg(feature = "tls")]
            FetchError::Tls { error, .. } => Some(error),
            FetchError::Refused(error) => Some(error),
            FetchError::Later { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<BadMessage> for FetchError {
    fn from(error: BadMessage) -> FetchError {
        FetchError::Refused(error)
    }
}

/// What a [`timeout`](actor_core::timeout) around a request makes of its expiry.
impl From<TimedOut> for FetchError {
    fn from(_: TimedOut) -> FetchError {
        FetchError::TimedOut {
            phase: Phase::Outside,
        }
    }
}

impl From<FetchError> for io::Error {
    fn from(error: FetchError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// A failure, and the request if none of it has been sent.
///
/// ```
/// use actor_net::http::{Body, HttpClient, Request};
///
/// # let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
/// let request = Request::post(format!("http://127.0.0.1:{port}/")).body(Body::from("precious")).unwrap();
/// let failed = HttpClient::new().send(request).unwrap_err();
/// let request = failed.request.expect("nobody has seen it");
/// assert_eq!(request.into_body().into_bytes().unwrap(), "precious");
/// ```
#[derive(Debug)]
pub struct Failed {
    /// What has failed.
    pub error: FetchError,
    /// The request as it was, if nothing of it was sent and none of its body was read.
    pub request: Option<Request<Body>>,
}

impl From<Failed> for FetchError {
    fn from(failed: Failed) -> FetchError {
        failed.error
    }
}
