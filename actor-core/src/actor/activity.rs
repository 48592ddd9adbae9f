//! Whether the actors of a program have work left.
//!
//! Each worker counts, for each program, what has begun and what has come to rest: an actor that has
//! become ready until it is idle again, and a wake-up on its way to another worker until it is there.
//! What is begun by something is begun before that rests. So whoever reads all that has come to rest
//! first, and all that has begun after, and finds as many, has found a moment in between at which
//! nothing went on: neither count ever falls, and the second was never behind the first.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Activity {
    /// One for each worker, and one for all other threads.
    counts: Box<[CachePadded<Counts>]>,
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    rested: AtomicU64,
}

impl Activity {
    pub(crate) fn new(workers: usize) -> Self {
        Activity {
            counts: (0..=workers).map(|_| CachePadded::default()).collect(),
        }
    }

    /// Something begins, on the thread of worker `on` or on another thread.
    #[inline]
    pub(crate) fn begin(&self, on: Option<usize>) {
        match on {
            Some(worker) => add(&self.counts[worker].begun),
            None => {
                let others = &self.counts[self.counts.len() - 1];
                others.begun.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Something comes to rest, on the thread of worker `on`.
    #[inline]
    pub(crate) fn rest(&self, on: usize) {
        add(&self.counts[on].rested);
    }

    /// Whether nothing goes on, of what the caller knows to have begun and of what came of that.
    pub(crate) fn is_over(&self) -> bool {
        let sum = |count: fn(&Counts) -> &AtomicU64| {
            let counts = self.counts.iter();
            counts.fold(0, |sum: u64, counts| {
                sum.wrapping_add(count(counts).load(Ordering::Acquire))
            })
        };
        let rested = sum(|counts| &counts.rested);
        rested == sum(|counts| &counts.begun)
    }
}

/// Adds one to a count that this thread alone writes. Release: whoever sees that something has come to
/// rest sees what it has begun.
fn add(count: &AtomicU64) {
    count.store(
        count.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Release,
    );
}
