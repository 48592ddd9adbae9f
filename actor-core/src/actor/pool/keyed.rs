//! What goes to the worker that is for its key.

use std::fmt;
use std::time::Duration;

use super::Pool;
use super::crew::Route;
use crate::actor::{Accepts, Actor};
use crate::exit::Owner;
use crate::message::{self, Delivery, Limit};
use crate::{CallError, Destination, Message, Pid, Receiver, Recipient, SendError, time};

/// The worker of a [`Pool`] that is for one key; see [`Pool::keyed`].
///
/// ```
/// use actor_core::{Actor, Context, Handler, Message, Pool, dispatch};
///
/// struct Log(Vec<u32>);
/// impl Actor for Log {}
///
/// struct Append(u32);
/// impl Message for Append {
///     type Reply = usize;
/// }
/// impl Handler<Append> for Log {
///     fn handle(&mut self, Append(line): Append, _: &mut Context<Self>) -> usize {
///         self.0.push(line);
///         self.0.len()
///     }
/// }
///
/// dispatch(|| {
///     let logs = Pool::spawn(4, || Log(Vec::new())).unwrap();
///     let log = logs.keyed(&("region", 7));
///     log.send(Append(1)).unwrap();
///     assert_eq!(log.call(Append(2)), Ok(2));
/// });
/// ```
pub struct Keyed<A: Actor> {
    pub(super) pool: Pool<A>,
    pub(super) hash: u64,
}

impl<A: Actor> Keyed<A> {
    /// Sends `message` to the worker; see [`Recipient::send`].
    pub fn send<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M>,
    {
        message::send(self, message)
    }

    /// Sends `message` without ever waiting; see [`Recipient::try_send`].
    pub fn try_send<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M>,
    {
        message::try_send(self, message)
    }

    /// Sends `message` and waits for the answer; see [`Recipient::call`].
    pub fn call<M: Message>(&self, message: M) -> Result<M::Reply, CallError>
    where
        A: Accepts<M>,
    {
        message::call(self, message, Limit::Inherited)
    }

    /// As [`call`](Self::call), for at most `limit`; see [`Recipient::call_timeout`].
    pub fn call_timeout<M: Message>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError>
    where
        A: Accepts<M>,
    {
        message::call(self, message, Limit::Own(time::after(limit)))
    }

    /// The worker for the key, as a recipient of one class of messages.
    pub fn recipient<M: Message>(&self) -> Recipient<M>
    where
        A: Accepts<M>,
    {
        Recipient::new(self.clone())
    }
}

impl<A: Actor> Receiver for Keyed<A> {
    fn pid(&self) -> Pid {
        self.pool.pid()
    }

    fn owner(&self) -> Option<Owner> {
        self.pool.owner()
    }
}

impl<M: Message, A: Accepts<M>> Destination<M> for Keyed<A> {
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>> {
        self.pool.deliver_by(Route::Key(self.hash), delivery)
    }
}

impl<A: Actor> Clone for Keyed<A> {
    fn clone(&self) -> Self {
        Keyed {
            pool: self.pool.clone(),
            hash: self.hash,
        }
    }
}

impl<A: Actor> fmt::Debug for Keyed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyed({:x} of {:?})", self.hash, self.pool)
    }
}

/// See [`Pool::recipient_by_key`].
pub(super) struct ByKey<A: Actor, F> {
    pub(super) pool: Pool<A>,
    pub(super) hash: F,
}

impl<A: Actor, F: Send + Sync + 'static> Receiver for ByKey<A, F> {
    fn pid(&self) -> Pid {
        self.pool.pid()
    }

    fn owner(&self) -> Option<Owner> {
        self.pool.owner()
    }
}

impl<M, A, F> Destination<M> for ByKey<A, F>
where
    M: Message,
    A: Accepts<M>,
    F: Fn(&M) -> u64 + Send + Sync + 'static,
{
    fn deliver(&self, mut delivery: Delivery<M>) -> Result<(), SendError<M>> {
        let message = delivery.envelope.message_mut::<M>();
        let hash = match message.and_then(|message| message.as_ref()) {
            Some(message) => (self.hash)(message),
            None => unreachable!("a message on its way is in its envelope"),
        };
        self.pool.deliver_by(Route::Key(hash), delivery)
    }
}
