//! For how long a link has been silent.

use std::time::Instant;

use actor_core::time;

use super::super::Heartbeat;

/// For how long nothing has come.
pub(super) struct Silence {
    heartbeat: Heartbeat,
    since: Instant,
    looked: Instant,
}

impl Silence {
    pub(super) fn new(heartbeat: Heartbeat) -> Silence {
        let now = time::now();
        Silence {
            heartbeat,
            since: now,
            looked: now,
        }
    }

    pub(super) fn is_broken(&mut self) {
        self.since = time::now();
        self.looked = self.since;
    }

    /// Whether it has lasted for too long. A process that was itself stopped meanwhile has not listened, and
    /// what came is still to be read.
    pub(super) fn is_over(&mut self) -> bool {
        let now = time::now();
        // It is looked at after every pause for which a read waits.
        if now - self.looked > self.heartbeat.ask + self.heartbeat.give_up / 2 {
            self.since = now;
        }
        self.looked = now;
        now - self.since >= self.heartbeat.give_up
    }
}
