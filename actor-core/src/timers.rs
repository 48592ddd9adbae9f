//! A worker's timers, in the order in which they are due.
//!
//! Ordered by deadline, then by the order in which they were set: equal deadlines fire first come,
//! first served. A map and not a heap, because most timers are timeouts that are taken back.

use std::collections::BTreeMap;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::tasklet::core::Core;
use crate::{time, worker};

/// What a timer does when it is due.
pub(crate) enum Action {
    /// Wakes the tasklet, which sees by itself that its time has come. It takes the timer back when its
    /// wait is over, so the pointer is good for as long as the action is in the map.
    Wake(NonNull<Core>),
    /// Runs on the worker, outside any tasklet.
    Run(Run),
}

/// Names a timer that has been set.
pub(crate) type Key = (Instant, u64);

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Timers {
    waiting: BTreeMap<Key, Action>,
    set: u64,
}

impl Timers {
    pub(crate) fn insert(&mut self, at: Instant, action: Action) -> Key {
        self.set += 1;
        let key = (at, self.set);
        self.waiting.insert(key, action);
        key
    }

    /// Takes a timer back; does nothing if it has fired.
    pub(crate) fn remove(&mut self, key: Key) {
        self.waiting.remove(&key);
    }

    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first timer out if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Action> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Something that will happen later; see [`Recipient::send_after`](crate::Recipient::send_after).
///
/// Dropping it changes nothing: the timer fires. [`cancel`](Timer::cancel) takes it back.
#[derive(Clone)]
pub struct Timer {
    /// Until it has fired or been cancelled.
    action: Arc<Mutex<Option<Run>>>,
}

type Run = Box<dyn FnOnce() + Send>;

impl Timer {
    /// Runs `action` on a worker after `wait`; it must not block.
    pub(crate) fn start(wait: Duration, action: impl FnOnce() + Send + 'static) -> Timer {
        let timer = Timer {
            action: Arc::new(Mutex::new(Some(Box::new(action)))),
        };
        let Some(at) = time::after(wait) else {
            return timer;
        };
        let fired = timer.clone();
        let set = move |local: &worker::Local| {
            let fire = move || {
                let action = fired.action.lock().take();
                if let Some(action) = action {
                    action();
                }
            };
            local.timers().insert(at, Action::Run(Box::new(fire)));
        };
        worker::on_some_worker(set);
        timer
    }

    /// Takes the timer back and drops what it would have done; `false` if it was too late.
    pub fn cancel(&self) -> bool {
        let action = self.action.lock().take();
        action.is_some()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("pending", &self.action.lock().is_some())
            .finish()
    }
}
