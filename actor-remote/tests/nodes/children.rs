//! Children of a supervisor at other nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actor_core::sync::Event;
use actor_core::{
    Addr, CallError, Child, Exit, ExitReason, Restart, SendError, Supervisor, Tasklet,
};
use actor_remote::{Config, Node, PeerRef, RemoteActor, RemoteChild, RemoteRef, WhichNode};

use crate::common::{Add, Book, Fail, Keeper, LONG, Note, program, until};

/// A node that offers keepers, and how many it has started.
struct Host {
    node: Node,
    started: Arc<AtomicUsize>,
}

impl Host {
    fn new(addr: &str, name: &str) -> Host {
        let config = Config::new(name).orphan_after(Duration::from_millis(50));
        let node = Node::listen(addr, config).unwrap();
        let started = Arc::<AtomicUsize>::default();
        let counted = started.clone();
        node.offer("keeper", move |sum: u64| {
            counted.fetch_add(1, Ordering::SeqCst);
            let notes = Vec::new();
            Ok(Addr::spawn(Keeper {
                sum,
                notes,
                ..Keeper::default()
            }))
        })
        .protocol::<Book>();
        Host { node, started }
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.node.close();
    }
}

struct Supervised {
    node: Node,
    peers: Vec<PeerRef>,
    supervisor: Addr<Supervisor>,
    child: Addr<RemoteActor<Book>>,
    keeper: RemoteRef<Book>,
}

impl Supervised {
    fn new(
        hosts: &[&Host],
        settings: impl FnOnce(RemoteChild<Book>) -> RemoteChild<Book>,
    ) -> Supervised {
        let quick = Duration::from_millis(20);
        let node = Node::start(Config::new("node").reconnect(quick, quick)).unwrap();
        let connect = |host: &&Host| node.connect(host.node.local_addr().unwrap()).unwrap();
        let peers: Vec<_> = hosts.iter().map(connect).collect();
        let child = settings(RemoteChild::new("keeper", "keeper", 10_u64, peers.clone()));
        let keeper = child.reference();
        let child: Child<_> = child.child().restart(Restart::Permanent);
        let addr = child.addr();
        let supervisor = Supervisor::one_for_one()
            .intensity(20, Duration::from_secs(60))
            .child(child);
        Supervised {
            node,
            peers,
            supervisor: Addr::builder().spawn_ready(supervisor).unwrap(),
            child: addr,
            keeper,
        }
    }

    fn place(&self) -> Option<String> {
        self.child.call_timeout(WhichNode, LONG).ok().flatten()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.supervisor.stop();
        self.supervisor.join();
        self.node.close();
    }
}

#[test]
fn one_that_fails_is_restarted_where_it_was() {
    program(|| {
        let (one, two) = (
            Host::new("127.0.0.1:0", "one"),
            Host::new("127.0.0.1:0", "two"),
        );
        let supervised = Supervised::new(&[&one, &two], |child| child);
        let keeper = &supervised.keeper;
        assert_eq!(keeper.call(Add(1)), Ok(11));
        assert_eq!(supervised.place().as_deref(), Some("one"));
        keeper.send(Fail("out of ink".into())).unwrap();
        until("it is back", || keeper.call(Add(0)) == Ok(10));
        assert_eq!(supervised.place().as_deref(), Some("one"));
        assert_eq!((one.started(), two.started()), (2, 0));
    });
}

#[test]
fn it_ends_with_its_supervisor() {
    program(|| {
        let one = Host::new("127.0.0.1:0", "one");
        let supervised = Supervised::new(&[&one], |child| child);
        let keeper = supervised.keeper.clone();
        assert_eq!(keeper.call(Add(1)), Ok(11));
        drop(supervised);
        let refused = keeper.send(Note(1, String::new()));
        assert!(
            matches!(refused, Err(SendError::Disconnected(_))),
            "{refused:?}"
        );
        // Nothing is left there either: the host has started one, and it has gone.
        assert_eq!(one.started(), 1);
    });
}

#[test]
fn a_node_that_is_back_in_time_still_has_it() {
    program(|| {
        // It does not end what is not claimed before it is.
        let config = Config::new("one");
        let node = Node::listen("127.0.0.1:0", config).unwrap();
        node.offer("keeper", |sum: u64| {
            Ok(Addr::spawn(Keeper {
                sum,
                ..Keeper::default()
            }))
        })
        .protocol::<Book>();
        let one = Host {
            node,
            started: Arc::default(),
        };
        let supervised = Supervised::new(&[&one], |child| child.linger(LONG));
        let keeper = &supervised.keeper;
        assert_eq!(keeper.call(Add(1)), Ok(11));
        one.node.peer("node").unwrap().disconnect();
        assert!(supervised.peers[0].wait_disconnected(LONG));
        until("it is claimed", || keeper.call(Add(0)).is_ok());
        // The same one: it knows what it knew.
        assert_eq!(keeper.call(Add(0)), Ok(11));
    });
}

#[test]
fn a_node_that_has_started_anew_gets_another() {
    program(|| {
        let one = Host::new("127.0.0.1:0", "one");
        let addr = one.node.local_addr().unwrap().to_string();
        let supervised = Supervised::new(&[&one], |child| child.linger(LONG));
        let keeper = &supervised.keeper;
        assert_eq!(keeper.call(Add(1)), Ok(11));
        drop(one);
        assert!(supervised.peers[0].wait_disconnected(LONG));
        let outcome = keeper.call(Add(1));
        assert!(
            matches!(outcome, Err(CallError::Disconnected { .. })),
            "{outcome:?}"
        );
        let again = anew(&addr, "one");
        until("another is there", || keeper.call(Add(0)) == Ok(10));
        assert_eq!(again.started(), 1);
    });
}

/// The same node once more, as soon as its address is free.
fn anew(addr: &str, name: &str) -> Host {
    let mut bound = None;
    until("the address is free", || {
        let config = Config::new(name).orphan_after(Duration::from_millis(50));
        bound = Node::listen(addr, config).ok();
        bound.is_some()
    });
    let node = bound.unwrap();
    let started = Arc::<AtomicUsize>::default();
    let counted = started.clone();
    node.offer("keeper", move |sum: u64| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Addr::spawn(Keeper {
            sum,
            ..Keeper::default()
        }))
    })
    .protocol::<Book>();
    Host { node, started }
}

#[test]
fn one_whose_node_stays_away_is_started_elsewhere() {
    program(|| {
        let (one, two) = (
            Host::new("127.0.0.1:0", "one"),
            Host::new("127.0.0.1:0", "two"),
        );
        let supervised = Supervised::new(&[&one, &two], |child| {
            child.linger(Duration::from_millis(100)).restart_elsewhere()
        });
        let keeper = &supervised.keeper;
        assert_eq!(keeper.call(Add(1)), Ok(11));
        drop(one);
        until("it is elsewhere", || {
            supervised.place().as_deref() == Some("two")
        });
        assert_eq!(keeper.call(Add(0)), Ok(10));
        assert_eq!(two.started(), 1);
    });
}

#[test]
fn one_that_may_not_go_elsewhere_waits_for_its_node() {
    program(|| {
        let (one, two) = (
            Host::new("127.0.0.1:0", "one"),
            Host::new("127.0.0.1:0", "two"),
        );
        let addr = one.node.local_addr().unwrap().to_string();
        let supervised = Supervised::new(&[&one, &two], |child| {
            child.linger(Duration::from_millis(50))
        });
        let keeper = &supervised.keeper;
        assert_eq!(keeper.call(Add(1)), Ok(11));
        drop(one);
        // It fails and waits again, in another life, and then in another.
        let mut failed = 0;
        while failed < 2 {
            let life = supervised.child.monitor();
            let ended = Tasklet::receive_one().unwrap().downcast::<Exit>().unwrap();
            assert_eq!(ended.pid, life.pid());
            match ended.reason {
                ExitReason::Failed(_) => failed += 1,
                // The node has said that it ends it.
                ExitReason::Normal => assert_eq!(failed, 0),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(supervised.place(), None);
        let again = anew(&addr, "one");
        until("it is back", || keeper.call(Add(0)) == Ok(10));
        assert_eq!((again.started(), two.started()), (1, 0));
    });
}

#[test]
fn a_supervisor_that_is_to_stop_waits_for_no_node() {
    program(|| {
        let one = Host::new("127.0.0.1:0", "one");
        let (go, asked) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let alive = Arc::<AtomicUsize>::default();
        one.node
            .offer("keeper", {
                let (go, asked, alive) = (go.clone(), asked.clone(), alive.clone());
                move |sum: u64| {
                    if alive.fetch_add(1, Ordering::SeqCst) > 0 {
                        asked.set();
                        go.wait();
                    }
                    let keeper = Keeper {
                        sum,
                        ..Keeper::default()
                    };
                    Ok(Addr::spawn(keeper))
                }
            })
            .protocol::<Book>();
        let supervised = Supervised::new(&[&one], |child| child);
        supervised.keeper.send(Fail("out of ink".into())).unwrap();
        // The next one does not start: its node would be waited for, for ten seconds.
        asked.wait();
        let began = Instant::now();
        assert_eq!(supervised.place(), None);
        supervised.supervisor.stop();
        supervised.supervisor.join();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        go.set();
    });
}
