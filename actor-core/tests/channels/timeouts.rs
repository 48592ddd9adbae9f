//! Time-outs.

use super::*;

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
