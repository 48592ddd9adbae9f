//! Who waits.

use super::*;

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
