//! Tests as programs.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use actor_core::{Tasklet, dispatch, quit};

/// Turns a hang into a failure; nothing waits this long otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `test` as a main tasklet, and fails as it does.
pub fn in_tasklet<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = mpsc::channel();
    dispatch(move || {
        let _end = EndProgram;
        let _ = sender.send(test());
    });
    result.try_recv().expect("the main tasklet has panicked")
}

/// Stops what a test has left running, so that its panic does not look like a hang.
struct EndProgram;

impl Drop for EndProgram {
    fn drop(&mut self) {
        if std::thread::panicking() {
            quit(1);
        }
    }
}

/// Waits, in a tasklet, in an actor's handler or on a thread, until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what} never came");
        Tasklet::sleep(Duration::from_millis(1));
    }
}
