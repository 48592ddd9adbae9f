//! Messages: sending, calling, answering, and what becomes of those that come to nothing.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actor_core::{
    CallError, Envelope, Group, JoinError, Message, Pid, ReceiveError, Recipient, ReplyTo,
    SendError, Tasklet, block_on_thread, dropped, match_message,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message, Clone, Debug, PartialEq)]
struct Note(usize);

#[derive(Message, Debug)]
#[message(reply = usize)]
struct Double(usize);

#[derive(Message)]
struct Touch;

/// Answers [`Double`], and counts what it has served.
fn doubler(served: &Count) -> actor_core::JoinHandle<()> {
    let served = served.clone();
    spawn_on(1, move || {
        for message in Tasklet::receive() {
            match_message!(match message {
                (Double(n), reply) => {
                    served.up();
                    reply.send(n * 2);
                }
                Touch => {}
            });
        }
    })
}

fn note(envelope: Envelope) -> usize {
    envelope
        .downcast::<Note>()
        .expect("nothing else was sent")
        .0
}

// Sending ---------------------------------------------------------------------------------------

#[test]
fn messages_of_a_sender_keep_their_order_from_wherever_they_come() {
    const EACH: usize = 2_000;
    run(|| {
        let receiver = spawn_on(2, || {
            let mut next = [0; 8];
            for message in Tasklet::receive() {
                let n = note(message);
                assert_eq!(n % EACH, next[n / EACH], "of sender {}", n / EACH);
                next[n / EACH] += 1;
            }
            next
        });
        let senders: Vec<_> = (0..6)
            .map(|sender| {
                let to = receiver.tasklet().clone();
                spawn_on(sender, move || {
                    for n in 0..EACH {
                        to.send(Note(sender * EACH + n)).unwrap();
                        if n % 50 == 0 {
                            Tasklet::yield_now();
                        }
                    }
                })
            })
            .collect();
        let threads: Vec<_> = (6..8)
            .map(|sender| {
                let to = receiver.tasklet().clone();
                thread::spawn(move || {
                    for n in 0..EACH {
                        to.send(Note(sender * EACH + n)).unwrap();
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(join);
        block_on_thread(|| {
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap())
        });
        assert_eq!(join(receiver), [EACH; 8]);
    });
}

#[test]
fn receiving_with_and_without_waiting() {
    run(|| {
        let me = Tasklet::current();
        assert!(Tasklet::try_receive().is_none());
        assert_eq!(
            Tasklet::receive_timeout(SHORT).unwrap_err(),
            ReceiveError::Timeout
        );
        assert_eq!(
            Tasklet::receive_timeout(Duration::ZERO).unwrap_err(),
            ReceiveError::Timeout
        );
        for n in 0..4 {
            me.send(Note(n)).unwrap();
        }
        assert_eq!(Tasklet::pending(), 4);
        // What is there is taken, however short the time.
        assert_eq!(note(Tasklet::receive_timeout(Duration::ZERO).unwrap()), 0);
        assert_eq!(note(Tasklet::try_receive().unwrap()), 1);
        assert_eq!(note(Tasklet::receive_one().unwrap()), 2);
        assert_eq!(note(Tasklet::receive().next().unwrap()), 3);
        assert_eq!(Tasklet::pending(), 0);
    });
}

#[test]
fn a_message_to_one_that_has_ended_comes_back() {
    run(|| {
        let ended = spawn(|| ());
        ended.join().unwrap();
        assert!(matches!(
            ended.send(Note(1)),
            Err(SendError::Ended(Note(1)))
        ));
        assert!(matches!(
            ended.try_send(Note(2)),
            Err(SendError::Ended(Note(2)))
        ));
        assert_eq!(ended.call(Double(1)), Err(CallError::Ended));
        let refused = ended.forward({
            Tasklet::current().send(Note(3)).unwrap();
            Tasklet::receive_one().unwrap()
        });
        assert_eq!(note(refused.unwrap_err().into_message()), 3);
    });
}

#[test]
fn what_came_before_the_end_is_heard_before_the_end() {
    run(|| {
        for worker in 0..WORKERS {
            let me = Tasklet::current();
            let sender = spawn_on(worker, move || me.send(Note(worker)).unwrap());
            sender.join().unwrap();
            assert_eq!(
                note(Tasklet::try_receive().expect("sent before it ended")),
                worker
            );
        }
    });
}

#[test]
fn messages_that_are_left_are_dropped_in_their_receiver() {
    #[derive(Message)]
    struct Left(mpsc::Sender<Option<Pid>>);
    impl Drop for Left {
        fn drop(&mut self) {
            let _ = self.0.send(Pid::current());
            // A destructor may use its tasklet, whose mailbox is closed by now.
            assert!(Tasklet::current().send(Touch).is_err());
        }
    }
    run(|| {
        let before = dropped().undelivered;
        let (tell, told) = mpsc::channel();
        let receiver = Tasklet::spawn(Tasklet::yield_now);
        for _ in 0..3 {
            receiver.send(Left(tell.clone())).unwrap();
        }
        drop(tell);
        receiver.join().unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), [Some(receiver.pid()); 3]);
        assert!(dropped().undelivered >= before + 3);
    });
}

// The end of a receive loop -----------------------------------------------------------------------

#[test]
fn a_loop_ends_with_the_last_reference_after_all_messages() {
    run(|| {
        for worker in 0..WORKERS {
            let (tell, told) = mpsc::channel();
            let receiver = spawn_on(worker, move || {
                tell.send(Tasklet::receive().map(note).collect::<Vec<_>>())
                    .unwrap();
            });
            let (second, recipient) = (receiver.tasklet().clone(), receiver.recipient::<Note>());
            receiver.send(Note(1)).unwrap();
            drop(receiver);
            second.send(Note(2)).unwrap();
            drop(second);
            recipient.send(Note(3)).unwrap();
            if worker == 0 {
                wait_until_it_waits_by_pid(recipient.pid());
            }
            drop(recipient);
            let received = block_on_thread(move || told.recv_timeout(PATIENCE));
            assert_eq!(received.expect("the loop ends"), [1, 2, 3]);
        }
    });
}

fn wait_until_it_waits_by_pid(pid: Pid) {
    let of_pid = move |line: &str| line.contains(&pid.to_string()) && line.contains("a message");
    wait_until(|| Tasklet::current().tree().to_string().lines().any(of_pid));
}

#[test]
fn a_receiver_that_holds_itself_goes_on_and_main_waits_for_a_stop() {
    run(|| {
        let (tell, told) = mpsc::channel();
        let holder = spawn(move || {
            let me = Tasklet::current();
            tell.send(me.downgrade()).unwrap();
            let count = Tasklet::receive().count();
            drop(me);
            count
        });
        let weak = told.recv().unwrap();
        drop(holder);
        for _ in 0..10 {
            Tasklet::yield_now();
        }
        let holder = weak.upgrade().expect("it holds a reference to itself");
        holder.stop();
        drop(holder);
        // Nobody else refers to main, and it waits all the same.
        assert_eq!(
            Tasklet::receive_timeout(SHORT).unwrap_err(),
            ReceiveError::Timeout
        );
    });
}

#[test]
fn joining_is_no_reference() {
    run(|| {
        let receiver = spawn_on(1, || Tasklet::receive().count());
        receiver.send(Note(1)).unwrap();
        assert_eq!(receiver.join_timeout(PATIENCE).unwrap(), 1);
    });
}

// Calling ---------------------------------------------------------------------------------------

#[test]
fn calls_are_answered_on_every_worker_and_on_threads() {
    run(|| {
        let served = Count::new();
        let doubler = doubler(&served);
        let callers = (0..6).map(|n| {
            let to = doubler.tasklet().clone();
            spawn_on(n, move || {
                for k in 0..300 {
                    assert_eq!(to.call(Double(k)), Ok(k * 2));
                }
                assert_eq!(to.call(Touch), Ok(()), "unit answers itself");
            })
        });
        let callers: Vec<_> = callers.collect();
        let to = doubler.tasklet().clone();
        block_on_thread(move || {
            for k in 0..300 {
                assert_eq!(to.call_timeout(Double(k), PATIENCE), Ok(k * 2));
            }
        });
        callers.into_iter().for_each(join);
        assert_eq!(served.get(), 7 * 300);
    });
}

#[test]
fn a_call_that_nobody_answers_ends_at_once() {
    run(|| {
        let receiver = spawn(|| {
            let mut kept = Vec::new();
            for message in Tasklet::receive() {
                match_message!(match message {
                    (Double(0), reply) => drop(reply),
                    Double(1) => {}
                    (Double(2), reply) => kept.push(reply),
                    (Double(3), _reply) => break,
                    Note(_) => {}
                    _ => {}
                });
            }
            panic!("goes with {} unanswered", kept.len());
        });
        for n in [0, 1, 7] {
            assert_eq!(receiver.call(Double(n)), Err(CallError::Unanswered), "{n}");
        }
        let kept = {
            let to = receiver.tasklet().clone();
            spawn(move || to.call(Double(2)))
        };
        let queued = {
            let to = receiver.tasklet().clone();
            spawn(move || {
                let last = to.call(Double(3));
                (last, to.call(Double(4)))
            })
        };
        assert_eq!(join(kept), Err(CallError::Ended), "its holder panicked");
        assert_eq!(
            join(queued),
            (Err(CallError::Unanswered), Err(CallError::Ended))
        );
        assert!(matches!(receiver.join(), Err(JoinError::Panicked(_))));
    });
}

#[test]
fn a_call_in_the_mailbox_of_one_that_ends_gets_ended() {
    run(|| {
        let ends: [fn(&Tasklet); 2] = [Tasklet::kill, |_| ()];
        for end in ends {
            let gate = Gate::new();
            let receiver = {
                let gate = gate.clone();
                spawn_on(1, move || gate.pass())
            };
            let callers: Vec<_> = (0..3)
                .map(|n| {
                    let to = receiver.tasklet().clone();
                    spawn_on(n, move || to.call(Double(1)))
                })
                .collect();
            callers
                .iter()
                .for_each(|caller| wait_until_it_waits(caller, "waits for a reply"));
            end(&receiver);
            gate.open();
            for caller in callers {
                assert_eq!(join(caller), Err(CallError::Ended));
            }
        }
    });
}

#[test]
fn an_answer_may_come_late_from_elsewhere_and_to_the_right_call() {
    run(|| {
        let (tell, told) = mpsc::channel::<ReplyTo<usize>>();
        let receiver = spawn(move || {
            for message in Tasklet::receive() {
                match_message!(match message {
                    (Double(0), reply) => tell.send(reply).unwrap(),
                    // Answered by another tasklet, on another worker.
                    (Double(n), reply) => drop(spawn_on(2, move || reply.send(n * 2))),
                });
            }
        });
        let before = dropped().late_replies;
        assert_eq!(
            receiver.call_timeout(Double(0), SHORT),
            Err(CallError::Timeout)
        );
        let late = told.recv().unwrap();
        assert!(!late.is_wanted());
        late.send(99);
        assert!(dropped().late_replies > before);
        assert_eq!(receiver.call(Double(5)), Ok(10), "and not 99");
        let pending = {
            let to = receiver.tasklet().clone();
            spawn(move || to.call(Double(0)))
        };
        let reply = loop {
            match told.try_recv() {
                Ok(reply) => break reply,
                Err(_) => Tasklet::yield_now(),
            }
        };
        assert!(reply.is_wanted());
        reply.send(1);
        assert_eq!(join(pending), Ok(1));
    });
}

#[test]
fn a_late_answer_is_dropped_once() {
    #[derive(Message)]
    #[message(reply = Answer)]
    struct Ask;
    struct Answer(Count);
    impl Drop for Answer {
        fn drop(&mut self) {
            self.0.up();
        }
    }
    // The answer and the end of the caller's patience fall together, again and again.
    run(|| {
        const ROUNDS: usize = 3_000;
        let dropped = Count::new();
        let receiver = {
            let dropped = dropped.clone();
            spawn_on(1, move || {
                for message in Tasklet::receive() {
                    match_message!(match message {
                        (Ask, reply) => reply.send(Answer(dropped.clone())),
                    });
                }
            })
        };
        let before = actor_core::dropped().skipped_calls;
        let mut answered = 0;
        for round in 0..ROUNDS {
            let limit = Duration::from_nanos(100 * (round as u64 % 300));
            match receiver.call_timeout(Ask, limit) {
                Ok(_) => answered += 1,
                Err(error) => assert_eq!(error, CallError::Timeout),
            }
        }
        join(receiver);
        let skipped = actor_core::dropped().skipped_calls - before;
        assert!(answered <= dropped.get() && dropped.get() <= ROUNDS);
        assert!(
            ROUNDS - dropped.get() <= skipped as usize,
            "what was not served was skipped"
        );
    });
}

#[test]
fn a_request_whose_caller_has_gone_is_skipped() {
    run(|| {
        let gate = Gate::new();
        let receiver = {
            let gate = gate.clone();
            spawn(move || {
                gate.pass();
                let mut served = Vec::new();
                for message in Tasklet::receive() {
                    match_message!(match message {
                        (Double(n), reply) => {
                            served.push(n);
                            reply.send(n);
                        }
                    });
                }
                served
            })
        };
        let before = dropped().skipped_calls;
        assert_eq!(
            receiver.call_timeout(Double(1), SHORT),
            Err(CallError::Timeout)
        );
        let killed = {
            let to = receiver.tasklet().clone();
            spawn(move || to.call(Double(2)))
        };
        killed.kill();
        assert_killed(&killed);
        let patient = {
            let to = receiver.tasklet().clone();
            spawn(move || to.call(Double(3)))
        };
        gate.open();
        assert_eq!(join(patient), Ok(3));
        assert_eq!(join(receiver), [3]);
        assert!(dropped().skipped_calls >= before + 2);
    });
}

#[test]
fn a_call_is_forwarded_with_the_right_to_answer() {
    run(|| {
        let doubler = doubler(&Count::new());
        let proxy = {
            let to = doubler.tasklet().clone();
            spawn(move || {
                for message in Tasklet::receive() {
                    match_message!(match message {
                        other => to.forward(other).unwrap(),
                    });
                }
            })
        };
        assert_eq!(proxy.call(Double(4)), Ok(8));
        assert_eq!(proxy.call(Touch), Ok(()));
    });
}

#[test]
fn a_tasklet_that_calls_itself_is_told() {
    run(|| {
        let me = Tasklet::current();
        assert_eq!(me.call(Double(1)), Err(CallError::Deadlock));
        assert_eq!(me.call_timeout(Double(1), SHORT), Err(CallError::Timeout));
        let recipient = me.recipient::<Double>();
        assert_eq!(recipient.call(Double(1)), Err(CallError::Deadlock));
        struct Own(#[expect(dead_code, reason = "only to be carried")] ReplyTo<u8>);
        impl Message for Own {
            type Reply = ();
        }
        assert_eq!(me.call_with(Own), Err(CallError::Deadlock));
    });
}

#[test]
fn a_message_stays_behind_its_cause_whichever_way_they_come() {
    run(|| {
        let me = Tasklet::current();
        for n in 0..100 {
            // From a thread, which tells when it has sent; then from here.
            let elsewhere = me.clone();
            block_on_thread(move || elsewhere.send(Note(2 * n)).unwrap());
            me.send(Note(2 * n + 1)).unwrap();
        }
        for n in 0..200 {
            assert_eq!(note(Tasklet::receive_one().unwrap()), n);
        }
    });
}

/// A call whose destructor waits.
struct Lingers(Gate, Gate);

impl Message for Lingers {
    type Reply = u8;
}

impl Drop for Lingers {
    fn drop(&mut self) {
        self.0.open();
        self.1.pass();
    }
}

#[test]
fn a_loop_ends_though_the_last_reference_goes_while_a_message_is_dropped() {
    run(|| {
        let (begun, go_on) = (Gate::new(), Gate::new());
        let receiver = spawn(|| Tasklet::receive().for_each(drop));
        // Given up before the receiver, which waits in its loop, has had a turn.
        let late = receiver.call_timeout(Lingers(begun.clone(), go_on.clone()), Duration::ZERO);
        assert_eq!(late, Err(CallError::Timeout));
        begun.pass();
        let joined = spawn(move || receiver.join_timeout(PATIENCE).is_ok());
        wait_until_it_waits(&joined, "waits for the end");
        go_on.open();
        assert!(join(joined));
    });
}

#[test]
fn messages_may_carry_their_own_right_to_answer() {
    #[derive(Message)]
    enum Op {
        Name(ReplyTo<String>),
        Never(ReplyTo<u8>),
    }
    run(|| {
        let receiver = spawn(|| {
            for message in Tasklet::receive() {
                match_message!(match message {
                    Op::Name(reply) => reply.send("Ada".into()),
                    Op::Never(reply) => drop(reply),
                });
            }
        });
        assert_eq!(receiver.call_with(Op::Name).unwrap(), "Ada");
        assert_eq!(receiver.call_with(Op::Never), Err(CallError::Unanswered));
        receiver.stop();
        assert_eq!(receiver.call_with(Op::Never), Err(CallError::Ended));
    });
}

#[test]
fn unmatched_messages_are_counted() {
    run(|| {
        let before = dropped().unmatched;
        let receiver = spawn(|| {
            for message in Tasklet::receive() {
                match_message!(match message {
                    Touch => {}
                });
            }
        });
        for n in 0..3 {
            receiver.send(Note(n)).unwrap();
        }
        assert_eq!(receiver.call(Double(1)), Err(CallError::Unanswered));
        assert!(dropped().unmatched >= before + 4);
        join(receiver);
    });
}

// Recipients and groups ---------------------------------------------------------------------------

#[test]
fn a_recipient_is_its_receiver_in_front_of_one_class() {
    run(|| {
        let served = Count::new();
        let doubler = doubler(&served);
        let recipient: Recipient<Double> = doubler.recipient();
        assert_eq!(recipient.pid(), doubler.pid());
        assert_eq!(recipient, Recipient::new(doubler.tasklet().clone()));
        assert_eq!(recipient.call(Double(2)), Ok(4));
        let outer = Recipient::new(recipient.clone());
        assert_eq!((outer.call(Double(3)), outer.pid()), (Ok(6), doubler.pid()));

        let (tell, told) = mpsc::channel();
        let function = Recipient::from_fn(move |Note(n)| {
            let _ = tell.send(n);
        });
        function.send(Note(1)).unwrap();
        assert_eq!(function.call(Note(2)), Ok(()));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 2]);
    });
}

#[test]
fn a_group_sends_to_all_its_members() {
    run(|| {
        let group = Group::new();
        let members: Vec<_> = (0..5)
            .map(|n| spawn_on(n, || Tasklet::receive().map(note).collect::<Vec<_>>()))
            .collect();
        members
            .iter()
            .for_each(|member| group.join(member.tasklet()));
        group.join(members[0].tasklet());
        group.join(&Tasklet::current());
        assert_eq!(group.len(), 6);
        assert_eq!(group.broadcast_others(Note(1)), 5);
        assert_eq!(Tasklet::pending(), 0);
        assert_eq!(group.broadcast(Note(2)), 6);
        assert_eq!(note(Tasklet::try_receive().unwrap()), 2);
        members[4].stop();
        assert_eq!(group.broadcast_others(Note(3)), 4);
        assert_eq!(group.len(), 5, "who has ended drops out");
        assert!(group.leave(&Tasklet::current()) && !group.leave(&Tasklet::current()));
        // Membership is a reference: only with the group the loops end.
        drop(group);
        let received: Vec<_> = members.into_iter().map(join).collect();
        assert_eq!(received[4], [1, 2]);
        assert!(received[..4].iter().all(|notes| *notes == [1, 2, 3]));
    });
}
