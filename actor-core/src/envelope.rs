//! A message in its allocation: what mailboxes queue, and what a receive loop gets.
//!
//! A message that was sent is a box of a header and the message; a called one has the
//! [cell](crate::reply) for the answer in the same allocation, which is then shared by two owners. The
//! header holds a table of the class's functions, so that one queue can hold messages of all classes.

use std::any::{TypeId, type_name};
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread::panicking;

use crate::queue::{Kind, Link};
use crate::reply::{self, Answers, Reply, ReplyCell, ReplyTo};
use crate::waiter::Waiter;
use crate::{CallError, Message, recycle};

#[repr(C)]
struct Header {
    link: Link,
    class: &'static Class,
}

/// What is known of a class of messages, and of whether this one was called.
struct Class {
    id: TypeId,
    name: fn() -> &'static str,
    called: bool,
    /// Drops the envelope's share; the error is what a call gets that has not been answered.
    discard: unsafe fn(NonNull<Header>, Option<CallError>),
    /// Whether a call's caller has given up.
    is_given_up: unsafe fn(NonNull<Header>) -> bool,
}

#[repr(C)]
struct Sent<M> {
    header: Header,
    message: Option<M>,
}

#[repr(C)]
struct Called<M: Message> {
    header: Header,
    /// The envelope's alone.
    part: UnsafeCell<EnvelopePart<M>>,
    cell: ReplyCell<M::Reply>,
}

struct EnvelopePart<M> {
    message: Option<M>,
    /// Whether the right to answer is still with the envelope.
    unanswered: bool,
}

// SAFETY: `part` is reached through the envelope alone, of which there is one, and which is dropped
// or emptied by whoever owns it; the other owners (the caller, a `ReplyTo`) reach only `cell`, which
// is Sync. The message moves between threads with the envelope and is `Send`. The link in the header
// is the queue's while the envelope is queued.
unsafe impl<M: Message> Sync for Called<M> {}
// SAFETY: as above; nothing in it is bound to a thread.
unsafe impl<M: Message> Send for Called<M> {}

impl<M: Message> Answers<M::Reply> for Called<M> {
    fn cell(&self) -> &ReplyCell<M::Reply> {
        &self.cell
    }
}

trait Classes: Message {
    const SENT: Class = Class {
        id: TypeId::of::<Self>(),
        name: type_name::<Self>,
        called: false,
        discard: discard_sent::<Self>,
        is_given_up: |_| false,
    };
    const CALLED: Class = Class {
        id: TypeId::of::<Self>(),
        name: type_name::<Self>,
        called: true,
        discard: discard_called::<Self>,
        is_given_up: is_given_up::<Self>,
    };
}

impl<M: Message> Classes for M {}

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
    // SAFETY: it came from `Arc::into_raw` in `Envelope::call`.
    let called = unsafe { Arc::from_raw(node.cast::<Called<M>>().as_ptr()) };
    // SAFETY: the part is the envelope's, and this is the envelope; no reference into it is alive.
    let part = unsafe { &mut *called.part.get() };
    // The message does not wait for the caller's share to go.
    let message = part.message.take();
    let taken = message.is_none();
    if mem::take(&mut part.unanswered) {
        let mut reply = Some(ReplyTo::new(called as Arc<dyn Answers<M::Reply>>));
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
unsafe fn is_given_up<M: Message>(node: NonNull<Header>) -> bool {
    // SAFETY: as the caller promises.
    unsafe { node.cast::<Called<M>>().as_ref() }
        .cell
        .is_given_up()
}

/// A message of any class, as it comes out of a mailbox.
///
/// [`match_message!`](crate::match_message) takes it apart. By hand:
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{Message, Tasklet, dispatch};
/// #[derive(Message, Debug, PartialEq)]
/// struct Ping(u8);
/// #[derive(Message, Debug)]
/// struct Pong;
///
/// # fn main() {
/// dispatch(|| {
///     Tasklet::current().send(Ping(1)).unwrap();
///     let message = Tasklet::receive_one().unwrap();
///     assert!(message.is::<Ping>() && !message.is_call());
///     let message = message.downcast::<Pong>().unwrap_err(); // not lost
///     assert_eq!(message.downcast::<Ping>().unwrap(), Ping(1));
/// });
/// # }
/// ```
pub struct Envelope {
    node: NonNull<Header>,
}

// SAFETY: what it owns is a message, which is `Send`, and a share of a call's cell, which is `Send`
// and `Sync`.
unsafe impl Send for Envelope {}
// SAFETY: `&Envelope` gives a `&M` at most to `downcast_ref`, which asks for `M: Sync`.
unsafe impl Sync for Envelope {}

impl Envelope {
    pub(crate) fn new<M: Message>(message: M) -> Envelope {
        let header = Header {
            link: Link::new(Kind::Envelope),
            class: &<M as Classes>::SENT,
        };
        let sent = Sent {
            header,
            message: Some(message),
        };
        Envelope {
            node: recycle::allocate(sent).cast(),
        }
    }

    /// A message with the right to answer it, and the end where the answer comes out.
    pub(crate) fn call<M: Message>(message: M, caller: Waiter) -> (Envelope, Reply<M::Reply>) {
        let header = Header {
            link: Link::new(Kind::Envelope),
            class: &<M as Classes>::CALLED,
        };
        let part = EnvelopePart {
            message: Some(message),
            unanswered: true,
        };
        let cell = ReplyCell::new(caller);
        let called = Arc::new(Called {
            header,
            part: UnsafeCell::new(part),
            cell,
        });
        let reply = Reply::new(called.clone());
        let node = Arc::into_raw(called).cast_mut();
        // SAFETY: `Arc::into_raw` never gives null.
        let node = unsafe { NonNull::new_unchecked(node) };
        (Envelope { node: node.cast() }, reply)
    }

    fn header(&self) -> &Header {
        // SAFETY: the node lives as long as this share of it.
        unsafe { self.node.as_ref() }
    }

    /// Gives the envelope to a queue.
    pub(crate) fn into_link(self) -> NonNull<Link> {
        ManuallyDrop::new(self).node.cast()
    }

    /// Takes an envelope back from a queue.
    ///
    /// # Safety
    ///
    /// `link` came from [`into_link`](Self::into_link), and the queue has given it up.
    pub(crate) unsafe fn from_link(link: NonNull<Link>) -> Envelope {
        Envelope { node: link.cast() }
    }

    /// Whether the message is of the class `M`.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     Tasklet::current().send(Note(1)).unwrap();
    ///     assert!(Tasklet::receive_one().unwrap().is::<Note>());
    /// });
    /// # }
    /// ```
    pub fn is<M: Message>(&self) -> bool {
        self.header().class.id == TypeId::of::<M>()
    }

    /// Whether somebody waits, or has waited, for an answer.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     Tasklet::current().send(Note(1)).unwrap();
    ///     assert!(!Tasklet::receive_one().unwrap().is_call());
    /// });
    /// # }
    /// ```
    pub fn is_call(&self) -> bool {
        self.header().class.called
    }

    /// The name of the message's class, as `std::any::type_name` has it. For display.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     Tasklet::current().send(Note(1)).unwrap();
    ///     assert!(Tasklet::receive_one().unwrap().class().ends_with("Note"));
    /// });
    /// # }
    /// ```
    pub fn class(&self) -> &'static str {
        (self.header().class.name)()
    }

    /// Takes the message out if it is of the class `M`; otherwise gives the envelope back.
    ///
    /// A call whose reply is `()` is answered by this; any other ends with
    /// [`CallError::Unanswered`]: use [`downcast_call`](Self::downcast_call) for those.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     Tasklet::current().send(Note(1)).unwrap();
    ///     assert_eq!(Tasklet::receive_one().unwrap().downcast::<Note>().unwrap(), Note(1));
    /// });
    /// # }
    /// ```
    pub fn downcast<M: Message>(mut self) -> Result<M, Envelope> {
        match self.message_mut::<M>().and_then(Option::take) {
            Some(message) => Ok(message),
            None => Err(self),
        }
    }

    /// Takes the message and the right to answer it out if it is of the class `M`.
    ///
    /// If the message was only sent, the answer goes nowhere.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message)]
    /// #[message(reply = usize)]
    /// struct Length(&'static str);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let server = Tasklet::spawn(|| {
    ///         let call = Tasklet::receive_one().unwrap();
    ///         let (Length(text), reply) = call.downcast_call().unwrap();
    ///         reply.send(text.len());
    ///     });
    ///     assert_eq!(server.call(Length("four")), Ok(4));
    /// });
    /// # }
    /// ```
    pub fn downcast_call<M: Message>(mut self) -> Result<(M, ReplyTo<M::Reply>), Envelope> {
        match self.message_mut::<M>().and_then(Option::take) {
            Some(message) => Ok((
                message,
                self.take_reply::<M>().unwrap_or_else(ReplyTo::nobody),
            )),
            None => Err(self),
        }
    }

    /// The message, if it is of the class `M`.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     Tasklet::current().send(Note(1)).unwrap();
    ///     let message = Tasklet::receive_one().unwrap();
    ///     assert_eq!(message.downcast_ref::<Note>(), Some(&Note(1)));
    /// });
    /// # }
    /// ```
    pub fn downcast_ref<M: Message + Sync>(&self) -> Option<&M> {
        if !self.is::<M>() {
            return None;
        }
        if self.is_call() {
            // SAFETY: the class says that the node is a `Called<M>`; the part is the envelope's, and
            // `&self` keeps it from being changed.
            unsafe { &*self.node.cast::<Called<M>>().as_ref().part.get() }
                .message
                .as_ref()
        } else {
            // SAFETY: the class says that the node is a `Sent<M>`, of which this is the only share.
            unsafe { self.node.cast::<Sent<M>>().as_ref() }
                .message
                .as_ref()
        }
    }

    /// Where the message is, taken or not; `None` if it is of another class.
    pub(crate) fn message_mut<M: Message>(&mut self) -> Option<&mut Option<M>> {
        if !self.is::<M>() {
            return None;
        }
        if self.is_call() {
            Some(&mut self.part_mut::<M>().message)
        } else {
            // SAFETY: the class says that the node is a `Sent<M>`, of which this is the only share.
            Some(unsafe { &mut self.node.cast::<Sent<M>>().as_mut().message })
        }
    }

    /// Takes the right to answer out; `None` if there is none, or it is out already.
    pub(crate) fn take_reply<M: Message>(&mut self) -> Option<ReplyTo<M::Reply>> {
        if !self.is::<M>() || !self.is_call() || !mem::take(&mut self.part_mut::<M>().unanswered) {
            return None;
        }
        let called: *const Called<M> = self.node.cast().as_ptr();
        // SAFETY: the node is a `Called<M>` in an `Arc`, of which the envelope keeps its own share.
        let called = unsafe {
            Arc::increment_strong_count(called);
            Arc::from_raw(called)
        };
        Some(ReplyTo::new(called))
    }

    /// Puts back what [`take_reply`](Self::take_reply) of this envelope gave. Drops anything else.
    pub(crate) fn put_reply<M: Message>(&mut self, reply: ReplyTo<M::Reply>) {
        let own = self.is::<M>() && self.is_call() && {
            // SAFETY: the class says that the node is a `Called<M>`, which lives as long as the
            // envelope's share of it.
            let called = unsafe { self.node.cast::<Called<M>>().as_ref() };
            reply.goes_to(&called.cell)
        };
        if !own {
            // A right to answer nobody, or another call, which so learns that it is not answered.
            return;
        }
        // Not dropped as unused: it is not, the envelope has it again.
        reply.dissolve();
        self.part_mut::<M>().unanswered = true;
    }

    fn part_mut<M: Message>(&mut self) -> &mut EnvelopePart<M> {
        debug_assert!(self.is::<M>() && self.is_call());
        // SAFETY: the node is a `Called<M>`; the part is the envelope's alone, and the reference is
        // bound to `&mut self`.
        unsafe { &mut *self.node.cast::<Called<M>>().as_ref().part.get() }
    }

    /// Whether this is a call whose caller has given up.
    pub(crate) fn is_given_up(&self) -> bool {
        // SAFETY: the function is the one for this node.
        unsafe { (self.header().class.is_given_up)(self.node) }
    }

    /// Drops the message; if it is a call, that ends with `error`.
    pub(crate) fn fail(self, error: CallError) {
        let this = ManuallyDrop::new(self);
        // SAFETY: the function is the one for this node, and the share is not used again.
        unsafe { (this.header().class.discard)(this.node, Some(error)) };
    }
}

impl Drop for Envelope {
    fn drop(&mut self) {
        // SAFETY: the function is the one for this node, and the share is not used again.
        unsafe { (self.header().class.discard)(self.node, None) };
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({})", self.class())
    }
}

// The link is first in the header, and the header first in both nodes: queues rely on it.
const _: () = assert!(mem::offset_of!(Header, link) == 0);
const _: () = assert!(mem::offset_of!(Sent<()>, header) == 0);
