//! Raising an error in another tasklet.
//!
//! It unwinds as a kill does, from an operation of that tasklet's. What is different is that it has
//! something to say, and that the tasklet may well take it and go on.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::panicking;

use super::Tasklet;
use super::core::Raise;
use crate::BoxError;
use crate::block::{self, Here, Raised};

impl Tasklet {
    /// Raises `error` in it: its current operation, or else its next one, ends by unwinding with it.
    ///
    /// One that shares the caller's worker runs at once, by the rules of [`run`](Self::run) (though it
    /// may be blocked, which it is no more); the caller goes on in its turn. One of another worker
    /// unwinds there, soon. From one that is blocked at a channel, or holds a place in any other line,
    /// the place is taken, and nothing is lost with it; a paused one is put back. In the current tasklet
    /// it is raised here and now. One that has not begun never does.
    ///
    /// The tasklet can take it with [`catch_raised`]. If it does not, it ends, and who joins it gets
    /// [`JoinError::Raised`](crate::JoinError::Raised) with the error. As with a kill, one that computes
    /// without an operation runs on until it comes to one, one inside [`shield`](Self::shield) until
    /// that is over, and one that unwinds already to its end. Errors that are raised before the
    /// first one has been are raised one after the other.
    ///
    /// Stackless calls this `raise_exception`.
    ///
    /// # Errors
    ///
    /// [`RaiseError`], with the error that was to be raised, if it has ended.
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, catch_raised, dispatch};
    /// use std::{fmt, time::Duration};
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct Enough;
    /// # impl fmt::Display for Enough {
    /// #     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("enough") }
    /// # }
    /// # impl std::error::Error for Enough {}
    ///
    /// dispatch(|| {
    ///     let sleep = || Tasklet::sleep(Duration::from_secs(60));
    ///     let patient = Tasklet::spawn(move || catch_raised::<Enough, _>(sleep));
    ///     let other = Tasklet::spawn(sleep);
    ///     Tasklet::yield_now();
    ///     patient.raise(Enough).unwrap();
    ///     other.raise(Enough).unwrap();
    ///     assert_eq!(patient.join().unwrap(), Err(Enough));
    ///     let Err(JoinError::Raised(error)) = other.join() else { unreachable!() };
    ///     assert!(error.is::<Enough>());
    /// });
    /// ```
    pub fn raise(&self, error: impl Into<BoxError>) -> Result<(), RaiseError> {
        self.add_error(error.into())?;
        self.unwind_now();
        Ok(())
    }

    /// As [`raise`](Self::raise), but the caller goes on: it is raised when the tasklet's turn comes, which
    /// one that is blocked or paused gets behind all that are ready, and in the current tasklet at its
    /// next operation. So [`kill`](Self::kill) is to [`kill_now`](Self::kill_now).
    ///
    /// # Errors
    ///
    /// As [`raise`](Self::raise).
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let removed = Tasklet::spawn(|| ());
    ///     removed.remove().unwrap();
    ///     removed.raise_later("not wanted any more").unwrap();
    ///     assert!(removed.is_alive() && !removed.is_paused());
    ///     assert!(matches!(removed.join(), Err(JoinError::Raised(_))));
    /// });
    /// ```
    pub fn raise_later(&self, error: impl Into<BoxError>) -> Result<(), RaiseError> {
        self.add_error(error.into())?;
        self.core.wake_up();
        Ok(())
    }

    fn add_error(&self, error: BoxError) -> Result<(), RaiseError> {
        block::touch();
        match self.core.add_raise(Raise::Error(error)) {
            Ok(()) => Ok(()),
            Err(Raise::Error(error)) => Err(RaiseError::Ended(error)),
            Err(Raise::Panic(_)) => unreachable!("it was an error"),
        }
    }

    /// As [`kill`](Self::kill), but one that shares the caller's worker unwinds at once, by the rules of
    /// [`run`](Self::run), and the caller goes on in its turn; the current tasklet is unwound here and
    /// now. One that has ended is left alone.
    ///
    /// So those that are behind it in the run queue come before the caller; kill one that has been
    /// [removed](Self::remove), and the caller comes right after it. That is what Stackless's `kill` does.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let sleeper = Tasklet::spawn(|| Tasklet::receive().for_each(drop));
    ///     Tasklet::yield_now();
    ///     sleeper.kill_now();
    ///     assert!(!sleeper.is_alive());
    /// });
    /// ```
    pub fn kill_now(&self) {
        block::touch();
        if !self.core.has_ended() {
            self.core.mark_killed();
            self.unwind_now();
        }
    }

    /// Has it come to what has just been asked for.
    fn unwind_now(&self) {
        match block::here() {
            Here::Tasklet(local, current) if current.pid == self.core.pid => {
                current.check_kill(local);
            }
            Here::Tasklet(local, current) if self.core.home == local.id && !panicking() => {
                local.switch_to(current, &self.core);
                current.check_kill(local);
            }
            _ => self.core.wake_up(),
        }
    }
}

/// Runs `f`, and gives the error if one of type `E` was [raised](Tasklet::raise) in it by another tasklet.
///
/// Errors of other types, kills, deadlines and panics go on to where they belong. See
/// [`Tasklet::raise`] for an example.
pub fn catch_raised<E, T>(f: impl FnOnce() -> T) -> Result<T, E>
where
    E: Error + Send + Sync + 'static,
{
    let payload = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => return Ok(value),
        Err(payload) => payload,
    };
    match payload.downcast::<Raised>() {
        Ok(raised) => match raised.0.downcast::<E>() {
            Ok(error) => Err(*error),
            Err(error) => resume_unwind(Box::new(Raised(error))),
        },
        Err(payload) => resume_unwind(payload),
    }
}

/// Why an error was not raised in a tasklet.
///
/// # Examples
///
/// ```
/// use actor_core::{RaiseError, Tasklet, dispatch};
///
/// dispatch(|| {
///     let brief = Tasklet::spawn(|| ());
///     brief.join().unwrap();
///     let RaiseError::Ended(error) = brief.raise("too late").unwrap_err();
///     assert_eq!(error.to_string(), "too late");
/// });
/// ```
#[derive(Debug)]
pub enum RaiseError {
    /// It has ended. This is the error that was to be raised.
    Ended(BoxError),
}

impl fmt::Display for RaiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RaiseError::Ended(error) => {
                write!(f, "raising an error in a tasklet that has ended: {error}")
            }
        }
    }
}

impl Error for RaiseError {
    // The text contains that of the inner error, so the chain goes on with what is behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let RaiseError::Ended(error) = self;
        error.source()
    }
}

impl From<RaiseError> for io::Error {
    fn from(error: RaiseError) -> io::Error {
        io::Error::new(io::ErrorKind::BrokenPipe, error)
    }
}
