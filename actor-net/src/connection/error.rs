//! [`ConnectionError`].

use std::error::Error;
use std::fmt;
use std::io;

use actor_core::BoxError;

/// Why a connection that an actor serves was lost or given up.
///
/// ```
/// use actor_net::ConnectionError;
///
/// let error = ConnectionError::Outbox { messages: 16, bytes: 4096 };
/// assert!(error.to_string().starts_with("the peer does not read"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectionError {
    /// Reading has failed: the peer has reset the connection, or been silent beyond the idle timeout.
    Read(io::Error),
    /// Writing has failed: as for reading, or the peer has not taken anything for the idle timeout.
    Write(io::Error),
    /// What the peer sent is not what the codec understands.
    Decode(BoxError),
    /// What was to be sent is not what the codec can express.
    Encode(BoxError),
    /// The peer does not read what it is sent, and the limits of the outbox were reached.
    Outbox {
        /// How many messages were allowed to wait.
        messages: usize,
        /// How many bytes they were allowed to be.
        bytes: usize,
    },
    /// The actor's mailbox was full, and is one that refuses.
    Mailbox,
    /// It was to be closed, and the peer had not taken this much when the
    /// [`linger`](crate::ServerBuilder::linger) was over.
    Unsent {
        /// How many bytes were left.
        bytes: usize,
    },
    /// Whoever writes what was sent has been killed.
    Writer,
}

impl ConnectionError {
    /// The failure of the system's that it is, if it is one.
    pub(crate) fn io(&self) -> Option<&io::Error> {
        match self {
            ConnectionError::Read(error) | ConnectionError::Write(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionError::Read(error) => write!(f, "cannot read: {error}"),
            ConnectionError::Write(error) => write!(f, "cannot write: {error}"),
            ConnectionError::Decode(error) => write!(f, "cannot understand the peer: {error}"),
            ConnectionError::Encode(error) => write!(f, "cannot encode a message: {error}"),
            ConnectionError::Outbox { messages, bytes } => write!(
                f,
                "the peer does not read what it is sent: at most {messages} messages and {bytes} bytes wait \
                 for it (`outbox` sets the limits)"
            ),
            ConnectionError::Mailbox => f.write_str("the mailbox of its actor is full"),
            ConnectionError::Unsent { bytes } => {
                write!(f, "closed before the last {bytes} bytes could be sent")
            }
            ConnectionError::Writer => f.write_str("its writer was killed"),
        }
    }
}

impl Error for ConnectionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConnectionError::Read(error) | ConnectionError::Write(error) => Some(error),
            ConnectionError::Decode(error) | ConnectionError::Encode(error) => Some(&**error),
            _ => None,
        }
    }
}
