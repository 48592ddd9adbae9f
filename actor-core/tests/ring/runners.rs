//! Those who run for another one.

use super::*;

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
