//! The runtime: its settings, its start, and the programs that run on it.

pub(crate) mod limits;
mod overflow;
pub(crate) mod panics;
mod probe;
pub(crate) mod program;
pub(crate) mod signals;
pub(crate) mod threads;
mod watchdog;

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::process::{ExitCode, Termination};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};

use parking_lot::Mutex;

use crate::block::{self, Here};
use crate::contain::contain;
use crate::tasklet::Tasklet;
use crate::unmatched::{self, Unmatched};
use crate::{JoinError, RuntimeError, pool, substrate, ticks, time, worker};
use program::{Cause, Program};

/// How large a tasklet's stack is unless somebody says otherwise. It is address space: memory is
/// taken for what is used, 8 KiB at the least.
pub const DEFAULT_STACK_SIZE: usize = 256 * 1024;
/// How long tasklets have to end by themselves after a stop.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// How long a handler or a tasklet may hold its worker before a warning is logged.
pub const DEFAULT_HOLD_WARNING: Duration = Duration::from_millis(100);
/// How long the workers may take to come up; only a broken machine lets it pass.
const START_PATIENCE: Duration = Duration::from_secs(10);

static STACK_SIZE: AtomicUsize = AtomicUsize::new(DEFAULT_STACK_SIZE);

/// The runtime that all programs of the process share.
///
/// It starts with the first [`dispatch`] and lives as long as the process: there is one, with the
/// settings it was first started with.
#[derive(Debug)]
pub struct Runtime {
    _private: (),
}

impl Runtime {
    /// Settings for the runtime.
    ///
    /// ```
    /// use actor_core::Runtime;
    ///
    /// let code = Runtime::builder().workers(2).dispatch(|| println!("up"));
    /// # assert_eq!(code, std::process::ExitCode::SUCCESS);
    /// ```
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }
}

/// Settings for the runtime, each with a default.
///
/// ```
/// use actor_core::{Runtime, Tasklet};
/// use std::{process::ExitCode, time::Duration};
///
/// let code = Runtime::builder()
///     .workers(2)
///     .stack_size(128 * 1024)
///     .grace(Duration::from_secs(10))
///     .dispatch(|| Tasklet::yield_now());
/// # assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a builder does nothing until `dispatch`"]
pub struct RuntimeBuilder {
    settings: Settings,
    grace: Option<Duration>,
    forward_panics: bool,
}

/// What is settled when the runtime starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    workers: Option<usize>,
    stack_size: Option<usize>,
    tasklets: Option<usize>,
    pool_threads: Option<usize>,
    unmatched: Option<Unmatched>,
    virtual_clock: Option<bool>,
    signals: Option<bool>,
    sigusr1: Option<bool>,
    hold_warning: Option<Duration>,
    worker_start: Option<WorkerStart>,
}

/// What each worker does first. Two are the same if they are clones.
#[derive(Clone)]
struct WorkerStart(Arc<dyn Fn() + Send + Sync>);

impl PartialEq for WorkerStart {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for WorkerStart {}

impl fmt::Debug for WorkerStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkerStart(..)")
    }
}

impl RuntimeBuilder {
    /// How many workers there are, each a thread. By default as many as the machine has cores.
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    pub fn workers(mut self, workers: usize) -> Self {
        assert!(workers > 0, "a runtime needs a worker");
        self.settings.workers = Some(workers);
        self
    }

    /// How many bytes of stack a tasklet has, rounded up to pages; [`DEFAULT_STACK_SIZE`] by default.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// How many tasklets there may be at a time. By default, and at most, as many as the system has
    /// memory maps for (`vm.max_map_count`): some 32,000 where that was left as it is.
    ///
    /// ```
    /// use actor_core::{Runtime, SpawnError, Tasklet};
    ///
    /// Runtime::builder().tasklets(1).dispatch(|| {
    ///     let refused = Tasklet::builder().spawn(|| ()).unwrap_err(); // main is the one
    ///     assert!(matches!(refused, SpawnError::TaskletLimit { limit: 1, .. }));
    /// });
    /// ```
    pub fn tasklets(mut self, limit: usize) -> Self {
        self.settings.tasklets = Some(limit);
        self
    }

    /// How many threads [`block_on_thread`](crate::block_on_thread) may use;
    /// [`DEFAULT_POOL_THREADS`](crate::DEFAULT_POOL_THREADS) by default.
    ///
    /// ```
    /// use actor_core::{Runtime, block_on_thread};
    ///
    /// Runtime::builder().pool_threads(4).dispatch(|| {
    ///     assert_eq!(block_on_thread(|| 6 * 7), 42);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    pub fn pool_threads(mut self, threads: usize) -> Self {
        assert!(threads > 0, "a pool needs a thread");
        self.settings.pool_threads = Some(threads);
        self
    }

    /// How long tasklets have to end by themselves once the program has been asked to stop, before
    /// they are killed; [`DEFAULT_GRACE`] by default. Each `dispatch` can have its own.
    ///
    /// ```
    /// use actor_core::Runtime;
    ///
    /// let patient = Runtime::builder().grace(std::time::Duration::from_secs(30));
    /// # assert_eq!(patient.dispatch(|| ()), std::process::ExitCode::SUCCESS);
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Whether a panic of a tasklet that nobody joins ends the main tasklet as well. By default it does
    /// not: it is logged. Each `dispatch` can have its own.
    ///
    /// It is raised in the main tasklet, which runs next if it is on the same worker, and ends its
    /// current or next operation, whatever that waits for, by unwinding with the payload of that panic;
    /// if the tasklet was run by [`Tasklet::run_all`] on that worker, in the caller of that instead. The
    /// same goes for an error that was [raised](Tasklet::raise) and not caught. Nobody joins a tasklet
    /// once its [`JoinHandle`](crate::JoinHandle) has been dropped, be it after its end. A panic of the
    /// main tasklet goes on in the caller of `dispatch`, as ever. Actors have supervisors for this, and
    /// are left out.
    ///
    /// This is what Stackless does with a tasklet's uncaught exception.
    ///
    /// ```
    /// use actor_core::{Runtime, Tasklet};
    /// use std::{panic::catch_unwind, time::Duration};
    ///
    /// let ended = catch_unwind(|| {
    ///     Runtime::builder().forward_panics(true).dispatch(|| {
    ///         Tasklet::spawn(|| panic!("out of luck"));
    ///         Tasklet::sleep(Duration::from_secs(60)); // does not take so long
    ///     })
    /// });
    /// assert_eq!(*ended.unwrap_err().downcast::<&str>().unwrap(), "out of luck");
    /// ```
    pub fn forward_panics(mut self, on: bool) -> Self {
        self.forward_panics = on;
        self
    }

    /// What happens to a message that no arm of a receive loop takes; [`Unmatched::Log`] by default.
    ///
    /// ```
    /// use actor_core::{Runtime, Unmatched};
    ///
    /// let strict = Runtime::builder().unmatched(Unmatched::Panic); // for tests
    /// # assert_eq!(strict.dispatch(|| ()), std::process::ExitCode::SUCCESS);
    /// ```
    pub fn unmatched(mut self, unmatched: Unmatched) -> Self {
        self.settings.unmatched = Some(unmatched);
        self
    }

    /// Whether time stands still while there is work, and jumps to the next timer when there is none.
    /// For tests: hours pass in no time, and in the same way each time.
    ///
    /// A program on the virtual clock has one worker. Time also stands still while a tasklet waits
    /// on a descriptor or for a thread, since nobody knows how long that will take.
    ///
    /// ```
    /// use actor_core::{Runtime, Tasklet, time};
    /// use std::time::{Duration, Instant};
    ///
    /// let hour = Duration::from_secs(3600);
    /// let started = Instant::now();
    /// Runtime::builder().virtual_clock(true).dispatch(move || {
    ///     let before = time::now();
    ///     Tasklet::sleep(hour);
    ///     assert_eq!(time::now() - before, hour);
    /// });
    /// assert!(started.elapsed() < hour);
    /// ```
    pub fn virtual_clock(mut self, on: bool) -> Self {
        self.settings.virtual_clock = Some(on);
        self
    }

    /// Whether SIGINT and SIGTERM stop the program in order, and a second one at once. By default
    /// they do. Otherwise they do what they do without the runtime: end the process, or whatever the
    /// program has arranged itself. Those who [subscribe](crate::subscribe_signals) to them take them over
    /// in either case.
    ///
    /// ```
    /// use actor_core::{Runtime, quit};
    ///
    /// // For a program that has handlers of its own, and stops by `quit`.
    /// let code = Runtime::builder().signals(false).dispatch(|| quit(3));
    /// # assert_eq!(code, std::process::ExitCode::from(3));
    /// ```
    pub fn signals(mut self, on: bool) -> Self {
        self.settings.signals = Some(on);
        self
    }

    /// Whether SIGUSR1 prints the tree of tasklets to standard error. By default it does. Otherwise it
    /// does what it does without the runtime: it ends the process, unless the program has arranged
    /// something else.
    ///
    /// ```
    /// use actor_core::{Runtime, Tasklet};
    ///
    /// let code = Runtime::builder().sigusr1(false).dispatch(|| {
    ///     eprint!("{}", Tasklet::current().tree()); // the tree is to be had without it
    /// });
    /// # assert_eq!(code, std::process::ExitCode::SUCCESS);
    /// ```
    pub fn sigusr1(mut self, on: bool) -> Self {
        self.settings.sigusr1 = Some(on);
        self
    }

    /// How long a handler or a tasklet may hold its worker, without an operation of the framework in
    /// between, before a warning is logged that names it; [`DEFAULT_HOLD_WARNING`] by default, and never
    /// with [`Duration::MAX`]. It comes while the worker is held, so also for one that never lets go.
    ///
    /// ```
    /// use actor_core::Runtime;
    /// use std::time::Duration;
    ///
    /// let code = Runtime::builder().hold_warning(Duration::from_millis(20)).dispatch(|| ());
    /// # assert_eq!(code, std::process::ExitCode::SUCCESS);
    /// ```
    pub fn hold_warning(mut self, limit: Duration) -> Self {
        self.settings.hold_warning = Some(limit);
        self
    }

    /// Has each worker call `f` when it starts, on its thread, before any tasklet runs there. It must not wait.
    ///
    /// For what belongs to a thread and is to be there for all its tasklets. So `async` code that is
    /// [waited for](crate::block_on) finds the runtime whose timers, sockets and tasks it wants, if each worker enters
    /// that one once and for good: with tokio, `move || std::mem::forget(handle.enter())`. A guard
    /// must never be held across a wait instead, since tasklets of a worker take turns and guards of a thread must
    /// be dropped in the reverse order.
    ///
    /// Like the other settings it is settled by the first `dispatch` of the process.
    ///
    /// ```
    /// use actor_core::{Runtime, Tasklet};
    /// use std::cell::Cell;
    ///
    /// thread_local! {
    ///     static READY: Cell<bool> = const { Cell::new(false) };
    /// }
    ///
    /// let code = Runtime::builder().on_worker_start(|| READY.set(true)).dispatch(|| {
    ///     assert!(READY.get());
    /// });
    /// # assert_eq!(code, std::process::ExitCode::SUCCESS);
    /// ```
    ///
    /// # Panics
    ///
    /// If `f` does, the runtime does not start.
    pub fn on_worker_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.settings.worker_start = Some(WorkerStart(Arc::new(f)));
        self
    }

    /// As [`dispatch`], with these settings.
    ///
    /// A runtime that cannot start ends with a failure code, and the reason on standard error; to have
    /// it as an error, use [`try_dispatch`](Self::try_dispatch).
    ///
    /// ```
    /// use actor_core::Runtime;
    ///
    /// let code = Runtime::builder().workers(1).dispatch(|| std::process::ExitCode::from(7));
    /// # assert_eq!(code, std::process::ExitCode::from(7));
    /// ```
    pub fn dispatch<F, T>(self, main: F) -> ExitCode
    where
        F: FnOnce() -> T + Send + 'static,
        T: Termination + Send + 'static,
    {
        self.try_dispatch(main).unwrap_or_else(|error| {
            say(format_args!(
                "concurrence: the runtime cannot start: {error}\n"
            ));
            ExitCode::FAILURE
        })
    }

    /// As [`dispatch`], with these settings; fails if the runtime cannot start with them.
    ///
    /// It can start once in a process: [`RuntimeError::AlreadyRunning`] says that it runs with other
    /// settings. Those that were not given here are taken as they are.
    ///
    /// ```
    /// use actor_core::{Runtime, RuntimeError};
    ///
    /// Runtime::builder().workers(1).try_dispatch(|| ())?;
    /// let other = Runtime::builder().workers(2).try_dispatch(|| ());
    /// assert!(matches!(other, Err(RuntimeError::AlreadyRunning)));
    /// # Ok::<(), RuntimeError>(())
    /// ```
    pub fn try_dispatch<F, T>(self, main: F) -> Result<ExitCode, RuntimeError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Termination + Send + 'static,
    {
        if !matches!(block::here(), Here::Thread) {
            return Err(RuntimeError::InTasklet);
        }
        start(&self.settings)?;
        let grace = self.grace.unwrap_or(DEFAULT_GRACE);
        let program = Program::begin(grace, self.forward_panics);
        let main = {
            let _entered = enter_program(program.clone());
            Tasklet::builder()
                .name("main")
                .spawn(|| main().report())
                .map_err(io::Error::other)?
        };
        let other = program.wait().map(ExitCode::from);
        let ended = if main.is_alive() {
            None
        } else {
            Some(main.join())
        };
        drop(main);
        program.end();
        match ended {
            Some(Err(JoinError::Panicked(panic))) => panic.resume(),
            Some(Err(JoinError::Raised(error))) => {
                say(format_args!(
                    "concurrence: main was ended by an error: {error}\n"
                ));
                Ok(other.unwrap_or(ExitCode::FAILURE))
            }
            Some(Ok(code)) => Ok(other.unwrap_or(code)),
            // Killed, or not to be ended at all.
            _ => Ok(other.unwrap_or(ExitCode::FAILURE)),
        }
    }
}

/// Runs a program: `main` as its main tasklet, and whatever that spawns.
///
/// Returns when `main` and all tasklets that are no daemons have ended; daemons that are left then
/// are killed. The exit code is `main`'s own, or what was given to [`quit`].
///
/// SIGINT and SIGTERM stop the program in order: listeners are closed, tasklets are asked to
/// [stop](Tasklet::stop), and those that are left after the [grace
/// period](RuntimeBuilder::grace) are killed, with a word on standard error about who they were; the
/// code is then 130 or 143. A program that ends in time ends with `main`'s own code. A second signal
/// ends the process at once with 130 or 143. SIGUSR1 prints the [tree](Tasklet::tree).
///
/// Several programs can run at a time, and one after the other, on the one runtime of the process; so
/// tests can each have their own. It blocks the calling thread, which must not be a worker's.
///
/// ```
/// use actor_core::{Tasklet, dispatch};
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     dispatch(|| {
///         for name in ["A", "B"] {
///             Tasklet::spawn(move || println!("Hello {name}"));
///         }
///     })
/// }
/// ```
///
/// # Panics
///
/// If `main` panicked: with the same payload, after everything else has ended. So an assertion in a
/// test's program fails the test, and an executable ends with the code 101, as std has it.
pub fn dispatch<F, T>(main: F) -> ExitCode
where
    F: FnOnce() -> T + Send + 'static,
    T: Termination + Send + 'static,
{
    Runtime::builder().dispatch(main)
}

/// Writes to standard error what the runtime has to say to whoever waits for a program. That it may be
/// closed is no reason to panic.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Asks the program of the calling tasklet to stop in order, as a signal does, and to exit with
/// `code`. Returns at once. From a thread of no program, asks all that run.
///
/// ```
/// use actor_core::{Tasklet, dispatch, quit};
/// use std::process::ExitCode;
///
/// let code = dispatch(|| {
///     quit(3);
///     Tasklet::receive().for_each(drop); // ends, because the program does
/// });
/// assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(3)));
/// ```
pub fn quit(code: u8) {
    let programs = match current_program() {
        Some(program) => vec![program],
        None => Program::running(),
    };
    for program in programs {
        program.shut_down(Cause::Quit(code));
    }
}

/// Whether the program of the caller has been asked to stop, by a signal or by [`quit`].
///
/// ```
/// use actor_core::{dispatch, is_shutting_down, quit};
///
/// dispatch(|| {
///     assert!(!is_shutting_down());
///     quit(0);
///     assert!(is_shutting_down());
/// });
/// ```
pub fn is_shutting_down() -> bool {
    current_program().is_some_and(|program| program.is_shutting_down())
}

/// The size of a tasklet's stack if nothing is said, in whole pages.
pub(crate) fn default_stack_size() -> usize {
    STACK_SIZE.load(Ordering::Relaxed)
}

thread_local! {
    /// For threads that work for a program.
    static PROGRAM: RefCell<Option<Arc<Program>>> = const { RefCell::new(None) };
}

/// The program that the caller works for.
fn current_program() -> Option<Arc<Program>> {
    match block::current() {
        Some(core) => Some(core.acting_program().clone()),
        // A thread's destructors may run when this has gone.
        None => PROGRAM
            .try_with(|program| program.borrow().clone())
            .ok()
            .flatten(),
    }
}

/// The program to which what the caller spawns belongs: its own, or the oldest that runs.
pub(crate) fn program() -> Option<Arc<Program>> {
    current_program().or_else(|| Program::running().into_iter().next())
}

/// Makes the calling thread work for `program` until the guard is dropped.
pub(crate) fn enter_program(program: Arc<Program>) -> Entered {
    Entered {
        before: PROGRAM.replace(Some(program)),
    }
}

/// See [`enter_program`].
#[derive(Debug)]
pub(crate) struct Entered {
    before: Option<Arc<Program>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        PROGRAM.set(self.before.take());
    }
}

/// Starts the runtime, or checks that it runs with these settings.
fn start(wanted: &Settings) -> Result<(), RuntimeError> {
    enum State {
        Down,
        Up(Settings),
        /// There is no second attempt: threads of the first may be left.
        Broken(String),
    }
    static STATE: Mutex<State> = Mutex::new(State::Down);
    let mut state = STATE.lock();
    match &*state {
        State::Up(running) if wanted.agree_with(running)? => Ok(()),
        State::Up(_) => Err(RuntimeError::AlreadyRunning),
        State::Broken(why) => Err(RuntimeError::ProbeFailed(why.clone())),
        State::Down => {
            let settled = wanted.settle()?;
            let booted = boot(&settled);
            *state = match &booted {
                Ok(()) => State::Up(settled),
                Err(error) => State::Broken(format!("it has failed to start before: {error}")),
            };
            booted
        }
    }
}

impl Settings {
    /// Fills in the defaults.
    fn settle(&self) -> Result<Settings, RuntimeError> {
        let virtual_clock = self.virtual_clock.unwrap_or(false);
        let workers = match (virtual_clock, self.workers) {
            (true, None | Some(1)) => 1,
            (true, Some(_)) => return Err(RuntimeError::VirtualClockWorkers),
            (false, workers) => workers.unwrap_or_else(limits::default_workers),
        };
        limits::count_maps(workers);
        Ok(Settings {
            workers: Some(workers),
            stack_size: Some(stack_size(self.stack_size.unwrap_or(DEFAULT_STACK_SIZE))?),
            tasklets: Some(limits::set_tasklet_limit(self.tasklets)),
            pool_threads: Some(self.pool_threads.unwrap_or(pool::DEFAULT_POOL_THREADS)),
            unmatched: Some(self.unmatched.unwrap_or_default()),
            virtual_clock: Some(virtual_clock),
            signals: Some(self.signals.unwrap_or(true)),
            sigusr1: Some(self.sigusr1.unwrap_or(true)),
            hold_warning: Some(self.hold_warning.unwrap_or(DEFAULT_HOLD_WARNING)),
            worker_start: self.worker_start.clone(),
        })
    }

    /// Whether each setting that is given is the one that `running` has.
    fn agree_with(&self, running: &Settings) -> Result<bool, RuntimeError> {
        fn agree<T: PartialEq>(wanted: &Option<T>, running: &Option<T>) -> bool {
            wanted.is_none() || wanted == running
        }
        // What was asked for may not be what there is: both are brought within their limits.
        let stack_size = self.stack_size.map(stack_size).transpose()?;
        let tasklets = self.tasklets.map(limits::within_room);
        Ok(agree(&self.workers, &running.workers)
            && agree(&stack_size, &running.stack_size)
            && agree(&tasklets, &running.tasklets)
            && agree(&self.pool_threads, &running.pool_threads)
            && agree(&self.unmatched, &running.unmatched)
            && agree(&self.virtual_clock, &running.virtual_clock)
            && agree(&self.signals, &running.signals)
            && agree(&self.sigusr1, &running.sigusr1)
            && agree(&self.hold_warning, &running.hold_warning)
            && agree(&self.worker_start, &running.worker_start))
    }
}

/// The size of stack for which `bytes` were asked.
fn stack_size(bytes: usize) -> Result<usize, RuntimeError> {
    Ok(limits::stack_size(bytes).map_err(io::Error::other)?)
}

/// Brings up the workers. The order of the steps matters.
fn boot(settings: &Settings) -> Result<(), RuntimeError> {
    let settled = "all settings have been settled";
    let began = ticks::Mark::now();
    let workers = settings.workers.expect(settled);
    STACK_SIZE.store(settings.stack_size.expect(settled), Ordering::Relaxed);
    unmatched::set_policy(settings.unmatched.expect(settled));
    pool::configure(settings.pool_threads.expect(settled));
    limits::raise_descriptor_limit();
    if settings.virtual_clock.expect(settled) {
        time::go_virtual();
    }
    // Before `may` starts threads: they inherit the mask, and its first coroutine installs the
    // fault handlers that ours must come after.
    let blocked = signals::Blocked::at_start();
    overflow::save()?;
    substrate::configure(workers);
    worker::create(workers)?;
    // `may`'s timer.
    threads::count_helper();
    probe::check(workers)?;
    start_drivers(workers, settings.worker_start.as_ref())?;
    ticks::calibrate(began);
    overflow::install()?;
    // After the first coroutine: `generator` sets a hook then, to which ours is chained.
    panics::install_hook();
    watchdog::start(settings.hold_warning.expect(settled))?;
    drop(blocked);
    signals::listen(
        settings.signals.expect(settled),
        settings.sigusr1.expect(settled),
    )?;
    Ok(())
}

/// Starts each worker's driver, and waits until all are up.
fn start_drivers(workers: usize, start: Option<&WorkerStart>) -> Result<(), RuntimeError> {
    let (tell, told) = mpsc::channel();
    for id in 0..workers {
        let tell = tell.clone();
        let start = start.cloned();
        substrate::start_on(id, move || {
            overflow::ensure_signal_stack();
            let started = start.is_none_or(|WorkerStart(start)| contain(|| start()).is_some());
            let installed = match started {
                true => worker::Local::install(id),
                false => Err(io::Error::other("what each worker does first has panicked")),
            };
            match installed {
                Ok(local) => {
                    drop(tell.send(Ok(())));
                    // Nothing of this frame must outlive the message.
                    drop(tell);
                    worker::drive(local)
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        })?;
    }
    for _ in 0..workers {
        told.recv_timeout(START_PATIENCE).map_err(|_| {
            let name = thread::current().name().unwrap_or("the caller").to_owned();
            RuntimeError::ProbeFailed(format!("{name} waited in vain for the workers to start"))
        })??;
    }
    Ok(())
}
