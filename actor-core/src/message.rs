//! What can be sent, and to whom.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::deadlock::{Callee, Calling};
use crate::envelope::Envelope;
use crate::exit::Owner;
use crate::mailbox::Patience;
use crate::reply::wait_for_reply;
use crate::tasklet::Tasklet;
use crate::tasklet::core::Core;
use crate::timers::Timer;
use crate::{CallError, SendError, block, time};

/// Something that can be sent to a mailbox.
///
/// Derive it. `Reply` is what a [call](Recipient::call) of it is answered with; `()` unless the
/// attribute says otherwise.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::Message;
///
/// #[derive(Message)]
/// struct Deposit(u64);
///
/// #[derive(Message)]
/// #[message(reply = u64)]
/// struct Balance;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message class",
    label = "not a message class",
    note = "derive it: `#[derive(Message)]`, with `#[message(reply = T)]` if it is called and answered with a `T`"
)]
pub trait Message: Send + Sized + 'static {
    /// What a call is answered with.
    type Reply: Send + 'static;
}

/// The identity of a tasklet, or of another receiver of messages; never used twice in a process.
///
/// ```
/// use actor_core::{Pid, Tasklet, dispatch};
/// # use std::process::ExitCode;
/// # let code =
/// dispatch(|| {
///     assert_eq!(Pid::current(), Some(Tasklet::current().pid()));
/// });
/// assert_eq!(Pid::current(), None); // a plain thread
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(pub(crate) u64);

impl Pid {
    /// The next unused one. Later ones are greater.
    pub(crate) fn unused() -> Pid {
        static ISSUED: AtomicU64 = AtomicU64::new(0);
        Pid(ISSUED.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The tasklet that the caller runs in, if any.
    ///
    /// ```
    /// use actor_core::Pid;
    ///
    /// assert_eq!(Pid::current(), None); // a plain thread
    /// ```
    pub fn current() -> Option<Pid> {
        block::current().map(Core::acting_pid)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Something that has a mailbox: a [`Tasklet`], a [`Recipient`].
pub trait Receiver: Send + Sync + 'static {
    /// Whose mailbox it is.
    fn pid(&self) -> Pid;

    /// The one whose end is the end of this, if it ever ends.
    #[doc(hidden)]
    fn owner(&self) -> Option<Owner> {
        None
    }

    #[doc(hidden)]
    fn callee(&self) -> Callee {
        Callee::NOBODY
    }

    /// Itself, if it is of another process.
    #[cfg(feature = "remote")]
    #[doc(hidden)]
    fn foreign(&self) -> Option<&Arc<dyn crate::remote::Foreign>> {
        None
    }
}

/// Something that takes messages of the class `M`.
///
/// A [`Tasklet`] takes every class, a [`Recipient`] one. It cannot be implemented outside the
/// framework; a function becomes a destination by [`Recipient::from_fn`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take messages of class `{M}`",
    label = "does not take `{M}`"
)]
pub trait Destination<M: Message>: Receiver {
    #[doc(hidden)]
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>>;
}

/// A message on its way to a [`Destination`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Delivery<M: Message> {
    pub(crate) envelope: Envelope,
    pub(crate) patience: Patience,
    pub(crate) class: std::marker::PhantomData<fn() -> M>,
}

impl<M: Message> Delivery<M> {
    pub(crate) fn new(envelope: Envelope, patience: Patience) -> Self {
        Delivery {
            envelope,
            patience,
            class: std::marker::PhantomData,
        }
    }
}

impl Receiver for Tasklet {
    fn pid(&self) -> Pid {
        Tasklet::pid(self)
    }

    fn owner(&self) -> Option<Owner> {
        Some(Owner(self.party()))
    }

    fn callee(&self) -> Callee {
        Callee::tasklet(self.core())
    }
}

impl<M: Message> Destination<M> for Tasklet {
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>> {
        let refused = match self.core().send(delivery.envelope, delivery.patience) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        Err(refused.map(unwrap_refused))
    }
}

/// The message in an envelope that a mailbox has refused.
pub(crate) fn unwrap_refused<M: Message>(envelope: Envelope) -> M {
    match envelope.downcast::<M>() {
        Ok(message) => message,
        Err(_) => unreachable!("the class is the one that was sent"),
    }
}

/// Sends by the receiver's policy for a full mailbox.
#[inline]
pub(crate) fn send<M: Message>(
    to: &(impl Destination<M> + ?Sized),
    message: M,
) -> Result<(), SendError<M>> {
    to.deliver(Delivery::new(Envelope::new(message), Patience::Policy))
}

/// Sends without ever waiting.
pub(crate) fn try_send<M: Message>(
    to: &(impl Destination<M> + ?Sized),
    message: M,
) -> Result<(), SendError<M>> {
    to.deliver(Delivery::new(Envelope::new(message), Patience::Never))
}

/// Until when a call waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// For ever, or until whoever makes it must have answered a call itself.
    Inherited,
    /// The same, but no longer than this.
    Own(Option<Instant>),
    /// The same, and the receiver is to know.
    Shared(Option<Instant>),
}

/// Sends and waits for the answer.
pub(crate) fn call<M: Message>(
    to: &(impl Destination<M> + ?Sized),
    message: M,
    limit: Limit,
) -> Result<M::Reply, CallError> {
    block::enter().map_err(crate::reply::interrupted)?;
    let waiter = block::waiter().map_err(crate::reply::interrupted)?;
    let inherited = block::answer_by();
    let (deadline, shared) = match limit {
        Limit::Inherited => (inherited, inherited),
        Limit::Own(own) => (earlier(own, inherited), inherited),
        Limit::Shared(own) => (earlier(own, inherited), earlier(own, inherited)),
    };
    if deadline.is_none() {
        refuse_self_call(to.pid())?;
    }
    let (envelope, reply) = Envelope::call(message, waiter, shared);
    to.deliver(Delivery::new(envelope, Patience::Until(deadline)))?;
    // SAFETY: the callee is lent to this call.
    let calling = unsafe { Calling::begin(to.callee(), &reply, deadline) };
    if let Some(calling) = &calling {
        calling.check()?;
    }
    wait_for_reply(reply, to.pid(), deadline, calling)
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Fails if the caller is the receiver: only its own receive loop could answer, and that would wait.
pub(crate) fn refuse_self_call(of: Pid) -> Result<(), CallError> {
    if Pid::current() == Some(of) {
        return Err(CallError::Deadlock);
    }
    Ok(())
}

/// A reference to anything that takes an `M`.
///
/// Where a [`Tasklet`] takes whatever it is sent and finds out later, a recipient is checked by the
/// compiler, and hides who is behind it.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Message, Recipient, Tasklet, dispatch, match_message};
///
/// #[derive(Message)]
/// #[message(reply = usize)]
/// struct Length(String);
///
/// fn main() {
///     dispatch(|| {
///         let server = Tasklet::spawn(|| {
///             for message in Tasklet::receive() {
///                 match_message!(match message {
///                     (Length(text), reply) => reply.send(text.len()),
///                 });
///             }
///         });
///         let length: Recipient<Length> = server.recipient();
///         assert_eq!(length.call(Length("four".into())), Ok(4));
///     });
/// }
/// ```
pub struct Recipient<M: Message> {
    destination: Arc<dyn Destination<M>>,
}

impl<M: Message> Recipient<M> {
    /// A recipient in front of any destination.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Recipient, Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let me: Recipient<Note> = Recipient::new(Tasklet::current());
    ///     me.send(Note(1)).unwrap();
    ///     assert_eq!(Tasklet::pending(), 1);
    /// });
    /// # }
    /// ```
    pub fn new(destination: impl Destination<M>) -> Self {
        Recipient {
            destination: Arc::new(destination),
        }
    }

    /// A recipient that hands each message to `f`, on the sender's stack. For adapters and tests.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Recipient};
    /// # #[derive(Message)] struct Tick(u32);
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let ticks = Recipient::from_fn(move |Tick(n)| drop(sender.send(n)));
    /// ticks.send(Tick(7)).unwrap();
    /// assert_eq!(receiver.recv(), Ok(7));
    /// ```
    pub fn from_fn(f: impl Fn(M) + Send + Sync + 'static) -> Self
    where
        M: Message<Reply = ()>,
    {
        Recipient::new(Function {
            f,
            pid: Pid::unused(),
        })
    }

    /// Whose mailbox it is.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let me = Tasklet::current();
    ///     assert_eq!(me.recipient::<Note>().pid(), me.pid());
    /// });
    /// # }
    /// ```
    pub fn pid(&self) -> Pid {
        self.destination.pid()
    }

    /// Sends `message`.
    ///
    /// If the mailbox is bounded and full, what happens is its owner's choice: it may wait (and then
    /// counts as a blocking operation), refuse with [`SendError::Full`], or drop a message. If the
    /// receiver has ended, [`SendError::Ended`] gives the message back.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, SendError, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let ended = Tasklet::spawn(|| ());
    ///     let notes = ended.recipient::<Note>();
    ///     ended.join().unwrap();
    ///     assert_eq!(notes.send(Note(1)), Err(SendError::Ended(Note(1)))); // nothing is lost
    /// });
    /// # }
    /// ```
    pub fn send(&self, message: M) -> Result<(), SendError<M>> {
        send(&*self.destination, message)
    }

    /// Sends `message` without ever waiting: a full mailbox that would make [`send`](Self::send) wait
    /// refuses instead.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Mailbox, Message, Overflow, SendError, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let busy = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::Block))
    ///         .spawn(|| Tasklet::receive_one().is_ok())
    ///         .unwrap();
    ///     let notes = busy.recipient::<Note>();
    ///     notes.try_send(Note(1)).unwrap();
    ///     assert_eq!(notes.try_send(Note(2)), Err(SendError::Full(Note(2))));
    /// });
    /// # }
    /// ```
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        try_send(&*self.destination, message)
    }

    /// Sends `message` and waits for the answer.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch, match_message};
    /// #[derive(Message)]
    /// #[message(reply = usize)]
    /// struct Length(&'static str);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let server = Tasklet::spawn(|| {
    ///         for message in Tasklet::receive() {
    ///             match_message!(match message {
    ///                 (Length(text), reply) => reply.send(text.len()),
    ///             });
    ///         }
    ///     });
    ///     assert_eq!(server.recipient().call(Length("four")), Ok(4));
    /// });
    /// # }
    /// ```
    pub fn call(&self, message: M) -> Result<M::Reply, CallError> {
        call(&*self.destination, message, Limit::Inherited)
    }

    /// Sends `message` and waits for the answer, for at most `limit`.
    ///
    /// An answer that comes too late is dropped; it never answers a later call.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{CallError, Message, Tasklet, dispatch};
    /// #[derive(Message)]
    /// #[message(reply = usize)]
    /// struct Length(&'static str);
    /// # use std::time::Duration;
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let deaf = Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(60)));
    ///     let late = deaf.recipient().call_timeout(Length("four"), Duration::from_millis(1));
    ///     assert_eq!(late, Err(CallError::Timeout));
    ///     deaf.kill();
    /// });
    /// # }
    /// ```
    pub fn call_timeout(&self, message: M, limit: Duration) -> Result<M::Reply, CallError> {
        call(&*self.destination, message, Limit::Own(time::after(limit)))
    }

    /// As [`call_timeout`](Self::call_timeout), with a limit that also holds for what the receiver has
    /// to ask others in order to answer.
    ///
    /// If the receiver is an actor, the calls that its handler makes, those that these lead to, and so
    /// on, wait no longer than this one. A tasklet is told by [`ReplyTo::deadline`](crate::ReplyTo::deadline).
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Actor, Addr, CallError, Context, Handler, Message, Tasklet, dispatch};
    /// # use std::time::Duration;
    /// #[derive(Message)]
    /// #[message(reply = Result<u32, CallError>)]
    /// struct Ask;
    ///
    /// struct Middle(Tasklet);
    /// impl Actor for Middle {}
    /// impl Handler<Ask> for Middle {
    ///     fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> Result<u32, CallError> {
    ///         self.0.call(Ask)? // no limit of its own
    ///     }
    /// }
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let deaf = Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(60)));
    ///     let middle = Addr::spawn(Middle(deaf.tasklet().clone()));
    ///     let limit = Duration::from_millis(1);
    ///     assert_eq!(middle.recipient().call_within(Ask, limit), Err(CallError::Timeout));
    ///     // It does not wait for the deaf one any longer either.
    ///     middle.stop();
    ///     middle.join();
    ///     deaf.kill();
    /// });
    /// # }
    /// ```
    pub fn call_within(&self, message: M, limit: Duration) -> Result<M::Reply, CallError> {
        call(
            &*self.destination,
            message,
            Limit::Shared(time::after(limit)),
        )
    }

    /// Sends `message` once `wait` has passed, as [`try_send`](Self::try_send) does.
    ///
    /// Timers fire in the order of their moments, those for the same moment in the order in which
    /// they were set, and never early. A message that is refused then is dropped.
    ///
    /// # Panics
    ///
    /// Before the first [`dispatch`](crate::dispatch): there are no timers yet.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Recipient, Tasklet, dispatch};
    /// # use std::time::Duration;
    /// # #[derive(Message)] struct Tick;
    /// # fn main() {
    /// dispatch(|| {
    ///     let me: Recipient<Tick> = Tasklet::current().recipient();
    ///     me.send_after(Tick, Duration::from_millis(2));
    ///     let late = me.send_after(Tick, Duration::from_secs(3600));
    ///     assert!(Tasklet::receive_one().unwrap().is::<Tick>());
    ///     assert!(late.cancel());
    /// });
    /// # }
    /// ```
    pub fn send_after(&self, message: M, wait: Duration) -> Timer {
        let to = self.clone();
        Timer::start(wait, move || {
            if let Err(refused) = to.try_send(message) {
                tracing::debug!(to = %to.pid(), %refused, "a timer's message was refused");
            }
        })
    }
}

impl<M: Message + Clone> Recipient<M> {
    /// Sends a clone of `message` every `period`, the first one after one period, as
    /// [`try_send`](Self::try_send) does; until it is cancelled or the receiver has ended.
    ///
    /// Each is due at a multiple of the period since the start, so that delays do not add up. Those that
    /// have been missed are left out.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// # use std::time::Duration;
    /// #[derive(Message, Clone)]
    /// struct Tick;
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let me = Tasklet::current().recipient::<Tick>();
    ///     let ticks = me.send_every(Tick, Duration::from_millis(1));
    ///     for _ in 0..3 {
    ///         assert!(Tasklet::receive_one().unwrap().is::<Tick>());
    ///     }
    ///     assert!(ticks.cancel());
    /// });
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `period` is zero, and before the first [`dispatch`](crate::dispatch).
    pub fn send_every(&self, message: M, period: Duration) -> Timer {
        let to = self.clone();
        Timer::repeat(period, move || {
            !matches!(to.try_send(message.clone()), Err(SendError::Ended(_)))
        })
    }
}

struct Function<F> {
    f: F,
    pid: Pid,
}

impl<F: Send + Sync + 'static> Receiver for Function<F> {
    fn pid(&self) -> Pid {
        self.pid
    }
}

impl<M, F> Destination<M> for Function<F>
where
    M: Message<Reply = ()>,
    F: Fn(M) + Send + Sync + 'static,
{
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>> {
        // Once the message is out, a call of it is answered when the envelope goes.
        let mut envelope = delivery.envelope;
        if let Some(message) = envelope.message_mut::<M>().and_then(Option::take) {
            (self.f)(message);
        }
        Ok(())
    }
}

impl<M: Message> Receiver for Recipient<M> {
    fn pid(&self) -> Pid {
        self.destination.pid()
    }

    fn owner(&self) -> Option<Owner> {
        self.destination.owner()
    }

    fn callee(&self) -> Callee {
        self.destination.callee()
    }

    #[cfg(feature = "remote")]
    fn foreign(&self) -> Option<&Arc<dyn crate::remote::Foreign>> {
        self.destination.foreign()
    }
}

impl<M: Message> Destination<M> for Recipient<M> {
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>> {
        self.destination.deliver(delivery)
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Recipient {
            destination: Arc::clone(&self.destination),
        }
    }
}

/// By identity of the receiver.
impl<M: Message> PartialEq for Recipient<M> {
    fn eq(&self, other: &Self) -> bool {
        self.pid() == other.pid()
    }
}

impl<M: Message> Eq for Recipient<M> {}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient{}", self.pid())
    }
}

impl<M: Message> From<Tasklet> for Recipient<M> {
    fn from(tasklet: Tasklet) -> Self {
        Recipient::new(tasklet)
    }
}

impl<M: Message> From<&Tasklet> for Recipient<M> {
    fn from(tasklet: &Tasklet) -> Self {
        Recipient::new(tasklet.clone())
    }
}

impl<M: Message> From<&Recipient<M>> for Recipient<M> {
    fn from(recipient: &Recipient<M>) -> Self {
        recipient.clone()
    }
}
