//! What the tests of tasklets and messages share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of what is shared"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};
use std::{fmt, mem, thread};

use actor_core::sync::Event;
use actor_core::{JoinError, JoinHandle, Placement, Runtime, Tasklet, dispatch};

/// More than the machines of this project's tests may have cores.
pub const WORKERS: usize = 3;
/// Only turns a hang into a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// For what is meant to pass.
pub const SHORT: Duration = Duration::from_millis(2);

/// Runs `main` as a program that must succeed, and gives what it returns.
pub fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
    run_within(Duration::ZERO, main)
}

/// The same for one that takes `time` by itself.
pub fn run_within<T: Send + 'static>(
    time: Duration,
    main: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (tell, told) = std::sync::mpsc::channel();
    let code = finish_within(time, move || {
        dispatch(move || tell.send(main()).expect("wanted"))
    });
    assert_eq!(
        text(code),
        text(ExitCode::SUCCESS),
        "the program has failed; see above"
    );
    told.try_recv().expect("main has sent its result")
}

/// Runs `main` as a program with the workers to itself: what others have ready would be drained too.
pub fn alone<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
    static ALONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
    let _alone = ALONE.lock();
    run(main)
}

/// What has happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<parking_lot::Mutex<Vec<&'static str>>>);

impl Log {
    pub fn add(&self, what: &'static str) {
        self.0.lock().push(what);
    }

    pub fn take(&self) -> String {
        mem::take(&mut *self.0.lock()).join(" ")
    }

    /// A tasklet that says its name.
    pub fn says(&self, name: &'static str) -> JoinHandle<()> {
        let log = self.clone();
        Tasklet::spawn(move || log.add(name))
    }
}

/// Runs `main` where panics are forwarded, and gives what `dispatch` panicked with.
pub fn forwarding(main: impl FnOnce() + Send + 'static) -> Option<String> {
    finish(move || {
        let run = || Runtime::builder().forward_panics(true).dispatch(main);
        let payload = catch_unwind(AssertUnwindSafe(run)).err()?;
        Some(match payload.downcast::<&str>() {
            Ok(text) => text.to_string(),
            Err(payload) => *payload.downcast::<String>().expect("a text"),
        })
    })
}

/// Starts the runtime that all tests of the process share.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let _ = Runtime::builder().workers(WORKERS).dispatch(|| ());
    });
}

/// Runs what may hang on a thread of its own, and fails if it does, with a look at who waits for what.
pub fn finish<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    finish_within(Duration::ZERO, f)
}

fn finish_within<T: Send + 'static>(time: Duration, f: impl FnOnce() -> T + Send + 'static) -> T {
    start();
    let (tell, told) = std::sync::mpsc::channel();
    let running = thread::spawn(move || drop(tell.send(f())));
    match told.recv_timeout(time + PATIENCE * 3 / 2) {
        Ok(result) => result,
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => match running.join() {
            Err(payload) => std::panic::resume_unwind(payload),
            Ok(()) => unreachable!("it sends before it ends"),
        },
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
            // The runtime prints its trees.
            // SAFETY: a plain system call.
            unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
            thread::sleep(Duration::from_secs(1));
            panic!("the program does not end; the tasklets are printed above");
        }
    }
}

/// `ExitCode` has no equality.
pub fn text(code: ExitCode) -> String {
    format!("{code:?}")
}

/// Spawns on the caller's worker, and lets it run until it waits.
pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let tasklet = Tasklet::spawn(f);
    Tasklet::yield_now();
    tasklet
}

pub fn spawn_on<T: Send + 'static>(
    worker: usize,
    f: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    Tasklet::builder()
        .placement(Placement::Worker(worker))
        .spawn(f)
        .expect("there is room")
}

#[track_caller]
pub fn join<T>(tasklet: JoinHandle<T>) -> T {
    promptly(|limit| tasklet.join_timeout(limit)).expect("the tasklet ends by itself")
}

/// Something that waits for `PATIENCE` at most. A wake-up that is lost shows: an operation that finds
/// what it waited for only because its time is up has succeeded, but too late.
#[track_caller]
pub fn promptly<T>(f: impl FnOnce(Duration) -> T) -> T {
    let start = Instant::now();
    let done = f(PATIENCE);
    assert!(start.elapsed() < PATIENCE, "a wake-up has been lost");
    done
}

#[track_caller]
pub fn assert_killed<T: fmt::Debug>(tasklet: &JoinHandle<T>) {
    let end = promptly(|limit| tasklet.join_timeout(limit));
    assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
}

/// Lets the caller's worker run what is ready, until `is_so`.
#[track_caller]
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it does not come about");
        Tasklet::yield_now();
        thread::yield_now();
    }
}

/// Waits until `tasklet` waits for `what`, as the tree says it.
#[track_caller]
pub fn wait_until_it_waits(tasklet: &Tasklet, what: &str) {
    wait_until(|| {
        tasklet
            .tree()
            .to_string()
            .lines()
            .next()
            .is_some_and(|line| line.contains(what))
    });
}

/// Takes up the worker until `SHORT` has certainly passed, so that nothing else on it gets to look.
pub fn let_short_pass() {
    let start = Instant::now();
    while start.elapsed() < SHORT * 3 {
        std::hint::spin_loop();
    }
}

/// A gate that is shut until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<Event>);

impl Gate {
    pub fn new() -> Gate {
        Gate::default()
    }

    pub fn open(&self) {
        self.0.set();
    }

    /// Waits for it to open.
    #[track_caller]
    pub fn pass(&self) {
        let passed = promptly(|limit| self.0.wait_timeout(limit));
        assert!(passed.is_ok(), "the gate stays shut");
    }

    pub fn is_open(&self) -> bool {
        self.0.is_set()
    }
}

/// Counts, and is shared.
#[derive(Clone, Default, Debug)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    pub fn new() -> Count {
        Count::default()
    }

    pub fn up(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Lets the others run until it is `n`.
    pub fn reach(&self, n: usize) {
        while self.get() < n {
            Tasklet::yield_now();
        }
    }
}

/// Does something when it is dropped.
pub struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub fn new(f: F) -> Self {
        OnDrop(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = mem::take(&mut self.0) {
            f();
        }
    }
}

/// A small generator, so that a run differs from place to place and not from run to run.
pub fn random(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    *seed >> 33
}
