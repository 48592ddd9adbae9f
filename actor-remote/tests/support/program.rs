//! What all tests of nodes need: a program to run in, and ways to wait.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{JoinHandle, Tasklet, dispatch, time};

/// Longer than anything takes that goes well, on a machine that is busy with something else.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Runs a test in a program of its own.
pub(crate) fn program(test: impl FnOnce() + Send + 'static) {
    assert_eq!(dispatch(test), ExitCode::SUCCESS);
}

/// Waits until something holds that no event tells of.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = time::now() + LONG;
    while !holds() {
        assert!(time::now() < limit, "it never came to pass that {what}");
        Tasklet::sleep(Duration::from_millis(1));
    }
}

/// One that takes calls and does not answer them, and an event that is set when it has one.
pub(crate) fn deaf() -> (JoinHandle<()>, Arc<Event>) {
    let taken = Arc::new(Event::new());
    let deaf = Tasklet::spawn({
        let taken = taken.clone();
        move || {
            let mut kept = Vec::new();
            for message in Tasklet::receive() {
                kept.push(message);
                taken.set();
            }
        }
    });
    (deaf, taken)
}
