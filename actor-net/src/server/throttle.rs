//! Log lines that do not come faster than can be read.

use std::time::{Duration, Instant};

use actor_core::time;

/// How much time lies between two lines at least.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lets one event a second through, with the number of those before it.
#[derive(Debug, Default)]
pub struct Throttle {
    last: Option<Instant>,
    untold: u64,
}

impl Throttle {
    /// Nothing has happened yet.
    pub const fn new() -> Self {
        Throttle {
            last: None,
            untold: 0,
        }
    }

    /// Counts an event; gives how many there have been since the last line if the next is due.
    pub fn count(&mut self) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use actor_core::{Runtime, Tasklet};

    use super::*;

    #[test]
    fn one_a_second_tells_of_all_since_the_last() {
        let code = Runtime::builder().virtual_clock(true).dispatch(|| {
            let mut throttle = Throttle::default();
            assert_eq!(throttle.count(), Some(1));
            for _ in 0..9 {
                Tasklet::sleep(INTERVAL / 10);
                assert_eq!(throttle.count(), None);
            }
            Tasklet::sleep(INTERVAL / 10);
            assert_eq!(throttle.count(), Some(10));
            assert_eq!(throttle.count(), None);
        });
        assert_eq!(code, ExitCode::SUCCESS);
    }
}
