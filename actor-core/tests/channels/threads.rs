//! Threads and actors.

use super::*;

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
        assert_eq!(
            squares.join().unwrap(),
            (1..=200).map(|n| n * n).sum::<u64>()
        );
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
