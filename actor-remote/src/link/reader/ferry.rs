//! What waits for room in a mailbox that is full.

use std::collections::VecDeque;
use std::sync::Arc;

use actor_core::Tasklet;
use actor_core::remote::Undelivered;
use parking_lot::Mutex;

use super::messages::{give_credit, refuse};
use super::{Link, LinkEnd};

type Wait = Box<dyn FnOnce() -> Result<(), Undelivered> + Send>;

/// The messages for one object that have found its mailbox full, in their order.
pub(super) struct Ferry {
    link: Arc<Link>,
    number: u64,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Wait, i64)>,
    /// What they cost together.
    cost: i64,
    /// Whether a tasklet brings them over.
    runs: bool,
}

impl Ferry {
    pub(super) fn new(link: Arc<Link>, number: u64) -> Ferry {
        Ferry {
            link,
            number,
            queue: Mutex::default(),
        }
    }

    /// Whether any are on the way: what comes next has to wait behind them.
    pub(super) fn is_busy(&self) -> bool {
        self.queue.lock().runs
    }

    /// `false` if more than `most` would wait: the sender does not keep to what it was allowed.
    pub(super) fn put(self: &Arc<Self>, wait: Wait, cost: i64, most: i64) -> bool {
        let begins = {
            let mut queue = self.queue.lock();
            if queue.cost + cost > most {
                return false;
            }
            queue.cost += cost;
            queue.waiting.push_back((wait, cost));
            !std::mem::replace(&mut queue.runs, true)
        };
        if begins {
            if let Some(id) = self.handle() {
                self.link.exports.hold(id);
            }
            let ferry = self.clone();
            let spawned = Tasklet::builder()
                .name("ferry")
                .daemon(true)
                .spawn(move || ferry.run());
            if let Err(error) = spawned {
                // No stack for it. They are lost, which their senders are told.
                tracing::warn!(%error, "messages for a full mailbox cannot wait");
                self.drop_all();
            }
        }
        true
    }

    /// Which handle the object is, if it was given to the other side in a message.
    fn handle(&self) -> Option<u32> {
        (self.number & 1 == 1).then(|| u32::try_from(self.number >> 1).ok())?
    }

    /// Nobody brings anything over, until more comes.
    fn rest(&self) {
        if let Some(id) = self.handle() {
            self.link.exports.let_go(id);
        }
    }

    fn drop_all(&self) {
        let waiting = {
            let mut queue = self.queue.lock();
            queue.runs = false;
            queue.cost = 0;
            std::mem::take(&mut queue.waiting)
        };
        for (_, cost) in waiting {
            refuse(&self.link, self.number, Undelivered::Full);
            give_credit(&self.link, self.number, cost);
        }
        self.rest();
    }

    fn run(&self) {
        /// A kill must not leave the queue without anybody who empties it.
        struct Empties<'a>(&'a Ferry);
        impl Drop for Empties<'_> {
            fn drop(&mut self) {
                self.0.drop_all();
            }
        }

        let empties = Empties(self);
        loop {
            let next = {
                let mut queue = self.queue.lock();
                let next = queue.waiting.pop_front();
                queue.runs = next.is_some();
                queue.cost -= next.as_ref().map_or(0, |(_, cost)| *cost);
                next
            };
            let Some((wait, cost)) = next else { break };
            // What comes over the next link must not find that of a broken one still arriving.
            let is_broken = !matches!(self.link.ended(), None | Some(LinkEnd::Closed));
            if is_broken || self.link.is_superseded() {
                return;
            }
            if let Err(why) = wait() {
                refuse(&self.link, self.number, why);
            }
            give_credit(&self.link, self.number, cost);
        }
        std::mem::forget(empties);
        self.rest();
    }
}
