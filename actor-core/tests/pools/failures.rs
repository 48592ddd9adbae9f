//! Workers that fail, and the end of a pool.

use super::*;

#[test]
fn a_worker_that_fails_keeps_its_address_and_the_others_go_on() {
    run(|| {
        let pool = Pool::builder(3, Worker::new)
            .intensity(1_000, PATIENCE)
            .spawn()
            .unwrap();
        let workers = pool.workers();
        let mut failed = 0;
        for n in 0..100 {
            if n % 5 == 0 {
                assert_eq!(pool.call(Crash), Err(CallError::Ended));
                failed += 1;
            }
            pool.call(Note(n)).unwrap();
        }
        assert_eq!(failed, 20);
        assert_eq!(pool.workers(), workers);
        for worker in workers {
            worker.call(Note(0)).unwrap();
        }
    });
}

#[test]
fn nobody_waits_for_a_worker_that_is_long_in_coming_back() {
    run(|| {
        let pool = Pool::builder(2, Worker::new)
            .intensity(100, PATIENCE)
            .backoff(PATIENCE, PATIENCE)
            .spawn()
            .unwrap();
        assert_eq!(pool.call(Crash), Err(CallError::Ended));
        let who: HashSet<Pid> = (0..50)
            .map(|_| promptly(|limit| pool.call_timeout(Who, limit)).unwrap())
            .collect();
        assert_eq!(who.len(), 1);
        pool.stop_now();
        end(&pool);
    });
}

#[test]
fn killed_workers_lose_only_what_they_were_at() {
    run(|| {
        let pool = Pool::builder(2, Worker::new)
            .intensity(100_000, PATIENCE)
            .spawn()
            .unwrap();
        let done = Count::new();
        let mut seed = 7;
        for _ in 0..300 {
            let count = done.clone();
            pool.send(Ping(count)).unwrap();
            if random(&mut seed).is_multiple_of(10) {
                pool.workers()[random(&mut seed) as usize % 2].kill();
                Tasklet::yield_now();
            }
        }
        pool.stop();
        assert!(matches!(end(&pool), ExitReason::Stopped));
        // A kill ends a life, not a message: none of these handlers comes to an operation.
        assert_eq!(done.get(), 300);
    });
}

#[test]
fn workers_that_fail_too_often_end_the_pool() {
    run(|| {
        let pool = Pool::builder(2, Worker::new)
            .intensity(3, PATIENCE)
            .spawn()
            .unwrap();
        let gate = hold(&pool, 2);
        for _ in 0..10 {
            pool.send(Crash).unwrap();
        }
        let caller = pool.clone();
        let call = spawn(move || caller.call(Who));
        gate.open();
        assert!(matches!(end(&pool), ExitReason::Failed(_)));
        assert_eq!(join(call), Err(CallError::Ended));
        wait_until(|| pool.is_empty());
        assert_eq!(pool.send(Note(1)), Err(SendError::Ended(Note(1))));
        assert!(matches!(pool.resize(3), Err(SpawnError::NotRunning)));
    });
}

#[test]
fn what_waits_at_the_end_is_not_lost_silently() {
    run(|| {
        let pool = Pool::builder(1, Worker::new)
            .shutdown(Shutdown::Kill)
            .spawn()
            .unwrap();
        hold(&pool, 1);
        let letters = subscribe_dead_letters(Tasklet::current());
        pool.send(Note(7)).unwrap();
        let caller = pool.clone();
        let call = spawn(move || caller.call(Who));
        wait_until(|| pool.waiting() == 2);
        pool.stop_now();
        end(&pool);
        assert_eq!(join(call), Err(CallError::Ended));
        // Those of other tests come as well.
        let letter = loop {
            let letter = promptly(Tasklet::receive_timeout).unwrap();
            let letter = letter.downcast::<DeadLetter>().unwrap();
            if letter.to == pool.pid() {
                break letter;
            }
        };
        let note = letter.take().unwrap().downcast::<Note>().unwrap();
        assert_eq!(note, Note(7));
        letters.cancel();
    });
}

#[test]
fn a_stop_comes_after_what_was_sent() {
    run(|| {
        let pool = pool(2);
        let gate = hold(&pool, 2);
        let done = Count::new();
        for _ in 0..20 {
            pool.send(Ping(done.clone())).unwrap();
        }
        pool.stop();
        assert_eq!(pool.send(Note(1)), Err(SendError::Ended(Note(1))));
        assert!(pool.is_alive());
        gate.open();
        assert!(matches!(end(&pool), ExitReason::Stopped));
        assert_eq!(done.get(), 20);
    });
}

#[test]
fn the_last_reference_takes_the_pool_along_after_its_work() {
    run(|| {
        let pool = pool(2);
        let gate = hold(&pool, 2);
        let done = Count::new();
        for _ in 0..20 {
            pool.send(Ping(done.clone())).unwrap();
        }
        let workers = pool.workers();
        drop(pool);
        assert_eq!(done.get(), 0);
        gate.open();
        for worker in workers {
            promptly(|limit| worker.join_timeout(limit)).unwrap();
        }
        assert_eq!(done.get(), 20);
    });
}

#[test]
fn workers_that_end_for_good_drop_out() {
    run(|| {
        let pool = Pool::builder(3, Worker::new)
            .restart(Restart::Transient)
            .spawn()
            .unwrap();
        let gate = hold(&pool, 3);
        for n in 0..10 {
            pool.send(Note(n)).unwrap();
        }
        pool.send(Finish).unwrap();
        gate.open();
        wait_until(|| pool.len() == 2 && is_idle(&pool));
        pool.send(Finish).unwrap();
        wait_until(|| pool.len() == 1);
        pool.call(Note(10)).unwrap();
        pool.send(Finish).unwrap();
        end(&pool);
        assert_eq!(pool.send(Note(1)), Err(SendError::Ended(Note(1))));
    });
}

#[test]
fn a_worker_that_does_not_start_is_an_error() {
    run(|| {
        let made = Count::new();
        let count = made.clone();
        let pool: Result<Pool<Worker>, _> = Pool::fallible(3, move || {
            if count.up() == 2 {
                return Err(BoxError::from("no room"));
            }
            Ok(Worker::new())
        })
        .spawn();
        let Err(SpawnError::Started(error)) = pool else {
            panic!("{pool:?}");
        };
        assert!(error.to_string().contains("no room"), "{error}");
        assert_eq!(made.get(), 2);
    });
}

#[test]
fn a_supervisor_terminates_a_child() {
    use actor_core::{Child, Supervisor};

    run(|| {
        let supervisor = Addr::spawn(Supervisor::one_for_one().intensity(9, PATIENCE));
        let stays = supervisor.start(Child::new("stays", Worker::new)).unwrap();
        let goes = supervisor.start(Child::new("goes", Worker::new)).unwrap();
        assert!(supervisor.terminate(goes.pid()));
        let reason = promptly(|limit| goes.join_timeout(limit)).unwrap();
        assert!(matches!(reason, ExitReason::Shutdown));
        assert!(!supervisor.terminate(goes.pid()));
        assert_eq!(stays.call(Crash), Err(CallError::Ended));
        assert_eq!(stays.call(Who), Ok(stays.pid()));
        supervisor.stop();
        promptly(|limit| supervisor.join_timeout(limit)).unwrap();
        assert!(!supervisor.terminate(stays.pid()));
    });
}
