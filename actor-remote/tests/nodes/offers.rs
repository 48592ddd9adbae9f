//! Actors that other nodes have started.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Actor, Addr, Context, ExitReason, Handler, Recipient, Tasklet};
use actor_remote::{Config, Node, PeerRef, RemoteSpawnError, protocol};

use crate::common::{Add, Book, Fail, Keeper, LONG, Note, Notes, program, until};

protocol! { Adding: Add }
protocol! { Noting: Note, Notes }

/// One that counts from somewhere, and how many of them there are.
struct Guest {
    sum: u64,
    alive: Arc<AtomicUsize>,
    told: Option<Recipient<Note>>,
}

impl Guest {
    fn new(sum: u64, alive: &Arc<AtomicUsize>) -> Guest {
        alive.fetch_add(1, Ordering::SeqCst);
        let alive = alive.clone();
        let told = None;
        Guest { sum, alive, told }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Actor for Guest {}

impl Handler<Add> for Guest {
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.sum += n;
        if let Some(told) = &self.told {
            told.send(Note(self.sum, String::new())).unwrap();
        }
        self.sum
    }
}

/// A host that offers guests, and a node that is linked with it.
struct Hosted {
    host: Node,
    node: Node,
    peer: PeerRef,
    alive: Arc<AtomicUsize>,
}

impl Hosted {
    fn new(host: Config) -> Hosted {
        Hosted::that_returns_after(host, Duration::from_millis(20))
    }

    /// One whose node connects again after a random part of this.
    fn that_returns_after(host: Config, pause: Duration) -> Hosted {
        let host = Node::listen("127.0.0.1:0", host).unwrap();
        let alive = Arc::<AtomicUsize>::default();
        let counted = alive.clone();
        host.offer("guest", move |from: u64| {
            Ok(Addr::spawn(Guest::new(from, &counted)))
        })
        .protocol::<Adding>();
        let node = Node::start(Config::new("node").reconnect(pause, pause)).unwrap();
        let peer = node.connect(host.local_addr().unwrap()).unwrap();
        Hosted {
            host,
            node,
            peer,
            alive,
        }
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    /// How many links the host reads, or has not wound up.
    fn readers(&self) -> usize {
        let tree = Tasklet::current().tree().to_string();
        tree.matches("connection 127.0.0.1").count()
    }

    /// Breaks the link; the node connects again.
    fn cut(&self) {
        self.host.peer("node").unwrap().disconnect();
        assert!(self.peer.wait_disconnected(LONG));
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.node.close();
        self.host.close();
    }
}

#[test]
fn an_actor_is_started_over_there_and_stopped() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let guest = hosted.peer.spawn::<Adding>("guest", &40_u64).unwrap();
        assert_eq!(guest.node(), "host");
        assert_eq!(guest.reference().call(Add(2)), Ok(42));
        let other = hosted.peer.spawn::<Adding>("guest", &0_u64).unwrap();
        assert_eq!(other.reference().call(Add(1)), Ok(1));
        assert_eq!(hosted.alive(), 2);
        assert!(guest.stop());
        let reason = guest.join_timeout(LONG);
        assert!(matches!(reason, Some(ExitReason::Stopped)), "{reason:?}");
        assert_eq!(hosted.alive(), 1);
        assert!(other.kill());
        let reason = other.join_timeout(LONG);
        assert!(matches!(reason, Some(ExitReason::Killed)), "{reason:?}");
        until("both have gone", || hosted.alive() == 0);
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let host = &hosted.host;
        host.offer("broken", |_: u64| {
            Err::<Addr<Keeper>, _>("out of paper".into())
        })
        .protocol::<Book>();
        host.offer("wild", |_: u64| -> Result<Addr<Keeper>, _> {
            panic!("not today")
        })
        .protocol::<Book>();

        let peer = &hosted.peer;
        let unknown = peer.spawn::<Adding>("nothing", &1_u64).unwrap_err();
        assert!(matches!(unknown, RemoteSpawnError::Unknown), "{unknown:?}");
        // Others of its messages than it has been offered for.
        let other = peer.spawn::<Noting>("guest", &1_u64).unwrap_err();
        assert!(matches!(other, RemoteSpawnError::Refused(_)), "{other:?}");
        let arguments = peer.spawn::<Adding>("guest", &"text").unwrap_err();
        assert!(
            matches!(arguments, RemoteSpawnError::Refused(_)),
            "{arguments:?}"
        );
        match peer.spawn::<Book>("broken", &1_u64).unwrap_err() {
            RemoteSpawnError::Failed(error) => assert_eq!(error.to_string(), "out of paper"),
            other => panic!("{other:?}"),
        }
        match peer.spawn::<Book>("wild", &1_u64).unwrap_err() {
            RemoteSpawnError::Failed(error) => {
                assert!(error.to_string().contains("not today"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(hosted.alive(), 0);
        assert_eq!(peer.held(), (0, 0, 0));
        // The link has borne it all.
        assert_eq!(
            peer.spawn::<Adding>("guest", &1_u64).unwrap().node(),
            "host"
        );
    });
}

#[test]
fn recipients_go_along_as_arguments() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let alive = hosted.alive.clone();
        hosted
            .host
            .offer("teller", move |(from, told): (u64, Recipient<Note>)| {
                let mut guest = Guest::new(from, &alive);
                guest.told = Some(told);
                Ok(Addr::spawn(guest))
            })
            .protocol::<Adding>();
        let own = Addr::spawn(Keeper::default());
        let args = (1_u64, own.recipient::<Note>());
        let guest = hosted.peer.spawn::<Adding>("teller", &args).unwrap();
        assert_eq!(guest.reference().call(Add(1)), Ok(2));
        until("it has been told", || own.call(Notes).unwrap() == [2]);
    });
}

#[test]
fn one_that_starts_too_slowly_is_ended() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let go = Arc::new(Event::new());
        let started = Arc::new(Event::new());
        let alive = hosted.alive.clone();
        hosted
            .host
            .offer("slow", {
                let (go, started) = (go.clone(), started.clone());
                move |from: u64| {
                    go.wait();
                    let guest = Addr::spawn(Guest::new(from, &alive));
                    started.set();
                    Ok(guest)
                }
            })
            .protocol::<Adding>();
        let limit = Duration::from_millis(10);
        let late = hosted
            .peer
            .spawn_timeout::<Adding>("slow", &1_u64, limit)
            .unwrap_err();
        assert!(matches!(late, RemoteSpawnError::Timeout), "{late:?}");
        // Behind the word that it is to end: so that has come.
        hosted.peer.spawn::<Adding>("guest", &1_u64).unwrap().stop();
        go.set();
        started.wait();
        until("it has gone", || hosted.alive() == 0);
        until("the handle is given back", || {
            let there = hosted.host.peer("node").unwrap();
            there.held().1 <= 1 && hosted.peer.held().0 == 0
        });
    });
}

#[test]
fn nobody_else_ends_it() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let guest = hosted.peer.spawn::<Adding>("guest", &1_u64).unwrap();
        let other = Node::start(Config::new("other")).unwrap();
        let peer = other.connect(hosted.host.local_addr().unwrap()).unwrap();
        // The same number is another's, or nobody's, in the mouth of another node.
        let own = peer.spawn::<Adding>("guest", &7_u64).unwrap();
        assert!(own.stop());
        assert!(own.join_timeout(LONG).is_some());
        assert_eq!(guest.reference().call(Add(1)), Ok(2));
        other.close();
    });
}

#[test]
fn it_is_claimed_over_the_next_link() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let guest = hosted.peer.spawn::<Adding>("guest", &1_u64).unwrap();
        assert_eq!(guest.reference().call(Add(1)), Ok(2));
        hosted.cut();
        assert!(guest.reference().call(Add(1)).is_err());
        assert!(hosted.peer.wait_connected(LONG));
        let again = guest.claim().unwrap();
        assert_eq!(again.call(Add(1)), Ok(3));
        assert_eq!(guest.reference(), again);
        assert_eq!(hosted.alive(), 1);
        assert!(guest.stop());
        assert!(guest.join_timeout(LONG).is_some());
        let gone = guest.claim().unwrap_err();
        assert!(matches!(gone, RemoteSpawnError::Gone), "{gone:?}");
    });
}

#[test]
fn one_that_nobody_claims_is_ended() {
    program(|| {
        let hosted = Hosted::new(Config::new("host").orphan_after(Duration::from_millis(100)));
        let guest = hosted.peer.spawn::<Adding>("guest", &1_u64).unwrap();
        let claimed = hosted.peer.spawn::<Adding>("guest", &1_u64).unwrap();
        hosted.cut();
        assert!(hosted.peer.wait_connected(LONG));
        claimed.claim().unwrap();
        until("the other has gone", || hosted.alive() == 1);
        assert_eq!(claimed.reference().call(Add(1)), Ok(2));
        let gone = guest.claim().unwrap_err();
        assert!(matches!(gone, RemoteSpawnError::Gone), "{gone:?}");
    });
}

#[test]
fn a_node_that_is_closed_keeps_nothing() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let guest = hosted.peer.spawn::<Adding>("guest", &1_u64).unwrap();
        hosted.host.close();
        until("it has gone", || hosted.alive() == 0);
        assert!(guest.join_timeout(LONG).is_some());
    });
}

#[test]
fn tasklets_are_started_as_well() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        hosted
            .host
            .offer("tasklet", |()| {
                let tasklet = Tasklet::spawn(|| {
                    for message in Tasklet::receive() {
                        let (Add(n), reply) = message.downcast_call::<Add>().unwrap();
                        reply.send(n + 1);
                    }
                });
                Ok(tasklet.tasklet().clone())
            })
            .protocol::<Adding>();
        let guest = hosted.peer.spawn::<Adding>("tasklet", &()).unwrap();
        assert_eq!(guest.reference().call(Add(1)), Ok(2));
        // It is nobody's child over whose link it was started.
        hosted.cut();
        assert!(hosted.peer.wait_connected(LONG));
        assert_eq!(guest.claim().unwrap().call(Add(2)), Ok(3));
        until("the old link is wound up", || hosted.readers() == 1);
        assert_eq!(guest.reference().call(Add(3)), Ok(4));
        assert!(guest.stop());
        assert!(guest.join_timeout(LONG).is_some());
    });
}

#[test]
fn its_failure_is_told() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        hosted
            .host
            .offer("keeper", |()| Ok(Addr::spawn(Keeper::default())))
            .protocol::<Book>();
        let guest = hosted.peer.spawn::<Book>("keeper", &()).unwrap();
        guest.reference().send(Fail("out of ink".into())).unwrap();
        match guest.join_timeout(LONG) {
            Some(ExitReason::Panicked(text)) => assert!(text.contains("out of ink"), "{text}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn the_word_to_end_it_does_not_overtake_a_long_order() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let alive = hosted.alive.clone();
        let started = Arc::new(AtomicUsize::new(0));
        hosted
            .host
            .offer("long", {
                let started = started.clone();
                move |text: String| {
                    started.fetch_add(1, Ordering::SeqCst);
                    Ok(Addr::spawn(Guest::new(text.len() as u64, &alive)))
                }
            })
            .protocol::<Adding>();
        let text = "x".repeat(900_000);
        for n in 1..=5 {
            // Given up before it has gone, in pieces.
            let late = hosted
                .peer
                .spawn_timeout::<Adding>("long", &text, Duration::ZERO)
                .unwrap_err();
            assert!(matches!(late, RemoteSpawnError::Timeout), "{late:?}");
            until("it has been started, or not", || {
                started.load(Ordering::SeqCst) == n
            });
        }
        until("all have gone", || hosted.alive() == 0);
        let guest = hosted.peer.spawn::<Adding>("long", &text).unwrap();
        assert_eq!(guest.reference().call(Add(1)), Ok(900_001));
    });
}

#[test]
fn one_that_was_told_to_end_is_claimed_by_nobody() {
    program(|| {
        let hosted = Hosted::new(Config::new("host"));
        let go = Arc::new(Event::new());
        let told = Arc::new(Event::new());
        hosted
            .host
            .offer("stubborn", {
                let (go, told) = (go.clone(), told.clone());
                move |()| {
                    let (go, told) = (go.clone(), told.clone());
                    let tasklet = Tasklet::spawn(move || {
                        // Until it is told to end; and then it takes its time.
                        Tasklet::receive().for_each(drop);
                        told.set();
                        go.wait();
                    });
                    Ok(tasklet.tasklet().clone())
                }
            })
            .protocol::<Adding>();
        let guest = hosted.peer.spawn::<Adding>("stubborn", &()).unwrap();
        assert!(guest.stop());
        told.wait();
        let guest = Arc::new(guest);
        let claims = Tasklet::spawn({
            let guest = guest.clone();
            move || guest.claim()
        });
        // Behind the claim: so that has come.
        hosted.peer.spawn::<Adding>("guest", &1_u64).unwrap();
        let early = claims.tasklet().wait_timeout(Duration::ZERO);
        assert!(early.is_err(), "it is not gone yet");
        go.set();
        let gone = claims.join().unwrap().unwrap_err();
        assert!(matches!(gone, RemoteSpawnError::Gone), "{gone:?}");
    });
}

#[test]
fn the_next_process_of_a_name_finds_nothing_of_the_last() {
    program(|| {
        // The first is not to come back, as a process would not that is killed without a word.
        let hours = Duration::from_secs(1_000_000);
        let hosted = Hosted::that_returns_after(Config::new("host"), hours);
        hosted.peer.spawn::<Adding>("guest", &1_u64).unwrap();
        assert_eq!(hosted.alive(), 1);
        let next = Node::start(Config::new("node")).unwrap();
        let peer = next.connect(hosted.host.local_addr().unwrap()).unwrap();
        let guest = peer.spawn::<Adding>("guest", &5_u64).unwrap();
        assert_eq!(hosted.alive(), 1, "the first has ended before");
        assert_eq!(guest.reference().call(Add(1)), Ok(6));
        next.close();
    });
}
