//! Joins: results, failures, and handles that are dropped.

use super::*;

#[test]
fn a_result_is_taken_once() {
    run(|| {
        let tasklet = Tasklet::spawn(|| String::from("result"));
        assert_eq!(tasklet.join().unwrap(), "result");
        assert!(matches!(tasklet.join(), Err(JoinError::Taken)));
        assert!(matches!(tasklet.join_timeout(SHORT), Err(JoinError::Taken)));
    });
}

#[test]
fn of_many_joiners_one_gets_the_result() {
    run(|| {
        let gate = Gate::new();
        let result = {
            let gate = gate.clone();
            Arc::new(Tasklet::spawn(move || gate.pass()))
        };
        let joiners: Vec<_> = (0..12)
            .map(|n| {
                let result = result.clone();
                spawn_on(n, move || result.join())
            })
            .collect();
        gate.open();
        let ends: Vec<_> = joiners.into_iter().map(join).collect();
        assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
        let taken = ends
            .iter()
            .filter(|end| matches!(end, Err(JoinError::Taken)))
            .count();
        assert_eq!(taken, 11);
    });
}

#[test]
fn a_join_that_timed_out_can_be_repeated() {
    run(|| {
        let gate = Gate::new();
        let tasklet = {
            let gate = gate.clone();
            spawn(move || {
                gate.pass();
                7
            })
        };
        for _ in 0..3 {
            assert!(matches!(
                tasklet.join_timeout(SHORT),
                Err(JoinError::Timeout)
            ));
        }
        assert!(matches!(
            tasklet.join_timeout(Duration::ZERO),
            Err(JoinError::Timeout)
        ));
        gate.open();
        assert_eq!(tasklet.join_timeout(PATIENCE).unwrap(), 7);
    });
}

#[test]
fn join_works_across_workers_and_from_threads() {
    run(|| {
        for worker in 0..WORKERS {
            let remote = spawn_on(worker, move || {
                Tasklet::yield_now();
                worker
            });
            assert_eq!(remote.join().unwrap(), worker);
            let remote = spawn_on(worker, move || {
                Tasklet::sleep(SHORT);
                worker
            });
            assert_eq!(block_on_thread(move || remote.join().unwrap()), worker);
        }
    });
}

#[test]
fn join_all_keeps_the_order_and_the_failures() {
    run(|| {
        let tasklets = (0..9).map(|n| {
            spawn_on(n, move || {
                Tasklet::sleep(Duration::from_millis(9 - n as u64));
                assert!(n % 4 != 3, "number {n}");
                n
            })
        });
        let ends = join_all(tasklets);
        for (n, end) in ends.into_iter().enumerate() {
            match end {
                Ok(value) => assert_eq!(value, n),
                Err(JoinError::Panicked(panic)) => {
                    assert_eq!((n % 4, panic.message()), (3, &*format!("number {n}")));
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
}

#[test]
fn a_panic_ends_its_tasklet_alone_and_tells_its_place() {
    run(|| {
        let line = line!() + 1;
        let unlucky = spawn(|| -> u8 { panic!("no luck {}", 13) });
        let witness = spawn(|| 1);
        match unlucky.join() {
            Err(JoinError::Panicked(panic)) => {
                assert_eq!(panic.message(), "no luck 13");
                let place = panic.location().expect("the hook has heard it");
                assert!(
                    place.contains(&format!("tasklets/joins.rs:{line}:")),
                    "{place}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(join(witness), 1);

        // The payload comes back as it was, and can go on.
        let raised = spawn(|| std::panic::panic_any(vec![1, 2]));
        match raised.join() {
            Err(JoinError::Panicked(panic)) => {
                assert_eq!(
                    *panic.into_payload().downcast::<Vec<i32>>().unwrap(),
                    [1, 2]
                );
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn panics_of_neighbours_do_not_mix_up_their_places() {
    run(|| {
        let panics = (0..30).map(|n| {
            spawn_on(n, move || {
                Tasklet::yield_now();
                if n % 2 == 0 {
                    panic!("even {n}")
                } else {
                    panic!("odd {n}")
                }
            })
        });
        for (n, end) in join_all(panics).into_iter().enumerate() {
            let Err(JoinError::Panicked(panic)) = end else {
                panic!("{n} did not panic")
            };
            assert!(panic.message().ends_with(&format!(" {n}")));
            assert!(panic.location().is_some());
        }
    });
}

#[test]
fn a_tasklet_whose_handle_is_dropped_runs_on() {
    run(|| {
        let (begun, ended) = (Gate::new(), Gate::new());
        drop({
            let (begun, ended) = (begun.clone(), ended.clone());
            Tasklet::spawn(move || {
                begun.pass();
                ended.open();
            })
        });
        begun.open();
        ended.pass();
    });
}

#[test]
fn a_tasklet_that_is_tied_to_its_handle_is_killed_with_it() {
    run(|| {
        let dropped = Gate::new();
        let tied = {
            let dropped = dropped.clone();
            spawn(move || {
                let _guard = OnDrop::new(move || dropped.open());
                Tasklet::sleep(PATIENCE * 10);
            })
            .kill_on_drop()
        };
        let tasklet = tied.tasklet().clone();
        assert!(tied.is_alive());
        drop(tied);
        dropped.pass();
        wait_until(|| !tasklet.is_alive());

        // One that has ended by itself is not harmed.
        let done = spawn(|| 3).kill_on_drop();
        assert_eq!(done.join().unwrap(), 3);
    });
}

#[test]
fn a_tasklet_that_joins_itself_can_still_time_out_and_be_killed() {
    run(|| {
        let (tell, told) = mpsc::channel::<Arc<JoinHandle<()>>>();
        let own = Arc::new(Tasklet::spawn(move || {
            let own = told.recv().unwrap();
            assert!(matches!(own.join_timeout(SHORT), Err(JoinError::Timeout)));
            drop(own.join());
        }));
        tell.send(own.clone()).unwrap();
        wait_until_it_waits(own.tasklet(), "waits for the end of");
        own.kill();
        assert_killed(&own);
    });
}
