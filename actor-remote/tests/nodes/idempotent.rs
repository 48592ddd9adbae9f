//! Calls that are executed once, however often they are made.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, CallError, Context, Handler, Mailbox, Message, Overflow, Recipient, Refusal,
    Tasklet,
};
use actor_remote::{
    CallId, Config, Dedup, Idempotent, MemoryLimits, Node, PeerRef, RemoteRef, Verdict, protocol,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::common::{Add, LONG, cut, program, until};

protocol! { Adding: Add }

/// Adds, tells of it, and answers when it may.
#[derive(Clone)]
struct Slow {
    sum: Arc<AtomicU64>,
    added: Arc<Event>,
    may_answer: Arc<Event>,
}

impl Slow {
    fn new() -> Slow {
        Slow {
            sum: Arc::default(),
            added: Arc::new(Event::new()),
            may_answer: Arc::new(Event::new()),
        }
    }

    fn sum(&self) -> u64 {
        self.sum.load(Ordering::SeqCst)
    }
}

impl Actor for Slow {}

impl Handler<Add> for Slow {
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        let sum = self.sum.fetch_add(n, Ordering::SeqCst) + n;
        self.added.set();
        self.may_answer.wait();
        sum
    }
}

/// A receiver that remembers, and one who calls it.
struct Pair {
    server: Node,
    client: Node,
    peer: PeerRef,
    slow: Slow,
    remote: RemoteRef<Adding>,
}

impl Pair {
    fn new(limits: MemoryLimits) -> Pair {
        let slow = Slow::new();
        let server = Node::listen("127.0.0.1:0", Config::new("server")).unwrap();
        server
            .expose("slow", &Addr::spawn(slow.clone()))
            .protocol::<Adding>()
            .idempotent(limits);
        let quick = Duration::from_millis(20);
        let client = Node::start(Config::new("client").reconnect(quick, quick)).unwrap();
        let peer = client.connect(server.local_addr().unwrap()).unwrap();
        let remote = peer.lookup::<Adding>("slow").unwrap();
        Pair {
            server,
            client,
            peer,
            slow,
            remote,
        }
    }

    /// Makes a call in a tasklet of its own, and waits until it has had its effect.
    fn call(&self, n: u64, how: &Idempotent) -> actor_core::JoinHandle<Result<u64, CallError>> {
        let (remote, how) = (self.remote.clone(), how.clone());
        let caller = Tasklet::spawn(move || remote.call_idempotent(Add(n), &how));
        self.slow.added.wait();
        caller
    }

    fn cut(&self) {
        cut(&self.server, "client", &self.peer);
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.slow.may_answer.set();
        self.client.close();
        self.server.close();
    }
}

#[test]
fn a_link_that_breaks_before_the_answer_does_not_repeat_the_effect() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        let caller = pair.call(5, &Idempotent::new().limit(LONG));
        // The effect is there, and the answer not.
        pair.cut();
        pair.slow.may_answer.set();
        assert_eq!(caller.join().unwrap(), Ok(5));
        assert_eq!(pair.slow.sum(), 5);
        // Plainly called, it would be there twice; so is another idempotent call, which is another.
        let remote = &pair.remote;
        assert_eq!(remote.call_idempotent(Add(1), &Idempotent::new()), Ok(6));
        assert_eq!(remote.call(Add(1)), Ok(7));
    });
}

#[test]
fn a_call_that_is_executed_is_joined() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        let caller = pair.call(5, &Idempotent::new().limit(LONG));
        for _ in 0..3 {
            pair.cut();
            assert!(pair.peer.wait_connected(LONG));
        }
        // The attempts over the new links are there.
        until("it has called again", || pair.peer.held().0 > 0);
        pair.slow.may_answer.set();
        assert_eq!(caller.join().unwrap(), Ok(5));
        assert_eq!(pair.slow.sum(), 5);
    });
}

#[test]
fn what_has_been_forgotten_is_not_executed_again() {
    program(|| {
        let pair = Pair::new(MemoryLimits {
            calls: 1,
            ..MemoryLimits::default()
        });
        pair.slow.may_answer.set();
        let how = Idempotent::new().id(CallId::fresh().unwrap());
        assert_eq!(pair.remote.call_idempotent(Add(5), &how), Ok(5));
        assert_eq!(pair.remote.call_idempotent(Add(5), &how), Ok(5));
        assert_eq!(pair.slow.sum(), 5);
        let other = Idempotent::new();
        assert_eq!(pair.remote.call_idempotent(Add(1), &other), Ok(6));
        // It had to make room for that.
        assert_eq!(
            pair.remote.call_idempotent(Add(5), &how),
            Err(CallError::Refused(Refusal::Forgotten))
        );
        assert_eq!(pair.slow.sum(), 6);
    });
}

#[test]
fn what_is_old_is_forgotten() {
    program(|| {
        let pair = Pair::new(MemoryLimits {
            age: Duration::ZERO,
            ..MemoryLimits::default()
        });
        pair.slow.may_answer.set();
        let how = Idempotent::new().id(CallId::fresh().unwrap());
        assert_eq!(pair.remote.call_idempotent(Add(5), &how), Ok(5));
        assert_eq!(
            pair.remote.call_idempotent(Add(5), &how),
            Err(CallError::Refused(Refusal::Forgotten))
        );
        assert_eq!(pair.slow.sum(), 5);
    });
}

#[test]
fn who_does_not_remember_says_so() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        pair.slow.may_answer.set();
        pair.server
            .expose("plain", &Addr::spawn(pair.slow.clone()))
            .protocol::<Adding>();
        let plain = pair.peer.lookup::<Adding>("plain").unwrap();
        assert_eq!(
            plain.call_idempotent(Add(5), &Idempotent::new()),
            Err(CallError::Refused(Refusal::NotIdempotent))
        );
        assert_eq!(pair.slow.sum(), 0);
    });
}

/// What is exposed at the same address, after a restart.
fn restart(addr: &str, slow: &Slow, store: Option<Store>) -> Node {
    let mut bound = None;
    until("the address is free", || {
        bound = Node::listen(addr, Config::new("server")).ok();
        bound.is_some()
    });
    let server = bound.unwrap();
    let exposure = server
        .expose("slow", &Addr::spawn(slow.clone()))
        .protocol::<Adding>();
    match store {
        Some(store) => exposure.idempotent_with(MemoryLimits::default(), store),
        None => exposure.idempotent(MemoryLimits::default()),
    };
    server
}

#[test]
fn a_receiver_that_has_started_anew_does_not_know() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        let addr = pair.server.local_addr().unwrap().to_string();
        let caller = pair.call(5, &Idempotent::new().limit(LONG));
        pair.server.close();
        assert!(pair.peer.wait_disconnected(LONG));
        let again = restart(&addr, &pair.slow, None);
        assert_eq!(
            caller.join().unwrap(),
            Err(CallError::Refused(Refusal::Forgotten))
        );
        assert_eq!(pair.slow.sum(), 5, "it is not executed again");
        again.close();
    });
}

/// Stands for one on disk.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashMap<CallId, Vec<u8>>>>);

impl Dedup for Store {
    fn look_up(&self, id: CallId) -> Verdict {
        match self.0.lock().get(&id) {
            Some(answer) => Verdict::Done(answer.clone()),
            None => Verdict::New,
        }
    }

    fn done(&self, id: CallId, answer: &[u8]) {
        self.0.lock().insert(id, answer.to_vec());
    }
}

#[test]
fn a_store_outlasts_a_restart() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        let addr = pair.server.local_addr().unwrap().to_string();
        let store = Store::default();
        pair.server
            .expose("slow", &Addr::spawn(pair.slow.clone()))
            .protocol::<Adding>()
            .idempotent_with(MemoryLimits::default(), store.clone());
        let caller = pair.call(5, &Idempotent::new().limit(LONG));
        pair.server.close();
        assert!(pair.peer.wait_disconnected(LONG));
        pair.slow.may_answer.set();
        until("it is stored", || store.0.lock().len() == 1);
        let again = restart(&addr, &pair.slow, Some(store));
        assert_eq!(caller.join().unwrap(), Ok(5));
        assert_eq!(pair.slow.sum(), 5);
        again.close();
    });
}

#[test]
fn without_a_link_it_ends_with_its_time() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        pair.server.close();
        assert!(pair.peer.wait_disconnected(LONG));
        let how = Idempotent::new().limit(Duration::from_millis(50));
        assert_eq!(
            pair.remote.call_idempotent(Add(5), &how),
            Err(CallError::Disconnected {
                maybe_executed: false
            })
        );
    });
}

/// A store that takes its time, for as long as it is told to.
#[derive(Clone)]
struct Sluggish {
    asked: Arc<Event>,
    may_answer: Arc<Event>,
    told: Arc<Event>,
    may_return: Arc<Event>,
}

impl Sluggish {
    fn new() -> Sluggish {
        let new = || Arc::new(Event::new());
        Sluggish {
            asked: new(),
            may_answer: new(),
            told: new(),
            may_return: new(),
        }
    }
}

impl Dedup for Sluggish {
    fn look_up(&self, _: CallId) -> Verdict {
        self.asked.set();
        self.may_answer.wait();
        Verdict::New
    }

    fn done(&self, _: CallId, _: &[u8]) {
        self.told.set();
        self.may_return.wait();
    }
}

#[test]
fn a_store_that_takes_its_time_holds_up_nobody_else() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        pair.slow.may_answer.set();
        let store = Sluggish::new();
        let slow = Slow::new();
        slow.may_answer.set();
        pair.server
            .expose("stored", &Addr::spawn(slow.clone()))
            .protocol::<Adding>()
            .idempotent_with(MemoryLimits::default(), store.clone());
        let stored = pair.peer.lookup::<Adding>("stored").unwrap();
        let first = Tasklet::spawn({
            let stored = stored.clone();
            move || stored.call_idempotent(Add(5), &Idempotent::new())
        });
        store.asked.wait();
        // The link is read, and others are served.
        assert_eq!(pair.remote.call(Add(1)), Ok(1));
        // What goes to the same receiver comes behind it.
        let second = Tasklet::spawn({
            let stored = stored.clone();
            move || stored.call(Add(1))
        });
        until("both are on the way", || pair.peer.held().0 == 2);
        assert_eq!(pair.remote.call(Add(1)), Ok(2));
        assert_eq!(slow.sum(), 0);
        store.may_answer.set();
        assert_eq!(second.join().unwrap(), Ok(6));
        // It has been executed, and is not answered before it is stored; others are.
        store.told.wait();
        assert_eq!(pair.peer.held().0, 1);
        assert_eq!(stored.call(Add(1)), Ok(7));
        store.may_return.set();
        assert_eq!(first.join().unwrap(), Ok(5));
    });
}

/// A store that is broken.
struct Broken;

impl Dedup for Broken {
    fn look_up(&self, id: CallId) -> Verdict {
        assert!(id.number > 1000, "the disk is on fire");
        Verdict::New
    }

    fn done(&self, _: CallId, _: &[u8]) {
        panic!("the disk is on fire");
    }
}

#[test]
fn a_store_that_panics_costs_its_calls_alone() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        pair.slow.may_answer.set();
        pair.server
            .expose("broken", &Addr::spawn(pair.slow.clone()))
            .protocol::<Adding>()
            .idempotent_with(MemoryLimits::default(), Broken);
        let broken = pair.peer.lookup::<Adding>("broken").unwrap();
        let call = |number| {
            let how = Idempotent::new().id(CallId { client: 1, number });
            broken.call_idempotent(Add(1), &how)
        };
        let forgotten = Err(CallError::Refused(Refusal::Forgotten));
        assert_eq!(call(1), forgotten);
        assert_eq!(pair.slow.sum(), 0);
        assert_eq!(call(2000), Err(CallError::Unanswered));
        assert_eq!(call(2000), Err(CallError::Unanswered));
        assert_eq!(pair.slow.sum(), 1);
        assert_eq!(broken.call(Add(1)), Ok(2));
    });
}

/// One whose answers have somebody in them.
#[derive(Message, Serialize, Deserialize)]
#[message(remote = "test.Who", reply = Recipient<Add>)]
struct Who;

#[test]
fn an_answer_that_cannot_be_remembered_is_not_given() {
    program(|| {
        let pair = Pair::new(MemoryLimits::default());
        let called = Arc::new(AtomicU64::new(0));
        let answers = Tasklet::spawn({
            let called = called.clone();
            move || {
                let own = Addr::spawn(Slow::new());
                for message in Tasklet::receive() {
                    let (Who, reply) = message.downcast_call::<Who>().unwrap();
                    called.fetch_add(1, Ordering::SeqCst);
                    reply.send(own.recipient());
                }
            }
        });
        pair.server
            .expose("who", answers.tasklet())
            .message::<Who>()
            .idempotent(MemoryLimits::default());
        protocol! { Asking: Who }
        let who = pair.peer.lookup::<Asking>("who").unwrap();
        assert!(who.call(Who).is_ok());
        let how = Idempotent::new().id(CallId::fresh().unwrap());
        for _ in 0..2 {
            let outcome = who.call_idempotent(Who, &how).map(drop);
            assert_eq!(outcome, Err(CallError::Unanswered));
        }
        assert_eq!(called.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn calls_before_a_full_mailbox_are_executed_once_over_a_break() {
    program(|| {
        for store in [false, true] {
            let pair = Pair::new(MemoryLimits::default());
            let slow = Slow::new();
            let narrow = Addr::builder()
                .mailbox(Mailbox::bounded(1, Overflow::Block))
                .spawn(slow.clone())
                .unwrap();
            let exposure = pair.server.expose("narrow", &narrow).protocol::<Adding>();
            if store {
                exposure.idempotent_with(MemoryLimits::default(), Store::default());
            } else {
                exposure.idempotent(MemoryLimits::default());
            }
            let narrow = pair.peer.lookup::<Adding>("narrow").unwrap();
            let callers: Vec<_> = (0..6)
                .map(|n| {
                    let narrow = narrow.clone();
                    let how = Idempotent::new().limit(LONG);
                    Tasklet::spawn(move || narrow.call_idempotent(Add(1 << n), &how))
                })
                .collect();
            until("all are on the way", || pair.peer.held().0 == callers.len());
            // One is executed, one is in the mailbox, and the others wait before it.
            slow.added.wait();
            pair.cut();
            until("all have been made again", || {
                pair.peer.held().0 == callers.len()
            });
            slow.may_answer.set();
            for caller in callers {
                assert!(caller.join().unwrap().is_ok());
            }
            assert_eq!(slow.sum(), 63);
        }
    });
}
