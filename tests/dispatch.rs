//! How a program ends: by itself, by `quit`, by signals; and what it can be asked meanwhile.

mod common;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use common::{Ended, Program, child, descriptor_limits, limit_descriptors};
use concurrence::{Runtime, Tasklet, dispatch, quit};

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
                Tasklet::sleep(Duration::from_millis(50));
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
    assert!(ended.code().is_some(), "{ended:?}");
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
