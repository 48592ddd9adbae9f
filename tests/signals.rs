//! Signals as messages, and what becomes of those that nobody has subscribed to.

mod common;

use std::fs;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use common::{Program, child, eventually};
use concurrence::io;
use concurrence::{
    Mailbox, Overflow, Signal, Tasklet, dispatch, match_message, quit, subscribe_signals,
};

fn say(what: impl std::fmt::Display) {
    writeln!(io::stdout(), "{what}").expect("somebody reads it");
}

/// The next signal that comes to this tasklet.
fn next() -> Signal {
    let message = Tasklet::receive_one().expect("there is no end but by signals");
    match_message!(match message {
        signal: Signal => signal,
        other => panic!("{other:?} is no signal"),
    })
}

#[test]
fn a_signal_comes_as_a_message_to_all_who_have_subscribed() {
    let mut command = child(|| {
        dispatch(|| {
            subscribe_signals([Signal::HUP, Signal::USR2], Tasklet::current()).unwrap();
            let other = Tasklet::spawn(|| say(format_args!("the other: {}", next())));
            subscribe_signals([Signal::USR2], &*other).unwrap();
            say("ready");
            say(next());
            say(next());
            other.join().unwrap();
            say("done");
        })
    });
    let program = Program::start(&mut command);
    program.wait_for_output("ready");
    program.signal(libc::SIGHUP);
    program.wait_for_output("SIGHUP");
    program.signal(libc::SIGUSR2);
    program.wait_for_output("the other: SIGUSR2");
    program.wait_for_output("done");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn a_subscriber_takes_ctrl_c_over_and_gives_it_back() {
    let mut command = child(|| {
        dispatch(|| {
            let subscription = subscribe_signals([Signal::INT], Tasklet::current()).unwrap();
            say("ready");
            // More than the two that would end the program at once.
            for count in 1..=4 {
                say(format_args!("{} {count}", next()));
            }
            subscription.cancel();
            say("given back");
            Tasklet::receive().for_each(drop);
            say("stopped");
            ExitCode::from(3)
        })
    });
    let program = Program::start(&mut command);
    program.wait_for_output("ready");
    for count in 1..=4 {
        program.signal(libc::SIGINT);
        program.wait_for_output(&format!("SIGINT {count}"));
    }
    program.wait_for_output("given back");
    program.signal(libc::SIGINT);
    // The first again: the program is stopped in order.
    program.wait_for_output("stopped");
    assert_eq!(program.ended().code(), Some(3));
}

/// Two at once, so that the second handler runs before anything else has been done about the first.
#[test]
fn two_at_once_that_are_taken_over_do_not_end_the_program() {
    let mut command = child(|| {
        dispatch(|| {
            let wanted = [Signal::INT, Signal::TERM];
            subscribe_signals(wanted, Tasklet::current()).unwrap();
            say("ready");
            let mut both = [next(), next()];
            both.sort_unstable();
            assert_eq!(both, wanted);
            say("survived");
        })
    });
    let program = Program::start(&mut command);
    program.wait_for_output("ready");
    program.signal(libc::SIGSTOP);
    let stat = format!("/proc/{}/stat", program.pid());
    eventually("the stop", || {
        fs::read_to_string(&stat).unwrap().contains(") T ")
    });
    program.signal(libc::SIGINT);
    program.signal(libc::SIGTERM);
    program.signal(libc::SIGCONT);
    program.wait_for_output("survived");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn a_subscription_ends_with_its_subscriber() {
    let mut command = child(|| {
        dispatch(|| {
            let brief = Tasklet::spawn(|| {
                subscribe_signals([Signal::TERM], Tasklet::current()).unwrap();
            });
            brief.join().unwrap();
            say("ready");
            // Ends when the program is stopped, in order and before the grace period is over.
            Tasklet::receive().for_each(drop);
            say("stopped");
            ExitCode::from(3)
        })
    });
    let program = Program::start(&mut command);
    program.wait_for_output("ready");
    program.signal(libc::SIGTERM);
    program.wait_for_output("stopped");
    assert_eq!(program.ended().code(), Some(3));
}

#[test]
fn a_signal_without_subscribers_does_what_the_system_says() {
    let mut command = child(|| {
        dispatch(|| {
            let subscription = subscribe_signals([Signal::USR2], Tasklet::current()).unwrap();
            say("ready");
            say(next());
            subscription.cancel();
            say("given back");
            Tasklet::sleep(Duration::from_secs(3600));
        })
    });
    let program = Program::start(&mut command);
    program.wait_for_output("ready");
    program.signal(libc::SIGUSR2);
    program.wait_for_output("given back");
    program.signal(libc::SIGUSR2);
    assert_eq!(program.ended().signal(), Some(libc::SIGUSR2));
}

/// Rust's programs ignore SIGPIPE, and those that `nohup` has started ignore SIGHUP.
#[test]
fn a_signal_that_was_ignored_is_ignored_again() {
    let mut command = child(|| {
        dispatch(|| {
            let subscription = subscribe_signals([Signal::PIPE], Tasklet::current()).unwrap();
            subscribe_signals([Signal::TERM], Tasklet::current()).unwrap();
            say("ready");
            say(next());
            subscription.cancel();
            say("given back");
            say(next());
        })
    });
    let program = Program::start(&mut command);
    program.wait_for_output("ready");
    program.signal(libc::SIGPIPE);
    program.wait_for_output("given back");
    program.signal(libc::SIGPIPE);
    // Has the higher number, so that it is looked at behind the other.
    program.signal(libc::SIGTERM);
    program.wait_for_output("SIGTERM");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn a_subscriber_can_end_the_program_in_its_own_way() {
    let mut command = child(|| {
        dispatch(|| {
            subscribe_signals([Signal::INT, Signal::TERM], Tasklet::current()).unwrap();
            say("ready");
            let signal = next();
            quit(128 + signal.number() as u8)
        })
    });
    let program = Program::start(&mut command);
    program.wait_for_output("ready");
    program.signal(libc::SIGTERM);
    assert_eq!(program.ended().code(), Some(143));
}

#[test]
fn what_a_full_mailbox_refuses_is_lost_and_still_taken_over() {
    let mut command = child(|| {
        dispatch(|| {
            let full = Tasklet::builder()
                .mailbox(Mailbox::bounded(1, Overflow::Fail))
                .spawn(|| {
                    Tasklet::sleep(Duration::from_secs(3600));
                })
                .unwrap();
            subscribe_signals([Signal::TERM], &*full).unwrap();
            subscribe_signals([Signal::TERM], Tasklet::current()).unwrap();
            say("ready");
            for count in 1..=3 {
                say(format_args!("{} {count}", next()));
            }
            full.kill();
        })
    });
    let program = Program::start(&mut command);
    program.wait_for_output("ready");
    for count in 1..=3 {
        program.signal(libc::SIGTERM);
        program.wait_for_output(&format!("SIGTERM {count}"));
    }
    assert_eq!(program.ended().code(), Some(0));
}
