//! The clock that timers, sleeps and deadlines go by.
//!
//! It is the system's monotonic clock, or, where the runtime was built with
//! [`virtual_clock`](crate::RuntimeBuilder::virtual_clock), one that stands still while there is work
//! and jumps to the next timer when there is none. Code that asks [`now`] instead of
//! [`Instant::now`] can be tested without waiting.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Where the virtual clock starts; unset on the real one.
static VIRTUAL_START: OnceLock<Instant> = OnceLock::new();
/// How far the virtual clock has come, in nanoseconds. Moved by the only worker alone.
static VIRTUAL_ELAPSED: AtomicU64 = AtomicU64::new(0);

/// The present moment.
///
/// ```
/// use std::time::Duration;
/// let before = actor_core::time::now();
/// actor_core::Tasklet::sleep(Duration::from_millis(1));
/// assert!(actor_core::time::now() - before >= Duration::from_millis(1));
/// ```
pub fn now() -> Instant {
    match VIRTUAL_START.get() {
        None => Instant::now(),
        Some(start) => *start + Duration::from_nanos(VIRTUAL_ELAPSED.load(Relaxed)),
    }
}

/// The moment `wait` from now; `None` if that is further off than the clock can tell, which is never.
pub(crate) fn after(wait: Duration) -> Option<Instant> {
    now().checked_add(wait)
}

/// Stops the real clock.
pub(crate) fn go_virtual() {
    VIRTUAL_START.get_or_init(Instant::now);
}

pub(crate) fn is_virtual() -> bool {
    VIRTUAL_START.get().is_some()
}

/// Moves the virtual clock forward to `moment`.
pub(crate) fn jump_to(moment: Instant) {
    let start = VIRTUAL_START.get().expect("the clock is virtual");
    let elapsed = moment.saturating_duration_since(*start).as_nanos();
    VIRTUAL_ELAPSED.fetch_max(u64::try_from(elapsed).unwrap_or(u64::MAX), Relaxed);
}
