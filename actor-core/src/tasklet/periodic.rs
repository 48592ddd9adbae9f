//! Tasklets that do something later, or again and again.
//!
//! They end when they are asked to stop, also in the middle of a pause.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use super::Tasklet;
use super::builder::TaskletBuilder;
use super::join::JoinHandle;
use crate::block::{self, Interrupt, Wait, Waiting};
use crate::runtime::panics;
use crate::{Panic, time};

/// How long [`Tasklet::repeat`] pauses after a panic.
pub const REPEAT_PAUSE: Duration = Duration::from_secs(1);

impl Tasklet {
    /// Spawns a tasklet that runs `f` once, `wait` from now.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let (tell, told) = std::sync::mpsc::channel();
    ///     Tasklet::later(Duration::from_millis(1), move || tell.send("now").unwrap()).join().unwrap();
    ///     assert_eq!(told.recv(), Ok("now"));
    /// });
    /// ```
    pub fn later<F>(wait: Duration, f: F) -> JoinHandle<()>
    where
        F: FnOnce() + Send + 'static,
    {
        let at = time::after(wait);
        spawn::<F>(move || {
            if pause_until(at) {
                f();
            }
        })
    }

    /// Spawns a tasklet that runs `f` again and again, with a pause of `pause` before each run. The
    /// time that `f` takes comes on top; for a steady beat use [`rate`](Self::rate).
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    /// use std::time::Duration;
    ///
    /// dispatch(|| {
    ///     let (tick, ticks) = std::sync::mpsc::channel();
    ///     let ticker = Tasklet::interval(Duration::from_millis(1), move || tick.send(()).unwrap());
    ///     while ticks.try_iter().count() == 0 {
    ///         Tasklet::yield_now();
    ///     }
    ///     ticker.stop();
    ///     ticker.join().unwrap();
    /// });
    /// ```
    pub fn interval<F>(pause: Duration, mut f: F) -> JoinHandle<()>
    where
        F: FnMut() + Send + 'static,
    {
        spawn::<F>(move || {
            while pause_until(time::after(pause)) {
                f();
            }
        })
    }

    /// Spawns a tasklet that runs `f` steadily `per_second` times a second, the first time at once.
    ///
    /// Each run is due at a multiple of the period since the start, so that delays do not add up.
    /// Runs that have been missed because `f` took too long are left out, not made up for.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let (tell, told) = std::sync::mpsc::channel();
    ///     let frames = Tasklet::rate(1000.0, move || drop(tell.send(())));
    ///     while told.try_iter().count() == 0 {
    ///         Tasklet::sleep(Duration::from_millis(1));
    ///     }
    ///     frames.stop();
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If `per_second` is not a positive, finite number.
    pub fn rate<F>(per_second: f64, mut f: F) -> JoinHandle<()>
    where
        F: FnMut() + Send + 'static,
    {
        assert!(
            per_second.is_finite() && per_second > 0.0,
            "a rate must be positive and finite, not {per_second}"
        );
        spawn::<F>(move || {
            let start = time::now();
            let mut due = Some(start);
            let mut beat: u64 = 0;
            while pause_until(due) {
                f();
                let elapsed = time::now().saturating_duration_since(start).as_secs_f64();
                // The next beat that is not past.
                beat = (beat + 1).max((elapsed * per_second).ceil() as u64);
                due = Duration::try_from_secs_f64(beat as f64 / per_second)
                    .ok()
                    .and_then(|offset| start.checked_add(offset));
            }
        })
    }

    /// Spawns a tasklet that runs `f`, and again when it returns; after a panic, which is logged, with
    /// a pause of [`REPEAT_PAUSE`]. It ends when it is asked to stop or killed.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let (tell, told) = std::sync::mpsc::channel();
    ///     let worker = Tasklet::repeat(move || drop(tell.send("a round")));
    ///     Tasklet::yield_now();
    ///     worker.stop();
    ///     assert_eq!(told.recv(), Ok("a round"));
    /// });
    /// ```
    pub fn repeat<F>(mut f: F) -> JoinHandle<()>
    where
        F: FnMut() + Send + 'static,
    {
        spawn::<F>(move || {
            while !Tasklet::is_stopping() {
                match catch_unwind(AssertUnwindSafe(&mut f)) {
                    // So that one that never waits does not keep its worker to itself.
                    Ok(()) => Tasklet::yield_now(),
                    Err(payload) if block::is_passing(&*payload) => resume_unwind(payload),
                    Err(payload) => {
                        let place = panics::take_place(&*payload);
                        let panic = Panic::new(payload, place);
                        let name = Tasklet::current().name().to_owned();
                        tracing::error!(tasklet = name, %panic, "runs again after a pause");
                        pause_until(time::after(REPEAT_PAUSE));
                    }
                }
            }
        })
    }
}

/// Spawns `run` under the name of the user's function `F`.
fn spawn<F>(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    TaskletBuilder::named_after(type_name::<F>())
        .spawn(run)
        .unwrap_or_else(|error| panic!("cannot spawn a tasklet: {error}"))
}

/// Sleeps until `moment`, for ever if there is none; `false` as soon as the tasklet is asked to stop.
fn pause_until(moment: Option<Instant>) -> bool {
    let wait = Wait::new(Waiting::Time, moment).or_stop();
    match block::enter().and_then(|()| block::wait_until(wait, || None::<()>)) {
        Ok(()) | Err(Interrupt::TimedOut) => !Tasklet::is_stopping(),
        Err(Interrupt::Stopping | Interrupt::Unwinding) => false,
        Err(interrupt) => interrupt.raise("pause"),
    }
}
