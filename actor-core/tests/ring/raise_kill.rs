//! Raise and kill.

use super::*;

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
