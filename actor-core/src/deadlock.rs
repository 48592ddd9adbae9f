//! Calls that can never be answered, because the callers wait for each other in a circle.
//!
//! Whoever calls waits for the one that has the right to answer: the owner of the mailbox that the
//! call waits in, or the actor whose handler has it. So calls make a graph in which each caller has
//! one edge, and a circle in it stays for ever. Only what is certain is an edge: a call with a deadline
//! ends by itself, and a right to answer that the user's code has got hold of
//! ([`Accepts`](crate::Accepts), a tasklet's receive loop) may be anywhere.
//!
//! The caller that closes a circle looks for it, just before it waits: it follows the edges from the
//! receiver until there is none, or it comes back to itself. That costs something only if the receiver
//! is in a call as well, which one look tells. An edge is written and read on its caller's home thread
//! alone. Where the way leads to another worker, the search goes on there, as a command in that one's
//! inbox. By the time it comes back some of what it has passed may have changed, so it goes round once
//! more: a call that was there at both visits was there all the time between them, hence all of them
//! were at the moment between the two rounds, and a circle it was. (The search is that of Chandy, Misra
//! and Haas, for one request at a time.)
//!
//! That the last one to call sees all the others is a matter of order: each writes its mark, then looks
//! for that of its receiver, both sequentially consistent where the two are on different workers; so of
//! two that call each other at the same moment one at least finds the other's.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use crate::CallError;
use crate::actor::cell::ActorCell;
use crate::block::{self, Here};
use crate::exit::Party;
use crate::reply::{Reply, Standing};
use crate::tasklet::core::Core;
use crate::timeout;
use crate::worker::{self, Local};

/// Who is called, as the runtime knows it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Callee(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Nobody that could call in its turn.
    Nobody,
    Tasklet(NonNull<Core>),
    Actor(NonNull<ActorCell>),
}

impl Callee {
    pub(crate) const NOBODY: Callee = Callee(Kind::Nobody);

    pub(crate) fn tasklet(core: &Core) -> Callee {
        Callee(Kind::Tasklet(NonNull::from(core)))
    }

    pub(crate) fn actor(cell: &ActorCell) -> Callee {
        Callee(Kind::Actor(NonNull::from(cell)))
    }

    /// Whether it seems to be in a call.
    ///
    /// # Safety
    ///
    /// It lives.
    unsafe fn seems_to_call(self, local: &Local) -> bool {
        let ask = |at_home: bool| {
            if !at_home {
                // Between the caller's own mark and this look; see the module.
                fence(Ordering::SeqCst);
            }
        };
        match self.0 {
            Kind::Nobody => false,
            Kind::Tasklet(core) => {
                // SAFETY: as the caller promises.
                let core = unsafe { core.as_ref() };
                ask(core.home == local.id);
                core.is_in_call()
            }
            Kind::Actor(cell) => {
                // SAFETY: as the caller promises.
                let cell = unsafe { cell.as_ref() };
                ask(cell.residence.is_home(local.id));
                cell.is_in_call()
            }
        }
    }

    /// Whether a call that waits in its mailbox may be dropped for another message, and so end.
    ///
    /// # Safety
    ///
    /// It lives.
    #[inline]
    unsafe fn may_drop_calls(self) -> bool {
        match self.0 {
            Kind::Nobody => false,
            // SAFETY: as the caller promises.
            Kind::Tasklet(core) => unsafe { core.as_ref() }.mailbox.drops_oldest(),
            // SAFETY: as the caller promises.
            Kind::Actor(cell) => unsafe { cell.as_ref() }.mailbox.drops_oldest(),
        }
    }

    /// # Safety
    ///
    /// It lives.
    unsafe fn party(self) -> Option<Party> {
        match self.0 {
            Kind::Nobody => None,
            // SAFETY: as the caller promises.
            Kind::Tasklet(core) => Some(Party::Tasklet(unsafe { core.as_ref() }.strong())),
            // SAFETY: as the caller promises.
            Kind::Actor(cell) => Some(Party::actor(unsafe { cell.as_ref() })),
        }
    }
}

/// An edge: the call that a tasklet, or an actor on its carrier, waits in. For its home's thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    /// Different for each call of the process.
    id: u64,
    /// Lives while the caller, who has lent it to the call, waits.
    callee: Callee,
    /// In the call's cell, of which the caller has a share while it waits.
    standing: NonNull<Standing>,
}

/// What a tasklet knows of its own calls. For its home's thread.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    edge: Cell<Option<Edge>>,
    /// The call that has been found to close a circle.
    refused: Cell<u64>,
}

impl Calls {
    /// The call it waits in, if that can end only by an answer of the callee's.
    fn edge(&self) -> Option<Edge> {
        let edge = self.edge.get()?;
        // SAFETY: the caller is in its call, and has a share of the cell.
        unsafe { edge.standing.as_ref() }
            .is_pending()
            .then_some(edge)
    }
}

/// A call that its caller is about to wait in.
pub(crate) struct Calling<'a> {
    core: &'a Core,
    calls: &'a Calls,
    edge: Edge,
}

impl<'a> Calling<'a> {
    /// Marks the caller; `None` if it is not one that others wait for, or will not wait for ever.
    ///
    /// # Safety
    ///
    /// `callee` outlives the result.
    #[inline]
    pub(crate) unsafe fn begin<T>(
        callee: Callee,
        reply: &Reply<T>,
        deadline: Option<Instant>,
    ) -> Option<Calling<'a>> {
        let here = block::here();
        if deadline.is_some() || timeout::nearest(&here).is_some() {
            return None;
        }
        let Here::Tasklet(local, core) = here else {
            return None;
        };
        // SAFETY: as the caller promises.
        if unsafe { callee.may_drop_calls() } {
            return None;
        }
        // SAFETY: the tasklet itself.
        let calls = &unsafe { core.home_state() }.calls;
        let edge = Edge {
            id: local.next_call(),
            callee,
            standing: NonNull::from(reply.standing()),
        };
        calls.edge.set(Some(edge));
        core.mark_in_call(true);
        Some(Calling { core, calls, edge })
    }

    /// Looks whether the call closes a circle. If it cannot be told here and now, the search goes on
    /// elsewhere, and wakes the caller if it finds one.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), CallError> {
        let Some(local) = worker::local() else {
            return Ok(());
        };
        // SAFETY: the caller has its share of the cell.
        if !unsafe { self.edge.standing.as_ref() }.is_pending() {
            return Ok(());
        }
        // SAFETY: it outlives this, as `begin` was promised.
        if unsafe { self.edge.callee.seems_to_call(local) } && self.search(local) {
            return Err(CallError::Deadlock);
        }
        Ok(())
    }

    /// Whether it has been found to close a circle.
    pub(crate) fn is_refused(&self) -> bool {
        self.calls.refused.get() == self.edge.id
    }

    #[cold]
    fn search(&self, local: &Local) -> bool {
        // SAFETY: it outlives this, as `begin` was promised.
        let (Some(caller), Some(callee)) = (Party::current(), unsafe { self.edge.callee.party() })
        else {
            return false;
        };
        let search = Search {
            path: vec![(caller, self.edge.id)],
            has_moved: false,
        };
        search.follow(local, callee)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.core.mark_in_call(false);
        self.calls.edge.set(None);
    }
}

/// A search for a circle.
struct Search {
    /// Who has been passed, in which call; the first is the one that searches.
    path: Vec<(Party, u64)>,
    /// Whether it has been to other workers.
    has_moved: bool,
}

impl Search {
    /// Goes on at `party`; `true` if there is a circle, and the caller is the one that searches.
    fn follow(mut self, local: &Local, mut party: Party) -> bool {
        loop {
            let Some(home) = party.home() else {
                return false;
            };
            if home != local.id {
                self.has_moved = true;
                worker::post(home, move |local| {
                    self.follow(local, party);
                });
                return false;
            }
            // SAFETY: on its home's thread.
            let Some(edge) = (unsafe { party.calls() }).and_then(Calls::edge) else {
                return false;
            };
            // SAFETY: its caller is in the call, and has lent it the callee.
            let Some(next) = (unsafe { edge.callee.party() }) else {
                return false;
            };
            self.path.push((party, edge.id));
            if next.pid() == self.path[0].0.pid() {
                if !self.has_moved {
                    // All at one moment.
                    return true;
                }
                self.confirm(local, 0);
                return false;
            }
            if self
                .path
                .iter()
                .any(|(passed, _)| passed.pid() == next.pid())
            {
                // A circle that the one who searches is not in. Who has closed it finds it.
                return false;
            }
            party = next;
        }
    }

    /// Goes round once more, from `at` on; if all is as it was, the one that searches is refused.
    fn confirm(self, local: &Local, mut at: usize) {
        while let Some((party, id)) = self.path.get(at) {
            let Some(home) = party.home() else {
                return;
            };
            if home != local.id {
                worker::post(home, move |local| self.confirm(local, at));
                return;
            }
            // SAFETY: on its home's thread.
            let edge = unsafe { party.calls() }.and_then(Calls::edge);
            if edge.is_none_or(|edge| edge.id != *id) {
                return;
            }
            at += 1;
        }
        let (party, id) = self.path.into_iter().next().expect("it begins with one");
        match party.home() {
            Some(home) if home == local.id => refuse(&party, id),
            Some(home) => worker::post(home, move |_| refuse(&party, id)),
            None => {}
        }
    }
}

/// Ends the call `id` of a caller, on its home's thread.
fn refuse(party: &Party, id: u64) {
    // SAFETY: on its home's thread.
    if let Some(calls) = unsafe { party.calls() }
        && calls.edge().is_some_and(|edge| edge.id == id)
    {
        calls.refused.set(id);
        // SAFETY: as above.
        unsafe { party.wake_caller() };
    }
}
