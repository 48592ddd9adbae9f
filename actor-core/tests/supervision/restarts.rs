//! Who is started again, when one has failed.

use super::*;

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
