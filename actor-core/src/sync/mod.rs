//! Locks that block the tasklet and not the thread.
//!
//! [`Mutex`], [`Condvar`], [`Event`] and [`Semaphore`] may be used by tasklets of all workers and by
//! plain threads, at the same time and on the same lock. Whoever has to wait lets its worker's other
//! tasklets run meanwhile; a plain thread sleeps. Those who wait are served first come, first served,
//! and nobody overtakes them.
//!
//! Each operation that waits can be given a limit of its own (`.._timeout`), ends when the deadline of
//! a [`timeout`](crate::timeout()) block around it has passed, and can be [killed](crate::Tasklet::kill).
//! Whatever was granted to a waiter that is killed or timed out at the same moment goes on to the next
//! one: no lock stays locked, no permit and no notification is lost.
//!
//! # No poisoning
//!
//! A [`MutexGuard`] that is dropped because its tasklet panics, is killed, or leaves a `timeout` block
//! unlocks as any other does. What it guarded stays as it was left: where an update takes several
//! steps and an operation that waits (which is where kills and timeouts strike) or may panic lies
//! between them, the next one to lock may find it half done. Compute first, and change the value at
//! the end without waiting in between; or put it back in order by a guard of your own. `std`'s mutex
//! would be marked as poisoned instead, which tells the others, but repairs nothing.
//!
//! # The locks of `std`
//!
//! They are fine to use as long as nothing that waits happens while they are held; for short critical
//! sections they are even the better choice. Held across an operation that waits (a sleep, a receive,
//! a call, a socket, a lock of this module), they do harm, because they belong to threads, and a
//! worker's tasklets share one:
//!
//! - `std::sync::{Mutex, RwLock}`, and the initialisers of `OnceLock` and `LazyLock`: another tasklet
//!   that wants it blocks its whole worker. If that is the worker of the one who holds it, that one
//!   never runs again: a deadlock.
//! - `std::sync::{Condvar, Barrier}`, `std::sync::mpsc` and `JoinHandle::join` of a thread always
//!   block the whole worker. Use this crate's, or [`block_on_thread`](crate::block_on_thread).
//! - `std::io::StdoutLock` and its like are re-entrant by thread: another tasklet of the same worker
//!   does not wait for it but *enters*, and the lines of both get mixed.
//!
//! # While a tasklet unwinds
//!
//! While a tasklet panics or is killed, none of its operations waits. So in a destructor `lock()` on a
//! mutex that another holds, and likewise every other operation here that has no error to return,
//! **panics, and a panic in a destructor that runs because of an unwinding ends the process**. A
//! destructor uses what does not wait: `try_lock`, `try_acquire`; or what can say that it did not
//! succeed: `lock_timeout`, `acquire_timeout` and `wait_timeout` do not wait then, and report at once
//! that time is up. Unlocking, notifying, setting and giving back never wait.
//!
//! The same holds for code that runs on a worker outside any tasklet.

mod condvar;
mod event;
mod mutex;
pub(crate) mod permits;
mod semaphore;

use std::time::{Duration, Instant};

pub use condvar::Condvar;
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use semaphore::{Permit, Semaphore};

use crate::block::{self, Interrupt, Wait, Waiting};
use crate::{TimedOut, time};
use permits::{Permits, Refusal};

/// Takes permits that are never closed: the whole of a blocking operation.
fn acquire(
    permits: &Permits,
    wanted: usize,
    what: Waiting,
    deadline: Option<Instant>,
) -> Result<(), Interrupt> {
    block::enter()?;
    permits
        .acquire(wanted, Wait::new(what, deadline))
        .map_err(|refusal| match refusal {
            Refusal::Interrupted(interrupt) => interrupt,
            Refusal::Closed => unreachable!("nobody closes the permits of a lock"),
        })
}

/// As [`acquire`], where the operation returns [`TimedOut`].
///
/// That also stands for not being able to wait at all: destructors that run while their tasklet
/// unwinds get no worse than a lock that cannot be had.
fn acquire_timeout(
    permits: &Permits,
    wanted: usize,
    what: Waiting,
    limit: Duration,
) -> Result<(), TimedOut> {
    acquire(permits, wanted, what, time::after(limit)).map_err(|_| TimedOut)
}

/// Takes permits if they are to be had at once.
fn try_acquire(permits: &Permits, wanted: usize) -> bool {
    block::touch();
    matches!(permits.try_acquire(wanted), Ok(true))
}
