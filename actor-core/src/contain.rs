//! Running code of the user's where nothing must unwind: destructors, log subscribers, timers' actions.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; `None` if it panicked.
///
/// The payload is dropped here, or leaked if its own destructor panics: a payload is a value of the
/// user's as well.
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            dispose(payload);
            None
        }
    }
}

/// Runs `f`, a destructor or the like; if that panics, `log` says so, and is not trusted either.
pub(crate) fn contain_or(f: impl FnOnce(), log: impl FnOnce()) {
    if contain(f).is_none() {
        contain(log);
    }
}

/// Drops the payload of a panic.
fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}
