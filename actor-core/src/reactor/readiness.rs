//! What is known of a descriptor's readiness, and where its events find that.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as PlainU32, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::Direction;
use super::watch::Watch;
use crate::contain::contain;
use crate::primitive::AtomicU32;
use crate::wait_list::WaitList;

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;
/// The other end has closed its side, or there is an error or urgent data: from now on a short read
/// does not mean that the descriptor is exhausted.
pub(super) const ALWAYS_READABLE: u32 = 4;
/// The descriptor is in some worker's epoll, so that a cleared flag will be set again.
pub(super) const REGISTERED: u32 = 8;
/// It has an owner without a stack, to be told when a flag is set.
const WATCHED: u32 = 16;
/// That owner has been told, and has not looked yet.
const TOLD: u32 = 32;
const FLAGS: u32 = 0xff;
/// One event, in the count above the flags.
const EVENT: u32 = FLAGS + 1;

impl Direction {
    pub(super) fn flag(self) -> u32 {
        match self {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        }
    }
}

/// The part of a source that its worker's events reach.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// Flags, and the count of events above them.
    state: AtomicU32,
    /// The worker in whose epoll the descriptor is, or [`NOWHERE`]. Changed under the lock.
    home: PlainU32,
    pub(super) readers: WaitList,
    pub(super) writers: WaitList,
    rest: Mutex<Rest>,
}

/// No worker.
const NOWHERE: u32 = u32::MAX;

/// What is rarely looked at.
#[derive(Default)]
pub(super) struct Rest {
    /// What the registration is known by, if there is one.
    key: u64,
    /// The owner without a stack.
    watch: Option<Arc<dyn Watch>>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

/// Where a descriptor is registered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registration {
    pub(super) worker: usize,
    pub(super) key: u64,
}

impl Readiness {
    /// Of a descriptor of which nothing is known: everything is worth a try.
    pub(crate) fn new() -> Self {
        Readiness {
            state: AtomicU32::new(READABLE | WRITABLE),
            home: PlainU32::new(NOWHERE),
            readers: WaitList::new(),
            writers: WaitList::new(),
            rest: Mutex::default(),
        }
    }

    /// Takes in an event, and wakes whom it may concern.
    pub(crate) fn set_ready(&self, events: u32) {
        let has = |bits: i32| events & bits as u32 != 0;
        let ended = has(libc::EPOLLHUP | libc::EPOLLERR);
        let mut flags = 0;
        if has(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI) || ended {
            flags |= READABLE;
        }
        if has(libc::EPOLLRDHUP | libc::EPOLLPRI) || ended {
            flags |= ALWAYS_READABLE;
        }
        if has(libc::EPOLLOUT) || ended {
            flags |= WRITABLE;
        }
        // A flag that was set already has had its waiters woken by the event that set it, and whoever
        // came since has seen it: one enters the list first and looks at the flag then.
        let newly = |before: u32| flags & (READABLE | WRITABLE) & !before;
        let tells = |before: u32| newly(before) != 0 && before & (WATCHED | TOLD) == WATCHED;
        // Sequentially consistent, as are the looks at it: the wait lists ask for that.
        let before = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, |state| {
                let told = if tells(state) { TOLD } else { 0 };
                Some(state.wrapping_add(EVENT) | flags | told)
            })
            .unwrap_or_else(|state| state);
        if newly(before) & READABLE != 0 {
            self.readers.wake_all();
        }
        if newly(before) & WRITABLE != 0 {
            self.writers.wake_all();
        }
        if tells(before) {
            self.tell();
        }
    }

    /// Tells the owner without a stack, unless it has been told and has not looked yet.
    pub(super) fn tell_once(&self) {
        let before = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
                (state & WATCHED != 0).then_some(state | TOLD)
            });
        if before.is_ok_and(|before| before & TOLD == 0) {
            self.tell();
        }
    }

    /// Tells the owner without a stack.
    #[cold]
    fn tell(&self) {
        let watch = self.rest.lock().watch.clone();
        if let Some(watch) = watch {
            // Others' events may be still to come in the same batch.
            contain(|| watch.ready());
        }
    }

    pub(crate) fn state(&self) -> u32 {
        self.state.load(Ordering::SeqCst)
    }

    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.state() & direction.flag() != 0
    }

    /// Notes that the system said "would block" at a time when the state was `seen`; `false` if
    /// something has changed since.
    pub(crate) fn clear(&self, direction: Direction, seen: u32) -> bool {
        let cleared = seen & !direction.flag();
        self.state
            .compare_exchange(seen, cleared, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Notes that nothing can have come in yet: the event with which a registration is answered says if
    /// something has.
    pub(super) fn presume_empty(&self) {
        self.state.fetch_and(!READABLE, Ordering::AcqRel);
    }

    /// Has the owner without a stack told of what comes from now on, if it has been told of something.
    ///
    /// It looks at the flags afterwards: of an event before this it sees the flag, of one after it is
    /// told. Sequentially consistent, like the other side.
    pub(crate) fn rearm(&self) {
        self.state.fetch_and(!TOLD, Ordering::SeqCst);
    }

    /// Changes the owner without a stack; gives the one before.
    pub(super) fn set_watch(&self, watch: Option<Arc<dyn Watch>>) -> Option<Arc<dyn Watch>> {
        let mut rest = self.rest.lock();
        let before = std::mem::replace(&mut rest.watch, watch);
        // Under the lock, so that the mark and the owner are in step.
        if rest.watch.is_some() {
            self.state.fetch_or(WATCHED, Ordering::SeqCst);
            self.state.fetch_and(!TOLD, Ordering::SeqCst);
        } else {
            self.state.fetch_and(!(WATCHED | TOLD), Ordering::SeqCst);
        }
        drop(rest);
        before
    }

    /// Only so that models need no [`Watch`]: marks it as one that has an owner without a stack.
    #[cfg(all(test, loom))]
    pub(crate) fn mark_watched(&self) {
        self.state.fetch_or(WATCHED, Ordering::SeqCst);
    }

    /// Whether the owner without a stack has been told, and has not looked yet.
    #[cfg(all(test, loom))]
    pub(crate) fn is_told(&self) -> bool {
        self.state() & TOLD != 0
    }

    // Where it is registered -------------------------------------------------------------------

    /// The worker in whose epoll it is. Without the lock this may be over the moment after.
    pub(super) fn home(&self) -> Option<usize> {
        let home = self.home.load(Ordering::Acquire);
        (home != NOWHERE).then_some(home as usize)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock()
    }

    pub(super) fn registration(&self, rest: &Rest) -> Option<Registration> {
        let worker = self.home()?;
        let key = rest.key;
        Some(Registration { worker, key })
    }

    /// Notes a registration.
    pub(super) fn registered(&self, rest: &mut Rest, at: Registration) {
        rest.key = at.key;
        // There are far fewer workers than that.
        self.home.store(at.worker as u32, Ordering::Release);
        self.state.fetch_or(REGISTERED, Ordering::AcqRel);
    }

    /// Notes that it is registered no more, and gives where it was.
    pub(super) fn unregistered(&self, rest: &Rest) -> Option<Registration> {
        let was = self.registration(rest)?;
        self.home.store(NOWHERE, Ordering::Release);
        Some(was)
    }
}

/// A worker's registered descriptors.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    source: Option<Arc<Readiness>>,
}

impl Sources {
    pub(super) fn insert(&mut self, source: Arc<Readiness>) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                source: None,
            });
            u32::try_from(self.slots.len() - 1).expect("fewer descriptors than 2^32")
        });
        let slot = &mut self.slots[index as usize];
        slot.source = Some(source);
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    pub(crate) fn get(&self, key: u64) -> Option<Arc<Readiness>> {
        let slot = self.slots.get(key as u32 as usize)?;
        if u64::from(slot.generation) == key >> 32 {
            slot.source.clone()
        } else {
            None
        }
    }

    pub(crate) fn remove(&mut self, key: u64) {
        let slot = &mut self.slots[key as u32 as usize];
        if u64::from(slot.generation) == key >> 32 && slot.source.take().is_some() {
            // The largest generation is not used: its keys would meet those of bell and timer.
            slot.generation = (slot.generation + 1) % u32::MAX;
            self.free.push(key as u32);
        }
    }
}
