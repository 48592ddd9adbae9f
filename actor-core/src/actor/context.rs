//! What a handler knows of its own actor.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

use super::addr::Addr;
use super::cell::{ActorCell, Stashed, Typed, parts};
use super::{Accepts, Actor};
use crate::envelope::Envelope;
use crate::{BoxError, ExitReason, Message, Pid, ReplyTo, Tasklet, Timer};

/// An actor's own side, in its handlers.
pub struct Context<A: Actor> {
    cell: NonNull<Typed<A>>,
    /// Not `Send`: it is for the handler that runs.
    _here: PhantomData<*mut A>,
}

impl<A: Actor> Context<A> {
    /// # Safety
    ///
    /// The cell lives for as long as the context is used, and the caller is its carrier.
    pub(crate) unsafe fn new(cell: NonNull<Typed<A>>) -> Self {
        Context {
            cell,
            _here: PhantomData,
        }
    }

    pub(crate) fn core(&self) -> &ActorCell {
        // SAFETY: it lives, as `new` was promised.
        &unsafe { self.cell.as_ref() }.core
    }

    /// The actor's address. Kept in the actor's own state it would keep the actor reachable for ever.
    pub fn addr(&self) -> Addr<A> {
        // SAFETY: the cell lives.
        unsafe { Addr::another(self.cell) }
    }

    /// The actor's identity.
    pub fn pid(&self) -> Pid {
        self.core().pid
    }

    /// Sends `message` to the actor itself once `wait` has passed. The timer keeps it alive, and goes
    /// when it ends.
    pub fn send_after<M: Message>(&self, message: M, wait: Duration) -> Timer
    where
        A: Accepts<M>,
    {
        self.addr().send_after(message, wait)
    }

    /// Sends a clone of `message` to the actor itself every `period`; see
    /// [`Recipient::send_every`](crate::Recipient::send_every).
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    pub fn send_every<M: Message + Clone>(&self, message: M, period: Duration) -> Timer
    where
        A: Accepts<M>,
    {
        self.addr().send_every(message, period)
    }

    /// Runs `work` aside, in a tasklet of its own, and sends what it returns to the actor: for what
    /// takes long while the actor goes on with other messages. If the actor ends meanwhile, the tasklet
    /// is asked to stop, and the result is dropped.
    ///
    /// # Panics
    ///
    /// If there are too many tasklets for another.
    pub fn pipe<M: Message>(&self, work: impl FnOnce() -> M + Send + 'static)
    where
        A: Accepts<M>,
    {
        let to = self.addr();
        Tasklet::spawn(move || drop(to.send(work())));
    }

    /// Puts a message aside, to be handled again after [`unstash_all`](Self::unstash_all). If the actor
    /// ends before, it becomes a [dead letter](crate::DeadLetter).
    pub fn stash<M: Message>(&mut self, message: M)
    where
        A: Accepts<M>,
    {
        let mut message = Envelope::new(message);
        message.address_to::<A, M>();
        self.core().stash(Stashed::Sent(message));
    }

    /// Puts a message and the right to answer it aside; for actors that implement
    /// [`Accepts`] themselves.
    pub fn stash_call<M: Message>(&mut self, message: M, reply: ReplyTo<M::Reply>)
    where
        A: Accepts<M>,
    {
        self.core()
            .stash(Stashed::Called(Box::new(move |core: &ActorCell| {
                // SAFETY: it is put into this cell, whose type is `A`, and run by its carrier.
                let (value, mut context) = unsafe { parts::<A>(core) };
                value.accept(message, reply, &mut context);
            })));
    }

    /// Has all messages that were put aside handled, in the order in which they were, before what is in
    /// the mailbox. Those that are put aside again meanwhile stay aside.
    pub fn unstash_all(&mut self) {
        self.core().unstash_all();
    }

    /// Ends the actor after this message. What is left in its mailbox is not handled.
    pub fn stop(&mut self) {
        self.core().end_with(ExitReason::Normal);
    }

    /// Ends the actor after this message, with an error.
    pub fn fail(&mut self, error: impl Into<BoxError>) {
        self.core()
            .end_with(ExitReason::Failed(error.into().into()));
    }
}

impl<A: Actor> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({:?})", self.core())
    }
}
