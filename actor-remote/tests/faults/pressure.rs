//! Receivers that stall, and what their senders notice.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actor_core::{CallError, JoinError, Overflow, SendError, Tasklet};
use actor_remote::{Full, RemoteRef};

use crate::common::{Add, Item, LONG, Log, Logged, Pair, config, program, until};

/// A message of a kilobyte.
fn item(number: u64) -> Item {
    Item(number, "x".repeat(1000))
}

/// Sends until it has to wait; how many have gone.
fn fill(log: &RemoteRef<Log>) -> u64 {
    let mut sent = 0;
    loop {
        match log.try_send(item(sent)) {
            Ok(()) => sent += 1,
            Err(SendError::Full(Item(number, text))) => {
                assert_eq!((number, text.len()), (sent, 1000), "it comes back whole");
                return sent;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(sent < 100_000, "it is bounded");
        if sent % 64 == 0 {
            Tasklet::yield_now();
        }
    }
}

#[test]
fn a_receiver_that_stalls_stalls_its_senders_alone() {
    program(|| {
        let pair = Pair::new();
        let stalled = Logged::stalled(4, Overflow::Block);
        let remote = pair.expose("stalled", &stalled);
        let sent = Arc::new(AtomicU64::new(0));
        let sender = Tasklet::spawn({
            let (remote, sent) = (remote.clone(), sent.clone());
            move || {
                for n in 0..5000 {
                    remote.send(item(n)).unwrap();
                    sent.store(n + 1, Ordering::Release);
                }
            }
        });
        // It waits: whoever does not want to is told.
        until("there is no room", || {
            matches!(remote.try_send(item(9999)), Err(SendError::Full(_)))
                && sent.load(Ordering::Acquire) > 500
        });
        // One that has a limit waits as long as that.
        let late = remote.call_timeout(Add(1), Duration::from_millis(20));
        assert_eq!(late, Err(CallError::Timeout));
        // Others on the same link go on.
        for n in 0..2000 {
            pair.log.send(item(n)).unwrap();
        }
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        assert_eq!(pair.logged.seen.lock().len(), 2000);
        assert!(sender.is_alive());
        assert!(sent.load(Ordering::Acquire) < 5000, "bounded");
        assert_eq!(*stalled.seen.lock(), []);

        stalled.open.set();
        sender.join().unwrap();
        let all = |seen: &[u64]| seen.iter().filter(|&&n| n != 9999).count() == 5000;
        until("all have come", || all(&stalled.seen.lock()));
        let mut seen = stalled.seen.lock().clone();
        seen.retain(|&n| n != 9999);
        assert_eq!(seen, (0..5000).collect::<Vec<_>>());
        assert_eq!(pair.peer.refused(), 0);
    });
}

#[test]
fn senders_that_wait_can_be_killed() {
    program(|| {
        let pair = Pair::new();
        let stalled = Logged::stalled(4, Overflow::Block);
        let remote = pair.expose("stalled", &stalled);
        let filled = fill(&remote);
        let senders: Vec<_> = (0..20)
            .map(|n| {
                let remote = remote.clone();
                Tasklet::spawn(move || {
                    if n % 2 == 0 {
                        remote.send(item(100_000 + n)).unwrap();
                    } else {
                        let _ = remote.call(Add(1));
                    }
                })
            })
            .collect();
        for sender in &senders {
            // It has come to where it waits, or is killed before.
            Tasklet::yield_now();
            sender.kill();
        }
        for sender in senders {
            assert!(matches!(sender.join(), Err(JoinError::Killed)));
        }
        assert_eq!(pair.peer.held().0, 0, "no call is left");
        stalled.open.set();
        until("all others have come", || {
            stalled.seen.lock().len() as u64 == filled
        });
        // Whoever comes next has room.
        remote.send(item(filled)).unwrap();
        assert_eq!(remote.call(Add(1)), Ok(1));
        assert_eq!(*stalled.seen.lock(), (0..=filled).collect::<Vec<_>>());
    });
}

#[test]
fn a_send_that_waits_ends_with_its_link() {
    program(|| {
        let pair = Pair::new();
        let stalled = Logged::stalled(4, Overflow::Block);
        let remote = pair.expose("stalled", &stalled);
        fill(&remote);
        let caller = Tasklet::spawn({
            let remote = remote.clone();
            move || remote.call(Add(1))
        });
        let sender = Tasklet::spawn(move || {
            let error = remote.send(item(7)).unwrap_err();
            assert!(
                matches!(error, SendError::Disconnected(Item(7, _))),
                "{error}"
            );
        });
        Tasklet::yield_now();
        pair.peer.disconnect();
        sender.join().unwrap();
        // It never went, so it has not been executed.
        let maybe_executed = false;
        assert_eq!(
            caller.join().unwrap(),
            Err(CallError::Disconnected { maybe_executed })
        );
        stalled.open.set();
    });
}

#[test]
fn a_sender_may_rather_fail() {
    program(|| {
        let client = config("client").outbox(1 << 20, 1000, Full::Fail);
        let pair = Pair::with(config("server"), client);
        let stalled = Logged::stalled(4, Overflow::Block);
        let remote = pair.expose("stalled", &stalled);
        let filled = fill(&remote);
        assert!(matches!(
            remote.send(item(1)),
            Err(SendError::Full(Item(1, _)))
        ));
        assert_eq!(remote.call(Add(1)), Err(CallError::Full));
        stalled.open.set();
        until("all have come", || {
            stalled.seen.lock().len() as u64 == filled
        });
        until("there is room again", || remote.call(Add(1)).is_ok());
    });
}

#[test]
fn a_sender_may_rather_drop() {
    program(|| {
        let client = config("client").outbox(1 << 20, 1000, Full::DropNewest);
        let pair = Pair::with(config("server"), client);
        let stalled = Logged::stalled(4, Overflow::Block);
        let remote = pair.expose("stalled", &stalled);
        let filled = fill(&remote);
        for n in 0..100 {
            remote.send(item(50_000 + n)).unwrap();
        }
        // Nobody would answer it.
        assert_eq!(remote.call(Add(1)), Err(CallError::Full));
        stalled.open.set();
        until("all others have come", || {
            stalled.seen.lock().len() as u64 == filled
        });
        until("there is room again", || remote.call(Add(1)).is_ok());
        assert_eq!(*stalled.seen.lock(), (0..filled).collect::<Vec<_>>());
    });
}

/// Passes bytes on both ways, until the client's are not to be read any more.
fn valve(target: std::net::SocketAddr) -> (std::net::SocketAddr, Arc<actor_core::sync::Event>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let shut = Arc::new(actor_core::sync::Event::new());
    let closed = shut.clone();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(target).unwrap();
        let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || pass(back.0, back.1, None));
        pass(client, server, Some(&closed));
    });
    (addr, shut)
}

fn pass(mut from: TcpStream, mut to: TcpStream, shut: Option<&actor_core::sync::Event>) {
    let mut buffer = [0; 4096];
    loop {
        if shut.is_some_and(|shut| shut.is_set()) {
            // Until the other side has had enough.
            std::thread::park();
        }
        match from.read(&mut buffer) {
            Ok(count) if count > 0 && to.write_all(&buffer[..count]).is_ok() => {}
            _ => return,
        }
    }
}

#[test]
fn a_node_that_reads_no_more() {
    program(|| {
        let settings = |name: &str| {
            config(name)
                .heartbeat(Duration::from_millis(100), Duration::from_secs(2))
                .outbox(1 << 20, 2000, Full::Block)
        };
        let mut shut = None;
        let pair = Pair::through(settings("server"), settings("client"), |addr| {
            let (addr, event) = valve(addr);
            shut = Some(event);
            addr
        });
        let other = Pair::new();
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        shut.unwrap().set();
        let mut sent = 0u64;
        // Bounded by what the system takes, and the outbox.
        let error = loop {
            match pair.log.try_send(Item(sent, "x".repeat(10_000))) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(sent < 10_000);
            Tasklet::yield_now();
        };
        assert!(matches!(error, SendError::Full(_)), "{error}");
        // Links with others are as ever.
        assert_eq!(other.log.call(Add(1)), Ok(1));
        // Whoever waits is told when the link is given up.
        let waits = pair.log.send(Item(sent, String::new()));
        assert!(
            matches!(waits, Err(SendError::Disconnected(_))),
            "{waits:?}"
        );
        assert!(pair.peer.wait_disconnected(LONG));
        assert_eq!(other.log.call(Add(1)), Ok(2));
    });
}
