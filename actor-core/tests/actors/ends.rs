//! How actors end: by themselves, by others, and with their program.

use super::*;

#[test]
fn a_start_takes_nobody_away_who_waits_for_the_end() {
    struct Slow(Gate);
    impl Actor for Slow {
        fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
            self.0.pass();
            Ok(())
        }
    }
    run(|| {
        let gate = Gate::new();
        let addr = Addr::spawn(Slow(gate.clone()));
        let waits = {
            let addr = addr.clone();
            spawn(move || reason(&addr))
        };
        wait_until_it_waits(&waits, "waits for the end");
        gate.open();
        // It has started when it answers, and whoever waits has looked in vain.
        addr.stop();
        assert!(matches!(join(waits), ExitReason::Stopped));
    });
}

#[test]
fn stop_now_leaves_the_rest_unread() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let (begun, gate) = (Gate::new(), Gate::new());
        let (tell, shut) = (begun.clone(), gate.clone());
        addr.send(deed(move |_, _| {
            tell.open();
            shut.pass();
            0
        }))
        .unwrap();
        begun.pass();
        addr.send(Say(1)).unwrap();
        addr.stop_now();
        gate.open();
        assert!(matches!(reason(&addr), ExitReason::Stopped));
        let all: Vec<_> = told.try_iter().collect();
        assert_eq!(all, ["started", "stopped: was asked to stop", "dropped"]);
    });
}

/// From its own thread and from elsewhere.
#[test]
fn a_handler_that_waits_for_a_stop_as_well_is_told_of_it() {
    run(|| {
        for stop in [Addr::<Puppet>::stop, Addr::<Puppet>::stop_now] {
            for elsewhere in [false, true] {
                let addr = Addr::spawn(Puppet::new().0);
                let (begun, told) = (Gate::new(), Gate::new());
                let (tell, shut) = (begun.clone(), told.clone());
                addr.send(deed(move |_, _| {
                    let (near, _far) = UnixStream::pair().unwrap();
                    let source = Source::new(near).unwrap();
                    tell.open();
                    let read = source.io_or_stop(Direction::Read, |fd| {
                        (&UnixStream::from(fd.try_clone_to_owned()?)).read(&mut [0; 8])
                    });
                    assert_eq!(read.unwrap(), None);
                    shut.open();
                    0
                }))
                .unwrap();
                begun.pass();
                match elsewhere {
                    true => {
                        let addr = addr.clone();
                        thread::spawn(move || stop(&addr)).join().unwrap();
                    }
                    false => stop(&addr),
                }
                told.pass();
                assert!(matches!(reason(&addr), ExitReason::Stopped));
            }
        }
    });
}

#[test]
fn an_actor_ends_itself() {
    run(|| {
        let (puppet, _told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let ended = addr.call(deed(|_, ctx| {
            ctx.stop();
            7
        }));
        assert_eq!(ended, Ok(7));
        assert!(matches!(reason(&addr), ExitReason::Normal));

        let (puppet, _told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        addr.send(deed(|_, ctx| {
            ctx.fail("no more sugar");
            0
        }))
        .unwrap();
        match reason(&addr) {
            ExitReason::Failed(error) => assert_eq!(error.to_string(), "no more sugar"),
            other => panic!("{other}"),
        }
    });
}

#[test]
fn a_panic_ends_one_actor_and_its_callers_hear_of_it() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let waiting = {
            let addr = addr.clone();
            spawn(move || addr.call(deed(|_, _| 1)))
        };
        let failing = addr.call(deed(|_, _| panic!("no luck")));
        assert_eq!(failing, Err(CallError::Ended));
        // The one before it was answered.
        assert_eq!(join(waiting), Ok(1));
        match reason(&addr) {
            ExitReason::Panicked(text) => assert!(text.contains("no luck"), "{text}"),
            other => panic!("{other}"),
        }
        assert_eq!(addr.call(deed(|_, _| 1)), Err(CallError::Ended));
        // Not stopped, but dropped.
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["started", "dropped"]);
        assert_eq!(join(spawn(|| 1)), 1);
    });
}

#[test]
fn calls_that_wait_in_the_mailbox_end_with_it() {
    run(|| {
        let (puppet, _told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let gate = Gate::new();
        let shut = gate.clone();
        addr.send(deed(move |_, _| {
            shut.pass();
            panic!("no luck")
        }))
        .unwrap();
        let callers: Vec<_> = (0..3)
            .map(|worker| {
                let addr = addr.clone();
                spawn_on(worker, move || addr.call(deed(|_, _| 1)))
            })
            .collect();
        callers
            .iter()
            .for_each(|caller| wait_until_it_waits(caller, "waits for a reply"));
        gate.open();
        for caller in callers {
            assert_eq!(join(caller), Err(CallError::Ended));
        }
    });
}

#[test]
fn an_actor_that_cannot_start_says_so() {
    struct Stillborn(Gate);
    impl Actor for Stillborn {
        fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
            Err("no".into())
        }
        fn stopped(&mut self, _: &ExitReason) {
            self.0.open();
        }
    }
    run(|| {
        let stopped = Gate::new();
        let refused = Addr::builder().spawn_ready(Stillborn(stopped.clone()));
        match refused {
            Err(SpawnError::Started(error)) => assert_eq!(error.to_string(), "no"),
            other => panic!("{other:?}"),
        }
        let addr = Addr::spawn(Stillborn(stopped.clone()));
        assert!(matches!(reason(&addr), ExitReason::Failed(_)));
        // It has not begun.
        assert!(!stopped.is_open());
        let (puppet, told) = Puppet::new();
        let ready = Addr::builder().name("ready").spawn_ready(puppet).unwrap();
        assert_eq!(told.try_recv().unwrap(), "started");
        assert_eq!(ready.name(), "ready");
    });
}

#[test]
fn an_actor_that_nobody_can_reach_ends() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        for n in 0..3 {
            addr.send(Say(n)).unwrap();
        }
        let weak = addr.downgrade();
        assert!(weak.upgrade().is_some());
        drop(addr);
        wait_until(|| weak.upgrade().is_none());
        let all: Vec<_> = told.try_iter().collect();
        // All that was sent has been handled.
        assert_eq!(all[..4], ["started", "0", "1", "2"]);
        assert!(all[4].contains("could not be reached"), "{all:?}");
    });
}

#[test]
fn a_kill_reaches_idle_waiting_and_computing_actors() {
    run(|| {
        let idle = Addr::spawn(Puppet::new().0);
        assert_eq!(idle.call(deed(|_, _| 1)), Ok(1));
        idle.kill();
        assert!(matches!(reason(&idle), ExitReason::Killed));

        for worker in 0..WORKERS {
            let unwound = Gate::new();
            let begun = Gate::new();
            let waiting = Addr::builder()
                .placement(Placement::Worker(worker))
                .spawn(Puppet::new().0)
                .unwrap();
            let (tell, open) = (begun.clone(), unwound.clone());
            waiting
                .send(deed(move |_, _| {
                    let _guard = OnDrop::new(move || open.open());
                    tell.open();
                    Tasklet::sleep(PATIENCE * 3);
                    0
                }))
                .unwrap();
            begun.pass();
            waiting.kill();
            assert!(matches!(reason(&waiting), ExitReason::Killed));
            assert!(unwound.is_open());
        }

        let computing = Addr::builder()
            .placement(Placement::Worker(1))
            .spawn(Puppet::new().0)
            .unwrap();
        let begun = Gate::new();
        let tell = begun.clone();
        computing
            .send(deed(move |_, _| {
                tell.open();
                loop {
                    Tasklet::yield_now();
                }
            }))
            .unwrap();
        begun.pass();
        computing.kill();
        assert!(matches!(reason(&computing), ExitReason::Killed));
        // The carriers' next actors are none the worse for it.
        for worker in 0..WORKERS {
            let next = Addr::builder().placement(Placement::Worker(worker));
            let next = next.spawn(Puppet::new().0).unwrap();
            let slept = next.call(deed(|_, _| {
                Tasklet::sleep(SHORT);
                5
            }));
            assert_eq!(slept, Ok(5));
        }
    });
}

#[test]
fn tasklets_of_handlers_are_stopped_at_the_end() {
    run(|| {
        let addr = Addr::spawn(Puppet::new().0);
        let (tell, told) = channel();
        addr.call(deed(move |_, _| {
            let tasklet = Tasklet::spawn(|| {
                let reachable = Tasklet::current();
                Tasklet::receive().for_each(drop);
                drop(reachable);
            });
            tell.send(tasklet).unwrap();
            0
        }))
        .unwrap();
        let tasklet = told.recv().unwrap();
        assert!(tasklet.is_alive());
        addr.stop();
        join(tasklet);
    });
}

#[test]
fn a_program_ends_when_its_actors_have_no_work_left() {
    struct Countdown {
        next: Option<Addr<Countdown>>,
        ends: Sender<String>,
    }
    #[derive(Message)]
    struct Count(u32);
    #[derive(Message)]
    struct Next(Addr<Countdown>);
    impl Actor for Countdown {
        fn stopped(&mut self, reason: &ExitReason) {
            let _ = self.ends.send(reason.to_string());
        }
    }
    impl Handler<Next> for Countdown {
        fn handle(&mut self, Next(next): Next, _: &mut Context<Self>) {
            self.next = Some(next);
        }
    }
    impl Handler<Count> for Countdown {
        fn handle(&mut self, Count(n): Count, _: &mut Context<Self>) {
            if n.is_multiple_of(1_000) {
                Tasklet::sleep(SHORT);
            }
            match n.checked_sub(1) {
                Some(n) => self.next.as_ref().unwrap().send(Count(n)).unwrap(),
                None => self.ends.send("zero".into()).unwrap(),
            }
        }
    }
    let (ends, ended) = channel();
    let code = finish(move || {
        dispatch(move || {
            let ring: Vec<_> = (0..3)
                .map(|worker| {
                    let builder = Addr::builder().placement(Placement::Worker(worker));
                    let ends = ends.clone();
                    builder.spawn(Countdown { next: None, ends }).unwrap()
                })
                .collect();
            for (n, addr) in ring.iter().enumerate() {
                addr.send(Next(ring[(n + 1) % 3].clone())).unwrap();
            }
            ring[0].send(Count(5_000)).unwrap();
            // Main ends here, long before they do.
        })
    });
    assert_eq!(text(code), text(std::process::ExitCode::SUCCESS));
    let ended: Vec<_> = ended.try_iter().collect();
    assert_eq!(
        ended,
        ["zero", "was shut down", "was shut down", "was shut down"]
    );
}
