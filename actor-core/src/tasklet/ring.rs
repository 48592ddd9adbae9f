//! The run queue in the hands of the tasklets: who runs next, who does not, and for how long.
//!
//! What Stackless's scheduler functions and the methods of its tasklets do, within one worker, in the
//! same order. Across workers there is no order that they could keep to: what needs one is refused
//! there.

use std::error::Error;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::thread::panicking;
use std::time::Duration;

use super::Tasklet;
use super::core::Core;
use crate::block::{self, Here};
use crate::worker::{self, Limit, Local, Meter};

impl Tasklet {
    // The current tasklet -----------------------------------------------------------------------

    /// Lets all others run that are ready on this worker, and goes on after them:
    /// [`yield_now`](Self::yield_now) by the name that it has in Stackless.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// fn greet(name: &'static str) {
    ///     println!("Hello {name}");
    ///     Tasklet::schedule();
    ///     println!("Good-bye {name}");
    /// }
    ///
    /// dispatch(|| {
    ///     Tasklet::spawn(|| greet("A")); // Hello A, Hello B, Good-bye A, Good-bye B
    ///     Tasklet::spawn(|| greet("B"));
    /// });
    /// ```
    #[inline]
    pub fn schedule() {
        Tasklet::yield_now();
    }

    /// Takes the current tasklet out of the run queue until another one puts it back, by
    /// [`insert`](Self::insert) or [`run`](Self::run).
    ///
    /// Nothing else wakes it meanwhile, but a kill, an error that is [raised](Self::raise) in it, and a
    /// stop. One that has been asked to stop only [yields](Self::schedule). One to which no [`Tasklet`]
    /// refers is killed, as nobody could put it back; so let somebody have one, or hold one here. (The
    /// main tasklet is not, and waits for ever.) While it unwinds it does not pause.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let waits = Tasklet::spawn(|| {
    ///         Tasklet::schedule_remove();
    ///         "back"
    ///     });
    ///     Tasklet::schedule();
    ///     assert!(waits.is_paused());
    ///     waits.insert().unwrap();
    ///     assert_eq!(waits.join().unwrap(), "back");
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn schedule_remove() {
        block::touch();
        let (local, core) = here("schedule_remove");
        core.pause(local);
    }

    /// How many tasklets are ready to run on this worker, with the current one. On a plain thread 0.
    ///
    /// Those that wait or are paused do not count.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let others: Vec<_> = (0..3).map(|_| Tasklet::spawn(|| ())).collect();
    ///     assert!(Tasklet::run_count() >= 1 + others.len());
    /// });
    /// ```
    pub fn run_count() -> usize {
        block::touch();
        worker::local().map_or(0, |local| {
            local.ready_tasklets() + usize::from(local.current().is_some())
        })
    }

    /// Runs the other tasklets of this worker until none is ready, and so drains its run queue.
    ///
    /// The caller is set aside meanwhile: it is [paused](Self::is_paused), and goes on when all others have
    /// ended, wait or are paused. So it does not wait for timers and sockets: who sleeps is not ready.
    /// Actors with messages take their turns, too. Calls of several tasklets nest: the last one comes
    /// back first. It comes back early if another tasklet [inserts](Self::insert) or [runs](Self::run) the
    /// caller, and if that is asked to stop.
    ///
    /// This is Stackless's `run()`.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let tasklet = Tasklet::spawn(|| Tasklet::schedule());
    ///     Tasklet::run_all();
    ///     assert!(!tasklet.is_alive());
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn run_all() {
        run("run_all", None);
    }

    /// As [`run_all`](Self::run_all), and watches over the others: one that does more than `budget`
    /// allows is taken out of the run queue, and returned. `None` says that no more was ready.
    ///
    /// Whoever gets one decides: [`insert`](Self::insert) it again, with a new budget at the next call,
    /// [`kill`](Self::kill) it, or leave it paused; it is killed if this was the last reference to it. What else is ready stays so, for the next call. In
    /// nested calls the budget of the innermost counts, if it has one.
    ///
    /// Nothing is preempted. What a tasklet has done is looked at in its operations, and it is taken out at
    /// the first that could wait, or that yields, so not in the middle of a computation or where it only
    /// sends. One that never comes to an operation keeps its worker for as long as it likes, and this call
    /// with it; the log names those (see
    /// [`hold_warning`](crate::RuntimeBuilder::hold_warning)). Locks that it holds it keeps while it is
    /// out.
    ///
    /// This is Stackless's watchdog, `run(timeout)`, where it counts instructions.
    ///
    /// ```
    /// use actor_core::{Budget, Tasklet, dispatch};
    /// # use actor_core::sync::Mutex;
    ///
    /// dispatch(|| {
    ///     Tasklet::spawn(|| println!("short"));
    ///     let greedy = Tasklet::spawn(|| {
    ///         let lock = Mutex::new(0);
    ///         loop {
    ///             *lock.lock() += 1; // never waits, so nobody else gets a turn
    ///         }
    ///     });
    ///     let caught = Tasklet::run_within(Budget::operations(1_000)).expect("one is greedy");
    ///     assert_eq!(caught, *greedy);
    ///     caught.kill_now();
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn run_within(budget: Budget) -> Option<Tasklet> {
        run("run_within", Some(budget.0))
    }

    /// Forbids the current tasklet to wait, or allows it again; gives what was so before.
    ///
    /// As long as it is forbidden, an operation that would have to wait fails: with its error's
    /// `WouldBlock`, or, where it has no error of that kind, as if its time were up or the mailbox full; if
    /// it has none at all, it panics. Operations that need not wait succeed, and giving way to others
    /// ([`schedule`](Self::schedule), [`run`](Self::run), [`run_all`](Self::run_all)) is no waiting.
    ///
    /// The idea is Stackless's `block_trap`. [`BlockTrap`] does it for a scope.
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let other = Tasklet::spawn(|| 7);
    ///     assert!(!Tasklet::set_block_trap(true));
    ///     assert!(matches!(other.join(), Err(JoinError::WouldBlock)));
    ///     assert!(Tasklet::set_block_trap(false));
    ///     assert_eq!(other.join().unwrap(), 7);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn set_block_trap(on: bool) -> bool {
        let (_, core) = here("set_block_trap");
        // SAFETY: the tasklet itself.
        unsafe { core.home_state() }.block_trap.replace(on)
    }

    // Others ------------------------------------------------------------------------------------

    /// Puts it back at the end of the run queue if it is [paused](Self::is_paused). One that is there
    /// stays where it is.
    ///
    /// To a tasklet of another worker, and from a plain thread, this is sent, and has its effect when it
    /// arrives there: whether it finds it blocked cannot be told. Sent before it has been paused, it has
    /// none.
    ///
    /// # Errors
    ///
    /// If it is blocked, or has ended.
    ///
    /// ```
    /// use actor_core::{InsertError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let receiver = Tasklet::spawn(|| Tasklet::receive().for_each(drop));
    ///     receiver.remove().unwrap();
    ///     receiver.insert().unwrap();
    ///     Tasklet::schedule();
    ///     assert_eq!(receiver.insert(), Err(InsertError::Blocked)); // it waits for a message
    /// });
    /// ```
    pub fn insert(&self) -> Result<(), InsertError> {
        block::touch();
        if self.core.has_ended() {
            return Err(InsertError::Ended);
        }
        match self.local() {
            Some(local) if local.insert(&self.core) => Ok(()),
            Some(_) if self.core.is_blocked() => Err(InsertError::Blocked),
            Some(_) => Ok(()),
            None => {
                // A reference on its way: until it is there the tasklet is not one that nobody could
                // put back.
                let tasklet = self.clone();
                worker::post(self.core.home, move |local| {
                    local.insert(&tasklet.core);
                });
                Ok(())
            }
        }
    }

    /// Takes it out of the run queue until somebody [inserts](Self::insert) or [runs](Self::run) it, or
    /// it is stopped or killed. One that is out, or has ended, stays so.
    ///
    /// A paused tasklet to which no [`Tasklet`] refers any more is killed, since nobody could put it back;
    /// waiting in `join` is no such reference. It costs a look through the run queue.
    ///
    /// # Errors
    ///
    /// If it is blocked, is the current one (that is [`schedule_remove`](Self::schedule_remove)) or the
    /// one for which that runs, or lives on another worker than the caller: there it may do anything in the meantime.
    ///
    /// ```
    /// use actor_core::{RemoveError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let other = Tasklet::spawn(|| ());
    ///     other.remove().unwrap();
    ///     Tasklet::schedule();
    ///     assert!(other.is_alive() && other.is_paused());
    ///     assert_eq!(Tasklet::current().remove(), Err(RemoveError::Current));
    /// });
    /// ```
    pub fn remove(&self) -> Result<(), RemoveError> {
        block::touch();
        let local = self.local().ok_or(RemoveError::OtherWorker)?;
        if self.core.has_ended() || self.core.wake.is_paused() {
            return Ok(());
        }
        if self.core.is_blocked() {
            return Err(RemoveError::Blocked);
        }
        local
            .take_out(&self.core)
            .then_some(())
            .ok_or(RemoveError::Current)
    }

    /// Switches to it now.
    ///
    /// If it is in the run queue, the queue goes on from its place there: those behind it run next, then
    /// the caller, then those that it has jumped. If it is paused, the caller goes on right after it,
    /// when it waits, gives way or ends, and before all others. Running the current one does nothing.
    /// It costs a look through the run queue.
    ///
    /// # Errors
    ///
    /// If it is blocked, has ended, or lives on another worker; and while the caller unwinds.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     for name in ["B", "C"] {
    ///         Tasklet::spawn(move || println!("{name}"));
    ///     }
    ///     let d = Tasklet::spawn(|| println!("D"));
    ///     d.run().unwrap(); // D
    ///     println!("A"); // A, then B and C
    /// });
    /// ```
    pub fn run(&self) -> Result<(), RunError> {
        if let Some((local, current)) = self.reach()? {
            if !local.switch_to(current, &self.core) {
                return Err(RunError::Blocked);
            }
            current.check_kill(local);
        }
        Ok(())
    }

    /// As [`run`](Self::run), but the caller leaves the run queue, as by
    /// [`schedule_remove`](Self::schedule_remove), and goes on when somebody has put it back.
    ///
    /// Two tasklets that hand control to each other in this way are coroutines: nobody else decides
    /// when either goes on, and neither comes twice.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run). Then the caller has not left the queue.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let main = Tasklet::current();
    ///     let other = Tasklet::builder().paused(true).spawn(move || {
    ///         assert!(main.is_paused());
    ///         main.insert().unwrap();
    ///     });
    ///     other.unwrap().switch().unwrap();
    /// });
    /// ```
    pub fn switch(&self) -> Result<(), RunError> {
        if let Some((local, current)) = self.reach()? {
            if current.acting().is_some() {
                return Err(RunError::OtherWorker);
            }
            local.switch_and_pause(current, &self.core);
        }
        Ok(())
    }

    /// The caller, if it can switch to this tasklet; `None` if it is this one.
    fn reach<'a>(&self) -> Result<Option<(&'static Local, &'a Core)>, RunError> {
        block::touch();
        if self.core.has_ended() {
            return Err(RunError::Ended);
        }
        let Here::Tasklet(local, current) = block::here() else {
            return Err(RunError::OtherWorker);
        };
        if self.core.home != local.id {
            return Err(RunError::OtherWorker);
        }
        if panicking() {
            return Err(RunError::Unwinding);
        }
        if current.pid == self.core.pid {
            return Ok(None);
        }
        if self.core.is_blocked() {
            return Err(RunError::Blocked);
        }
        Ok(Some((local, current)))
    }

    /// Whether it is the caller.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let other = Tasklet::spawn(|| ());
    ///     assert!(Tasklet::current().is_current() && !other.is_current());
    /// });
    /// ```
    pub fn is_current(&self) -> bool {
        block::current().is_some_and(|current| current.pid == self.core.pid)
    }

    /// Whether it runs, is in the run queue, or is blocked: it lives and is not paused.
    ///
    /// Of a tasklet of another worker this, like [`is_blocked`](Self::is_blocked) and
    /// [`is_paused`](Self::is_paused), tells what was so a moment ago. What Stackless calls `scheduled`.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let me = Tasklet::current();
    ///     assert!(me.is_scheduled() && !me.is_blocked() && !me.is_paused());
    /// });
    /// ```
    pub fn is_scheduled(&self) -> bool {
        !self.core.has_ended() && !self.core.wake.is_paused()
    }

    /// Whether it waits for something: a message, a peer at a channel, a lock, a time.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let receiver = Tasklet::spawn(|| Tasklet::receive().for_each(drop));
    ///     assert!(!receiver.is_blocked());
    ///     Tasklet::schedule();
    ///     assert!(receiver.is_blocked() && receiver.is_scheduled());
    /// });
    /// ```
    pub fn is_blocked(&self) -> bool {
        !self.core.has_ended() && self.core.is_blocked()
    }

    /// Whether it lives but is out of the run queue: it has been [removed](Self::remove), was spawned
    /// [paused](crate::TaskletBuilder::paused), or runs the others ([`run_all`](Self::run_all)).
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let main = Tasklet::current();
    ///     let other = Tasklet::spawn(move || main.is_paused());
    ///     Tasklet::run_all();
    ///     assert!(other.join().unwrap());
    /// });
    /// ```
    pub fn is_paused(&self) -> bool {
        !self.core.has_ended() && self.core.wake.is_paused()
    }

    /// This thread's worker, if it lives there.
    fn local(&self) -> Option<&'static Local> {
        worker::local().filter(|local| local.id == self.core.home)
    }
}

/// The current tasklet, for what no actor and no thread can do.
fn here<'a>(operation: &str) -> (&'static Local, &'a Core) {
    match block::here() {
        Here::Tasklet(local, core) if core.acting().is_none() => (local, core),
        _ => panic!("Tasklet::{operation} was called outside a tasklet"),
    }
}

fn run(operation: &str, meter: Option<Meter>) -> Option<Tasklet> {
    block::touch();
    let (local, core) = here(operation);
    if panicking() {
        return None;
    }
    local.run_others(core, meter).map(Tasklet::new)
}

/// How much a tasklet may do while [`Tasklet::run_within`] watches over it.
///
/// ```
/// use actor_core::{Budget, Tasklet, dispatch};
/// use std::time::Duration;
///
/// dispatch(|| {
///     Tasklet::spawn(|| (0..100).for_each(|_| Tasklet::schedule()));
///     let patient = Budget::time(Duration::from_secs(1)).total();
///     assert!(Tasklet::run_within(patient).is_none());
/// });
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a budget does nothing by itself"]
pub struct Budget(Meter);

impl Budget {
    /// So many operations of this crate in one stretch, from when it is switched to until it gives way.
    ///
    /// ```
    /// # use actor_core::{Budget, Tasklet, dispatch};
    /// dispatch(|| assert!(Tasklet::run_within(Budget::operations(10_000)).is_none()));
    /// ```
    pub fn operations(operations: u64) -> Budget {
        Budget(Meter {
            limit: Limit::Operations(operations),
            total: false,
        })
    }

    /// So much time in one stretch, about, and on the machine's clock also where the program's is
    /// virtual.
    ///
    /// ```
    /// # use actor_core::{Budget, Tasklet, dispatch};
    /// # use std::time::Duration;
    /// dispatch(|| assert!(Tasklet::run_within(Budget::time(Duration::from_secs(1))).is_none()));
    /// ```
    pub fn time(time: Duration) -> Budget {
        Budget(Meter {
            // Longer ones could not be told in ticks, and are as good as none.
            limit: Limit::Time(time.min(Duration::from_secs(86_400))),
            total: false,
        })
    }

    /// The same for all tasklets and stretches of the call together, so that it comes back also from
    /// those that take turns without end. Whoever is at it when it is used up is caught.
    ///
    /// ```
    /// # use actor_core::{Budget, Tasklet, dispatch};
    /// dispatch(|| {
    ///     let polite = Tasklet::spawn(|| loop { Tasklet::schedule() });
    ///     assert!(Tasklet::run_within(Budget::operations(100).total()).is_some());
    ///     polite.kill();
    /// });
    /// ```
    pub fn total(self) -> Budget {
        Budget(Meter {
            total: true,
            ..self.0
        })
    }
}

/// Forbids the current tasklet to wait until it is dropped; see [`Tasklet::set_block_trap`].
///
/// ```
/// use actor_core::{BlockTrap, ReceiveError, Tasklet, dispatch};
///
/// dispatch(|| {
///     let _trap = BlockTrap::set();
///     assert_eq!(Tasklet::receive_one().unwrap_err(), ReceiveError::WouldBlock);
/// });
/// ```
#[derive(Debug)]
#[must_use = "the trap is taken away when this is dropped"]
pub struct BlockTrap {
    before: bool,
    /// It is for the tasklet that it was made in.
    _of_this_tasklet: PhantomData<*const ()>,
}

impl BlockTrap {
    /// Forbids the current tasklet to wait.
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn set() -> BlockTrap {
        BlockTrap {
            before: Tasklet::set_block_trap(true),
            _of_this_tasklet: PhantomData,
        }
    }
}

impl Drop for BlockTrap {
    fn drop(&mut self) {
        Tasklet::set_block_trap(self.before);
    }
}

/// Why a tasklet was not put into the run queue.
///
/// ```
/// use actor_core::{InsertError, Tasklet, dispatch};
///
/// dispatch(|| {
///     let ended = Tasklet::spawn(|| ());
///     ended.join().unwrap();
///     assert_eq!(ended.insert(), Err(InsertError::Ended));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InsertError {
    /// It waits for something, and goes on by itself when that has come.
    Blocked,
    /// It has ended.
    Ended,
}

impl fmt::Display for InsertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InsertError::Blocked => "inserting a tasklet that is blocked",
            InsertError::Ended => "inserting a tasklet that has ended",
        })
    }
}

impl Error for InsertError {}

impl From<InsertError> for io::Error {
    fn from(error: InsertError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Why a tasklet was not taken out of the run queue.
///
/// ```
/// use actor_core::{RemoveError, Tasklet, dispatch};
///
/// dispatch(|| assert_eq!(Tasklet::current().remove(), Err(RemoveError::Current)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemoveError {
    /// It waits for something, and so is not in the run queue.
    Blocked,
    /// It is the caller; or the one for which the caller runs, as a generator's inner code does for
    /// whoever asks for its next element, and what is [called](crate::call) for its caller.
    Current,
    /// It lives on another worker than the caller.
    OtherWorker,
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RemoveError::Blocked => "removing a tasklet that is blocked",
            RemoveError::Current => "removing the current tasklet",
            RemoveError::OtherWorker => "removing a tasklet of another worker",
        })
    }
}

impl Error for RemoveError {}

impl From<RemoveError> for io::Error {
    fn from(error: RemoveError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Why a tasklet was not switched to.
///
/// ```
/// use actor_core::{RunError, Tasklet, dispatch};
///
/// dispatch(|| {
///     let ended = Tasklet::spawn(|| ());
///     ended.join().unwrap();
///     assert_eq!(ended.run(), Err(RunError::Ended));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunError {
    /// It waits for something that has not come; or for the caller, which runs for it (see
    /// [`RemoveError::Current`]).
    Blocked,
    /// It has ended.
    Ended,
    /// It lives on another worker than the caller, or the caller is no tasklet.
    OtherWorker,
    /// The caller unwinds, and so gives way to nobody.
    Unwinding,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RunError::Blocked => "running a tasklet that is blocked",
            RunError::Ended => "running a tasklet that has ended",
            RunError::OtherWorker => "running a tasklet of another worker",
            RunError::Unwinding => "running a tasklet while unwinding",
        })
    }
}

impl Error for RunError {}

impl From<RunError> for io::Error {
    fn from(error: RunError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}
