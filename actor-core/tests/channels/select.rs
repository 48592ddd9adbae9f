//! Select.

use super::*;

/// Receives from the first of both.
fn either(a: &Channel<u32>, b: &Channel<u32>) -> u32 {
    let received = Select::new()
        .receive(a, |value| value.unwrap())
        .receive(b, |value| value.unwrap())
        .wait();
    received.unwrap()
}

#[test]
fn a_select_takes_what_is_ready_and_waits_for_what_is_not() {
    run(|| {
        let (a, b) = (Channel::new(), Channel::new());
        let waiting = sender(&b, 1);
        assert_eq!(either(&a, &b), 1);
        join(waiting).unwrap();
        assert_eq!((a.balance(), b.balance()), (0, 0));

        let (other_a, other_b, _kept) = (a.clone(), b.clone(), b.clone());
        let selects = spawn(move || either(&other_a, &other_b));
        assert_eq!((a.balance(), b.balance()), (-1, -1));
        a.send(2).unwrap();
        assert_eq!((a.balance(), b.balance()), (0, 0), "the loser has left");
        assert_eq!(b.try_send(3), Err(SendError::WouldBlock(3)));
        assert_eq!(join(selects), 2);
    });
}

#[test]
fn a_select_that_was_met_is_out_of_all_lines_before_it_runs() {
    run(|| {
        let (a, b) = (
            Channel::with_preference(Preference::Neither),
            Channel::with_preference(Preference::Neither),
        );
        let (other_a, other_b) = (a.clone(), b.clone());
        let selects = spawn(move || either(&other_a, &other_b));
        a.send(1).unwrap();
        assert_eq!((a.balance(), b.balance()), (0, 0));
        assert!(!b.has_receiver());
        assert_eq!(b.try_send(2), Err(SendError::WouldBlock(2)));
        assert_eq!(join(selects), 1);
    });
}

#[test]
fn a_select_sends_and_keeps_what_it_does_not_send() {
    run(|| {
        let (a, b) = (Channel::new(), Channel::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let selects = spawn(move || {
            let (mut x, mut y) = (Some("x"), Some("y"));
            let which = Select::new()
                .send(&other_a, &mut x, |sent| sent.map(|()| "a"))
                .send(&other_b, &mut y, |sent| sent.map(|()| "b"))
                .wait();
            (which.unwrap().unwrap(), x, y)
        });
        assert_eq!((a.balance(), b.balance()), (1, 1));
        assert_eq!(b.receive().unwrap(), "y");
        assert_eq!((a.balance(), b.balance()), (0, 0));
        assert_eq!(join(selects), ("b", Some("x"), None));
        // Without a value it is no choice.
        let mut none = None;
        let waiting = receiver(&a);
        let idle = Select::new()
            .send(&a, &mut none, |_| true)
            .otherwise(|| false)
            .wait();
        assert_eq!(idle, Ok(false));
        a.send("z").unwrap();
        join(waiting).unwrap();
    });
}

#[test]
fn a_select_is_fair() {
    run(|| {
        let channels: Vec<_> = (0..3).map(|_| Channel::new()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..3)
            .map(|n| {
                let (channel, stop) = (channels[n].clone(), stop.clone());
                spawn(
                    move || {
                        while !stop.load(Ordering::Relaxed) && channel.send(n).is_ok() {}
                    },
                )
            })
            .collect();
        let mut counts = [0; 3];
        for _ in 0..3000 {
            // All of them are ready again.
            Tasklet::yield_now();
            let mut select = Select::new();
            for channel in &channels {
                select = select.receive(channel, |value| value.unwrap());
            }
            counts[select.wait().unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| *count > 700), "{counts:?}");
        stop.store(true, Ordering::Relaxed);
        drop(channels);
        senders.into_iter().for_each(join);
    });
}

#[test]
fn two_selects_meet() {
    run(|| {
        let (a, b) = (Channel::new(), Channel::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let receives = spawn(move || either(&other_a, &other_b));
        let (mut x, mut y) = (Some(1), Some(2));
        let sent = Select::new()
            .send(&a, &mut x, |sent| sent.is_ok())
            .send(&b, &mut y, |sent| sent.is_ok())
            .wait();
        assert_eq!(sent, Ok(true));
        let received = join(receives);
        let kept = x.or(y).expect("one is kept");
        assert_eq!(x.is_some(), y.is_none());
        assert_eq!(kept + received, 3);
        assert_eq!((a.balance(), b.balance()), (0, 0));
    });
}

#[test]
fn both_ways_on_one_channel() {
    run(|| {
        let channel = Channel::new();
        let exchange = |own: u32| {
            let channel = channel.clone();
            spawn(move || {
                let mut value = Some(own);
                Select::new()
                    .send(&channel, &mut value, |sent| sent.map(|()| None).unwrap())
                    .receive(&channel, |value| Some(value.unwrap()))
                    .wait()
                    .map(|received| (received, value))
                    .unwrap()
            })
        };
        let first = exchange(1);
        assert_eq!(channel.balance(), 0, "it is on both sides");
        assert!(channel.has_sender() && channel.has_receiver());
        let second = exchange(2);
        let (first, second) = (join(first), join(second));
        assert!(
            matches!(
                (first, second),
                ((None, None), (Some(1), Some(2))) | ((Some(2), Some(1)), (None, None))
            ),
            "{first:?} {second:?}"
        );
        assert!(!channel.has_sender() && !channel.has_receiver());
    });
}

#[derive(Message)]
struct Note(u32);

#[test]
fn a_select_takes_messages() {
    run(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let selects = spawn(move || {
            let mut got = Vec::new();
            while got.len() < 4 {
                let next = Select::new()
                    .receive(&other, |value| value.unwrap())
                    .message(|message| message.unwrap().downcast::<Note>().ok().unwrap().0)
                    .wait();
                got.push(next.unwrap());
            }
            got
        });
        selects.send(Note(1)).unwrap();
        Tasklet::yield_now();
        channel.send(2).unwrap();
        selects.send(Note(3)).unwrap();
        selects.send(Note(4)).unwrap();
        assert_eq!(join(selects), [1, 2, 3, 4]);
        assert_eq!(channel.balance(), 0);
    });
}

#[test]
fn a_select_for_messages_hears_of_a_stop() {
    run(|| {
        let channel = Channel::<u32>::new();
        let other = channel.clone();
        let selects = spawn(move || {
            Select::new()
                .receive(&other, |_| false)
                .message(|message| message.is_err())
                .wait()
        });
        selects.stop();
        assert_eq!(join(selects), Ok(true));
        assert_eq!(channel.balance(), 0);
    });
}

#[test]
fn a_select_gives_up_in_time() {
    run(|| {
        let (channel, mut value) = (Channel::new(), Some(1));
        let late = Select::new()
            .send(&channel, &mut value, |_| "sent")
            .timeout(PATIENCE, || "too late")
            .timeout(SHORT, || "late")
            .wait();
        assert_eq!((late, value), (Ok("late"), Some(1)));
        let mut other = Some(2);
        let late: Result<bool, SelectError> = timeout(SHORT, || {
            Select::new().send(&channel, &mut other, |_| true).wait()
        });
        assert_eq!((late, other), (Err(SelectError::Timeout), Some(2)));
        assert_eq!(channel.balance(), 0);
        let now = Select::new()
            .receive(&channel, |_| false)
            .timeout(Duration::ZERO, || true)
            .wait();
        assert_eq!(now, Ok(true));
        assert_eq!(Select::<()>::new().wait(), Err(SelectError::Deadlock));
    });
}

#[test]
fn a_select_that_is_killed_leaves_all_lines_and_has_its_values() {
    run(|| {
        let (drops, a, b) = (Count::new(), Channel::new(), Channel::<u32>::new());
        let (other_a, other_b, counts) = (a.clone(), b.clone(), drops.clone());
        let selects = spawn(move || {
            let mut value = Some(counted(&counts));
            let _ = Select::new()
                .send(&other_a, &mut value, |_| ())
                .receive(&other_b, |_| ())
                .wait();
        });
        assert_eq!((a.balance(), b.balance()), (1, -1));
        selects.kill();
        assert_eq!((a.balance(), b.balance()), (0, 0));
        assert!(matches!(a.try_receive(), Err(ReceiveError::WouldBlock)));
        assert_killed(&selects);
        assert_eq!((a.balance(), b.balance(), drops.get()), (0, 0, 1));
    });
}

#[test]
fn a_select_hears_of_ends() {
    run(|| {
        let (a, b) = (Channel::<u32>::new(), Channel::<u32>::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let selects = spawn(move || {
            Select::new()
                .receive(&other_a, |value| matches!(value, Err(ReceiveError::Closed)))
                .receive(&other_b, |_| false)
                .wait()
        });
        drop(a);
        assert_eq!(join(selects), Ok(true));
        assert_eq!(b.balance(), 0);
        b.close();
        let closed = Select::new().receive(&b, |value| value.is_err()).wait();
        assert_eq!(closed, Ok(true));
    });
}

#[test]
fn a_select_hears_of_errors_that_are_sent() {
    run(|| {
        let (a, b) = (Channel::<u32>::new(), Channel::<u32>::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let selects = spawn(move || {
            let hears = |value: Result<u32, ReceiveError>| {
                value.unwrap_err().raised::<DivisionByZero>().is_some()
            };
            Select::new()
                .receive(&other_a, hears)
                .receive(&other_b, hears)
                .wait()
        });
        b.send_error(DivisionByZero).unwrap();
        assert_eq!(join(selects), Ok(true));
    });
}
