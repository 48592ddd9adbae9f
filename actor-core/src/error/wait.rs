//! How a wait ends without what was waited for.

use std::error::Error;
use std::fmt;
use std::io;

use super::call::CallError;
use super::join::JoinError;

/// Why there is no message to receive.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use actor_core::{ReceiveError, Tasklet, dispatch};
///
/// fn main() -> std::process::ExitCode {
///     dispatch(|| {
///         let nothing = Tasklet::receive_timeout(Duration::from_millis(1));
///         assert_eq!(nothing.unwrap_err(), ReceiveError::Timeout);
///     })
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiveError {
    /// None came in time.
    Timeout,
    /// None can come any more: the tasklet was asked to stop and has received all that came before,
    /// or nobody is left who could send to it.
    Stopped,
    /// None is there, and the tasklet has [forbidden itself to
    /// wait](crate::Tasklet::set_block_trap).
    WouldBlock,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReceiveError::Timeout => "timed out waiting for a message",
            ReceiveError::Stopped => "receiving from a mailbox that is closed and empty",
            ReceiveError::WouldBlock => "receiving from an empty mailbox would have to wait",
        })
    }
}

impl Error for ReceiveError {}

impl From<ReceiveError> for io::Error {
    fn from(error: ReceiveError) -> io::Error {
        let kind = match error {
            ReceiveError::Timeout => io::ErrorKind::TimedOut,
            ReceiveError::Stopped => io::ErrorKind::UnexpectedEof,
            ReceiveError::WouldBlock => io::ErrorKind::WouldBlock,
        };
        io::Error::new(kind, error)
    }
}

/// The deadline of a [`timeout`](crate::timeout) block has passed.
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::{CallError, TimedOut};
///
/// assert_eq!(CallError::from(TimedOut), CallError::Timeout);
/// assert_eq!(io::Error::from(TimedOut).kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl Error for TimedOut {}

impl From<TimedOut> for io::Error {
    fn from(error: TimedOut) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, error)
    }
}

impl From<TimedOut> for CallError {
    fn from(_: TimedOut) -> CallError {
        CallError::Timeout
    }
}

impl From<TimedOut> for JoinError {
    fn from(_: TimedOut) -> JoinError {
        JoinError::Timeout
    }
}

impl From<TimedOut> for ReceiveError {
    fn from(_: TimedOut) -> ReceiveError {
        ReceiveError::Timeout
    }
}

/// An operation would have had to wait while its tasklet unwinds.
///
/// A tasklet that panics or is killed runs its destructors without ever giving its thread to another
/// tasklet. What they do through this crate either completes at once or fails with this error.
///
/// # Examples
///
/// As an [`io::Error`] it is [`Other`](io::ErrorKind::Other): a loop that tries again after
/// [`Interrupted`](io::ErrorKind::Interrupted), as [`write_all`](io::Write::write_all) does, would
/// never end.
///
/// ```
/// use std::io;
/// use actor_core::Unwinding;
///
/// let error = io::Error::from(Unwinding);
/// assert_eq!(error.kind(), io::ErrorKind::Other);
/// assert!(error.get_ref().is_some_and(|inner| inner.is::<Unwinding>()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Unwinding;

impl fmt::Display for Unwinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would have to wait while its tasklet unwinds")
    }
}

impl Error for Unwinding {}

impl From<Unwinding> for io::Error {
    fn from(error: Unwinding) -> io::Error {
        io::Error::other(error)
    }
}

impl From<Unwinding> for JoinError {
    fn from(_: Unwinding) -> JoinError {
        JoinError::Unwinding
    }
}

/// An operation would have had to wait, and its tasklet has forbidden itself to.
///
/// See [`Tasklet::set_block_trap`](crate::Tasklet::set_block_trap). As an [`io::Error`] it is
/// [`WouldBlock`](io::ErrorKind::WouldBlock).
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::WouldBlock;
///
/// let error = io::Error::from(WouldBlock);
/// assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
/// assert!(error.get_ref().is_some_and(|inner| inner.is::<WouldBlock>()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct WouldBlock;

impl fmt::Display for WouldBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would have to wait, which its tasklet has forbidden itself")
    }
}

impl Error for WouldBlock {}

impl From<WouldBlock> for io::Error {
    fn from(error: WouldBlock) -> io::Error {
        io::Error::new(io::ErrorKind::WouldBlock, error)
    }
}

/// The main tasklet would have waited for ever: nothing is left that could end the wait.
///
/// When the main tasklet waits for a channel, for a tasklet's end or for the reply to a call, and no
/// tasklet, actor, timer, descriptor or thread of the process is left that could bring that about, its
/// operation ends with the variant `Deadlock` of its error. It is Stackless's "the last runnable
/// tasklet cannot be blocked", found for all workers together. There is no false alarm; what makes
/// sure of that leaves some deadlocks unfound, those namely
///
/// - in a process that runs other threads than the runtime's, each of which could still send something,
/// - with a timer that is set, be it the deadline of another tasklet's wait,
/// - with a descriptor that some tasklet has ever waited on and that is still open,
/// - while several programs run, or one that has been asked to stop.
///
/// It is found when all workers have had nothing to do for some ten milliseconds. Coroutines of `may`
/// that a program starts by itself are not looked at.
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::Deadlock;
///
/// let error = io::Error::from(Deadlock);
/// assert_eq!(error.kind(), io::ErrorKind::Deadlock);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Deadlock;

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadlock: nothing is left that could end the wait")
    }
}

impl Error for Deadlock {}

impl From<Deadlock> for io::Error {
    fn from(error: Deadlock) -> io::Error {
        io::Error::new(io::ErrorKind::Deadlock, error)
    }
}
