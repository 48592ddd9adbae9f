//! Generators: what their two sides, and others, can do to each other.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor_core::{
    Actor, Addr, BlockTrap, Context, Generator, Handler, Message, RemoveError, RunError, Tasklet,
    Yielder, call, timeout,
};
use common::*;

extern crate actor_core as concurrence;

fn message_of(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => *payload.downcast::<String>().expect("a text"),
    }
}

#[test]
fn a_consumer_in_next_can_be_neither_removed_nor_run() {
    run(|| {
        for _ in 0..100 {
            let consumer = Tasklet::spawn(|| {
                let me = Tasklet::current();
                let mut attempts = Generator::new(move |out| {
                    let removed = me.remove();
                    // Were it queued now, it would be resumed after its end.
                    let _ = me.insert();
                    out.give((removed, me.run()));
                });
                attempts.next().unwrap()
            });
            let attempts = join(consumer);
            assert_eq!(
                attempts,
                (Err(RemoveError::Current), Err(RunError::Blocked))
            );
            Tasklet::yield_now();
        }
    });
}

#[test]
fn an_element_that_panics_when_it_is_dropped_does_not_keep_the_inner_code() {
    run(|| {
        let (ended, given) = (Count::new(), Count::new());
        let (inner, gives) = (ended.clone(), given.clone());
        let given_up = Gate::new();
        let gate = given_up.clone();
        let mut slow = Generator::new(move |out| {
            let _ended = OnDrop::new(move || _ = inner.up());
            gate.pass();
            gives.up();
            out.give(OnDrop::new(|| panic!("nobody has taken this")));
        });
        let late: Option<Option<_>> = timeout(SHORT / 20, || Some(slow.next()));
        assert!(late.is_none());
        given_up.open();
        given.reach(1);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(slow)));
        assert_eq!(message_of(dropped.unwrap_err()), "nobody has taken this");
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn a_tasklet_that_is_to_be_spawned_paused_waits_for_the_first_demand_as_any() {
    run(|| {
        let numbers = Tasklet::builder().paused(true).generator(|out| out.give(1));
        assert!(numbers.unwrap().eq([1]));
    });
}

#[test]
fn giving_in_a_block_trap_panics() {
    run(|| {
        let mut trapped = Generator::new(|out| {
            let _trap = BlockTrap::set();
            out.give(1);
        });
        let refused = catch_unwind(AssertUnwindSafe(|| trapped.next()));
        assert!(message_of(refused.unwrap_err()).starts_with("giving an element"));
    });
}

#[test]
fn a_chain_of_a_thousand() {
    const LINKS: u64 = 1_000;
    run(|| {
        let dropped = Count::new();
        let link = |source: Box<dyn Iterator<Item = u64> + Send>| {
            let dropped = dropped.clone();
            Box::new(Generator::new(move |out| {
                let _dropped = OnDrop::new(move || _ = dropped.up());
                for n in source {
                    if n % 7 == 0 {
                        // Each of them gives way in the middle of all the others.
                        Tasklet::yield_now();
                    }
                    out.give(n + 1);
                }
            }))
        };
        let chain = |end: u64| {
            (0..LINKS).fold(
                Box::new(0..end) as Box<dyn Iterator<Item = u64> + Send>,
                |inner, _| link(inner),
            )
        };
        assert!(chain(5).eq(LINKS..LINKS + 5));
        assert_eq!(dropped.get(), LINKS as usize);
        let mut unfinished = chain(5);
        assert_eq!(unfinished.next(), Some(LINKS));
        drop(unfinished);
        wait_until(|| dropped.get() == 2 * LINKS as usize);
    });
}

#[test]
fn one_that_its_own_inner_code_drops_ends() {
    run(|| {
        let own = Arc::new(Mutex::new(None));
        let (inner, ended) = (own.clone(), Count::new());
        let dropped = ended.clone();
        let there = Gate::new();
        let gate = there.clone();
        let mut generator = Generator::new(move |out: &Yielder<u8>| {
            let _ended = OnDrop::new(move || _ = dropped.up());
            out.give(1);
            gate.pass();
            drop(inner.lock().unwrap().take());
            out.give(2);
        });
        assert_eq!(generator.next(), Some(1));
        let late: Option<Option<_>> = timeout(SHORT / 20, || Some(generator.next()));
        assert!(late.is_none());
        *own.lock().unwrap() = Some(generator);
        there.open();
        wait_until(|| ended.get() == 1);
    });
}

/// Numbers without end from code that does all that it may: it waits, gives way, is ahead by some, and gives
/// from calls further down.
fn restless(seed: u64, ended: &Count) -> Generator<u64> {
    let (mut seed, ended) = (seed, ended.clone());
    let ahead = seed as usize % 3;
    let numbers = Generator::new(move |out| {
        let _ended = OnDrop::new(move || _ = ended.up());
        let mut n = 0;
        loop {
            match random(&mut seed) % 16 {
                0 => {
                    Tasklet::sleep(Duration::from_micros(50));
                    continue;
                }
                1..4 => {
                    Tasklet::yield_now();
                    continue;
                }
                4..8 => call(|| out.give(n)).unwrap(),
                8 => call(|| {
                    Tasklet::yield_now();
                    call(|| out.give(n)).unwrap();
                })
                .unwrap(),
                _ => out.give(n),
            }
            n += 1;
        }
    });
    numbers.ahead(ahead)
}

/// Whether `next` is what `restless` gives after `last`.
fn check(last: &mut Option<u64>, next: u64) {
    assert_eq!(next, last.map_or(0, |last| last + 1));
    *last = Some(next);
}

#[test]
fn no_element_is_lost_or_doubled_whoever_asks_and_however_impatiently() {
    const ROUNDS: usize = 300;
    run(|| {
        let ended = Count::new();
        let all: Vec<_> = (0..6)
            .map(|number| {
                let ended = ended.clone();
                Tasklet::spawn(move || {
                    let mut seed = number;
                    let mut numbers = restless(number, &ended);
                    let mut last = None;
                    for _ in 0..ROUNDS {
                        let patience = Duration::from_micros(random(&mut seed) % 100);
                        let asks = move || {
                            let mut got = Vec::new();
                            let _: Option<()> = timeout(patience, || {
                                for _ in 0..5 {
                                    got.push(numbers.next().expect("without end"));
                                }
                                Some(())
                            });
                            (numbers, got)
                        };
                        let got;
                        (numbers, got) = match random(&mut seed) % 5 {
                            3 => actor_core::block_on_thread(asks),
                            4 => asks(),
                            worker => join(spawn_on(worker as usize, asks)),
                        };
                        got.into_iter().for_each(|next| check(&mut last, next));
                    }
                    let at_last = numbers.next();
                    check(&mut last, at_last.expect("without end"));
                })
            })
            .collect();
        all.into_iter().for_each(join);
        wait_until(|| ended.get() == 6);
    });
}

#[test]
fn kills_of_consumers_end_all_of_the_inner_code() {
    const ROUNDS: u64 = 150;
    run(|| {
        let ended = Count::new();
        for round in 0..ROUNDS {
            let consumers: Vec<_> = (0..3)
                .map(|worker| {
                    let ended = ended.clone();
                    spawn_on(worker, move || {
                        let nested = Generator::new(move |out| {
                            restless(round, &ended).for_each(|n| out.give(n));
                        });
                        let mut last = None;
                        nested.for_each(|n| check(&mut last, n));
                    })
                })
                .collect();
            let mut seed = round;
            for _ in 0..random(&mut seed) % 50 {
                Tasklet::yield_now();
            }
            for consumer in &consumers {
                consumer.kill();
            }
            consumers.iter().for_each(assert_killed);
        }
        // What was killed before it began has ended nothing; all that has begun ends.
        let root = Tasklet::current();
        wait_until(|| root.children().is_empty());
    });
}

#[derive(Message)]
#[message(reply = u64)]
struct Take(u64);

struct Taker;

impl Actor for Taker {}

impl Handler<Take> for Taker {
    fn handle(&mut self, Take(n): Take, _: &mut Context<Self>) -> u64 {
        let slow = Generator::new(move |out| {
            for n in 0..n {
                // While its carrier waits for this another one runs the other actors.
                Tasklet::sleep(Duration::from_micros(20));
                out.give(n);
                call(|| out.give(n)).unwrap();
            }
        });
        slow.sum()
    }
}

#[test]
fn handlers_that_wait_for_elements_let_others_run_and_can_be_killed() {
    run(|| {
        let callers: Vec<_> = (0..40)
            .map(|number| {
                let taker = Addr::spawn(Taker);
                let victim = Addr::spawn(Taker);
                spawn_on(number % WORKERS, move || {
                    let called = victim.clone();
                    let calls = Tasklet::spawn(move || called.call(Take(1_000_000)));
                    assert_eq!(taker.call(Take(20)), Ok(380));
                    victim.kill();
                    assert!(join(calls).is_err());
                })
            })
            .collect();
        callers.into_iter().for_each(join);
    });
}

#[test]
fn one_that_is_ahead_without_end_can_be_killed() {
    run(|| {
        let tell = Gate::new();
        let told = tell.clone();
        let consumer = spawn_on(1, move || {
            let endless = Generator::new(move |out| {
                let own = Tasklet::current();
                let mut killer = None;
                for n in 0_u64.. {
                    out.give(n);
                    if n == 100 {
                        let own = own.clone();
                        killer = Some(std::thread::spawn(move || own.kill()));
                        told.open();
                    }
                }
                drop(killer);
            });
            endless.ahead(usize::MAX).next()
        });
        tell.pass();
        assert_eq!(join(consumer), Some(0));
    });
}
