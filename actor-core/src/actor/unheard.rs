//! Errors that a handler answers with when nobody has asked: they are logged.
//!
//! Whether an answer has an error in it, and whether that can be shown, is known where the answer's type
//! is: in the handlers that `#[messages]` writes. What they use is here.

use std::any::type_name;
use std::fmt::{Debug, Display};

use super::{Actor, Context};
use crate::contain::contain;

/// An answer, to be asked for the [text](ErrorText) of its error.
#[derive(Debug)]
pub struct Answer<'a, T>(pub &'a T);

/// The text of the error in an answer, if it is an error.
///
/// Four implementations, one for each way to show an error, are told apart by the number of references
/// before the answer. Called on an answer with four of them, the method is the first of these whose
/// bounds hold: method lookup removes one reference after the other.
pub trait ErrorText {
    /// The text.
    fn error_text(&self) -> Option<String>;
}

impl<T, E: Display> ErrorText for &&&Answer<'_, Result<T, E>> {
    fn error_text(&self) -> Option<String> {
        self.0.as_ref().err().map(E::to_string)
    }
}

impl<T, E: Debug> ErrorText for &&Answer<'_, Result<T, E>> {
    fn error_text(&self) -> Option<String> {
        self.0.as_ref().err().map(|error| format!("{error:?}"))
    }
}

impl<T, E> ErrorText for &Answer<'_, Result<T, E>> {
    fn error_text(&self) -> Option<String> {
        self.0.as_ref().err().map(|_| type_name::<E>().to_owned())
    }
}

impl<T> ErrorText for Answer<'_, T> {
    fn error_text(&self) -> Option<String> {
        None
    }
}

/// Logs the error, if there is one, in the answer of the actor of `ctx` to a message of the class `M`.
pub fn log_unheard<M, A: Actor>(ctx: &Context<A>, error: impl FnOnce() -> Option<String>) {
    // What shows the error and what takes the log are the user's; the actor does not depend on either.
    contain(|| {
        if let Some(error) = error() {
            let actor = ctx.core();
            tracing::warn!(
                actor = actor.name(),
                pid = %actor.pid,
                class = type_name::<M>(),
                error,
                "a message that was only sent has failed"
            );
        }
    });
}
