//! Channels: with `schedule_all`, in the block trap, and who waits there.

use super::*;

const PREFERENCES: [Preference; 3] = [
    Preference::Receiver,
    Preference::Neither,
    Preference::Sender,
];

#[test]
fn with_schedule_all_a_send_lets_all_others_run_before_it_goes_on() {
    alone(|| {
        for preference in PREFERENCES {
            let log = Log::default();
            let channel = Channel::with_preference(preference);
            channel.set_schedule_all(true);
            let (other, inner) = (channel.clone(), log.clone());
            let receiver = spawn(move || inner.add(other.receive().unwrap()));
            let _others = (log.says("a"), log.says("b"));
            channel.send("received").unwrap();
            log.add("sent");
            assert_eq!(log.take(), "a b received sent");
            join(receiver);
        }
    });
}

#[test]
fn with_schedule_all_a_receive_lets_all_others_run_before_it_goes_on() {
    alone(|| {
        for preference in PREFERENCES {
            let log = Log::default();
            let channel = Channel::with_preference(preference);
            channel.set_schedule_all(true);
            let (other, inner) = (channel.clone(), log.clone());
            let sender = spawn(move || {
                other.send("received").unwrap();
                inner.add("sent");
            });
            let _others = (log.says("a"), log.says("b"));
            log.add(channel.receive().unwrap());
            assert_eq!(log.take(), "a b sent received");
            join(sender);
        }
    });
}

#[test]
fn with_schedule_all_a_select_lets_all_others_run_before_it_goes_on() {
    alone(|| {
        let log = Log::default();
        let channel = Channel::new();
        channel.set_schedule_all(true);
        let (other, inner) = (channel.clone(), log.clone());
        let receiver = spawn(move || inner.add(other.receive().unwrap()));
        let _a = log.says("a");
        let mut value = Some("received");
        let sent = Select::new().send(&channel, &mut value, |sent| sent);
        sent.wait().unwrap().unwrap();
        log.add("sent");
        assert_eq!(log.take(), "a received sent");
        join(receiver);
    });
}

#[test]
fn schedule_all_can_change_while_some_wait_and_is_that_of_the_moment_of_the_meeting() {
    alone(|| {
        let log = Log::default();
        let channel = Channel::new();
        let (other, inner) = (channel.clone(), log.clone());
        let receiver = spawn(move || other.iter().for_each(|value| inner.add(value)));
        channel.set_schedule_all(true);
        let _a = log.says("a");
        channel.send("1").unwrap();
        log.add("sent");
        assert_eq!(log.take(), "a 1 sent");
        channel.set_schedule_all(false);
        let _b = log.says("b");
        channel.send("2").unwrap();
        log.add("sent");
        assert_eq!(log.take(), "2 b sent");
        drop(channel);
        join(receiver);
    });
}

#[test]
fn between_workers_schedule_all_makes_no_difference() {
    alone(|| {
        let channel = Channel::new();
        channel.set_schedule_all(true);
        let other = channel.clone();
        let far = spawn_on(usize::from(Tasklet::current().worker() == 0), move || {
            other.receive().unwrap()
        });
        wait_until(|| channel.has_receiver());
        let log = Log::default();
        let _a = log.says("a");
        channel.send(1).unwrap();
        log.add("sent");
        Tasklet::schedule();
        assert_eq!(log.take(), "sent a");
        assert_eq!(join(far), 1);
    });
}

#[test]
fn in_the_trap_a_channel_without_a_peer_fails_and_one_with_a_peer_does_not() {
    alone(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let _trap = BlockTrap::set();
        assert_eq!(channel.send(1), Err(SendError::WouldBlock(1)));
        assert!(matches!(channel.receive(), Err(ReceiveError::WouldBlock)));
        let select = Select::new().receive(&channel, |value| value);
        assert!(matches!(select.wait(), Err(SelectError::WouldBlock)));
        assert_eq!(channel.balance(), 0);
        let sender = spawn(move || other.send(2));
        assert_eq!(channel.receive().unwrap(), 2);
        Tasklet::schedule();
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn the_first_in_the_line_is_told_and_can_be_dealt_with() {
    alone(|| {
        let channel = Channel::<u8>::new();
        let waits = |channel: &Channel<u8>| {
            let other = channel.clone();
            spawn(move || other.receive())
        };
        assert_eq!(channel.first_waiting(), None);
        let [first, second] = [waits(&channel), waits(&channel)];
        assert_eq!(channel.first_waiting().as_ref(), Some(first.tasklet()));
        let waiting = channel.first_waiting().expect("it waits");
        assert_eq!(waiting.insert(), Err(InsertError::Blocked));
        waiting.kill_now();
        assert_killed(&first);
        assert_eq!(channel.first_waiting().as_ref(), Some(second.tasklet()));
        second.kill();
        // It has been called off, though it has not run yet.
        assert_eq!(channel.first_waiting(), None);
        assert_killed(&second);
        let other = channel.clone();
        let sender = spawn(move || other.send(1));
        assert_eq!(channel.first_waiting().as_ref(), Some(sender.tasklet()));
        assert_eq!(channel.receive().unwrap(), 1);
        join(sender).unwrap();
    });
}

struct Waiter(Channel<u8>);

#[derive(Message)]
struct Wait;

impl Actor for Waiter {}

impl Handler<Wait> for Waiter {
    fn handle(&mut self, _: Wait, _: &mut Context<Self>) {
        self.0.receive().unwrap();
    }
}

#[test]
fn a_thread_or_a_handler_that_waits_is_nobodys_tasklet() {
    alone(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let thread = thread::spawn(move || other.receive().unwrap());
        wait_until(|| channel.has_receiver());
        assert_eq!(channel.first_waiting(), None);
        channel.send(1).unwrap();
        block_on_thread(move || thread.join().unwrap());
        let actor = Addr::spawn(Waiter(channel.clone()));
        actor.send(Wait).unwrap();
        wait_until(|| channel.has_receiver());
        assert_eq!(channel.first_waiting(), None);
        channel.send(2).unwrap();
    });
}

#[test]
fn an_iteration_that_waits_goes_on_through_a_close_and_ends_with_the_next_wait() {
    alone(|| {
        let log = Log::default();
        let channel = Channel::new();
        let (other, inner) = (channel.clone(), log.clone());
        let iterates = spawn(move || {
            for value in &other {
                inner.add(value);
            }
            inner.add("end");
        });
        channel.close();
        Tasklet::schedule();
        assert_eq!(log.take(), "");
        channel.send("last").unwrap();
        assert_eq!(log.take(), "last end");
        assert_eq!(channel.send("more"), Err(SendError::Closed("more")));
        join(iterates);
    });
}

#[test]
fn what_is_left_of_a_refused_sequence_is_the_callers() {
    alone(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let sender = spawn(move || {
            let mut values = ["a", "b", "c", "d"].into_iter();
            let refused = other.send_all(&mut values);
            (refused, values.collect::<Vec<_>>())
        });
        assert_eq!(channel.receive().unwrap(), "a");
        Tasklet::schedule();
        channel.close();
        assert_eq!(channel.receive().unwrap(), "b"); // it stood in line already
        assert_eq!(join(sender), (Err(SendError::Closed("c")), vec!["d"]));
    });
}
