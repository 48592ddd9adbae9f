//! Draining.

use super::*;

#[test]
fn run_all_returns_when_nobody_is_ready() {
    alone(|| {
        let count = Count::new();
        for _ in 0..10 {
            let count = count.clone();
            Tasklet::spawn(move || {
                for _ in 0..5 {
                    Tasklet::schedule();
                }
                let deeper = count.clone();
                Tasklet::spawn(move || deeper.up());
                count.up();
            });
        }
        let blocked = Tasklet::spawn(|| Tasklet::receive().count());
        let asleep = Tasklet::spawn(|| Tasklet::sleep(PATIENCE));
        let paused = Tasklet::builder().paused(true).spawn(|| ()).unwrap();
        Tasklet::run_all();
        assert_eq!(count.get(), 20);
        assert!(blocked.is_blocked() && asleep.is_blocked() && paused.is_paused());
        assert_eq!(Tasklet::run_count(), 1);
        Tasklet::run_all();
        asleep.kill();
        paused.kill();
    });
}

#[test]
fn runs_nest() {
    alone(|| {
        let log = Log::default();
        let inner = log.clone();
        Tasklet::spawn(move || {
            inner.add("inner-begins");
            inner.says("child");
            Tasklet::run_all();
            inner.add("inner-ends");
            inner.says("grandchild");
        });
        log.says("sibling");
        Tasklet::run_all();
        log.add("outer-ends");
        assert_eq!(
            log.take(),
            "inner-begins sibling child inner-ends grandchild outer-ends"
        );
    });
}

#[test]
fn the_caller_of_run_comes_back_early_if_it_is_put_back() {
    alone(|| {
        let log = Log::default();
        let (main, inner) = (Tasklet::current(), log.clone());
        let first = Tasklet::spawn(move || {
            inner.add("first");
            main.insert().unwrap();
            Tasklet::schedule();
            inner.add("late");
        });
        log.says("second");
        Tasklet::run_all();
        log.add("main");
        join(first);
        assert_eq!(log.take(), "first second main late");
    });
}

#[test]
fn the_caller_of_run_can_be_killed() {
    alone(|| {
        let runs = Tasklet::spawn(|| {
            let greedy = Tasklet::spawn(|| {
                loop {
                    Tasklet::schedule();
                }
            })
            .kill_on_drop();
            Tasklet::run_all();
            drop(greedy);
        });
        Tasklet::schedule();
        assert!(runs.is_paused());
        runs.kill();
        assert_killed(&runs);
        // The one that was never done goes with it, and nobody waits for its end.
        Tasklet::run_all();
    });
}

#[test]
fn a_detached_caller_of_run_is_not_taken_for_forgotten() {
    alone(|| {
        let done = common::Gate::new();
        let inner = done.clone();
        drop(Tasklet::spawn(move || {
            Tasklet::spawn(Tasklet::schedule);
            Tasklet::run_all();
            inner.open();
        }));
        done.pass();
    });
}

#[test]
fn the_watchdog_returns_whoever_does_too_much() {
    alone(|| {
        let log = Log::default();
        let lock = Arc::new(Mutex::new(0_u64));
        let greedy = Tasklet::spawn({
            let lock = lock.clone();
            move || loop {
                *lock.lock() += 1;
            }
        });
        log.says("short");
        let caught = Tasklet::run_within(Budget::operations(100)).expect("it is greedy");
        assert_eq!(caught, *greedy);
        assert!(caught.is_paused());
        assert_eq!(*lock.lock(), 100);
        // It was first, so the others have not had their turn yet.
        assert_eq!(log.take(), "");
        assert!(Tasklet::run_within(Budget::operations(100)).is_none());
        assert_eq!(log.take(), "short");
        // Put back it has a new budget.
        caught.insert().unwrap();
        assert_eq!(
            Tasklet::run_within(Budget::operations(50)).as_ref(),
            Some(&caught)
        );
        // The operation that it was caught in has been paid for.
        assert_eq!(*lock.lock(), 151);
        caught.kill_now();
        assert_killed(&greedy);
    });
}

#[test]
fn the_watchdog_measures_time() {
    alone(|| {
        let greedy = Tasklet::spawn(|| {
            let semaphore = Semaphore::new(1);
            loop {
                drop(semaphore.acquire());
            }
        });
        let caught = Tasklet::run_within(Budget::time(Duration::from_millis(1)));
        assert_eq!(caught.as_ref(), Some(greedy.tasklet()));
        greedy.kill();
    });
}

#[test]
fn the_watchdog_lets_those_be_that_give_way_unless_it_counts_them_together() {
    alone(|| {
        let polite = Tasklet::spawn(|| (0..1_000).for_each(|_| Tasklet::schedule()));
        assert!(Tasklet::run_within(Budget::operations(10)).is_none());
        join(polite);
        let polite: Vec<_> = (0..2)
            .map(|_| {
                Tasklet::spawn(|| {
                    loop {
                        Tasklet::schedule();
                    }
                })
            })
            .collect();
        let caught = Tasklet::run_within(Budget::operations(1_000).total()).expect("they go on");
        assert!(polite.iter().any(|tasklet| **tasklet == caught));
        polite.iter().for_each(|tasklet| tasklet.kill_now());
    });
}

#[test]
fn the_watchdog_of_the_innermost_run_counts() {
    alone(|| {
        let outer = Tasklet::spawn(|| {
            let greedy = Tasklet::spawn(|| {
                let lock = Mutex::new(());
                loop {
                    drop(lock.lock());
                }
            })
            .kill_on_drop();
            let caught = Tasklet::run_within(Budget::operations(1_000));
            caught.as_ref() == Some(greedy.tasklet())
        });
        assert!(Tasklet::run_within(Budget::operations(10)).is_none());
        assert!(join(outer));
    });
}

#[test]
fn one_that_was_caught_goes_on_if_the_caller_is_killed_at_that_moment() {
    alone(|| {
        let done = common::Gate::new();
        let inner = done.clone();
        let runs = Tasklet::spawn(move || {
            let me = Tasklet::current();
            Tasklet::spawn(move || {
                let lock = Mutex::new(());
                me.kill();
                (0..100).for_each(|_| drop(lock.lock()));
                inner.open();
            });
            Tasklet::run_within(Budget::operations(10))
        });
        assert_killed(&runs);
        done.pass();
    });
}
