//! Messages that an actor has put aside, to be handled later.

use std::collections::VecDeque;
use std::mem;

use super::ActorCell;
use crate::counters;
use crate::envelope::Envelope;

/// See [`Context::stash`].
#[derive(Default)]
pub(super) struct Stash {
    aside: Vec<Stashed>,
    next: VecDeque<Stashed>,
}

/// A message that was put aside.
pub(crate) enum Stashed {
    Sent(Envelope),
    /// With the right to answer it: has the actor handle it again.
    Called(Box<dyn FnOnce(&ActorCell) + Send>),
}

impl Stashed {
    /// # Safety
    ///
    /// It was put aside by `actor`, and the caller is its carrier.
    pub(crate) unsafe fn handle(self, actor: &ActorCell) {
        match self {
            // SAFETY: it is addressed to the actor's type.
            Stashed::Sent(message) => unsafe { message.handle(actor) },
            Stashed::Called(handle) => handle(actor),
        }
    }

    /// Its owner, `of`, has ended.
    pub(crate) fn abandon(self, of: &ActorCell) {
        match self {
            Stashed::Sent(message) => message.abandon(of.pid, of.name()),
            Stashed::Called(call) => {
                counters::UNDELIVERED.add(1);
                drop(call);
            }
        }
    }
}

impl ActorCell {
    /// Puts a message aside. For its carrier.
    pub(crate) fn stash(&self, message: Stashed) {
        self.extra().stash.borrow_mut().aside.push(message);
    }

    /// Has all that was put aside handled next. For its carrier.
    pub(crate) fn unstash_all(&self) {
        if let Some(extra) = self.extra.get() {
            let Stash { aside, next } = &mut *extra.stash.borrow_mut();
            next.extend(aside.drain(..));
        }
    }

    /// The next of the messages that are to be handled again. For its carrier.
    pub(crate) fn next_unstashed(&self) -> Option<Stashed> {
        self.extra.get()?.stash.borrow_mut().next.pop_front()
    }

    /// What is still put aside. For its carrier.
    pub(crate) fn take_stash(&self) -> Vec<Stashed> {
        let Some(extra) = self.extra.get() else {
            return Vec::new();
        };
        let Stash { aside, next } = mem::take(&mut *extra.stash.borrow_mut());
        next.into_iter().chain(aside).collect()
    }
}
