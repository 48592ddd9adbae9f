//! The hand-shake between one that parks and those that wake it.
//!
//! Three states are enough, because a wake-up carries no data of its own: it says "look again".
//!
//! - `RUNNING`: runs, or is in a run queue and will run. Nobody has woken it since it last looked.
//! - `NOTIFIED`: as before, but somebody has; it must not park before it has looked again.
//! - `PARKED`: sleeps. The wake-up that ends this state, and only that one, schedules it.
//!
//! Each transition is a read-modify-write of the one byte, so for each wake-up either the parker's
//! exchange comes later and fails (it looks again), or it came earlier and the waker finds `PARKED`.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::primitive::AtomicU8;

const RUNNING: u8 = 0;
const NOTIFIED: u8 = 1;
const PARKED: u8 = 2;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WakeState(AtomicU8);

impl WakeState {
    /// The state of one that has been scheduled for the first time.
    pub(crate) fn scheduled() -> Self {
        WakeState(AtomicU8::new(NOTIFIED))
    }

    /// Called by the owner before it sleeps; `false` if it was woken meanwhile and must look again.
    pub(crate) fn try_park(&self) -> bool {
        // Release publishes what the owner wrote before (its place in wait lists); acquire on either
        // side pairs with `wake`, so that what the waker did before is seen by the look that follows.
        match self.0.compare_exchange(RUNNING, PARKED, AcqRel, Acquire) {
            Ok(_) => true,
            Err(_) => {
                self.resumed();
                false
            }
        }
    }

    /// Called before the owner runs again: wake-ups from here on count as new.
    pub(crate) fn resumed(&self) {
        // A swap and not a store: it reads the latest wake-up and so acquires what came before it.
        self.0.swap(RUNNING, AcqRel);
    }

    /// Wakes the owner; `true` if the caller must schedule it.
    ///
    /// Must be an unconditional read-modify-write: a waker that skipped the write on finding
    /// `NOTIFIED` would not be ordered before the owner's next look.
    pub(crate) fn wake(&self) -> bool {
        self.0.swap(NOTIFIED, AcqRel) == PARKED
    }

    /// Whether the owner sleeps at this moment; for display.
    pub(crate) fn is_parked(&self) -> bool {
        self.0.load(Acquire) == PARKED
    }
}
