//! An end at the moment of something else: a kill, a start, a panic.

use super::*;

/// What hangs in `stopped` can be killed.
#[test]
fn a_kill_reaches_one_that_is_about_to_end() {
    struct Lingering(Gate, Gate);
    impl Actor for Lingering {
        fn stopped(&mut self, _: &ExitReason) {
            self.0.open();
            Tasklet::sleep(PATIENCE * 100);
        }
    }
    impl Drop for Lingering {
        fn drop(&mut self) {
            self.1.open();
        }
    }
    run(|| {
        for worker in 0..WORKERS {
            let [stopping, dropped] = [(); 2].map(|()| Gate::new());
            let builder = Addr::builder().placement(Placement::Worker(worker));
            let lingering = Lingering(stopping.clone(), dropped.clone());
            let addr = builder.spawn(lingering).unwrap();
            addr.monitor();
            addr.stop();
            stopping.pass();
            addr.kill();
            assert!(matches!(next_exit().reason, ExitReason::Killed));
            assert!(dropped.is_open());
        }
    });
}

#[test]
fn a_panic_in_stopped_hides_nothing() {
    struct Clumsy(Count);
    impl Actor for Clumsy {
        fn stopped(&mut self, _: &ExitReason) {
            panic!("no luck");
        }
    }
    impl Drop for Clumsy {
        fn drop(&mut self) {
            self.0.up();
        }
    }
    run(|| {
        let dropped = Count::new();
        let addr = Addr::spawn(Clumsy(dropped.clone()));
        addr.monitor();
        addr.stop();
        assert!(matches!(next_exit().reason, ExitReason::Stopped));
        assert_eq!(dropped.get(), 1);
    });
}

#[test]
fn a_tasklet_that_has_no_time_hears_later() {
    run(|| {
        let subject = Being::spawn(Kind::Actor);
        let watcher = spawn(move || {
            let _reachable = Tasklet::current();
            subject.monitor();
            subject.end(End::Killed);
            subject.wait();
            // It is there by the time the end can be seen.
            let there = Tasklet::try_receive().is_some_and(|message| message.is::<Exit>());
            let more = Tasklet::receive_timeout(SHORT).err();
            (there, more)
        });
        assert_eq!(join(watcher), (true, Some(ReceiveError::Timeout)));
    });
}

/// The start wakes those who wait for the end, and must not be all that does.
#[test]
fn a_join_that_begins_before_the_start_hears_of_the_end() {
    struct Slow(Gate);
    impl Actor for Slow {
        fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
            self.0.pass();
            Ok(())
        }
    }
    impl Handler<Ask> for Slow {
        fn handle(&mut self, Ask(n): Ask, _: &mut Context<Self>) -> usize {
            n
        }
    }
    run(|| {
        let shut = Gate::new();
        let slow = Addr::spawn(Slow(shut.clone()));
        let joining: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let slow = slow.clone();
                let joining = spawn_on(worker, move || {
                    promptly(|limit| slow.join_timeout(limit))
                        .unwrap()
                        .to_string()
                });
                wait_until_it_waits(&joining, "waits for the end");
                joining
            })
            .collect();
        shut.open();
        assert_eq!(slow.call(Ask(7)), Ok(7));
        // Those that were woken get to look.
        for _ in 0..100 {
            Tasklet::yield_now();
            thread::yield_now();
        }
        slow.stop();
        // One that loses its last reference is woken by that.
        let _referenced: Vec<_> = joining
            .iter()
            .map(|handle| handle.tasklet().clone())
            .collect();
        for joining in joining {
            assert_eq!(join(joining), "was asked to stop");
        }
    });
}
