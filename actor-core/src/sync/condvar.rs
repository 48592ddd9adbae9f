//! Waiting for a change of what a mutex guards.

use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use parking_lot::Mutex as Brief;

use super::MutexGuard;
use crate::block::{self, Interrupt, Wait, Waiting};
use crate::line::{Line, Ticket};
use crate::time;
use crate::waiter::Waiter;

/// Lets those who have locked a [`Mutex`](super::Mutex) wait until somebody says that its value has
/// changed.
///
/// A waiter may also wake without a notification of its own, so it looks at the value again:
/// [`wait_while`](Self::wait_while) does that. Notifications go to those who wait at that moment, in
/// the order in which they came.
///
/// While it waits, and while it unwinds out of a wait (killed, or at the deadline of a
/// [`timeout`](crate::timeout()) block), the mutex is **not** locked: the guard was given away at the
/// call, and unwinding does not wait to lock again. If [`notify_one`](Self::notify_one) had chosen
/// that waiter, the notification goes on to the next.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use actor_core::{Tasklet, dispatch, sync::{Condvar, Mutex}};
///
/// dispatch(|| {
///     let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
///     let producer = shared.clone();
///     Tasklet::spawn(move || {
///         let (jobs, changed) = &*producer;
///         jobs.lock().push("sweep");
///         changed.notify_one();
///     });
///     let (jobs, changed) = &*shared;
///     let mut jobs = changed.wait_while(jobs.lock(), |jobs| jobs.is_empty());
///     assert_eq!(jobs.pop(), Some("sweep"));
/// });
/// ```
pub struct Condvar {
    /// Whoever is taken out without having left has been notified.
    line: Brief<Line<Waiter>>,
}

impl Condvar {
    /// Creates one that nobody waits for.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Condvar;
    ///
    /// static CHANGED: Condvar = Condvar::new();
    /// CHANGED.notify_all();
    /// ```
    pub const fn new() -> Self {
        Condvar {
            line: Brief::new(Line::new()),
        }
    }

    /// Unlocks, waits for a notification, and locks again.
    ///
    /// No notification is missed that comes after the unlocking.
    ///
    /// # Panics
    ///
    /// If its tasklet [unwinds](super#while-a-tasklet-unwinds).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use actor_core::{Tasklet, dispatch, sync::{Condvar, Mutex}};
    ///
    /// dispatch(|| {
    ///     let shared = Arc::new((Mutex::new(false), Condvar::new()));
    ///     let other = shared.clone();
    ///     Tasklet::spawn(move || {
    ///         *other.0.lock() = true;
    ///         other.1.notify_all();
    ///     });
    ///     let mut ready = shared.0.lock();
    ///     while !*ready {
    ///         ready = shared.1.wait(ready);
    ///     }
    /// });
    /// ```
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_until(guard, None).0
    }

    /// Waits as long as `condition` says so; it is asked while the mutex is locked.
    ///
    /// # Panics
    ///
    /// If it has to wait while its tasklet [unwinds](super#while-a-tasklet-unwinds).
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::{Condvar, Mutex};
    ///
    /// let full = Mutex::new(true);
    /// let guard = Condvar::new().wait_while(full.lock(), |full| !*full);
    /// assert!(*guard);
    /// ```
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// As [`wait`](Self::wait), for at most `limit`; `true` says that no notification came in time.
    ///
    /// The limit is for the notification: locking again takes as long as it takes. The deadline of a
    /// [`timeout`](crate::timeout()) block unwinds to its edge. While its tasklet
    /// [unwinds](super#while-a-tasklet-unwinds) it does not wait, and says `true`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::sync::{Condvar, Mutex};
    ///
    /// let mutex = Mutex::new(());
    /// let (_guard, timed_out) = Condvar::new().wait_timeout(mutex.lock(), Duration::from_millis(1));
    /// assert!(timed_out);
    /// ```
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        self.wait_until(guard, time::after(limit))
    }

    /// Waits as long as `condition` says so, for at most `limit`; `true` says that it still does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::sync::{Condvar, Mutex};
    ///
    /// let (changed, count) = (Condvar::new(), Mutex::new(1));
    /// let limit = Duration::from_millis(1);
    /// let (guard, timed_out) = changed.wait_timeout_while(count.lock(), limit, |count| *count < 2);
    /// assert!(timed_out);
    /// let (_guard, timed_out) = changed.wait_timeout_while(guard, limit, |count| *count < 1);
    /// assert!(!timed_out);
    /// ```
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> (MutexGuard<'a, T>, bool) {
        let deadline = time::after(limit);
        let mut timed_out = false;
        // The condition has the last word: it may have come true as time ran out.
        while condition(&mut guard) {
            if timed_out {
                return (guard, true);
            }
            (guard, timed_out) = self.wait_until(guard, deadline);
        }
        (guard, false)
    }

    /// Wakes the one that has waited longest, if anybody waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Condvar;
    ///
    /// let changed = Condvar::new();
    /// changed.notify_one(); // nobody waits: this is gone
    /// ```
    pub fn notify_one(&self) {
        let first = self.line.lock().next();
        // Not under the lock: waking another worker may ring its bell, a system call.
        if let Some(first) = first {
            first.wake();
        }
    }

    /// Wakes all who wait at this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Condvar;
    ///
    /// Condvar::new().notify_all();
    /// ```
    pub fn notify_all(&self) {
        let all = self.line.lock().take();
        all.iter().for_each(Waiter::wake);
    }

    /// The guard, and whether no notification came.
    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        const OPERATION: &str = "waiting on a condition variable";
        let waiter = match block::enter().and_then(|()| block::waiter()) {
            Ok(waiter) => waiter,
            Err(Interrupt::Unwinding | Interrupt::Outside) if deadline.is_some() => {
                return (guard, true);
            }
            Err(interrupt) => interrupt.raise(OPERATION),
        };
        // In line before the unlocking, so that nothing comes in between.
        let place = Place {
            condvar: self,
            ticket: self.line.lock().join(waiter),
        };
        let mutex = guard.unlock();
        let wait = Wait::new(Waiting::Condition((&raw const *self).addr()), deadline);
        match block::wait_until(wait, || place.is_notified().then_some(())) {
            Ok(()) | Err(Interrupt::TimedOut) => {}
            Err(interrupt) => interrupt.raise(OPERATION),
        }
        // Still with the place: a kill that strikes here finds the notification, and passes it on.
        let guard = mutex.lock();
        (guard, place.leave())
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

/// A place in the line. One that is dropped has been given up by unwinding: the notification that it
/// may have got goes to another.
struct Place<'a> {
    condvar: &'a Condvar,
    ticket: Ticket,
}

impl Place<'_> {
    fn is_notified(&self) -> bool {
        !self.condvar.line.lock().contains(self.ticket)
    }

    /// Leaves the line; `true` if no notification had come until now.
    fn leave(self) -> bool {
        let waiting = self.condvar.line.lock().leave(self.ticket).is_some();
        mem::forget(self);
        waiting
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let notified = self.condvar.line.lock().leave(self.ticket).is_none();
        if notified {
            self.condvar.notify_one();
        }
    }
}
