//! What comes out of a generator, and when its inner code runs.

use super::*;

#[test]
fn elements_come_in_order_and_then_none() {
    run(|| {
        let mut three = Generator::new(|out| (1..=3).for_each(|n| out.give(n)));
        assert_eq!(three.by_ref().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((three.next(), three.next()), (None, None));
        assert_eq!(Generator::new(|_: &Yielder<()>| ()).count(), 0);
    });
}

#[test]
fn the_inner_code_runs_only_in_next() {
    let log = run(|| {
        let log = Log::default();
        let inner = log.clone();
        let mut two = Generator::new(move |out| {
            inner.say("begins");
            out.give(1);
            inner.say("goes on");
            out.give(2);
            inner.say("returns");
        });
        let expect = |log: &Log, what: Option<i32>| log.say(format!("{what:?}"));
        Tasklet::yield_now();
        log.say("made");
        for _ in 0..3 {
            expect(&log, two.next());
            Tasklet::yield_now();
        }
        log
    });
    let said = [
        "made", "begins", "Some(1)", "goes on", "Some(2)", "returns", "None",
    ];
    assert_eq!(log.all(), said);
}

#[test]
fn nobody_else_runs_between_the_two() {
    run(|| {
        let others = Count::new();
        let other = {
            let others = others.clone();
            Tasklet::spawn(move || others.up())
        };
        let sum: u64 = Generator::new(|out| (0..100).for_each(|n| out.give(n))).sum();
        assert_eq!((sum, others.get()), (4950, 0));
        join(other);
    });
}

#[test]
fn elements_of_any_size_are_dropped_once() {
    run(|| {
        let dropped = Count::new();
        let inner = dropped.clone();
        let mut all = Generator::new(move |out| {
            (0..5).for_each(|n| out.give((Counted(n, inner.clone()), [n; 50])));
        });
        let first = all.next().unwrap();
        assert_eq!((first.1[49], dropped.get()), (0, 0));
        drop(first);
        drop(all.by_ref().take(2).collect::<Vec<_>>());
        assert_eq!(dropped.get(), 3);
        drop(all);
        // The inner code is in the middle of giving the third, and has not made the next.
        assert_eq!(dropped.get(), 3);
    });
}

#[test]
fn the_inner_code_may_wait() {
    run(|| {
        let others = Count::new();
        let counts = others.clone();
        let busy = Tasklet::spawn(move || {
            loop {
                counts.up();
                Tasklet::yield_now();
            }
        });
        let slow = Generator::new(|out| {
            for n in 0..3 {
                Tasklet::sleep(SHORT);
                out.give(n);
                Tasklet::yield_now();
                out.give(n + 10);
            }
        });
        assert!(slow.eq([0, 10, 1, 11, 2, 12]));
        assert!(others.get() > 0);
        busy.kill();
    });
}

#[test]
fn the_inner_code_is_a_tasklet_of_its_own() {
    tasklet_local! {
        static OWN: std::cell::Cell<u32> = std::cell::Cell::new(0);
        inherit static SHARED: std::cell::Cell<u32> = std::cell::Cell::new(0);
    }

    run(|| {
        OWN.with(|own| own.set(7));
        SHARED.with(|shared| shared.set(7));
        let me = Tasklet::current();
        let mut who = Generator::new(move |out| {
            let inner = Tasklet::current();
            assert!(inner != me && inner.parent() == Some(me.clone()));
            out.give((
                OWN.with(std::cell::Cell::get),
                SHARED.with(std::cell::Cell::get),
            ));
        });
        assert_eq!(who.next(), Some((0, 7)));
        assert_eq!(OWN.with(std::cell::Cell::get), 7);
        let roomy = Tasklet::builder().name("roomy").stack_size(1 << 20);
        let named = roomy.generator(|out| out.give(Tasklet::current().name().to_owned()));
        assert_eq!(named.unwrap().next().as_deref(), Some("roomy"));
    });
}
