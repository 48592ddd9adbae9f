//! Which signals are blocked in which threads.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use crate::worker;

/// The signals that are blocked in the workers, a bit for each number.
static BLOCKED: AtomicU64 = AtomicU64::new(bit(SIGINT) | bit(SIGTERM) | bit(SIGUSR1));

/// Those of them that were blocked before the runtime started: not its business.
static BLOCKED_BEFORE: AtomicU64 = AtomicU64::new(0);

/// The largest number of a signal that there is a bit for: all of Linux's.
pub(super) const MAX: libc::c_int = 64;

pub(super) const fn bit(signal: libc::c_int) -> u64 {
    1 << (signal - 1)
}

/// Blocks one more signal in the workers, those included that are still to start.
pub(super) fn block_in_workers(signal: libc::c_int) {
    let before = BLOCKED.fetch_or(bit(signal), Ordering::SeqCst);
    if before & bit(signal) != 0 {
        return;
    }
    for id in 0..worker::all().len() {
        // For good: a guard that is never dropped.
        worker::post(id, |_| std::mem::forget(Blocked::new()));
    }
}

/// Changes the mask of this thread by these signals; gives the one before.
fn change_mask(how: libc::c_int, signals: u64) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set, the others change it, and `pthread_sigmask`
    // fills in what was there. With valid pointers and signals none of them can fail.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in (1..=MAX).filter(|&signal| signals & bit(signal) != 0) {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(how, set.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

fn restore_mask(before: &libc::sigset_t) {
    // SAFETY: puts back a mask that the kernel has given us.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}

/// Blocks the signals in this thread, and so in those that it starts, until dropped.
pub(crate) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    pub(crate) fn new() -> Self {
        Blocked {
            before: change_mask(libc::SIG_BLOCK, BLOCKED.load(Ordering::SeqCst)),
        }
    }

    /// As `new`, in the thread that starts the runtime. What it had blocked itself stays blocked in the
    /// programs that are started.
    pub(crate) fn at_start() -> Self {
        let blocked = Blocked::new();
        // SAFETY: the set is an initialised one.
        let had =
            |&signal: &libc::c_int| unsafe { libc::sigismember(&blocked.before, signal) == 1 };
        let before = (1..=MAX).filter(had).map(bit).sum();
        BLOCKED_BEFORE.store(before, Ordering::SeqCst);
        blocked
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        restore_mask(&self.before);
    }
}

/// Lets signals into this thread, which must be none of the workers, and so into the programs that it
/// starts, until dropped.
#[derive(Debug)]
pub struct Unblocked {
    before: Mask,
    not_send: PhantomData<*const ()>,
}

struct Mask(libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Unblocked {
    #[allow(clippy::new_without_default)] // what it does to the thread should be seen
    #[allow(missing_docs)]
    pub fn new() -> Self {
        let ours = BLOCKED.load(Ordering::SeqCst) & !BLOCKED_BEFORE.load(Ordering::SeqCst);
        Unblocked {
            before: Mask(change_mask(libc::SIG_UNBLOCK, ours)),
            not_send: PhantomData,
        }
    }
}

impl Drop for Unblocked {
    fn drop(&mut self) {
        restore_mask(&self.before.0);
    }
}
