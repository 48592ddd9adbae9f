//! Event-driven connections: actors that are told what their sockets are ready for.
//!
//! This is the programming model of Python's `asyncore` and `asynchat`. A [`Dispatcher`] is an actor with
//! a [`Channel`]: its methods are called when there is something to read, to accept, to write, and
//! at the end. In between it holds no stack, so a connection that is idle costs a few hundred bytes
//! and no time. Since it is an actor, others can send to it as well, one thing is handled after the other,
//! and a handler may wait, for which it is lent a stack. A [`Map`] runs dispatchers, and has the loop that
//! lasts as long as any is open; [`Chat`] cuts what comes in at terminators.
//!
//! Where the order of what is said to a peer matters more than the number of peers, a
//! [`Server`](crate::Server) with a tasklet for each connection is easier to write for.
//!
//! # Where it differs from asyncore
//!
//! - Nobody goes round to ask all dispatchers what they are interested in: [`readable`](Dispatcher::readable)
//!   and [`writable`](Dispatcher::writable) are asked when the socket has become ready, after each of the
//!   dispatcher's own handlers, and by [`Channel::look_again`]. A handler of readiness that leaves something
//!   unread is called again, as there.
//! - By default a dispatcher is not interested in writing, which nearly always would be true. What is
//!   [pushed](Channel::push) goes out whether it is or not.
//! - There is no map for all that name none: programs that run one after the other in a process would share
//!   it.
//! - A handler that fails tells so by its result, for [`handle_error`](Dispatcher::handle_error); one that
//!   panics ends its dispatcher, as every actor, and no other.

mod accept;
mod channel;
mod chat;
mod map;
mod output;
mod turn;

use std::net::SocketAddr;

use actor_core::{Actor, BoxError, Context};

pub use channel::Channel;
pub use chat::{Chat, DEFAULT_MAX_PIECE, Framing, PieceTooLong, Terminator};
pub use map::Map;
pub use output::{DEFAULT_OUTPUT, OutputFull};

/// An actor that is told what its socket is ready for: asyncore's `dispatcher`.
///
/// All but [`channel`](Self::channel) has a default. The handlers are called in the actor's turn,
/// as those of its messages are. See [`Map`] for an example.
pub trait Dispatcher: Actor {
    /// The channel that it is about, always the same.
    fn channel(&mut self) -> &mut Channel;

    /// Whether it is interested in what comes in; by default it is. One that is not does not hear of the
    /// end either, unless something is to be sent. Not asked while much is [pending](Channel::pending).
    fn readable(&mut self) -> bool {
        true
    }

    /// Whether it is interested in writing; by default it is not. Not asked while something is
    /// [pending](Channel::pending).
    fn writable(&mut self) -> bool {
        false
    }

    /// The channel is connected, after [`Channel::connect`].
    ///
    /// # Errors
    ///
    /// Of every handler: they go to [`handle_error`](Self::handle_error), except that there was nothing to be
    /// done ([`WouldBlock`](std::io::ErrorKind::WouldBlock)).
    fn handle_connect(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }

    /// A connection waits to be accepted. By default it is, and given to
    /// [`handle_accepted`](Self::handle_accepted).
    ///
    /// # Errors
    ///
    /// As for every [handler](Self::handle_connect). By default those of [`Channel::accept`], except that a
    /// connection was lost before it could be accepted; when descriptors have run out it is tried again
    /// after a pause, during which the actor waits.
    fn handle_accept(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        accept::accept(self, ctx)
    }

    /// A connection was accepted. By default it is closed.
    ///
    /// # Errors
    ///
    /// As for every [handler](Self::handle_connect).
    fn handle_accepted(
        &mut self,
        channel: Channel,
        peer: SocketAddr,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        let _ = (channel, ctx);
        tracing::warn!(%peer, "a connection was accepted that nobody handles");
        Ok(())
    }

    /// Something has come in, or the peer has sent all. Called again as long as that is so. By default it
    /// is thrown away.
    ///
    /// # Errors
    ///
    /// As for every [handler](Self::handle_connect).
    fn handle_read(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let _ = ctx;
        self.channel().recv(&mut [0; 4096])?;
        Ok(())
    }

    /// There is room to write, of which it has said that it is [interested](Self::writable). Called again as
    /// long as both are so.
    ///
    /// # Errors
    ///
    /// As for every [handler](Self::handle_connect).
    fn handle_write(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }

    /// The peer has sent all, or is lost. By default the channel is closed, after what is still to be sent;
    /// one that overrides this may go on sending to a peer that has only ended its side. If such a peer turns
    /// out to be lost later, when something is sent to it, this is called again, and
    /// [`Channel::error`] says why; otherwise it is called once.
    ///
    /// # Errors
    ///
    /// As for every [handler](Self::handle_connect).
    fn handle_close(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let _ = ctx;
        self.channel().close_when_done();
        Ok(())
    }

    /// A handler has failed, or the channel could not be connected. By default that is logged, and the
    /// channel closed.
    fn handle_error(&mut self, error: BoxError, ctx: &mut Context<Self>) {
        let peer = self.channel().peer_addr().ok();
        tracing::warn!(pid = %ctx.pid(), ?peer, error, "a dispatcher has failed");
        self.channel().close();
    }
}
