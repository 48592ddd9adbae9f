//! Supervisors and the virtual clock, which is the whole process's: so in a file of its own.
//!
//! Time stands still while anybody runs, so all moments are exact.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use actor_core::{
    Actor, Addr, CallError, Child, Context, ExitReason, Handler, IntensityExceeded, Message,
    Runtime, Shutdown, Supervisor, Tasklet, time,
};

extern crate actor_core as concurrence;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// No test comes near it.
const MANY: usize = 1_000_000;
/// Only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `main` alone: programs share the clock.
fn run(main: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
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
    assert_eq!(code, format!("{:?}", ExitCode::SUCCESS));
}

/// Notes when its lives begin and end.
struct Part {
    since: Arc<Mutex<Vec<Instant>>>,
}

#[derive(Message)]
#[message(reply = usize)]
enum Order {
    Answer,
    Crash,
    Sleep(Duration),
}

impl Actor for Part {}

impl Handler<Order> for Part {
    fn handle(&mut self, order: Order, _: &mut Context<Self>) -> usize {
        match order {
            Order::Answer => {}
            Order::Crash => panic!("no luck"),
            Order::Sleep(pause) => Tasklet::sleep(pause),
        }
        self.since.lock().unwrap().len()
    }
}

type Lives = Arc<Mutex<Vec<Instant>>>;

/// A child, and when its lives have begun.
fn part(name: &str) -> (Child<Part>, Lives) {
    let lives = Lives::default();
    let since = lives.clone();
    let child = Child::new(name, move || {
        since.lock().unwrap().push(time::now());
        Part {
            since: since.clone(),
        }
    });
    (child, lives)
}

fn crash(part: &Addr<Part>) {
    assert_eq!(part.call(Order::Crash), Err(CallError::Ended));
}

#[track_caller]
fn assert_exceeded<A: Actor>(addr: &Addr<A>) {
    match addr.join() {
        ExitReason::Failed(error) => assert!(error.is::<IntensityExceeded>(), "{error}"),
        other => panic!("{other}"),
    }
}

#[test]
fn the_period_slides() {
    run(|| {
        let (child, lives) = part("child");
        let addr = child.addr();
        let supervisor = Supervisor::one_for_one().intensity(2, SECOND * 10);
        let supervisor = Addr::spawn(supervisor.child(child));
        // Never more than two in any ten seconds, however many there are.
        for n in 1..=20 {
            assert_eq!(addr.call(Order::Answer), Ok(n));
            crash(&addr);
            Tasklet::sleep(SECOND * 5);
        }
        assert!(supervisor.is_alive());
        assert_eq!(lives.lock().unwrap().len(), 21);
        // The last was five seconds ago, the one before ten.
        crash(&addr);
        assert_eq!(addr.call(Order::Answer), Ok(22));
        Tasklet::sleep(SECOND * 5 - Duration::from_nanos(1));
        crash(&addr);
        assert_exceeded(&supervisor);
    });
}

#[test]
fn pauses_grow_within_their_bounds_and_begin_anew() {
    run(|| {
        let (child, lives) = part("child");
        let addr = child.addr();
        let (from, to) = (SECOND, SECOND * 20);
        let supervisor = Supervisor::one_for_one()
            .intensity(MANY, HOUR)
            .backoff(from, to);
        let supervisor = Addr::spawn(supervisor.child(child));
        let pause = |n: usize| {
            let before = time::now();
            crash(&addr);
            // Waits in the mailbox until then.
            assert_eq!(addr.call(Order::Answer), Ok(n + 1));
            let after = *lives.lock().unwrap().last().unwrap();
            assert_eq!(after, time::now());
            after - before
        };
        assert_eq!(addr.call(Order::Answer), Ok(1));
        let mut shares = Vec::new();
        for (n, longest) in [1, 2, 4, 8, 16, 20, 20, 20].into_iter().enumerate() {
            let longest = SECOND * longest;
            let paused = pause(n + 1);
            assert!(
                longest / 2 <= paused && paused < longest,
                "{paused:?} of {longest:?}"
            );
            shares.push(paused.as_secs_f64() / longest.as_secs_f64());
        }
        // By chance.
        assert!(shares.windows(2).any(|pair| pair[0] != pair[1]));
        // It has lived for long, but not for longer than the longest pause.
        Tasklet::sleep(to);
        assert!(pause(9) >= to / 2);
        Tasklet::sleep(to + Duration::from_nanos(1));
        let first = pause(10);
        assert!(from / 2 <= first && first < from, "{first:?}");
        let second = pause(11);
        assert!(from <= second && second < from * 2, "{second:?}");
        supervisor.stop();
        supervisor.join();
    });
}

/// So that many do not come back at the same moment.
#[test]
fn children_that_fall_together_come_back_one_by_one() {
    run(|| {
        let (children, lives): (Vec<_>, Vec<_>) = (0..50).map(|n| part(&n.to_string())).unzip();
        let addrs: Vec<_> = children.iter().map(Child::addr).collect();
        let supervisor = Supervisor::one_for_one()
            .intensity(MANY, HOUR)
            .backoff(SECOND, SECOND);
        let supervisor = children.into_iter().fold(supervisor, Supervisor::child);
        let supervisor = Addr::builder().spawn_ready(supervisor).unwrap();
        let before = time::now();
        addrs.iter().for_each(Addr::kill);
        Tasklet::sleep(SECOND);
        let mut pauses: Vec<_> = lives
            .iter()
            .map(|lives| {
                let lives = lives.lock().unwrap();
                assert_eq!(lives.len(), 2);
                lives[1] - before
            })
            .collect();
        pauses.sort();
        pauses.dedup();
        assert!(pauses.len() > 40);
        assert!(pauses[0] >= SECOND / 2 && pauses[pauses.len() - 1] < SECOND);
        supervisor.stop();
        supervisor.join();
    });
}

/// A pause counts as one failure, whatever falls meanwhile.
#[test]
fn those_that_fall_together_are_started_together_after_the_pause() {
    run(|| {
        let (a, a_lives) = part("a");
        let (b, b_lives) = part("b");
        let (c, c_lives) = part("c");
        let addrs = [a.addr(), b.addr(), c.addr()];
        let supervisor = Supervisor::rest_for_one()
            .intensity(2, HOUR)
            .backoff(SECOND * 2, SECOND * 2);
        let supervisor = Addr::spawn(supervisor.child(a).child(b).child(c));
        assert_eq!(addrs[2].call(Order::Answer), Ok(1));
        let before = time::now();
        crash(&addrs[1]);
        Tasklet::sleep(SECOND / 2);
        // The first falls as well, before the others are back: they wait for it.
        crash(&addrs[0]);
        for addr in &addrs {
            assert_eq!(addr.call(Order::Answer), Ok(2));
        }
        let began = [&a_lives, &b_lives, &c_lives].map(|lives| lives.lock().unwrap()[1]);
        assert!(began.iter().all(|at| *at == began[0]));
        let pause = began[0] - before;
        assert!(pause >= SECOND * 3 / 2 && pause < SECOND * 5 / 2);
        // Nor does the pause that was cut short start anything.
        Tasklet::sleep(SECOND * 10);
        assert_eq!(c_lives.lock().unwrap().len(), 2);
        supervisor.stop();
        supervisor.join();
    });
}

#[test]
fn shutdowns_take_as_long_as_they_may() {
    run(|| {
        let cases = [
            (Shutdown::Within(SECOND * 3), SECOND * 3, true),
            (Shutdown::default(), SECOND * 5, true),
            (Shutdown::Kill, Duration::ZERO, true),
            (Shutdown::Wait, HOUR, false),
            (Shutdown::Within(HOUR * 2), HOUR, false),
        ];
        for (shutdown, expected, killed) in cases {
            let (child, _) = part("child");
            let child = child.shutdown(shutdown);
            let addr = child.addr();
            let supervisor = Supervisor::one_for_one().child(child);
            let supervisor = Addr::builder().spawn_ready(supervisor).unwrap();
            let caller = {
                let addr = addr.clone();
                Tasklet::spawn(move || addr.call(Order::Sleep(HOUR)))
            };
            Tasklet::yield_now();
            Tasklet::sleep(Duration::from_nanos(1));
            let before = time::now();
            supervisor.stop();
            supervisor.join();
            let took = time::now() - before;
            // It has slept for a moment already.
            assert!(
                expected - Duration::from_nanos(u64::from(!killed)) == took,
                "{shutdown:?} took {took:?}"
            );
            let answer = caller.join().unwrap();
            if killed {
                assert_eq!(answer, Err(CallError::Ended));
                assert!(matches!(addr.join(), ExitReason::Killed));
            } else {
                assert_eq!(answer, Ok(1));
                assert!(matches!(addr.join(), ExitReason::Shutdown));
            }
        }
    });
}

/// One after the other, each with its own limit: the last one first.
#[test]
fn stubborn_children_add_up() {
    run(|| {
        let children = [1, 2, 3].map(|n| part("child").0.shutdown(Shutdown::Within(SECOND * n)));
        let addrs = children.each_ref().map(Child::addr);
        let supervisor = children
            .into_iter()
            .fold(Supervisor::one_for_all(), Supervisor::child)
            .tasklet("deaf", || Tasklet::sleep(HOUR));
        let supervisor = Addr::builder().spawn_ready(supervisor).unwrap();
        let start = time::now();
        for addr in &addrs {
            addr.send(Order::Sleep(HOUR)).unwrap();
        }
        let watchers = addrs.map(|addr| {
            Tasklet::spawn(move || {
                addr.join();
                (time::now() - start).as_secs()
            })
        });
        Tasklet::yield_now();
        supervisor.stop();
        supervisor.join();
        let ends = watchers.map(|watcher| watcher.join().unwrap());
        assert_eq!(ends, [5 + 3 + 2 + 1, 5 + 3 + 2, 5 + 3]);
    });
}

/// A nested supervisor has as long as its children need; one with a limit is killed, and they with it.
#[test]
fn a_nested_supervisor_is_waited_for() {
    run(|| {
        for (limit, expected) in [(None, SECOND * 5), (Some(SECOND), SECOND)] {
            let slot = Arc::new(Mutex::new(None));
            let inner = {
                let slot = slot.clone();
                Supervisor::nested("inner", move || {
                    let (child, _) = part("child");
                    *slot.lock().unwrap() = Some(child.addr());
                    Supervisor::one_for_one().child(child)
                })
            };
            let inner = match limit {
                Some(limit) => inner.shutdown(Shutdown::Within(limit)),
                None => inner,
            };
            let inner_addr = inner.addr();
            let top = Supervisor::one_for_one().child(inner);
            let top = Addr::builder().spawn_ready(top).unwrap();
            let addr = slot.lock().unwrap().clone().unwrap();
            addr.send(Order::Sleep(HOUR)).unwrap();
            Tasklet::yield_now();
            let before = time::now();
            top.stop();
            top.join();
            assert_eq!(time::now() - before, expected);
            let reason = inner_addr.join();
            match limit {
                Some(_) => assert!(matches!(reason, ExitReason::Killed), "{reason}"),
                None => assert!(matches!(reason, ExitReason::Shutdown), "{reason}"),
            }
            assert!(matches!(addr.join(), ExitReason::Killed));
        }
    });
}
