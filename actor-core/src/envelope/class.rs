//! What is in a message's allocation, and the table of functions that its class has.

use std::any::{TypeId, type_name};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem;
use std::ptr::NonNull;
use std::thread::panicking;
use std::time::Instant;

use crate::actor::Accepts;
use crate::actor::cell::{self, ActorCell};
use crate::queue::Link;
use crate::reply::{self, ReplyTo, Share, Shared, Standing};
use crate::{CallError, Message, recycle};

#[repr(C)]
pub(super) struct Header {
    pub(super) link: Link,
    pub(super) class: &'static Class,
}

/// What is known of a class of messages, and of whether this one was called.
pub(super) struct Class {
    pub(super) id: TypeId,
    pub(super) name: fn() -> &'static str,
    pub(super) called: bool,
    /// Word from the runtime, which takes no room in a mailbox.
    pub(super) system: bool,
    /// Drops the envelope's share; the error is what a call gets that has not been answered.
    pub(super) discard: unsafe fn(NonNull<Header>, Option<CallError>),
    /// How a call stands.
    pub(super) standing: unsafe fn(NonNull<Header>) -> Option<NonNull<Standing>>,
    /// Has the actor whose mailbox it was in handle it; uses the envelope's share up.
    pub(super) handle: unsafe fn(NonNull<Header>, &ActorCell),
}

#[repr(C)]
pub(super) struct Sent<M> {
    pub(super) header: Header,
    pub(super) message: Option<M>,
}

#[repr(C)]
pub(super) struct Called<M: Message> {
    pub(super) header: Header,
    /// The cell for the answer. The envelope, the caller and the right to answer have a share each.
    pub(super) call: Shared<M::Reply>,
    /// The envelope's alone.
    pub(super) part: UnsafeCell<EnvelopePart<M>>,
}

pub(super) struct EnvelopePart<M> {
    pub(super) message: Option<M>,
    /// Whether the right to answer is still with the envelope.
    pub(super) unanswered: bool,
}

// SAFETY: `part` is reached through the envelope alone, of which there is one, and which is dropped
// or emptied by whoever owns it; the other owners (the caller, a `ReplyTo`) reach only `call`, which
// is Sync. The message moves between threads with the envelope and is `Send`. The link in the header
// is the queue's while the envelope is queued.
unsafe impl<M: Message> Sync for Called<M> {}
// SAFETY: as above; nothing in it is bound to a thread.
unsafe impl<M: Message> Send for Called<M> {}

impl<M: Message> Called<M> {
    /// The cell in a node.
    ///
    /// # Safety
    ///
    /// `node` begins a live `Called<M>`.
    pub(super) unsafe fn call(node: NonNull<Header>) -> NonNull<Shared<M::Reply>> {
        let called = node.cast::<Called<M>>().as_ptr();
        // SAFETY: in bounds, as the caller promises; never null.
        unsafe { NonNull::new_unchecked(&raw mut (*called).call) }
    }

    /// # Safety
    ///
    /// `call` is the cell in a node of this type, with the right to use all of the node, in which nobody
    /// has a share any more.
    pub(super) unsafe fn free(call: NonNull<Shared<M::Reply>>) {
        // SAFETY: the node begins so many bytes before its cell; it was allocated by `Envelope::call`.
        unsafe {
            let node = call.byte_sub(mem::offset_of!(Called<M>, call));
            recycle::free(node.cast::<Called<M>>());
        }
    }
}

pub(super) trait Classes: Message {
    const SENT: Class = Class {
        id: TypeId::of::<Self>(),
        name: type_name::<Self>,
        called: false,
        system: false,
        discard: discard_sent::<Self>,
        standing: |_| None,
        handle: |_, _| unreachable!("a tasklet's message has no handler"),
    };
    const CALLED: Class = Class {
        id: TypeId::of::<Self>(),
        name: type_name::<Self>,
        called: true,
        system: false,
        discard: discard_called::<Self>,
        standing: standing::<Self>,
        ..Self::SENT
    };
}

impl<M: Message> Classes for M {}

/// The classes of messages to actors, which know how to handle them.
pub(super) struct Addressed<A, M>(PhantomData<(A, M)>);

impl<A: Accepts<M>, M: Message> Addressed<A, M> {
    pub(super) const SENT: Class = Class {
        handle: handle_sent::<A, M>,
        ..<M as Classes>::SENT
    };
    pub(super) const CALLED: Class = Class {
        handle: handle_called::<A, M>,
        ..<M as Classes>::CALLED
    };
    pub(super) const SYSTEM: Class = Class {
        system: true,
        ..Self::SENT
    };
}

/// # Safety
///
/// As for [`discard_sent`]; the caller is the carrier of `actor`, which is an `A`.
unsafe fn handle_sent<A: Accepts<M>, M: Message>(node: NonNull<Header>, actor: &ActorCell) {
    // SAFETY: it was allocated for this type by `Envelope::new`.
    let sent = unsafe { recycle::take(node.cast::<Sent<M>>()) };
    if let Some(message) = sent.message {
        // SAFETY: as the caller promises.
        let (value, mut context) = unsafe { cell::parts::<A>(actor) };
        value.accept(message, ReplyTo::nobody(), &mut context);
    }
}

/// # Safety
///
/// As for [`discard_called`]; the caller is the carrier of `actor`, which is an `A`.
unsafe fn handle_called<A: Accepts<M>, M: Message>(node: NonNull<Header>, actor: &ActorCell) {
    // SAFETY: the part is the envelope's, and this is the envelope; no reference into it is alive.
    let part = unsafe { &mut *node.cast::<Called<M>>().as_ref().part.get() };
    // SAFETY: the envelope's share, which becomes that of the right to answer.
    let share = unsafe { Share::new(Called::<M>::call(node)) };
    if let Some(message) = part.message.take() {
        if A::HANDS_ON {
            share.hand_on();
        }
        let _deadline = share.deadline().map(|at| DeadlineOfAnswer::set(actor, at));
        let reply = ReplyTo::new(share);
        // SAFETY: as the caller promises.
        let (value, mut context) = unsafe { cell::parts::<A>(actor) };
        value.accept(message, reply, &mut context);
    }
}

/// A deadline that calls in a handler have, since the answer depends on theirs.
struct DeadlineOfAnswer<'a>(&'a ActorCell);

impl<'a> DeadlineOfAnswer<'a> {
    /// For the carrier of `actor`.
    fn set(actor: &'a ActorCell, at: Instant) -> Self {
        DeadlineOfAnswer::put(actor, Some(at));
        DeadlineOfAnswer(actor)
    }

    fn put(actor: &ActorCell, at: Option<Instant>) {
        // SAFETY: the caller is the carrier.
        if let Some(carrier) = unsafe { actor.carrier() } {
            // SAFETY: as above.
            unsafe { carrier.home_state() }.answer_by.set(at);
        }
    }
}

impl Drop for DeadlineOfAnswer<'_> {
    fn drop(&mut self) {
        DeadlineOfAnswer::put(self.0, None);
    }
}

/// # Safety
///
/// `node` is the envelope's share of a `Sent<M>`, which is used up.
unsafe fn discard_sent<M: Message>(node: NonNull<Header>, _: Option<CallError>) {
    // SAFETY: it was allocated for this type by `Envelope::new`.
    unsafe { recycle::free(node.cast::<Sent<M>>()) };
}

/// # Safety
///
/// `node` is the envelope's share of a `Called<M>`, which is used up.
unsafe fn discard_called<M: Message>(node: NonNull<Header>, error: Option<CallError>) {
    // SAFETY: the part is the envelope's, and this is the envelope; no reference into it is alive.
    let part = unsafe { &mut *node.cast::<Called<M>>().as_ref().part.get() };
    // SAFETY: the envelope's share, which lasts to the end of this function.
    let share = unsafe { Share::new(Called::<M>::call(node)) };
    // The message does not wait for the caller's share to go.
    let message = part.message.take();
    let taken = message.is_none();
    if mem::take(&mut part.unanswered) {
        let mut reply = Some(ReplyTo::new(share));
        match error {
            Some(error) => reply.take().into_iter().for_each(|reply| reply.fail(error)),
            // The arm that took the message has run to its end: that is the answer, if `()` is.
            None if taken && !panicking() => reply::answer_unit(&mut reply),
            None => {}
        }
        // Otherwise dropping the right says what there is to say.
    }
}

/// # Safety
///
/// `node` begins a live `Called<M>`.
pub(super) unsafe fn standing<M: Message>(node: NonNull<Header>) -> Option<NonNull<Standing>> {
    // SAFETY: as the caller promises.
    let called = unsafe { node.cast::<Called<M>>().as_ref() };
    Some(NonNull::from(&called.call.cell.standing))
}

// The link is first in the header, and the header first in both nodes: queues rely on it.
const _: () = assert!(mem::offset_of!(Header, link) == 0);
const _: () = assert!(mem::offset_of!(Sent<()>, header) == 0);
