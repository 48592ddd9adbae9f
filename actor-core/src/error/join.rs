//! Why a tasklet has no result.

use std::error::Error;
use std::fmt;
use std::io;

use super::BoxError;
use super::panic::Panic;

/// Why a tasklet that was joined has no result.
///
/// # Examples
///
/// ```
/// use actor_core::{JoinError, Tasklet, dispatch};
///
/// fn main() -> std::process::ExitCode {
///     dispatch(|| {
///         let tasklet = Tasklet::spawn(|| 7);
///         assert_eq!(tasklet.join().unwrap(), 7);
///         assert!(matches!(tasklet.join(), Err(JoinError::Taken)));
///     })
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// It panicked.
    Panicked(Panic),
    /// It was killed.
    Killed,
    /// Somebody has [raised](crate::Tasklet::raise) this error in it, and it has not been caught.
    Raised(BoxError),
    /// It did not end in time. It runs on, and can be joined again.
    Timeout,
    /// Its result has been taken by an earlier join.
    Taken,
    /// It has not ended, and the tasklet that joins it is unwinding and so must not wait.
    Unwinding,
    /// It has not ended, and an actor's handler cannot wait for it, because no more tasklets may exist.
    Exhausted,
    /// It has not ended, and the tasklet that joins it has [forbidden itself to
    /// wait](crate::Tasklet::set_block_trap).
    WouldBlock,
    /// It has not ended and never will: nothing is left in the program that could go on (see
    /// [`Deadlock`](crate::Deadlock)).
    Deadlock,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(panic) => write!(f, "the tasklet {panic}"),
            JoinError::Killed => f.write_str("the tasklet was killed"),
            JoinError::Raised(error) => write!(f, "the tasklet was ended by an error: {error}"),
            JoinError::Timeout => f.write_str("timed out joining a tasklet"),
            JoinError::Taken => f.write_str("the tasklet's result was already taken"),
            JoinError::Unwinding => f.write_str("joining a tasklet while unwinding"),
            JoinError::WouldBlock => f.write_str("joining a tasklet would have to wait"),
            JoinError::Deadlock => f.write_str("joining a tasklet that can never go on"),
            JoinError::Exhausted => {
                f.write_str("no tasklet is left to run others while a handler joins one")
            }
        }
    }
}

impl Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        let kind = match error {
            JoinError::Timeout => io::ErrorKind::TimedOut,
            JoinError::Exhausted => io::ErrorKind::QuotaExceeded,
            JoinError::WouldBlock => io::ErrorKind::WouldBlock,
            JoinError::Deadlock => io::ErrorKind::Deadlock,
            JoinError::Panicked(_)
            | JoinError::Killed
            | JoinError::Raised(_)
            | JoinError::Taken
            | JoinError::Unwinding => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
