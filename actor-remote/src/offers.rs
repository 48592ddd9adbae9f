//! Kinds of actors that other nodes can have started, and those that have been.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use actor_core::__private::catch_panic;
use actor_core::remote::{Absent, ClassName, Export, Owner, Station, export};
use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, BoxError, Destination, Exit, Receiver, Recipient, Refusal, RemoteMessage, Tasklet,
    time,
};
use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;

use crate::aside::Aside;
use crate::handshake::PeerId;
use crate::link::{Arguments, KILL, Link, Order, Outcome, OwnedClass, STOP};
use crate::protocol::{Protocol, Serves};

/// How many one other node may have started here at a time.
pub const MAX_GUESTS: usize = 4096;

/// How long one that nobody claims has to end when it is stopped, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// What is said of one that is to end before it has started.
const TOO_LATE: &str = "it was ended while it started";

/// How much stack a factory has: what it decodes is nested.
const STACK: usize = 1 << 20;

/// Something that other nodes can have started, and ended: what the factory of an [`Offer`](crate::Node::offer)
/// makes.
///
/// Addresses of actors and tasklets are.
pub trait Guest: Receiver + Clone {
    /// Asks it to end. Must not wait.
    fn stop(&self);

    /// Ends it whatever it does. Must not wait.
    fn kill(&self);
}

impl<A: Actor> Guest for Addr<A> {
    fn stop(&self) {
        Addr::stop(self);
    }

    fn kill(&self) {
        Addr::kill(self);
    }
}

impl Guest for Tasklet {
    fn stop(&self) {
        Tasklet::stop(self);
    }

    fn kill(&self) {
        Tasklet::kill(self);
    }
}

/// What a node offers, and what it has started.
#[derive(Default)]
pub(crate) struct Offers {
    kinds: Mutex<HashMap<String, Arc<dyn Kind>>>,
    guests: Arc<Guests>,
    /// Who spawns what outlasts the link over which it was asked for. There is one as soon as something is offered.
    nursery: OnceLock<Aside>,
}

/// What is started for others.
#[derive(Default)]
struct Guests {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    of: HashMap<PeerId, HashMap<u64, Hosted>>,
}

/// A question of another node, and the link that it has come over.
type Asker = (Arc<Link>, u32);

/// One that has been started, or is about to be.
struct Hosted {
    /// Over which link it was ordered, or claimed, last.
    session: u64,
    stage: Stage,
    /// It is to end, and how. From then on nobody can have it any more.
    condemned: Option<u8>,
    /// Who has asked for it since, and is to know when it is gone.
    mourner: Option<Asker>,
    /// It is over.
    over: Arc<Event>,
}

enum Stage {
    Starting {
        /// Who waits for it.
        asker: Asker,
    },
    Runs {
        guest: Arc<dyn Ends>,
        exports: Arc<[Arc<dyn Export>]>,
    },
}

/// A guest of whatever type.
trait Ends: Send + Sync {
    fn end(&self, how: u8);
}

impl<S: Guest> Ends for S {
    fn end(&self, how: u8) {
        if how == KILL {
            self.kill();
        } else {
            self.stop();
        }
    }
}

/// A kind that is offered.
trait Kind: Send + Sync {
    /// What is the matter with it if it does not take a class.
    fn lacks(&self, class: &OwnedClass) -> Option<Refusal>;

    fn start(&self, args: &Arguments) -> Result<Begun, NotBegun>;
}

/// One that has started.
struct Begun {
    guest: Arc<dyn Ends>,
    owner: Option<Owner>,
    exports: Arc<[Arc<dyn Export>]>,
}

enum NotBegun {
    Arguments,
    Failed(BoxError),
}

/// What a kind makes visible of an `S`.
type Expose<S> = dyn Fn(&S, &mut dyn FnMut(Arc<dyn Export>)) + Send + Sync;

struct KindOf<A, S> {
    factory: Box<dyn Fn(A) -> Result<S, BoxError> + Send + Sync>,
    exposes: RwLock<Exposes<S>>,
}

struct Exposes<S> {
    classes: Vec<ClassName>,
    make: Vec<Arc<Expose<S>>>,
}

impl<A: DeserializeOwned, S: Guest> Kind for KindOf<A, S> {
    fn lacks(&self, class: &OwnedClass) -> Option<Refusal> {
        let exposes = self.exposes.read();
        let mut known = exposes
            .classes
            .iter()
            .filter(|known| known.name == class.name);
        match known.next_back() {
            None => Some(Refusal::NotExposed),
            Some(known) if (known.version, known.schema) == (class.version, class.schema) => None,
            Some(_) => Some(Refusal::Version),
        }
    }

    fn start(&self, args: &Arguments) -> Result<Begun, NotBegun> {
        let args = args.decode::<A>().map_err(|_| NotBegun::Arguments)?;
        let guest = (self.factory)(args).map_err(NotBegun::Failed)?;
        let mut exports = Vec::new();
        let make = self.exposes.read().make.clone();
        for expose in make {
            expose(&guest, &mut |export| exports.push(export));
        }
        Ok(Begun {
            owner: guest.owner(),
            guest: Arc::new(guest),
            exports: exports.into(),
        })
    }
}

/// A kind that is offered, to say for which messages; see [`Node::offer`](crate::Node::offer).
pub struct Offer<A, S> {
    kind: Arc<KindOf<A, S>>,
    taken: PhantomData<fn(A)>,
}

impl<A, S: Guest> Offer<A, S> {
    /// Lets the node that has one started send it messages of the class `M`, and call it by them.
    pub fn message<M: RemoteMessage>(self) -> Self
    where
        S: Destination<M>,
    {
        let make = |guest: &S, each: &mut dyn FnMut(Arc<dyn Export>)| {
            each(export(Recipient::<M>::new(guest.clone())));
        };
        self.add(&[ClassName::of::<M>()], Arc::new(make))
    }

    /// The same for all the messages of a protocol.
    pub fn protocol<P: Protocol>(self) -> Self
    where
        S: Serves<P>,
    {
        let make = |guest: &S, each: &mut dyn FnMut(Arc<dyn Export>)| guest.recipients(each);
        self.add(P::MESSAGES, Arc::new(make))
    }

    fn add(self, classes: &[ClassName], make: Arc<Expose<S>>) -> Self {
        {
            let mut exposes = self.kind.exposes.write();
            exposes.classes.extend_from_slice(classes);
            exposes.make.push(make);
        }
        self
    }
}

impl<A, S> fmt::Debug for Offer<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exposes = self.kind.exposes.read();
        f.debug_tuple("Offer").field(&exposes.classes).finish()
    }
}

impl Offers {
    pub(crate) fn add<A, S, F>(&self, kind: &str, factory: F) -> Offer<A, S>
    where
        A: DeserializeOwned + Send + 'static,
        S: Guest,
        F: Fn(A) -> Result<S, BoxError> + Send + Sync + 'static,
    {
        let made = Arc::new(KindOf {
            factory: Box::new(factory),
            exposes: RwLock::new(Exposes {
                classes: Vec::new(),
                make: Vec::new(),
            }),
        });
        self.nursery
            .get_or_init(|| Aside::new("starts what others want"));
        let before = self.kinds.lock().insert(kind.to_owned(), made.clone());
        drop(before);
        Offer {
            kind: made,
            taken: PhantomData,
        }
    }

    pub(crate) fn withdraw(&self, kind: &str) -> bool {
        let withdrawn = self.kinds.lock().remove(kind);
        withdrawn.is_some()
    }

    /// Another node wants an actor started, or claims one.
    pub(crate) fn take(&self, link: &Arc<Link>, order: Order) {
        let Order {
            request,
            number,
            new,
        } = order;
        let Some((name, classes, args)) = new else {
            self.guests.claim(link, request, number);
            return;
        };
        let kind = self.kinds.lock().get(&name).cloned();
        let Some(kind) = kind else {
            link.refuses(&name, Refusal::Unknown);
            return link.tell_outcome(request, Outcome::Unknown);
        };
        if let Some(why) = classes.iter().find_map(|class| kind.lacks(class)) {
            link.refuses(&name, why);
            return link.tell_outcome(request, Outcome::Refused(why));
        }
        let Some(starting) = self.guests.enter(link, request, number) else {
            return link.tell_outcome(request, Outcome::TooMany);
        };
        let who = format!("starting {name} for {}", link.peer.name);
        self.aside(move || {
            let spawned = Tasklet::builder()
                .name(who)
                .stack_size(STACK)
                .daemon(true)
                .spawn(move || starting.run(&*kind, &args));
            if let Err(error) = spawned {
                // Its order has been answered by its drop.
                tracing::warn!(%error, "what another node wants cannot be started");
            }
        });
    }

    fn aside(&self, work: impl FnOnce() + Send + 'static) {
        match self.nursery.get() {
            Some(nursery) => nursery.run(work),
            None => work(),
        }
    }

    /// Another node wants one ended that it has had started.
    pub(crate) fn stop(&self, link: &Link, number: u64, how: u8) {
        self.guests.stop(&link.peer, number, how);
    }

    /// A link has ended: what was ordered or claimed over it has to be claimed over another.
    pub(crate) fn lost(&self, link: &Link, after: Duration) {
        let (peer, session) = (link.peer.clone(), link.session);
        let guests = self.guests.clone();
        if !guests.has_orphans(&peer, session) {
            return;
        }
        self.aside(move || {
            let name = format!("ends what {} does not claim", peer.name);
            let (own, of) = (guests.clone(), peer.clone());
            let spawned = Tasklet::builder().name(name).daemon(true).spawn(move || {
                Tasklet::sleep(after);
                let orphans = own.condemn(|peer, one| *peer == of && one.session == session);
                for doomed in &orphans {
                    tracing::info!(
                        peer = %of.name, number = doomed.number,
                        "nobody has claimed what this node has had started"
                    );
                }
                own.see_to_the_end(orphans);
            });
            if let Err(error) = spawned {
                tracing::warn!(%error, "what another node has had started is ended at once");
                guests.condemn(|of, one| *of == peer && one.session == session);
            }
        });
    }

    /// A link with a process is in use. If others have had its node's name before, nobody will ever claim what they have had
    /// started: it is ended, and what is started for the new one waits for that.
    pub(crate) fn met(&self, peer: &PeerId) {
        let doomed = self.guests.condemn(|of, _| is_earlier(of, peer));
        self.see_to_the_end(doomed);
    }

    /// The node is closed, and all it has started for others is ended.
    pub(crate) fn close(&self) {
        self.guests.state.lock().closed = true;
        let doomed = self.guests.condemn(|_, _| true);
        self.see_to_the_end(doomed);
    }

    /// Has those killed that do not end, aside.
    fn see_to_the_end(&self, doomed: Vec<Doomed>) {
        if doomed.is_empty() {
            return;
        }
        let guests = self.guests.clone();
        self.aside(move || {
            let spawned = Tasklet::builder()
                .name("ends what was started for others")
                .daemon(true)
                .spawn(move || guests.see_to_the_end(doomed));
            if let Err(error) = spawned {
                tracing::warn!(%error, "what another node has had started is asked to end, and not seen to");
            }
        });
    }
}

/// Whether `of` is a process that had the name before `peer` has.
fn is_earlier(of: &PeerId, peer: &PeerId) -> bool {
    of.name == peer.name && of.incarnation != peer.incarnation
}

impl fmt::Debug for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds.lock().keys()).finish()
    }
}

impl Guests {
    /// One more is to be started, if there is room.
    fn enter(self: &Arc<Self>, link: &Arc<Link>, request: u32, number: u64) -> Option<Starting> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let own = state.of.entry(link.peer.clone()).or_default();
        if own.len() >= MAX_GUESTS {
            return None;
        }
        let Entry::Vacant(place) = own.entry(number) else {
            return None;
        };
        place.insert(Hosted {
            session: link.session,
            stage: Stage::Starting {
                asker: (link.clone(), request),
            },
            condemned: None,
            mourner: None,
            over: Arc::new(Event::new()),
        });
        Some(Starting {
            guests: self.clone(),
            peer: link.peer.clone(),
            number,
        })
    }

    fn claim(&self, link: &Arc<Link>, request: u32, number: u64) {
        let asker = (link.clone(), request);
        let before = {
            let mut state = self.state.lock();
            let own = state.of.get_mut(&link.peer);
            let Some(hosted) = own.and_then(|own| own.get_mut(&number)) else {
                drop(state);
                return link.tell_outcome(request, Outcome::Gone);
            };
            if hosted.condemned.is_some() {
                // It may still do something: that it is gone is said when it is.
                hosted.mourner.replace(asker)
            } else {
                hosted.session = link.session;
                match &mut hosted.stage {
                    Stage::Starting { asker: before } => Some(std::mem::replace(before, asker)),
                    Stage::Runs { exports, .. } => {
                        let exports = exports.clone();
                        drop(state);
                        return link.tell_outcome(request, Outcome::Started(&exports));
                    }
                }
            }
        };
        // Not under the lock: it may be the last of its link.
        drop(before);
    }

    fn stop(&self, peer: &PeerId, number: u64, how: u8) {
        let guest = {
            let mut state = self.state.lock();
            let own = state.of.get_mut(peer);
            own.and_then(|own| own.get_mut(&number))
                .and_then(|hosted| hosted.condemn(how))
        };
        if let Some(guest) = guest {
            guest.end(how);
        }
    }

    /// Whether any were ordered or claimed over a link, and over none since.
    fn has_orphans(&self, peer: &PeerId, session: u64) -> bool {
        let state = self.state.lock();
        let own = state.of.get(peer).into_iter().flatten();
        own.into_iter()
            .any(|(_, hosted)| hosted.session == session && hosted.condemned.is_none())
    }

    /// Asks all of these to end. Decided and done in one: who is claimed at this moment is claimed, or gone.
    fn condemn(&self, which: impl Fn(&PeerId, &Hosted) -> bool) -> Vec<Doomed> {
        let mut guests = Vec::new();
        let mut doomed = Vec::new();
        {
            let mut state = self.state.lock();
            for (peer, own) in &mut state.of {
                for (&number, hosted) in own {
                    if hosted.condemned.is_none() && which(peer, hosted) {
                        guests.extend(hosted.condemn(STOP));
                        doomed.push(Doomed {
                            peer: peer.clone(),
                            number,
                            over: hosted.over.clone(),
                        });
                    }
                }
            }
        }
        for guest in guests {
            guest.end(STOP);
        }
        doomed
    }

    /// Kills those that have been asked to end, and do not. Waits until then.
    fn see_to_the_end(&self, doomed: Vec<Doomed>) {
        let until = time::now() + GRACE;
        for doomed in doomed {
            let left = until.saturating_duration_since(time::now());
            if doomed.over.wait_timeout(left).is_err() {
                self.stop(&doomed.peer, doomed.number, KILL);
            }
        }
    }

    /// Waits for the ends of those that were started for processes which had the name of this one before; not for ever,
    /// as what is killed need not end.
    fn wait_for_earlier(&self, peer: &PeerId) {
        let over: Vec<_> = {
            let state = self.state.lock();
            let earlier = state.of.iter().filter(|(of, _)| is_earlier(of, peer));
            earlier
                .flat_map(|(_, own)| own.values().map(|hosted| hosted.over.clone()))
                .collect()
        };
        // A moment longer than until they are killed, and less than who has ordered this one waits.
        let until = time::now() + GRACE + Duration::from_secs(1);
        for over in over {
            let left = until.saturating_duration_since(time::now());
            if over.wait_timeout(left).is_err() {
                tracing::warn!(
                    peer = %peer.name,
                    "what was started for a process that is gone does not end, though killed"
                );
                return;
            }
        }
    }

    fn remove(&self, peer: &PeerId, number: u64) {
        let removed = {
            let mut state = self.state.lock();
            let Some(own) = state.of.get_mut(peer) else {
                return;
            };
            let removed = own.remove(&number);
            if own.is_empty() {
                state.of.remove(peer);
            }
            removed
        };
        // Not under the lock: it may be the last address of somebody.
        if let Some(hosted) = removed {
            hosted.over.set();
            if let Some((link, request)) = hosted.mourner {
                link.tell_outcome(request, Outcome::Gone);
            }
        }
    }
}

/// One that has been asked to end.
struct Doomed {
    peer: PeerId,
    number: u64,
    over: Arc<Event>,
}

impl Hosted {
    /// It is to end: the one to be told of it, unless it has not started yet.
    fn condemn(&mut self, how: u8) -> Option<Arc<dyn Ends>> {
        self.condemned = self.condemned.max(Some(how));
        match &self.stage {
            Stage::Starting { .. } => None,
            Stage::Runs { guest, .. } => Some(guest.clone()),
        }
    }
}

/// One that is being started. Dropped, it has not been.
struct Starting {
    guests: Arc<Guests>,
    peer: PeerId,
    number: u64,
}

impl Starting {
    fn run(self, kind: &dyn Kind, args: &Arguments) {
        self.guests.wait_for_earlier(&self.peer);
        let begun = match catch_panic(|| kind.start(args)) {
            Ok(Ok(begun)) => begun,
            Ok(Err(NotBegun::Arguments)) => {
                return self.fail(Outcome::Refused(Refusal::Undecodable));
            }
            Ok(Err(NotBegun::Failed(error))) => {
                return self.fail(Outcome::Failed(&error.to_string()));
            }
            Err(panic) => return self.fail(Outcome::Failed(&panic.to_string())),
        };
        let Begun {
            guest,
            owner,
            exports,
        } = begun;
        let (asker, condemned) = {
            let mut state = self.guests.state.lock();
            let own = state.of.get_mut(&self.peer);
            let Some(hosted) = own.and_then(|own| own.get_mut(&self.number)) else {
                return;
            };
            let runs = Stage::Runs {
                guest: guest.clone(),
                exports: exports.clone(),
            };
            match std::mem::replace(&mut hosted.stage, runs) {
                Stage::Starting { asker } => (asker, hosted.condemned),
                Stage::Runs { .. } => return,
            }
        };
        if let Some(owner) = owner {
            let name = format!("guest of {}", self.peer.name);
            let station = AtEnd {
                guests: Arc::downgrade(&self.guests),
                peer: self.peer.clone(),
                number: self.number,
            };
            // It may have ended, and be removed at once.
            Absent::new(name.into(), Box::new(station)).monitor_of(&owner);
        }
        let (link, request) = asker;
        match condemned {
            None => link.tell_outcome(request, Outcome::Started(&exports)),
            Some(how) => {
                guest.end(how);
                link.tell_outcome(request, Outcome::Failed(TOO_LATE));
            }
        }
    }

    fn fail(self, outcome: Outcome<'_>) {
        if let Some((link, request)) = self.take() {
            link.tell_outcome(request, outcome);
        }
    }

    /// Takes it out, if it has not started; who waits for it.
    fn take(&self) -> Option<Asker> {
        let asker = {
            let state = self.guests.state.lock();
            let own = state.of.get(&self.peer)?;
            match &own.get(&self.number)?.stage {
                Stage::Starting { asker } => asker.clone(),
                Stage::Runs { .. } => return None,
            }
        };
        self.guests.remove(&self.peer, self.number);
        Some(asker)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some((link, request)) = self.take() {
            link.tell_outcome(request, Outcome::Failed(TOO_LATE));
        }
    }
}

/// Is told when a guest ends.
struct AtEnd {
    guests: Weak<Guests>,
    peer: PeerId,
    number: u64,
}

impl Station for AtEnd {
    fn watch(&self) {}

    fn tell(&self, _: &Exit) {
        if let Some(guests) = self.guests.upgrade() {
            guests.remove(&self.peer, self.number);
        }
    }
}
