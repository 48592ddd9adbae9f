//! Insert and remove.

use super::*;

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
