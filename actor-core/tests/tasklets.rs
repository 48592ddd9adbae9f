//! Tasklets: spawning, joining, stopping, daemons, and the programs they make up.

mod common;

use std::collections::HashSet;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use actor_core::{
    CallError, JoinError, JoinHandle, Message, Placement, Runtime, RuntimeError, SendError,
    Tasklet, block_on_thread, dispatch, is_shutting_down, join_all, quit, timeout,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message, Debug, PartialEq)]
struct Note(u32);

#[derive(Message)]
#[message(reply = u32)]
struct Ask;

/// A log that tasklets write to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

// Order -----------------------------------------------------------------------------------------

#[test]
fn greetings_come_in_the_order_of_the_slides() {
    let log = Log::default();
    let greet = {
        let log = log.clone();
        move |name: &'static str, pause: fn()| {
            let log = log.clone();
            move || {
                log.add(format!("Hello {name}"));
                pause();
                log.add(format!("Goodbye {name}"));
            }
        }
    };
    let expected = ["Hello A", "Hello B", "Goodbye A", "Goodbye B"];
    let pauses: [fn(); 2] = [Tasklet::yield_now, || Tasklet::sleep(SHORT)];
    for pause in pauses {
        for _ in 0..20 {
            let greet = greet.clone();
            run(move || {
                Tasklet::spawn(greet("A", pause));
                Tasklet::spawn(greet("B", pause));
            });
            assert_eq!(log.take(), expected);
        }
    }
}

#[test]
fn turns_do_not_change_the_order() {
    // Each uses up the worker's slice and takes a turn in the middle; nobody leaves the queue for it.
    let rounds = run(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let tasklets: Vec<_> = (0..4)
            .map(|n| {
                let log = log.clone();
                Tasklet::spawn(move || {
                    for round in 0..10 {
                        log.lock().unwrap().push((round, n));
                        let start = std::time::Instant::now();
                        while start.elapsed() < Duration::from_micros(400) {
                            // Operations that do not wait, each of which may take the turn.
                            Tasklet::current().send(Note(0)).unwrap();
                            Tasklet::try_receive();
                        }
                        Tasklet::yield_now();
                    }
                })
            })
            .collect();
        join_all(tasklets).into_iter().for_each(Result::unwrap);
        Arc::into_inner(log).unwrap().into_inner().unwrap()
    });
    assert!(rounds.is_sorted(), "{rounds:?}");
}

#[test]
fn the_one_that_spawns_goes_on_first() {
    run(|| {
        let log = Log::default();
        let child = {
            let log = log.clone();
            Tasklet::spawn(move || log.add("child"))
        };
        log.add("parent");
        join(child);
        assert_eq!(log.take(), ["parent", "child"]);
    });
}

// Join ------------------------------------------------------------------------------------------

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
                assert!(place.contains(&format!("tasklets.rs:{line}:")), "{place}");
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

// Identity --------------------------------------------------------------------------------------

#[test]
fn tasklets_are_told_apart_and_named() {
    run(|| {
        fn counting() {}
        let by_function = Tasklet::spawn(counting);
        assert_eq!(by_function.name(), "counting");
        let by_name = Tasklet::builder().name("ledger").spawn(|| ()).unwrap();
        assert_eq!(by_name.name(), "ledger");
        assert_eq!(Tasklet::current().name(), "main");
        assert_ne!(*by_function.tasklet(), *by_name.tasklet());
        assert!(by_function.pid() < by_name.pid());
        let same = by_name.clone();
        assert_eq!(
            HashSet::from([same.clone(), by_name.tasklet().clone()]).len(),
            1
        );
        let me = Tasklet::current();
        assert_eq!(by_name.parent(), Some(me.clone()));
        assert_eq!(join(spawn(|| Tasklet::current().parent())), Some(me));
        join(by_name);
        assert!(!same.is_alive());
    });
}

#[test]
fn a_thread_is_no_tasklet() {
    assert_eq!(Tasklet::try_current(), None);
    assert!(!Tasklet::is_stopping());
    assert!(std::panic::catch_unwind(Tasklet::current).is_err());
    assert!(std::panic::catch_unwind(Tasklet::try_receive).is_err());
    Tasklet::yield_now();
    Tasklet::sleep(SHORT);
}

#[test]
fn a_tasklet_stays_on_its_worker_and_goes_where_it_is_placed() {
    run(|| {
        let thread_of = |worker| {
            join(spawn_on(worker, || {
                let thread = thread::current().id();
                for pause in 0..20 {
                    match pause % 3 {
                        0 => Tasklet::yield_now(),
                        1 => Tasklet::sleep(Duration::from_micros(50)),
                        _ => drop(spawn_on(pause, || ()).join()),
                    }
                    assert_eq!(thread::current().id(), thread);
                }
                // A child lives where its parent does.
                assert_eq!(join(Tasklet::spawn(|| thread::current().id())), thread);
                thread
            }))
        };
        let threads: Vec<_> = (0..WORKERS).map(thread_of).collect();
        assert_eq!(threads.iter().collect::<HashSet<_>>().len(), WORKERS);
        assert_eq!(
            thread_of(WORKERS),
            threads[0],
            "beyond the last it begins again"
        );
        let anywhere = Tasklet::builder()
            .placement(Placement::LeastLoaded)
            .spawn(|| thread::current().id());
        assert!(threads.contains(&join(anywhere.unwrap())));
    });
}

#[test]
fn a_thread_of_the_pool_spawns_for_its_program() {
    run(|| {
        let child = block_on_thread(|| Tasklet::spawn(|| Tasklet::receive().count()));
        assert_eq!(child.parent(), None, "a thread is no parent");
        child.send(Note(1)).unwrap();
        assert_eq!(join(child), 1);
    });
}

#[test]
fn a_weak_reference_does_not_hold() {
    run(|| {
        let tasklet = spawn(|| Tasklet::receive().count());
        let weak = tasklet.downgrade();
        weak.upgrade().expect("it lives").send(Note(1)).unwrap();
        assert_eq!(join(tasklet), 1);
        assert_eq!(weak.upgrade(), None);
    });
}

// Stop ------------------------------------------------------------------------------------------

#[test]
fn a_stop_ends_the_receive_loop_after_what_has_come_before() {
    run(|| {
        let receiver = Tasklet::spawn(|| {
            let received: Vec<_> = Tasklet::receive()
                .map(|message| message.downcast::<Note>().unwrap().0)
                .collect();
            assert!(Tasklet::is_stopping());
            // It stays over.
            assert!(Tasklet::receive().next().is_none());
            assert!(Tasklet::try_receive().is_none());
            received
        });
        for n in 0..5 {
            receiver.send(Note(n)).unwrap();
        }
        receiver.stop();
        match receiver.send(Note(5)) {
            Err(SendError::Ended(Note(5))) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(receiver.call(Ask), Err(CallError::Ended));
        receiver.stop(); // no more than once
        assert_eq!(join(receiver), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_stop_wakes_a_receive_loop_that_waits_on_any_worker() {
    run(|| {
        for worker in 0..WORKERS {
            let receiver = spawn_on(worker, || Tasklet::receive().count());
            wait_until_it_waits(&receiver, "waits for a message");
            receiver.stop();
            assert_eq!(join(receiver), 0);
        }
    });
}

#[test]
fn a_stop_goes_down_the_tree_children_after_their_parents() {
    run(|| {
        let log = Log::default();
        let loops = |name: &'static str, log: &Log| {
            let log = log.clone();
            move || {
                let held = Tasklet::current(); // not for want of references
                Tasklet::receive().for_each(drop);
                log.add(name);
                drop(held);
            }
        };
        let grandparent = {
            let log = log.clone();
            spawn(move || {
                let parent = {
                    let log = log.clone();
                    spawn(move || {
                        Tasklet::spawn(loops("child 1", &log));
                        Tasklet::spawn(loops("child 2", &log));
                        loops("parent", &log)()
                    })
                };
                Tasklet::receive().for_each(drop);
                // The farewell: whoever is below still takes messages.
                parent.send(Note(1)).unwrap();
                log.add("grandparent");
            })
        };
        wait_until(|| grandparent.tree().iter().count() == 4);
        let tree = grandparent.tree();
        let members: Vec<_> = tree.iter().map(|(_, tasklet)| tasklet).collect();
        assert_eq!(members.len(), 4);
        drop(tree);
        grandparent.stop();
        join(grandparent);
        for member in members {
            wait_until(|| !member.is_alive());
        }
        assert_eq!(log.take(), ["grandparent", "parent", "child 1", "child 2"]);
    });
}

#[test]
fn a_join_ends_at_a_stop_where_that_is_wanted_and_passes_nothing_on() {
    run(|| {
        let gate = Gate::new();
        let inner = gate.clone();
        let parent = spawn(move || {
            let child = spawn({
                let inner = inner.clone();
                move || {
                    inner.pass();
                    Tasklet::is_stopping()
                }
            });
            // Waits here until it is stopped, and no longer waits once it is.
            assert!(child.join_or_stop().unwrap().is_none());
            assert!(child.join_or_stop().unwrap().is_none());
            assert!(child.is_alive());
            inner.open();
            while child.is_alive() {
                Tasklet::yield_now();
            }
            // What has ended is had all the same, once.
            let first = child.join_or_stop().unwrap();
            assert!(matches!(child.join_or_stop(), Err(JoinError::Taken)));
            first
        });
        Tasklet::yield_now();
        parent.stop();
        assert_eq!(join(parent), Some(false), "the child was not asked to stop");
        // Without a stop it is a join like others.
        assert_eq!(spawn(|| 7).join_or_stop().unwrap(), Some(7));
        let victim = spawn(|| Tasklet::sleep(Duration::MAX));
        victim.kill();
        assert!(matches!(victim.join_or_stop(), Err(JoinError::Killed)));
        let sleeper = spawn(|| Tasklet::sleep(Duration::MAX)).kill_on_drop();
        let expired = timeout(Duration::from_millis(1), || sleeper.join_or_stop());
        assert!(matches!(expired, Err(JoinError::Timeout)));
    });
}

#[test]
fn a_stop_passes_through_join_to_descendants_alone() {
    run(|| {
        let (stranger, strangers) = (Gate::new(), Gate::new());
        let stranger_handle = {
            let stranger = stranger.clone();
            Arc::new(spawn(move || stranger.pass()))
        };
        // One that joins a descendant passes the stop on.
        let parent = spawn(|| {
            let child = spawn(|| {
                let held = Tasklet::current();
                let grandchild = spawn(|| {
                    let held = Tasklet::current();
                    let count = Tasklet::receive().count();
                    drop(held);
                    count
                });
                drop(held);
                grandchild.join().unwrap()
            });
            child.join().unwrap()
        });
        parent.stop();
        assert_eq!(join(parent), 0);
        // One that joins somebody else does not.
        let other = {
            let handle = stranger_handle.clone();
            let strangers = strangers.clone();
            spawn(move || {
                let end = handle.join();
                strangers.open();
                end
            })
        };
        other.stop();
        Tasklet::yield_now();
        assert!(
            stranger_handle.is_alive()
                && !stranger_handle.tree().to_string().contains(", stopping")
        );
        assert!(other.is_alive());
        stranger.open();
        join(other).unwrap();
        strangers.pass();
    });
}

#[test]
fn what_neither_receives_nor_asks_runs_on_through_a_stop() {
    run(|| {
        let gate = Gate::new();
        let deaf = {
            let gate = gate.clone();
            spawn(move || {
                gate.pass();
                Tasklet::sleep(SHORT);
                Tasklet::is_stopping()
            })
        };
        deaf.stop();
        gate.open();
        assert!(join(deaf));
    });
}

#[test]
fn children_of_one_that_has_ended_pass_to_its_parent() {
    run(|| {
        let me = Tasklet::current();
        let gate = Gate::new();
        let orphan = {
            let gate = gate.clone();
            join(spawn(move || {
                Tasklet::builder()
                    .name("orphan")
                    .spawn(move || gate.pass())
                    .unwrap()
            }))
        };
        assert_eq!(orphan.parent(), Some(me.clone()));
        assert!(me.children().contains(orphan.tasklet()));
        gate.open();
        join(orphan);
        assert!(me.children().is_empty());
    });
}

// Programs --------------------------------------------------------------------------------------

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
                Tasklet::sleep(SHORT);
                let count = count.clone();
                // Also for those that are spawned when main has long ended.
                spawn_on(worker + 1, move || {
                    Tasklet::sleep(SHORT);
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

// Periodic (exact counts are in virtual_clock.rs) -------------------------------------------------

#[test]
fn later_and_the_periodic_ones_end_when_they_are_stopped() {
    run(|| {
        let count = Count::new();
        let up = || {
            let count = count.clone();
            move || {
                let _ = count.up();
            }
        };
        let forever = Duration::from_secs(3600);
        let waiting = [
            Tasklet::later(forever, up()),
            Tasklet::interval(forever, up()),
            Tasklet::later(Duration::MAX, up()),
        ];
        for tasklet in waiting {
            wait_until_it_waits(&tasklet, "waits for a time");
            tasklet.stop();
            join(tasklet);
        }
        assert_eq!(count.get(), 0);
        join(Tasklet::later(SHORT, up()));
        assert_eq!(count.get(), 1);

        let busy = [
            Tasklet::rate(5_000.0, up()),
            Tasklet::interval(Duration::ZERO, up()),
        ];
        wait_until(|| count.get() > 10);
        for tasklet in busy {
            tasklet.stop();
            join(tasklet);
        }
    });
}

#[test]
fn what_repeats_passes_a_kill_on_and_lets_others_run() {
    run(|| {
        let count = Count::new();
        let repeated = {
            let count = count.clone();
            Tasklet::repeat(move || {
                let _ = count.up();
            })
        };
        wait_until(|| count.get() > 100);
        repeated.kill();
        assert_killed(&repeated);

        let receiver = Tasklet::repeat(|| Tasklet::receive().for_each(drop));
        wait_until_it_waits(&receiver, "waits for a message");
        receiver.stop();
        join(receiver);
    });
}

#[test]
fn a_rate_must_make_sense() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(std::panic::catch_unwind(|| Tasklet::rate(rate, || ())).is_err());
    }
}
