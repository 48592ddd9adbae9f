//! Kill: it reaches every operation that waits, runs the destructors, and harms nobody else.

mod common;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use actor_core::sync::{self, Event, Semaphore};
use actor_core::{
    CallError, JoinError, JoinHandle, Mailbox, Message, Overflow, Pid, ReceiveError, Tasklet,
    block_on_thread, match_message, timeout,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message)]
struct Note;

#[derive(Message, Debug)]
#[message(reply = u32)]
struct Ask;

/// Reads a byte.
fn read(source: &Source, deadline: Option<Instant>) -> std::io::Result<u8> {
    source.io(Direction::Read, deadline, |fd| {
        use std::io::Read;
        let mut byte = [0];
        let mut stream = UnixStream::from(fd.try_clone_to_owned()?);
        stream.read_exact(&mut byte).map(|()| byte[0])
    })
}

fn pair() -> (Arc<Source>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (Arc::new(Source::new(near).unwrap()), far)
}

#[test]
fn every_operation_that_waits_can_be_killed() {
    run(|| {
        let (source, _far) = pair();
        let mutex = Arc::new(sync::Mutex::new(()));
        let guard = mutex.lock();
        let gate = Gate::new();
        let asleep = {
            let gate = gate.clone();
            let mailbox = Mailbox::bounded(1, Overflow::Block);
            Tasklet::with_mailbox(mailbox)
                .spawn(move || gate.pass())
                .unwrap()
        };
        asleep.send(Note).unwrap();
        let idle = Arc::new(spawn(|| Tasklet::receive().collect::<Vec<_>>().len()));
        let (full, busy) = (asleep.tasklet().clone(), idle.clone());
        let (join_idle, lock, reader) = (idle.clone(), mutex.clone(), source.clone());
        let release = gate.clone();
        type Wait = (&'static str, Box<dyn FnOnce() + Send>);
        let waits: Vec<Wait> = vec![
            ("a message", Box::new(|| drop(Tasklet::receive_one()))),
            (
                "a message",
                Box::new(|| drop(Tasklet::receive_timeout(PATIENCE))),
            ),
            ("a message", Box::new(|| Tasklet::receive().for_each(drop))),
            ("a time", Box::new(|| Tasklet::sleep(PATIENCE))),
            ("a time", Box::new(|| Tasklet::sleep(Duration::MAX))),
            (
                "a reply",
                Box::new(move || {
                    let _ = busy.call(Ask);
                }),
            ),
            ("room", Box::new(move || drop(full.send(Note)))),
            ("the end", Box::new(move || drop(join_idle.join()))),
            ("the mutex at", Box::new(move || drop(lock.lock()))),
            ("the event at", Box::new(|| Event::new().wait())),
            (
                "a permit of",
                Box::new(|| drop(Semaphore::new(0).acquire())),
            ),
            ("to read", Box::new(move || drop(read(&reader, None)))),
            (
                "a thread",
                Box::new(move || block_on_thread(move || release.pass())),
            ),
        ];
        for (n, (what, wait)) in waits.into_iter().enumerate() {
            let unwound = Count::new();
            let victim = {
                let unwound = unwound.clone();
                spawn_on(n, move || {
                    let _guard = OnDrop::new(move || {
                        let _ = unwound.up();
                    });
                    // The receive loops must not end for want of references.
                    let _held = Tasklet::current();
                    wait();
                })
            };
            wait_until_it_waits(
                &victim,
                &format!("waits for {what}").replace("for to", "to"),
            );
            victim.kill();
            assert_killed(&victim);
            assert_eq!(unwound.get(), 1);
        }
        gate.open();
        idle.kill();
        drop(guard);
    });
}

#[test]
fn a_descriptor_is_as_good_as_before_for_others() {
    run(|| {
        let (source, mut far) = pair();
        for round in 0..50 {
            let reader = |source: &Arc<Source>| {
                let source = source.clone();
                spawn_on(round, move || read(&source, None))
            };
            let victim = reader(&source);
            wait_until_it_waits(&victim, "waits to read");
            victim.kill();
            let other = reader(&source);
            assert_killed(&victim);
            far.write_all(&[round as u8]).unwrap();
            assert_eq!(
                join(other).unwrap(),
                round as u8,
                "the kill did not eat the read"
            );
        }
    });
}

#[test]
fn a_kill_that_nothing_waited_for_is_carried_out_at_the_next_operation() {
    run(|| {
        // From a thread: the victim holds its worker, which may be this one.
        block_on_thread(|| {
            let (at_work, go_on) = (Gate::new(), Arc::new(std::sync::Barrier::new(2)));
            let victim = {
                let (at_work, go_on) = (at_work.clone(), go_on.clone());
                spawn_on(1, move || {
                    at_work.open();
                    go_on.wait(); // the thread, not the tasklet: no operation of the framework
                    Tasklet::try_receive();
                    unreachable!("that was an operation")
                })
            };
            at_work.pass();
            victim.kill();
            go_on.wait();
            assert_killed::<()>(&victim);
        });

        // Oneself.
        let suicide = spawn(|| {
            Tasklet::current().kill();
            let still_here = 1 + 1;
            assert_eq!(still_here, 2);
            Tasklet::yield_now();
            unreachable!()
        });
        assert_killed::<()>(&suicide);
        suicide.kill(); // has no effect any more
        suicide.kill();
    });
}

#[test]
fn one_that_is_killed_before_it_runs_drops_its_closure_inside() {
    /// Spawns and kills one while its worker cannot run it.
    fn check(
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> JoinHandle<()>,
        let_run: impl FnOnce(),
    ) {
        let (tell, told) = mpsc::channel();
        let captured = OnDrop::new(move || tell.send(Pid::current()).unwrap());
        let victim = spawn(Box::new(move || {
            let _captured = captured;
            unreachable!("it has been killed before")
        }));
        victim.kill();
        let_run();
        assert_killed(&victim);
        assert_eq!(told.recv().unwrap(), Some(victim.pid()));
    }
    run(|| {
        // On this worker: it runs when this tasklet waits.
        check(Tasklet::spawn, || ());
        // On another, which is held; from a thread, as the worker may be this one.
        block_on_thread(|| {
            let (held, hold) = (Gate::new(), Arc::new(std::sync::Barrier::new(2)));
            let (is_held, release) = (held.clone(), hold.clone());
            spawn_on(1, move || {
                is_held.open();
                hold.wait();
            });
            held.pass();
            check(
                |f| spawn_on(1, f),
                || {
                    release.wait();
                },
            );
        });
    });
}

#[test]
fn one_that_catches_the_unwinding_cannot_starve_the_others() {
    run(|| {
        for receives in [true, false] {
            let over = Gate::new();
            let stubborn = {
                let over = over.clone();
                spawn(move || {
                    let mut caught = 0_u32;
                    while !over.is_open() {
                        caught += u32::from(
                            catch_unwind(AssertUnwindSafe(|| {
                                if receives {
                                    drop(Tasklet::receive_one());
                                } else {
                                    Tasklet::sleep(PATIENCE);
                                }
                            }))
                            .is_err(),
                        );
                    }
                    caught
                })
            };
            stubborn.kill();
            // The bystander is on the same worker.
            let bystander = Tasklet::spawn(|| {
                for _ in 0..100 {
                    Tasklet::yield_now();
                    Tasklet::sleep(Duration::from_micros(10));
                }
            });
            join(bystander);
            over.open();
            assert!(stubborn.join_timeout(PATIENCE).unwrap() > 0);
        }
    });
}

#[test]
fn what_runs_while_a_tasklet_unwinds_neither_waits_nor_raises() {
    /// What the operations said in the destructor.
    #[derive(Default, Debug)]
    struct Said {
        receive: Option<ReceiveError>,
        join: Option<JoinError>,
        call: Option<CallError>,
        read: Option<std::io::Error>,
        limited: Option<std::io::ErrorKind>,
    }
    run(|| {
        let ways: [fn(); 3] = [
            || panic!("no luck"),
            || Tasklet::sleep(PATIENCE),
            || {
                let late: Option<()> = timeout(SHORT, || {
                    Tasklet::sleep(PATIENCE);
                    None
                });
                assert_eq!(late, None);
                panic!("no luck either");
            },
        ];
        for (n, way) in ways.into_iter().enumerate() {
            // A lock of `std` that a neighbour takes and gives, as it would anywhere.
            let shared = Arc::new(Mutex::new(0_u32));
            let over = Gate::new();
            let bystander = {
                let (shared, over) = (shared.clone(), over.clone());
                spawn(move || {
                    while !over.is_open() {
                        assert!(!thread::panicking(), "the neighbour's unwinding is its own");
                        let mut guard = shared.lock().unwrap();
                        *guard += 1;
                        drop(guard);
                        Tasklet::yield_now();
                    }
                })
            };
            let said = Arc::new(Mutex::new(Said::default()));
            let (source, _far) = pair();
            let endless = Arc::new(spawn(|| Tasklet::sleep(PATIENCE)));
            let victim = {
                let (said, shared, endless) = (said.clone(), shared.clone(), endless.clone());
                spawn(move || {
                    let _guard = OnDrop::new(move || {
                        let before = *shared.lock().unwrap();
                        let mut said = said.lock().unwrap();
                        Tasklet::current().kill(); // not now
                        Tasklet::sleep(PATIENCE);
                        Tasklet::yield_now();
                        assert!(Tasklet::receive().next().is_none());
                        said.receive = Tasklet::receive_one().err();
                        said.join = endless.join().err();
                        said.call = endless.call(Ask).err();
                        said.read = read(&source, None).err();
                        let late: std::io::Result<()> = timeout(SHORT, || {
                            Tasklet::sleep(PATIENCE);
                            Err(std::io::ErrorKind::Other.into())
                        });
                        said.limited = late.err().map(|error| error.kind());
                        assert!(thread::panicking());
                        drop(Tasklet::spawn(|| ()));
                        assert_eq!(*shared.lock().unwrap(), before, "nobody else has run");
                    });
                    way();
                })
            };
            if n == 1 {
                wait_until_it_waits(&victim, "waits for a time");
                victim.kill();
                assert_killed(&victim);
            } else {
                let end = victim.join_timeout(PATIENCE);
                assert!(matches!(end, Err(JoinError::Panicked(_))), "{end:?}");
            }
            over.open();
            join(bystander);
            assert!(!shared.is_poisoned());
            let said = std::mem::take(&mut *said.lock().unwrap());
            assert_eq!(said.receive, Some(ReceiveError::Stopped), "{said:?}");
            assert!(matches!(said.join, Some(JoinError::Unwinding)), "{said:?}");
            assert_eq!(said.call, Some(CallError::Unanswered));
            let read = said.read.expect("it would have had to wait");
            assert!(
                read.get_ref()
                    .is_some_and(|e| e.is::<actor_core::Unwinding>()),
                "{read:?}"
            );
            assert_eq!(said.limited, Some(std::io::ErrorKind::Other));
            endless.kill();
        }
    });
}

#[test]
fn a_kill_in_a_destructor_does_not_abort() {
    run(|| {
        // A destructor that runs without any unwinding can be killed as well: it unwinds from there.
        let victim = spawn(|| {
            let guard = OnDrop::new(|| Tasklet::sleep(PATIENCE));
            drop(guard);
        });
        wait_until_it_waits(&victim, "waits for a time");
        victim.kill();
        assert_killed(&victim);
        // One of a value that nobody joins, at the very end.
        struct Sleepy;
        impl Drop for Sleepy {
            fn drop(&mut self) {
                Tasklet::sleep(PATIENCE);
            }
        }
        let victim = Tasklet::spawn(|| Sleepy);
        let tasklet = victim.tasklet().clone();
        drop(victim);
        Tasklet::yield_now();
        wait_until_it_waits(&tasklet, "waits for a time");
        tasklet.kill();
        wait_until(|| !tasklet.is_alive());
    });
}

#[test]
fn a_shield_holds_a_kill_off() {
    run(|| {
        let (begun, go_on) = (Gate::new(), Gate::new());
        let steps = Count::new();
        let victim = {
            let (begun, go_on, steps) = (begun.clone(), go_on.clone(), steps.clone());
            spawn_on(1, move || {
                Tasklet::shield(|| {
                    Tasklet::shield(|| begun.open());
                    go_on.pass();
                    Tasklet::sleep(SHORT);
                    steps.up();
                });
                steps.up();
                Tasklet::yield_now();
                steps.up();
            })
        };
        begun.pass();
        victim.kill();
        go_on.open();
        assert_killed(&victim);
        assert_eq!(steps.get(), 2);
    });
}

#[test]
fn a_kill_passes_through_timeouts() {
    run(|| {
        let victim = spawn(|| {
            timeout(PATIENCE, || -> Option<()> {
                timeout(PATIENCE * 2, || -> Option<()> {
                    Tasklet::sleep(PATIENCE);
                    None
                })
            })
        });
        wait_until_it_waits(&victim, "waits for a time");
        victim.kill();
        assert_killed(&victim);
    });
}

#[test]
fn kills_from_all_sides_at_once_end_it_once() {
    run(|| {
        for round in 0..200 {
            let unwound = Count::new();
            let victim: JoinHandle<()> = {
                let unwound = unwound.clone();
                spawn_on(round, move || {
                    let _guard = OnDrop::new(move || {
                        let _ = unwound.up();
                    });
                    loop {
                        Tasklet::sleep(Duration::from_micros(3));
                        drop(Tasklet::receive_timeout(Duration::from_micros(3)));
                    }
                })
            };
            let killers: Vec<_> = (0..4)
                .map(|n| {
                    let victim = victim.tasklet().clone();
                    spawn_on(n, move || {
                        // Also messages and stops, each a wake-up of its own.
                        let _ = victim.send(Note);
                        victim.stop();
                        victim.kill();
                    })
                })
                .collect();
            assert_killed(&victim);
            killers.into_iter().for_each(join);
            assert!(unwound.get() <= 1);
        }
    });
}

#[test]
fn a_handler_with_children_leaves_nothing_behind() {
    // The shape of a server's connection: a reader that is tied to its handle, and a writer that lives
    // as long as somebody can send to it. However the handler ends, both end.
    #[derive(Message)]
    struct Quit;
    run(|| {
        let ways: [fn(&Tasklet); 4] = [
            |handler| handler.send(Quit).unwrap(),
            |handler| handler.send(Note).unwrap(),
            Tasklet::kill,
            Tasklet::stop,
        ];
        for way in ways {
            let (tell, told) = mpsc::channel();
            let (source, _far) = pair();
            let handler = spawn(move || {
                let writer = Tasklet::with_mailbox(Mailbox::bounded(4, Overflow::Fail))
                    .spawn(|| Tasklet::receive().for_each(drop))
                    .unwrap();
                let client = Tasklet::current();
                let reader = Tasklet::spawn(move || {
                    let _client = client;
                    drop(read(&source, None));
                });
                let reader = reader.kill_on_drop();
                tell.send([writer.downgrade(), reader.downgrade()]).unwrap();
                for message in Tasklet::receive() {
                    match_message!(match message {
                        Quit => return,
                        Note => panic!("no luck"),
                    });
                }
                writer.send(Note).unwrap();
            });
            let children = told.recv().unwrap();
            way(&handler);
            assert!(!matches!(
                handler.join_timeout(PATIENCE),
                Err(JoinError::Timeout)
            ));
            for child in children {
                wait_until(|| child.upgrade().is_none());
            }
        }
        assert!(Tasklet::current().children().is_empty());
    });
}
