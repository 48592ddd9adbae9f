//! How generators end: by themselves, by an error or a panic, and dropped in the middle.

use super::*;

#[test]
fn an_error_is_the_last_element() {
    run(|| {
        let mut fails = Generator::fallible(|out| {
            out.give(1);
            Err("broken")
        });
        assert_eq!(fails.next(), Some(Ok(1)));
        assert_eq!(fails.next(), Some(Err("broken")));
        assert_eq!((fails.next(), fails.next()), (None, None));
        // It ends with the first error, as collecting does.
        let all: Result<Vec<u8>, std::num::ParseIntError> = Generator::fallible(|out| {
            for word in ["1", "2", "x", "4"] {
                out.give(word.parse()?);
            }
            Ok(())
        })
        .collect();
        assert!(all.is_err());
    });
}

#[test]
fn a_panic_comes_out_of_next() {
    run(|| {
        let mut unlucky = Generator::new(|out| {
            out.give(13);
            panic!("no luck");
        });
        assert_eq!(unlucky.next(), Some(13));
        let caught = catch_unwind(AssertUnwindSafe(|| unlucky.next()));
        assert_eq!(message_of(caught.unwrap_err()), "no luck");
        assert_eq!(unlucky.next(), None);
    });
}

#[test]
fn a_panic_keeps_its_place() {
    run(|| {
        let line = line!() + 2;
        let consumer = Tasklet::spawn(move || {
            Generator::new(|_: &Yielder<()>| panic!("here")).for_each(drop);
        });
        match consumer.join() {
            Err(JoinError::Panicked(panic)) => {
                let place = panic.location().expect("known");
                assert!(
                    place.contains(&format!("generators/ends.rs:{line}:")),
                    "{place}"
                );
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn dropping_it_ends_the_inner_code_at_once() {
    run(|| {
        let ended = Count::new();
        let mut begun = numbers(&ended);
        assert_eq!(begun.next(), Some(0));
        drop(begun);
        assert_eq!(ended.get(), 1);
        // One that has never begun only drops what it has.
        let held = Counted(0, ended.clone());
        drop(Generator::new(move |out: &Yielder<()>| {
            let _held = held;
            out.give(());
        }));
        assert_eq!(ended.get(), 2);
    });
}

#[test]
fn a_dropped_generator_leaves_no_tasklet() {
    run(|| {
        let ended = Count::new();
        for n in 0..1000 {
            assert_eq!(numbers(&ended).take(n % 3).count(), n % 3);
        }
        assert_eq!(ended.get(), 1000 - 1000_usize.div_ceil(3));
        assert!(Tasklet::current().children().is_empty());
    });
}

#[test]
fn an_element_that_nobody_waits_for_any_more_is_dropped_with_the_generator() {
    run(|| {
        let (dropped, given) = (Count::new(), Count::new());
        let (inner, gives) = (dropped.clone(), given.clone());
        let given_up = Gate::new();
        let gate = given_up.clone();
        let mut slow = Generator::new(move |out| {
            gate.pass();
            gives.up();
            out.give(Counted(1, inner.clone()));
        });
        let late: Option<Option<_>> = timeout(SHORT / 20, || Some(slow.next()));
        assert!(late.is_none());
        given_up.open();
        // It comes, though nobody waits.
        given.reach(1);
        assert_eq!(dropped.get(), 0);
        drop(slow);
        assert_eq!(dropped.get(), 1);
    });
}

#[test]
fn what_is_given_while_unwinding_is_dropped() {
    struct Gives<'a>(&'a Yielder<Counted>, Count);

    impl Drop for Gives<'_> {
        fn drop(&mut self) {
            self.0.give(Counted(9, self.1.clone()));
        }
    }

    run(|| {
        let dropped = Count::new();
        let inner = dropped.clone();
        let mut one = Generator::new(move |out| {
            let _gives = Gives(out, inner.clone());
            out.give(Counted(1, inner.clone()));
            panic!("over");
        });
        drop(one.next());
        assert_eq!(dropped.get(), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| one.next().is_some())).is_err());
        assert_eq!(dropped.get(), 2);
    });
}

#[test]
fn a_shield_holds_the_end_off_but_gives_nothing() {
    run(|| {
        let steps = Count::new();
        let inner = steps.clone();
        let mut shielded = Generator::new(move |out| {
            Tasklet::shield(|| {
                for n in 0..5 {
                    out.give(n);
                    inner.up();
                }
            });
            out.give(6);
            inner.up();
        });
        assert_eq!(shielded.next(), Some(0));
        drop(shielded);
        assert_eq!(steps.get(), 5);
    });
}

#[test]
fn dropping_a_nest_drops_all_of_it() {
    run(|| {
        let ended = Count::new();
        let inner = ended.clone();
        let mut outer = Generator::new(move |out| {
            let _ended = OnDrop::new({
                let inner = inner.clone();
                move || _ = inner.up()
            });
            numbers(&inner).for_each(|n| out.give(n));
        });
        assert_eq!(outer.next(), Some(0));
        drop(outer);
        wait_until(|| ended.get() == 2);
        wait_until(|| Tasklet::current().children().is_empty());
    });
}

/// Panics when it is dropped.
struct Fragile(bool);

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.0, "broken");
    }
}

#[test]
fn a_generator_ends_though_an_element_panics_when_it_is_dropped() {
    run(|| {
        let (ended, gate) = (Count::new(), Gate::new());
        let (counts, passes) = (ended.clone(), gate.clone());
        let mut fragile = Generator::new(move |out| {
            let _ended = OnDrop::new(move || _ = counts.up());
            passes.pass();
            out.give(Fragile(true));
        });
        let late = timeout(SHORT, || fragile.next().map(mem::forget));
        assert_eq!(late, None);
        gate.open();
        let inner = Tasklet::current().children().remove(0);
        wait_until_it_waits(&inner, "next element is wanted");
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(fragile)));
        assert!(dropped.is_err(), "there was an element");
        wait_until(|| ended.get() == 1);
    });
}

#[test]
fn what_was_given_stays_given_when_the_inner_code_ends_first() {
    run(|| {
        let gate = Gate::new();
        let passes = gate.clone();
        let mut late = Generator::new(move |out| {
            passes.pass();
            let _: Option<()> = timeout(SHORT, || {
                out.give(7);
                Some(())
            });
        });
        let inner = Tasklet::current().children().remove(0);
        assert_eq!(timeout(SHORT, || late.next().map(drop::<u32>)), None);
        gate.open();
        inner.wait();
        assert_eq!((late.next(), late.next()), (Some(7), None));
    });
}
