//! Ends, and who is told of them: exit reasons, monitors and links.
//!
//! What ends tells everybody who watches it, once. Who begins to watch it at the same moment is either
//! in the list by then, or finds that it has ended and is told at once: one lock decides.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use parking_lot::Mutex;

use crate::actor::cell::{ActorCell, ActorRef, ENDED};
use crate::block;
use crate::contain::contain;
use crate::deadlock::Calls;
#[cfg(feature = "remote")]
use crate::remote::Absent;
use crate::tasklet::core::Core;
use crate::{Message, Pid};

/// Why a tasklet or an actor has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExitReason {
    /// It has come to its end by itself.
    Normal,
    /// Somebody has asked it to stop.
    Stopped,
    /// Its supervisor, or its program, has asked it to stop.
    Shutdown,
    /// It has been killed.
    Killed,
    /// It has panicked, with this text.
    Panicked(Arc<str>),
    /// It could not start, or has ended with an error.
    Failed(Arc<dyn Error + Send + Sync>),
    /// Nobody could reach it any more.
    Unreachable,
    /// It lives, or lived, in another process, the link to which is broken. Whether it has ended is not known.
    NoConnection,
}

impl ExitReason {
    /// Whether something has gone wrong: a panic, an error, a kill, or a broken link to another process.
    pub fn is_abnormal(&self) -> bool {
        matches!(
            self,
            ExitReason::Killed
                | ExitReason::Panicked(_)
                | ExitReason::Failed(_)
                | ExitReason::NoConnection
        )
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Normal => f.write_str("has ended"),
            ExitReason::Stopped => f.write_str("was asked to stop"),
            ExitReason::Shutdown => f.write_str("was shut down"),
            ExitReason::Killed => f.write_str("was killed"),
            ExitReason::Panicked(text) => f.write_str(text),
            ExitReason::Failed(error) => write!(f, "has failed: {error}"),
            ExitReason::Unreachable => f.write_str("could not be reached any more"),
            ExitReason::NoConnection => f.write_str("is behind a broken link"),
        }
    }
}

/// An error that an exit reason has as well.
#[derive(Debug)]
pub(crate) struct SharedError(pub(crate) Arc<dyn Error + Send + Sync>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SharedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Word that a tasklet or an actor has ended.
///
/// It comes after all that the one that has ended had sent before. A tasklet receives it like any
/// message; an actor by [`Actor::exited`](crate::Actor::exited).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exit {
    /// Who has ended.
    pub pid: Pid,
    /// What it was called.
    pub name: Arc<str>,
    /// Why it has ended.
    pub reason: ExitReason,
    /// Whether the two were linked; otherwise it was monitored.
    pub linked: bool,
    /// Of the monitor, if it was one.
    pub(crate) ticket: u64,
    /// Which life of the one that is told has asked for it.
    pub(crate) life: u32,
}

impl Message for Exit {
    type Reply = ();
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} {}", self.name, self.pid, self.reason)
    }
}

/// What ends an actor whose link breaks.
#[derive(Debug)]
pub(crate) struct LinkBroken(pub(crate) Exit);

impl fmt::Display for LinkBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linked to {}", self.0)
    }
}

impl Error for LinkBroken {}

/// One that can watch and be watched.
#[derive(Clone)]
pub(crate) enum Party {
    Tasklet(Arc<Core>),
    /// One that is supervised has many lives. What this one watches is nothing to the next.
    Actor {
        actor: ActorRef,
        life: u32,
    },
    /// One of another process.
    #[cfg(feature = "remote")]
    Absent(Arc<Absent>),
}

impl Party {
    /// The tasklet or actor that the caller runs in.
    pub(crate) fn current() -> Option<Party> {
        let core = block::current()?;
        Some(match core.acting() {
            Some(actor) => Party::actor(actor),
            None => Party::Tasklet(core.strong()),
        })
    }

    /// An actor, in its present life.
    pub(crate) fn actor(actor: &ActorCell) -> Party {
        Party::Actor {
            actor: actor.reference(),
            life: actor.life(),
        }
    }

    fn watchers(&self) -> &Watchers {
        match self {
            Party::Tasklet(core) => core.watchers(),
            Party::Actor { actor, .. } => actor.watchers(),
            #[cfg(feature = "remote")]
            Party::Absent(absent) => absent.watchers(),
        }
    }

    fn watchers_if_any(&self) -> Option<&Watchers> {
        match self {
            Party::Tasklet(core) => core.watchers_if_any(),
            Party::Actor { actor, .. } => actor.watchers_if_any(),
            #[cfg(feature = "remote")]
            Party::Absent(absent) => Some(absent.watchers()),
        }
    }

    /// Why it has ended, if it has.
    fn reason(&self) -> Option<ExitReason> {
        match self {
            Party::Tasklet(core) if core.has_ended() => core.reason().or(Some(ExitReason::Normal)),
            Party::Tasklet(_) => None,
            Party::Actor { actor, .. } => actor.reason_of_end(),
            #[cfg(feature = "remote")]
            Party::Absent(absent) => absent.reason(),
        }
    }

    /// Whether it has ended for good: one that is supervised has not between two lives.
    fn is_over(&self) -> bool {
        match self {
            Party::Tasklet(core) => core.has_ended(),
            Party::Actor { actor, .. } => actor.has(ENDED),
            #[cfg(feature = "remote")]
            Party::Absent(absent) => absent.reason().is_some(),
        }
    }

    /// Whose thread it is at home on, if it is at home.
    pub(crate) fn home(&self) -> Option<usize> {
        match self {
            Party::Tasklet(core) => Some(core.home),
            Party::Actor { actor, .. } => actor.residence.home(),
            #[cfg(feature = "remote")]
            Party::Absent(_) => None,
        }
    }

    /// The calls of this tasklet, or of the carrier that runs a handler of this actor.
    ///
    /// # Safety
    ///
    /// On its home's thread, and used there before anybody else runs.
    pub(crate) unsafe fn calls(&self) -> Option<&Calls> {
        match self {
            // SAFETY: as the caller promises; a tasklet that has ended is in no call.
            Party::Tasklet(core) => Some(&unsafe { core.home_state() }.calls),
            // SAFETY: as the caller promises; a carrier lives while it runs a handler.
            Party::Actor { actor, .. } => unsafe {
                actor.carrier().map(|core| &core.home_state().calls)
            },
            #[cfg(feature = "remote")]
            Party::Absent(_) => None,
        }
    }

    /// Wakes this tasklet, or the carrier that runs a handler of this actor.
    ///
    /// # Safety
    ///
    /// On its home's thread.
    pub(crate) unsafe fn wake_caller(&self) {
        match self {
            Party::Tasklet(core) => core.wake_up(),
            Party::Actor { actor, .. } => {
                // SAFETY: as the caller promises.
                if let Some(carrier) = unsafe { actor.carrier() } {
                    carrier.wake_up();
                }
            }
            #[cfg(feature = "remote")]
            Party::Absent(_) => {}
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        match self {
            Party::Tasklet(core) => core.pid,
            Party::Actor { actor, .. } => actor.pid,
            #[cfg(feature = "remote")]
            Party::Absent(absent) => absent.pid(),
        }
    }

    fn name(&self) -> &str {
        match self {
            Party::Tasklet(core) => core.name(),
            Party::Actor { actor, .. } => actor.name(),
            #[cfg(feature = "remote")]
            Party::Absent(absent) => absent.name(),
        }
    }

    /// Tells this one of an end. One that has ended itself is told nothing.
    fn tell(&self, exit: Exit) {
        match self {
            Party::Tasklet(core) => core.hear_of(exit),
            Party::Actor { actor, life } => actor.hear_of(Exit {
                life: *life,
                ..exit
            }),
            #[cfg(feature = "remote")]
            Party::Absent(absent) => absent.tell(&exit),
        }
    }

    /// Somebody wants to be told of its end now. One of another process has to be asked for it.
    fn is_watched(&self) {
        #[cfg(feature = "remote")]
        if let Party::Absent(absent) = self {
            absent.is_watched();
        }
    }

    /// Somebody does not want to any more. If nobody does, one of another process need not be asked.
    fn is_left(&self) {
        #[cfg(feature = "remote")]
        if let Party::Absent(absent) = self {
            absent.is_left();
        }
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid())
    }
}

/// Those who are to be told of an end.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    issued: u64,
    monitors: Vec<(u64, Party)>,
    /// By their identities: one may be linked with very many, of other processes above all.
    links: BTreeMap<Pid, Party>,
    /// By their tickets, and so in the order in which they were asked for.
    deeds: BTreeMap<u64, Deed>,
}

/// What is to be done at an end.
type Deed = Box<dyn FnOnce() + Send>;

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("monitors", &self.monitors)
            .field("links", &self.links)
            .field("deeds", &self.deeds.len())
            .finish()
    }
}

impl Watchers {
    fn add_link(&self, other: &Party) {
        let mut state = self.state.lock();
        state
            .links
            .entry(other.pid())
            .or_insert_with(|| other.clone());
    }

    fn remove_link(&self, other: Pid) {
        let removed = self.state.lock().links.remove(&other);
        // Not under the lock.
        drop(removed);
    }

    /// Whether there is nobody to be told.
    #[cfg(feature = "remote")]
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.monitors.is_empty() && state.links.is_empty() && state.deeds.is_empty()
    }

    /// Does what is to be done at the end, which has come, or comes next: the mailbox is closed, and the
    /// user's code has run. Done before anybody can see the end as well, so that whoever sees it finds
    /// no trace of the one that has ended; what is asked for in between is done by [`tell_all`].
    pub(crate) fn do_deeds(&self) {
        let deeds = mem::take(&mut self.state.lock().deeds);
        for deed in deeds.into_values() {
            // It may drop values of the user's.
            contain(deed);
        }
    }
}

impl State {
    /// Those who are to be told of an end.
    fn take(&mut self) -> Told {
        Told {
            monitors: mem::take(&mut self.monitors),
            links: mem::take(&mut self.links),
        }
    }
}

/// Those who are told of one end.
struct Told {
    monitors: Vec<(u64, Party)>,
    links: BTreeMap<Pid, Party>,
}

impl Told {
    /// Tells them that `party` has ended. Not under its lock: they may be linked back.
    fn tell(self, party: &Party, reason: &ExitReason) {
        if self.links.is_empty() && self.monitors.is_empty() {
            return;
        }
        let name: Arc<str> = party.name().into();
        let exit = |linked, ticket| Exit {
            pid: party.pid(),
            name: name.clone(),
            reason: reason.clone(),
            linked,
            ticket,
            life: 0,
        };
        for link in self.links.into_values() {
            link.watchers().remove_link(party.pid());
            link.tell(exit(true, 0));
            // Behind the word of this end.
            link.is_left();
        }
        for (ticket, watcher) in self.monitors {
            watcher.tell(exit(false, ticket));
        }
    }
}

/// Tells all who watch `party`, which has ended for good.
///
/// Whoever ends it marks it as ended first and calls this then; whoever begins to watch it enters the
/// list first, and looks whether it is marked by then. So one of the two finds the other.
pub(crate) fn tell_all(party: &Party) {
    fence(Ordering::SeqCst);
    if party.watchers_if_any().is_some() {
        tell_all_if_ended(party);
    }
}

/// Ends a life of `party`, which `mark` does, and tells all who watch it.
///
/// Once it is marked there may be another life at any moment, and who watches that one is not meant.
/// So it is marked under the lock.
pub(crate) fn end_life(party: &Party, reason: &ExitReason, mark: impl FnOnce()) {
    let told = {
        let mut state = party.watchers().state.lock();
        mark();
        state.take()
    };
    told.tell(party, reason);
}

fn tell_all_if_ended(party: &Party) {
    fence(Ordering::SeqCst);
    let (told, reason) = {
        let mut state = party.watchers().state.lock();
        let Some(reason) = party.reason() else { return };
        (state.take(), reason)
    };
    // First: whoever hears of the end finds no trace of it any more.
    if party.is_over() {
        party.watchers().do_deeds();
    }
    told.tell(party, &reason);
}

/// The current tasklet or actor, as one that watches.
#[track_caller]
pub(crate) fn watcher() -> Party {
    Party::current().expect("only a tasklet or an actor can watch others, and this is neither")
}

/// Has `watcher` told of the end of `subject`.
pub(crate) fn monitor(watcher: Party, subject: Party) -> Monitor {
    let (ticket, ended) = {
        let mut state = subject.watchers().state.lock();
        state.issued += 1;
        let ticket = state.issued;
        // Those who have ended meanwhile: one that lives long may be watched by many that do not.
        let mut ended = Vec::new();
        if state.monitors.len() == state.monitors.capacity() {
            ended.extend(
                state
                    .monitors
                    .extract_if(.., |(_, watcher)| watcher.is_over()),
            );
        }
        state.monitors.push((ticket, watcher));
        (ticket, ended)
    };
    // Not under the lock.
    drop(ended);
    subject.is_watched();
    tell_all_if_ended(&subject);
    Monitor { subject, ticket }
}

/// Has `deed` done when `subject` ends for good, on the stack of whoever ends it; at once if it has. It
/// must not wait or panic. The ticket is for [`forget_deed`].
pub(crate) fn when_over(subject: &Party, deed: impl FnOnce() + Send + 'static) -> u64 {
    let ticket = {
        let mut state = subject.watchers().state.lock();
        state.issued += 1;
        let ticket = state.issued;
        state.deeds.insert(ticket, Box::new(deed));
        ticket
    };
    subject.is_watched();
    tell_all_if_ended(subject);
    ticket
}

/// Takes back what was to be done at an end, if it has not been.
pub(crate) fn forget_deed(subject: &Party, ticket: u64) {
    let forgotten = subject
        .watchers_if_any()
        .and_then(|watchers| watchers.state.lock().deeds.remove(&ticket));
    // Not under the lock: it may hold the last address of somebody.
    drop(forgotten);
    subject.is_left();
}

/// Something that is to be done when another has ended for good. Dropping this takes it back.
#[derive(Debug)]
pub(crate) struct AtEnd {
    subject: Party,
    ticket: u64,
}

impl AtEnd {
    /// See [`when_over`]: it may be done before this returns.
    pub(crate) fn of(subject: Party, deed: impl FnOnce() + Send + 'static) -> AtEnd {
        let ticket = when_over(&subject, deed);
        AtEnd { subject, ticket }
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        forget_deed(&self.subject, self.ticket);
    }
}

/// Whoever stands behind a [`Receiver`](crate::Receiver), as one whose end can be seen.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Owner(pub(crate) Party);

/// Links two, the first of which is the caller.
pub(crate) fn link(one: Party, other: Party) {
    if one.pid() != other.pid() {
        // The caller's own side first: if the other has ended, both are taken out again.
        one.watchers().add_link(&other);
        other.watchers().add_link(&one);
        other.is_watched();
        tell_all_if_ended(&other);
    }
}

/// Takes a link back.
pub(crate) fn unlink(one: &Party, other: &Party) {
    one.watchers().remove_link(other.pid());
    other.watchers().remove_link(one.pid());
    one.is_left();
    other.is_left();
}

/// One's being told of another's end; see [`Addr::monitor`](crate::Addr::monitor).
///
/// Dropping it changes nothing.
#[derive(Debug)]
pub struct Monitor {
    subject: Party,
    pub(crate) ticket: u64,
}

impl Monitor {
    /// Takes it back; `false` if the word is on its way, or has come.
    pub fn cancel(self) -> bool {
        let removed = {
            let mut state = self.subject.watchers().state.lock();
            let place = state
                .monitors
                .iter()
                .position(|(ticket, _)| *ticket == self.ticket);
            place.map(|place| state.monitors.swap_remove(place))
        };
        self.subject.is_left();
        removed.is_some()
    }

    /// Who is monitored.
    pub fn pid(&self) -> Pid {
        self.subject.pid()
    }
}
