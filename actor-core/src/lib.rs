//! Tasklets, messages, mailboxes, timers and the runtime of Concurrence.
//!
//! This is the core on which sockets and servers are built. Programs use the crate `concurrence`,
//! which re-exports it; its documentation is the tour, and this is the map:
//!
//! - [`dispatch`] runs a program, [`Runtime::builder`] sets it up, [`quit`] ends it;
//! - [`Tasklet`] spawns, receives, sends, sleeps, stops and kills; [`JoinHandle`] waits for the end;
//! - [`Message`] marks what can be sent; [`match_message!`] takes apart what has been received;
//!   [`Recipient`] and [`Group`] send to one and to many; [`Mailbox`] bounds what a tasklet takes in;
//! - [`Actor`]s live at an [`Addr`] and hold no stack while idle; [`Supervisor`]s start them again;
//!   [`registry`] finds receivers by name;
//! - [`timeout()`] puts one deadline over a block of operations; [`time::now`] is the clock;
//! - [`sync`] has locks that block the tasklet and not the thread; [`block_on_thread`] runs what would
//!   block the thread somewhere else, and [`block_on`] waits for a future;
//! - [`reactor`] waits for descriptors, for crates that bring sockets.

#[cfg(panic = "abort")]
compile_error!(
    "Concurrence ends tasklets by unwinding them: with `panic = \"abort\"` the first kill or expired \
     timeout would end the process. Remove it from the profile in Cargo.toml."
);

#[cfg(not(target_os = "linux"))]
compile_error!("Concurrence runs on Linux so far: its reactor is built on epoll.");

mod actor;
mod block;
mod broker;
pub mod channel;
mod contain;
mod counters;
mod dead_letters;
mod deadlock;
mod envelope;
mod error;
mod exit;
mod future;
mod generator;
mod group;
mod home;
mod lazy;
mod line;
#[cfg(all(test, loom))]
mod loom_models;
mod mailbox;
mod matching;
mod message;
mod outcome;
mod pool;
mod prefetch;
mod primitive;
mod queue;
pub mod reactor;
mod recursion;
mod recycle;
pub mod registry;
#[cfg(feature = "remote")]
#[doc(hidden)]
pub mod remote;
mod reply;
mod runtime;
mod stacks;
mod substrate;
pub mod sync;
mod tasklet;
mod ticks;
pub mod time;
mod timeout;
mod timers;
mod unmatched;
mod wait_list;
mod waiter;
mod wake;
mod weighed;
mod worker;

pub use actor::{
    Accepts, Actor, Addr, AddrBuilder, Child, Context, DEFAULT_SHUTDOWN, Handler,
    IntensityExceeded, Keyed, Pool, PoolBuilder, Restart, Routing, Shutdown, Supervisor, WeakAddr,
};
#[cfg(feature = "remote")]
pub use actor_core_macros::remote;
pub use actor_core_macros::{Message, messages};
pub use broker::{Broker, Subscription, TopicError};
pub use counters::{Dropped, dropped};
pub use dead_letters::{
    DeadLetter, DeadLetterCause, DeadLetterSubscription, subscribe_dead_letters,
};
pub use envelope::Envelope;
pub use error::{
    BoxError, CallError, Deadlock, JoinError, Panic, ReceiveError, Refusal, RuntimeError,
    SendError, SpawnError, TimedOut, Unwinding, WouldBlock,
};
pub use exit::{Exit, ExitReason, Monitor};
pub use future::block_on;
pub use generator::{Generator, Yielder};
pub use group::{Group, GroupChanged, Membership};
pub use mailbox::{Mailbox, Overflow};
pub use message::{Destination, Message, Pid, Receiver, Recipient};
pub use outcome::Outcome;
pub use pool::{BlockOnThreadError, DEFAULT_POOL_THREADS, block_on_thread, try_block_on_thread};
pub use recursion::call;
#[cfg(feature = "remote")]
pub use remote::{Encoding, RemoteMessage};
pub use reply::ReplyTo;
pub use runtime::signals::{Signal, SignalSubscription, subscribe_signals};
pub use runtime::{
    DEFAULT_GRACE, DEFAULT_HOLD_WARNING, DEFAULT_STACK_SIZE, Runtime, RuntimeBuilder, dispatch,
    is_shutting_down, quit,
};
pub use tasklet::builder::{Placement, TaskletBuilder};
pub use tasklet::hooks::{ScheduleHook, schedule_hook, set_schedule_hook};
pub use tasklet::join::{JoinHandle, KillOnDrop, join_all};
pub use tasklet::local::LocalKey;
pub use tasklet::periodic::REPEAT_PAUSE;
pub use tasklet::raise::RaiseError;
pub use tasklet::raise::catch_raised;
pub use tasklet::ring::{BlockTrap, Budget, InsertError, RemoveError, RunError};
pub use tasklet::tree::Tree;
pub use tasklet::{Messages, Tasklet, WeakTasklet};
pub use timeout::{FromTimeout, timeout};
pub use timers::Timer;
pub use unmatched::Unmatched;

/// What the macros expand to, tests of them need, and the crates above this one are given. Not part of
/// the interface.
#[doc(hidden)]
pub mod __private {
    use std::fmt;
    use std::panic::{self, AssertUnwindSafe};
    use std::time::Duration;

    /// Beside the module of the same name, for the facade, whose module is another one.
    #[cfg(feature = "remote")]
    pub use actor_core_macros::remote as remote_attribute;

    pub use crate::actor::Attendant;
    use crate::actor::cell::{ActorRef, ENDING, KILLED, STOPPING};
    pub use crate::actor::unheard::{Answer, ErrorText, log_unheard};
    use crate::block::{self, Interrupt};
    use crate::envelope::Envelope;
    use crate::exit;
    pub use crate::future::Poller;
    use crate::mailbox::Patience;
    pub use crate::matching::Slot;
    pub use crate::pool::PoolBusy;
    use crate::reply::wait_for_reply;
    use crate::runtime::panics;
    pub use crate::runtime::signals::Unblocked;
    use crate::sync::Event;
    use crate::waiter::{ThreadParker, Waiter};
    pub use crate::weighed::{Scale, Weighed, Weighing};
    use crate::{
        Actor, Addr, AddrBuilder, CallError, Context, ExitReason, Message, Panic, Pid, SpawnError,
        TimedOut, Timer, worker,
    };

    /// Has an actor do something, as it handles a message; `false` if it takes no more. It takes no room
    /// in a bounded mailbox, and is no dead letter if the actor ends before. Never waits, nor is it an
    /// operation that a kill could end.
    pub fn act<A: Actor>(
        addr: &Addr<A>,
        deed: impl FnOnce(&mut A, &mut Context<A>) + Send + 'static,
    ) -> bool {
        let deed = Envelope::deed::<A, _>(deed);
        addr.core().deliver(deed, Patience::System).is_ok()
    }

    /// Spawns an actor with an [`Attendant`], which makes its value.
    pub fn spawn_attended<A: Actor, T: Attendant<A>>(
        builder: AddrBuilder<A>,
        attendant: impl FnOnce(&Addr<A>) -> T,
    ) -> Result<Addr<A>, SpawnError> {
        builder.spawn_attended(attendant)
    }

    /// Whether the actor is to take no more messages.
    pub fn is_ending<A: Actor>(ctx: &Context<A>) -> bool {
        ctx.core().flags() & (STOPPING | ENDING | KILLED) != 0
    }

    /// Ends now what handlers leave with an actor until its end: its tasklet-locals are dropped, and the tasklets that
    /// they have spawned are not asked to stop any more. For handlers that do one thing after the other, which have
    /// nothing to do with each other.
    pub fn let_go<A: Actor>(ctx: &Context<A>) {
        ctx.core().let_go();
    }

    /// Some actor, to be ended. It does not keep it reachable.
    #[derive(Clone)]
    pub struct AnyActor(ActorRef);

    impl AnyActor {
        /// The actor of this address.
        pub fn new<A: Actor>(addr: &Addr<A>) -> AnyActor {
            AnyActor(addr.core().reference())
        }

        /// As [`stop_for`].
        pub fn stop_for(&self, reason: &ExitReason) {
            self.0.stop_for(reason);
        }

        /// As [`Addr::kill`].
        pub fn kill(&self) {
            self.0.kill();
        }
    }

    impl fmt::Debug for AnyActor {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    /// Begins an operation that could wait, before an attempt that does not: counts it for the turn, carries out a
    /// kill and reports an expired deadline.
    pub fn begin_operation() -> std::io::Result<()> {
        block::enter().map_err(Interrupt::into_io)
    }

    /// Waits for an event; `Ok(false)` as soon as the calling tasklet is asked to stop.
    pub fn wait_or_stop(event: &Event, limit: Option<Duration>) -> Result<bool, TimedOut> {
        event.wait_or_stop(limit)
    }

    /// Has `work` done soon by the driver of a worker: this one, or `home`, or any. It must not wait.
    pub fn soon(home: Option<usize>, work: impl FnOnce() + Send + 'static) {
        worker::soon(home, Box::new(work));
    }

    /// Has `work` done by the driver of the worker `id`, of which there are [so many](workers). It must not wait.
    pub fn at(id: usize, work: impl FnOnce() + Send + 'static) {
        worker::at(id, Box::new(work));
    }

    /// On which worker the caller runs, if on one.
    pub fn worker() -> Option<usize> {
        worker::local().map(|local| local.id)
    }

    /// How many workers there are; none before the runtime has started.
    pub fn workers() -> usize {
        worker::all().len()
    }

    /// Runs `work`, and `leaving` each time before that gives up the stack: to wait, or to let others run.
    /// It must not wait. What else waits on the way, in a generator or a call on a stack of its own, does not count
    /// unless the caller waits for it.
    pub fn on_leaving<T>(leaving: &dyn Fn(), work: impl FnOnce() -> T) -> T {
        match block::current() {
            Some(core) => core.on_leaving(leaving, work),
            None => work(),
        }
    }

    /// Whether the caller, a handler with much to do, has done enough for others to have their turn after its
    /// message.
    pub fn is_slice_over() -> bool {
        worker::local().is_some_and(worker::Local::is_slice_over)
    }

    /// Runs a part of a handler whose panics concern that part alone. A kill goes on to where it belongs.
    pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
        panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
            if payload.is::<block::Killed>() {
                panic::resume_unwind(payload);
            }
            let place = panics::take_place(&*payload);
            Panic::new(payload, place)
        })
    }

    /// Runs code of the user's where nothing must unwind: neither a panic nor a kill leaves it.
    pub fn contain(work: impl FnOnce()) {
        crate::contain::contain(|| crate::Tasklet::shield(work));
    }

    /// Whether there are workers: from the first program on. Plain threads can use sockets without any.
    pub fn has_workers() -> bool {
        worker::are_there()
    }

    /// Has `work` done by the driver of a worker when `wait` is over. It must not wait.
    pub fn after(wait: Duration, work: impl FnOnce() + Send + 'static) -> Timer {
        Timer::start(wait, work)
    }

    /// Has `deed` done when an actor ends for good, on the stack of whoever ends it; at once if it has.
    /// It must not wait or panic.
    pub fn when_over<A: Actor>(addr: &Addr<A>, deed: impl FnOnce() + Send + 'static) {
        exit::when_over(&addr.party(), deed);
    }

    /// As [`Addr::stop`], for a reason of the caller's; not for supervised actors.
    pub fn stop_for<A: Actor>(addr: &Addr<A>, reason: &ExitReason) {
        addr.core().stop_for(reason);
    }

    /// A message as it would come out of a mailbox.
    pub fn envelope<M: Message>(message: M) -> Envelope {
        Envelope::new(message)
    }

    /// A call as it would come out of a mailbox, and the caller's wait for the answer.
    pub fn call_envelope<M: Message>(
        message: M,
    ) -> (Envelope, impl FnOnce() -> Result<M::Reply, CallError>) {
        let caller = Waiter::Thread(ThreadParker::current());
        let (envelope, reply) = Envelope::call(message, caller, None);
        (envelope, move || {
            wait_for_reply(reply, Pid::unused(), None, None)
        })
    }
}
