//! A child's lives, and who hears of their ends.

use super::*;

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
