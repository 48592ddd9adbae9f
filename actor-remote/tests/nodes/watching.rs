//! Monitors and links over the border.

use std::sync::Arc;

use actor_core::sync::Event;
use actor_core::{Addr, Exit, ExitReason, Tasklet};
use actor_remote::RemoteRef;

use crate::common::{Add, Book, Fail, Keeper, LONG, Pair, deaf, program, until};

/// The next exit that the current tasklet is told of.
fn exit() -> Exit {
    let message = Tasklet::receive_one().unwrap();
    message.downcast::<Exit>().unwrap()
}

fn lookup(pair: &Pair) -> RemoteRef<Book> {
    pair.peer.lookup::<Book>("keeper").unwrap()
}

#[test]
fn an_end_is_told() {
    program(|| {
        let pair = Pair::new();
        let keeper = lookup(&pair);
        let monitor = keeper.monitor();
        assert_eq!(Some(monitor.pid()), keeper.pid());
        // So that it is watched over there.
        assert_eq!(keeper.call(Add(1)), Ok(1));
        pair.keeper.stop();
        let exit = exit();
        assert_eq!(exit.pid, monitor.pid());
        assert!(matches!(exit.reason, ExitReason::Stopped), "{exit}");
        assert!(!exit.linked);
        assert_eq!(&*exit.name, "server/keeper");
    });
}

#[test]
fn a_panic_is_told_with_its_text() {
    program(|| {
        let pair = Pair::new();
        let keeper = lookup(&pair);
        keeper.monitor();
        keeper.send(Fail("out of ink".into())).unwrap();
        match exit().reason {
            ExitReason::Panicked(text) => assert!(text.contains("out of ink"), "{text}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn who_has_ended_before_is_told_at_once() {
    program(|| {
        let pair = Pair::new();
        let keeper = lookup(&pair);
        pair.keeper.stop();
        pair.keeper.join();
        keeper.monitor();
        let reason = exit().reason;
        assert!(matches!(reason, ExitReason::Stopped), "{reason:?}");
    });
}

#[test]
fn a_broken_link_is_told_once() {
    program(|| {
        let pair = Pair::new();
        let keeper = lookup(&pair);
        keeper.monitor();
        pair.server.close();
        let told = exit();
        assert!(matches!(told.reason, ExitReason::NoConnection), "{told}");
        assert!(told.reason.is_abnormal());
        assert!(pair.peer.wait_disconnected(LONG));
        // Without a link there is nothing to watch.
        keeper.monitor();
        let told = exit();
        assert!(matches!(told.reason, ExitReason::NoConnection), "{told}");
        assert_eq!(Tasklet::pending(), 0);
    });
}

#[test]
fn linked_tasklets_end_together() {
    program(|| {
        let pair = Pair::new();
        let (over_there, _) = deaf();
        pair.server
            .expose("deaf", over_there.tasklet())
            .message::<Add>();
        let remote = pair.peer.unchecked::<Book>("deaf");
        // The one here ends first.
        let here = Tasklet::spawn({
            let keeper = lookup(&pair);
            move || {
                remote.link();
                // What comes behind it has come, so it has.
                keeper.call(Add(1)).unwrap();
                panic!("enough");
            }
        });
        over_there.wait_timeout(LONG).unwrap();
        assert!(here.join().is_err());

        // And the one there.
        let (over_there, _) = deaf();
        pair.server
            .expose("deaf", over_there.tasklet())
            .message::<Add>();
        let remote = pair.peer.unchecked::<Book>("deaf");
        let here = Tasklet::spawn(move || {
            remote.link();
            Tasklet::sleep(LONG);
        });
        let keeper = lookup(&pair);
        while here.is_alive() && keeper.call(Add(1)).unwrap() < 3 {}
        over_there.kill();
        here.wait_timeout(LONG).unwrap();
        assert!(here.join().is_err());
    });
}

#[test]
fn each_who_is_linked_with_one_is_for_itself() {
    program(|| {
        let pair = Pair::new();
        let (over_there, _) = deaf();
        pair.server
            .expose("deaf", over_there.tasklet())
            .message::<Add>();
        let remote = pair.peer.unchecked::<Book>("deaf");
        let keeper = lookup(&pair);
        // Another is linked with it all the time, a first one twice, and one that ends in peace.
        let go = Arc::new(Event::new());
        let other = Tasklet::spawn({
            let (remote, keeper, go) = (remote.clone(), keeper.clone(), go.clone());
            move || {
                remote.link();
                keeper.call(Add(1)).unwrap();
                go.wait();
                panic!("enough");
            }
        });
        let peaceful = |twice: bool| {
            let (remote, keeper) = (remote.clone(), keeper.clone());
            Tasklet::spawn(move || {
                remote.link();
                if twice {
                    remote.link();
                    remote.unlink();
                }
                keeper.call(Add(1)).unwrap();
            })
        };
        peaceful(true).join().unwrap();
        peaceful(false).join().unwrap();
        while keeper.call(Add(0)).unwrap() < 3 {}
        assert!(over_there.is_alive());
        go.set();
        over_there.wait_timeout(LONG).unwrap();
        assert!(other.join().is_err());
    });
}

#[test]
fn who_has_taken_a_link_back_is_not_ended() {
    program(|| {
        let pair = Pair::new();
        let (over_there, _) = deaf();
        pair.server
            .expose("deaf", over_there.tasklet())
            .message::<Add>();
        let remote = pair.peer.unchecked::<Book>("deaf");
        let keeper = lookup(&pair);
        let here = Tasklet::spawn({
            let keeper = keeper.clone();
            move || {
                remote.link();
                keeper.call(Add(1)).unwrap();
                remote.unlink();
                keeper.call(Add(1)).unwrap();
                panic!("alone");
            }
        });
        assert!(here.join().is_err());
        // What it has left behind has come before this.
        keeper.call(Add(1)).unwrap();
        pair.peer.disconnect();
        assert!(pair.peer.wait_disconnected(LONG));
        until("the server notices", || pair.server.peers().is_empty());
        assert!(over_there.is_alive());
        over_there.kill();
    });
}

#[test]
fn the_break_of_a_link_ends_both_who_are_linked() {
    program(|| {
        let pair = Pair::new();
        let (over_there, _) = deaf();
        pair.server
            .expose("deaf", over_there.tasklet())
            .message::<Add>();
        let remote = pair.peer.unchecked::<Book>("deaf");
        let here = Tasklet::spawn(move || {
            remote.link();
            Tasklet::sleep(LONG);
        });
        let keeper = lookup(&pair);
        while keeper.call(Add(1)).unwrap() < 3 {}
        pair.peer.disconnect();
        here.wait_timeout(LONG).unwrap();
        over_there.wait_timeout(LONG).unwrap();
    });
}

#[test]
fn one_of_this_node_is_watched_as_ever() {
    program(|| {
        let pair = Pair::new();
        let own = Addr::spawn(Keeper::default());
        let reference = RemoteRef::<Book>::new(&own);
        reference.monitor();
        own.stop();
        let told = exit();
        assert_eq!(told.pid, own.pid());
        drop(pair);
    });
}
