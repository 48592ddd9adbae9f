//! The broker: which topics match, who is sent what, and who drops out.

mod common;

use std::sync::Arc;
use std::thread;

use actor_core::{
    Actor, Addr, Broker, Child, Context, Handler, Mailbox, Message, Overflow, Placement, Recipient,
    Restart, Supervisor, Tasklet, TopicError,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message, Clone, Debug, PartialEq)]
struct Note(usize);

#[derive(Message)]
#[message(reply = Vec<usize>)]
struct Heard;

#[derive(Message)]
struct Crash;

/// Keeps what it hears.
#[derive(Default)]
struct Listener(Vec<usize>);

impl Actor for Listener {}

impl Handler<Note> for Listener {
    fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) {
        self.0.push(n);
    }
}

impl Handler<Heard> for Listener {
    fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> Vec<usize> {
        self.0.clone()
    }
}

impl Handler<Crash> for Listener {
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("as told");
    }
}

fn listener_on(worker: usize) -> Addr<Listener> {
    let builder = Addr::builder().placement(Placement::Worker(worker));
    builder.spawn(Listener::default()).unwrap()
}

#[track_caller]
fn join_actor<A: Actor>(addr: &Addr<A>) {
    promptly(|limit| addr.join_timeout(limit)).expect("the actor ends");
}

/// A recipient that counts.
fn counter() -> (Recipient<Note>, Count) {
    let count = Count::new();
    let counted = count.clone();
    let to = Recipient::from_fn(move |_: Note| {
        counted.up();
    });
    (to, count)
}

/// What the table in NATS's documentation says, and more.
#[test]
fn patterns_match_as_in_nats() {
    let matches = [
        ("a", "a", true),
        ("a", "b", false),
        ("a", "a.b", false),
        ("a.b", "a", false),
        ("a.b", "a.b", true),
        ("*", "a", true),
        ("*", "a.b", false),
        ("a.*", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("*.b", "a.b", true),
        ("a.*.c", "a.b.c", true),
        ("a.*.c", "a.b.d", false),
        ("a.*.c", "a.b.b.c", false),
        ("*.*", "a.b", true),
        (">", "a", true),
        (">", "a.b.c", true),
        ("a.>", "a.b", true),
        ("a.>", "a.b.c.d", true),
        ("a.>", "a", false),
        ("a.>", "b.a", false),
        ("a.*.>", "a.b.c", true),
        ("a.*.>", "a.b", false),
        ("*.*.>", "a.b.c.d", true),
        ("Ä.ö", "Ä.ö", true),
        ("a", "A", false),
        ("a b", "a b", true),
    ];
    for (pattern, topic, expected) in matches {
        let broker = Broker::new();
        let (to, count) = counter();
        broker.subscribe(pattern, to).unwrap();
        let taken = broker.publish(topic, Note(1)).unwrap();
        assert_eq!(taken, usize::from(expected), "{pattern} and {topic}");
        assert_eq!(count.get(), taken);
    }
}

#[test]
fn what_is_no_topic_is_an_error() {
    let broker = Broker::new();
    let subscribe = |pattern: &str| broker.subscribe(pattern, counter().0).unwrap_err();
    for empty in ["", ".", "a.", ".a", "a..b"] {
        let error = TopicError::EmptyToken {
            topic: empty.into(),
        };
        assert_eq!(subscribe(empty), error);
        assert_eq!(broker.publish(empty, Note(1)), Err(error));
    }
    for wrong in ["a.>.b", ">.a", ">.>", "a*", "*a.b", "a.>b", "**"] {
        let topic = wrong.into();
        assert_eq!(subscribe(wrong), TopicError::Wildcard { topic });
    }
    for wild in ["*", ">", "a.*", "a.>", "a*"] {
        let topic = wild.into();
        let error = TopicError::Wildcard { topic };
        assert_eq!(broker.publish(wild, Note(1)), Err(error));
    }
    let deep = ["a"; 64].join(".");
    broker.subscribe(&deep, counter().0).unwrap();
    assert_eq!(broker.publish(&deep, Note(1)), Ok(1));
    let deeper = deep + ".a";
    assert_eq!(subscribe(&deeper), TopicError::TooDeep { limit: 64 });
    assert!(broker.publish(&deeper, Note(1)).is_err());
}

#[test]
fn each_subscription_is_sent_its_own() {
    run(|| {
        let broker = Broker::new();
        let listener = listener_on(0);
        broker.subscribe("a.*", &listener).unwrap();
        broker.subscribe("a.b", &listener).unwrap();
        broker.subscribe("a.b", &listener).unwrap();
        broker.subscribe(">", &listener).unwrap();
        broker.subscribe("c", Tasklet::current()).unwrap();
        assert_eq!(broker.subscriptions(), 5);
        assert_eq!(broker.publish("a.b", Note(1)), Ok(4));
        assert_eq!(broker.publish("a.c", Note(2)), Ok(2));
        assert_eq!(broker.publish("c", Note(3)), Ok(2));
        assert_eq!(listener.call(Heard).unwrap(), [1, 1, 1, 1, 2, 2, 3]);
        assert!(Tasklet::receive_one().unwrap().is::<Note>());
    });
}

#[test]
fn a_subscription_ends_when_it_is_taken_back() {
    let broker = Broker::new();
    let patterns = ["a", "a.*", "a.*.c", "a.>", ">", "*"];
    let subscriptions: Vec<_> = patterns
        .iter()
        .map(|pattern| broker.subscribe(pattern, counter().0).unwrap())
        .collect();
    assert_eq!(broker.subscriptions(), 6);
    for (subscription, pattern) in subscriptions.iter().zip(patterns) {
        assert_eq!(subscription.pattern(), pattern);
        assert!(subscription.unsubscribe());
        assert!(!subscription.unsubscribe());
    }
    assert_eq!(broker.subscriptions(), 0);
    for topic in ["a", "a.b", "a.b.c"] {
        assert_eq!(broker.publish(topic, Note(1)), Ok(0));
    }
    let last = broker.subscribe("a", counter().0).unwrap();
    drop(broker);
    assert!(!last.unsubscribe());
}

#[test]
fn a_subscriber_that_ends_drops_out_at_once() {
    run(|| {
        let broker = Broker::new();
        for round in 0..200 {
            let listener = listener_on(round);
            broker.subscribe("a.b", &listener).unwrap();
            broker.subscribe("a.>", &listener).unwrap();
            assert_eq!(broker.publish("a.b", Note(round)), Ok(2));
            match round % 3 {
                0 => listener.stop(),
                1 => listener.kill(),
                _ => listener.send(Crash).unwrap(),
            }
            join_actor(&listener);
            assert_eq!(broker.subscriptions(), 0);
        }
        let listener = listener_on(0);
        listener.stop();
        join_actor(&listener);
        broker.subscribe("a.b", &listener).unwrap();
        assert_eq!(broker.subscriptions(), 0);
    });
}

#[test]
fn who_ends_while_it_subscribes_leaves_nothing_behind() {
    run(|| {
        let broker = Broker::new();
        for round in 0..500 {
            let listener = listener_on(round);
            listener.stop();
            broker.subscribe("a.b", &listener).unwrap();
            join_actor(&listener);
            wait_until(|| broker.subscriptions() == 0);
        }
        assert_eq!(broker.publish("a.b", Note(1)), Ok(0));
    });
}

#[test]
fn a_supervised_subscriber_stays_from_life_to_life() {
    run(|| {
        let child = Child::new("listener", Listener::default).restart(Restart::Transient);
        let listener = child.addr();
        let broker = Broker::new();
        broker.subscribe("a", &listener).unwrap();
        let supervisor = Supervisor::one_for_one()
            .intensity(9, PATIENCE)
            .child(child);
        let supervisor = Addr::spawn(supervisor);
        assert_eq!(listener.call(Heard).unwrap(), []);
        listener.send(Crash).unwrap();
        assert_eq!(broker.publish("a", Note(1)), Ok(1));
        assert_eq!(listener.call(Heard).unwrap(), [1]);
        drop(supervisor);
    });
}

#[test]
fn a_subscription_is_a_reference_and_a_broker_is_none_of_its_subscribers_business() {
    run(|| {
        let broker = Broker::new();
        let listener = listener_on(1);
        let weak = listener.downgrade();
        broker.subscribe("a", listener).unwrap();
        for _ in 0..20 {
            Tasklet::yield_now();
        }
        assert_eq!(broker.publish("a", Note(1)), Ok(1));
        drop(broker);
        wait_until(|| weak.upgrade().is_none());
        let listener = listener_on(1);
        for _ in 0..100 {
            Broker::<Note>::new().subscribe("a", &listener).unwrap();
        }
        assert_eq!(listener.call(Heard).unwrap(), []);
    });
}

#[test]
fn the_slow_are_not_waited_for_but_counted() {
    run(|| {
        let broker = Broker::new();
        let slow = Tasklet::with_mailbox(Mailbox::bounded(2, Overflow::Block))
            .spawn(|| {
                Tasklet::sleep(PATIENCE);
            })
            .unwrap();
        let late = broker.subscribe("a", slow.tasklet()).unwrap();
        let quick = broker.subscribe("a", counter().0).unwrap();
        let taken: usize = (0..5).map(|n| broker.publish("a", Note(n)).unwrap()).sum();
        assert_eq!(taken, 5 + 2);
        assert_eq!(
            (late.refused(), quick.refused(), broker.refused()),
            (3, 0, 3)
        );
        slow.kill();
    });
}

#[test]
fn a_subscriber_may_use_the_broker() {
    let broker = Broker::new();
    let inner = broker.clone();
    let heard = Count::new();
    let count = heard.clone();
    // A lock held meanwhile would not let it in.
    let to = Recipient::from_fn(move |Note(n): Note| {
        count.up();
        if n > 0 {
            inner.subscribe("b", counter().0).unwrap().unsubscribe();
            inner.publish("a", Note(n - 1)).unwrap();
        }
    });
    let subscription = broker.subscribe("a", to).unwrap();
    assert_eq!(broker.publish("a", Note(3)), Ok(1));
    assert_eq!(heard.get(), 4);
    // It has a reference to the broker.
    subscription.unsubscribe();
}

#[test]
fn what_one_publishes_stays_in_order() {
    run(|| {
        let broker = Broker::new();
        let listeners: Vec<_> = (0..WORKERS).map(listener_on).collect();
        for listener in &listeners {
            broker.subscribe("n.*", listener).unwrap();
        }
        let publishers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let broker = broker.clone();
                spawn_on(worker, move || {
                    let topic = format!("n.{worker}");
                    for n in 0..200 {
                        // Others come and go meanwhile.
                        let other = broker.subscribe("n.>", counter().0).unwrap();
                        broker.publish(&topic, Note(worker * 1_000 + n)).unwrap();
                        other.unsubscribe();
                    }
                })
            })
            .collect();
        publishers.into_iter().for_each(join);
        for listener in listeners {
            let heard = listener.call(Heard).unwrap();
            assert_eq!(heard.len(), WORKERS * 200);
            for worker in 0..WORKERS {
                let of_one: Vec<_> = heard.iter().filter(|n| **n / 1_000 == worker).collect();
                assert!(of_one.is_sorted());
            }
        }
        assert_eq!(broker.subscriptions(), WORKERS);
    });
}

#[test]
fn many_patterns_cost_only_what_matches() {
    let broker = Broker::new();
    let (to, count) = counter();
    for n in 0..20_000 {
        broker
            .subscribe(&format!("room.{n}.>"), to.clone())
            .unwrap();
    }
    for n in 0..20_000 {
        assert_eq!(broker.publish(&format!("room.{n}.said"), Note(n)), Ok(1));
    }
    assert_eq!(count.get(), 20_000);
}

#[test]
fn what_is_shared_is_not_copied() {
    #[derive(Message, Clone)]
    struct Large(Arc<[u8]>);

    let broker = Broker::new();
    let bytes: Arc<[u8]> = vec![0; 1 << 20].into();
    let theirs = bytes.clone();
    let to = Recipient::from_fn(move |Large(got): Large| assert!(Arc::ptr_eq(&got, &theirs)));
    for _ in 0..10 {
        broker.subscribe("a", to.clone()).unwrap();
    }
    assert_eq!(broker.publish("a", Large(bytes)), Ok(10));
}

#[test]
fn plain_threads_publish_and_subscribe() {
    run(|| {
        let broker = Broker::new();
        broker.subscribe("a.b", Tasklet::current()).unwrap();
        let theirs = broker.clone();
        let me = Tasklet::current();
        let thread = thread::spawn(move || {
            theirs.subscribe("a.>", &me).unwrap();
            theirs.publish("a.b", Note(1)).unwrap()
        });
        wait_until(|| thread.is_finished());
        assert_eq!(thread.join().unwrap(), 2);
        assert_eq!(Tasklet::pending(), 2);
    });
}
