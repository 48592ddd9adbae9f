//! What the tests talk about, who takes it, and nodes to talk over.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Actor, Addr, Context, Handler, Mailbox, Message, Overflow};
use actor_remote::{Config, Node, PeerRef, RemoteRef, Secret, protocol};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub(crate) use crate::support::{LONG, deaf, program, until};

#[derive(Message, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[message(remote = "faults.Item")]
pub(crate) struct Item(pub(crate) u64, pub(crate) String);

#[derive(Message, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[message(remote = "faults.Add", reply = u64)]
pub(crate) struct Add(pub(crate) u64);

/// The numbers of all items that have come, in their order.
#[derive(Message, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[message(remote = "faults.Seen", reply = Vec<u64>)]
pub(crate) struct Seen;

protocol! {
    pub(crate) Log: Item, Add, Seen
}

/// Writes down what comes, as soon as it may.
pub(crate) struct Logger {
    sum: u64,
    seen: Arc<Mutex<Vec<u64>>>,
    open: Arc<Event>,
}

impl Actor for Logger {}

impl Handler<Item> for Logger {
    fn handle(&mut self, item: Item, _: &mut Context<Self>) {
        self.open.wait();
        self.seen.lock().push(item.0);
    }
}

impl Handler<Add> for Logger {
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.sum += n;
        self.sum
    }
}

impl Handler<Seen> for Logger {
    fn handle(&mut self, _: Seen, _: &mut Context<Self>) -> Vec<u64> {
        self.seen.lock().clone()
    }
}

/// A logger, and what can be seen of it without asking it.
#[derive(Clone)]
pub(crate) struct Logged {
    pub(crate) addr: Addr<Logger>,
    pub(crate) seen: Arc<Mutex<Vec<u64>>>,
    /// It handles items once this is set.
    pub(crate) open: Arc<Event>,
}

impl Logged {
    /// One that handles what comes.
    pub(crate) fn new() -> Logged {
        Logged::with(None)
    }

    /// One into which any number of sequences write.
    pub(crate) fn into(seen: &Arc<Mutex<Vec<u64>>>) -> Logged {
        let logged = Logged::build(None, seen.clone());
        logged.open.set();
        logged
    }

    /// One that has a bounded mailbox, and stalls.
    pub(crate) fn stalled(messages: usize, overflow: Overflow) -> Logged {
        Logged::with(Some(Mailbox::bounded(messages, overflow)))
    }

    fn with(mailbox: Option<Mailbox>) -> Logged {
        let stalls = mailbox.is_some();
        let logged = Logged::build(mailbox, Arc::default());
        if !stalls {
            logged.open.set();
        }
        logged
    }

    fn build(mailbox: Option<Mailbox>, seen: Arc<Mutex<Vec<u64>>>) -> Logged {
        let open = Arc::new(Event::new());
        let logger = Logger {
            sum: 0,
            seen: seen.clone(),
            open: open.clone(),
        };
        let addr = match mailbox {
            None => Addr::spawn(logger),
            Some(mailbox) => Addr::builder().mailbox(mailbox).spawn(logger).unwrap(),
        };
        Logged { addr, seen, open }
    }
}

/// A node's settings for these tests: what is broken is mended soon.
pub(crate) fn config(name: &str) -> Config {
    Config::new(name).reconnect(Duration::from_millis(2), Duration::from_millis(50))
}

/// The secret of those that have one.
pub(crate) fn secret() -> Secret {
    Secret::from_bytes("what only these nodes know").unwrap()
}

/// A node that exposes a logger, and another that is linked with it.
pub(crate) struct Pair {
    pub(crate) server: Node,
    pub(crate) client: Node,
    pub(crate) peer: PeerRef,
    pub(crate) logged: Logged,
    pub(crate) log: RemoteRef<Log>,
}

impl Pair {
    pub(crate) fn new() -> Pair {
        Pair::with(config("server"), config("client"))
    }

    pub(crate) fn with(server: Config, client: Config) -> Pair {
        Pair::through(server, client, |addr| addr)
    }

    /// The same, where the client connects to what `way` makes of the server's address.
    pub(crate) fn through(
        server: Config,
        client: Config,
        way: impl FnOnce(SocketAddr) -> SocketAddr,
    ) -> Pair {
        let server = Node::listen("127.0.0.1:0", server).unwrap();
        let logged = Logged::new();
        server.expose("log", &logged.addr).protocol::<Log>();
        let client = Node::start(client).unwrap();
        let peer = client.connect(way(server.local_addr().unwrap())).unwrap();
        let log = peer.unchecked::<Log>("log");
        Pair {
            server,
            client,
            peer,
            logged,
            log,
        }
    }

    /// Exposes another logger.
    pub(crate) fn expose(&self, name: &str, logged: &Logged) -> RemoteRef<Log> {
        self.server.expose(name, &logged.addr).protocol::<Log>();
        self.peer.lookup(name).unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.client.close();
        self.server.close();
    }
}
