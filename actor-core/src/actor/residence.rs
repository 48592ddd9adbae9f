//! Which worker an actor is with, and the hand-shake with those who wake it.
//!
//! As for tasklets (see [`wake`](crate::wake)), except that an actor may change its home, between two
//! runs. One flag says that it is on its way: to an inbox, or from one home to the next. Whoever raises
//! it is the only one to have the actor until the flag is taken down at its home, and so:
//!
//! - A home changes only under a raised flag: for the launch, which begins with it raised, and for a
//!   move, for which the old home raises it. So whoever raises it to deliver a wake-up finds a home
//!   that lasts until the delivery has been taken in.
//! - While it moves it is at home nowhere. Only the home's own thread takes it away, so a waker that
//!   finds itself at home is, for as long as it has not returned to its driver.
//! - Who finds the flag up has nothing more to do: the home takes it down by a read-modify-write before
//!   it has the actor look, so whatever was written before that attempt is seen by the look.

use std::sync::atomic::Ordering::Relaxed;

use crate::primitive::AtomicU32;
use crate::wake::WakeState;

/// No worker's number.
const NOWHERE: u32 = u32::MAX;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Residence {
    wake: WakeState,
    home: AtomicU32,
}

/// What is left to be done by one who wakes an actor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Knock {
    /// It is at home here: wake it.
    Here,
    /// Deliver it to this worker's inbox.
    Deliver(usize),
    /// Nothing: it is on its way, and will look when it has arrived.
    OnItsWay,
}

impl Residence {
    /// Of an actor on its way to its first home.
    pub(crate) fn new() -> Self {
        Residence {
            wake: WakeState::posted(),
            home: AtomicU32::new(NOWHERE),
        }
    }

    /// Its home, if it has one now.
    pub(crate) fn home(&self) -> Option<usize> {
        let home = self.home.load(Relaxed);
        (home != NOWHERE).then_some(home as usize)
    }

    /// Whether worker `id` is its home. For that worker this lasts until it gives the actor away.
    #[inline]
    pub(crate) fn is_home(&self, id: usize) -> bool {
        self.home.load(Relaxed) == id as u32
    }

    /// Somebody has something for it, on the thread of the worker `on`, or of none.
    #[inline]
    pub(crate) fn knock(&self, on: Option<usize>) -> Knock {
        if on.is_some_and(|id| self.is_home(id)) {
            Knock::Here
        } else if self.wake.post() {
            // Read after the flag went up, which it was down for: the home that took it down.
            Knock::Deliver(self.home.load(Relaxed) as usize)
        } else {
            Knock::OnItsWay
        }
    }

    /// Takes leave of its home; `false` if it is on its way already, and stays. On its home's thread,
    /// while it is ready and does not run.
    pub(crate) fn leave(&self) -> bool {
        if !self.wake.post() {
            return false;
        }
        self.wake.leave();
        self.home.store(NOWHERE, Relaxed);
        true
    }

    /// Makes `id` its home, if it has none; on that worker's thread, before it [arrives](Self::arrive)
    /// there.
    pub(crate) fn settle(&self, id: usize) {
        if self.home.load(Relaxed) == NOWHERE {
            self.home.store(id as u32, Relaxed);
        }
    }

    /// It has arrived, and is to be woken. At home.
    pub(crate) fn arrive(&self) {
        self.wake.taken_from_inbox();
    }

    /// Wakes it; `true` if it is to be queued. At home.
    #[inline]
    pub(crate) fn wake(&self) -> bool {
        self.wake.wake_at_home()
    }

    /// Before it runs. At home.
    pub(crate) fn begin_run(&self) {
        self.wake.resumed();
    }

    /// Before it idles; `false` if it was woken meanwhile, and must look again. At home.
    pub(crate) fn try_idle(&self) -> bool {
        self.wake.try_park()
    }
}
