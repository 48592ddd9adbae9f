//! What another process sees of a receiver of this one: one class of messages, decoded and delivered.

use std::any::Any;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use actor_codec::{EncodeError, Limits};
use parking_lot::Mutex;

use super::class::{decode, encode};
use super::{ClassName, Encodable, Foreign, RemoteMessage};
use crate::envelope::Envelope;
use crate::exit::Owner;
use crate::mailbox::Patience;
use crate::message::{Delivery, Destination, Receiver};
use crate::reply::Reply;
use crate::waiter::{Relay, Waiter};
use crate::{CallError, Message, Pid, Recipient, Refusal, SendError};

/// Where the answers to calls go that have come over a link.
pub trait Returns: Send + Sync + fmt::Debug {
    /// The call has this outcome. On the stack of whoever has answered: it must not wait.
    fn answer(&self, call: u64, outcome: Result<&dyn Encodable, CallError>);

    /// The call goes into a mailbox, where it can be given up.
    fn waits(&self, call: u64, here: Weak<dyn GiveUp>) {
        let _ = (call, here);
    }
}

/// A call that has come over a link, until it is answered.
pub trait GiveUp: Send + Sync {
    /// Nobody waits for the answer any more. As with a caller of this process, it is not executed if it is still in the
    /// mailbox.
    fn give_up(&self);
}

/// A call that has come over a link.
#[derive(Clone, Debug)]
pub struct InboundCall {
    /// What the link calls it.
    pub id: u64,
    /// Where the answer goes.
    pub returns: Arc<dyn Returns>,
    /// Until when the caller waits, if it has said so.
    pub deadline: Option<Instant>,
}

/// What becomes of a message that has come over a link.
pub enum Delivered {
    /// It is in the mailbox.
    Done,
    /// The mailbox is full. This waits for room, and must not be run where others wait.
    Full(Box<dyn FnOnce() -> Result<(), Undelivered> + Send>),
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Delivered::Done => "Done",
            Delivered::Full(_) => "Full(..)",
        })
    }
}

/// Why a message that has come over a link is not delivered. If it was a call, that has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The receiver has ended.
    Ended,
    /// The mailbox was full, and its policy is to refuse.
    Full,
    /// It is of a third node, to which there is no link.
    Disconnected,
    /// It was not understood.
    Refused(Refusal),
}

impl Undelivered {
    fn into_call_error(self) -> CallError {
        match self {
            Undelivered::Ended => CallError::Ended,
            Undelivered::Full => CallError::Full,
            Undelivered::Disconnected => CallError::Disconnected {
                maybe_executed: false,
            },
            Undelivered::Refused(why) => CallError::Refused(why),
        }
    }
}

/// A receiver, for one class of messages.
pub trait Export: Any + Send + Sync {
    /// Which class it is.
    fn class(&self) -> ClassName;

    /// Whose mailbox it is.
    fn pid(&self) -> Pid;

    /// The one whose end is the end of this, if it ever ends.
    fn owner(&self) -> Option<Owner>;

    /// If it is of a third node, what it is there.
    fn foreign(&self) -> Option<&Arc<dyn Foreign>> {
        None
    }

    /// Decodes a message, in the scope of its link, and puts it into the mailbox. Never waits. If it is to go
    /// `behind` others that wait for room, it is as if there were none.
    fn deliver(
        &self,
        body: &[u8],
        limits: &Limits,
        call: Option<InboundCall>,
        behind: bool,
    ) -> Result<Delivered, Undelivered>;
}

impl dyn Export {
    /// The recipient that it was made of, if that takes an `M`.
    pub fn recipient<M: RemoteMessage>(&self) -> Option<Recipient<M>> {
        let export: &dyn Any = self;
        export
            .downcast_ref::<ExportOf<M>>()
            .map(|export| export.0.clone())
    }
}

/// What makes a recipient visible to other processes.
pub fn export<M: RemoteMessage>(recipient: Recipient<M>) -> Arc<dyn Export> {
    Arc::new(ExportOf(recipient))
}

struct ExportOf<M: Message>(Recipient<M>);

impl<M: RemoteMessage> Export for ExportOf<M> {
    fn class(&self) -> ClassName {
        ClassName::of::<M>()
    }

    fn pid(&self) -> Pid {
        self.0.pid()
    }

    fn owner(&self) -> Option<Owner> {
        self.0.owner()
    }

    fn foreign(&self) -> Option<&Arc<dyn Foreign>> {
        self.0.foreign()
    }

    fn deliver(
        &self,
        body: &[u8],
        limits: &Limits,
        call: Option<InboundCall>,
        behind: bool,
    ) -> Result<Delivered, Undelivered> {
        let outcome = match decode::<M, M>(body, limits) {
            Ok(message) if behind => Err(NotPut::Full(message)),
            Ok(message) => put(&self.0, message, Patience::Never, call.as_ref()),
            Err(_) => Err(NotPut::Undelivered(Undelivered::Refused(
                Refusal::Undecodable,
            ))),
        };
        match outcome {
            Ok(()) => Ok(Delivered::Done),
            Err(NotPut::Full(message)) => {
                let recipient = self.0.clone();
                let mut owed = Owed(call);
                Ok(Delivered::Full(Box::new(move || {
                    let call = owed.0.take();
                    put(&recipient, message, Patience::Policy, call.as_ref())
                        .map_err(|not_put| answer_error(not_put.into_undelivered(), call))
                })))
            }
            Err(NotPut::Undelivered(error)) => Err(answer_error(error, call)),
        }
    }
}

/// A call that waits for room. Dropped, it has found none: its caller is not left waiting.
struct Owed(Option<InboundCall>);

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call.returns.answer(call.id, Err(CallError::Full));
        }
    }
}

fn answer_error(error: Undelivered, call: Option<InboundCall>) -> Undelivered {
    if let Some(call) = call {
        call.returns.answer(call.id, Err(error.into_call_error()));
    }
    error
}

enum NotPut<M> {
    Full(M),
    Undelivered(Undelivered),
}

impl<M> NotPut<M> {
    fn into_undelivered(self) -> Undelivered {
        match self {
            NotPut::Full(_) => Undelivered::Full,
            NotPut::Undelivered(error) => error,
        }
    }
}

/// Puts a message into a mailbox. If that fails, the call is not answered yet.
fn put<M: RemoteMessage>(
    recipient: &Recipient<M>,
    message: M,
    patience: Patience,
    call: Option<&InboundCall>,
) -> Result<(), NotPut<M>> {
    let sent = match call {
        None => recipient.deliver(Delivery::new(Envelope::new(message), patience)),
        Some(call) => {
            let inbound = Arc::new(Inbound::<M> {
                call: call.clone(),
                reply: Mutex::new(None),
                state: AtomicU8::new(HELD),
            });
            let (envelope, reply) =
                Envelope::call(message, Waiter::Relay(inbound.clone()), call.deadline);
            *inbound.reply.lock() = Some(reply);
            let here: Weak<Inbound<M>> = Arc::downgrade(&inbound);
            call.returns.waits(call.id, here);
            let delivering = Delivering(&inbound);
            let sent = recipient.deliver(Delivery::new(envelope, patience));
            mem::forget(delivering);
            inbound.release(sent.is_ok());
            sent
        }
    };
    sent.map_err(|error| match error {
        SendError::Full(message) | SendError::Timeout(message) => NotPut::Full(message),
        SendError::Ended(_) => NotPut::Undelivered(Undelivered::Ended),
        SendError::Disconnected(_) => NotPut::Undelivered(Undelivered::Disconnected),
        SendError::Refused(_, why) => NotPut::Undelivered(Undelivered::Refused(why)),
    })
}

/// The message is on its way into the mailbox: that this fails is more than what the message's drop says.
const HELD: u8 = 0;
/// It is in there.
const RELEASED: u8 = 1;
/// It has been answered meanwhile.
const ANSWERED: u8 = 2;

/// The caller, for whoever answers a call that has come over a link.
struct Inbound<M: Message> {
    call: InboundCall,
    reply: Mutex<Option<Reply<M::Reply>>>,
    state: AtomicU8,
}

impl<M: RemoteMessage> Inbound<M> {
    /// The message is in the mailbox, or not and somebody else answers.
    fn release(&self, is_in: bool) {
        if !is_in {
            *self.reply.lock() = None;
            return;
        }
        // Acquire and release: whoever comes second passes the answer on, and finds the reply in its place.
        if self.state.swap(RELEASED, Ordering::AcqRel) == ANSWERED {
            self.send();
        }
    }

    fn send(&self) {
        let reply = self.reply.lock().take();
        match reply.and_then(|reply| reply.take()) {
            Some(Ok(value)) => {
                let value = ReplyOf::<M>(value);
                self.call.returns.answer(self.call.id, Ok(&value));
            }
            Some(Err(error)) => self.call.returns.answer(self.call.id, Err(error)),
            None => {}
        }
    }
}

/// A call on its way into a mailbox. Dropped, it has not come to where it was to: whoever brought it over was killed
/// while it waited for room. Its caller is told, and the answer no longer holds on to what it is put into.
struct Delivering<'a, M: RemoteMessage>(&'a Inbound<M>);

impl<M: RemoteMessage> Drop for Delivering<'_, M> {
    fn drop(&mut self) {
        self.0.release(false);
        let call = &self.0.call;
        call.returns.answer(call.id, Err(CallError::Full));
    }
}

impl<M: RemoteMessage> GiveUp for Inbound<M> {
    fn give_up(&self) {
        let reply = self.reply.lock().take();
        // Its drop says so. Not under the lock: it may be the last of an answer.
        drop(reply);
    }
}

impl<M: RemoteMessage> Relay for Inbound<M> {
    fn pass_on(&self) {
        // As in `release`: whoever of the two comes second finds what the first has done.
        if self.state.swap(ANSWERED, Ordering::AcqRel) == RELEASED {
            self.send();
        }
    }
}

impl<M: Message> fmt::Debug for Inbound<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inbound").field(&self.call.id).finish()
    }
}

/// An answer to an `M`, as it is written.
pub(super) struct ReplyOf<M: Message>(pub(super) M::Reply);

impl<M: RemoteMessage> Encodable for ReplyOf<M> {
    fn encode(&self, into: &mut Vec<u8>, max: usize) -> Result<(), EncodeError> {
        encode::<M, _>(&self.0, into, max)
    }
}
