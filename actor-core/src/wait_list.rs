//! A queue of waiters, first come first served.
//!
//! The rule that makes it safe: a waiter enters the list *before* it looks at what it waits for, and
//! whoever changes that wakes the list *after* the change. The list's lock orders the two, so either
//! the waker finds the waiter, or the waiter finds the change.

use parking_lot::Mutex;

use crate::line::{Line, Ticket};
use crate::waiter::Waiter;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WaitList {
    line: Mutex<Line<Waiter>>,
}

impl WaitList {
    pub(crate) const fn new() -> Self {
        WaitList {
            line: Mutex::new(Line::new()),
        }
    }

    /// Queues `waiter` until it is woken or the place is dropped.
    pub(crate) fn enter(&self, waiter: Waiter) -> Place<'_> {
        let ticket = self.line.lock().join(waiter);
        Place { list: self, ticket }
    }

    /// Takes all who wait now out, and wakes them.
    pub(crate) fn wake_all(&self) {
        let mut line = self.line.lock();
        let count = line.len();
        for _ in 0..count {
            let Some(waiter) = line.next() else { return };
            let last = line.is_empty();
            // Not under the lock: waking another worker may ring its bell, a system call.
            drop(line);
            waiter.wake();
            if last {
                return;
            }
            line = self.line.lock();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.line.lock().is_empty()
    }
}

/// A place in a [`WaitList`]; dropping it leaves the list.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    list: &'a WaitList,
    ticket: Ticket,
}

impl Place<'_> {
    /// Whether a wake-up has taken this place out of the list.
    pub(crate) fn is_woken(&self) -> bool {
        !self.list.line.lock().contains(self.ticket)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.list.line.lock().leave(self.ticket);
    }
}
