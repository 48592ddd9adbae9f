//! An actor as the runtime sees it.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use super::Actor;
use super::context::Context;
use super::residence::Residence;
use super::roster::Entry;
use super::run;
use crate::block::{Interrupt, Wait, Waiting};
use crate::contain::contain;
use crate::envelope::Envelope;
use crate::exit::{Exit, ExitReason, SharedError, Watchers};
use crate::lazy::LazyBox;
use crate::mailbox::{Contents, Mailbox, Patience};
use crate::queue::{Kind, Link};
use crate::runtime::program::Program;
use crate::tasklet::core::Core;
use crate::tasklet::local::Locals;
use crate::wait_list::WaitList;
use crate::{BoxError, Pid, SendError, Timer, block, counters, worker};

/// It is to be ended at its carrier's next operation.
pub(crate) const KILLED: u8 = 1;
/// It takes no more messages, and ends after those that are there.
pub(crate) const STOPPING: u8 = 2;
/// It ends before its next message.
pub(crate) const ENDING: u8 = 4;
/// What a handler that runs hears of.
pub(crate) const TOLD_TO_END: u8 = KILLED | STOPPING | ENDING;
/// It has not been started yet.
pub(crate) const NEW: u8 = 8;
pub(crate) const ENDED: u8 = 16;
/// It has tasklet-locals, which must not leave their thread, and so does not change its worker.
pub(crate) const PINNED: u8 = 32;
/// It is supervised, and between two lives: it has no value, and takes no message out of its mailbox.
pub(crate) const DOWN: u8 = 64;
/// It has a supervisor, which decides what becomes of it when a life has ended.
pub(crate) const SUPERVISED: u8 = 128;

/// No [reason](ExitReason) has been given.
const NO_REASON: u8 = 0;

/// The bit of a carrier's address that says that it waits for an answer.
const IN_CALL: usize = 1;
const _: () = assert!(align_of::<Core>() > IN_CALL);

/// What does not depend on the actor's type. Begins a [`Typed`].
#[repr(C)]
pub(crate) struct ActorCell {
    /// Its place in an inbox. First, because the inbox sees only this.
    link: Link,
    pub(crate) residence: Residence,
    flags: AtomicU8,
    /// Why it is to end, or has: the code of a reason.
    reason: AtomicU8,
    pub(crate) pid: Pid,
    table: &'static Table,
    pub(crate) program: Arc<Program>,
    /// Where it stands in the program's roster.
    entry: Cell<Entry>,
    /// How many addresses there are. All of them together hold one of the references.
    handles: AtomicUsize,
    /// What keeps the memory: the addresses, the life from spawn to end, weak addresses, inboxes.
    references: AtomicUsize,
    /// The tasklet that runs a handler of it now, or null; with [`IN_CALL`] if that waits for an answer.
    /// Written on its home's thread alone.
    carrier: AtomicPtr<Core>,
    pub(crate) mailbox: Contents,
    /// Whoever waits for its start or its end.
    waiting: LazyBox<WaitList>,
    extra: LazyBox<Extra>,
}

/// What few actors have.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) name: Option<Box<str>>,
    watchers: OnceLock<Watchers>,
    /// Why it is to end, or has, if a code does not say it.
    reason: Mutex<Option<ExitReason>>,
    /// For its carrier.
    pub(crate) locals: RefCell<Locals>,
    /// Of a supervised one.
    pub(crate) supervised: OnceLock<Supervised>,
    /// Tasklets that its handlers have spawned, to be asked to stop at its end.
    children: Mutex<Vec<Weak<Core>>>,
    /// Timers that send to it, to be cancelled at its end.
    timers: Mutex<Vec<Timer>>,
    /// Messages that were put aside, and those of them that are to be handled next. For its carrier.
    stash: RefCell<Stash>,
}

/// See [`Context::stash`].
#[derive(Default)]
struct Stash {
    aside: Vec<Stashed>,
    next: VecDeque<Stashed>,
}

/// A message that was put aside.
pub(crate) enum Stashed {
    Sent(Envelope),
    /// With the right to answer it: has the actor handle it again.
    Called(Box<dyn FnOnce(&ActorCell) + Send>),
}

impl Stashed {
    /// # Safety
    ///
    /// It was put aside by `actor`, and the caller is its carrier.
    pub(crate) unsafe fn handle(self, actor: &ActorCell) {
        match self {
            // SAFETY: it is addressed to the actor's type.
            Stashed::Sent(message) => unsafe { message.handle(actor) },
            Stashed::Called(handle) => handle(actor),
        }
    }

    /// Its owner, `of`, has ended.
    pub(crate) fn abandon(self, of: &ActorCell) {
        match self {
            Stashed::Sent(message) => message.abandon(of.pid, of.name()),
            Stashed::Called(call) => {
                counters::UNDELIVERED.add(1);
                drop(call);
            }
        }
    }
}

/// What a supervised actor has.
pub(crate) struct Supervised {
    /// Makes the value of its next life.
    factory: Box<Factory>,
    /// How many lives it has behind it.
    lives: AtomicU32,
    /// Whether the present life is the last, or there is to be none.
    buried: AtomicBool,
}

/// Puts a new value into a cell of the type that it is for.
type Factory = dyn Fn(&ActorCell) -> Result<(), BoxError> + Send + Sync;

/// What depends on the actor's type.
pub(crate) struct Table {
    name: fn() -> &'static str,
    /// Makes the value, if it is not there from the beginning.
    make: unsafe fn(&ActorCell),
    /// Calls `started`.
    started: unsafe fn(&ActorCell) -> Result<(), BoxError>,
    /// Calls `stopped`.
    stopped: unsafe fn(&ActorCell, &ExitReason),
    /// Makes word of an end a message to it.
    exit: fn(Exit) -> Envelope,
    /// Drops the value.
    drop_value: unsafe fn(&ActorCell),
    /// It has come to its end for good: does what has been left to be done then.
    over: unsafe fn(&ActorCell),
    /// Frees the memory.
    free: unsafe fn(NonNull<ActorCell>),
}

impl Table {
    /// The table of an actor that has something behind its value.
    pub(super) const fn with(
        self,
        make: unsafe fn(&ActorCell),
        over: unsafe fn(&ActorCell),
        free: unsafe fn(NonNull<ActorCell>),
    ) -> Table {
        Table {
            make,
            over,
            free,
            ..self
        }
    }
}

/// An actor with its value.
#[repr(C)]
pub(crate) struct Typed<A> {
    pub(crate) core: ActorCell,
    value: Slot<A>,
}

/// A place for a value. Not an `Option`: emptied by an assignment it could need as much of the stack as
/// the value takes.
struct Slot<A> {
    full: Cell<bool>,
    value: UnsafeCell<MaybeUninit<A>>,
}

impl<A> Slot<A> {
    fn new(value: Option<A>) -> Self {
        Slot {
            full: Cell::new(value.is_some()),
            value: UnsafeCell::new(value.map_or_else(MaybeUninit::uninit, MaybeUninit::new)),
        }
    }

    /// # Safety
    ///
    /// The caller is the only one to use the slot, and there is no reference to a value in it.
    unsafe fn fill(&self, value: A) {
        // SAFETY: as the caller promises.
        unsafe { self.clear() };
        // SAFETY: as above.
        unsafe { (*self.value.get()).write(value) };
        self.full.set(true);
    }

    /// # Safety
    ///
    /// As [`fill`](Self::fill).
    unsafe fn clear(&self) {
        if self.full.replace(false) {
            // SAFETY: there was a value, and there is no reference to it.
            unsafe { (*self.value.get()).assume_init_drop() };
        }
    }

    /// # Safety
    ///
    /// The caller is the only one to use the slot, and lets go of the reference before anybody else does.
    #[expect(clippy::mut_from_ref, reason = "the caller vouches for it")]
    unsafe fn get(&self) -> &mut A {
        assert!(self.full.get(), "an actor that runs has its value");
        // SAFETY: there is a value, and as the caller promises.
        unsafe { (*self.value.get()).assume_init_mut() }
    }
}

impl<A> Drop for Slot<A> {
    fn drop(&mut self) {
        // SAFETY: nobody else refers to it.
        unsafe { self.clear() };
    }
}

// SAFETY: the link is an inbox's while the actor is in it, which is at most once (see
// `Residence`). The entry is written before anybody else knows the cell. The value is
// reached by the carrier alone, on the home's thread, and the home changes hands under the locks of the
// surplus. The rest is Sync by itself.
unsafe impl Sync for ActorCell {}
// SAFETY: as above; nothing in it is bound to a thread.
unsafe impl Send for ActorCell {}

impl<A: Actor> Typed<A> {
    pub(super) const TABLE: Table = Table {
        name: std::any::type_name::<A>,
        make: |_| {},
        started: |core| {
            // SAFETY: as for `value_of`, which the caller promises.
            let (value, mut context) = unsafe { parts::<A>(core) };
            value.started(&mut context)
        },
        stopped: |core, reason| {
            // SAFETY: as above.
            let (value, _) = unsafe { parts::<A>(core) };
            value.stopped(reason);
        },
        exit: Envelope::exit::<A>,
        drop_value: |core| {
            // In its place: it may be too large for the stack.
            // SAFETY: as above.
            unsafe { typed::<A>(core).as_ref().value.clear() };
        },
        over: |_| {},
        // SAFETY: it was allocated as this.
        free: |cell| unsafe { free(cell.cast::<Typed<A>>()) },
    };

    /// Puts the value in its place.
    ///
    /// # Safety
    ///
    /// The caller is the carrier, and there is no reference to a value.
    pub(super) unsafe fn fill(&self, value: A) {
        // SAFETY: as the caller promises.
        unsafe { self.value.fill(value) };
    }

    /// A new actor, with one address.
    ///
    /// It counts as on its way to its home's inbox, where [`launch`](ActorCell::launch) then puts it; so
    /// nothing wakes it before.
    pub(super) fn new(settings: Settings, value: Option<A>, table: &'static Table) -> Self {
        let extra = settings.name.map(|name| Extra {
            name: Some(name),
            ..Extra::default()
        });
        Typed {
            core: ActorCell {
                link: Link::new(Kind::Actor),
                residence: Residence::new(),
                flags: AtomicU8::new(NEW),
                reason: AtomicU8::new(NO_REASON),
                pid: Pid::unused(),
                table,
                program: settings.program,
                entry: Cell::default(),
                handles: AtomicUsize::new(1),
                references: AtomicUsize::new(1),
                carrier: AtomicPtr::new(ptr::null_mut()),
                mailbox: Contents::new(settings.mailbox),
                waiting: LazyBox::new(None),
                extra: LazyBox::new(extra),
            },
            value: Slot::new(value),
        }
    }
}

/// Puts an actor, whatever stands behind its cell, where it stays.
pub(super) fn settle<T>(typed: T) -> NonNull<T> {
    let typed = NonNull::from(Box::leak(Box::new(typed)));
    // See `whole`.
    typed.expose_provenance();
    typed
}

/// Frees what [`settle`] has made.
///
/// # Safety
///
/// It begins with a cell, to which the last reference has gone.
pub(super) unsafe fn free<T>(whole: NonNull<T>) {
    // SAFETY: as the caller promises.
    let core = unsafe { whole.cast::<ActorCell>().as_ref() };
    // What has come to one that was never launched.
    core.mailbox.close();
    // SAFETY: nobody else refers to it.
    while let Some(message) = unsafe { core.mailbox.pop() } {
        contain(|| message.abandon(core.pid, core.name()));
    }
    // Wherever this is, it is not the place for a panic of the user's.
    // SAFETY: it was boxed by `settle`, and the last reference has gone.
    contain(|| drop(unsafe { Box::from_raw(whole.as_ptr()) }));
}

/// # Safety
///
/// `core` begins a `Typed<A>`.
unsafe fn typed<A: Actor>(core: &ActorCell) -> NonNull<Typed<A>> {
    core.whole().cast()
}

/// The actor's value, and its context.
///
/// # Safety
///
/// `core` begins a `Typed<A>`; the caller is its carrier, and lets go of both before anybody else runs
/// it. The value has not been dropped.
pub(crate) unsafe fn parts<'a, A: Actor>(core: &ActorCell) -> (&'a mut A, Context<A>) {
    // SAFETY: as the caller promises.
    unsafe {
        let typed = typed::<A>(core);
        (typed.as_ref().value.get(), Context::new(typed))
    }
}

/// The name of a type without its path and its parameters.
pub(crate) fn short_name(path: &str) -> &str {
    let end = path.find('<').unwrap_or(path.len());
    path[..end].rsplit("::").next().unwrap_or(path)
}

/// What the builder settles.
pub(crate) struct Settings {
    pub(crate) name: Option<Box<str>>,
    pub(crate) mailbox: Mailbox,
    pub(crate) program: Arc<Program>,
}

impl ActorCell {
    /// A new actor, with one address. It is still to be [launched](Self::launch).
    pub(crate) fn allocate<A: Actor>(settings: Settings, value: Option<A>) -> NonNull<Typed<A>> {
        settle(Typed::new(settings, value, &Typed::<A>::TABLE))
    }

    /// A pointer to this with the right to use all of the allocation, which a reference to the part that
    /// does not depend on the type has not.
    pub(super) fn whole(&self) -> NonNull<ActorCell> {
        NonNull::with_exposed_provenance(NonNull::from(self).addr())
    }

    /// The same, for queues.
    pub(crate) fn node(&self) -> NonNull<ActorCell> {
        self.whole()
    }

    /// Makes a new actor known to its program, and has it started.
    ///
    /// Once, by whoever has allocated it.
    pub(crate) fn launch(&self, home: usize) {
        // Of its life: given up at its end.
        self.add_reference();
        let on = worker::local().map(|local| local.id);
        self.entry.set(self.program.roster.add(self.whole(), on));
        // Those who stop or kill all first say so and then go through the roster.
        if self.program.is_killing() {
            self.raise(KILLED);
        } else if self.program.stops_actors() {
            self.stop();
        }
        self.program.activity.begin(on);
        match worker::local() {
            Some(local) if local.id == home => local.welcome(self),
            _ => worker::deliver_actor(self, home),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self.extra.get().and_then(|extra| extra.name.as_deref()) {
            Some(name) => name,
            None => short_name((self.table.name)()),
        }
    }

    pub(crate) fn extra(&self) -> &Extra {
        self.extra.get_or_default()
    }

    // Where it is ------------------------------------------------------------------------------

    /// Whether the caller is on its home's thread; only there this cannot change meanwhile.
    pub(crate) fn is_at_home(&self) -> bool {
        worker::local().is_some_and(|local| self.residence.is_home(local.id))
    }

    /// Makes it nobody's, with everybody to believe that it is on its way to an inbox; `false` if it
    /// cannot go. On its home's thread, while it is ready and does not run.
    pub(crate) fn leave_home(&self) -> bool {
        self.flags() & PINNED == 0 && self.residence.leave()
    }

    /// The tasklet that runs a handler of it now.
    ///
    /// # Safety
    ///
    /// On its home's thread, and used there before anybody else runs.
    pub(crate) unsafe fn carrier(&self) -> Option<&Core> {
        let carrier = self.carrier.load(Ordering::Relaxed);
        let carrier = carrier.map_addr(|addr| addr & !IN_CALL);
        // SAFETY: a carrier lives while it runs a handler, and takes itself out on this thread.
        unsafe { carrier.as_ref() }
    }

    /// On its home's thread.
    pub(crate) fn set_carrier(&self, carrier: Option<&Core>) {
        let carrier = carrier.map_or(ptr::null(), ptr::from_ref).cast_mut();
        self.carrier.store(carrier, Ordering::Relaxed);
    }

    /// Whether a handler of it runs. From another thread this is a hint.
    pub(crate) fn is_in_handler(&self) -> bool {
        !self.carrier.load(Ordering::Relaxed).is_null()
    }

    /// Whether the handler that runs waits for an answer. From another thread this is a hint.
    pub(crate) fn is_in_call(&self) -> bool {
        self.carrier.load(Ordering::Relaxed).addr() & IN_CALL != 0
    }

    /// For its carrier.
    pub(crate) fn mark_in_call(&self, is: bool) {
        let carrier = self.carrier.load(Ordering::Relaxed);
        let carrier = carrier.map_addr(|addr| (addr & !IN_CALL) | (usize::from(is) * IN_CALL));
        self.carrier.store(carrier, Ordering::Relaxed);
    }

    // References -------------------------------------------------------------------------------

    /// One reference more.
    pub(crate) fn reference(&self) -> ActorRef {
        self.add_reference();
        ActorRef(self.whole())
    }

    pub(crate) fn add_reference(&self) {
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    /// # Safety
    ///
    /// The caller has a reference, and gives it up.
    pub(crate) unsafe fn remove_reference(cell: NonNull<ActorCell>) {
        // SAFETY: it lives until the last reference has gone.
        let core = unsafe { cell.as_ref() };
        // As in `Arc`: what others did with theirs happens before the end.
        if core.references.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: this was the last one.
            unsafe { (core.table.free)(cell) };
        }
    }

    pub(crate) fn add_handle(&self) {
        if self.handles.fetch_add(1, Ordering::Relaxed) == 0 {
            // From a weak address, after the last one had gone.
            self.add_reference();
        }
    }

    /// # Safety
    ///
    /// The caller has an address, and gives it up.
    pub(crate) unsafe fn remove_handle(cell: NonNull<ActorCell>) {
        // SAFETY: the addresses have a reference.
        let core = unsafe { cell.as_ref() };
        // Release, so that what was sent through the address is seen by the look that finds none left.
        if core.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            if !core.has(ENDED) {
                worker::wake_actor(core);
            }
            // SAFETY: the reference of the addresses.
            unsafe { ActorCell::remove_reference(cell) };
        }
    }

    pub(crate) fn is_unreachable(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0 && !self.is_supervised()
    }

    // State ------------------------------------------------------------------------------------

    /// Acquire: who sees that it is to end sees the reason, and what was sent before.
    pub(crate) fn flags(&self) -> u8 {
        self.flags.load(Ordering::Acquire)
    }

    /// Sequentially consistent, as the wait list asks.
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags.load(Ordering::SeqCst) & flag != 0
    }

    pub(crate) fn raise(&self, flag: u8) -> bool {
        self.flags.fetch_or(flag, Ordering::SeqCst) & flag == 0
    }

    /// It has started. For its carrier.
    pub(crate) fn begin(&self) {
        self.flags.fetch_and(!NEW, Ordering::SeqCst);
        self.tell_waiting();
    }

    pub(crate) fn tell_waiting(&self) {
        // Whoever waits makes the list first, and then looks for what has just been changed; all of that
        // is sequentially consistent.
        if let Some(waiting) = self.waiting.get() {
            waiting.wake_all();
        }
    }

    pub(crate) fn is_supervised(&self) -> bool {
        self.flags() & SUPERVISED != 0
    }

    /// Asks it to end after what is in its mailbox.
    pub(crate) fn stop(&self) {
        if self.is_supervised() {
            // Its mailbox stays open: there may be another life.
            let _ = self.send(Envelope::stop(), Patience::System);
        } else if self.raise(STOPPING) {
            self.mailbox.close();
            worker::wake_actor(self);
        }
    }

    /// As [`stop`](Self::stop), for a reason of the caller's. Not for supervised ones, whose reasons are
    /// their supervisors'.
    pub(crate) fn stop_for(&self, reason: &ExitReason) {
        self.suggest(reason);
        self.stop();
    }

    /// Says why it is to end, unless that has been said.
    fn suggest(&self, reason: &ExitReason) {
        let code = self.write_down(reason);
        // The first counts: a failure says that there is one.
        let _ = self
            .reason
            .compare_exchange(NO_REASON, code, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Makes it end before its next message. The first reason counts.
    pub(crate) fn end_with(&self, reason: ExitReason) {
        self.suggest(&reason);
        if self.raise(ENDING) {
            worker::wake_actor(self);
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.flags() & (STOPPING | ENDING) != 0
    }

    /// Ends it, in the middle of a handler if that comes to an operation.
    pub(crate) fn kill(&self) {
        self.raise(KILLED);
        worker::wake_actor(self);
    }

    /// Its tasklet-locals. For its carrier.
    pub(crate) fn locals(&self) -> &RefCell<Locals> {
        self.raise(PINNED);
        &self.extra().locals
    }

    /// Drops its tasklet-locals. For its carrier.
    pub(crate) fn clear_locals(&self, guard: impl Fn(&dyn Fn())) {
        if let Some(extra) = self.extra.get() {
            Locals::clear(&extra.locals, guard);
        }
    }

    /// Ends now what handlers leave with it until its end: its tasklet-locals; and the tasklets that they have spawned
    /// are not asked to stop any more. For its carrier.
    #[inline]
    pub(crate) fn let_go(&self) {
        if let Some(extra) = self.extra.get() {
            extra.children.lock().clear();
            Locals::clear(&extra.locals, run::guard(self));
        }
    }

    /// Takes in a tasklet that a handler has spawned.
    pub(crate) fn adopt(&self, child: &Arc<Core>) {
        let mut children = self.extra().children.lock();
        if children.len() == children.capacity() {
            children.retain(|child| child.upgrade().is_some_and(|child| !child.has_ended()));
        }
        children.push(Arc::downgrade(child));
    }

    /// Takes a timer in, to be cancelled at its end.
    pub(crate) fn own(&self, timer: &Timer) {
        let mut timers = self.extra().timers.lock();
        if timers.len() == timers.capacity() {
            timers.retain(|timer| !timer.is_over());
        }
        timers.push(timer.clone());
    }

    /// Cancels the timers that send to it.
    pub(crate) fn cancel_timers(&self) {
        if let Some(extra) = self.extra.get() {
            let timers = mem::take(&mut *extra.timers.lock());
            for timer in timers {
                // With a message of the user's.
                contain(|| timer.cancel());
            }
        }
    }

    /// Puts a message aside. For its carrier.
    pub(crate) fn stash(&self, message: Stashed) {
        self.extra().stash.borrow_mut().aside.push(message);
    }

    /// Has all that was put aside handled next. For its carrier.
    pub(crate) fn unstash_all(&self) {
        if let Some(extra) = self.extra.get() {
            let Stash { aside, next } = &mut *extra.stash.borrow_mut();
            next.extend(aside.drain(..));
        }
    }

    /// The next of the messages that are to be handled again. For its carrier.
    pub(crate) fn next_unstashed(&self) -> Option<Stashed> {
        self.extra.get()?.stash.borrow_mut().next.pop_front()
    }

    /// What is still put aside. For its carrier.
    pub(crate) fn take_stash(&self) -> Vec<Stashed> {
        let Some(extra) = self.extra.get() else {
            return Vec::new();
        };
        let Stash { aside, next } = mem::take(&mut *extra.stash.borrow_mut());
        next.into_iter().chain(aside).collect()
    }

    /// Asks the tasklets to stop that its handlers have spawned.
    pub(crate) fn stop_children(&self) {
        let Some(extra) = self.extra.get() else {
            return;
        };
        let children = mem::take(&mut *extra.children.lock());
        for child in children.iter().filter_map(Weak::upgrade) {
            child.stop();
        }
    }

    // Supervision ------------------------------------------------------------------------------

    /// Makes it one that has a supervisor. Before it is launched.
    pub(crate) fn supervise<A: Actor>(
        &self,
        factory: impl Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    ) {
        let factory = move |core: &ActorCell| {
            let value = factory()?;
            // SAFETY: the cell is of this type, and the caller its carrier; between two lives there is
            // no value, and so no reference to one.
            unsafe { typed::<A>(core).as_ref().value.fill(value) };
            Ok(())
        };
        let supervised = Supervised {
            factory: Box::new(factory),
            lives: AtomicU32::new(0),
            buried: AtomicBool::new(false),
        };
        let _ = self.extra().supervised.set(supervised);
        self.raise(SUPERVISED);
    }

    fn supervised(&self) -> Option<&Supervised> {
        self.extra.get()?.supervised.get()
    }

    /// How many lives it has behind it.
    pub(crate) fn life(&self) -> u32 {
        self.supervised()
            .map_or(0, |supervised| supervised.lives.load(Ordering::Relaxed))
    }

    /// Has another life begin. It is down, and the caller its supervisor.
    pub(crate) fn revive(&self) {
        // What was asked of the life before does not concern this one. The reason goes while it is
        // still down: until then it has ended, and from then on it has not.
        self.flags.fetch_and(!(KILLED | ENDING), Ordering::SeqCst);
        self.reason.store(NO_REASON, Ordering::SeqCst);
        self.forget_reason();
        self.raise(NEW);
        self.flags.fetch_and(!DOWN, Ordering::SeqCst);
        // Those who kill all first say so and then go through the roster.
        if self.program.is_killing() {
            self.raise(KILLED);
        }
        worker::wake_actor(self);
    }

    /// There is to be no other life. If there was none, `launched` is false, and it has ended.
    pub(crate) fn bury(&self, launched: bool) {
        let Some(supervised) = self.supervised() else {
            return;
        };
        let again = supervised.buried.swap(true, Ordering::SeqCst);
        if launched {
            worker::wake_actor(self);
        } else if !again {
            self.raise(DOWN);
            let here = worker::local().map_or(0, |local| local.id);
            self.launch(here);
        }
    }

    /// Whether there is to be no other life. For its carrier.
    pub(crate) fn is_buried(&self) -> bool {
        self.supervised()
            .is_some_and(|supervised| supervised.buried.load(Ordering::SeqCst))
    }

    /// Makes the value of a new life, if it has none. For its carrier.
    pub(crate) fn make_value(&self) -> Result<(), BoxError> {
        match self.supervised() {
            Some(supervised) => (supervised.factory)(self),
            None => {
                // SAFETY: the caller is its carrier, and it has not been started.
                unsafe { (self.table.make)(self) };
                Ok(())
            }
        }
    }

    /// Marks it as between two lives. For its carrier.
    pub(crate) fn go_down(&self) {
        if let Some(supervised) = self.supervised() {
            supervised.lives.fetch_add(1, Ordering::Relaxed);
        }
        self.raise(DOWN);
    }

    /// Waits until `look` has something; it is asked again at the actor's start and at its end.
    pub(crate) fn wait_for<T>(
        &self,
        deadline: Option<Instant>,
        look: impl Fn() -> Option<T>,
    ) -> Result<T, Interrupt> {
        block::enter()?;
        if let Some(there) = look() {
            return Ok(there);
        }
        let wait = Wait::new(Waiting::Exit(self.pid), deadline);
        self.waiting.get_or_default().wait_until(wait, look)
    }

    /// Waits until `started` has returned, and says whether it has failed.
    pub(crate) fn wait_for_start(&self) -> Result<Result<(), BoxError>, Interrupt> {
        self.wait_for(None, || {
            if !self.has(NEW) {
                return Some(Ok(()));
            }
            // It has ended before it began.
            Some(Err(match self.reason_of_end()? {
                ExitReason::Failed(error) => Box::new(SharedError(error)),
                other => BoxError::from(other.to_string()),
            }))
        })
    }

    /// Why it is to end, if that has been said.
    pub(crate) fn reason(&self) -> Option<ExitReason> {
        Some(match self.reason.load(Ordering::SeqCst) {
            NO_REASON => return None,
            1 => ExitReason::Normal,
            2 => ExitReason::Stopped,
            3 => ExitReason::Shutdown,
            4 => ExitReason::Killed,
            5 => ExitReason::Unreachable,
            7 => ExitReason::NoConnection,
            _ => return self.extra().reason.lock().clone(),
        })
    }

    /// Why it, or its last life, has ended, if it has.
    pub(crate) fn reason_of_end(&self) -> Option<ExitReason> {
        if self.has(ENDED) {
            return Some(self.reason().unwrap_or(ExitReason::Normal));
        }
        // Without a reason it is about to begin another.
        self.has(DOWN).then(|| self.reason()).flatten()
    }

    pub(crate) fn set_reason(&self, reason: &ExitReason) {
        self.forget_reason();
        self.reason.store(self.write_down(reason), Ordering::SeqCst);
    }

    fn forget_reason(&self) {
        if let Some(extra) = self.extra.get() {
            let reason = extra.reason.lock().take();
            // An error of the user's; and not under the lock.
            contain(|| drop(reason));
        }
    }

    /// The code of a reason; one that has more to it is put aside.
    fn write_down(&self, reason: &ExitReason) -> u8 {
        match reason {
            ExitReason::Normal => 1,
            ExitReason::Stopped => 2,
            ExitReason::Shutdown => 3,
            ExitReason::Killed => 4,
            ExitReason::Unreachable => 5,
            ExitReason::NoConnection => 7,
            ExitReason::Panicked(_) | ExitReason::Failed(_) => {
                // The first counts.
                self.extra()
                    .reason
                    .lock()
                    .get_or_insert_with(|| reason.clone());
                6
            }
        }
    }

    // Watching ---------------------------------------------------------------------------------

    pub(crate) fn watchers(&self) -> &Watchers {
        self.extra().watchers.get_or_init(Watchers::default)
    }

    /// Whether it has ever had anything that few actors have. If not, nobody watches it, unless somebody
    /// begins to now.
    pub(crate) fn is_plain(&self) -> bool {
        self.extra.get().is_none()
    }

    /// Those who watch it, if anybody has ever done so, or it has watched anybody.
    pub(crate) fn watchers_if_any(&self) -> Option<&Watchers> {
        self.extra.get()?.watchers.get()
    }

    /// It is told of an end.
    pub(crate) fn hear_of(&self, exit: Exit) {
        // Refused by one that takes no more, which has no use for it.
        let _ = self.send((self.table.exit)(exit), Patience::System);
    }

    /// Puts a message into its mailbox.
    pub(crate) fn send(
        &self,
        envelope: Envelope,
        patience: Patience,
    ) -> Result<(), SendError<Envelope>> {
        block::touch();
        self.deliver(envelope, patience)
    }

    /// As [`send`](Self::send), in the middle of whatever runs: it is no operation of the caller's.
    pub(crate) fn deliver(
        &self,
        envelope: Envelope,
        patience: Patience,
    ) -> Result<(), SendError<Envelope>> {
        // SAFETY: that is what `is_at_home` says.
        if unsafe {
            self.mailbox
                .push(envelope, patience, self.pid, || self.is_at_home())
        }? {
            worker::wake_actor(self);
        }
        Ok(())
    }

    // For its carrier --------------------------------------------------------------------------

    /// # Safety
    ///
    /// The caller is its carrier, and the value has not been dropped.
    pub(crate) unsafe fn started(&self) -> Result<(), BoxError> {
        // SAFETY: as the caller promises.
        unsafe { (self.table.started)(self) }
    }

    /// # Safety
    ///
    /// As [`started`](Self::started).
    pub(crate) unsafe fn stopped(&self, reason: &ExitReason) {
        // SAFETY: as the caller promises.
        unsafe { (self.table.stopped)(self, reason) }
    }

    /// # Safety
    ///
    /// The caller is its carrier.
    pub(crate) unsafe fn drop_value(&self) {
        // SAFETY: as the caller promises.
        unsafe { (self.table.drop_value)(self) }
    }

    /// Does what has been left to be done at its end.
    ///
    /// # Safety
    ///
    /// The caller is its carrier, and calls this once.
    pub(crate) unsafe fn over(&self) {
        // SAFETY: as the caller promises.
        unsafe { (self.table.over)(self) }
    }

    /// Marks it as ended. For its carrier.
    pub(crate) fn mark_ended(&self) {
        self.program.roster.remove(self.entry.get());
        self.raise(ENDED);
    }
}

/// A reference to an actor's memory: whatever it is asked, it may have ended.
pub(crate) struct ActorRef(NonNull<ActorCell>);

// SAFETY: cells are Send and Sync.
unsafe impl Send for ActorRef {}
// SAFETY: as above.
unsafe impl Sync for ActorRef {}

impl Deref for ActorRef {
    type Target = ActorCell;

    fn deref(&self) -> &ActorCell {
        // SAFETY: it has a reference.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for ActorRef {
    fn clone(&self) -> Self {
        self.reference()
    }
}

impl Drop for ActorRef {
    fn drop(&mut self) {
        // SAFETY: it has a reference, which is not used again.
        unsafe { ActorCell::remove_reference(self.0) };
    }
}

impl fmt::Debug for ActorCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.pid)
    }
}

const _: () = assert!(mem::offset_of!(ActorCell, link) == 0);
const _: () = assert!(mem::offset_of!(Typed<Example>, core) == 0);

#[allow(dead_code, reason = "only its layout is looked at")]
struct Example(PhantomData<()>);
