//! A worker: a thread, its run queue, its inbox, its timers and its poll.
//!
//! The [driver](drive) resumes one tasklet after the other in the order in which they became ready,
//! and waits for events when there is none. What one worker wants of another (wake this tasklet, start
//! that one, forget this descriptor) goes through the other's inbox, and rings its doorbell only if
//! it sleeps.
//!
//! **Turns.** A slice of time belongs to the worker, not to a tasklet. Every operation counts; every
//! 16th looks at the clock, and when the slice is used up, whoever runs polls the worker's events,
//! timers and inbox inline. Nobody leaves the run queue for that, so a turn changes no order; and it
//! comes even if no tasklet ever waits.

mod rest;
mod ring;

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{io, mem};

use crossbeam_utils::CachePadded;

use crate::actor::cell::ActorCell;
use crate::actor::residence::Knock;
use crate::actor::{self, carrier, surplus};
use crate::contain::contain_or;
use crate::prefetch;
use crate::queue::{Kind, Link, Push, Queue};
use crate::reactor::Sources;
use crate::stacks::Stacks;
use crate::substrate::{self, NestedPoll};
use crate::tasklet::core::Core;
use crate::tasklet::hooks;
use crate::timers::{Action, Timers};
use crate::{Pid, SpawnError, block, pool, reactor, ticks, time};
pub(crate) use ring::{Limit, Meter};

/// How long tasklets may run before somebody polls.
const SLICE: Duration = Duration::from_micros(200);
/// How many operations pass between two looks at the clock.
const OPERATIONS_PER_LOOK: u32 = 16;
/// How many short messages to actors pass between two looks at the cheap clock.
const MESSAGES_PER_LOOK: u32 = 8;
/// How long a worker without work waits for its own events before it goes back to `may`'s loop, where
/// it may wait for ever. Going there costs another system call and two switches; a server under load
/// is never without work for so long.
const LINGER: Duration = Duration::from_millis(10);
/// How many events one system call fetches.
const EVENTS: usize = 256;

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

/// What a worker does, as others may see it. Written by its own thread alone.
#[derive(Debug, Default)]
struct Beats {
    /// Goes on with everything that is run here, and with every turn.
    count: AtomicU64,
    /// The tasklet or actor that runs; 0 for the driver.
    holder: AtomicU64,
}

impl Beats {
    #[inline]
    fn beat(&self) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count.wrapping_add(1), Ordering::Relaxed);
    }

    #[inline]
    fn hold(&self, holder: Pid) {
        self.holder.store(holder.0, Ordering::Relaxed);
        self.beat();
    }

    #[inline]
    fn release(&self) {
        self.holder.store(0, Ordering::Relaxed);
    }
}

/// A moment in what a worker does: as long as it does not change, nothing else is run there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pulse {
    beats: u64,
    /// Who runs; nobody, while the driver does, or waits for work.
    pub(crate) holder: Option<Pid>,
}

impl Shared {
    /// Not to be trusted to the last beat: compare two, some time apart.
    pub(crate) fn pulse(&self) -> Pulse {
        let holder = self.activity.holder.load(Ordering::Relaxed);
        Pulse {
            beats: self.activity.count.load(Ordering::Relaxed),
            holder: (holder != 0).then_some(Pid(holder)),
        }
    }
}

/// A bit for each worker that has nothing to do.
static IDLE: AtomicUsize = AtomicUsize::new(0);

/// Rings one worker that has nothing to do, if there is one; the others are rung by those who find
/// that there is more to do than they can take.
fn ring_an_idle_one() {
    let idle = IDLE.load(Ordering::SeqCst);
    for (id, worker) in all().iter().enumerate() {
        let bit = 1 << (id % usize::BITS as usize);
        if idle & bit != 0 && IDLE.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
            ring(&worker.bell);
            return;
        }
    }
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

/// Runs `command` on this worker now, or soon on some worker if this thread is none.
///
/// # Panics
///
/// If the runtime has never been started.
pub(crate) fn on_some_worker(command: impl FnOnce(&Local) + Send + 'static) {
    assert!(!all().is_empty(), "the runtime has not been started");
    match local() {
        Some(local) => command(local),
        None => post(0, command),
    }
}

/// Runs `command` on the worker `id`: now if this thread is it, or else soon, outside any tasklet.
pub(crate) fn on_worker(id: usize, command: impl FnOnce(&Local) + Send + 'static) {
    match local() {
        Some(local) if local.id == id => command(local),
        _ => post(id, command),
    }
}

/// Runs `command` on the worker `id`, outside any tasklet.
pub(crate) fn post(id: usize, command: impl FnOnce(&Local) + Send + 'static) {
    let command = Command {
        link: Link::new(Kind::Command),
        run: Box::new(command),
    };
    let node = NonNull::from(Box::leak(Box::new(command))).cast();
    // SAFETY: the command has just been leaked for this, and the link is its first field.
    unsafe { deliver(id, node) };
}

/// Has `work` done soon by a driver: this worker's, or else that of `home`, or any. It must not wait.
///
/// # Panics
///
/// If the runtime has never been started.
pub(crate) fn soon(home: Option<usize>, work: Box<dyn FnOnce() + Send>) {
    assert!(!all().is_empty(), "the runtime has not been started");
    match local() {
        Some(local) => local.due.borrow_mut().push_back(work),
        None => post(home.unwrap_or(0), move |local| {
            local.due.borrow_mut().push_back(work);
        }),
    }
}

/// Has `work` done by the driver of the worker `id`. It must not wait.
///
/// # Panics
///
/// If there is no such worker.
pub(crate) fn at(id: usize, work: Box<dyn FnOnce() + Send>) {
    post(id, move |local| local.due.borrow_mut().push_back(work));
}

/// # Safety
///
/// As [`Queue::push`]; the node begins a [`Core`] or a [`Command`], as its kind says.
unsafe fn deliver(id: usize, node: NonNull<Link>) {
    let worker = &all()[id];
    // SAFETY: as the caller promises.
    match unsafe { worker.inbox.push(node) } {
        Push::Queued => {}
        Push::WakeConsumer => ring(&worker.bell),
        Push::Closed => unreachable!("an inbox is never closed"),
    }
}

/// Takes a descriptor out of a worker's epoll at once, and forgets its key soon.
///
/// The descriptor must still be open: this is what makes it safe to close it next.
pub(crate) fn forget_descriptor(id: usize, fd: RawFd, key: u64) {
    reactor::epoll_remove(all()[id].epoll.load(Ordering::Acquire), fd);
    match local() {
        Some(local) if local.id == id => local.sources().remove(key),
        _ => post(id, move |local| local.sources().remove(key)),
    }
}

fn ring(bell: &OwnedFd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: writes eight bytes of a local to an open descriptor. It cannot fail: the counter would
    // have to overflow, and then it is readable anyway.
    unsafe { libc::write(bell.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

#[repr(C)]
struct Command {
    link: Link,
    run: Box<dyn FnOnce(&Local) + Send>,
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

const BELL: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

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

    /// Puts an actor of this worker at the end of those that are ready.
    ///
    /// # Safety
    ///
    /// It has not ended, does not run, and is in no queue.
    pub(crate) unsafe fn queue_actor(&self, actor: NonNull<ActorCell>) {
        self.actors.borrow_mut().push_back(actor);
        self.actors_queued.set(self.actors_queued.get() + 1);
        if !self.actors_are_queued.replace(true) {
            self.ready.borrow_mut().push_back(None);
        }
    }

    /// Wakes an actor of this worker.
    #[inline]
    fn wake_own_actor(&self, actor: &ActorCell) {
        if actor.residence.wake() {
            actor.program.activity.begin(Some(self.id));
            // SAFETY: it was parked, so it has not ended, does not run, and is in no queue.
            unsafe { self.queue_actor(actor.node()) };
        }
    }

    /// Passes a kill on to the carrier that runs a handler of the actor, if one does; and a stop, for which the
    /// handler may wait besides.
    #[cold]
    fn interrupt(&self, actor: &ActorCell) {
        // SAFETY: this is its home's thread.
        if let Some(carrier) = unsafe { actor.carrier() } {
            if actor.flags() & actor::cell::KILLED != 0 {
                carrier.mark_killed();
            }
            self.wake_own(carrier);
        }
    }

    /// An actor has nothing to do any more.
    pub(crate) fn actor_idles(&self, actor: &ActorCell) {
        actor.program.activity.rest(self.id);
    }

    /// After a message has been handled: whether the slice may be over.
    ///
    /// Even the cheap clock costs a third of a short message. So it is read after every eighth, unless
    /// the last ones took so long that the eight next could outlast a slice; then after each.
    #[inline]
    pub(crate) fn slice_may_be_over(&self) -> bool {
        let left = self.messages_to_look.get();
        self.messages_to_look.set(left.wrapping_sub(1));
        left == 0 && self.look_at_ticks()
    }

    fn look_at_ticks(&self) -> bool {
        let now = ticks::now();
        let since_look = now.wrapping_sub(self.last_look.replace(now));
        let slice = ticks::of(SLICE);
        let slow = since_look >= slice / 8;
        self.messages_to_look
            .set(if slow { 0 } else { MESSAGES_PER_LOOK - 1 });
        now.wrapping_sub(self.slice_ticks.get()) >= slice
    }

    /// Whether the slice is over; then a turn is taken after the message that is being handled. For handlers
    /// with much to do, which can leave off.
    pub(crate) fn is_slice_over(&self) -> bool {
        let over = self.look_at_ticks();
        if over {
            self.messages_to_look.set(0);
        }
        over
    }

    /// Takes a turn if the slice is over; `true` if it was.
    pub(crate) fn take_turn_if_due(&self) -> bool {
        let turns = self.turns.get();
        self.look_at_clock();
        self.turns.get() > turns
    }

    /// Runs the actors that are ready, until there is none, or others have waited for a slice.
    pub(crate) fn run_actors(&'static self, carrier: &Core) {
        loop {
            let next = self.actors.borrow_mut().pop_front();
            let Some(actor) = next else {
                if self.take_surplus() {
                    continue;
                }
                return;
            };
            self.actors_begun.set(self.actors_begun.get() + 1);
            // SAFETY: it is ready, so it lives.
            self.shared.activity.hold(unsafe { actor.as_ref() }.pid);
            // SAFETY: it is this worker's, and this is the carrier.
            unsafe { actor::run::run(self, carrier, actor) };
            if self.turns.get() > 0 && !self.ready.borrow().is_empty() {
                break;
            }
        }
    }

    /// Gives the actors that are ready their place among the tasklets, if they have none.
    #[inline]
    fn queue_actors(&self) {
        if !self.actors.borrow().is_empty() && !self.actors_are_queued.replace(true) {
            self.ready.borrow_mut().push_back(None);
        }
    }

    /// Takes in actors that are ready and that others have no time for; `true` if there were any.
    fn take_surplus(&self) -> bool {
        let taken = surplus::take();
        for actor in &taken {
            // SAFETY: it has been ready since it was given away, and only whoever runs it ends it.
            self.welcome(unsafe { actor.as_ref() });
        }
        if !surplus::is_empty() {
            ring_an_idle_one();
        }
        !taken.is_empty()
    }

    /// Gives actors away that have been ready for a whole slice, if another worker has nothing to do.
    fn give_surplus(&self) {
        let have_waited = self.actors_begun.get() < self.slice_queued.get();
        if have_waited && IDLE.load(Ordering::Relaxed) != 0 {
            let given = surplus::give(&mut self.actors.borrow_mut());
            // They count as begun: the others come sooner by so many.
            self.actors_begun
                .set(self.actors_begun.get() + given as u64);
            if given > 0 {
                ring_an_idle_one();
            }
        }
    }

    /// Keeps a carrier that has nothing to do, and comes back when it has; `false` if it is to end.
    pub(crate) fn lay_by(&'static self, carrier: &Core) -> bool {
        let mut idle = self.idle_carriers.borrow_mut();
        if idle.len() >= carrier::KEPT {
            return false;
        }
        idle.push(NonNull::from(carrier));
        drop(idle);
        carrier.suspend(self);
        true
    }

    /// Sees to it that there is a carrier to be had when the one that runs now waits.
    pub(crate) fn reserve_carrier(&'static self) -> Result<(), SpawnError> {
        if self.idle_carriers.borrow().is_empty() {
            let made = carrier::make(self)?;
            self.idle_carriers.borrow_mut().push(made);
        }
        Ok(())
    }

    /// Gives the actors that are ready to a carrier.
    fn resume_carrier(&'static self) {
        if self.actors.borrow().is_empty() {
            return;
        }
        let idle = self.idle_carriers.borrow_mut().pop();
        let carrier = match idle {
            Some(carrier) => carrier,
            None => match carrier::make(self) {
                Ok(carrier) => carrier,
                Err(_) => {
                    // The only ones there are have given way in a handler, and are ready: each waits
                    // only when there is another. The actors' turn comes again after theirs.
                    return;
                }
            },
        };
        self.resume(carrier);
    }

    /// A number for a call, of which there is no other in the process.
    pub(crate) fn next_call(&self) -> u64 {
        self.calls.set(self.calls.get() + 1);
        self.calls.get()
    }

    /// Counts an operation, and takes a turn if the slice is used up.
    #[inline]
    pub(crate) fn count_operation(&self) {
        let operations = self.operations.get().wrapping_add(1);
        self.operations.set(operations);
        if self.runs.is_look_due(operations) {
            self.look(operations);
        }
    }

    #[cold]
    fn look(&self, operations: u32) {
        self.meter_operation();
        if operations.is_multiple_of(OPERATIONS_PER_LOOK) {
            self.look_at_clock();
        }
    }

    /// Whether the tasklet that runs has done so for a whole slice at least. The first turn may come
    /// soon after it was resumed, at the end of a slice that others have used; the second does not.
    #[inline]
    pub(crate) fn has_outstayed(&self) -> bool {
        self.turns.get() > 1
    }

    fn look_at_clock(&self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.slice_start.get()) >= SLICE {
            self.turn();
        }
    }

    fn begin_slice(&self) {
        self.slice_start.set(Instant::now());
        self.slice_ticks.set(ticks::now());
        self.slice_queued.set(self.actors_queued.get());
    }

    /// Sees to events, timers and the inbox without waiting.
    pub(crate) fn turn(&self) {
        self.poll_events(Duration::ZERO);
        self.fire_timers();
        self.empty_inbox();
        // Whoever it was meant for may be busy by now, and all the others as well: then these, which
        // are never without actors of their own, must take it.
        self.take_surplus();
        self.give_surplus();
        self.begin_slice();
        self.turns.set(self.turns.get() + 1);
        self.shared.activity.beat();
    }

    /// Takes in events, waiting for at most `wait` if there are none; `true` if there were any.
    fn poll_events(&self, wait: Duration) -> bool {
        let mut wait = libc::c_int::try_from(wait.as_millis()).unwrap_or(libc::c_int::MAX);
        let mut events = [const { libc::epoll_event { events: 0, u64: 0 } }; EVENTS];
        let mut any = false;
        loop {
            // SAFETY: the buffer is ours and as long as we say.
            let count = unsafe {
                libc::epoll_wait(
                    self.epoll(),
                    events.as_mut_ptr(),
                    EVENTS as libc::c_int,
                    wait,
                )
            };
            // The only error that an open epoll gives here is EINTR, with no events taken.
            let count = usize::try_from(count).unwrap_or(0);
            for event in &events[..count] {
                match event.u64 {
                    BELL => drain(&self.shared.bell),
                    TIMER => {
                        drain(&self.timerfd);
                        self.armed.set(None);
                    }
                    key => {
                        let source = self.sources.borrow().get(key);
                        if let Some(source) = source {
                            source.set_ready(event.events);
                        }
                    }
                }
            }
            any |= count > 0;
            if count < EVENTS {
                return any;
            }
            wait = 0;
        }
    }

    fn fire_timers(&self) -> bool {
        if self.timers.borrow().earliest().is_none() {
            return false;
        }
        let now = time::now();
        let mut any = false;
        loop {
            let action = self.timers.borrow_mut().pop_due(now);
            any |= action.is_some();
            match action {
                None => return any,
                // SAFETY: a tasklet takes its timer back before it goes on, so it is still in the
                // wait that set this one.
                Some(Action::Wake(core)) => self.wake_own(unsafe { core.as_ref() }),
                // Not run here: this may be somebody's tasklet, which must not meet another's panic.
                Some(Action::Run(run)) => self.due.borrow_mut().push_back(run),
            }
        }
    }

    fn empty_inbox(&self) -> bool {
        let mut arrived = self.shared.inbox.take_all();
        let any = arrived.len() > 0;
        while let Some(node) = arrived.pop() {
            // SAFETY: the chain owns the node.
            match unsafe { node.as_ref() }.kind {
                Kind::Tasklet => {
                    // SAFETY: of this kind only `wake` delivers, with a reference.
                    let core = unsafe { Arc::from_raw(node.cast::<Core>().as_ptr().cast_const()) };
                    core.wake.taken_from_inbox();
                    self.wake_own(&core);
                }
                Kind::Actor => {
                    let actor = node.cast::<ActorCell>();
                    // SAFETY: of this kind only `wake_actor` delivers, with a reference.
                    self.welcome(unsafe { actor.as_ref() });
                    // SAFETY: that reference.
                    unsafe { ActorCell::remove_reference(actor) };
                }
                Kind::Command => {
                    // SAFETY: of this kind only `post` delivers, and it leaked a box.
                    let command = unsafe { Box::from_raw(node.cast::<Command>().as_ptr()) };
                    (command.run)(self);
                }
                Kind::Envelope => unreachable!("mailboxes have queues of their own"),
            }
        }
        any
    }

    /// An actor has come to the inbox, or would have.
    pub(crate) fn welcome(&self, actor: &ActorCell) {
        // If it has no home: it has just been launched, or been given away by another worker.
        actor.residence.settle(self.id);
        actor.residence.arrive();
        if !actor.has(actor::cell::ENDED) {
            if actor.flags() & actor::cell::TOLD_TO_END != 0 {
                self.interrupt(actor);
            }
            self.wake_own_actor(actor);
        }
        actor.program.activity.rest(self.id);
    }

    /// Runs the timers' actions that are due; only in the driver.
    fn run_due(&self) {
        loop {
            let run = self.due.borrow_mut().pop_front();
            let Some(run) = run else { return };
            contain_or(run, || tracing::error!("a timer's action has panicked"));
        }
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

    /// Waits until there is something to do, and sees to it.
    fn sleep(&self) {
        if self.fire_timers()
            || self.take_surplus()
            || (time::is_virtual() && self.advance_virtual_clock())
        {
            return;
        }
        // Said before the last look at the surplus: whoever gives after that look finds it said.
        IDLE.fetch_or(self.idle_bit(), Ordering::SeqCst);
        if surplus::is_empty() {
            self.wait_for_work();
        }
        IDLE.fetch_and(!self.idle_bit(), Ordering::SeqCst);
        self.empty_inbox();
        self.take_surplus();
        self.begin_slice();
    }

    /// Which bit of [`IDLE`] is this worker's. With more workers than bits some share one: then one of
    /// them may be rung in place of another, or in vain.
    fn idle_bit(&self) -> usize {
        1 << (self.id % usize::BITS as usize)
    }

    fn wait_for_work(&self) {
        // From here on a delivery rings. What was delivered before makes this fail.
        if self.shared.inbox.go_idle() {
            self.arm_timer();
            if !self.poll_events(LINGER) {
                self.lie_down();
                self.poll.wait();
                self.check_thread();
                self.get_up();
                self.poll_events(Duration::ZERO);
            }
            self.shared.inbox.leave_idle();
            self.fire_timers();
        }
    }

    /// Jumps to the next timer if nothing else can happen; `true` if the driver must look again.
    fn advance_virtual_clock(&self) -> bool {
        // The order matters: a pool thread delivers its result first and counts itself out after, so
        // what it delivered is found by the second look if its count was gone at the first.
        if pool::is_busy() || reactor::anybody_waits() {
            return false;
        }
        if self.shared.inbox.has_nodes() {
            self.empty_inbox();
            return true;
        }
        let Some(next) = self.timers.borrow().earliest() else {
            return false;
        };
        time::jump_to(next);
        true
    }

    fn arm_timer(&self) {
        if !time::is_virtual()
            && let Some(at) = self.timers.borrow().earliest()
        {
            self.arm_timer_for(at);
        }
    }

    fn arm_timer_for(&self, at: Instant) {
        // If it is armed for earlier, it goes off early once, and is armed again then.
        if self.armed.get().is_some_and(|armed| armed <= at) {
            return;
        }
        // Relative to a clock read before the call, so it never goes off early; and a zero would
        // disarm it.
        let wait = at
            .saturating_duration_since(Instant::now())
            .max(Duration::from_nanos(1));
        let spec = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: libc::time_t::try_from(wait.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        // SAFETY: an open timerfd and a valid specification; no old value is asked for.
        unsafe { libc::timerfd_settime(self.timerfd.as_raw_fd(), 0, &spec, ptr::null_mut()) };
        self.armed.set(Some(at));
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

/// Wakes a tasklet, from any thread: makes it look again, if it waits.
pub(crate) fn wake(core: &Core) {
    match local() {
        Some(local) if local.id == core.home => local.wake_own(core),
        _ => {
            if core.wake.post() {
                // The inbox has a reference of its own: the tasklet may end before it is read.
                let core = Arc::into_raw(core.strong()).cast_mut();
                // SAFETY: never null.
                let core = unsafe { NonNull::new_unchecked(core) };
                // SAFETY: the link is the core's first field, and in no queue: whoever raised the
                // flag just now is the only one to use it until the home has taken it down.
                unsafe { deliver(core.as_ref().home, core.cast()) };
            }
        }
    }
}

/// Wakes a tasklet, from any thread, and has it run before all others that are ready if it shares the
/// caller's worker.
pub(crate) fn hurry(core: &Core) {
    match local() {
        Some(local) if local.id == core.home => local.hurry(core),
        _ => wake(core),
    }
}

/// Wakes an actor, from any thread: makes it look again.
#[inline]
pub(crate) fn wake_actor(actor: &ActorCell) {
    let local = local();
    let on = local.map(|local| local.id);
    match (actor.residence.knock(on), local) {
        (Knock::Here, Some(local)) => {
            if actor.flags() & actor::cell::TOLD_TO_END != 0 {
                local.interrupt(actor);
            }
            local.wake_own_actor(actor);
        }
        (Knock::Deliver(home), _) => {
            actor.program.activity.begin(on);
            deliver_actor(actor, home);
        }
        (Knock::Here | Knock::OnItsWay, _) => {}
    }
}

/// Puts an actor into the inbox of worker `home`, for whoever has raised its flag for that. It counts
/// as begun until it is there.
pub(crate) fn deliver_actor(actor: &ActorCell, home: usize) {
    // The inbox has a reference of its own: the actor may end before it is read.
    actor.add_reference();
    // SAFETY: the link is the cell's first field, and in no queue: whoever has raised the flag is the
    // only one to use it until the home has taken it down.
    unsafe { deliver(home, actor.node().cast()) };
}

/// Empties a counter descriptor. It is edge-triggered, so this only keeps its count low.
fn drain(fd: &OwnedFd) {
    let mut count = [0u8; mem::size_of::<u64>()];
    // SAFETY: reads eight bytes into a local; EAGAIN is as good as success.
    unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// Takes ownership of a descriptor that a system call has just returned.
fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: not negative, so it is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
