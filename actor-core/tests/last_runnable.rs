//! The deadlock of the last runnable tasklet. Each case is a process of its own, with no threads but its
//! main one and the runtime's: this file has no harness, and starts itself for each case.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, thread};

use actor_core::channel::{Channel, ReceiveError, Select, SelectError, SendError};
use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, CallError, JoinError, Message, Placement, Runtime, Signal, Tasklet,
    block_on_thread, call, match_message, subscribe_signals, timeout,
};

extern crate actor_core as concurrence;

#[derive(Message)]
#[message(reply = ())]
struct Ask;

/// Only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than it takes to find a deadlock.
const LONG: Duration = Duration::from_millis(100);

type Case = (&'static str, fn());

const CASES: &[Case] = &[
    ("receiving with nobody else", || {
        dispatch(1, || {
            assert!(matches!(
                Channel::<u8>::new().clone_of_itself().receive(),
                Err(ReceiveError::Deadlock)
            ));
        });
    }),
    ("sending with nobody else", || {
        dispatch(1, || {
            let channel = Channel::new().clone_of_itself();
            assert_eq!(channel.send(7), Err(SendError::Deadlock(7)));
            assert_eq!(channel.balance(), 0);
        });
    }),
    ("the last one has ended", || {
        dispatch(1, || {
            let channel = Channel::new();
            let sender = channel.clone();
            let last = Tasklet::spawn(move || {
                let _keep = sender.clone();
                sender.send(1).unwrap();
                Tasklet::schedule();
                sender
            });
            assert_eq!(channel.receive().unwrap(), 1);
            assert!(matches!(channel.receive(), Err(ReceiveError::Deadlock)));
            // It was no fault of main's: all goes on.
            assert_eq!(last.join().unwrap().balance(), 0);
        });
    }),
    ("a select with nobody else", || {
        dispatch(1, || {
            let (channel, mut value) = (Channel::new().clone_of_itself(), Some(7));
            let other = Channel::<u8>::new().clone_of_itself();
            let select = Select::new().receive(&other, |_| ());
            let select = select.send(&channel, &mut value, |_| ());
            assert_eq!(select.wait(), Err(SelectError::Deadlock));
            assert_eq!((value, channel.balance(), other.balance()), (Some(7), 0, 0));
        });
    }),
    ("a select for messages waits for the stop", || {
        dispatch(2, || {
            // No timer of ours, and no thread: either would put the deadlock off by itself.
            let stop = format!("sleep 0.2; kill -TERM {}", std::process::id());
            let mut child = Command::new("sh").args(["-c", &stop]).spawn().unwrap();
            let channel = Channel::<u8>::new().clone_of_itself();
            let select = Select::new().receive(&channel, |_| false);
            assert_eq!(select.message(|message| message.is_err()).wait(), Ok(true));
            child.wait().unwrap();
        });
    }),
    ("all others are blocked, on all workers", || {
        dispatch(3, || {
            let channel = Channel::<u8>::new();
            for worker in 0..3 {
                let (own, channel) = (Channel::<u8>::new().clone_of_itself(), channel.clone());
                Tasklet::builder()
                    .daemon(true)
                    .placement(Placement::Worker(worker))
                    .spawn(move || drop((own.receive(), channel)))
                    .unwrap();
            }
            assert!(matches!(channel.receive(), Err(ReceiveError::Deadlock)));
        });
    }),
    ("joining one that is blocked", || {
        dispatch(2, || {
            let blocked = Tasklet::spawn(|| Event::new().wait());
            assert!(matches!(blocked.join(), Err(JoinError::Deadlock)));
            blocked.kill();
            assert!(matches!(blocked.join(), Err(JoinError::Killed)));
        });
    }),
    ("calling one that never answers", || {
        dispatch(2, || {
            let blocked = Tasklet::spawn(|| {
                let mut taken = None;
                for message in Tasklet::receive() {
                    match_message!(match message {
                        (Ask, reply) => taken = Some(reply),
                    });
                }
                drop(taken);
            });
            assert_eq!(blocked.call(Ask), Err(CallError::Deadlock));
            blocked.stop();
        });
    }),
    ("a signal comes first", || {
        dispatch(2, || {
            let waits = Tasklet::spawn(|| {
                Tasklet::receive_one().is_ok_and(|message| message.is::<Signal>())
            });
            subscribe_signals([Signal::USR2], &*waits).unwrap();
            let kill = "sleep 0.1; kill -USR2 $PPID";
            let mut killer = Command::new("sh").args(["-c", kill]).spawn().unwrap();
            assert!(waits.join().unwrap());
            killer.wait().unwrap();
        });
    }),
    ("a timer comes first", || {
        dispatch(2, || {
            let channel = Channel::new();
            let sender = channel.clone();
            Tasklet::spawn(move || {
                Tasklet::sleep(LONG);
                sender.send(1).unwrap();
            });
            assert_eq!(channel.receive().unwrap(), 1);
            let late = Channel::<u8>::new().clone_of_itself();
            assert!(matches!(
                late.receive_timeout(LONG),
                Err(ReceiveError::Timeout)
            ));
        });
    }),
    ("a thread of the pool comes first", || {
        dispatch(2, || {
            let channel = Channel::new();
            let sender = channel.clone();
            Tasklet::spawn(move || {
                block_on_thread(|| thread::sleep(LONG));
                sender.send(1).unwrap();
            });
            assert_eq!(channel.receive().unwrap(), 1);
            // The thread stays for more work, and does not hide that there is none.
            assert!(matches!(
                channel.clone_of_itself().receive(),
                Err(ReceiveError::Deadlock)
            ));
        });
    }),
    ("a thread of the program's own comes first", || {
        dispatch(2, || {
            let channel = Channel::new();
            let sender = channel.clone();
            let thread = thread::spawn(move || {
                thread::sleep(LONG);
                sender.send(1).unwrap();
                thread::sleep(LONG);
                sender.clone_of_itself()
            });
            assert_eq!(channel.receive().unwrap(), 1);
            // It is found when the thread has ended.
            let before = Instant::now();
            assert!(matches!(channel.receive(), Err(ReceiveError::Deadlock)));
            assert!(before.elapsed() >= LONG / 2);
            drop(thread.join());
        });
    }),
    ("a wait that has no error for it goes on", || {
        struct Idle;
        impl Actor for Idle {}
        // Until the process is asked to end, and the time for that is up.
        let code = Runtime::builder().workers(2).grace(LONG).dispatch(|| {
            let ends_it = format!("sleep 0.3; kill -TERM {}", std::process::id());
            let mut child = Command::new("sh").args(["-c", &ends_it]).spawn().unwrap();
            Addr::spawn(Idle).join();
            child.wait().unwrap();
        });
        assert_eq!(code, ExitCode::from(143));
    }),
    ("a descriptor comes first", || {
        dispatch(2, || {
            use std::io::{Read, Write};
            use std::os::fd::OwnedFd;
            use std::os::unix::net::UnixStream;
            let (ours, theirs) = UnixStream::pair().unwrap();
            // Another process has the other end.
            let mut child = Command::new("sh")
                .args(["-c", "sleep 0.2; echo"])
                .stdout(OwnedFd::from(theirs))
                .spawn()
                .unwrap();
            let channel = Channel::new();
            let sender = channel.clone();
            Tasklet::spawn(move || {
                let source = actor_core::reactor::Source::new(OwnedFd::from(ours)).unwrap();
                source
                    .wait(actor_core::reactor::Direction::Read, None)
                    .unwrap();
                sender.send(1).unwrap();
                let mut stream = UnixStream::from(source.into_fd());
                assert_eq!(stream.read(&mut [0; 1]).unwrap(), 1);
                drop(stream.write(&[0]));
            });
            assert_eq!(channel.receive().unwrap(), 1);
            child.wait().unwrap();
        });
    }),
    ("a receive loop waits for the stop", || {
        dispatch(2, || {
            let stopper = Tasklet::current();
            Tasklet::later(LONG, move || stopper.stop());
            assert_eq!(Tasklet::receive().count(), 0);
        });
    }),
    ("another program may go on", || {
        let other = thread::spawn(|| dispatch(2, || Tasklet::sleep(LONG * 3)));
        dispatch(2, || {
            let channel = Channel::<u8>::new().clone_of_itself();
            let before = Instant::now();
            assert!(matches!(channel.receive(), Err(ReceiveError::Deadlock)));
            assert!(before.elapsed() >= LONG);
        });
        other.join().unwrap();
    }),
    ("on the virtual clock timers come first", || {
        let hour = Duration::from_secs(3600);
        let code = Runtime::builder().virtual_clock(true).dispatch(move || {
            let channel = Channel::new();
            let sender = channel.clone();
            Tasklet::spawn(move || {
                Tasklet::sleep(hour);
                sender.send(1).unwrap();
            });
            assert_eq!(channel.receive().unwrap(), 1);
            let channel = channel.clone_of_itself();
            assert!(matches!(channel.receive(), Err(ReceiveError::Deadlock)));
        });
        assert_eq!(code, ExitCode::SUCCESS);
    }),
    ("never while the workers are busy with each other", || {
        dispatch(3, || {
            const ROUNDS: u32 = 20_000;
            let (there, back) = (Channel::new(), Channel::new());
            let (inbox, outbox) = (there.clone(), back.clone());
            let echo = Tasklet::builder()
                .placement(Placement::Worker(1))
                .spawn(move || {
                    for n in 0..ROUNDS {
                        assert_eq!(inbox.receive().unwrap(), n);
                        if n % 1000 == 0 {
                            // Long enough that a worker lies down now and then.
                            thread::sleep(Duration::from_millis(12));
                        }
                        outbox.send(n).unwrap();
                    }
                })
                .unwrap();
            for n in 0..ROUNDS {
                there.send(n).unwrap();
                assert_eq!(back.receive().unwrap(), n);
            }
            echo.join().unwrap();
        });
    }),
    ("once more, after another worker has found one", || {
        dispatch(2, || {
            let other = Placement::Worker(1 - Tasklet::current().worker());
            let sleeper = Tasklet::builder().placement(other);
            // So that the other worker is the last to lie down.
            let _ = sleeper.spawn(|| Tasklet::sleep(LONG)).unwrap();
            for _ in 0..3 {
                assert!(matches!(
                    Channel::<u8>::new().clone_of_itself().receive(),
                    Err(ReceiveError::Deadlock)
                ));
            }
        });
    }),
    ("in a call", || {
        dispatch(2, || {
            let receive = || Channel::<u8>::new().clone_of_itself().receive();
            let received = call(|| call(receive)).unwrap().unwrap();
            assert!(matches!(received, Err(ReceiveError::Deadlock)));
            assert!(matches!(receive(), Err(ReceiveError::Deadlock)));
        });
    }),
    ("a call that waits for the stop", || {
        dispatch(2, || {
            let stop = format!("sleep 0.2; kill -TERM {}", std::process::id());
            let mut child = Command::new("sh").args(["-c", &stop]).spawn().unwrap();
            call(|| Tasklet::receive().count()).unwrap();
            child.wait().unwrap();
        });
    }),
    ("a thread of the pool on whom nobody waits any more", || {
        dispatch(2, || {
            let late = timeout(LONG, || -> Option<()> {
                block_on_thread(|| thread::sleep(3 * LONG));
                Some(())
            });
            assert!(late.is_none());
            assert!(matches!(
                Channel::<u8>::new().clone_of_itself().receive(),
                Err(ReceiveError::Deadlock)
            ));
        });
    }),
];

/// A channel of which there is another handle, so that it is not taken for deserted.
trait CloneOfItself {
    fn clone_of_itself(&self) -> Self;
}

impl<T: Send + 'static> CloneOfItself for Channel<T> {
    fn clone_of_itself(&self) -> Self {
        std::mem::forget(Arc::new(self.clone()));
        self.clone()
    }
}

fn dispatch(workers: usize, main: impl FnOnce() + Send + 'static) {
    let code = Runtime::builder().workers(workers).dispatch(main);
    assert_eq!(code, ExitCode::SUCCESS);
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [flag, number] = &args[..]
        && flag == "--case"
    {
        CASES[number.parse::<usize>().expect("a number")].1();
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (number, (name, _)) in CASES.iter().enumerate() {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--case", &number.to_string()])
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let passed = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status.success(),
                None if begun.elapsed() > PATIENCE => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break false;
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        println!("case {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    ExitCode::from(u8::from(failed > 0))
}
