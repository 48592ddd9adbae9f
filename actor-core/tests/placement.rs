//! Where tasklets are placed. In a process of its own: the load is that of all programs.

mod common;

use std::collections::HashMap;
use std::thread::{self, ThreadId};

use actor_core::{JoinHandle, Placement, Tasklet};
use common::*;

/// The thread of each worker.
fn threads() -> Vec<ThreadId> {
    let thread_of = |worker| join(spawn_on(worker, || thread::current().id()));
    (0..WORKERS).map(thread_of).collect()
}

/// A tasklet that stays until it is stopped, and tells on which thread it is.
fn resident(placement: Placement) -> (JoinHandle<()>, ThreadId) {
    let (tell, told) = std::sync::mpsc::channel();
    let tasklet = Tasklet::builder().placement(placement).spawn(move || {
        tell.send(thread::current().id()).expect("it is waited for");
        let _held = Tasklet::current();
        Tasklet::receive().for_each(drop);
    });
    let mut place = None;
    wait_until(|| {
        place = place.or_else(|| told.try_recv().ok());
        place.is_some()
    });
    (tasklet.expect("there is room"), place.expect("just seen"))
}

#[test]
fn the_least_loaded_worker_gets_the_tasklet() {
    run(|| {
        let threads = threads();
        for (free, own) in threads.iter().enumerate() {
            // Main, and what has just ended, count somewhere: by less than this.
            const FAR_MORE: usize = 20;
            let load: Vec<_> = (0..WORKERS * FAR_MORE)
                .filter(|n| n % WORKERS != free)
                .map(|n| resident(Placement::Worker(n)).0)
                .collect();
            let placed: Vec<_> = (0..FAR_MORE / 2)
                .map(|_| resident(Placement::LeastLoaded))
                .collect();
            assert!(placed.iter().all(|(_, thread)| thread == own));
            for tasklet in load.iter().chain(placed.iter().map(|(tasklet, _)| tasklet)) {
                tasklet.stop();
                promptly(|limit| tasklet.join_timeout(limit)).unwrap();
            }
        }
        // Each that is placed counts for the next.
        let placed: Vec<_> = (0..WORKERS * 20)
            .map(|_| resident(Placement::LeastLoaded))
            .collect();
        let mut counts = HashMap::new();
        for (tasklet, thread) in &placed {
            *counts.entry(*thread).or_insert(0) += 1;
            tasklet.stop();
        }
        assert!(
            threads.iter().all(|thread| counts[thread] >= 15),
            "{counts:?}"
        );
    });
}
