//! Close and open.

use super::*;

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
