//! Names: who has them, for how long, and what they are looked up as.

mod common;

use std::sync::Arc;
use std::thread;

use actor_core::registry::{self, LookupError, RegisterError};
use actor_core::{
    Actor, Addr, Child, Context, ExitReason, Handler, Message, Recipient, Restart, Supervisor,
    Tasklet,
};
use common::*;

extern crate actor_core as concurrence;

struct Counter(usize);

impl Actor for Counter {}

#[derive(Message)]
#[message(reply = usize)]
struct Next;

impl Handler<Next> for Counter {
    fn handle(&mut self, _: Next, _: &mut Context<Self>) -> usize {
        self.0 += 1;
        self.0
    }
}

#[derive(Message)]
struct Crash;

impl Handler<Crash> for Counter {
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("as told");
    }
}

struct Other;

impl Actor for Other {}

fn not_found(name: &str) -> LookupError {
    LookupError::NotFound { name: name.into() }
}

#[track_caller]
fn join<A: Actor>(addr: &Addr<A>) -> ExitReason {
    promptly(|limit| addr.join_timeout(limit)).expect("the actor ends")
}

#[test]
fn an_actor_is_found_as_what_it_is() {
    run(|| {
        let counter = Addr::spawn(Counter(0));
        registry::register("counter", &counter).unwrap();
        let found: Addr<Counter> = registry::lookup("counter").unwrap();
        assert_eq!(found, counter);
        assert_eq!(found.call(Next), Ok(1));
        assert_eq!(registry::whereis("counter"), Some(counter.pid()));
        let Err(LookupError::WrongType {
            name,
            registered,
            wanted,
        }) = registry::lookup::<Addr<Other>>("counter")
        else {
            panic!("found as another type");
        };
        assert_eq!(&*name, "counter");
        assert!(registered.contains("Counter") && wanted.contains("Other"));
        let nobody = registry::lookup::<Addr<Counter>>("nobody");
        assert_eq!(nobody, Err(not_found("nobody")));
    });
}

#[test]
fn tasklets_and_recipients_have_names_as_well() {
    run(|| {
        let me = Tasklet::current();
        registry::register("main", &me).unwrap();
        registry::register("next", &Addr::spawn(Counter(4)).recipient::<Next>()).unwrap();
        registry::register("f", &Recipient::from_fn(|Crash| ())).unwrap();
        assert_eq!(registry::lookup::<Tasklet>("main"), Ok(me));
        let next: Recipient<Next> = registry::lookup("next").unwrap();
        assert_eq!(next.call(Next), Ok(5));
        assert!(registry::lookup::<Recipient<Crash>>("f").is_ok());
        let names: Vec<_> = registry::names()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["f".into(), "main".into(), Arc::<str>::from("next")]);
    });
}

#[test]
fn a_name_is_taken_once() {
    run(|| {
        let (first, second) = (Addr::spawn(Counter(0)), Addr::spawn(Counter(0)));
        registry::register("counter", &first).unwrap();
        let taken = RegisterError::Taken {
            name: "counter".into(),
            by: first.pid(),
        };
        assert_eq!(registry::register("counter", &second), Err(taken));
        registry::register("another", &first).unwrap();
        assert_eq!(registry::unregister("counter"), Some(first.pid()));
        assert_eq!(registry::unregister("counter"), None);
        registry::register("counter", &second).unwrap();
        // The end of the one who had the name before does not free it.
        first.stop();
        join(&first);
        assert_eq!(registry::whereis("another"), None);
        assert_eq!(registry::whereis("counter"), Some(second.pid()));
    });
}

#[test]
fn an_end_frees_the_name_before_anybody_can_see_it() {
    run(|| {
        for round in 0..200 {
            let counter = Addr::builder()
                .placement(actor_core::Placement::Worker(round))
                .spawn(Counter(0))
                .unwrap();
            registry::register("counter", &counter).unwrap();
            match round % 3 {
                0 => counter.stop(),
                1 => counter.kill(),
                _ => counter.send(Crash).unwrap(),
            }
            join(&counter);
            assert_eq!(registry::whereis("counter"), None);
            let tasklet = spawn_on(round, || Tasklet::receive_one().is_ok());
            registry::register("tasklet", tasklet.tasklet()).unwrap();
            tasklet.stop();
            promptly(|limit| tasklet.wait_timeout(limit)).unwrap();
            assert_eq!(registry::whereis("tasklet"), None);
        }
    });
}

#[test]
fn who_has_ended_gets_no_name() {
    run(|| {
        let counter = Addr::spawn(Counter(0));
        counter.stop();
        join(&counter);
        let ended = RegisterError::Ended {
            name: "counter".into(),
            pid: counter.pid(),
        };
        assert_eq!(registry::register("counter", &counter), Err(ended));
        assert_eq!(registry::whereis("counter"), None);
    });
}

#[test]
fn who_ends_while_it_is_registered_leaves_nothing_behind() {
    run(|| {
        for round in 0..500 {
            let counter = Addr::builder()
                .placement(actor_core::Placement::Worker(round))
                .spawn(Counter(0))
                .unwrap();
            counter.stop();
            match registry::register("counter", &counter) {
                Ok(()) | Err(RegisterError::Ended { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            join(&counter);
            wait_until(|| registry::whereis("counter").is_none());
        }
    });
}

#[test]
fn a_name_is_a_reference() {
    run(|| {
        registry::register("counter", &Addr::spawn(Counter(0))).unwrap();
        for expected in 1..10 {
            Tasklet::yield_now();
            let counter: Addr<Counter> = registry::lookup("counter").unwrap();
            assert_eq!(counter.call(Next), Ok(expected));
        }
        let counter: Addr<Counter> = registry::lookup("counter").unwrap();
        let weak = counter.downgrade();
        drop(counter);
        registry::unregister("counter");
        wait_until(|| weak.upgrade().is_none());
    });
}

#[test]
fn a_supervised_actor_keeps_its_name_from_life_to_life() {
    run(|| {
        let child = Child::new("counter", || Counter(0)).restart(Restart::Transient);
        // Before its first life already.
        registry::register("counter", &child.addr()).unwrap();
        let supervisor = Supervisor::one_for_one()
            .intensity(100, PATIENCE)
            .child(child);
        let supervisor = Addr::spawn(supervisor);
        let counter: Addr<Counter> = registry::lookup("counter").unwrap();
        for _ in 0..5 {
            assert_eq!(counter.call(Next), Ok(1));
            counter.send(Crash).unwrap();
            assert_eq!(registry::whereis("counter"), Some(counter.pid()));
        }
        counter.stop();
        join(&counter);
        assert_eq!(registry::whereis("counter"), None);
        drop(supervisor);
    });
}

#[test]
fn each_program_has_its_names() {
    run(|| {
        registry::register("main", &Tasklet::current()).unwrap();
        // A thread that works for no program sees the oldest, and another program its own.
        let code = thread::spawn(|| {
            actor_core::dispatch(|| {
                assert_eq!(registry::whereis("main"), None);
                registry::register("main", &Tasklet::current()).unwrap();
            })
        });
        wait_until(|| code.is_finished());
        assert_eq!(
            text(code.join().unwrap()),
            text(std::process::ExitCode::SUCCESS)
        );
        assert_eq!(registry::whereis("main"), Some(Tasklet::current().pid()));
    });
}

#[test]
fn the_end_of_a_program_frees_what_is_registered() {
    struct Alive(#[allow(dead_code, reason = "its drop counts")] OnDrop<Box<dyn FnOnce() + Send>>);
    impl Actor for Alive {}

    let dropped = Count::new();
    let count = dropped.clone();
    run(move || {
        let value =
            OnDrop::new(Box::new(move || assert_eq!(count.up(), 1)) as Box<dyn FnOnce() + Send>);
        registry::register("alive", &Addr::spawn(Alive(value))).unwrap();
        // Never launched: it has no end.
        let child = Child::new("unborn", || Counter(0));
        registry::register("unborn", &child.addr()).unwrap();
    });
    assert_eq!(dropped.get(), 1);
}
