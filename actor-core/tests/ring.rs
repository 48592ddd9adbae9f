//! The run queue: who runs next, and the states of tasklets, as Stackless has them.

mod common;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use actor_core::sync::{Event, Mutex, Semaphore};
use actor_core::{
    BlockOnThreadError, BlockTrap, Budget, CallError, Generator, InsertError, JoinError, Mailbox,
    Message, Overflow, RaiseError, ReceiveError, RemoveError, RunError, SendError, Tasklet,
    WouldBlock, block_on_thread, call, catch_raised, set_schedule_hook, timeout,
    try_block_on_thread,
};
use common::{
    Count, Log, OnDrop, PATIENCE, SHORT, WORKERS, alone, assert_killed, forwarding, join, spawn,
    spawn_on, wait_until,
};

extern crate actor_core as concurrence;

#[derive(Debug, PartialEq)]
struct Enough(u8);

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enough of {}", self.0)
    }
}

impl Error for Enough {}

#[derive(Message)]
#[message(reply = ())]
struct Note;

/// Alive, scheduled, blocked, paused.
fn flags(tasklet: &Tasklet) -> [bool; 4] {
    [
        tasklet.is_alive(),
        tasklet.is_scheduled(),
        tasklet.is_blocked(),
        tasklet.is_paused(),
    ]
}

// States ------------------------------------------------------------------------------------------

#[test]
fn dead_is_none_of_all() {
    alone(|| {
        let ended = Tasklet::spawn(|| ());
        let tasklet = ended.tasklet().clone();
        join(ended);
        assert_eq!(flags(&tasklet), [false; 4]);
    });
}

#[test]
fn scheduled_is_alive_and_scheduled() {
    alone(|| {
        let ready = Tasklet::spawn(|| ());
        assert_eq!(flags(&ready), [true, true, false, false]);
    });
}

#[test]
fn current_is_alive_and_scheduled() {
    alone(|| assert_eq!(flags(&Tasklet::current()), [true, true, false, false]));
}

#[test]
fn removed_is_alive_and_paused() {
    alone(|| {
        let removed = Tasklet::spawn(|| ());
        removed.remove().unwrap();
        assert_eq!(flags(&removed), [true, false, false, true]);
        removed.insert().unwrap();
        assert_eq!(flags(&removed), [true, true, false, false]);
        join(removed);
    });
}

#[test]
fn bound_with_arguments_is_alive_and_paused() {
    alone(|| {
        let bound = Tasklet::builder().paused(true).spawn(|| 7).unwrap();
        Tasklet::schedule();
        assert_eq!(flags(&bound), [true, false, false, true]);
        bound.insert().unwrap();
        assert_eq!(join(bound), 7);
    });
}

#[test]
fn blocked_is_alive_scheduled_and_blocked() {
    alone(|| {
        let blocked = spawn(|| Tasklet::receive().count());
        assert_eq!(flags(&blocked), [true, true, true, false]);
    });
}

#[test]
fn caller_of_run_is_alive_and_paused() {
    alone(|| {
        let main = Tasklet::current();
        let other = Tasklet::spawn(move || flags(&main));
        Tasklet::run_all();
        assert_eq!(join(other), [true, false, false, true]);
    });
}

#[test]
fn caller_of_schedule_remove_is_alive_and_paused() {
    alone(|| {
        let removes = spawn(Tasklet::schedule_remove);
        assert_eq!(flags(&removes), [true, false, false, true]);
        removes.insert().unwrap();
        join(removes);
    });
}

#[test]
fn caller_of_switched_to_stays_scheduled() {
    alone(|| {
        let main = Tasklet::current();
        let other = Tasklet::spawn(move || flags(&main));
        other.run().unwrap();
        assert_eq!(join(other), [true, true, false, false]);
    });
}

// schedule ----------------------------------------------------------------------------------------

#[test]
fn schedule_goes_round_robin() {
    alone(|| {
        let log = Log::default();
        let greet = |hello, bye| {
            let log = log.clone();
            Tasklet::spawn(move || {
                log.add(hello);
                Tasklet::schedule();
                log.add(bye);
            })
        };
        drop((greet("hello-A", "bye-A"), greet("hello-B", "bye-B")));
        Tasklet::run_all();
        assert_eq!(log.take(), "hello-A hello-B bye-A bye-B");
    });
}

#[test]
fn schedule_remove_waits_for_insert_whatever_else_happens() {
    alone(|| {
        let log = Log::default();
        let inner = log.clone();
        let me = Tasklet::builder()
            .spawn(move || {
                Tasklet::schedule_remove();
                inner.add("back");
                Tasklet::try_receive().is_some()
            })
            .unwrap();
        Tasklet::schedule();
        me.send(Note2).unwrap();
        Tasklet::schedule();
        assert_eq!(log.take(), "");
        me.insert().unwrap();
        assert_eq!(log.take(), "");
        Tasklet::schedule();
        assert_eq!(log.take(), "back");
        assert!(join(me));
    });
}

#[derive(Message)]
struct Note2;

#[test]
fn run_count_counts_the_caller_and_those_that_are_ready() {
    alone(|| {
        assert_eq!(Tasklet::run_count(), 1);
        let two = [Tasklet::spawn(|| ()), Tasklet::spawn(|| ())];
        assert_eq!(Tasklet::run_count(), 3);
        two[0].remove().unwrap();
        assert_eq!(Tasklet::run_count(), 2);
        let count = Tasklet::spawn(Tasklet::run_count);
        // The caller of a run is not in the queue.
        Tasklet::run_all();
        assert_eq!(join(count), 1);
        two[0].insert().unwrap();
    });
    assert_eq!(Tasklet::run_count(), 0);
}

// insert and remove -------------------------------------------------------------------------------

#[test]
fn insert_goes_to_the_end() {
    alone(|| {
        let log = Log::default();
        let first = log.says("first");
        first.remove().unwrap();
        let _second = log.says("second");
        first.insert().unwrap();
        Tasklet::run_all();
        assert_eq!(log.take(), "second first");
    });
}

#[test]
fn insert_of_a_queued_one_does_nothing() {
    alone(|| {
        let log = Log::default();
        let first = log.says("first");
        let _second = log.says("second");
        first.insert().unwrap();
        Tasklet::current().insert().unwrap();
        Tasklet::run_all();
        assert_eq!(log.take(), "first second");
    });
}

#[test]
fn insert_of_a_blocked_one_is_refused() {
    alone(|| {
        let blocked = spawn(|| Tasklet::receive().count());
        assert_eq!(blocked.insert(), Err(InsertError::Blocked));
    });
}

#[test]
fn insert_of_a_dead_one_is_refused() {
    alone(|| {
        let ended = spawn(|| ());
        assert_eq!(ended.insert(), Err(InsertError::Ended));
    });
}

#[test]
fn remove_of_a_blocked_one_is_refused() {
    alone(|| {
        let blocked = spawn(|| Tasklet::receive().count());
        assert_eq!(blocked.remove(), Err(RemoveError::Blocked));
    });
}

#[test]
fn remove_of_the_current_one_is_refused() {
    alone(|| {
        assert_eq!(Tasklet::current().remove(), Err(RemoveError::Current));
    });
}

#[test]
fn remove_of_one_that_is_out_or_dead_does_nothing() {
    alone(|| {
        let ended = spawn(|| ());
        ended.remove().unwrap();
        let removed = Tasklet::spawn(|| ());
        removed.remove().unwrap();
        removed.remove().unwrap();
        assert!(removed.is_paused());
        removed.insert().unwrap();
    });
}

#[test]
fn one_that_was_woken_can_be_removed_and_finds_what_woke_it() {
    alone(|| {
        let event = Arc::new(Event::new());
        let waits = spawn({
            let event = event.clone();
            move || event.wait()
        });
        event.set();
        waits.remove().unwrap();
        Tasklet::schedule();
        assert!(waits.is_paused());
        waits.insert().unwrap();
        join(waits);
    });
}

#[test]
fn a_removed_one_sleeps_through_its_deadline() {
    alone(|| {
        let short = Duration::from_millis(5);
        let sleeps = Tasklet::spawn(move || {
            let before = actor_core::time::now();
            Tasklet::sleep(short);
            before.elapsed()
        });
        Tasklet::schedule();
        // Ready again, but not yet run.
        wait_until(|| {
            let ready = !sleeps.is_blocked();
            if ready {
                assert!(sleeps.remove().is_ok());
            }
            ready || !sleeps.is_alive()
        });
        let _ = sleeps.insert();
        assert!(join(sleeps) >= short);
    });
}

#[test]
fn another_workers_tasklet_is_inserted_there_and_neither_removed_nor_run() {
    alone(|| {
        let other = usize::from(Tasklet::current().worker() == 0);
        let elsewhere = spawn_on(other, Tasklet::schedule_remove);
        wait_until(|| elsewhere.is_paused());
        assert_eq!(elsewhere.remove(), Err(RemoveError::OtherWorker));
        assert_eq!(elsewhere.run(), Err(RunError::OtherWorker));
        elsewhere.insert().unwrap();
        join(elsewhere);
    });
}

#[test]
fn a_thread_may_insert_but_not_remove_or_run() {
    alone(|| {
        let out = spawn(Tasklet::schedule_remove);
        let tasklet = out.tasklet().clone();
        // An insert that came before the pause would change nothing.
        Tasklet::yield_now();
        assert!(tasklet.is_paused());
        block_on_thread(move || {
            assert_eq!(tasklet.remove(), Err(RemoveError::OtherWorker));
            assert_eq!(tasklet.run(), Err(RunError::OtherWorker));
            tasklet.insert().unwrap();
        });
        join(out);
    });
}

#[test]
fn no_insert_from_elsewhere_is_lost_that_comes_after_the_pause() {
    alone(|| {
        const ROUNDS: usize = 1_000;
        let paused = Tasklet::spawn(|| (0..ROUNDS).for_each(|_| Tasklet::schedule_remove()));
        let tasklet = paused.tasklet().clone();
        let inserter = thread::spawn(move || {
            while tasklet.is_alive() {
                if tasklet.is_paused() {
                    let _ = tasklet.insert();
                }
                thread::yield_now();
            }
        });
        join(paused);
        block_on_thread(move || inserter.join().unwrap());
    });
}

#[test]
fn nobody_leaves_a_paused_tasklet_alone() {
    alone(|| {
        let dropped = Count::new();
        let guard = || {
            let dropped = dropped.clone();
            OnDrop::new(move || _ = dropped.up())
        };
        // Removed, and then forgotten.
        let (first, second, third) = (guard(), guard(), guard());
        let removed = Tasklet::spawn(move || drop(first));
        removed.remove().unwrap();
        drop(removed);
        // Forgotten, and then out.
        drop(Tasklet::spawn(move || {
            let _second = second;
            Tasklet::schedule_remove();
            unreachable!("nobody can put it back");
        }));
        // Joined by the only one who knows it.
        let joined = Tasklet::builder()
            .paused(true)
            .spawn(move || drop(third))
            .unwrap();
        assert_killed(&joined);
        wait_until(|| dropped.get() == 3);
    });
}

#[test]
fn stop_and_kill_put_a_paused_one_back() {
    alone(|| {
        let stopped = spawn(|| {
            Tasklet::schedule_remove();
            Tasklet::is_stopping()
        });
        let killed = spawn(Tasklet::schedule_remove);
        stopped.stop();
        killed.kill();
        assert!(join(stopped));
        assert_killed(&killed);
    });
}

// run ---------------------------------------------------------------------------------------------

#[test]
fn run_of_a_queued_one_goes_on_from_its_place() {
    alone(|| {
        let log = Log::default();
        let (_b, c, _d) = (log.says("B"), log.says("C"), log.says("D"));
        c.run().unwrap();
        log.add("A");
        Tasklet::schedule();
        assert_eq!(log.take(), "C D A B");
    });
}

#[test]
fn run_of_the_last_one_comes_right_back() {
    alone(|| {
        let log = Log::default();
        let (_b, _c, d) = (log.says("B"), log.says("C"), log.says("D"));
        d.run().unwrap();
        log.add("A");
        Tasklet::schedule();
        assert_eq!(log.take(), "D A B C");
    });
}

#[test]
fn run_of_a_removed_one_runs_it_alone() {
    alone(|| {
        let log = Log::default();
        let (_b, t, _d) = (log.says("B"), log.says("T"), log.says("D"));
        t.remove().unwrap();
        t.run().unwrap();
        log.add("A");
        assert_eq!(log.take(), "T A");
        Tasklet::schedule();
        assert_eq!(log.take(), "B D");
    });
}

#[test]
fn the_caller_comes_right_after_a_removed_one_that_gives_way() {
    alone(|| {
        let log = Log::default();
        let inner = log.clone();
        let t = Tasklet::builder()
            .paused(true)
            .spawn(move || {
                inner.add("T1");
                Tasklet::schedule();
                inner.add("T2");
            })
            .unwrap();
        let _b = log.says("B");
        t.run().unwrap();
        log.add("A");
        Tasklet::schedule();
        assert_eq!(log.take(), "T1 A B T2");
    });
}

#[test]
fn run_of_blocked_dead_and_current() {
    alone(|| {
        let (blocked, ended) = (spawn(|| Tasklet::receive().count()), spawn(|| ()));
        assert_eq!(blocked.run(), Err(RunError::Blocked));
        assert_eq!(ended.run(), Err(RunError::Ended));
        let _ready = Tasklet::spawn(|| ());
        assert_eq!(Tasklet::current().run(), Ok(()));
    });
}

#[test]
fn nothing_is_switched_to_while_unwinding() {
    alone(|| {
        let log = Log::default();
        let other = Arc::new(log.says("other"));
        let target = other.clone();
        let unwinds = Tasklet::spawn(move || {
            let _on_drop = OnDrop::new(move || {
                assert_eq!(target.run(), Err(RunError::Unwinding));
                Tasklet::schedule_remove();
                Tasklet::run_all();
                target.kill_now();
            });
            panic!("it unwinds");
        });
        unwinds.run().unwrap();
        assert!(matches!(unwinds.join(), Err(JoinError::Panicked(_))));
        assert_killed(&other);
        assert_eq!(log.take(), "");
    });
}

// Draining ----------------------------------------------------------------------------------------

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

// raise and kill ----------------------------------------------------------------------------------

#[test]
fn a_raised_error_ends_the_target_at_once_and_is_joined() {
    alone(|| {
        let sleeper = spawn(|| Tasklet::sleep(PATIENCE));
        sleeper.raise(Enough(1)).unwrap();
        assert!(!sleeper.is_alive());
        let Err(JoinError::Raised(error)) = sleeper.join() else {
            panic!("it was raised");
        };
        assert_eq!(*error.downcast::<Enough>().unwrap(), Enough(1));
    });
}

#[test]
fn a_raised_error_can_be_caught_by_type() {
    alone(|| {
        let tough = spawn(|| {
            let sleep = || Tasklet::sleep(PATIENCE);
            let first = catch_raised::<Enough, _>(sleep);
            let second = catch_raised::<io::Error, _>(|| catch_raised::<Enough, _>(sleep));
            (first, second.unwrap_err().kind())
        });
        tough.raise(Enough(2)).unwrap();
        tough
            .raise(io::Error::from(io::ErrorKind::NotFound))
            .unwrap();
        assert_eq!(join(tough), (Err(Enough(2)), io::ErrorKind::NotFound));
    });
}

#[test]
fn catching_lets_kills_deadlines_and_panics_pass() {
    alone(|| {
        let sleep = || Tasklet::sleep(PATIENCE);
        let killed = spawn(move || catch_raised::<Enough, _>(sleep).is_ok());
        killed.kill();
        assert_killed(&killed);
        let late = timeout(common::SHORT, || {
            Some(catch_raised::<Enough, _>(sleep).is_ok())
        });
        assert_eq!(late, None);
        let panics = spawn(|| catch_raised::<Enough, _>(|| panic!("a panic")));
        assert!(matches!(panics.join(), Err(JoinError::Panicked(_))));
    });
}

#[test]
fn raising_in_a_queued_one_runs_those_behind_it_before_the_caller() {
    alone(|| {
        let log = Log::default();
        let _before = log.says("before");
        let inner = log.clone();
        let target = Tasklet::spawn(move || {
            let _says = OnDrop::new(move || inner.add("target"));
            Tasklet::schedule();
        });
        Tasklet::schedule(); // both have begun; the target is ready
        log.take();
        let _worker = log.says("worker");
        target.raise(Enough(3)).unwrap();
        log.add("after");
        assert_eq!(log.take(), "target worker after");
    });
}

#[test]
fn killing_a_queued_one_runs_those_behind_it_before_the_killer() {
    alone(|| {
        let log = Log::default();
        let victim = Tasklet::spawn(Tasklet::schedule);
        Tasklet::schedule();
        let _worker = log.says("worker");
        log.add("before");
        victim.kill_now();
        log.add("after");
        assert_eq!(log.take(), "before worker after");
        assert_killed(&victim);
    });
}

#[test]
fn killing_a_removed_one_returns_straight_to_the_killer() {
    alone(|| {
        let log = Log::default();
        let victim = Tasklet::spawn(Tasklet::schedule);
        Tasklet::schedule();
        let _worker = log.says("worker");
        victim.remove().unwrap();
        victim.kill_now();
        log.add("after");
        assert!(!victim.is_alive());
        assert_eq!(log.take(), "after");
    });
}

#[test]
fn killing_the_dead_does_nothing_and_raising_gives_the_error_back() {
    alone(|| {
        let ended = spawn(|| ());
        ended.kill_now();
        let RaiseError::Ended(error) = ended.raise(Enough(4)).unwrap_err();
        assert!(error.is::<Enough>());
    });
}

#[test]
fn in_the_current_tasklet_they_unwind_here() {
    alone(|| {
        let raised = catch_raised::<Enough, _>(|| {
            Tasklet::current().raise(Enough(5)).unwrap();
            unreachable!("raised before");
        });
        assert_eq!(raised, Err(Enough(5)));
        let killed = spawn(|| {
            Tasklet::current().kill_now();
            unreachable!("killed before");
        });
        assert_killed(&killed);
    });
}

#[test]
fn one_that_has_not_begun_never_does() {
    alone(|| {
        let dropped = Count::new();
        let inner = dropped.clone();
        let guard = OnDrop::new(move || _ = inner.up());
        let unborn = Tasklet::spawn(move || {
            let _guard = guard;
            unreachable!("it never begins");
        });
        unborn.raise(Enough(6)).unwrap();
        assert_eq!(dropped.get(), 1);
        assert!(matches!(unborn.join(), Err(JoinError::Raised(_))));
    });
}

#[test]
fn a_blocked_one_leaves_its_line() {
    alone(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waits = |semaphore: &Arc<Semaphore>| {
            let semaphore = semaphore.clone();
            spawn(move || drop(semaphore.acquire()))
        };
        let (first, second) = (waits(&semaphore), waits(&semaphore));
        first.raise(Enough(7)).unwrap();
        semaphore.add_permits(1);
        join(second);
        assert!(matches!(first.join(), Err(JoinError::Raised(_))));
    });
}

#[test]
fn a_shielded_one_is_raised_in_later() {
    alone(|| {
        let gate = common::Gate::new();
        let passed = gate.clone();
        let careful = spawn(move || {
            Tasklet::shield(|| passed.pass());
            let rest = catch_raised::<Enough, _>(Tasklet::schedule);
            (passed.is_open(), rest)
        });
        careful.raise(Enough(8)).unwrap();
        assert!(careful.is_alive());
        gate.open();
        assert_eq!(join(careful), (true, Err(Enough(8))));
    });
}

#[test]
fn from_elsewhere_it_is_raised_soon() {
    alone(|| {
        for _ in 0..100 {
            let sleeper = spawn(|| catch_raised::<Enough, _>(|| Tasklet::sleep(PATIENCE)));
            let target = sleeper.tasklet().clone();
            let raiser = spawn_on(usize::from(Tasklet::current().worker() == 0), move || {
                target.raise(Enough(9)).unwrap();
            });
            assert_eq!(join(sleeper), Err(Enough(9)));
            join(raiser);
        }
    });
}

#[test]
fn what_is_never_raised_is_not_lost_in_silence_and_does_no_harm() {
    alone(|| {
        let target = spawn(|| Tasklet::shield(Tasklet::schedule_remove));
        target.raise(Enough(10)).unwrap();
        let _ = target.insert();
        join(target);
    });
}

// Forwarded panics --------------------------------------------------------------------------------

#[test]
fn a_panic_that_nobody_joins_ends_main_though_it_is_blocked() {
    let ended = forwarding(|| {
        let log = Log::default();
        Tasklet::spawn(|| panic!("forwarded"));
        let after = log.clone();
        Tasklet::spawn(move || after.add("after"));
        let check = log.clone();
        let _runs_first = OnDrop::new(move || assert_eq!(check.take(), ""));
        Event::new().wait();
    });
    assert_eq!(ended.as_deref(), Some("forwarded"));
}

#[test]
fn a_panic_on_another_worker_ends_main() {
    let ended = forwarding(|| {
        for worker in 0..WORKERS {
            drop(spawn_on(worker, || panic!("far away")));
        }
        Tasklet::receive().for_each(drop);
    });
    assert_eq!(ended.as_deref(), Some("far away"));
}

#[test]
fn a_panic_that_is_joined_is_not_forwarded() {
    let ended = forwarding(|| {
        let panics = spawn(|| panic!("joined"));
        assert!(matches!(panics.join(), Err(JoinError::Panicked(_))));
        Tasklet::schedule();
    });
    assert_eq!(ended, None);
}

#[test]
fn a_panic_goes_to_the_innermost_caller_of_run() {
    alone(|| {
        let ended = block_on_thread(|| {
            forwarding(|| {
                let inner = Tasklet::spawn(|| {
                    Tasklet::spawn(|| panic!("inner"));
                    Tasklet::run_all();
                });
                // Its caller is joined, so the panic stays with it.
                assert!(matches!(inner.join(), Err(JoinError::Panicked(_))));
            })
        });
        assert_eq!(ended, None);
    });
}

#[test]
fn main_in_run_all_is_ended_by_a_panic() {
    let ended = forwarding(|| {
        Tasklet::spawn(|| panic!("run by main"));
        Tasklet::run_all();
        unreachable!("it is raised in the run");
    });
    assert_eq!(ended.as_deref(), Some("run by main"));
}

// The block trap ----------------------------------------------------------------------------------

#[test]
fn the_trap_is_set_and_taken_back() {
    alone(|| {
        assert!(!Tasklet::set_block_trap(true));
        assert!(Tasklet::set_block_trap(true));
        {
            let _trap = BlockTrap::set();
        }
        assert!(Tasklet::set_block_trap(false));
        {
            let _trap = BlockTrap::set();
        }
        assert!(!Tasklet::set_block_trap(false));
        // It is each tasklet's own.
        let _trap = BlockTrap::set();
        let other = Tasklet::spawn(|| Tasklet::set_block_trap(false));
        Tasklet::schedule();
        assert!(matches!(other.join(), Ok(false)));
    });
}

#[test]
fn what_would_block_fails() {
    alone(|| {
        let held = Arc::new(Mutex::new(()));
        let guard = held.lock();
        let lock = held.clone();
        let full = Mailbox::bounded(1, Overflow::Block);
        let receiver = Tasklet::with_mailbox(full)
            .spawn(Tasklet::schedule_remove)
            .unwrap();
        receiver.send(Note2).unwrap();
        let other = receiver.tasklet().clone();
        let trapped = spawn(move || {
            let _trap = BlockTrap::set();
            assert!(matches!(receiver.join(), Err(JoinError::WouldBlock)));
            assert_eq!(receiver.call(Note), Err(CallError::WouldBlock));
            assert!(matches!(receiver.send(Note2), Err(SendError::Full(_))));
            assert_eq!(
                Tasklet::receive_one().unwrap_err(),
                ReceiveError::WouldBlock
            );
            assert!(matches!(
                try_block_on_thread(|| ()),
                Err(BlockOnThreadError::WouldBlock)
            ));
            assert!(lock.lock_timeout(PATIENCE).is_err());
            for panics in [
                catch_unwind(AssertUnwindSafe(|| drop(lock.lock()))),
                catch_unwind(AssertUnwindSafe(|| Tasklet::sleep(PATIENCE))),
                catch_unwind(AssertUnwindSafe(|| Tasklet::receive().for_each(drop))),
                catch_unwind(AssertUnwindSafe(|| Event::new().wait())),
            ] {
                let payload = panics.unwrap_err();
                let said = payload.downcast_ref::<String>().expect("a text");
                assert!(said.contains(&WouldBlock.to_string()), "{said}");
            }
            let caller = Tasklet::spawn(|| Tasklet::receive().for_each(drop));
            assert!(matches!(caller.call(Note), Err(CallError::WouldBlock)));
        });
        join(trapped);
        drop(guard);
        // Nothing of what has failed has left a trace.
        assert!(held.try_lock().is_some());
        other.kill();
    });
}

#[test]
fn what_need_not_wait_succeeds_in_the_trap() {
    alone(|| {
        let ended = spawn(|| 7);
        let _trap = BlockTrap::set();
        Tasklet::current().send(Note2).unwrap();
        assert!(Tasklet::receive_one().is_ok());
        drop(Mutex::new(()).lock());
        Tasklet::sleep(Duration::ZERO);
        Tasklet::schedule();
        let other = Tasklet::spawn(|| ());
        other.run().unwrap();
        Tasklet::run_all();
        assert_eq!(ended.join().unwrap(), 7);
    });
}

// Hooks -------------------------------------------------------------------------------------------

#[test]
fn the_schedule_hook_hears_of_each_switch() {
    alone(|| {
        let main = Tasklet::current();
        let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let log = heard.clone();
        let worker = thread::current().id();
        set_schedule_hook(Some(Arc::new(move |from, to| {
            if thread::current().id() == worker {
                let name = |tasklet: Option<&Tasklet>| {
                    tasklet.map_or("none".to_owned(), |tasklet| tasklet.name().to_owned())
                };
                log.lock().push((name(from), name(to)));
                assert!(heard_nothing_that_waits());
            }
        })));
        let named = |name| {
            Tasklet::builder()
                .name(name)
                .spawn(Tasklet::schedule)
                .unwrap()
        };
        Tasklet::schedule(); // heard of from here on
        let (a, b) = (named("A"), named("B"));
        heard.lock().clear();
        Tasklet::run_all();
        join(a);
        join(b);
        Tasklet::sleep(common::SHORT);
        set_schedule_hook(None);
        let heard = heard.lock();
        let pairs: Vec<_> = heard
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            pairs[..5],
            [
                ("main", "A"),
                ("A", "B"),
                ("B", "A"),
                ("A", "B"),
                ("B", "main")
            ]
        );
        assert!(pairs[5..].contains(&("main", "none")), "{pairs:?}");
        assert!(pairs[5..].contains(&("none", "main")), "{pairs:?}");
        drop(main);
    });
}

/// In a hook nothing can wait, and that says so.
fn heard_nothing_that_waits() -> bool {
    Event::new().wait_timeout(PATIENCE).is_err()
}

#[test]
fn a_hook_that_panics_is_contained() {
    alone(|| {
        set_schedule_hook(Some(Arc::new(|_, _| panic!("the hook's own"))));
        join(spawn(Tasklet::schedule));
        set_schedule_hook(None);
    });
}

// Those who run for another one --------------------------------------------------------------------

#[test]
fn the_watchdog_catches_one_that_asks_generators_without_end() {
    alone(|| {
        let greedy = Tasklet::spawn(|| {
            let numbers = Generator::new(|out| {
                for n in 0u64.. {
                    out.give(n);
                }
            });
            numbers.fold(0, u64::wrapping_add)
        });
        let caught = Tasklet::run_within(Budget::operations(1_000)).expect("it never ends");
        assert_eq!(caught, *greedy);
        caught.kill_now();
        assert_killed(&greedy);
    });
}

#[test]
fn the_watchdog_catches_one_that_calls_without_end() {
    alone(|| {
        let greedy = Tasklet::spawn(|| while call(|| true).unwrap() {});
        let caught = Tasklet::run_within(Budget::operations(1_000)).expect("it never ends");
        greedy.kill();
        caught.kill_now();
        assert_killed(&greedy);
    });
}

#[test]
fn a_caught_one_without_handles_is_not_taken_for_forgotten() {
    alone(|| {
        let shared = Arc::new(Event::new());
        let event = shared.clone();
        let done = Count::new();
        let counts = done.clone();
        // Only an interest in an event is left of it.
        drop(Tasklet::spawn(move || {
            let lock = Mutex::new(0);
            for _ in 0..10_000 {
                *lock.lock() += 1;
            }
            drop(event);
            counts.up();
        }));
        while let Some(caught) = Tasklet::run_within(Budget::operations(100)) {
            assert!(caught.is_paused());
            caught.insert().unwrap();
        }
        assert_eq!(done.get(), 1);
        drop(shared);
    });
}

#[test]
fn the_schedule_hook_is_called_outside_any_tasklet() {
    alone(|| {
        let inside = Count::new();
        let counts = inside.clone();
        let worker = Tasklet::current().worker();
        set_schedule_hook(Some(Arc::new(move |_, _| {
            if Tasklet::try_current().is_some_and(|current| current.worker() == worker) {
                counts.up();
            }
        })));
        let numbers = Generator::new(|out| (0..10).for_each(|n| out.give(n)));
        assert_eq!(numbers.sum::<u32>(), 45);
        assert_eq!(call(|| 7).unwrap(), 7);
        set_schedule_hook(None);
        assert_eq!(inside.get(), 0);
    });
}

#[test]
fn one_that_waits_for_what_it_runs_is_not_switched_to() {
    alone(|| {
        let me = Tasklet::current();
        let seen = call(|| (me.remove(), me.run(), me.insert())).unwrap();
        assert_eq!(
            seen,
            (Err(RemoveError::Current), Err(RunError::Blocked), Ok(()))
        );
    });
}

#[test]
fn the_watchdogs_time_may_be_longer_than_a_slice() {
    alone(|| {
        let greedy = Tasklet::spawn(|| {
            let lock = Mutex::new(0);
            loop {
                *lock.lock() += 1;
            }
        });
        let begun = Instant::now();
        let caught = Tasklet::run_within(Budget::time(SHORT)).expect("it never ends");
        assert!(begun.elapsed() >= SHORT);
        assert_eq!(caught, *greedy);
        caught.kill_now();
        assert_killed(&greedy);
    });
}
