//! What has come in on a connection and has not been handled.

use std::cell::Cell;
use std::io;
use std::mem;

use actor_core::__private::is_ending;
use actor_core::reactor::{Direction, Source};
use actor_core::{Context, Handler};
use rustix::net::RecvFlags;

use crate::codec::Codec;
use crate::connection::ConnectionError;

/// How much is received, and handled, in one turn.
const TURN_BYTES: usize = 64 * 1024;
const TURN_ITEMS: usize = 64;

/// How much room there is to receive into.
const ROOM: usize = 16 * 1024;

/// How large the beginning of an item may be to be moved to and from the shared buffer.
const MOVED: usize = 2 * 1024;

/// How large a shared buffer may be that is kept.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// What connections receive into. Taken out meanwhile: a handler may wait, and another run.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// See the [module](self). An idle connection has its codec here, and what it has got of an item.
pub(super) struct Input<C> {
    codec: C,
    /// The beginning of what is still to be decoded, if there is any.
    #[expect(
        clippy::box_collection,
        reason = "as small as it can be where there is none"
    )]
    rest: Option<Box<Vec<u8>>>,
}

/// How a turn has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing more has come in.
    Wait,
    /// There may be more, and others have waited long enough.
    Again,
    /// The peer has sent all.
    End,
    /// The actor is to end.
    Over,
}

impl<C: Codec> Input<C> {
    pub(super) fn new(codec: C) -> Self {
        Input { codec, rest: None }
    }

    /// Has `actor` handle what there is, and what `receive` appends to the buffer it is given.
    pub(super) fn turn<A: Handler<C::Item>>(
        &mut self,
        actor: &mut A,
        ctx: &mut Context<A>,
        receive: impl FnMut(&mut Vec<u8>) -> io::Result<usize>,
    ) -> Result<Turn, ConnectionError> {
        let rest = self.rest.take().map_or_else(Vec::new, |rest| *rest);
        let moved = rest.len() <= MOVED;
        let mut buffer = if moved {
            let mut buffer = BUFFER.take();
            buffer.clear();
            buffer.extend_from_slice(&rest);
            buffer
        } else {
            rest
        };
        let mut taken = 0;
        let turn = self.handle_all(&mut buffer, &mut taken, actor, ctx, receive);
        if matches!(turn, Ok(Turn::Wait | Turn::Again)) {
            if !moved && taken < buffer.len() {
                buffer.drain(..taken);
                self.rest = Some(Box::new(buffer));
                return turn;
            }
            // Exactly as much as is needed: it may be there for long.
            if taken < buffer.len() {
                self.rest = Some(Box::new(buffer[taken..].to_vec()));
            }
        }
        if buffer.capacity() <= KEPT {
            BUFFER.set(buffer);
        }
        turn
    }

    fn handle_all<A: Handler<C::Item>>(
        &mut self,
        buffer: &mut Vec<u8>,
        taken: &mut usize,
        actor: &mut A,
        ctx: &mut Context<A>,
        mut receive: impl FnMut(&mut Vec<u8>) -> io::Result<usize>,
    ) -> Result<Turn, ConnectionError> {
        let (mut items, mut bytes) = (0, 0);
        loop {
            while *taken < buffer.len() {
                if is_ending(ctx) {
                    return Ok(Turn::Over);
                }
                let before = &buffer[*taken..];
                let mut left = before;
                let item = self.codec.decode(&mut left);
                *taken += before.len() - left.len();
                let Some(item) = item.map_err(ConnectionError::Decode)? else {
                    break;
                };
                if items == TURN_ITEMS {
                    // It has been decoded, so it is handled in this turn.
                    actor.handle(item, ctx);
                    return Ok(Turn::Again);
                }
                items += 1;
                actor.handle(item, ctx);
            }
            if is_ending(ctx) {
                return Ok(Turn::Over);
            }
            if bytes >= TURN_BYTES {
                return Ok(Turn::Again);
            }
            buffer.drain(..mem::take(taken));
            buffer.reserve(ROOM);
            match receive(buffer) {
                Ok(0) => {
                    let last = self.codec.finish(buffer);
                    if let Some(item) = last.map_err(ConnectionError::Decode)? {
                        actor.handle(item, ctx);
                    }
                    return Ok(Turn::End);
                }
                Ok(count) => bytes += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Wait),
                Err(error) => return Err(ConnectionError::Read(error)),
            }
        }
    }
}

/// Receives into the spare room of `buffer`. Never waits.
pub(super) fn receive(source: &Source, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let room = buffer.capacity() - buffer.len();
    source.try_io_stream(Direction::Read, room, |fd| {
        let spare = rustix::buffer::spare_capacity(buffer);
        Ok(rustix::net::recv(fd, spare, RecvFlags::empty())?.0)
    })
}
