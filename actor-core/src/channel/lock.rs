//! The lock of a channel's state.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

use raw::RawLock;

/// A lock that is held for a few instructions, and never while code of the user's runs.
///
/// It can be taken without a guard, because a select takes the locks of all its channels, which differ
/// in type, and twice in the list is still one lock.
pub(crate) struct Lock<T> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by whoever holds the lock alone; so it is used by one thread at a time,
// which is what `Send` allows.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Lock {
            raw: RawLock::new(),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.hold();
        Guard { lock: self }
    }

    /// Takes the lock, until [`release`](Self::release).
    #[inline]
    pub(crate) fn hold(&self) {
        self.raw.lock();
    }

    /// # Safety
    ///
    /// The caller holds the lock, and uses what this gives before it calls this again or releases it.
    #[expect(
        clippy::mut_from_ref,
        reason = "the lock is what makes it the only one"
    )]
    #[inline]
    pub(crate) unsafe fn held(&self) -> &mut T {
        // SAFETY: as the caller promises, nobody else has a reference.
        unsafe { &mut *self.value.get() }
    }

    /// # Safety
    ///
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn release(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.raw.unlock() };
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Holds a [`Lock`], and releases it.
pub(crate) struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, and its borrow keeps others from being made of it.
        unsafe { self.lock.held() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { self.lock.held() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard holds the lock.
        unsafe { self.lock.release() };
    }
}

#[cfg(not(loom))]
mod raw {
    use parking_lot::lock_api::RawMutex as _;

    pub(super) struct RawLock(parking_lot::RawMutex);

    impl RawLock {
        pub(super) fn new() -> Self {
            RawLock(parking_lot::RawMutex::INIT)
        }

        #[inline]
        pub(super) fn lock(&self) {
            self.0.lock();
        }

        /// # Safety
        ///
        /// The caller holds it.
        #[inline]
        pub(super) unsafe fn unlock(&self) {
            // SAFETY: as the caller promises.
            unsafe { self.0.unlock() };
        }
    }
}

/// loom's lock has guards alone: it is kept with the lock.
#[cfg(loom)]
mod raw {
    use std::cell::UnsafeCell;

    use loom::sync::{Mutex, MutexGuard};

    pub(super) struct RawLock {
        guard: UnsafeCell<Option<MutexGuard<'static, ()>>>,
        mutex: Box<Mutex<()>>,
    }

    impl RawLock {
        pub(super) fn new() -> Self {
            RawLock {
                guard: UnsafeCell::new(None),
                mutex: Box::new(Mutex::new(())),
            }
        }

        pub(super) fn lock(&self) {
            let guard = self.mutex.lock().unwrap();
            // SAFETY: the mutex is boxed and dropped after the place of the guard, and whoever holds it
            // is the only one to touch that place.
            unsafe {
                let guard =
                    std::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard);
                *self.guard.get() = Some(guard);
            }
        }

        /// # Safety
        ///
        /// The caller holds it.
        pub(super) unsafe fn unlock(&self) {
            // SAFETY: as the caller promises. Taken out first: the next holder writes there.
            let guard = unsafe { (*self.guard.get()).take() };
            drop(guard);
        }
    }

    // SAFETY: the guard is touched by whoever holds the lock alone; loom's threads share one.
    unsafe impl Send for RawLock {}
}
