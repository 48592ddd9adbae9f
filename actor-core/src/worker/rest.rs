//! When nothing can happen any more.
//!
//! A worker that has nothing to do, and neither a timer nor a descriptor that could give it something,
//! lies down before it waits, and counts each time that it gets up. The last one to lie down finds all
//! others lying. To be sure that they do so at one and the same moment it looks twice: whoever lay at
//! both looks, and has not got up in between, lay at all moments between them.
//!
//! While all lie, only something outside of the workers can begin anything: a message on its way,
//! which is in somebody's inbox; a thread of the pool; or a thread that is none of the runtime's, of
//! which nobody knows what it is going to do. If there is none of these, whoever waits waits for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Local, all};
use crate::actor::surplus;
use crate::runtime::program::Program;
use crate::runtime::{signals, threads};
use crate::{pool, recursion, worker};

/// After what time a worker that waits in vain looks again whether other threads have ended, or come to rest.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Whether a worker lies, and how often it has got up.
#[derive(Debug, Default)]
pub(super) struct Rest(AtomicU64);

const LYING: u64 = 1;

impl Local {
    /// Before a wait that may be without end.
    pub(super) fn lie_down(&self) {
        if self.timers.borrow().earliest().is_some() || !self.sources.borrow().is_empty() {
            return;
        }
        self.shared.rest.0.fetch_or(LYING, Ordering::SeqCst);
        self.look_for_deadlock();
    }

    /// After it, or before something is done.
    pub(super) fn get_up(&self) {
        let rest = &self.shared.rest.0;
        let lying = rest.load(Ordering::Relaxed);
        if lying & LYING != 0 {
            rest.store(lying + 1, Ordering::SeqCst);
        }
    }

    fn look_for_deadlock(&self) {
        let Some(before) = lying() else { return };
        let Some(program) = Program::sole() else {
            return;
        };
        let Some(main) = program.main_core().map(recursion::innermost) else {
            return;
        };
        // Its worker has written this before it lay down.
        if program.is_shutting_down()
            || !main.is_blocked()
            || !main.waits_for().can_end_in_deadlock()
        {
            return;
        }
        // One at a time: the second one sees what the first one has begun.
        static LOOKING: Mutex<()> = Mutex::new(());
        let _looking = LOOKING.lock();
        // Neither threads tell anybody when they have come to their end; and whoever has subscribed to
        // signals waits for what comes from outside.
        if signals::anybody_subscribed() || !threads::are_all_ours() || pool::is_busy() {
            self.arm_timer_for(Instant::now() + LOOK_AGAIN);
            return;
        }
        // A thread of the pool delivers its result first, and counts itself out then; so what it has
        // delivered is found by the look that follows.
        if !surplus::is_empty() || lying() != Some(before) {
            return;
        }
        // Nothing that runs here is on the way any more. This worker counts as having got up, so that
        // nobody who has looked before finds the same; but it goes on to wait, and so lies.
        self.shared.rest.0.fetch_add(2 * LYING, Ordering::SeqCst);
        worker::post(main.home, move |local| {
            // The one thing of ours that begins something by itself is a signal, which says so first.
            if !program.is_shutting_down() {
                main.declare_deadlock(local);
            }
        });
    }
}

/// How often each worker has got up, if all lie and nothing has been sent to them.
fn lying() -> Option<Vec<u64>> {
    let look = |worker: &super::Shared| {
        let rest = worker.rest.0.load(Ordering::SeqCst);
        (rest & LYING != 0 && worker.inbox.is_idle()).then_some(rest)
    };
    all().iter().map(|worker| look(worker)).collect()
}
