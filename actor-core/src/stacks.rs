//! Stacks of ended tasklets, kept for new ones.
//!
//! To get a stack from the system and give it back takes some ten microseconds, twenty times what the
//! rest of a spawn takes. So each worker keeps a few, and what is more goes to a store that all share,
//! which outlasts a burst. A stack in the store counts as a tasklet would: before one is asked of the
//! system, the store is brought down to what [`limits`] have left. So the stacks that lie idle when
//! memory maps run short are the few of the workers, which have maps of their own put by.

use std::cell::RefCell;

use parking_lot::Mutex;

use crate::SpawnError;
use crate::runtime::{self, limits};
use crate::substrate::Coroutine;
use crate::worker::Local;

/// How many a worker keeps for itself.
pub(crate) const PER_WORKER: usize = 256;
/// How many are moved between a worker and the shared store at a time.
const BATCH: usize = PER_WORKER / 2;
/// How many the shared store keeps. Each has three pages in memory: 96 MiB at the most.
const SHARED: usize = 8_192;

static STORE: Mutex<Vec<Coroutine>> = Mutex::new(Vec::new());

/// A worker's own stacks.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    own: RefCell<Vec<Coroutine>>,
}

/// A stack of the default size: one that was kept, or else a new one.
pub(crate) fn take(local: Option<&Local>) -> Result<Coroutine, SpawnError> {
    let kept = match local {
        Some(local) => local.stacks().take(),
        None => STORE.lock().pop(),
    };
    match kept {
        Some(coroutine) => Ok(coroutine),
        None => allocate(runtime::default_stack_size()),
    }
}

/// A new stack, for which room has been reserved.
pub(crate) fn allocate(bytes: usize) -> Result<Coroutine, SpawnError> {
    // One of another size than those in the store, which then makes room if it must.
    let unused = limits::unused();
    let surplus = {
        let mut store = STORE.lock();
        let kept = store.len().min(unused);
        store.split_off(kept)
    };
    drop(surplus);
    Coroutine::allocate(bytes).map_err(SpawnError::System)
}

impl Stacks {
    fn take(&self) -> Option<Coroutine> {
        let mut own = self.own.borrow_mut();
        if own.is_empty() {
            let mut store = STORE.lock();
            let rest = store.len().saturating_sub(BATCH);
            own.extend(store.drain(rest..));
        }
        own.pop()
    }

    /// Keeps the stack of a finished tasklet, if it is of the default size and there is room.
    pub(crate) fn keep(&self, coroutine: Coroutine) {
        if coroutine.stack_size() != runtime::default_stack_size() {
            return;
        }
        let mut own = self.own.borrow_mut();
        own.push(coroutine);
        if own.len() > PER_WORKER {
            // What lay here longest is the coldest.
            let mut surplus: Vec<_> = own.drain(..BATCH).collect();
            drop(own);
            surplus.iter_mut().for_each(Coroutine::release_memory);
            let mut store = STORE.lock();
            let room = SHARED.saturating_sub(store.len());
            let excess = surplus.split_off(room.min(surplus.len()));
            store.append(&mut surplus);
            drop(store);
            // Given back to the system, not under the lock.
            drop(excess);
        }
    }
}
