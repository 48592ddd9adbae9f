//! Threads for what would block a worker.
//!
//! A bounded number of threads, started when there is a job and none of them is idle, and ended when
//! there has been nothing to do for a while. Jobs beyond the bound wait in line.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::block::{self, Here, Interrupt, Wait, Waiting};
use crate::contain::{contain, contain_or};
use crate::line::{Line, Ticket};
use crate::runtime::panics;
use crate::waiter::Waiter;
use crate::{TimedOut, Unwinding, WouldBlock, runtime, time, worker};

/// How many threads [`block_on_thread`] uses at most unless
/// [`RuntimeBuilder::pool_threads`](crate::RuntimeBuilder::pool_threads) says otherwise.
///
/// ```
/// use actor_core::{DEFAULT_POOL_THREADS, Runtime};
///
/// let half = Runtime::builder().pool_threads(DEFAULT_POOL_THREADS / 2);
/// # assert_eq!(half.dispatch(|| ()), std::process::ExitCode::SUCCESS);
/// ```
pub const DEFAULT_POOL_THREADS: usize = 64;
/// How long a thread waits for a job before it ends.
const IDLE: Duration = Duration::from_secs(10);

static POOL: Pool = Pool::new(DEFAULT_POOL_THREADS, IDLE);

/// Runs `f` on a thread of its own kind while only the calling tasklet waits.
///
/// For what blocks a thread (a file, a lock of `std`, `getaddrinfo`, a library that knows nothing of
/// tasklets), for what computes for long, and for C code that needs more stack than a tasklet has. A
/// panic of `f` is resumed in the caller. Tasklets that `f` spawns belong to the caller's program. On
/// a thread that is no worker `f` runs in place.
///
/// At most [`RuntimeBuilder::pool_threads`](crate::RuntimeBuilder::pool_threads) closures run at a
/// time, 64 unless set; others wait their turn, first come, first served. So closures that wait for
/// *each other* may wait for ever. A thread that has had nothing to do for ten seconds ends.
///
/// If the caller is killed, or the deadline of a [`timeout`](crate::timeout()) block passes, the
/// caller unwinds at once and `f` is **abandoned**: if it has not begun it is dropped, else it runs to
/// its end and its result is dropped. Nothing can interrupt it.
///
/// # Panics
///
/// If `f` does, if the tasklet unwinds, and if the system refuses the pool's first thread;
/// [`try_block_on_thread`] returns the last two as errors.
///
/// # Examples
///
/// ```
/// use std::fs;
/// use actor_core::{block_on_thread, dispatch};
///
/// dispatch(|| {
///     let text = block_on_thread(|| fs::read_to_string("/proc/self/comm")).unwrap();
///     assert!(!text.is_empty());
/// });
/// ```
pub fn block_on_thread<R, F>(f: F) -> R
where
    R: Send + 'static,
    F: FnOnce() -> R + Send + 'static,
{
    match POOL.run(f) {
        Ok(result) => result,
        Err(Refusal::Interrupted(interrupt)) => interrupt.raise("waiting for a thread"),
        Err(Refusal::NoThread(error)) => panic!("{}", BlockOnThreadError::System(error)),
    }
}

/// As [`block_on_thread`], but says so if it cannot be done, or not in time.
///
/// For destructors, which may run while their tasklet unwinds, and for callers that return errors
/// anyway. Panics if `f` does.
///
/// # Examples
///
/// ```
/// use std::{thread, time::Duration};
/// use actor_core::{BlockOnThreadError, dispatch, timeout, try_block_on_thread};
///
/// dispatch(|| {
///     let slow = || thread::sleep(Duration::from_millis(100));
///     let late = timeout(Duration::from_millis(1), || try_block_on_thread(slow));
///     assert!(matches!(late, Err(BlockOnThreadError::Timeout)));
/// });
/// ```
pub fn try_block_on_thread<R, F>(f: F) -> Result<R, BlockOnThreadError>
where
    R: Send + 'static,
    F: FnOnce() -> R + Send + 'static,
{
    POOL.run(f).map_err(|refusal| match refusal {
        Refusal::Interrupted(Interrupt::TimedOut | Interrupt::Expired(_)) => {
            BlockOnThreadError::Timeout
        }
        Refusal::Interrupted(Interrupt::WouldBlock) => BlockOnThreadError::WouldBlock,
        Refusal::Interrupted(_) => BlockOnThreadError::Unwinding,
        Refusal::NoThread(error) => BlockOnThreadError::System(error),
    })
}

/// Why a closure was not run on a thread, or not to its end while the caller waited.
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::BlockOnThreadError;
///
/// let error = io::Error::from(BlockOnThreadError::Timeout);
/// assert_eq!(error.kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BlockOnThreadError {
    /// The deadline of a [`timeout`](crate::timeout()) block has passed.
    Timeout,
    /// The tasklet unwinds, and so does not wait.
    Unwinding,
    /// The tasklet has [forbidden itself to wait](crate::Tasklet::set_block_trap).
    WouldBlock,
    /// There is no thread in the pool, and the system refused to start one.
    System(io::Error),
}

impl fmt::Display for BlockOnThreadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockOnThreadError::Timeout => {
                f.write_str("timed out waiting for a closure on a thread")
            }
            BlockOnThreadError::Unwinding => Unwinding.fmt(f),
            BlockOnThreadError::WouldBlock => WouldBlock.fmt(f),
            BlockOnThreadError::System(error) => {
                write!(
                    f,
                    "the system refused a thread to run a closure on: {error}"
                )
            }
        }
    }
}

impl Error for BlockOnThreadError {
    // The text contains that of the inner error, so the chain goes on with what is behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BlockOnThreadError::System(error) => error.source(),
            BlockOnThreadError::Timeout
            | BlockOnThreadError::Unwinding
            | BlockOnThreadError::WouldBlock => None,
        }
    }
}

impl From<TimedOut> for BlockOnThreadError {
    fn from(_: TimedOut) -> Self {
        BlockOnThreadError::Timeout
    }
}

impl From<BlockOnThreadError> for io::Error {
    fn from(error: BlockOnThreadError) -> io::Error {
        let kind = match &error {
            BlockOnThreadError::Timeout => io::ErrorKind::TimedOut,
            BlockOnThreadError::Unwinding => io::ErrorKind::Other,
            BlockOnThreadError::WouldBlock => io::ErrorKind::WouldBlock,
            BlockOnThreadError::System(error) => error.kind(),
        };
        io::Error::new(kind, error)
    }
}

/// Sets how many threads there may be.
pub(crate) fn configure(threads: usize) {
    POOL.state.lock().max = threads;
}

/// Whether a closure runs, or waits for a thread.
pub(crate) fn is_busy() -> bool {
    POOL.unfinished.load(Ordering::SeqCst) > 0
}

/// How many threads there are.
pub(crate) fn threads() -> usize {
    POOL.state.lock().threads
}

/// Work on a thread that is not one of the pool's, and counts as one all the same, until this is dropped.
#[derive(Debug)]
pub struct PoolBusy(());

impl PoolBusy {
    /// Begins it.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        POOL.unfinished.fetch_add(1, Ordering::SeqCst);
        PoolBusy(())
    }
}

impl Drop for PoolBusy {
    fn drop(&mut self) {
        POOL.count_out();
    }
}

/// Why there is no result.
enum Refusal {
    Interrupted(Interrupt),
    NoThread(io::Error),
}

/// Never unwinds.
type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    idle_time: Duration,
    /// Jobs that wait or run.
    unfinished: AtomicUsize,
}

struct State {
    waiting: Line<Job>,
    max: usize,
    threads: usize,
    started: u64,
    /// The threads that wait for a job, each with its own condition. The last to come is woken first,
    /// so that those that are not needed are idle for long enough to end.
    idle: Vec<Arc<Condvar>>,
}

impl Pool {
    const fn new(max: usize, idle_time: Duration) -> Self {
        let state = State {
            waiting: Line::new(),
            max,
            threads: 0,
            started: 0,
            idle: Vec::new(),
        };
        Pool {
            state: Mutex::new(state),
            idle_time,
            unfinished: AtomicUsize::new(0),
        }
    }

    /// Runs `f` on one of the threads, and waits for the result.
    fn run<R, F>(&'static self, f: F) -> Result<R, Refusal>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        block::enter().map_err(Refusal::Interrupted)?;
        if let Here::Thread = block::here() {
            return Ok(f());
        }
        let waiter = block::waiter().map_err(Refusal::Interrupted)?;
        let result = Arc::new(Mutex::new(Outcome::Awaited(waiter)));
        let program = runtime::program();
        let job = {
            let result = result.clone();
            move || {
                let _program = program.map(runtime::enter_program);
                let done = catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Unwound {
                    place: panics::take_place(&*payload),
                    payload,
                });
                Outcome::put(&result, done);
            }
        };
        let ticket = self.submit(Box::new(job)).map_err(Refusal::NoThread)?;
        let claim = Claim {
            pool: self,
            ticket,
            result: &result,
        };
        let wait = Wait::new(Waiting::Thread, None);
        let waited = block::wait_until(wait, || claim.result.lock().take());
        match waited.map_err(Refusal::Interrupted)? {
            Ok(result) => Ok(result),
            Err(unwound) => {
                panics::put_place(&*unwound.payload, unwound.place);
                resume_unwind(unwound.payload)
            }
        }
    }

    /// Puts a job in line, and sees to it that there is a thread for it, within the bound.
    fn submit(&'static self, job: Job) -> io::Result<Ticket> {
        let mut state = self.state.lock();
        self.unfinished.fetch_add(1, Ordering::SeqCst);
        let ticket = state.waiting.join(job);
        if let Some(idle) = state.idle.pop() {
            idle.notify_one();
        } else if state.threads < state.max {
            let started = self.start_thread(&mut state);
            if let Err(error) = started
                && state.threads == 0
            {
                drop(state);
                self.withdraw(ticket);
                return Err(error);
            }
        }
        Ok(ticket)
    }

    /// Takes a job back that has not begun.
    fn withdraw(&self, ticket: Ticket) {
        let job = self.state.lock().waiting.leave(ticket);
        if job.is_some() {
            // Not under the lock: it drops what the closure has captured.
            drop(job);
            self.count_out();
        }
    }

    /// A job is finished, and whoever waits for it has been woken.
    fn count_out(&self) {
        self.unfinished.fetch_sub(1, Ordering::SeqCst);
        // The worker may have seen the count in between, and left the clock alone because of it.
        if time::is_virtual() {
            worker::post(0, |_| {});
        }
    }

    /// The caller is a worker, whose signal mask the thread inherits: no handler runs on it.
    fn start_thread(&'static self, state: &mut State) -> io::Result<()> {
        let name = format!("concurrence-pool-{}", state.started);
        thread::Builder::new().name(name).spawn(|| self.work())?;
        state.started += 1;
        state.threads += 1;
        Ok(())
    }

    /// The life of a thread.
    fn work(&self) {
        let condition = Arc::new(Condvar::new());
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.waiting.next() {
                MutexGuard::unlocked(&mut state, || {
                    job();
                    self.count_out();
                });
                continue;
            }
            state.idle.push(condition.clone());
            let timed_out = condition.wait_for(&mut state, self.idle_time).timed_out();
            // Whoever wakes a thread takes its condition out; so if that is still there it was not
            // woken, and if it is gone there was a job, whatever the time.
            let place = state
                .idle
                .iter()
                .position(|idle| Arc::ptr_eq(idle, &condition));
            if let Some(place) = place {
                state.idle.remove(place);
                if timed_out {
                    state.threads -= 1;
                    return;
                }
            }
        }
    }
}

/// How a closure has panicked, and where.
struct Unwound {
    payload: Box<dyn Any + Send>,
    place: Option<String>,
}

/// What became of a job, as its caller and its thread share it.
enum Outcome<R> {
    /// It is not done, and the caller waits.
    Awaited(Waiter),
    Done(Result<R, Unwound>),
    /// The caller has taken the result, or has gone.
    Gone,
}

impl<R> Outcome<R> {
    /// Leaves the result for the caller and wakes it; or, if nobody waits any more, drops it.
    fn put(this: &Mutex<Self>, result: Result<R, Unwound>) {
        let mut outcome = this.lock();
        match mem::replace(&mut *outcome, Outcome::Gone) {
            Outcome::Awaited(waiter) => {
                *outcome = Outcome::Done(result);
                drop(outcome);
                waiter.wake();
            }
            Outcome::Done(_) | Outcome::Gone => {
                drop(outcome);
                if let Err(unwound) = &result {
                    let place = unwound.place.as_deref().unwrap_or("an unknown place");
                    contain(|| tracing::error!(place, "an abandoned closure has panicked"));
                }
                contain_or(
                    || drop(result),
                    || tracing::error!("dropping the result of an abandoned closure has panicked"),
                );
            }
        }
    }

    fn take(&mut self) -> Option<Result<R, Unwound>> {
        match mem::replace(self, Outcome::Gone) {
            Outcome::Done(result) => Some(result),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// The caller's claim to a result. Dropped before it is met, it abandons the job.
struct Claim<'a, R> {
    pool: &'a Pool,
    ticket: Ticket,
    result: &'a Mutex<Outcome<R>>,
}

impl<R> Drop for Claim<'_, R> {
    fn drop(&mut self) {
        let outcome = mem::replace(&mut *self.result.lock(), Outcome::Gone);
        if let Outcome::Awaited(_) = outcome {
            self.pool.withdraw(self.ticket);
        }
        // The lock is free: this may drop a result, which is code of the user's.
        drop(outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Instant;

    use super::*;

    /// Only turns a hang into a failure.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn pool(max: usize, idle_time: Duration) -> &'static Pool {
        Box::leak(Box::new(Pool::new(max, idle_time)))
    }

    /// A job that tells the name of its thread, and then waits until its gate is dropped.
    fn submit(pool: &'static Pool) -> (Receiver<String>, impl Sized) {
        let (tell, told) = channel();
        let (gate, opened) = channel::<()>();
        let job = move || {
            let name = thread::current().name().unwrap_or_default().to_owned();
            tell.send(name).expect("the test waits for it");
            // Fails when the gate is dropped, which is what opens it.
            let _ = opened.recv_timeout(PATIENCE);
        };
        pool.submit(Box::new(job)).expect("a thread to be had");
        (told, gate)
    }

    fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "{what}");
            thread::yield_now();
        }
    }

    fn idle(pool: &Pool) -> usize {
        pool.state.lock().idle.len()
    }

    #[test]
    fn threads_start_on_demand_within_the_bound() {
        let pool = pool(2, PATIENCE);
        assert_eq!(pool.state.lock().threads, 0);
        let (first, open_first) = submit(pool);
        let (second, open_second) = submit(pool);
        let (third, open_third) = submit(pool);
        let name = first.recv_timeout(PATIENCE).unwrap();
        second.recv_timeout(PATIENCE).unwrap();
        assert_eq!(pool.state.lock().threads, 2);
        assert!(third.try_recv().is_err());
        drop(open_first);
        assert_eq!(third.recv_timeout(PATIENCE).unwrap(), name);
        drop((open_second, open_third));
        wait_until("all jobs are counted out", || {
            pool.unfinished.load(Ordering::SeqCst) == 0
        });
        assert_eq!(pool.state.lock().threads, 2);
    }

    #[test]
    fn the_thread_that_was_busy_last_is_used_first() {
        let pool = pool(2, PATIENCE);
        let (first, open_first) = submit(pool);
        let (second, open_second) = submit(pool);
        first.recv_timeout(PATIENCE).unwrap();
        let name = second.recv_timeout(PATIENCE).unwrap();
        drop(open_first);
        wait_until("the first is idle", || idle(pool) == 1);
        drop(open_second);
        wait_until("both are idle", || idle(pool) == 2);
        for _ in 0..3 {
            let (told, open) = submit(pool);
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), name);
            drop(open);
            wait_until("it is idle again", || idle(pool) == 2);
        }
    }

    #[test]
    fn idle_threads_end_and_new_ones_start() {
        let pool = pool(3, Duration::from_millis(1));
        for _ in 0..3 {
            let jobs: Vec<_> = (0..3).map(|_| submit(pool)).collect();
            for (told, _) in &jobs {
                told.recv_timeout(PATIENCE).unwrap();
            }
            drop(jobs);
            wait_until("the pool is empty", || pool.state.lock().threads == 0);
            assert_eq!(idle(pool), 0);
        }
    }

    #[test]
    fn a_job_that_waits_can_be_withdrawn() {
        let pool = pool(1, PATIENCE);
        let (first, open_first) = submit(pool);
        first.recv_timeout(PATIENCE).unwrap();
        let ticket = pool.submit(Box::new(|| unreachable!("withdrawn"))).unwrap();
        assert_eq!(pool.unfinished.load(Ordering::SeqCst), 2);
        pool.withdraw(ticket);
        pool.withdraw(ticket);
        assert_eq!(pool.unfinished.load(Ordering::SeqCst), 1);
        drop(open_first);
        wait_until("all jobs are counted out", || {
            pool.unfinished.load(Ordering::SeqCst) == 0
        });
    }
}
