//! Start-up checks of what the runtime relies on in `may`.
//!
//! That a tasklet never leaves its thread is what makes the framework sound. It holds if `may` runs
//! what it is given where it is told, and moves nothing. Both can be broken from outside: another
//! crate of the build can switch on `may`'s work stealing, since cargo unifies features, and code
//! that ran first can have started `may` with other settings. So it is tried, once, in two
//! milliseconds; and a runtime that would not be sound does not start.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::{RuntimeError, substrate, worker};

/// How long a probe may take; only a broken `may` lets it pass.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many coroutines are offered to a thief, and for how long.
const BAIT: usize = 8;
const BAIT_TIME: Duration = Duration::from_millis(2);

/// Checks that there are `workers` workers, that each is told by its number, and that none steals.
pub(crate) fn check(workers: usize) -> Result<(), RuntimeError> {
    let threads = (0..=workers)
        .map(thread_of)
        .collect::<Result<Vec<_>, _>>()?;
    let distinct: HashSet<_> = threads[..workers].iter().collect();
    if distinct.len() != workers || threads[workers] != threads[0] {
        return Err(failed(format!(
            "`may` does not have the {workers} workers it was configured with ({}): it must have been \
             started by something else in this process",
            substrate::configured_workers(),
        )));
    }
    if workers > 1 {
        check_stealing(threads[0])?;
    }
    mark_timer_thread()
}

/// Finds `may`'s timer thread and marks it: a tasklet that calls one of `may`'s own sleeps comes back
/// there, and must not be taken for a plain thread.
fn mark_timer_thread() -> Result<(), RuntimeError> {
    let (tell, told) = mpsc::channel();
    substrate::start_on_timer_thread(move || {
        worker::mark_as_mays_thread();
        let _ = tell.send(());
    })?;
    told.recv_timeout(PATIENCE)
        .map_err(|_| failed("the timers of `may` do not run".into()))
}

/// The thread on which a coroutine for the worker `id` runs.
fn thread_of(id: usize) -> Result<ThreadId, RuntimeError> {
    let (tell, told) = mpsc::channel();
    substrate::start_on(id, move || {
        let _ = tell.send(thread::current().id());
    })?;
    told.recv_timeout(PATIENCE)
        .map_err(|_| failed(format!("nothing runs on worker {id} of `may`")))
}

/// Queues coroutines on worker 0, wakes worker 1 while worker 0 is held, and sees whether one moves.
fn check_stealing(home: ThreadId) -> Result<(), RuntimeError> {
    let moved = Arc::new(AtomicUsize::new(0));
    let (done, all_done) = mpsc::channel();
    let bait = {
        let moved = moved.clone();
        move || {
            for _ in 0..BAIT {
                let (moved, done) = (moved.clone(), done.clone());
                let queued = substrate::queue_here(move || {
                    if thread::current().id() != home {
                        moved.fetch_add(1, Ordering::Relaxed);
                    }
                    let _ = done.send(());
                });
                if queued.is_err() {
                    return;
                }
            }
            if substrate::start_on(1, || ()).is_ok() {
                // Holds this thread, so that only a thief can run what is queued on it.
                thread::sleep(BAIT_TIME);
            }
        }
    };
    substrate::start_on(0, bait)?;
    for _ in 0..BAIT {
        all_done
            .recv_timeout(PATIENCE)
            .map_err(|_| failed("coroutines queued on a worker of `may` do not run".into()))?;
    }
    match moved.load(Ordering::Relaxed) {
        0 => Ok(()),
        moved => Err(failed(format!(
            "`may` moves coroutines between threads ({moved} of {BAIT}): its feature `work_steal` is \
             on; `cargo tree -e features -i may` shows which crate asks for it"
        ))),
    }
}

fn failed(why: String) -> RuntimeError {
    RuntimeError::ProbeFailed(why)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{dispatch, worker};

    /// To switch work stealing on would take a second build of everything. Its effect is that what is
    /// queued on a worker runs elsewhere than at home, and that can be had by naming another home.
    #[test]
    fn what_runs_elsewhere_than_it_was_queued_is_taken_for_stolen() {
        let _ = dispatch(|| ());
        let home = thread_of(0).unwrap();
        check_stealing(home).unwrap();
        let elsewhere = thread::current().id();
        let refused = check_stealing(elsewhere).unwrap_err().to_string();
        assert!(refused.contains("work_steal"), "{refused}");
        assert!(refused.contains("cargo tree"), "does not say what helps");
    }

    #[test]
    fn another_number_of_workers_is_noticed() {
        let _ = dispatch(|| ());
        let workers = worker::all().len();
        check(workers).unwrap();
        for wrong in [workers + 1, workers - 1] {
            if wrong > 0 {
                let refused = check(wrong).unwrap_err();
                assert!(matches!(refused, RuntimeError::ProbeFailed(_)));
            }
        }
    }
}
