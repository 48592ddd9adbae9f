//! Generators: what comes out of them, where they can be used, and how they end.

mod common;

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use actor_core::{
    Actor, Addr, Context, Generator, Handler, JoinError, Message, SpawnError, Tasklet, Yielder,
    block_on_thread, call, tasklet_local, timeout,
};
use common::*;

extern crate actor_core as concurrence;

/// What has been said, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Counts when it is dropped.
struct Counted(
    #[expect(dead_code, reason = "told apart in a debugger")] u32,
    Count,
);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.up();
    }
}

/// Numbers without end; counts the end of the code that gives them.
fn numbers(ended: &Count) -> Generator<u64> {
    let ended = ended.clone();
    Generator::new(move |out| {
        let _ended = OnDrop::new(move || _ = ended.up());
        for n in 0.. {
            out.give(n);
        }
    })
}

fn message_of(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => *payload.downcast::<String>().expect("a text"),
    }
}

#[test]
fn elements_come_in_order_and_then_none() {
    run(|| {
        let mut three = Generator::new(|out| (1..=3).for_each(|n| out.give(n)));
        assert_eq!(three.by_ref().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((three.next(), three.next()), (None, None));
        assert_eq!(Generator::new(|_: &Yielder<()>| ()).count(), 0);
    });
}

#[test]
fn the_inner_code_runs_only_in_next() {
    let log = run(|| {
        let log = Log::default();
        let inner = log.clone();
        let mut two = Generator::new(move |out| {
            inner.say("begins");
            out.give(1);
            inner.say("goes on");
            out.give(2);
            inner.say("returns");
        });
        let expect = |log: &Log, what: Option<i32>| log.say(format!("{what:?}"));
        Tasklet::yield_now();
        log.say("made");
        for _ in 0..3 {
            expect(&log, two.next());
            Tasklet::yield_now();
        }
        log
    });
    let said = [
        "made", "begins", "Some(1)", "goes on", "Some(2)", "returns", "None",
    ];
    assert_eq!(log.all(), said);
}

#[test]
fn nobody_else_runs_between_the_two() {
    run(|| {
        let others = Count::new();
        let other = {
            let others = others.clone();
            Tasklet::spawn(move || others.up())
        };
        let sum: u64 = Generator::new(|out| (0..100).for_each(|n| out.give(n))).sum();
        assert_eq!((sum, others.get()), (4950, 0));
        join(other);
    });
}

#[test]
fn elements_of_any_size_are_dropped_once() {
    run(|| {
        let dropped = Count::new();
        let inner = dropped.clone();
        let mut all = Generator::new(move |out| {
            (0..5).for_each(|n| out.give((Counted(n, inner.clone()), [n; 50])));
        });
        let first = all.next().unwrap();
        assert_eq!((first.1[49], dropped.get()), (0, 0));
        drop(first);
        drop(all.by_ref().take(2).collect::<Vec<_>>());
        assert_eq!(dropped.get(), 3);
        drop(all);
        // The inner code is in the middle of giving the third, and has not made the next.
        assert_eq!(dropped.get(), 3);
    });
}

#[test]
fn an_error_is_the_last_element() {
    run(|| {
        let mut fails = Generator::fallible(|out| {
            out.give(1);
            Err("broken")
        });
        assert_eq!(fails.next(), Some(Ok(1)));
        assert_eq!(fails.next(), Some(Err("broken")));
        assert_eq!((fails.next(), fails.next()), (None, None));
        // It ends with the first error, as collecting does.
        let all: Result<Vec<u8>, std::num::ParseIntError> = Generator::fallible(|out| {
            for word in ["1", "2", "x", "4"] {
                out.give(word.parse()?);
            }
            Ok(())
        })
        .collect();
        assert!(all.is_err());
    });
}

#[test]
fn a_panic_comes_out_of_next() {
    run(|| {
        let mut unlucky = Generator::new(|out| {
            out.give(13);
            panic!("no luck");
        });
        assert_eq!(unlucky.next(), Some(13));
        let caught = catch_unwind(AssertUnwindSafe(|| unlucky.next()));
        assert_eq!(message_of(caught.unwrap_err()), "no luck");
        assert_eq!(unlucky.next(), None);
    });
}

#[test]
fn a_panic_keeps_its_place() {
    run(|| {
        let line = line!() + 2;
        let consumer = Tasklet::spawn(move || {
            Generator::new(|_: &Yielder<()>| panic!("here")).for_each(drop);
        });
        match consumer.join() {
            Err(JoinError::Panicked(panic)) => {
                let place = panic.location().expect("known");
                assert!(place.contains(&format!("generators.rs:{line}:")), "{place}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn dropping_it_ends_the_inner_code_at_once() {
    run(|| {
        let ended = Count::new();
        let mut begun = numbers(&ended);
        assert_eq!(begun.next(), Some(0));
        drop(begun);
        assert_eq!(ended.get(), 1);
        // One that has never begun only drops what it has.
        let held = Counted(0, ended.clone());
        drop(Generator::new(move |out: &Yielder<()>| {
            let _held = held;
            out.give(());
        }));
        assert_eq!(ended.get(), 2);
    });
}

#[test]
fn a_dropped_generator_leaves_no_tasklet() {
    run(|| {
        let ended = Count::new();
        for n in 0..1000 {
            assert_eq!(numbers(&ended).take(n % 3).count(), n % 3);
        }
        assert_eq!(ended.get(), 1000 - 1000_usize.div_ceil(3));
        assert!(Tasklet::current().children().is_empty());
    });
}

#[test]
fn an_element_that_nobody_waits_for_any_more_is_dropped_with_the_generator() {
    run(|| {
        let (dropped, given) = (Count::new(), Count::new());
        let (inner, gives) = (dropped.clone(), given.clone());
        let mut slow = Generator::new(move |out| {
            Tasklet::sleep(SHORT);
            gives.up();
            out.give(Counted(1, inner.clone()));
        });
        let late: Option<Option<_>> = timeout(SHORT / 20, || Some(slow.next()));
        assert!(late.is_none());
        // It comes, though nobody waits.
        given.reach(1);
        assert_eq!(dropped.get(), 0);
        drop(slow);
        assert_eq!(dropped.get(), 1);
    });
}

#[test]
fn what_is_given_while_unwinding_is_dropped() {
    struct Gives<'a>(&'a Yielder<Counted>, Count);

    impl Drop for Gives<'_> {
        fn drop(&mut self) {
            self.0.give(Counted(9, self.1.clone()));
        }
    }

    run(|| {
        let dropped = Count::new();
        let inner = dropped.clone();
        let mut one = Generator::new(move |out| {
            let _gives = Gives(out, inner.clone());
            out.give(Counted(1, inner.clone()));
            panic!("over");
        });
        drop(one.next());
        assert_eq!(dropped.get(), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| one.next().is_some())).is_err());
        assert_eq!(dropped.get(), 2);
    });
}

#[test]
fn a_shield_holds_the_end_off_but_gives_nothing() {
    run(|| {
        let steps = Count::new();
        let inner = steps.clone();
        let mut shielded = Generator::new(move |out| {
            Tasklet::shield(|| {
                for n in 0..5 {
                    out.give(n);
                    inner.up();
                }
            });
            out.give(6);
            inner.up();
        });
        assert_eq!(shielded.next(), Some(0));
        drop(shielded);
        assert_eq!(steps.get(), 5);
    });
}

#[test]
fn the_inner_code_may_wait() {
    run(|| {
        let others = Count::new();
        let counts = others.clone();
        let busy = Tasklet::spawn(move || {
            loop {
                counts.up();
                Tasklet::yield_now();
            }
        });
        let slow = Generator::new(|out| {
            for n in 0..3 {
                Tasklet::sleep(SHORT);
                out.give(n);
                Tasklet::yield_now();
                out.give(n + 10);
            }
        });
        assert!(slow.eq([0, 10, 1, 11, 2, 12]));
        assert!(others.get() > 0);
        busy.kill();
    });
}

#[test]
fn generators_nest() {
    run(|| {
        let table = Generator::new(|rows| {
            for row in 1..=3_u32 {
                let cells = Generator::new(move |out| (1..=row).for_each(|n| out.give(row * n)));
                rows.give(cells.collect::<Vec<_>>());
            }
        });
        assert!(table.eq([vec![1], vec![2, 4], vec![3, 6, 9]]));
        // Each is the source of the next, fifty deep.
        let mut chain = Generator::new(|out| (0..10_u64).for_each(|n| out.give(n)));
        for _ in 0..50 {
            let source = chain;
            chain = Generator::new(move |out| source.for_each(|n| out.give(n + 1)));
        }
        assert!(chain.eq(50..60));
    });
}

#[test]
fn dropping_a_nest_drops_all_of_it() {
    run(|| {
        let ended = Count::new();
        let inner = ended.clone();
        let mut outer = Generator::new(move |out| {
            let _ended = OnDrop::new({
                let inner = inner.clone();
                move || _ = inner.up()
            });
            numbers(&inner).for_each(|n| out.give(n));
        });
        assert_eq!(outer.next(), Some(0));
        drop(outer);
        wait_until(|| ended.get() == 2);
        wait_until(|| Tasklet::current().children().is_empty());
    });
}

#[derive(Message)]
#[message(reply = u64)]
struct Sum(u64);

struct Adder(Option<Generator<u64>>);

impl Actor for Adder {}

impl Handler<Sum> for Adder {
    fn handle(&mut self, Sum(n): Sum, _: &mut Context<Self>) -> u64 {
        let slowly = Generator::new(move |out| {
            for n in 0..n {
                out.give(n);
                if n.is_multiple_of(2) {
                    Tasklet::yield_now();
                }
            }
        });
        let own = self.0.get_or_insert_with(|| numbers(&Count::new()));
        slowly.sum::<u64>() * 100 + own.next().unwrap()
    }
}

#[test]
fn handlers_of_actors_use_them() {
    run(|| {
        let adders: Vec<_> = (0..10).map(|_| Addr::spawn(Adder(None))).collect();
        for round in 0..3 {
            for adder in &adders {
                assert_eq!(adder.call(Sum(10)), Ok(4500 + round));
            }
        }
    });
}

#[test]
fn plain_threads_use_them() {
    run(|| {
        let ended = Count::new();
        let elsewhere = {
            let ended = ended.clone();
            move || {
                let first: Vec<_> = numbers(&ended).take(1000).collect();
                let fails: Vec<_> = Generator::fallible(|out| {
                    out.give(1);
                    Err("broken")
                })
                .collect();
                let panics = catch_unwind(|| Generator::new(|_: &Yielder<()>| panic!("x")).count());
                (first.len(), fails, panics.is_err())
            }
        };
        let done = actor_core::block_on_thread(elsewhere);
        assert_eq!(done, (1000, vec![Ok(1), Err("broken")], true));
        wait_until(|| ended.get() == 1);
    });
}

#[test]
fn they_can_be_moved_to_another_worker_and_back() {
    run(|| {
        let ended = Count::new();
        let mut numbers = numbers(&ended);
        for round in 0..9 {
            assert_eq!(numbers.next(), Some(3 * round));
            let moved = spawn_on(1 + round as usize % 2, move || {
                let next = numbers.next();
                (numbers, next)
            });
            let next;
            (numbers, next) = join(moved);
            assert_eq!(next, Some(3 * round + 1));
            let moved = thread::spawn(move || {
                let next = numbers.next();
                (numbers, next)
            });
            (numbers, _) = actor_core::block_on_thread(|| moved.join().unwrap());
        }
        assert_eq!(ended.get(), 0);
        join(spawn_on(1, move || drop(numbers)));
        wait_until(|| ended.get() == 1);
    });
}

#[test]
fn elements_from_another_worker_all_come() {
    run(|| {
        let builder = Tasklet::builder().placement(actor_core::Placement::Worker(1));
        let far = builder.generator(|out| (0..20_000_u64).for_each(|n| out.give(n)));
        assert!(far.unwrap().eq(0..20_000));
    });
}

#[test]
fn a_kill_of_the_consumer_ends_the_inner_code_that_waits() {
    run(|| {
        let ended = Count::new();
        let inner = ended.clone();
        let consumer = spawn(move || {
            Generator::new(move |out: &Yielder<()>| {
                let _ended = OnDrop::new(move || _ = inner.up());
                Tasklet::sleep(PATIENCE * 10);
                out.give(());
            })
            .next()
        });
        wait_until_it_waits(&consumer, "waits for an element of");
        let child = consumer.children().remove(0);
        consumer.kill();
        assert_killed(&consumer);
        wait_until(|| ended.get() == 1 && !child.is_alive());
    });
}

#[test]
fn a_kill_between_two_elements_ends_both() {
    run(|| {
        let ended = Count::new();
        let inner = ended.clone();
        let consumer = spawn(move || {
            let mut numbers = numbers(&inner);
            loop {
                numbers.next();
                Tasklet::yield_now();
            }
        });
        Tasklet::yield_now();
        consumer.kill();
        assert_killed(&consumer);
        wait_until(|| ended.get() == 1);
    });
}

#[test]
fn a_kill_of_the_inner_tasklet_is_no_end() {
    run(|| {
        let mut suicidal = Generator::new(|out| {
            out.give(1);
            Tasklet::current().kill();
            Tasklet::yield_now();
        });
        assert_eq!(suicidal.next(), Some(1));
        let caught = catch_unwind(AssertUnwindSafe(|| suicidal.next()));
        let message = message_of(caught.unwrap_err());
        assert!(message.contains("killed"), "{message}");
        assert_eq!(suicidal.next(), None);
    });
}

#[test]
fn a_timeout_around_next_loses_nothing() {
    run(|| {
        let gate = Gate::new();
        let inner = gate.clone();
        let mut slow = Generator::new(move |out| {
            for n in 0..3 {
                inner.pass();
                out.give(n);
            }
        });
        for _ in 0..3 {
            let late: Option<Option<_>> = timeout(SHORT, || Some(slow.next()));
            assert!(late.is_none());
        }
        gate.open();
        assert!(slow.eq(0..3));
    });
}

#[test]
fn a_timeout_around_give_limits_the_wait_for_the_next_demand() {
    run(|| {
        let lost_patience = Count::new();
        let loses = lost_patience.clone();
        let mut impatient = Generator::new(move |out| {
            let late = timeout(SHORT, || -> Option<()> {
                out.give("first");
                None
            });
            assert_eq!(late, None);
            loses.up();
            out.give("second");
        });
        assert_eq!(impatient.next(), Some("first"));
        lost_patience.reach(1);
        assert_eq!(impatient.next(), Some("second"));
        assert_eq!(impatient.next(), None);
    });
}

#[test]
fn a_stop_is_passed_on_and_no_demand() {
    run(|| {
        let log = Log::default();
        let (inner, too_early) = (log.clone(), log.clone());
        let consumer = spawn(move || {
            let mut stops = Generator::new(move |out| {
                inner.say("begins");
                Tasklet::receive().for_each(drop);
                inner.say("was asked to stop");
                out.give(7);
            });
            Tasklet::current().children()[0].stop();
            Tasklet::yield_now();
            too_early.say("stopped");
            stops.next()
        });
        assert_eq!(join(consumer), Some(7));
        assert_eq!(log.all(), ["stopped", "begins", "was asked to stop"]);
    });
}

#[test]
fn a_stop_of_the_consumer_reaches_the_inner_code() {
    run(|| {
        let consumer = spawn(|| {
            let mut waits = Generator::new(|out| {
                // Nobody can send to it, so only a reference keeps its loop going.
                let myself = Tasklet::current();
                Tasklet::receive().for_each(drop);
                drop(myself);
                out.give("stopped");
            });
            waits.next()
        });
        wait_until_it_waits(&consumer, "waits for an element of");
        consumer.stop();
        assert_eq!(join(consumer), Some("stopped"));
    });
}

#[test]
fn the_inner_code_is_a_tasklet_of_its_own() {
    tasklet_local! {
        static OWN: std::cell::Cell<u32> = std::cell::Cell::new(0);
        inherit static SHARED: std::cell::Cell<u32> = std::cell::Cell::new(0);
    }

    run(|| {
        OWN.with(|own| own.set(7));
        SHARED.with(|shared| shared.set(7));
        let me = Tasklet::current();
        let mut who = Generator::new(move |out| {
            let inner = Tasklet::current();
            assert!(inner != me && inner.parent() == Some(me.clone()));
            out.give((
                OWN.with(std::cell::Cell::get),
                SHARED.with(std::cell::Cell::get),
            ));
        });
        assert_eq!(who.next(), Some((0, 7)));
        assert_eq!(OWN.with(std::cell::Cell::get), 7);
        let roomy = Tasklet::builder().name("roomy").stack_size(1 << 20);
        let named = roomy.generator(|out| out.give(Tasklet::current().name().to_owned()));
        assert_eq!(named.unwrap().next().as_deref(), Some("roomy"));
    });
}

#[test]
fn elements_can_be_given_from_calls_further_down() {
    enum Tree {
        Leaf,
        Node(Box<Tree>, u32, Box<Tree>),
    }

    fn tree(of: std::ops::Range<u32>) -> Box<Tree> {
        if of.is_empty() {
            return Box::new(Tree::Leaf);
        }
        let middle = of.start + (of.end - of.start) / 2;
        Box::new(Tree::Node(
            tree(of.start..middle),
            middle,
            tree(middle + 1..of.end),
        ))
    }

    fn walk(tree: &Tree, out: &Yielder<u32>) -> Result<(), SpawnError> {
        if let Tree::Node(left, value, right) = tree {
            call(|| walk(left, out))??;
            out.give(*value);
            call(|| walk(right, out))??;
        }
        Ok(())
    }

    run(|| {
        let whole = tree(0..100);
        let values = Generator::fallible(move |out| walk(&whole, out));
        let values: Result<Vec<_>, _> = values.collect();
        assert!(values.unwrap().into_iter().eq(0..100));

        let whole = tree(0..100);
        let far = Tasklet::builder().placement(actor_core::Placement::Worker(1));
        let values = far
            .fallible_generator(move |out| walk(&whole, out))
            .unwrap();
        assert!(values.map(Result::unwrap).eq(0..100));

        let whole = tree(0..100);
        let cut = Generator::fallible(move |out| walk(&whole, out));
        assert!(cut.take(30).map(Result::unwrap).eq(0..30));
        wait_until(|| Tasklet::current().children().is_empty());
    });
}

#[test]
fn giving_on_another_thread_panics() {
    run(|| {
        let mut wrong = Generator::new(|out: &Yielder<u8>| {
            let given = thread::scope(|scope| {
                scope
                    .spawn(|| catch_unwind(AssertUnwindSafe(|| out.give(1))).is_err())
                    .join()
            });
            assert!(given.unwrap());
            out.give(2);
        });
        assert_eq!(wrong.next(), Some(2));
    });
}

#[test]
fn a_generator_in_use_does_not_keep_others_from_running() {
    run(|| {
        let (tell, told) = mpsc::channel();
        let endless = Tasklet::spawn(move || {
            for n in numbers(&Count::new()) {
                if n == 1000 {
                    tell.send(()).unwrap();
                }
            }
        });
        // The timer of this sleep, and then this tasklet, get their turns.
        Tasklet::sleep(Duration::from_millis(20));
        assert!(told.try_recv().is_ok());
        endless.kill();
        assert_killed(&endless);
    });
}

#[test]
fn one_that_may_be_ahead_is_by_so_many_elements() {
    run(|| {
        let log = Log::default();
        let says = log.clone();
        let numbers = Generator::new(move |out| {
            for n in 0..7 {
                says.say(format!("gives {n}"));
                out.give(n);
            }
        });
        let mut numbers = numbers.ahead(2);
        for _ in 0..4 {
            log.say(format!("takes {}", numbers.next().unwrap()));
        }
        let expected = [
            "gives 0", "gives 1", "gives 2", "takes 0", "takes 1", "takes 2", "gives 3", "gives 4",
            "gives 5", "takes 3",
        ];
        assert_eq!(log.all(), expected);
        assert!(numbers.eq(4..7));
    });
}

#[test]
fn what_one_was_ahead_with_comes_before_its_end() {
    run(|| {
        for count in 0..9 {
            let numbers = Generator::new(move |out| (0..count).for_each(|n| out.give(n))).ahead(3);
            assert!(numbers.eq(0..count));
            let mut fails = Generator::fallible(move |out| {
                (0..count).for_each(|n| out.give(n));
                Err("broken")
            })
            .ahead(3);
            assert!(fails.by_ref().take(count).eq((0..count).map(Ok)));
            assert!(fails.eq([Err("broken")]));
            let mut unlucky = Generator::new(move |out| {
                (0..count).for_each(|n| out.give(n));
                panic!("no luck");
            })
            .ahead(3);
            assert!(unlucky.by_ref().take(count).eq(0..count));
            let caught = catch_unwind(AssertUnwindSafe(|| unlucky.next()));
            assert_eq!(message_of(caught.unwrap_err()), "no luck");
        }
    });
}

#[test]
fn what_one_was_ahead_with_is_not_held_up_by_a_wait() {
    run(|| {
        let gate = Gate::new();
        let inner = gate.clone();
        let mut numbers = Generator::new(move |out| {
            for n in 0..10 {
                if n % 3 == 2 {
                    inner.pass();
                }
                out.give(n);
            }
        })
        .ahead(100);
        // The gate opens only after these have come out.
        assert_eq!((numbers.next(), numbers.next()), (Some(0), Some(1)));
        gate.open();
        assert!(numbers.eq(2..10));
    });
}

#[test]
fn what_one_was_ahead_with_is_dropped_with_it() {
    run(|| {
        let dropped = Count::new();
        let inner = dropped.clone();
        let mut counted = Generator::new(move |out| {
            for n in 0.. {
                out.give(Counted(n, inner.clone()));
            }
        })
        .ahead(4);
        drop(counted.next());
        assert_eq!(dropped.get(), 1);
        drop(counted);
        assert_eq!(dropped.get(), 5);
    });
}

#[test]
fn one_that_may_be_ahead_can_change_workers_and_be_used_from_threads() {
    run(|| {
        let mut numbers = Generator::new(|out| {
            for n in 0_u64.. {
                out.give(n);
            }
        })
        .ahead(3);
        for round in 0..20 {
            assert!(numbers.by_ref().take(2).eq(round * 7..round * 7 + 2));
            numbers = block_on_thread(move || {
                assert!(numbers.by_ref().take(5).eq(round * 7 + 2..round * 7 + 7));
                numbers
            });
        }
    });
}

#[test]
fn one_that_was_spawned_paused_begins_with_the_first_next() {
    run(|| {
        let paused = Tasklet::builder().paused(true).generator(|out| out.give(7));
        assert!(paused.unwrap().eq([7]));
    });
}

/// Panics when it is dropped.
struct Fragile(bool);

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.0, "broken");
    }
}

#[test]
fn a_generator_ends_though_an_element_panics_when_it_is_dropped() {
    run(|| {
        let (ended, gate) = (Count::new(), Gate::new());
        let (counts, passes) = (ended.clone(), gate.clone());
        let mut fragile = Generator::new(move |out| {
            let _ended = OnDrop::new(move || _ = counts.up());
            passes.pass();
            out.give(Fragile(true));
        });
        let late = timeout(SHORT, || fragile.next().map(mem::forget));
        assert_eq!(late, None);
        gate.open();
        let inner = Tasklet::current().children().remove(0);
        wait_until_it_waits(&inner, "next element is wanted");
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(fragile)));
        assert!(dropped.is_err(), "there was an element");
        wait_until(|| ended.get() == 1);
    });
}

#[test]
fn a_thousand_nest() {
    run(|| {
        let ended = Count::new();
        let nest = (0..1000).fold(
            Generator::new(|out| (0..3).for_each(|n| out.give(n))),
            |inner, _| {
                let counts = ended.clone();
                Generator::new(move |out| {
                    let _ended = OnDrop::new(move || _ = counts.up());
                    inner.for_each(|n: u32| out.give(n + 1));
                })
            },
        );
        let me = Tasklet::current();
        let mut nest = nest.inspect(|_| assert_eq!(Tasklet::current(), me));
        assert_eq!(nest.next(), Some(1000));
        assert_eq!(ended.get(), 0);
        drop(nest);
        wait_until(|| ended.get() == 1000);
    });
}

#[test]
fn what_was_given_stays_given_when_the_inner_code_ends_first() {
    run(|| {
        let gate = Gate::new();
        let passes = gate.clone();
        let mut late = Generator::new(move |out| {
            passes.pass();
            let _: Option<()> = timeout(SHORT, || {
                out.give(7);
                Some(())
            });
        });
        let inner = Tasklet::current().children().remove(0);
        assert_eq!(timeout(SHORT, || late.next().map(drop::<u32>)), None);
        gate.open();
        inner.wait();
        assert_eq!((late.next(), late.next()), (Some(7), None));
    });
}
