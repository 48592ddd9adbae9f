//! Actors: a value and a mailbox, without a stack while idle.
//!
//! A [tasklet](crate::Tasklet) holds its stack for as long as it lives, and in return can wait
//! anywhere. An actor holds none between messages, so a million of them fit on one machine; a handler
//! that waits holds one meanwhile.

pub(crate) mod activity;
mod addr;
mod attended;
pub(crate) mod carrier;
pub(crate) mod cell;
mod context;
#[cfg(all(test, loom))]
mod loom_models;
pub(crate) mod pool;
pub(crate) mod residence;
pub(crate) mod roster;
pub(crate) mod run;
mod supervisor;
pub(crate) mod surplus;
pub(crate) mod unheard;

pub use self::addr::{Addr, AddrBuilder, WeakAddr};
pub use self::attended::Attendant;
pub use self::context::Context;
pub use self::pool::{Keyed, Pool, PoolBuilder, Routing};
pub use self::supervisor::{
    Child, DEFAULT_SHUTDOWN, IntensityExceeded, Restart, Shutdown, Supervisor,
};
use crate::exit::LinkBroken;
use crate::{BoxError, Exit, ExitReason, Message, ReplyTo};

/// What can be an actor: any value that can be sent to another thread.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Actor, Addr, Context, Handler, Message, dispatch};
///
/// struct Counter {
///     value: u64,
/// }
///
/// #[derive(Message)]
/// struct Add(u64);
///
/// #[derive(Message)]
/// #[message(reply = u64)]
/// struct Get;
///
/// impl Actor for Counter {}
///
/// impl Handler<Add> for Counter {
///     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) {
///         self.value += n;
///     }
/// }
///
/// impl Handler<Get> for Counter {
///     fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
///         self.value
///     }
/// }
///
/// fn main() {
///     dispatch(|| {
///         let counter = Addr::spawn(Counter { value: 0 });
///         counter.send(Add(3)).unwrap();
///         assert_eq!(counter.call(Get), Ok(3));
///     });
/// }
/// ```
///
/// Its messages are handled one after the other, on any worker; a handler stays on the worker that it
/// has begun on. A handler may wait: for a time, a reply, a socket. Meanwhile its worker runs others,
/// and the actor's further messages wait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    label = "not an actor",
    note = "write `impl Actor for {Self} {{}}`, with its hooks if it has any"
)]
pub trait Actor: Sized + Send + 'static {
    /// Called before the first message. A failure ends the actor with [`ExitReason::Failed`].
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }

    /// Called after the last message, unless the actor ends by a panic or is killed. What it sends to
    /// itself is refused. A kill meanwhile ends this as well, and is the reason then.
    fn stopped(&mut self, reason: &ExitReason) {
        let _ = reason;
    }

    /// Called when one has ended that this actor is linked to or monitors.
    ///
    /// By default a linked one that has ended abnormally takes this actor along. An actor with a method
    /// of its own decides for itself: it traps exits, as Erlang has it.
    fn exited(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        if exit.linked && exit.reason.is_abnormal() {
            ctx.fail(LinkBroken(exit));
        }
    }
}

/// An actor that handles messages of the class `M`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler for `{M}`",
    label = "does not handle `{M}`",
    note = "write `impl Handler<{M}> for {Self}`"
)]
pub trait Handler<M: Message>: Actor {
    /// Handles one message. What it returns answers a call.
    fn handle(&mut self, message: M, ctx: &mut Context<Self>) -> M::Reply;

    /// Takes the answer to a message that was only sent. A handler that `#[messages]` has written logs
    /// the error in it. Not part of the interface.
    #[doc(hidden)]
    #[inline]
    fn unheard(answer: M::Reply, ctx: &mut Context<Self>) {
        let _ = (answer, ctx);
    }
}

/// An actor that takes messages of the class `M`, and answers calls when it likes.
///
/// Every [`Handler`] is one. Implement this one directly to keep the right to answer, or to hand it on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler for `{M}`",
    label = "does not handle `{M}`",
    note = "write `impl Handler<{M}> for {Self}`"
)]
pub trait Accepts<M: Message>: Actor {
    /// Whether the right to answer may go elsewhere, so that nobody can tell who will answer.
    #[doc(hidden)]
    const HANDS_ON: bool = true;

    /// Takes one message, and the right to answer it if it is a call.
    fn accept(&mut self, message: M, reply: ReplyTo<M::Reply>, ctx: &mut Context<Self>);
}

impl<M: Message, A: Handler<M>> Accepts<M> for A {
    const HANDS_ON: bool = false;

    #[inline]
    fn accept(&mut self, message: M, reply: ReplyTo<M::Reply>, ctx: &mut Context<Self>) {
        let answer = self.handle(message, ctx);
        if reply.is_to_nobody() {
            Self::unheard(answer, ctx);
        } else {
            reply.send(answer);
        }
    }
}
