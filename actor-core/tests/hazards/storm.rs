//! No migration and no lost wake-up, whatever happens at once.

use super::*;

/// Two seconds of it; as many as `CONCURRENCE_STRESS_SECONDS` says, if that is set.
#[test]
fn a_storm_of_everything_moves_nobody_and_loses_nothing() {
    const TASKLETS: usize = 24;
    let long = std::env::var("CONCURRENCE_STRESS_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let time = Duration::from_secs(long.unwrap_or(2));
    let done = run_for(time, move |until| {
        let mutex = Arc::new(Mutex::new(0_u64));
        let workers: Vec<_> = (0..TASKLETS)
            .map(|number| {
                let mutex = mutex.clone();
                spawn_on(number, move || {
                    let home = thread::current().id();
                    let at_home = |what: &str| {
                        assert_eq!(thread::current().id(), home, "moved by {what}");
                    };
                    let (mut seed, mut steps) = (number as u64, 0_u64);
                    let (near, mut far) = UnixStream::pair().unwrap();
                    let near = Source::new(near).unwrap();
                    while Instant::now() < until {
                        let elsewhere = random(&mut seed) as usize;
                        let tiny = Duration::from_micros(random(&mut seed) % 60);
                        match random(&mut seed) % 9 {
                            0 => Tasklet::yield_now(),
                            1 => Tasklet::sleep(tiny),
                            2 => drop(Tasklet::receive_timeout(tiny)),
                            3 => {
                                *mutex.lock() += 1;
                                at_home("a lock");
                            }
                            4 => {
                                let child = spawn_on(elsewhere, move || {
                                    Tasklet::receive().map(drop).count()
                                });
                                child.send(Ball(Tasklet::current())).unwrap();
                                at_home("a send");
                                assert_eq!(join(child), 1);
                            }
                            5 => {
                                let child = spawn_on(elsewhere, || Tasklet::sleep(PATIENCE));
                                Tasklet::sleep(tiny);
                                child.kill();
                                assert_killed(&child);
                            }
                            6 => {
                                let child = spawn_on(elsewhere, || {
                                    for message in Tasklet::receive() {
                                        match_message!(match message {
                                            (Ask(n), reply) => reply.send(n + 1),
                                        });
                                    }
                                });
                                let answer = child.call_timeout(Ask(steps), tiny);
                                assert!(answer.is_err() || answer == Ok(steps + 1));
                                assert_eq!(child.call(Ask(1)), Ok(2));
                                child.stop();
                                join(child);
                            }
                            7 => {
                                let late: Option<()> = timeout(tiny, || {
                                    Tasklet::sleep(PATIENCE);
                                    None
                                });
                                assert_eq!(late, None);
                            }
                            _ => {
                                far.write_all(&[steps as u8]).unwrap();
                                assert_eq!(read_byte(&near), steps as u8);
                            }
                        }
                        at_home("an operation");
                        steps += 1;
                    }
                    steps
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum::<u64>()
    });
    assert!(done > 0);
}

/// Runs `f` with a moment until which it may go on.
fn run_for<T: Send + 'static>(time: Duration, f: impl FnOnce(Instant) -> T + Send + 'static) -> T {
    run_within(time, move || f(Instant::now() + time))
}
