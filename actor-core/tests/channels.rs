//! Channels: who runs next, who waits, what ends a wait, and that no value is lost or doubled.

extern crate actor_core as concurrence;

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, thread};

use actor_core::channel::{
    Channel, Preference, ReceiveError, Select, SelectError, SendError, set_channel_hook,
};
use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, Context, Handler, JoinHandle, Message, Pid, Tasklet, TimedOut, catch_raised,
    timeout,
};
use common::{
    Count, Gate, OnDrop, PATIENCE, SHORT, assert_killed, join, let_short_pass, promptly, random,
    run, spawn, spawn_on, wait_until,
};

/// What happens, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, what: impl fmt::Display) {
        self.0.lock().unwrap().push(what.to_string());
    }

    #[track_caller]
    fn assert(&self, expected: &str) {
        assert_eq!(self.0.lock().unwrap().join(" "), expected);
    }
}

/// A tasklet of this worker that says its name when its turn comes.
fn bystander(log: &Log, name: &'static str) -> JoinHandle<()> {
    let log = log.clone();
    Tasklet::spawn(move || log.say(name))
}

/// A value that is counted when it is dropped.
fn counted(drops: &Count) -> OnDrop<impl FnOnce() + Send + 'static + use<>> {
    let drops = drops.clone();
    OnDrop::new(move || {
        drops.up();
    })
}

fn receiver<T: Send + 'static>(channel: &Channel<T>) -> JoinHandle<Result<T, ReceiveError>> {
    let channel = channel.clone();
    spawn(move || channel.receive())
}

fn sender<T: Send + 'static>(
    channel: &Channel<T>,
    value: T,
) -> JoinHandle<Result<(), SendError<T>>> {
    let channel = channel.clone();
    spawn(move || channel.send(value))
}

// Who runs next ---------------------------------------------------------------------------------

/// A send that finds a receiver, with two others ready.
fn send_order(preference: Preference, expected: &'static str) {
    run(move || {
        let channel = Channel::with_preference(preference);
        let log = Log::default();
        let (other, says) = (channel.clone(), log.clone());
        spawn(move || {
            says.say(other.receive().unwrap());
        });
        bystander(&log, "a");
        bystander(&log, "b");
        channel.send("received").unwrap();
        log.say("sent");
        assert_eq!(channel.balance(), 0);
        (0..3).for_each(|_| Tasklet::yield_now());
        log.assert(expected);
    });
}

#[test]
fn a_send_that_finds_a_receiver_lets_it_run_at_once() {
    send_order(Preference::Receiver, "received a b sent");
}

#[test]
fn without_preference_a_send_goes_on() {
    send_order(Preference::Neither, "sent a b received");
}

#[test]
fn with_preference_for_senders_a_send_goes_on() {
    send_order(Preference::Sender, "sent a b received");
}

/// A receive that finds a sender, with two others ready.
fn receive_order(preference: Preference, expected: &'static str) {
    run(move || {
        let channel = Channel::with_preference(preference);
        let log = Log::default();
        let (other, says) = (channel.clone(), log.clone());
        spawn(move || {
            other.send("received").unwrap();
            says.say("sent");
        });
        bystander(&log, "a");
        bystander(&log, "b");
        log.say(channel.receive().unwrap());
        assert_eq!(channel.balance(), 0);
        (0..3).for_each(|_| Tasklet::yield_now());
        log.assert(expected);
    });
}

#[test]
fn a_receive_that_finds_a_sender_goes_on() {
    receive_order(Preference::Receiver, "received a b sent");
}

#[test]
fn without_preference_a_receive_goes_on() {
    receive_order(Preference::Neither, "received a b sent");
}

#[test]
fn with_preference_for_senders_the_sender_runs_at_once() {
    receive_order(Preference::Sender, "sent a b received");
}

#[test]
fn whoever_finds_nobody_lets_the_next_run_and_others_keep_their_order() {
    for preference in [
        Preference::Receiver,
        Preference::Neither,
        Preference::Sender,
    ] {
        run(move || {
            let channel = Channel::with_preference(preference);
            let log = Log::default();
            bystander(&log, "a");
            let (other, says) = (channel.clone(), log.clone());
            Tasklet::spawn(move || {
                says.say("sends");
                other.send(1).unwrap();
            });
            bystander(&log, "b");
            log.say("receives");
            channel.receive().unwrap();
            log.say("received");
            // With a preference for the receiver it runs before `b`.
            let expected = match preference {
                Preference::Receiver => "receives a sends received",
                Preference::Neither | Preference::Sender => "receives a sends b received",
            };
            log.assert(expected);
        });
    }
}

#[test]
fn the_preference_can_change_and_is_that_of_the_moment_of_the_meeting() {
    run(|| {
        let channel = Channel::new();
        assert_eq!(channel.preference(), Preference::Receiver);
        let first = receiver(&channel);
        channel.clone().set_preference(Preference::Neither);
        assert_eq!(channel.preference(), Preference::Neither);
        channel.send(1).unwrap();
        assert!(first.is_alive(), "it was to run later");
        channel.set_preference(Preference::Receiver);
        let second = receiver(&channel);
        assert!(!first.is_alive());
        channel.send(2).unwrap();
        assert!(!second.is_alive(), "it was to run at once");
        assert_eq!((join(first).unwrap(), join(second).unwrap()), (1, 2));
    });
}

#[test]
fn try_operations_follow_the_preference_as_well() {
    run(|| {
        let channel = Channel::new();
        let waiting = receiver(&channel);
        channel.try_send(1).unwrap();
        assert!(!waiting.is_alive());
        channel.set_preference(Preference::Sender);
        let waiting = sender(&channel, 2);
        assert_eq!(channel.try_receive().unwrap(), 2);
        assert!(!waiting.is_alive());
    });
}

#[test]
fn between_workers_both_go_on() {
    run(|| {
        let near = spawn_on(0, || {
            let channel = Channel::new();
            let (other, log) = (channel.clone(), Log::default());
            let far = spawn_on(1, move || other.receive().unwrap());
            wait_until(|| channel.has_receiver());
            bystander(&log, "a");
            channel.send(1).unwrap();
            log.say("sent");
            Tasklet::yield_now();
            log.assert("sent a");
            assert_eq!(join(far), 1);
        });
        join(near);
    });
}

#[test]
fn producers_and_a_consumer_take_turns_as_in_stackless() {
    for (preference, expected) in [
        (Preference::Receiver, "1+ 2+ 3+ A D F 1- B 2- E 3- C"),
        (Preference::Sender, "1+ 2+ 3+ 1- A 2- D 3- F B E C"),
    ] {
        run(move || {
            let channel = Channel::with_preference(preference);
            let log = Log::default();
            for (name, items) in [("1", "A B C"), ("2", "D E"), ("3", "F")] {
                let (channel, log) = (channel.clone(), log.clone());
                Tasklet::spawn(move || {
                    log.say(format_args!("{name}+"));
                    let mut items = items.split(' ');
                    channel.send(items.next().unwrap()).unwrap();
                    log.say(format_args!("{name}-"));
                    channel.send_all(items).unwrap();
                });
            }
            let (other, says) = (channel.clone(), log.clone());
            let consumer = Tasklet::spawn(move || other.iter().for_each(|item| says.say(item)));
            drop(channel);
            join(consumer);
            log.assert(expected);
        });
    }
}

// Who waits -------------------------------------------------------------------------------------

#[test]
fn the_balance_counts_those_who_wait() {
    run(|| {
        let channel = Channel::new();
        assert_eq!(channel.balance(), 0);
        let senders: Vec<_> = (1..=3)
            .map(|n| {
                let waiting = sender(&channel, n);
                assert_eq!(channel.balance(), n);
                waiting
            })
            .collect();
        assert!(channel.has_sender() && !channel.has_receiver());
        for left in (0..3).rev() {
            channel.receive().unwrap();
            assert_eq!(channel.balance(), left);
        }
        senders.into_iter().for_each(|sender| join(sender).unwrap());
        let receivers: Vec<_> = (1..=3)
            .map(|n| {
                let waiting = receiver(&channel);
                assert_eq!(channel.balance(), -n);
                waiting
            })
            .collect();
        assert!(!channel.has_sender() && channel.has_receiver());
        for left in (0..3).rev() {
            channel.send(left).unwrap();
            assert_eq!(channel.balance(), -left);
        }
        let received = receivers
            .into_iter()
            .map(|receiver| join(receiver).unwrap());
        assert_eq!(received.collect::<Vec<_>>(), [2, 1, 0]);
    });
}

#[test]
fn those_who_wait_are_served_in_their_order() {
    run(|| {
        let channel = Channel::new();
        let senders: Vec<_> = (0..100).map(|n| sender(&channel, n)).collect();
        let received: Vec<_> = (0..100).map(|_| channel.receive().unwrap()).collect();
        assert_eq!(received, (0..100).collect::<Vec<_>>());
        senders.into_iter().for_each(|sender| join(sender).unwrap());
        let receivers: Vec<_> = (0..100).map(|_| receiver(&channel)).collect();
        (0..100).for_each(|n| channel.send(n).unwrap());
        let received: Vec<_> = receivers
            .into_iter()
            .map(|each| join(each).unwrap())
            .collect();
        assert_eq!(received, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn the_tree_says_who_waits_at_a_channel() {
    run(|| {
        let channel = Channel::new();
        let waiting = receiver(&channel);
        let expected = format!("waits to receive from channel {}", channel.id());
        assert!(waiting.tree().to_string().contains(&expected));
        channel.send(()).unwrap();
        join(waiting).unwrap();
    });
}

// Errors that are sent, sequences ---------------------------------------------------------------

#[derive(Debug, PartialEq)]
struct DivisionByZero;

impl fmt::Display for DivisionByZero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("division by zero")
    }
}

impl std::error::Error for DivisionByZero {}

#[test]
fn an_error_is_received_in_its_turn_whoever_comes_first() {
    run(|| {
        let channel = Channel::<u32>::new();
        let waiting = receiver(&channel);
        channel.send_error(DivisionByZero).unwrap();
        let error = join(waiting).unwrap_err();
        assert_eq!(error.raised(), Some(&DivisionByZero));
        assert_eq!(error.to_string(), "division by zero");

        let before = sender(&channel, 1);
        let other = channel.clone();
        let bomb = spawn(move || other.send_error(DivisionByZero));
        let after = sender(&channel, 2);
        assert_eq!(channel.balance(), 3);
        assert_eq!(channel.receive().unwrap(), 1);
        assert!(matches!(channel.receive(), Err(ReceiveError::Raised(_))));
        assert_eq!(channel.receive().unwrap(), 2);
        join(before).unwrap();
        join(bomb).unwrap();
        join(after).unwrap();
    });
}

#[test]
fn an_error_that_nobody_takes_comes_back() {
    run(|| {
        let channel = Channel::<u32>::new();
        channel.close();
        let refused = channel.send_error(DivisionByZero).unwrap_err();
        assert!(matches!(&refused, SendError::Closed(error) if error.is::<DivisionByZero>()));
    });
}

#[test]
fn a_sequence_is_sent_up_to_the_first_that_is_refused() {
    run(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let all = spawn(move || other.send_all(0..5));
        assert_eq!(channel.iter().take(2).collect::<Vec<_>>(), [0, 1]);
        Tasklet::yield_now();
        channel.close();
        // It was in line with 2 when the channel closed, so that one can still be had.
        assert_eq!(channel.iter().collect::<Vec<_>>(), [2]);
        assert_eq!(join(all), Err(SendError::Closed(3)));
        channel.open();
        let other = channel.clone();
        let all = spawn(move || other.send_all(0..5));
        assert_eq!(channel.iter().take(5).sum::<i32>(), 10);
        assert_eq!(join(all), Ok(5));
    });
}

#[test]
fn an_iteration_ends_with_an_error_and_says_which() {
    run(|| {
        let channel = Channel::new();
        let other = channel.clone();
        spawn(move || {
            other.send(1).unwrap();
            other.send_error(DivisionByZero).unwrap();
            other.send(2).unwrap();
        });
        let mut values = channel.iter();
        assert_eq!(values.by_ref().collect::<Vec<_>>(), [1]);
        assert_eq!(values.next(), None);
        assert_eq!(values.end().unwrap_err().raised(), Some(&DivisionByZero));
        assert_eq!(channel.receive().unwrap(), 2);
    });
}

// Close and open --------------------------------------------------------------------------------

#[test]
fn a_closing_channel_serves_those_who_wait_and_no_others() {
    run(|| {
        let channel = Channel::new();
        let (first, second) = (sender(&channel, 1), sender(&channel, 2));
        channel.close();
        assert!(channel.is_closing() && !channel.is_closed());
        assert_eq!(channel.balance(), 2, "nobody is sent away");
        assert_eq!(channel.send(3), Err(SendError::Closed(3)));
        assert_eq!(channel.receive().unwrap(), 1);
        assert_eq!(channel.try_receive().unwrap(), 2);
        assert!(channel.is_closing() && channel.is_closed());
        assert!(matches!(channel.receive(), Err(ReceiveError::Closed)));
        assert!(matches!(channel.try_receive(), Err(ReceiveError::Closed)));
        assert!(matches!(
            channel.receive_timeout(PATIENCE),
            Err(ReceiveError::Closed)
        ));
        assert_eq!(channel.try_send(4), Err(SendError::Closed(4)));
        join(first).unwrap();
        join(second).unwrap();
    });
}

#[test]
fn receivers_of_a_closing_channel_can_still_be_sent_to() {
    run(|| {
        let channel = Channel::new();
        let waiting = receiver(&channel);
        channel.close();
        assert!(!channel.is_closed());
        channel.send(1).unwrap();
        assert!(channel.is_closed());
        assert_eq!(join(waiting).unwrap(), 1);
        assert!(channel.iter().next().is_none());
    });
}

#[test]
fn an_opened_channel_is_as_before() {
    run(|| {
        let channel = Channel::new();
        channel.close();
        channel.close();
        channel.open();
        assert!(!channel.is_closing() && !channel.is_closed());
        let waiting = sender(&channel, 1);
        assert_eq!(channel.receive().unwrap(), 1);
        join(waiting).unwrap();
    });
}

// The handles -----------------------------------------------------------------------------------

#[test]
fn receivers_end_when_nobody_else_is_left() {
    run(|| {
        let channel = Channel::<u8>::new();
        let waiting: Vec<_> = (0..3).map(|_| receiver(&channel)).collect();
        assert_eq!(channel.balance(), -3);
        drop(channel);
        for each in waiting {
            assert!(matches!(join(each), Err(ReceiveError::Closed)));
        }
    });
}

#[test]
fn senders_get_their_values_back_when_nobody_else_is_left() {
    run(|| {
        let channel = Channel::new();
        let waiting: Vec<_> = (0..3).map(|n| sender(&channel, n)).collect();
        drop(channel);
        for (n, each) in waiting.into_iter().enumerate() {
            assert_eq!(join(each), Err(SendError::Closed(n)));
        }
    });
}

#[test]
fn it_does_not_matter_whether_the_handle_goes_before_the_wait_or_in_it() {
    run(|| {
        let channel = Channel::<u8>::new();
        let other = channel.clone();
        let first = Tasklet::spawn(move || other.receive());
        let other = channel.clone();
        let second = Tasklet::spawn(move || other.receive());
        drop(channel);
        assert!(matches!(join(first), Err(ReceiveError::Closed)));
        assert!(matches!(join(second), Err(ReceiveError::Closed)));
    });
}

#[test]
fn the_last_handle_finds_the_channel_closed_whatever_it_does() {
    run(|| {
        let channel = Channel::new();
        drop(channel.clone());
        assert_eq!(channel.send(1), Err(SendError::Closed(1)));
        assert_eq!(channel.try_send(1), Err(SendError::Closed(1)));
        assert_eq!(channel.send_timeout(1, PATIENCE), Err(SendError::Closed(1)));
        assert!(matches!(channel.receive(), Err(ReceiveError::Closed)));
        assert!(matches!(channel.try_receive(), Err(ReceiveError::Closed)));
        // Until there is another.
        let waiting = sender(&channel, 2);
        assert_eq!(channel.receive().unwrap(), 2);
        join(waiting).unwrap();
    });
}

#[test]
fn a_handle_that_does_not_wait_keeps_the_others_waiting() {
    run(|| {
        let channel = Channel::<u8>::new();
        let (waiting, kept) = (receiver(&channel), channel.clone());
        drop(channel);
        Tasklet::yield_now();
        assert_eq!(kept.balance(), -1);
        kept.send(1).unwrap();
        assert_eq!(join(waiting).unwrap(), 1);
    });
}

#[test]
fn a_channel_that_never_lost_a_handle_waits() {
    run(|| {
        let channel = Channel::<u8>::new();
        let waiting = spawn(move || channel.receive_timeout(SHORT));
        assert!(matches!(join(waiting), Err(ReceiveError::Timeout)));
    });
}

#[test]
fn threads_that_wait_are_told_as_well() {
    run(|| {
        let channel = Channel::<u8>::new();
        let other = channel.clone();
        let waiting = thread::spawn(move || other.receive());
        wait_until(|| channel.has_receiver());
        drop(channel);
        assert!(matches!(waiting.join().unwrap(), Err(ReceiveError::Closed)));
    });
}

// Time-outs -------------------------------------------------------------------------------------

#[test]
fn who_gives_up_leaves_the_line() {
    run(|| {
        let channel = Channel::new();
        assert_eq!(channel.send_timeout(1, SHORT), Err(SendError::Timeout(1)));
        assert_eq!(channel.balance(), 0);
        assert!(matches!(
            channel.receive_timeout(SHORT),
            Err(ReceiveError::Timeout)
        ));
        assert_eq!(channel.balance(), 0);
        assert_eq!(channel.try_send(2), Err(SendError::WouldBlock(2)));
        assert!(matches!(
            channel.try_receive(),
            Err(ReceiveError::WouldBlock)
        ));
        // In the middle of the line as well.
        let (first, other) = (receiver(&channel), channel.clone());
        let second = spawn(move || other.receive_timeout(SHORT));
        let third = receiver(&channel);
        assert!(matches!(join(second), Err(ReceiveError::Timeout)));
        assert_eq!(channel.balance(), -2);
        channel.send(1).unwrap();
        channel.send(3).unwrap();
        assert_eq!((join(first).unwrap(), join(third).unwrap()), (1, 3));
    });
}

#[test]
fn the_deadline_of_a_block_ends_a_wait_and_gives_the_value_back() {
    run(|| {
        let channel = Channel::new();
        let mut value = None;
        let late: Result<(), TimedOut> = timeout(SHORT, || {
            value = Some(channel.send(7).unwrap_err());
            Ok(())
        });
        assert_eq!((late, value), (Ok(()), Some(SendError::Timeout(7))));
        let late: Result<i32, ReceiveError> = timeout(SHORT, || channel.receive());
        assert!(matches!(late, Err(ReceiveError::Timeout)));
        let late: Option<usize> = timeout(SHORT, || Some(channel.iter().count()));
        assert_eq!(late, None);
        assert_eq!(channel.balance(), 0);
    });
}

#[test]
fn a_meeting_at_the_last_moment_counts() {
    run(|| {
        for preference in [Preference::Receiver, Preference::Neither] {
            let channel = Channel::with_preference(preference);
            let other = channel.clone();
            let waiting = spawn(move || other.receive_timeout(SHORT));
            let_short_pass();
            channel.send(1).unwrap();
            assert_eq!(join(waiting).unwrap(), 1);
            let other = channel.clone();
            let waiting = spawn(move || other.send_timeout(2, SHORT));
            let_short_pass();
            assert_eq!(channel.receive().unwrap(), 2);
            assert_eq!(join(waiting), Ok(()));
        }
    });
}

// Kills -----------------------------------------------------------------------------------------

#[test]
fn who_is_killed_leaves_the_line() {
    run(|| {
        let channel = Channel::<u32>::new();
        let (first, second) = (receiver(&channel), receiver(&channel));
        first.kill();
        assert_eq!(
            channel.balance(),
            -1,
            "it counts no more, before it has run"
        );
        assert_killed(&first);
        assert_eq!(channel.balance(), -1);
        second.kill();
        assert!(!channel.has_receiver());
        assert_killed(&second);
        assert_eq!(channel.balance(), 0);
    });
}

#[test]
fn a_value_passes_over_a_receiver_that_has_been_killed() {
    run(|| {
        let channel = Channel::new();
        let _kept = channel.clone();
        let (first, second) = (receiver(&channel), receiver(&channel));
        first.kill();
        channel.send(1).unwrap();
        assert_eq!(join(second).unwrap(), 1);
        assert_killed(&first);

        let third = receiver(&channel);
        third.kill();
        assert_eq!(channel.try_send(2), Err(SendError::WouldBlock(2)));
        assert_killed(&third);
    });
}

#[test]
fn the_value_of_a_sender_that_is_killed_is_never_delivered() {
    run(|| {
        let drops = Count::new();
        let channel = Channel::new();
        let first = sender(&channel, counted(&drops));
        let second = sender(&channel, counted(&drops));
        first.kill();
        assert_eq!((channel.balance(), drops.get()), (1, 0));
        let value = channel.receive().unwrap();
        assert_eq!(channel.balance(), 0);
        assert_killed(&first);
        assert_eq!(drops.get(), 1, "that of the one that was killed");
        assert!(join(second).is_ok());
        drop(value);
        assert_eq!(drops.get(), 2);
    });
}

#[test]
fn what_was_handed_over_before_a_kill_is_received() {
    run(|| {
        let channel = Channel::with_preference(Preference::Neither);
        let (other, got) = (channel.clone(), Count::new());
        let counts = got.clone();
        let waiting = spawn(move || {
            if other.receive().is_ok() {
                counts.up();
            }
            Tasklet::yield_now();
            counts.up();
        });
        channel.send(1).unwrap();
        waiting.kill();
        assert_killed(&waiting);
        assert_eq!(
            got.get(),
            1,
            "it has received, and was killed at its next operation"
        );

        let (other, sent) = (channel.clone(), Count::new());
        let counts = sent.clone();
        let waiting = spawn(move || {
            if other.send(2).is_ok() {
                counts.up();
            }
            Tasklet::yield_now();
            counts.up();
        });
        assert_eq!(channel.receive().unwrap(), 2);
        waiting.kill();
        assert_killed(&waiting);
        assert_eq!(sent.get(), 1);
    });
}

#[test]
fn a_kill_of_what_has_no_bearing_on_a_channel_leaves_its_balance() {
    run(|| {
        let channel = Channel::<u8>::new();
        let waiting = receiver(&channel);
        let elsewhere = spawn(|| Tasklet::sleep(PATIENCE));
        elsewhere.kill();
        assert_eq!(channel.balance(), -1);
        assert_killed(&elsewhere);
        channel.send(1).unwrap();
        join(waiting).unwrap();
    });
}

#[test]
fn while_it_unwinds_a_tasklet_neither_waits_nor_switches() {
    run(|| {
        let channel = Channel::new();
        let waiting = receiver(&channel);
        let (other, log) = (channel.clone(), Log::default());
        let says = log.clone();
        let unwinds = Tasklet::spawn(move || {
            let _destructor = OnDrop::new(move || {
                says.say(format_args!("{:?}", other.send(1)));
                says.say(format_args!("{:?}", other.send(2)));
                says.say(format_args!("{:?}", other.receive()));
            });
            catch_unwind(AssertUnwindSafe(|| panic!("on purpose"))).unwrap_err();
            panic!("on purpose");
        });
        assert!(unwinds.join().is_err());
        log.assert("Ok(()) Err(WouldBlock(..)) Err(WouldBlock)");
        assert_eq!(join(waiting).unwrap(), 1);
    });
}

// Threads and actors ----------------------------------------------------------------------------

#[test]
fn threads_meet_threads_and_tasklets() {
    run(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let squares = thread::spawn(move || {
            let mut sum = 0;
            for n in &other {
                sum += n * n;
            }
            sum
        });
        let from_thread = channel.clone();
        let thread = thread::spawn(move || from_thread.send_all(1..=100_u64).unwrap());
        channel.send_all(101..=200).unwrap();
        promptly(|_| assert_eq!(thread.join().unwrap(), 100));
        drop(channel);
        assert_eq!(squares.join().unwrap(), (1..=200).map(|n| n * n).sum());
    });
}

#[test]
fn threads_give_up_in_time() {
    let channel = Channel::new();
    assert_eq!(channel.send_timeout(1, SHORT), Err(SendError::Timeout(1)));
    assert!(matches!(
        channel.receive_timeout(SHORT),
        Err(ReceiveError::Timeout)
    ));
    assert_eq!(channel.balance(), 0);
}

struct Doubler {
    numbers: Channel<u64>,
    doubled: Channel<u64>,
}

#[derive(Message)]
struct Double;

impl Actor for Doubler {}

impl Handler<Double> for Doubler {
    fn handle(&mut self, _: Double, _: &mut Context<Self>) {
        let number = self.numbers.receive().unwrap();
        self.doubled.send(2 * number).unwrap();
    }
}

#[test]
fn handlers_of_actors_wait_and_others_run_meanwhile() {
    run(|| {
        let (numbers, doubled) = (Channel::new(), Channel::new());
        let doublers: Vec<_> = (0..10)
            .map(|_| {
                Addr::spawn(Doubler {
                    numbers: numbers.clone(),
                    doubled: doubled.clone(),
                })
            })
            .collect();
        for doubler in &doublers {
            doubler.send(Double).unwrap();
        }
        wait_until(|| numbers.balance() == -10);
        numbers.send_all(1..=10).unwrap();
        let mut results: Vec<_> = (0..10).map(|_| doubled.receive().unwrap()).collect();
        results.sort_unstable();
        assert_eq!(results, (1..=10).map(|n| 2 * n).collect::<Vec<_>>());
    });
}

#[test]
fn a_handler_that_is_killed_leaves_the_line() {
    run(|| {
        let (numbers, doubled) = (Channel::new(), Channel::new());
        let doubler = Addr::spawn(Doubler {
            numbers: numbers.clone(),
            doubled: doubled.clone(),
        });
        doubler.send(Double).unwrap();
        wait_until(|| numbers.has_receiver());
        let _kept = numbers.clone();
        doubler.kill();
        wait_until(|| !doubler.is_alive());
        assert_eq!(numbers.balance(), 0);
        assert_eq!(numbers.try_send(1), Err(SendError::WouldBlock(1)));
    });
}

// The hook --------------------------------------------------------------------------------------

#[test]
fn the_hook_sees_who_does_what_and_may_panic() {
    run(|| {
        let channel = Channel::new();
        let id = channel.id();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = seen.clone();
        set_channel_hook(Some(Arc::new(move |operation| {
            // Other tests have channels as well.
            if operation.channel == id {
                let what = (operation.by, operation.sending, operation.will_block);
                sees.lock().unwrap().push(what);
                panic!("on purpose");
            }
        })));
        let waiting = receiver(&channel);
        channel.send(1).unwrap();
        let other = channel.clone();
        thread::spawn(move || other.send(2));
        // The thread is in the line before it says so, and may be met in between.
        wait_until(|| seen.lock().unwrap().len() == 3);
        assert_eq!(channel.receive().unwrap(), 2);
        assert!(set_channel_hook(None).is_some());
        let (me, other) = (Pid::current(), Some(waiting.pid()));
        assert_eq!(
            *seen.lock().unwrap(),
            [
                (other, false, true),
                (me, true, false),
                (None, true, true),
                (me, false, false)
            ]
        );
        assert_eq!(join(waiting).unwrap(), 1);
    });
}

// Select ----------------------------------------------------------------------------------------

/// Receives from the first of both.
fn either(a: &Channel<u32>, b: &Channel<u32>) -> u32 {
    let received = Select::new()
        .receive(a, |value| value.unwrap())
        .receive(b, |value| value.unwrap())
        .wait();
    received.unwrap()
}

#[test]
fn a_select_takes_what_is_ready_and_waits_for_what_is_not() {
    run(|| {
        let (a, b) = (Channel::new(), Channel::new());
        let waiting = sender(&b, 1);
        assert_eq!(either(&a, &b), 1);
        join(waiting).unwrap();
        assert_eq!((a.balance(), b.balance()), (0, 0));

        let (other_a, other_b, _kept) = (a.clone(), b.clone(), b.clone());
        let selects = spawn(move || either(&other_a, &other_b));
        assert_eq!((a.balance(), b.balance()), (-1, -1));
        a.send(2).unwrap();
        assert_eq!((a.balance(), b.balance()), (0, 0), "the loser has left");
        assert_eq!(b.try_send(3), Err(SendError::WouldBlock(3)));
        assert_eq!(join(selects), 2);
    });
}

#[test]
fn a_select_that_was_met_is_out_of_all_lines_before_it_runs() {
    run(|| {
        let (a, b) = (
            Channel::with_preference(Preference::Neither),
            Channel::with_preference(Preference::Neither),
        );
        let (other_a, other_b) = (a.clone(), b.clone());
        let selects = spawn(move || either(&other_a, &other_b));
        a.send(1).unwrap();
        assert_eq!((a.balance(), b.balance()), (0, 0));
        assert!(!b.has_receiver());
        assert_eq!(b.try_send(2), Err(SendError::WouldBlock(2)));
        assert_eq!(join(selects), 1);
    });
}

#[test]
fn a_select_sends_and_keeps_what_it_does_not_send() {
    run(|| {
        let (a, b) = (Channel::new(), Channel::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let selects = spawn(move || {
            let (mut x, mut y) = (Some("x"), Some("y"));
            let which = Select::new()
                .send(&other_a, &mut x, |sent| sent.map(|()| "a"))
                .send(&other_b, &mut y, |sent| sent.map(|()| "b"))
                .wait();
            (which.unwrap().unwrap(), x, y)
        });
        assert_eq!((a.balance(), b.balance()), (1, 1));
        assert_eq!(b.receive().unwrap(), "y");
        assert_eq!((a.balance(), b.balance()), (0, 0));
        assert_eq!(join(selects), ("b", Some("x"), None));
        // Without a value it is no choice.
        let mut none = None;
        let waiting = receiver(&a);
        let idle = Select::new()
            .send(&a, &mut none, |_| true)
            .otherwise(|| false)
            .wait();
        assert_eq!(idle, Ok(false));
        a.send("z").unwrap();
        join(waiting).unwrap();
    });
}

#[test]
fn a_select_is_fair() {
    run(|| {
        let channels: Vec<_> = (0..3).map(|_| Channel::new()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..3)
            .map(|n| {
                let (channel, stop) = (channels[n].clone(), stop.clone());
                spawn(
                    move || {
                        while !stop.load(Ordering::Relaxed) && channel.send(n).is_ok() {}
                    },
                )
            })
            .collect();
        let mut counts = [0; 3];
        for _ in 0..3000 {
            // All of them are ready again.
            Tasklet::yield_now();
            let mut select = Select::new();
            for channel in &channels {
                select = select.receive(channel, |value| value.unwrap());
            }
            counts[select.wait().unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| *count > 700), "{counts:?}");
        stop.store(true, Ordering::Relaxed);
        drop(channels);
        senders.into_iter().for_each(join);
    });
}

#[test]
fn two_selects_meet() {
    run(|| {
        let (a, b) = (Channel::new(), Channel::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let receives = spawn(move || either(&other_a, &other_b));
        let (mut x, mut y) = (Some(1), Some(2));
        let sent = Select::new()
            .send(&a, &mut x, |sent| sent.is_ok())
            .send(&b, &mut y, |sent| sent.is_ok())
            .wait();
        assert_eq!(sent, Ok(true));
        let received = join(receives);
        let kept = x.or(y).expect("one is kept");
        assert_eq!(x.is_some(), y.is_none());
        assert_eq!(kept + received, 3);
        assert_eq!((a.balance(), b.balance()), (0, 0));
    });
}

#[test]
fn both_ways_on_one_channel() {
    run(|| {
        let channel = Channel::new();
        let exchange = |own: u32| {
            let channel = channel.clone();
            spawn(move || {
                let mut value = Some(own);
                Select::new()
                    .send(&channel, &mut value, |sent| sent.map(|()| None).unwrap())
                    .receive(&channel, |value| Some(value.unwrap()))
                    .wait()
                    .map(|received| (received, value))
                    .unwrap()
            })
        };
        let first = exchange(1);
        assert_eq!(channel.balance(), 0, "it is on both sides");
        assert!(channel.has_sender() && channel.has_receiver());
        let second = exchange(2);
        let (first, second) = (join(first), join(second));
        assert!(
            matches!(
                (first, second),
                ((None, None), (Some(1), Some(2))) | ((Some(2), Some(1)), (None, None))
            ),
            "{first:?} {second:?}"
        );
        assert!(!channel.has_sender() && !channel.has_receiver());
    });
}

#[derive(Message)]
struct Note(u32);

#[test]
fn a_select_takes_messages() {
    run(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let selects = spawn(move || {
            let mut got = Vec::new();
            while got.len() < 4 {
                let next = Select::new()
                    .receive(&other, |value| value.unwrap())
                    .message(|message| message.unwrap().downcast::<Note>().ok().unwrap().0)
                    .wait();
                got.push(next.unwrap());
            }
            got
        });
        selects.send(Note(1)).unwrap();
        Tasklet::yield_now();
        channel.send(2).unwrap();
        selects.send(Note(3)).unwrap();
        selects.send(Note(4)).unwrap();
        assert_eq!(join(selects), [1, 2, 3, 4]);
        assert_eq!(channel.balance(), 0);
    });
}

#[test]
fn a_select_for_messages_hears_of_a_stop() {
    run(|| {
        let channel = Channel::<u32>::new();
        let other = channel.clone();
        let selects = spawn(move || {
            Select::new()
                .receive(&other, |_| false)
                .message(|message| message.is_err())
                .wait()
        });
        selects.stop();
        assert_eq!(join(selects), Ok(true));
        assert_eq!(channel.balance(), 0);
    });
}

#[test]
fn a_select_gives_up_in_time() {
    run(|| {
        let (channel, mut value) = (Channel::new(), Some(1));
        let late = Select::new()
            .send(&channel, &mut value, |_| "sent")
            .timeout(PATIENCE, || "too late")
            .timeout(SHORT, || "late")
            .wait();
        assert_eq!((late, value), (Ok("late"), Some(1)));
        let mut other = Some(2);
        let late: Result<bool, SelectError> = timeout(SHORT, || {
            Select::new().send(&channel, &mut other, |_| true).wait()
        });
        assert_eq!((late, other), (Err(SelectError::Timeout), Some(2)));
        assert_eq!(channel.balance(), 0);
        let now = Select::new()
            .receive(&channel, |_| false)
            .timeout(Duration::ZERO, || true)
            .wait();
        assert_eq!(now, Ok(true));
        assert_eq!(Select::<()>::new().wait(), Err(SelectError::Deadlock));
    });
}

#[test]
fn a_select_that_is_killed_leaves_all_lines_and_has_its_values() {
    run(|| {
        let (drops, a, b) = (Count::new(), Channel::new(), Channel::<u32>::new());
        let (other_a, other_b, counts) = (a.clone(), b.clone(), drops.clone());
        let selects = spawn(move || {
            let mut value = Some(counted(&counts));
            let _ = Select::new()
                .send(&other_a, &mut value, |_| ())
                .receive(&other_b, |_| ())
                .wait();
        });
        assert_eq!((a.balance(), b.balance()), (1, -1));
        selects.kill();
        assert_eq!((a.balance(), b.balance()), (0, 0));
        assert!(matches!(a.try_receive(), Err(ReceiveError::WouldBlock)));
        assert_killed(&selects);
        assert_eq!((a.balance(), b.balance(), drops.get()), (0, 0, 1));
    });
}

#[test]
fn a_select_hears_of_ends() {
    run(|| {
        let (a, b) = (Channel::<u32>::new(), Channel::<u32>::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let selects = spawn(move || {
            Select::new()
                .receive(&other_a, |value| matches!(value, Err(ReceiveError::Closed)))
                .receive(&other_b, |_| false)
                .wait()
        });
        drop(a);
        assert_eq!(join(selects), Ok(true));
        assert_eq!(b.balance(), 0);
        b.close();
        let closed = Select::new().receive(&b, |value| value.is_err()).wait();
        assert_eq!(closed, Ok(true));
    });
}

#[test]
fn a_select_hears_of_errors_that_are_sent() {
    run(|| {
        let (a, b) = (Channel::<u32>::new(), Channel::<u32>::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let selects = spawn(move || {
            let hears = |value: Result<u32, ReceiveError>| {
                value.unwrap_err().raised::<DivisionByZero>().is_some()
            };
            Select::new()
                .receive(&other_a, hears)
                .receive(&other_b, hears)
                .wait()
        });
        b.send_error(DivisionByZero).unwrap();
        assert_eq!(join(selects), Ok(true));
    });
}

// Races -----------------------------------------------------------------------------------------

/// Senders and receivers on workers and threads, some of whom give up. What has been received is what
/// has been sent and not come back.
#[test]
fn nothing_is_lost_or_doubled_between_workers_and_threads() {
    const EACH: u64 = 3_000;
    run(|| {
        let channel = Channel::<u64>::new();
        let received = Arc::new(Mutex::new(Vec::new()));
        let mut tasklets = Vec::new();
        let mut threads = Vec::new();
        for n in 0..4 {
            let (channel, received) = (channel.clone(), received.clone());
            let receive = move || {
                let (mut seed, mut own) = (n, Vec::new());
                loop {
                    let impatient = random(&mut seed).is_multiple_of(4);
                    let next = if impatient {
                        channel.receive_timeout(Duration::from_micros(20))
                    } else {
                        channel.receive()
                    };
                    match next {
                        Ok(value) => own.push(value),
                        Err(ReceiveError::Timeout) => {}
                        Err(ReceiveError::Closed) => break,
                        Err(other) => panic!("{other}"),
                    }
                }
                received.lock().unwrap().extend(own);
            };
            match n {
                3 => threads.push(thread::spawn(receive)),
                _ => tasklets.push(spawn_on(n as usize, receive)),
            }
        }
        let mut senders = Vec::new();
        let refused = Arc::new(AtomicUsize::new(0));
        for n in 0..4_u64 {
            let (channel, refused) = (channel.clone(), refused.clone());
            let send = move || {
                let mut seed = n + 10;
                for value in n * EACH..(n + 1) * EACH {
                    let mut value = value;
                    while let Err(error) = match random(&mut seed) % 4 {
                        0 => channel.send_timeout(value, Duration::from_micros(20)),
                        1 => channel.try_send(value),
                        _ => channel.send(value),
                    } {
                        value = error.into_value();
                        refused.fetch_add(1, Ordering::Relaxed);
                        Tasklet::yield_now();
                    }
                }
            };
            match n {
                3 => threads.push(thread::spawn(send)),
                _ => senders.push(spawn_on(n as usize, send)),
            }
        }
        senders.into_iter().for_each(join);
        drop(channel);
        tasklets.into_iter().for_each(join);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let mut received = received.lock().unwrap();
        received.sort_unstable();
        assert!(
            received.iter().copied().eq(0..4 * EACH),
            "{} values, {refused:?} refusals",
            received.len()
        );
    });
}

/// Receivers are killed while others send to them from another worker: each value is received, whole, by
/// one that lives or by one that dies later, or comes back.
#[test]
fn kills_lose_nothing() {
    run(|| {
        for round in 0..200 {
            let channel = Channel::<usize>::new();
            let (got, waits) = (Count::new(), Gate::new());
            let victims: Vec<_> = (0..2)
                .map(|worker| {
                    let (channel, got) = (channel.clone(), got.clone());
                    spawn_on(worker, move || {
                        while channel.receive().is_ok() {
                            got.up();
                        }
                    })
                })
                .collect();
            let (other, opens) = (channel.clone(), waits.clone());
            let sends = spawn_on(2, move || {
                opens.open();
                (0..100)
                    .map_while(|n| other.send_timeout(n, Duration::from_millis(1)).ok())
                    .count()
            });
            waits.pass();
            for _ in 0..round % 7 {
                Tasklet::yield_now();
            }
            victims.iter().for_each(|victim| victim.kill());
            victims.iter().for_each(assert_killed);
            let sent = join(sends);
            assert_eq!(got.get(), sent, "round {round}");
            assert_eq!(channel.balance(), 0);
        }
    });
}

/// The same for senders.
#[test]
fn killed_senders_deliver_what_was_taken_and_nothing_else() {
    run(|| {
        for round in 0..200 {
            let channel = Channel::<usize>::new();
            let (sent, waits) = (Count::new(), Gate::new());
            let victims: Vec<_> = (0..2)
                .map(|worker| {
                    let (channel, sent) = (channel.clone(), sent.clone());
                    spawn_on(worker, move || {
                        while channel.send(1).is_ok() {
                            sent.up();
                        }
                    })
                })
                .collect();
            let (other, opens) = (channel.clone(), waits.clone());
            let receives = spawn_on(2, move || {
                opens.open();
                (0..100)
                    .map_while(|_| other.receive_timeout(Duration::from_millis(1)).ok())
                    .count()
            });
            waits.pass();
            for _ in 0..round % 7 {
                Tasklet::yield_now();
            }
            victims.iter().for_each(|victim| victim.kill());
            victims.iter().for_each(assert_killed);
            let received = join(receives);
            assert_eq!(sent.get(), received, "round {round}");
            assert_eq!(channel.balance(), 0);
        }
    });
}

/// Selects on both ends, of two channels, on several workers and a thread.
#[test]
fn selects_lose_nothing_between_workers() {
    const EACH: u64 = 2_000;
    run(|| {
        let (a, b) = (Channel::<u64>::new(), Channel::<u64>::new());
        let received = Arc::new(Mutex::new(Vec::new()));
        let done = Arc::new(Event::new());
        let receive = |(a, b): (Channel<u64>, Channel<u64>), n: u64| {
            let received = received.clone();
            move || {
                let mut own = Vec::new();
                loop {
                    let mut select = Select::new();
                    // Not always in the same order.
                    let arms = if n.is_multiple_of(2) {
                        [&a, &b]
                    } else {
                        [&b, &a]
                    };
                    for arm in arms {
                        select = select.receive(arm, |value| value.ok().map(Ok));
                    }
                    let next = select
                        .timeout(Duration::from_millis(1), || Some(Err(())))
                        .wait();
                    match next.unwrap() {
                        Some(Ok(value)) => own.push(value),
                        Some(Err(())) => {}
                        None => break,
                    }
                }
                received.lock().unwrap().extend(own);
            }
        };
        let send = |(a, b): (Channel<u64>, Channel<u64>), n: u64| {
            move || {
                let (mut x, mut y) = (None, None);
                let mut values = (2 * n * EACH..2 * (n + 1) * EACH).peekable();
                loop {
                    x = x.or_else(|| values.next());
                    y = y.or_else(|| values.next());
                    if x.is_none() && y.is_none() {
                        break;
                    }
                    Select::new()
                        .send(&b, &mut y, |sent| sent.unwrap())
                        .send(&a, &mut x, |sent| sent.unwrap())
                        .wait()
                        .unwrap();
                }
            }
        };
        let both = || (a.clone(), b.clone());
        let receivers = [
            spawn_on(0, receive(both(), 0)),
            spawn_on(1, receive(both(), 1)),
        ];
        let senders = [spawn_on(1, send(both(), 0)), spawn_on(2, send(both(), 1))];
        let thread = thread::spawn(receive(both(), 2));
        senders.into_iter().for_each(join);
        a.close();
        b.close();
        drop((a, b));
        receivers.into_iter().for_each(join);
        thread.join().unwrap();
        done.set();
        let mut received = received.lock().unwrap();
        received.sort_unstable();
        assert!(
            received.iter().copied().eq(0..4 * EACH),
            "{}",
            received.len()
        );
    });
}

/// One that has been called off may well go on with its handle: its end is not the channel's.
#[test]
fn whoever_takes_a_raised_error_can_be_sent_to_again() {
    run(|| {
        let channel = Channel::new();
        drop(channel.clone());
        let own = channel.clone();
        let receiver = Tasklet::spawn(move || {
            let raised = catch_raised::<std::fmt::Error, _>(|| own.receive());
            (raised.is_err(), own.receive().ok())
        });
        Tasklet::schedule();
        receiver.raise_later(std::fmt::Error).unwrap();
        assert_eq!(channel.send(7), Ok(()));
        assert_eq!(join(receiver), (true, Some(7)));
    });
}
