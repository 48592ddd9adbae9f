//! [`Pool`]: connections between two requests.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actor_core::{Tasklet, time};
use parking_lot::Mutex;

use super::conn::Conn;
use super::proxy::Route;

/// How many connections are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) per_host: usize,
    pub(super) in_all: usize,
    pub(super) time: Duration,
}

/// Connections that nobody uses, of all workers: a source that is waited on elsewhere takes its registration
/// along.
#[derive(Debug)]
pub(super) struct Pool {
    kept: Kept,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// Of each way, those that were used last at the end. None is empty.
    ways: HashMap<Route, Vec<Waiting>>,
    count: usize,
}

#[derive(Debug)]
struct Waiting {
    conn: Conn,
    since: Instant,
    /// Where it was used last.
    worker: Option<usize>,
}

impl Pool {
    pub(super) fn new(kept: Kept) -> Pool {
        Pool {
            kept,
            idle: Mutex::default(),
        }
    }

    /// A connection that goes this way, is open and silent; one that this worker has used before, if there is.
    pub(super) fn take(&self, route: &Route) -> Option<Conn> {
        loop {
            let mut waiting = self.idle.lock().take(route)?;
            let is_young = waiting.since.elapsed_on_clock() < self.kept.time;
            if is_young && waiting.conn.is_quiet() {
                return Some(waiting.conn);
            }
            // Those that the server has closed are found here as well.
            waiting.conn.close();
        }
    }

    /// Keeps a connection for others, unless there are enough, or something has come over it that nobody has
    /// asked for.
    pub(super) fn put(&self, route: Route, conn: Conn) {
        if !conn.input.is_empty() {
            return;
        }
        let waiting = Waiting {
            conn,
            since: time::now(),
            worker: here(),
        };
        let surplus = self.idle.lock().put(route, waiting, &self.kept);
        for waiting in surplus {
            waiting.conn.close();
        }
    }

    /// How many are kept.
    pub(super) fn count(&self) -> usize {
        self.idle.lock().count
    }

    /// Closes all that are kept.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        for waiting in idle.ways.into_values().flatten() {
            waiting.conn.close();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.clear();
    }
}

trait OnClock {
    fn elapsed_on_clock(&self) -> Duration;
}

impl OnClock for Instant {
    /// On the runtime's clock, which may be virtual.
    fn elapsed_on_clock(&self) -> Duration {
        time::now().saturating_duration_since(*self)
    }
}

fn here() -> Option<usize> {
    Tasklet::try_current().map(|tasklet| tasklet.worker())
}

impl Idle {
    fn take(&mut self, route: &Route) -> Option<Waiting> {
        let way = self.ways.get_mut(route)?;
        let here = here();
        let near = way.iter().rposition(|waiting| waiting.worker == here);
        let waiting = match near {
            Some(at) => way.remove(at),
            None => way.pop()?,
        };
        if way.is_empty() {
            self.ways.remove(route);
        }
        self.count -= 1;
        Some(waiting)
    }

    /// Gives what is to be closed.
    fn put(&mut self, route: Route, waiting: Waiting, kept: &Kept) -> Vec<Waiting> {
        let mut surplus = Vec::new();
        let old = |waiting: &Waiting| waiting.since.elapsed_on_clock() >= kept.time;
        for way in self.ways.values_mut() {
            surplus.extend(way.extract_if(.., |waiting| old(waiting)));
        }
        let way = self.ways.entry(route).or_default();
        way.push(waiting);
        self.count += 1;
        if way.len() > kept.per_host {
            surplus.push(way.remove(0));
        }
        self.count -= surplus.len();
        while self.count > kept.in_all {
            let first = |way: &&mut Vec<Waiting>| way.first().map(|waiting| waiting.since);
            let ways = self.ways.values_mut().filter(|way| !way.is_empty());
            let Some(oldest) = ways.min_by_key(first) else {
                break;
            };
            surplus.push(oldest.remove(0));
            self.count -= 1;
        }
        self.ways.retain(|_, way| !way.is_empty());
        surplus
    }
}
