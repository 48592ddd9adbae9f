//! The actors of a worker that are ready, and the carriers that run them.
//!
//! All of them together have one place in the run queue. Those that have waited for a whole slice are given
//! away as a surplus, if another worker has nothing to do.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::inbox::ring;
use super::{Local, all};
use crate::SpawnError;
use crate::actor::cell::ActorCell;
use crate::actor::{self, carrier, surplus};
use crate::tasklet::core::Core;

/// A bit for each worker that has nothing to do.
pub(super) static IDLE: AtomicUsize = AtomicUsize::new(0);

/// Rings one worker that has nothing to do, if there is one; the others are rung by those who find
/// that there is more to do than they can take.
fn ring_an_idle_one() {
    let idle = IDLE.load(Ordering::SeqCst);
    for (id, worker) in all().iter().enumerate() {
        let bit = 1 << (id % usize::BITS as usize);
        if idle & bit != 0 && IDLE.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
            ring(&worker.bell);
            return;
        }
    }
}

impl Local {
    /// Puts an actor of this worker at the end of those that are ready.
    ///
    /// # Safety
    ///
    /// It has not ended, does not run, and is in no queue.
    pub(crate) unsafe fn queue_actor(&self, actor: NonNull<ActorCell>) {
        self.actors.borrow_mut().push_back(actor);
        self.actors_queued.set(self.actors_queued.get() + 1);
        if !self.actors_are_queued.replace(true) {
            self.ready.borrow_mut().push_back(None);
        }
    }

    /// Wakes an actor of this worker.
    #[inline]
    pub(super) fn wake_own_actor(&self, actor: &ActorCell) {
        if actor.residence.wake() {
            actor.program.activity.begin(Some(self.id));
            // SAFETY: it was parked, so it has not ended, does not run, and is in no queue.
            unsafe { self.queue_actor(actor.node()) };
        }
    }

    /// Passes a kill on to the carrier that runs a handler of the actor, if one does; and a stop, for which the
    /// handler may wait besides.
    #[cold]
    pub(super) fn interrupt(&self, actor: &ActorCell) {
        // SAFETY: this is its home's thread.
        if let Some(carrier) = unsafe { actor.carrier() } {
            if actor.flags() & actor::cell::KILLED != 0 {
                carrier.mark_killed();
            }
            self.wake_own(carrier);
        }
    }

    /// An actor has nothing to do any more.
    pub(crate) fn actor_idles(&self, actor: &ActorCell) {
        actor.program.activity.rest(self.id);
    }

    /// Runs the actors that are ready, until there is none, or others have waited for a slice.
    pub(crate) fn run_actors(&'static self, carrier: &Core) {
        loop {
            let next = self.actors.borrow_mut().pop_front();
            let Some(actor) = next else {
                if self.take_surplus() {
                    continue;
                }
                return;
            };
            self.actors_begun.set(self.actors_begun.get() + 1);
            // SAFETY: it is ready, so it lives.
            self.shared.activity.hold(unsafe { actor.as_ref() }.pid);
            // SAFETY: it is this worker's, and this is the carrier.
            unsafe { actor::run::run(self, carrier, actor) };
            if self.turns.get() > 0 && !self.ready.borrow().is_empty() {
                break;
            }
        }
    }

    /// Gives the actors that are ready their place among the tasklets, if they have none.
    #[inline]
    pub(super) fn queue_actors(&self) {
        if !self.actors.borrow().is_empty() && !self.actors_are_queued.replace(true) {
            self.ready.borrow_mut().push_back(None);
        }
    }

    /// Takes in actors that are ready and that others have no time for; `true` if there were any.
    pub(super) fn take_surplus(&self) -> bool {
        let taken = surplus::take();
        for actor in &taken {
            // SAFETY: it has been ready since it was given away, and only whoever runs it ends it.
            self.welcome(unsafe { actor.as_ref() });
        }
        if !surplus::is_empty() {
            ring_an_idle_one();
        }
        !taken.is_empty()
    }

    /// Gives actors away that have been ready for a whole slice, if another worker has nothing to do.
    pub(super) fn give_surplus(&self) {
        let have_waited = self.actors_begun.get() < self.slice_queued.get();
        if have_waited && IDLE.load(Ordering::Relaxed) != 0 {
            let given = surplus::give(&mut self.actors.borrow_mut());
            // They count as begun: the others come sooner by so many.
            self.actors_begun
                .set(self.actors_begun.get() + given as u64);
            if given > 0 {
                ring_an_idle_one();
            }
        }
    }

    /// Keeps a carrier that has nothing to do, and comes back when it has; `false` if it is to end.
    pub(crate) fn lay_by(&'static self, carrier: &Core) -> bool {
        let mut idle = self.idle_carriers.borrow_mut();
        if idle.len() >= carrier::KEPT {
            return false;
        }
        idle.push(NonNull::from(carrier));
        drop(idle);
        carrier.suspend(self);
        true
    }

    /// Sees to it that there is a carrier to be had when the one that runs now waits.
    pub(crate) fn reserve_carrier(&'static self) -> Result<(), SpawnError> {
        if self.idle_carriers.borrow().is_empty() {
            let made = carrier::make(self)?;
            self.idle_carriers.borrow_mut().push(made);
        }
        Ok(())
    }

    /// Gives the actors that are ready to a carrier.
    pub(super) fn resume_carrier(&'static self) {
        if self.actors.borrow().is_empty() {
            return;
        }
        let idle = self.idle_carriers.borrow_mut().pop();
        let carrier = match idle {
            Some(carrier) => carrier,
            None => match carrier::make(self) {
                Ok(carrier) => carrier,
                Err(_) => {
                    // The only ones there are have given way in a handler, and are ready: each waits
                    // only when there is another. The actors' turn comes again after theirs.
                    return;
                }
            },
        };
        self.resume(carrier);
    }

    /// Which bit of [`IDLE`] is this worker's. With more workers than bits some share one: then one of
    /// them may be rung in place of another, or in vain.
    pub(super) fn idle_bit(&self) -> usize {
        1 << (self.id % usize::BITS as usize)
    }
}
