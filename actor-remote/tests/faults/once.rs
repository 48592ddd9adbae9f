//! Calls that are executed once, where processes are killed and links break.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use actor_core::{CallError, JoinHandle, Refusal, Tasklet};
use actor_remote::{CallId, Idempotent, Node, PeerRef, RemoteRef};
use fastrand::Rng;

use crate::agent::Agent;
use crate::common::{LONG, program, until};
use crate::gate::{Gate, Way};
use crate::host::{Book, Booking, Directory, bookkeeper, config, entries};
use crate::proxy::Proxy;

/// A bookkeeper, and one who has something booked, with a gate between them.
struct Books {
    directory: Directory,
    agent: Agent,
    gate: Gate,
    node: Node,
    peer: PeerRef,
    books: RemoteRef<Booking>,
    store: bool,
}

impl Books {
    fn new(store: bool) -> Books {
        let directory = Directory::new();
        let agent = bookkeeper(None, &directory.file("ledger"), store);
        let gate = Gate::new(agent.addr);
        let node = Node::start(config("client")).unwrap();
        let peer = node.connect(gate.addr()).unwrap();
        let books = peer.unchecked("books");
        Books {
            directory,
            agent,
            gate,
            node,
            peer,
            books,
            store,
        }
    }

    /// Has something booked, which is not answered before it may be.
    fn begin(&mut self, amount: u64) -> (CallId, JoinHandle<Result<u64, CallError>>) {
        assert_eq!(self.agent.order("hold"), "holds");
        let (id, call) = book(&self.books, amount);
        until("it is booked", || self.agent.order("has-booked") == "true");
        (id, call)
    }

    fn restart(&mut self) {
        self.agent.kill();
        let ledger = self.directory.file("ledger");
        self.agent = bookkeeper(Some(self.agent.addr), &ledger, self.store);
    }

    /// How often a call has been executed.
    fn count(&self, id: CallId) -> usize {
        let ledger = self.directory.file("ledger");
        let entries = entries(Path::new(&ledger));
        entries.iter().filter(|entry| entry.0 == id).count()
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        self.node.close();
    }
}

fn book(books: &RemoteRef<Booking>, amount: u64) -> (CallId, JoinHandle<Result<u64, CallError>>) {
    let id = CallId::fresh().unwrap();
    let books = books.clone();
    let call = Tasklet::spawn(move || {
        let how = Idempotent::new().id(id).limit(LONG);
        books.call_idempotent(Book { id, amount }, &how)
    });
    (id, call)
}

#[test]
fn a_crash_between_effect_and_answer_is_not_known_of_without_a_store() {
    program(|| {
        let mut books = Books::new(false);
        let (id, call) = books.begin(5);
        assert_eq!(books.count(id), 1);
        books.restart();
        let forgotten = CallError::Refused(Refusal::Forgotten);
        assert_eq!(call.join().unwrap(), Err(forgotten));
        assert_eq!(books.count(id), 1, "it is not executed again");
        // What has not been sent before is executed there.
        let (other, call) = book(&books.books, 1);
        assert_eq!(call.join().unwrap(), Ok(6));
        assert_eq!(books.count(other), 1);
    });
}

#[test]
fn a_crash_between_effect_and_answer_is_known_of_with_a_store() {
    program(|| {
        let mut books = Books::new(true);
        let (id, call) = books.begin(5);
        books.restart();
        assert_eq!(call.join().unwrap(), Ok(5));
        assert_eq!(books.count(id), 1);
    });
}

#[test]
fn a_crash_before_the_effect_has_it_executed_by_the_next_life() {
    program(|| {
        let mut books = Books::new(true);
        // It never arrives there.
        books.gate.shut(Way::There);
        let (id, call) = book(&books.books, 5);
        until("it is sent", || books.peer.held().0 == 1);
        books.restart();
        assert_eq!(books.count(id), 0);
        books.gate.cut();
        books.gate.open();
        assert_eq!(call.join().unwrap(), Ok(5));
        assert_eq!(books.count(id), 1);
    });
}

#[test]
fn an_answer_that_is_lost_on_its_way_is_given_again() {
    program(|| {
        for store in [false, true] {
            let mut books = Books::new(store);
            let (id, call) = books.begin(5);
            books.gate.shut(Way::Back);
            assert_eq!(books.agent.order("release"), "released");
            // It is under way, and gets nowhere.
            books.gate.cut();
            assert!(books.peer.wait_disconnected(LONG));
            books.gate.open();
            assert_eq!(call.join().unwrap(), Ok(5));
            assert_eq!(books.count(id), 1);
        }
    });
}

#[test]
fn one_that_is_stopped_for_too_long_answers_when_it_goes_on() {
    program(|| {
        for store in [false, true] {
            let mut books = Books::new(store);
            let (id, call) = books.begin(5);
            books.agent.stop();
            assert!(books.peer.wait_disconnected(LONG));
            books.agent.go_on();
            assert!(books.peer.wait_connected(LONG));
            assert_eq!(books.agent.order("release"), "released");
            assert_eq!(call.join().unwrap(), Ok(5));
            assert_eq!(books.count(id), 1);
        }
    });
}

/// Has many things booked, by several at a time, through a proxy that makes faults of all sorts; and the bookkeeper is
/// killed in between. Looks at what has been booked.
fn booked_through_faults(store: bool, seed: u64) {
    program(move || {
        let directory = Directory::new();
        let ledger = directory.file("ledger");
        let mut agent = bookkeeper(None, &ledger, store);
        let proxy = Proxy::new(agent.addr, seed, 4);
        let node = Node::start(config("client")).unwrap();
        let peer = node.connect(proxy.addr()).unwrap();
        let callers: Vec<_> = (0..8)
            .map(|n| {
                let books = peer.unchecked::<Booking>("books");
                Tasklet::spawn(move || {
                    let mut dice = Rng::with_seed(seed + n);
                    let mut outcomes = Vec::new();
                    for _ in 0..60 {
                        let id = CallId::fresh().unwrap();
                        let amount = dice.u64(1..1000);
                        let how = Idempotent::new().id(id).limit(LONG);
                        let outcome = books.call_idempotent(Book { id, amount }, &how);
                        outcomes.push((id, amount, outcome));
                    }
                    outcomes
                })
            })
            .collect();
        let mut dice = Rng::with_seed(seed);
        for _ in 0..4 {
            // Not for anything to happen: this is when it is killed.
            Tasklet::sleep(Duration::from_millis(dice.u64(50..400)));
            agent.kill();
            agent = bookkeeper(Some(agent.addr), &ledger, store);
        }
        proxy.calm();
        let mut outcomes = Vec::new();
        for caller in callers {
            outcomes.extend(caller.join().unwrap());
        }
        let mut booked = HashMap::new();
        for (id, amount, sum) in entries(Path::new(&ledger)) {
            let before = booked.insert(id, (amount, sum));
            assert_eq!(before, None, "{id:?} was executed twice, seed {seed}");
        }
        let (mut done, mut forgotten) = (0, 0);
        for (id, amount, outcome) in outcomes {
            match outcome {
                Ok(sum) => {
                    assert_eq!(booked.get(&id), Some(&(amount, sum)), "seed {seed}");
                    done += 1;
                }
                Err(CallError::Refused(Refusal::Forgotten)) if !store => forgotten += 1,
                other => panic!("{id:?}: {other:?}, seed {seed}"),
            }
        }
        assert!(done > 100, "{done} done, {forgotten} forgotten");
        node.close();
    });
}

#[test]
fn with_a_store_all_are_booked_once() {
    booked_through_faults(true, 11);
}

#[test]
fn without_a_store_none_is_booked_twice() {
    booked_through_faults(false, 12);
}
