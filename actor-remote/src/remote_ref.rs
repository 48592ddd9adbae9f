//! References to receivers that take the messages of a protocol, wherever they are.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use actor_core::remote::{Abroad, Arrival, BorderError, Export, Foreign, at_border};
use actor_core::{CallError, Monitor, Pid, Receiver, Recipient, SendError};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::idempotent::Idempotent;
use crate::protocol::{Protocol, Serves, Takes};
use crate::watched::Watched;
use crate::wire::frame::Kind;

/// A reference to a receiver that takes the messages of the protocol `P`: of another node, or of this one.
///
/// It comes from [`PeerRef::lookup`](crate::PeerRef::lookup), from [`RemoteRef::new`], or as a field of a
/// message. It can itself be sent.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use actor_core::{Actor, Addr, Context, Handler, Message, dispatch};
/// use actor_remote::{RemoteRef, protocol};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(remote = "counter.Add", reply = u64)]
/// struct Add(u64);
///
/// protocol! { Counting: Add }
///
/// struct Counter(u64);
///
/// impl Actor for Counter {}
///
/// impl Handler<Add> for Counter {
///     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
///         self.0 += n;
///         self.0
///     }
/// }
///
/// # fn main() {
/// dispatch(|| {
///     let counter = RemoteRef::<Counting>::new(&Addr::spawn(Counter(40)));
///     assert_eq!(counter.call(Add(2)), Ok(42), "as if it were elsewhere");
/// });
/// # }
/// ```
pub struct RemoteRef<P: Protocol> {
    target: Target,
    protocol: PhantomData<fn() -> P>,
}

#[derive(Clone)]
enum Target {
    Foreign(Abroad),
    /// What takes each of the protocol's classes.
    Own(Arc<[Arc<dyn Export>]>),
}

impl<P: Protocol> RemoteRef<P> {
    /// A reference to a receiver of this process, to be sent to others.
    pub fn new(receiver: &impl Serves<P>) -> RemoteRef<P> {
        let mut exports = Vec::with_capacity(P::MESSAGES.len());
        receiver.recipients(&mut |export| exports.push(export));
        RemoteRef::to(Target::Own(exports.into()))
    }

    pub(crate) fn foreign(abroad: Abroad) -> RemoteRef<P> {
        RemoteRef::to(Target::Foreign(abroad))
    }

    /// If it is of another node.
    pub(crate) fn as_foreign(&self) -> Option<Arc<dyn Foreign>> {
        match &self.target {
            Target::Foreign(abroad) => Some(abroad.0.clone()),
            Target::Own(_) => None,
        }
    }

    fn to(target: Target) -> RemoteRef<P> {
        RemoteRef {
            target,
            protocol: PhantomData,
        }
    }

    /// A recipient of one class of its messages.
    pub fn recipient<M: actor_core::RemoteMessage>(&self) -> Recipient<M>
    where
        P: Takes<M>,
    {
        match &self.target {
            Target::Foreign(abroad) => Recipient::new(abroad.clone()),
            Target::Own(exports) => {
                let by_place = exports.get(P::INDEX);
                by_place
                    .and_then(|export| export.recipient())
                    .or_else(|| exports.iter().find_map(|export| export.recipient()))
                    .unwrap_or_else(|| unreachable!("what serves a protocol takes all its classes"))
            }
        }
    }

    /// Sends `message`; see [`Recipient::send`].
    ///
    /// # Errors
    ///
    /// [`SendError::Disconnected`] if there is no link to its node, [`SendError::Refused`] if the message cannot go
    /// there, and those of [`Recipient::send`]. Whether it arrives is another matter: it does so at most once.
    pub fn send<M: actor_core::RemoteMessage>(&self, message: M) -> Result<(), SendError<M>>
    where
        P: Takes<M>,
    {
        self.recipient().send(message)
    }

    /// Sends `message` without ever waiting; see [`Recipient::try_send`].
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); [`SendError::Full`] where that would wait for room, and
    /// [`SendError::Disconnected`] where it would wait for a link.
    pub fn try_send<M: actor_core::RemoteMessage>(&self, message: M) -> Result<(), SendError<M>>
    where
        P: Takes<M>,
    {
        self.recipient().try_send(message)
    }

    /// Sends `message` and waits for the answer; see [`Recipient::call`].
    ///
    /// # Errors
    ///
    /// [`CallError::Disconnected`] if the link breaks, or there is none; and those of [`Recipient::call`].
    pub fn call<M: actor_core::RemoteMessage>(&self, message: M) -> Result<M::Reply, CallError>
    where
        P: Takes<M>,
    {
        self.recipient().call(message)
    }

    /// The same, for at most `limit`; see [`Recipient::call_timeout`].
    pub fn call_timeout<M: actor_core::RemoteMessage>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError>
    where
        P: Takes<M>,
    {
        self.recipient().call_timeout(message, limit)
    }

    /// The same, with a limit that the receiver knows; see [`Recipient::call_within`].
    pub fn call_within<M: actor_core::RemoteMessage>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError>
    where
        P: Takes<M>,
    {
        self.recipient().call_within(message, limit)
    }

    /// Calls it so that the message is executed once, and makes the call again when the link breaks before the answer
    /// comes, for as long as `options` say.
    ///
    /// Whoever exposes the receiver must have it [remember](crate::Exposure::idempotent) such calls, by its name. What is
    /// known by a handle, which has come in a message or belongs to a [child](crate::RemoteChild), remembers none, and
    /// refuses them. A message that carries rights to answer cannot be sent a second time. An answer is remembered as
    /// its bytes: one with references in it, or of more than a mebibyte, is not given, and the call ends with
    /// [`CallError::Unanswered`] when it has had its effect.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forgotten`](actor_core::Refusal::Forgotten) if the call may have been executed before, and the
    /// receiver does not know any more: it has been started anew, or had to make room.
    /// [`Refusal::NotIdempotent`](actor_core::Refusal::NotIdempotent) if it remembers no calls, and has not been called.
    /// [`CallError::Full`] if it has no room to remember this one, since all that it does remember are being executed.
    /// [`CallError::Disconnected`] and [`CallError::Timeout`] when the time is over: it may have been executed, or be
    /// yet. With the same [id](Idempotent::id), it can be made once more.
    ///
    /// ```no_run
    /// # use actor_core::{CallError, Message};
    /// # use actor_remote::{Idempotent, RemoteRef, protocol};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # #[message(crate = actor_core, remote = "bank.Deposit", reply = u64)]
    /// # struct Deposit { account: u64, amount: u64 }
    /// # protocol! { Bank: Deposit }
    /// fn deposit(bank: &RemoteRef<Bank>) -> Result<u64, CallError> {
    ///     let deposit = Deposit { account: 1, amount: 100 };
    ///     bank.call_idempotent(deposit, &Idempotent::new())
    /// }
    /// ```
    pub fn call_idempotent<M: actor_core::RemoteMessage>(
        &self,
        message: M,
        options: &Idempotent,
    ) -> Result<M::Reply, CallError>
    where
        P: Takes<M>,
    {
        match &self.target {
            Target::Foreign(abroad) => options.call(&abroad.0, &message),
            // Nothing is lost on the way.
            Target::Own(_) => self.call_timeout(message, options.limit),
        }
    }

    /// Has the current tasklet or actor told of its end, once: by an [`Exit`](actor_core::Exit) with the reason, or
    /// with [`ExitReason::NoConnection`](actor_core::ExitReason::NoConnection) if the link to its node breaks, or there
    /// is none. The latter says nothing of the receiver, which may live. When there is a link again, nothing is
    /// monitored until somebody asks for it.
    ///
    /// Where it has been looked up by a name, it is whoever is exposed by that name at this moment.
    ///
    /// # Panics
    ///
    /// If the caller is neither.
    #[track_caller]
    pub fn monitor(&self) -> Monitor {
        self.watched().owner.monitor()
    }

    /// Links the current tasklet or actor with it: the abnormal end of one ends the other as well, as does the break of
    /// the link between their nodes, which ends both.
    ///
    /// # Panics
    ///
    /// If the caller is neither.
    #[track_caller]
    pub fn link(&self) {
        let watched = self.watched();
        watched.owner.link();
        if let Some(own) = Pid::current() {
            watched.say(Kind::Link, own);
        }
    }

    /// Takes a [link](Self::link) back.
    ///
    /// # Panics
    ///
    /// If the caller is neither a tasklet nor an actor.
    #[track_caller]
    pub fn unlink(&self) {
        let watched = self.watched();
        watched.owner.unlink();
        if let Some(own) = Pid::current() {
            watched.say(Kind::Unlink, own);
        }
    }

    fn watched(&self) -> Watched {
        match &self.target {
            Target::Foreign(abroad) => Watched::foreign(&*abroad.0),
            Target::Own(exports) => Watched::own(exports.iter().find_map(|export| export.owner())),
        }
    }

    /// Its identity in this process; `None` only of a receiver of this process that takes nothing.
    pub fn pid(&self) -> Option<Pid> {
        match &self.target {
            Target::Foreign(abroad) => Some(abroad.pid()),
            Target::Own(exports) => exports.first().map(|export| export.pid()),
        }
    }
}

impl<P: Protocol> Clone for RemoteRef<P> {
    fn clone(&self) -> Self {
        RemoteRef::to(self.target.clone())
    }
}

/// By identity of the receiver.
impl<P: Protocol> PartialEq for RemoteRef<P> {
    fn eq(&self, other: &Self) -> bool {
        self.pid() == other.pid()
    }
}

impl<P: Protocol> Eq for RemoteRef<P> {}

impl<P: Protocol> fmt::Debug for RemoteRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Foreign(abroad) => write!(f, "RemoteRef({:?})", abroad.0),
            Target::Own(_) => write!(f, "RemoteRef({:?})", self.pid()),
        }
    }
}

/// Within a message over a link alone, as a [`Recipient`].
impl<P: Protocol> Serialize for RemoteRef<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = at_border(|border| match &self.target {
            // What others send it goes through this node, if it is of a third one.
            Target::Foreign(abroad) => border.export(Some(&abroad.0), &|| relay::<P>(abroad)),
            Target::Own(exports) => border.export(None, &|| exports.to_vec()),
        })
        .map_err(S::Error::custom)?;
        serializer.serialize_u32(index)
    }
}

fn relay<P: Protocol>(abroad: &Abroad) -> Vec<Arc<dyn Export>> {
    let mut exports = Vec::with_capacity(P::MESSAGES.len());
    P::relays(abroad, &mut |export| exports.push(export));
    exports
}

impl<'de, P: Protocol> Deserialize<'de> for RemoteRef<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u32::deserialize(deserializer)?;
        let arrival = at_border(|border| border.import(index)).map_err(D::Error::custom)?;
        match arrival {
            Arrival::Foreign(foreign) => Ok(RemoteRef::foreign(Abroad(foreign))),
            Arrival::Own(exports) => {
                let takes_all = P::MESSAGES
                    .iter()
                    .all(|class| exports.iter().any(|export| export.class() == *class));
                if takes_all {
                    Ok(RemoteRef::to(Target::Own(exports.into())))
                } else {
                    Err(D::Error::custom(BorderError::WrongClass))
                }
            }
        }
    }
}
