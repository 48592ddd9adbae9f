//! Kills.

use super::*;

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
