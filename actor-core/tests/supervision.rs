//! Supervisors: who is started again, when, and in which order.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor_core::{
    Actor, Addr, BoxError, CallError, Child, Context, Exit, ExitReason, Handler, IntensityExceeded,
    JoinHandle, Mailbox, Message, Overflow, Restart, SendError, Shutdown, SpawnError, Supervisor,
    Tasklet, dispatch,
};
use common::*;

extern crate actor_core as concurrence;

/// No test comes near it.
const MANY: usize = 1_000_000;
/// Of a backoff that is not waited for.
const FAR: Duration = Duration::from_secs(3600);

/// What has happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    /// Waits until `expected` has happened since the last time, and nothing else.
    #[track_caller]
    fn expect(&self, expected: &str) {
        let expected: Vec<_> = expected.split_whitespace().collect();
        wait_until(|| self.0.lock().unwrap().len() >= expected.len());
        let happened = std::mem::take(&mut *self.0.lock().unwrap());
        assert_eq!(happened, expected);
    }

    /// The same in any order: a tasklet counts as started before it runs.
    #[track_caller]
    fn expect_all(&self, expected: &str) {
        let mut expected: Vec<_> = expected.split_whitespace().collect();
        wait_until(|| self.0.lock().unwrap().len() >= expected.len());
        let mut happened = std::mem::take(&mut *self.0.lock().unwrap());
        happened.sort();
        expected.sort();
        assert_eq!(happened, expected);
    }
}

/// Writes down when a life of it begins (`+`) and ends (`-`).
struct Part {
    name: &'static str,
    log: Log,
}

impl Actor for Part {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.log.write(format!("+{}", self.name));
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.log.write(format!("-{}", self.name));
    }
}

type Deed = Box<dyn FnOnce(&mut Part, &mut Context<Part>) -> usize + Send>;

struct Do(Deed);

impl Message for Do {
    type Reply = usize;
}

impl Handler<Do> for Part {
    fn handle(&mut self, Do(deed): Do, ctx: &mut Context<Self>) -> usize {
        deed(self, ctx)
    }
}

fn deed(f: impl FnOnce(&mut Part, &mut Context<Part>) -> usize + Send + 'static) -> Do {
    Do(Box::new(f))
}

fn part(name: &'static str, log: &Log) -> Child<Part> {
    let log = log.clone();
    Child::new(name, move || Part {
        name,
        log: log.clone(),
    })
}

/// Waits until it is there.
#[track_caller]
fn assert_lives(part: &Addr<Part>) {
    assert_eq!(part.call_timeout(deed(|_, _| 7), PATIENCE), Ok(7));
}

#[track_caller]
fn crash(part: &Addr<Part>) {
    let crashed = part.call_timeout(deed(|_, _| panic!("no luck")), PATIENCE);
    assert_eq!(crashed, Err(CallError::Ended));
}

#[track_caller]
fn reason<A: Actor>(addr: &Addr<A>) -> ExitReason {
    promptly(|limit| addr.join_timeout(limit)).expect("the actor ends")
}

#[track_caller]
fn stop<A: Actor>(addr: &Addr<A>) {
    addr.stop();
    assert!(matches!(reason(addr), ExitReason::Stopped));
}

#[track_caller]
fn assert_exceeded(reason: &ExitReason, restarts: usize, within: Duration) {
    match reason {
        ExitReason::Failed(error) => assert_eq!(
            error.downcast_ref(),
            Some(&IntensityExceeded { restarts, within })
        ),
        other => panic!("{other}"),
    }
}

/// Monitored by the caller before it ends, and ended.
#[track_caller]
fn next_exit() -> Exit {
    let _reachable = Tasklet::current();
    let message = promptly(Tasklet::receive_timeout).expect("word of an end");
    message.downcast().expect("nothing else")
}

/// Goes on in a tasklet, until it waits for a reply.
fn call_aside(addr: &Addr<Part>, message: Do) -> JoinHandle<Result<usize, CallError>> {
    let addr = addr.clone();
    let caller = spawn(move || addr.call(message));
    wait_until_it_waits(&caller, "waits for a reply");
    caller
}

#[test]
fn each_strategy_has_its_order() {
    let strategies: [(fn() -> Supervisor, _, _); 3] = [
        (Supervisor::one_for_one, "-b +b", "-c +c"),
        (
            Supervisor::one_for_all,
            "-b -d -c -a +a +b +c +d",
            "-c -d -b -a +a +b +c +d",
        ),
        (Supervisor::rest_for_one, "-b -d -c +b +c +d", "-c -d +c +d"),
    ];
    for (strategy, after_b, after_c) in strategies {
        run(move || {
            let log = Log::default();
            let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| part(name, &log));
            let [b_addr, c_addr] = [b.addr(), c.addr()];
            let supervisor = strategy().child(a).child(b).child(c).child(d);
            let supervisor = Addr::spawn(supervisor.intensity(MANY, FAR));
            log.expect("+a +b +c +d");
            crash(&b_addr);
            log.expect(after_b);
            c_addr.kill();
            log.expect(after_c);
            assert_lives(&b_addr);
            assert_lives(&c_addr);
            stop(&supervisor);
            log.expect("-d -c -b -a");
        });
    }
}

#[test]
fn each_child_is_started_again_for_its_own_reasons() {
    type Ending = (&'static str, fn(&Addr<Part>));
    let endings: [Ending; 6] = [
        ("has ended", |part| {
            part.send(deed(|_, ctx| {
                ctx.stop();
                1
            }))
            .unwrap();
        }),
        ("was asked to stop", Addr::stop),
        ("was asked to stop", Addr::stop_now),
        ("was killed", Addr::kill),
        ("no luck", crash),
        ("has failed: no sugar", |part| {
            part.send(deed(|_, ctx| {
                ctx.fail("no sugar");
                1
            }))
            .unwrap();
        }),
    ];
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        run(move || {
            for (text, end) in endings {
                let log = Log::default();
                let child = part("child", &log).restart(restart);
                let (child_addr, other) = (child.addr(), part("other", &log));
                let supervisor = Supervisor::one_for_one().child(child).child(other);
                let supervisor = Addr::spawn(supervisor);
                log.expect("+child +other");
                child_addr.monitor();
                end(&child_addr);
                let exit = next_exit();
                assert!(exit.reason.to_string().contains(text), "{exit}");
                let again = match restart {
                    Restart::Permanent => true,
                    Restart::Transient => exit.reason.is_abnormal(),
                    Restart::Temporary => false,
                };
                if again {
                    log.expect("-child +child");
                    assert_lives(&child_addr);
                    stop(&supervisor);
                    log.expect("-other -child");
                    assert!(matches!(reason(&child_addr), ExitReason::Shutdown));
                } else {
                    // The reason of its last life is that of its end.
                    let last = reason(&child_addr).to_string();
                    assert_eq!(last, exit.reason.to_string());
                    let refused = child_addr.call(deed(|_, _| 1));
                    assert_eq!(refused, Err(CallError::Ended));
                    assert!(supervisor.is_alive());
                    stop(&supervisor);
                    log.expect("-child -other");
                }
            }
        });
    }
}

#[test]
fn too_many_restarts_end_the_supervisor() {
    run(|| {
        let log = Log::default();
        let [a, b] = ["a", "b"].map(|name| part(name, &log));
        let [a_addr, b_addr] = [a.addr(), b.addr()];
        let supervisor = Supervisor::one_for_one().child(a).child(b);
        let supervisor = Addr::spawn(supervisor.intensity(3, FAR));
        log.expect("+a +b");
        for part in [&a_addr, &b_addr, &a_addr] {
            crash(part);
            assert_lives(part);
        }
        log.expect("-a +a -b +b -a +a");
        crash(&a_addr);
        assert_exceeded(&reason(&supervisor), 3, FAR);
        log.expect("-a -b");
        assert!(matches!(reason(&a_addr), ExitReason::Panicked(_)));
        assert!(matches!(reason(&b_addr), ExitReason::Shutdown));
    });
    run(|| {
        let log = Log::default();
        let child = part("a", &log);
        let addr = child.addr();
        let supervisor = Supervisor::one_for_all().intensity(0, FAR).child(child);
        let supervisor = Addr::spawn(supervisor);
        crash(&addr);
        assert_exceeded(&reason(&supervisor), 0, FAR);
        log.expect("+a -a");
    });
}

/// Each level gives up after a restart of the one below it.
#[test]
fn failures_escalate_to_the_top() {
    run(|| {
        let log = Log::default();
        let leaf = Arc::new(Mutex::new(None));
        let low = {
            let (log, leaf) = (log.clone(), leaf.clone());
            move || {
                let child = part("leaf", &log);
                *leaf.lock().unwrap() = Some(child.addr());
                Supervisor::one_for_one().intensity(1, FAR).child(child)
            }
        };
        let middle = move || {
            let low = Supervisor::nested("low", low.clone());
            Supervisor::rest_for_one().intensity(1, FAR).child(low)
        };
        let middle = Supervisor::nested("middle", middle);
        let middle_addr = middle.addr();
        let other = part("other", &log);
        let top = Supervisor::one_for_all().child(other).child(middle);
        let top = Addr::spawn(top.intensity(1, FAR));
        let mut lives = 0;
        while top.is_alive() {
            wait_until(|| log.0.lock().unwrap().iter().any(|e| e == "+leaf") || !top.is_alive());
            let current = leaf.lock().unwrap().clone().unwrap();
            if current.call(deed(|_, _| panic!("no luck"))) == Err(CallError::Ended) {
                lives += 1;
            }
            // The next one, or the end.
            wait_until(|| {
                let same = leaf.lock().unwrap().as_ref() == Some(&current);
                !top.is_alive() || !same || current.call(deed(|_, _| 1)) == Ok(1)
            });
        }
        assert_eq!(lives, 8);
        assert_exceeded(&reason(&top), 1, FAR);
        assert_exceeded(&reason(&middle_addr), 1, FAR);
        let events = std::mem::take(&mut *log.0.lock().unwrap());
        let count = |text: &str| events.iter().filter(|event| *event == text).count();
        assert_eq!((count("+leaf"), count("-leaf")), (8, 8));
        assert_eq!((count("+other"), count("-other")), (2, 2));
    });
}

#[test]
fn temporary_children_fall_with_the_others_and_stay_down() {
    let strategies: [(fn() -> Supervisor, _, _); 3] = [
        (
            Supervisor::one_for_all,
            "-c -d -b -a +b +c",
            [true, false, false, true],
        ),
        (
            Supervisor::rest_for_one,
            "-c -d +c",
            [false, false, false, true],
        ),
        (Supervisor::one_for_one, "-c +c", [false; 4]),
    ];
    for (strategy, expected, gone) in strategies {
        run(move || {
            let log = Log::default();
            let children = ["a", "b", "c", "d"].map(|name| {
                let restart = if ["a", "d"].contains(&name) {
                    Restart::Temporary
                } else {
                    Restart::Permanent
                };
                part(name, &log).restart(restart)
            });
            let addrs = [0, 1, 2, 3].map(|n: usize| children[n].addr());
            let supervisor = children.into_iter().fold(strategy(), Supervisor::child);
            let supervisor = Addr::spawn(supervisor.intensity(MANY, FAR));
            log.expect("+a +b +c +d");
            crash(&addrs[2]);
            log.expect(expected);
            for (addr, gone) in addrs.iter().zip(gone) {
                if gone {
                    assert!(matches!(reason(addr), ExitReason::Shutdown));
                } else {
                    assert_lives(addr);
                }
            }
            // The places have shifted.
            crash(&addrs[2]);
            assert_lives(&addrs[2]);
            crash(&addrs[1]);
            assert_lives(&addrs[1]);
            stop(&supervisor);
        });
    }
}

/// Those that go away while another is to be started again do not change which one that is.
#[test]
fn a_restart_that_was_put_off_is_of_the_right_child() {
    // How many fall before the pause, and all that happens.
    let strategies: [(fn() -> Supervisor, _, _); 3] = [
        (Supervisor::one_for_one, 1, "-c -a +c"),
        (Supervisor::rest_for_one, 2, "-c -d -a +c +d"),
        (Supervisor::one_for_all, 4, "-c -d -b -a +b +c +d"),
    ];
    for (strategy, fall, expected) in strategies {
        run(move || {
            let log = Log::default();
            let a = part("a", &log).restart(Restart::Temporary);
            let [b, c, d] = ["b", "c", "d"].map(|name| part(name, &log));
            let [a_addr, b_addr, c_addr, d_addr] = [a.addr(), b.addr(), c.addr(), d.addr()];
            let supervisor = strategy().child(a).child(b).child(c).child(d);
            let pause = SHORT * 10;
            let supervisor = supervisor.intensity(MANY, FAR).backoff(pause, pause);
            let supervisor = Addr::spawn(supervisor);
            log.expect("+a +b +c +d");
            c_addr.kill();
            wait_until(|| log.0.lock().unwrap().len() >= fall);
            a_addr.kill();
            reason(&a_addr);
            log.expect(expected);
            [&b_addr, &c_addr, &d_addr]
                .into_iter()
                .for_each(assert_lives);
            stop(&supervisor);
            log.expect("-d -c -b");
        });
    }
}

#[test]
fn what_comes_between_two_lives_waits_within_its_bound() {
    run(|| {
        let log = Log::default();
        let (shut, tries) = (Gate::new(), Count::new());
        let child = {
            let (log, shut, tries) = (log.clone(), shut.clone(), tries.clone());
            let mailbox = Mailbox::bounded(2, Overflow::Fail);
            Child::with_mailbox("child", mailbox, move || {
                if tries.up() > 1 {
                    shut.pass();
                }
                Ok(Part {
                    name: "child",
                    log: log.clone(),
                })
            })
        };
        let addr = child.addr();
        let pid = addr.pid();
        let supervisor = Addr::spawn(Supervisor::one_for_one().child(child));
        log.expect("+child");
        let begun = Gate::new();
        let crashes = Gate::new();
        let (open, pass) = (begun.clone(), crashes.clone());
        let handled = call_aside(
            &addr,
            deed(move |_, _| {
                open.open();
                pass.pass();
                panic!("no luck")
            }),
        );
        begun.pass();
        let waits = call_aside(&addr, deed(|_, _| 1));
        crashes.open();
        // The call that was being handled ends at once, the one that waits goes on waiting.
        assert_eq!(join(handled), Err(CallError::Ended));
        log.expect("-child");
        wait_until(|| tries.get() == 2);
        assert!(addr.is_alive());
        addr.send(deed(|part, _| {
            part.log.write("said");
            0
        }))
        .unwrap();
        let refused = addr.send(deed(|_, _| 0));
        assert!(matches!(refused, Err(SendError::Full(_))));
        shut.open();
        assert_eq!(join(waits), Ok(1));
        log.expect("+child said");
        assert_eq!(addr.pid(), pid);
        stop(&supervisor);
    });
}

#[test]
fn those_who_wait_for_room_or_an_answer_hear_of_the_last_end() {
    run(|| {
        let log = Log::default();
        let child = {
            let log = log.clone();
            let mailbox = Mailbox::bounded(1, Overflow::Block);
            Child::with_mailbox("child", mailbox, move || {
                Ok(Part {
                    name: "child",
                    log: log.clone(),
                })
            })
        };
        let addr = child.addr();
        // It stays down.
        let supervisor = Supervisor::one_for_one().backoff(FAR, FAR).child(child);
        let supervisor = Addr::spawn(supervisor);
        crash(&addr);
        log.expect("+child -child");
        let call = call_aside(&addr, deed(|_, _| 1));
        let send = {
            let addr = addr.clone();
            spawn(move || addr.send(deed(|_, _| 0)))
        };
        wait_until_it_waits(&send, "waits for room");
        stop(&supervisor);
        assert_eq!(join(call), Err(CallError::Ended));
        assert!(matches!(join(send), Err(SendError::Ended(_))));
        assert!(matches!(reason(&addr), ExitReason::Panicked(_)));
        log.expect("");
    });
}

#[test]
fn a_child_that_cannot_start_takes_its_supervisor_along() {
    run(|| {
        let log = Log::default();
        let [a, b, d] = ["a", "b", "d"].map(|name| part(name, &log));
        let c = Child::<Part>::fallible("c", || Err("no sugar".into()));
        let addrs = [a.addr(), b.addr(), c.addr(), d.addr()];
        // To one that never lives.
        let call = call_aside(&addrs[3], deed(|_, _| 1));
        let supervisor = Supervisor::one_for_one();
        let supervisor = supervisor.child(a).child(b).child(c).child(d);
        match Addr::builder().spawn_ready(supervisor) {
            Err(SpawnError::Started(error)) => {
                let text = error.to_string();
                assert!(text.contains("c") && text.contains("no sugar"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        log.expect("+a +b -b -a");
        assert_eq!(join(call), Err(CallError::Ended));
        let reasons = addrs.each_ref().map(|addr| reason(addr).to_string());
        let shut_down = "was shut down";
        let expected = [shut_down, shut_down, "has failed: no sugar", shut_down];
        assert_eq!(reasons, expected);
    });
}

/// In the factory or in `started`, with an error or a panic.
#[test]
fn a_child_that_does_not_start_again_is_tried_again() {
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Fails {
        Factory,
        FactoryPanics,
        Started,
        StartedPanics,
        StartedKilled,
    }
    struct Weak(Fails, usize, Count);
    impl Actor for Weak {
        fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
            if (2..=4).contains(&self.1) {
                match self.0 {
                    Fails::Started => return Err("no sugar".into()),
                    Fails::StartedPanics => panic!("no luck"),
                    Fails::StartedKilled => {
                        ctx.addr().kill();
                        Tasklet::sleep(FAR);
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        fn stopped(&mut self, _: &ExitReason) {
            // Only one that has started.
            self.2.up();
        }
    }
    #[derive(Message)]
    #[message(reply = usize)]
    struct Which;
    impl Handler<Which> for Weak {
        fn handle(&mut self, _: Which, _: &mut Context<Self>) -> usize {
            self.1
        }
    }
    for fails in [
        Fails::Factory,
        Fails::FactoryPanics,
        Fails::Started,
        Fails::StartedPanics,
        Fails::StartedKilled,
    ] {
        for (restarts, survives) in [(4, true), (3, false)] {
            run(move || {
                let (tries, stopped) = (Count::new(), Count::new());
                let child = {
                    let stopped = stopped.clone();
                    Child::fallible("weak", move || {
                        let life = tries.up();
                        if (2..=4).contains(&life) {
                            match fails {
                                Fails::Factory => return Err("no sugar".into()),
                                Fails::FactoryPanics => panic!("no luck"),
                                _ => {}
                            }
                        }
                        Ok(Weak(fails, life, stopped.clone()))
                    })
                };
                let addr = child.addr();
                let supervisor = Supervisor::one_for_one().intensity(restarts, FAR);
                let supervisor = Addr::spawn(supervisor.child(child));
                assert_eq!(addr.call(Which), Ok(1));
                addr.kill();
                if survives {
                    let mut life = addr.call(Which);
                    while life != Ok(5) {
                        // The first life has not noticed yet.
                        assert!(matches!(life, Ok(1) | Err(CallError::Ended)), "{life:?}");
                        life = addr.call_timeout(Which, PATIENCE);
                    }
                    assert_eq!(stopped.get(), 0);
                    stop(&supervisor);
                    assert_eq!(stopped.get(), 1);
                } else {
                    assert_exceeded(&reason(&supervisor), restarts, FAR);
                    assert!(reason(&addr).is_abnormal());
                    assert_eq!(stopped.get(), 0);
                }
            });
        }
    }
}

/// However often a child may fail, its supervisor has time for others.
#[test]
fn a_child_that_never_starts_does_not_keep_its_supervisor() {
    run(|| {
        let tries = Count::new();
        let child = {
            let tries = tries.clone();
            Child::fallible("hopeless", move || {
                if tries.up() > 1 {
                    Err("no sugar".into())
                } else {
                    Ok(Part {
                        name: "hopeless",
                        log: Log::default(),
                    })
                }
            })
        };
        let addr = child.addr();
        let supervisor = Supervisor::one_for_one().intensity(MANY, FAR).child(child);
        let supervisor = Addr::spawn(supervisor);
        crash(&addr);
        wait_until(|| tries.get() > 2_000);
        let log = Log::default();
        let other = supervisor.start(part("other", &log)).unwrap();
        assert_lives(&other);
        stop(&supervisor);
        log.expect("+other -other");
        assert!(reason(&addr).is_abnormal());
    });
}

/// It has started, whatever becomes of it then.
#[test]
fn a_child_that_ends_as_soon_as_it_has_started_has_started() {
    struct Brief(Count);
    impl Actor for Brief {
        fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
            self.0.up();
            ctx.stop();
            Ok(())
        }
    }
    let brief = |lives: &Count| {
        let lives = lives.clone();
        Child::new("brief", move || Brief(lives.clone()))
    };
    run(move || {
        let lives = Count::new();
        let [transient, temporary, dynamic] = [
            brief(&lives).restart(Restart::Transient),
            brief(&lives).restart(Restart::Temporary),
            brief(&lives).restart(Restart::Temporary),
        ];
        let addrs = [transient.addr(), temporary.addr()];
        let supervisor = Supervisor::one_for_one().child(transient).child(temporary);
        let supervisor = Addr::builder().spawn_ready(supervisor).unwrap();
        for addr in &addrs {
            assert!(matches!(reason(addr), ExitReason::Normal));
        }
        let dynamic = supervisor.start(dynamic).unwrap();
        assert!(matches!(reason(&dynamic), ExitReason::Normal));
        assert_eq!(lives.get(), 3);
        stop(&supervisor);
        // Always again, and so too often.
        let lives = Count::new();
        let supervisor = Supervisor::one_for_one().intensity(5, FAR);
        let supervisor = Addr::spawn(supervisor.child(brief(&lives)));
        assert_exceeded(&reason(&supervisor), 5, FAR);
        assert_eq!(lives.get(), 6);
    });
}

#[test]
fn children_are_shut_down_as_they_ask_for() {
    /// Does not come to an end by itself.
    fn stubborn(begun: &Gate) -> Do {
        let begun = begun.clone();
        deed(move |_, _| {
            begun.open();
            Tasklet::sleep(FAR);
            0
        })
    }
    run(|| {
        for (shutdown, killed) in [
            (Shutdown::Within(SHORT), true),
            (Shutdown::Kill, true),
            (Shutdown::Within(FAR), false),
            (Shutdown::Wait, false),
        ] {
            let log = Log::default();
            let a = part("a", &log);
            let b = part("b", &log).shutdown(shutdown);
            let b_addr = b.addr();
            let supervisor = Addr::spawn(Supervisor::one_for_one().child(a).child(b));
            log.expect("+a +b");
            if killed {
                let begun = Gate::new();
                b_addr.send(stubborn(&begun)).unwrap();
                begun.pass();
                stop(&supervisor);
                log.expect("-b -a");
                assert!(matches!(reason(&b_addr), ExitReason::Killed));
            } else {
                let (begun, shut) = (Gate::new(), Gate::new());
                let (open, pass) = (begun.clone(), shut.clone());
                b_addr
                    .send(deed(move |_, _| {
                        open.open();
                        pass.pass();
                        0
                    }))
                    .unwrap();
                begun.pass();
                // What is in the mailbox is not handled any more.
                b_addr
                    .send(deed(|part, _| {
                        part.log.write("late");
                        0
                    }))
                    .unwrap();
                supervisor.stop();
                assert!(supervisor.join_timeout(SHORT * 3).is_err());
                log.expect("");
                shut.open();
                assert!(matches!(reason(&supervisor), ExitReason::Stopped));
                log.expect("-b -a");
                assert!(matches!(reason(&b_addr), ExitReason::Shutdown));
            }
        }
    });
}

/// Asked to stop while it waits for a child that takes its time, and then killed.
#[test]
fn a_supervisor_that_waits_for_a_stubborn_child_can_be_ended() {
    for (nested, ask_first) in [(false, false), (false, true), (true, false), (true, true)] {
        run(move || {
            let log = Log::default();
            let [begun, dropped] = [(); 2].map(|()| Gate::new());
            let slot = Arc::new(Mutex::new(None));
            let tree = {
                let (log, slot) = (log.clone(), slot.clone());
                move || {
                    let a = part("a", &log);
                    let b = part("b", &log).shutdown(Shutdown::Wait);
                    *slot.lock().unwrap() = Some([a.addr(), b.addr()]);
                    let supervisor = Supervisor::one_for_all().intensity(MANY, FAR);
                    supervisor.child(a).child(b)
                }
            };
            let top = if nested {
                Supervisor::one_for_one().child(Supervisor::nested("inner", tree))
            } else {
                tree()
            };
            let top = Addr::spawn(top);
            log.expect("+a +b");
            let [a, b] = slot.lock().unwrap().clone().unwrap();
            let (open, unwound) = (begun.clone(), dropped.clone());
            b.send(deed(move |_, _| {
                let _guard = OnDrop::new(move || unwound.open());
                open.open();
                Tasklet::sleep(FAR);
                0
            }))
            .unwrap();
            begun.pass();
            if ask_first {
                // In its hook `stopped`.
                top.stop();
            } else {
                // In the middle of a restart.
                crash(&a);
                log.expect("-a");
                top.stop();
            }
            assert!(top.join_timeout(SHORT).is_err());
            assert!(!dropped.is_open());
            top.kill();
            let end = reason(&top);
            assert!(matches!(end, ExitReason::Killed), "{end}");
            for addr in [&a, &b] {
                reason(addr);
            }
            assert!(dropped.is_open());
            assert!(matches!(reason(&b), ExitReason::Killed));
        });
    }
}

#[test]
fn a_stop_is_heeded_when_the_stubborn_child_has_ended() {
    run(|| {
        let log = Log::default();
        let [a, b] = ["a", "b"].map(|name| part(name, &log).shutdown(Shutdown::Within(SHORT * 5)));
        let [a_addr, b_addr] = [a.addr(), b.addr()];
        let supervisor = Supervisor::one_for_all().intensity(MANY, FAR);
        let supervisor = Addr::spawn(supervisor.child(a).child(b));
        log.expect("+a +b");
        let begun = Gate::new();
        let open = begun.clone();
        b_addr
            .send(deed(move |_, _| {
                open.open();
                Tasklet::sleep(FAR);
                0
            }))
            .unwrap();
        begun.pass();
        crash(&a_addr);
        stop(&supervisor);
        for addr in [a_addr, b_addr] {
            reason(&addr);
        }
        let events = log.0.lock().unwrap();
        let count = |sign| events.iter().filter(|e| e.starts_with(sign)).count();
        // Two had begun before.
        assert_eq!(count('+') + 2, count('-'));
    });
}

#[test]
fn tasklets_are_children_too() {
    run(|| {
        let log = Log::default();
        let current: Arc<Mutex<Option<Tasklet>>> = Arc::default();
        let body = {
            let (log, current) = (log.clone(), current.clone());
            move || -> Result<(), BoxError> {
                let me = Tasklet::current();
                log.write("+t");
                let log = log.clone();
                let _end = OnDrop::new(move || log.write("-t"));
                *current.lock().unwrap() = Some(me);
                for message in Tasklet::receive() {
                    match message.downcast_ref::<Order>() {
                        Some(Order::Return) => return Ok(()),
                        Some(Order::Fail) => return Err("no sugar".into()),
                        Some(Order::Panic) => panic!("no luck"),
                        None => {}
                    }
                }
                *current.lock().unwrap() = None;
                Ok(())
            }
        };
        #[derive(Message)]
        enum Order {
            Return,
            Fail,
            Panic,
        }
        let [a, b] = ["a", "b"].map(|name| part(name, &log));
        let supervisor = Supervisor::rest_for_one().intensity(MANY, FAR);
        let supervisor = supervisor.child(a).tasklet("t", body).child(b);
        let supervisor = Addr::spawn(supervisor);
        log.expect_all("+a +b +t");
        let order = |order| {
            let tasklet = current.lock().unwrap().clone().unwrap();
            assert_eq!(tasklet.name(), "t");
            tasklet.send(order).unwrap();
        };
        for end in [Order::Return, Order::Fail, Order::Panic] {
            order(end);
            log.expect_all("-t -b +b +t");
        }
        let killed = current.lock().unwrap().clone().unwrap();
        killed.kill();
        log.expect_all("-t -b +b +t");
        drop(killed);
        stop(&supervisor);
        log.expect("-b -t -a");

        // One that does not listen is killed, when its supervisor is.
        let begun = Gate::new();
        let supervisor = {
            let (log, begun) = (log.clone(), begun.clone());
            Addr::spawn(Supervisor::one_for_one().tasklet("deaf", move || {
                let log = log.clone();
                let _end = OnDrop::new(move || log.write("-deaf"));
                begun.open();
                Tasklet::sleep(FAR);
            }))
        };
        begun.pass();
        supervisor.kill();
        log.expect("-deaf");
    });
}

#[test]
fn a_thousand_children_come_and_go() {
    const CHILDREN: usize = 1_000;
    struct One(Arc<AtomicUsize>);
    impl Actor for One {}
    impl Drop for One {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    #[derive(Message)]
    #[message(reply = u32)]
    struct End(u32);
    impl Handler<End> for One {
        fn handle(&mut self, End(how): End, ctx: &mut Context<Self>) -> u32 {
            match how {
                0 => ctx.stop(),
                1 => panic!("no luck"),
                _ => {}
            }
            how
        }
    }
    run(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let supervisor = Addr::spawn(Supervisor::one_for_one());
        let children: Vec<_> = (0..CHILDREN)
            .map(|n| {
                let alive = alive.clone();
                let child = Child::new(format!("child {n}"), move || {
                    alive.fetch_add(1, Ordering::SeqCst);
                    One(alive.clone())
                });
                let child = supervisor.start(child.restart(Restart::Temporary));
                child.unwrap()
            })
            .collect();
        assert_eq!(alive.load(Ordering::SeqCst), CHILDREN);
        for (n, child) in children.iter().enumerate() {
            match n % 4 {
                0 => assert_eq!(child.call(End(0)), Ok(0)),
                1 => assert_eq!(child.call(End(1)), Err(CallError::Ended)),
                2 => child.kill(),
                _ => assert_eq!(child.call(End(7)), Ok(7)),
            }
        }
        for (n, child) in children.iter().enumerate() {
            if n % 4 != 3 {
                reason(child);
            }
        }
        assert!(supervisor.is_alive());
        // It has forgotten them.
        let debug = supervisor.start(Child::new("last", || One(Arc::new(AtomicUsize::new(1)))));
        assert_eq!(alive.load(Ordering::SeqCst), CHILDREN / 4);
        stop(&supervisor);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        assert!(matches!(reason(&debug.unwrap()), ExitReason::Shutdown));
        assert!(matches!(reason(&children[3]), ExitReason::Shutdown));
    });
}

#[test]
fn a_start_says_why_it_has_failed() {
    run(|| {
        let log = Log::default();
        let supervisor = Addr::spawn(Supervisor::one_for_one());
        let hopeless = Child::<Part>::fallible("hopeless", || Err("no sugar".into()));
        let addr = hopeless.addr();
        match supervisor.start(hopeless) {
            Err(SpawnError::Started(error)) => assert_eq!(error.to_string(), "no sugar"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(reason(&addr), ExitReason::Failed(_)));
        stop(&supervisor);
        let late = part("late", &log);
        let addr = late.addr();
        let call = call_aside(&addr, deed(|_, _| 1));
        assert!(matches!(
            supervisor.start(late),
            Err(SpawnError::NotRunning)
        ));
        // It will never live.
        assert_eq!(join(call), Err(CallError::Ended));
        assert!(matches!(reason(&addr), ExitReason::Shutdown));
        log.expect("");
    });
}

#[test]
fn a_child_without_a_supervisor_has_ended() {
    run(|| {
        let log = Log::default();
        let child = part("child", &log);
        let addr = child.addr();
        assert!(addr.is_alive());
        let call = call_aside(&addr, deed(|_, _| 1));
        drop(child);
        assert_eq!(join(call), Err(CallError::Ended));
        assert!(matches!(reason(&addr), ExitReason::Shutdown));
        // Nor has one whose supervisor never runs.
        let child = part("child", &log);
        let addr = child.addr();
        let call = call_aside(&addr, deed(|_, _| 1));
        drop(Supervisor::one_for_all().child(child));
        assert_eq!(join(call), Err(CallError::Ended));
        log.expect("");
    });
}

#[test]
fn the_children_of_a_killed_supervisor_end() {
    run(|| {
        // While they live, and while one is to be started again.
        for pending in [false, true] {
            let log = Log::default();
            let [a, b] = ["a", "b"].map(|name| part(name, &log));
            let addrs = [a.addr(), b.addr()];
            let supervisor = Supervisor::one_for_one().backoff(FAR, FAR);
            let supervisor = Addr::spawn(supervisor.child(a).child(b));
            log.expect("+a +b");
            if pending {
                crash(&addrs[0]);
                log.expect("-a");
            }
            supervisor.kill();
            assert!(matches!(reason(&supervisor), ExitReason::Killed));
            let reasons = addrs.each_ref().map(|addr| reason(addr));
            assert!(matches!(reasons[1], ExitReason::Killed));
            if pending {
                assert!(matches!(reasons[0], ExitReason::Panicked(_)));
                log.expect("-b");
            } else {
                assert!(matches!(reasons[0], ExitReason::Killed));
                wait_until(|| log.0.lock().unwrap().len() == 2);
            }
        }
        // While one starts: with it, or later.
        struct Slow(Gate, Count);
        impl Actor for Slow {
            fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
                self.0.open();
                Tasklet::sleep(FAR);
                Ok(())
            }
        }
        impl Drop for Slow {
            fn drop(&mut self) {
                self.1.up();
            }
        }
        for dynamic in [false, true] {
            let (begun, dropped) = (Gate::new(), Count::new());
            let slow = {
                let (begun, dropped) = (begun.clone(), dropped.clone());
                Child::new("slow", move || Slow(begun.clone(), dropped.clone()))
            };
            let addr = slow.addr();
            let supervisor = Supervisor::one_for_one();
            let (supervisor, starts) = if dynamic {
                let supervisor = Addr::spawn(supervisor);
                let of = supervisor.clone();
                (supervisor, Some(spawn(move || of.start(slow))))
            } else {
                (Addr::spawn(supervisor.child(slow)), None)
            };
            begun.pass();
            supervisor.kill();
            assert!(matches!(reason(&supervisor), ExitReason::Killed));
            assert!(matches!(reason(&addr), ExitReason::Killed));
            assert_eq!(dropped.get(), 1);
            if let Some(starts) = starts {
                assert!(matches!(join(starts), Err(SpawnError::NotRunning)));
            }
        }
    });
}

#[test]
fn a_stop_does_not_wait_for_a_restart_that_was_put_off() {
    for strategy in [
        Supervisor::one_for_one,
        Supervisor::one_for_all,
        Supervisor::rest_for_one,
    ] {
        run(move || {
            let log = Log::default();
            let [a, b] = ["a", "b"].map(|name| part(name, &log));
            let addr = a.addr();
            let supervisor = strategy().backoff(FAR, FAR).child(a).child(b);
            let supervisor = Addr::spawn(supervisor);
            log.expect("+a +b");
            crash(&addr);
            stop(&supervisor);
            log.expect("-a -b");
            assert!(matches!(reason(&addr), ExitReason::Panicked(_)));
        });
    }
}

#[test]
fn children_that_fail_during_the_shutdown_stay_down() {
    struct Clumsy(Log, Addr<Part>);
    impl Actor for Clumsy {
        fn stopped(&mut self, _: &ExitReason) {
            self.1.kill();
            wait_until(|| self.0.0.lock().unwrap().iter().any(|event| event == "-a"));
            self.0.write("stopped");
            panic!("no luck");
        }
    }
    run(|| {
        let log = Log::default();
        let [a, b] = ["a", "b"].map(|name| part(name, &log));
        let (written, other) = (log.clone(), a.addr());
        let clumsy = Child::new("clumsy", move || Clumsy(written.clone(), other.clone()));
        let addrs = [a.addr(), b.addr()];
        let supervisor = Supervisor::one_for_all().intensity(MANY, FAR);
        let supervisor = Addr::spawn(supervisor.child(a).child(clumsy).child(b));
        log.expect("+a +b");
        stop(&supervisor);
        log.expect("-b -a stopped");
        let [a, b] = addrs.each_ref().map(reason);
        assert!(matches!(a, ExitReason::Killed));
        assert!(matches!(b, ExitReason::Shutdown));
    });
}

#[test]
fn a_program_shuts_its_trees_down_in_order() {
    let log = Log::default();
    let written = log.clone();
    let reasons: Arc<Mutex<Vec<ExitReason>>> = Arc::default();
    let heard = reasons.clone();
    struct Deep(Log, Arc<Mutex<Vec<ExitReason>>>);
    impl Actor for Deep {
        fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
            self.0.write("+deep");
            Ok(())
        }
        fn stopped(&mut self, reason: &ExitReason) {
            self.0.write("-deep");
            self.1.lock().unwrap().push(reason.clone());
        }
    }
    let code = finish(move || {
        dispatch(move || {
            let log = written;
            let deep = {
                let (log, heard) = (log.clone(), heard.clone());
                Supervisor::nested("inner", move || {
                    let (deep_log, heard) = (log.clone(), heard.clone());
                    let deep = Child::new("deep", move || Deep(deep_log.clone(), heard.clone()));
                    Supervisor::one_for_one().child(part("x", &log)).child(deep)
                })
            };
            let [a, b] = ["a", "b"].map(|name| part(name, &log));
            let work = a.addr();
            let top = Supervisor::rest_for_one().child(a).child(deep).child(b);
            let top = Addr::builder().spawn_ready(top).unwrap();
            // Is done, though main has ended.
            work.send(deed(|part, _| {
                part.log.write("done");
                0
            }))
            .unwrap();
            std::mem::forget(top);
        })
    });
    assert_eq!(text(code), text(std::process::ExitCode::SUCCESS));
    let events = std::mem::take(&mut *log.0.lock().unwrap());
    let expected = "+a +x +deep +b done -b -deep -x -a";
    assert_eq!(events.join(" "), expected);
    let reasons = reasons.lock().unwrap();
    assert!(matches!(reasons[..], [ExitReason::Shutdown]));
}

/// What one life watches is nothing to the next.
#[test]
fn word_to_a_life_before_is_dropped() {
    run(|| {
        struct Listener(Log);
        impl Actor for Listener {
            fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
                self.0.write("+l");
                Ok(())
            }
            fn exited(&mut self, exit: Exit, _: &mut Context<Self>) {
                self.0.write(format!("heard:{}", exit.linked));
            }
        }
        type Deed = Box<dyn FnOnce(&mut Context<Listener>) -> usize + Send>;
        struct Run(Deed);
        impl Message for Run {
            type Reply = usize;
        }
        impl Handler<Run> for Listener {
            fn handle(&mut self, Run(deed): Run, ctx: &mut Context<Self>) -> usize {
                deed(ctx)
            }
        }
        let log = Log::default();
        let child = {
            let log = log.clone();
            Child::new("listener", move || Listener(log.clone()))
        };
        let listener = child.addr();
        let supervisor = Supervisor::one_for_one().intensity(MANY, FAR).child(child);
        let supervisor = Addr::spawn(supervisor);
        log.expect("+l");
        let ask = |f: Deed| listener.call_timeout(Run(f), PATIENCE);
        // One ends after the life that watched it, the other before its word is read.
        let others = [(); 2].map(|()| {
            Addr::spawn(Part {
                name: "other",
                log: Log::default(),
            })
        });
        for other in others.clone() {
            let watch = move |_: &mut Context<Listener>| {
                other.monitor();
                other.link();
                1
            };
            assert_eq!(ask(Box::new(watch)), Ok(1));
        }
        let [late, early] = others;
        let crash = move |_: &mut Context<Listener>| -> usize {
            early.kill();
            early.join();
            panic!("no luck")
        };
        assert_eq!(ask(Box::new(crash)), Err(CallError::Ended));
        // The link took the other one along.
        reason(&late);
        assert_eq!(ask(Box::new(|_| 7)), Ok(7));
        log.expect("+l");
        // The new life hears of what it watches itself, though it has ended.
        let watch = move |_: &mut Context<Listener>| {
            late.monitor();
            1
        };
        assert_eq!(ask(Box::new(watch)), Ok(1));
        log.expect("heard:false");
        stop(&supervisor);
    });
}

/// Between two lives, and before the first.
#[test]
fn those_who_watch_a_child_hear_of_each_life_once() {
    run(|| {
        let log = Log::default();
        let child = part("child", &log);
        let addr = child.addr();
        let watcher = {
            let addr = addr.clone();
            let (tell, told) = channel();
            let tasklet = spawn(move || {
                Tasklet::trap_exits(true);
                let _reachable = Tasklet::current();
                // Of the first life, which has not begun.
                addr.monitor();
                addr.link();
                for message in Tasklet::receive() {
                    let exit = message.downcast::<Exit>().unwrap();
                    tell.send((exit.linked, exit.reason.to_string())).unwrap();
                }
            });
            (tasklet, told)
        };
        let supervisor = Supervisor::one_for_one().backoff(FAR, FAR).child(child);
        let supervisor = Addr::spawn(supervisor);
        log.expect("+child");
        assert_lives(&addr);
        assert!(watcher.1.try_recv().is_err());
        crash(&addr);
        let mut heard = Vec::new();
        wait_until(|| {
            heard.extend(watcher.1.try_iter());
            heard.len() == 2
        });
        heard.sort();
        assert!(!heard[0].0 && heard[1].0);
        assert!(heard.iter().all(|(_, why)| why.contains("no luck")));
        // It is down, and has ended as far as one can know.
        addr.monitor();
        assert!(matches!(next_exit().reason, ExitReason::Panicked(_)));
        stop(&supervisor);
        assert!(watcher.1.try_recv().is_err());
        watcher.0.stop();
        join(watcher.0);
    });
}

/// With restarts by the other workers' clock: each life is told once, with its own reason.
#[test]
fn lives_are_told_once_however_fast_they_follow() {
    const ROUNDS: usize = 200;
    run(|| {
        let log = Log::default();
        let [a, b] = ["a", "b"].map(|name| part(name, &log).shutdown(Shutdown::Kill));
        let [a, b] = [a, b].map(|child| (child.addr(), child));
        let addrs = [a.0, b.0];
        let supervisor = Supervisor::one_for_all().intensity(MANY, FAR);
        let supervisor = Addr::spawn(supervisor.child(a.1).child(b.1));
        let done = Gate::new();
        let watchers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (addrs, done) = (addrs.clone(), done.clone());
                spawn_on(worker, move || {
                    let _reachable = Tasklet::current();
                    let mut watched = 0;
                    while !done.is_open() {
                        for addr in &addrs {
                            addr.monitor();
                            let exit = next_exit();
                            assert_eq!(exit.pid, addr.pid());
                            // Killed by the supervisor, or by the test.
                            let fits = matches!(
                                exit.reason,
                                ExitReason::Killed | ExitReason::Panicked(_) | ExitReason::Shutdown
                            );
                            assert!(fits, "{exit}");
                            watched += 1;
                        }
                    }
                    assert_eq!(Tasklet::pending(), 0);
                    watched
                })
            })
            .collect();
        for round in 0..ROUNDS {
            let addr = &addrs[round % 2];
            // It may fall with the other one just now.
            let _ = addr.call_timeout(deed(|_, _| panic!("no luck")), PATIENCE);
        }
        done.open();
        // For those that wait for another end.
        supervisor.stop();
        for watcher in watchers {
            assert!(join(watcher) > 0);
        }
        reason(&supervisor);
    });
}

/// The message that begins a restart takes no room.
#[test]
fn a_full_mailbox_keeps_no_supervisor_from_a_restart() {
    for overflow in [
        Overflow::Block,
        Overflow::Fail,
        Overflow::DropNewest,
        Overflow::DropOldest,
    ] {
        run(move || {
            let log = Log::default();
            let (lives, shut) = (Count::new(), Gate::new());
            let child = part("child", &log);
            let addr = child.addr();
            let supervisor = Supervisor::one_for_one()
                .intensity(MANY, FAR)
                .backoff(SHORT, SHORT)
                .child(child);
            let builder = Addr::builder().mailbox(Mailbox::bounded(1, overflow));
            let supervisor = builder.spawn_ready(supervisor).unwrap();
            log.expect("+child");
            crash(&addr);
            log.expect("-child");
            // Takes its time to start, and meanwhile the mailbox is full.
            let begun = Gate::new();
            let slow = || {
                let (lives, shut, begun) = (lives.clone(), shut.clone(), begun.clone());
                let written = Log::default();
                Child::new("slow", move || {
                    lives.up();
                    begun.open();
                    shut.pass();
                    Part {
                        name: "slow",
                        log: written.clone(),
                    }
                })
            };
            let starts: Vec<_> = (0..2)
                .map(|_| {
                    let (supervisor, child) = (supervisor.clone(), slow());
                    let start = spawn(move || drop(supervisor.start(child)));
                    begun.pass();
                    start
                })
                .collect();
            let_short_pass();
            shut.open();
            starts.into_iter().for_each(join);
            assert_lives(&addr);
            log.expect("+child");
            stop(&supervisor);
        });
    }
}

/// The address says so at once; what one has sent before is handled by the next life.
#[test]
fn a_stop_by_the_childs_own_address_ends_one_life() {
    run(|| {
        let log = Log::default();
        let child = part("child", &log);
        let addr = child.addr();
        let supervisor = Supervisor::one_for_one().intensity(MANY, FAR).child(child);
        let supervisor = Addr::spawn(supervisor);
        log.expect("+child");
        let say = |text: &'static str| {
            deed(move |part, _| {
                part.log.write(text);
                0
            })
        };
        let (begun, shut) = (Gate::new(), Gate::new());
        let (open, pass) = (begun.clone(), shut.clone());
        addr.send(deed(move |_, _| {
            open.open();
            pass.pass();
            0
        }))
        .unwrap();
        begun.pass();
        addr.send(say("before")).unwrap();
        addr.stop();
        addr.send(say("after")).unwrap();
        shut.open();
        log.expect("before -child +child after");
        // Before its next message.
        let (begun, shut) = (Gate::new(), Gate::new());
        let (open, pass) = (begun.clone(), shut.clone());
        addr.send(deed(move |_, _| {
            open.open();
            pass.pass();
            0
        }))
        .unwrap();
        begun.pass();
        addr.send(say("left")).unwrap();
        addr.stop_now();
        shut.open();
        log.expect("-child +child left");
        stop(&supervisor);
    });
}
