//! Which threads there are.
//!
//! A thread that is none of the runtime's can do anything at any time, so as long as there is one,
//! nobody can say that nothing will happen any more.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{pool, worker};

/// The runtime's own, without its workers, those of the pool, and the callers of `dispatch`.
static HELPERS: AtomicUsize = AtomicUsize::new(0);

/// A thread has been started that never ends, and begins nothing but in answer to the system.
pub(crate) fn count_helper() {
    HELPERS.fetch_add(1, Ordering::Relaxed);
}

/// Whether the process has no threads but the runtime's, and the one caller of `dispatch`, who waits.
/// It is not, if the system does not tell.
pub(crate) fn are_all_ours() -> bool {
    let ours = worker::all().len() + HELPERS.load(Ordering::Relaxed) + pool::threads() + 1;
    let all = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    all.is_ok_and(|all| all == ours)
}
