//! Data that one tasklet's home thread alone touches.

use std::cell::UnsafeCell;
use std::fmt;

/// A cell inside something shared, for the part of it that only its owner uses.
pub(crate) struct HomeCell<T>(UnsafeCell<T>);

// SAFETY: the contents are reached by `with` alone, whose callers promise to be the one owner; so the
// cell moves its contents between threads at most (at creation and at the end), hence `Send`.
unsafe impl<T: Send> Sync for HomeCell<T> {}

impl<T> HomeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        HomeCell(UnsafeCell::new(value))
    }

    /// Lends the contents to `f`.
    ///
    /// # Safety
    ///
    /// The caller is the one that the cell belongs to, and `f` does not come back to the same cell
    /// (it neither switches tasklets nor runs code of the user's).
    pub(crate) unsafe fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the only reference, as the caller promises.
        f(unsafe { &mut *self.0.get() })
    }
}

impl<T> fmt::Debug for HomeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HomeCell(..)")
    }
}
