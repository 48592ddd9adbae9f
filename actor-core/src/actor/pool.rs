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

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::panicking;
use std::time::Duration;

use parking_lot::Mutex;

use super::addr::Addr;
use super::cell::short_name;
use super::supervisor::{Child, Restart, Shutdown, Supervisor, Terminate};
use super::{Accepts, Actor};
use crate::contain::contain;
use crate::envelope::{Envelope, Job};
use crate::exit::{AtEnd, ExitReason, Owner, Party};
use crate::mailbox::{self, Mailbox, Overflow, Patience};
use crate::message::{self, Delivery, Limit};
use crate::sync::permits::Permits;
use crate::{
    BoxError, CallError, Destination, Message, Pid, Receiver, Recipient, SendError, SpawnError,
    TimedOut, block, counters, sync, time,
};

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

struct Shared<A: Actor> {
    supervisor: Addr<Supervisor>,
    routing: Routing,
    /// How many messages may wait, and what happens to the next.
    bound: Option<(usize, Overflow)>,
    /// The free places, where senders wait for one.
    room: Option<Permits>,
    make: Box<Make<A>>,
    /// Held for as long as the number of workers changes.
    resizing: sync::Mutex<()>,
    state: Mutex<State<A>>,
}

/// Makes another worker.
type Make<A> = dyn Fn() -> Child<A> + Send + Sync;

struct State<A: Actor> {
    /// By the numbers that they were given, the later the higher.
    workers: BTreeMap<u64, Worker<A>>,
    /// Those who are free, by the time since when.
    free: BTreeSet<(u64, u64)>,
    /// Those who end after the message that they are at.
    leaving: BTreeMap<u64, Addr<A>>,
    /// What waits for anybody.
    queue: VecDeque<Waiting>,
    /// How much waits, here and in the workers' own queues.
    waiting: usize,
    /// Counts what happens, as a clock.
    now: u64,
    /// Whose turn was last.
    turn: u64,
    /// It takes no more.
    closed: bool,
}

struct Worker<A: Actor> {
    addr: Addr<A>,
    /// Since when, if it is.
    free: Option<u64>,
    /// What waits for it and nobody else.
    queue: VecDeque<Waiting>,
    /// Takes it out at its end.
    at_end: Option<AtEnd>,
}

struct Waiting {
    message: Envelope,
    route: Route,
    since: u64,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug)]
enum Route {
    Anybody,
    InTurn,
    Key(u64),
}

/// A message and the worker that is to have it, which is marked as at work.
struct Given<A: Actor> {
    to: Addr<A>,
    worker: u64,
    waiting: Waiting,
}

impl<A: Actor> State<A> {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// The worker that a message is for; `None` if it is for anybody, and nobody is free.
    fn choose(&mut self, route: Route) -> Option<u64> {
        match route {
            Route::Anybody => Some(self.free.first()?.1),
            Route::InTurn => {
                let mut after = self.workers.range(self.turn + 1..);
                let (next, _) = after.next().or_else(|| self.workers.first_key_value())?;
                self.turn = *next;
                Some(*next)
            }
            Route::Key(hash) => self
                .workers
                .keys()
                .copied()
                .max_by_key(|worker| weight(hash, *worker)),
        }
    }

    /// Puts a free worker to work; `None` if it is not free.
    fn hire(&mut self, worker: u64) -> Option<Addr<A>> {
        let one = self.workers.get_mut(&worker)?;
        let since = one.free.take()?;
        self.free.remove(&(since, worker));
        Some(one.addr.clone())
    }

    /// Gives a message to a free worker that it is for, or has it wait.
    fn place(&mut self, waiting: Waiting) -> Option<Given<A>> {
        let chosen = self.choose(waiting.route);
        self.place_with(chosen, waiting)
    }

    fn place_with(&mut self, chosen: Option<u64>, waiting: Waiting) -> Option<Given<A>> {
        if let Some((worker, to)) = chosen.and_then(|worker| Some((worker, self.hire(worker)?))) {
            return Some(Given {
                to,
                worker,
                waiting,
            });
        }
        self.waiting += 1;
        match chosen.and_then(|worker| self.workers.get_mut(&worker)) {
            Some(worker) => worker.queue.push_back(waiting),
            None => self.queue.push_back(waiting),
        }
        None
    }

    /// What a worker that has nothing to do is to do next: what has waited longest.
    fn next_for(&mut self, worker: u64) -> Option<Waiting> {
        let own = &mut self.workers.get_mut(&worker)?.queue;
        let first = |queue: &VecDeque<Waiting>| queue.front().map_or(u64::MAX, |first| first.since);
        let queue = if first(own) < first(&self.queue) {
            own
        } else {
            &mut self.queue
        };
        let next = queue.pop_front()?;
        self.waiting -= 1;
        Some(next)
    }

    /// Takes out what has waited longest of all.
    fn take_oldest(&mut self) -> Option<Waiting> {
        let queues = self.workers.values_mut().map(|worker| &mut worker.queue);
        let oldest = queues
            .chain([&mut self.queue])
            .filter(|queue| !queue.is_empty())
            .min_by_key(|queue| queue.front().map(|first| first.since))?
            .pop_front()?;
        self.waiting -= 1;
        Some(oldest)
    }

    /// Takes a worker out, with what waits for it alone; what waits for anybody as well if it was the
    /// last.
    fn take_out(&mut self, worker: u64) -> Option<(Worker<A>, VecDeque<Waiting>)> {
        let mut one = self.workers.remove(&worker)?;
        if let Some(since) = one.free {
            self.free.remove(&(since, worker));
        }
        let mut orphans = std::mem::take(&mut one.queue);
        if self.workers.is_empty() {
            self.closed = true;
            orphans.append(&mut self.queue);
        }
        self.waiting -= orphans.len();
        Some((one, orphans))
    }

    /// Places what has waited for a worker that is a worker no more.
    fn place_all(&mut self, orphans: VecDeque<Waiting>) -> Vec<Given<A>> {
        let placed = orphans.into_iter();
        placed.filter_map(|orphan| self.place(orphan)).collect()
    }

    /// Moves what waits for a key to the worker that it is for now.
    fn rehash(&mut self) {
        let mut moved = Vec::new();
        for worker in self.workers.values_mut() {
            let (keyed, others) = std::mem::take(&mut worker.queue)
                .into_iter()
                .partition::<VecDeque<_>, _>(|waiting| matches!(waiting.route, Route::Key(_)));
            worker.queue = others;
            moved.extend(keyed);
        }
        self.waiting -= moved.len();
        for waiting in moved {
            // Those with something waiting are at work, and a new one counts as such.
            let given = self.place(waiting);
            debug_assert!(given.is_none());
        }
    }

    fn set_free(&mut self, worker: u64) {
        let now = self.tick();
        if let Some(one) = self.workers.get_mut(&worker) {
            one.free = Some(now);
            self.free.insert((now, worker));
        }
    }

    /// Whether all that was sent has been handled.
    fn is_done(&self) -> bool {
        self.waiting == 0 && self.free.len() == self.workers.len() && self.leaving.is_empty()
    }
}

/// How much a worker is for a key: the one that has the most gets what has the key. (Rendezvous hashing:
/// the weights of the others do not change when one comes or goes.)
fn weight(hash: u64, worker: u64) -> u64 {
    // The steps of SplitMix64.
    let mut mixed = hash ^ worker.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn hash_of(key: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Tells a pool, when it is dropped, that a worker is done with what it was given.
pub(crate) struct Ticket {
    crew: Option<Arc<dyn Crew>>,
    worker: u64,
}

/// A pool, as its tickets have it.
trait Crew: Send + Sync {
    fn done(self: Arc<Self>, worker: u64);
}

impl Ticket {
    /// Drops it untold.
    fn dissolve(mut self) {
        self.crew = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(crew) = self.crew.take() {
            crew.done(self.worker);
        }
    }
}

/// A full pool drops a message.
fn overflowed(message: Envelope) {
    counters::OVERFLOWED.add(1);
    message.fail(CallError::Full);
}

impl<A: Actor> Shared<A> {
    /// Takes in what is sent to the pool.
    fn take_in(
        self: &Arc<Self>,
        mut message: Envelope,
        patience: Patience,
        route: Route,
    ) -> Result<(), SendError<Envelope>> {
        let mut chosen = None;
        let mut place_taken = false;
        loop {
            let mut state = self.state.lock();
            if state.closed {
                drop(state);
                self.release(usize::from(place_taken));
                return Err(SendError::Ended(message));
            }
            // A turn is taken once, however often the sender has to wait.
            if chosen.is_none_or(|worker| !state.workers.contains_key(&worker)) {
                chosen = state.choose(route);
            }
            let is_free = |worker: u64| state.workers[&worker].free.is_some();
            let mut oldest = None;
            if !chosen.is_some_and(is_free) {
                match self.bound {
                    Some((_, Overflow::Block)) if place_taken => {}
                    Some((_, Overflow::Block)) => {
                        drop(state);
                        if let Err(refused) = self.wait_for_room(patience) {
                            return Err(refused.map(|()| message));
                        }
                        place_taken = true;
                        if !matches!(route, Route::InTurn) {
                            chosen = None;
                        }
                        continue;
                    }
                    Some((most, overflow)) if state.waiting >= most => match overflow {
                        Overflow::DropOldest => oldest = state.take_oldest(),
                        Overflow::DropNewest => {
                            drop(state);
                            overflowed(message);
                            return Ok(());
                        }
                        _ => return Err(SendError::Full(message)),
                    },
                    _ => {}
                }
            }
            let since = state.tick();
            let waiting = Waiting {
                message,
                route,
                since,
            };
            let given = state.place_with(chosen, waiting);
            drop(state);
            if let Some(oldest) = oldest {
                overflowed(oldest.message);
            }
            let Some(given) = given else { return Ok(()) };
            self.release(usize::from(std::mem::take(&mut place_taken)));
            match self.give(given) {
                Ok(()) => return Ok(()),
                Err(Given {
                    worker, waiting, ..
                }) => {
                    self.lose(worker);
                    message = waiting.message;
                }
            }
        }
    }

    /// Takes a place in front, once there is one.
    fn wait_for_room(&self, patience: Patience) -> Result<(), SendError<()>> {
        match &self.room {
            Some(room) => {
                mailbox::reserve(room, Overflow::Block, patience, self.supervisor.pid()).map(drop)
            }
            None => Ok(()),
        }
    }

    /// Places in front have become free.
    fn release(&self, places: usize) {
        if let Some(room) = &self.room
            && places > 0
        {
            room.release(places);
        }
    }

    /// Sends a message to the worker that was chosen for it; gives it back if that has ended.
    fn give(self: &Arc<Self>, given: Given<A>) -> Result<(), Given<A>> {
        let Given {
            to,
            worker,
            waiting,
        } = given;
        let Waiting {
            message,
            route,
            since,
        } = waiting;
        let Err(refused) = self.send_job(&to, worker, Some(message)) else {
            return Ok(());
        };
        let waiting = refused.map(|message| Waiting {
            message,
            route,
            since,
        });
        waiting.map_or(Ok(()), |waiting| {
            Err(Given {
                to,
                worker,
                waiting,
            })
        })
    }

    /// Sends a job to a worker; gives its message back if that has ended.
    fn send_job(
        self: &Arc<Self>,
        to: &Addr<A>,
        worker: u64,
        message: Option<Envelope>,
    ) -> Result<(), Option<Envelope>> {
        let ticket = Ticket {
            crew: Some(self.clone()),
            worker,
        };
        let job = Envelope::job(Job { message, ticket });
        to.core().send(job, Patience::System).map_err(|refused| {
            let Job { message, ticket } = message::unwrap_refused(refused.into_message());
            ticket.dissolve();
            message
        })
    }

    /// Gives a message that a worker has not taken to another one.
    fn give_elsewhere(self: &Arc<Self>, mut refused: Given<A>) {
        loop {
            self.lose(refused.worker);
            let mut state = self.state.lock();
            if state.workers.is_empty() {
                drop(state);
                self.abandon(refused.waiting);
                return;
            }
            let placed = state.place(refused.waiting);
            drop(state);
            match placed.map(|given| self.give(given)) {
                Some(Err(again)) => refused = again,
                Some(Ok(())) | None => return,
            }
        }
    }

    fn give_all(self: &Arc<Self>, given: Vec<Given<A>>) {
        self.release(given.len());
        for given in given {
            if let Err(refused) = self.give(given) {
                self.give_elsewhere(refused);
            }
        }
    }

    /// A worker is done with what it was given.
    fn go_on(self: &Arc<Self>, worker: u64) {
        let mut state = self.state.lock();
        if let Some(addr) = state.leaving.remove(&worker) {
            drop(state);
            self.terminate(&addr);
            self.end_if_done();
            return;
        }
        let Some(one) = state.workers.get(&worker) else {
            return;
        };
        let to = one.addr.clone();
        if panicking() {
            // What it is given now waits for its next life, and that may be long in coming.
            drop(state);
            if self.send_job(&to, worker, None).is_err() {
                self.lose(worker);
            }
        } else if let Some(waiting) = state.next_for(worker) {
            drop(state);
            self.give_all(vec![Given {
                to,
                worker,
                waiting,
            }]);
        } else {
            state.set_free(worker);
            drop(state);
            self.end_if_done();
        }
    }

    /// Ends the pool if it takes no more, and all that it has taken has been handled.
    fn end_if_done(&self) {
        let state = self.state.lock();
        let over = state.closed && state.is_done();
        drop(state);
        if over {
            self.supervisor.stop();
        }
    }

    /// A worker has ended for good: what waits for it is for others.
    fn lose(self: &Arc<Self>, worker: u64) {
        let mut state = self.state.lock();
        state.leaving.remove(&worker);
        let Some((lost, orphans)) = state.take_out(worker) else {
            return;
        };
        if state.workers.is_empty() {
            drop(state);
            if let Some(room) = &self.room {
                room.close();
            }
            orphans.into_iter().for_each(|orphan| self.abandon(orphan));
        } else {
            let given = state.place_all(orphans);
            drop(state);
            self.give_all(given);
        }
        self.end_if_done();
        // Not under the lock: it may be the last address.
        drop(lost);
    }

    /// Nobody will handle this.
    fn abandon(&self, waiting: Waiting) {
        contain(|| {
            waiting
                .message
                .abandon(self.supervisor.pid(), self.supervisor.name());
        });
    }

    /// Takes in a new worker.
    fn add(self: &Arc<Self>, addr: Addr<A>) {
        let party = Party::actor(addr.core());
        let worker = {
            let mut state = self.state.lock();
            let worker = state.tick();
            let one = Worker {
                addr,
                free: None,
                queue: VecDeque::new(),
                at_end: None,
            };
            state.workers.insert(worker, one);
            state.rehash();
            worker
        };
        let pool = Arc::downgrade(self);
        let at_end = AtEnd::of(party, move || {
            if let Some(pool) = pool.upgrade() {
                pool.lose(worker);
            }
        });
        let unwanted = match self.state.lock().workers.get_mut(&worker) {
            Some(one) => one.at_end.replace(at_end),
            None => Some(at_end),
        };
        drop(unwanted);
        self.clone().done(worker);
    }

    /// Lets the newest worker go.
    fn dismiss(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let Some((&worker, _)) = state.workers.last_key_value() else {
            return;
        };
        let Some((one, orphans)) = state.take_out(worker) else {
            return;
        };
        if one.free.is_none() {
            state.leaving.insert(worker, one.addr.clone());
        }
        let given = state.place_all(orphans);
        drop(state);
        self.give_all(given);
        if one.free.is_some() {
            self.terminate(&one.addr);
        }
    }

    fn terminate(&self, addr: &Addr<A>) {
        // Refused by a supervisor that ends, and its children with it.
        let _ = self.supervisor.try_send(Terminate(addr.pid()));
    }
}

impl<A: Actor> Crew for Shared<A> {
    fn done(self: Arc<Self>, worker: u64) {
        // A kill of the worker must not take the next message with it.
        block::shielded(|| self.go_on(worker));
    }
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

/// The worker of a [`Pool`] that is for one key; see [`Pool::keyed`].
///
/// ```
/// use actor_core::{Actor, Context, Handler, Message, Pool, dispatch};
///
/// struct Log(Vec<u32>);
/// impl Actor for Log {}
///
/// struct Append(u32);
/// impl Message for Append {
///     type Reply = usize;
/// }
/// impl Handler<Append> for Log {
///     fn handle(&mut self, Append(line): Append, _: &mut Context<Self>) -> usize {
///         self.0.push(line);
///         self.0.len()
///     }
/// }
///
/// dispatch(|| {
///     let logs = Pool::spawn(4, || Log(Vec::new())).unwrap();
///     let log = logs.keyed(&("region", 7));
///     log.send(Append(1)).unwrap();
///     assert_eq!(log.call(Append(2)), Ok(2));
/// });
/// ```
pub struct Keyed<A: Actor> {
    pool: Pool<A>,
    hash: u64,
}

impl<A: Actor> Keyed<A> {
    /// Sends `message` to the worker; see [`Recipient::send`].
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

    /// The worker for the key, as a recipient of one class of messages.
    pub fn recipient<M: Message>(&self) -> Recipient<M>
    where
        A: Accepts<M>,
    {
        Recipient::new(self.clone())
    }
}

impl<A: Actor> Receiver for Keyed<A> {
    fn pid(&self) -> Pid {
        self.pool.pid()
    }

    fn owner(&self) -> Option<Owner> {
        self.pool.owner()
    }
}

impl<M: Message, A: Accepts<M>> Destination<M> for Keyed<A> {
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>> {
        self.pool.deliver_by(Route::Key(self.hash), delivery)
    }
}

impl<A: Actor> Clone for Keyed<A> {
    fn clone(&self) -> Self {
        Keyed {
            pool: self.pool.clone(),
            hash: self.hash,
        }
    }
}

impl<A: Actor> fmt::Debug for Keyed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyed({:x} of {:?})", self.hash, self.pool)
    }
}

/// See [`Pool::recipient_by_key`].
struct ByKey<A: Actor, F> {
    pool: Pool<A>,
    hash: F,
}

impl<A: Actor, F: Send + Sync + 'static> Receiver for ByKey<A, F> {
    fn pid(&self) -> Pid {
        self.pool.pid()
    }

    fn owner(&self) -> Option<Owner> {
        self.pool.owner()
    }
}

impl<M, A, F> Destination<M> for ByKey<A, F>
where
    M: Message,
    A: Accepts<M>,
    F: Fn(&M) -> u64 + Send + Sync + 'static,
{
    fn deliver(&self, mut delivery: Delivery<M>) -> Result<(), SendError<M>> {
        let message = delivery.envelope.message_mut::<M>();
        let hash = match message.and_then(|message| message.as_ref()) {
            Some(message) => (self.hash)(message),
            None => unreachable!("a message on its way is in its envelope"),
        };
        self.pool.deliver_by(Route::Key(hash), delivery)
    }
}

/// Settings for a [`Pool`]; from [`Pool::builder`].
///
/// ```
/// use std::time::Duration;
/// use actor_core::{Actor, Mailbox, Overflow, Pool, Routing, dispatch};
///
/// struct Resizer;
/// impl Actor for Resizer {}
///
/// dispatch(|| {
///     let pool = Pool::builder(4, || Resizer)
///         .name("resizers")
///         .routing(Routing::LeastLoaded)
///         .mailbox(Mailbox::bounded(1000, Overflow::Fail))
///         .intensity(10, Duration::from_secs(1))
///         .spawn()
///         .unwrap();
///     assert_eq!(pool.workers()[0].name(), "resizers-1");
/// });
/// ```
#[must_use = "a builder does nothing until `spawn`"]
pub struct PoolBuilder<A: Actor> {
    workers: usize,
    factory: Arc<Factory<A>>,
    name: String,
    routing: Routing,
    mailbox: Mailbox,
    intensity: (usize, Duration),
    backoff: Option<(Duration, Duration)>,
    restart: Restart,
    shutdown: Shutdown,
}

/// Makes the value of a worker's next life.
type Factory<A> = dyn Fn() -> Result<A, BoxError> + Send + Sync;

impl<A: Actor> PoolBuilder<A> {
    /// What it is called in logs and errors, and its workers with a number behind. By default, as their type.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Which worker is next. By default, [`Routing::LeastLoaded`].
    pub fn routing(mut self, routing: Routing) -> Self {
        self.routing = routing;
        self
    }

    /// How much may wait in front of the pool, all together, and what happens to what comes then. By
    /// default, there is no bound.
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// How many restarts there may be within a time; see [`Supervisor::intensity`]. By default, as many as
    /// there are workers at first, in five seconds.
    pub fn intensity(mut self, restarts: usize, within: Duration) -> Self {
        self.intensity = (restarts, within);
        self
    }

    /// Puts restarts off; see [`Supervisor::backoff`]. Meanwhile the others do the work.
    pub fn backoff(mut self, from: Duration, to: Duration) -> Self {
        self.backoff = Some((from, to));
        self
    }

    /// When a worker that has ended is started again; see [`Child::restart`]. One that is not is missing
    /// from then on, and the pool ends when the last is.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How a worker is shut down; see [`Child::shutdown`].
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Spawns the pool, and waits until its workers have started.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Started`] if a worker has not started; [`SpawnError::NotRunning`] outside a running
    /// [`dispatch`](crate::dispatch).
    pub fn spawn(self) -> Result<Pool<A>, SpawnError> {
        let mut supervisor =
            Supervisor::one_for_one().intensity(self.intensity.0, self.intensity.1);
        if let Some((from, to)) = self.backoff {
            supervisor = supervisor.backoff(from, to);
        }
        let supervisor = Addr::builder()
            .name(format!("{} pool", self.name))
            .spawn(supervisor)?;
        let bound = self.mailbox.bound();
        let room = match bound {
            Some((capacity, Overflow::Block)) => Some(Permits::new(capacity)),
            _ => None,
        };
        let (name, factory) = (self.name, self.factory);
        let (restart, shutdown) = (self.restart, self.shutdown);
        let made = AtomicUsize::new(0);
        let make = move || {
            let number = made.fetch_add(1, Ordering::Relaxed) + 1;
            let factory = factory.clone();
            Child::fallible(format!("{name}-{number}"), move || factory())
                .restart(restart)
                .shutdown(shutdown)
        };
        let pool = Pool {
            shared: Arc::new(Shared {
                supervisor,
                routing: self.routing,
                bound,
                room,
                make: Box::new(make),
                resizing: sync::Mutex::new(()),
                state: Mutex::new(State {
                    workers: BTreeMap::new(),
                    free: BTreeSet::new(),
                    leaving: BTreeMap::new(),
                    queue: VecDeque::new(),
                    waiting: 0,
                    now: 0,
                    turn: 0,
                    closed: false,
                }),
            }),
        };
        pool.resize(self.workers)?;
        Ok(pool)
    }
}

impl<A: Actor> fmt::Debug for PoolBuilder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("name", &self.name)
            .field("routing", &self.routing)
            .field("mailbox", &self.mailbox)
            .finish_non_exhaustive()
    }
}
