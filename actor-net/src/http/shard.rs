//! What a server has on one worker: its connections there, and those who serve them.
//!
//! A connection is *idle*, *ready* (there is something to read, and it stands in a list), or *being served*. The
//! list is served by one [clerk](super::clerk) at a time, who has the **role**: connection after connection, on
//! one stack, without a switch in between. When a handler waits, its clerk gives the role away before it gives up the
//! stack; coming back, it finishes its own connection, and takes the role again if nobody has it. Clerks
//! without work are kept, the last one to become free being the first to be called: its stack is warm.
//!
//! So the list is never left alone. Whoever has the role sees to it that a free clerk is there before any
//! handler runs: to make one is not possible wherever a handler may wait. Whoever puts a connection on the list, or gives up
//! the role, calls a free one if nobody has it. And a clerk that is killed gives it up as it unwinds.
//!
//! **Time-outs** are seen to by a sweep over all entries, which lie side by side, once a second or more often if the
//! limits are short. A connection becomes idle without a look at the clock: the next sweep notes when that was, and a
//! later one finds that it has been too long.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actor_core::__private::{AnyActor, act, after, at, spawn_attended, stop_for};
use actor_core::{Addr, ExitReason, Placement, SpawnError};
use parking_lot::{Mutex, MutexGuard};

use super::clerk::{Clerk, Employer};
use super::conn::{Common, Conn, Rest};
use super::limits::Limits;
use super::stream::Stream;
use crate::roll::Roll;
use crate::server::connections::{Host, Phase, Place};
use crate::server::peer::PeerAddr;

/// How many clerks without work are kept.
const KEPT: usize = 64;

/// How many idle connections are closed before others on the worker have their turn.
const CLOSED_AT_ONCE: usize = 64;

/// How often idle connections are looked at.
const LONGEST_PERIOD: Duration = Duration::from_secs(1);
const SHORTEST_PERIOD: Duration = Duration::from_millis(5);

/// The connection has become idle since the last sweep.
const FRESH: u32 = u32::MAX;

/// See the [module](self).
pub(super) struct Shard {
    common: Arc<Common>,
    worker: usize,
    state: Mutex<State>,
    /// Nothing is served any more but what has begun; `state.phase` for those who need not be exact.
    stopping: AtomicBool,
}

#[derive(Default)]
struct State {
    conns: Roll<Entry>,
    /// How many have been admitted and are not among these yet.
    coming: usize,
    ready: VecDeque<Arc<Conn>>,
    /// Whether a clerk has the role.
    taken: bool,
    clerks: Roll<Employed>,
    /// Those without work, the last first.
    free: Vec<u32>,
    phase: Phase,
    /// There is a sweep to come.
    sweeps: bool,
}

/// A connection.
struct Entry {
    conn: Arc<Conn>,
    /// What it has got of a head.
    rest: Option<Box<Rest>>,
    /// When the peer will have been waited for too long, if it is idle.
    until: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Ready,
    Served,
    /// It is being served, and something may have come that is not seen in that.
    ServedAgain,
}

struct Employed {
    addr: Addr<Clerk>,
    /// It has a connection in hand.
    busy: bool,
}

/// A connection that a clerk gets to serve.
pub(super) struct Taken {
    pub(super) conn: Arc<Conn>,
    pub(super) rest: Option<Box<Rest>>,
}

/// A connection after its turn.
pub(super) struct Done {
    pub(super) conn: Arc<Conn>,
    pub(super) rest: Option<Box<Rest>>,
    /// There may be more to read.
    pub(super) again: bool,
    /// It has brought something that was waited for.
    pub(super) has_served: bool,
}

/// What a clerk does next.
pub(super) enum Next {
    Serve(Taken),
    /// Close this one: all are to end.
    Close(Arc<Conn>),
    /// See to it that there is another clerk.
    Hire,
    /// Nothing: it is free.
    Rest,
}

impl Shard {
    pub(super) fn new(common: Arc<Common>, worker: usize) -> Arc<Shard> {
        let shard = Arc::new(Shard {
            common,
            worker,
            state: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let host: Weak<Shard> = Arc::downgrade(&shard);
        match shard.common.admission.connections.host(host) {
            Phase::Serving => {}
            Phase::Stopping => shard.wind_down(),
            Phase::Killing => shard.cut_off(),
        }
        shard
    }

    pub(super) fn common(&self) -> &Common {
        &self.common
    }

    /// Whether what is answered from now on is the last of its connection.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    // Connections ------------------------------------------------------------------------------

    /// Begins to serve a connection.
    pub(super) fn take_in(self: &Arc<Self>, stream: Stream, peer: PeerAddr, place: Place) {
        let shard = self.clone();
        self.state.lock().coming += 1;
        // Where its events are to come.
        at(self.worker, move || {
            let conn = Conn::new(shard.clone(), stream, peer);
            // From now on the place is the connection's.
            place.give_up();
            conn.limit_handshake();
            shard.open(conn);
        });
    }

    fn open(self: &Arc<Self>, conn: Arc<Conn>) {
        let (begin_sweeps, phase) = {
            let mut state = self.state.lock();
            state.coming -= 1;
            let phase = state.phase;
            if phase == Phase::Killing {
                self.dismiss_all_at_end(state);
                return conn.close(Vec::new(), false);
            }
            let number = state.conns.enter(Entry {
                conn: conn.clone(),
                rest: None,
                until: FRESH,
                stage: Stage::Idle,
            });
            conn.set_number(number);
            (!std::mem::replace(&mut state.sweeps, true), phase)
        };
        if let Err(error) = conn.stream().source().watch(conn.clone()) {
            if self.remove(&conn) {
                conn.lose(&error);
            }
        } else if phase != Phase::Serving {
            // It has come in time, and perhaps with a request.
            self.close_if_idle(conn);
        }
        if begin_sweeps {
            self.sweep_later();
        }
    }

    /// There is something to read on it.
    pub(super) fn make_ready(self: &Arc<Self>, conn: Arc<Conn>) {
        let mut state = self.state.lock();
        let Some(entry) = state.entry(&conn) else {
            return;
        };
        match entry.stage {
            Stage::Idle => {
                entry.stage = Stage::Ready;
                state.ready.push_back(conn);
                self.call(state);
            }
            Stage::Served => entry.stage = Stage::ServedAgain,
            Stage::Ready | Stage::ServedAgain => {}
        }
    }

    /// Takes a connection out, in order to end it; `false` if somebody else has.
    pub(super) fn remove(&self, conn: &Arc<Conn>) -> bool {
        let mut state = self.state.lock();
        let is_there = state.entry(conn).is_some();
        if is_there {
            state.conns.leave(conn.number());
        }
        self.dismiss_all_at_end(state);
        is_there
    }

    // Time-outs --------------------------------------------------------------------------------

    fn sweep_later(self: &Arc<Self>) {
        let limits = &self.common.limits;
        let period = limits.head_time.min(limits.idle_time) / 8;
        let shard = Arc::downgrade(self);
        after(period.clamp(SHORTEST_PERIOD, LONGEST_PERIOD), move || {
            if let Some(shard) = shard.upgrade() {
                shard.sweep();
            }
        });
    }

    fn sweep(self: &Arc<Self>) {
        let now = self.common.admission.now();
        let (late, goes_on) = {
            let mut state = self.state.lock();
            let late = state.find_late(now, &self.common.limits);
            let late: Vec<_> = late.into_iter().map(|n| state.conns.leave(n)).collect();
            state.sweeps = !state.conns.is_empty();
            let goes_on = state.sweeps;
            self.dismiss_all_at_end(state);
            (late, goes_on)
        };
        if goes_on {
            self.sweep_later();
        }
        end_some(self.worker, late, |entry| entry.conn.time_out(entry.rest));
    }

    // Clerks -----------------------------------------------------------------------------------

    /// Makes a free clerk, in the program of the caller.
    pub(super) fn hire(self: &Arc<Self>) -> Result<(), SpawnError> {
        let builder = Addr::builder().placement(Placement::Worker(self.worker));
        spawn_attended(builder, |addr| {
            let mut state = self.state.lock();
            let number = state.clerks.enter(Employed {
                addr: addr.clone(),
                busy: false,
            });
            // Before it runs: it may end at once, and is not to be taken for free after that.
            state.free.push(number);
            Employer::new(self.clone(), number)
        })?;
        let state = self.state.lock();
        if !state.ready.is_empty() {
            self.call(state);
        }
        Ok(())
    }

    /// Makes one, if there is none at all.
    pub(super) fn hire_first(self: &Arc<Self>) -> Result<(), SpawnError> {
        let is_needed = {
            let state = self.state.lock();
            state.phase == Phase::Serving && state.clerks.is_empty()
        };
        match is_needed {
            true => self.hire(),
            false => Ok(()),
        }
    }

    /// Has a free clerk take the role, if nobody has it.
    fn call(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if !state.taken
            && let Some(number) = state.free.pop()
        {
            let addr = state.clerks[number].addr.clone();
            state.taken = true;
            drop(state);
            let role = Role::new(self.clone());
            // If it takes no more messages, the role comes back, and the next one is called.
            act(&addr, move |clerk, ctx| clerk.serve(role, ctx));
        }
    }

    /// Takes the role back from one that is about to wait, or to end.
    pub(super) fn hand_over(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.taken = false;
        if !state.ready.is_empty() {
            self.call(state);
        }
    }

    /// What the clerk `me` is to do next, who has come to the end of a turn. `has_role` is whether it has the role, and
    /// `alone` whether it is known that there cannot be another.
    pub(super) fn next(
        &self,
        me: u32,
        has_role: &mut bool,
        alone: bool,
        done: Option<Done>,
    ) -> Next {
        let mut state = self.state.lock();
        state.clerks[me].busy = false;
        if let Some(done) = done
            && let Some(conn) = state.put_back(done)
        {
            state.clerks[me].busy = true;
            return Next::Close(conn);
        }
        if !*has_role && (state.taken || state.ready.is_empty()) {
            self.dismiss(state, me);
            return Next::Rest;
        }
        state.taken = true;
        *has_role = true;
        // A handler that waits must find somebody to hand the role to.
        if !alone && state.free.is_empty() && !state.ready.is_empty() {
            return Next::Hire;
        }
        match state.take_next() {
            Some(taken) => {
                state.clerks[me].busy = true;
                Next::Serve(taken)
            }
            None => {
                state.taken = false;
                *has_role = false;
                self.dismiss(state, me);
                Next::Rest
            }
        }
    }

    /// Puts a connection back whose clerk leaves off in the middle of the list, still having the role.
    pub(super) fn put_back(&self, me: u32, done: Done) -> Option<Arc<Conn>> {
        let mut state = self.state.lock();
        let closing = state.put_back(done);
        state.clerks[me].busy = closing.is_some();
        closing
    }

    /// A clerk has no more to do.
    fn dismiss(&self, mut state: MutexGuard<'_, State>, me: u32) {
        if state.free.len() < KEPT {
            state.free.push(me);
        } else {
            let addr = state.clerks[me].addr.clone();
            drop(state);
            stop_for(&addr, &ExitReason::Normal);
        }
    }

    /// Ends the clerks when there is nothing more to come.
    fn dismiss_all_at_end(&self, state: MutexGuard<'_, State>) {
        if state.phase == Phase::Serving || !state.conns.is_empty() || state.coming > 0 {
            return;
        }
        let clerks: Vec<_> = state.clerks.iter().map(|one| one.addr.clone()).collect();
        drop(state);
        for addr in clerks {
            stop_for(&addr, &ExitReason::Shutdown);
        }
    }

    /// A clerk has ended.
    pub(super) fn clerk_ended(self: &Arc<Self>, number: u32, reason: &ExitReason) {
        let (abandoned, ready, addr) = {
            let mut state = self.state.lock();
            state.free.retain(|&free| free != number);
            let addr = state.clerks.leave(number).addr;
            // The last one: the program ends, for nobody else ends them all.
            let abandoned = match state.clerks.is_empty() {
                true => state.take_all(|_| true),
                false => Vec::new(),
            };
            (abandoned, state.take_ready_at_end(), addr)
        };
        drop((addr, ready));
        for entry in abandoned {
            entry.conn.cut();
        }
        // Nobody but the program has them end for that reason before the server does.
        if let ExitReason::Shutdown = reason
            && !self.is_stopping()
        {
            self.wind_down();
        }
    }

    // The end ----------------------------------------------------------------------------------

    /// Closes those that are idle, once the server is to end: those with this number and behind it, a few at a time.
    fn close_idle(self: &Arc<Self>, from: u32) {
        let shard = self.clone();
        at(self.worker, move || {
            let (idle, next) = shard.state.lock().some_to_close(from);
            for conn in idle {
                shard.close_if_idle(conn);
            }
            if let Some(next) = next {
                return shard.close_idle(next);
            }
            let mut state = shard.state.lock();
            let ready = state.take_ready_at_end();
            shard.dismiss_all_at_end(state);
            drop(ready);
        });
    }

    /// Closes a connection, once the server is to end, unless it is being served or soon will be.
    fn close_if_idle(self: &Arc<Self>, conn: Arc<Conn>) {
        let has_input = conn.has_input();
        let mut state = self.state.lock();
        // A request that has come and that nobody has been told of yet is still served: word of it is on its way.
        let is_waited_for = has_input && !state.clerks.is_empty();
        let is_to_close = state.is_to_close();
        let is_idle = |entry: &mut Entry| is_to_close(entry.stage);
        if is_waited_for || !state.entry(&conn).is_some_and(is_idle) {
            return;
        }
        state.conns.leave(conn.number());
        let ready = state.take_ready_at_end();
        self.dismiss_all_at_end(state);
        drop(ready);
        conn.close(Vec::new(), false);
    }

    fn enter(&self, phase: Phase) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.phase = state.phase.max(phase);
        self.stopping.store(true, Ordering::Relaxed);
        state
    }

    fn wind_down(self: &Arc<Self>) {
        let busy: Vec<_> = {
            let state = self.enter(Phase::Stopping);
            let busy = state.clerks.iter().filter(|clerk| clerk.busy);
            busy.map(|clerk| clerk.addr.clone()).collect()
        };
        // So that handlers can see it.
        for addr in busy {
            stop_for(&addr, &ExitReason::Shutdown);
        }
        self.close_idle(0);
    }

    fn cut_off(&self) {
        let (busy, ended, ready) = {
            let mut state = self.enter(Phase::Killing);
            let ended = state.take_all(|stage| matches!(stage, Stage::Idle | Stage::Ready));
            let ready = state.take_ready_at_end();
            let busy = state.clerks.iter().filter(|clerk| clerk.busy);
            let busy: Vec<_> = busy.map(|clerk| AnyActor::new(&clerk.addr)).collect();
            self.dismiss_all_at_end(state);
            (busy, ended, ready)
        };
        drop(ready);
        for clerk in busy {
            clerk.kill();
        }
        for entry in ended {
            entry.conn.cut();
        }
    }
}

/// The role, on its way to a clerk. Given back if it does not arrive.
pub(super) struct Role(Option<Arc<Shard>>);

impl Role {
    pub(super) fn new(shard: Arc<Shard>) -> Role {
        Role(Some(shard))
    }

    /// It has arrived.
    pub(super) fn accept(mut self) {
        self.0 = None;
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if let Some(shard) = &self.0 {
            shard.hand_over();
        }
    }
}

impl Host for Shard {
    fn stop(self: Arc<Self>) {
        self.wind_down();
    }

    fn kill(self: Arc<Self>) {
        self.cut_off();
    }
}

/// Ends connections that have been taken out, without keeping the worker for long.
fn end_some(worker: usize, mut entries: Vec<Entry>, end: fn(Entry)) {
    let few = entries.split_off(entries.len().saturating_sub(CLOSED_AT_ONCE));
    few.into_iter().for_each(end);
    if !entries.is_empty() {
        at(worker, move || end_some(worker, entries, end));
    }
}

impl State {
    /// A connection's entry, if it is still there.
    fn entry(&mut self, conn: &Arc<Conn>) -> Option<&mut Entry> {
        let entry = self.conns.get_mut(conn.number())?;
        Arc::ptr_eq(&entry.conn, conn).then_some(entry)
    }

    fn take_next(&mut self) -> Option<Taken> {
        while let Some(conn) = self.ready.pop_front() {
            // It may have ended in between.
            if let Some(entry) = self.entry(&conn) {
                entry.stage = Stage::Served;
                let rest = entry.rest.take();
                return Some(Taken { conn, rest });
            }
        }
        None
    }

    /// Whether a connection at this stage is to be closed when the server is to end: those on the list are still served,
    /// if there is anybody who can.
    fn is_to_close(&self) -> impl Fn(Stage) -> bool + use<> {
        let nobody = self.clerks.is_empty();
        move |stage| match stage {
            Stage::Idle => true,
            Stage::Ready => nobody,
            Stage::Served | Stage::ServedAgain => false,
        }
    }

    /// Some of them, with this number and behind it, and the number to go on with if there are more.
    fn some_to_close(&mut self, from: u32) -> (Vec<Arc<Conn>>, Option<u32>) {
        let is_to_close = self.is_to_close();
        let mut some = Vec::new();
        for (number, entry) in self.conns.iter_mut() {
            if number < from || !is_to_close(entry.stage) {
                continue;
            }
            if some.len() == CLOSED_AT_ONCE {
                return (some, Some(number));
            }
            some.push(entry.conn.clone());
        }
        (some, None)
    }

    /// Takes the list, if none of those on it is to be served any more. To be dropped when the lock has been let go:
    /// the end of a connection may make another one ready.
    fn take_ready_at_end(&mut self) -> VecDeque<Arc<Conn>> {
        match self.conns.iter().any(|entry| entry.stage == Stage::Ready) {
            true => VecDeque::new(),
            false => mem::take(&mut self.ready),
        }
    }

    /// Takes a connection back after its turn, or gives it if it is to be closed.
    fn put_back(&mut self, done: Done) -> Option<Arc<Conn>> {
        let phase = self.phase;
        let entry = self.entry(&done.conn)?;
        let again = done.again || entry.stage == Stage::ServedAgain;
        if again && phase != Phase::Killing {
            entry.stage = Stage::Ready;
            entry.rest = done.rest;
            self.ready.push_back(done.conn);
            return None;
        }
        if phase != Phase::Serving {
            return Some(done.conn);
        }
        entry.stage = Stage::Idle;
        match &done.rest {
            Some(rest) => entry.until = rest.until,
            None if done.has_served => entry.until = FRESH,
            // Bytes that are no request do not buy it time: of a TLS record, say.
            None => {}
        }
        entry.rest = done.rest;
        None
    }

    /// Takes those out that are at these stages.
    fn take_all(&mut self, stages: impl Fn(Stage) -> bool) -> Vec<Entry> {
        let entries = self.conns.iter_mut();
        let numbers: Vec<u32> = entries
            .filter_map(|(number, entry)| stages(entry.stage).then_some(number))
            .collect();
        let mut take = |number| self.conns.leave(number);
        numbers.into_iter().map(&mut take).collect()
    }

    /// The numbers of those whose peers have been waited for too long. Notes since when the others are waited for.
    fn find_late(&mut self, now: u32, limits: &Limits) -> Vec<u32> {
        let mut late = Vec::new();
        for (number, entry) in self.conns.iter_mut() {
            if entry.stage != Stage::Idle {
                continue;
            }
            if entry.until == FRESH {
                let limit = match entry.conn.has_begun() {
                    true => limits.idle_time,
                    false => limits.idle_time.min(limits.head_time),
                };
                entry.until = deadline(now, limit);
            } else if is_over(entry.until, now) {
                late.push(number);
            }
        }
        late
    }
}

/// How long the peer may be waited for, in the time of [`Admission::now`](crate::server::admission::Admission::now).
pub(super) fn deadline(since: u32, limit: Duration) -> u32 {
    // More than that could not be told from the past.
    const MOST: u32 = u32::MAX / 2 - 1;
    let limit = u32::try_from(limit.as_millis()).unwrap_or(MOST);
    match since.wrapping_add(limit.min(MOST)) {
        // A moment later than it ought to be.
        FRESH => 0,
        until => until,
    }
}

fn is_over(until: u32, now: u32) -> bool {
    now.wrapping_sub(until) < u32::MAX / 2
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry>() <= 24);
    }

    #[test]
    fn times_go_round() {
        let limit = Duration::from_millis(100);
        for since in [
            0,
            1000,
            u32::MAX - 150,
            u32::MAX - 101,
            u32::MAX - 100,
            u32::MAX - 50,
        ] {
            let until = deadline(since, limit);
            assert_ne!(until, FRESH);
            assert!(!is_over(until, since.wrapping_add(99)), "{since}");
            assert!(is_over(until, since.wrapping_add(101)), "{since}");
        }
        assert!(!is_over(deadline(5, Duration::MAX), 1_000_000));
    }
}
