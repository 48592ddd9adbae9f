//! What becomes of a message that no arm of a receive loop takes.

mod common;

use std::process::ExitCode;

use common::{Ended, Program, child};
use concurrence::{CallError, JoinError, Message, Runtime, Tasklet, Unmatched, match_message};

#[derive(Message)]
struct Known;

#[derive(Message)]
struct Unknown;

#[derive(Message)]
#[message(reply = u32)]
struct Question;

/// A tasklet with an arm for one class.
fn narrow(name: &str) -> concurrence::JoinHandle<u32> {
    let narrow = Tasklet::builder().name(name).spawn(|| {
        let mut known = 0;
        for message in Tasklet::receive() {
            match_message!(match message {
                Known => known += 1,
            });
        }
        known
    });
    narrow.expect("there is room")
}

/// Runs `main` with what is logged on standard error.
fn dispatch(policy: Option<Unmatched>, main: impl FnOnce() + Send + 'static) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut builder = Runtime::builder();
    if let Some(policy) = policy {
        builder = builder.unmatched(policy);
    }
    builder.dispatch(main)
}

fn run(program: impl FnOnce() -> ExitCode) -> Ended {
    Program::start(&mut child(program)).ended()
}

/// Sends two of each class that nobody takes, and one that somebody does.
fn send_all(to: &Tasklet) {
    for _ in 0..2 {
        to.send(Unknown).unwrap();
        assert_eq!(to.call(Question), Err(CallError::Unanswered));
    }
    to.send(Known).unwrap();
}

#[test]
fn by_default_each_class_is_logged_once_for_each_tasklet() {
    let ended = run(|| {
        dispatch(None, || {
            for name in ["the first", "the second"] {
                let narrow = narrow(name);
                send_all(&narrow);
                let tree = narrow.tree().to_string();
                assert!(tree.contains("has no arm for 2 of"), "{tree}");
                narrow.stop();
                assert_eq!(narrow.join().unwrap(), 1, "it goes on");
            }
        })
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for tasklet in ["the first", "the second"] {
        for class in ["Unknown", "Question"] {
            let of_both = |line: &&str| line.contains(tasklet) && line.contains(class);
            let lines: Vec<_> = ended.stderr.lines().filter(of_both).collect();
            assert_eq!(lines.len(), 1, "{tasklet}, {class}:\n{}", ended.stderr);
            assert!(lines[0].contains("WARN") && lines[0].contains("no arm takes"));
        }
    }
    assert!(!ended.stderr.contains("Known,"), "{}", ended.stderr);
}

#[test]
fn they_can_be_ignored() {
    let ended = run(|| {
        dispatch(Some(Unmatched::Ignore), || {
            let narrow = narrow("the only");
            send_all(&narrow);
            let tree = narrow.tree().to_string();
            assert!(tree.contains("has no arm for 2 of"), "{tree}");
            narrow.stop();
            assert_eq!(narrow.join().unwrap(), 1, "it goes on");
        })
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("no arm"), "{}", ended.stderr);
}

#[test]
fn they_can_be_panics() {
    let ended = run(|| {
        dispatch(Some(Unmatched::Panic), || {
            let narrow = narrow("the strict one");
            narrow.send(Known).unwrap();
            narrow.send(Unknown).unwrap();
            match narrow.join() {
                Err(JoinError::Panicked(panic)) => {
                    let said = panic.to_string();
                    let whole = said.contains("the strict one") && said.contains("Unknown");
                    assert!(whole, "{said}");
                }
                other => panic!("{other:?}"),
            }
            // A caller does not wait for the answer of one that has panicked.
            let narrow = self::narrow("another");
            assert_eq!(narrow.call(Question), Err(CallError::Unanswered));
            assert!(matches!(narrow.join(), Err(JoinError::Panicked(_))));
        })
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}
