//! The life of one connection.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use actor_core::{BoxError, Outcome, Placement, SpawnError, Tasklet, time};
use actor_io::{Family, Internet, Stream};

use super::accept::Service;
use super::builder::Settings;
use super::connections::{Connections, Place};
use crate::closing::{DRAIN_BYTES, DRAIN_TIME};

/// What the connections of a server have in common, where each has a tasklet.
pub(super) struct Tasklets<H, F = Internet> {
    handler: H,
    name: String,
    settings: Settings,
    connections: Arc<Connections>,
    family: PhantomData<F>,
}

/// Why a connection was turned away.
#[derive(Debug)]
pub(crate) enum Refusal {
    TooMany {
        limit: usize,
    },
    Spawn(SpawnError),
    /// The system has refused something.
    System(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TooMany { limit } => write!(
                f,
                "the limit of {limit} connections is reached (`max_connections` sets it)"
            ),
            Refusal::Spawn(error) => write!(f, "{error}"),
            Refusal::System(error) => write!(f, "{error}"),
        }
    }
}

impl<H, F> Tasklets<H, F> {
    pub(super) fn new(
        handler: H,
        name: String,
        settings: Settings,
        connections: Arc<Connections>,
    ) -> Self {
        Tasklets {
            handler,
            name,
            settings,
            connections,
            family: PhantomData,
        }
    }
}

impl<H, F, R> Service<F> for Tasklets<H, F>
where
    F: Family,
    H: Fn(Stream<F>) -> R + Send + Sync + 'static,
    R: Outcome + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Gives the connection a tasklet of its own, or closes it.
    fn admit(self: &Arc<Self>, stream: Stream<F>, peer: F::Addr) -> Result<(), Refusal> {
        let limit = self.settings.max_connections;
        let Some(place) = self.connections.admit(limit) else {
            return Err(Refusal::TooMany {
                limit: limit.unwrap_or_default(),
            });
        };
        let mut builder = Tasklet::builder()
            .name(format!("connection {peer:?}"))
            .placement(Placement::LeastLoaded);
        if let Some(bytes) = self.settings.stack_size {
            builder = builder.stack_size(bytes);
        }
        if let Some(mailbox) = self.settings.mailbox {
            builder = builder.mailbox(mailbox);
        }
        let service = Arc::clone(self);
        builder
            .spawn(move || service.serve(place, stream, peer))
            .map(drop)
            .map_err(Refusal::Spawn)
    }
}

impl<H, F, R> Tasklets<H, F>
where
    F: Family,
    H: Fn(Stream<F>) -> R + Send + Sync + 'static,
    R: Outcome + 'static,
{
    /// What the connection's tasklet does.
    fn serve(&self, mut place: Place, stream: Stream<F>, peer: F::Addr) {
        place.occupy();
        if let Err(error) = self.prepare(&stream) {
            // The peer has gone already.
            tracing::debug!(server = self.name, ?peer, %error, "connection lost at once");
            return;
        }
        let Ok(connection) = stream.try_clone() else {
            return;
        };
        let offspring = Offspring;
        let result = (self.handler)(stream);
        if self.note(result, peer) {
            offspring.wind_down(self.settings.linger);
        }
        offspring.clear_away();
        close(connection, self.connections.are_stopping());
    }

    fn prepare(&self, stream: &Stream<F>) -> io::Result<()> {
        if let Some(limit) = self.settings.idle_timeout {
            stream.set_read_timeout(Some(limit))?;
            stream.set_write_timeout(Some(limit))?;
        }
        Ok(())
    }

    /// Logs how the handler has ended; whether it was well.
    fn note(&self, result: R, peer: F::Addr) -> bool {
        let everyday = io_error_kind(&result).is_some_and(|kind| self.settings.is_everyday(kind));
        let server = &self.name;
        match result.outcome() {
            Ok(()) => return true,
            Err(error) if everyday || Tasklet::is_stopping() => {
                tracing::debug!(server, ?peer, error, "connection lost");
            }
            Err(error) => tracing::warn!(server, ?peer, error, "connection failed"),
        }
        false
    }
}

impl Settings {
    /// Whether a failure of this kind is but a peer that has gone away.
    pub(crate) fn is_everyday(&self, kind: io::ErrorKind) -> bool {
        match kind {
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof => true,
            io::ErrorKind::TimedOut => self.idle_timeout.is_some(),
            _ => false,
        }
    }
}

/// The kind of the `io::Error` that a handler has returned, where its type can be seen.
fn io_error_kind<R: 'static>(result: &R) -> Option<io::ErrorKind> {
    let result: &dyn Any = result;
    if let Some(result) = result.downcast_ref::<io::Result<()>>() {
        return result.as_ref().err().map(io::Error::kind);
    }
    let result = result.downcast_ref::<Result<(), BoxError>>()?;
    let error: &(dyn Error + 'static) = &**result.as_ref().err()?;
    error.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// The error with which a handler has ended, as it is where its type can be seen, so that the server can tell
/// what kind it is; else its text.
#[cfg(any(feature = "http", feature = "tls"))]
pub(crate) fn failure<R: Outcome + 'static>(result: R) -> Result<(), BoxError> {
    let mut result = Some(result);
    let any: &mut dyn Any = &mut result;
    if let Some(Some(result)) = any
        .downcast_mut::<Option<io::Result<()>>>()
        .map(Option::take)
    {
        return result.map_err(Into::into);
    }
    if let Some(Some(result)) = any
        .downcast_mut::<Option<Result<(), BoxError>>>()
        .map(Option::take)
    {
        return result;
    }
    match result {
        Some(result) => result.outcome().map_err(Into::into),
        None => Ok(()),
    }
}

/// The tasklets that a handler has spawned. They are killed when this is dropped: when the handler
/// fails, panics or is killed.
pub(super) struct Offspring;

impl Offspring {
    /// Asks them to stop, and waits until they have ended, but no longer than `linger`.
    pub(super) fn wind_down(&self, linger: Duration) {
        let connection = Tasklet::current();
        let deadline = time::now().checked_add(linger);
        loop {
            // Anew each time: the children of one that has ended have become ours.
            let children = connection.children();
            children.iter().for_each(Tasklet::stop);
            let Some(first) = children.first() else {
                return;
            };
            let left = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(time::now())
            });
            if first.wait_timeout(left).is_err() {
                return;
            }
        }
    }

    /// Kills them, and waits until they have ended: if the last of them closed the connection, it would
    /// not be closed in the orderly way. Not for long, since one that computes hears of no kill.
    fn clear_away(self) {
        let connection = Tasklet::current();
        let deadline = time::now() + DRAIN_TIME;
        connection.kill_descendants();
        while let Some(child) = connection.children().first() {
            let left = deadline.saturating_duration_since(time::now());
            if child.wait_timeout(left).is_err() {
                return;
            }
        }
    }
}

impl Drop for Offspring {
    fn drop(&mut self) {
        if let Some(connection) = Tasklet::try_current() {
            connection.kill_descendants();
        }
    }
}

/// Closes a connection so that what was sent arrives.
///
/// To close a socket with unread input resets the connection, and the peer may lose what it has not
/// read yet. So the sending side ends first, and what has come in is read and thrown away. Only a
/// peer that was still sending is waited for, briefly, and not even that one in a hurry.
fn close<F: Family>(mut connection: Stream<F>, hurry: bool) {
    if connection.is_shared() || connection.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut waste = [0; 2048];
    let mut drained = 0;
    while drained < DRAIN_BYTES {
        // Straight at the socket, which does not block.
        match (&*connection.socket_ref()).read(&mut waste) {
            Ok(0) => return,
            Ok(count) => drained += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) => return,
        }
    }
    if drained == 0 || hurry {
        return;
    }
    let deadline = time::now() + DRAIN_TIME;
    while drained < DRAIN_BYTES {
        let left = deadline.saturating_duration_since(time::now());
        if left.is_zero() || connection.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match connection.read(&mut waste) {
            Ok(0) | Err(_) => return,
            Ok(count) => drained += count,
        }
    }
}
