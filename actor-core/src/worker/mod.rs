//! A worker: a thread, its run queue, its inbox, its timers and its poll.
//!
//! The [driver](drive) resumes one tasklet after the other in the order in which they became ready,
//! and waits for events when there is none. What one worker wants of another (wake this tasklet, start
//! that one, forget this descriptor) goes through the other's [inbox], and rings its doorbell only if
//! it sleeps. Here are what a worker is made of, and its driver; the rest is a file each:
//!
//! - `inbox`: what threads ask of other workers;
//! - `turn`: when whoever runs looks after the worker, by operations counted and the clock;
//! - `poll`: events, timers and the wait for them;
//! - `actors`: the actors that are ready, and the carriers that run them;
//! - `ring`: the run queue, as tasklets turn it themselves;
//! - `rest`: when nothing can happen any more;
//! - `pulse`: what others can see of what it does.

mod actors;
mod inbox;
mod poll;
mod pulse;
mod rest;
mod ring;
mod turn;

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crossbeam_utils::CachePadded;

pub(crate) use self::inbox::{
    at, deliver_actor, forget_descriptor, hurry, on_some_worker, on_worker, post, soon, wake,
    wake_actor,
};
use self::poll::{BELL, TIMER};
use self::pulse::Beats;
pub(crate) use self::pulse::Pulse;
pub(crate) use self::ring::{Limit, Meter};
use crate::actor::cell::ActorCell;
use crate::queue::Queue;
use crate::reactor::Sources;
use crate::stacks::Stacks;
use crate::substrate::{self, NestedPoll};
use crate::tasklet::core::Core;
use crate::tasklet::hooks;
use crate::timers::Timers;
use crate::{block, prefetch, reactor, ticks, time};

/// The part of a worker that other threads reach.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Tasklets to schedule and commands to run. Idle only while the driver waits.
    inbox: Queue,
    /// An eventfd in the worker's epoll, written to wake a driver that waits.
    bell: OwnedFd,
    /// The worker's epoll; −1 until its driver has made it.
    epoll: AtomicI32,
    /// Which coroutine of `may`'s is its driver, and what its thread alone touches. Set by the driver.
    driver: AtomicUsize,
    local: AtomicPtr<Local>,
    /// Tasklets that live here; placement goes by it.
    pub(crate) tasklets: AtomicUsize,
    activity: CachePadded<Beats>,
    rest: rest::Rest,
}

static WORKERS: OnceLock<Box<[CachePadded<Shared>]>> = OnceLock::new();

/// Prepares the shared parts of `count` workers.
pub(crate) fn create(count: usize) -> io::Result<()> {
    let mut workers = Vec::with_capacity(count);
    for _ in 0..count {
        // SAFETY: plain system call.
        let bell = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        let bell = owned(bell)?;
        let shared = Shared {
            inbox: Queue::new(),
            bell,
            epoll: AtomicI32::new(-1),
            driver: AtomicUsize::new(0),
            local: AtomicPtr::new(ptr::null_mut()),
            tasklets: AtomicUsize::new(0),
            activity: CachePadded::default(),
            rest: rest::Rest::default(),
        };
        workers.push(CachePadded::new(shared));
    }
    assert!(
        WORKERS.set(workers.into()).is_ok(),
        "the workers are created once"
    );
    Ok(())
}

/// All workers; empty before the runtime has started.
pub(crate) fn all() -> &'static [CachePadded<Shared>] {
    WORKERS.get().map_or(&[], |workers| workers)
}

/// The worker with the fewest tasklets.
pub(crate) fn least_loaded() -> usize {
    let load = |id: &usize| all()[*id].tasklets.load(Ordering::Relaxed);
    (0..all().len()).min_by_key(load).unwrap_or(0)
}

/// Whether a tasklet runs at this moment; for display, on any thread.
pub(crate) fn is_running(core: &Core) -> bool {
    let local = all()[core.home].local.load(Ordering::Acquire);
    // SAFETY: null, or leaked and complete. No more of it is touched than this field, which is atomic.
    !local.is_null() && ptr::eq(unsafe { (*local).current.load(Ordering::Relaxed) }, core)
}

/// Whether there are any: from the first program on.
pub(crate) fn are_there() -> bool {
    !all().is_empty()
}

thread_local! {
    static LOCAL: Cell<*const Local> = const { Cell::new(ptr::null()) };
    /// Whether this is a thread of `may`'s that is no worker.
    static IS_MAYS: Cell<bool> = const { Cell::new(false) };
}

/// Says that this is a thread of `may`'s on which nothing of ours belongs.
pub(crate) fn mark_as_mays_thread() {
    IS_MAYS.set(true);
}

/// Whether this is a thread of `may`'s on which nothing of ours belongs.
pub(crate) fn is_mays_thread() -> bool {
    IS_MAYS.get()
}

/// The worker under whose driver the caller runs, on whichever thread that is now.
pub(crate) fn home_of_caller() -> Option<&'static Local> {
    let driver = substrate::current_coroutine()?.get();
    let is_its = |worker: &&CachePadded<Shared>| worker.driver.load(Ordering::Acquire) == driver;
    let home = all().iter().find(is_its)?;
    // SAFETY: leaked, and stored before its driver's number. Nobody else uses it: its driver has resumed
    // the caller, or is the caller, and waits for its return wherever both have been moved to.
    unsafe { home.local.load(Ordering::Relaxed).as_ref() }
}

/// The worker of this thread, if it is one.
#[inline]
pub(crate) fn local() -> Option<&'static Local> {
    // SAFETY: set once, by `install`, to a value that is leaked.
    unsafe { LOCAL.get().as_ref() }
}

/// As [`local`], after a switch.
///
/// Never inlined: it must not reuse an address of the thread-local that was computed before the
/// switch, or it could not notice that it came back on another thread.
#[inline(never)]
fn local_afresh() -> Option<&'static Local> {
    local()
}

/// The part of a worker that its own thread alone touches. Lives for ever.
pub(crate) struct Local {
    pub(crate) id: usize,
    shared: &'static Shared,
    poll: NestedPoll,
    timerfd: OwnedFd,
    /// When the timerfd goes off, if it is armed.
    armed: Cell<Option<Instant>>,
    /// The tasklet that runs now; null while the driver does. Atomic for [`is_running`] alone.
    current: AtomicPtr<Core>,
    /// Tasklets to be resumed, in order. An entry is the right to resume its tasklet, which cannot
    /// end before; so the pointers are good.
    /// `None` stands for the actors that are ready.
    ready: RefCell<VecDeque<Option<NonNull<Core>>>>,
    /// Actors to be run, in order. Each lives at least until it has been.
    actors: RefCell<VecDeque<NonNull<ActorCell>>>,
    /// Whether `None` is in `ready`.
    actors_are_queued: Cell<bool>,
    /// Carriers that have nothing to do; each has suspended, and is in no queue.
    idle_carriers: RefCell<Vec<NonNull<Core>>>,
    timers: RefCell<Timers>,
    /// Timers' actions that are due, and what else is to be run by the driver.
    due: RefCell<VecDeque<Box<dyn FnOnce() + Send>>>,
    sources: RefCell<Sources>,
    stacks: Stacks,
    operations: Cell<u32>,
    slice_start: Cell<Instant>,
    slice_ticks: Cell<u64>,
    /// When the cheap clock was read last, and after how many more messages it will be.
    last_look: Cell<u64>,
    messages_to_look: Cell<u32>,
    /// How many actors have become ready here so far, and how many of those have been run.
    actors_queued: Cell<u64>,
    actors_begun: Cell<u64>,
    /// `actors_queued` at the beginning of the slice.
    slice_queued: Cell<u64>,
    /// The number of the last call that could wait for ever, of all that this worker has begun.
    calls: Cell<u64>,
    /// How many turns have been taken since the tasklet that runs was resumed.
    turns: Cell<u32>,
    /// Those who run the others until none is ready.
    runs: ring::Runs,
    /// Which tasklet ran last, as long as there is a hook that asks.
    last: RefCell<Option<Arc<Core>>>,
}

impl Local {
    /// Makes this thread the worker `id`. Called once for each, by its driver.
    pub(crate) fn install(id: usize) -> io::Result<&'static Local> {
        let shared: &'static Shared = &all()[id];
        // SAFETY: plain system call.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: plain system call.
        let timerfd = owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        let poll = NestedPoll::new(epoll, id, all().len())?;
        let edge = (libc::EPOLLIN | libc::EPOLLET) as u32;
        reactor::epoll_add(poll.as_raw_fd(), shared.bell.as_raw_fd(), edge, BELL)?;
        reactor::epoll_add(poll.as_raw_fd(), timerfd.as_raw_fd(), edge, TIMER)?;
        shared.epoll.store(poll.as_raw_fd(), Ordering::Release);
        let local = Box::leak(Box::new(Local {
            id,
            shared,
            poll,
            timerfd,
            armed: Cell::new(None),
            current: AtomicPtr::new(ptr::null_mut()),
            ready: RefCell::default(),
            actors: RefCell::default(),
            actors_are_queued: Cell::new(false),
            idle_carriers: RefCell::default(),
            timers: RefCell::default(),
            due: RefCell::default(),
            sources: RefCell::default(),
            stacks: Stacks::default(),
            operations: Cell::new(0),
            slice_start: Cell::new(time::now()),
            slice_ticks: Cell::new(ticks::now()),
            last_look: Cell::new(ticks::now()),
            messages_to_look: Cell::new(0),
            actors_queued: Cell::new(0),
            actors_begun: Cell::new(0),
            slice_queued: Cell::new(0),
            calls: Cell::new((id as u64) << 48),
            turns: Cell::new(0),
            runs: ring::Runs::default(),
            last: RefCell::default(),
        }));
        shared.local.store(local, Ordering::Release);
        let driver = substrate::current_coroutine().expect("a driver is a coroutine");
        shared.driver.store(driver.get(), Ordering::Release);
        LOCAL.set(local);
        Ok(local)
    }

    pub(crate) fn epoll(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    pub(crate) fn timers(&self) -> RefMut<'_, Timers> {
        self.timers.borrow_mut()
    }

    pub(crate) fn sources(&self) -> RefMut<'_, Sources> {
        self.sources.borrow_mut()
    }

    /// The tasklet that runs now; `None` in the driver.
    #[inline]
    pub(crate) fn current(&self) -> Option<NonNull<Core>> {
        NonNull::new(self.current.load(Ordering::Relaxed))
    }

    /// Puts a tasklet of this worker at the end of the run queue.
    ///
    /// # Safety
    ///
    /// It has not finished, and is not in the queue.
    pub(crate) unsafe fn queue(&self, core: NonNull<Core>) {
        self.ready.borrow_mut().push_back(Some(core));
    }

    /// Wakes a tasklet of this worker.
    #[inline]
    pub(crate) fn wake_own(&self, core: &Core) {
        if core.wake.wake_at_home() {
            // SAFETY: it was parked, so it has not finished, and is in no queue.
            unsafe { self.queue(NonNull::from(core)) };
        } else if core.wake.is_paused() {
            self.wake_paused(core);
        }
    }

    /// A number for a call, of which there is no other in the process.
    pub(crate) fn next_call(&self) -> u64 {
        self.calls.set(self.calls.get() + 1);
        self.calls.get()
    }

    pub(crate) fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    /// Ends the process if the driver has been moved, with whatever it was resuming.
    #[inline]
    pub(crate) fn check_thread(&self) {
        if !local_afresh().is_some_and(|now| ptr::eq(now, self)) {
            block::die(block::MOVED);
        }
    }

    /// Takes out who is to be resumed next. With a thousand tasklets, the core and the stack of each have gone
    /// cold when its turn comes; so those of the ones behind are fetched while others run, first the core,
    /// which tells where the stack goes on, and a turn later that.
    #[inline]
    fn next_ready(&self) -> Option<Option<NonNull<Core>>> {
        let mut ready = self.ready.borrow_mut();
        let next = ready.pop_front();
        if let Some(Some(core)) = ready.get(2) {
            prefetch::object(*core);
        }
        if let Some(Some(core)) = ready.get(1) {
            // SAFETY: it is in the run queue, so it lives.
            unsafe { core.as_ref() }.prefetch_stack();
        }
        next
    }

    /// Resumes a tasklet until it waits or ends.
    #[inline]
    fn resume(&self, core: NonNull<Core>) {
        self.turns.set(0);
        if hooks::are_observing() {
            self.begin_stretch();
        }
        // SAFETY: it came from the run queue, so it lives.
        self.shared
            .activity
            .hold(unsafe { core.as_ref() }.acting_pid());
        // SAFETY: it lives, and does not run.
        unsafe { self.descend(core) };
        self.current.store(ptr::null_mut(), Ordering::Relaxed);
        self.shared.activity.release();
    }

    /// Resumes a tasklet that sleeps, from the one that runs, and comes back as soon as it waits or ends:
    /// the two change places without the driver and the run queue.
    ///
    /// Meanwhile the caller stands in no queue, so it must not have been the one that is resumed, and
    /// whoever wakes it has it look again when it is back. What the other does counts against the meter of
    /// the caller's stretch.
    ///
    /// # Safety
    ///
    /// The tasklet is of this worker and sleeps; the caller runs in `me`.
    #[inline(always)]
    pub(crate) unsafe fn visit(&self, me: &Core, core: NonNull<Core>) {
        let holder = &self.shared.activity.holder;
        let mine = holder.load(Ordering::Relaxed);
        // SAFETY: it sleeps, so it lives.
        holder.store(unsafe { core.as_ref() }.pid.0, Ordering::Relaxed);
        // SAFETY: it lives, and does not run.
        unsafe { self.descend(core) };
        if hooks::are_observing() {
            self.tell_of_switch(Some(me));
        }
        self.current
            .store(ptr::from_ref(me).cast_mut(), Ordering::Relaxed);
        holder.store(mine, Ordering::Relaxed);
    }

    /// Switches to a tasklet until it waits or ends.
    ///
    /// # Safety
    ///
    /// It lives, is of this worker, does not run and is in no queue.
    #[inline(always)]
    unsafe fn descend(&self, core: NonNull<Core>) {
        // SAFETY: it lives; and if it ends, its own reference is given up by `retire` below and not
        // before.
        let tasklet = unsafe { core.as_ref() };
        tasklet.wake.resumed();
        if hooks::are_observing() {
            self.tell_of_switch(Some(tasklet));
        }
        self.current.store(core.as_ptr(), Ordering::Relaxed);
        // SAFETY: this is the home thread, and the tasklet does not run.
        let finished = unsafe { tasklet.home_state() }.resume();
        self.check_thread();
        if finished {
            // SAFETY: it has finished, and this is the home thread.
            let stack = unsafe { Core::retire(core) };
            self.shared.tasklets.fetch_sub(1, Ordering::Relaxed);
            self.stacks.keep(stack);
        }
    }

    /// Tells the hook who runs next. It is called outside any tasklet, also where one visits another.
    #[cold]
    fn tell_of_switch(&self, next: Option<&Core>) {
        self.current.store(ptr::null_mut(), Ordering::Relaxed);
        hooks::switch(&self.last, next);
    }
}

/// Runs a worker: the body of its driver. Never returns.
pub(crate) fn drive(local: &'static Local) -> ! {
    loop {
        loop {
            let next = local.next_ready();
            match next {
                None if local.end_run() => {}
                None => break,
                Some(Some(core)) => local.resume(core),
                Some(None) => {
                    local.actors_are_queued.set(false);
                    local.resume_carrier();
                }
            }
            // A carrier may have come back in the middle of a handler, and left others that are ready.
            local.queue_actors();
            local.count_operation();
            if local.shared.inbox.has_nodes() {
                local.empty_inbox();
            }
            if !local.due.borrow().is_empty() {
                local.run_due();
            }
        }
        if hooks::are_observing() {
            local.tell_of_switch(None);
        }
        local.sleep();
        local.run_due();
    }
}

/// Takes ownership of a descriptor that a system call has just returned.
fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: not negative, so it is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
