//! Programs: how they end, several at once.

use super::*;

#[test]
fn exit_codes() {
    fn code<T: std::process::Termination + Send + 'static>(
        main: impl FnOnce() -> T + Send + 'static,
    ) -> String {
        text(finish(move || dispatch(main)))
    }
    assert_eq!(code(|| ()), text(ExitCode::SUCCESS));
    assert_eq!(code(|| ExitCode::from(7)), text(ExitCode::from(7)));
    assert_eq!(
        code(|| Err::<(), _>(io::Error::other("refused"))),
        text(ExitCode::FAILURE)
    );
    // A panic of main goes on in the caller, so that a test or a process fails with it.
    let panicked = std::panic::catch_unwind(|| code(|| -> () { panic!("no luck") }));
    assert_eq!(
        *panicked.unwrap_err().downcast::<&str>().unwrap(),
        "no luck"
    );
    assert_eq!(code(|| quit(3)), text(ExitCode::from(3)));
    // The first to quit has the say, and whatever main returns does not.
    let twice = || {
        quit(4);
        quit(5);
        assert!(is_shutting_down() && Tasklet::is_stopping());
        assert_eq!(Tasklet::receive().count(), 0);
        ExitCode::from(6)
    };
    assert_eq!(code(twice), text(ExitCode::from(4)));
}

#[test]
fn a_program_waits_for_all_that_are_no_daemons() {
    let ended = Count::new();
    let count = ended.clone();
    run(move || {
        for worker in 0..6 {
            let count = count.clone();
            spawn_on(worker, move || {
                wait_until(|| Tasklet::main().is_none());
                let count = count.clone();
                let parent = Tasklet::current();
                // Also for those that are spawned when main has long ended, and by whom.
                spawn_on(worker + 1, move || {
                    wait_until(|| !parent.is_alive());
                    count.up();
                });
            });
        }
    });
    assert_eq!(ended.get(), 6);
}

#[test]
fn a_program_ends_its_daemons() {
    let dropped = Count::new();
    let count = dropped.clone();
    run(move || {
        for worker in 0..6 {
            let count = count.clone();
            let daemon = Tasklet::builder()
                .daemon(true)
                .placement(Placement::Worker(worker));
            let daemon = daemon.spawn(move || {
                let _guard = OnDrop::new(move || {
                    let _ = count.up();
                });
                Tasklet::sleep(PATIENCE * 10);
            });
            wait_until_it_waits(&daemon.unwrap(), "waits for a time");
        }
    });
    assert_eq!(
        dropped.get(),
        6,
        "they have unwound before dispatch returns"
    );
}

#[test]
fn quit_stops_the_tree_and_kills_what_does_not_end() {
    let log = Log::default();
    let entries = log.clone();
    let code = finish(move || {
        Runtime::builder()
            .grace(Duration::from_millis(20))
            .dispatch(move || {
                let obedient = {
                    let log = log.clone();
                    spawn(move || {
                        let held = Tasklet::current();
                        Tasklet::receive().for_each(drop);
                        log.add("ended in order");
                        drop(held);
                    })
                };
                let stubborn = {
                    let log = log.clone();
                    Tasklet::builder().name("stubborn").spawn(move || {
                        let _guard = OnDrop::new(move || log.add("killed"));
                        loop {
                            Tasklet::sleep(Duration::from_secs(1000));
                        }
                    })
                };
                quit(9);
                drop((obedient, stubborn));
                Tasklet::receive().for_each(drop);
            })
    });
    assert_eq!(text(code), text(ExitCode::from(9)));
    assert_eq!(entries.take(), ["ended in order", "killed"]);
}

#[test]
fn what_takes_new_work_is_stopped_first() {
    let log = Log::default();
    let entries = log.clone();
    let code = finish(move || {
        dispatch(move || {
            let server = {
                let log = log.clone();
                let server = move || {
                    let held = Tasklet::current();
                    Tasklet::receive().for_each(drop);
                    log.add("server");
                    drop(held);
                };
                // The one that spawned it does not end before it.
                let server = Tasklet::builder().stop_first(true).spawn(server).unwrap();
                Tasklet::yield_now();
                server
            };
            quit(2);
            join(server);
            log.add("main");
        })
    });
    assert_eq!(text(code), text(ExitCode::from(2)));
    assert_eq!(entries.take(), ["server", "main"]);
}

#[test]
fn several_programs_run_at_once_and_do_not_touch_each_other() {
    let programs: Vec<_> = (0..8u8)
        .map(|number| {
            thread::spawn(move || {
                finish(move || {
                    dispatch(move || {
                        let children = (0..20).map(|n| {
                            spawn_on(n, move || {
                                Tasklet::sleep(Duration::from_micros(100 * n as u64));
                                assert!(!is_shutting_down() || number % 2 == 1);
                            })
                        });
                        let ends = join_all(children);
                        assert!(ends.iter().all(Result::is_ok));
                        assert!(Tasklet::current().tree().iter().count() == 1);
                        if number % 2 == 1 {
                            quit(number);
                            Tasklet::receive().for_each(drop);
                        } else {
                            assert!(!is_shutting_down());
                        }
                    })
                })
            })
        })
        .collect();
    for (number, program) in programs.into_iter().enumerate() {
        let expected = if number % 2 == 1 { number as u8 } else { 0 };
        assert_eq!(
            text(program.join().unwrap()),
            text(ExitCode::from(expected))
        );
    }
}

#[test]
fn a_runtime_has_one_set_of_settings() {
    run(|| {
        assert!(matches!(
            Runtime::builder().try_dispatch(|| ()),
            Err(RuntimeError::InTasklet)
        ));
    });
    let other = Runtime::builder().workers(WORKERS + 1).try_dispatch(|| ());
    assert!(
        matches!(other, Err(RuntimeError::AlreadyRunning)),
        "{other:?}"
    );
    let clock = Runtime::builder().virtual_clock(true).try_dispatch(|| ());
    assert!(clock.is_err(), "{clock:?}");
    // What agrees, or is not given, is taken as it is.
    assert!(
        Runtime::builder()
            .workers(WORKERS)
            .signals(true)
            .try_dispatch(|| ())
            .is_ok()
    );
    assert!(Runtime::builder().try_dispatch(|| ()).is_ok());
}

#[test]
fn a_tasklet_that_is_stopped_while_it_is_spawned_elsewhere_starts_once() {
    // A shutdown meets a spawn on another worker: the stop may come before the start.
    for _ in 0..200 {
        let code = finish(|| {
            dispatch(|| {
                quit(1);
                let spawned: Vec<_> = (0..16)
                    .map(|n| {
                        Tasklet::builder()
                            .stop_first(true)
                            .placement(Placement::Worker(n))
                            .spawn(|| Tasklet::receive().count())
                            .unwrap()
                    })
                    .collect();
                assert!(spawned.into_iter().map(join).all(|count| count == 0));
            })
        });
        assert_eq!(text(code), text(ExitCode::from(1)));
    }
}
