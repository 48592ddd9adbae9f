//! What can go wrong between nodes.

use std::error::Error;
use std::fmt;
use std::io;

use actor_core::{BoxError, Refusal, TimedOut};

use crate::handshake::{BadHello, Refused};

/// Why a node does not start, or does not listen.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeError {
    /// It would listen beyond this machine, and has neither a secret nor TLS.
    Unprotected(std::net::SocketAddr),
    /// Its name or its cluster's is empty, too long, or has control characters.
    Name(BadHello),
    /// It has been closed.
    Closed,
    /// The system refuses something.
    Io(io::Error),
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeError::Unprotected(addr) => write!(
                f,
                "{addr} can be reached from other machines: give the node a secret or TLS, or say that it is to \
                 be unprotected"
            ),
            NodeError::Name(error) => write!(f, "not a name for a node: {error}"),
            NodeError::Closed => f.write_str("the node is closed"),
            NodeError::Io(error) => write!(f, "the node cannot listen: {error}"),
        }
    }
}

impl Error for NodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            NodeError::Unprotected(_) | NodeError::Closed => None,
            NodeError::Name(error) => Some(error),
            NodeError::Io(error) => Some(error),
        }
    }
}

impl From<io::Error> for NodeError {
    fn from(error: io::Error) -> NodeError {
        NodeError::Io(error)
    }
}

impl From<NodeError> for io::Error {
    fn from(error: NodeError) -> io::Error {
        let kind = match &error {
            NodeError::Unprotected(_) => io::ErrorKind::PermissionDenied,
            NodeError::Name(_) => io::ErrorKind::InvalidInput,
            NodeError::Closed => io::ErrorKind::NotConnected,
            NodeError::Io(error) => error.kind(),
        };
        io::Error::new(kind, error)
    }
}

/// The system has no randomness to give, which it always has once it has started.
#[derive(Debug)]
pub struct NoRandomness(pub(crate) io::Error);

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system has no randomness to give")
    }
}

impl Error for NoRandomness {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl From<NoRandomness> for io::Error {
    fn from(error: NoRandomness) -> io::Error {
        error.0
    }
}

/// Why there is no link to a node.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is no connection, or it has failed during the handshake.
    Io(io::Error),
    /// One of the two does not want the other. What is wrong with its own side a node does not tell.
    Refused(Refused),
    /// The other side has not come to an end with the handshake in time, or has not said whether it uses the link.
    Timeout,
    /// The node is closed.
    Closed,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Io(error) => write!(f, "no connection to the node: {error}"),
            ConnectError::Refused(why) => write!(f, "no link with the node: {why}"),
            ConnectError::Timeout => f.write_str("the node took too long for its handshake"),
            ConnectError::Closed => f.write_str("this node is closed"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConnectError::Io(error) => Some(error),
            ConnectError::Refused(why) => Some(why),
            ConnectError::Timeout | ConnectError::Closed => None,
        }
    }
}

impl From<TimedOut> for ConnectError {
    fn from(_: TimedOut) -> ConnectError {
        ConnectError::Timeout
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> io::Error {
        let kind = match &error {
            ConnectError::Io(error) => error.kind(),
            ConnectError::Refused(_) => io::ErrorKind::PermissionDenied,
            ConnectError::Timeout => io::ErrorKind::TimedOut,
            ConnectError::Closed => io::ErrorKind::NotConnected,
        };
        io::Error::new(kind, error)
    }
}

/// Why an object of another node cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// Nothing is exposed there by that name.
    Unknown,
    /// It does not take one of the messages of the protocol, or another version of it.
    Refused {
        /// Which one.
        message: String,
        /// And why.
        why: Refusal,
    },
    /// There is no link to the node, or it broke before the answer came.
    Disconnected,
    /// The answer took too long.
    Timeout,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::Unknown => f.write_str("nothing is exposed there by that name"),
            LookupError::Refused { message, why } => write!(f, "{message}: {why}"),
            LookupError::Disconnected => f.write_str("no link to the node"),
            LookupError::Timeout => f.write_str("the node took too long to answer"),
        }
    }
}

impl Error for LookupError {}

impl From<LookupError> for io::Error {
    fn from(error: LookupError) -> io::Error {
        let kind = match &error {
            LookupError::Unknown => io::ErrorKind::NotFound,
            LookupError::Refused { .. } => io::ErrorKind::InvalidData,
            LookupError::Disconnected => io::ErrorKind::NotConnected,
            LookupError::Timeout => io::ErrorKind::TimedOut,
        };
        io::Error::new(kind, error)
    }
}

/// Why an actor has not been started at another node.
#[derive(Debug)]
#[non_exhaustive]
pub enum RemoteSpawnError {
    /// Nothing is offered there by that name.
    Unknown,
    /// What is offered there does not take a message of the protocol, or its arguments are others.
    Refused(Refusal),
    /// It has failed there to start, with this text.
    Failed(BoxError),
    /// There is no link to the node, or it broke before the answer came: it may have started, and is ended then.
    Disconnected,
    /// The answer took too long: it may start yet, and is ended then.
    Timeout,
    /// As many as may have been started there by one node.
    TooMany,
    /// It is no longer there, so it cannot be claimed.
    Gone,
}

impl fmt::Display for RemoteSpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemoteSpawnError::Unknown => f.write_str("the node offers nothing by that name"),
            RemoteSpawnError::Refused(why) => why.fmt(f),
            RemoteSpawnError::Failed(error) => write!(f, "it has not started: {error}"),
            RemoteSpawnError::Disconnected => f.write_str("no link to the node"),
            RemoteSpawnError::Timeout => f.write_str("the node took too long to start it"),
            RemoteSpawnError::TooMany => {
                f.write_str("the node has started as many as it does for one other")
            }
            RemoteSpawnError::Gone => f.write_str("it is no longer there"),
        }
    }
}

impl Error for RemoteSpawnError {}

impl From<RemoteSpawnError> for io::Error {
    fn from(error: RemoteSpawnError) -> io::Error {
        let kind = match &error {
            RemoteSpawnError::Unknown | RemoteSpawnError::Gone => io::ErrorKind::NotFound,
            RemoteSpawnError::Refused(_) => io::ErrorKind::InvalidData,
            RemoteSpawnError::Failed(_) => io::ErrorKind::Other,
            RemoteSpawnError::Disconnected => io::ErrorKind::NotConnected,
            RemoteSpawnError::Timeout => io::ErrorKind::TimedOut,
            RemoteSpawnError::TooMany => io::ErrorKind::QuotaExceeded,
        };
        io::Error::new(kind, error)
    }
}
