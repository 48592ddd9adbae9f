//! Actors that are ready on a worker that has too much to do, for workers that have nothing.
//!
//! An actor is with one worker, its home, on whose thread others send to it and wake it without an
//! atomic operation. It changes hands only here: while it is in the surplus it is at home nowhere, so
//! everybody goes the way of strangers; and it is marked as on its way to an inbox, so nobody posts it
//! to one. Whoever takes it out becomes its home, takes the mark down, and looks, as for one that has
//! come to its inbox; what was sent or asked before that is seen by the look.
//!
//! A worker gives away only what has waited for a whole slice, and only while another has nothing to
//! do. Actors that talk to each other stay together: none of them waits for so long.

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::cell::ActorCell;

/// How many are given or taken at a time, at most.
const BATCH: usize = 256;

static SURPLUS: Mutex<Actors> = Mutex::new(Actors(VecDeque::new()));
/// How many there are, to be read without the lock.
static LEN: AtomicUsize = AtomicUsize::new(0);

struct Actors(VecDeque<NonNull<ActorCell>>);

// SAFETY: the cells are Sync, and live: they are ready, and end only when they are run.
unsafe impl Send for Actors {}

/// Moves the first half of `ready`, at most, and gives how many that were.
pub(crate) fn give(ready: &mut VecDeque<NonNull<ActorCell>>) -> usize {
    let most = (ready.len() / 2).min(BATCH);
    let mut surplus = SURPLUS.lock();
    let before = surplus.0.len();
    let mut stay = Vec::new();
    for actor in ready.drain(..most) {
        // SAFETY: it is ready on this worker.
        if unsafe { actor.as_ref() }.leave_home() {
            surplus.0.push_back(actor);
        } else {
            stay.push(actor);
        }
    }
    let given = surplus.0.len() - before;
    // Those who cannot go keep their places, or they might be passed over for ever.
    for actor in stay.into_iter().rev() {
        ready.push_front(actor);
    }
    LEN.store(surplus.0.len(), Ordering::SeqCst);
    given
}

/// Takes some out. The caller becomes their home.
pub(crate) fn take() -> Vec<NonNull<ActorCell>> {
    if is_empty() {
        return Vec::new();
    }
    let mut surplus = SURPLUS.lock();
    let some = surplus.0.len().div_ceil(2).min(BATCH);
    let taken = surplus.0.drain(..some).collect();
    LEN.store(surplus.0.len(), Ordering::SeqCst);
    taken
}

/// Whether there is nothing to take.
pub(crate) fn is_empty() -> bool {
    LEN.load(Ordering::SeqCst) == 0
}
