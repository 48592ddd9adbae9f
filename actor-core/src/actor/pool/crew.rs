//! What a pool shares: its workers, who of them is free, and what waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::thread::panicking;

use parking_lot::Mutex;

use super::Routing;
use crate::actor::Actor;
use crate::actor::addr::Addr;
use crate::actor::supervisor::{Child, Supervisor, Terminate};
use crate::contain::contain;
use crate::envelope::{Envelope, Job};
use crate::exit::{AtEnd, Party};
use crate::mailbox::{self, Overflow, Patience};
use crate::sync::permits::Permits;
use crate::{CallError, SendError, block, counters, message, sync};

pub(super) struct Shared<A: Actor> {
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) routing: Routing,
    /// How many messages may wait, and what happens to the next.
    pub(super) bound: Option<(usize, Overflow)>,
    /// The free places, where senders wait for one.
    pub(super) room: Option<Permits>,
    pub(super) make: Box<Make<A>>,
    /// Held for as long as the number of workers changes.
    pub(super) resizing: sync::Mutex<()>,
    pub(super) state: Mutex<State<A>>,
}

/// Makes another worker.
type Make<A> = dyn Fn() -> Child<A> + Send + Sync;

pub(super) struct State<A: Actor> {
    /// By the numbers that they were given, the later the higher.
    pub(super) workers: BTreeMap<u64, Worker<A>>,
    /// Those who are free, by the time since when.
    pub(super) free: BTreeSet<(u64, u64)>,
    /// Those who end after the message that they are at.
    pub(super) leaving: BTreeMap<u64, Addr<A>>,
    /// What waits for anybody.
    queue: VecDeque<Waiting>,
    /// How much waits, here and in the workers' own queues.
    pub(super) waiting: usize,
    /// Counts what happens, as a clock.
    now: u64,
    /// Whose turn was last.
    turn: u64,
    /// It takes no more.
    pub(super) closed: bool,
}

pub(super) struct Worker<A: Actor> {
    pub(super) addr: Addr<A>,
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
pub(super) enum Route {
    Anybody,
    InTurn,
    Key(u64),
}

/// A message and the worker that is to have it, which is marked as at work.
struct Given<A: Actor> {
    to: Addr<A>,
    worker: u64,
    pub(super) waiting: Waiting,
}

impl<A: Actor> State<A> {
    pub(super) fn new() -> Self {
        State {
            workers: BTreeMap::new(),
            free: BTreeSet::new(),
            leaving: BTreeMap::new(),
            queue: VecDeque::new(),
            waiting: 0,
            now: 0,
            turn: 0,
            closed: false,
        }
    }

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

pub(super) fn hash_of(key: &(impl Hash + ?Sized)) -> u64 {
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
    pub(super) fn take_in(
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
                mailbox::reserve(room, 1, Overflow::Block, patience, self.supervisor.pid())
                    .map(drop)
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
    pub(super) fn end_if_done(&self) {
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
    pub(super) fn add(self: &Arc<Self>, addr: Addr<A>) {
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
    pub(super) fn dismiss(self: &Arc<Self>) {
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
