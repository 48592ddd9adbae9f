//! How links come to their end in order.

use actor_core::{CallError, Overflow, Tasklet};
use actor_remote::Node;

use crate::common::{Add, Item, LONG, Log, Logged, Pair, config, program, until};
use crate::gate::Gate;

#[test]
fn what_was_accepted_before_a_close_arrives() {
    program(|| {
        let pair = Pair::new();
        let mut accepted = 0;
        for n in 0..3000 {
            // Some are longer than a frame, and go in pieces.
            let length = if n % 300 == 299 { 500_000 } else { 500 };
            pair.log.send(Item(n, "x".repeat(length))).unwrap();
            accepted += 1;
        }
        pair.client.close();
        // Nothing more is.
        assert!(pair.log.send(Item(9999, String::new())).is_err());
        // Twice is once.
        pair.client.close();
        until("all have come", || {
            pair.logged.seen.lock().len() == accepted
        });
        assert!(pair.peer.wait_disconnected(LONG));
        let seen = pair.logged.seen.lock().clone();
        assert_eq!(seen, (0..3000).collect::<Vec<_>>());
    });
}

#[test]
fn what_senders_were_told_during_a_close_is_true() {
    program(|| {
        let pair = Pair::new();
        let senders: Vec<_> = (0..8u64)
            .map(|sender| {
                let logged = Logged::new();
                let remote = pair.expose(&format!("log-{sender}"), &logged);
                let task = Tasklet::spawn(move || {
                    let mut accepted = 0;
                    // Some go in pieces.
                    let length = |n| if n % 50 == sender { 200_000 } else { 1000 };
                    while remote
                        .send(Item(accepted, "x".repeat(length(accepted))))
                        .is_ok()
                    {
                        accepted += 1;
                        Tasklet::yield_now();
                    }
                    accepted
                });
                (task, logged)
            })
            .collect();
        until("they are at it", || {
            senders
                .iter()
                .all(|(_, logged)| logged.seen.lock().len() > 20)
        });
        pair.client.close();
        for (task, logged) in senders {
            let accepted = task.join().unwrap();
            until("all that was accepted has come", || {
                logged.seen.lock().len() as u64 == accepted
            });
            assert_eq!(*logged.seen.lock(), (0..accepted).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_close_answers_what_was_called() {
    program(|| {
        let pair = Pair::new();
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let log = pair.log.clone();
                Tasklet::spawn(move || {
                    let mut answered = 0;
                    loop {
                        match log.call(Add(1)) {
                            Ok(_) => answered += 1,
                            Err(CallError::Disconnected { maybe_executed }) => {
                                return (answered, u64::from(maybe_executed));
                            }
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                })
            })
            .collect();
        until("they are at it", || {
            pair.logged.addr.call(Add(0)).unwrap() > 500
        });
        pair.server.close();
        let (mut surely, mut perhaps) = (0, 0);
        for caller in callers {
            let (answered, maybe) = caller.join().unwrap();
            surely += answered;
            perhaps += maybe;
        }
        let sum = pair.logged.addr.call(Add(0)).unwrap();
        assert!(
            surely <= sum && sum <= surely + perhaps,
            "{surely} {sum} {perhaps}"
        );
    });
}

#[test]
fn a_node_that_is_dropped_goes_on_until_it_is_closed() {
    program(|| {
        let server = Node::listen("127.0.0.1:0", config("server")).unwrap();
        let logged = Logged::new();
        server.expose("log", &logged.addr).protocol::<Log>();
        let client = Node::start(config("client")).unwrap();
        let peer = client.connect(server.local_addr().unwrap()).unwrap();
        let log = peer.lookup::<Log>("log").unwrap();
        // Who has a peer has its node.
        drop(client);
        assert_eq!(log.call(Add(1)), Ok(1));
        let clone = server.clone();
        drop(server);
        assert_eq!(log.call(Add(1)), Ok(2));
        clone.close();
        assert!(peer.wait_disconnected(LONG));
        peer.disconnect();
        assert!(!peer.is_connected());
    });
}

#[test]
fn who_disconnects_while_a_link_is_being_made_has_none() {
    program(|| {
        let patient = |name| config(name).handshakes(LONG, 16);
        let server = Node::listen("127.0.0.1:0", patient("server")).unwrap();
        let gate = Gate::new(server.local_addr().unwrap());
        let client = Node::start(patient("client")).unwrap();
        let peer = client.connect(gate.addr()).unwrap();
        gate.shut_both();
        gate.cut();
        assert!(peer.wait_disconnected(LONG));
        until("another link is being made", || gate.come() == 2);
        peer.disconnect();
        drop(peer);
        gate.open();
        // Nobody is forgotten with whom there is a link, or is to be one.
        until("there is none", || client.peer("server").is_none());
        client.close();
        server.close();
    });
}

#[test]
fn who_connects_after_a_goodbye_has_a_link_that_lasts() {
    program(|| {
        let server = Node::listen("127.0.0.1:0", config("server")).unwrap();
        let logged = Logged::new();
        server.expose("log", &logged.addr).protocol::<Log>();
        let gate = Gate::new(server.local_addr().unwrap());
        let client = Node::start(config("client").handshakes(LONG, 16)).unwrap();
        let peer = client.connect(gate.addr()).unwrap();
        assert!(peer.is_connected());
        gate.shut_both();
        // The goodbye does not get through, and the link is there until it has waited for long enough.
        peer.disconnect();
        assert!(!peer.is_connected());
        assert!(client.peers().is_empty());
        client.connect(server.local_addr().unwrap()).unwrap();
        assert!(peer.is_connected());
        let log = peer.lookup::<Log>("log").unwrap();
        assert_eq!(log.call(Add(1)), Ok(1));
        client.close();
        server.close();
    });
}

#[test]
fn what_waits_of_a_link_does_not_come_behind_what_the_next_one_brings() {
    program(|| {
        let pair = Pair::new();
        let stalled = Logged::stalled(2, Overflow::Block);
        let remote = pair.expose("stalled", &stalled);
        for n in 0..20 {
            remote.send(Item(n, String::new())).unwrap();
        }
        pair.peer.disconnect();
        assert!(pair.peer.wait_disconnected(LONG));
        let addr = pair.server.local_addr().unwrap();
        pair.client.connect(addr).unwrap();
        for n in 100..110 {
            remote.send(Item(n, String::new())).unwrap();
        }
        // Behind these: they have come, and wait.
        pair.peer.lookup::<Log>("stalled").unwrap();
        stalled.open.set();
        until("all of the next one have come", || {
            stalled.seen.lock().contains(&109)
        });
        let seen = stalled.seen.lock().clone();
        assert!(seen.is_sorted(), "{seen:?}");
    });
}
