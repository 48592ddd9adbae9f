//! The hand-shake between a tasklet that parks and those that wake it.
//!
//! A wake-up carries no data: it says "look again". What it must not do is get lost between a
//! tasklet's last look and its sleep.
//!
//! On the tasklet's home thread there is no race: the tasklet, its driver and a waker that runs on the
//! same worker take turns, and a plain byte tells them apart.
//!
//! - `RUNNING`: runs, or is in the run queue. Nobody has woken it since it last looked.
//! - `NOTIFIED`: as before, but somebody has; it must look again before it parks.
//! - `PARKED`: sleeps, or has not run yet. The wake-up that ends this state queues it.
//! - `PAUSED`: has been taken out of the run queue, or gone out of it. Wake-ups pass it by: who puts it
//!   back has it look again, so none of them is lost.
//!
//! A waker on another thread does not touch that byte. It posts the tasklet to its home's inbox, where
//! the home wakes it, unless it is on the way there already, which one flag tells. The home takes the
//! flag down by a read-modify-write *before* it wakes the tasklet; so a waker that found the flag up
//! wrote what it has to show before the home's swap, in the order of that flag, and the look that
//! follows sees it.
//!
//! Read-modify-writes cost more than all the rest of a switch, and most wake-ups come from the same
//! worker: this way those need none.

use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use crate::primitive::{AtomicBool, AtomicU8};

const RUNNING: u8 = 0;
const NOTIFIED: u8 = 1;
const PARKED: u8 = 2;
const PAUSED: u8 = 3;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WakeState {
    /// Written on the home thread alone; others read it for display.
    state: AtomicU8,
    /// Whether it is in its home's inbox.
    posted: AtomicBool,
}

impl WakeState {
    /// Of a tasklet that has not run yet: the first wake-up starts it.
    pub(crate) fn new() -> Self {
        WakeState {
            state: AtomicU8::new(PARKED),
            posted: AtomicBool::new(false),
        }
    }

    /// Of one that counts as on its way to an inbox.
    pub(crate) fn posted() -> Self {
        WakeState {
            state: AtomicU8::new(PARKED),
            posted: AtomicBool::new(true),
        }
    }

    /// Before it sleeps; `false` if it was woken meanwhile and must look again. At home.
    #[inline]
    pub(crate) fn try_park(&self) -> bool {
        let quiet = self.state.load(Relaxed) == RUNNING;
        self.state
            .store(if quiet { PARKED } else { RUNNING }, Relaxed);
        quiet
    }

    /// Before it runs again: wake-ups from here on count as new. At home.
    #[inline]
    pub(crate) fn resumed(&self) {
        self.state.store(RUNNING, Relaxed);
    }

    /// Wakes it; `true` if the caller must queue it. At home.
    #[inline]
    pub(crate) fn wake_at_home(&self) -> bool {
        let state = self.state.load(Relaxed);
        if state != PAUSED {
            self.state.store(NOTIFIED, Relaxed);
        }
        state == PARKED
    }

    /// Has wake-ups pass it by from now on. At home, when it is in no queue, or leaves it.
    pub(crate) fn pause(&self) {
        self.state.store(PAUSED, Relaxed);
    }

    /// Ends the pause; `true` if there was one, and the caller must queue it. At home.
    pub(crate) fn resume_paused(&self) -> bool {
        let paused = self.is_paused();
        if paused {
            self.state.store(NOTIFIED, Relaxed);
        }
        paused
    }

    /// Whether it is out of the run queue at this moment; at home it is certain.
    pub(crate) fn is_paused(&self) -> bool {
        self.state.load(Relaxed) == PAUSED
    }

    /// `true` if the caller must post it to its home's inbox. From any thread but its home.
    pub(crate) fn post(&self) -> bool {
        // Release: what the waker did before is seen by the look that follows the home's swap. An
        // unconditional write: one that was skipped would not be in that order.
        !self.posted.swap(true, AcqRel)
    }

    /// The home has taken it out of its inbox, and wakes it next.
    pub(crate) fn taken_from_inbox(&self) {
        // Acquire pairs with every `post` before; a later one posts again.
        self.posted.swap(false, AcqRel);
    }

    /// Its home lets it go, and whoever takes it wakes it. At home, while it is ready and does not run.
    pub(crate) fn leave(&self) {
        self.state.store(PARKED, Relaxed);
    }

    /// Whether it sleeps at this moment; for display.
    #[inline]
    pub(crate) fn is_parked(&self) -> bool {
        self.state.load(Relaxed) == PARKED
    }
}
