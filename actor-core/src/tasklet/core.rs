//! A tasklet as the runtime sees it.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::ops::Range;
use std::panic::resume_unwind;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::panicking;
use std::time::Instant;

use parking_lot::Mutex;

use super::family::Family;
use super::leaving::Leaving;
use super::local::Locals;
use crate::actor::cell::ActorCell;
use crate::block::{self, Waiting};
use crate::contain::contain_or;
use crate::deadlock::Calls;
use crate::envelope::Envelope;
use crate::exit::{self, Exit, ExitReason, Party, Watchers};
use crate::future::Alert;
use crate::mailbox::{Contents, Mailbox, Patience};
use crate::prefetch;
use crate::queue::{Kind, Link};
use crate::runtime::limits;
use crate::runtime::panics;
use crate::runtime::program::Program;
use crate::substrate::{Coroutine, Suspender};
use crate::timeout::Scope;
use crate::unmatched::Ignored;
use crate::wait_list::WaitList;
use crate::wake::WakeState;
use crate::worker::{self, Local};
use crate::{BoxError, Panic, Pid, SendError};

const KILLED: u8 = 1;
const STOPPING: u8 = 2;
const ENDED: u8 = 4;
/// All below it are to be killed, those included that are still to come.
const DOOMED: u8 = 8;
/// Something is to be raised in it.
const RAISED: u8 = 16;

/// What is to be raised in a tasklet.
#[derive(Debug)]
pub(crate) enum Raise {
    Error(BoxError),
    /// Another tasklet's.
    Panic(Panic),
}

/// It is to unwind.
const CALLED_OFF: u8 = KILLED | RAISED;

/// How many that have not ended are.
static HOW_MANY_CALLED_OFF: AtomicUsize = AtomicUsize::new(0);

/// How a tasklet is called.
#[derive(Debug)]
pub(crate) enum Name {
    /// After its function, as the compiler names it.
    Function(&'static str),
    Given(Box<str>),
}

/// What a tasklet runs. Never unwinds; it has put the result where the join handle finds it.
pub(crate) type Body = Box<dyn FnOnce(&Core) + Send>;

/// Everything about one tasklet, shared by whoever refers to it.
///
/// It holds one reference to itself from the spawn to its end, so whatever has the right to resume
/// it can do with a pointer.
#[repr(C)]
pub(crate) struct Core {
    /// Its place in its home's inbox. First, because the inbox sees only this.
    link: Link,
    pub(crate) wake: WakeState,
    flags: AtomicU8,
    pub(crate) daemon: bool,
    /// Asked to stop as soon as the program is.
    pub(crate) stop_first: bool,
    /// Whether a future that it waits for is to be polled.
    pub(crate) alert: Alert,
    /// The worker it lives on.
    pub(crate) home: usize,
    pub(crate) pid: Pid,
    name: Name,
    pub(crate) mailbox: Contents,
    /// How many `Tasklet`s refer to it. At none its receive loop ends.
    handles: AtomicUsize,
    /// A [`Waiting`], encoded, for display.
    waiting: AtomicU64,
    /// Whoever waits for its end.
    pub(crate) joiners: WaitList,
    pub(crate) family: Mutex<Family>,
    pub(crate) program: Arc<Program>,
    /// Messages that no arm has taken, by class.
    pub(crate) ignored: Mutex<Ignored>,
    watchers: OnceLock<Watchers>,
    /// Whether word of linked ends comes as a message, and does not end it.
    pub(crate) traps_exits: AtomicBool,
    /// What it has [called](crate::call) and waits for.
    pub(crate) called: Mutex<Option<Weak<Core>>>,
    /// Whether it waits for an answer. Written on its home's thread.
    in_call: AtomicBool,
    /// Why it has ended.
    reason: OnceLock<ExitReason>,
    /// What is to be raised in it, in order.
    to_raise: Mutex<VecDeque<Raise>>,
    home_state: HomeState,
}

/// What only the tasklet itself, and its home's driver, touch.
pub(crate) struct HomeState {
    coroutine: UnsafeCell<Option<Coroutine>>,
    body: Cell<Option<Body>>,
    suspender: Cell<Option<Suspender>>,
    /// Where on its stack it stopped when it was suspended last.
    rested_at: Cell<usize>,
    /// Where the stack's usable addresses begin and end. Until it has run: 0, and how many there are.
    stack_start: Cell<usize>,
    stack_end: Cell<usize>,
    /// The nearest deadline around what it does.
    pub(crate) scope: Cell<Option<Scope>>,
    pub(crate) locals: RefCell<Locals>,
    /// How often a kill has been raised in it.
    raised: Cell<u32>,
    /// How many `shield`s are around what it does.
    pub(crate) shields: Cell<u32>,
    /// Whether it, or the actor that it stands for, is at its end.
    ending: Cell<bool>,
    /// Whether its operations fail that would have to wait.
    pub(crate) block_trap: Cell<bool>,
    /// Whether its wait has been found to be for ever.
    deadlocked: Cell<bool>,
    /// Until when the handler that it runs must answer.
    pub(crate) answer_by: Cell<Option<Instant>>,
    /// Of the link that what it encodes or decodes crosses.
    #[cfg(feature = "remote")]
    pub(crate) border: Cell<Option<NonNull<dyn crate::remote::Border>>>,
    /// The call that it waits in.
    pub(crate) calls: Calls,
    /// The actor one of whose handlers it runs, if it is a carrier.
    pub(crate) acting: Cell<Option<NonNull<ActorCell>>>,
    /// What it does before it gives up its stack.
    pub(super) leaving: Leaving,
}

// SAFETY: all fields but `link` and `home_state` are Sync by themselves. The link is the inbox's while
// the tasklet is in it, and it is there at most once (see `WakeState::post`). The home state is
// reached through `home_state()`, whose callers are on the home thread, and is made and dropped when
// nobody else refers to the core.
unsafe impl Sync for Core {}
// SAFETY: as above. What the home state holds at the time of the last drop is Send: the coroutine has
// been taken out, the body, if it never ran, is Send, and locals are dropped by the tasklet itself.
unsafe impl Send for Core {}

impl Raise {
    /// Says what has come too late for `core`, which has ended.
    fn log_lost(&self, core: &Core) {
        let tasklet = core.name();
        match self {
            Raise::Error(error) => {
                tracing::warn!(tasklet, %error, "ended before the error was raised");
            }
            // It has been logged where it came from.
            Raise::Panic(_) => {}
        }
    }
}

/// What the builder settles.
pub(crate) struct Settings {
    pub(crate) name: Name,
    pub(crate) mailbox: Mailbox,
    pub(crate) daemon: bool,
    pub(crate) stop_first: bool,
    pub(crate) home: usize,
    pub(crate) program: Arc<Program>,
    pub(crate) locals: Locals,
    /// How many `Tasklet`s refer to it from the beginning.
    pub(crate) handles: usize,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Arc<Core> {
        let core = Arc::new(Core {
            link: Link::new(Kind::Tasklet),
            wake: WakeState::new(),
            flags: AtomicU8::new(0),
            daemon: settings.daemon,
            stop_first: settings.stop_first,
            alert: Alert::new(),
            home: settings.home,
            pid: Pid::unused(),
            name: settings.name,
            mailbox: Contents::new(settings.mailbox),
            handles: AtomicUsize::new(settings.handles),
            waiting: AtomicU64::new(0),
            joiners: WaitList::new(),
            family: Mutex::default(),
            program: settings.program,
            ignored: Mutex::default(),
            watchers: OnceLock::new(),
            traps_exits: AtomicBool::new(false),
            called: Mutex::default(),
            in_call: AtomicBool::new(false),
            reason: OnceLock::new(),
            to_raise: Mutex::default(),
            home_state: HomeState {
                coroutine: UnsafeCell::new(None),
                body: Cell::new(None),
                suspender: Cell::new(None),
                rested_at: Cell::new(0),
                stack_start: Cell::new(0),
                stack_end: Cell::new(0),
                scope: Cell::new(None),
                locals: RefCell::new(settings.locals),
                raised: Cell::new(0),
                shields: Cell::new(0),
                ending: Cell::new(false),
                block_trap: Cell::new(false),
                deadlocked: Cell::new(false),
                answer_by: Cell::new(None),
                #[cfg(feature = "remote")]
                border: Cell::new(None),
                calls: Calls::default(),
                acting: Cell::new(None),
                leaving: Leaving::default(),
            },
        });
        // See `whole`.
        Arc::as_ptr(&core).expose_provenance();
        core
    }

    /// Makes a new tasklet ready to run `body` on `coroutine`, at its first wake-up.
    ///
    /// Before anybody else learns of it: a stop or a kill may come at any time then, and wakes it.
    pub(crate) fn prepare(core: &Arc<Core>, mut coroutine: Coroutine, body: Body) {
        /// A pointer that the coroutine takes along.
        struct Own(NonNull<Core>);
        // SAFETY: it is used on the home thread alone, while the core lives (see `Core`).
        unsafe impl Send for Own {}

        worker::all()[core.home]
            .tasklets
            .fetch_add(1, Ordering::Relaxed);
        // Given up by `retire`.
        let core = ManuallyDrop::new(core.clone());
        let own = Own(NonNull::from(&**core));
        coroutine.start(move |suspender| {
            let own = own;
            // SAFETY: the core lives until the coroutine has finished and been retired.
            unsafe { own.0.as_ref() }.run(suspender);
        });
        let state = &core.home_state;
        state.body.set(Some(body));
        // Where it lies is known only when it runs.
        state.stack_end.set(coroutine.stack_size());
        // SAFETY: not started yet, so nobody else touches it.
        unsafe { *state.coroutine.get() = Some(coroutine) };
    }

    /// The whole life of the tasklet, on its own stack.
    fn run(&self, suspender: Suspender) {
        let here = 0u8;
        let no_return = NoReturn;
        // SAFETY: the tasklet itself, on its home thread.
        let state = unsafe { self.home_state() };
        state.suspender.set(Some(suspender));
        // The outermost frame lies in the highest page: closures are boxed, so it is small.
        let top = (&raw const here)
            .expose_provenance()
            .next_multiple_of(limits::page_size());
        state.stack_start.set(top - state.stack_end.get());
        state.stack_end.set(top);
        let body = state
            .body
            .take()
            .expect("a tasklet is launched with a body");
        body(self);
        self.end();
        mem::forget(no_return);
    }

    /// The end: called by the tasklet itself, after its body.
    fn end(&self) {
        self.set_ending(true);
        // It is as good as dead: a kill has nothing left to unwind but destructors.
        self.shield();
        // Destructors of the user's run in here. One that panics ends that piece alone.
        let guarded = |piece: &dyn Fn()| {
            contain_or(piece, || {
                tracing::warn!(
                    tasklet = self.name(),
                    "a destructor has panicked at the end"
                );
            });
        };
        self.mailbox.close();
        loop {
            // SAFETY: the consumer itself.
            let Some(message) = (unsafe { self.mailbox.pop() }) else {
                break;
            };
            let message = Cell::new(Some(message));
            guarded(&|| {
                let message = message.take();
                message
                    .into_iter()
                    .for_each(|message| message.abandon(self.pid, self.name()));
            });
        }
        if let Some(watchers) = self.watchers.get() {
            watchers.do_deeds();
        }
        // Last, since all the destructors before may have made new ones, and they must not leave this
        // thread. From here on nothing of the user's runs.
        // SAFETY: the tasklet itself.
        Locals::clear(&unsafe { self.home_state() }.locals, guarded);
        if self.flags.fetch_or(ENDED, Ordering::SeqCst) & CALLED_OFF != 0 {
            HOW_MANY_CALLED_OFF.fetch_sub(1, Ordering::Relaxed);
        }
        let late = mem::take(&mut *self.to_raise.lock());
        guarded(&|| late.iter().for_each(|raise| raise.log_lost(self)));
        // As `exit::tell_all` asks; most have none.
        fence(Ordering::SeqCst);
        if self.watchers.get().is_some() {
            exit::tell_all(&Party::Tasklet(self.strong()));
        }
        Family::bury(self);
        self.joiners.wake_all();
        self.program.tasklet_ended(self);
    }

    /// Takes the stack of a finished tasklet back, and gives up the tasklet's reference to itself.
    ///
    /// # Safety
    ///
    /// Called once, on the home thread, after the coroutine has finished.
    pub(crate) unsafe fn retire(core: NonNull<Core>) -> Coroutine {
        // SAFETY: the reference that `launch` has kept.
        let core = unsafe { Arc::from_raw(core.as_ref().whole()) };
        // SAFETY: on the home thread, and the coroutine no longer runs.
        let coroutine = unsafe { (*core.home_state.coroutine.get()).take() };
        let mut coroutine = coroutine.expect("a tasklet is retired once");
        coroutine.set_memory(core.stack());
        if coroutine.touched_bottom() {
            block::die(&format!(
                "tasklet '{}' has used its stack to the last word and may have overflowed it; give \
                 it more with Tasklet::builder().stack_size(..)",
                core.name()
            ));
        }
        limits::give_back();
        coroutine
    }

    /// # Safety
    ///
    /// Called by the tasklet itself, or by its home's driver, on the home thread.
    #[inline]
    pub(crate) unsafe fn home_state(&self) -> &HomeState {
        &self.home_state
    }

    /// Another reference.
    pub(crate) fn strong(&self) -> Arc<Core> {
        let whole = self.whole();
        // SAFETY: cores are made by `Core::new` alone, in an `Arc`, and `&self` shows that it lives.
        unsafe {
            Arc::increment_strong_count(whole);
            Arc::from_raw(whole)
        }
    }

    /// A pointer to this with the right to use its counts as well, which a reference has not.
    fn whole(&self) -> *const Core {
        ptr::with_exposed_provenance(ptr::from_ref(self).addr())
    }

    /// The actor that it stands for, if it is a carrier. For the tasklet itself, or its driver.
    #[inline]
    pub(crate) fn acting(&self) -> Option<&ActorCell> {
        // SAFETY: the tasklet itself; the actor lives while a handler of it runs.
        unsafe { self.home_state().acting.get().map(|actor| actor.as_ref()) }
    }

    /// Says that it, or the actor that it stands for, waits for an answer. For the tasklet itself.
    #[inline]
    pub(crate) fn mark_in_call(&self, is: bool) {
        match self.acting() {
            Some(actor) => actor.mark_in_call(is),
            None => self.in_call.store(is, Ordering::Relaxed),
        }
    }

    /// Whether it waits for an answer. From another thread this is a hint.
    pub(crate) fn is_in_call(&self) -> bool {
        self.in_call.load(Ordering::Relaxed)
    }

    /// Its identity, or that of the actor that it stands for. For the tasklet itself, or its driver.
    #[inline]
    pub(crate) fn acting_pid(&self) -> Pid {
        self.acting().map_or(self.pid, |actor| actor.pid)
    }

    /// What it is called, or the actor that it stands for. For the tasklet itself.
    pub(crate) fn acting_name(&self) -> &str {
        self.acting().map_or_else(|| self.name(), ActorCell::name)
    }

    /// Whether it, or the actor that it stands for, has been asked to stop. For the tasklet itself.
    pub(crate) fn is_asked_to_stop(&self) -> bool {
        self.acting()
            .map_or_else(|| self.is_stopping(), ActorCell::is_stopping)
    }

    /// Its program, or that of the actor that it stands for. For the tasklet itself.
    pub(crate) fn acting_program(&self) -> &Arc<Program> {
        self.acting().map_or(&self.program, |actor| &actor.program)
    }

    pub(crate) fn name(&self) -> &str {
        match &self.name {
            Name::Given(name) => name,
            Name::Function(path) => {
                // `app::serve::{{closure}}` is called `serve`, and one in `main` is called `main`.
                let path = path.trim_end_matches("::{{closure}}");
                let end = path.find('<').unwrap_or(path.len());
                path[..end].rsplit("::").next().unwrap_or(path)
            }
        }
    }

    // Handles -----------------------------------------------------------------------------------

    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one handle less; the last one to go wakes a receive loop that nobody can reach.
    pub(crate) fn remove_handle(&self) {
        // Release, so that what was sent through the handle is seen by the look that finds no
        // handle left; the wake-up is a read-modify-write as well.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wake_up();
        }
    }

    /// Whether nobody can send to it any more.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0 && !self.program.is_main(self.pid)
    }

    /// Whether it waits for something. On its home's thread it is certain.
    pub(crate) fn is_blocked(&self) -> bool {
        // One that waits for nothing is on its way to its home, to begin.
        self.wake.is_parked() && self.waits_for() != Waiting::Nothing
    }

    // State -------------------------------------------------------------------------------------

    fn flag(&self, flag: u8) -> bool {
        // Sequentially consistent, as the wait list of the joiners asks.
        self.flags.load(Ordering::SeqCst) & flag != 0
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.flag(ENDED)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.flag(STOPPING)
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.flag(KILLED)
    }

    /// Asks it to end: no more messages, and the receive loop ends after those that are there.
    pub(crate) fn stop(&self) {
        if self.mark_stopping() {
            self.stop_marked();
        }
    }

    /// The first half of [`stop`](Self::stop), which may be done under locks; `true` if the second is
    /// to follow.
    pub(crate) fn mark_stopping(&self) -> bool {
        self.flags.fetch_or(STOPPING, Ordering::AcqRel) & STOPPING == 0
    }

    /// The second half of [`stop`](Self::stop).
    pub(crate) fn stop_marked(&self) {
        self.mailbox.close();
        self.wake_up();
    }

    pub(crate) fn is_doomed(&self) -> bool {
        self.flag(DOOMED)
    }

    /// Has those killed that will be its children; the caller kills those that are.
    pub(crate) fn doom(&self) {
        self.flags.fetch_or(DOOMED, Ordering::SeqCst);
    }

    /// Makes its next operation unwind it.
    pub(crate) fn kill(&self) {
        self.mark_killed();
        self.wake_up();
    }

    /// Where what it fails with goes if nobody asks for it.
    pub(crate) fn forwards_to(&self) -> Option<Weak<Program>> {
        let forwards = self.program.forwards_panics() && !self.program.is_main(self.pid);
        forwards.then(|| Arc::downgrade(&self.program))
    }

    /// Has something raised in it; the caller wakes it. `Err` if it has ended.
    pub(crate) fn add_raise(&self, raise: Raise) -> Result<(), Raise> {
        let mut to_raise = self.to_raise.lock();
        // Marked under the lock, which is taken once more at the end.
        if self.has_ended() {
            return Err(raise);
        }
        to_raise.push_back(raise);
        self.call_off(RAISED);
        Ok(())
    }

    /// Has what is to be raised in this tasklet raised in `called` instead, for which it waits.
    pub(crate) fn pass_raises_on(&self, called: &Core) {
        let raises = {
            let mut to_raise = self.to_raise.lock();
            self.call_on(RAISED);
            mem::take(&mut *to_raise)
        };
        for raise in raises {
            if let Err(late) = called.add_raise(raise) {
                let _ = self.add_raise(late);
            }
        }
        called.wake_up();
    }

    /// Whether it must run though it is paused: to unwind, or to react to a stop.
    pub(crate) fn must_run(&self) -> bool {
        self.flags.load(Ordering::Acquire) & (KILLED | RAISED | STOPPING) != 0
    }

    /// A carrier's kill is that of the actor it stands for, and over with that one's run.
    #[inline]
    pub(crate) fn forget_kill(&self) {
        if self.flags.load(Ordering::Relaxed) & KILLED != 0 {
            self.call_on(KILLED);
            // SAFETY: the tasklet itself.
            unsafe { self.home_state() }.raised.set(0);
        }
    }

    /// Marks it as killed; or a carrier, whose actor has been. The caller wakes it.
    pub(crate) fn mark_killed(&self) {
        self.call_off(KILLED);
    }

    /// Whether what it waits for is of no use to it any more: it will unwind as soon as it runs, unless
    /// it is [shielded](Self::shield).
    pub(crate) fn is_called_off(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & CALLED_OFF != 0
    }

    fn call_off(&self, why: u8) {
        // Counted before, so that none is marked that is not counted.
        HOW_MANY_CALLED_OFF.fetch_add(1, Ordering::Relaxed);
        if self.flags.fetch_or(why, Ordering::AcqRel) & (CALLED_OFF | ENDED) != 0 {
            HOW_MANY_CALLED_OFF.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes that back.
    fn call_on(&self, why: u8) {
        if self.flags.fetch_and(!why, Ordering::AcqRel) & CALLED_OFF == why {
            HOW_MANY_CALLED_OFF.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether [`is_called_off`](Self::is_called_off) can be true of any that has not ended.
    pub(crate) fn any_called_off() -> bool {
        HOW_MANY_CALLED_OFF.load(Ordering::Relaxed) != 0
    }

    /// Whether kills are held off. For the tasklet itself.
    pub(crate) fn is_shielded(&self) -> bool {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.shields.get() > 0
    }

    /// Holds kills off, until [`unshield`](Self::unshield). For the tasklet itself.
    pub(crate) fn shield(&self) {
        // SAFETY: the tasklet itself.
        let shields = unsafe { &self.home_state().shields };
        shields.set(shields.get() + 1);
    }

    /// Takes one [`shield`](Self::shield) back.
    pub(crate) fn unshield(&self) {
        // SAFETY: the tasklet itself.
        let shields = unsafe { &self.home_state().shields };
        shields.set(shields.get() - 1);
    }

    /// Says whether it, or the actor that it stands for, is at its end: calls that it drops end with
    /// it. For the tasklet itself.
    pub(crate) fn set_ending(&self, ending: bool) {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.ending.set(ending);
    }

    /// See [`set_ending`](Self::set_ending). For the tasklet itself.
    pub(crate) fn is_ending(&self) -> bool {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.ending.get()
    }

    /// Makes it look again, if it waits.
    pub(crate) fn wake_up(&self) {
        worker::wake(self);
    }

    // Watching ----------------------------------------------------------------------------------

    pub(crate) fn watchers(&self) -> &Watchers {
        self.watchers.get_or_init(Watchers::default)
    }

    pub(crate) fn watchers_if_any(&self) -> Option<&Watchers> {
        self.watchers.get()
    }

    /// Why it has ended, if it has.
    pub(crate) fn reason(&self) -> Option<ExitReason> {
        self.reason.get().cloned()
    }

    /// Before it ends.
    pub(crate) fn set_reason(&self, reason: ExitReason) {
        let _ = self.reason.set(reason);
    }

    /// It is told of an end.
    pub(crate) fn hear_of(&self, exit: Exit) {
        if !exit.linked || self.traps_exits.load(Ordering::Acquire) {
            // Refused by one that takes no more, which has no use for it.
            let _ = self.send(Envelope::exit_to_tasklet(exit), Patience::System);
        } else if exit.reason.is_abnormal() {
            self.kill();
        }
    }

    /// Puts a message into its mailbox.
    pub(crate) fn send(
        &self,
        envelope: Envelope,
        patience: Patience,
    ) -> Result<(), SendError<Envelope>> {
        block::touch();
        let at_home = || worker::local().is_some_and(|local| local.id == self.home);
        // SAFETY: that is what `at_home` says.
        if unsafe { self.mailbox.push(envelope, patience, self.pid, at_home) }? {
            self.wake_up();
        }
        Ok(())
    }

    // What the tasklet itself does --------------------------------------------------------------

    /// Whether its next operation unwinds it, which nobody takes back. For the tasklet itself.
    pub(crate) fn is_to_unwind(&self) -> bool {
        // SAFETY: the tasklet itself.
        let shields = unsafe { self.home_state() }.shields.get();
        shields == 0 && (self.is_killed_itself() || self.flag(RAISED))
    }

    /// Whether it has been killed, and not one that it stood for before. For the tasklet itself.
    pub(crate) fn is_killed_itself(&self) -> bool {
        self.is_killed() && self.acting().is_none_or(|actor| actor.has(KILLED))
    }

    /// Unwinds the tasklet, which is the current one, if it has been killed, or something is to be raised
    /// in it.
    #[inline]
    pub(crate) fn check_kill(&self, local: &'static Local) {
        if self.flags.load(Ordering::Relaxed) & CALLED_OFF != 0 {
            self.unwind(local);
        }
    }

    /// Unwinds the tasklet, which is the current one and to do so, before it has begun.
    pub(crate) fn end_before_start(&self) -> ! {
        if !self.is_killed() {
            self.carry_out_raise();
        }
        block::raise_kill()
    }

    #[cold]
    fn unwind(&self, local: &'static Local) {
        if self.is_killed() {
            self.carry_out_kill(local);
        } else {
            self.carry_out_raise();
        }
    }

    fn carry_out_raise(&self) {
        // SAFETY: the tasklet itself.
        if panicking() || unsafe { self.home_state() }.shields.get() > 0 {
            return;
        }
        let raise = {
            let mut to_raise = self.to_raise.lock();
            let raise = to_raise.pop_front();
            if to_raise.is_empty() {
                self.call_on(RAISED);
            }
            raise
        };
        match raise {
            Some(Raise::Error(error)) => block::raise_error(error),
            Some(Raise::Panic(panic)) => {
                let (payload, place) = panic.into_parts();
                panics::put_place(&*payload, place);
                resume_unwind(payload)
            }
            None => {}
        }
    }

    /// Ends its wait with [`Interrupt::Deadlock`](block::Interrupt::Deadlock), if that does not succeed
    /// at the last moment. On its home's thread, while it waits.
    pub(crate) fn declare_deadlock(&self, local: &Local) {
        // It may wait for something else by now.
        if self.is_blocked() && self.waits_for().can_end_in_deadlock() {
            // SAFETY: on the home thread.
            unsafe { self.home_state() }.deadlocked.set(true);
            local.wake_own(self);
        }
    }

    /// Whether that has been declared of the wait that has just been interrupted. For the tasklet itself.
    #[inline]
    pub(crate) fn take_deadlock(&self) -> bool {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.deadlocked.take()
    }

    /// Whether its operations fail that would have to wait. For the tasklet itself.
    #[inline]
    pub(crate) fn must_not_block(&self) -> bool {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.block_trap.get()
    }

    #[cold]
    fn carry_out_kill(&self, local: &'static Local) {
        // SAFETY: the tasklet itself.
        let state = unsafe { self.home_state() };
        if panicking() || state.shields.get() > 0 {
            return;
        }
        if self.acting().is_some_and(|actor| !actor.has(KILLED)) {
            // Meant for one that it stood for before.
            self.forget_kill();
            return;
        }
        let raised = state.raised.replace(state.raised.get() + 1);
        if raised > 0 {
            // Somebody has caught the last one and gone on. It must not keep the worker to itself.
            local.turn();
            self.yield_now(local);
            if raised == 3 {
                tracing::warn!(
                    tasklet = self.name(),
                    "a killed tasklet catches the unwinding and goes on: `catch_unwind` must pass on \
                     what is no panic of its own"
                );
            }
        }
        block::raise_kill();
    }

    /// Lets the others run that are ready.
    #[inline(always)]
    pub(crate) fn yield_now(&self, local: &'static Local) {
        // SAFETY: this tasklet runs, so it has not finished and is in no queue.
        unsafe { local.queue(NonNull::from(self)) };
        self.suspend(local);
    }

    /// Sleeps until it is woken; may return early.
    #[inline(always)]
    pub(crate) fn park(&self, local: &'static Local, what: Waiting) {
        debug_assert!(!panicking(), "a tasklet does not switch while it unwinds");
        if self.wake.try_park() {
            self.waiting.store(what.encode(), Ordering::Relaxed);
            self.suspend(local);
            self.waiting
                .store(Waiting::Nothing.encode(), Ordering::Relaxed);
        }
    }

    /// Lets the others run at an operation that could wait, or is taken out of the run queue there.
    #[cold]
    pub(crate) fn give_way(&self, local: &'static Local) {
        if self.acting().is_some() {
            self.yield_now(local);
        } else if local.is_over_budget() {
            local.catch(self);
            self.suspend(local);
        } else if !local.limits_stretches() {
            self.yield_now(local);
        }
    }

    /// Leaves the run queue until it is put back.
    pub(crate) fn pause(&self, local: &'static Local) {
        if panicking() {
            return;
        }
        if self.is_unreachable() {
            // Nobody could ever put it back.
            self.mark_killed();
        }
        if self.must_run() {
            self.yield_now(local);
        } else {
            self.wake.pause();
            self.suspend(local);
        }
        self.check_kill(local);
    }

    /// Switches to the driver, and comes back when resumed.
    // Inlined, as are its callers up to the user's operation: after a switch each return of a call made
    // before it is mispredicted, which costs as much as the switch itself.
    #[inline(always)]
    pub(crate) fn suspend(&self, local: &'static Local) {
        if !self.runs_on_its_stack() {
            block::die("a generator inside a tasklet has called an operation that waits");
        }
        // SAFETY: the tasklet itself.
        let state = unsafe { self.home_state() };
        state.leaving.call();
        let suspender = state.suspender.get().expect("set before the body runs");
        let frame = 0u8;
        state.rested_at.set((&raw const frame).addr());
        // SAFETY: on this tasklet's stack, as has just been checked.
        unsafe { suspender.suspend() };
        local.check_thread();
    }

    /// Has that part of its stack fetched into the cache on which it will go on, with its registers. For its
    /// home's thread, while it does not run.
    #[inline]
    pub(crate) fn prefetch_stack(&self) {
        let state = &self.home_state;
        let at = state.rested_at.get();
        if at == 0 {
            return;
        }
        // What lies below is the frame of the switch.
        prefetch::lines(at.wrapping_sub(128), 12);
        // SAFETY: on the home thread; the cell is written before the tasklet is first resumed and after it has
        // been for the last time.
        if let Some(coroutine) = unsafe { &*state.coroutine.get() } {
            coroutine.prefetch_registers();
        }
    }

    /// What it waits for now, for display.
    pub(crate) fn waits_for(&self) -> Waiting {
        Waiting::decode(self.waiting.load(Ordering::Relaxed))
    }

    /// Whether the caller's frame lies on the tasklet's own stack. For its home's thread.
    #[inline(always)]
    pub(crate) fn runs_on_its_stack(&self) -> bool {
        let frame = 0u8;
        let state = &self.home_state;
        (state.stack_start.get()..state.stack_end.get()).contains(&(&raw const frame).addr())
    }

    /// Its stack, for its home's thread, the overflow handler included.
    pub(crate) fn stack(&self) -> Range<usize> {
        self.home_state.stack_start.get()..self.home_state.stack_end.get()
    }
}

/// In a tasklet's outermost frame: unwinding past it would run into the driver's.
struct NoReturn;

impl Drop for NoReturn {
    fn drop(&mut self) {
        block::die("a panic has got past all that catches it at a tasklet's end");
    }
}

impl HomeState {
    /// Runs the tasklet until it suspends or finishes; `true` if it has finished. For the driver.
    #[inline]
    pub(crate) fn resume(&self) -> bool {
        // SAFETY: the driver alone takes this reference, and the tasklet, which runs meanwhile, does
        // not touch the cell.
        let coroutine = unsafe { (*self.coroutine.get()).as_mut() };
        coroutine
            .expect("a scheduled tasklet has a coroutine")
            .resume()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.pid)
    }
}

impl Waiting {
    /// One byte of kind, seven of detail.
    fn encode(self) -> u64 {
        let (kind, detail) = match self {
            Waiting::Nothing => (0, 0),
            Waiting::Message => (1, 0),
            Waiting::Reply(pid) => (2, pid.0),
            Waiting::Room(pid) => (3, pid.0),
            Waiting::End(pid) => (4, pid.0),
            Waiting::Readable(fd) => (5, fd as u64),
            Waiting::Writable(fd) => (6, fd as u64),
            // An address of a user's process has 56 bits at most.
            Waiting::Lock(at) => (7, at as u64),
            Waiting::Condition(at) => (8, at as u64),
            Waiting::Event(at) => (9, at as u64),
            Waiting::Permit(at) => (10, at as u64),
            Waiting::Thread => (11, 0),
            Waiting::Time => (12, 0),
            Waiting::Sender(channel) => (13, channel),
            Waiting::Receiver(channel) => (14, channel),
            Waiting::Any => (15, 0),
            Waiting::Element(pid) => (16, pid.0),
            Waiting::Demand => (17, 0),
            Waiting::AnyPeer => (18, 0),
            Waiting::Exit(pid) => (19, pid.0),
            Waiting::Future => (20, 0),
        };
        kind << 56 | detail & ((1 << 56) - 1)
    }

    fn decode(code: u64) -> Self {
        let detail = code & ((1 << 56) - 1);
        match code >> 56 {
            1 => Waiting::Message,
            2 => Waiting::Reply(Pid(detail)),
            3 => Waiting::Room(Pid(detail)),
            4 => Waiting::End(Pid(detail)),
            5 => Waiting::Readable(detail as i32),
            6 => Waiting::Writable(detail as i32),
            7 => Waiting::Lock(detail as usize),
            8 => Waiting::Condition(detail as usize),
            9 => Waiting::Event(detail as usize),
            10 => Waiting::Permit(detail as usize),
            11 => Waiting::Thread,
            12 => Waiting::Time,
            13 => Waiting::Sender(detail),
            14 => Waiting::Receiver(detail),
            15 => Waiting::Any,
            16 => Waiting::Element(Pid(detail)),
            17 => Waiting::Demand,
            18 => Waiting::AnyPeer,
            19 => Waiting::Exit(Pid(detail)),
            20 => Waiting::Future,
            _ => Waiting::Nothing,
        }
    }
}
