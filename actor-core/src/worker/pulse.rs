//! The pulse of a worker, by which others see whether anything is run there, and who holds it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Shared;
use crate::Pid;

/// What a worker does, as others may see it. Written by its own thread alone.
#[derive(Debug, Default)]
pub(super) struct Beats {
    /// Goes on with everything that is run here, and with every turn.
    count: AtomicU64,
    /// The tasklet or actor that runs; 0 for the driver.
    pub(super) holder: AtomicU64,
}

impl Beats {
    #[inline]
    pub(super) fn beat(&self) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count.wrapping_add(1), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn hold(&self, holder: Pid) {
        self.holder.store(holder.0, Ordering::Relaxed);
        self.beat();
    }

    #[inline]
    pub(super) fn release(&self) {
        self.holder.store(0, Ordering::Relaxed);
    }
}

/// A moment in what a worker does: as long as it does not change, nothing else is run there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pulse {
    beats: u64,
    /// Who runs; nobody, while the driver does, or waits for work.
    pub(crate) holder: Option<Pid>,
}

impl Shared {
    /// Not to be trusted to the last beat: compare two, some time apart.
    pub(crate) fn pulse(&self) -> Pulse {
        let holder = self.activity.holder.load(Ordering::Relaxed);
        Pulse {
            beats: self.activity.count.load(Ordering::Relaxed),
            holder: (holder != 0).then_some(Pid(holder)),
        }
    }
}
