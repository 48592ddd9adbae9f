//! Models of the answer to a call.

use std::sync::atomic::AtomicUsize as PlainUsize;
use std::sync::atomic::Ordering::SeqCst;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::check;
use crate::CallError;
use crate::reply::ReplyCell;
use crate::waiter::{ThreadParker, Waiter};

/// An answer that is dropped once, and was written before it is read.
struct Answer {
    value: UnsafeCell<usize>,
    dropped: std::sync::Arc<PlainUsize>,
}

impl Answer {
    fn new(dropped: &std::sync::Arc<PlainUsize>) -> Answer {
        let answer = Answer {
            value: UnsafeCell::new(0),
            dropped: dropped.clone(),
        };
        // SAFETY: not shared yet.
        answer.value.with_mut(|value| unsafe { *value = 42 });
        answer
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: exclusive.
        self.value
            .with_mut(|value| assert_eq!(unsafe { *value }, 42));
        self.dropped.fetch_add(1, SeqCst);
    }
}

/// The answer against a caller that looks once and then gives up: exactly one of the two wins, the
/// value comes out in the one case and is dropped with the cell in the other.
#[test]
fn loom_reply_is_answered_or_given_up() {
    check(None, || {
        let dropped = std::sync::Arc::new(PlainUsize::new(0));
        // No other model answers calls.
        let late_before = crate::dropped().late_replies;
        let caller = Waiter::Thread(ThreadParker::current());
        let cell = Arc::new(ReplyCell::<Answer>::new(caller));
        let answerer = {
            let (cell, dropped) = (cell.clone(), dropped.clone());
            thread::spawn(move || {
                let wanted = !cell.is_given_up();
                // SAFETY: the only answer.
                unsafe { cell.answer(Ok(Answer::new(&dropped))) };
                wanted
            })
        };
        // SAFETY: the only caller.
        let mut answer = unsafe { cell.take() };
        let mut given_up = false;
        if answer.is_none() {
            given_up = cell.give_up();
            if !given_up {
                // As `wait_for_reply` does it: giving up came too late.
                // SAFETY: the only caller, and nothing was taken yet.
                answer = unsafe { cell.take_late() };
            }
        }
        assert_eq!(answer.is_none(), given_up, "one of the two wins");
        if let Some(answer) = answer {
            assert_eq!(dropped.load(SeqCst), 0);
            let answer = answer.unwrap_or_else(|error: CallError| panic!("{error}"));
            // SAFETY: exclusive.
            assert_eq!(answer.value.with(|value| unsafe { *value }), 42);
        }
        let wanted = answerer.join().unwrap();
        assert!(wanted || given_up, "what is not wanted has been given up");
        let late = crate::dropped().late_replies - late_before;
        assert_eq!(late, u64::from(given_up), "both sides agree on who has won");
        drop(cell);
        assert_eq!(dropped.load(SeqCst), 1);
    });
}
