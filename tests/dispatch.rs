//! How a program ends: by itself, by `quit`, by signals; and what it can be asked meanwhile.

mod common;

use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use common::{Ended, Program, child, descriptor_limits, limit_descriptors};
use concurrence::{
    Actor, Addr, Context, Handler, Message, Recipient, Runtime, RuntimeError, Tasklet, dispatch,
    quit,
};

/// Runs the program of a test to its end.
fn run(program: impl FnOnce() -> ExitCode) -> Ended {
    Program::start(&mut child(program)).ended()
}

const FOR_EVER: Duration = Duration::from_secs(3600);

#[test]
fn the_code_of_main_is_the_code_of_the_program() {
    assert_eq!(run(|| dispatch(|| ExitCode::from(7))).code(), Some(7));
}

#[test]
fn an_error_of_main_is_printed_and_fails() {
    let ended = run(|| dispatch(|| Err::<(), _>("the sea is rough")));
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stderr.contains("the sea is rough"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_panic_of_main_fails() {
    let ended = run(|| dispatch(|| panic!("man overboard")));
    assert_eq!(ended.code(), Some(101), "{ended:?}");
    assert!(ended.stderr.contains("man overboard"), "{}", ended.stderr);
}

#[test]
fn a_panic_of_another_tasklet_ends_that_one_alone() {
    let ended = run(|| {
        dispatch(|| {
            let panics = Tasklet::spawn(|| panic!("man overboard"));
            assert!(panics.join().is_err());
        })
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[test]
fn quit_ends_all_with_its_code() {
    let ended = run(|| {
        dispatch(|| {
            Tasklet::spawn(|| quit(9));
            for _ in Tasklet::receive() {}
            eprintln!("main has been asked to stop");
        })
    });
    assert_eq!(ended.code(), Some(9), "{ended:?}");
    assert!(
        ended.stderr.contains("main has been asked to stop"),
        "{}",
        ended.stderr
    );
}

#[test]
fn tasklets_are_waited_for_and_daemons_are_not() {
    let ended = run(|| {
        dispatch(|| {
            Tasklet::spawn(|| {
                while Tasklet::main().is_some() {
                    Tasklet::yield_now();
                }
                eprintln!("the last one out");
            });
            Tasklet::builder()
                .daemon(true)
                .spawn(|| Tasklet::sleep(FOR_EVER))
                .unwrap();
        })
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("the last one out"),
        "{}",
        ended.stderr
    );
}

#[test]
fn dispatch_may_be_called_again() {
    let ended = run(|| {
        assert_eq!(dispatch(|| ExitCode::from(1)), ExitCode::from(1));
        dispatch(|| ExitCode::from(2))
    });
    assert_eq!(ended.code(), Some(2), "{ended:?}");
}

#[test]
fn settings_that_the_limits_have_changed_agree_with_themselves() {
    let ended = run(|| {
        for _ in 0..2 {
            let builder = Runtime::builder().tasklets(1_000_000).stack_size(1_000);
            let code = builder.workers(1).try_dispatch(|| ());
            assert!(code.is_ok(), "{code:?}");
        }
        let too_large = Runtime::builder()
            .stack_size(usize::MAX)
            .try_dispatch(|| ());
        assert!(too_large.is_err(), "{too_large:?}");
        let other = Runtime::builder().workers(2).try_dispatch(|| ());
        assert!(
            matches!(other, Err(RuntimeError::AlreadyRunning)),
            "{other:?}"
        );
        ExitCode::SUCCESS
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[test]
fn patience_may_be_without_end() {
    let ended = run(|| {
        Runtime::builder().grace(Duration::MAX).dispatch(|| {
            quit(3);
            for _ in Tasklet::receive() {}
            // Past the moment at which the program has begun to wait.
            Tasklet::sleep(Duration::from_millis(50));
        })
    });
    assert_eq!(ended.code(), Some(3), "{ended:?}");
}

#[test]
fn a_program_ends_though_standard_error_is_broken() {
    let mut command = child(|| {
        let (reader, writer) = std::io::pipe().expect("a pipe to be had");
        drop(reader);
        let code = Runtime::builder()
            .grace(Duration::from_millis(1))
            .dispatch(move || {
                // SAFETY: both are open descriptors, and nobody else uses them meanwhile.
                unsafe { libc::dup2(writer.as_raw_fd(), libc::STDERR_FILENO) };
                // Both have something to print.
                // SAFETY: a plain system call.
                unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
                quit(3);
                Tasklet::sleep(FOR_EVER);
            });
        println!("{code:?}");
        code
    });
    let ended = Program::start(&mut command).ended();
    assert_eq!(ended.code(), Some(3), "{ended:?}");
}

#[test]
fn without_its_handler_sigusr1_ends_the_process() {
    let mut command = child(|| {
        Runtime::builder().sigusr1(false).dispatch(|| {
            eprintln!("ready");
            Tasklet::sleep(FOR_EVER);
        })
    });
    let program = Program::start(&mut command);
    program.wait_for("ready");
    program.signal(libc::SIGUSR1);
    let ended = program.ended();
    assert_eq!(ended.signal(), Some(libc::SIGUSR1), "{ended:?}");
    assert!(!ended.stderr.contains("main<"), "{}", ended.stderr);
}

#[test]
fn a_timer_before_there_is_a_runtime_says_so() {
    #[derive(Message)]
    struct Tick;
    let ended = run(|| {
        let nobody = Recipient::from_fn(|_: Tick| ());
        nobody.send_after(Tick, FOR_EVER);
        ExitCode::SUCCESS
    });
    assert_eq!(ended.code(), Some(101), "{ended:?}");
    let said = "the runtime has not been started";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn timers_that_are_cancelled_take_no_memory() {
    #[derive(Message)]
    struct Tick;
    fn resident_kib() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
        let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        pages.map_or(0, |pages: usize| pages * 4)
    }
    let ended = run(|| {
        dispatch(|| {
            let me = Tasklet::current().recipient::<Tick>();
            let before = resident_kib();
            for _ in 0..200_000 {
                assert!(me.send_after(Tick, FOR_EVER).cancel());
            }
            let more = resident_kib() - before;
            // Kept until they are due, they would take some 160 bytes each.
            assert!(more < 8_000, "{more} KiB");
        })
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[test]
fn stacks_that_are_kept_make_room_for_those_of_other_sizes() {
    fn maps() -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("this is Linux");
        maps.lines().count()
    }
    const LIMIT: usize = 4_000;
    let ended = run(|| {
        Runtime::builder().workers(1).tasklets(LIMIT).dispatch(|| {
            let spawn_all = |stack: usize| {
                let spawn = || {
                    Tasklet::builder()
                        .stack_size(stack)
                        .spawn(|| Tasklet::sleep(FOR_EVER))
                };
                let all: Vec<_> = std::iter::repeat_with(spawn)
                    .map_while(Result::ok)
                    .collect();
                assert!(all.len() >= LIMIT / 2, "{}", all.len());
                all
            };
            let first = spawn_all(concurrence::DEFAULT_STACK_SIZE);
            let most = maps();
            first.iter().for_each(|tasklet| tasklet.kill());
            first.iter().for_each(|tasklet| drop(tasklet.join()));
            let second = spawn_all(64 * 1024);
            // Those that the worker keeps for itself have maps of their own put by.
            assert!(maps() <= most + 2 * 300, "{} after {most}", maps());
            second.iter().for_each(|tasklet| tasklet.kill());
        })
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

/// A program whose receive loops end when it is asked to stop, children after their parents.
fn orderly(code: u8) -> ExitCode {
    dispatch(move || {
        let _child = Tasklet::spawn(|| {
            for _ in Tasklet::receive() {}
            eprintln!("child has stopped");
        });
        eprintln!("ready");
        for _ in Tasklet::receive() {}
        eprintln!("main has stopped");
        ExitCode::from(code)
    })
}

#[test]
fn sigint_stops_in_order() {
    let program = Program::start(&mut child(|| orderly(5)));
    program.wait_for("ready");
    program.signal(libc::SIGINT);
    let ended = program.ended();
    assert_eq!(ended.code(), Some(5), "{ended:?}");
    let main = ended.stderr.find("main has stopped").expect("main says so");
    let child = ended
        .stderr
        .find("child has stopped")
        .expect("the child says so");
    assert!(main < child, "{}", ended.stderr);
}

#[test]
fn sigterm_stops_in_order() {
    let program = Program::start(&mut child(|| orderly(5)));
    program.wait_for("ready");
    program.signal(libc::SIGTERM);
    let ended = program.ended();
    assert_eq!(ended.code(), Some(5), "{ended:?}");
    assert!(
        ended.stderr.contains("child has stopped"),
        "{}",
        ended.stderr
    );
}

#[test]
fn each_program_has_a_first_signal() {
    let program = Program::start(&mut child(|| {
        orderly(5);
        dispatch(|| {
            eprintln!("the second is here");
            for _ in Tasklet::receive() {}
            ExitCode::from(6)
        })
    }));
    program.wait_for("ready");
    program.signal(libc::SIGTERM);
    program.wait_for("the second is here");
    program.signal(libc::SIGTERM);
    let ended = program.ended();
    assert_eq!(ended.code(), Some(6), "{ended:?}");
}

#[test]
fn a_signal_between_programs_does_what_it_does_without_the_runtime() {
    let program = Program::start(&mut child(|| {
        dispatch(|| ());
        eprintln!("ready");
        thread::sleep(FOR_EVER);
        ExitCode::SUCCESS
    }));
    program.wait_for("ready");
    program.signal(libc::SIGTERM);
    assert_eq!(program.ended().signal(), Some(libc::SIGTERM));
}

/// A program that hears the first request to stop and does not heed it.
fn stubborn(grace: Duration) -> ExitCode {
    Runtime::builder().grace(grace).dispatch(|| {
        eprintln!("ready");
        for _ in Tasklet::receive() {}
        eprintln!("not yet");
        Tasklet::sleep(FOR_EVER);
    })
}

#[test]
fn a_second_sigint_ends_at_once() {
    let program = Program::start(&mut child(|| stubborn(FOR_EVER)));
    program.wait_for("ready");
    program.signal(libc::SIGINT);
    program.wait_for("not yet");
    program.signal(libc::SIGINT);
    assert_eq!(program.ended().code(), Some(130));
}

#[test]
fn a_second_sigterm_ends_at_once() {
    let program = Program::start(&mut child(|| stubborn(FOR_EVER)));
    program.wait_for("ready");
    program.signal(libc::SIGTERM);
    program.wait_for("not yet");
    program.signal(libc::SIGTERM);
    assert_eq!(program.ended().code(), Some(143));
}

#[test]
fn a_second_signal_ends_even_what_blocks_every_worker() {
    let program = Program::start(&mut child(|| {
        Runtime::builder().workers(1).grace(FOR_EVER).dispatch(|| {
            eprintln!("ready");
            for _ in Tasklet::receive() {}
            eprintln!("not yet");
            thread::sleep(FOR_EVER); // the thread's own sleep: its worker does nothing else
        })
    }));
    program.wait_for("ready");
    program.signal(libc::SIGTERM);
    program.wait_for("not yet");
    program.signal(libc::SIGTERM);
    assert_eq!(program.ended().code(), Some(143));
}

#[test]
fn who_does_not_heed_a_stop_is_named_and_killed() {
    let program = Program::start(&mut child(|| {
        Runtime::builder()
            .grace(Duration::from_millis(100))
            .dispatch(|| {
                let sleeper = Tasklet::builder().name("rip van winkle");
                sleeper.spawn(|| Tasklet::sleep(FOR_EVER)).unwrap();
                eprintln!("ready");
            })
    }));
    program.wait_for("ready");
    program.signal(libc::SIGTERM);
    let ended = program.ended();
    assert!(ended.stderr.contains("rip van winkle"), "{}", ended.stderr);
    assert_eq!(ended.code(), Some(143), "{ended:?}");
}

/// Its handler does not end.
struct Dreamer;

#[derive(Message)]
struct Dream;

impl Actor for Dreamer {}

impl Handler<Dream> for Dreamer {
    fn handle(&mut self, _: Dream, _: &mut Context<Self>) {
        eprintln!("ready");
        Tasklet::sleep(FOR_EVER);
    }
}

#[test]
fn actors_are_named_as_well_and_killed() {
    let program = Program::start(&mut child(|| {
        Runtime::builder()
            .grace(Duration::from_millis(100))
            .dispatch(|| {
                let dreamer = Addr::builder().name("rip van winkle").spawn(Dreamer);
                dreamer.unwrap().send(Dream).unwrap();
            })
    }));
    program.wait_for("ready");
    program.signal(libc::SIGUSR1);
    program.wait_for("is in a handler");
    program.signal(libc::SIGTERM);
    let ended = program.ended();
    assert!(ended.stderr.contains("rip van winkle"), "{}", ended.stderr);
    assert_eq!(ended.code(), Some(143), "{ended:?}");
}

#[test]
fn sigusr1_prints_the_tree_of_tasklets() {
    let program = Program::start(&mut child(|| {
        dispatch(|| {
            let parent = Tasklet::builder().name("parent of two");
            let parent = parent.spawn(|| {
                let waits = Tasklet::builder().name("waits for a message");
                let waits = waits.spawn(|| for _ in Tasklet::receive() {}).unwrap();
                let sleeps = Tasklet::builder().name("sleeps soundly");
                let sleeps = sleeps.spawn(|| Tasklet::sleep(FOR_EVER)).unwrap();
                eprintln!("ready");
                let _ = sleeps.join();
                drop(waits); // somebody could have sent to it until now
            });
            let _ = parent.unwrap().join();
        })
    }));
    program.wait_for("ready");
    program.signal(libc::SIGUSR1);
    for name in ["parent of two", "waits for a message", "sleeps soundly"] {
        program.wait_for(name);
    }
}

#[test]
fn the_soft_limit_on_descriptors_is_raised() {
    let mut command = child(|| {
        dispatch(|| {
            let (soft, hard) = descriptor_limits();
            assert_eq!(soft, hard);
        })
    });
    let ended = Program::start(limit_descriptors(&mut command, 256, 2_000)).ended();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}
