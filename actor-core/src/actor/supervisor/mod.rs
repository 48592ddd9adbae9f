//! Supervisors: actors that start others, and start them again when they fail.
//!
//! As in Erlang/OTP, of which this has the strategies, the restart types, the limit of restarts in a
//! period, and the order in which children start and are shut down. Two things differ. A supervised
//! actor keeps its address, its identity and its mailbox from one life to the next, so what is sent in
//! between waits, within the mailbox's bound; in OTP each life is a process of its own, to be looked up
//! anew. And a restart can be put off, by a time that grows with each failure.
//!
//! What follows from the first: a child that is not to be started again is forgotten, a transient one
//! included, and its address has ended; in OTP that one would come back with the others of a
//! one_for_all. What a life monitors and is linked to is its own: the next hears nothing of it. And a
//! supervisor whose children fail too often fails itself, so that one above it starts it again even if
//! it is transient; in OTP it shuts down, which such a one takes for an ordinary end. Dynamic children
//! are shut down one after the other like all, and not at once.
//!
//! - `child`: how a child is made, when it is started again and how it is shut down;
//! - `kid`: a child as its supervisor has it.

mod child;
mod kid;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use self::child::ChildSettings;
pub use self::child::{Child, DEFAULT_SHUTDOWN, Restart, Shutdown};
use self::kid::{Kid, Kind, Later};
use super::addr::Addr;
use super::cell::ActorCell;
use super::context::Context;
use super::{Actor, Handler};
use crate::envelope::Envelope;
use crate::mailbox::Patience;
use crate::timers::Timer;
use crate::{
    BoxError, CallError, Exit, ExitReason, Message, Outcome, Pid, SpawnError, Tasklet, exit, time,
};

/// Which children are started again when one has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
}

/// Starts children in order, starts them again when they fail, and shuts them down in reverse.
///
/// An actor itself: spawn it with [`Addr::spawn`], or make it a child of another by
/// [`Supervisor::nested`].
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Actor, Addr, Child, Context, Handler, Message, Supervisor, dispatch};
///
/// struct Flaky(u32);
/// impl Actor for Flaky {}
///
/// #[derive(Message)]
/// #[message(reply = u32)]
/// struct Count;
/// impl Handler<Count> for Flaky {
///     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u32 {
///         self.0 += 1;
///         self.0
///     }
/// }
///
/// fn main() {
///     dispatch(|| {
///         let child = Child::new("flaky", || Flaky(0));
///         let flaky = child.addr();
///         let supervisor = Addr::spawn(Supervisor::one_for_one().child(child));
///         assert_eq!(flaky.call(Count), Ok(1));
///         flaky.kill();
///         // The address is good for the next life as well.
///         while flaky.call(Count) != Ok(1) {}
///         supervisor.stop();
///         supervisor.join();
///         assert!(!flaky.is_alive());
///     });
/// }
/// ```
pub struct Supervisor {
    strategy: Strategy,
    intensity: (usize, Duration),
    backoff: Option<(Duration, Duration)>,
    kids: Vec<Kid>,
    /// When there were restarts, within the period.
    restarts: VecDeque<Instant>,
    /// Of the jitter.
    seed: u64,
}

/// A child that is to go.
pub(crate) struct Terminate(pub(crate) Pid);

impl Message for Terminate {
    type Reply = bool;
}

/// The restart of a child whose time has come. Its number is no other's, in no supervisor's life.
struct Again(Pid);

impl Message for Again {
    type Reply = ();
}

/// A child for a supervisor that runs.
struct Start<A: Actor>(Child<A>);

impl<A: Actor> Message for Start<A> {
    type Reply = Result<Addr<A>, SpawnError>;
}

/// Ends a supervisor whose children have failed too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntensityExceeded {
    /// How many restarts were allowed.
    pub restarts: usize,
    /// In how long.
    pub within: Duration,
}

impl fmt::Display for IntensityExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "children have failed more than {} times in {:?}",
            self.restarts, self.within
        )
    }
}

impl Error for IntensityExceeded {}

impl Supervisor {
    fn with(strategy: Strategy) -> Supervisor {
        Supervisor {
            strategy,
            intensity: (1, Duration::from_secs(5)),
            backoff: None,
            kids: Vec::new(),
            restarts: VecDeque::new(),
            seed: Pid::unused().0,
        }
    }

    /// Starts only the child again that has failed.
    pub fn one_for_one() -> Supervisor {
        Supervisor::with(Strategy::OneForOne)
    }

    /// Shuts all the others down as well, and starts all again: for children that make no sense without
    /// each other. Those that are [`Restart::Temporary`] are not started again.
    pub fn one_for_all() -> Supervisor {
        Supervisor::with(Strategy::OneForAll)
    }

    /// The same for the children after it alone: for those that depend on the ones before them.
    pub fn rest_for_one() -> Supervisor {
        Supervisor::with(Strategy::RestForOne)
    }

    /// How many restarts there may be within a time; one more, and the supervisor shuts all children
    /// down and fails itself, with [`IntensityExceeded`]. By default one in five seconds, as in OTP.
    pub fn intensity(mut self, restarts: usize, within: Duration) -> Self {
        self.intensity = (restarts, within);
        self
    }

    /// Puts restarts off: by `from` the first time, twice as long each time the same child fails again,
    /// but no longer than `to`; less up to a half of it, by chance, so that many do not come back at the
    /// same moment. One that has lived for longer than `to` begins with `from` again. By default restarts
    /// are immediate.
    ///
    /// What is to be started again together with the child that has failed is shut down before the pause.
    pub fn backoff(mut self, from: Duration, to: Duration) -> Self {
        self.backoff = Some((from, to));
        self
    }

    /// Adds a child, after those that are there.
    pub fn child<A: Actor>(mut self, child: Child<A>) -> Self {
        self.kids.push(Kid::actor(child));
        self
    }

    /// Adds a tasklet as a child. An error that it returns counts as a failure.
    pub fn tasklet<F, R>(mut self, name: impl Into<String>, f: F) -> Self
    where
        F: Fn() -> R + Clone + Send + 'static,
        R: Outcome,
    {
        let spawn = move |name: &str| {
            let f = f.clone();
            let body = move || -> Result<(), BoxError> { Ok(f().outcome()?) };
            let tasklet = Tasklet::builder().name(name).spawn(body)?;
            Ok(tasklet.tasklet().clone())
        };
        self.kids.push(Kid::new(
            Kind::Tasklet {
                name: name.into(),
                spawn: Box::new(spawn),
                current: None,
            },
            ChildSettings::default(),
        ));
        self
    }

    /// A supervisor as the child of another. `factory` makes it anew for each of its lives, its own
    /// children included.
    pub fn nested<F>(name: impl Into<String>, factory: F) -> Child<Supervisor>
    where
        F: Fn() -> Supervisor + Send + Sync + 'static,
    {
        Child::new(name, factory).shutdown(Shutdown::Wait)
    }

    /// Whether one more restart is within the limit; counts it.
    fn may_restart(&mut self) -> bool {
        let (most, within) = self.intensity;
        let now = time::now();
        while let Some(first) = self.restarts.front() {
            if now.saturating_duration_since(*first) < within {
                break;
            }
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        self.restarts.len() <= most
    }

    /// A child has failed, or a start of it.
    fn failed(&mut self, index: usize, at_start: bool, ctx: &mut Context<Self>) {
        if !self.may_restart() {
            let (restarts, within) = self.intensity;
            ctx.fail(IntensityExceeded { restarts, within });
            return;
        }
        let index = self.shut_down_with(index);
        match self.backoff {
            Some((from, to)) => {
                let pause = self.pause(index, from, to);
                self.start_later(index, pause, ctx);
            }
            // By a message: what else there is to be done must not wait until it succeeds.
            None if at_start => self.start_later(index, Duration::ZERO, ctx),
            None => self.start_with(index, ctx),
        }
    }

    /// How long a child stays down.
    fn pause(&mut self, index: usize, from: Duration, to: Duration) -> Duration {
        let kid = &mut self.kids[index];
        let since = kid.since.take();
        if since.is_some_and(|since| time::now().saturating_duration_since(since) > to) {
            kid.failures = 0;
        }
        kid.failures = kid.failures.saturating_add(1);
        let doubled = 1_u32.checked_shl(kid.failures - 1).unwrap_or(u32::MAX);
        let longest = from.saturating_mul(doubled).min(to);
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = 0.5 + (self.seed >> 40) as f64 / (1_u64 << 25) as f64;
        longest.mul_f64(share)
    }

    /// The children that are started again together with one.
    fn those_with(&self, index: usize) -> Range<usize> {
        match self.strategy {
            Strategy::OneForOne => index..index + 1,
            Strategy::OneForAll => 0..self.kids.len(),
            Strategy::RestForOne => index..self.kids.len(),
        }
    }

    /// Shuts down those that are to be started again together with a child, the last one first; says
    /// where that one is then.
    fn shut_down_with(&mut self, mut index: usize) -> usize {
        for other in self.those_with(index).rev() {
            self.kids[other].shut_down();
            if self.kids[other].settings.restart == Restart::Temporary {
                self.kids.remove(other).bury();
                if other < index {
                    index -= 1;
                }
            }
        }
        index
    }

    /// Starts a child, and those that are to be started together with it.
    fn start_with(&mut self, index: usize, ctx: &mut Context<Self>) {
        for index in self.those_with(index) {
            let kid = &mut self.kids[index];
            if kid.monitor.is_some() {
                // It has been added meanwhile.
                continue;
            }
            if let Err(error) = kid.start() {
                tracing::warn!(child = %kid, %error, "a child has not started");
                self.failed(index, true, ctx);
                return;
            }
        }
    }

    fn start_later(&mut self, index: usize, pause: Duration, ctx: &mut Context<Self>) {
        let ticket = Pid::unused();
        let own = ctx.addr().core().reference();
        let timer = if pause.is_zero() {
            Again::tell(&own, ticket);
            None
        } else {
            Some(Timer::start(pause, move || Again::tell(&own, ticket)))
        };
        self.kids[index].later = Some(Later { ticket, timer });
    }

    /// Shuts the children down that come after the first `kept`, the last one first.
    fn shut_down(&mut self, kept: usize) {
        while self.kids.len() > kept
            && let Some(last) = self.kids.last_mut()
        {
            // In its place: this may be killed meanwhile.
            last.shut_down();
            last.bury();
            self.kids.pop();
        }
    }
}

impl Again {
    /// Tells a supervisor. Its mailbox may be bounded, and full.
    fn tell(supervisor: &ActorCell, ticket: Pid) {
        let again = Envelope::system::<Supervisor, Again>(Again(ticket));
        // Refused by one that has ended.
        let _ = supervisor.send(again, Patience::System);
    }
}

impl Actor for Supervisor {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        for index in 0..self.kids.len() {
            if let Err(error) = self.kids[index].start() {
                let error = format!("{} has not started: {error}", self.kids[index]);
                self.shut_down(0);
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn stopped(&mut self, _: &ExitReason) {
        self.shut_down(0);
    }

    fn exited(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        let own = |kid: &Kid| {
            let monitor = kid.monitor.as_ref();
            monitor.is_some_and(|own| own.pid() == exit.pid && own.ticket == exit.ticket)
        };
        let Some(index) = self.kids.iter().position(own) else {
            // Of a life that has been ended meanwhile; or of one that somebody has linked to this.
            if exit.linked && exit.reason.is_abnormal() {
                ctx.fail(exit::LinkBroken(exit));
            }
            return;
        };
        self.kids[index].monitor = None;
        let again = match self.kids[index].settings.restart {
            Restart::Permanent => true,
            Restart::Transient => exit.reason.is_abnormal(),
            Restart::Temporary => false,
        };
        if again {
            self.failed(index, false, ctx);
        } else {
            self.kids.remove(index).bury();
        }
    }
}

impl Handler<Again> for Supervisor {
    fn handle(&mut self, Again(ticket): Again, ctx: &mut Context<Self>) {
        let meant = |kid: &Kid| kid.later.as_ref().is_some_and(|own| own.ticket == ticket);
        // Unless it has been started meanwhile, together with another.
        if let Some(index) = self.kids.iter().position(meant) {
            self.kids[index].later = None;
            self.start_with(index, ctx);
        }
    }
}

impl Handler<Terminate> for Supervisor {
    fn handle(&mut self, Terminate(pid): Terminate, _: &mut Context<Self>) -> bool {
        let Some(index) = self.kids.iter().position(|kid| kid.has_pid(pid)) else {
            return false;
        };
        // In its place: this may be killed meanwhile.
        self.kids[index].shut_down();
        self.kids.remove(index).bury();
        true
    }
}

impl<A: Actor> Handler<Start<A>> for Supervisor {
    fn handle(
        &mut self,
        Start(child): Start<A>,
        _: &mut Context<Self>,
    ) -> Result<Addr<A>, SpawnError> {
        let addr = child.addr();
        let before = self.kids.len();
        // First: this may be killed while it starts.
        self.kids.push(Kid::actor(child));
        if let Err(error) = self.kids[before].start() {
            self.shut_down(before);
            return Err(SpawnError::Started(error));
        }
        Ok(addr)
    }
}

impl Addr<Supervisor> {
    /// Adds a child to a supervisor that runs, and waits until it has started.
    ///
    /// With [`Restart::Temporary`] children, and many of them, this is OTP's simple_one_for_one: each is
    /// forgotten when it has ended. Fails with [`SpawnError::Started`] if the child does, or the call of
    /// the supervisor, and with [`SpawnError::NotRunning`] if the supervisor has ended.
    pub fn start<A: Actor>(&self, child: Child<A>) -> Result<Addr<A>, SpawnError> {
        match self.call(Start(child)) {
            Ok(started) => started,
            Err(CallError::Ended) => Err(SpawnError::NotRunning),
            Err(other) => Err(SpawnError::Started(other.into())),
        }
    }

    /// Shuts a child down for good, in the way that it was set to, and waits until it has ended; `false`
    /// if it is none, or the supervisor has ended.
    ///
    /// OTP's terminate_child. Messages that are left in its mailbox are not handled.
    ///
    /// ```
    /// use actor_core::{Actor, Addr, Child, Supervisor, dispatch};
    ///
    /// struct Idle;
    /// impl Actor for Idle {}
    ///
    /// dispatch(|| {
    ///     let supervisor = Addr::spawn(Supervisor::one_for_one());
    ///     let child = supervisor.start(Child::new("idle", || Idle)).unwrap();
    ///     assert!(supervisor.terminate(child.pid()));
    ///     assert!(!supervisor.terminate(child.pid()));
    /// });
    /// ```
    pub fn terminate(&self, child: Pid) -> bool {
        self.call(Terminate(child)).unwrap_or(false)
    }
}

impl Drop for Supervisor {
    /// If it has panicked or was killed, its children are killed.
    fn drop(&mut self) {
        for mut kid in self.kids.drain(..).rev() {
            kid.abandon();
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("strategy", &self.strategy)
            .field("children", &self.kids.len())
            .finish()
    }
}
