//! Run.

use super::*;

#[test]
fn run_of_a_queued_one_goes_on_from_its_place() {
    alone(|| {
        let log = Log::default();
        let (_b, c, _d) = (log.says("B"), log.says("C"), log.says("D"));
        c.run().unwrap();
        log.add("A");
        Tasklet::schedule();
        assert_eq!(log.take(), "C D A B");
    });
}

#[test]
fn run_of_the_last_one_comes_right_back() {
    alone(|| {
        let log = Log::default();
        let (_b, _c, d) = (log.says("B"), log.says("C"), log.says("D"));
        d.run().unwrap();
        log.add("A");
        Tasklet::schedule();
        assert_eq!(log.take(), "D A B C");
    });
}

#[test]
fn run_of_a_removed_one_runs_it_alone() {
    alone(|| {
        let log = Log::default();
        let (_b, t, _d) = (log.says("B"), log.says("T"), log.says("D"));
        t.remove().unwrap();
        t.run().unwrap();
        log.add("A");
        assert_eq!(log.take(), "T A");
        Tasklet::schedule();
        assert_eq!(log.take(), "B D");
    });
}

#[test]
fn the_caller_comes_right_after_a_removed_one_that_gives_way() {
    alone(|| {
        let log = Log::default();
        let inner = log.clone();
        let t = Tasklet::builder()
            .paused(true)
            .spawn(move || {
                inner.add("T1");
                Tasklet::schedule();
                inner.add("T2");
            })
            .unwrap();
        let _b = log.says("B");
        t.run().unwrap();
        log.add("A");
        Tasklet::schedule();
        assert_eq!(log.take(), "T1 A B T2");
    });
}

#[test]
fn run_of_blocked_dead_and_current() {
    alone(|| {
        let (blocked, ended) = (spawn(|| Tasklet::receive().count()), spawn(|| ()));
        assert_eq!(blocked.run(), Err(RunError::Blocked));
        assert_eq!(ended.run(), Err(RunError::Ended));
        let _ready = Tasklet::spawn(|| ());
        assert_eq!(Tasklet::current().run(), Ok(()));
    });
}

#[test]
fn nothing_is_switched_to_while_unwinding() {
    alone(|| {
        let log = Log::default();
        let other = Arc::new(log.says("other"));
        let target = other.clone();
        let unwinds = Tasklet::spawn(move || {
            let _on_drop = OnDrop::new(move || {
                assert_eq!(target.run(), Err(RunError::Unwinding));
                Tasklet::schedule_remove();
                Tasklet::run_all();
                target.kill_now();
            });
            panic!("it unwinds");
        });
        unwinds.run().unwrap();
        assert!(matches!(unwinds.join(), Err(JoinError::Panicked(_))));
        assert_killed(&other);
        assert_eq!(log.take(), "");
    });
}
