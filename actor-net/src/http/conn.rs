//! A connection: what it costs while it is idle, and how it ends.
//!
//! It is no actor, and holds neither a stack nor a timer. The reactor tells it that there is something to read,
//! and it has its [shard](super::shard), which is what a server has on a worker, see to that: one of the shard's
//! [clerks](super::clerk) gives it a [turn](super::turn). In between it is an entry in the shard, which also looks
//! how long it has been idle.
//!
//! Whoever takes it out of the shard ends it, once. The socket is closed in the orderly way then, also without a
//! stack.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

#[cfg(feature = "tls")]
use actor_core::__private::after;
use actor_core::__private::workers;
use actor_core::reactor::{Direction, Source, Watch};
use actor_io::TcpStream;
use http::{Request, Response, StatusCode};
use rustix::net::RecvFlags;

use super::body::Body;
use super::incoming::Input;
use super::limits::Limits;
use super::peer::Peer;
use super::raw::Shortcut;
use super::response::IntoResponse;
#[cfg(feature = "tls")]
use super::secure::Secure;
use super::shard::Shard;
use super::stream::{Parts, Stream};
use super::wire::Output;
use crate::closing::{self, Manner, Socket};
use crate::server::accept::Service;
use crate::server::admission::Admission;
use crate::server::builder::Settings;
use crate::server::connection::Refusal;
use crate::server::connections::{Connections, Place};
use crate::server::peer::PeerAddr;
#[cfg(feature = "tls")]
use crate::server::tls::log_refusal;
#[cfg(feature = "tls")]
use crate::tls::{ServerTls, TlsError};

/// What is called for a request.
pub(super) trait Handle: Send + Sync + 'static {
    fn handle(&self, request: Request<Body>) -> Response<Body>;
}

impl<H, R> Handle for H
where
    H: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, request: Request<Body>) -> Response<Body> {
        self(request).into_response()
    }
}

/// What all connections of a server have in common.
pub(super) struct Common {
    pub(super) handler: Box<dyn Handle>,
    pub(super) shortcut: Option<Shortcut>,
    pub(super) limits: Arc<Limits>,
    pub(super) admission: Admission,
}

/// Serves the connections of a server.
pub(super) struct Http {
    common: Arc<Common>,
    /// One for each worker, when it is first needed.
    shards: Box<[OnceLock<Arc<Shard>>]>,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl Http {
    pub(super) fn new(
        handler: impl Handle,
        shortcut: Option<Shortcut>,
        limits: Limits,
        name: String,
        settings: Settings,
        connections: Arc<Connections>,
    ) -> Self {
        Http {
            common: Arc::new(Common {
                handler: Box::new(handler),
                shortcut,
                limits: Arc::new(limits),
                admission: Admission::new(name, settings, connections),
            }),
            shards: (0..workers().max(1)).map(|_| OnceLock::new()).collect(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Has the connections be encrypted, if it is given what with.
    #[cfg(feature = "tls")]
    pub(super) fn with_tls(self, tls: Option<ServerTls>) -> Self {
        Http { tls, ..self }
    }

    fn stream(&self, source: Source) -> io::Result<Stream> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let secure = Secure::new(source, tls)?;
            return Ok(Stream::Tls(Box::new(secure)));
        }
        Ok(Stream::Plain(source))
    }
}

impl Service for Http {
    fn name(&self) -> &str {
        &self.common.admission.name
    }

    fn connections(&self) -> &Connections {
        &self.common.admission.connections
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Result<(), Refusal> {
        let Some(admitted) = self.common.admission.admit(stream, peer)? else {
            return Ok(());
        };
        let worker = admitted.worker % self.shards.len();
        let shard = self.shards[worker].get_or_init(|| Shard::new(self.common.clone(), worker));
        // Here, where it is known to which program they belong.
        shard.hire_first().map_err(Refusal::Spawn)?;
        let stream = self.stream(admitted.source).map_err(Refusal::System)?;
        shard.take_in(stream, peer.into(), admitted.place);
        Ok(())
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Conn {
    shard: Arc<Shard>,
    stream: Stream,
    peer: PeerAddr,
    /// Its entry in the shard.
    number: AtomicU32,
    /// How many requests it has brought. Counted by whoever has its turn.
    requests: AtomicU32,
}

/// What a connection keeps of an incomplete head.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) input: Input,
    /// By when it is to be complete.
    pub(super) until: u32,
}

impl Conn {
    pub(super) fn new(shard: Arc<Shard>, stream: Stream, peer: PeerAddr) -> Arc<Conn> {
        Arc::new(Conn {
            shard,
            stream,
            peer,
            number: AtomicU32::new(0),
            requests: AtomicU32::new(0),
        })
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(super) fn peer(&self) -> Peer {
        Peer::new(self.addr(), self.stream.is_encrypted())
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.peer.get()
    }

    /// Its entry, for the shard, under its lock.
    pub(super) fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    pub(super) fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// Whether it has brought a request.
    pub(super) fn has_begun(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Counts a request. In its turn.
    pub(super) fn count_request(&self) -> u32 {
        let count = self.requests.load(Ordering::Relaxed).saturating_add(1);
        self.requests.store(count, Ordering::Relaxed);
        count
    }

    /// Whether something has come that nobody has read.
    pub(super) fn has_input(&self) -> bool {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(
            rustix::net::recv(&self.stream, &mut byte, flags),
            Ok((1.., _))
        )
    }

    fn common(&self) -> &Common {
        self.shard.common()
    }

    fn place(&self) -> Place {
        Place::unnumbered(&self.common().admission.connections)
    }

    /// There is something to be done for it.
    pub(super) fn make_ready(self: Arc<Self>) {
        let shard = self.shard.clone();
        shard.make_ready(self);
    }

    /// Sees to it that its handshake comes to an end, if there is to be one.
    pub(super) fn limit_handshake(self: &Arc<Self>) {
        #[cfg(feature = "tls")]
        if let Stream::Tls(secure) = &self.stream {
            let conn = Arc::downgrade(self);
            let timer = after(secure.handshake_time(), move || {
                if let Some(conn) = conn.upgrade()
                    && !conn.stream.is_established()
                    && conn.shard.remove(&conn)
                {
                    conn.time_out(None);
                }
            });
            secure.set_timer(timer);
        }
    }

    #[cfg(feature = "tls")]
    pub(super) fn log_no_handshake(&self, error: &TlsError) {
        log_refusal(&self.common().admission.name, Some(self.addr()), error);
    }

    // The end, of one that is in its shard no more ---------------------------------------------

    /// Closes it in the orderly way, after these words; `sending` if the peer is known to be still. On a worker.
    pub(super) fn close(self: Arc<Self>, words: Vec<u8>, sending: bool) {
        let Admission {
            settings,
            connections,
            ..
        } = &self.common().admission;
        let manner = Manner {
            output: self.stream.end(words),
            linger: settings.linger,
            hurry: connections.are_stopping(),
            sending,
        };
        let place = self.place();
        closing::close(self, manner, place);
    }

    /// Closes it at once.
    pub(super) fn cut(self: Arc<Self>) {
        let place = self.place();
        self.hang_up();
        drop(place);
    }

    /// Nothing can be said any more.
    pub(super) fn lose(self: Arc<Self>, error: &io::Error) {
        let (server, peer) = (&self.common().admission.name, self.addr());
        tracing::debug!(server, %peer, %error, "connection lost");
        self.cut();
    }

    /// The peer has been waited for too long, with this in hand.
    pub(super) fn time_out(self: Arc<Self>, rest: Option<Box<Rest>>) {
        let mut output = Output::default();
        if rest.is_some() {
            output.refuse(StatusCode::REQUEST_TIMEOUT);
        }
        let (server, peer) = (&self.common().admission.name, self.addr());
        tracing::debug!(server, %peer, "the peer has taken too long");
        self.close(output.into_bytes(), false);
    }

    /// What it is made of, for somebody else; and its place in the server.
    pub(super) fn into_parts(self: Arc<Self>) -> (io::Result<Parts>, Place) {
        self.stream.source().unwatch();
        let place = self.place();
        let parts = match Arc::try_unwrap(self) {
            Ok(conn) => conn.stream.into_parts(),
            // A body that has been read to its end is just being dropped elsewhere.
            Err(shared) => shared.stream.copy_parts(),
        };
        (parts, place)
    }
}

impl Socket for Arc<Conn> {
    fn source(&self) -> &Source {
        self.stream.source()
    }

    fn hang_up(self) {
        self.stream.source().unwatch();
        self.stream.end_handshake();
        // Somebody still has the body of a request.
        if Arc::strong_count(&self) > 1 {
            // Whoever waits on it is woken by that. It fails only where there is no connection any more.
            let _ = rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Both);
        }
    }
}

impl Watch for Conn {
    fn ready(self: Arc<Self>) {
        let source = self.stream.source();
        if !source.is_ready(Direction::Read) {
            // There is room to send, for which few wait here. It is told of what comes after this.
            source.rearm();
            if !source.is_ready(Direction::Read) && !self.stream.waits_for_room() {
                return;
            }
        }
        self.make_ready();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the counts in front of it that an `Arc` has, it fits into one of the allocator's smaller sizes.
    #[test]
    fn a_connection_is_small() {
        let counts = 2 * size_of::<usize>();
        let size = size_of::<Conn>() + counts;
        assert!(size <= 72, "{size} bytes");
    }
}
