//! The virtual clock, which is the whole process's: so in a file of its own.
//!
//! Time stands still while anybody runs, so all counts and moments are exact.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use actor_core::{
    JoinError, Message, REPEAT_PAUSE, ReceiveError, Recipient, Runtime, RuntimeError, Tasklet,
    match_message, time, timeout,
};

extern crate actor_core as concurrence;

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
/// Only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Message, Clone, Debug, PartialEq)]
struct Tick(u64);

/// Runs `main` alone: programs share the clock.
fn run(main: impl FnOnce() + Send + 'static) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let alone: MutexGuard<'_, ()> = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let (tell, told) = mpsc::channel();
    let program = std::thread::spawn(move || {
        let code = Runtime::builder().virtual_clock(true).dispatch(main);
        let _ = tell.send(());
        format!("{code:?}")
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = told.recv_timeout(PATIENCE) {
        panic!("the program does not end");
    }
    let code = program.join().expect("main has not panicked");
    drop(alone);
    assert_eq!(code, format!("{:?}", ExitCode::SUCCESS));
}

type Log<T> = Arc<Mutex<Vec<T>>>;

fn log<T>() -> Log<T> {
    Log::default()
}

fn take<T>(log: &Log<T>) -> Vec<T> {
    std::mem::take(&mut log.lock().unwrap())
}

#[test]
fn sleeps_take_exactly_their_time_and_none_of_the_real_one() {
    let real = Instant::now();
    run(|| {
        let before = time::now();
        Tasklet::sleep(HOUR * 24 * 365);
        assert_eq!(time::now() - before, HOUR * 24 * 365);
        let wakes = log();
        let sleepers: Vec<_> = [5_u64, 1, 3, 2, 4]
            .map(|n| {
                let wakes = wakes.clone();
                Tasklet::spawn(move || {
                    let before = time::now();
                    Tasklet::sleep(SECOND * n as u32);
                    assert_eq!(time::now() - before, SECOND * n as u32);
                    wakes.lock().unwrap().push(n);
                })
            })
            .into();
        sleepers.iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(take(&wakes), [1, 2, 3, 4, 5]);
    });
    assert!(real.elapsed() < PATIENCE);
}

#[test]
fn time_stands_still_while_anybody_can_run() {
    run(|| {
        let before = time::now();
        let sleeper = Tasklet::spawn(|| Tasklet::sleep(Duration::from_nanos(1)));
        for _ in 0..1000 {
            Tasklet::yield_now();
            assert_eq!(time::now(), before);
        }
        sleeper.join().unwrap();
        assert_eq!(time::now() - before, Duration::from_nanos(1));
    });
}

#[test]
fn an_interval_counts_from_the_end_of_each_run() {
    run(|| {
        let runs = log();
        let start = time::now();
        let ticker = {
            let runs = runs.clone();
            Tasklet::interval(SECOND, move || {
                runs.lock().unwrap().push(time::now() - start);
                Tasklet::sleep(SECOND / 2);
            })
        };
        Tasklet::sleep(SECOND * 6);
        ticker.stop();
        ticker.join().unwrap();
        let expected = [1000, 2500, 4000, 5500].map(Duration::from_millis);
        assert_eq!(take(&runs), expected);
    });
}

#[test]
fn a_rate_is_kept_and_what_is_missed_is_left_out() {
    run(|| {
        let start = time::now();
        let runs = log();
        let push = {
            let runs = runs.clone();
            move |busy: fn(usize) -> Duration| {
                let runs = runs.clone();
                move || {
                    let mut log = runs.lock().unwrap();
                    log.push((time::now() - start).as_millis());
                    let pause = busy(log.len());
                    drop(log);
                    Tasklet::sleep(pause);
                }
            }
        };
        // Delays within the period do not add up: ten seconds are exactly 100 runs and the first.
        let steady = Tasklet::rate(10.0, push(|_| Duration::from_millis(30)));
        Tasklet::sleep(SECOND * 10 + Duration::from_millis(50));
        steady.kill();
        let times = take(&runs);
        assert_eq!(times, Vec::from_iter((0..=100).map(|n| n * 100)));
        // The second run takes two periods and a half: two beats are left out.
        drop(steady);
        let offset = (time::now() - start).as_millis();
        let uneven = Tasklet::rate(
            10.0,
            push(|n| {
                if n == 2 {
                    Duration::from_millis(250)
                } else {
                    Duration::ZERO
                }
            }),
        );
        Tasklet::sleep(Duration::from_millis(650));
        uneven.stop();
        uneven.join().unwrap();
        let times: Vec<_> = take(&runs).iter().map(|at| at - offset).collect();
        assert_eq!(times, [0, 100, 400, 500, 600]);
    });
}

#[test]
fn a_rate_does_not_drift_in_a_day() {
    run(|| {
        let count = Arc::new(Mutex::new(0_u32));
        let ticker = {
            let count = count.clone();
            Tasklet::rate(3.0, move || *count.lock().unwrap() += 1)
        };
        Tasklet::sleep(Duration::from_secs(20_000) + Duration::from_millis(1));
        ticker.stop();
        ticker.join().unwrap();
        assert_eq!(*count.lock().unwrap(), 60_001);
    });
}

#[test]
fn what_repeats_pauses_after_a_panic() {
    run(|| {
        let runs = log();
        let start = time::now();
        let repeated = {
            let runs = runs.clone();
            Tasklet::repeat(move || {
                let mut log = runs.lock().unwrap();
                log.push(time::now() - start);
                let n = log.len();
                drop(log);
                match n {
                    1 => Tasklet::sleep(SECOND / 4),
                    2 | 3 => panic!("no luck"),
                    _ => Tasklet::receive().for_each(drop),
                }
            })
        };
        Tasklet::sleep(HOUR);
        repeated.stop();
        repeated.join().unwrap();
        let quarter = SECOND / 4;
        let expected = [
            Duration::ZERO,
            quarter,
            quarter + REPEAT_PAUSE,
            quarter + REPEAT_PAUSE * 2,
        ];
        assert_eq!(take(&runs), expected);
    });
}

#[test]
fn later_runs_once_and_not_after_a_stop() {
    run(|| {
        let runs = log();
        let start = time::now();
        let push = || {
            let runs = runs.clone();
            move || runs.lock().unwrap().push(time::now() - start)
        };
        let first = Tasklet::later(SECOND * 2, push());
        let second = Tasklet::later(SECOND, push());
        let stopped = Tasklet::later(SECOND * 3, push());
        let killed = Tasklet::later(SECOND * 3, push());
        Tasklet::sleep(SECOND * 2);
        stopped.stop();
        killed.kill();
        stopped.join().unwrap();
        assert!(matches!(killed.join(), Err(JoinError::Killed)));
        first.join().unwrap();
        second.join().unwrap();
        Tasklet::sleep(HOUR);
        assert_eq!(take(&runs), [SECOND, SECOND * 2]);
    });
}

#[test]
fn timers_of_messages_fire_in_order_and_can_be_taken_back() {
    run(|| {
        let start = time::now();
        let me: Recipient<Tick> = Tasklet::current().recipient();
        // In no order; those for the same moment come as they were set.
        let mut timers = Vec::new();
        for n in 0..1000_u64 {
            let moment = n * 7919 % 100;
            timers.push(me.send_after(Tick(moment * 1000 + n), SECOND * moment as u32));
        }
        let canceled: Vec<_> = timers
            .iter()
            .skip(500)
            .step_by(5)
            .map(|t| t.cancel())
            .collect();
        assert!(canceled.iter().all(|in_time| *in_time) && canceled.len() == 100);
        assert!(!timers[500].cancel(), "once");
        let mut last = None;
        for _ in 0..900 {
            let Tick(n) = Tasklet::receive_one().unwrap().downcast().unwrap();
            assert_eq!(
                time::now() - start,
                SECOND * (n / 1000) as u32,
                "on the spot"
            );
            assert!(last < Some(n), "{last:?} before {n}");
            last = Some(n);
        }
        assert_eq!(
            Tasklet::receive_timeout(HOUR).unwrap_err(),
            ReceiveError::Timeout
        );
        assert!(!timers[0].cancel(), "it has fired");
        // One that is refused then is dropped.
        let gone = Tasklet::spawn(|| ());
        gone.recipient::<Tick>().send_after(Tick(0), SECOND);
        gone.join().unwrap();
        Tasklet::sleep(SECOND * 2);
    });
}

#[test]
fn sleepers_of_the_same_moment_wake_in_the_order_in_which_they_lay_down() {
    run(|| {
        let wakes = log();
        let sleepers: Vec<_> = (0..100_u64)
            .map(|n| {
                let wakes = wakes.clone();
                Tasklet::spawn(move || {
                    Tasklet::sleep(SECOND);
                    wakes.lock().unwrap().push(n);
                })
            })
            .collect();
        sleepers.iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(take(&wakes), Vec::from_iter(0..100));
    });
}

#[test]
fn deadlines_pass_at_their_moment() {
    run(|| {
        let start = time::now();
        assert_eq!(
            Tasklet::receive_timeout(SECOND).unwrap_err(),
            ReceiveError::Timeout
        );
        assert_eq!(time::now() - start, SECOND);
        // Nested: the nearer, to the nanosecond.
        let outer: Option<()> = timeout(SECOND * 2, || {
            let inner: Option<()> = timeout(SECOND, || {
                Tasklet::sleep(HOUR);
                None
            });
            assert_eq!((inner, time::now() - start), (None, SECOND * 2));
            timeout(HOUR, || {
                Tasklet::sleep(HOUR);
                None
            })
        });
        assert_eq!((outer, time::now() - start), (None, SECOND * 3));
        // A deadline that is met at the same moment is met.
        let me: Recipient<Tick> = Tasklet::current().recipient();
        me.send_after(Tick(1), SECOND);
        let met = Tasklet::receive_timeout(SECOND);
        assert_eq!(met.unwrap().downcast::<Tick>().unwrap(), Tick(1));
        // The messages that a block did not live to see are still there.
        me.send_after(Tick(2), SECOND * 2);
        let unseen: Option<()> = timeout(SECOND, || {
            Tasklet::receive().for_each(drop);
            None
        });
        assert_eq!(unseen, None);
        assert!(Tasklet::receive_one().unwrap().is::<Tick>());
        assert_eq!(time::now() - start, SECOND * 6);
    });
}

#[test]
fn a_timer_that_is_taken_back_does_not_move_the_clock() {
    run(|| {
        let start = time::now();
        let echo = Tasklet::spawn(|| {
            for message in Tasklet::receive() {
                match_message!(match message {
                    Tick(_) => {}
                });
            }
        });
        for n in 0..100 {
            assert!(echo.call_timeout(Tick(n), HOUR).is_ok());
        }
        assert_eq!(echo.join_timeout(HOUR).ok(), Some(()));
        assert_eq!(time::now(), start);
        Tasklet::sleep(SECOND);
        assert_eq!(time::now() - start, SECOND);
    });
}

#[test]
fn it_has_one_worker() {
    run(|| ());
    let more = Runtime::builder()
        .virtual_clock(true)
        .workers(2)
        .try_dispatch(|| ());
    let refused = matches!(
        more,
        Err(RuntimeError::AlreadyRunning | RuntimeError::VirtualClockWorkers)
    );
    assert!(refused, "{more:?}");
}
