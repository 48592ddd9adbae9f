//! Mutual exclusion.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::permits::Permits;
use crate::TimedOut;
use crate::block::Waiting;

/// A value that one tasklet or thread at a time can get at.
///
/// Unlocking hands the mutex to whoever has waited longest; nobody overtakes. A mutex that is free is
/// locked by one atomic operation, and unlocked by one.
///
/// There is no poisoning: a panic or a kill while it is locked unlocks it, and what it guards stays as
/// it was left. [The module](super#no-poisoning) says what that means, and how `std`'s compares.
///
/// Locking it twice waits for ever, as does waiting for each other in a circle; a
/// [`timeout`](crate::timeout()) around it, [`lock_timeout`](Self::lock_timeout) or a kill ends that.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use actor_core::{Tasklet, dispatch, join_all, sync::Mutex};
///
/// dispatch(|| {
///     let total = Arc::new(Mutex::new(0));
///     let adders = (1..=4).map(|n| {
///         let total = total.clone();
///         Tasklet::spawn(move || {
///             let mut total = total.lock();
///             let before = *total;
///             // The others wait for the lock meanwhile.
///             Tasklet::yield_now();
///             *total = before + n;
///         })
///     });
///     join_all(adders);
///     assert_eq!(*total.lock(), 10);
/// });
/// ```
pub struct Mutex<T: ?Sized> {
    permits: Permits,
    value: UnsafeCell<T>,
}

// SAFETY: the value is owned, and moves with the mutex.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: a shared mutex gives out the value to one guard at a time, of which there is at most one
// because there is one permit; so it passes from thread to thread (hence `Send`), but is never shared
// by way of the mutex. Giving the permit back and taking it order the accesses.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// Creates a mutex that is not locked.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Mutex;
    ///
    /// static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    ///
    /// NAMES.lock().push("Ada".into());
    /// assert_eq!(NAMES.lock().len(), 1);
    /// ```
    pub const fn new(value: T) -> Self {
        Mutex {
            permits: Permits::new(1),
            value: UnsafeCell::new(value),
        }
    }

    /// Gives the value back.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Mutex;
    ///
    /// assert_eq!(Mutex::new(7).into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    fn waiting(&self) -> Waiting {
        Waiting::Lock((&raw const *self).addr())
    }

    /// Locks, waiting until it is this caller's turn.
    ///
    /// Unlocking is done by dropping the guard. The deadline of a [`timeout`](crate::timeout()) block
    /// unwinds to the edge of the block.
    ///
    /// # Panics
    ///
    /// If it would have to wait while its tasklet [unwinds](super#while-a-tasklet-unwinds).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{TimedOut, dispatch, sync::Mutex, timeout};
    ///
    /// dispatch(|| {
    ///     let mutex = Mutex::new(1);
    ///     let guard = mutex.lock();
    ///     let again = timeout(Duration::from_millis(1), || Ok(*mutex.lock()));
    ///     assert_eq!(again, Err(TimedOut));
    ///     drop(guard);
    ///     assert_eq!(*mutex.lock(), 1);
    /// });
    /// ```
    pub fn lock(&self) -> MutexGuard<'_, T> {
        match super::acquire(&self.permits, 1, self.waiting(), None) {
            Ok(()) => self.guard(),
            Err(interrupt) => interrupt.raise("locking a mutex"),
        }
    }

    /// Locks if that takes no waiting; `None` if it is locked, or promised to one that waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_some());
    /// ```
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        super::try_acquire(&self.permits, 1).then(|| self.guard())
    }

    /// As [`lock`](Self::lock), but waits for at most `limit`, and not beyond the deadline of a
    /// [`timeout`](crate::timeout()) block. Does not wait at all while its tasklet
    /// [unwinds](super#while-a-tasklet-unwinds).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{TimedOut, sync::Mutex};
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.lock();
    /// assert_eq!(mutex.lock_timeout(Duration::from_millis(1)).unwrap_err(), TimedOut);
    /// ```
    pub fn lock_timeout(&self, limit: Duration) -> Result<MutexGuard<'_, T>, TimedOut> {
        super::acquire_timeout(&self.permits, 1, self.waiting(), limit)?;
        Ok(self.guard())
    }

    /// Gives access without locking: whoever borrows the mutex mutably has it to itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Mutex;
    ///
    /// let mut mutex = Mutex::new(1);
    /// *mutex.get_mut() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The caller has taken the permit.
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            not_send: PhantomData,
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        // Not `try_lock`, which is an operation: printing should not carry out a kill.
        match self.permits.try_acquire(1) {
            Ok(true) => out.field("value", &&*self.guard()),
            _ => out.field("value", &format_args!("<locked>")),
        };
        out.finish()
    }
}

/// A [`Mutex`] that is locked; dropping it unlocks.
///
/// It stays with the tasklet or thread that has locked:
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>() {}
/// is_send::<actor_core::sync::MutexGuard<'static, u8>>();
/// ```
#[must_use = "the mutex is unlocked when this is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    not_send: PhantomData<*const ()>,
}

// SAFETY: all that a shared guard gives is a shared reference to the value.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Unlocks, and tells what to lock again.
    pub(super) fn unlock(self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the only permit, and lends no mutable reference while it is shared.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the only permit, and is itself borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.permits.release(1);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
