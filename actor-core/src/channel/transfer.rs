//! How a value gets from a sender to a receiver, for the one as for the other: meet somebody, or wait in line.

use std::mem;
use std::time::{Duration, Instant};

use super::peer::{Peer, wake_all};
use super::rendezvous::{Item, Member, Received, Sent};
use super::{Channel, ReceiveError, SendError, hook};
use crate::block::{self, Interrupt, Wait, Waiting};
use crate::time;

/// For how long an operation may wait.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    None,
    Until(Option<Instant>),
}

impl Patience {
    pub(super) const ENDLESS: Patience = Patience::Until(None);

    pub(super) fn limit(limit: Duration) -> Patience {
        Patience::Until(time::after(limit))
    }
}

impl<T> Channel<T> {
    #[inline(always)]
    pub(super) fn send_value(&self, value: T, patience: Patience) -> Result<(), SendError<T>> {
        self.send_item(Ok(value), patience).map_err(|refused| {
            refused.map(|item| match item {
                Ok(value) => value,
                Err(_) => unreachable!("a value was sent"),
            })
        })
    }

    #[inline(always)]
    pub(super) fn send_item(
        &self,
        item: Item<T>,
        patience: Patience,
    ) -> Result<(), SendError<Item<T>>> {
        if let Err(interrupt) = block::enter_in_turn() {
            return Err(send_error(interrupt, item));
        }
        let id = self.shared.id;
        let mut state = self.shared.rendezvous.lock();
        let item = match state.send(item) {
            Ok(peer) => {
                let next = state.next_after_send();
                drop(state);
                hook::report(id, true, false);
                block::meet(peer.waiter, next);
                return Ok(());
            }
            Err(item) => item,
        };
        if state.is_closing {
            return Err(SendError::Closed(item));
        }
        if state.is_deserted(1) {
            let refused = state.refuse_all();
            drop(state);
            wake_all(refused);
            return Err(SendError::Closed(item));
        }
        let Patience::Until(deadline) = patience else {
            return Err(SendError::WouldBlock(item));
        };
        let peer = match Peer::current() {
            Ok(peer) => peer,
            Err(interrupt) => return Err(send_error(interrupt, item)),
        };
        let ticket = state.join_senders(Member::sole(peer), item);
        drop(state);
        let leave = || self.shared.rendezvous.lock().leave_senders(ticket);
        let unwinding = OnUnwind(leave);
        hook::report(id, true, true);
        let wait = Wait::new(Waiting::Sender(id), deadline).for_peer();
        let waited = block::wait_until(wait, || {
            let mut state = self.shared.rendezvous.lock();
            state
                .is_sender_out(ticket)
                .then(|| state.leave_senders(ticket))
        });
        let sent = waited.map_err(|interrupt| (interrupt, leave()));
        mem::forget(unwinding);
        match sent {
            Ok(Sent::Taken) | Err((_, Sent::Taken)) => Ok(()),
            Ok(Sent::Refused(item) | Sent::Withdrawn(item)) | Err((_, Sent::Refused(item))) => {
                block::check_kill();
                Err(SendError::Closed(item))
            }
            Err((interrupt, Sent::Withdrawn(item))) => Err(send_error(interrupt, item)),
        }
    }

    #[inline(always)]
    pub(super) fn receive_value(&self, patience: Patience) -> Result<T, ReceiveError> {
        match self.receive_item(patience) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(ReceiveError::Raised(error)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    #[inline(always)]
    pub(super) fn receive_item(&self, patience: Patience) -> Result<Item<T>, Refusal> {
        block::enter_in_turn()?;
        let id = self.shared.id;
        let mut state = self.shared.rendezvous.lock();
        if let Some((item, peer)) = state.receive() {
            let next = state.next_after_receive();
            drop(state);
            hook::report(id, false, false);
            block::meet(peer.waiter, next);
            return Ok(item);
        }
        if state.is_closing {
            return Err(Refusal::Closed);
        }
        if state.is_deserted(1) {
            let refused = state.refuse_all();
            drop(state);
            wake_all(refused);
            return Err(Refusal::Closed);
        }
        let Patience::Until(deadline) = patience else {
            return Err(Refusal::WouldBlock);
        };
        let ticket = state.join_receivers(Member::sole(Peer::current()?));
        drop(state);
        let leave = || self.shared.rendezvous.lock().leave_receivers(ticket);
        let unwinding = OnUnwind(leave);
        hook::report(id, false, true);
        let wait = Wait::new(Waiting::Receiver(id), deadline).for_peer();
        let waited = block::wait_until(wait, || {
            let mut state = self.shared.rendezvous.lock();
            state
                .is_receiver_out(ticket)
                .then(|| state.leave_receivers(ticket))
        });
        let received = waited.map_err(|interrupt| (interrupt, leave()));
        mem::forget(unwinding);
        match received {
            Ok(Received::Item(item)) | Err((_, Received::Item(item))) => Ok(item),
            Ok(Received::Refused | Received::Withdrawn) | Err((_, Received::Refused)) => {
                // The last peer may have ended by a panic, which is forwarded to this one: that comes first.
                block::check_kill();
                Err(Refusal::Closed)
            }
            Err((interrupt, Received::Withdrawn)) => Err(interrupt.into()),
        }
    }
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    Closed,
    WouldBlock,
    Interrupted(Interrupt),
}

impl From<Interrupt> for Refusal {
    fn from(interrupt: Interrupt) -> Refusal {
        Refusal::Interrupted(interrupt)
    }
}

impl From<Refusal> for ReceiveError {
    fn from(refusal: Refusal) -> ReceiveError {
        match refusal {
            Refusal::Closed => ReceiveError::Closed,
            Refusal::Interrupted(Interrupt::TimedOut | Interrupt::Expired(_)) => {
                ReceiveError::Timeout
            }
            Refusal::Interrupted(Interrupt::Deadlock) => ReceiveError::Deadlock,
            // What is left are the ways in which the caller may not wait.
            Refusal::WouldBlock | Refusal::Interrupted(_) => ReceiveError::WouldBlock,
        }
    }
}

pub(super) fn send_error<T>(interrupt: Interrupt, item: T) -> SendError<T> {
    match interrupt {
        Interrupt::TimedOut | Interrupt::Expired(_) => SendError::Timeout(item),
        Interrupt::Deadlock => SendError::Deadlock(item),
        // As above.
        _ => SendError::WouldBlock(item),
    }
}

/// Leaves the line when a wait ends by unwinding; forgotten when it ends otherwise.
pub(super) struct OnUnwind<R, F: FnMut() -> R>(pub(super) F);

impl<R, F: FnMut() -> R> Drop for OnUnwind<R, F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
