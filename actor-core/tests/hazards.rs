//! What must not come back: starvation, moved tasklets, lost wake-ups, and ends of the process that
//! nobody can explain.

mod common;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use actor_core::sync::Mutex;
use actor_core::{
    JoinError, JoinHandle, Message, Placement, Runtime, RuntimeError, SpawnError, Tasklet,
    block_on_thread, match_message, timeout,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message)]
struct Ball(Tasklet);

#[derive(Message)]
#[message(reply = u64)]
struct Ask(u64);

// Fairness --------------------------------------------------------------------------------------

/// Keeps every worker busy with tasklets that never let it go idle, until `over`.
fn busy(over: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let is_over = || {
        let over = over.clone();
        move || over.load(Ordering::Relaxed)
    };
    let mut load = Vec::new();
    for worker in 0..WORKERS {
        // One that only yields.
        let over = is_over();
        load.push(spawn_on(worker, move || {
            while !over() {
                Tasklet::yield_now();
            }
        }));
        // Two that only wake each other.
        let player = || {
            let over = is_over();
            spawn_on(worker, move || {
                for message in Tasklet::receive() {
                    let Ball(to) = message.downcast().unwrap();
                    if over() || to.send(Ball(Tasklet::current())).is_err() {
                        return;
                    }
                }
            })
        };
        let (ping, pong) = (player(), player());
        ping.send(Ball(pong.tasklet().clone())).unwrap();
        load.extend([ping, pong]);
        // One that always finds a message, and one that always finds a byte: neither ever waits.
        let over = is_over();
        load.push(spawn_on(worker, move || {
            let me = Tasklet::current();
            while !over() {
                me.send(Ball(me.clone())).unwrap();
                drop(Tasklet::receive_one().unwrap());
            }
        }));
        let over = is_over();
        load.push(spawn_on(worker, move || {
            let (near, mut far) = UnixStream::pair().unwrap();
            let near = Source::new(near).unwrap();
            while !over() {
                far.write_all(b"x").unwrap();
                read_byte(&near);
            }
        }));
    }
    load
}

fn read_byte(source: &Source) -> u8 {
    let read = source.io(Direction::Read, None, |fd| {
        let mut byte = 0_u8;
        // SAFETY: reads a byte into a local.
        match unsafe { libc::read(fd.as_raw_fd(), (&raw mut byte).cast(), 1) } {
            1 => Ok(byte),
            _ => Err(std::io::Error::last_os_error()),
        }
    });
    read.unwrap()
}

#[test]
fn busy_workers_serve_descriptors_timers_and_remote_wakes() {
    run(|| {
        let over = Arc::new(AtomicBool::new(false));
        let load = busy(&over);
        for worker in 0..WORKERS {
            // A descriptor whose other end is a thread.
            let (near, mut far) = UnixStream::pair().unwrap();
            let echo = spawn_on(worker, move || {
                let source = Source::new(near).unwrap();
                (0..50).for_each(|n| assert_eq!(read_byte(&source), n));
            });
            let thread = thread::spawn(move || (0..50).for_each(|n| far.write_all(&[n]).unwrap()));
            // A timer.
            let sleeper = spawn_on(worker, || (0..20).for_each(|_| Tasklet::sleep(SHORT / 10)));
            // Wake-ups and spawns from another worker, and from a thread.
            let doubler = spawn_on(worker, || {
                for message in Tasklet::receive() {
                    match_message!(match message {
                        (Ask(n), reply) => reply.send(n * 2),
                    });
                }
            });
            let to = doubler.tasklet().clone();
            let caller = spawn_on(worker + 1, move || {
                (0..50).for_each(|n| assert_eq!(to.call(Ask(n)), Ok(n * 2)));
            });
            let to = doubler.tasklet().clone();
            block_on_thread(move || {
                (0..50).for_each(|n| assert_eq!(to.call(Ask(n)), Ok(n * 2)));
                thread.join().unwrap();
            });
            [echo, sleeper, caller].into_iter().for_each(join);
            join(doubler);
        }
        over.store(true, Ordering::Relaxed);
        for tasklet in load {
            tasklet.stop();
            join(tasklet);
        }
    });
}

#[test]
fn sleeps_and_intervals_of_no_time_let_others_run() {
    run(|| {
        let over = Gate::new();
        let sleepless = {
            let over = over.clone();
            spawn(move || {
                while !over.is_open() {
                    Tasklet::sleep(Duration::ZERO);
                }
            })
        };
        let hectic = Tasklet::interval(Duration::ZERO, || ());
        let bystander = Tasklet::spawn(|| (0..50).for_each(|_| Tasklet::yield_now()));
        join(bystander);
        over.open();
        join(sleepless);
        hectic.stop();
        join(hectic);
    });
}

// No migration, no lost wake-up -------------------------------------------------------------------

/// Two seconds of it; as many as `CONCURRENCE_STRESS_SECONDS` says, if that is set.
#[test]
fn a_storm_of_everything_moves_nobody_and_loses_nothing() {
    const TASKLETS: usize = 24;
    let long = std::env::var("CONCURRENCE_STRESS_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let time = Duration::from_secs(long.unwrap_or(2));
    let done = run_for(time, move |until| {
        let mutex = Arc::new(Mutex::new(0_u64));
        let workers: Vec<_> = (0..TASKLETS)
            .map(|number| {
                let mutex = mutex.clone();
                spawn_on(number, move || {
                    let home = thread::current().id();
                    let at_home = |what: &str| {
                        assert_eq!(thread::current().id(), home, "moved by {what}");
                    };
                    let (mut seed, mut steps) = (number as u64, 0_u64);
                    let (near, mut far) = UnixStream::pair().unwrap();
                    let near = Source::new(near).unwrap();
                    while Instant::now() < until {
                        let elsewhere = random(&mut seed) as usize;
                        let tiny = Duration::from_micros(random(&mut seed) % 60);
                        match random(&mut seed) % 9 {
                            0 => Tasklet::yield_now(),
                            1 => Tasklet::sleep(tiny),
                            2 => drop(Tasklet::receive_timeout(tiny)),
                            3 => {
                                *mutex.lock() += 1;
                                at_home("a lock");
                            }
                            4 => {
                                let child = spawn_on(elsewhere, move || {
                                    Tasklet::receive().map(drop).count()
                                });
                                child.send(Ball(Tasklet::current())).unwrap();
                                at_home("a send");
                                assert_eq!(join(child), 1);
                            }
                            5 => {
                                let child = spawn_on(elsewhere, || Tasklet::sleep(PATIENCE));
                                Tasklet::sleep(tiny);
                                child.kill();
                                assert_killed(&child);
                            }
                            6 => {
                                let child = spawn_on(elsewhere, || {
                                    for message in Tasklet::receive() {
                                        match_message!(match message {
                                            (Ask(n), reply) => reply.send(n + 1),
                                        });
                                    }
                                });
                                let answer = child.call_timeout(Ask(steps), tiny);
                                assert!(answer.is_err() || answer == Ok(steps + 1));
                                assert_eq!(child.call(Ask(1)), Ok(2));
                                child.stop();
                                join(child);
                            }
                            7 => {
                                let late: Option<()> = timeout(tiny, || {
                                    Tasklet::sleep(PATIENCE);
                                    None
                                });
                                assert_eq!(late, None);
                            }
                            _ => {
                                far.write_all(&[steps as u8]).unwrap();
                                assert_eq!(read_byte(&near), steps as u8);
                            }
                        }
                        at_home("an operation");
                        steps += 1;
                    }
                    steps
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum::<u64>()
    });
    assert!(done > 0);
}

/// Runs `f` with a moment until which it may go on.
fn run_for<T: Send + 'static>(time: Duration, f: impl FnOnce(Instant) -> T + Send + 'static) -> T {
    run_within(time, move || f(Instant::now() + time))
}

// The end of the process --------------------------------------------------------------------------

const CHILD: &str = "CONCURRENCE_TEST_CHILD";

/// Runs the test `name` of this file in a process of its own, in which `is_child` is true.
fn in_child(name: &str) -> Output {
    in_child_with(name, None)
}

/// The same for one of the test's cases.
fn in_child_with(name: &str, case: Option<usize>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name);
    if let Some(case) = case {
        command.env(CASE, case.to_string());
    }
    let output = command.output().expect("the test can run itself");
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_stack_overflow_names_the_tasklet() {
    #[inline(never)]
    fn dig(depth: u64) -> u64 {
        let block = std::hint::black_box([depth; 64]);
        if depth == 0 {
            0
        } else {
            dig(std::hint::black_box(depth - 1)) + block[7]
        }
    }
    if is_child() {
        run(|| {
            let digger = Tasklet::builder()
                .name("the digger")
                .spawn(|| dig(1 << 30))
                .unwrap();
            drop(digger.join());
        });
        return;
    }
    let output = in_child("a_stack_overflow_names_the_tasklet");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let said = stderr(&output);
    assert!(
        said.contains("tasklet 'the digger' has overflowed its stack"),
        "{said}"
    );
    assert!(said.contains("stack_size"), "{said}");
}

#[test]
fn a_closure_larger_than_its_stack_is_no_danger_to_the_spawner() {
    if is_child() {
        // From a plain thread, which has stack enough.
        run(|| {
            block_on_thread(|| {
                let large = [7_u8; 40 * 1024];
                let tasklet = Tasklet::builder().name("cramped").stack_size(32 * 1024);
                let tasklet = tasklet
                    .spawn(move || std::hint::black_box(&large)[17])
                    .unwrap();
                assert_eq!(tasklet.join().unwrap(), 7);
            });
        });
        return;
    }
    let output = in_child("a_closure_larger_than_its_stack_is_no_danger_to_the_spawner");
    // To run it is another matter: where the compiler copies it to the stack, the tasklet overflows,
    // by name. The spawner would be a plain fault.
    let overflow = stderr(&output).contains("tasklet 'cramped' has overflowed its stack");
    assert!(output.status.success() || overflow, "{output:?}");
}

#[test]
fn a_fault_that_is_no_overflow_dies_of_itself() {
    if is_child() {
        run(|| {
            // SAFETY: none; that is the point.
            unsafe { std::ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1) };
        });
        return;
    }
    let output = in_child("a_fault_that_is_no_overflow_dies_of_itself");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    assert!(!stderr(&output).contains("overflowed"), "{output:?}");
}

#[test]
fn a_runtime_on_a_foreign_scheduler_refuses_to_start() {
    if is_child() {
        // Somebody else has started `may`, with another number of workers.
        may::config().set_workers(1);
        let (tell, told) = std::sync::mpsc::channel();
        // SAFETY: it neither uses thread-locals nor much stack.
        let started = unsafe { may::coroutine::spawn(move || tell.send(()).unwrap()) };
        told.recv().unwrap();
        drop(started);
        let refused = Runtime::builder().workers(3).try_dispatch(|| ());
        match &refused {
            Err(error @ RuntimeError::ProbeFailed(_)) => eprintln!("refused: {error}"),
            other => panic!("{other:?}"),
        }
        return;
    }
    let output = in_child("a_runtime_on_a_foreign_scheduler_refuses_to_start");
    assert!(output.status.success(), "{output:?}");
    assert!(stderr(&output).contains("refused: "), "{output:?}");
}

/// Which case a child is to try.
const CASE: &str = "CONCURRENCE_TEST_CASE";

/// Runs each case of the test `name` in a child, and asserts that it dies of a tasklet that is not at
/// home, with the tasklet's name.
fn assert_each_dies_of_a_move(name: &str, cases: usize) {
    for case in 0..cases {
        let output = in_child_with(name, Some(case));
        assert_eq!(
            output.status.signal(),
            Some(libc::SIGABRT),
            "case {case}: {output:?}"
        );
        let said = stderr(&output);
        assert!(
            said.contains("fatal (tasklet the strayed one): a tasklet has been moved"),
            "case {case}: {said}"
        );
        assert!(!said.contains("it went unnoticed"), "case {case}: {said}");
    }
}

fn case() -> usize {
    std::env::var(CASE)
        .expect("the child has a case")
        .parse()
        .expect("a number")
}

/// What belongs to a tasklet and is used in it after it has been moved.
struct Belongings {
    friend: Tasklet,
    lock: Arc<Mutex<()>>,
    descriptor: Source,
}

/// An operation of each kind: that only counts, that can wait, that asks who it is, that gives back.
const OPERATIONS: &[fn(&Belongings)] = &[
    |mine| drop(mine.friend.send(Ball(mine.friend.clone()))),
    |mine| assert!(mine.friend.call(Ask(1)).is_err()),
    |mine| drop(mine.lock.lock()),
    |mine| drop(mine.descriptor.wait(Direction::Read, None)),
    |_| Tasklet::yield_now(),
    |_| Tasklet::sleep(SHORT),
    |_| drop(Tasklet::try_receive()),
    |_| drop(Tasklet::current()),
    |_| drop(Tasklet::spawn(|| ())),
    |_| assert!(timeout(SHORT, || Some(())).is_some()),
    |_| block_on_thread(|| ()),
];

#[test]
fn a_tasklet_that_sleeps_in_may_is_noticed_at_its_next_operation() {
    if is_child() {
        let operation = OPERATIONS[case()];
        run(move || {
            let (near, _far) = UnixStream::pair().unwrap();
            let mine = Belongings {
                friend: Tasklet::current(),
                lock: Arc::default(),
                descriptor: Source::new(near).unwrap(),
            };
            let astray = Tasklet::builder().name("the strayed one");
            let astray = astray.spawn(move || {
                may::coroutine::sleep(SHORT);
                operation(&mine);
                eprintln!("it went unnoticed");
            });
            drop(astray.unwrap().join());
        });
        return;
    }
    assert_each_dies_of_a_move(
        "a_tasklet_that_sleeps_in_may_is_noticed_at_its_next_operation",
        OPERATIONS.len(),
    );
}

#[test]
fn a_tasklet_that_parks_in_may_is_noticed_on_another_worker() {
    if is_child() {
        // On a worker that has nothing to do, and on one that is in the middle of another tasklet.
        let busy = case() == 1;
        run(move || {
            let handles = std::sync::mpsc::channel::<may::coroutine::Coroutine>();
            let waker = thread::spawn(move || {
                // From a thread, so that each goes to the next worker.
                handles.1.into_iter().for_each(|parked| parked.unpark());
            });
            let tell = handles.0;
            let neighbours: Vec<_> = (1..WORKERS)
                .filter(|_| busy)
                .map(|worker| spawn_on(worker, may::coroutine::park))
                .collect();
            let astray = Tasklet::builder()
                .name("the strayed one")
                .placement(Placement::Worker(0));
            let astray = astray.spawn(move || {
                // SAFETY: a plain system call.
                let thread = || unsafe { libc::gettid() };
                let home = thread();
                while thread() == home {
                    // It may be unparked before it parks, and then goes on where it is.
                    tell.send(may::coroutine::current()).unwrap();
                    may::coroutine::park();
                }
                drop(Tasklet::current());
                eprintln!("it went unnoticed");
            });
            drop(astray.unwrap().join());
            drop(neighbours);
            drop(waker);
        });
        return;
    }
    assert_each_dies_of_a_move(
        "a_tasklet_that_parks_in_may_is_noticed_on_another_worker",
        2,
    );
}

#[test]
fn a_yield_in_may_moves_nothing() {
    run(|| {
        let home = thread::current().id();
        for _ in 0..100 {
            may::coroutine::yield_now();
            Tasklet::yield_now();
            assert_eq!(thread::current().id(), home);
        }
    });
}

#[test]
fn a_generator_in_a_tasklet_may_do_what_does_not_wait() {
    run(|| {
        let me = Tasklet::current();
        let mut sends =
            generator::Gn::new_scoped(move |mut scope: generator::Scope<'_, '_, (), _>| {
                for _ in 0..3 {
                    let sent = me.send(Ball(Tasklet::current())).is_ok();
                    scope.yield_(sent);
                }
                generator::done!();
            });
        assert!(sends.by_ref().all(|sent| sent));
        assert_eq!(Tasklet::pending(), 3);
    });
}

#[test]
fn a_coroutine_of_somebody_elses_is_no_tasklet() {
    if is_child() {
        run(|| {
            let (tell, told) = std::sync::mpsc::channel();
            // SAFETY: it uses neither thread-locals of its own nor much stack.
            let stranger = unsafe {
                may::coroutine::spawn(move || {
                    let waited = || block_on_thread(|| ());
                    tell.send(Tasklet::try_current().is_none()).unwrap();
                    may::coroutine::sleep(SHORT);
                    tell.send(Tasklet::try_current().is_none()).unwrap();
                    tell.send(std::panic::catch_unwind(waited).is_err())
                        .unwrap();
                })
            };
            // It runs when its worker has nothing else to do.
            block_on_thread(move || {
                for _ in 0..3 {
                    assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
                }
            });
            drop(stranger);
        });
        return;
    }
    let output = in_child("a_coroutine_of_somebody_elses_is_no_tasklet");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_kill_and_an_expiry_pass_no_panic_hook() {
    if is_child() {
        std::panic::set_hook(Box::new(|info| eprintln!("the hook has heard: {info}")));
        run(|| {
            let victim = spawn(|| Tasklet::sleep(PATIENCE));
            victim.kill();
            assert_killed(&victim);
            let late: Option<()> = timeout(SHORT, || {
                Tasklet::sleep(PATIENCE);
                None
            });
            assert_eq!(late, None);
            let unlucky = spawn(|| panic!("a real one"));
            assert!(matches!(unlucky.join(), Err(JoinError::Panicked(_))));
        });
        return;
    }
    let output = in_child("a_kill_and_an_expiry_pass_no_panic_hook");
    assert!(output.status.success(), "{output:?}");
    let said = stderr(&output);
    assert_eq!(said.matches("the hook has heard").count(), 1, "{said}");
    assert!(said.contains("a real one"), "{said}");
}

#[test]
fn without_a_program_there_are_no_tasklets() {
    if is_child() {
        let refused = || Tasklet::builder().spawn(|| ());
        assert!(matches!(refused(), Err(SpawnError::NotRunning)));
        run(|| ());
        assert!(matches!(refused(), Err(SpawnError::NotRunning)));
        return;
    }
    let output = in_child("without_a_program_there_are_no_tasklets");
    assert!(output.status.success(), "{output:?}");
}

/// A child that says on standard output when it is ready, and waits to be signalled.
fn signalled(name: &str, signals: &[libc::c_int]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    for (n, signal) in signals.iter().enumerate() {
        let word = format!("ready {n}\n");
        let mut heard = String::new();
        while !heard.ends_with(&word) {
            let mut byte = [0];
            assert_eq!(
                stdout.read(&mut byte).unwrap(),
                1,
                "it has ended early: {heard}"
            );
            heard.push(byte[0].into());
        }
        // SAFETY: a plain system call on a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, *signal) }, 0);
    }
    // So that it can write on.
    let drain = thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
    let output = child.wait_with_output().unwrap();
    drain.join().unwrap().unwrap();
    output
}

fn say(word: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{word}").unwrap();
    stdout.flush().unwrap();
}

#[test]
fn a_signal_stops_in_order() {
    if is_child() {
        run(|| {
            let child = spawn(|| {
                let held = Tasklet::current();
                Tasklet::receive().for_each(drop);
                drop(held);
                eprintln!("the child has said goodbye");
            });
            say("ready 0");
            Tasklet::receive().for_each(drop);
            eprintln!("main has said goodbye");
            drop(child);
        });
        return;
    }
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let output = signalled("a_signal_stops_in_order", &[signal]);
        assert!(output.status.success(), "{output:?}");
        let said = stderr(&output);
        let main = said.find("main has said goodbye").expect(&said);
        let child = said.find("the child has said goodbye").expect(&said);
        assert!(main < child, "{said}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    if is_child() {
        run(|| {
            say("ready 0");
            Tasklet::receive().for_each(drop);
            say("ready 1");
            Tasklet::sleep(PATIENCE);
        });
        return;
    }
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let output = signalled("a_second_signal_ends_at_once", &[signal, signal]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[test]
fn whoever_outstays_the_grace_period_is_named_and_killed() {
    if is_child() {
        let code = finish(|| {
            Runtime::builder()
                .grace(Duration::from_millis(50))
                .dispatch(|| {
                    let deaf = Tasklet::builder().name("the deaf one");
                    drop(deaf.spawn(|| Tasklet::sleep(PATIENCE)).unwrap());
                    Tasklet::yield_now();
                    say("ready 0");
                    Tasklet::receive().for_each(drop);
                })
        });
        // What a program would exit with.
        eprintln!("the code is {}", text(code));
        return;
    }
    let output = signalled(
        "whoever_outstays_the_grace_period_is_named_and_killed",
        &[libc::SIGTERM],
    );
    assert!(output.status.success(), "{output:?}");
    let said = stderr(&output);
    assert!(
        said.contains("the deaf one<") && said.contains("waits for a time"),
        "{said}"
    );
    let code = text(std::process::ExitCode::from(143));
    assert!(said.contains(&format!("the code is {code}")), "{said}");
}

#[test]
fn sigusr1_prints_the_tree() {
    if is_child() {
        run(|| {
            let idle = Tasklet::builder()
                .name("idler")
                .spawn(|| Tasklet::receive().count());
            Tasklet::yield_now();
            say("ready 0");
            say("ready 1");
            Tasklet::receive().for_each(drop);
            drop(idle);
        });
        return;
    }
    let output = signalled("sigusr1_prints_the_tree", &[libc::SIGUSR1, libc::SIGTERM]);
    assert!(output.status.success(), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("main<") && said.contains("idler<"), "{said}");
    assert!(said.contains("waits for a message"), "{said}");
}
