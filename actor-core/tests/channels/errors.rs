//! Errors that are sent, sequences.

use super::*;

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
