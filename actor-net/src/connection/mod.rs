//! [`Connection`]: an actor's end of a connection.

mod error;
pub(crate) mod outbox;

use std::cell::Cell;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use actor_core::sync::Event;
use actor_core::{Tasklet, WeakTasklet};

pub use error::ConnectionError;
use outbox::{Limits, Next, Outbox, Pushed};

use crate::codec::Codec;

/// How large a buffer may be that is kept for encoding.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// What messages are encoded into. Taken out meanwhile: an encoder may wait, and another run.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Where an actor sends what its peer is to get: see
/// [`Server::serve_actors`](crate::Server::serve_actors).
///
/// Clones are of the same connection, and anybody may have one. It does not keep the connection open.
pub struct Connection<C: Codec> {
    line: Arc<dyn Line<C>>,
}

/// What is behind the handles of a connection.
pub(crate) trait Line<C>: Send + Sync {
    fn codec(&self) -> &C;

    fn limits(&self) -> Limits;

    fn peer(&self) -> SocketAddr;

    fn outbox(&self) -> &Outbox;

    /// Stirs the writer.
    fn stir(self: Arc<Self>);

    /// Has the connection brought to its end.
    fn end(&self);
}

/// What the handles of a connection, its reader and its writer share, where these have a tasklet each.
pub(crate) struct Shared<C> {
    codec: C,
    limits: Limits,
    pub(crate) peer: SocketAddr,
    pub(crate) outbox: Outbox,
    /// Set when the writer, if it waits, has something to do.
    stirred: Event,
    /// Reads, and looks after the connection's end when it is asked to stop.
    reader: WeakTasklet,
}

impl<C: Codec> Connection<C> {
    pub(crate) fn new(line: Arc<dyn Line<C>>) -> Self {
        Connection { line }
    }

    /// Sends `out` to the peer.
    ///
    /// Never waits. It is encoded at once and written by a tasklet of the connection's, together with
    /// what else has been sent meanwhile. What the peer has not taken yet is bounded, by
    /// [`ServerBuilder::outbox`](crate::ServerBuilder::outbox): one that does not read what it is sent
    /// loses the connection, which is logged. There is nothing that a sender could do about it, hence no
    /// error. Nor is there one when the connection has ended, of which its actor hears in another way: it
    /// is asked to stop.
    ///
    /// ```no_run
    /// use actor_net::{Connection, LineCodec};
    ///
    /// fn greet(connection: &Connection<LineCodec>, name: &str) {
    ///     connection.send("good morning");
    ///     connection.send(format!("how are you, {name}?"));
    /// }
    /// ```
    pub fn send(&self, out: impl Into<C::Out>) {
        let (outbox, limits) = (self.line.outbox(), self.line.limits());
        let mut bytes = SCRATCH.take();
        bytes.clear();
        match self.line.codec().encode(out.into(), &mut bytes) {
            Ok(()) => match outbox.push(&bytes, limits) {
                Pushed::Taken => {}
                Pushed::Stir => self.line.clone().stir(),
                Pushed::Full => {
                    let Limits { messages, bytes } = limits;
                    outbox.fail(ConnectionError::Outbox { messages, bytes });
                    if outbox.shut() {
                        self.line.clone().stir();
                    }
                    self.line.end();
                }
            },
            Err(error) => {
                outbox.fail(ConnectionError::Encode(error));
                self.close();
            }
        }
        if bytes.capacity() <= KEPT {
            SCRATCH.set(bytes);
        }
    }

    /// Closes the connection once all that has been sent is written, for which it has the time of
    /// [`ServerBuilder::linger`](crate::ServerBuilder::linger). What is sent after it is dropped. The
    /// actor is asked to stop.
    ///
    /// Does not wait. An actor need not call it: its connection is closed when it ends.
    ///
    /// ```no_run
    /// use actor_net::{Connection, LineCodec};
    ///
    /// fn dismiss(connection: &Connection<LineCodec>) {
    ///     connection.send("you have been dismissed");
    ///     connection.close();
    /// }
    /// ```
    pub fn close(&self) {
        if self.line.outbox().finish() {
            self.line.clone().stir();
        }
        self.line.end();
    }

    /// The address of the peer.
    ///
    /// ```no_run
    /// # use actor_net::{Connection, LineCodec};
    /// fn name(connection: &Connection<LineCodec>) -> String {
    ///     format!("guest from {}", connection.peer_addr())
    /// }
    /// ```
    pub fn peer_addr(&self) -> SocketAddr {
        self.line.peer()
    }

    /// Why the connection was lost or given up; `None` while it has not been, and if it has ended in the
    /// orderly way. For the hook [`stopped`](actor_core::Actor::stopped), and for the curious.
    ///
    /// ```no_run
    /// # use actor_net::{Connection, ConnectionError, LineCodec};
    /// fn farewell(connection: &Connection<LineCodec>) {
    ///     if let Some(ConnectionError::Decode(error)) = connection.error().as_deref() {
    ///         connection.send(format!("what? {error}"));
    ///     }
    /// }
    /// ```
    pub fn error(&self) -> Option<Arc<ConnectionError>> {
        self.line.outbox().error()
    }

    /// Whether it is still connected, as far as this end knows.
    ///
    /// ```no_run
    /// # use actor_net::{Connection, LineCodec};
    /// fn sweep(connections: &mut Vec<Connection<LineCodec>>) {
    ///     connections.retain(Connection::is_open);
    /// }
    /// ```
    pub fn is_open(&self) -> bool {
        self.line.outbox().is_open()
    }
}

impl<C: Codec> Clone for Connection<C> {
    fn clone(&self) -> Self {
        Connection::new(self.line.clone())
    }
}

impl<C: Codec> fmt::Debug for Connection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.line.peer())
            .finish_non_exhaustive()
    }
}

impl<C: Send + Sync> Line<C> for Shared<C> {
    fn codec(&self) -> &C {
        &self.codec
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn stir(self: Arc<Self>) {
        self.stirred.set();
    }

    fn end(&self) {
        if let Some(reader) = self.reader.upgrade() {
            reader.stop();
        }
    }
}

impl<C: Send + Sync> Shared<C> {
    /// Of a connection that the current tasklet reads.
    pub(crate) fn new(codec: C, peer: SocketAddr, limits: Limits) -> Self {
        Shared {
            codec,
            limits,
            peer,
            outbox: Outbox::new(true),
            stirred: Event::new(),
            reader: Tasklet::current().downgrade(),
        }
    }

    /// Takes nothing more to be written.
    pub(crate) fn finish(&self) {
        if self.outbox.finish() {
            self.stirred.set();
        }
    }

    /// Has nothing more written.
    pub(crate) fn shut(&self) {
        if self.outbox.shut() {
            self.stirred.set();
        }
    }

    /// What the writer does.
    pub(crate) fn write_to(&self, mut stream: impl Write) {
        let _writing = Writing(self);
        loop {
            // Before it says that it waits, so that no stir comes before it and gets lost.
            self.stirred.clear();
            let mut chunk = match self.outbox.next() {
                Next::Write(chunk) => chunk,
                Next::Wait => {
                    self.stirred.wait();
                    continue;
                }
                Next::End => return,
            };
            while !chunk.rest().is_empty() {
                let written = match stream.write(chunk.rest()) {
                    Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                    written => written,
                };
                match written {
                    Ok(count) => self.outbox.written(&mut chunk, count),
                    Err(error) => {
                        self.outbox.fail(ConnectionError::Write(error));
                        return;
                    }
                }
            }
            // A stream that has taken all may not have sent it yet.
            if let Err(error) = stream.flush() {
                self.outbox.fail(ConnectionError::Write(error));
                return;
            }
            self.outbox.done(chunk);
        }
    }
}

/// Once nobody writes any more the connection is over, however that has come.
struct Writing<'a, C: Send + Sync>(&'a Shared<C>);

impl<C: Send + Sync> Drop for Writing<'_, C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.outbox.fail(ConnectionError::Writer);
        }
        // There is no writer to be stirred.
        let _ = self.0.outbox.shut();
        self.0.end();
    }
}
