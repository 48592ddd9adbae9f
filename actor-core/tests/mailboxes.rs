//! Mailboxes: what a full one does, and what a close leaves behind.

mod common;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use actor_core::{
    CallError, JoinHandle, Mailbox, Message, Overflow, SendError, Tasklet, block_on_thread,
    dropped, match_message, timeout,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message, Debug, PartialEq)]
struct Note(usize);

#[derive(Message, Debug)]
#[message(reply = usize)]
struct Ask(usize);

const CAPACITY: usize = 3;

/// One that takes nothing until the gate opens, and gives the notes that it then finds.
fn shut(overflow: Overflow, gate: &Gate) -> JoinHandle<Vec<usize>> {
    let gate = gate.clone();
    let receiver = Tasklet::with_mailbox(Mailbox::bounded(CAPACITY, overflow)).spawn(move || {
        gate.pass();
        let mut notes = Vec::new();
        for message in Tasklet::receive() {
            match_message!(match message {
                Note(n) => notes.push(n),
                (Ask(n), reply) => reply.send(n),
            });
        }
        notes
    });
    receiver.unwrap()
}

#[test]
fn a_mailbox_must_have_room() {
    assert!(std::panic::catch_unwind(|| Mailbox::bounded(0, Overflow::Fail)).is_err());
}

#[test]
fn who_fills_its_own_mailbox_is_told_and_does_not_wait() {
    run(|| {
        let bounded = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::Block)).spawn(|| {
            let me = Tasklet::current();
            me.send(Note(1)).unwrap();
            assert_eq!(me.send(Note(2)), Err(SendError::Full(Note(2))));
            let note = me.recipient::<Note>();
            assert_eq!(note.send(Note(3)), Err(SendError::Full(Note(3))));
            assert_eq!(me.call_timeout(Ask(4), PATIENCE), Err(CallError::Full));
            Tasklet::pending()
        });
        assert_eq!(join(bounded.unwrap()), 1);
    });
}

#[test]
fn fail_refuses_what_does_not_fit() {
    run(|| {
        let gate = Gate::new();
        let receiver = shut(Overflow::Fail, &gate);
        (0..CAPACITY).for_each(|n| receiver.send(Note(n)).unwrap());
        assert!(matches!(
            receiver.send(Note(9)),
            Err(SendError::Full(Note(9)))
        ));
        assert!(matches!(
            receiver.try_send(Note(9)),
            Err(SendError::Full(Note(9)))
        ));
        assert_eq!(receiver.call(Ask(9)), Err(CallError::Full));
        gate.open();
        assert_eq!(join(receiver), [0, 1, 2]);
    });
}

#[test]
fn drop_newest_drops_what_does_not_fit() {
    run(|| {
        let gate = Gate::new();
        let receiver = shut(Overflow::DropNewest, &gate);
        let before = dropped().overflowed;
        (0..6).for_each(|n| receiver.send(Note(n)).unwrap());
        assert_eq!(receiver.call(Ask(9)), Err(CallError::Full));
        assert!(dropped().overflowed >= before + 4);
        gate.open();
        assert_eq!(join(receiver), [0, 1, 2]);
    });
}

#[test]
fn drop_oldest_drops_what_has_waited_longest() {
    run(|| {
        let gate = Gate::new();
        let receiver = shut(Overflow::DropOldest, &gate);
        let before = dropped().overflowed;
        let caller = {
            let to = receiver.tasklet().clone();
            spawn(move || to.call(Ask(1)))
        };
        (0..100).for_each(|n| receiver.send(Note(n)).unwrap());
        // A call that is displaced is told; and what it stood for is not kept until the receiver looks.
        assert_eq!(join(caller), Err(CallError::Full));
        assert!(dropped().overflowed >= before + 98);
        gate.open();
        assert_eq!(join(receiver), [97, 98, 99]);
    });
}

#[test]
fn drop_oldest_wakes_a_receiver_that_waits() {
    run(|| {
        let mailbox = Mailbox::bounded(1, Overflow::DropOldest);
        let receiver = Tasklet::with_mailbox(mailbox).spawn(|| {
            let first = Tasklet::receive_one().map(|message| message.downcast::<Note>().unwrap());
            assert_eq!(first.unwrap(), Note(1));
            Tasklet::receive().count()
        });
        let receiver = receiver.unwrap();
        wait_until_it_waits(&receiver, "waits for a message");
        receiver.send(Note(1)).unwrap();
        wait_until_it_waits(&receiver, "waits for a message");
        receiver.stop();
        assert!(matches!(
            receiver.send(Note(2)),
            Err(SendError::Ended(Note(2)))
        ));
        assert_eq!(join(receiver), 0);
    });
}

#[test]
fn block_makes_senders_wait_in_their_order() {
    run(|| {
        let gate = Gate::new();
        let receiver = shut(Overflow::Block, &gate);
        (0..CAPACITY).for_each(|n| receiver.send(Note(n)).unwrap());
        assert!(matches!(
            receiver.try_send(Note(9)),
            Err(SendError::Full(Note(9)))
        ));
        let senders: Vec<_> = (CAPACITY..8)
            .map(|n| {
                let to = receiver.tasklet().clone();
                spawn(move || to.send(Note(n)))
            })
            .collect();
        for sender in &senders {
            wait_until_it_waits(sender, "waits for room in the mailbox of");
        }
        gate.open();
        senders.into_iter().for_each(|sender| join(sender).unwrap());
        assert_eq!(join(receiver), Vec::from_iter(0..8));
    });
}

#[test]
fn block_lets_a_sender_be_killed_timed_out_and_be_a_thread() {
    run(|| {
        let gate = Gate::new();
        let receiver = shut(Overflow::Block, &gate);
        (0..CAPACITY).for_each(|n| receiver.send(Note(n)).unwrap());
        let killed = {
            let to = receiver.tasklet().clone();
            spawn(move || to.send(Note(50)))
        };
        wait_until_it_waits(&killed, "waits for room");
        killed.kill();
        assert_killed(&killed);
        // The message comes back, by way of an error that can also be one of the block.
        let mut back = None;
        let late: Result<(), std::io::Error> = timeout(SHORT, || {
            back = Some(receiver.send(Note(51)).unwrap_err());
            Ok(())
        });
        late.unwrap();
        assert!(
            matches!(back, Some(SendError::Timeout(Note(51)))),
            "{back:?}"
        );
        assert_eq!(
            receiver.call_timeout(Ask(1), SHORT),
            Err(CallError::Timeout)
        );
        let to = receiver.tasklet().clone();
        let opener = gate.clone();
        block_on_thread(move || {
            let late = timeout(SHORT, || Ok::<_, std::io::Error>(to.send(Note(52))));
            assert!(matches!(late.unwrap(), Err(SendError::Timeout(Note(52)))));
            opener.open();
            to.send(Note(60)).unwrap();
        });
        assert_eq!(join(receiver), [0, 1, 2, 60]);
    });
}

#[test]
fn block_gives_the_message_back_when_the_receiver_ends() {
    run(|| {
        let ends: [fn(&Tasklet); 2] = [Tasklet::kill, Tasklet::stop];
        for end in ends {
            let gate = Gate::new();
            let receiver = shut(Overflow::Block, &gate);
            (0..CAPACITY).for_each(|n| receiver.send(Note(n)).unwrap());
            let senders: Vec<_> = (0..6)
                .map(|n| {
                    let to = receiver.tasklet().clone();
                    spawn_on(n, move || to.send(Note(10 + n)))
                })
                .collect();
            for sender in &senders {
                wait_until_it_waits(sender, "waits for room");
            }
            end(&receiver);
            for (n, sender) in senders.into_iter().enumerate() {
                match join(sender) {
                    Err(SendError::Ended(Note(note))) => assert_eq!(note, 10 + n),
                    other => panic!("{other:?}"),
                }
            }
            gate.open();
            let _ = receiver.join();
        }
    });
}

#[test]
fn a_tasklet_that_unwinds_does_not_wait_for_room() {
    run(|| {
        let gate = Gate::new();
        let receiver = shut(Overflow::Block, &gate);
        (0..CAPACITY).for_each(|n| receiver.send(Note(n)).unwrap());
        let seen = Arc::new(Mutex::new(None));
        let unlucky = {
            let (to, seen) = (receiver.tasklet().clone(), seen.clone());
            spawn(move || {
                let _guard = OnDrop::new(move || {
                    *seen.lock().unwrap() = Some(to.send(Note(9)));
                });
                panic!("no luck");
            })
        };
        unlucky.join().unwrap_err();
        let seen = seen.lock().unwrap().take();
        assert!(
            matches!(seen, Some(Err(SendError::Full(Note(9))))),
            "{seen:?}"
        );
        gate.open();
        assert_eq!(join(receiver), [0, 1, 2]);
    });
}

// The close -------------------------------------------------------------------------------------

/// A message that is counted when it is dropped anywhere but with its receiver or sender.
#[derive(Message, Debug)]
struct Counted {
    settled: bool,
    lost: Count,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.settled {
            self.lost.up();
        }
    }
}

/// Senders of all kinds against the end of their receiver: each message is received, comes back, or
/// is left to the end or to the overflow policy. None is lost, none counted twice.
fn storm(mailbox: Mailbox, end: fn(&Tasklet), limit: usize) {
    let (received, dropped_by_end) = (Count::new(), Count::new());
    let receiver = {
        let received = received.clone();
        let builder = Tasklet::with_mailbox(mailbox);
        builder.spawn(move || {
            for message in Tasklet::receive().take(limit) {
                let mut counted = message.downcast::<Counted>().unwrap();
                counted.settled = true;
                received.up();
            }
        })
    };
    let receiver = receiver.unwrap();
    // Each sends until it is refused for good.
    fn send(to: &Tasklet, lost: &Count) -> usize {
        let mut accepted = 0;
        loop {
            let counted = Counted {
                settled: false,
                lost: lost.clone(),
            };
            match to.send(counted) {
                Ok(()) => accepted += 1,
                Err(error) => {
                    let over = error.is_ended();
                    error.into_message().settled = true;
                    if over {
                        return accepted;
                    }
                }
            }
            Tasklet::yield_now();
        }
    }
    let tasklets: Vec<_> = (0..4)
        .map(|n| {
            let (to, lost) = (receiver.tasklet().clone(), dropped_by_end.clone());
            spawn_on(n, move || send(&to, &lost))
        })
        .collect();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (to, lost) = (receiver.tasklet().clone(), dropped_by_end.clone());
            thread::spawn(move || send(&to, &lost))
        })
        .collect();
    wait_until(|| received.get() > 50 || !receiver.is_alive());
    end(&receiver);
    let sums = tasklets.into_iter().map(join).collect::<Vec<_>>();
    let sums = sums.into_iter().chain(block_on_thread(|| {
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    }));
    let accepted: usize = sums.sum();
    let _ = receiver.join();
    assert_eq!(accepted, received.get() + dropped_by_end.get());
}

#[test]
fn a_close_in_a_storm_loses_nothing() {
    run(|| {
        let mailboxes = [
            Mailbox::unbounded(),
            Mailbox::bounded(4, Overflow::Block),
            Mailbox::bounded(4, Overflow::Fail),
            Mailbox::bounded(4, Overflow::DropNewest),
            Mailbox::bounded(4, Overflow::DropOldest),
        ];
        for round in 0..10 {
            for mailbox in mailboxes {
                storm(mailbox, Tasklet::stop, usize::MAX);
                storm(mailbox, Tasklet::kill, usize::MAX);
                storm(mailbox, |_| (), 60 + round);
            }
        }
    });
}

#[test]
fn calls_in_a_storm_all_end() {
    run(|| {
        for round in 0..30 {
            let receiver = spawn_on(round, || {
                for message in Tasklet::receive().take(40) {
                    match_message!(match message {
                        (Ask(n), reply) if n % 3 > 0 => reply.send(n),
                        (Ask(_), reply) => drop(reply),
                    });
                }
            });
            let callers = (0..6).map(|n| {
                let to = receiver.tasklet().clone();
                spawn_on(n, move || {
                    for k in 0.. {
                        match to.call_timeout(Ask(k), PATIENCE) {
                            Ok(answer) => assert_eq!(answer, k),
                            Err(CallError::Unanswered) => assert_eq!(k % 3, 0),
                            Err(CallError::Ended) => return,
                            Err(other) => panic!("{other}"),
                        }
                    }
                })
            });
            callers.collect::<Vec<_>>().into_iter().for_each(join);
            join(receiver);
        }
    });
}

#[test]
fn receiving_with_a_deadline_at_the_edge_loses_nothing() {
    run(|| {
        for mailbox in [Mailbox::unbounded(), Mailbox::bounded(8, Overflow::Block)] {
            const COUNT: usize = 3_000;
            let receiver = Tasklet::with_mailbox(mailbox).spawn(|| {
                let (mut next, mut timeouts) = (0, 0);
                while next < COUNT {
                    let limit = Duration::from_nanos(200 * (timeouts % 200));
                    match Tasklet::receive_timeout(limit) {
                        Ok(message) => {
                            assert_eq!(message.downcast::<Note>().unwrap().0, next);
                            next += 1;
                        }
                        Err(_) => timeouts += 1,
                    }
                }
            });
            let receiver = receiver.unwrap();
            let to = receiver.tasklet().clone();
            block_on_thread(move || (0..COUNT).for_each(|n| to.send(Note(n)).unwrap()));
            join(receiver);
        }
    });
}
