//! Those who wait for a change of something, and are all woken by it.
//!
//! The rule that makes it safe: a waiter enters the list *before* it looks at what it waits for, and
//! whoever changes that wakes the list *after* the change. On both sides the two steps are
//! sequentially consistent, here and in what is looked at; so of "the waiter entered" and "it was
//! changed" one comes first for everybody, and either the waker finds the waiter, or the waiter finds
//! the change.
//!
//! Most often one tasklet waits: a stream has one reader, a tasklet one joiner. For that one there is
//! a place of its own, which costs no lock; and no line for others is made before there is one.

use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::block::{self, Interrupt, Wait};
use crate::lazy::LazyBox;
use crate::line::{Line, Ticket};
use crate::primitive::{ConstAtomicPtr, ConstAtomicUsize, Mutex};
use crate::tasklet::core::Core;
use crate::waiter::Waiter;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WaitList {
    /// A tasklet that waits.
    sole: Sole<Core>,
    others: LazyBox<Others>,
}

/// Those for whom the place was taken.
#[derive(Debug)]
struct Others {
    /// How many there are: the length of the line, to be read without its lock.
    queued: ConstAtomicUsize,
    line: Mutex<Line<Waiter>>,
}

impl Default for Others {
    fn default() -> Self {
        Others {
            queued: ConstAtomicUsize::new(0),
            line: Mutex::new(Line::new()),
        }
    }
}

/// A place for one shared thing, to be put there and taken out without a lock.
#[derive(Debug)]
pub(crate) struct Sole<T> {
    /// With a reference (from `Arc::into_raw`); or null.
    place: ConstAtomicPtr<T>,
}

impl<T> Sole<T> {
    pub(crate) const fn new() -> Self {
        Sole {
            place: ConstAtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Puts it there if the place is free, and tells what to know it by; or gives it back.
    pub(crate) fn put(&self, shared: Arc<T>) -> Result<*mut T, Arc<T>> {
        let shared = Arc::into_raw(shared).cast_mut();
        self.place
            .compare_exchange(ptr::null_mut(), shared, SeqCst, SeqCst)
            .map(|_| shared)
            // SAFETY: it has just been taken apart, and was not put there.
            .map_err(|_| unsafe { Arc::from_raw(shared) })
    }

    /// Takes out what is there.
    pub(crate) fn take(&self) -> Option<Arc<T>> {
        if self.is_empty() {
            return None;
        }
        let shared = NonNull::new(self.place.swap(ptr::null_mut(), SeqCst))?;
        // SAFETY: whoever takes the pointer out has the reference that came with it.
        Some(unsafe { Arc::from_raw(shared.as_ptr()) })
    }

    /// Takes it out if it is still there.
    pub(crate) fn take_back(&self, shared: *mut T) -> Option<Arc<T>> {
        let is_mine = self.holds(shared)
            && self
                .place
                .compare_exchange(shared, ptr::null_mut(), SeqCst, SeqCst)
                .is_ok();
        // SAFETY: as in `take`; the exchange took it out.
        is_mine.then(|| unsafe { Arc::from_raw(shared) })
    }

    pub(crate) fn holds(&self, shared: *mut T) -> bool {
        self.place.load(SeqCst) == shared
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.holds(ptr::null_mut())
    }
}

impl WaitList {
    pub(crate) const fn new() -> Self {
        WaitList {
            sole: Sole::new(),
            others: LazyBox::empty(),
        }
    }

    /// Takes `waiter` in until it is woken or the place is dropped.
    pub(crate) fn enter(&self, waiter: Waiter) -> Place<'_> {
        let waiter = match waiter {
            Waiter::Tasklet(core) => match self.sole.put(core) {
                Ok(core) => {
                    return Place {
                        list: self,
                        kind: PlaceKind::Sole(core),
                    };
                }
                Err(core) => Waiter::Tasklet(core),
            },
            thread => thread,
        };
        let others = self.others.get_or_default();
        let mut line = others.line.lock();
        others.queued.fetch_add(1, SeqCst);
        let ticket = line.join(waiter);
        Place {
            list: self,
            kind: PlaceKind::Queued(ticket),
        }
    }

    /// Takes all who wait now out, and wakes them.
    pub(crate) fn wake_all(&self) {
        if let Some(core) = self.sole.take() {
            Waiter::Tasklet(core).wake();
        }
        let Some(others) = self.others() else { return };
        for _ in 0..others.queued.load(SeqCst) {
            let mut line = others.line.lock();
            let Some(waiter) = line.next() else { return };
            others.queued.fetch_sub(1, SeqCst);
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
        self.sole.is_empty()
            && self
                .others()
                .is_none_or(|others| others.queued.load(SeqCst) == 0)
    }

    /// The others, if there have ever been any. Whoever enters makes their line first; so a waker that
    /// finds none has made its change before the newcomer looks, as if it had found nobody in it.
    fn others(&self) -> Option<&Others> {
        if cfg!(loom) {
            // loom's types are made before they are shared.
            return Some(self.others.get_or_default());
        }
        self.others.get()
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
            PlaceKind::Sole(core) => !self.list.sole.holds(core),
            PlaceKind::Queued(ticket) => {
                let others = self.list.others.get_or_default();
                !others.line.lock().contains(ticket)
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        match self.kind {
            PlaceKind::Sole(core) => drop(self.list.sole.take_back(core)),
            PlaceKind::Queued(ticket) => {
                let others = self.list.others.get_or_default();
                let mut line = others.line.lock();
                let left = line.leave(ticket);
                if left.is_some() {
                    others.queued.fetch_sub(1, SeqCst);
                }
                // Not under the lock: the reference may be the last.
                drop(line);
            }
        }
    }
}
