//! Why a call has no reply.

use std::error::Error;
use std::fmt;
use std::io;

use super::send::{Refusal, SendError};

/// Why a call has no reply.
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::CallError;
///
/// fn is_worth_another_try(error: CallError) -> bool {
///     matches!(error, CallError::Full | CallError::Exhausted)
/// }
///
/// assert!(is_worth_another_try(CallError::Full));
/// assert_eq!(io::Error::from(CallError::Timeout).kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallError {
    /// No reply came in time. Whether the request was handled, or is going to be, is not known; a
    /// reply that comes later is dropped.
    Timeout,
    /// The receiver had ended, or ended before it replied.
    Ended,
    /// The receiver's mailbox was full, or dropped the request to stay within its bound.
    Full,
    /// The request was taken, but the right to answer it was dropped; or no arm of the receiver
    /// matched it.
    Unanswered,
    /// The call would have closed a cycle of calls, none of which could ever be answered; or nothing
    /// is left in the program that could answer it (see [`Deadlock`](crate::Deadlock)).
    Deadlock,
    /// The receiver could not be run, because no more tasklets may exist.
    Exhausted,
    /// The caller has [forbidden itself to wait](crate::Tasklet::set_block_trap).
    WouldBlock,
    /// The link to the receiver's node broke.
    Disconnected {
        /// Whether the request may have been handled; if not, calling again is safe.
        maybe_executed: bool,
    },
    /// The request could not go to the receiver's node, or was refused there, or its answer could not
    /// come back.
    Refused(Refusal),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CallError::Refused(why) => return why.fmt(f),
            CallError::Timeout => "timed out waiting for the reply to a call",
            CallError::Ended => "calling a receiver that has ended",
            CallError::Full => "calling a receiver whose mailbox is full",
            CallError::Unanswered => "the call was taken but not answered",
            CallError::Deadlock => "the call can never be answered: all wait for each other",
            CallError::WouldBlock => "the call would have to wait, which its tasklet has forbidden",
            CallError::Exhausted => "no tasklet is left to run the receiver of the call",
            CallError::Disconnected {
                maybe_executed: true,
            } => "the link broke before the reply came: the call may have been executed",
            CallError::Disconnected {
                maybe_executed: false,
            } => "the link broke before the call was executed",
        })
    }
}

impl Error for CallError {}

impl From<CallError> for io::Error {
    fn from(error: CallError) -> io::Error {
        let kind = match error {
            CallError::Timeout => io::ErrorKind::TimedOut,
            CallError::Ended => io::ErrorKind::BrokenPipe,
            CallError::Full | CallError::Exhausted => io::ErrorKind::QuotaExceeded,
            CallError::Unanswered => io::ErrorKind::Other,
            CallError::Deadlock => io::ErrorKind::Deadlock,
            CallError::WouldBlock => io::ErrorKind::WouldBlock,
            CallError::Disconnected { .. } => io::ErrorKind::ConnectionAborted,
            CallError::Refused(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// The message is dropped.
impl<M> From<SendError<M>> for CallError {
    fn from(error: SendError<M>) -> CallError {
        match error {
            SendError::Ended(_) => CallError::Ended,
            SendError::Full(_) => CallError::Full,
            SendError::Timeout(_) => CallError::Timeout,
            SendError::Disconnected(_) => CallError::Disconnected {
                maybe_executed: false,
            },
            SendError::Refused(_, why) => CallError::Refused(why),
        }
    }
}
