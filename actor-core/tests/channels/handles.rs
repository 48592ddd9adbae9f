//! The handles.

use super::*;

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
