//! The connections that a server has at the moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use actor_core::sync::Event;
use actor_core::{Tasklet, WeakTasklet};
use parking_lot::Mutex;

/// See the [module](self). Shared by the server, its handle and the connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    state: Mutex<State>,
    /// Set when, after the listener has been closed, the last connection has ended.
    none_left: Event,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Those that have a place. The tasklet is told once it runs; not a strong reference, which
    /// would keep the mailbox of one open that nobody else can send to.
    places: HashMap<u64, Option<WeakTasklet>>,
    phase: Phase,
    /// Nobody is admitted any more.
    closed: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.closed && self.places.is_empty()
    }
}

/// What becomes of tasklets that have got their place and do not run yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Serving,
    Stopping,
    Killing,
}

impl Phase {
    fn tell(self, tasklet: &Tasklet) {
        match self {
            Phase::Serving => {}
            Phase::Stopping => tasklet.stop(),
            Phase::Killing => tasklet.kill(),
        }
    }
}

impl Connections {
    /// A place for one more, unless there are `limit` already.
    pub(super) fn admit(self: &Arc<Self>, limit: Option<usize>) -> Option<Place> {
        let mut state = self.state.lock();
        if limit.is_some_and(|limit| state.places.len() >= limit) {
            return None;
        }
        let id = state.next;
        state.next += 1;
        state.places.insert(id, None);
        Some(Place {
            connections: Arc::clone(self),
            id,
        })
    }

    /// Whether all are asked to stop.
    pub(super) fn are_stopping(&self) -> bool {
        self.state.lock().phase >= Phase::Stopping
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().places.len()
    }

    pub(super) fn count_refused(&self, connections: u64) {
        self.refused.fetch_add(connections, Relaxed);
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Asks all to stop, also those that do not run yet. Nobody may be admitted after that.
    pub(super) fn stop_all(&self) {
        self.state.lock().closed = true;
        self.tell_all(Phase::Stopping);
    }

    /// Kills all, also those that do not run yet or are still to be admitted.
    pub(super) fn kill_all(&self) {
        self.tell_all(Phase::Killing);
    }

    fn tell_all(&self, phase: Phase) {
        let tasklets: Vec<Tasklet> = {
            let mut state = self.state.lock();
            state.phase = state.phase.max(phase);
            if state.is_over() {
                self.none_left.set();
            }
            let running = state.places.values().flatten();
            running.filter_map(WeakTasklet::upgrade).collect()
        };
        // Not under the lock, which the tasklets take when they end.
        for tasklet in &tasklets {
            phase.tell(tasklet);
        }
    }

    /// Waits until the last has ended, after [`stop_all`](Self::stop_all).
    pub(super) fn wait_until_none(&self) {
        self.none_left.wait();
    }
}

/// One connection's place among the others, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    id: u64,
}

impl Place {
    /// Makes the current tasklet known as the connection's.
    pub(super) fn occupy(&self) {
        let tasklet = Tasklet::current();
        let phase = {
            let mut state = self.connections.state.lock();
            state.places.insert(self.id, Some(tasklet.downgrade()));
            state.phase
        };
        phase.tell(&tasklet);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let last = {
            let mut state = self.connections.state.lock();
            state.places.remove(&self.id);
            state.is_over()
        };
        if last {
            self.connections.none_left.set();
        }
    }
}

/// Kills what connections are left when it is dropped.
#[derive(Debug)]
pub(super) struct KillOnDrop<'a>(pub(super) &'a Connections);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.kill_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shutdown may run out of grace before the accept loop has seen that it is to stop, and it
    /// may admit another connection then.
    #[test]
    fn one_admitted_after_a_kill_is_waited_for() {
        let connections = Arc::<Connections>::default();
        connections.kill_all();
        let place = connections.admit(None).unwrap();
        connections.stop_all();
        assert!(!connections.none_left.is_set());
        drop(place);
        connections.wait_until_none();
    }
}
