//! The intrusive queue of many producers and one consumer, with its state in the head word.
//!
//! Mailboxes and the workers' inboxes are this queue. The head is one of
//!
//! | head       | meaning                                                                  |
//! |------------|--------------------------------------------------------------------------|
//! | `EMPTY`    | nothing queued, the consumer is at work and will look again              |
//! | `IDLE`     | nothing queued, the consumer waits and wants to be woken                 |
//! | a node     | nodes, newest first, linked by [`Link::next`]                            |
//!
//! each of the first and the last also with the `CLOSED` bit. Because the state and the nodes are one
//! word, three things that are races with a separate flag are single steps here: the push that finds
//! `IDLE` knows that it, and no other, must wake the consumer; the consumer goes idle only if nothing
//! has been pushed; and a push either comes before a close, and is then among what the consumer
//! drains, or finds `CLOSED` and gives the node back.
//!
//! Producers push with one compare-and-swap. The consumer takes everything with another and reverses
//! it, which costs a batch two cache lines instead of a shared tail for each node.

use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::prefetch;
use crate::primitive::AtomicPtr;

/// Tells what kind of node a [`Link`] begins, where one queue holds several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message node in a mailbox.
    Envelope,
    /// A tasklet to be scheduled, in a worker's inbox.
    Tasklet,
    /// An actor to be scheduled, in a worker's inbox.
    Actor,
    /// A command, in a worker's inbox.
    Command,
}

/// The first field (`repr(C)`) of everything that can be queued.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Link {
    next: UnsafeCell<*mut Link>,
    pub(crate) kind: Kind,
}

impl Link {
    pub(crate) const fn new(kind: Kind) -> Self {
        Link {
            next: UnsafeCell::new(ptr::null_mut()),
            kind,
        }
    }
}

const CLOSED: usize = 1;
const IDLE: usize = 2;
const STATE: usize = CLOSED | IDLE;

fn state(head: *mut Link) -> usize {
    head.addr() & STATE
}

fn nodes(head: *mut Link) -> *mut Link {
    head.map_addr(|addr| addr & !STATE)
}

/// What became of a pushed node.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// Queued behind others, or the consumer is at work.
    Queued,
    /// Queued, and the consumer was idle: the caller must wake it.
    WakeConsumer,
    /// Refused: the node is still the caller's.
    Closed,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Queue {
    head: AtomicPtr<Link>,
}

impl Queue {
    /// An open, empty queue whose consumer is at work.
    pub(crate) fn new() -> Self {
        Queue {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Adds `node` unless the queue is closed.
    ///
    /// # Safety
    ///
    /// `node` points to a live node of which the caller has exclusive ownership, and which passes to
    /// the queue unless the answer is [`Push::Closed`].
    pub(crate) unsafe fn push(&self, node: NonNull<Link>) -> Push {
        let mut head = self.head.load(Relaxed);
        loop {
            if state(head) & CLOSED != 0 {
                return Push::Closed;
            }
            // SAFETY: the node is the caller's alone until the exchange below publishes it.
            unsafe { *node.as_ref().next.get() = nodes(head) };
            // Release: whoever takes the node sees its contents and its link. Acquire: the producer
            // that replaces IDLE acts for the consumer next (wakes it) and must see what the consumer
            // did before it went idle. A failed exchange decides nothing, so it may be relaxed.
            match self
                .head
                .compare_exchange_weak(head, node.as_ptr(), AcqRel, Relaxed)
            {
                Ok(_) if state(head) & IDLE != 0 => return Push::WakeConsumer,
                Ok(_) => return Push::Queued,
                Err(now) => head = now,
            }
        }
    }

    /// Takes everything that is queued, oldest first. For the consumer alone.
    pub(crate) fn take_all(&self) -> Chain {
        let mut head = self.head.load(Relaxed);
        loop {
            if nodes(head).is_null() {
                return Chain::EMPTY;
            }
            let left = ptr::without_provenance_mut(state(head) & CLOSED);
            // Acquire pairs with the release of the pushes. Every push is a read-modify-write of the
            // same word, so the newest one carries on the release sequences of those below it.
            match self
                .head
                .compare_exchange_weak(head, left, Acquire, Relaxed)
            {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        Chain::reversed(nodes(head))
    }

    /// Declares the consumer idle; `false` if there is something to take or the queue is closed.
    ///
    /// After `true` the next push (or close) reports that the consumer must be woken. The state lasts
    /// until then, or until [`leave_idle`](Self::leave_idle): a consumer that is woken by something
    /// else may leave it as it is, at the price of being woken in vain once.
    pub(crate) fn go_idle(&self) -> bool {
        let idle = ptr::without_provenance_mut(IDLE);
        // Only the consumer sets this state, so if it is read, it has lasted since.
        if self.head.load(Relaxed) == idle {
            return true;
        }
        // Release: the producer that replaces IDLE sees what the consumer did before. A failure means
        // that a node or CLOSED is there, which the consumer then reads with an acquire of its own.
        self.head
            .compare_exchange(ptr::null_mut(), idle, AcqRel, Relaxed)
            .is_ok()
    }

    /// Whether the consumer has declared itself idle, and nothing has been pushed since.
    pub(crate) fn is_idle(&self) -> bool {
        self.head.load(Acquire).addr() == IDLE
    }

    /// Takes the idle state back.
    pub(crate) fn leave_idle(&self) {
        let idle = ptr::without_provenance_mut(IDLE);
        // Most often a push has ended the state already, and a read tells. Only this thread sets it,
        // so a read that does not find it is right.
        if self.head.load(Relaxed) != idle {
            return;
        }
        // A failure is no loss: a push or close has replaced IDLE already.
        let _ = self
            .head
            .compare_exchange(idle, ptr::null_mut(), AcqRel, Relaxed);
    }

    /// Refuses all later pushes; `true` if the consumer was idle and must be woken.
    ///
    /// What has been pushed before stays to be taken.
    pub(crate) fn close(&self) -> bool {
        let mut head = self.head.load(Relaxed);
        loop {
            if state(head) & CLOSED != 0 {
                return false;
            }
            let closed = nodes(head).map_addr(|addr| addr | CLOSED);
            match self
                .head
                .compare_exchange_weak(head, closed, AcqRel, Relaxed)
            {
                Ok(_) => return state(head) & IDLE != 0,
                Err(now) => head = now,
            }
        }
    }

    /// Whether [`close`](Self::close) has been called.
    pub(crate) fn is_closed(&self) -> bool {
        state(self.head.load(Acquire)) & CLOSED != 0
    }

    /// Whether there is something to take. May be out of date at once, except for what this thread
    /// has pushed itself.
    pub(crate) fn has_nodes(&self) -> bool {
        !nodes(self.head.load(Relaxed)).is_null()
    }
}

/// Nodes that the consumer has taken, oldest first. Owns them.
#[derive(Debug)]
pub(crate) struct Chain {
    first: *mut Link,
    last: *mut Link,
    len: usize,
}

impl Chain {
    pub(crate) const EMPTY: Chain = Chain {
        first: ptr::null_mut(),
        last: ptr::null_mut(),
        len: 0,
    };

    /// Turns a list that is newest first round.
    fn reversed(newest: *mut Link) -> Chain {
        let (mut first, mut rest, mut len) = (ptr::null_mut(), newest, 0);
        while let Some(node) = NonNull::new(rest) {
            // SAFETY: all nodes of the list were pushed, which made them the queue's, and taken by
            // one exchange, which made them this consumer's.
            let next = unsafe { node.as_ref().next.get() };
            // SAFETY: as above; nobody else has a reference into the node's link.
            unsafe {
                rest = *next;
                *next = first;
            }
            first = node.as_ptr();
            len += 1;
        }
        Chain {
            first,
            last: newest,
            len,
        }
    }

    pub(crate) fn pop(&mut self) -> Option<NonNull<Link>> {
        let node = NonNull::new(self.first)?;
        // SAFETY: the chain owns its nodes.
        self.first = unsafe { *node.as_ref().next.get() };
        self.len -= 1;
        // In a long queue nodes have gone cold by the time they are read, and each tells only where the next
        // one is: so that is fetched while this one is handled.
        prefetch::lines(self.first.addr(), 1);
        if self.first.is_null() {
            self.last = ptr::null_mut();
        }
        Some(node)
    }

    /// Adds a node at the end.
    ///
    /// # Safety
    ///
    /// As for [`Queue::push`].
    pub(crate) unsafe fn push(&mut self, node: NonNull<Link>) {
        // SAFETY: the node is the caller's alone.
        unsafe { *node.as_ref().next.get() = ptr::null_mut() };
        self.append(Chain {
            first: node.as_ptr(),
            last: node.as_ptr(),
            len: 1,
        });
    }

    /// Puts the nodes of `later` behind these.
    pub(crate) fn append(&mut self, later: Chain) {
        if later.first.is_null() {
            return;
        }
        match NonNull::new(self.last) {
            // SAFETY: the chain owns its nodes.
            Some(last) => unsafe { *last.as_ref().next.get() = later.first },
            None => self.first = later.first,
        }
        self.last = later.last;
        self.len += later.len;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}
