//! The arms of a select in the lines of their channels: whoever meets one of them first meets no other.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use super::arm::Arm;
use crate::block::{self, Interrupt, Wait, Waiting};
use crate::channel::hook;
use crate::channel::peer::Peer;
use crate::channel::rendezvous::{Claim, Member};
use crate::channel::transfer::OnUnwind;
use crate::tasklet::core::Core;
use crate::tasklet::receive::{self, Listening};

/// What a select has found.
pub(super) enum Ready {
    Arm(usize),
    /// There is something in the mailbox, or never will be.
    Message,
    Nothing,
    /// Nothing, and it stands in all lines.
    Joined(Arc<Claim>),
}

/// The arms of a select.
pub(super) struct Lines<'a, R> {
    pub(super) arms: Vec<Box<dyn Arm<R> + 'a>>,
    /// The arms in the order in which their locks are taken.
    order: Vec<usize>,
    /// For each arm, how many handles of its channel the select has, and whether this arm counts its own.
    handles: Vec<(usize, usize)>,
}

impl<'a, R> Lines<'a, R> {
    pub(super) fn new(arms: Vec<Box<dyn Arm<R> + 'a>>) -> Self {
        let mut order: Vec<usize> = (0..arms.len()).collect();
        order.sort_by_key(|arm| arms[*arm].place());
        let first_with_its_handle = |arm: usize| {
            !arms[..arm]
                .iter()
                .any(|other| other.handle() == arms[arm].handle())
        };
        let handles = arms.iter().enumerate().map(|(index, arm)| {
            let same_channel = |other: &usize| arms[*other].place() == arm.place();
            let own = (0..arms.len()).filter(same_channel);
            let own = own.filter(|other| first_with_its_handle(*other)).count();
            (own, usize::from(first_with_its_handle(index)))
        });
        let handles = handles.collect();
        Lines {
            arms,
            order,
            handles,
        }
    }

    /// The arms whose locks are to be taken, one for each lock.
    fn locks(&self) -> impl Iterator<Item = &dyn Arm<R>> {
        self.order.iter().enumerate().filter_map(|(at, arm)| {
            let arm = &*self.arms[*arm];
            let is_again = at > 0 && self.arms[self.order[at - 1]].place() == arm.place();
            (!is_again).then_some(arm)
        })
    }

    /// Does one of the things that are ready; or joins all lines, if there is none and it `may_join`.
    pub(super) fn meet_or_join(
        &mut self,
        owner: Option<&Core>,
        may_join: bool,
    ) -> Result<Ready, Interrupt> {
        let count = self.arms.len();
        // Not under the locks: this may make a carrier.
        let peer = may_join.then(Peer::current);
        self.locks().for_each(|arm| arm.hold());
        let mut met = Ready::Nothing;
        let mut follow = None;
        // In a random order, so that each that is ready comes first as often as another. The mailbox
        // has the number after the arms'.
        let mut rest: Vec<usize> = (0..count + usize::from(owner.is_some())).collect();
        while !rest.is_empty() {
            let candidate = rest.swap_remove(random(rest.len()));
            if candidate == count {
                if owner.is_some_and(receive::has_news) {
                    met = Ready::Message;
                    break;
                }
                continue;
            }
            // SAFETY: all locks are held.
            if let Some(done) = unsafe { self.arms[candidate].meet(self.handles[candidate].0) } {
                met = Ready::Arm(candidate);
                follow = Some(done);
                break;
            }
        }
        let mut result = Ok(met);
        match (&result, peer) {
            (Ok(Ready::Nothing), Some(Ok(peer))) => {
                let claim = Arc::new(Claim::new());
                for (arm, (_, handles)) in self.handles.iter().enumerate() {
                    let member = Member::arm(peer.clone(), claim.clone(), arm, *handles);
                    // SAFETY: all locks are held.
                    unsafe { self.arms[arm].join(member) };
                }
                result = Ok(Ready::Joined(claim));
            }
            (Ok(Ready::Nothing), Some(Err(interrupt))) => result = Err(interrupt),
            _ => {}
        }
        // SAFETY: they were taken above.
        self.locks().for_each(|arm| unsafe { arm.release() });
        if let Some(done) = follow {
            crate::channel::wake_all(done.refused);
            if let Some((peer, next)) = done.peer {
                hook::report(done.channel, done.sending, false);
                block::meet(peer.waiter, next);
            }
        }
        result
    }

    /// Waits in all lines, and leaves them.
    pub(super) fn wait(
        &mut self,
        claim: &Claim,
        owner: Option<&Core>,
        deadline: Option<Instant>,
    ) -> Result<Ready, Interrupt> {
        let arms = &mut self.arms;
        let mut leave = || {
            let met = claim.withdraw();
            arms.iter_mut().for_each(|arm| arm.leave());
            met
        };
        let waited = {
            // A kill leaves the lines on its way.
            let unwinding = OnUnwind(&mut leave);
            let _listening = owner.map(Listening);
            // A mailbox may always be told to stop.
            let what = match owner {
                Some(_) => Waiting::Any,
                None => Waiting::AnyPeer,
            };
            let wait = Wait::new(what, deadline).for_peer();
            let me = block::current();
            let waited = block::wait_until(wait, || {
                if claim.look(me.is_some_and(Core::is_to_unwind)) {
                    return Some(());
                }
                let owner = owner?;
                if receive::has_news(owner) {
                    return Some(());
                }
                (!receive::listen(owner)).then_some(())
            });
            std::mem::forget(unwinding);
            waited
        };
        match (leave(), waited) {
            (Some(arm), _) => Ok(Ready::Arm(arm)),
            (None, Ok(())) => Ok(Ready::Message),
            (None, Err(interrupt)) => Err(interrupt),
        }
    }
}

/// A number below `bound`.
fn random(bound: usize) -> usize {
    // A model must do the same each time.
    if cfg!(loom) {
        return 0;
    }
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
    }
    // A destructor of another thread-local may come here after ours has run: any choice will do.
    let drawn = STATE.try_with(|state| {
        let mut word = state.get();
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        state.set(word);
        word >> 32
    });
    drawn.map_or(0, |drawn| drawn as usize % bound)
}
