//! Kills, timeouts and stops, of the consumer and of the inner code.

use super::*;

#[test]
fn a_kill_of_the_consumer_ends_the_inner_code_that_waits() {
    run(|| {
        let ended = Count::new();
        let inner = ended.clone();
        let consumer = spawn(move || {
            Generator::new(move |out: &Yielder<()>| {
                let _ended = OnDrop::new(move || _ = inner.up());
                Tasklet::sleep(PATIENCE * 10);
                out.give(());
            })
            .next()
        });
        wait_until_it_waits(&consumer, "waits for an element of");
        let child = consumer.children().remove(0);
        consumer.kill();
        assert_killed(&consumer);
        wait_until(|| ended.get() == 1 && !child.is_alive());
    });
}

#[test]
fn a_kill_between_two_elements_ends_both() {
    run(|| {
        let ended = Count::new();
        let inner = ended.clone();
        let consumer = spawn(move || {
            let mut numbers = numbers(&inner);
            loop {
                numbers.next();
                Tasklet::yield_now();
            }
        });
        Tasklet::yield_now();
        consumer.kill();
        assert_killed(&consumer);
        wait_until(|| ended.get() == 1);
    });
}

#[test]
fn a_kill_of_the_inner_tasklet_is_no_end() {
    run(|| {
        let mut suicidal = Generator::new(|out| {
            out.give(1);
            Tasklet::current().kill();
            Tasklet::yield_now();
        });
        assert_eq!(suicidal.next(), Some(1));
        let caught = catch_unwind(AssertUnwindSafe(|| suicidal.next()));
        let message = message_of(caught.unwrap_err());
        assert!(message.contains("killed"), "{message}");
        assert_eq!(suicidal.next(), None);
    });
}

#[test]
fn a_timeout_around_next_loses_nothing() {
    run(|| {
        let gate = Gate::new();
        let inner = gate.clone();
        let mut slow = Generator::new(move |out| {
            for n in 0..3 {
                inner.pass();
                out.give(n);
            }
        });
        for _ in 0..3 {
            let late: Option<Option<_>> = timeout(SHORT, || Some(slow.next()));
            assert!(late.is_none());
        }
        gate.open();
        assert!(slow.eq(0..3));
    });
}

#[test]
fn a_timeout_around_give_limits_the_wait_for_the_next_demand() {
    run(|| {
        let lost_patience = Count::new();
        let loses = lost_patience.clone();
        let mut impatient = Generator::new(move |out| {
            let late = timeout(SHORT, || -> Option<()> {
                out.give("first");
                None
            });
            assert_eq!(late, None);
            loses.up();
            out.give("second");
        });
        assert_eq!(impatient.next(), Some("first"));
        lost_patience.reach(1);
        assert_eq!(impatient.next(), Some("second"));
        assert_eq!(impatient.next(), None);
    });
}

#[test]
fn a_stop_is_passed_on_and_no_demand() {
    run(|| {
        let log = Log::default();
        let (inner, too_early) = (log.clone(), log.clone());
        let consumer = spawn(move || {
            let mut stops = Generator::new(move |out| {
                inner.say("begins");
                Tasklet::receive().for_each(drop);
                inner.say("was asked to stop");
                out.give(7);
            });
            Tasklet::current().children()[0].stop();
            Tasklet::yield_now();
            too_early.say("stopped");
            stops.next()
        });
        assert_eq!(join(consumer), Some(7));
        assert_eq!(log.all(), ["stopped", "begins", "was asked to stop"]);
    });
}

#[test]
fn a_stop_of_the_consumer_reaches_the_inner_code() {
    run(|| {
        let consumer = spawn(|| {
            let mut waits = Generator::new(|out| {
                // Nobody can send to it, so only a reference keeps its loop going.
                let myself = Tasklet::current();
                Tasklet::receive().for_each(drop);
                drop(myself);
                out.give("stopped");
            });
            waits.next()
        });
        wait_until_it_waits(&consumer, "waits for an element of");
        consumer.stop();
        assert_eq!(join(consumer), Some("stopped"));
    });
}
