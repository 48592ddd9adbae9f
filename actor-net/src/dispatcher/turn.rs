//! What a dispatcher does when its channel has become ready.

use std::io;
use std::sync::Arc;

use actor_core::__private::is_ending;
use actor_core::reactor::{ActorWatch, Direction};
use actor_core::{BoxError, Context};

use super::Dispatcher;
use super::channel::{Role, is_passing};
use super::map::Place;

/// How many events a dispatcher handles before it is others' turn.
const ROUNDS: usize = 16;

/// Begins: from now on the dispatcher is told of what its channel is ready for.
pub(super) fn open<D: Dispatcher>(dispatcher: &mut D, ctx: &mut Context<D>, place: Place) {
    let channel = dispatcher.channel();
    if channel.is_closed() {
        // By a hook of the actor's: that is no failure.
        return ctx.stop();
    }
    channel.place = Some(place);
    let watch = ActorWatch::new(ctx.addr(), turn::<D>);
    if let Err(error) = channel.watch(Arc::new(watch)) {
        dispatcher.handle_error(error.into(), ctx);
        return end_if_closed(dispatcher, ctx);
    }
    turn(dispatcher, ctx);
}

/// Handles what the channel is ready for, event by event, until that is nothing more, or others have
/// waited long enough.
fn turn<D: Dispatcher>(dispatcher: &mut D, ctx: &mut Context<D>) {
    if !dispatcher.channel().begin_turn() {
        return end_if_closed(dispatcher, ctx);
    }
    let mut left = ROUNDS;
    let idle = loop {
        let handled = handle_next(dispatcher, ctx);
        let channel = dispatcher.channel();
        if channel.is_closed() || is_ending(ctx) {
            break true;
        }
        match handled {
            false => break true,
            true if left == 0 => break false,
            true => left -= 1,
        }
    };
    let channel = dispatcher.channel();
    channel.gathers = false;
    channel.flush();
    // Either there is more to do, or the peer was found to be lost just now.
    if !idle || channel.end_is_due() {
        channel.look_again();
    }
    end_if_closed(dispatcher, ctx);
}

fn end_if_closed<D: Dispatcher>(dispatcher: &mut D, ctx: &mut Context<D>) {
    if dispatcher.channel().is_closed() {
        ctx.stop();
    }
}

/// Handles one event; `false` if there is none.
fn handle_next<D: Dispatcher>(dispatcher: &mut D, ctx: &mut Context<D>) -> bool {
    let channel = dispatcher.channel();
    let result = match channel.role() {
        Role::Connecting => match channel.connected() {
            None => return false,
            Some(Ok(())) => dispatcher.handle_connect(ctx),
            Some(Err(error)) => {
                dispatcher.handle_error(error.into(), ctx);
                // There is nothing else to be done with it.
                dispatcher.channel().close();
                return true;
            }
        },
        Role::Listener => {
            if !channel.is_ready(Direction::Read) || !dispatcher.readable() {
                return false;
            }
            dispatcher.handle_accept(ctx)
        }
        Role::Stream => match next_of_stream(dispatcher) {
            Event::None => return false,
            Event::Read => dispatcher.handle_read(ctx),
            Event::Write => dispatcher.handle_write(ctx),
            Event::Close => {
                dispatcher.channel().said = true;
                dispatcher.handle_close(ctx)
            }
        },
    };
    if let Err(error) = result
        && !is_vain(&error)
    {
        dispatcher.handle_error(error, ctx);
    }
    true
}

enum Event {
    None,
    Read,
    Write,
    Close,
}

/// Sends what is pending, and says what is to be handled next.
fn next_of_stream<D: Dispatcher>(dispatcher: &mut D) -> Event {
    let channel = dispatcher.channel();
    channel.flush();
    if channel.end_is_due() {
        return Event::Close;
    }
    let reads = channel.has_room() && channel.is_readable();
    if reads && dispatcher.readable() {
        // Unless it leaves something again.
        dispatcher.channel().unhandled = false;
        return Event::Read;
    }
    let channel = dispatcher.channel();
    let writes = channel.pending() == 0 && channel.is_ready(Direction::Write);
    if writes && channel.error().is_none() && dispatcher.writable() {
        return Event::Write;
    }
    Event::None
}

/// Whether a handler has only found that there was nothing to be done.
fn is_vain(error: &BoxError) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(is_passing)
}
