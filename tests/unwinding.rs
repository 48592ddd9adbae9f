//! Kills, expiries and panics unwind a tasklet; its neighbours on the same thread see nothing of it.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{Program, child};
use concurrence::{
    CallError, JoinError, Message, Tasklet, TimedOut, dispatch, match_message, timeout,
};

const FOR_EVER: Duration = Duration::from_secs(3600);

fn run(main: impl FnOnce() + Send + 'static) {
    assert_eq!(dispatch(main), ExitCode::SUCCESS);
}

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)()
    }
}

#[test]
fn destructors_run_and_their_waits_do_not_wait() {
    run(|| {
        let bystanders_lock = Arc::new(Mutex::new(0));
        let shared = bystanders_lock.clone();
        let bystander = Tasklet::spawn(move || {
            for _ in 0..100 {
                // Were a neighbour's unwinding seen here, this would poison the lock.
                *shared.lock().unwrap() += 1;
                assert!(!thread::panicking());
                Tasklet::yield_now();
            }
        });
        let (destroyed, count) = (Arc::new(AtomicUsize::new(0)), 10);
        let victims: Vec<_> = (0..count)
            .map(|_| {
                let destroyed = destroyed.clone();
                Tasklet::spawn(move || {
                    let _guard = OnDrop(|| {
                        Tasklet::sleep(FOR_EVER);
                        Tasklet::yield_now();
                        assert!(Tasklet::receive().next().is_none());
                        destroyed.fetch_add(1, Ordering::SeqCst);
                    });
                    Tasklet::sleep(FOR_EVER);
                })
            })
            .collect();
        Tasklet::yield_now();
        for victim in &victims {
            victim.kill();
            assert!(matches!(victim.join(), Err(JoinError::Killed)));
        }
        assert_eq!(destroyed.load(Ordering::SeqCst), count);
        bystander.join().unwrap();
        assert_eq!(*bystanders_lock.lock().unwrap(), 100);
    });
}

#[test]
fn a_kill_of_one_that_unwinds_already_changes_nothing() {
    run(|| {
        let victim = Tasklet::spawn(|| {
            let me = Tasklet::current();
            let _guard = OnDrop(move || {
                me.kill();
                Tasklet::yield_now();
                Tasklet::sleep(FOR_EVER);
            });
            panic!("the first reason stands");
        });
        match victim.join() {
            Err(JoinError::Panicked(panic)) => {
                assert_eq!(panic.message(), "the first reason stands")
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_kill_that_is_swallowed_comes_again() {
    run(|| {
        let swallowed = Arc::new(AtomicUsize::new(0));
        let count = swallowed.clone();
        let victim = Tasklet::spawn(move || {
            while catch_unwind(|| Tasklet::sleep(FOR_EVER)).is_err() {
                if count.fetch_add(1, Ordering::SeqCst) == 10 {
                    break;
                }
            }
        });
        let neighbour = Tasklet::spawn(|| (0..100).for_each(|_| Tasklet::yield_now()));
        Tasklet::yield_now();
        victim.kill();
        // Neither does one who will not die keep the others from running.
        neighbour.join().unwrap();
        let _ = victim.join();
        assert_eq!(swallowed.load(Ordering::SeqCst), 11);
    });
}

#[test]
fn a_kill_before_the_first_step_drops_what_was_captured() {
    run(|| {
        let captured = Arc::new(());
        let held = captured.clone();
        let victim = Tasklet::spawn(move || {
            let _held = held;
            unreachable!("it has been killed");
        });
        victim.kill();
        assert!(matches!(victim.join(), Err(JoinError::Killed)));
        assert_eq!(Arc::strong_count(&captured), 1);
    });
}

#[test]
fn an_expiry_unwinds_to_its_own_block() {
    run(|| {
        let long = Duration::from_secs(3600);
        let short = Duration::from_millis(5);
        let unwound = AtomicUsize::new(0);
        let outer: Result<Result<(), TimedOut>, TimedOut> = timeout(long, || {
            let inner = timeout(short, || {
                let _guard = OnDrop(|| {
                    unwound.fetch_add(1, Ordering::SeqCst);
                });
                Tasklet::sleep(FOR_EVER);
                Ok(())
            });
            Ok(inner)
        });
        assert_eq!(outer, Ok(Err(TimedOut)));
        let outer: Result<Result<(), TimedOut>, TimedOut> = timeout(short, || {
            let inner = timeout(long, || {
                let _guard = OnDrop(|| {
                    unwound.fetch_add(1, Ordering::SeqCst);
                });
                Tasklet::sleep(FOR_EVER);
                Ok(())
            });
            Ok(inner)
        });
        assert_eq!(outer, Err(TimedOut));
        assert_eq!(unwound.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_panic_passes_through_a_timeout() {
    run(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            timeout(FOR_EVER, || -> Option<()> { panic!("as it is") })
        }));
        assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "as it is");
    });
}

#[derive(Message)]
#[message(reply = u32)]
struct Ask;

#[test]
fn calls_to_one_who_ends_end_with_it() {
    run(|| {
        let server = Tasklet::spawn(|| {
            for message in Tasklet::receive() {
                match_message!(match message {
                    (Ask, _reply) => panic!("no idea"),
                });
            }
        });
        let target = server.tasklet().clone();
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let target = target.clone();
                Tasklet::spawn(move || target.call(Ask))
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Err(CallError::Ended));
        }
        assert!(target.send(Ask).unwrap_err().is_ended());
    });
}

#[test]
fn a_closure_larger_than_the_stack_does_not_harm_who_spawns_it() {
    let ended = Program::start(&mut child(|| {
        dispatch(|| {
            let large = [7u8; 40 * 1024];
            let small_stack = Tasklet::builder().name("too small").stack_size(32 * 1024);
            let tasklet = small_stack.spawn(move || large[large.len() - 1]).unwrap();
            eprintln!("spawned");
            let _ = tasklet.join();
        })
    }))
    .ended();
    // Nothing can save the tasklet, but it is the one that is named.
    assert!(ended.stderr.contains("spawned"), "{ended:?}");
    assert!(
        ended.code() == Some(0) || ended.stderr.contains("too small"),
        "{ended:?}"
    );
}
