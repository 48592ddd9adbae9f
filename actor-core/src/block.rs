//! The one way in which everything waits.
//!
//! Every blocking operation of the framework is: [`enter`] it, try; if that does not succeed, take a
//! place in a wait list and [`wait_until`] it does. So each of them, on a tasklet as on a plain
//! thread, can be timed out, and on a tasklet killed, in the same way.
//!
//! **While a tasklet unwinds** (a panic, a kill, an expired [`timeout`](crate::timeout())) no operation
//! waits or raises. Waiting would let others run on a thread on which `std::thread::panicking` is
//! true, which poisons their locks and makes their destructors believe that they unwind; raising
//! would abort the process. What would have to wait says [`Interrupt::Unwinding`] instead.

use std::any::Any;
use std::panic::resume_unwind;
use std::ptr::{self, NonNull};
use std::thread::panicking;
use std::time::Instant;

use crate::tasklet::core::Core;
use crate::timeout::{self, ScopeId};
use crate::waiter::{ThreadParker, Waiter};
use crate::{
    BoxError, CallError, Deadlock, TimedOut, Unwinding, WouldBlock, runtime, time, timers, worker,
};

/// What a tasklet waits for, as [`Tasklet::tree`](crate::Tasklet::tree) shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Nothing,
    Message,
    Reply(crate::Pid),
    Room(crate::Pid),
    End(crate::Pid),
    Readable(i32),
    Writable(i32),
    /// A mutex, by its address, as are the three that follow.
    Lock(usize),
    Condition(usize),
    Event(usize),
    Permit(usize),
    Thread,
    Time,
    /// A sender, at the channel of that number.
    Sender(u64),
    /// A receiver, at the channel of that number.
    Receiver(u64),
    /// One of several things.
    Any,
    /// A peer at one of several channels, and nothing else.
    AnyPeer,
    /// An element of the generator whose tasklet that is.
    Element(crate::Pid),
    /// That a generator's next element is wanted.
    Demand,
    /// That a future is to be polled.
    Future,
    /// An end, in an operation that has no error for a wait in vain.
    Exit(crate::Pid),
}

impl Waiting {
    /// Whether an operation that waits for this has an error that says [`Interrupt::Deadlock`].
    pub(crate) fn can_end_in_deadlock(self) -> bool {
        matches!(
            self,
            Waiting::Reply(_)
                | Waiting::End(_)
                | Waiting::Sender(_)
                | Waiting::Receiver(_)
                | Waiting::AnyPeer
        )
    }
}

/// Why an operation ended without having succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Its own deadline has passed.
    TimedOut,
    /// The deadline of a `timeout` block around it has passed.
    Expired(ScopeId),
    /// It would have to wait while its tasklet unwinds.
    Unwinding,
    /// Its tasklet has been asked to stop, and it wanted to know.
    Stopping,
    /// It would have to wait in an actor's handler, and no stack was to be had for those who are to end
    /// the wait.
    Exhausted,
    /// It would have to wait on a worker's thread outside any tasklet, where nothing can wait.
    Outside,
    /// It would have to wait, and its tasklet has forbidden itself to.
    WouldBlock,
    /// It could wait for ever: nobody is left who could end the wait.
    Deadlock,
}

impl Interrupt {
    /// For operations that have no error to give: unwinds to the edge of the block that expired.
    ///
    /// # Panics
    ///
    /// Where there is no such block: when the operation would have to wait while its tasklet unwinds.
    #[cold]
    pub(crate) fn raise(self, operation: &str) -> ! {
        match self {
            Interrupt::Expired(scope) => timeout::raise(scope),
            Interrupt::Unwinding => panic!("{operation}: {Unwinding}"),
            Interrupt::Outside => panic!("{operation} outside a tasklet on a worker's thread"),
            Interrupt::Exhausted => panic!("{operation}: {}", CallError::Exhausted),
            Interrupt::WouldBlock => panic!("{operation}: {WouldBlock}"),
            Interrupt::Deadlock => panic!("{operation}: {Deadlock}"),
            Interrupt::TimedOut | Interrupt::Stopping => {
                unreachable!("{operation} was given no deadline and did not ask for stops")
            }
        }
    }

    /// For operations that return `io::Result`.
    pub(crate) fn into_io(self) -> std::io::Error {
        match self {
            Interrupt::TimedOut | Interrupt::Expired(_) => TimedOut.into(),
            Interrupt::Unwinding => Unwinding.into(),
            Interrupt::Exhausted => CallError::Exhausted.into(),
            Interrupt::Stopping => std::io::Error::other("the tasklet has been asked to stop"),
            Interrupt::WouldBlock => WouldBlock.into(),
            Interrupt::Deadlock => Deadlock.into(),
            Interrupt::Outside => {
                std::io::Error::other("nothing can wait on a worker's thread outside a tasklet")
            }
        }
    }
}

/// Where the caller runs.
pub(crate) enum Here<'a> {
    /// In a tasklet, on its worker.
    Tasklet(&'static worker::Local, &'a Core),
    /// On a thread of `may`'s outside any tasklet: in a driver (a timer's action, a destructor), or in a
    /// coroutine that is none of ours.
    Driver,
    /// On a thread that is not one of `may`'s.
    Thread,
}

/// Finds out where the caller runs; ends the process if that is a tasklet away from its home.
///
/// All that is safe about tasklets rests on their never leaving their threads, and what `may` calls safe
/// (a sleep, a lock, a channel of its own) moves one. So every operation looks: the frame that asks lies
/// on the stack of the tasklet that its thread runs, or it is to be explained.
#[inline(always)]
pub(crate) fn here<'a>() -> Here<'a> {
    if let Some(local) = worker::local()
        && let Some(core) = local.current()
    {
        // SAFETY: the tasklet that runs is alive until it returns to the driver, and the caller, who is
        // inside it, is done with the reference before. If the caller is not inside it, the look at the
        // stack says so, and it has still not returned to its driver.
        let core = unsafe { core.as_ref() };
        if core.runs_on_its_stack() {
            return Here::Tasklet(local, core);
        }
    }
    explain()
}

/// Where a caller runs who is on no tasklet's stack, or not on that of the tasklet that its thread runs.
/// Ends the process in a tasklet of another worker.
#[inline(never)]
fn explain<'a>() -> Here<'a> {
    let local = worker::local();
    if local.is_none() && !worker::is_mays_thread() {
        return Here::Thread;
    }
    match worker::home_of_caller() {
        // A coroutine that `may` runs for somebody else.
        None => Here::Driver,
        Some(home) if !local.is_some_and(|local| ptr::eq(home, local)) => die(MOVED),
        Some(home) => match home.current() {
            // In a generator of the user's.
            // SAFETY: see `here`.
            Some(core) => Here::Tasklet(home, unsafe { core.as_ref() }),
            None => Here::Driver,
        },
    }
}

/// Why a tasklet on the wrong thread ends the process.
pub(crate) const MOVED: &str = "a tasklet has been moved to another thread: it must not call what blocks \
                                or yields in `may`";

/// The tasklet that runs, if the caller is in one.
pub(crate) fn current<'a>() -> Option<&'a Core> {
    match here() {
        Here::Tasklet(_, core) => Some(core),
        Here::Driver | Here::Thread => None,
    }
}

/// The same, unless it is a carrier that stands for an actor.
pub(crate) fn tasklet<'a>() -> Option<&'a Core> {
    current().filter(|core| core.acting().is_none())
}

impl Here<'_> {
    /// Counts an operation, and carries out a kill.
    #[inline(always)]
    fn touch(&self) {
        if let Here::Tasklet(local, core) = self {
            local.count_operation();
            core.check_kill(local);
        }
    }
}

impl Here<'_> {
    /// Lets the others run if this tasklet has had a slice to itself: what always finds a message, or
    /// bytes to read, would otherwise never wait, and keep its worker for ever.
    #[inline(always)]
    fn make_way(&self) {
        #[cold]
        fn make_way(local: &'static worker::Local, core: &Core) {
            if !panicking() {
                core.give_way(local);
                core.check_kill(local);
            }
        }

        if let Here::Tasklet(local, core) = self
            && local.has_outstayed()
        {
            make_way(local, core);
        }
    }

    /// See [`enter`].
    #[inline(always)]
    pub(crate) fn enter(&self) -> Result<(), Interrupt> {
        self.touch();
        self.make_way();
        self.check_deadline()
    }

    #[inline(always)]
    fn check_deadline(&self) -> Result<(), Interrupt> {
        match timeout::nearest(self) {
            Some((at, scope)) if time::now() >= at && !panicking() => {
                Err(Interrupt::Expired(scope))
            }
            _ => Ok(()),
        }
    }
}

/// Until when the handler in which the caller runs must have answered, if that is known.
pub(crate) fn answer_by() -> Option<Instant> {
    match here() {
        // SAFETY: the tasklet itself.
        Here::Tasklet(_, core) => unsafe { core.home_state() }.answer_by.get(),
        Here::Driver | Here::Thread => None,
    }
}

// Never inlined, nor are the two that follow: into a function that has called something of `may`'s before,
// they could take along what that has computed of the thread that it was on.
/// Counts an operation that does not wait, and carries out a kill.
#[inline(never)]
pub(crate) fn touch() {
    here().touch();
}

/// Runs `f`, and holds kills of the caller off meanwhile.
pub(crate) fn shielded<T>(f: impl FnOnce() -> T) -> T {
    struct Shield<'a>(Option<&'a Core>);

    impl Drop for Shield<'_> {
        fn drop(&mut self) {
            if let Some(core) = self.0 {
                core.unshield();
            }
        }
    }

    let shield = Shield(current());
    if let Some(core) = shield.0 {
        core.shield();
    }
    f()
}

/// Begins an operation that can wait: counts it, carries out a kill, and reports an expired deadline.
#[inline(never)]
pub(crate) fn enter() -> Result<(), Interrupt> {
    here().enter()
}

/// As [`enter`], for an operation that decides itself who runs next.
#[inline]
pub(crate) fn enter_in_turn() -> Result<(), Interrupt> {
    let here = here();
    here.touch();
    here.check_deadline()
}

/// Whether the caller may wait.
#[inline]
pub(crate) fn may_block() -> Result<(), Interrupt> {
    if panicking() {
        return Err(Interrupt::Unwinding);
    }
    Ok(())
}

/// Carries out a kill of the current tasklet, or raises what is to be raised in it, though the operation
/// that it is in has come to its end: one in which nothing has changed hands.
#[cold]
pub(crate) fn check_kill() {
    if let Here::Tasklet(local, core) = here() {
        core.check_kill(local);
    }
}

/// Who runs next when two have met that share a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The peer; the caller comes after all who are ready.
    Peer,
    /// The caller; the peer comes after all who are ready.
    Caller,
    /// Whoever is ready; the peer comes after all of them, and the caller after the peer.
    Ready,
}

/// Wakes `peer`, whom the caller has just given what it waited for, and decides who runs next if the two
/// share a worker.
#[inline(always)]
pub(crate) fn meet(peer: Waiter, next: Next) {
    let here = here();
    if let (Here::Tasklet(local, core), Waiter::Tasklet(other)) = (&here, &peer)
        && other.home == local.id
    {
        // Nobody switches while it unwinds.
        if next == Next::Caller || panicking() {
            local.wake_last(other);
            return;
        }
        if next == Next::Peer {
            local.wake_first(other);
        } else {
            local.wake_last(other);
        }
        drop(peer);
        if local.is_over_budget() {
            core.give_way(local);
        } else {
            core.yield_now(local);
        }
        return;
    }
    peer.wake();
    // Such peers can be there without end, and this tasklet would never wait.
    if let Here::Tasklet(local, core) = here
        && local.has_outstayed()
        && !panicking()
    {
        core.give_way(local);
    }
}

/// The means to wake the caller.
#[inline(never)]
pub(crate) fn waiter() -> Result<Waiter, Interrupt> {
    may_block()?;
    match here() {
        Here::Tasklet(local, core) => {
            // In a handler: whoever is to end the wait may need a carrier.
            if core.acting().is_some() && local.reserve_carrier().is_err() {
                return Err(Interrupt::Exhausted);
            }
            if core.must_not_block() {
                return Err(Interrupt::WouldBlock);
            }
            Ok(Waiter::Tasklet(core.strong()))
        }
        Here::Driver => Err(Interrupt::Outside),
        Here::Thread => Ok(Waiter::Thread(ThreadParker::current())),
    }
}

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    what: Waiting,
    deadline: Option<Instant>,
    or_stop: bool,
    for_peer: bool,
}

impl Wait {
    pub(crate) fn new(what: Waiting, deadline: Option<Instant>) -> Self {
        Wait {
            what,
            deadline,
            or_stop: false,
            for_peer: false,
        }
    }

    /// A wait for a peer, who leaves something where `look` finds it. That is not lost to a kill of the
    /// same moment: the wait succeeds, and the kill comes with the next operation. Whoever leaves
    /// something must pass over those that have been [called off](Core::is_called_off). And it may end
    /// with [`Interrupt::Deadlock`].
    pub(crate) fn for_peer(self) -> Self {
        Wait {
            for_peer: true,
            ..self
        }
    }

    /// Ends with [`Interrupt::Stopping`] once the tasklet is asked to stop.
    pub(crate) fn or_stop(self) -> Self {
        Wait {
            or_stop: true,
            ..self
        }
    }

    /// The nearest of the operation's own deadline and those of the blocks around it, and what has
    /// happened when it has passed.
    #[inline]
    pub(crate) fn deadline(&self, here: &Here<'_>) -> (Option<Instant>, Interrupt) {
        match timeout::nearest(here) {
            Some((at, scope)) if self.deadline.is_none_or(|own| at < own) => {
                (Some(at), Interrupt::Expired(scope))
            }
            _ => (self.deadline, Interrupt::TimedOut),
        }
    }
}

/// Waits until `look` gives something.
///
/// The caller has arranged to be woken (a place in a wait list, an idle mailbox) whenever `look` may
/// have something new. What `look` has to give is preferred to an interrupt of the same moment, so
/// nothing is lost at the edge of a timeout; only a kill comes first.
#[inline(always)]
pub(crate) fn wait_until<T>(wait: Wait, look: impl FnMut() -> Option<T>) -> Result<T, Interrupt> {
    wait_until_at(&here(), wait, look)
}

/// The same for whoever knows where the caller runs.
#[inline(always)]
pub(crate) fn wait_until_at<T>(
    here: &Here<'_>,
    wait: Wait,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, Interrupt> {
    let (deadline, interrupt) = wait.deadline(here);
    // Set once for the whole wait, however often it is woken in between: so it keeps its place among
    // those with the same deadline.
    let mut timer = None;
    let mut in_vain = false;
    loop {
        // Read before the look: nothing is left any more for one that has been called off, so what
        // this look does not find does not come.
        let called_off = match here {
            Here::Tasklet(_, core) => wait.for_peer && core.is_called_off(),
            Here::Driver | Here::Thread => false,
        };
        if let Some(found) = look() {
            return Ok(found);
        }
        if let Here::Tasklet(local, core) = here
            && called_off
        {
            core.check_kill(local);
        }
        if in_vain {
            return Err(Interrupt::Deadlock);
        }
        if panicking() {
            return Err(Interrupt::Unwinding);
        }
        if let Here::Tasklet(_, core) = here
            && wait.or_stop
            && core.is_asked_to_stop()
        {
            return Err(Interrupt::Stopping);
        }
        if deadline.is_some_and(|at| time::now() >= at) {
            return Err(interrupt);
        }
        match here {
            Here::Tasklet(local, core) => {
                if core.must_not_block() {
                    return Err(Interrupt::WouldBlock);
                }
                if timer.is_none() {
                    timer = deadline.map(|at| Alarm::set(local, core, at));
                }
                if core.acting().is_some() && local.reserve_carrier().is_err() {
                    return Err(Interrupt::Exhausted);
                }
                core.park(local, wait.what);
                in_vain = core.take_deadlock();
                if !wait.for_peer {
                    core.check_kill(local);
                }
            }
            Here::Driver => return Err(Interrupt::Outside),
            Here::Thread => ThreadParker::current().park(deadline),
        }
    }
}

/// A timer that wakes a tasklet which waits. Taken back when the wait is over, also by unwinding.
struct Alarm {
    local: &'static worker::Local,
    key: timers::Key,
}

impl Alarm {
    fn set(local: &'static worker::Local, core: &Core, at: Instant) -> Self {
        let key = local
            .timers()
            .insert(at, timers::Action::Wake(NonNull::from(core)));
        Alarm { local, key }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.local.timers().remove(self.key);
    }
}

/// What unwinds a tasklet that has been killed. Passed on by everything of ours that catches panics.
#[derive(Debug)]
pub(crate) struct Killed;

/// Unwinds the calling tasklet.
pub(crate) fn raise_kill() -> ! {
    resume_unwind(Box::new(Killed))
}

/// What unwinds a tasklet in which somebody else has [raised](crate::Tasklet::raise) an error.
#[derive(Debug)]
pub(crate) struct Raised(pub(crate) BoxError);

/// Unwinds the calling tasklet with an error.
pub(crate) fn raise_error(error: BoxError) -> ! {
    resume_unwind(Box::new(Raised(error)))
}

/// Whether a caught payload is no panic, but on its way to somewhere further out: what catches panics
/// in order to go on passes it on.
pub(crate) fn is_passing(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Killed>() || payload.is::<Raised>() || timeout::is_expiry(payload)
}

/// Ends the process: a promise on which memory safety rests has been broken from outside.
#[cold]
pub(crate) fn die(why: &str) -> ! {
    // By the driver, since the thread may be another's by now.
    let worker = worker::home_of_caller().or_else(worker::local);
    let name = match worker.and_then(worker::Local::current) {
        // SAFETY: see `here`.
        Some(core) => unsafe { NonNull::as_ref(&core) }.acting_name().to_owned(),
        None => "none".to_owned(),
    };
    // The one place beside the stack overflow where a library may write to standard error: nothing
    // that runs after this could be trusted to.
    runtime::say(format_args!("concurrence: fatal (tasklet {name}): {why}\n"));
    std::process::abort()
}
