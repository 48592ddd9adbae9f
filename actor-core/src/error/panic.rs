//! What a tasklet that panicked left behind.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use parking_lot::Mutex;

/// What a tasklet that panicked left behind.
///
/// # Examples
///
/// ```
/// use actor_core::{JoinError, Tasklet, dispatch};
///
/// fn main() -> std::process::ExitCode {
///     dispatch(|| {
///         let tasklet = Tasklet::spawn(|| -> u32 { panic!("boom") });
///         let Err(JoinError::Panicked(panic)) = tasklet.join() else {
///             unreachable!("the tasklet panics");
///         };
///         assert_eq!(panic.message(), "boom");
///     })
/// }
/// ```
pub struct Panic {
    message: Cow<'static, str>,
    location: Option<String>,
    /// Never locked: the lock makes a `Panic` `Sync`, so that errors that hold one are too, and the
    /// payload only ever leaves by value.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    /// Wraps the payload that `catch_unwind` gave, and the place the panic hook saw, if it did.
    pub(crate) fn new(payload: Box<dyn Any + Send>, location: Option<String>) -> Panic {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            Cow::Borrowed(*text)
        } else if let Some(text) = payload.downcast_ref::<String>() {
            Cow::Owned(text.clone())
        } else {
            Cow::Borrowed("a value that is not a string")
        };
        Panic {
            message,
            location,
            payload: Mutex::new(payload),
        }
    }

    /// Returns what the panic said.
    ///
    /// A panic with a payload other than a string, as [`std::panic::panic_any`] raises it, is only
    /// described.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// fn main() -> std::process::ExitCode {
    ///     dispatch(|| match Tasklet::spawn(|| -> u32 { panic!("boom") }).join() {
    ///         Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "boom"),
    ///         other => panic!("expected a panic, got {other:?}"),
    ///     })
    /// }
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the place of the panic as `file:line:column`, if it is known.
    ///
    /// It is not when the unwinding was started by [`std::panic::resume_unwind`], which says nothing
    /// of a place.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic;
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// fn main() -> std::process::ExitCode {
    ///     dispatch(|| {
    ///         let tasklet = Tasklet::spawn(|| -> u32 { panic::resume_unwind(Box::new("boom")) });
    ///         match tasklet.join() {
    ///             Err(JoinError::Panicked(panic)) => assert_eq!(panic.location(), None),
    ///             other => panic!("expected a panic, got {other:?}"),
    ///         }
    ///     })
    /// }
    /// ```
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Gives the payload, as [`std::panic::catch_unwind`] would have.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic;
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// fn main() -> std::process::ExitCode {
    ///     dispatch(|| match Tasklet::spawn(|| -> u32 { panic::panic_any(7_u8) }).join() {
    ///         Err(JoinError::Panicked(panic)) => {
    ///             assert_eq!(*panic.into_payload().downcast::<u8>().unwrap(), 7);
    ///         }
    ///         other => panic!("expected a panic, got {other:?}"),
    ///     })
    /// }
    /// ```
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload.into_inner()
    }

    /// The payload, and the place if it is known.
    pub(crate) fn into_parts(self) -> (Box<dyn Any + Send>, Option<String>) {
        (self.payload.into_inner(), self.location)
    }

    /// Goes on with the panic here, without a second report by the panic hook.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// /// Runs `f` in a tasklet; its panic is the caller's.
    /// fn run<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    ///     match Tasklet::spawn(f).join() {
    ///         Err(JoinError::Panicked(panic)) => panic.resume(),
    ///         result => result,
    ///     }
    /// }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     dispatch(|| assert_eq!(run(|| 7).unwrap(), 7))
    /// }
    /// ```
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("message", &self.message)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

impl Error for Panic {}
