//! Schedule.

use super::*;

#[test]
fn schedule_goes_round_robin() {
    alone(|| {
        let log = Log::default();
        let greet = |hello, bye| {
            let log = log.clone();
            Tasklet::spawn(move || {
                log.add(hello);
                Tasklet::schedule();
                log.add(bye);
            })
        };
        drop((greet("hello-A", "bye-A"), greet("hello-B", "bye-B")));
        Tasklet::run_all();
        assert_eq!(log.take(), "hello-A hello-B bye-A bye-B");
    });
}

#[test]
fn schedule_remove_waits_for_insert_whatever_else_happens() {
    alone(|| {
        let log = Log::default();
        let inner = log.clone();
        let me = Tasklet::builder()
            .spawn(move || {
                Tasklet::schedule_remove();
                inner.add("back");
                Tasklet::try_receive().is_some()
            })
            .unwrap();
        Tasklet::schedule();
        me.send(Note2).unwrap();
        Tasklet::schedule();
        assert_eq!(log.take(), "");
        me.insert().unwrap();
        assert_eq!(log.take(), "");
        Tasklet::schedule();
        assert_eq!(log.take(), "back");
        assert!(join(me));
    });
}

#[test]
fn run_count_counts_the_caller_and_those_that_are_ready() {
    alone(|| {
        assert_eq!(Tasklet::run_count(), 1);
        let two = [Tasklet::spawn(|| ()), Tasklet::spawn(|| ())];
        assert_eq!(Tasklet::run_count(), 3);
        two[0].remove().unwrap();
        assert_eq!(Tasklet::run_count(), 2);
        let count = Tasklet::spawn(Tasklet::run_count);
        // The caller of a run is not in the queue.
        Tasklet::run_all();
        assert_eq!(join(count), 1);
        two[0].insert().unwrap();
    });
    assert_eq!(Tasklet::run_count(), 0);
}
