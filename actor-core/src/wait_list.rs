//! Those who wait for a change of something, and are all woken by it.
//!
//! The rule that makes it safe: a waiter enters the list *before* it looks at what it waits for, and
//! whoever changes that wakes the list *after* the change. On both sides the two steps are
//! sequentially consistent, here and in what is looked at; so of "the waiter entered" and "it was
//! changed" one comes first for everybody, and either the waker finds the waiter, or the waiter finds
//! the change.
//!
//! Most often one tasklet waits: a stream has one reader, a tasklet one joiner. For that one there is
//! a place of its own, which costs no lock.

use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;

use crate::block::{self, Interrupt, Wait};
use crate::line::{Line, Ticket};
use crate::tasklet::core::Core;
use crate::waiter::Waiter;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WaitList {
    /// A tasklet that waits, with a reference to it (from `Arc::into_raw`); or null.
    sole: AtomicPtr<Core>,
    /// How many others there are: the length of the line, to be read without its lock.
    queued: AtomicUsize,
    line: Mutex<Line<Waiter>>,
}

impl WaitList {
    pub(crate) const fn new() -> Self {
        WaitList {
            sole: AtomicPtr::new(ptr::null_mut()),
            queued: AtomicUsize::new(0),
            line: Mutex::new(Line::new()),
        }
    }

    /// Takes `waiter` in until it is woken or the place is dropped.
    pub(crate) fn enter(&self, waiter: Waiter) -> Place<'_> {
        let waiter = match waiter {
            Waiter::Tasklet(core) => {
                let core = Arc::into_raw(core).cast_mut();
                match self
                    .sole
                    .compare_exchange(ptr::null_mut(), core, SeqCst, SeqCst)
                {
                    Ok(_) => {
                        return Place {
                            list: self,
                            kind: PlaceKind::Sole(core),
                        };
                    }
                    // SAFETY: it has just been taken apart, and was not put there.
                    Err(_) => Waiter::Tasklet(unsafe { Arc::from_raw(core) }),
                }
            }
            thread => thread,
        };
        let mut line = self.line.lock();
        self.queued.fetch_add(1, SeqCst);
        let ticket = line.join(waiter);
        Place {
            list: self,
            kind: PlaceKind::Queued(ticket),
        }
    }

    /// Takes all who wait now out, and wakes them.
    pub(crate) fn wake_all(&self) {
        if !self.sole.load(SeqCst).is_null()
            && let Some(core) = NonNull::new(self.sole.swap(ptr::null_mut(), SeqCst))
        {
            // SAFETY: whoever takes the pointer out has the reference that came with it.
            Waiter::Tasklet(unsafe { Arc::from_raw(core.as_ptr()) }).wake();
        }
        for _ in 0..self.queued.load(SeqCst) {
            let mut line = self.line.lock();
            let Some(waiter) = line.next() else { return };
            self.queued.fetch_sub(1, SeqCst);
            // Not under the lock: waking another worker may ring its bell, a system call.
            drop(line);
            waiter.wake();
        }
    }

    /// Waits until `look` gives something; for what changes more than once before it does.
    pub(crate) fn wait_until<T>(
        &self,
        wait: Wait,
        look: impl Fn() -> Option<T>,
    ) -> Result<T, Interrupt> {
        let waiter = block::waiter()?;
        let mut place = Some(self.enter(waiter.clone()));
        block::wait_until(wait, || {
            if place.as_ref().is_some_and(Place::is_woken) {
                // The old place goes first: it could not tell the new one from itself.
                place = None;
                place = Some(self.enter(waiter.clone()));
            }
            look()
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sole.load(SeqCst).is_null() && self.queued.load(SeqCst) == 0
    }
}

impl Default for WaitList {
    fn default() -> Self {
        WaitList::new()
    }
}

/// A place in a [`WaitList`]; dropping it leaves the list.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    list: &'a WaitList,
    kind: PlaceKind,
}

#[derive(Debug)]
enum PlaceKind {
    /// With the pointer that was put there: only to be compared.
    Sole(*mut Core),
    Queued(Ticket),
}

impl Place<'_> {
    /// Whether a wake-up has taken this place out of the list.
    pub(crate) fn is_woken(&self) -> bool {
        match self.kind {
            // A tasklet waits for one thing at a time, so its pointer there is this place's.
            PlaceKind::Sole(core) => self.list.sole.load(SeqCst) != core,
            PlaceKind::Queued(ticket) => !self.list.line.lock().contains(ticket),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        match self.kind {
            PlaceKind::Sole(core) => {
                let sole = &self.list.sole;
                if sole.load(SeqCst) == core
                    && sole
                        .compare_exchange(core, ptr::null_mut(), SeqCst, SeqCst)
                        .is_ok()
                {
                    // SAFETY: as in `wake_all`; the exchange took it out.
                    drop(unsafe { Arc::from_raw(core) });
                }
            }
            PlaceKind::Queued(ticket) => {
                let mut line = self.list.line.lock();
                let left = line.leave(ticket);
                if left.is_some() {
                    self.list.queued.fetch_sub(1, SeqCst);
                }
                // Not under the lock: the reference may be the last.
                drop(line);
            }
        }
    }
}
