//! Where a child is started, and when: not before the one before it has ended, as far as that can be known.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_core::{BoxError, Tasklet, time};
use parking_lot::Mutex;

use crate::error::RemoteSpawnError;
use crate::link::KILL;
use crate::node::PeerRef;
use crate::protocol::Protocol;
use crate::remote_ref::RemoteRef;
use crate::spawned::{Fate, NotStarted, Right, Spawned};
use crate::standing::Standing;

/// How long a node is waited for that is there and is to say that a child is gone.
const ANSWER: Duration = Duration::from_secs(10);

/// How long such a node is left alone before it is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// How many are remembered that are behind broken links. Their nodes end them.
const MAX_ALIVE: usize = 16;

type Start<P> = dyn Fn(&PeerRef) -> Result<Spawned<P>, NotStarted> + Send + Sync;

/// All that the lives of a child have in common.
pub(super) struct Plan<P: Protocol> {
    start: Box<Start<P>>,
    pub(super) placements: Vec<PeerRef>,
    pub(super) linger: Duration,
    pub(super) elsewhere: bool,
    pub(super) standing: Arc<Standing>,
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    /// Where it was last.
    last: Option<usize>,
    /// Those that have been started, or perhaps have, and have not been seen to end: one at most, but for those
    /// behind broken links.
    alive: Vec<Alive>,
}

#[derive(Clone)]
struct Alive {
    right: Right,
    /// Since it was lost: from when on it is taken for ended, since its node has ended it.
    until: Option<Instant>,
}

/// One that has been started, and is killed when nobody has it any more.
pub(super) struct Held<P: Protocol> {
    spawned: Arc<Spawned<P>>,
    kills: bool,
}

/// What has come of an attempt.
pub(super) enum Placed<P: Protocol> {
    At(Held<P>),
    /// It may have started, or not.
    Perhaps,
}

/// Why a child is not there any more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lost {
    /// It has ended.
    Gone,
    /// Its node has not come back, or does not say whether it has it.
    Away,
}

impl<P: Protocol> Plan<P> {
    pub(super) fn new(placements: Vec<PeerRef>, linger: Duration, start: Box<Start<P>>) -> Plan<P> {
        Plan {
            start,
            placements,
            linger,
            elsewhere: false,
            standing: Standing::new(),
            place: Mutex::default(),
        }
    }

    /// Whether none has been started yet.
    pub(super) fn is_first(&self) -> bool {
        let place = self.place.lock();
        place.last.is_none() && place.alive.is_empty()
    }

    /// What the node is called where it was last.
    pub(super) fn node(&self) -> String {
        let last = self.place.lock().last;
        let peer = last.and_then(|place| self.placements.get(place));
        peer.map(|peer| peer.name().to_owned()).unwrap_or_default()
    }

    /// Tries all nodes, one after the other, for the first time.
    pub(super) fn start_first(&self) -> Result<Placed<P>, BoxError> {
        self.start_at(0..self.placements.len())
    }

    /// Has one started where it may be, when the one before has ended. Waits.
    pub(super) fn start(&self) -> Result<Held<P>, BoxError> {
        loop {
            let places = self.places()?;
            self.wait_for_ends();
            match self.start_at(places)? {
                Placed::At(held) => return Ok(held),
                Placed::Perhaps => {}
            }
        }
    }

    /// Where to try, the last place first if it is one.
    fn places(&self) -> Result<Vec<usize>, BoxError> {
        let count = self.placements.len();
        let last = self.place.lock().last;
        let first = last.unwrap_or(0);
        let places: Vec<_> = if last.is_some() && !self.elsewhere {
            vec![first]
        } else {
            (0..count).map(|n| (first + n) % count).collect()
        };
        // Failing at once would only use up the restarts that the supervisor makes.
        let peers: Vec<_> = places
            .iter()
            .map(|place| &self.placements[*place])
            .collect();
        if is_one_there(&peers, self.linger) {
            Ok(places)
        } else {
            let names: Vec<_> = peers.iter().map(|peer| peer.name()).collect();
            Err(format!("no link to {} has come back", names.join(", ")).into())
        }
    }

    /// Has it started at the first of these that does.
    fn start_at(&self, places: impl IntoIterator<Item = usize>) -> Result<Placed<P>, BoxError> {
        let mut failed = None;
        for place in places {
            let Some(peer) = self.placements.get(place) else {
                continue;
            };
            match (self.start)(peer) {
                Ok(spawned) => {
                    self.enter(spawned.right(), Some(place));
                    return Ok(Placed::At(Held {
                        spawned: Arc::new(spawned),
                        kills: true,
                    }));
                }
                Err(NotStarted { error, left }) => {
                    tracing::debug!(node = peer.name(), %error, "a child does not start there");
                    if let Some(right) = left {
                        // Not at the next one as well, before it is known.
                        self.enter(&right, None);
                        return Ok(Placed::Perhaps);
                    }
                    failed = Some(format!("{}: {error}", peer.name()));
                }
            }
        }
        Err(failed
            .unwrap_or_else(|| "it has no node to start at".to_owned())
            .into())
    }

    fn enter(&self, right: &Right, at: Option<usize>) {
        let mut place = self.place.lock();
        if at.is_some() {
            place.last = at;
        }
        if place.alive.len() >= MAX_ALIVE {
            place.alive.remove(0);
        }
        place.alive.push(Alive {
            right: right.clone(),
            until: None,
        });
    }

    /// It has ended.
    pub(super) fn has_ended(&self, right: &Right) {
        let mut place = self.place.lock();
        place.alive.retain(|alive| !alive.right.is_same(right));
    }

    /// From now on nobody knows whether it lives; until when it is not to be taken for ended.
    fn is_lost(&self, right: &Right) -> Option<Instant> {
        let mut place = self.place.lock();
        let found = place
            .alive
            .iter_mut()
            .find(|alive| alive.right.is_same(right));
        let until = || time::now().checked_add(self.linger);
        match found {
            Some(alive) => {
                alive.until = alive.until.or_else(until);
                alive.until
            }
            None => until(),
        }
    }

    /// Waits for the node of a child that was there when the link broke, and claims it.
    pub(super) fn reclaim(&self, spawned: &Spawned<P>) -> Result<RemoteRef<P>, Lost> {
        let right = spawned.right();
        let until = self.is_lost(right);
        loop {
            let left = remaining(until);
            if left.is_zero() || !right.wait_connected(left) {
                return Err(Lost::Away);
            }
            match spawned.claim() {
                Ok(reference) => {
                    self.is_back(right);
                    return Ok(reference);
                }
                Err(RemoteSpawnError::Disconnected) => {}
                Err(RemoteSpawnError::Gone) => return Err(Lost::Gone),
                Err(error) => {
                    tracing::debug!(%error, "a child cannot be claimed");
                    return Err(Lost::Away);
                }
            }
        }
    }

    fn is_back(&self, right: &Right) {
        let mut place = self.place.lock();
        for alive in &mut place.alive {
            if alive.right.is_same(right) {
                alive.until = None;
            }
        }
    }

    /// Has all ended that can be reached. Does not wait.
    pub(super) fn end_all(&self) {
        for alive in &self.place.lock().alive {
            alive.right.end(KILL);
        }
    }

    /// Waits until those have ended that have not been seen to.
    fn wait_for_ends(&self) {
        loop {
            let alive = self.place.lock().alive.clone();
            let mut waits = None;
            for Alive { right, .. } in alive {
                let until = self.is_lost(&right);
                // In any case: it may live behind a link that is there again.
                match right.finish(ANSWER) {
                    Fate::Gone => self.has_ended(&right),
                    Fate::Unreachable => waits = Some((right, until)),
                    Fate::Lives => {
                        Tasklet::sleep(PAUSE);
                        waits = Some((right, until));
                    }
                }
                // Its node has ended it by now, though nobody has heard so.
                waits.take_if(|(_, until)| remaining(*until).is_zero());
                if waits.is_some() {
                    break;
                }
            }
            let Some((right, until)) = waits else { return };
            right.wait_connected(remaining(until));
        }
    }
}

/// Waits until there is a link to one of these.
fn is_one_there(peers: &[&PeerRef], limit: Duration) -> bool {
    let until = time::now().checked_add(limit);
    if peers.is_empty() || peers.iter().any(|peer| peer.is_connected()) {
        return true;
    }
    loop {
        let left = remaining(until);
        // By turns: there is no event of any of them.
        let turn = if peers.len() > 1 {
            left.min(PAUSE)
        } else {
            left
        };
        if peers.iter().any(|peer| peer.wait_connected(turn)) {
            return true;
        }
        if left.is_zero() {
            return false;
        }
    }
}

fn remaining(until: Option<Instant>) -> Duration {
    until.map_or(Duration::MAX, |until| {
        until.saturating_duration_since(time::now())
    })
}

impl<P: Protocol> Held<P> {
    pub(super) fn spawned(&self) -> &Arc<Spawned<P>> {
        &self.spawned
    }

    /// It is not to be killed.
    pub(super) fn release(mut self) -> Arc<Spawned<P>> {
        self.kills = false;
        self.spawned.clone()
    }
}

impl<P: Protocol> Drop for Held<P> {
    fn drop(&mut self) {
        if self.kills {
            self.spawned.kill();
        }
    }
}

impl<P: Protocol> fmt::Debug for Held<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spawned.fmt(f)
    }
}
