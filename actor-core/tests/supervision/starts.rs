//! Starts that fail, or are over at once.

use super::*;

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
