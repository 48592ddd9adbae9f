//! Whoever waits: a tasklet or a plain thread.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::tasklet::core::Core;
use crate::{time, worker};

/// The means to wake one that waits. A wake-up says "look again"; there may be any number of them.
#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    Tasklet(Arc<Core>),
    Thread(Arc<ThreadParker>),
    /// One in another process, to whom somebody passes on what comes.
    #[cfg(feature = "remote")]
    Relay(Arc<dyn Relay>),
}

/// Passes on an answer that has come.
#[cfg(feature = "remote")]
pub(crate) trait Relay: std::fmt::Debug + Send + Sync {
    /// The answer is there. On the stack of whoever has answered; it must not wait.
    fn pass_on(&self);
}

impl Waiter {
    pub(crate) fn wake(&self) {
        match self {
            Waiter::Tasklet(core) => worker::wake(core),
            Waiter::Thread(parker) => parker.wake(),
            #[cfg(feature = "remote")]
            Waiter::Relay(relay) => relay.pass_on(),
        }
    }
}

/// Lets a plain thread sleep until it is woken.
#[derive(Debug, Default)]
pub(crate) struct ThreadParker {
    woken: Mutex<bool>,
    changed: Condvar,
}

thread_local! {
    static PARKER: OnceCell<Arc<ThreadParker>> = const { OnceCell::new() };
}

impl ThreadParker {
    /// This thread's. Not `std::thread::park`, whose token belongs to the thread's own code.
    pub(crate) fn current() -> Arc<ThreadParker> {
        // A destructor of another thread-local may come here after ours has run; a fresh parker
        // serves as well, since whoever waits hands out the one it waits on.
        PARKER
            .try_with(|parker| parker.get_or_init(Arc::default).clone())
            .unwrap_or_default()
    }

    /// Whether it has been woken since its last return.
    #[cfg(loom)]
    pub(crate) fn is_woken(&self) -> bool {
        *self.woken.lock()
    }

    pub(crate) fn wake(&self) {
        *self.woken.lock() = true;
        self.changed.notify_one();
    }

    /// Returns after a wake-up since the last return, or at `deadline`.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        let mut woken = self.woken.lock();
        while !*woken {
            match deadline {
                None => self.changed.wait(&mut woken),
                Some(at) => {
                    let wait = at.saturating_duration_since(time::now());
                    if wait.is_zero() || self.changed.wait_for(&mut woken, wait).timed_out() {
                        break;
                    }
                }
            }
        }
        *woken = false;
    }
}
