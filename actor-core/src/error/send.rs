//! Why a message was not delivered.

use std::error::Error;
use std::fmt;
use std::io;

/// A message that was not delivered, with the reason why.
///
/// The message is inside: [`into_message`](Self::into_message) gives it back, so that it can go
/// elsewhere or be sent again.
///
/// There is no bound on `M`: the error can be printed and unwrapped whatever the message is. As it
/// holds the message it is [`Sync`] only if the message is, which `?` into a [`BoxError`](crate::BoxError) asks for;
/// [`erase`](Self::erase) drops the message where that stands in the way.
///
/// # Examples
///
/// ```
/// use actor_core::SendError;
///
/// let error = SendError::Full("a line");
/// assert!(error.is_full());
/// assert_eq!(error.to_string(), "sending to a full mailbox");
/// assert_eq!(error.into_message(), "a line");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendError<M> {
    /// The receiver has ended, or has been asked to and takes nothing more.
    Ended(M),
    /// The receiver's mailbox is full, and its policy or the manner of sending says not to wait.
    Full(M),
    /// The receiver's mailbox was full for as long as the sender was ready to wait.
    Timeout(M),
    /// There is no link to the receiver's node at present; nothing of the message has been sent.
    Disconnected(M),
    /// The message cannot go to the receiver's node.
    Refused(M, Refusal),
}

/// Why a message cannot be taken to, or by, a receiver in another process.
///
/// # Examples
///
/// ```
/// use actor_core::{CallError, Refusal, SendError};
///
/// let error = SendError::Refused("a line", Refusal::TooBig);
/// assert_eq!(error.to_string(), "the message is bigger than the link takes");
/// assert_eq!(CallError::from(error), CallError::Refused(Refusal::TooBig));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing is exposed there by that name, or the reference has been given back.
    Unknown,
    /// What is there is not exposed for messages of this class.
    NotExposed,
    /// Both sides know the class by its name, but not in the same version or of the same fields.
    Version,
    /// The other side could not make a message of the bytes.
    Undecodable,
    /// The message's own `Serialize` failed, or has no encoding.
    Unencodable,
    /// The message is bigger than the link's limit.
    TooBig,
    /// More names of objects and classes have been used over the link than it may have.
    TooManyNames,
    /// It is a call that has been made before, and the other side does not know any more what came of it: perhaps it
    /// has been executed.
    Forgotten,
    /// What is there does not remember calls, so it cannot be called in a way that may be repeated.
    NotIdempotent,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Unknown => "nothing is exposed there by that name",
            Refusal::NotExposed => "the receiver is not exposed for messages of this class",
            Refusal::Version => "the two sides have different versions of the message",
            Refusal::Undecodable => "the other side could not decode the message",
            Refusal::Unencodable => "the message could not be encoded",
            Refusal::TooBig => "the message is bigger than the link takes",
            Refusal::TooManyNames => "the link has no room for another name",
            Refusal::Forgotten => "nobody knows any more what came of that call",
            Refusal::NotIdempotent => "the receiver does not remember calls",
        })
    }
}

impl Error for Refusal {}

impl<M> SendError<M> {
    /// Gives back the message.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// assert_eq!(SendError::Ended(7).into_message(), 7);
    /// ```
    pub fn into_message(self) -> M {
        match self {
            SendError::Ended(message)
            | SendError::Full(message)
            | SendError::Timeout(message)
            | SendError::Disconnected(message)
            | SendError::Refused(message, _) => message,
        }
    }

    /// Returns whether the receiver has ended, so that sending again is in vain.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// assert!(SendError::Ended(7).is_ended());
    /// assert!(!SendError::Full(7).is_ended());
    /// ```
    pub fn is_ended(&self) -> bool {
        matches!(self, SendError::Ended(_))
    }

    /// Returns whether the mailbox was full.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// assert!(SendError::Full(7).is_full());
    /// assert!(!SendError::Timeout(7).is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, SendError::Full(_))
    }

    /// Returns whether the sender waited for room until its time was up.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// assert!(SendError::Timeout(7).is_timeout());
    /// assert!(!SendError::Ended(7).is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendError::Timeout(_))
    }

    /// Applies `f` to the message and keeps the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// let error = SendError::Full("7").map(str::len);
    /// assert_eq!(error, SendError::Full(1));
    /// ```
    pub fn map<N>(self, f: impl FnOnce(M) -> N) -> SendError<N> {
        match self {
            SendError::Ended(message) => SendError::Ended(f(message)),
            SendError::Full(message) => SendError::Full(f(message)),
            SendError::Timeout(message) => SendError::Timeout(f(message)),
            SendError::Disconnected(message) => SendError::Disconnected(f(message)),
            SendError::Refused(message, why) => SendError::Refused(f(message), why),
        }
    }

    /// Drops the message and keeps the reason.
    ///
    /// # Examples
    ///
    /// A message that is not [`Sync`] keeps its error out of a [`BoxError`](crate::BoxError):
    ///
    /// ```
    /// use actor_core::{BoxError, SendError};
    ///
    /// struct Job(Box<dyn FnOnce() + Send>);
    ///
    /// fn submit(result: Result<(), SendError<Job>>) -> Result<(), BoxError> {
    ///     Ok(result.map_err(SendError::erase)?)
    /// }
    ///
    /// let refused = SendError::Full(Job(Box::new(|| println!("working"))));
    /// assert!(submit(Err(refused)).is_err());
    /// ```
    pub fn erase(self) -> SendError<()> {
        self.map(drop)
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Ended(_) => "Ended(..)",
            SendError::Full(_) => "Full(..)",
            SendError::Timeout(_) => "Timeout(..)",
            SendError::Disconnected(_) => "Disconnected(..)",
            SendError::Refused(_, why) => return write!(f, "Refused(.., {why:?})"),
        })
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Ended(_) => "sending to a receiver that has ended",
            SendError::Full(_) => "sending to a full mailbox",
            SendError::Timeout(_) => "timed out sending to a full mailbox",
            SendError::Disconnected(_) => "no link to the receiver's node",
            SendError::Refused(_, why) => return why.fmt(f),
        })
    }
}

impl<M> Error for SendError<M> {}

/// The message is dropped: an [`io::Error`] has to be `Send` and `Sync`, which not every message is.
impl<M> From<SendError<M>> for io::Error {
    fn from(error: SendError<M>) -> io::Error {
        let kind = match error {
            SendError::Ended(_) => io::ErrorKind::BrokenPipe,
            SendError::Full(_) => io::ErrorKind::QuotaExceeded,
            SendError::Timeout(_) => io::ErrorKind::TimedOut,
            SendError::Disconnected(_) => io::ErrorKind::NotConnected,
            SendError::Refused(..) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error.erase())
    }
}
