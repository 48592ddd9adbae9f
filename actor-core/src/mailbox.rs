//! Mailboxes: how much they hold, what happens when they are full, and what holds it.

use std::cell::Cell;
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
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{Mailbox, Message, Overflow, Tasklet, dispatch};
/// #[derive(Message, Debug, PartialEq)]
/// struct Note(u8);
///
/// # fn main() {
/// dispatch(|| {
///     let latest = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::DropOldest))
///         .spawn(|| Tasklet::receive_one().unwrap().downcast::<Note>().unwrap())
///         .unwrap();
///     latest.send(Note(1)).unwrap();
///     latest.send(Note(2)).unwrap(); // drops the first
///     assert_eq!(latest.join().unwrap(), Note(2));
/// });
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It waits until there is room: back-pressure on the sender. What its owner sends to itself fails
    /// with [`SendError::Full`], since it alone could make room.
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
    ///
    /// ```
    /// use actor_core::Mailbox;
    ///
    /// assert_eq!(Mailbox::unbounded(), Mailbox::default());
    /// ```
    pub const fn unbounded() -> Self {
        Mailbox { bound: None }
    }

    /// Holds `capacity` messages.
    ///
    /// ```
    /// use actor_core::{Mailbox, Overflow};
    ///
    /// const OUTBOX: Mailbox = Mailbox::bounded(1024, Overflow::Fail);
    /// assert_ne!(OUTBOX, Mailbox::unbounded());
    /// ```
    ///
    /// # Panics
    ///
    /// If `capacity` is 0: such a mailbox could never take a message.
    pub const fn bounded(capacity: usize, overflow: Overflow) -> Self {
        assert!(capacity > 0, "a mailbox must have room for a message");
        Mailbox {
            bound: Some((capacity, overflow)),
        }
    }

    /// How much it holds, and what happens when it is full, if it is bounded.
    pub(crate) const fn bound(self) -> Option<(usize, Overflow)> {
        self.bound
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
    /// Word from the runtime: it takes no room.
    System,
}

/// A mailbox's contents. One consumer: the tasklet that owns it, on its home thread.
#[derive(Debug)]
pub(crate) enum Contents {
    /// Two queues, with or without a bound. Senders on the owner's home thread, which are most of
    /// them, append to the second one without an atomic operation; others go through the first.
    ///
    /// A sender always takes the same way, since a tasklet never moves; so what one sender sends stays
    /// in order. And whoever appends first takes over what has arrived by the other way, so that a
    /// message which is the consequence of another stays behind it.
    Queue {
        arrived: Queue,
        home: HomeCell<Home>,
        /// Boxed: few mailboxes have one, and there may be millions.
        bound: Option<Box<Bound>>,
    },
    /// For `DropOldest`, where senders take messages out as well, which the queue cannot do.
    Ring { capacity: usize, state: Mutex<Ring> },
}

/// How much a mailbox takes in.
#[derive(Debug)]
pub(crate) struct Bound {
    room: Permits,
    overflow: Overflow,
}

/// The part of a mailbox that only its owner's home thread touches.
#[derive(Debug)]
pub(crate) struct Home {
    /// What waits, oldest first; what the consumer takes from `arrived` is put behind it.
    messages: Chain,
    /// Whether the consumer waits for a message.
    listening: bool,
}

#[derive(Debug)]
pub(crate) struct Ring {
    messages: VecDeque<Envelope>,
    /// Whether the consumer waits for a message.
    listening: bool,
    closed: bool,
}

impl Contents {
    pub(crate) fn new(mailbox: Mailbox) -> Self {
        match mailbox.bound {
            Some((capacity, Overflow::DropOldest)) => {
                let ring = Ring {
                    messages: VecDeque::new(),
                    listening: false,
                    closed: false,
                };
                Contents::Ring {
                    capacity,
                    state: Mutex::new(ring),
                }
            }
            bound => Contents::Queue {
                arrived: Queue::new(),
                home: HomeCell::new(Home {
                    messages: Chain::EMPTY,
                    listening: false,
                }),
                bound: bound.map(|(capacity, overflow)| {
                    let room = Permits::new(capacity);
                    Box::new(Bound { room, overflow })
                }),
            },
        }
    }

    /// Adds a message for the consumer `of`; `Ok(true)` if that one must be woken.
    ///
    /// # Safety
    ///
    /// `at_home` says `true` only on the consumer's home thread. It is asked once there is room: while
    /// the sender waits for that the consumer may change its home.
    pub(crate) unsafe fn push(
        &self,
        envelope: Envelope,
        patience: Patience,
        of: Pid,
        at_home: impl FnOnce() -> bool,
    ) -> Result<bool, SendError<Envelope>> {
        match self {
            Contents::Queue {
                arrived,
                home,
                bound,
            } => {
                let bound = bound.as_ref().filter(|_| !envelope.is_system());
                if let Some(bound) = bound {
                    match reserve(&bound.room, 1, bound.overflow, patience, of) {
                        Ok(true) => {}
                        Ok(false) => {
                            counters::OVERFLOWED.add(1);
                            envelope.fail(CallError::Full);
                            return Ok(false);
                        }
                        Err(refused) => return Err(refused.map(|()| envelope)),
                    }
                }
                let pushed = if at_home() {
                    // SAFETY: on the home thread.
                    unsafe { push_home(arrived, home, envelope) }
                } else {
                    push_queue(arrived, envelope)
                };
                pushed.inspect_err(|_| bound.iter().for_each(|bound| bound.room.release(1)))
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
            Contents::Queue {
                arrived,
                home,
                bound,
            } => {
                // SAFETY: on the home thread, and the queues' code does not come back here.
                let next = unsafe {
                    home.with(|home| {
                        home.collect(arrived);
                        home.messages.pop()
                    })
                }?;
                // SAFETY: the link came from an envelope that a push took apart.
                let next = unsafe { Envelope::from_link(next) };
                if let Some(bound) = bound
                    && !next.is_system()
                {
                    bound.room.release(1);
                }
                Some(next)
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
            Contents::Queue { arrived, home, .. } => unsafe {
                home.with(|home| {
                    home.collect(arrived);
                    home.messages.len()
                })
            },
            Contents::Ring { state, .. } => state.lock().messages.len(),
        }
    }

    /// Declares that the consumer waits; `false` if there is a message, or the mailbox is closed.
    ///
    /// # Safety
    ///
    /// For the consumer alone.
    pub(crate) unsafe fn listen(&self) -> bool {
        match self {
            Contents::Queue { arrived, home, .. } => {
                let idle = arrived.go_idle();
                // SAFETY: as in `pop`. Nothing has been appended here since the consumer's last look:
                // it shares the thread with those who do.
                unsafe { home.with(|home| home.listening = idle) };
                idle
            }
            Contents::Ring { state, .. } => {
                let mut ring = state.lock();
                ring.listening = ring.messages.is_empty() && !ring.closed;
                ring.listening
            }
        }
    }

    /// Declares that it does not wait any more.
    ///
    /// Only for those who share the consumer's thread, and for rings: in the other queue the state
    /// stays idle until a message ends it, and costs a vain wake-up if one comes meanwhile. That is
    /// rare, and saves an atomic operation for every wait.
    ///
    /// # Safety
    ///
    /// For the consumer alone.
    pub(crate) unsafe fn stop_listening(&self) {
        match self {
            // SAFETY: as in `pop`.
            Contents::Queue { home, .. } => unsafe { home.with(|home| home.listening = false) },
            Contents::Ring { state, .. } => state.lock().listening = false,
        }
    }

    /// Drops what has waited longest; `false` if there is nothing that may be dropped.
    pub(crate) fn drop_oldest(&self) -> bool {
        let Contents::Ring { state, .. } = self else {
            return false;
        };
        let oldest = state.lock().take_oldest();
        // Not under the lock: its destructor may send.
        let Some(oldest) = oldest else {
            return false;
        };
        counters::OVERFLOWED.add(1);
        oldest.fail(CallError::Full);
        true
    }

    /// Whether what is in it may be dropped to make room for others.
    /// Has all that is left in it abandoned, each message in a piece of its own for `guard`: its destructor is the
    /// user's.
    ///
    /// # Safety
    ///
    /// For the consumer alone.
    pub(crate) unsafe fn abandon_all(&self, guard: impl Fn(&dyn Fn()), abandon: impl Fn(Envelope)) {
        // SAFETY: as the caller promises.
        while let Some(message) = unsafe { self.pop() } {
            let message = Cell::new(Some(message));
            guard(&|| message.take().into_iter().for_each(&abandon));
        }
    }

    pub(crate) fn drops_oldest(&self) -> bool {
        matches!(self, Contents::Ring { .. })
    }

    /// Refuses all later messages; `true` if the consumer must be woken. Senders that wait for room
    /// give up.
    pub(crate) fn close(&self) -> bool {
        match self {
            Contents::Queue { arrived, bound, .. } => {
                let wake = arrived.close();
                if let Some(bound) = bound {
                    bound.room.close();
                }
                wake
            }
            Contents::Ring { state, .. } => {
                let mut ring = state.lock();
                ring.closed = true;
                std::mem::take(&mut ring.listening)
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

impl Ring {
    /// Takes out what has waited longest of what may be dropped.
    fn take_oldest(&mut self) -> Option<Envelope> {
        let oldest = self.messages.iter().position(|old| !old.is_system())?;
        self.messages.remove(oldest)
    }
}

impl Home {
    /// Puts what has come from other threads behind what is here.
    fn collect(&mut self, arrived: &Queue) {
        if arrived.has_nodes() {
            self.messages.append(arrived.take_all());
        }
    }
}

/// Takes places in a bounded mailbox; `Ok(false)` if the message is to be dropped instead.
pub(crate) fn reserve(
    room: &Permits,
    wanted: usize,
    overflow: Overflow,
    patience: Patience,
    of: Pid,
) -> Result<bool, SendError<()>> {
    let refused = match room.try_acquire(wanted) {
        Ok(true) => return Ok(true),
        Ok(false) => match (overflow, patience) {
            (Overflow::DropNewest, _) => return Ok(false),
            // The owner itself: while it waits here it makes no room.
            (Overflow::Block, _) if Pid::current() == Some(of) => return Err(SendError::Full(())),
            (Overflow::Block, Patience::Policy) => wait_for_room(room, wanted, None, of),
            (Overflow::Block, Patience::Until(deadline)) => {
                wait_for_room(room, wanted, deadline, of)
            }
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

fn wait_for_room(
    room: &Permits,
    wanted: usize,
    deadline: Option<Instant>,
    of: Pid,
) -> Result<(), Refusal> {
    block::enter().map_err(Refusal::Interrupted)?;
    room.acquire(wanted, Wait::new(Waiting::Room(of), deadline))
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

/// # Safety
///
/// On the home thread.
unsafe fn push_home(
    arrived: &Queue,
    home: &HomeCell<Home>,
    envelope: Envelope,
) -> Result<bool, SendError<Envelope>> {
    // A close by another thread that comes after this look comes after this push: the consumer, on
    // this thread, drains what is here before it ends.
    if arrived.is_closed() {
        return Err(SendError::Ended(envelope));
    }
    let link = envelope.into_link();
    // SAFETY: on the home thread; the link is this call's alone, and becomes the chain's.
    Ok(unsafe {
        home.with(|home| {
            // What has come from elsewhere may be the cause of this one, and goes first.
            home.collect(arrived);
            home.messages.push(link);
            std::mem::take(&mut home.listening)
        })
    })
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
    let oldest = if ring.messages.len() >= capacity && !envelope.is_system() {
        ring.take_oldest()
    } else {
        None
    };
    ring.messages.push_back(envelope);
    let wake = std::mem::take(&mut ring.listening);
    drop(ring);
    // Not under the lock: its destructor may send.
    if let Some(oldest) = oldest {
        counters::OVERFLOWED.add(1);
        oldest.fail(CallError::Full);
    }
    Ok(wake)
}
