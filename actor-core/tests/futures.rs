//! Futures in tasklets: who polls when, who wakes whom, and what ends a wait.

extern crate actor_core as concurrence;

#[path = "common/awaited.rs"]
mod awaited;
mod common;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, Handler, JoinError, Message, Placement, Tasklet, TimedOut, block_on, timeout,
};
use awaited::Awaited;
use common::{PATIENCE, SHORT, run};
use parking_lot::Mutex;

fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, || {
        while !condition() {
            Tasklet::sleep(SHORT);
        }
        Ok::<_, TimedOut>(())
    });
    waited.unwrap_or_else(|_| panic!("in vain: {what}"));
}

#[test]
fn others_run_until_a_future_is_ready() {
    run(|| {
        let value = Awaited::new();
        let brings = Tasklet::spawn({
            let value = value.clone();
            move || {
                assert!(value.is_waited_for());
                value.bring(7);
            }
        });
        // It need not be `Send`.
        let own = Rc::new(1);
        let sum = block_on(async {
            let got = value.get().await;
            got + *own
        });
        assert_eq!(sum, 8);
        brings.join().unwrap();
    });
}

#[test]
fn wakes_come_from_threads_and_from_other_workers() {
    run(|| {
        for round in 0..200 {
            let (one, other) = (Awaited::new(), Awaited::new());
            let thread = thread::spawn({
                let one = one.clone();
                move || one.bring(round)
            });
            let tasklet = Tasklet::builder().placement(Placement::Worker(1)).spawn({
                let other = other.clone();
                move || other.bring(1)
            });
            let sum = block_on(async { one.get().await + other.get().await });
            assert_eq!(sum, round + 1);
            thread.join().unwrap();
            tasklet.unwrap().join().unwrap();
        }
    });
}

#[test]
fn a_plain_thread_sleeps_until_it_is_woken() {
    let value = Awaited::new();
    let brings = thread::spawn({
        let value = value.clone();
        move || {
            while !value.is_waited_for() {
                thread::yield_now();
            }
            value.bring("here");
        }
    });
    assert_eq!(block_on(value.get()), "here");
    brings.join().unwrap();
    let late = timeout(SHORT, || block_on(pending::<Result<(), TimedOut>>()));
    assert_eq!(late, Err(TimedOut));
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn never(dropped: Dropped) {
    pending::<()>().await;
    drop(dropped);
}

#[test]
fn a_kill_drops_the_future() {
    run(|| {
        let dropped = Arc::new(AtomicBool::new(false));
        let tasklet = Tasklet::spawn({
            let dropped = Dropped(dropped.clone());
            move || block_on(never(dropped))
        });
        Tasklet::yield_now();
        assert!(tasklet.tree().to_string().contains("waits for a future"));
        tasklet.kill();
        assert!(matches!(tasklet.join(), Err(JoinError::Killed)));
        assert!(dropped.load(Ordering::SeqCst));
    });
}

#[test]
fn a_deadline_drops_the_future() {
    run(|| {
        let dropped = Arc::new(AtomicBool::new(false));
        let late = timeout(SHORT, || {
            block_on(never(Dropped(dropped.clone())));
            Ok(())
        });
        assert_eq!(late, Err(TimedOut));
        assert!(dropped.load(Ordering::SeqCst));
    });
}

#[test]
fn a_panic_of_the_future_goes_on_in_the_caller() {
    run(|| {
        let tasklet = Tasklet::spawn(|| block_on(async { panic!("no future") }));
        let Err(JoinError::Panicked(panic)) = tasklet.join() else {
            panic!("it has panicked");
        };
        assert!(panic.to_string().contains("no future"), "{panic}");
    });
}

#[test]
fn a_future_that_wakes_itself_lets_others_run() {
    run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let other = Tasklet::spawn({
            let stop = stop.clone();
            move || stop.store(true, Ordering::SeqCst)
        });
        block_on(poll_fn(|context| {
            if stop.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        other.join().unwrap();
    });
}

#[test]
fn a_poll_may_wait() {
    run(|| {
        let value = Awaited::new();
        let brings = Tasklet::spawn({
            let value = value.clone();
            move || value.bring(1)
        });
        let mut polls = 0;
        let got = block_on(poll_fn(|context| {
            polls += 1;
            let polled = value.poll(context);
            if polled.is_pending() {
                // The value comes in here, and its wake-up with it.
                Tasklet::sleep(SHORT);
            }
            polled
        }));
        assert_eq!((got, polls), (1, 2));
        brings.join().unwrap();
    });
}

#[test]
fn a_wait_inside_a_poll_of_another_takes_nothing_away() {
    run(|| {
        let (outer, inner) = (Awaited::new(), Awaited::new());
        let brings = Tasklet::spawn({
            let (outer, inner) = (outer.clone(), inner.clone());
            move || {
                outer.bring(1);
                // The inner wait is woken in vain, and goes on.
                Tasklet::yield_now();
                inner.bring(2);
            }
        });
        let mut got = None;
        let first = block_on(poll_fn(|context| {
            let polled = outer.poll(context);
            if got.is_none() {
                got = Some(block_on(inner.get()));
            }
            polled
        }));
        assert_eq!((first, got), (1, Some(2)));
        brings.join().unwrap();
    });
}

/// Keeps its waker, and is ready at once.
struct Keep(Arc<Mutex<Option<Waker>>>);

impl Future for Keep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        *self.0.lock() = Some(context.waker().clone());
        Poll::Ready(())
    }
}

#[test]
fn a_late_waker_ends_no_other_wait() {
    run(|| {
        let kept = Arc::new(Mutex::new(None));
        let (waits, done) = (Arc::new(Event::new()), Arc::new(AtomicBool::new(false)));
        let tasklet = Tasklet::spawn({
            let (kept, waits, done) = (kept.clone(), waits.clone(), done.clone());
            move || {
                block_on(Keep(kept));
                waits.wait();
                done.store(true, Ordering::SeqCst);
            }
        });
        until("the waker is there", || kept.lock().is_some());
        let waker = kept.lock().take().unwrap();
        waker.wake_by_ref();
        thread::spawn({
            let waker = waker.clone();
            move || waker.wake()
        })
        .join()
        .unwrap();
        for _ in 0..5 {
            Tasklet::yield_now();
            assert!(!done.load(Ordering::SeqCst));
        }
        waits.set();
        tasklet.join().unwrap();
        // And one that has ended is woken in vain.
        waker.wake();
    });
}

struct Worker {
    kept: Arc<Mutex<Option<Waker>>>,
    value: Arc<Awaited<usize>>,
}

#[derive(Message)]
#[message(reply = usize)]
struct Wait;

#[derive(Message)]
#[message(reply = usize)]
struct Answer;

impl Actor for Worker {}

impl Handler<Wait> for Worker {
    fn handle(&mut self, _: Wait, _: &mut actor_core::Context<Self>) -> usize {
        block_on(Keep(self.kept.clone()));
        block_on(self.value.get())
    }
}

impl Handler<Answer> for Worker {
    fn handle(&mut self, _: Answer, _: &mut actor_core::Context<Self>) -> usize {
        42
    }
}

/// Handlers run on carriers, which other handlers have afterwards.
#[test]
fn handlers_wait_for_futures_and_leave_nothing_behind() {
    run(|| {
        let new = || Worker {
            kept: Arc::default(),
            value: Awaited::new(),
        };
        let waiting = new();
        let (kept, value) = (waiting.kept.clone(), waiting.value.clone());
        let (waiting, other) = (Addr::spawn(waiting), Addr::spawn(new()));
        let calls = Tasklet::spawn({
            let waiting = waiting.clone();
            move || waiting.call(Wait).unwrap()
        });
        until("it waits", || value.is_waited_for());
        assert_eq!(other.call(Answer).unwrap(), 42);
        value.bring(7);
        assert_eq!(calls.join().unwrap(), 7);

        let waker = kept.lock().take().unwrap();
        let woken = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while woken.fetch_add(1, Ordering::SeqCst) < 10_000 {
                    waker.wake_by_ref();
                }
            });
        });
        waker.wake();
        for _ in 0..100 {
            assert_eq!(waiting.call(Answer).unwrap(), 42);
            assert_eq!(other.call(Answer).unwrap(), 42);
        }
    });
}
