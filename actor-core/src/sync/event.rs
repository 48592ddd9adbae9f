//! A flag to wait for.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::block::{self, Interrupt, Wait, Waiting};
use crate::line::{Line, Ticket};
use crate::waiter::Waiter;
use crate::{TimedOut, time};

/// Something that happens, and that any number of tasklets and threads can wait for.
///
/// Once [set](Self::set) it stays so, and nobody waits, until it is [cleared](Self::clear).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use actor_core::{Tasklet, dispatch, sync::Event};
///
/// dispatch(|| {
///     let ready = Arc::new(Event::new());
///     let waiter = Tasklet::spawn({
///         let ready = ready.clone();
///         move || ready.wait()
///     });
///     ready.set();
///     waiter.join().unwrap();
///     assert!(ready.is_set());
/// });
/// ```
pub struct Event {
    /// Written under the line's lock alone, so that a set lets those go on who were in line at that
    /// moment, and not one who came after a clear that followed.
    set: AtomicBool,
    /// Whoever is taken out without having left may go on.
    line: Mutex<Line<Waiter>>,
}

impl Event {
    /// Creates an event that has not happened.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Event;
    ///
    /// static STARTED: Event = Event::new();
    /// assert!(!STARTED.is_set());
    /// ```
    pub const fn new() -> Self {
        Event {
            set: AtomicBool::new(false),
            line: Mutex::new(Line::new()),
        }
    }

    /// Lets all go on who wait, and all who come later.
    ///
    /// What the caller did before is seen by those who went on because of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Event;
    ///
    /// let event = Event::new();
    /// event.set();
    /// event.wait();
    /// ```
    pub fn set(&self) {
        let all = {
            let mut line = self.line.lock();
            self.set.store(true, Release);
            line.take()
        };
        // Not under the lock: waking another worker may ring its bell, a system call.
        all.iter().for_each(Waiter::wake);
    }

    /// Makes those wait who come from now on. Those who waited when it was set go on all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Event;
    ///
    /// let event = Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    pub fn clear(&self) {
        let _line = self.line.lock();
        self.set.store(false, Release);
    }

    /// Returns whether it is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::sync::Event;
    ///
    /// let event = Event::new();
    /// assert!(!event.is_set());
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    pub fn is_set(&self) -> bool {
        self.set.load(Acquire)
    }

    /// Waits until it is set.
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
    /// use std::time::Duration;
    /// use actor_core::{TimedOut, sync::Event, timeout};
    ///
    /// let event = Event::new();
    /// let waited = timeout(Duration::from_millis(1), || Ok(event.wait()));
    /// assert_eq!(waited, Err(TimedOut));
    /// ```
    pub fn wait(&self) {
        if let Err(interrupt) = self.wait_until(self.waiting(None)) {
            interrupt.raise("waiting for an event");
        }
    }

    /// As [`wait`](Self::wait), for at most `limit`, and not beyond the deadline of a
    /// [`timeout`](crate::timeout()) block. Does not wait at all while its tasklet
    /// [unwinds](super#while-a-tasklet-unwinds).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{TimedOut, sync::Event};
    ///
    /// let event = Event::new();
    /// assert_eq!(event.wait_timeout(Duration::from_millis(1)), Err(TimedOut));
    /// event.set();
    /// assert_eq!(event.wait_timeout(Duration::from_millis(1)), Ok(()));
    /// ```
    pub fn wait_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.wait_until(self.waiting(time::after(limit)))
            .map_err(|_| TimedOut)
    }

    /// As [`wait`](Self::wait), but `Ok(false)` as soon as the calling tasklet is asked to stop.
    pub(crate) fn wait_or_stop(&self, limit: Option<Duration>) -> Result<bool, TimedOut> {
        let deadline = limit.and_then(time::after);
        match self.wait_until(self.waiting(deadline).or_stop()) {
            Ok(()) => Ok(true),
            Err(Interrupt::Stopping) => Ok(false),
            Err(interrupt) if limit.is_none() => interrupt.raise("waiting for an event"),
            Err(_) => Err(TimedOut),
        }
    }

    fn waiting(&self, deadline: Option<Instant>) -> Wait {
        let what = Waiting::Event((&raw const *self).addr());
        Wait::new(what, deadline)
    }

    fn wait_until(&self, wait: Wait) -> Result<(), Interrupt> {
        block::enter()?;
        if self.is_set() {
            return Ok(());
        }
        let waiter = block::waiter()?;
        let place = {
            let mut line = self.line.lock();
            if self.is_set() {
                return Ok(());
            }
            Place {
                event: self,
                ticket: line.join(waiter),
            }
        };
        let happened = || place.may_go_on().then_some(());
        block::wait_until(wait, happened)
    }
}

/// A place in the line; dropping it leaves.
struct Place<'a> {
    event: &'a Event,
    ticket: Ticket,
}

impl Place<'_> {
    fn may_go_on(&self) -> bool {
        !self.event.line.lock().contains(self.ticket)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.event.line.lock().leave(self.ticket);
    }
}

impl Default for Event {
    fn default() -> Self {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .finish_non_exhaustive()
    }
}
