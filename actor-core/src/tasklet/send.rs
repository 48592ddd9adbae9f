//! What is sent to a tasklet: messages and calls.

use std::time::Duration;

use super::Tasklet;
use crate::envelope::Envelope;
use crate::mailbox::Patience;
use crate::message::{self, Limit, Message, Recipient};
use crate::reply::{self, Reply, ReplyTo, wait_for_reply};
use crate::{CallError, SendError, block, time};

impl Tasklet {
    /// Sends `message`; see [`Recipient::send`].
    ///
    /// A tasklet takes messages of any class. Those that its receive loop has no arm for are dropped,
    /// counted and logged; hand out a [`recipient`](Self::recipient) where that matters.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let reader = Tasklet::spawn(|| Tasklet::receive_one().unwrap().downcast::<Note>().unwrap());
    ///     reader.send(Note(1)).unwrap();
    ///     assert_eq!(reader.join().unwrap(), Note(1));
    /// });
    /// # }
    /// ```
    pub fn send<M: Message>(&self, message: M) -> Result<(), SendError<M>> {
        message::send(self, message)
    }

    /// Sends `message` without ever waiting; see [`Recipient::try_send`].
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Mailbox, Message, Overflow, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let busy = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::Block))
    ///         .spawn(|| Tasklet::receive().count())
    ///         .unwrap();
    ///     busy.try_send(Note(1)).unwrap();
    ///     assert!(busy.try_send(Note(2)).unwrap_err().is_full());
    /// });
    /// # }
    /// ```
    pub fn try_send<M: Message>(&self, message: M) -> Result<(), SendError<M>> {
        message::try_send(self, message)
    }

    /// Sends `message` and waits for the answer; see [`Recipient::call`].
    ///
    /// A tasklet that calls itself gets [`CallError::Deadlock`]. Longer cycles of calls wait for
    /// ever unless one of them has a deadline.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{CallError, Message, Tasklet, dispatch, match_message};
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
    ///     assert_eq!(server.call(Length("four")), Ok(4));
    ///     assert_eq!(Tasklet::current().call(Length("self")), Err(CallError::Deadlock));
    /// });
    /// # }
    /// ```
    pub fn call<M: Message>(&self, message: M) -> Result<M::Reply, CallError> {
        message::call(self, message, Limit::Inherited)
    }

    /// As [`call`](Self::call), for at most `limit`; see [`Recipient::call_timeout`].
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
    ///     let late = deaf.call_timeout(Length("four"), Duration::from_millis(1));
    ///     assert_eq!(late, Err(CallError::Timeout));
    ///     deaf.kill();
    /// });
    /// # }
    /// ```
    pub fn call_timeout<M: Message>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError> {
        message::call(self, message, Limit::Own(time::after(limit)))
    }

    /// As [`call_timeout`](Self::call_timeout), with a limit that the receiver is told; see
    /// [`Recipient::call_within`].
    pub fn call_within<M: Message>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError> {
        message::call(self, message, Limit::Shared(time::after(limit)))
    }

    /// Sends a message that carries the right to answer inside, and waits for the answer. For
    /// messages that are enums, each of whose variants is answered with a type of its own.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, ReplyTo, Tasklet, dispatch, match_message};
    /// #[derive(Message)]
    /// enum Ask {
    ///     Name(ReplyTo<String>),
    ///     Age(ReplyTo<u8>),
    /// }
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let person = Tasklet::spawn(|| {
    ///         for message in Tasklet::receive() {
    ///             match_message!(match message {
    ///                 Ask::Name(reply) => reply.send("Ada".into()),
    ///                 Ask::Age(reply) => reply.send(36),
    ///             });
    ///         }
    ///     });
    ///     assert_eq!(person.call_with(Ask::Name).unwrap(), "Ada");
    ///     assert_eq!(person.call_with(Ask::Age).unwrap(), 36);
    /// });
    /// # }
    /// ```
    pub fn call_with<M, T>(&self, make: impl FnOnce(ReplyTo<T>) -> M) -> Result<T, CallError>
    where
        M: Message,
        T: Send + 'static,
    {
        block::enter().map_err(reply::interrupted)?;
        let waiter = block::waiter().map_err(reply::interrupted)?;
        message::refuse_self_call(self.pid())?;
        let (to, reply) = Reply::pair(waiter);
        self.send(make(to))?;
        wait_for_reply(reply, self.pid(), block::answer_by(), None)
    }

    /// Sends a message on as it came, with the right to answer it if it is a call.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let reader = Tasklet::spawn(|| Tasklet::receive_one().unwrap().is::<Note>());
    ///     let to = reader.tasklet().clone();
    ///     let proxy = Tasklet::spawn(move || to.forward(Tasklet::receive_one().unwrap()).unwrap());
    ///     proxy.send(Note(1)).unwrap();
    ///     assert!(reader.join().unwrap());
    /// });
    /// # }
    /// ```
    pub fn forward(&self, envelope: Envelope) -> Result<(), SendError<Envelope>> {
        self.core.send(envelope, Patience::Policy)
    }

    /// A reference through which only messages of the class `M` can be sent.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Recipient, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let me: Recipient<Note> = Tasklet::current().recipient();
    ///     me.send(Note(1)).unwrap();
    ///     assert_eq!(Tasklet::pending(), 1);
    /// });
    /// # }
    /// ```
    pub fn recipient<M: Message>(&self) -> Recipient<M> {
        self.into()
    }
}
