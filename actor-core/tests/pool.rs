//! Closures on threads: results, panics, the bound, and callers that do not wait for them.

mod common;

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, thread};

use actor_core::sync::Event;
use actor_core::{
    BlockOnThreadError, JoinError, JoinHandle, Runtime, RuntimeBuilder, Tasklet, block_on_thread,
    timeout, try_block_on_thread,
};
use common::{PATIENCE, SHORT, assert_killed, join, spawn};

const THREADS: usize = 2;

fn runtime() -> RuntimeBuilder {
    Runtime::builder().workers(2).pool_threads(THREADS)
}

/// Runs `main` as a program that must succeed, one at a time: they share the pool and its bound.
fn run(main: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let code = Runtime::builder()
        .workers(2)
        .pool_threads(THREADS)
        .dispatch(main);
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

/// A closure that says that it has begun, and ends when it is told to.
struct Gate {
    begun: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    fn new() -> (Gate, impl FnOnce() + Send + 'static) {
        let (tell_begun, begun) = channel();
        let (open, opened) = channel();
        let closure = move || {
            // Whoever waits for these may have gone.
            let _ = tell_begun.send(());
            let _ = opened.recv_timeout(PATIENCE);
        };
        (Gate { begun, open }, closure)
    }

    fn wait_until_begun(&self) {
        // Blocks the worker, which has nothing else to do; the closure is on its own thread.
        self.begun
            .recv_timeout(PATIENCE)
            .expect("the closure begins");
    }
}

/// Takes all threads up, until the gates are opened.
fn occupy_all() -> Vec<(Gate, JoinHandle<()>)> {
    let occupy = |_| {
        let (gate, closure) = Gate::new();
        let caller = spawn(|| block_on_thread(closure));
        gate.wait_until_begun();
        (gate, caller)
    };
    (0..THREADS).map(occupy).collect()
}

fn release(occupied: Vec<(Gate, JoinHandle<()>)>) {
    for (gate, caller) in occupied {
        gate.open.send(()).unwrap();
        join(caller);
    }
}

/// Says when it is dropped, and where.
struct Dropped(Sender<Option<String>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().name().map(str::to_owned));
    }
}

#[test]
fn a_result_comes_back_from_a_thread_of_the_pool() {
    run(|| {
        let here = thread::current().id();
        let (there, name) = block_on_thread(|| {
            (
                thread::current().id(),
                thread::current().name().unwrap_or_default().to_owned(),
            )
        });
        assert_ne!(here, there);
        assert!(name.starts_with("concurrence-pool-"), "{name}");
        assert_eq!(here, thread::current().id());
    });
}

#[test]
fn on_a_plain_thread_it_runs_in_place() {
    let here = thread::current().id();
    assert_eq!(block_on_thread(|| thread::current().id()), here);
    assert_eq!(
        try_block_on_thread(|| thread::current().id()).unwrap(),
        here
    );
}

#[test]
fn only_the_caller_waits() {
    run(|| {
        let (gate, closure) = Gate::new();
        let caller = spawn(|| block_on_thread(closure));
        gate.wait_until_begun();
        assert_eq!(join(spawn(|| 1 + 1)), 2);
        assert!(caller.is_alive());
        gate.open.send(()).unwrap();
        join(caller);
    });
}

#[test]
fn a_panic_is_resumed_in_the_caller() {
    run(|| {
        let caller = spawn(|| block_on_thread(|| -> u32 { panic!("on a thread") }));
        match caller.join() {
            Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "on a thread"),
            other => panic!("{other:?}"),
        }
        // The payload itself arrives.
        let caller = spawn(|| block_on_thread(|| resume_unwind(Box::new(7u8))));
        match caller.join() {
            Err(JoinError::Panicked(panic)) => {
                assert_eq!(*panic.into_payload().downcast::<u8>().unwrap(), 7);
            }
            Ok(()) | Err(_) => panic!("the panic is passed on"),
        }
        assert_eq!(block_on_thread(|| 1), 1, "the thread has survived");
    });
}

#[test]
fn beyond_the_bound_closures_wait_in_line() {
    run(|| {
        let occupied = occupy_all();
        let order = Arc::new(Mutex::new(Vec::new()));
        let running = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..20)
            .map(|n| {
                let (order, running) = (order.clone(), running.clone());
                spawn(move || {
                    block_on_thread(move || {
                        let now = running.fetch_add(1, Ordering::SeqCst);
                        assert!(now < THREADS);
                        order.lock().unwrap().push(n);
                        running.fetch_sub(1, Ordering::SeqCst);
                    });
                })
            })
            .collect();
        assert!(order.lock().unwrap().is_empty());
        // One thread alone serves the line, so that its order can be told.
        let mut occupied = occupied;
        let last = occupied.pop().into_iter().collect();
        release(last);
        callers.into_iter().for_each(join);
        assert_eq!(*order.lock().unwrap(), Vec::from_iter(0..20));
        release(occupied);
    });
}

#[test]
fn a_running_closure_is_abandoned_and_its_result_dropped() {
    run(|| {
        let (gate, closure) = Gate::new();
        let (tell, dropped) = channel();
        let caller = spawn(|| {
            block_on_thread(move || {
                closure();
                Dropped(tell)
            })
        });
        gate.wait_until_begun();
        caller.kill();
        let end = caller.join_timeout(PATIENCE).map(drop);
        assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
        gate.open.send(()).unwrap();
        let on = dropped
            .recv_timeout(PATIENCE)
            .expect("the closure runs to its end");
        assert!(on.is_some_and(|name| name.starts_with("concurrence-pool-")));
    });
}

#[test]
fn a_closure_that_waits_in_line_is_dropped_with_its_caller() {
    run(|| {
        let occupied = occupy_all();
        let (tell, dropped) = channel();
        let ran = Arc::new(AtomicUsize::new(0));
        let caller = spawn({
            let ran = ran.clone();
            move || {
                let captured = Dropped(tell);
                block_on_thread(move || {
                    ran.fetch_add(1, Ordering::SeqCst);
                    drop(captured);
                })
            }
        });
        let next = spawn(|| block_on_thread(|| ()));
        caller.kill();
        assert_killed(&caller);
        dropped
            .try_recv()
            .expect("it was dropped as its caller unwound");
        release(occupied);
        join(next);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_deadline_around_it_ends_the_wait() {
    run(|| {
        let (gate, closure) = Gate::new();
        let late = timeout(SHORT, || {
            block_on_thread(closure);
            Some(())
        });
        assert_eq!(late, None);
        drop(gate);
        let (gate, closure) = Gate::new();
        let late = timeout(SHORT, || try_block_on_thread(closure));
        assert!(matches!(late, Err(BlockOnThreadError::Timeout)), "{late:?}");
        drop(gate);
    });
}

#[test]
fn while_unwinding_it_says_that_it_cannot_wait() {
    struct Destructor(Sender<Result<(), BlockOnThreadError>>);
    impl Drop for Destructor {
        fn drop(&mut self) {
            self.0.send(try_block_on_thread(|| ())).unwrap();
        }
    }
    run(|| {
        let (tell, told) = channel();
        let unwinds = spawn(|| {
            let _destructor = Destructor(tell);
            Tasklet::sleep(PATIENCE);
        });
        unwinds.kill();
        assert_killed(&unwinds);
        assert!(matches!(
            told.try_recv(),
            Ok(Err(BlockOnThreadError::Unwinding))
        ));
    });
}

#[test]
fn what_a_closure_spawns_belongs_to_the_callers_program() {
    // An older program, which spawns from threads of no program would go to.
    let older = Arc::new(Event::new());
    let (tell, started) = channel();
    let thread = thread::spawn({
        let older = older.clone();
        move || {
            runtime().dispatch(move || {
                tell.send(()).unwrap();
                older.wait();
            })
        }
    });
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = ended.clone();
    started.recv_timeout(PATIENCE).unwrap();
    run(move || {
        block_on_thread(move || {
            Tasklet::spawn(move || {
                while Tasklet::main().is_some() {
                    Tasklet::yield_now();
                }
                counter.fetch_add(1, Ordering::SeqCst);
            });
        });
    });
    assert_eq!(
        ended.load(Ordering::SeqCst),
        1,
        "the program has waited for it"
    );
    older.set();
    thread.join().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn no_signal_handler_runs_on_the_pools_threads() {
    const SIGINT: u64 = 2;
    const SIGUSR1: u64 = 10;
    const SIGTERM: u64 = 15;
    run(|| {
        let status = block_on_thread(|| fs::read_to_string("/proc/thread-self/status")).unwrap();
        let blocked = status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:"))
            .unwrap();
        let blocked = u64::from_str_radix(blocked.trim(), 16).unwrap();
        for signal in [SIGINT, SIGUSR1, SIGTERM] {
            assert_ne!(blocked & 1 << (signal - 1), 0, "{signal} is not blocked");
        }
    });
}

#[test]
fn many_callers_of_both_workers_get_each_its_own_result() {
    use actor_core::{Placement, join_all};
    run(|| {
        let callers = (0..200u64).map(|n| {
            let place = Placement::Worker(n as usize % 2);
            let call = move || block_on_thread(move || n * n);
            Tasklet::builder().placement(place).spawn(call).unwrap()
        });
        let squares: Vec<u64> = join_all(callers).into_iter().map(Result::unwrap).collect();
        assert_eq!(squares, Vec::from_iter((0..200).map(|n| n * n)));
    });
}

#[test]
fn a_panic_on_a_thread_keeps_its_place() {
    run(|| {
        let unlucky = spawn(|| block_on_thread(|| panic!("no luck")));
        match unlucky.join_timeout(PATIENCE) {
            Err(JoinError::Panicked(panic)) => {
                let place = panic.location().expect("the hook has seen it");
                assert!(place.contains("pool.rs"), "{place}");
                assert_eq!(panic.message(), "no luck");
            }
            other => panic!("{other:?}"),
        }
    });
}
