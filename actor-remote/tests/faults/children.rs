//! Children of supervisors at other nodes, where processes are killed and stopped, and the network is parted.
//!
//! Each child holds a lock that is one for all processes of the machine: so it is seen if there are ever two.

use std::time::{Duration, Instant};

use actor_core::{Actor, Addr, Child, Context, Exit, Handler, Supervisor, Tasklet};
use actor_remote::{Node, PeerRef, RemoteChild, RemoteRef, WhichNode};
use fastrand::Rng;

use crate::agent::Agent;
use crate::common::{Add, LONG, program, until};
use crate::gate::{Gate, Way};
use crate::host::{
    Directory, Keeping, LINGER, NEVER, SOON, Supervised, config, host, host_at, were_two,
};

fn node() -> Node {
    Node::start(config("supervisor")).unwrap()
}

fn connect(node: &Node, agents: &[&Agent]) -> Vec<PeerRef> {
    let connect = |agent: &&Agent| node.connect(agent.addr).unwrap();
    agents.iter().map(connect).collect()
}

/// How many children a node has at present.
fn alive(agent: &mut Agent) -> usize {
    agent.order("alive").parse().unwrap()
}

fn started(agent: &mut Agent) -> usize {
    agent.order("started").parse().unwrap()
}

#[test]
fn a_host_that_is_killed_and_comes_back_has_another() {
    program(|| {
        let directory = Directory::new();
        let lock = directory.file("lock");
        let mut one = host("one", NEVER);
        let node = node();
        let peers = connect(&node, &[&one]);
        let supervised = Supervised::new(&lock, &peers, |child| child.linger(LONG));
        assert_eq!(supervised.sum().as_deref(), Some("1"));
        assert_eq!(supervised.sum().as_deref(), Some("2"));
        one.kill();
        assert!(peers[0].wait_disconnected(LONG));
        until("it is known to be away", || supervised.place().is_none());
        let mut again = host_at("one", one.addr, NEVER);
        until("another is there", || {
            supervised.sum().as_deref() == Some("1")
        });
        assert_eq!((alive(&mut again), started(&mut again)), (1, 1));
        assert!(!were_two(&lock));
        drop(supervised);
        until("it has gone", || alive(&mut again) == 0);
        node.close();
    });
}

#[test]
fn a_host_that_is_killed_loses_it_to_another() {
    program(|| {
        let directory = Directory::new();
        let lock = directory.file("lock");
        let (mut one, mut two) = (host("one", SOON), host("two", SOON));
        let node = node();
        let peers = connect(&node, &[&one, &two]);
        let supervised = Supervised::new(&lock, &peers, |child| {
            child.linger(LINGER).restart_elsewhere()
        });
        assert_eq!(supervised.sum().as_deref(), Some("1"));
        let killed = Instant::now();
        one.kill();
        until("it is elsewhere", || {
            supervised.place().as_deref() == Some("two")
        });
        assert!(killed.elapsed() >= LINGER, "{:?}", killed.elapsed());
        assert_eq!(supervised.sum().as_deref(), Some("1"));
        // The first comes back, and nothing of it.
        let mut again = host_at("one", one.addr, SOON);
        assert!(peers[0].wait_connected(LONG));
        assert_eq!(supervised.sum().as_deref(), Some("2"));
        assert_eq!((alive(&mut again), alive(&mut two)), (0, 1));
        assert!(!were_two(&lock));
        drop(supervised);
        until("it has gone", || alive(&mut two) == 0);
        node.close();
    });
}

#[test]
fn a_host_that_is_stopped_for_too_long_ends_it_when_it_goes_on() {
    program(|| {
        let directory = Directory::new();
        let lock = directory.file("lock");
        let (mut one, mut two) = (host("one", SOON), host("two", SOON));
        let node = node();
        let peers = connect(&node, &[&one, &two]);
        let supervised = Supervised::new(&lock, &peers, |child| {
            child.linger(LINGER).restart_elsewhere()
        });
        assert_eq!(supervised.sum().as_deref(), Some("1"));
        one.stop();
        until("it is elsewhere", || {
            supervised.place().as_deref() == Some("two")
        });
        // This is what cannot be promised: the old one has not ended, though it can do nothing.
        assert!(were_two(&lock));
        one.go_on();
        until("it has ended", || alive(&mut one) == 0);
        assert_eq!((alive(&mut two), started(&mut one)), (1, 1));
        assert_eq!(supervised.sum().as_deref(), Some("1"));
        node.close();
    });
}

/// A supervisor here, with a gate between it and the only host.
struct Gated {
    directory: Directory,
    one: Agent,
    gate: Gate,
    node: Node,
    peer: PeerRef,
}

impl Gated {
    fn new(orphans: Duration) -> Gated {
        let one = host("one", orphans);
        let gate = Gate::new(one.addr);
        let node = node();
        let peer = node.connect(gate.addr()).unwrap();
        Gated {
            directory: Directory::new(),
            one,
            gate,
            node,
            peer,
        }
    }

    fn lock(&self) -> String {
        self.directory.file("lock")
    }

    fn supervised(&self, linger: Duration) -> Supervised {
        let peers = [self.peer.clone()];
        Supervised::new(&self.lock(), &peers, |child| child.linger(linger))
    }
}

#[test]
fn a_link_that_is_mended_in_time_leaves_it_as_it_was() {
    program(|| {
        let mut gated = Gated::new(NEVER);
        let supervised = gated.supervised(LONG);
        for sum in 1..6 {
            assert_eq!(supervised.sum(), Some(sum.to_string()));
            gated.gate.shut_both();
            gated.gate.cut();
            assert!(gated.peer.wait_disconnected(LONG));
            until("it is known to be away", || supervised.place().is_none());
            gated.gate.open();
            until("it is claimed", || supervised.place().is_some());
        }
        assert_eq!((alive(&mut gated.one), started(&mut gated.one)), (1, 1));
        gated.node.close();
    });
}

#[test]
fn a_link_that_is_mended_too_late_for_its_host_finds_another() {
    program(|| {
        let mut gated = Gated::new(SOON);
        let supervised = gated.supervised(LONG);
        assert_eq!(supervised.sum().as_deref(), Some("1"));
        gated.gate.shut_both();
        until("its host has ended it", || alive(&mut gated.one) == 0);
        gated.gate.open();
        until("another is there", || {
            supervised.sum().as_deref() == Some("1")
        });
        assert_eq!((alive(&mut gated.one), started(&mut gated.one)), (1, 2));
        assert!(!were_two(&gated.lock()));
        gated.node.close();
    });
}

#[test]
fn one_that_was_given_up_is_ended_before_there_is_another() {
    program(|| {
        let mut gated = Gated::new(NEVER);
        let supervised = gated.supervised(Duration::from_millis(50));
        assert_eq!(supervised.sum().as_deref(), Some("1"));
        gated.gate.shut_both();
        gated.gate.cut();
        assert!(gated.peer.wait_disconnected(LONG));
        // It waits for as long as it lingers and fails, at least twice.
        let until_then = Instant::now() + Duration::from_millis(300);
        until("time has passed", || Instant::now() > until_then);
        assert_eq!(alive(&mut gated.one), 1, "its host has kept it");
        gated.gate.open();
        until("another is there", || {
            supervised.sum().as_deref() == Some("1")
        });
        assert_eq!((alive(&mut gated.one), started(&mut gated.one)), (1, 2));
        assert!(!were_two(&gated.lock()));
        gated.node.close();
    });
}

#[test]
fn a_parted_network_has_one_at_a_time() {
    program(|| {
        for shut in [&[Way::There, Way::Back][..], &[Way::There], &[Way::Back]] {
            let directory = Directory::new();
            let lock = directory.file("lock");
            let (mut one, mut two) = (host("one", SOON), host("two", SOON));
            let gate = Gate::new(one.addr);
            let node = node();
            let peers = [
                node.connect(gate.addr()).unwrap(),
                node.connect(two.addr).unwrap(),
            ];
            let supervised = Supervised::new(&lock, &peers, |child| {
                child.linger(LINGER).restart_elsewhere()
            });
            assert_eq!(supervised.sum().as_deref(), Some("1"));
            for way in shut {
                gate.shut(*way);
            }
            until("it is elsewhere", || {
                supervised.place().as_deref() == Some("two")
            });
            assert_eq!((alive(&mut one), alive(&mut two)), (0, 1), "{shut:?}");
            gate.open();
            assert!(peers[0].wait_connected(LONG));
            assert_eq!(supervised.sum().as_deref(), Some("1"));
            assert!(!were_two(&lock), "{shut:?}");
            node.close();
        }
    });
}

#[test]
fn faults_at_random_leave_one() {
    program(|| {
        let seed = fastrand::u64(..);
        let mut dice = Rng::with_seed(seed);
        let directory = Directory::new();
        let lock = directory.file("lock");
        let (mut one, mut two) = (host("one", SOON), host("two", SOON));
        let gates = [Gate::new(one.addr), Gate::new(two.addr)];
        let node = node();
        let peers: Vec<_> = gates
            .iter()
            .map(|gate| node.connect(gate.addr()).unwrap())
            .collect();
        let supervised = Supervised::new(&lock, &peers, |child| {
            child.linger(LINGER).restart_elsewhere()
        });
        let until_then = Instant::now() + Duration::from_secs(6);
        while Instant::now() < until_then {
            let gate = &gates[dice.usize(..2)];
            match dice.u32(..4) {
                0 => gate.cut(),
                1 => gate.shut_both(),
                2 => gate.shut(if dice.bool() { Way::There } else { Way::Back }),
                _ => gate.open(),
            }
            // Not for anything to happen: this is when the next fault comes.
            let longest = if dice.u32(..5) == 0 { 1500 } else { 50 };
            Tasklet::sleep(Duration::from_millis(dice.u64(1..longest)));
        }
        for gate in &gates {
            gate.open();
        }
        until("there is one", || supervised.sum().is_some());
        until("there is only one", || {
            alive(&mut one) + alive(&mut two) == 1
        });
        let started = (started(&mut one), started(&mut two));
        assert!(!were_two(&lock), "seed {seed}, {started:?} started");
        drop(supervised);
        until("there is none", || alive(&mut one) + alive(&mut two) == 0);
        node.close();
    });
}

#[test]
fn children_of_a_lost_supervisor_are_ended() {
    program(|| {
        let directory = Directory::new();
        let lock = directory.file("lock");
        let mut one = host("one", SOON);
        let mut lost = host("lost", NEVER);
        let order = format!("supervise {lock} {}", one.addr);
        assert_eq!(lost.order(&order), "1");
        assert_eq!(alive(&mut one), 1);
        let killed = Instant::now();
        lost.kill();
        until("it has ended", || alive(&mut one) == 0);
        assert!(killed.elapsed() >= SOON, "{:?}", killed.elapsed());
    });
}

#[test]
fn a_supervisor_that_starts_anew_ends_what_its_last_life_has_left() {
    program(|| {
        let directory = Directory::new();
        let lock = directory.file("lock");
        let mut one = host("one", NEVER);
        let order = format!("supervise {lock} {}", one.addr);
        let mut lost = host("lost", NEVER);
        assert_eq!(lost.order(&order), "1");
        lost.kill();
        let mut again = host("lost", NEVER);
        assert_eq!(again.order(&order), "1");
        assert_eq!((alive(&mut one), started(&mut one)), (1, 2));
        assert!(!were_two(&lock));
    });
}

/// Fails when it is told to.
struct Sibling;

impl Actor for Sibling {}

impl Handler<Add> for Sibling {
    fn handle(&mut self, _: Add, ctx: &mut Context<Self>) -> u64 {
        ctx.fail("told to");
        0
    }
}

#[test]
fn what_an_earlier_life_has_waited_for_concerns_no_later_one() {
    program(|| {
        let mut gated = Gated::new(NEVER);
        let child = RemoteChild::new("keeper", "keeper", gated.lock(), [gated.peer.clone()]);
        let child = child.linger(LONG);
        let keeper: RemoteRef<Keeping> = child.reference();
        let (child, sibling) = (child.child(), Child::new("sibling", || Sibling));
        let (own, sibling_addr) = (child.addr(), sibling.addr());
        let supervisor = Supervisor::one_for_all()
            .intensity(10, LONG)
            .child(child)
            .child(sibling);
        let supervisor = Addr::builder().spawn_ready(supervisor).unwrap();
        assert_eq!(keeper.call(Add(1)), Ok(1));
        gated.gate.shut_both();
        gated.gate.cut();
        assert!(gated.peer.wait_disconnected(LONG));
        // It waits for its node; and is restarted with its sibling, several times, and waits again.
        until("it is known to be away", || own.call(WhichNode) == Ok(None));
        for _ in 0..3 {
            let life = own.monitor();
            sibling_addr.call(Add(1)).ok();
            let ended = Tasklet::receive_one().unwrap().downcast::<Exit>().unwrap();
            assert_eq!(ended.pid, life.pid());
        }
        gated.gate.open();
        until("there is another", || keeper.call(Add(1)) == Ok(1));
        for sum in 2..20 {
            assert_eq!(keeper.call(Add(1)), Ok(sum));
        }
        assert_eq!((alive(&mut gated.one), started(&mut gated.one)), (1, 2));
        assert!(!were_two(&gated.lock()));
        supervisor.stop();
        supervisor.join();
        until("it has gone", || alive(&mut gated.one) == 0);
        gated.node.close();
    });
}
