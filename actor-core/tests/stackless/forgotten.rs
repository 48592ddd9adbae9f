//! Nobody is left to wait for.

use super::*;

#[test]
fn main_hears_of_the_end_of_the_last_peer() {
    alone(|| {
        let channel = Channel::new();
        let other = channel.clone();
        Tasklet::spawn(move || other.send(1));
        assert_eq!(channel.receive().unwrap(), 1);
        assert!(matches!(channel.receive(), Err(ReceiveError::Closed)));
        let channel = Channel::new();
        let other = channel.clone();
        Tasklet::spawn(move || other.receive());
        channel.send(1).unwrap();
        assert_eq!(channel.send(2), Err(SendError::Closed(2)));
    });
}

#[test]
fn the_last_peer_that_panics_ends_main_at_the_channel() {
    let ended = forwarding(|| {
        let log = Log::default();
        let channel = Channel::<u8>::new();
        let last = channel.clone();
        Tasklet::spawn(move || {
            let _channel = last;
            panic!("the last sender");
        });
        let _after = log.says("after");
        let check = log.clone();
        let _first = OnDrop::new(move || assert_eq!(check.take(), ""));
        let received = channel.receive();
        unreachable!("it is raised in the receive: {received:?}");
    });
    assert_eq!(ended.as_deref(), Some("the last sender"));
}

#[test]
fn a_panic_takes_main_off_the_channel_where_it_is_blocked() {
    let ended = forwarding(|| {
        let log = Log::default();
        let channel = Channel::<u8>::new();
        let keep = channel.clone();
        let _before = log.says("before");
        Tasklet::spawn(|| panic!("forwarded"));
        let _after = log.says("after");
        let _first = OnDrop::new(move || {
            assert_eq!(log.take(), "before");
            assert_eq!(keep.balance(), 0);
        });
        drop(channel.receive());
        unreachable!("it is raised in the receive");
    });
    assert_eq!(ended.as_deref(), Some("forwarded"));
}

#[test]
fn one_that_is_blocked_and_forgotten_ends_as_its_channel_does() {
    alone(|| {
        let dropped = Count::new();
        let count = dropped.clone();
        let channel = Channel::<u8>::new();
        let other = channel.clone();
        drop(spawn(move || {
            let _guard = OnDrop::new(move || _ = count.up());
            assert!(matches!(other.receive(), Err(ReceiveError::Closed)));
        }));
        drop(channel);
        Tasklet::schedule();
        assert_eq!(dropped.get(), 1);
    });
}
