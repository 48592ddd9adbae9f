//! Mailboxes: how much they hold, what happens when they are full, and what holds it.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::Mutex;

use crate::block::{Interrupt, Wait, Waiting};
use crate::envelope::Envelope;
use crate::home::HomeCell;
use crate::queue::{Chain, Push, Queue};
use crate::sync::permits::{Permits, Refusal};
use crate::{CallError, Pid, SendError, block, counters};

/// What a send to a full mailbox does.
///
/// `try_send` never waits: with [`Block`](Overflow::Block) it says [`SendError::Full`]. A call that is
/// dropped by either policy ends with [`CallError::Full`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It waits until there is room: back-pressure on the sender.
    Block,
    /// It fails with [`SendError::Full`].
    Fail,
    /// It drops the message that is being sent, and succeeds.
    DropNewest,
    /// It drops the message that has waited longest, and succeeds.
    DropOldest,
}

/// How much a mailbox holds, and what happens when it is full.
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{Mailbox, Message, Overflow, SendError, Tasklet, dispatch};
/// #[derive(Message)]
/// struct Job(u32);
///
/// # fn main() {
/// dispatch(|| {
///     let worker = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::Fail))
///         .spawn(|| Tasklet::receive_one().is_ok())
///         .unwrap();
///     worker.send(Job(1)).unwrap();
///     let refused = worker.send(Job(2)).unwrap_err();
///     assert!(refused.is_full());
///     assert_eq!(refused.into_message().0, 2);
/// });
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    bound: Option<(usize, Overflow)>,
}

impl Mailbox {
    /// Holds as much as there is memory for. What tasklets have unless they ask for something else.
    pub const fn unbounded() -> Self {
        Mailbox { bound: None }
    }

    /// Holds `capacity` messages.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0: such a mailbox could never take a message.
    pub const fn bounded(capacity: usize, overflow: Overflow) -> Self {
        assert!(capacity > 0, "a mailbox must have room for a message");
        Mailbox { bound: Some((capacity, overflow)) }
    }
}

/// How long a sender waits for room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// As the mailbox's policy says.
    Policy,
    /// The same, but not beyond the moment.
    Until(Option<Instant>),
    /// Not at all.
    Never,
}

/// A mailbox's contents. One consumer: the tasklet that owns it, on its home thread.
#[derive(Debug)]
pub(crate) enum Contents {
    /// The lock-free queue, with or without a bound.
    Queue {
        arrived: Queue,
        /// What the consumer has taken and not yet handled.
        taken: HomeCell<Chain>,
        bound: Option<(Permits, Overflow)>,
    },
    /// For `DropOldest`, where senders take messages out as well, which the queue cannot do.
    Ring { capacity: usize, state: Mutex<Ring> },
}

#[derive(Debug)]
pub(crate) struct Ring {
    messages: VecDeque<Envelope>,
    idle: bool,
    closed: bool,
}

impl Contents {
    pub(crate) fn new(mailbox: Mailbox) -> Self {
        match mailbox.bound {
            Some((capacity, Overflow::DropOldest)) => {
                let ring = Ring { messages: VecDeque::new(), idle: false, closed: false };
                Contents::Ring { capacity, state: Mutex::new(ring) }
            }
            bound => Contents::Queue {
                arrived: Queue::new(),
                taken: HomeCell::new(Chain::EMPTY),
                bound: bound.map(|(capacity, overflow)| (Permits::new(capacity), overflow)),
            },
        }
    }

    /// Adds a message for the consumer `of`; `Ok(true)` if that one must be woken.
    pub(crate) fn push(
        &self,
        envelope: Envelope,
        patience: Patience,
        of: Pid,
    ) -> Result<bool, SendError<Envelope>> {
        match self {
            Contents::Queue { arrived, bound: None, .. } => push_queue(arrived, envelope),
            Contents::Queue { arrived, bound: Some((room, overflow)), .. } => {
                let envelope = match reserve(room, *overflow, patience, of) {
                    Ok(true) => envelope,
                    Ok(false) => {
                        counters::OVERFLOWED.add(1);
                        envelope.fail(CallError::Full);
                        return Ok(false);
                    }
                    Err(refused) => return Err(refused.map(|()| envelope)),
                };
                push_queue(arrived, envelope).inspect_err(|_| room.release(1))
            }
            Contents::Ring { capacity, state } => push_ring(*capacity, state, envelope),
        }
    }

    /// Takes the next message out.
    ///
    /// # Safety
    ///
    /// For the consumer alone.
    pub(crate) unsafe fn pop(&self) -> Option<Envelope> {
        match self {
            Contents::Queue { arrived, taken, bound } => {
                // SAFETY: this is the consumer, and the queue's code does not come back here.
                let next = unsafe {
                    taken.with(|taken| {
                        if taken.len() == 0 {
                            taken.append(arrived.take_all());
                        }
                        taken.pop()
                    })
                }?;
                if let Some((room, _)) = bound {
                    room.release(1);
                }
                // SAFETY: the link came from an envelope that `push_queue` took apart.
                Some(unsafe { Envelope::from_link(next) })
            }
            Contents::Ring { state, .. } => state.lock().messages.pop_front(),
        }
    }

    /// How many messages wait.
    ///
    /// # Safety
    ///
    /// For the consumer alone.
    pub(crate) unsafe fn pending(&self) -> usize {
        match self {
            // SAFETY: as in `pop`.
            Contents::Queue { arrived, taken, .. } => unsafe {
                taken.with(|taken| {
                    taken.append(arrived.take_all());
                    taken.len()
                })
            },
            Contents::Ring { state, .. } => state.lock().messages.len(),
        }
    }

    /// Declares the consumer idle; `false` if there is a message, or the mailbox is closed.
    pub(crate) fn go_idle(&self) -> bool {
        match self {
            Contents::Queue { arrived, .. } => arrived.go_idle(),
            Contents::Ring { state, .. } => {
                let mut ring = state.lock();
                ring.idle = ring.messages.is_empty() && !ring.closed;
                ring.idle
            }
        }
    }

    /// Takes the idle state back.
    pub(crate) fn leave_idle(&self) {
        match self {
            Contents::Queue { arrived, .. } => arrived.leave_idle(),
            Contents::Ring { state, .. } => state.lock().idle = false,
        }
    }

    /// Refuses all later messages; `true` if the consumer must be woken. Senders that wait for room
    /// give up.
    pub(crate) fn close(&self) -> bool {
        match self {
            Contents::Queue { arrived, bound, .. } => {
                let wake = arrived.close();
                if let Some((room, _)) = bound {
                    room.close();
                }
                wake
            }
            Contents::Ring { state, .. } => {
                let mut ring = state.lock();
                ring.closed = true;
                std::mem::take(&mut ring.idle)
            }
        }
    }

    /// Whether it is closed: what it holds now is all that will ever come.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Contents::Queue { arrived, .. } => arrived.is_closed(),
            Contents::Ring { state, .. } => state.lock().closed,
        }
    }
}

/// Takes a place in a bounded mailbox; `Ok(false)` if the message is to be dropped instead.
fn reserve(
    room: &Permits,
    overflow: Overflow,
    patience: Patience,
    of: Pid,
) -> Result<bool, SendError<()>> {
    let refused = match room.try_acquire(1) {
        Ok(true) => return Ok(true),
        Ok(false) => match (overflow, patience) {
            (Overflow::DropNewest, _) => return Ok(false),
            (Overflow::Block, Patience::Policy) => wait_for_room(room, None, of),
            (Overflow::Block, Patience::Until(deadline)) => wait_for_room(room, deadline, of),
            _ => return Err(SendError::Full(())),
        },
        Err(refused) => Err(refused),
    };
    match refused {
        Ok(()) => Ok(true),
        Err(Refusal::Closed) => Err(SendError::Ended(())),
        Err(Refusal::Interrupted(Interrupt::TimedOut | Interrupt::Expired(_))) => {
            Err(SendError::Timeout(()))
        }
        // Where the sender cannot wait, a full mailbox is just that.
        Err(Refusal::Interrupted(_)) => Err(SendError::Full(())),
    }
}

fn wait_for_room(room: &Permits, deadline: Option<Instant>, of: Pid) -> Result<(), Refusal> {
    block::enter().map_err(Refusal::Interrupted)?;
    room.acquire(1, Wait::new(Waiting::Room(of), deadline))
}

fn push_queue(arrived: &Queue, envelope: Envelope) -> Result<bool, SendError<Envelope>> {
    let link = envelope.into_link();
    // SAFETY: the envelope has just been taken apart for this, so the link is this call's alone.
    match unsafe { arrived.push(link) } {
        Push::Queued => Ok(false),
        Push::WakeConsumer => Ok(true),
        // SAFETY: refused, so the link is still ours.
        Push::Closed => Err(SendError::Ended(unsafe { Envelope::from_link(link) })),
    }
}

fn push_ring(
    capacity: usize,
    state: &Mutex<Ring>,
    envelope: Envelope,
) -> Result<bool, SendError<Envelope>> {
    let mut ring = state.lock();
    if ring.closed {
        return Err(SendError::Ended(envelope));
    }
    let oldest = if ring.messages.len() == capacity { ring.messages.pop_front() } else { None };
    ring.messages.push_back(envelope);
    let wake = std::mem::take(&mut ring.idle);
    drop(ring);
    // Not under the lock: its destructor may send.
    if let Some(oldest) = oldest {
        counters::OVERFLOWED.add(1);
        oldest.fail(CallError::Full);
    }
    Ok(wake)
}
