//! Messages and calls.

use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Actor, Addr, CallError, Context, Handler, Refusal, SendError, Tasklet};
use actor_remote::Config;

use crate::common::{Add, Book, LONG, Length, Note, Notes, Pair, deaf, program, until};

#[test]
fn a_call_is_answered() {
    program(|| {
        let pair = Pair::new();
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        assert_eq!(keeper.call(Add(2)), Ok(2));
        assert_eq!(keeper.call(Add(3)), Ok(5));
        // The same as a recipient.
        assert_eq!(keeper.recipient::<Add>().call(Add(1)), Ok(6));
        // And from a plain thread.
        let from_thread = keeper.clone();
        let thread = std::thread::spawn(move || from_thread.call(Add(4)));
        while !thread.is_finished() {
            Tasklet::yield_now();
        }
        assert_eq!(thread.join().unwrap(), Ok(10));
    });
}

#[test]
fn messages_come_in_their_order() {
    program(|| {
        let pair = Pair::new();
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        for n in 0..20_000 {
            // Now and then one that is longer than a frame: those behind it must not overtake it.
            let length = if n % 1000 == 7 { 200_000 } else { 10 };
            keeper.send(Note(n, "x".repeat(length))).unwrap();
        }
        let notes = keeper.call(Notes).unwrap();
        assert_eq!(notes, (0..20_000).collect::<Vec<_>>());
    });
}

#[test]
fn many_calls_are_under_way_at_a_time() {
    program(|| {
        let pair = Pair::new();
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        let callers: Vec<_> = (0..500)
            .map(|_| {
                let keeper = keeper.clone();
                Tasklet::spawn(move || {
                    for _ in 0..20 {
                        keeper.call(Add(1)).unwrap();
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!(keeper.call(Add(0)), Ok(10_000));
        assert_eq!(pair.peer.held().0, 0);
    });
}

#[test]
fn a_message_that_is_too_big_comes_back() {
    program(|| {
        let small = |name: &str| Config::new(name).max_message(100_000);
        let pair = Pair::with(small("server"), small("client"));
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        let fits = vec!["y".repeat(50_000), "z".repeat(40_000)];
        assert_eq!(keeper.call(Length(fits)), Ok(90_000));
        match keeper.send(Note(1, "x".repeat(100_001))) {
            Err(SendError::Refused(Note(1, text), Refusal::TooBig)) => {
                assert_eq!(text.len(), 100_001);
            }
            other => panic!("{other:?}"),
        }
        // The link is none the worse.
        assert_eq!(keeper.call(Add(1)), Ok(1));
    });
}

#[test]
fn a_call_that_is_not_answered_in_time_is_forgotten() {
    program(|| {
        let pair = Pair::with(
            Config::new("server"),
            Config::new("client").heartbeat(Duration::from_millis(20), LONG),
        );
        let (deaf, _) = deaf();
        pair.server.expose("deaf", deaf.tasklet()).message::<Add>();
        let remote = pair.peer.unchecked::<Book>("deaf");
        let late = remote.call_timeout(Add(1), Duration::from_millis(5));
        assert_eq!(late, Err(CallError::Timeout));
        // Nothing is kept for it.
        until("the call is forgotten", || pair.peer.held().0 == 0);
        deaf.kill();
    });
}

#[test]
fn a_broken_link_ends_calls() {
    program(|| {
        let pair = Pair::new();
        let (deaf, taken) = deaf();
        pair.server.expose("deaf", deaf.tasklet()).message::<Add>();
        let remote = pair.peer.lookup::<Book>("deaf");
        // It takes no more than that one class.
        assert!(remote.is_err());
        let remote = pair.peer.unchecked::<Book>("deaf");
        let caller = Tasklet::spawn(move || {
            let outcome = remote.call(Add(1));
            (outcome, remote)
        });
        taken.wait_timeout(LONG).unwrap();
        pair.server.close();
        let (outcome, remote) = caller.join().unwrap();
        let maybe_executed = true;
        assert_eq!(outcome, Err(CallError::Disconnected { maybe_executed }));
        // And there is no link any more.
        assert!(pair.peer.wait_disconnected(LONG));
        let maybe_executed = false;
        assert_eq!(
            remote.call(Add(1)),
            Err(CallError::Disconnected { maybe_executed })
        );
        assert_eq!(
            remote.try_send(Note(1, String::new())),
            Err(SendError::Disconnected(Note(1, String::new())))
        );
        deaf.kill();
    });
}

/// Is at its first call until it may go on.
struct Slow {
    sum: u64,
    begun: Arc<Event>,
    go: Arc<Event>,
}

impl Actor for Slow {}

impl Handler<Add> for Slow {
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.begun.set();
        self.go.wait();
        self.sum += n;
        self.sum
    }
}

#[test]
fn a_call_that_was_given_up_is_not_executed_if_it_still_waits() {
    program(|| {
        let ask = Duration::from_millis(20);
        let pair = Pair::with(
            Config::new("server"),
            Config::new("client").heartbeat(ask, LONG),
        );
        let (begun, go) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let slow = Addr::spawn(Slow {
            sum: 0,
            begun: begun.clone(),
            go: go.clone(),
        });
        pair.server.expose("slow", &slow).message::<Add>();
        let remote = pair.peer.unchecked::<Book>("slow");
        let first = Tasklet::spawn({
            let remote = remote.clone();
            move || remote.call_timeout(Add(1), LONG)
        });
        begun.wait();
        // They wait behind it, until nobody waits for them.
        for n in [10, 100] {
            let answer = remote.call_timeout(Add(n), Duration::from_millis(1));
            assert_eq!(answer, Err(CallError::Timeout));
        }
        remote.send(Add(1000)).unwrap();
        until("they are forgotten", || pair.peer.held().0 == 1);
        // The second question comes behind the word of that.
        for _ in 0..2 {
            pair.peer.lookup::<Book>("keeper").unwrap();
        }
        go.set();
        assert_eq!(first.join().unwrap(), Ok(1));
        assert_eq!(remote.call(Add(0)), Ok(1001));
    });
}
