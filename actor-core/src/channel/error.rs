//! What can go wrong at a channel.

use std::error::Error;
use std::{fmt, io};

use crate::{BoxError, TimedOut};

/// A value that no receiver has taken, with the reason why.
///
/// The value is inside: [`into_value`](Self::into_value) gives it back. It has not been delivered, and
/// will not be.
///
/// # Examples
///
/// ```
/// use actor_core::channel::{Channel, SendError};
///
/// let channel = Channel::new();
/// let refused = channel.try_send("a line").unwrap_err();
/// assert!(matches!(refused, SendError::WouldBlock(_)));
/// assert_eq!(refused.into_value(), "a line");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendError<T> {
    /// The channel is closing, or all other handles to it are gone or wait to send as well.
    Closed(T),
    /// No receiver came in time.
    Timeout(T),
    /// No receiver waits, and the sender may not.
    WouldBlock(T),
    /// No receiver can come: whoever could become one waits for something that cannot come either.
    Deadlock(T),
}

impl<T> SendError<T> {
    /// Gives back the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::SendError;
    ///
    /// assert_eq!(SendError::Closed(7).into_value(), 7);
    /// ```
    pub fn into_value(self) -> T {
        match self {
            SendError::Closed(value)
            | SendError::Timeout(value)
            | SendError::WouldBlock(value)
            | SendError::Deadlock(value) => value,
        }
    }

    /// Applies `f` to the value and keeps the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::SendError;
    ///
    /// assert_eq!(SendError::Timeout("7").map(str::len), SendError::Timeout(1));
    /// ```
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> SendError<U> {
        match self {
            SendError::Closed(value) => SendError::Closed(f(value)),
            SendError::Timeout(value) => SendError::Timeout(f(value)),
            SendError::WouldBlock(value) => SendError::WouldBlock(f(value)),
            SendError::Deadlock(value) => SendError::Deadlock(f(value)),
        }
    }

    /// Drops the value and keeps the reason: for values that keep the error from being a
    /// [`BoxError`], because they are not [`Sync`].
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::SendError;
    ///
    /// assert_eq!(SendError::Closed(vec![1, 2]).erase(), SendError::Closed(()));
    /// ```
    pub fn erase(self) -> SendError<()> {
        self.map(drop)
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Closed(_) => "Closed(..)",
            SendError::Timeout(_) => "Timeout(..)",
            SendError::WouldBlock(_) => "WouldBlock(..)",
            SendError::Deadlock(_) => "Deadlock(..)",
        })
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Closed(_) => "sending on a closed channel",
            SendError::Timeout(_) => "timed out waiting for a receiver",
            SendError::WouldBlock(_) => "sending would have to wait for a receiver",
            SendError::Deadlock(_) => "no receiver can come: everybody waits",
        })
    }
}

impl<T> Error for SendError<T> {}

/// The value is dropped: an [`io::Error`] has to be `Send` and `Sync`, which not every value is.
impl<T> From<SendError<T>> for io::Error {
    fn from(error: SendError<T>) -> io::Error {
        let kind = match error {
            SendError::Closed(_) => io::ErrorKind::BrokenPipe,
            SendError::Timeout(_) => io::ErrorKind::TimedOut,
            SendError::WouldBlock(_) => io::ErrorKind::WouldBlock,
            SendError::Deadlock(_) => io::ErrorKind::Deadlock,
        };
        io::Error::new(kind, error.erase())
    }
}

/// Why there is no value to receive.
///
/// # Examples
///
/// A sender's own error:
///
/// ```
/// use std::num::ParseIntError;
/// use actor_core::channel::{Channel, ReceiveError};
/// use actor_core::{Tasklet, dispatch};
///
/// dispatch(|| {
///     let numbers = Channel::<i32>::new();
///     let parser = numbers.clone();
///     Tasklet::spawn(move || match "seven".parse() {
///         Ok(number) => parser.send(number).unwrap(),
///         Err(error) => parser.send_error::<ParseIntError>(error).unwrap(),
///     });
///     let error = numbers.receive().unwrap_err();
///     assert!(error.raised::<ParseIntError>().is_some());
///     assert_eq!(error.to_string(), "invalid digit found in string");
/// });
/// ```
#[derive(Debug)]
pub enum ReceiveError {
    /// The channel is closing, or all other handles to it are gone or wait to receive as well.
    Closed,
    /// No sender came in time.
    Timeout,
    /// No sender waits, and the receiver may not.
    WouldBlock,
    /// No sender can come: whoever could become one waits for something that cannot come either.
    Deadlock,
    /// A sender sent this error in place of a value.
    Raised(BoxError),
}

impl ReceiveError {
    /// The error that a sender sent, if it sent one, and of this type.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fmt;
    /// use actor_core::channel::ReceiveError;
    ///
    /// let error = ReceiveError::Raised(Box::new(fmt::Error));
    /// assert_eq!(error.raised::<fmt::Error>(), Some(&fmt::Error));
    /// assert!(error.raised::<std::io::Error>().is_none());
    /// ```
    pub fn raised<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            ReceiveError::Raised(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReceiveError::Closed => "receiving from a closed channel",
            ReceiveError::Timeout => "timed out waiting for a sender",
            ReceiveError::WouldBlock => "receiving would have to wait for a sender",
            ReceiveError::Deadlock => "no sender can come: everybody waits",
            ReceiveError::Raised(error) => return error.fmt(f),
        })
    }
}

impl Error for ReceiveError {
    // The text above is that of the raised error, so the chain goes on with what is behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReceiveError::Raised(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ReceiveError> for io::Error {
    fn from(error: ReceiveError) -> io::Error {
        let kind = match &error {
            ReceiveError::Closed => io::ErrorKind::UnexpectedEof,
            ReceiveError::Timeout => io::ErrorKind::TimedOut,
            ReceiveError::WouldBlock => io::ErrorKind::WouldBlock,
            ReceiveError::Deadlock => io::ErrorKind::Deadlock,
            ReceiveError::Raised(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

impl From<TimedOut> for ReceiveError {
    fn from(_: TimedOut) -> ReceiveError {
        ReceiveError::Timeout
    }
}

/// Why none of the things that a [`Select`](super::Select) waits for has come.
///
/// # Examples
///
/// ```
/// use actor_core::channel::{Select, SelectError};
///
/// assert_eq!(Select::<()>::new().wait(), Err(SelectError::Deadlock)); // there is none
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelectError {
    /// The deadline of a [`timeout`](crate::timeout()) block around it has passed.
    Timeout,
    /// None was ready, and the caller may not wait.
    WouldBlock,
    /// None can come: there is none, or whoever could bring one waits for something that cannot come
    /// either.
    Deadlock,
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SelectError::Timeout => "timed out waiting for one of several things",
            SelectError::WouldBlock => {
                "none of several things is ready, and waiting is not allowed"
            }
            SelectError::Deadlock => "none of several things can come: everybody waits",
        })
    }
}

impl Error for SelectError {}

impl From<SelectError> for io::Error {
    fn from(error: SelectError) -> io::Error {
        let kind = match error {
            SelectError::Timeout => io::ErrorKind::TimedOut,
            SelectError::WouldBlock => io::ErrorKind::WouldBlock,
            SelectError::Deadlock => io::ErrorKind::Deadlock,
        };
        io::Error::new(kind, error)
    }
}

impl From<TimedOut> for SelectError {
    fn from(_: TimedOut) -> SelectError {
        SelectError::Timeout
    }
}
