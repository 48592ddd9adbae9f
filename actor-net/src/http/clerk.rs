//! Who serves the connections of a [shard](super::shard): an actor, on the stack of a carrier.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::Arc;

use actor_core::__private::{
    Attendant, act, catch_panic, is_ending, is_slice_over, let_go, on_leaving, stop_for,
};
use actor_core::{Actor, Context, Exit, ExitReason};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::conn::{Conn, Rest};
use super::incoming::Input;
use super::peer::Serving;
use super::reader::RequestReader;
use super::shard::{Done, Next, Role, Shard, Taken, deadline};
use super::turn::{End, Turn};
use super::upgrade::{Then, Upgrading};
use super::wire::Output;

/// How large a shared buffer may be that is kept.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// What connections receive into and gather in. Taken out meanwhile: a handler may wait, and another clerk run.
    static BUFFERS: Cell<Buffers> = Cell::default();
}

/// Lent to one turn after the other.
#[derive(Default)]
struct Buffers {
    input: Input,
    /// Borrowed while an answer is made, but not while its handler runs.
    output: RefCell<Output>,
    /// An empty map whose memory is used again.
    spare: HeaderMap,
}

impl Buffers {
    fn keep(self) {
        if self.input.bytes.capacity() <= KEPT && self.output.borrow().capacity() <= KEPT {
            BUFFERS.set(self);
        }
    }

    /// Ready for the next turn, with what is left of the connection's last one.
    fn prepare(&mut self, rest: Option<Box<Rest>>) {
        self.output.get_mut().clear();
        self.input.bytes.clear();
        self.input.reader = match rest {
            None => RequestReader::default(),
            Some(rest) => {
                self.input.bytes.extend_from_slice(&rest.input.bytes);
                rest.input.reader
            }
        };
    }

    /// What a connection keeps, if there is anything: exactly as much as is needed, since it may be there for
    /// long.
    fn rest(&mut self, until: impl FnOnce() -> u32) -> Option<Box<Rest>> {
        if self.input.bytes.is_empty() {
            return None;
        }
        let bytes = BytesMut::from(&self.input.bytes[..]);
        let reader = mem::take(&mut self.input.reader);
        Some(Box::new(Rest {
            input: Input { reader, bytes },
            until: until(),
        }))
    }
}

/// Whose clerk one is.
pub(super) struct Employer {
    shard: Arc<Shard>,
    number: u32,
}

impl Employer {
    pub(super) fn new(shard: Arc<Shard>, number: u32) -> Self {
        Employer { shard, number }
    }
}

impl Attendant<Clerk> for Employer {
    fn make(&self) -> Clerk {
        Clerk {
            shard: self.shard.clone(),
            number: self.number,
        }
    }

    fn over(self, reason: &ExitReason) {
        self.shard.clerk_ended(self.number, reason);
    }
}

/// See the [module](self).
pub(super) struct Clerk {
    shard: Arc<Shard>,
    number: u32,
}

impl Actor for Clerk {
    /// A link that a handler has made is over with its request.
    fn exited(&mut self, _: Exit, _: &mut Context<Self>) {}
}

impl Clerk {
    /// Serves the list.
    pub(super) fn serve(&mut self, role: Role, ctx: &mut Context<Self>) {
        role.accept();
        let desk = Desk {
            ctx,
            shard: &self.shard,
            number: self.number,
            has_role: Cell::new(true),
        };
        let mut buffers = BUFFERS.take();
        let (mut done, mut alone) = (None, false);
        loop {
            if desk.shard.is_stopping() {
                // So that handlers can see it. What is on the list is served all the same.
                stop_for(&desk.ctx.addr(), &ExitReason::Shutdown);
            }
            match desk.next(alone, done.take()) {
                Next::Serve(taken) => done = desk.turn(taken, &mut buffers),
                Next::Close(conn) => desk.close(conn, Vec::new(), false),
                Next::Hire => alone = desk.shard.hire().is_err(),
                Next::Rest => break,
            }
            if desk.has_role.get() && is_slice_over() && desk.goes_on_later() {
                if let Some(conn) = done.take().and_then(|done| desk.put_back(done)) {
                    desk.close(conn, Vec::new(), false);
                }
                break;
            }
        }
        buffers.keep();
    }
}

/// A clerk at work.
pub(super) struct Desk<'a> {
    ctx: &'a Context<Clerk>,
    pub(super) shard: &'a Arc<Shard>,
    number: u32,
    has_role: Cell<bool>,
}

impl Desk<'_> {
    fn next(&self, alone: bool, done: Option<Done>) -> Next {
        let mut has_role = self.has_role.get();
        let next = self.shard.next(self.number, &mut has_role, alone, done);
        self.has_role.set(has_role);
        next
    }

    /// Has the clerk go on after others have had their turn; `false` if it takes no more messages.
    fn goes_on_later(&self) -> bool {
        if is_ending(self.ctx) {
            return false;
        }
        self.has_role.set(false);
        let role = Role::new(self.shard.clone());
        act(&self.ctx.addr(), move |clerk, ctx| clerk.serve(role, ctx))
    }

    fn put_back(&self, done: Done) -> Option<Arc<Conn>> {
        self.shard.put_back(self.number, done)
    }

    /// A request is over: what its handler has left here does not concern the next.
    pub(super) fn clear(&self) {
        let_go(self.ctx);
    }

    /// Gives the role away, before the clerk waits or ends.
    pub(super) fn hand_over(&self) {
        if self.has_role.replace(false) {
            self.shard.hand_over();
        }
    }

    /// Serves what has come on a connection. What is not served yet is put back.
    fn turn(&self, Taken { conn, rest }: Taken, buffers: &mut Buffers) -> Option<Done> {
        // Before the look at the socket: of what becomes ready after that it is told anew.
        conn.stream().source().rearm();
        let mut until = rest.as_ref().map(|rest| rest.until);
        buffers.prepare(rest);
        let was_established = conn.stream().is_established();
        let (end, requests, is_lent) = {
            let turn = Turn::new(self, &conn, &buffers.output);
            let _serving = Serving::begin(conn.peer(), conn.stream().facts(), conn.stream());
            let serve = || turn.serve(&mut buffers.input, &mut buffers.spare);
            let end = on_leaving(&|| turn.leave(), serve);
            (end, turn.requests(), turn.has_lent())
        };
        if requests > 0 {
            // What is left is another head.
            until = None;
        }
        let common = self.shard.common();
        let in_time = || deadline(common.admission.now(), common.limits.head_time);
        match end {
            Ok(end @ (End::Wait | End::Again)) => {
                let rest = buffers.rest(|| until.unwrap_or_else(in_time));
                let again = matches!(end, End::Again);
                let is_new = !was_established && conn.stream().is_established();
                return Some(Done {
                    conn,
                    rest,
                    again,
                    has_served: requests > 0 || is_new,
                });
            }
            Ok(End::Close) => {
                let words = buffers.output.take().into_bytes();
                self.close(conn, words, is_lent || buffers.input.reader.is_amid());
            }
            Ok(End::Upgrade(then)) => {
                let ahead = Bytes::copy_from_slice(&buffers.input.bytes);
                // It may be a long time.
                mem::take(buffers).keep();
                self.upgrade(conn, then, ahead);
            }
            Err(error) => {
                if self.shard.remove(&conn) {
                    conn.lose(&error);
                }
            }
        }
        None
    }

    fn close(&self, conn: Arc<Conn>, words: Vec<u8>, sending: bool) {
        if self.shard.remove(&conn) {
            conn.close(words, sending);
        }
    }

    /// Gives a connection to what it has been upgraded to, and comes back when that is done with it.
    fn upgrade(&self, conn: Arc<Conn>, then: Then, ahead: Bytes) {
        if !self.shard.remove(&conn) {
            return;
        }
        let (peer, admission) = (conn.peer(), &self.shard.common().admission);
        let (parts, place) = conn.into_parts();
        let run = || {
            let upgrading = Upgrading {
                then,
                parts: parts?,
                ahead,
                peer,
                server: &admission.name,
                settings: &admission.settings,
                closed: place,
            };
            upgrading.run(|| admission.connections.are_stopping())
        };
        let done = on_leaving(&|| self.hand_over(), || catch_panic(run));
        self.clear();
        let (server, peer) = (&admission.name, peer.addr());
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(server, %peer, %error, "no upgrade"),
            Err(panic) => {
                tracing::error!(server, %peer, %panic, "an upgraded connection's handler has panicked");
            }
        }
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        self.hand_over();
    }
}
