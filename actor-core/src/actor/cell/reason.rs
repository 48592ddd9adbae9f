//! Why an actor ends, or has ended: the first that is said counts, and a code says most of them.

use std::sync::atomic::Ordering;

use super::{ActorCell, DOWN, ENDED};
use crate::contain::contain;
use crate::exit::ExitReason;

/// No [reason](ExitReason) has been given.
pub(super) const NO_REASON: u8 = 0;

impl ActorCell {
    /// Says why it is to end, unless that has been said.
    pub(super) fn suggest(&self, reason: &ExitReason) {
        let code = self.write_down(reason);
        // The first counts: a failure says that there is one.
        let _ = self
            .reason
            .compare_exchange(NO_REASON, code, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Why it is to end, if that has been said.
    pub(crate) fn reason(&self) -> Option<ExitReason> {
        Some(match self.reason.load(Ordering::SeqCst) {
            NO_REASON => return None,
            1 => ExitReason::Normal,
            2 => ExitReason::Stopped,
            3 => ExitReason::Shutdown,
            4 => ExitReason::Killed,
            5 => ExitReason::Unreachable,
            7 => ExitReason::NoConnection,
            _ => return self.extra().reason.lock().clone(),
        })
    }

    /// Why it, or its last life, has ended, if it has.
    pub(crate) fn reason_of_end(&self) -> Option<ExitReason> {
        if self.has(ENDED) {
            return Some(self.reason().unwrap_or(ExitReason::Normal));
        }
        // Without a reason it is about to begin another.
        self.has(DOWN).then(|| self.reason()).flatten()
    }

    pub(crate) fn set_reason(&self, reason: &ExitReason) {
        self.forget_reason();
        self.reason.store(self.write_down(reason), Ordering::SeqCst);
    }

    pub(super) fn forget_reason(&self) {
        if let Some(extra) = self.extra.get() {
            let reason = extra.reason.lock().take();
            // An error of the user's; and not under the lock.
            contain(|| drop(reason));
        }
    }

    /// The code of a reason; one that has more to it is put aside.
    fn write_down(&self, reason: &ExitReason) -> u8 {
        match reason {
            ExitReason::Normal => 1,
            ExitReason::Stopped => 2,
            ExitReason::Shutdown => 3,
            ExitReason::Killed => 4,
            ExitReason::Unreachable => 5,
            ExitReason::NoConnection => 7,
            ExitReason::Panicked(_) | ExitReason::Failed(_) => {
                // The first counts.
                self.extra()
                    .reason
                    .lock()
                    .get_or_insert_with(|| reason.clone());
                6
            }
        }
    }
}
