//! Where senders and receivers meet: who waits, and who gets what from whom.
//!
//! All of it is one state under one short lock; nobody waits in here. An operation looks for a peer
//! who waits. If there is one, the two have met: the value changes hands, the peer leaves the line, and
//! what has become of it stands under its ticket until it looks. If there is none, the caller joins the
//! line, waits elsewhere, and looks.
//!
//! So whatever ends a wait (a peer, the deadline, a kill, the loss of all other handles) ends it once:
//! who is out of the line has an outcome, and who leaves the line by itself gets none.
//!
//! A **select** stands in several lines, of channels with locks of their own. What makes that one wait
//! is its [`Claim`], a word that is set once, by whoever meets the select first. A select that comes
//! takes all the locks of its channels before it looks for peers, and joins the lines before it
//! releases them; so it is never looking for a peer and standing in a line at the same time, and no
//! two selects ever claim each other.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::Preference;
use super::lock::{Guard, Lock};
use crate::BoxError;
use crate::block::Next;
use crate::line::{Line, Ticket};
use crate::primitive::AtomicUsize;

/// What passes from a sender to a receiver: a value, or an error for it to fail with.
pub(crate) type Item<T> = Result<T, BoxError>;

/// Whoever stands in a line.
pub(crate) trait Party {
    /// Whether it must not be given anything: it is going to leave without looking. Never false again
    /// once it has been true.
    fn is_called_off(&self) -> bool;

    /// Whether that may be so of any party.
    fn any_called_off() -> bool;
}

/// One wait in several lines.
#[derive(Debug)]
pub(crate) struct Claim {
    /// [`OPEN`], [`WITHDRAWN`], or the number of the arm that was met.
    word: AtomicUsize,
}

const OPEN: usize = usize::MAX;
const WITHDRAWN: usize = usize::MAX - 1;

impl Claim {
    pub(crate) fn new() -> Self {
        Claim {
            word: AtomicUsize::new(OPEN),
        }
    }

    /// Ends the wait for the sake of `arm`; `false` if it has ended.
    fn take(&self, arm: usize) -> bool {
        self.word
            .compare_exchange(OPEN, arm, AcqRel, Acquire)
            .is_ok()
    }

    fn is_open(&self) -> bool {
        self.word.load(Acquire) == OPEN
    }

    /// Whether the wait has ended by a meeting. One that `unwinds` if it has not will not look again, so
    /// that ends its wait: whoever has found it waiting just before it was killed has met it, or does not.
    pub(crate) fn look(&self, unwinds: bool) -> bool {
        let met = if unwinds { self.withdraw() } else { self.met() };
        met.is_some()
    }

    /// The arm that was met.
    pub(crate) fn met(&self) -> Option<usize> {
        Some(self.word.load(Acquire)).filter(|word| *word < WITHDRAWN)
    }

    /// Ends the wait without a meeting, unless there has been one.
    pub(crate) fn withdraw(&self) -> Option<usize> {
        self.take(WITHDRAWN);
        self.met()
    }
}

/// A place in a line.
#[derive(Debug)]
pub(crate) struct Member<P> {
    party: P,
    /// If it stands in other lines as well: its claim, and which of the arms this is.
    claim: Option<(Arc<Claim>, usize)>,
    /// How many handles of the channel wait with it: 1, or 0 if another place counts it.
    handles: usize,
}

impl<P: Party> Member<P> {
    /// One that stands in this line alone.
    pub(crate) fn sole(party: P) -> Self {
        Member {
            party,
            claim: None,
            handles: 1,
        }
    }

    /// The arm of a select.
    pub(crate) fn arm(party: P, claim: Arc<Claim>, arm: usize, handles: usize) -> Self {
        Member {
            party,
            claim: Some((claim, arm)),
            handles,
        }
    }

    /// Whether it waits; if not, it is about to leave.
    fn waits(&self) -> bool {
        !self.party.is_called_off() && self.claim.as_ref().is_none_or(|(claim, _)| claim.is_open())
    }

    /// Ends its wait; `false` if it has ended.
    fn take(&self) -> bool {
        !self.party.is_called_off()
            && self
                .claim
                .as_ref()
                .is_none_or(|(claim, arm)| claim.take(*arm))
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Rendezvous<T, P> {
    state: Lock<State<T, P>>,
}

/// What is under the lock.
#[derive(Debug)]
pub(crate) struct State<T, P> {
    pub(crate) preference: Preference,
    /// Whether whoever finds a peer lets all others run, whatever the preference.
    pub(crate) schedule_all: bool,
    /// Nobody may begin to wait any more.
    pub(crate) is_closing: bool,
    /// How many handles there are.
    handles: usize,
    /// How many of them wait, also in places whose wait has ended.
    waiting: usize,
    /// Whether there have been more handles than there are.
    has_lost_handles: bool,
    senders: Line<(Member<P>, Item<T>)>,
    receivers: Line<Member<P>>,
    /// How many places are those of selects.
    arms: usize,
    /// What has become of the receivers that are out of the line and have not looked: an item, or
    /// nobody is left to send one.
    received: Line<Option<Item<T>>>,
    /// The items of the senders for whom nobody is left. Of other senders that are out of the line the
    /// item has been taken.
    refused: Line<Item<T>>,
}

/// What a sender that has left finds.
#[derive(Debug)]
pub(crate) enum Sent<T> {
    Taken,
    /// Nobody has taken it.
    Withdrawn(Item<T>),
    /// Nobody was left who could.
    Refused(Item<T>),
}

/// What a receiver that has left finds.
#[derive(Debug)]
pub(crate) enum Received<T> {
    Item(Item<T>),
    /// Nobody has sent anything.
    Withdrawn,
    /// Nobody was left who could.
    Refused,
}

impl<T, P: Party> Rendezvous<T, P> {
    /// With one handle.
    pub(crate) fn new(preference: Preference) -> Self {
        Rendezvous {
            state: Lock::new(State {
                preference,
                schedule_all: false,
                is_closing: false,
                handles: 1,
                waiting: 0,
                has_lost_handles: false,
                senders: Line::new(),
                receivers: Line::new(),
                arms: 0,
                received: Line::new(),
                refused: Line::new(),
            }),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, State<T, P>> {
        self.state.lock()
    }

    /// The lock itself, for selects, which hold several.
    pub(crate) fn raw(&self) -> &Lock<State<T, P>> {
        &self.state
    }
}

impl<T, P: Party> State<T, P> {
    /// Gives `item` to the receiver that has waited longest, whom the caller wakes.
    #[inline]
    pub(crate) fn send(&mut self, item: Item<T>) -> Result<P, Item<T>> {
        match self.receivers.next_that(Member::take) {
            Some((ticket, receiver)) => {
                self.count_out(&receiver);
                self.received.join_as(ticket, Some(item));
                Ok(receiver.party)
            }
            None => Err(item),
        }
    }

    /// Takes the item of the sender that has waited longest, whom the caller wakes.
    #[inline]
    pub(crate) fn receive(&mut self) -> Option<(Item<T>, P)> {
        let (_, (sender, item)) = self.senders.next_that(|(sender, _)| sender.take())?;
        self.count_out(&sender);
        Some((item, sender.party))
    }

    #[inline]
    pub(crate) fn join_senders(&mut self, member: Member<P>, item: Item<T>) -> Ticket {
        self.count_in(&member);
        self.senders.join((member, item))
    }

    #[inline]
    pub(crate) fn join_receivers(&mut self, member: Member<P>) -> Ticket {
        self.count_in(&member);
        self.receivers.join(member)
    }

    /// Whether the wait of a sender has ended.
    #[inline]
    pub(crate) fn is_sender_out(&self, ticket: Ticket) -> bool {
        !self.senders.contains(ticket)
    }

    /// Whether the wait of a receiver has ended.
    #[inline]
    pub(crate) fn is_receiver_out(&self, ticket: Ticket) -> bool {
        !self.receivers.contains(ticket)
    }

    /// Leaves the line, or takes note of having been taken out of it. Once for each that has joined.
    #[inline]
    pub(crate) fn leave_senders(&mut self, ticket: Ticket) -> Sent<T> {
        if let Some((member, item)) = self.senders.leave(ticket) {
            self.count_out(&member);
            return Sent::Withdrawn(item);
        }
        match self.refused.leave(ticket) {
            Some(item) => Sent::Refused(item),
            None => Sent::Taken,
        }
    }

    /// The same for a receiver.
    #[inline]
    pub(crate) fn leave_receivers(&mut self, ticket: Ticket) -> Received<T> {
        if let Some(outcome) = self.received.leave(ticket) {
            return outcome.map_or(Received::Refused, Received::Item);
        }
        if let Some(member) = self.receivers.leave(ticket) {
            self.count_out(&member);
        }
        Received::Withdrawn
    }

    #[inline]
    fn count_in(&mut self, member: &Member<P>) {
        self.waiting += member.handles;
        self.arms += usize::from(member.claim.is_some());
    }

    #[inline]
    fn count_out(&mut self, member: &Member<P>) {
        self.waiting -= member.handles;
        self.arms -= usize::from(member.claim.is_some());
    }

    /// Who runs next after a send that has found a receiver.
    #[inline]
    pub(crate) fn next_after_send(&self) -> Next {
        self.next(Preference::Receiver)
    }

    /// Who runs next after a receive that has found a sender.
    #[inline]
    pub(crate) fn next_after_receive(&self) -> Next {
        self.next(Preference::Sender)
    }

    #[inline]
    fn next(&self, of_the_peer: Preference) -> Next {
        if self.schedule_all {
            Next::Ready
        } else if self.preference == of_the_peer {
            Next::Peer
        } else {
            Next::Caller
        }
    }

    // Who waits --------------------------------------------------------------------------------

    /// Whoever has waited longest; those who wait all send, or all receive, but for the arms of selects.
    pub(crate) fn first(&self) -> Option<&P> {
        let senders = self.senders.iter().map(|(sender, _)| sender);
        let mut members = senders.chain(self.receivers.iter());
        members
            .find(|member| member.waits())
            .map(|member| &member.party)
    }

    /// Whether each place in the lines is that of one who waits, without a look at every one.
    fn all_wait(&self) -> bool {
        self.arms == 0 && !P::any_called_off()
    }

    /// How many senders wait, less how many receivers do.
    pub(crate) fn balance(&self) -> isize {
        let (senders, receivers) = if self.all_wait() {
            (self.senders.len(), self.receivers.len())
        } else {
            let senders = self.senders.iter().filter(|(sender, _)| sender.waits());
            let receivers = self.receivers.iter().filter(|receiver| receiver.waits());
            (senders.count(), receivers.count())
        };
        senders.cast_signed() - receivers.cast_signed()
    }

    pub(crate) fn has_sender(&self) -> bool {
        self.senders.iter().any(|(sender, _)| sender.waits())
    }

    pub(crate) fn has_receiver(&self) -> bool {
        self.receivers.iter().any(Member::waits)
    }

    // Handles ----------------------------------------------------------------------------------

    pub(crate) fn add_handle(&mut self) {
        self.handles += 1;
    }

    /// One handle less. Whoever waits and is thereby left alone is refused, and woken by the caller.
    pub(crate) fn remove_handle(&mut self) -> Vec<P> {
        self.handles -= 1;
        self.has_lost_handles = true;
        if self.handles > 0 && self.is_deserted(0) {
            self.refuse_all()
        } else {
            Vec::new()
        }
    }

    /// Whether no handle is left but those that wait, all for the same, and `own` ones of the caller's.
    #[inline]
    pub(crate) fn is_deserted(&self, own: usize) -> bool {
        // Counted one by one only if it may be so.
        self.has_lost_handles
            && self.handles <= self.waiting + own
            && self.handles <= self.waiting_handles() + own
    }

    fn waiting_handles(&self) -> usize {
        if self.all_wait() {
            return self.waiting;
        }
        let senders = self.senders.iter().map(|(sender, _)| sender);
        senders
            .chain(self.receivers.iter())
            .filter(|member| member.waits())
            .map(|member| member.handles)
            .sum()
    }

    /// Ends all waits; those who waited are woken by the caller.
    #[cold]
    pub(crate) fn refuse_all(&mut self) -> Vec<P> {
        let mut parties = Vec::new();
        while let Some((ticket, receiver)) = self.receivers.next_that(Member::take) {
            self.count_out(&receiver);
            self.received.join_as(ticket, None);
            parties.push(receiver.party);
        }
        while let Some((ticket, (sender, item))) =
            self.senders.next_that(|(sender, _)| sender.take())
        {
            self.count_out(&sender);
            self.refused.join_as(ticket, item);
            parties.push(sender.party);
        }
        parties
    }
}
