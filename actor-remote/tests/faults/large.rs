//! Messages that are longer than a frame, beside small ones.

use std::sync::Arc;

use actor_core::{
    Actor, Addr, Context, Handler, Message, Overflow, Recipient, Refusal, SendError, Tasklet,
};
use actor_remote::protocol;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::common::{Add, Item, LONG, Logged, Pair, config, program, until};

/// Close to the longest message that is taken.
const LARGE: usize = (1 << 20) - 100;

#[test]
fn small_messages_overtake_large_ones_of_others() {
    program(|| {
        let pair = Pair::new();
        // All write into one list, by which it is seen who came first.
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (large, small) = (Logged::into(&seen), Logged::into(&seen));
        let large = pair.expose("large", &large);
        let small = pair.expose("small", &small);
        let filler = "x".repeat(LARGE);
        // Nobody writes while this tasklet runs: so all wait together for the writer.
        large.send(Item(1, filler)).unwrap();
        // The same object: never before it.
        large.send(Item(2, String::new())).unwrap();
        small.send(Item(100, String::new())).unwrap();
        until("all have come", || seen.lock().len() == 3);
        assert_eq!(*seen.lock(), [100, 1, 2]);
    });
}

#[test]
fn large_messages_of_several_go_beside_each_other() {
    program(|| {
        let pair = Pair::new();
        let names: Vec<_> = (0..12).map(|n| format!("log-{n}")).collect();
        let logs: Vec<_> = names.iter().map(|_| Logged::new()).collect();
        let remotes: Vec<_> = names
            .iter()
            .zip(&logs)
            .map(|(name, logged)| pair.expose(name, logged))
            .collect();
        let senders: Vec<_> = remotes
            .into_iter()
            .enumerate()
            .map(|(at, remote)| {
                Tasklet::spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(at as u64);
                    for n in 0..60 {
                        // Around the limits of frames, and up to that of messages.
                        let length = match rng.u8(..4) {
                            0 => rng.usize(..100),
                            1 => 65_000 + rng.usize(..1000),
                            2 => 131_000 + rng.usize(..1000),
                            _ => rng.usize(..LARGE),
                        };
                        remote.send(Item(n, "x".repeat(length))).unwrap();
                    }
                    remote.call(Add(1)).unwrap();
                })
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        for logged in logs {
            assert_eq!(*logged.seen.lock(), (0..60).collect::<Vec<_>>());
        }
    });
}

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "faults.Give")]
struct Give(Recipient<Item>);

protocol! { Taking: Give }

/// Sends something large to whom it is given, and forgets it.
struct Taker;

impl Actor for Taker {}

impl Handler<Give> for Taker {
    fn handle(&mut self, Give(to): Give, _: &mut Context<Self>) {
        to.send(Item(1, "x".repeat(LARGE))).unwrap();
    }
}

#[test]
fn a_handle_lives_until_what_was_sent_to_it_has_come() {
    program(|| {
        let pair = Pair::new();
        let taker = Addr::spawn(Taker);
        pair.server.expose("taker", &taker).protocol::<Taking>();
        let remote = pair.peer.lookup::<Taking>("taker").unwrap();
        let own = Logged::new();
        for n in 1..=10 {
            remote.send(Give(own.addr.recipient())).unwrap();
            until("it has come", || own.seen.lock().len() == n);
        }
        until("it is given back", || pair.peer.held().1 == 0);
        assert_eq!(pair.peer.refused(), 0);
    });
}

#[test]
fn a_handle_that_comes_again_brings_no_more_than_its_mailbox_takes() {
    const ALL: u64 = 20;
    program(|| {
        let pair = Pair::new();
        let taker = Addr::spawn(Taker);
        pair.server.expose("taker", &taker).protocol::<Taking>();
        let remote = pair.peer.lookup::<Taking>("taker").unwrap();
        let own = Logged::stalled(1, Overflow::Block);
        for _ in 0..ALL {
            remote.send(Give(own.addr.recipient())).unwrap();
        }
        // The first have come, and nobody takes what the taker sends: it waits, and the link lasts.
        until("one waits for room", || {
            pair.server
                .peer("client")
                .is_some_and(|client| client.held().2 > 0)
        });
        for n in 1..=100 {
            assert_eq!(pair.log.call(Add(1)), Ok(n));
        }
        assert!(pair.peer.last_end().is_none());
        assert_eq!(*own.seen.lock(), []);
        own.open.set();
        until("all have come", || own.seen.lock().len() == ALL as usize);
        until("the handle is given back", || pair.peer.held().1 == 0);
        assert!(pair.peer.last_end().is_none());
    });
}

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "faults.Back")]
struct Back(Option<Recipient<Item>>, String);

protocol! { Returning: Back }

/// Sends what it is given back to itself by way of another, in something large.
struct Returner(Recipient<Back>);

impl Actor for Returner {}

impl Handler<Back> for Returner {
    fn handle(&mut self, Back(to, _): Back, _: &mut Context<Self>) {
        self.0.send(Back(to, "x".repeat(LARGE))).unwrap();
    }
}

/// Tells whom it is given.
struct Teller;

impl Actor for Teller {}

impl Handler<Back> for Teller {
    fn handle(&mut self, Back(to, _): Back, _: &mut Context<Self>) {
        to.unwrap().send(Item(7, String::new())).unwrap();
    }
}

#[test]
fn a_handle_lives_until_what_it_was_sent_back_in_has_come() {
    program(|| {
        let pair = Pair::new();
        // The client's, which the server knows by a name of its own.
        let teller = Addr::spawn(Teller);
        let own = Logged::new();
        let returner = Arc::new(Mutex::new(None::<Recipient<Back>>));
        let server_side = Addr::spawn(Collect(returner.clone()));
        pair.server
            .expose("collect", &server_side)
            .message::<Hand>();
        let collect = pair.peer.unchecked::<Collecting>("collect");
        collect.send(Hand(teller.recipient())).unwrap();
        until("the server has it", || returner.lock().is_some());
        let to_teller = returner.lock().take().unwrap();
        let back = Addr::spawn(Returner(to_teller));
        pair.server.expose("back", &back).protocol::<Returning>();
        let remote = pair.peer.unchecked::<Returning>("back");
        for n in 1..=10 {
            remote
                .send(Back(Some(own.addr.recipient()), String::new()))
                .unwrap();
            until("it has come", || own.seen.lock().len() == n);
        }
    });
}

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "faults.Hand")]
struct Hand(Recipient<Back>);

protocol! { Collecting: Hand }

/// Keeps what it is given where the test finds it.
struct Collect(Arc<Mutex<Option<Recipient<Back>>>>);

impl Actor for Collect {}

impl Handler<Hand> for Collect {
    fn handle(&mut self, Hand(to): Hand, _: &mut Context<Self>) {
        *self.0.lock() = Some(to);
    }
}

#[test]
fn the_longest_message_and_one_that_is_longer() {
    const MAX: usize = 300_000;

    program(|| {
        let pair = Pair::with(
            config("server").max_message(MAX),
            config("client").max_message(MAX),
        );
        // The number, and the mark and the length of the text.
        let before = 1 + 5;
        pair.log.send(Item(1, "x".repeat(MAX - before))).unwrap();
        let too_big = "x".repeat(MAX - before + 1);
        match pair.log.send(Item(2, too_big)) {
            Err(SendError::Refused(Item(2, text), Refusal::TooBig)) => {
                assert_eq!(text.len(), MAX - before + 1, "it comes back");
            }
            other => panic!("{:?}", other.map_err(|error| error.to_string())),
        }
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        assert_eq!(*pair.logged.seen.lock(), [1]);
        assert_eq!(pair.peer.refused(), 0);
    });
}

#[test]
fn a_message_that_is_longer_than_the_other_side_takes_ends_the_link() {
    program(|| {
        let pair = Pair::with(
            config("server").max_message(100_000),
            config("client").max_message(1 << 20),
        );
        // The other side's limit is not known here: what it claims is refused there before it has come.
        pair.log.send(Item(1, "x".repeat(1 << 19))).unwrap();
        assert!(pair.peer.wait_disconnected(LONG));
        until("there is a link again", || pair.log.call(Add(1)).is_ok());
        assert!(pair.logged.seen.lock().is_empty());
    });
}
