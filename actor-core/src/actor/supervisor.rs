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

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::mem;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::addr::Addr;
use super::cell::{ActorCell, ActorRef, DOWN, ENDED, Settings};
use super::context::Context;
use super::{Actor, Handler};
use crate::block::Interrupt;
use crate::envelope::Envelope;
use crate::exit::{self, Monitor, Party};
use crate::mailbox::{Mailbox, Patience};
use crate::timers::Timer;
use crate::{
    BoxError, CallError, Exit, ExitReason, Message, Outcome, Pid, SpawnError, Tasklet, runtime,
    time, worker,
};

/// How long a child has to shut down unless told otherwise.
pub const DEFAULT_SHUTDOWN: Duration = Duration::from_secs(5);
/// How long a killed child is waited for before its supervisor goes on without it.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Which children are started again when one has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
}

/// When a child that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// If it has ended abnormally: by a panic, an error or a kill.
    Transient,
    /// Never.
    Temporary,
}

/// How a child is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// It is asked to end, and killed if it has not after this time.
    Within(Duration),
    /// It is killed.
    Kill,
    /// It is asked to end, and waited for, however long that takes. For supervisors.
    Wait,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::Within(DEFAULT_SHUTDOWN)
    }
}

/// A supervised actor: how to make it, and its address, which is good before its first life, between
/// two of them, and until the last has ended.
pub struct Child<A: Actor> {
    addr: Addr<A>,
    settings: ChildSettings,
    /// Whether a supervisor has it.
    taken: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct ChildSettings {
    restart: Restart,
    shutdown: Shutdown,
}

impl<A: Actor> Child<A> {
    /// A child that is called `name`, each of whose lives begins with a value that `factory` makes.
    ///
    /// # Panics
    ///
    /// If no [`dispatch`](crate::dispatch) runs.
    pub fn new<F>(name: impl Into<String>, factory: F) -> Child<A>
    where
        F: Fn() -> A + Send + Sync + 'static,
    {
        Child::fallible(name, move || Ok(factory()))
    }

    /// As [`new`](Self::new), for a factory that can fail. A failure counts as one of the child.
    pub fn fallible<F>(name: impl Into<String>, factory: F) -> Child<A>
    where
        F: Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    {
        Child::build(name.into(), Mailbox::unbounded(), factory)
    }

    /// As [`fallible`](Self::fallible), with a mailbox that is bounded, or otherwise to order.
    pub fn with_mailbox<F>(name: impl Into<String>, mailbox: Mailbox, factory: F) -> Child<A>
    where
        F: Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    {
        Child::build(name.into(), mailbox, factory)
    }

    fn build<F>(name: String, mailbox: Mailbox, factory: F) -> Child<A>
    where
        F: Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    {
        let program = runtime::program().expect("a child belongs to a program, and none runs");
        let settings = Settings {
            name: Some(name.into_boxed_str()),
            mailbox,
            program,
        };
        let addr = Addr::unlaunched(settings);
        addr.core().supervise(factory);
        Child {
            addr,
            settings: ChildSettings::default(),
            taken: false,
        }
    }

    /// When it is started again; [`Restart::Permanent`] by default.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.settings.restart = restart;
        self
    }

    /// How it is shut down; within [`DEFAULT_SHUTDOWN`] by default.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.settings.shutdown = shutdown;
        self
    }

    /// Its address.
    pub fn addr(&self) -> Addr<A> {
        self.addr.clone()
    }
}

impl<A: Actor> Drop for Child<A> {
    /// Without a supervisor it will never live, and those who wait for an answer of it must not for ever.
    fn drop(&mut self) {
        if !self.taken {
            self.addr.core().bury(false);
        }
    }
}

impl<A: Actor> fmt::Debug for Child<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({:?})", self.addr.core())
    }
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

/// A child, as its supervisor has it.
struct Kid {
    kind: Kind,
    settings: ChildSettings,
    /// While it lives.
    monitor: Option<Monitor>,
    /// When it has last started.
    since: Option<Instant>,
    /// How often it has failed in a row.
    failures: u32,
    /// Its restart that has been put off.
    later: Option<Later>,
}

/// A restart that has been put off.
struct Later {
    /// As its [`Again`] has it.
    ticket: Pid,
    /// Until the message has been sent.
    timer: Option<Timer>,
}

enum Kind {
    Actor {
        cell: ActorRef,
        launched: bool,
    },
    Tasklet {
        name: String,
        spawn: Box<Spawn>,
        current: Option<Tasklet>,
    },
}

/// Spawns a tasklet under a name.
type Spawn = dyn Fn(&str) -> Result<Tasklet, SpawnError> + Send;

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

impl Kid {
    fn new(kind: Kind, settings: ChildSettings) -> Kid {
        Kid {
            kind,
            settings,
            monitor: None,
            since: None,
            failures: 0,
            later: None,
        }
    }

    fn actor<A: Actor>(mut child: Child<A>) -> Kid {
        child.taken = true;
        let kind = Kind::Actor {
            cell: child.addr.core().reference(),
            launched: false,
        };
        Kid::new(kind, child.settings)
    }

    /// Whether it is the one that is known as `pid` at present.
    fn has_pid(&self, pid: Pid) -> bool {
        match &self.kind {
            Kind::Actor { cell, .. } => cell.pid == pid,
            Kind::Tasklet { current, .. } => {
                current.as_ref().is_some_and(|tasklet| tasklet.pid() == pid)
            }
        }
    }

    /// Begins a life, and waits until it has started.
    fn start(&mut self) -> Result<(), BoxError> {
        let party = match &mut self.kind {
            Kind::Actor { cell, launched } => {
                if !mem::replace(launched, true) {
                    let here = worker::local().map_or(0, |local| local.id);
                    cell.launch(here);
                } else if cell.has(DOWN) {
                    cell.revive();
                }
                Party::actor(cell)
            }
            Kind::Tasklet {
                name,
                spawn,
                current,
            } => {
                let tasklet = spawn(name)?;
                let party = tasklet.party();
                *current = Some(tasklet);
                party
            }
        };
        // Before the wait: this may be killed meanwhile, or fail.
        self.monitor = Some(exit::monitor(exit::watcher(), party));
        if let Kind::Actor { cell, .. } = &self.kind {
            // An interrupted wait leaves the monitor: it may start yet, and is to be shut down then.
            let started = cell.wait_for_start().map_err(Interrupt::into_io)?;
            if let Err(error) = started {
                self.monitor.take().map(Monitor::cancel);
                return Err(error);
            }
        }
        self.since = Some(time::now());
        Ok(())
    }

    /// Ends the present life, if there is one, and waits for that.
    fn shut_down(&mut self) {
        self.forget_later();
        if self.monitor.take().map(Monitor::cancel).is_none() {
            return;
        }
        let limit = match self.settings.shutdown {
            Shutdown::Within(limit) => Some(limit),
            Shutdown::Kill => Some(Duration::ZERO),
            Shutdown::Wait => None,
        };
        if self.settings.shutdown != Shutdown::Kill {
            match &self.kind {
                Kind::Actor { cell, .. } => cell.end_with(ExitReason::Shutdown),
                Kind::Tasklet { current, .. } => current.iter().for_each(Tasklet::stop),
            }
        }
        if self.wait_for_end(limit) {
            return;
        }
        self.kill();
        if !self.wait_for_end(Some(LAST_WAIT)) {
            tracing::warn!(child = %self, "does not end though killed");
        }
    }

    fn kill(&self) {
        match &self.kind {
            Kind::Actor { cell, .. } => cell.kill(),
            Kind::Tasklet { current, .. } => current.iter().for_each(Tasklet::kill),
        }
    }

    fn wait_for_end(&self, limit: Option<Duration>) -> bool {
        match &self.kind {
            Kind::Actor { cell, .. } => cell
                .wait_for(limit.and_then(time::after), || {
                    cell.has(DOWN | ENDED).then_some(())
                })
                .is_ok(),
            Kind::Tasklet { current, .. } => match (current, limit) {
                (None, _) => true,
                (Some(tasklet), None) => {
                    tasklet.wait();
                    true
                }
                (Some(tasklet), Some(limit)) => tasklet.wait_timeout(limit).is_ok(),
            },
        }
    }

    /// There is to be no other life.
    fn bury(&self) {
        if let Kind::Actor { cell, launched } = &self.kind {
            cell.bury(*launched);
        }
    }

    /// Ends it without waiting.
    fn abandon(&mut self) {
        self.forget_later();
        self.bury();
        // Whether it lives is not to be asked: it may be about to start, or to be shut down.
        self.kill();
    }

    fn forget_later(&mut self) {
        if let Some(timer) = self.later.take().and_then(|later| later.timer) {
            timer.cancel();
        }
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Actor { cell, .. } => write!(f, "{:?}", **cell),
            Kind::Tasklet { name, .. } => f.write_str(name),
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
