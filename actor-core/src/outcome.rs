//! What the function of a tasklet or a handler may return.

use std::any::Any;
use std::fmt;
use std::io;

use crate::BoxError;

/// What a handler may return: nothing, never, or a result whose error is to be logged.
///
/// ```
/// use actor_core::Outcome;
/// use std::io;
///
/// assert_eq!(().outcome(), Ok(()));
/// assert_eq!(Ok::<(), io::Error>(()).outcome(), Ok(()));
/// let refused = Err::<(), _>(io::Error::other("refused"));
/// assert_eq!(refused.outcome(), Err("refused".to_owned()));
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "return `()`, or a `Result<(), E>` whose error can be displayed"
)]
pub trait Outcome {
    /// `Err` with the text of the error, if it is one.
    fn outcome(self) -> Result<(), String>;
}

impl Outcome for () {
    fn outcome(self) -> Result<(), String> {
        Ok(())
    }
}

impl<T: Outcome, E: fmt::Display> Outcome for Result<T, E> {
    fn outcome(self) -> Result<(), String> {
        match self {
            Ok(value) => value.outcome(),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Gives a function type's return type a name: the only way to write `!` in an `impl` so far.
#[doc(hidden)]
pub trait Returns {
    type Type;
}

impl<R> Returns for fn() -> R {
    type Type = R;
}

/// For handlers that loop for ever.
impl Outcome for <fn() -> ! as Returns>::Type {
    fn outcome(self) -> Result<(), String> {
        self
    }
}

/// The text of the error in a tasklet's result, if that is one of the common kinds.
pub(crate) fn error_text(result: &dyn Any) -> Option<String> {
    if let Some(Err(error)) = result.downcast_ref::<io::Result<()>>() {
        return Some(error.to_string());
    }
    if let Some(Err(error)) = result.downcast_ref::<Result<(), BoxError>>() {
        return Some(error.to_string());
    }
    None
}
