//! Nodes that are killed, and nodes that are stopped for a while.

use std::time::{Duration, Instant};

use actor_core::{CallError, Exit, ExitReason, Tasklet};

use crate::agent::{Agent, GIVE_UP, node};
use crate::common::{Add, Item, LONG, Log, Seen, program, until};

/// The next exit that the current tasklet is told of.
fn exit() -> Exit {
    let message = Tasklet::receive_one().unwrap();
    message.downcast::<Exit>().unwrap()
}

#[test]
fn a_process_that_is_killed_and_started_again() {
    program(|| {
        let mut agent = Agent::start("server");
        let node = node("client");
        let peer = node.connect(agent.addr).unwrap();
        let log = peer.lookup::<Log>("log").unwrap();
        assert_eq!(log.call(Add(5)), Ok(5));
        let before = peer.incarnation().unwrap();
        let monitor = log.monitor();
        let deaf = peer.unchecked::<Log>("deaf");
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let deaf = deaf.clone();
                Tasklet::spawn(move || deaf.call(Add(1)))
            })
            .collect();
        until("all calls are on the way", || {
            peer.held().0 == callers.len()
        });
        // So they have gone, and what comes behind them on the same link as well.
        assert_eq!(log.call(Add(1)), Ok(6));

        agent.kill();
        for caller in callers {
            let maybe_executed = true;
            let outcome = caller.join().unwrap();
            assert_eq!(outcome, Err(CallError::Disconnected { maybe_executed }));
        }
        let told = exit();
        assert_eq!(told.pid, monitor.pid());
        assert!(matches!(told.reason, ExitReason::NoConnection), "{told}");
        assert!(peer.wait_disconnected(LONG));
        let maybe_executed = false;
        assert_eq!(
            log.call(Add(1)),
            Err(CallError::Disconnected { maybe_executed })
        );

        let _again = Agent::start_at("server", agent.addr);
        assert!(peer.wait_connected(LONG));
        assert_ne!(peer.incarnation(), Some(before));
        // By the same reference, and it knows nothing of what was.
        assert_eq!(log.call(Add(1)), Ok(1));
        assert_eq!(Tasklet::pending(), 0, "told once");
        node.close();
    });
}

#[test]
fn a_process_that_is_stopped_for_too_long() {
    program(|| {
        let mut agent = Agent::start("server");
        let node = node("client");
        let peer = node.connect(agent.addr).unwrap();
        let log = peer.lookup::<Log>("log").unwrap();
        for n in 0..100 {
            log.send(Item(n, String::new())).unwrap();
        }
        // The last word that is heard of it comes later.
        let heard = Instant::now();
        assert_eq!(log.call(Add(1)), Ok(1));
        agent.stop();
        let mut sent = 100;
        log.monitor();
        // What is sent in between is taken by the system, and perhaps by the process when it goes on.
        while log.send(Item(sent, String::new())).is_ok() {
            sent += 1;
            Tasklet::sleep(Duration::from_millis(1));
        }
        let lasted = heard.elapsed();
        assert!(lasted >= GIVE_UP, "given up after {lasted:?}");
        let told = exit();
        assert!(matches!(told.reason, ExitReason::NoConnection), "{told}");
        agent.go_on();
        until("there is a link again", || {
            log.call_timeout(Add(1), LONG).is_ok()
        });
        for n in sent..sent + 100 {
            log.send(Item(n, String::new())).unwrap();
        }
        let seen = log.call(Seen).unwrap();
        // In order, none twice, and of the first link all until the end of what has come.
        let gap = seen.iter().enumerate().position(|(at, &n)| at as u64 != n);
        let gap = gap.unwrap_or(seen.len() - 100);
        assert!(gap >= 100, "{gap}");
        assert_eq!(seen[gap..], (sent..sent + 100).collect::<Vec<_>>());
        let here = peers_of(&mut agent);
        assert_eq!(here, "client", "one link at both ends");
        node.close();
    });
}

fn peers_of(agent: &mut Agent) -> String {
    agent.order("peers")
}

#[test]
fn a_process_that_is_stopped_for_a_moment() {
    program(|| {
        let mut agent = Agent::start("server");
        let node = node("client");
        let peer = node.connect(agent.addr).unwrap();
        let log = peer.lookup::<Log>("log").unwrap();
        log.monitor();
        assert_eq!(log.call(Add(1)), Ok(1));
        let send = |numbers: std::ops::Range<u64>| {
            for n in numbers {
                log.send(Item(n, String::new())).unwrap();
            }
        };
        send(0..100);
        agent.stop();
        send(100..200);
        // A call that is answered when it goes on.
        let caller = Tasklet::spawn({
            let log = log.clone();
            move || log.call(Add(1))
        });
        // This is the moment: less than what a link is given up after, and more than after what is asked.
        Tasklet::sleep(GIVE_UP / 3);
        assert_eq!(peer.held().0, 1, "it waits");
        agent.go_on();
        assert_eq!(caller.join().unwrap(), Ok(2));
        send(200..300);
        assert_eq!(log.call(Seen), Ok((0..300).collect()));
        assert_eq!(Tasklet::pending(), 0, "nobody was told of an end");
        assert_eq!(peers_of(&mut agent), "client");
        node.close();
    });
}
