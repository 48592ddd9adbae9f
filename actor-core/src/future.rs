//! Futures, polled by whoever waits for them.
//!
//! A tasklet is its own waker: to wake it is to raise its [`Alert`] and to have it look again. That is what
//! every other wake-up does as well, and every wait looks again for itself; so a waker that is called late,
//! when its tasklet has long begun to wait for something else, or lies idle as a carrier, does no harm. The alert
//! is lowered *before* each poll: what it told of is seen by that poll, and what comes after raises it anew.
//!
//! One tasklet can be in several such waits, one inside a poll of the other. They share the alert, so whoever
//! leaves raises it, and the one around it polls once more than it might have to.

use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crate::TimedOut;
use crate::block::{self, Here, Interrupt, Wait, Waiting};
use crate::primitive::AtomicBool;
use crate::reactor::{Direction, Source};
use crate::tasklet::core::Core;
use crate::waiter::ThreadParker;
use crate::worker;

/// Whether a future is to be polled again.
#[derive(Debug)]
pub(crate) struct Alert(AtomicBool);

impl Alert {
    pub(crate) fn new() -> Self {
        Alert(AtomicBool::new(false))
    }

    /// `true` if the caller must wake whoever polls; else somebody else does.
    #[inline]
    pub(crate) fn raise(&self) -> bool {
        // A write in any case: one that was skipped would not be seen by the poll that follows.
        !self.0.swap(true, AcqRel)
    }

    /// Lowers it; `true` if it was raised.
    #[inline]
    pub(crate) fn take(&self) -> bool {
        // Whoever raises it after this load wakes the caller, who looks again.
        self.0.load(Acquire) && self.0.swap(false, AcqRel)
    }

    /// Leaves it raised for who polls around the caller.
    #[inline]
    pub(crate) fn leave(&self) {
        // A plain write would come between one who has raised it and the poll that is to see what that one did.
        self.0.swap(true, AcqRel);
    }
}

impl Wake for Core {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.alert.raise() {
            worker::wake(self);
        }
    }
}

/// A thread that polls.
struct PollingThread {
    parker: Arc<ThreadParker>,
    alert: Alert,
}

impl Wake for PollingThread {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.alert.raise() {
            self.parker.wake();
        }
    }
}

/// Waits for a future, in the manner of a tasklet: polls it here, and lets others run until it is to be
/// polled again. On a plain thread the thread sleeps.
///
/// For what is written for `async` and needs no runtime of its own to be polled in: channels and locks of
/// `tokio::sync`, `futures`, a `tower` service, the handles of tasks that run elsewhere. What needs a runtime
/// around it, as tokio's sockets and timers do, finds one if the workers have
/// [entered](crate::RuntimeBuilder::on_worker_start) it. The future need not be `Send`: it is polled by the calling
/// tasklet alone, whatever thread its wakers are called on.
///
/// A future that blocks in a poll, by an operation of this crate, blocks the tasklet and not the thread; what else
/// the same future might have done meanwhile, as with `join!`, then waits too. One that is always ready
/// to be polled again gives way as all operations do, when it has had the worker to itself for a slice.
///
/// # Ends
///
/// If the caller is killed, or the deadline of a [`timeout`](crate::timeout()) block passes, it unwinds, which
/// **drops the future**, as `async` code cancels it; so what it must not be interrupted in belongs into
/// a task of its own, or a [`shield`](crate::Tasklet::shield).
///
/// # Panics
///
/// If the future does; if it would have to wait while its tasklet [unwinds](crate::sync#while-a-tasklet-unwinds), or
/// outside any tasklet on a worker's thread.
///
/// # Examples
///
/// ```
/// use std::future::{pending, poll_fn};
/// use std::task::Poll;
/// use std::{thread, time::Duration};
/// use actor_core::{TimedOut, block_on, dispatch, timeout};
///
/// dispatch(|| {
///     let mut polls = 0;
///     let answer = block_on(poll_fn(|cx| {
///         polls += 1;
///         if polls == 2 {
///             return Poll::Ready(42);
///         }
///         let waker = cx.waker().clone();
///         thread::spawn(move || waker.wake());
///         Poll::Pending
///     }));
///     assert_eq!(answer, 42);
///
///     let late = timeout(Duration::from_millis(1), || block_on(pending::<Result<(), _>>()));
///     assert_eq!(late, Err(TimedOut));
/// });
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    Poller::with(|poller| {
        loop {
            if let Poll::Ready(output) = poller.poll(|context| future.as_mut().poll(context)) {
                return output;
            }
            poller.wait();
        }
    })
}

const OPERATION: &str = "waiting for a future";

/// What polls where the caller runs. For those who wait for something else as well.
pub struct Poller<'a> {
    here: Here<'a>,
    thread: Option<Arc<PollingThread>>,
    waker: Waker,
}

impl Poller<'_> {
    /// Calls `f` with that of the caller.
    pub fn with<R>(f: impl FnOnce(&Poller<'_>) -> R) -> R {
        let here = block::here();
        let (thread, waker) = match &here {
            Here::Tasklet(_, core) => (None, Waker::from(core.strong())),
            Here::Thread => {
                let thread = Arc::new(PollingThread {
                    parker: ThreadParker::current(),
                    alert: Alert::new(),
                });
                (Some(thread.clone()), Waker::from(thread))
            }
            // Nothing can wait there.
            Here::Driver => (None, Waker::noop().clone()),
        };
        f(&Poller {
            here,
            thread,
            waker,
        })
    }

    /// Has whoever waits here poll again.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    fn alert(&self) -> Option<&Alert> {
        match (&self.here, &self.thread) {
            (Here::Tasklet(_, core), _) => Some(&core.alert),
            (_, Some(thread)) => Some(&thread.alert),
            _ => None,
        }
    }

    fn is_woken(&self) -> bool {
        self.alert().is_some_and(Alert::take)
    }

    /// Polls once. What wakes it from here on ends the next wait. Unwinds past a deadline.
    pub fn poll<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        if let Err(interrupt) = self.here.enter() {
            interrupt.raise(OPERATION);
        }
        self.is_woken();
        poll(&mut Context::from_waker(&self.waker))
    }

    /// Waits until it is to be polled again. Unwinds past a deadline; panics as [`block_on`] does.
    pub fn wait(&self) {
        // Without a deadline there is none to pass.
        let _ = self.wait_until(None);
    }

    /// As [`wait`](Self::wait), but not for longer than until `deadline`.
    pub fn wait_until(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let wait = Wait::new(Waiting::Future, deadline);
        let woken = || self.is_woken().then_some(());
        match block::wait_until_at(&self.here, wait, woken) {
            Ok(()) => Ok(()),
            Err(Interrupt::TimedOut) => Err(TimedOut),
            Err(interrupt) => interrupt.raise(OPERATION),
        }
    }

    /// Waits until it is to be polled again, or an operation on `source` is worth a try; `true` in the first case.
    /// In tasklets alone.
    ///
    /// # Errors
    ///
    /// As [`Source::io`].
    pub fn wait_or_ready(
        &self,
        source: &Source,
        direction: Direction,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let woken = || self.is_woken().then_some(());
        Ok(source.ready_or(direction, deadline, woken)?.is_some())
    }
}

impl Drop for Poller<'_> {
    fn drop(&mut self) {
        if let Some(alert) = self.alert() {
            alert.leave();
        }
    }
}

impl fmt::Debug for Poller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("waker", &self.waker)
            .finish_non_exhaustive()
    }
}
