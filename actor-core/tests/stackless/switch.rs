//! `switch`: who runs next, and where the caller stays.

use super::*;

/// A tasklet that puts `paused` back, and then says its name.
fn inserts(log: &Log, name: &'static str, paused: &Tasklet) -> JoinHandle<()> {
    let (log, paused) = (log.clone(), paused.clone());
    Tasklet::spawn(move || {
        paused.insert().unwrap();
        log.add(name);
    })
}

#[test]
fn switch_to_a_queued_one_goes_on_from_its_place_without_the_caller() {
    alone(|| {
        let log = Log::default();
        let (_b, c) = (log.says("B"), log.says("C"));
        let _d = inserts(&log, "D", &Tasklet::current());
        c.switch().unwrap();
        log.add("A");
        assert_eq!(log.take(), "C D B A"); // after a `run` it would be C D A B
    });
}

#[test]
fn switch_to_a_removed_one_leaves_the_caller_out() {
    alone(|| {
        let log = Log::default();
        let (_b, t) = (log.says("B"), log.says("T"));
        t.remove().unwrap();
        let _c = inserts(&log, "C", &Tasklet::current());
        t.switch().unwrap();
        log.add("A");
        assert_eq!(log.take(), "T B C A");
    });
}

#[test]
fn caller_of_switch_is_alive_and_paused() {
    alone(|| {
        let main = Tasklet::current();
        let other = Tasklet::spawn(move || {
            let flags = (main.is_alive(), main.is_scheduled(), main.is_paused());
            main.insert().unwrap();
            flags
        });
        other.switch().unwrap();
        assert_eq!(join(other), (true, false, true));
    });
}

#[test]
fn two_that_switch_to_each_other_are_coroutines() {
    alone(|| {
        let log = Log::default();
        let (main, inner) = (Tasklet::current(), log.clone());
        let other = Tasklet::builder()
            .paused(true)
            .spawn(move || {
                for what in ["1", "2", "3"] {
                    inner.add(what);
                    main.switch().unwrap();
                }
                main.insert().unwrap();
            })
            .unwrap();
        let _bystander = log.says("bystander");
        for what in ["a", "b", "c"] {
            other.switch().unwrap();
            log.add(what);
        }
        // Each goes in front of all that are ready; nobody comes in between.
        assert_eq!(log.take(), "1 a 2 b 3 c");
        other.switch().unwrap();
        join(other);
        assert_eq!(log.take(), "bystander");
    });
}

#[test]
fn switch_is_refused_as_run_is_and_then_pauses_nobody() {
    alone(|| {
        let (blocked, ended) = (spawn(|| Tasklet::receive().count()), spawn(|| ()));
        assert_eq!(blocked.switch(), Err(RunError::Blocked));
        assert_eq!(ended.switch(), Err(RunError::Ended));
        assert_eq!(Tasklet::current().switch(), Ok(()));
        let far = spawn_on(
            usize::from(Tasklet::current().worker() == 0),
            Tasklet::schedule_remove,
        );
        wait_until(|| far.is_paused());
        assert_eq!(far.switch(), Err(RunError::OtherWorker));
        far.insert().unwrap();
        join(far);
        let paused = Tasklet::builder().paused(true).spawn(|| ()).unwrap();
        let target = paused.tasklet().clone();
        block_on_thread(move || assert_eq!(target.switch(), Err(RunError::OtherWorker)));
        let target = paused.tasklet().clone();
        let unwinds = spawn(move || {
            let _switches = OnDrop::new(move || {
                assert_eq!(target.switch(), Err(RunError::Unwinding));
            });
            panic!("it unwinds");
        });
        assert!(matches!(unwinds.join(), Err(JoinError::Panicked(_))));
        assert!(paused.is_paused());
        paused.insert().unwrap();
    });
}

struct Switcher(Tasklet);

#[derive(Message)]
#[message(reply = Result<(), RunError>)]
struct Switch;

impl Actor for Switcher {}

impl Handler<Switch> for Switcher {
    fn handle(&mut self, _: Switch, _: &mut Context<Self>) -> Result<(), RunError> {
        self.0.switch()
    }
}

#[test]
fn a_handler_does_not_leave_the_run_queue() {
    alone(|| {
        let paused = Tasklet::builder().paused(true).spawn(|| ()).unwrap();
        let actor = Addr::spawn(Switcher(paused.tasklet().clone()));
        assert_eq!(actor.call(Switch).unwrap(), Err(RunError::OtherWorker));
        assert!(paused.is_paused());
        paused.insert().unwrap();
    });
}

#[test]
fn one_that_has_switched_away_is_killed_and_stopped_where_it_is() {
    alone(|| {
        let away = |end: fn(&Tasklet)| {
            let dropped = Count::new();
            let count = dropped.clone();
            let other = spawn(Tasklet::schedule_remove);
            let target = other.tasklet().clone();
            let away = spawn(move || {
                let _guard = OnDrop::new(move || _ = count.up());
                target.switch().unwrap();
                Tasklet::is_stopping()
            });
            assert!(away.is_paused());
            end(&away);
            let ended = away.join();
            assert_eq!(dropped.get(), 1);
            join(other);
            ended
        };
        assert!(matches!(away(Tasklet::kill_now), Err(JoinError::Killed)));
        assert!(matches!(away(Tasklet::kill), Err(JoinError::Killed)));
        assert!(matches!(away(Tasklet::stop), Ok(true)));
    });
}

#[test]
fn the_inner_code_of_a_generator_switches_as_others_do() {
    alone(|| {
        let log = Log::default();
        let (t, inner) = (log.says("T"), log.clone());
        t.remove().unwrap();
        let mut values = Generator::new(move |out| {
            t.run().unwrap();
            inner.add("after the run");
            out.give(1);
            let me = Tasklet::current();
            let _b = inserts(&inner, "B", &me);
            let c = inner.says("C");
            c.switch().unwrap();
            inner.add("after the switch");
            out.give(2);
        });
        assert_eq!((values.next(), values.next()), (Some(1), Some(2)));
        assert_eq!(log.take(), "T after the run C B after the switch");
    });
}

#[test]
fn one_that_waits_for_its_inner_code_is_as_if_it_ran() {
    alone(|| {
        let consumer = Tasklet::current();
        let mut values = Generator::new(move |out| {
            assert_eq!(consumer.remove(), Err(RemoveError::Current));
            assert_eq!(consumer.run(), Err(RunError::Blocked));
            assert!(consumer.is_scheduled() && !consumer.is_blocked());
            out.give(consumer.insert());
        });
        assert_eq!(values.next(), Some(Ok(())));
        let consumer = Tasklet::current();
        let removed = call(|| consumer.remove()).unwrap();
        assert_eq!(removed, Err(RemoveError::Current));
        // It has one place in the queue, and not two.
        let log = Log::default();
        let _others = (log.says("a"), log.says("b"));
        Tasklet::schedule();
        log.add("main");
        Tasklet::schedule();
        assert_eq!(log.take(), "a b main");
    });
}
