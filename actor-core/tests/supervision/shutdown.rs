//! How children are shut down, and what becomes of restarts meanwhile.

use super::*;

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
