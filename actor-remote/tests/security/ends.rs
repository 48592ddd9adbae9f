//! Ends of links: in order, and not.

use std::thread;
use std::time::{Duration, Instant};

use actor_core::{CallError, Tasklet, block_on_thread};
use actor_remote::LinkEnd;
use actor_remote::handshake::Config;
use actor_remote::wire::frame::Kind;

use crate::common::{Add, LONG, Log, Logged, Pair, config, until};
use crate::raw::{Raw, alone, frame};

#[test]
fn a_connection_that_ends_without_a_goodbye_has_broken() {
    alone(|| {
        let pair = Pair::new();
        let addr = pair.server.local_addr().unwrap();
        for says_goodbye in [false, true] {
            let mut raw = block_on_thread(move || {
                let mut raw = Raw::begun(addr, Config::new("leaves", 1));
                raw.ping();
                raw
            });
            let peer = pair.server.peer("leaves").unwrap();
            let call = Tasklet::spawn({
                let there = peer.unchecked::<Log>("there");
                move || there.call(Add(1))
            });
            block_on_thread(move || {
                raw.next(Kind::Call);
                if says_goodbye {
                    raw.send(&frame(Kind::Goodbye, 0, 0, &[]));
                }
            });
            assert!(peer.wait_disconnected(LONG));
            let end = peer.last_end();
            if says_goodbye {
                assert!(matches!(end, Some(LinkEnd::Closed)), "{end:?}");
            } else {
                assert!(matches!(end, Some(LinkEnd::Cut)), "{end:?}");
            }
            // It was read over there.
            let outcome = call.join().unwrap();
            let maybe_executed = true;
            assert_eq!(outcome, Err(CallError::Disconnected { maybe_executed }));
        }
    });
}

#[test]
fn both_sides_of_a_link_that_is_closed_know_that_it_was() {
    alone(|| {
        let pair = Pair::new();
        let mut known = None;
        until("the server has the link", || {
            known = pair.server.peer("client");
            known.is_some()
        });
        let at_server = known.unwrap();
        assert!(pair.peer.last_end().is_none());
        pair.server.close();
        for peer in [&pair.peer, &at_server] {
            assert!(peer.wait_disconnected(LONG));
            let end = peer.last_end();
            assert!(
                matches!(end, Some(LinkEnd::Closed)),
                "{end:?} of {}",
                peer.name()
            );
        }
    });
}

#[test]
fn a_connection_that_is_not_taken_into_use_ends_nobody_else() {
    alone(|| {
        let pair = Pair::new();
        let offers_one = |_: u64| Ok(Logged::new().addr);
        pair.server.offer("log", offers_one).protocol::<Log>();
        let guest = pair.peer.spawn::<Log>("log", &0_u64).unwrap();
        let log = guest.reference();
        assert_eq!(log.call(Add(1)), Ok(1));
        // Another process of the same name, which has shaken hands, and no more.
        let addr = pair.server.local_addr().unwrap();
        let is_over = block_on_thread(move || {
            let raw = Raw::agreed(addr, Config::new("client", 1));
            raw.ends_the_link(&frame(Kind::Ping, 0, 0, &[]))
        });
        assert!(is_over);
        for n in 2..20 {
            assert_eq!(log.call(Add(1)), Ok(n));
        }
    });
}

#[test]
fn a_link_that_is_never_begun_ends_though_its_maker_speaks() {
    alone(|| {
        let (ask, give_up) = (Duration::from_millis(20), Duration::from_millis(200));
        let server = config("server").heartbeat(ask, give_up);
        let pair = Pair::with(server, config("client"));
        let addr = pair.server.local_addr().unwrap();
        block_on_thread(move || {
            let mut raw = Raw::agreed(addr, Config::new("lingers", 1));
            let limit = Instant::now() + LONG;
            // Records with nothing in them: the other side is never silent.
            while raw.try_send(&[]) {
                assert!(Instant::now() < limit, "it is still there");
                thread::sleep(ask / 4);
            }
        });
        assert_eq!(pair.log.call(Add(1)), Ok(1));
    });
}
