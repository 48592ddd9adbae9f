//! Deadlines over blocks of operations, and those of single ones.

mod common;

use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use actor_core::sync::{Event, Mutex, Semaphore};
use actor_core::{
    BoxError, CallError, JoinError, Message, ReceiveError, Tasklet, TimedOut, block_on_thread,
    match_message, time, timeout,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message, Debug, PartialEq)]
struct Note(usize);

#[derive(Message, Debug)]
#[message(reply = usize)]
struct Ask;

fn forever<T>() -> T {
    Tasklet::sleep(PATIENCE * 10);
    unreachable!("the test is over by now")
}

/// One that neither answers nor ends until the handle goes.
fn deaf() -> actor_core::KillOnDrop<()> {
    spawn(|| Tasklet::sleep(PATIENCE * 10)).kill_on_drop()
}

#[test]
fn the_result_says_that_time_ran_out() {
    let check = || {
        let error = timeout(SHORT, || -> io::Result<()> { forever() }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.get_ref().is_some_and(|error| error.is::<TimedOut>()));
        assert_eq!(timeout(SHORT, || -> Option<()> { forever() }), None);
        let late = timeout(SHORT, || -> Result<(), CallError> { forever() });
        assert_eq!(late, Err(CallError::Timeout));
        let late = timeout(SHORT, || -> Result<(), JoinError> { forever() });
        assert!(matches!(late, Err(JoinError::Timeout)));
        let late = timeout(SHORT, || -> Result<(), ReceiveError> { forever() });
        assert_eq!(late, Err(ReceiveError::Timeout));
        let late = timeout(SHORT, || -> Result<(), BoxError> { forever() });
        assert!(late.unwrap_err().is::<TimedOut>());
        assert_eq!(
            timeout(SHORT, || -> Result<(), TimedOut> { forever() }),
            Err(TimedOut)
        );
        // What comes in time is returned as it is.
        assert_eq!(timeout(PATIENCE, || Some(1)), Some(1));
        assert_eq!(timeout(Duration::MAX, || Some(2)), Some(2));
        assert_eq!(
            timeout(Duration::ZERO, || Some(3)),
            Some(3),
            "no operation, no expiry"
        );
        let own = timeout(PATIENCE, || Err::<(), _>(CallError::Full));
        assert_eq!(own, Err(CallError::Full));
    };
    finish(check); // on a thread
    run(check);
}

#[test]
fn it_ends_every_operation_in_it() {
    run(|| {
        let deaf = deaf();
        let mutex = Arc::new(Mutex::new(()));
        let _guard = mutex.lock();
        let (near, _far) = UnixStream::pair().unwrap();
        let source = Source::new(near).unwrap();
        // Those that return errors return theirs, inside the block.
        let inside: Option<()> = timeout(SHORT, || {
            assert_eq!(Tasklet::receive_one().unwrap_err(), ReceiveError::Timeout);
            assert_eq!(
                Tasklet::receive_timeout(PATIENCE).unwrap_err(),
                ReceiveError::Timeout
            );
            assert_eq!(deaf.call(Ask), Err(CallError::Timeout));
            assert_eq!(deaf.call_timeout(Ask, PATIENCE), Err(CallError::Timeout));
            assert!(matches!(deaf.join(), Err(JoinError::Timeout)));
            let error = source.wait(Direction::Read, None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(mutex.lock_timeout(PATIENCE).is_err());
            Some(())
        });
        assert_eq!(inside, Some(()));
        // The others unwind to its edge.
        let lock = mutex.clone();
        let (release, held) = mpsc::channel::<()>();
        let waits: [Box<dyn FnOnce()>; 7] = [
            Box::new(|| Tasklet::sleep(PATIENCE)),
            Box::new(|| Tasklet::sleep(Duration::MAX)),
            Box::new(|| Tasklet::receive().for_each(drop)),
            Box::new(move || drop(lock.lock())),
            Box::new(|| Event::new().wait()),
            Box::new(|| drop(Semaphore::new(0).acquire())),
            Box::new(move || block_on_thread(move || _ = held.recv())),
        ];
        for wait in waits {
            let dropped = Count::new();
            let count = dropped.clone();
            let late: Option<()> = timeout(SHORT, move || {
                let _guard = OnDrop::new(move || {
                    let _ = count.up();
                });
                wait();
                Some(())
            });
            assert_eq!((late, dropped.get()), (None, 1));
        }
        drop(release);
        // And all is as before.
        Tasklet::sleep(SHORT);
        assert!(Tasklet::receive_timeout(SHORT).is_err());
    });
}

#[test]
fn of_nested_ones_the_nearer_counts() {
    run(|| {
        // The inner is nearer: the outer goes on.
        let outer = timeout(PATIENCE, || {
            let inner: Option<()> = timeout(SHORT, forever);
            assert_eq!(inner, None);
            Tasklet::sleep(SHORT);
            Some("outer")
        });
        assert_eq!(outer, Some("outer"));
        // The outer is nearer: it unwinds through the inner, which does not take it for its own.
        let before = time::now();
        let outer: Option<&str> = timeout(SHORT, || {
            let inner: Option<()> = timeout(PATIENCE, forever);
            Some(if inner.is_none() { "inner" } else { "none" })
        });
        assert_eq!(outer, None);
        assert!(time::now() - before < PATIENCE);
        // Three, the middle one nearest; and the same again afterwards.
        for _ in 0..3 {
            let result = timeout(PATIENCE, || {
                let middle: Option<()> = timeout(SHORT, || timeout(PATIENCE, forever));
                Some(middle.is_none())
            });
            assert_eq!(result, Some(true));
        }
        // An operation's own deadline beside them.
        let result = timeout(PATIENCE, || {
            Some(Tasklet::receive_timeout(SHORT).unwrap_err() == ReceiveError::Timeout)
        });
        assert_eq!(result, Some(true));
    });
}

#[test]
fn one_that_catches_the_expiry_meets_it_again() {
    run(|| {
        let mut caught = 0;
        let late: Option<()> = timeout(SHORT, || {
            for _ in 0..3 {
                let swallowed = catch_unwind(AssertUnwindSafe(|| Tasklet::sleep(PATIENCE)));
                caught += u32::from(swallowed.is_err());
            }
            forever()
        });
        assert_eq!((late, caught), (None, 3));
    });
}

#[test]
fn one_that_ignores_the_expiry_does_not_starve_the_others() {
    run(|| {
        let over = Gate::new();
        let stubborn = {
            let over = over.clone();
            spawn(move || {
                timeout(SHORT, || {
                    while !over.is_open() {
                        // Fails at once, again and again.
                        drop(Tasklet::receive_timeout(PATIENCE));
                    }
                    Some(())
                })
            })
        };
        let bystander = Tasklet::spawn(|| {
            for _ in 0..20 {
                Tasklet::sleep(SHORT);
            }
        });
        join(bystander);
        over.open();
        assert_eq!(join(stubborn), Some(()));
    });
}

#[test]
fn an_expiry_is_its_tasklets_own() {
    run(|| {
        // What is spawned in a block is not in it.
        let child = timeout(SHORT, || {
            let child = spawn(|| Tasklet::sleep(SHORT * 5));
            Some(child)
        });
        join(child.unwrap());
        // Many at a time on one worker do not mix up their deadlines.
        let many: Vec<_> = (0..50_u64)
            .map(|n| {
                Tasklet::spawn(move || {
                    let late = n % 2 == 0;
                    let limit = if late {
                        Duration::from_micros(n * 20)
                    } else {
                        PATIENCE
                    };
                    let result = timeout(limit, || {
                        Tasklet::sleep(if late { PATIENCE } else { SHORT });
                        Some(())
                    });
                    assert_eq!(result.is_none(), late);
                })
            })
            .collect();
        many.into_iter().for_each(join);
    });
}

#[test]
fn timeouts_below_a_millisecond_fire_and_never_early() {
    run(|| {
        let (near, _far) = UnixStream::pair().unwrap();
        let source = Source::new(near).unwrap();
        for micros in [0, 1, 10, 100, 999] {
            let limit = Duration::from_micros(micros);
            let waits: [&dyn Fn(); 5] = [
                &|| Tasklet::sleep(limit),
                &|| {
                    assert_eq!(
                        Tasklet::receive_timeout(limit).unwrap_err(),
                        ReceiveError::Timeout
                    )
                },
                &|| {
                    let late = source.wait(Direction::Read, Some(time::now() + limit));
                    assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
                },
                &|| assert_eq!(timeout(limit, forever::<Option<()>>), None),
                &|| assert!(Event::new().wait_timeout(limit).is_err()),
            ];
            for wait in waits {
                let before = Instant::now();
                wait();
                assert!(before.elapsed() >= limit, "early");
            }
        }
    });
}

#[test]
fn nothing_is_lost_at_the_edge_of_a_block() {
    const COUNT: usize = 2_000;
    run(|| {
        let receiver = spawn_on(1, || {
            let (mut next, mut edges) = (0, 0_u64);
            while next < COUNT {
                let limit = Duration::from_nanos(500 * (edges % 100));
                let _: Option<()> = timeout(limit, || {
                    for message in Tasklet::receive() {
                        match_message!(match message {
                            Note(n) => {
                                assert_eq!(n, next);
                                next += 1;
                            }
                        });
                        if next == COUNT {
                            break;
                        }
                    }
                    None
                });
                edges += 1;
            }
        });
        for n in 0..COUNT {
            receiver.send(Note(n)).unwrap();
            if n % 4 == 0 {
                Tasklet::yield_now();
            }
        }
        join(receiver);

        // A result that is there is given, however late.
        let ended = spawn(|| 5);
        while ended.is_alive() {
            Tasklet::yield_now();
        }
        assert_eq!(ended.join_timeout(Duration::ZERO).unwrap(), 5);
        for round in 0..300_u64 {
            let tasklet = spawn_on(2, || 7);
            let value = loop {
                match tasklet.join_timeout(Duration::from_nanos(round * 50)) {
                    Ok(value) => break value,
                    Err(error) => assert!(matches!(error, JoinError::Timeout)),
                }
            };
            assert_eq!(value, 7);
        }
    });
}
