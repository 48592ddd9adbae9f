//! Calls on stacks of their own.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use actor_core::channel::{Channel, ReceiveError};
use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, BlockTrap, Context, Handler, JoinError, Message, SpawnError, Tasklet, call,
    catch_raised, timeout,
};
use common::*;

extern crate actor_core as concurrence;

/// How deep it gets, with a good part of a stack at each level.
fn depth(of: u64) -> Result<u64, SpawnError> {
    let used = std::hint::black_box([1_u8; 16 * 1024]);
    if of == 0 {
        return Ok(0);
    }
    Ok(u64::from(used[77]) + call(|| depth(of - 1))??)
}

#[test]
fn it_is_deeper_than_a_stack() {
    run(|| assert_eq!(depth(2_000).unwrap(), 2_000));
}

#[test]
fn it_runs_at_once_and_borrows() {
    run(|| {
        let others = Count::new();
        let other = {
            let others = others.clone();
            Tasklet::spawn(move || others.up())
        };
        let mut log = vec!["before"];
        let length = call(|| {
            log.push("inside");
            log.len()
        });
        log.push("after");
        assert_eq!((length.unwrap(), others.get()), (2, 0));
        assert_eq!(log, ["before", "inside", "after"]);
        join(other);
    });
}

#[test]
fn it_waits_as_any_call_does() {
    run(|| {
        let woken = Event::new();
        let other = Count::new();
        let asleep = {
            let other = other.clone();
            Tasklet::spawn(move || {
                Tasklet::yield_now();
                other.up()
            })
        };
        let seen = call(|| {
            call(|| {
                Tasklet::sleep(SHORT);
                woken.set();
                other.get()
            })
        });
        assert_eq!(seen.unwrap().unwrap(), 1);
        assert!(woken.is_set());
        join(asleep);
    });
}

#[test]
fn a_panic_goes_on_in_the_caller() {
    run(|| {
        let line = line!() + 1;
        let caller = Tasklet::spawn(|| call(|| call(|| panic!("deep down"))).map(drop).unwrap());
        match caller.join() {
            Err(JoinError::Panicked(panic)) => {
                assert_eq!(panic.message(), "deep down");
                let place = panic.location().expect("known");
                assert!(place.contains(&format!("recursion.rs:{line}:")), "{place}");
            }
            other => panic!("{other:?}"),
        }
        // Caught, it is over.
        let caught = catch_unwind(AssertUnwindSafe(|| call(|| -> u8 { panic!("caught") })));
        assert!(caught.is_err());
        assert_eq!(call(|| 7).unwrap(), 7);
    });
}

#[test]
fn a_kill_of_the_caller_reaches_the_bottom_first() {
    run(|| {
        let ended = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let caller = {
            let ended = ended.clone();
            spawn(move || {
                let end = |what: &'static str| {
                    let ended = ended.clone();
                    OnDrop::new(move || ended.lock().unwrap().push(what))
                };
                let _caller = end("caller");
                let middle = end("middle");
                let bottom = end("bottom");
                call(move || {
                    let _middle = middle;
                    call(move || {
                        let _bottom = bottom;
                        Tasklet::sleep(PATIENCE * 10);
                    })
                })
            })
        };
        wait_until_it_waits(&caller, "waits for the end of");
        caller.kill();
        assert!(matches!(
            promptly(|limit| caller.join_timeout(limit)),
            Err(JoinError::Killed)
        ));
        assert_eq!(*ended.lock().unwrap(), ["bottom", "middle", "caller"]);
    });
}

#[test]
fn what_is_borrowed_outlives_a_call_that_takes_its_time_to_die() {
    run(|| {
        let caller = spawn(|| {
            let mut steps = vec![0_u8; 4096];
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                call(|| {
                    Tasklet::shield(|| {
                        for step in &mut steps {
                            Tasklet::yield_now();
                            *step += 1;
                        }
                    });
                    Tasklet::yield_now();
                })
            }));
            assert!(outcome.is_err());
            assert!(steps.iter().all(|&step| step == 1));
            std::panic::resume_unwind(outcome.unwrap_err())
        });
        Tasklet::yield_now();
        caller.kill();
        let end: Result<(), _> = promptly(|limit| caller.join_timeout(limit));
        assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
    });
}

#[test]
fn a_shield_around_the_call_covers_it() {
    run(|| {
        let done = Count::new();
        let caller = {
            let done = done.clone();
            spawn(move || {
                Tasklet::shield(|| {
                    call(|| {
                        Tasklet::sleep(SHORT);
                        done.up();
                    })
                    .unwrap();
                });
                Tasklet::yield_now();
                done.up();
            })
        };
        caller.kill();
        assert_killed(&caller);
        assert_eq!(done.get(), 1);
    });
}

#[test]
fn a_deadline_around_the_call_holds_inside() {
    run(|| {
        // What has an error returns it, inside.
        let event = Event::new();
        let inside = timeout(SHORT, || -> Option<String> {
            let waited = call(|| call(|| event.wait_timeout(PATIENCE)));
            Some(format!("{:?}", waited.unwrap().unwrap()))
        });
        assert_eq!(inside.as_deref(), Some("Err(TimedOut)"));
        // What has none unwinds, through all calls, to the edge of the block.
        let after = Count::new();
        let late = timeout(SHORT, || -> Option<()> {
            let slept = call(|| call(|| Tasklet::sleep(PATIENCE)));
            after.up();
            slept.ok().and_then(Result::ok)
        });
        assert_eq!((late, after.get()), (None, 0));
    });
}

#[test]
fn a_stop_of_the_caller_is_passed_on() {
    run(|| {
        let caller = spawn(|| {
            call(|| {
                call(|| {
                    let myself = Tasklet::current();
                    Tasklet::receive().for_each(drop);
                    drop(myself);
                    "stopped"
                })
            })
        });
        wait_until_it_waits(&caller, "waits for the end of");
        caller.stop();
        assert_eq!(join(caller).unwrap().unwrap(), "stopped");
    });
}

#[derive(Message)]
#[message(reply = u64)]
struct Deep(u64);

struct Diver;

impl Actor for Diver {}

impl Handler<Deep> for Diver {
    fn handle(&mut self, Deep(n): Deep, _: &mut Context<Self>) -> u64 {
        let slow = call(|| {
            Tasklet::sleep(SHORT);
            n
        });
        depth(n).unwrap() + slow.unwrap()
    }
}

#[test]
fn handlers_call() {
    run(|| {
        let divers: Vec<_> = (0..5).map(|_| Addr::spawn(Diver)).collect();
        let asked: Vec<_> = divers
            .iter()
            .map(|diver| {
                let diver = diver.clone();
                Tasklet::spawn(move || diver.call(Deep(20)))
            })
            .collect();
        for answer in asked {
            assert_eq!(join(answer), Ok(40));
        }
        // A kill of the actor ends what its handler has called.
        let ended = Count::new();
        let sleeper = Addr::spawn(Sleeper(ended.clone()));
        sleeper.send(Sleep).unwrap();
        wait_until(|| ended.get() == 1);
        sleeper.kill();
        wait_until(|| ended.get() == 2);
    });
}

#[derive(Message)]
struct Sleep;

struct Sleeper(Count);

impl Actor for Sleeper {}

impl Handler<Sleep> for Sleeper {
    fn handle(&mut self, _: Sleep, _: &mut Context<Self>) {
        let _ = call(|| {
            let _ended = OnDrop::new(|| _ = self.0.up());
            self.0.up();
            Tasklet::sleep(PATIENCE * 10);
        });
    }
}

#[test]
fn plain_threads_call() {
    run(|| {
        let called = actor_core::block_on_thread(|| {
            let mut own = 0;
            let name = call(|| {
                own += 1;
                Tasklet::sleep(SHORT);
                Tasklet::current().name().to_owned()
            });
            assert_eq!(own, 1);
            let panics = catch_unwind(|| call(|| -> u8 { panic!("there") })).is_err();
            (name.unwrap(), panics)
        });
        assert_eq!(called, ("plain_threads_call".to_owned(), true));
    });
}

#[test]
fn while_unwinding_it_is_a_plain_call() {
    run(|| {
        let said = Count::new();
        let counts = said.clone();
        let fails = Tasklet::spawn(move || {
            let _at_the_end = OnDrop::new(move || {
                assert_eq!(call(|| counts.up()).unwrap(), 1);
            });
            panic!("over");
        });
        let end: Result<(), _> = fails.join();
        assert!(matches!(end, Err(JoinError::Panicked(_))));
        assert_eq!(said.get(), 1);
    });
}

#[test]
fn the_block_trap_holds_inside() {
    run(|| {
        let channel = Channel::new();
        let sender = channel.clone();
        let sends = Tasklet::spawn(move || {
            Tasklet::sleep(SHORT);
            while sender.try_send(1).is_err() {
                Tasklet::sleep(SHORT);
            }
        });
        let trap = BlockTrap::set();
        let receiver = channel.clone();
        let received = call(|| call(move || receiver.receive())).unwrap().unwrap();
        assert!(matches!(received, Err(ReceiveError::WouldBlock)));
        // What gives way, and does not wait, is no matter to it.
        call(Tasklet::schedule).unwrap();
        drop(trap);
        assert_eq!(call(move || channel.receive()).unwrap().unwrap(), 1);
        join(sends);
    });
}

#[test]
fn a_trap_set_below_is_no_trap_above() {
    run(|| {
        call(|| assert!(!Tasklet::set_block_trap(true))).unwrap();
        assert!(!Tasklet::set_block_trap(false));
    });
}

#[test]
fn an_error_raised_in_the_caller_is_raised_inside() {
    run(|| {
        let (tell, told) = mpsc::channel();
        let caller = Tasklet::spawn(move || {
            catch_raised::<Enough, ()>(|| {
                call(|| {
                    call(|| {
                        let _tell = OnDrop::new(move || tell.send(()).unwrap());
                        Event::new().wait();
                    })
                })
                .unwrap()
                .unwrap();
            })
        });
        wait_until(|| {
            caller
                .children()
                .iter()
                .any(|child| child.children().iter().any(Tasklet::is_blocked))
        });
        caller.raise(Enough).unwrap();
        assert_eq!(join(caller), Err(Enough));
        told.try_recv().unwrap();
    });
}

#[derive(Debug, PartialEq)]
struct Enough;

impl std::fmt::Display for Enough {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("enough")
    }
}

impl std::error::Error for Enough {}
