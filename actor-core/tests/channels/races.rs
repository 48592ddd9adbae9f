//! Races.

use super::*;

/// Senders and receivers on workers and threads, some of whom give up. What has been received is what
/// has been sent and not come back.
#[test]
fn nothing_is_lost_or_doubled_between_workers_and_threads() {
    const EACH: u64 = 3_000;
    run(|| {
        let channel = Channel::<u64>::new();
        let received = Arc::new(Mutex::new(Vec::new()));
        let mut tasklets = Vec::new();
        let mut threads = Vec::new();
        for n in 0..4 {
            let (channel, received) = (channel.clone(), received.clone());
            let receive = move || {
                let (mut seed, mut own) = (n, Vec::new());
                loop {
                    let impatient = random(&mut seed).is_multiple_of(4);
                    let next = if impatient {
                        channel.receive_timeout(Duration::from_micros(20))
                    } else {
                        channel.receive()
                    };
                    match next {
                        Ok(value) => own.push(value),
                        Err(ReceiveError::Timeout) => {}
                        Err(ReceiveError::Closed) => break,
                        Err(other) => panic!("{other}"),
                    }
                }
                received.lock().unwrap().extend(own);
            };
            match n {
                3 => threads.push(thread::spawn(receive)),
                _ => tasklets.push(spawn_on(n as usize, receive)),
            }
        }
        let mut senders = Vec::new();
        let refused = Arc::new(AtomicUsize::new(0));
        for n in 0..4_u64 {
            let (channel, refused) = (channel.clone(), refused.clone());
            let send = move || {
                let mut seed = n + 10;
                for value in n * EACH..(n + 1) * EACH {
                    let mut value = value;
                    while let Err(error) = match random(&mut seed) % 4 {
                        0 => channel.send_timeout(value, Duration::from_micros(20)),
                        1 => channel.try_send(value),
                        _ => channel.send(value),
                    } {
                        value = error.into_value();
                        refused.fetch_add(1, Ordering::Relaxed);
                        Tasklet::yield_now();
                    }
                }
            };
            match n {
                3 => threads.push(thread::spawn(send)),
                _ => senders.push(spawn_on(n as usize, send)),
            }
        }
        senders.into_iter().for_each(join);
        drop(channel);
        tasklets.into_iter().for_each(join);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let mut received = received.lock().unwrap();
        received.sort_unstable();
        assert!(
            received.iter().copied().eq(0..4 * EACH),
            "{} values, {refused:?} refusals",
            received.len()
        );
    });
}

/// Receivers are killed while others send to them from another worker: each value is received, whole, by
/// one that lives or by one that dies later, or comes back.
#[test]
fn kills_lose_nothing() {
    run(|| {
        for round in 0..200 {
            let channel = Channel::<usize>::new();
            let (got, waits) = (Count::new(), Gate::new());
            let victims: Vec<_> = (0..2)
                .map(|worker| {
                    let (channel, got) = (channel.clone(), got.clone());
                    spawn_on(worker, move || {
                        while channel.receive().is_ok() {
                            got.up();
                        }
                    })
                })
                .collect();
            let (other, opens) = (channel.clone(), waits.clone());
            let sends = spawn_on(2, move || {
                opens.open();
                (0..100)
                    .map_while(|n| other.send_timeout(n, Duration::from_millis(1)).ok())
                    .count()
            });
            waits.pass();
            for _ in 0..round % 7 {
                Tasklet::yield_now();
            }
            victims.iter().for_each(|victim| victim.kill());
            victims.iter().for_each(assert_killed);
            let sent = join(sends);
            assert_eq!(got.get(), sent, "round {round}");
            assert_eq!(channel.balance(), 0);
        }
    });
}

/// The same for senders.
#[test]
fn killed_senders_deliver_what_was_taken_and_nothing_else() {
    run(|| {
        for round in 0..200 {
            let channel = Channel::<usize>::new();
            let (sent, waits) = (Count::new(), Gate::new());
            let victims: Vec<_> = (0..2)
                .map(|worker| {
                    let (channel, sent) = (channel.clone(), sent.clone());
                    spawn_on(worker, move || {
                        while channel.send(1).is_ok() {
                            sent.up();
                        }
                    })
                })
                .collect();
            let (other, opens) = (channel.clone(), waits.clone());
            let receives = spawn_on(2, move || {
                opens.open();
                (0..100)
                    .map_while(|_| other.receive_timeout(Duration::from_millis(1)).ok())
                    .count()
            });
            waits.pass();
            for _ in 0..round % 7 {
                Tasklet::yield_now();
            }
            victims.iter().for_each(|victim| victim.kill());
            victims.iter().for_each(assert_killed);
            let received = join(receives);
            assert_eq!(sent.get(), received, "round {round}");
            assert_eq!(channel.balance(), 0);
        }
    });
}

/// Selects on both ends, of two channels, on several workers and a thread.
#[test]
fn selects_lose_nothing_between_workers() {
    const EACH: u64 = 2_000;
    run(|| {
        let (a, b) = (Channel::<u64>::new(), Channel::<u64>::new());
        let received = Arc::new(Mutex::new(Vec::new()));
        let done = Arc::new(Event::new());
        let receive = |(a, b): (Channel<u64>, Channel<u64>), n: u64| {
            let received = received.clone();
            move || {
                let mut own = Vec::new();
                loop {
                    let mut select = Select::new();
                    // Not always in the same order.
                    let arms = if n.is_multiple_of(2) {
                        [&a, &b]
                    } else {
                        [&b, &a]
                    };
                    for arm in arms {
                        select = select.receive(arm, |value| value.ok().map(Ok));
                    }
                    let next = select
                        .timeout(Duration::from_millis(1), || Some(Err(())))
                        .wait();
                    match next.unwrap() {
                        Some(Ok(value)) => own.push(value),
                        Some(Err(())) => {}
                        None => break,
                    }
                }
                received.lock().unwrap().extend(own);
            }
        };
        let send = |(a, b): (Channel<u64>, Channel<u64>), n: u64| {
            move || {
                let (mut x, mut y) = (None, None);
                let mut values = (2 * n * EACH..2 * (n + 1) * EACH).peekable();
                loop {
                    x = x.or_else(|| values.next());
                    y = y.or_else(|| values.next());
                    if x.is_none() && y.is_none() {
                        break;
                    }
                    Select::new()
                        .send(&b, &mut y, |sent| sent.unwrap())
                        .send(&a, &mut x, |sent| sent.unwrap())
                        .wait()
                        .unwrap();
                }
            }
        };
        let both = || (a.clone(), b.clone());
        let receivers = [
            spawn_on(0, receive(both(), 0)),
            spawn_on(1, receive(both(), 1)),
        ];
        let senders = [spawn_on(1, send(both(), 0)), spawn_on(2, send(both(), 1))];
        let thread = thread::spawn(receive(both(), 2));
        senders.into_iter().for_each(join);
        a.close();
        b.close();
        drop((a, b));
        receivers.into_iter().for_each(join);
        thread.join().unwrap();
        done.set();
        let mut received = received.lock().unwrap();
        received.sort_unstable();
        assert!(
            received.iter().copied().eq(0..4 * EACH),
            "{}",
            received.len()
        );
    });
}

/// One that has been called off may well go on with its handle: its end is not the channel's.
#[test]
fn whoever_takes_a_raised_error_can_be_sent_to_again() {
    run(|| {
        let channel = Channel::new();
        drop(channel.clone());
        let own = channel.clone();
        let receiver = Tasklet::spawn(move || {
            let raised = catch_raised::<std::fmt::Error, _>(|| own.receive());
            (raised.is_err(), own.receive().ok())
        });
        Tasklet::schedule();
        receiver.raise_later(std::fmt::Error).unwrap();
        assert_eq!(channel.send(7), Ok(()));
        assert_eq!(join(receiver), (true, Some(7)));
    });
}
