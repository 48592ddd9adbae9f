//! Objects of the other side, and how much more each takes.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::LANES;

/// How much an object takes before it says that it takes more, in the measure of [`cost`].
pub(in super::super) const WINDOW: i64 = 1 << 20;

/// What a message of so many bytes counts for against the window of its receiver.
pub(in super::super) fn cost(bytes: usize) -> i64 {
    // It takes more room in a mailbox than on the way.
    bytes.max(64) as i64
}

/// An object of the other side, as frames name it, and how much more it takes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Twice the number, and one more if it is the other side's own number of a handle.
    pub(in super::super) object: u64,
    /// Changed and looked at under the outbox's lock, which orders it: relaxed operations do.
    pub(in super::super) credit: Arc<AtomicI64>,
}

impl Target {
    pub(in super::super) fn new(object: u64) -> Target {
        Target {
            object,
            credit: Arc::new(AtomicI64::new(WINDOW)),
        }
    }

    /// The object, as frames name it.
    pub(crate) fn object(&self) -> u64 {
        self.object
    }

    pub(super) fn lane(&self) -> usize {
        (self.object >> 1) as usize % LANES
    }
}
