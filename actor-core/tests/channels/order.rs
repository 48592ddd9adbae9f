//! Who runs next.

use super::*;

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
