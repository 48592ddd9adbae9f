//! What is done before a tasklet gives up its stack.

use std::cell::Cell;
use std::time::Duration;

use actor_core::__private::on_leaving;
use actor_core::{Tasklet, dispatch};

#[test]
fn it_is_done_at_each_wait_and_no_other_time() {
    dispatch(|| {
        let count = Cell::new(0);
        let leaving = || count.set(count.get() + 1);
        Tasklet::yield_now();
        let result = on_leaving(&leaving, || {
            assert_eq!(count.get(), 0);
            Tasklet::yield_now();
            assert_eq!(count.get(), 1);
            Tasklet::sleep(Duration::from_millis(1));
            assert_eq!(count.get(), 2);
            // Waits for nothing.
            drop(Tasklet::current().name().to_owned());
            Tasklet::spawn(Tasklet::yield_now).join().unwrap();
            "result"
        });
        assert_eq!((result, count.get()), ("result", 3));
        Tasklet::yield_now();
        assert_eq!(count.get(), 3);
    });
}

#[test]
fn the_innermost_counts_and_the_one_before_comes_back() {
    dispatch(|| {
        let (outer, inner) = (Cell::new(0), Cell::new(0));
        on_leaving(&|| outer.set(outer.get() + 1), || {
            on_leaving(&|| inner.set(inner.get() + 1), Tasklet::yield_now);
            assert_eq!((outer.get(), inner.get()), (0, 1));
            Tasklet::yield_now();
            assert_eq!((outer.get(), inner.get()), (1, 1));
        });
    });
}

#[test]
fn it_is_over_when_the_work_is_unwound() {
    dispatch(|| {
        let (tell, told) = std::sync::mpsc::channel();
        let victim = Tasklet::spawn(move || {
            struct AtEnd(std::sync::mpsc::Sender<i32>);

            impl Drop for AtEnd {
                fn drop(&mut self) {
                    // Would wait, if it were not unwinding.
                    let _ = Tasklet::receive_one();
                    self.0.send(-1).unwrap();
                }
            }

            let count = Cell::new(0);
            let _at_end = AtEnd(tell.clone());
            let leaving = || {
                count.set(count.get() + 1);
                tell.send(count.get()).unwrap();
            };
            on_leaving(&leaving, || Tasklet::sleep(Duration::MAX));
        });
        Tasklet::yield_now();
        assert_eq!(told.try_recv(), Ok(1));
        victim.kill();
        victim.join().unwrap_err();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [-1]);
    });
}

#[test]
fn a_panic_in_it_is_contained() {
    dispatch(|| {
        on_leaving(&|| panic!("must not matter"), Tasklet::yield_now);
    });
}

#[test]
fn a_plain_thread_only_does_the_work() {
    assert_eq!(on_leaving(&|| unreachable!(), || 7), 7);
}
