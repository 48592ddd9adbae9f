//! Generators that may be ahead of their consumer.

use super::*;

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
