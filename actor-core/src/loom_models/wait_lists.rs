//! Models of [`WaitList`] and of a place for one.

use std::sync::atomic::Ordering::SeqCst;

use loom::thread;

use super::{check, made};
use crate::primitive::ConstAtomicUsize;
use crate::wait_list::{Sole, WaitList};
use crate::waiter::{ThreadParker, Waiter};

/// Of one that enters a wait list and then looks, and one that makes the change and then wakes the
/// list, one sees the other: in the line of several.
#[test]
fn loom_wait_list_misses_no_change() {
    check(None, || {
        let list = made(WaitList::new(), |list| assert!(list.is_empty()));
        let changed = made(ConstAtomicUsize::new(0), |changed| {
            changed.load(SeqCst);
        });
        let waker = {
            let (list, changed) = (list.clone(), changed.clone());
            thread::spawn(move || {
                changed.swap(1, SeqCst);
                list.wake_all();
            })
        };
        let parker = std::sync::Arc::new(ThreadParker::default());
        let place = list.enter(Waiter::Thread(parker.clone()));
        let seen = changed.load(SeqCst) != 0;
        waker.join().unwrap();
        assert!(seen || parker.is_woken(), "it waits for ever");
        assert_eq!(
            place.is_woken(),
            parker.is_woken(),
            "who is woken is taken out, and nobody else"
        );
        drop(place);
        assert!(list.is_empty());
    });
}

/// The same in the place for one, where the waiter may also give up at that moment: it is taken out by
/// one of the two.
#[test]
fn loom_wait_list_has_a_place_for_one() {
    check(None, || {
        let place = made(Sole::new(), |place| assert!(place.is_empty()));
        let changed = made(ConstAtomicUsize::new(0), |changed| {
            changed.load(SeqCst);
        });
        let waker = {
            let (place, changed) = (place.clone(), changed.clone());
            thread::spawn(move || {
                changed.swap(1, SeqCst);
                place.take().is_some()
            })
        };
        let waiter = std::sync::Arc::new(());
        let mine = place.put(waiter.clone()).unwrap();
        let seen = changed.load(SeqCst) != 0;
        // One that has seen the change does not wait, and gives its place up.
        let taken_back = seen && place.take_back(mine).is_some();
        let woken = waker.join().unwrap();
        assert!(seen || woken, "it waits for ever");
        assert!(!(taken_back && woken), "it has been taken out twice");
        if !woken && !taken_back {
            panic!("it has been left behind");
        }
        assert_eq!(std::sync::Arc::strong_count(&waiter), 1);
    });
}
