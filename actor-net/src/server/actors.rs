//! The life of a connection that an actor serves.
//!
//! Three take part: the actor; the connection's tasklet, which reads and hands the actor what it has
//! decoded; and a child of that tasklet, which writes what has been sent. Reading and writing each keep a
//! stack, since both can be in the middle of something when their socket makes them wait.
//!
//! Whatever ends the connection comes to the reader as a request to stop, or is found by it: the end of
//! the actor, the failure of the writer or of a sender, a close, the server's stop, the end of the input.
//! So there is one order in which all is wound up, at the end of [`Actors::serve`].

use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use actor_core::__private::{stop_for, when_over};
use actor_core::{Actor, Addr, ExitReason, Handler, JoinHandle, SendError, SpawnError, Tasklet};
use actor_io::{BufferedReader, Split, TcpStream};

use super::Server;
use super::builder::Settings;
use crate::codec::Codec;
use crate::connection::{Connection, ConnectionError, Shared};
use crate::window::Window;

/// What the actor connections of a server have in common.
pub(super) struct Actors<C, F> {
    codec: C,
    make: F,
    server: String,
    settings: Settings,
}

impl<C, F, A> Actors<C, F>
where
    C: Codec,
    F: Fn(Connection<C>) -> A + Send + Sync + 'static,
    A: Handler<C::Item>,
{
    /// What serves the connections of `server`, whose mailbox is the actors' from now on.
    pub(super) fn of(server: &mut Server, codec: C, make: F) -> Self {
        let settings = server.settings.clone();
        server.settings.mailbox = None;
        Actors {
            codec,
            make,
            server: settings.name_at(server.local_addr),
            settings,
        }
    }

    /// Serves one connection. Whether it has come to a good end.
    pub(super) fn serve<S>(&self, stream: S, peer: SocketAddr) -> Result<bool, SpawnError>
    where
        S: Split<Reader: ReadOrStop, Writer: Send + 'static>,
    {
        let limits = self.settings.outbox;
        let shared = Arc::new(Shared::new(self.codec.clone(), peer, limits));
        let (stream, writer) = stream.split();
        let writer = self.spawn_writer(&shared, writer)?;
        let actor = (self.make)(Connection::new(shared.clone()));
        let mut builder = Addr::builder().name(format!("connection {peer}"));
        if let Some(mailbox) = self.settings.mailbox {
            builder = builder.mailbox(mailbox);
        }
        let addr = builder.spawn(actor)?;
        let lifeline = Lifeline(&addr);
        let reader = Tasklet::current().downgrade();
        when_over(&addr, move || {
            if let Some(reader) = reader.upgrade() {
                reader.stop();
            }
        });

        let input = Input {
            codec: self.codec.clone(),
            reader: BufferedReader::new(UntilStopped(stream)),
            addr: &addr,
            window: self.settings.mailbox.is_none().then(Window::default),
        };
        let reason = match input.read_all() {
            // Asked to stop, and not by what belongs to the connection.
            Ok(Over::Asked) if shared.outbox.is_open() => ExitReason::Shutdown,
            Ok(_) => ExitReason::Stopped,
            Err(error) => {
                shared.outbox.fail(error);
                ExitReason::Stopped
            }
        };
        stop_for(&addr, &reason);
        let reason = addr.join();
        drop(lifeline);
        self.end_writing(&shared, &writer, &reason);
        self.note(&shared, &reason);
        let bad = matches!(reason, ExitReason::Killed | ExitReason::Panicked(_));
        Ok(!bad && shared.outbox.error().is_none())
    }

    fn spawn_writer(
        &self,
        shared: &Arc<Shared<C>>,
        stream: impl Write + Send + 'static,
    ) -> Result<JoinHandle<()>, SpawnError> {
        let mut builder = Tasklet::builder().name(format!("writer {}", shared.peer));
        if let Some(bytes) = self.settings.stack_size {
            builder = builder.stack_size(bytes);
        }
        let shared = shared.clone();
        builder.spawn(move || shared.write_to(stream))
    }

    /// Has the writer write what is left, unless the actor has come to a bad end, for as long as it may.
    fn end_writing(&self, shared: &Shared<C>, writer: &JoinHandle<()>, reason: &ExitReason) {
        if matches!(reason, ExitReason::Killed | ExitReason::Panicked(_)) {
            shared.shut();
        } else {
            shared.finish();
            if writer.wait_timeout(self.settings.linger).is_ok() {
                return;
            }
            let bytes = shared.outbox.waiting();
            shared.outbox.fail(ConnectionError::Unsent { bytes });
        }
        // It may be stuck in the middle of a write.
        writer.kill();
    }

    /// Logs how it has ended. If the actor has come to a bad end, its own log line, under the peer's
    /// address, says so.
    fn note(&self, shared: &Shared<C>, reason: &ExitReason) {
        let (server, peer) = (&self.server, shared.peer);
        match shared.outbox.error() {
            None => tracing::debug!(server, %peer, %reason, "connection closed"),
            Some(error) => self.settings.note(server, peer, &error),
        }
    }
}

impl Settings {
    /// Logs what a connection was lost by that an actor served.
    pub(super) fn note(&self, server: &str, peer: SocketAddr, error: &ConnectionError) {
        let everyday = match error {
            ConnectionError::Unsent { .. } => true,
            error => error
                .io()
                .is_some_and(|error| self.is_everyday(error.kind())),
        };
        if everyday {
            tracing::debug!(server, %peer, %error, "connection lost");
        } else {
            tracing::warn!(server, %peer, %error, "connection failed");
        }
    }
}

/// Kills an actor if whoever reads for it comes to a bad end.
struct Lifeline<'a, A: Actor>(&'a Addr<A>);

impl<A: Actor> Drop for Lifeline<'_, A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.kill();
        }
    }
}

/// How reading has ended.
enum Over {
    /// The peer has sent all.
    Finished,
    /// The actor takes no more.
    Ended,
    /// The reader was asked to stop.
    Asked,
}

/// From the socket to the actor.
struct Input<'a, C: Codec, A: Handler<C::Item>, R> {
    codec: C,
    reader: BufferedReader<UntilStopped<R>>,
    addr: &'a Addr<A>,
    /// If its mailbox has no bound of its own.
    window: Option<Window>,
}

impl<C: Codec, A: Handler<C::Item>, R: ReadOrStop> Input<'_, C, A, R> {
    /// Reads, decodes and hands on until one of these ends.
    fn read_all(mut self) -> Result<Over, ConnectionError> {
        loop {
            if Tasklet::is_stopping() {
                return Ok(Over::Asked);
            }
            let before = self.reader.buffer();
            let mut rest = before;
            let item = self.codec.decode(&mut rest);
            let taken = before.len() - rest.len();
            self.reader.consume(taken);
            if let Some(item) = item.map_err(ConnectionError::Decode)? {
                if !self.hand_on(item, taken)? {
                    return Ok(Over::Ended);
                }
                continue;
            }
            if self.reader.read_more().map_err(ConnectionError::Read)? == 0 {
                if Tasklet::is_stopping() {
                    return Ok(Over::Asked);
                }
                let last = self.codec.finish(self.reader.buffer());
                if let Some(item) = last.map_err(ConnectionError::Decode)? {
                    self.hand_on(item, 0)?;
                }
                return Ok(Over::Finished);
            }
        }
    }

    /// Sends the actor an item that was made of `bytes`; `false` if it takes no more.
    fn hand_on(&mut self, item: C::Item, bytes: usize) -> Result<bool, ConnectionError> {
        let window = self.window.as_mut();
        if window.is_some_and(|window| window.ends_with(bytes)) {
            return Ok(self.addr.call(item).is_ok());
        }
        match self.addr.send(item) {
            Ok(()) => Ok(true),
            Err(SendError::Full(_)) => Err(ConnectionError::Mailbox),
            Err(_) => Ok(false),
        }
    }
}

/// A stream that seems to end when its reader is asked to stop.
struct UntilStopped<R>(R);

impl<R: ReadOrStop> Read for UntilStopped<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.0.read_or_stop(buf)?.unwrap_or(0))
    }
}

/// What can be read until its reader is asked to stop; `None` then.
pub(super) trait ReadOrStop: Read {
    fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>>;
}

impl ReadOrStop for TcpStream {
    fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        TcpStream::read_or_stop(self, buf)
    }
}

#[cfg(feature = "tls")]
impl ReadOrStop for crate::tls::TlsReader {
    fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        crate::tls::TlsReader::read_or_stop(self, buf)
    }
}
