//! Connections that actors serve without a stack.
//!
//! There is no tasklet that reads and none that writes. The reactor tells the connection what its socket
//! is ready for. *Reading* is done by the actor itself: it is given the deed as a message, receives into
//! a buffer that all connections share, and handles the items on the spot. *Writing* is done by the driver
//! of a worker, between two tasklets, so that it does not depend on the actor, which may be waiting in a
//! handler; it never waits, and has no code of the user's in it.
//!
//! The end is the actor's: whatever else goes wrong is noted and has the actor stop. When it has ended, what
//! is left to be written is, and then the socket is closed. All that needs no stack either.

mod input;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actor_core::__private::{AnyActor, Attendant, act, after, soon, spawn_attended, stop_for};
use actor_core::reactor::{Direction, Source, Watch};
use actor_core::{Addr, Context, ExitReason, Handler, Placement, TimedOut, Timer};
use actor_io::TcpStream;
use parking_lot::{Mutex, RwLock};

use self::input::{Input, Turn};
use super::accept::Service;
use super::admission::{Admission, Admitted};
use super::builder::Settings;
use super::connection::Refusal;
use super::connections::{Connections, Lingering, Place};
use super::peer::PeerAddr;
use crate::closing::{self, Manner, send};
use crate::codec::Codec;
use crate::connection::outbox::{Chunk, Limits, Next, Outbox};
use crate::connection::{Connection, ConnectionError, Line};

/// What the connections of a server have in common.
pub(super) struct StacklessActors<C: Codec, A> {
    codec: C,
    make: Box<Make<C, A>>,
    admission: Admission,
}

type Make<C, A> = dyn Fn(Connection<C>) -> A + Send + Sync;

impl<C: Codec, A> StacklessActors<C, A> {
    pub(super) fn new(
        codec: C,
        make: Box<Make<C, A>>,
        name: String,
        settings: Settings,
        connections: Arc<Connections>,
    ) -> Self {
        StacklessActors {
            codec,
            make,
            admission: Admission::new(name, settings, connections),
        }
    }

    fn settings(&self) -> &Settings {
        &self.admission.settings
    }

    /// The place of this number, which its connection gives up.
    fn place(&self, number: u32) -> Place {
        Place::from_number(&self.admission.connections, number)
    }
}

impl<C: Codec, A: Handler<C::Item>> Service for StacklessActors<C, A> {
    fn name(&self) -> &str {
        &self.admission.name
    }

    fn connections(&self) -> &Connections {
        &self.admission.connections
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Result<(), Refusal> {
        let Some(admitted) = self.admission.admit(stream, peer)? else {
            return Ok(());
        };
        let mut builder = Addr::builder().placement(Placement::Worker(admitted.worker));
        if let Some(mailbox) = self.settings().mailbox {
            builder = builder.mailbox(mailbox);
        }
        let mut conn = None;
        let addr = spawn_attended(builder, |addr| {
            let new = Arc::new(Conn::new(self.clone(), addr.clone(), peer, admitted));
            conn = Some(new.clone());
            Owner(new)
        })
        .map_err(Refusal::Spawn)?;
        if let Some(conn) = conn {
            conn.enter();
            act(&addr, move |actor, ctx| conn.open(actor, ctx));
        }
        Ok(())
    }
}

/// The connection waits for nothing.
const NEVER: u32 = u32::MAX;

/// One connection.
pub(super) struct Conn<C: Codec, A: Handler<C::Item>> {
    common: Arc<StacklessActors<C, A>>,
    addr: Addr<A>,
    peer: PeerAddr,
    outbox: Outbox,
    /// Until it is closed. Whoever uses the socket has it for reading: those who read and write do not
    /// disturb each other.
    socket: RwLock<Option<Source>>,
    /// Its place among the connections of the server: whoever takes the socket out gives it up.
    place: u32,
    /// Between two turns; gone when no more is read.
    input: Mutex<Option<Input<C>>>,
    /// The actor has been told that there is something to read.
    told: AtomicBool,
    /// The actor has ended.
    over: AtomicBool,
    /// Where the peer is not waited for endlessly.
    waits: Option<Box<Waits>>,
}

/// How long a peer has been waited for.
struct Waits {
    /// Since when it has been waited for to send something, and to read.
    reads_since: AtomicU32,
    writes_since: AtomicU32,
    /// What looks at that. Cancelled at the end, which others might reach often while this one waits.
    timer: Mutex<Option<Timer>>,
}

impl<C: Codec, A: Handler<C::Item>> Conn<C, A> {
    fn new(
        common: Arc<StacklessActors<C, A>>,
        addr: Addr<A>,
        peer: SocketAddr,
        Admitted { source, place, .. }: Admitted,
    ) -> Self {
        let input = Input::new(common.codec.clone());
        let waits = common.settings().idle_timeout.map(|_| {
            Box::new(Waits {
                reads_since: AtomicU32::new(NEVER),
                writes_since: AtomicU32::new(NEVER),
                timer: Mutex::default(),
            })
        });
        Conn {
            common,
            addr,
            peer: peer.into(),
            outbox: Outbox::new(false),
            socket: RwLock::new(Some(source)),
            place: place.into_number(),
            input: Mutex::new(Some(input)),
            told: AtomicBool::new(false),
            over: AtomicBool::new(false),
            waits,
        }
    }

    /// Makes it known to the server.
    fn enter(self: &Arc<Self>) {
        let told = match &*self.socket.read() {
            Some(_) => {
                let actor = AnyActor::new(&self.addr);
                self.common.admission.connections.occupy(self.place, actor)
            }
            // It has ended already.
            None => return,
        };
        // Not under the lock: it may have to close.
        told.tell();
    }

    /// The first thing that the actor does: from now on the connection is told what its socket is ready for.
    fn open(self: Arc<Self>, _: &mut A, _: &mut Context<A>) {
        if let Err(error) = self.watch() {
            return self.fail(ConnectionError::Read(error));
        }
        self.wait_to_read();
        if let Some(limit) = self.common.settings().idle_timeout {
            self.look_after(limit);
        }
        // What has been sent before this may have been too much.
        self.look();
    }

    fn watch(self: &Arc<Self>) -> io::Result<()> {
        match &*self.socket.read() {
            Some(source) if source.home().is_none() => source.watch(self.clone()),
            _ => Ok(()),
        }
    }

    /// Sees what is to be done.
    fn look(self: &Arc<Self>) {
        let (readable, home) = match &*self.socket.read() {
            Some(source) => {
                source.rearm();
                (source.is_ready(Direction::Read), source.home())
            }
            None => return,
        };
        if readable {
            self.have_read();
        }
        if self.outbox.unblock() {
            self.stir_at(home);
        }
    }

    /// Has the actor read.
    fn have_read(self: &Arc<Self>) {
        if !self.told.swap(true, Ordering::SeqCst) {
            let conn = self.clone();
            act(&self.addr, move |actor, ctx| conn.read(actor, ctx));
        }
    }

    fn stir_at(self: &Arc<Self>, home: Option<usize>) {
        let conn = self.clone();
        soon(home, move || conn.write());
    }

    // Reading ----------------------------------------------------------------------------------

    /// The actor's turn to read, and to handle what it reads.
    fn read(self: Arc<Self>, actor: &mut A, ctx: &mut Context<A>) {
        // While it has been told nobody is waited for: so this comes before that is taken back.
        if let Some(waits) = &self.waits {
            waits.reads_since.store(NEVER, Ordering::SeqCst);
        }
        // Before the look at the socket: of what becomes ready after that it is told anew.
        self.told.store(false, Ordering::SeqCst);
        let Some(mut input) = self.input.lock().take() else {
            return;
        };
        // If this does not come back, the actor has ended, and nobody needs the input.
        let turn = input.turn(actor, ctx, |buffer| self.receive(buffer));
        match turn {
            Ok(Turn::Wait) => {
                *self.input.lock() = Some(input);
                self.wait_to_read();
            }
            Ok(Turn::Again) => {
                *self.input.lock() = Some(input);
                self.have_read();
            }
            // It is being stopped.
            Ok(Turn::Over) => {}
            Ok(Turn::End) => stop_for(&self.addr, &ExitReason::Stopped),
            Err(error) => self.fail(error),
        }
    }

    fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match &*self.socket.read() {
            Some(source) => input::receive(source, buffer),
            None => Ok(0),
        }
    }

    /// Notes an error, and has the actor stop.
    fn fail(&self, error: ConnectionError) {
        self.outbox.fail(error);
        stop_for(&self.addr, &ExitReason::Stopped);
    }

    // Writing ----------------------------------------------------------------------------------

    /// Writes what there is to be written, as far as the system takes it. There is one that does at a time:
    /// see [`Outbox`].
    fn write(self: &Arc<Self>) {
        loop {
            match self.outbox.next() {
                Next::Write(chunk) => match self.write_chunk(chunk) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        self.outbox.fail(ConnectionError::Write(error));
                        // Nobody else writes.
                        let _ = self.outbox.shut();
                        stop_for(&self.addr, &ExitReason::Stopped);
                    }
                },
                Next::Wait => return self.outbox.trim(),
                Next::End => {
                    self.outbox.trim();
                    // Asked after the outbox has been left: see `over`.
                    if self.over.load(Ordering::SeqCst) {
                        self.close();
                    }
                    return;
                }
            }
        }
    }

    /// Writes a chunk; `false` if there is no room, and somebody else will go on with it.
    fn write_chunk(self: &Arc<Self>, mut chunk: Chunk) -> io::Result<bool> {
        while !chunk.rest().is_empty() {
            let written = match &*self.socket.read() {
                Some(source) => {
                    let rest = chunk.rest();
                    source.try_io_stream(Direction::Write, rest.len(), |fd| send(fd, rest))
                }
                // Closed meanwhile; and what is in the outbox has been thrown away.
                None => return Ok(true),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.outbox.written(&mut chunk, count);
                    if let Some(waits) = &self.waits {
                        waits.writes_since.store(NEVER, Ordering::Relaxed);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_to_write();
                    return Ok(!self.outbox.block(chunk));
                }
                Err(error) => return Err(error),
            }
        }
        self.outbox.done(chunk);
        Ok(true)
    }

    // Time-outs --------------------------------------------------------------------------------

    fn wait_to_read(&self) {
        if let Some(waits) = &self.waits {
            let now = self.common.admission.now();
            waits.reads_since.store(now, Ordering::SeqCst);
        }
    }

    fn wait_to_write(&self) {
        if let Some(waits) = &self.waits
            && waits.writes_since.load(Ordering::Relaxed) == NEVER
        {
            let now = self.common.admission.now();
            waits.writes_since.store(now, Ordering::Relaxed);
        }
    }

    /// Looks after `wait` whether the peer has been waited for too long. There is one timer for a
    /// connection, which is set anew only when it has gone off: nothing is done for it in between.
    fn look_after(self: &Arc<Self>, wait: Duration) {
        let Some(waits) = &self.waits else { return };
        let conn = Arc::downgrade(self);
        let timer = after(wait, move || Conn::look_at_time(&conn));
        let mut place = waits.timer.lock();
        // Asked under the lock: whoever ends it comes for the timer after this, or has been there.
        if self.over.load(Ordering::SeqCst) {
            drop(place);
            timer.cancel();
        } else {
            *place = Some(timer);
        }
    }

    /// Does not look any more.
    fn cancel_look(&self) {
        let timer = self
            .waits
            .as_ref()
            .and_then(|waits| waits.timer.lock().take());
        if let Some(timer) = timer {
            timer.cancel();
        }
    }

    fn look_at_time(conn: &Weak<Self>) {
        let Some(conn) = conn.upgrade() else { return };
        let (Some(limit), Some(waits)) = (conn.common.settings().idle_timeout, &conn.waits) else {
            return;
        };
        if conn.over.load(Ordering::SeqCst) {
            return;
        }
        let reads_since = match conn.told.load(Ordering::SeqCst) {
            // The peer has sent something, and waits for the actor, which may be busy.
            true => NEVER,
            false => waits.reads_since.load(Ordering::SeqCst),
        };
        let writes_since = waits.writes_since.load(Ordering::Relaxed);
        // Looked at last, so that neither is later.
        let now = conn.common.admission.now();
        let waited = |since| match since {
            NEVER => Duration::ZERO,
            since => Duration::from_millis(now.wrapping_sub(since).into()),
        };
        let (reads, writes) = (waited(reads_since), waited(writes_since));
        let error = || io::Error::from(TimedOut);
        if writes >= limit {
            conn.outbox.fail(ConnectionError::Write(error()));
            if conn.outbox.shut() {
                conn.write();
            }
            stop_for(&conn.addr, &ExitReason::Stopped);
        } else if reads >= limit {
            conn.fail(ConnectionError::Read(error()));
        } else {
            let left = limit - reads.max(writes);
            conn.look_after(left.max(Duration::from_millis(1)));
        }
    }

    // The end ----------------------------------------------------------------------------------

    /// The actor has ended.
    fn over(self: Arc<Self>, reason: &ExitReason) {
        self.input.lock().take();
        self.over.store(true, Ordering::SeqCst);
        self.cancel_look();
        if reason.is_abnormal() {
            // The actor's own log line does not have the address.
            let server = &self.common.admission.name;
            tracing::error!(server, peer = %self.peer.get(), %reason, "the actor of a connection has ended");
        }
        if matches!(reason, ExitReason::Killed | ExitReason::Panicked(_)) {
            return self.drop_socket();
        }
        // It may have ended before the first thing that it was to do.
        if let Err(error) = self.watch() {
            self.outbox.fail(ConnectionError::Write(error));
            self.note();
            return self.drop_socket();
        }
        self.look();
        // If somebody writes, or is to when there is room, the outbox was not left before `over` was set;
        // whoever leaves it afterwards sees that.
        if self.outbox.finish() {
            self.write();
        }
        let told = match &*self.socket.read() {
            Some(_) => self
                .common
                .admission
                .connections
                .linger(self.place, self.clone()),
            None => return,
        };
        // Not under the lock: it may have to close.
        told.tell();
        let conn = Arc::downgrade(&self);
        after(self.common.settings().linger, move || {
            if let Some(conn) = conn.upgrade() {
                conn.give_up();
            }
        });
    }

    /// The time to write what is left is over.
    fn give_up(&self) {
        if self.socket.read().is_none() {
            return;
        }
        let bytes = self.outbox.waiting();
        self.outbox.fail(ConnectionError::Unsent { bytes });
        self.note();
        self.drop_socket();
    }

    /// All has been written, or cannot be.
    fn close(&self) {
        let Some(source) = self.socket.write().take() else {
            return;
        };
        self.note();
        let manner = Manner {
            output: Vec::new(),
            linger: Duration::ZERO,
            hurry: self.common.admission.connections.are_stopping(),
            sending: false,
        };
        closing::close(source, manner, self.common.place(self.place));
    }

    fn drop_socket(&self) {
        let _ = self.outbox.shut();
        self.outbox.trim();
        // Not under the lock.
        let socket = self.socket.write().take();
        if let Some(source) = socket {
            drop(source);
            drop(self.common.place(self.place));
        }
    }

    /// Logs how it has ended.
    fn note(&self) {
        let (server, peer) = (&self.common.admission.name, self.peer.get());
        match self.outbox.error() {
            None => tracing::debug!(server, %peer, "connection closed"),
            Some(error) => self.common.settings().note(server, peer, &error),
        }
    }
}

/// What the actor has of its connection.
struct Owner<C: Codec, A: Handler<C::Item>>(Arc<Conn<C, A>>);

impl<C: Codec, A: Handler<C::Item>> Attendant<A> for Owner<C, A> {
    fn make(&self) -> A {
        (self.0.common.make)(Connection::new(self.0.clone()))
    }

    fn over(self, reason: &ExitReason) {
        self.0.over(reason);
    }
}

impl<C: Codec, A: Handler<C::Item>> Watch for Conn<C, A> {
    fn ready(self: Arc<Self>) {
        self.look();
    }
}

impl<C: Codec, A: Handler<C::Item>> Line<C> for Conn<C, A> {
    fn codec(&self) -> &C {
        &self.common.codec
    }

    fn limits(&self) -> Limits {
        self.common.settings().outbox
    }

    fn peer(&self) -> SocketAddr {
        self.peer.get()
    }

    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn stir(self: Arc<Self>) {
        let home = match &*self.socket.read() {
            Some(source) => source.home(),
            None => return,
        };
        self.stir_at(home);
    }

    fn end(&self) {
        stop_for(&self.addr, &ExitReason::Stopped);
    }
}

impl<C: Codec, A: Handler<C::Item>> Lingering for Conn<C, A> {
    fn kill(&self) {
        self.drop_socket();
    }
}

#[cfg(test)]
mod tests {
    use actor_core::Actor;

    use super::*;
    use crate::LineCodec;
    use crate::codec::Line;

    struct Idle;

    impl Actor for Idle {}

    impl Handler<Line> for Idle {
        fn handle(&mut self, _: Line, _: &mut Context<Self>) {}
    }

    /// With the counts in front of it that an `Arc` has, it fits into one of the allocator's smaller sizes.
    #[test]
    fn a_connection_is_small() {
        let counts = 2 * size_of::<usize>();
        let size = size_of::<Conn<LineCodec, Idle>>() + counts;
        assert!(size <= 152, "{size} bytes");
    }
}
