//! What is dropped is counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count of events since the process began.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, events: u64) {
        self.0.fetch_add(events, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) static LATE_REPLIES: Counter = Counter::new();
pub(crate) static SKIPPED_CALLS: Counter = Counter::new();
pub(crate) static UNMATCHED: Counter = Counter::new();
pub(crate) static OVERFLOWED: Counter = Counter::new();
pub(crate) static UNDELIVERED: Counter = Counter::new();

/// How many messages have come to nothing, by the reason; see [`dropped`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Answers whose caller had given up.
    pub late_replies: u64,
    /// Calls that were not served because their caller had given up first.
    pub skipped_calls: u64,
    /// Messages that no arm of a receive loop took.
    pub unmatched: u64,
    /// Messages that a full mailbox dropped by its policy.
    pub overflowed: u64,
    /// Messages that were left in a mailbox when its owner ended.
    pub undelivered: u64,
}

/// Reads the counts of messages that have come to nothing, of the whole process so far.
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{Message, Tasklet, dispatch, dropped};
/// #[derive(Message)]
/// struct Unread;
///
/// # fn main() {
/// let before = dropped();
/// dispatch(|| {
///     Tasklet::current().send(Unread).unwrap();
/// });
/// assert_eq!(dropped().undelivered, before.undelivered + 1);
/// # }
/// ```
pub fn dropped() -> Dropped {
    Dropped {
        late_replies: LATE_REPLIES.read(),
        skipped_calls: SKIPPED_CALLS.read(),
        unmatched: UNMATCHED.read(),
        overflowed: OVERFLOWED.read(),
        undelivered: UNDELIVERED.read(),
    }
}
