//! Models of [`Permits`].

use loom::thread;

use super::{check, made};
use crate::sync::permits::Permits;
use crate::waiter::{ThreadParker, Waiter};

fn parker() -> std::sync::Arc<ThreadParker> {
    std::sync::Arc::default()
}

/// One that finds no permit and joins the line while a permit is given back: it has it in the end, by
/// its own second look or by whoever gave it back, who then wakes it.
#[test]
fn loom_permits_lose_no_release_to_one_who_joins_the_line() {
    check(None, || {
        let permits = made(Permits::new(0), |permits| assert_eq!(permits.free(), 0));
        let releaser = {
            let permits = permits.clone();
            thread::spawn(move || permits.release(1))
        };
        if !permits.try_acquire(1).unwrap() {
            let own = parker();
            let place = permits.enter(1, Waiter::Thread(own.clone()));
            let at_once = place.look().is_some();
            releaser.join().unwrap();
            assert!(matches!(place.look(), Some(Ok(()))), "it waits for ever");
            assert!(at_once || own.is_woken(), "it sleeps for ever");
            // Not kept: it goes back.
            drop(place);
            assert_eq!(permits.free(), 1);
        } else {
            releaser.join().unwrap();
            assert_eq!(permits.free(), 0);
        }
    });
}

/// The first in the line gives up while a permit is given back: the second has it.
#[test]
fn loom_permits_pass_on_what_one_who_gives_up_was_granted() {
    check(Some(3), || {
        let permits = made(Permits::new(0), |permits| assert_eq!(permits.free(), 0));
        let (first, second) = (parker(), parker());
        let gives_up = permits.enter(1, Waiter::Thread(first));
        let waits = permits.enter(1, Waiter::Thread(second.clone()));
        let releaser = {
            let permits = permits.clone();
            thread::spawn(move || permits.release(1))
        };
        drop(gives_up);
        releaser.join().unwrap();
        assert!(matches!(waits.look(), Some(Ok(()))), "it waits for ever");
        assert!(second.is_woken(), "it sleeps for ever");
        drop(waits);
        assert_eq!(permits.free(), 1);
    });
}
