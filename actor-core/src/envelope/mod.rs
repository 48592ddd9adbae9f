//! A message in its allocation: what mailboxes queue, and what a receive loop gets.
//!
//! A message that was sent is a box of a header and the message; a called one has the
//! [cell](crate::reply) for the answer in the same allocation, which is then shared by two owners. The
//! header holds a table of the class's functions, so that one queue can hold messages of all classes.
//!
//! - `class`: what is in the allocation, and the tables;
//! - `system`: the classes of what the runtime itself sends.

mod class;
mod system;

use std::any::TypeId;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::ptr::NonNull;
use std::time::Instant;

use self::class::{Addressed, Called, Class, Classes, EnvelopePart, Header, Sent};
pub(crate) use self::system::Job;
use self::system::{Deed, Deeds, Exits, Jobs, Stop, Stops};
use crate::actor::cell::ActorCell;
use crate::actor::{Accepts, Actor};
use crate::dead_letters::{self, DeadLetterCause};
use crate::queue::{Kind, Link};
use crate::reply::{Reply, ReplyTo, Share, Shared, Standing};
use crate::waiter::Waiter;
use crate::{CallError, Context, Exit, Message, Pid, counters, recycle};

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

    /// A message to an actor of the type `A` that takes no room in its mailbox.
    pub(crate) fn system<A: Accepts<M>, M: Message>(message: M) -> Envelope {
        let mut envelope = Envelope::new(message);
        envelope.set_class(&Addressed::<A, M>::SYSTEM);
        envelope
    }

    /// Word of an end to an actor of the type `A`.
    pub(crate) fn exit<A: Actor>(exit: Exit) -> Envelope {
        let mut envelope = Envelope::new(exit);
        envelope.set_class(&Exits::<A>::TO_ACTOR);
        envelope
    }

    /// Something for an actor of the type `A` to do.
    pub(crate) fn deed<A, F>(deed: F) -> Envelope
    where
        A: Actor,
        F: FnOnce(&mut A, &mut Context<A>) + Send + 'static,
    {
        let mut envelope = Envelope::new(Deed(deed));
        envelope.set_class(&Deeds::<A, F>::CLASS);
        envelope
    }

    /// A request to an actor to stop, after what is in its mailbox.
    pub(crate) fn stop() -> Envelope {
        let mut envelope = Envelope::new(Stop);
        envelope.set_class(&Stops::CLASS);
        envelope
    }

    /// A message from a pool to one of its workers.
    pub(crate) fn job(job: Job) -> Envelope {
        let mut envelope = Envelope::new(job);
        envelope.set_class(&Jobs::CLASS);
        envelope
    }

    /// Word of an end to a tasklet.
    pub(crate) fn exit_to_tasklet(exit: Exit) -> Envelope {
        let mut envelope = Envelope::new(exit);
        envelope.set_class(&Exits::TO_TASKLET);
        envelope
    }

    /// Whether it comes from the runtime, and takes no room in a mailbox.
    pub(crate) fn is_system(&self) -> bool {
        self.header().class.system
    }

    fn set_class(&mut self, class: &'static Class) {
        debug_assert!(self.header().class.id == class.id);
        // SAFETY: the envelope's owner alone changes the header, and no reference into it is alive.
        unsafe { (*self.node.as_ptr()).class = class };
    }

    /// A message with the right to answer it, and the end where the answer comes out.
    ///
    /// `deadline` is for the receiver to know.
    pub(crate) fn call<M: Message>(
        message: M,
        caller: Waiter,
        deadline: Option<Instant>,
    ) -> (Envelope, Reply<M::Reply>) {
        let header = Header {
            link: Link::new(Kind::Envelope),
            class: &<M as Classes>::CALLED,
        };
        let part = EnvelopePart {
            message: Some(message),
            unanswered: true,
        };
        // The envelope's share and the caller's.
        let call = Shared::new(caller, deadline, 2, Called::<M>::free);
        let called = Called {
            header,
            call,
            part: UnsafeCell::new(part),
        };
        let node = recycle::allocate(called).cast();
        // SAFETY: the node has just been made, and this is the caller's share.
        let reply = Reply::new(unsafe { Share::new(Called::<M>::call(node)) });
        (Envelope { node }, reply)
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
        // SAFETY: the node is a `Called<M>`, in which the envelope keeps its own share.
        let share = unsafe {
            let call = Called::<M>::call(self.node);
            call.as_ref().add_share();
            Share::new(call)
        };
        Some(ReplyTo::new(share))
    }

    /// Puts back what [`take_reply`](Self::take_reply) of this envelope gave. Drops anything else.
    pub(crate) fn put_reply<M: Message>(&mut self, reply: ReplyTo<M::Reply>) {
        let own = self.is::<M>() && self.is_call() && {
            // SAFETY: the class says that the node is a `Called<M>`, which lives as long as the
            // envelope's share of it.
            let called = unsafe { self.node.cast::<Called<M>>().as_ref() };
            reply.goes_to(&called.call.cell)
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

    /// Makes it a message to an actor of the type `A`.
    pub(crate) fn address_to<A: Accepts<M>, M: Message>(&mut self) {
        let class = if self.is_call() {
            &Addressed::<A, M>::CALLED
        } else {
            &Addressed::<A, M>::SENT
        };
        self.set_class(class);
    }

    /// Has `actor` handle it.
    ///
    /// # Safety
    ///
    /// The message is [addressed to](Self::address_to) the actor's type, and the caller is its carrier.
    pub(crate) unsafe fn handle(self, actor: &ActorCell) {
        let this = ManuallyDrop::new(self);
        // SAFETY: the function is the one for this node, and the share is not used again.
        unsafe { (this.header().class.handle)(this.node, actor) };
    }

    /// Whether this is a call whose caller has given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.standing().is_some_and(Standing::is_given_up)
    }

    /// It leaves the hands of the runtime, and with it the right to answer.
    pub(crate) fn hand_on(&self) {
        if let Some(standing) = self.standing() {
            standing.hand_on();
        }
    }

    fn standing(&self) -> Option<&Standing> {
        // SAFETY: the function is the one for this node, and what it gives is in the node, which lives
        // as long as this share of it.
        unsafe { (self.header().class.standing)(self.node).map(|standing| standing.as_ref()) }
    }

    /// The owner of the mailbox that it is in, `to`, has ended: a call ends with that, what was sent
    /// becomes a dead letter.
    pub(crate) fn abandon(mut self, to: Pid, name: &str) {
        if let Some(job) = self.message_mut::<Job>().and_then(Option::take) {
            if let Some(message) = job.message {
                message.abandon(to, name);
            }
            return;
        }
        if self.is_system() {
            return;
        }
        counters::UNDELIVERED.add(1);
        if self.is_call() {
            self.fail(CallError::Ended);
        } else {
            dead_letters::publish(self, to, name, DeadLetterCause::Ended);
        }
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
