//! What may wait, for those who must not.

use std::collections::VecDeque;
use std::sync::Arc;

use actor_core::Tasklet;
use parking_lot::Mutex;

/// What is done one after the other by a tasklet of its own, while there is something to do.
#[derive(Default)]
pub(super) struct Aside {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    /// A tasklet sees to it.
    runs: bool,
}

impl Aside {
    pub(super) fn run(&self, work: Box<dyn FnOnce() + Send>) {
        {
            let mut queue = self.queue.lock();
            queue.waiting.push_back(work);
            if std::mem::replace(&mut queue.runs, true) {
                return;
            }
        }
        let queue = self.queue.clone();
        let spawned = Tasklet::builder()
            .name("stores what was answered")
            .daemon(true)
            .spawn(move || work_off(&queue));
        if let Err(error) = spawned {
            // Then here, though it may take its time.
            tracing::warn!(%error, "what was answered is stored in place");
            work_off(&self.queue);
        }
    }
}

fn work_off(queue: &Mutex<Queue>) {
    loop {
        let next = {
            let mut queue = queue.lock();
            let next = queue.waiting.pop_front();
            queue.runs = next.is_some();
            next
        };
        let Some(work) = next else { return };
        work();
    }
}
