//! All that is used of `may` and `generator`: stacks to run on, and threads that wait.
//!
//! Each of `may`'s workers runs one coroutine of ours, the worker's *driver*, started with
//! `Builder::id`. The driver resumes tasklets, which are [`Coroutine`]s (`generator`'s, the type that
//! `may`'s own coroutines are made of), and waits in `may`'s event loop, through one `CoIo`, for one
//! descriptor: the worker's own epoll. Nothing else of `may` is used. Its run queue, park, sleep,
//! locks, channels, sockets and cancellation each can move a coroutine to another thread, or starve
//! it; and a switch through its scheduler costs ten times one between coroutines directly.

use std::any::Any;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use generator::{Generator, Gn, Scope};
use may::coroutine::Builder;
use may::io::{CoIo, WaitIo};

use crate::prefetch;
use crate::runtime::{limits, panics};

type Switch = Scope<'static, 'static, (), ()>;

/// A stack, and what runs on it. Lives on whichever thread resumes it first, for ever.
#[derive(Debug)]
pub(crate) struct Coroutine {
    generator: Generator<'static, (), ()>,
    /// Where the stack lies; empty until that has been told.
    memory: Range<usize>,
    /// The address at which `generator` keeps the registers.
    control: usize,
}

impl Coroutine {
    /// Takes a stack of `bytes`, a whole number of pages.
    pub(crate) fn allocate(bytes: usize) -> io::Result<Coroutine> {
        // The unit is words; an odd number of them would make `generator` fill the whole stack with
        // a pattern. A page is an even number.
        let words = bytes / size_of::<usize>();
        // `generator` has no fallible constructor: where the system refuses, it panics.
        let made =
            panics::quietly(|| catch_unwind(AssertUnwindSafe(|| Gn::<()>::new_opt(words, || ()))));
        match made {
            Ok(generator) => {
                let raw = generator.into_raw();
                Ok(Coroutine {
                    // SAFETY: what `into_raw` has just given, once.
                    generator: unsafe { Generator::from_raw(raw) },
                    memory: 0..0,
                    control: raw.addr(),
                })
            }
            Err(payload) => Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                describe(&*payload),
            )),
        }
    }

    /// Sets what runs at the next [`resume`](Self::resume). The coroutine is new or has finished.
    pub(crate) fn start(&mut self, body: impl FnOnce(Suspender) + Send + 'static) {
        self.generator
            .scoped_init(move |mut switch: Scope<'_, 'static, (), ()>| {
                let switch: *mut Scope<'_, 'static, (), ()> = &raw mut switch;
                body(Suspender {
                    switch: switch.cast(),
                });
            });
    }

    /// Runs until it suspends or finishes; `true` if it has finished.
    #[inline(always)]
    pub(crate) fn resume(&mut self) -> bool {
        self.generator.resume();
        self.generator.is_done()
    }

    /// The usable size of the stack in bytes.
    pub(crate) fn stack_size(&self) -> usize {
        self.generator.stack_usage().0 * size_of::<usize>()
    }

    /// Has the registers fetched into the cache with which it will go on. (`generator`'s own `prefetch` reads
    /// them, and so waits for them.)
    #[inline]
    pub(crate) fn prefetch_registers(&self) {
        prefetch::lines(self.control, 4);
    }

    /// Tells where the stack lies, which `generator` does not.
    pub(crate) fn set_memory(&mut self, memory: Range<usize>) {
        self.memory = memory;
    }

    /// Gives the pages back to the system that a finished coroutine does not need to be started
    /// again: all but the lowest, which has `generator`'s watermark, and the highest, which have its
    /// bookkeeping.
    pub(crate) fn release_memory(&mut self) {
        let page = limits::page_size();
        let (low, high) = (
            self.memory.start + page,
            self.memory.end.saturating_sub(2 * page),
        );
        if low < high {
            let low = std::ptr::with_exposed_provenance_mut(low);
            // SAFETY: the pages belong to this stack, on which nothing runs; whatever runs next on it
            // writes before it reads. That they read as zeros meanwhile disturbs nobody.
            unsafe { libc::madvise(low, high - low.addr(), libc::MADV_DONTNEED) };
        }
    }

    /// Whether the lowest word of the stack has been written: then the guard page below it may have
    /// been stepped over as well.
    pub(crate) fn touched_bottom(&self) -> bool {
        let (size, used) = self.generator.stack_usage();
        used >= size
    }
}

/// The way out of a running [`Coroutine`], back to whoever resumed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspender {
    switch: *mut Switch,
}

impl Suspender {
    /// Switches to the resumer; returns when the coroutine is resumed.
    ///
    /// # Safety
    ///
    /// Called on the stack of the coroutine that this was made for, while its body runs.
    #[inline(always)]
    pub(crate) unsafe fn suspend(self) {
        // SAFETY: the scope lives in the outermost frame of the coroutine's stack, which is there as
        // long as the body runs, and only this coroutine, one call at a time, reaches it. Its
        // lifetimes were erased: they only tie it to that frame.
        unsafe { (*self.switch).yield_with(()) };
    }
}

fn describe(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied())
        .unwrap_or("no stack to be had")
        .to_owned()
}

/// The stack of a driver: it runs timers' actions and drops messages besides switching.
const DRIVER_STACK: usize = 512 * 1024;

/// The shortest time that `may`'s timers do not take for none.
const TIMER_STEP: Duration = Duration::from_millis(1);

/// Sets `may` up for `workers` workers. Has no effect if something else in the process has started
/// `may` already, which the start-up probes find out.
pub(crate) fn configure(workers: usize) {
    may::config().set_workers(workers).set_pool_capacity(1);
    may::config().set_worker_pin(false);
}

/// How many workers `may` believes it has.
pub(crate) fn configured_workers() -> usize {
    may::config().get_workers()
}

/// Starts `body` on the worker `id`, or on `id` modulo the number of workers where that is less.
pub(crate) fn start_on(id: usize, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = Builder::new()
        .id(id)
        .stack_size(DRIVER_STACK / size_of::<usize>());
    // SAFETY: `may` asks that the coroutine does not depend on thread-locals while it can move, and
    // that it does not overflow its stack. It does not move: only a steal or one of `may`'s own
    // blocking operations moves a coroutine, and the probes and this module rule both out.
    let handle = unsafe { builder.spawn(body) }?;
    drop(handle);
    Ok(())
}

/// Starts a coroutine on this worker that first yields once, so that it stands in `may`'s run queue.
/// For the probe of work stealing.
pub(crate) fn queue_here(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let queued = move || {
        may::coroutine::yield_now();
        body();
    };
    // SAFETY: as in `start_on`; whether it moves is the very question, and `body` tolerates it.
    let handle = unsafe { Builder::new().spawn_local(queued) }?;
    drop(handle);
    Ok(())
}

/// Runs `body` on the thread to which everything in `may` that can time out moves a coroutine, or what
/// is one of `may`'s own: its timer thread.
pub(crate) fn start_on_timer_thread(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start_on(0, || {
        may::coroutine::sleep(TIMER_STEP);
        body();
    })
}

/// Which of `may`'s coroutines the caller runs in, however many generators it is inside of there.
pub(crate) fn current_coroutine() -> Option<NonZeroUsize> {
    NonZeroUsize::new(generator::get_local_data().addr())
}

/// A worker's own epoll descriptor, as `may`'s event loop waits for it.
#[derive(Debug)]
pub(crate) struct NestedPoll {
    io: CoIo<File>,
}

impl NestedPoll {
    /// Registers `epoll` in the event loop of worker `id` of `workers`, once and for ever.
    pub(crate) fn new(epoll: OwnedFd, id: usize, workers: usize) -> io::Result<NestedPoll> {
        let epoll = congruent(epoll, id, workers)?;
        // Dropping a CoIo closes before it deregisters. This one is never dropped.
        let io = CoIo::new(File::from(epoll))
            .map_err(|refused| io::Error::other(refused.to_string()))?;
        Ok(NestedPoll { io })
    }

    /// Suspends the driver until the descriptor is readable; may return early.
    pub(crate) fn wait(&self) {
        self.io.wait_io();
    }
}

impl AsRawFd for NestedPoll {
    fn as_raw_fd(&self) -> i32 {
        self.io.as_raw_fd()
    }
}

/// Duplicates `fd` to a number that is `id` modulo `workers`: that is how `may` assigns descriptors.
fn congruent(fd: OwnedFd, id: usize, workers: usize) -> io::Result<OwnedFd> {
    let mut fd = fd;
    while fd.as_raw_fd() as usize % workers != id {
        // SAFETY: plain system call on an open descriptor.
        let next =
            unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, fd.as_raw_fd() + 1) };
        if next < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        fd = unsafe { OwnedFd::from_raw_fd(next) };
    }
    Ok(fd)
}

/// `may` needs one at least.
pub(crate) const MIN_WORKERS: usize = 1;
