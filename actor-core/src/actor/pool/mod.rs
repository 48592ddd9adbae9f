//! Pools: like actors that share the work.
//!
//! A pool gives each of its workers one message at a time. What no worker is free for waits in front of
//! the pool: in one queue that all of them take from, or in a worker's own, if it is for that one. So
//! nothing waits behind a message that takes long while somebody else is idle, and what is bounded is what
//! waits.
//!
//! A message travels to a worker as a [`Job`], with a ticket that is dropped when the message has been
//! handled, however that ended. That is how the pool learns that the worker is free, and gives it the
//! next. A worker whose handler has unwound is given an empty job first: it comes to that in its next life,
//! and until then the others do the work.
//!
//! One lock guards the queues and who is free. It is not held while anybody is sent to, or waited for, or
//! while user code runs.

mod builder;
mod crew;
mod keyed;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use self::crew::{Route, Shared, hash_of};
use self::keyed::ByKey;
use super::addr::Addr;
use super::cell::short_name;
use super::supervisor::{Restart, Shutdown};
use super::{Accepts, Actor};
use crate::exit::{ExitReason, Owner};
use crate::mailbox::Mailbox;
use crate::message::{self, Delivery, Limit};
use crate::{
    BoxError, CallError, Destination, Message, Pid, Receiver, Recipient, SendError, SpawnError,
    TimedOut, time,
};

pub use self::builder::PoolBuilder;
pub(crate) use self::crew::Ticket;
pub use self::keyed::Keyed;

/// How long the restarts of a pool's workers are counted for, unless told otherwise.
const PERIOD: Duration = Duration::from_secs(5);

/// Which worker of a [`Pool`] a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Routing {
    /// Whoever is free: of several, the one that has been for longest; if nobody is, the first to be.
    #[default]
    LeastLoaded,
    /// The workers in turn, whether they are free or not.
    RoundRobin,
}

/// Supervised actors of one type that share the work.
///
/// What is sent to a pool is handled by one of its workers, which have one message at a time each.
/// [`Routing`] says which one is next; [`keyed`](Self::keyed) sends all that has the same key to the same
/// worker. What cannot be handled at once waits in front of the pool, in the order in which it came,
/// within the bound that [`PoolBuilder::mailbox`] sets. A worker that fails is started again and keeps
/// its address; the message that it failed at is not handled again.
///
/// A clone refers to the same pool. When the last has gone the pool ends, after what has been sent to it.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Actor, Context, Handler, Message, Pool, dispatch};
///
/// struct Squarer;
/// impl Actor for Squarer {}
///
/// #[derive(Message)]
/// #[message(reply = u64)]
/// struct Square(u64);
/// impl Handler<Square> for Squarer {
///     fn handle(&mut self, Square(n): Square, _: &mut Context<Self>) -> u64 {
///         n * n
///     }
/// }
///
/// fn main() {
///     dispatch(|| {
///         let pool = Pool::spawn(4, || Squarer).unwrap();
///         assert_eq!(pool.call(Square(12)), Ok(144));
///     });
/// }
/// ```
pub struct Pool<A: Actor> {
    shared: Arc<Shared<A>>,
}

impl<A: Actor> Pool<A> {
    /// A pool of `workers` actors, each of whose lives begins with a value that `factory` makes. Waits
    /// until they have started.
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::spawn`].
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    ///
    /// ```
    /// use actor_core::{Actor, Pool, dispatch};
    ///
    /// struct Idle;
    /// impl Actor for Idle {}
    ///
    /// dispatch(|| {
    ///     let pool = Pool::spawn(3, || Idle).unwrap();
    ///     assert_eq!(pool.len(), 3);
    /// });
    /// ```
    pub fn spawn<F>(workers: usize, factory: F) -> Result<Pool<A>, SpawnError>
    where
        F: Fn() -> A + Send + Sync + 'static,
    {
        Pool::builder(workers, factory).spawn()
    }

    /// Settings for a pool.
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    pub fn builder<F>(workers: usize, factory: F) -> PoolBuilder<A>
    where
        F: Fn() -> A + Send + Sync + 'static,
    {
        Pool::fallible(workers, move || Ok(factory()))
    }

    /// As [`builder`](Self::builder), for a factory that can fail. A failure counts as one of the worker.
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    pub fn fallible<F>(workers: usize, factory: F) -> PoolBuilder<A>
    where
        F: Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    {
        assert!(workers > 0, "a pool must have a worker");
        PoolBuilder {
            workers,
            factory: Arc::new(factory),
            name: short_name(std::any::type_name::<A>()).into(),
            routing: Routing::default(),
            mailbox: Mailbox::unbounded(),
            intensity: (workers, PERIOD),
            backoff: None,
            restart: Restart::default(),
            shutdown: Shutdown::default(),
        }
    }

    fn route(&self) -> Route {
        match self.shared.routing {
            Routing::LeastLoaded => Route::Anybody,
            Routing::RoundRobin => Route::InTurn,
        }
    }

    fn deliver_by<M: Message>(
        &self,
        route: Route,
        mut delivery: Delivery<M>,
    ) -> Result<(), SendError<M>>
    where
        A: Accepts<M>,
    {
        delivery.envelope.address_to::<A, M>();
        self.shared
            .take_in(delivery.envelope, delivery.patience, route)
            .map_err(|refused| refused.map(message::unwrap_refused))
    }

    /// The one worker that is for `key`, as a destination: what is sent to the same key is handled by the
    /// same worker, in order.
    ///
    /// Which one that is depends on the key and on who works in the pool. When a worker comes or goes, only
    /// the keys of that one change places ([rendezvous hashing]). Then the new worker may begin with a key
    /// while the old one is still at its last message for it. A send costs a look at each worker's weight.
    ///
    /// [rendezvous hashing]: https://en.wikipedia.org/wiki/Rendezvous_hashing
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Actor, Context, Handler, Message, Pid, Pool, dispatch};
    /// # struct Account;
    /// # impl Actor for Account {}
    /// #[derive(Message)]
    /// #[message(reply = Pid)]
    /// struct Who;
    /// # impl Handler<Who> for Account {
    /// #     fn handle(&mut self, _: Who, ctx: &mut Context<Self>) -> Pid {
    /// #         ctx.pid()
    /// #     }
    /// # }
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let accounts = Pool::spawn(8, || Account).unwrap();
    ///     let alice = accounts.keyed("alice");
    ///     assert_eq!(alice.call(Who).unwrap(), accounts.keyed("alice").call(Who).unwrap());
    /// });
    /// # }
    /// ```
    pub fn keyed(&self, key: &(impl Hash + ?Sized)) -> Keyed<A> {
        Keyed {
            pool: self.clone(),
            hash: hash_of(key),
        }
    }

    /// A recipient that sends each message to the worker for its key, which `key` tells.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Actor, Context, Handler, Message, Pool, Recipient, dispatch};
    /// # struct Account;
    /// # impl Actor for Account {}
    /// #[derive(Message)]
    /// struct Deposit {
    ///     account: u32,
    ///     amount: u64,
    /// }
    /// # impl Handler<Deposit> for Account {
    /// #     fn handle(&mut self, _: Deposit, _: &mut Context<Self>) {}
    /// # }
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let accounts = Pool::spawn(8, || Account).unwrap();
    ///     let deposits: Recipient<Deposit> = accounts.recipient_by_key(|deposit| deposit.account);
    ///     deposits.call(Deposit { account: 7, amount: 100 }).unwrap();
    /// });
    /// # }
    /// ```
    pub fn recipient_by_key<M, K>(
        &self,
        key: impl Fn(&M) -> K + Send + Sync + 'static,
    ) -> Recipient<M>
    where
        M: Message,
        K: Hash,
        A: Accepts<M>,
    {
        Recipient::new(ByKey {
            pool: self.clone(),
            hash: move |message: &M| hash_of(&key(message)),
        })
    }

    /// Sends `message` to a worker, as [`Routing`] has it; see [`Recipient::send`]. The policy for a full
    /// mailbox is that of the pool.
    pub fn send<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M>,
    {
        message::send(self, message)
    }

    /// Sends `message` without ever waiting; see [`Recipient::try_send`].
    pub fn try_send<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M>,
    {
        message::try_send(self, message)
    }

    /// Sends `message` and waits for the answer; see [`Recipient::call`].
    pub fn call<M: Message>(&self, message: M) -> Result<M::Reply, CallError>
    where
        A: Accepts<M>,
    {
        message::call(self, message, Limit::Inherited)
    }

    /// As [`call`](Self::call), for at most `limit`; see [`Recipient::call_timeout`].
    pub fn call_timeout<M: Message>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError>
    where
        A: Accepts<M>,
    {
        message::call(self, message, Limit::Own(time::after(limit)))
    }

    /// The pool, as a recipient of one class of messages.
    pub fn recipient<M: Message>(&self) -> Recipient<M>
    where
        A: Accepts<M>,
    {
        Recipient::new(self.clone())
    }

    /// How many workers there are.
    pub fn len(&self) -> usize {
        self.shared.state.lock().workers.len()
    }

    /// Whether there are none left, which is the end of the pool.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The workers' addresses. What is sent to one of them directly does not wait in front of the pool, and
    /// does not count as work that the pool has given it.
    pub fn workers(&self) -> Vec<Addr<A>> {
        let state = self.shared.state.lock();
        let workers = state.workers.values();
        workers.map(|worker| worker.addr.clone()).collect()
    }

    /// How many messages wait in front of the pool. Those that are being handled are not among them.
    pub fn waiting(&self) -> usize {
        self.shared.state.lock().waiting
    }

    /// How many workers are at work on what the pool has given them, or are yet to come back from a failure.
    pub fn at_work(&self) -> usize {
        let state = self.shared.state.lock();
        state.workers.len() - state.free.len() + state.leaving.len()
    }

    /// Changes the number of workers. Waits until new ones have started. The newest go first, each after the
    /// message that it is at; nobody waits for that. What waits for one that goes is for others.
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::spawn`]; [`SpawnError::NotRunning`] if the pool has ended. Workers that have been
    /// added by then stay.
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    ///
    /// ```
    /// use actor_core::{Actor, Pool, dispatch};
    ///
    /// struct Idle;
    /// impl Actor for Idle {}
    ///
    /// dispatch(|| {
    ///     let pool = Pool::spawn(1, || Idle).unwrap();
    ///     pool.resize(3).unwrap();
    ///     assert_eq!(pool.workers().len(), 3);
    /// });
    /// ```
    pub fn resize(&self, workers: usize) -> Result<(), SpawnError> {
        assert!(workers > 0, "a pool must have a worker");
        let shared = &self.shared;
        let _resizing = shared.resizing.lock();
        loop {
            let (closed, now) = {
                let state = shared.state.lock();
                (state.closed, state.workers.len())
            };
            if closed {
                return Err(SpawnError::NotRunning);
            }
            if now == workers {
                return Ok(());
            }
            if now < workers {
                let addr = shared.supervisor.start((shared.make)())?;
                shared.add(addr);
            } else {
                shared.dismiss();
            }
        }
    }

    /// The identity of the pool, which is that of its supervisor.
    pub fn pid(&self) -> Pid {
        self.shared.supervisor.pid()
    }

    /// Whether it has not ended yet.
    pub fn is_alive(&self) -> bool {
        self.shared.supervisor.is_alive()
    }

    /// Asks it to end after what has been sent to it. It takes no more.
    pub fn stop(&self) {
        self.shared.state.lock().closed = true;
        if let Some(room) = &self.shared.room {
            room.close();
        }
        self.shared.end_if_done();
    }

    /// Asks it to end: each worker after the message that it is at. What waits is not handled.
    pub fn stop_now(&self) {
        self.shared.supervisor.stop_now();
    }

    /// Waits until it has ended, and says why: [`ExitReason::Failed`] if its workers have failed too often.
    ///
    /// # Panics
    ///
    /// As [`Addr::join`].
    pub fn join(&self) -> ExitReason {
        self.shared.supervisor.join()
    }

    /// As [`join`](Self::join), for at most `limit`.
    pub fn join_timeout(&self, limit: Duration) -> Result<ExitReason, TimedOut> {
        self.shared.supervisor.join_timeout(limit)
    }
}

impl<A: Actor> Receiver for Pool<A> {
    fn pid(&self) -> Pid {
        Pool::pid(self)
    }

    fn owner(&self) -> Option<Owner> {
        self.shared.supervisor.owner()
    }
}

impl<M: Message, A: Accepts<M>> Destination<M> for Pool<A> {
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>> {
        self.deliver_by(self.route(), delivery)
    }
}

impl<A: Actor> Clone for Pool<A> {
    fn clone(&self) -> Self {
        Pool {
            shared: self.shared.clone(),
        }
    }
}

/// By identity.
impl<A: Actor> PartialEq for Pool<A> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<A: Actor> Eq for Pool<A> {}

impl<A: Actor> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("Pool")
            .field("workers", &state.workers.len())
            .field("free", &state.free.len())
            .field("waiting", &state.waiting)
            .finish()
    }
}
