//! Nodes that connect to each other at the same time.

use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Addr, JoinHandle, Placement, Tasklet};
use actor_remote::{Config, Node, PeerRef};

use crate::common::{Add, Book, Keeper, LONG, program, until};

fn node(name: &str) -> Node {
    let node = Node::listen("127.0.0.1:0", Config::new(name)).unwrap();
    node.expose("keeper", &Addr::spawn(Keeper::default()))
        .protocol::<Book>();
    node
}

/// Connects to another when `go` says so, after a moment, and calls it at once and on and on until `enough` does.
fn connects(
    from: &Node,
    to: &Node,
    pause: Duration,
    (go, enough): &(Arc<Event>, Arc<Event>),
) -> JoinHandle<PeerRef> {
    let (from, addr) = (from.clone(), to.local_addr().unwrap());
    let (go, enough) = (go.clone(), enough.clone());
    Tasklet::builder()
        .placement(Placement::LeastLoaded)
        .spawn(move || {
            go.wait();
            Tasklet::sleep(pause);
            let peer = from.connect(addr).unwrap();
            let keeper = peer.unchecked::<Book>("keeper");
            let mut calls = 0;
            while calls < 20 || !enough.is_set() {
                calls += 1;
                let answer = keeper.call_timeout(Add(1), LONG);
                assert_eq!(answer, Ok(calls), "{:?}", peer.last_end());
            }
            peer
        })
        .unwrap()
}

#[test]
fn no_call_is_lost_when_both_connect() {
    program(|| {
        for round in 0..150 {
            let (one, other) = (node("one"), node("other"));
            let events = (Arc::new(Event::new()), Arc::new(Event::new()));
            let mut rng = fastrand::Rng::with_seed(round);
            let mut pause = || Duration::from_micros(rng.u64(..400));
            let both = [
                connects(&one, &other, pause(), &events),
                connects(&other, &one, pause(), &events),
            ];
            events.0.set();
            // Until both have a link, and so see which one it is.
            until("both are linked", || {
                one.peers().len() == 1 && other.peers().len() == 1
            });
            events.1.set();
            for connected in both {
                let peer = connected.join().unwrap();
                assert!(peer.is_connected());
                assert!(peer.last_end().is_none(), "{:?}", peer.last_end());
            }
            one.close();
            other.close();
        }
    });
}

#[test]
fn who_connects_again_and_again_has_one_link() {
    program(|| {
        let (one, other) = (node("one"), node("other"));
        let events = (Arc::new(Event::new()), Arc::new(Event::new()));
        let rest = node("rest");
        let first = connects(&one, &other, Duration::ZERO, &events);
        events.0.set();
        let addr = other.local_addr().unwrap();
        let again: Vec<_> = (0..20)
            .map(|_| {
                let one = one.clone();
                Tasklet::spawn(move || one.connect(addr).unwrap())
            })
            .collect();
        for again in again {
            assert!(again.join().unwrap().last_end().is_none());
        }
        events.1.set();
        first.join().unwrap();
        // One that has left connects again, and what it had before is good again.
        let peer = one.peer("other").unwrap();
        let keeper = peer.unchecked::<Book>("keeper");
        let sum = keeper.call(Add(0)).unwrap();
        for _ in 0..20 {
            peer.disconnect();
            assert!(peer.wait_disconnected(LONG));
            one.connect(addr).unwrap();
            assert_eq!(keeper.call(Add(0)), Ok(sum));
        }
        for node in [one, other, rest] {
            node.close();
        }
    });
}

#[test]
fn those_who_are_left_are_forgotten() {
    program(|| {
        let one = Node::start(Config::new("one")).unwrap();
        let mut kept = None;
        for round in 0..50 {
            let name = format!("other-{round}");
            let other = node(&name);
            let peer = one.connect(other.local_addr().unwrap()).unwrap();
            if round % 2 == 0 {
                peer.disconnect();
                drop(peer);
                until("it is forgotten", || one.peer(&name).is_none());
            } else {
                // With the next ones.
                peer.disconnect();
                assert!(peer.wait_disconnected(LONG));
                kept = Some(peer);
            }
            other.close();
        }
        drop(kept);
        let left = (0..50).filter(|round| one.peer(&format!("other-{round}")).is_some());
        assert!(left.count() < 30);
        one.close();
    });
}
