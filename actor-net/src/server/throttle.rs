//! Log lines that do not come faster than can be read.

use std::time::{Duration, Instant};

use actor_core::time;

/// How much time lies between two lines at least.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lets one event a second through, with the number of those before it.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    last: Option<Instant>,
    untold: u64,
}

impl Throttle {
    /// Counts an event; gives how many there have been since the last line if the next is due.
    pub(super) fn count(&mut self) -> Option<u64> {
        self.untold += 1;
        let now = time::now();
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < INTERVAL)
        {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}
