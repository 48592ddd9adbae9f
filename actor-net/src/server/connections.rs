//! The connections that a server has at the moment.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use actor_core::__private::AnyActor;
use actor_core::sync::Event;
use actor_core::{ExitReason, Tasklet, WeakTasklet};
use parking_lot::Mutex;

use crate::roll::Roll;

/// See the [module](self). Shared by the server, its handle and the connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    state: Mutex<State>,
    /// Set when, after the listener has been closed, the last connection has ended.
    none_left: Event,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// How many have a place.
    count: usize,
    /// Those of them that are told one by one.
    members: Roll<Member>,
    /// Who tells the others.
    hosts: Vec<Weak<dyn Host>>,
    phase: Phase,
    /// Nobody is admitted any more.
    closed: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.closed && self.count == 0
    }
}

/// Who is to be told of the server's end.
#[derive(Clone)]
enum Member {
    /// It does not run yet.
    Nobody,
    /// Not a strong reference, which would keep the mailbox of one open that nobody else can send to.
    Tasklet(WeakTasklet),
    /// Of a connection without a tasklet.
    Actor(AnyActor),
    /// What is left to be written goes on without its actor. Few are: hence the box.
    Lingering(Box<Arc<dyn Lingering>>),
}

/// A connection that nobody serves any more, and that takes its time to close.
pub(crate) trait Lingering: Send + Sync {
    /// It is to end at once.
    fn kill(&self);
}

/// Has connections that are no members by themselves.
pub(crate) trait Host: Send + Sync {
    /// They are to end soon.
    fn stop(self: Arc<Self>);

    /// They are to end at once.
    fn kill(self: Arc<Self>);
}

impl fmt::Debug for dyn Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Member::Nobody => f.write_str("Nobody"),
            Member::Tasklet(tasklet) => tasklet.fmt(f),
            Member::Actor(actor) => actor.fmt(f),
            Member::Lingering(_) => f.write_str("Lingering"),
        }
    }
}

/// What becomes of tasklets that have got their place and do not run yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Serving,
    Stopping,
    Killing,
}

impl Phase {
    fn tell(self, member: &Member) {
        match (self, member) {
            (Phase::Serving, _) | (_, Member::Nobody) => {}
            (Phase::Stopping, Member::Tasklet(tasklet)) => {
                if let Some(tasklet) = tasklet.upgrade() {
                    tasklet.stop();
                }
            }
            (Phase::Killing, Member::Tasklet(tasklet)) => {
                if let Some(tasklet) = tasklet.upgrade() {
                    tasklet.kill();
                }
            }
            (Phase::Stopping, Member::Actor(actor)) => actor.stop_for(&ExitReason::Shutdown),
            (Phase::Killing, Member::Actor(actor)) => actor.kill(),
            (Phase::Stopping, Member::Lingering(_)) => {}
            (Phase::Killing, Member::Lingering(connection)) => connection.kill(),
        }
    }
}

/// What a newcomer is to be told.
#[must_use]
pub(crate) struct Told(Phase, Member);

impl Told {
    pub(crate) fn tell(self) {
        self.0.tell(&self.1);
    }
}

impl Connections {
    /// A place for one more, unless there are `limit` already.
    pub(crate) fn admit(self: &Arc<Self>, limit: Option<usize>) -> Option<Place> {
        let mut state = self.state.lock();
        if limit.is_some_and(|limit| state.count >= limit) {
            return None;
        }
        state.count += 1;
        drop(state);
        Some(Place::unnumbered(self))
    }

    /// Makes a host known, and says what it has missed.
    #[cfg(feature = "http")]
    pub(crate) fn host(&self, host: Weak<dyn Host>) -> Phase {
        let mut state = self.state.lock();
        state.hosts.push(host);
        state.phase
    }

    /// Whether all are asked to stop.
    pub(crate) fn are_stopping(&self) -> bool {
        self.state.lock().phase >= Phase::Stopping
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().count
    }

    pub(super) fn count_refused(&self, connections: u64) {
        self.refused.fetch_add(connections, Relaxed);
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Asks all to stop, also those that do not run yet. Nobody may be admitted after that.
    pub(crate) fn stop_all(&self) {
        self.state.lock().closed = true;
        self.tell_all(Phase::Stopping);
    }

    /// Kills all, also those that do not run yet or are still to be admitted.
    pub(crate) fn kill_all(&self) {
        self.tell_all(Phase::Killing);
    }

    fn tell_all(&self, phase: Phase) {
        let (members, hosts): (Vec<Member>, _) = {
            let mut state = self.state.lock();
            state.phase = state.phase.max(phase);
            if state.is_over() {
                self.none_left.set();
            }
            (state.members.iter().cloned().collect(), state.hosts.clone())
        };
        // Not under the lock, which they take when they end.
        for host in hosts.iter().filter_map(Weak::upgrade) {
            match phase {
                Phase::Serving => {}
                Phase::Stopping => host.stop(),
                Phase::Killing => host.kill(),
            }
        }
        for member in &members {
            phase.tell(member);
        }
    }

    /// Makes the actor of a connection known, unless that has ended already.
    pub(crate) fn occupy(&self, place: u32, actor: AnyActor) -> Told {
        let member = Member::Actor(actor);
        let mut state = self.state.lock();
        if let Member::Nobody = state.members[place] {
            state.members[place] = member.clone();
        }
        Told(state.phase, member)
    }

    /// Makes a connection known that lives on without its actor.
    pub(super) fn linger(&self, place: u32, connection: Arc<dyn Lingering>) -> Told {
        self.enter(place, Member::Lingering(Box::new(connection)))
    }

    fn enter(&self, place: u32, member: Member) -> Told {
        let (phase, before) = {
            let mut state = self.state.lock();
            let before = std::mem::replace(&mut state.members[place], member.clone());
            (state.phase, before)
        };
        drop(before);
        Told(phase, member)
    }

    /// Waits until the last has ended, after [`stop_all`](Self::stop_all).
    pub(crate) fn wait_until_none(&self) {
        self.none_left.wait();
    }
}

/// One connection's place among the others, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    /// Which member it is, if it is one.
    number: Option<u32>,
    /// Somebody else has the place.
    given_up: bool,
}

impl Place {
    /// A guard for one that has been admitted and is no member: its host has it be so many places in all, and none
    /// of them needs to remember its own.
    pub(crate) fn unnumbered(connections: &Arc<Connections>) -> Place {
        Place {
            connections: connections.clone(),
            number: None,
            given_up: false,
        }
    }

    /// Makes the current tasklet known as the connection's.
    pub(super) fn occupy(&mut self) {
        let tasklet = Tasklet::current().downgrade();
        self.enter(Member::Tasklet(tasklet)).tell();
    }

    /// Makes a connection known that takes its time to close.
    pub(crate) fn linger(&mut self, connection: Arc<dyn Lingering>) -> Told {
        self.enter(Member::Lingering(Box::new(connection)))
    }

    fn enter(&mut self, member: Member) -> Told {
        let number = self.number();
        self.connections.enter(number, member)
    }

    /// Its number as a member, which it has from now on.
    fn number(&mut self) -> u32 {
        let connections = &self.connections;
        let enter = || connections.state.lock().members.enter(Member::Nobody);
        *self.number.get_or_insert_with(enter)
    }

    /// Gives up the guard of one without a number: somebody takes up [another](Self::unnumbered).
    #[cfg(feature = "http")]
    pub(crate) fn give_up(mut self) {
        self.given_up = true;
    }

    /// Gives up the guard: somebody keeps the number alone.
    pub(crate) fn into_number(mut self) -> u32 {
        self.given_up = true;
        self.number()
    }

    /// Takes up a guard that was given up, once.
    pub(crate) fn from_number(connections: &Arc<Connections>, number: u32) -> Place {
        Place {
            connections: connections.clone(),
            number: Some(number),
            given_up: false,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.given_up {
            return;
        }
        let (member, last) = {
            let mut state = self.connections.state.lock();
            state.count -= 1;
            let member = self.number.map(|number| state.members.leave(number));
            (member, state.is_over())
        };
        drop(member);
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
