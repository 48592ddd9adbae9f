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
use crate::{runtime, time, worker};

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
    state: Arc<Mutex<State>>,
}

struct State {
    /// Until it has fired or been cancelled.
    action: Option<Deed>,
    /// The worker that has it in its map, once that is so.
    place: Option<(usize, Key)>,
}

type Run = Box<dyn FnOnce() + Send>;

/// What a [`Timer`] does.
enum Deed {
    Once(Run),
    /// Again and again, with this period; until it says `false`.
    Every(Duration, Box<dyn FnMut() -> bool + Send>),
}

impl Timer {
    /// Runs `action` on a worker after `wait`; it must not block. What it spawns belongs to the
    /// caller's program.
    ///
    /// # Panics
    ///
    /// If the runtime has never been started.
    pub(crate) fn start(wait: Duration, action: impl FnOnce() + Send + 'static) -> Timer {
        let program = runtime::program();
        let action = move || {
            let _program = program.map(runtime::enter_program);
            action();
        };
        Timer::with(Deed::Once(Box::new(action)), wait)
    }

    /// Runs `action` on a worker every `period`, the first time after one, until it says `false`; it
    /// must not block.
    ///
    /// Each run is due at a multiple of the period since the start; those that have been missed are left
    /// out.
    ///
    /// # Panics
    ///
    /// If the runtime has never been started, and if `period` is zero.
    pub(crate) fn repeat(
        period: Duration,
        mut action: impl FnMut() -> bool + Send + 'static,
    ) -> Timer {
        assert!(!period.is_zero(), "a timer needs a period");
        let program = runtime::program();
        let action = move || {
            let _program = program.clone().map(runtime::enter_program);
            action()
        };
        Timer::with(Deed::Every(period, Box::new(action)), period)
    }

    fn with(action: Deed, wait: Duration) -> Timer {
        let timer = Timer {
            state: Arc::new(Mutex::new(State {
                action: Some(action),
                place: None,
            })),
        };
        if let Some(at) = time::after(wait) {
            let timer = timer.clone();
            worker::on_some_worker(move |local| timer.set(local, at));
        }
        timer
    }

    /// Puts it into the worker's map, unless it has been cancelled meanwhile.
    fn set(self, local: &worker::Local, at: Instant) {
        let timer = self.clone();
        let mut state = self.state.lock();
        if state.action.is_some() {
            let fire = move || timer.fire(at);
            let key = local.timers().insert(at, Action::Run(Box::new(fire)));
            state.place = Some((local.id, key));
        }
    }

    /// Its moment, `at`, has come.
    fn fire(self, at: Instant) {
        let taken = {
            let mut state = self.state.lock();
            state.place = None;
            match state.action.take() {
                Some(Deed::Every(period, action)) => {
                    // A cancellation that comes meanwhile finds that it is there.
                    state.action = Some(Deed::Every(period, Box::new(|| false)));
                    Some(Deed::Every(period, action))
                }
                once => once,
            }
        };
        match taken {
            None => {}
            Some(Deed::Once(action)) => action(),
            Some(Deed::Every(period, mut action)) => {
                let again = action();
                let mut state = self.state.lock();
                // Cancelled meanwhile, if there is nothing.
                if state.action.take().is_none() || !again {
                    return;
                }
                state.action = Some(Deed::Every(period, action));
                drop(state);
                let late = time::now().saturating_duration_since(at).as_nanos();
                let missed = late / period.as_nanos();
                let beats = u32::try_from(missed + 1).unwrap_or(u32::MAX);
                let next = period
                    .checked_mul(beats)
                    .and_then(|wait| at.checked_add(wait));
                if let Some(next) = next {
                    worker::on_some_worker(move |local| self.set(local, next));
                }
            }
        }
    }

    /// Whether it is over: it has fired or been cancelled.
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().action.is_none()
    }

    /// Takes the timer back and drops what it would have done; `false` if it was too late.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// # use std::time::Duration;
    /// #[derive(Message)]
    /// struct Remind;
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let me = Tasklet::current().recipient::<Remind>();
    ///     let timer = me.send_after(Remind, Duration::from_secs(60));
    ///     assert!(timer.cancel());
    ///     assert!(!timer.cancel());
    /// });
    /// # }
    /// ```
    pub fn cancel(&self) -> bool {
        let mut state = self.state.lock();
        let action = state.action.take();
        let place = state.place.take();
        // Not under the lock: the message that is dropped here is the user's.
        drop(state);
        let Some(action) = action else { return false };
        if let Some((worker, key)) = place {
            worker::on_worker(worker, move |local| local.timers().remove(key));
        }
        drop(action);
        true
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("pending", &self.state.lock().action.is_some())
            .finish()
    }
}
