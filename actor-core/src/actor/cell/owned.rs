//! What an actor's handlers leave with it until its end: tasklet-locals, the tasklets that they have spawned, and timers.

use std::cell::RefCell;
use std::mem;
use std::sync::{Arc, Weak};

use super::{ActorCell, PINNED};
use crate::Timer;
use crate::actor::run;
use crate::contain::contain;
use crate::tasklet::core::Core;
use crate::tasklet::local::Locals;

impl ActorCell {
    /// Its tasklet-locals. For its carrier.
    pub(crate) fn locals(&self) -> &RefCell<Locals> {
        self.raise(PINNED);
        &self.extra().locals
    }

    /// Drops its tasklet-locals. For its carrier.
    pub(crate) fn clear_locals(&self, guard: impl Fn(&dyn Fn())) {
        if let Some(extra) = self.extra.get() {
            Locals::clear(&extra.locals, guard);
        }
    }

    /// Ends now what handlers leave with it until its end: its tasklet-locals; and the tasklets that they have spawned
    /// are not asked to stop any more. For its carrier.
    #[inline]
    pub(crate) fn let_go(&self) {
        if let Some(extra) = self.extra.get() {
            extra.children.lock().clear();
            Locals::clear(&extra.locals, run::guard(self));
        }
    }

    /// Takes in a tasklet that a handler has spawned.
    pub(crate) fn adopt(&self, child: &Arc<Core>) {
        let mut children = self.extra().children.lock();
        if children.len() == children.capacity() {
            children.retain(|child| child.upgrade().is_some_and(|child| !child.has_ended()));
        }
        children.push(Arc::downgrade(child));
    }

    /// Takes a timer in, to be cancelled at its end.
    pub(crate) fn own(&self, timer: &Timer) {
        let mut timers = self.extra().timers.lock();
        if timers.len() == timers.capacity() {
            timers.retain(|timer| !timer.is_over());
        }
        timers.push(timer.clone());
    }

    /// Cancels the timers that send to it.
    pub(crate) fn cancel_timers(&self) {
        if let Some(extra) = self.extra.get() {
            let timers = mem::take(&mut *extra.timers.lock());
            for timer in timers {
                // With a message of the user's.
                contain(|| timer.cancel());
            }
        }
    }

    /// Asks the tasklets to stop that its handlers have spawned.
    pub(crate) fn stop_children(&self) {
        let Some(extra) = self.extra.get() else {
            return;
        };
        let children = mem::take(&mut *extra.children.lock());
        for child in children.iter().filter_map(Weak::upgrade) {
            child.stop();
        }
    }
}
