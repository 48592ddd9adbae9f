//! Nodes: processes that take part.

mod accept;
mod connection;
mod dial;
mod stream;

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actor_core::remote::Abroad;
use actor_core::{BoxError, Receiver};
use actor_io::ToAddrs;
use actor_net::__private::Throttle;
use actor_net::ServerHandle;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::accept::HalfOpen;
use crate::aside::Aside;
use crate::config::Config;
use crate::error::{ConnectError, LookupError, NodeError, RemoteSpawnError};
use crate::exposure::{Exposure, Exposures, withdraw};
use crate::handshake;
use crate::link::{Link, LinkEnd, refusal_of};
use crate::offers::{Guest, Offer, Offers};
use crate::peer::Peer;
use crate::protocol::Protocol;
use crate::remote_ref::RemoteRef;
use crate::spawned::Spawned;
use crate::wire::frame::{Body, Kind, MAX_TEXT, put_number, put_text};

/// A process that takes part: what it exposes can be reached by others that it is linked with, and it reaches
/// what these expose.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use actor_core::{Actor, Addr, Context, Handler, Message, dispatch};
/// use actor_remote::{Config, Node, protocol};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(remote = "counter.Add", reply = u64)]
/// struct Add(u64);
///
/// protocol! { Counting: Add }
///
/// struct Counter(u64);
///
/// impl Actor for Counter {}
///
/// impl Handler<Add> for Counter {
///     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
///         self.0 += n;
///         self.0
///     }
/// }
///
/// # fn main() {
/// dispatch(|| {
///     let server = Node::listen("127.0.0.1:0", Config::new("server")).unwrap();
///     server
///         .expose("counter", &Addr::spawn(Counter(0)))
///         .protocol::<Counting>();
///
///     // In another process:
///     let client = Node::start(Config::new("client")).unwrap();
///     let peer = client.connect(server.local_addr().unwrap()).unwrap();
///     let counter = peer.lookup::<Counting>("counter").unwrap();
///     assert_eq!(counter.call(Add(5)), Ok(5));
///     # client.close();
///     # server.close();
/// });
/// # }
/// ```
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    incarnation: u128,
    exposures: Arc<Exposures>,
    offers: Arc<Offers>,
    peers: Mutex<HashMap<Box<str>, Arc<Peer>>>,
    servers: Mutex<Vec<ServerHandle>>,
    half_open: HalfOpen,
    /// Who spawns what is to outlast whoever connects: the links that are made, and those who make them again.
    dialler: Aside,
    refused: AtomicU64,
    refusals: Mutex<Throttle>,
    closed: AtomicBool,
    closing: actor_core::sync::Event,
}

/// How long a question to another node waits for its answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl Node {
    /// A node that connects to others, and that nobody connects to until it [listens](Self::listen_on).
    ///
    /// # Errors
    ///
    /// [`NodeError::Name`]; [`NodeError::Io`] if the system has no randomness to give, which it always has once it has
    /// started.
    pub fn start(config: Config) -> Result<Node, NodeError> {
        let mut incarnation = [0; 16];
        crate::idempotent::identify_by(&handshake::Nonce::random()?);
        let random = handshake::Nonce::random()?;
        incarnation.copy_from_slice(&random.as_bytes()[..16]);
        let half_open = HalfOpen::new(config.half_open);
        let node = Node {
            inner: Arc::new(Inner {
                config,
                incarnation: u128::from_le_bytes(incarnation),
                exposures: Arc::default(),
                offers: Arc::default(),
                peers: Mutex::default(),
                servers: Mutex::default(),
                half_open,
                dialler: Aside::new("has links made"),
                refused: AtomicU64::new(0),
                refusals: Mutex::default(),
                closed: AtomicBool::new(false),
                closing: actor_core::sync::Event::new(),
            }),
        };
        // What is wrong with a name shows in a hello.
        handshake::Initiator::start(node.inner.handshake(None), handshake::Nonce::random()?)
            .map_err(NodeError::Name)?;
        Ok(node)
    }

    /// A node that others connect to: one that is [started](Self::start), and [listens](Self::listen_on) at once.
    ///
    /// Whoever connects before something is exposed finds nothing there, and is told so. What others rely on is better
    /// exposed first:
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use actor_core::{Actor, Addr, Context, Handler, Message, dispatch};
    /// # use actor_remote::{Config, Node, NodeError};
    /// # use serde::{Deserialize, Serialize};
    /// #
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # #[message(remote = "counter.Add", reply = u64)]
    /// # struct Add(u64);
    /// #
    /// # struct Counter(u64);
    /// #
    /// # impl Actor for Counter {}
    /// #
    /// # impl Handler<Add> for Counter {
    /// #     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// #
    /// fn serve(counter: &Addr<Counter>) -> Result<Node, NodeError> {
    ///     let node = Node::start(Config::new("server"))?;
    ///     node.expose("counter", counter).message::<Add>();
    ///     node.listen_on("127.0.0.1:0")?;
    ///     Ok(node)
    /// }
    /// # fn main() {
    /// # dispatch(|| serve(&Addr::spawn(Counter(0))).unwrap().close());
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub fn listen(addr: impl ToAddrs, config: Config) -> Result<Node, NodeError> {
        let node = Node::start(config)?;
        node.listen_on(addr)?;
        Ok(node)
    }

    /// Lets others connect to it at `addr`, and says where that is; at further ones as well, if it is called again.
    ///
    /// Connections are accepted in tasklets of the node's own until it is [closed](Self::close), or the program ends.
    ///
    /// # Errors
    ///
    /// [`NodeError::Unprotected`] if `addr` can be reached from other machines, and the node has neither a secret
    /// nor TLS; [`NodeError::Closed`]; and those of binding.
    pub fn listen_on(&self, addr: impl ToAddrs) -> Result<SocketAddr, NodeError> {
        accept::listen(self, addr)
    }

    /// Where it listens, first of all.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        let servers = self.inner.servers.lock();
        servers.first().map(ServerHandle::local_addr)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.inner.config.name
    }

    /// Lets other nodes reach `receiver` by `name`, for the messages that are named behind, from when what this returns is
    /// dropped: most often at the end of the statement. What was exposed by that name before no longer is from then on;
    /// nothing else can be reached.
    pub fn expose<R: Receiver + Clone>(&self, name: &str, receiver: &R) -> Exposure<'_, R> {
        Exposure::new(&self.inner.exposures, name, receiver.clone())
    }

    /// Takes an exposed name back; `false` if there was none.
    pub fn withdraw(&self, name: &str) -> bool {
        withdraw(&self.inner.exposures, name)
    }

    /// Lets other nodes have actors of the kind `kind` started here, by `factory`, for the messages that are named
    /// behind; see [`PeerRef::spawn`]. What was offered by that name before no longer is.
    ///
    /// The factory runs in a tasklet of its own, and may take its time. What it makes is ended when the node asks
    /// for it that has had it started, when there is no link to that node for
    /// [a time](Config::orphan_after), or when this node is closed.
    ///
    /// A kind is known by its name alone: where its arguments change, it is another kind, `counter/2` say. This is
    /// the only way in which other nodes start anything.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// use actor_core::{Actor, Addr, Context, Handler, Message, dispatch};
    /// use actor_remote::{Config, Node, protocol};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Message, Serialize, Deserialize)]
    /// #[message(remote = "counter.Add", reply = u64)]
    /// struct Add(u64);
    ///
    /// protocol! { Counting: Add }
    ///
    /// struct Counter(u64);
    ///
    /// impl Actor for Counter {}
    ///
    /// impl Handler<Add> for Counter {
    ///     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
    ///         self.0 += n;
    ///         self.0
    ///     }
    /// }
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let host = Node::listen("127.0.0.1:0", Config::new("host")).unwrap();
    ///     host.offer("counter", |from: u64| Ok(Addr::spawn(Counter(from))))
    ///         .protocol::<Counting>();
    ///
    ///     // In another process:
    ///     let node = Node::start(Config::new("node")).unwrap();
    ///     let peer = node.connect(host.local_addr().unwrap()).unwrap();
    ///     let counter = peer.spawn::<Counting>("counter", &40_u64).unwrap();
    ///     assert_eq!(counter.reference().call(Add(2)), Ok(42));
    ///     counter.stop();
    ///     # node.close();
    ///     # host.close();
    /// });
    /// # }
    /// ```
    pub fn offer<A, S, F>(&self, kind: &str, factory: F) -> Offer<A, S>
    where
        A: DeserializeOwned + Send + 'static,
        S: Guest,
        F: Fn(A) -> Result<S, BoxError> + Send + Sync + 'static,
    {
        self.inner.offers.add(kind, factory)
    }

    /// No longer offers a kind; `false` if it was not. Those that have been started live on.
    pub fn withdraw_offer(&self, kind: &str) -> bool {
        self.inner.offers.withdraw(kind)
    }

    /// Connects to the node at `addr`, and again whenever the link breaks, until the node is closed or
    /// [disconnects](PeerRef::disconnect).
    ///
    /// If there is a link with that node already, no other is made.
    ///
    /// The caller waits until there is a link: for a name to be looked up, and then, to connect, to shake hands, for the end
    /// of a link that this node has [disconnected](PeerRef::disconnect), and to take the new one into use, each time as long
    /// as a [handshake](Config::handshakes) may take. The link belongs to the node, and outlasts the caller.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the first attempt fails: then there is no next one.
    pub fn connect(&self, addr: impl ToAddrs) -> Result<PeerRef, ConnectError> {
        self.connect_as(addr, None)
    }

    /// The same, with a node that must be called `name`. Without that, whoever leads the connection elsewhere
    /// chooses which of the nodes that know the secret it ends at.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect), and if somebody else is there.
    pub fn connect_to(&self, name: &str, addr: impl ToAddrs) -> Result<PeerRef, ConnectError> {
        self.connect_as(addr, Some(name))
    }

    fn connect_as(&self, addr: impl ToAddrs, name: Option<&str>) -> Result<PeerRef, ConnectError> {
        let peer = dial::connect(&self.inner, addr, name)?;
        Ok(PeerRef {
            node: self.inner.clone(),
            peer,
        })
    }

    /// A node that this one is, or was, linked with.
    pub fn peer(&self, name: &str) -> Option<PeerRef> {
        let peer = self.inner.peers.lock().get(name).cloned()?;
        Some(PeerRef {
            node: self.inner.clone(),
            peer,
        })
    }

    /// All nodes that it is linked with.
    pub fn peers(&self) -> Vec<PeerRef> {
        let peers: Vec<_> = self.inner.peers.lock().values().cloned().collect();
        peers
            .into_iter()
            .filter(|peer| peer.lasting_link().is_some())
            .map(|peer| PeerRef {
                node: self.inner.clone(),
                peer,
            })
            .collect()
    }

    /// The object `name@node`, of a node that this one is linked with; see [`PeerRef::lookup`].
    ///
    /// # Errors
    ///
    /// [`LookupError`] says what does not fit.
    pub fn lookup<P: Protocol>(&self, name: &str) -> Result<RemoteRef<P>, LookupError> {
        let (object, node) = name.rsplit_once('@').ok_or(LookupError::Unknown)?;
        self.peer(node)
            .ok_or(LookupError::Disconnected)?
            .lookup(object)
    }

    /// How many connections have been refused, or dropped, during their handshake. The log has a line a second of them
    /// at most.
    pub fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::Relaxed)
    }

    /// Says goodbye to all peers, and no longer listens or connects. What waits to be written is written yet; what was
    /// [started for others](Self::offer) is asked to end. Does not wait for any of that. A second time it does nothing.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    fn handshake(&self, expected: Option<&str>) -> handshake::Config {
        let config = &self.config;
        handshake::Config {
            cluster: config.cluster.clone(),
            expected: expected.map(str::to_owned),
            auth: config.auth(),
            ..handshake::Config::new(&config.name, self.incarnation)
        }
    }

    fn peer(&self, name: &str) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        if let Some(peer) = peers.get(name) {
            return peer.clone();
        }
        let peer = Peer::new(name, self.config.while_down);
        if peers.len() == peers.capacity() {
            peers.retain(|_, peer| !is_left(peer, 1));
        }
        peers.insert(name.into(), peer.clone());
        peer
    }

    /// Forgets a node that there is no link with, if nobody refers to it but the caller. What two callers find of each
    /// other at the same moment goes with the next one that is entered.
    fn forget(&self, peer: &Arc<Peer>) {
        let mut peers = self.peers.lock();
        let own = |known: &Arc<Peer>| Arc::ptr_eq(known, peer) && is_left(known, 2);
        if peers.get(peer.name()).is_some_and(own) {
            peers.remove(peer.name());
        }
    }

    /// Whether this process comes before the other where both have connected.
    fn is_smaller(&self, link: &Link) -> bool {
        let mine = (&self.config.name, self.incarnation);
        mine < (&link.peer.name, link.peer.incarnation)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.closing.set();
        for server in mem::take(&mut *self.servers.lock()) {
            server.tasklet().stop();
        }
        self.offers.close();
        let peers: Vec<_> = self.peers.lock().values().cloned().collect();
        for peer in peers {
            if let Some(link) = peer.link() {
                link.close();
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever has a link, or makes one, has this, so there are none.
        self.dialler.stop();
    }
}

/// Whether there is no link with it, nor anything of one that there was, and no more than so many refer to it. Whoever
/// does has it from the node, or from somebody who has it, so this lasts as long as the node's own are locked.
fn is_left(peer: &Arc<Peer>, references: usize) -> bool {
    Arc::strong_count(peer) <= references
        && peer.link().is_none()
        && !peer.is_kept()
        && !peer.has_remains()
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.inner.config.name)
            .field("exposures", &self.inner.exposures)
            .finish_non_exhaustive()
    }
}

/// Another node, as one of this process knows it.
#[derive(Clone)]
pub struct PeerRef {
    /// Who has it has the node: without that nobody would connect again.
    node: Arc<Inner>,
    peer: Arc<Peer>,
}

impl PeerRef {
    pub(crate) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.peer.name()
    }

    /// Whether there is a link to it now, which this node has not [said goodbye on](Self::disconnect).
    pub fn is_connected(&self) -> bool {
        self.peer.lasting_link().is_some()
    }

    /// Which of the processes that have had its name it is, if there is a link to it.
    pub fn incarnation(&self) -> Option<u128> {
        self.peer.link().map(|link| link.peer.incarnation)
    }

    /// Waits until there is a link to it; `false` if that takes longer than `limit`.
    pub fn wait_connected(&self, limit: Duration) -> bool {
        let until = actor_core::time::now().checked_add(limit);
        self.peer.wait_up(until).is_some()
    }

    /// Waits until the present link ends; `false` if that takes longer than `limit`.
    pub fn wait_disconnected(&self, limit: Duration) -> bool {
        match self.peer.link() {
            Some(link) => link.over().wait_timeout(limit).is_ok(),
            None => true,
        }
    }

    /// Why the last link to it that has ended has; `None` if none has yet.
    ///
    /// Only [`LinkEnd::Closed`] is an end in order. What ends otherwise has broken: what was under way at that moment
    /// may have arrived or not.
    pub fn last_end(&self) -> Option<LinkEnd> {
        self.peer.last_end()
    }

    /// The object that it exposes as `name`, for the messages of the protocol `P`.
    ///
    /// The reference outlasts the link: it is good again when the node is back. The node is asked, and waited for, for ten
    /// seconds at most.
    ///
    /// # Errors
    ///
    /// [`LookupError`] says what does not fit.
    pub fn lookup<P: Protocol>(&self, name: &str) -> Result<RemoteRef<P>, LookupError> {
        let link = self.peer.link().ok_or(LookupError::Disconnected)?;
        if name.len() > MAX_TEXT {
            return Err(LookupError::Unknown);
        }
        let answer = link.ask(Kind::Lookup, PATIENCE, |into| {
            put_text(into, name);
            put_number(into, P::MESSAGES.len() as u64);
            for class in P::MESSAGES {
                put_text(into, class.name);
                put_number(into, u64::from(class.version));
                put_number(into, class.schema);
            }
        })?;
        let mut answer = Body(&answer);
        match answer.byte().unwrap_or(1) {
            0 => Ok(self.unchecked(name)),
            code => match refusal_of(code - 1) {
                actor_core::Refusal::Unknown => Err(LookupError::Unknown),
                why => Err(LookupError::Refused {
                    message: answer.text().unwrap_or_default().to_owned(),
                    why,
                }),
            },
        }
    }

    /// The same without asking: what is wrong shows when it is used.
    pub fn unchecked<P: Protocol>(&self, name: &str) -> RemoteRef<P> {
        let named = self.peer.names().get(&self.peer, name);
        RemoteRef::foreign(Abroad(named))
    }

    /// Starts an actor of a kind that the node [offers](Node::offer), and waits until it has started, for ten seconds
    /// at most.
    ///
    /// It lives until it ends by itself, or is [stopped](Spawned::stop), which is the right of who has had it
    /// started and not of whoever has a reference; dropping what this returns does not end it. When the link breaks,
    /// it is ended after [a time](Config::orphan_after) over there, unless it has been
    /// [claimed](Spawned::claim).
    ///
    /// # Errors
    ///
    /// [`RemoteSpawnError`] says what does not fit. One that could have started after an error is ended.
    pub fn spawn<P: Protocol>(
        &self,
        kind: &str,
        args: &impl Serialize,
    ) -> Result<Spawned<P>, RemoteSpawnError> {
        self.spawn_timeout(kind, args, PATIENCE)
    }

    /// The same, for at most `limit`.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn).
    pub fn spawn_timeout<P: Protocol>(
        &self,
        kind: &str,
        args: &impl Serialize,
        limit: Duration,
    ) -> Result<Spawned<P>, RemoteSpawnError> {
        Spawned::start(&self.peer, kind, args, limit).map_err(|not| not.error)
    }

    /// How many messages to it could not be delivered there, over the present link.
    pub fn refused(&self) -> u64 {
        self.peer.link().map_or(0, |link| link.refused())
    }

    /// What is held for the present link: calls that wait for answers, receivers of this node that the other
    /// has been given, and receivers of the other that this node has been given.
    pub fn held(&self) -> (usize, usize, usize) {
        self.peer.link().map_or((0, 0, 0), |link| link.held())
    }

    /// Ends the link, behind what has been sent before, and does not connect again. Does not wait for the end; see
    /// [`wait_disconnected`](Self::wait_disconnected).
    pub fn disconnect(&self) {
        self.peer.part();
    }
}

impl Drop for PeerRef {
    fn drop(&mut self) {
        self.node.forget(&self.peer);
    }
}

impl fmt::Debug for PeerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.peer.fmt(f)
    }
}
