//! A bounded number of permits.

use std::fmt;
use std::mem;
use std::time::Duration;

use super::permits::Permits;
use crate::TimedOut;
use crate::block::Waiting;

/// A number of permits, to limit how many do something at once.
///
/// Permits go to those who wait in the order in which they came, also if a later one wants fewer.
///
/// # Examples
///
/// Not more than two at a time:
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use actor_core::{Tasklet, dispatch, join_all, sync::Semaphore};
///
/// static SEATS: Semaphore = Semaphore::new(2);
/// static SEATED: AtomicUsize = AtomicUsize::new(0);
///
/// dispatch(|| {
///     let guests = (0..10).map(|_| {
///         Tasklet::spawn(|| {
///             let _seat = SEATS.acquire();
///             assert!(SEATED.fetch_add(1, Ordering::Relaxed) < 2);
///             Tasklet::yield_now();
///             SEATED.fetch_sub(1, Ordering::Relaxed);
///         })
///     });
///     assert!(join_all(guests).iter().all(Result::is_ok));
///     assert_eq!(SEATS.available(), 2);
/// });
/// ```
pub struct Semaphore {
    permits: Permits,
}

impl Semaphore {
    fn waiting(&self) -> Waiting {
        Waiting::Permit((&raw const *self).addr())
    }

    /// How many permits there may be. More than that many can never be acquired.
    pub const MAX_PERMITS: usize = Permits::MAX / 2;

    /// Creates a semaphore with so many permits.
    ///
    /// # Panics
    ///
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// assert_eq!(Semaphore::new(3).available(), 3);
    /// ```
    pub const fn new(permits: usize) -> Self {
        assert!(
            permits <= Self::MAX_PERMITS,
            "more than Semaphore::MAX_PERMITS permits"
        );
        Semaphore {
            permits: Permits::new(permits),
        }
    }

    /// Takes a permit, waiting for one if need be.
    ///
    /// The deadline of a [`timeout`](crate::timeout()) block unwinds to the edge of the block.
    ///
    /// # Panics
    ///
    /// If it would have to wait while its tasklet [unwinds](super#while-a-tasklet-unwinds).
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.acquire();
    /// assert_eq!(semaphore.available(), 0);
    /// drop(permit);
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_many(1)
    }

    /// Takes `count` permits at once, waiting for them if need be. Until there are so many, those who
    /// come later wait as well.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(5);
    /// let three = semaphore.acquire_many(3);
    /// assert_eq!((three.count(), semaphore.available()), (3, 2));
    /// ```
    pub fn acquire_many(&self, count: usize) -> Permit<'_> {
        match super::acquire(&self.permits, count, self.waiting(), None) {
            Ok(()) => self.permit(count),
            Err(interrupt) => interrupt.raise("acquiring a permit"),
        }
    }

    /// Takes a permit if one is to be had without waiting.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some());
    /// assert!(semaphore.try_acquire().is_none());
    /// ```
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        super::try_acquire(&self.permits, 1).then(|| self.permit(1))
    }

    /// As [`acquire`](Self::acquire), but waits for at most `limit`, and not beyond the deadline of a
    /// [`timeout`](crate::timeout()) block. Does not wait at all while its tasklet
    /// [unwinds](super#while-a-tasklet-unwinds).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{TimedOut, sync::Semaphore};
    ///
    /// let semaphore = Semaphore::new(0);
    /// let refused = semaphore.acquire_timeout(Duration::from_millis(1));
    /// assert_eq!(refused.unwrap_err(), TimedOut);
    /// ```
    pub fn acquire_timeout(&self, limit: Duration) -> Result<Permit<'_>, TimedOut> {
        super::acquire_timeout(&self.permits, 1, self.waiting(), limit)?;
        Ok(self.permit(1))
    }

    /// Adds permits that have not been there before, or that were [forgotten](Permit::forget).
    ///
    /// # Panics
    ///
    /// If more than [`MAX_PERMITS`](Self::MAX_PERMITS) would be free.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(0);
    /// semaphore.add_permits(2);
    /// assert!(semaphore.try_acquire().is_some());
    /// ```
    pub fn add_permits(&self, count: usize) {
        let room = Self::MAX_PERMITS.saturating_sub(self.available());
        assert!(count <= room, "more than Semaphore::MAX_PERMITS permits");
        self.permits.release(count);
    }

    /// How many permits are free at this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// let _permit = semaphore.acquire();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn available(&self) -> usize {
        self.permits.free()
    }

    fn permit(&self, count: usize) -> Permit<'_> {
        Permit {
            semaphore: self,
            count,
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Semaphore");
        out.field("available", &self.available())
            .finish_non_exhaustive()
    }
}

/// One or more permits of a [`Semaphore`]; dropping it gives them back.
///
/// Unlike a guard it may go to another tasklet or thread.
#[must_use = "the permit is given back when this is dropped"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// How many permits these are.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// assert_eq!(Semaphore::new(5).acquire_many(2).count(), 2);
    /// ```
    pub fn count(&self) -> usize {
        self.count
    }

    /// Keeps the permits from being given back: there are fewer from now on, until somebody
    /// [adds](Semaphore::add_permits) as many.
    ///
    /// So a permit can also outlive the borrow, where the semaphore is in an `Arc`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// semaphore.acquire().forget();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.permits.release(self.count);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
