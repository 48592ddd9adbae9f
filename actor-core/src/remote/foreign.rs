//! A receiver of another process, as a destination.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_codec::{EncodeError, Limits};

use parking_lot::Mutex;

use super::class::{decode, encode};
use super::{ClassName, Encodable, RemoteMessage, ReplyHome};
use crate::exit::Owner;
use crate::mailbox::Patience;
use crate::message::{Delivery, Destination, Receiver, unwrap_refused};
use crate::reply::ReplyTo;
use crate::{CallError, Message, Pid, Refusal, SendError};

/// A receiver of another process: it takes messages as bytes.
pub trait Foreign: Any + Send + Sync + fmt::Debug {
    /// Its identity in this process.
    fn pid(&self) -> Pid;

    /// The one whose end is the end of this.
    fn owner(&self) -> Option<Owner>;

    /// Sends a message there.
    fn deliver(&self, outbound: Outbound<'_>) -> Result<(), Unsent>;

    /// To be told apart by the link that has made it.
    fn as_any(&self) -> &dyn Any;
}

/// A message on its way out.
pub struct Outbound<'a> {
    /// Which class it is of.
    pub class: ClassName,
    /// Writes it, in the scope of the link.
    pub message: &'a dyn Encodable,
    /// If it is a call, where the answer goes, and until when the receiver is to have answered.
    pub call: Option<OutboundCall>,
    /// How long the sender waits for room.
    pub wait: Wait,
}

impl fmt::Debug for Outbound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("class", &self.class)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// A call on its way out.
pub struct OutboundCall {
    /// Where the answer goes.
    pub reply: Box<dyn ReplyHome>,
    /// Until when it must be there.
    pub deadline: Option<Instant>,
    /// If it may be made again, and is to be executed once.
    pub once: Option<Once>,
}

/// A call that is executed once, however often it is made.
#[derive(Clone, Debug)]
pub struct Once {
    /// Which process makes it.
    pub client: u128,
    /// Which of its calls it is.
    pub number: u64,
    /// How long it may be made again.
    pub window: Duration,
    /// If it has been made before, which process has perhaps executed it.
    pub before: Option<u128>,
    /// The link says to which process it goes.
    pub goes_to: Arc<Mutex<Option<u128>>>,
}

impl fmt::Debug for OutboundCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundCall")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// How long a sender waits for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// As the policy of the link says.
    Policy,
    /// The same, but not beyond the moment.
    Until(Option<Instant>),
    /// Not at all.
    Never,
}

/// Why a message has not been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The receiver has ended.
    Ended,
    /// There is no room, and the sender does not wait.
    Full,
    /// There was no room for as long as the sender waits.
    Timeout,
    /// There is no link.
    Disconnected,
    /// It cannot go.
    Refused(Refusal),
}

impl Unsent {
    fn with<M>(self, message: M) -> SendError<M> {
        match self {
            Unsent::Ended => SendError::Ended(message),
            Unsent::Full => SendError::Full(message),
            Unsent::Timeout => SendError::Timeout(message),
            Unsent::Disconnected => SendError::Disconnected(message),
            Unsent::Refused(why) => SendError::Refused(message, why),
        }
    }
}

/// A destination for any class of messages in another process.
#[derive(Clone, Debug)]
pub struct Abroad(pub Arc<dyn Foreign>);

impl Receiver for Abroad {
    fn pid(&self) -> Pid {
        self.0.pid()
    }

    fn owner(&self) -> Option<Owner> {
        self.0.owner()
    }

    fn foreign(&self) -> Option<&Arc<dyn Foreign>> {
        Some(&self.0)
    }
}

impl<M: RemoteMessage> Destination<M> for Abroad {
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>> {
        let Delivery {
            mut envelope,
            patience,
            ..
        } = delivery;
        let wait = match patience {
            Patience::Policy | Patience::System => Wait::Policy,
            Patience::Until(at) => Wait::Until(at),
            Patience::Never => Wait::Never,
        };
        let call = envelope.take_reply::<M>().map(|reply| OutboundCall {
            deadline: reply.deadline(),
            once: None,
            reply: Box::new(Pending::<M>(Some(reply))),
        });
        let sent = match envelope.message_mut::<M>() {
            Some(Some(message)) => self.0.deliver(Outbound {
                class: ClassName::of::<M>(),
                message: &MessageOf(message),
                call,
                wait,
            }),
            _ => unreachable!("the class is the one that was sent"),
        };
        // The right to answer is gone in any case: a caller is told by the error.
        sent.map_err(|unsent| unsent.with(unwrap_refused(envelope)))
    }
}

struct MessageOf<'a, M>(&'a M);

impl<M: RemoteMessage> Encodable for MessageOf<'_, M> {
    fn encode(&self, into: &mut Vec<u8>, max: usize) -> Result<(), EncodeError> {
        encode::<M, M>(self.0, into, max)
    }
}

/// A caller that waits for an answer from another process.
struct Pending<M: Message>(Option<ReplyTo<M::Reply>>);

impl<M: RemoteMessage> ReplyHome for Pending<M> {
    fn answer(mut self: Box<Self>, outcome: Result<&[u8], CallError>) {
        let Some(reply) = self.0.take() else { return };
        let outcome = outcome.and_then(|bytes| {
            decode::<M, M::Reply>(bytes, &Limits::default())
                .map_err(|_| CallError::Refused(Refusal::Undecodable))
        });
        match outcome {
            Ok(value) => reply.send(value),
            Err(error) => reply.fail(error),
        }
    }

    fn come_back(self: Box<Self>) {}

    fn is_wanted(&self) -> bool {
        self.0.as_ref().is_some_and(ReplyTo::is_wanted)
    }
}
