//! A queue of waiters, first come first served.
//!
//! The rule that makes it safe: a waiter enters the list *before* it looks at what it waits for, and
//! whoever changes that wakes the list *after* the change. The list's lock orders the two, so either
//! the waker finds the waiter, or the waiter finds the change.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::waiter::Waiter;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct WaitList {
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    issued: u64,
    /// In the order of the tickets.
    waiting: VecDeque<(u64, Waiter)>,
}

impl Places {
    fn find(&self, ticket: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()
    }
}

impl WaitList {
    pub(crate) const fn new() -> Self {
        WaitList { places: Mutex::new(Places { issued: 0, waiting: VecDeque::new() }) }
    }

    /// Queues `waiter` until it is woken or the place is dropped.
    pub(crate) fn enter(&self, waiter: Waiter) -> Place<'_> {
        let mut places = self.places.lock();
        places.issued += 1;
        let ticket = places.issued;
        places.waiting.push_back((ticket, waiter));
        Place { list: self, ticket }
    }

    /// Takes the first waiter out and wakes it; `false` if there is none.
    pub(crate) fn wake_one(&self) -> bool {
        let first = self.places.lock().waiting.pop_front();
        match first {
            // Not under the lock: waking another worker may ring its bell, a system call.
            Some((_, waiter)) => {
                waiter.wake();
                true
            }
            None => false,
        }
    }

    /// Takes all waiters out and wakes them.
    pub(crate) fn wake_all(&self) {
        let all = std::mem::take(&mut self.places.lock().waiting);
        for (_, waiter) in all {
            waiter.wake();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.lock().waiting.is_empty()
    }
}

/// A place in a [`WaitList`]; dropping it leaves the list.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    list: &'a WaitList,
    ticket: u64,
}

impl Place<'_> {
    /// Whether this place has been taken out by a wake-up.
    pub(crate) fn is_woken(&self) -> bool {
        self.list.places.lock().find(self.ticket).is_none()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.list.places.lock();
        if let Some(index) = places.find(self.ticket) {
            places.waiting.remove(index);
        }
    }
}
