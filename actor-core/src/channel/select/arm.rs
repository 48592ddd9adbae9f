//! The arms of a select: a receive or a send, in a line of its channel as one of several.

use crate::block::Next;
use crate::channel::peer::Peer;
use crate::channel::rendezvous::{Item, Member, Received, Sent};
use crate::channel::{Channel, ReceiveError, SendError};
use crate::line::Ticket;

/// A send or receive that a select waits for.
pub(in crate::channel) trait Arm<R> {
    /// Whether it can come to pass at all.
    fn is_possible(&self) -> bool;

    /// Where its channel is; the locks are taken in the order of this.
    fn place(&self) -> usize;

    /// Where its handle is.
    fn handle(&self) -> usize;

    fn hold(&self);

    /// # Safety
    ///
    /// The caller holds the channel's lock.
    unsafe fn release(&self);

    /// Does it if a peer waits, or if it must fail; `own` is how many handles of the channel the select
    /// has.
    ///
    /// # Safety
    ///
    /// As [`release`](Self::release).
    unsafe fn meet(&mut self, own: usize) -> Option<Met>;

    /// Joins the line.
    ///
    /// # Safety
    ///
    /// As [`release`](Self::release).
    unsafe fn join(&mut self, member: Member<Peer>);

    /// Leaves the line, and takes what it has been given there, or its own value back.
    fn leave(&mut self);

    /// Runs the function for what has come to pass.
    fn finish(self: Box<Self>) -> R;
}

/// What is to be done for a meeting once the locks are released.
pub(in crate::channel) struct Met {
    pub(super) channel: u64,
    pub(super) sending: bool,
    /// Whom to wake, and who runs next; nobody, if the channel has come to its end.
    pub(super) peer: Option<(Peer, Next)>,
    pub(super) refused: Vec<Peer>,
}

pub(super) struct Receiving<'a, T, F> {
    pub(super) channel: &'a Channel<T>,
    pub(super) ticket: Option<Ticket>,
    pub(super) outcome: Option<Result<T, ReceiveError>>,
    pub(super) then: F,
}

impl<T, R, F: FnOnce(Result<T, ReceiveError>) -> R> Arm<R> for Receiving<'_, T, F> {
    fn is_possible(&self) -> bool {
        true
    }

    fn place(&self) -> usize {
        self.channel.place()
    }

    fn handle(&self) -> usize {
        std::ptr::from_ref(self.channel).addr()
    }

    fn hold(&self) {
        self.channel.shared.rendezvous.raw().hold();
    }

    unsafe fn release(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.channel.shared.rendezvous.raw().release() };
    }

    unsafe fn meet(&mut self, own: usize) -> Option<Met> {
        // SAFETY: as the caller promises; there is one such reference at a time.
        let state = unsafe { self.channel.shared.rendezvous.raw().held() };
        let (peer, refused) = if let Some((item, peer)) = state.receive() {
            self.outcome = Some(item.map_err(ReceiveError::Raised));
            (Some((peer, state.next_after_receive())), Vec::new())
        } else if state.is_closing {
            self.outcome = Some(Err(ReceiveError::Closed));
            (None, Vec::new())
        } else if state.is_deserted(own) {
            self.outcome = Some(Err(ReceiveError::Closed));
            (None, state.refuse_all())
        } else {
            return None;
        };
        Some(Met {
            channel: self.channel.id(),
            sending: false,
            peer,
            refused,
        })
    }

    unsafe fn join(&mut self, member: Member<Peer>) {
        // SAFETY: as in `meet`.
        let state = unsafe { self.channel.shared.rendezvous.raw().held() };
        self.ticket = Some(state.join_receivers(member));
    }

    fn leave(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let received = self
            .channel
            .shared
            .rendezvous
            .lock()
            .leave_receivers(ticket);
        self.outcome = match received {
            Received::Item(item) => Some(item.map_err(ReceiveError::Raised)),
            Received::Refused => Some(Err(ReceiveError::Closed)),
            Received::Withdrawn => None,
        };
    }

    fn finish(self: Box<Self>) -> R {
        (self.then)(self.outcome.expect("the arm that was met has an outcome"))
    }
}

pub(super) struct Sending<'a, T, F> {
    pub(super) channel: &'a Channel<T>,
    /// Empty while the value stands in line.
    pub(super) value: &'a mut Option<T>,
    pub(super) ticket: Option<Ticket>,
    pub(super) outcome: Option<Result<(), SendError<T>>>,
    pub(super) then: F,
}

/// The value in an item that was made of one.
pub(super) fn value<T>(item: Item<T>) -> Option<T> {
    item.ok()
}

impl<T, R, F: FnOnce(Result<(), SendError<T>>) -> R> Arm<R> for Sending<'_, T, F> {
    fn is_possible(&self) -> bool {
        self.value.is_some()
    }

    fn place(&self) -> usize {
        self.channel.place()
    }

    fn handle(&self) -> usize {
        std::ptr::from_ref(self.channel).addr()
    }

    fn hold(&self) {
        self.channel.shared.rendezvous.raw().hold();
    }

    unsafe fn release(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.channel.shared.rendezvous.raw().release() };
    }

    unsafe fn meet(&mut self, own: usize) -> Option<Met> {
        // SAFETY: as in `Receiving::meet`.
        let state = unsafe { self.channel.shared.rendezvous.raw().held() };
        let item = self.value.take()?;
        let (peer, refused) = match state.send(Ok(item)) {
            Ok(peer) => {
                self.outcome = Some(Ok(()));
                (Some((peer, state.next_after_send())), Vec::new())
            }
            Err(item) => {
                *self.value = value(item);
                if state.is_closing {
                    self.outcome = self.value.take().map(|value| Err(SendError::Closed(value)));
                    (None, Vec::new())
                } else if state.is_deserted(own) {
                    self.outcome = self.value.take().map(|value| Err(SendError::Closed(value)));
                    (None, state.refuse_all())
                } else {
                    return None;
                }
            }
        };
        Some(Met {
            channel: self.channel.id(),
            sending: true,
            peer,
            refused,
        })
    }

    unsafe fn join(&mut self, member: Member<Peer>) {
        // SAFETY: as in `Receiving::meet`.
        let state = unsafe { self.channel.shared.rendezvous.raw().held() };
        if let Some(value) = self.value.take() {
            self.ticket = Some(state.join_senders(member, Ok(value)));
        }
    }

    fn leave(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let sent = self.channel.shared.rendezvous.lock().leave_senders(ticket);
        match sent {
            Sent::Taken => self.outcome = Some(Ok(())),
            Sent::Refused(item) => {
                self.outcome = value(item).map(|value| Err(SendError::Closed(value)));
            }
            Sent::Withdrawn(item) => *self.value = value(item),
        }
    }

    fn finish(self: Box<Self>) -> R {
        (self.then)(self.outcome.expect("the arm that was met has an outcome"))
    }
}
