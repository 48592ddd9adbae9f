//! One connection.
//!
//! It holds no stack while it is idle, or while its next head is incomplete: the reactor tells it that there is
//! something to read, and it has its actor do so. The actor's turn, on the stack of a carrier, takes apart what
//! has come, calls the handler for each request and gathers the answers; a handler that waits keeps the
//! stack, and other connections are served on another. What is read into and gathered in belongs to the
//! thread, and to whoever has a turn there.
//!
//! The end is the actor's: whoever ends the connection leaves what is still to be sent and has the actor stop.
//! When it has ended, the socket is closed in the orderly way, without a stack.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use actor_core::__private::{AnyActor, Attendant, act, after, is_ending, spawn_attended, stop_for};
use actor_core::reactor::{Direction, Source, Watch};
use actor_core::{Actor, Addr, Context, ExitReason, Placement, time};
use actor_io::TcpStream;
use bytes::BytesMut;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use parking_lot::{Mutex, RwLock};

use super::body::{Body, Kind};
use super::encode::Asked;
use super::framing::Framing;
use super::incoming::{self, Incoming, Input, Outcome, Returns, Wait};
use super::limits::Limits;
use super::reader::Event;
use super::response::IntoResponse;
use super::wire::Output;
use crate::closing::{self, Closed, Manner};
use crate::server::accept::Service;
use crate::server::builder::Settings;
use crate::server::connection::Refusal;
use crate::server::connections::{Connections, Place};

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

/// What the connections of a server have in common.
pub(super) struct Common<H> {
    handler: H,
    limits: Arc<Limits>,
    name: String,
    settings: Settings,
    connections: Arc<Connections>,
    /// How many connections there have been: they go to the workers in turn.
    admitted: AtomicUsize,
    /// What connections count their times from.
    begun: Instant,
}

impl<H: Handle> Common<H> {
    pub(super) fn new(
        handler: H,
        limits: Limits,
        name: String,
        settings: Settings,
        connections: Arc<Connections>,
    ) -> Self {
        Common {
            handler,
            limits: Arc::new(limits),
            name,
            settings,
            connections,
            admitted: AtomicUsize::new(0),
            begun: time::now(),
        }
    }

    /// The time, in milliseconds. Goes round after seven weeks, which no limit reaches.
    fn now(&self) -> u32 {
        time::now().duration_since(self.begun).as_millis() as u32
    }

    fn prepare(stream: TcpStream) -> io::Result<Source> {
        stream.set_nodelay(true)?;
        Source::new(std::net::TcpStream::try_from(stream)?)
    }
}

impl<H: Handle> Service for Common<H> {
    fn name(&self) -> &str {
        &self.name
    }

    fn connections(&self) -> &Connections {
        &self.connections
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Result<(), Refusal> {
        let limit = self.settings.max_connections;
        let Some(place) = self.connections.admit(limit) else {
            return Err(Refusal::TooMany {
                limit: limit.unwrap_or_default(),
            });
        };
        let source = match Self::prepare(stream) {
            Ok(source) => Arc::new(source),
            Err(error) if self.settings.is_everyday(error.kind()) => {
                tracing::debug!(server = self.name, %peer, %error, "connection lost at once");
                return Ok(());
            }
            Err(error) => return Err(Refusal::System(error)),
        };
        let worker = self.admitted.fetch_add(1, Ordering::Relaxed);
        let builder = Addr::builder().placement(Placement::Worker(worker));
        let mut conn = None;
        let addr = spawn_attended(builder, |addr| {
            let new = Arc::new(Conn {
                common: self.clone(),
                addr: addr.clone(),
                peer,
                socket: RwLock::new(Some(source)),
                place: place.into_number(),
                input: Mutex::default(),
                told: AtomicBool::new(false),
                waits_until: AtomicU32::new(NEVER),
                requests: AtomicU32::new(0),
                last_words: Mutex::default(),
            });
            conn = Some(new.clone());
            Owner(new)
        })
        .map_err(Refusal::Spawn)?;
        if let Some(conn) = conn {
            conn.enter();
            act(&addr, move |_, ctx| conn.open(ctx));
        }
        Ok(())
    }
}

/// The connection waits for nothing.
const NEVER: u32 = u32::MAX;

/// How much is served in one turn.
const TURN_BYTES: usize = 64 * 1024;
const TURN_REQUESTS: usize = 64;

/// How large a shared buffer may be that is kept.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// What connections receive into and gather in. Taken out meanwhile: a handler may wait, and another run.
    static BUFFERS: Cell<(BytesMut, Vec<u8>, HeaderMap)> = Cell::default();
}

/// See the [module](self).
struct Conn<H: Handle> {
    common: Arc<Common<H>>,
    addr: Addr<Served<H>>,
    peer: SocketAddr,
    /// Until it is closed.
    socket: RwLock<Option<Arc<Source>>>,
    /// Its place among the connections of the server: whoever takes the socket out gives it up.
    place: u32,
    /// Between two turns. An idle connection has none.
    input: Mutex<Option<Box<Rest>>>,
    /// The actor has been told that there is something to read.
    told: AtomicBool,
    /// When the peer will have been waited for too long.
    waits_until: AtomicU32,
    requests: AtomicU32,
    /// What is still to be sent when it is closed, once it is to be.
    last_words: Mutex<Option<Vec<u8>>>,
}

/// What a connection keeps of an incomplete head.
#[derive(Default)]
struct Rest {
    input: Input,
    /// When its first byte came.
    since: Option<u32>,
}

/// The actor, whose turns are the connection's.
struct Served<H>(PhantomData<fn() -> H>);

impl<H: Handle> Actor for Served<H> {}

/// How a turn has ended.
enum End {
    /// Nothing more has come.
    Wait,
    /// There may be more, and others have waited long enough.
    Again,
    /// The connection is to be closed.
    Close,
}

impl<H: Handle> Conn<H> {
    /// Makes it known to the server.
    fn enter(&self) {
        let told = match &*self.socket.read() {
            Some(_) => {
                let actor = AnyActor::new(&self.addr);
                self.common.connections.occupy(self.place, actor)
            }
            // It has ended already.
            None => return,
        };
        told.tell();
    }

    /// The first thing that the actor does.
    fn open(self: Arc<Self>, ctx: &mut Context<Served<H>>) {
        let Some(source) = self.source() else { return };
        if let Err(error) = source.watch(self.clone()) {
            return self.lose(&error);
        }
        self.look_after(
            self.common
                .limits
                .head_time
                .min(self.common.limits.idle_time),
        );
        self.turn(ctx);
    }

    fn source(&self) -> Option<Arc<Source>> {
        self.socket.read().clone()
    }

    fn have_turn(self: Arc<Self>) {
        if !self.told.swap(true, Ordering::SeqCst) {
            let conn = self.clone();
            act(&self.addr, move |_, ctx| conn.turn(ctx));
        }
    }

    /// Reads, and serves what it reads.
    fn turn(self: Arc<Self>, ctx: &mut Context<Served<H>>) {
        // Before the look at the socket: of what becomes ready after that it is told anew.
        self.told.store(false, Ordering::SeqCst);
        self.waits_until.store(NEVER, Ordering::Relaxed);
        if self.last_words.lock().is_some() {
            return;
        }
        let Some(source) = self.source() else { return };
        let rest = self.input.lock().take();
        let mut rest = rest.map_or_else(Rest::default, |rest| *rest);
        let (mut bytes, output, spare) = BUFFERS.take();
        bytes.clear();
        bytes.extend_from_slice(&rest.input.bytes);
        rest.input.bytes = bytes;

        let mut work = Work {
            conn: &self,
            output: Output::new(output),
            spare,
            stage: Stage::Between,
        };
        let end = work.serve(&source, &mut rest.input, ctx);
        let (output, spare) = work.give_up();

        match end {
            Ok(End::Wait) => {
                self.keep(&mut rest, spare, output);
                self.wait(rest);
            }
            Ok(End::Again) => {
                self.keep(&mut rest, spare, output);
                *self.input.lock() = Some(Box::new(rest));
                self.have_turn();
            }
            Ok(End::Close) => self.close_with(output),
            Err(error) => self.lose(&error),
        }
    }

    /// Gives the buffers back; what is left in them is kept, as exactly as much as is needed.
    fn keep(&self, rest: &mut Rest, spare: HeaderMap, output: Vec<u8>) {
        let left = BytesMut::from(&rest.input.bytes[..]);
        let mut bytes = mem::replace(&mut rest.input.bytes, left);
        bytes.clear();
        if bytes.capacity() <= KEPT && output.capacity() <= KEPT {
            BUFFERS.set((bytes, output, spare));
        }
    }

    /// Waits for the peer, without a stack.
    fn wait(self: Arc<Self>, mut rest: Rest) {
        let (now, limits) = (self.common.now(), &self.common.limits);
        let until = |since: u32, limit: Duration| {
            let limit = u32::try_from(limit.as_millis()).unwrap_or(NEVER / 2);
            // `NEVER` is one of the times, which then is a millisecond later.
            match since.wrapping_add(limit.min(NEVER / 2)) {
                NEVER => 0,
                until => until,
            }
        };
        if rest.input.bytes.is_empty() {
            let limit = match self.requests.load(Ordering::Relaxed) {
                0 => limits.head_time,
                _ => limits.idle_time,
            };
            self.waits_until.store(until(now, limit), Ordering::Relaxed);
            return;
        }
        let since = *rest.since.get_or_insert(now);
        let until = until(since, limits.head_time);
        *self.input.lock() = Some(Box::new(rest));
        self.waits_until.store(until, Ordering::Relaxed);
        // Few heads come in pieces: this has a timer of its own.
        if since == now {
            let conn = Arc::downgrade(&self);
            after(limits.head_time, move || {
                if let Some(conn) = conn.upgrade() {
                    conn.look_at_time();
                }
            });
        }
    }

    /// Looks after `wait` whether the peer has been waited for too long. There is one such timer for a
    /// connection, which is set anew only when it has gone off: nothing is done for it in between.
    fn look_after(self: &Arc<Self>, wait: Duration) {
        let conn = Arc::downgrade(self);
        after(wait, move || Conn::look_again(&conn));
    }

    fn look_again(conn: &Weak<Self>) {
        let Some(conn) = conn.upgrade() else { return };
        if conn.socket.read().is_none() {
            return;
        }
        let left = match conn.look_at_time() {
            Some(left) => left,
            None => conn.common.limits.idle_time,
        };
        conn.look_after(left.max(Duration::from_millis(1)));
    }

    /// How long the peer may still be waited for, if it is; ends the connection if it is not.
    fn look_at_time(self: &Arc<Self>) -> Option<Duration> {
        let until = self.waits_until.load(Ordering::Relaxed);
        if until == NEVER {
            return None;
        }
        let left = until.wrapping_sub(self.common.now());
        if 0 < left && left <= NEVER / 2 {
            return Some(Duration::from_millis(left.into()));
        }
        let conn = self.clone();
        act(&self.addr, move |_, _| conn.time_out(until));
        None
    }

    /// In the actor's turn: nothing else is done for the connection at the moment.
    fn time_out(&self, until: u32) {
        // Something may have come meanwhile.
        if self.waits_until.load(Ordering::Relaxed) != until {
            return;
        }
        let mut output = Output::default();
        if self.input.lock().take().is_some() {
            output.refuse(StatusCode::REQUEST_TIMEOUT);
        }
        tracing::debug!(server = self.common.name, peer = %self.peer, "the peer has taken too long");
        self.close_with(output.into_bytes());
    }

    // The end ----------------------------------------------------------------------------------

    fn close_with(&self, words: Vec<u8>) {
        // What an actor that has been asked to stop finds in its mailbox it still does.
        self.last_words.lock().get_or_insert(words);
        stop_for(&self.addr, &ExitReason::Stopped);
    }

    /// Nothing can be said any more.
    fn lose(&self, error: &io::Error) {
        tracing::debug!(server = self.common.name, peer = %self.peer, %error, "connection lost");
        self.drop_socket();
        stop_for(&self.addr, &ExitReason::Stopped);
    }

    /// The actor has ended.
    fn over(&self, reason: &ExitReason) {
        self.input.lock().take();
        if let ExitReason::Panicked(_) = reason {
            // The actor's own log line does not have the address.
            let server = &self.common.name;
            tracing::error!(server, peer = %self.peer, %reason, "a handler has panicked");
        }
        if let ExitReason::Killed = reason {
            return self.drop_socket();
        }
        // Not under the lock.
        let socket = self.socket.write().take();
        let Some(source) = socket else { return };
        let leave = Leave(Place::from_number(&self.common.connections, self.place));
        match Arc::try_unwrap(source) {
            Ok(source) => {
                let manner = Manner {
                    output: self.last_words.lock().take().unwrap_or_default(),
                    linger: self.common.settings.linger,
                    hurry: self.common.connections.are_stopping(),
                };
                closing::close(source, manner, leave);
            }
            // Somebody still has the body of a request.
            Err(shared) => hang_up(&shared),
        }
    }

    fn drop_socket(&self) {
        let socket = self.socket.write().take();
        if let Some(source) = socket {
            hang_up(&source);
            drop(source);
            drop(Place::from_number(&self.common.connections, self.place));
        }
    }
}

/// Ends a connection whose descriptor may still be somebody's.
fn hang_up(source: &Arc<Source>) {
    source.unwatch();
    if Arc::strong_count(source) > 1 {
        // Whoever waits on it is woken by that. It fails only where there is no connection any more.
        let _ = rustix::net::shutdown(&**source, rustix::net::Shutdown::Both);
    }
}

impl<H: Handle> Watch for Conn<H> {
    fn ready(self: Arc<Self>) {
        let readable = match &*self.socket.read() {
            Some(source) => {
                source.rearm();
                source.is_ready(Direction::Read)
            }
            None => return,
        };
        if readable {
            self.have_turn();
        }
    }
}

/// Leaves the server once the socket is closed.
struct Leave(Place);

impl Closed for Leave {
    fn closed(self, _: usize) {
        drop(self.0);
    }
}

/// What the actor has of its connection.
struct Owner<H: Handle>(Arc<Conn<H>>);

impl<H: Handle> Attendant<Served<H>> for Owner<H> {
    fn make(&self) -> Served<H> {
        Served(PhantomData)
    }

    fn over(self, reason: &ExitReason) {
        self.0.over(reason);
    }
}

/// Where in a request a turn is.
#[derive(Clone, Copy)]
enum Stage {
    Between,
    /// The handler runs.
    Handling(Asked),
    /// The answer has begun to go out.
    Answering,
}

/// A turn at work. If it is unwound, what can still be said is left behind.
struct Work<'a, H: Handle> {
    conn: &'a Conn<H>,
    output: Output,
    /// An empty map whose memory is used again.
    spare: HeaderMap,
    stage: Stage,
}

impl<H: Handle> Work<'_, H> {
    fn serve(
        &mut self,
        source: &Arc<Source>,
        input: &mut Input,
        ctx: &Context<Served<H>>,
    ) -> io::Result<End> {
        let limits = &*self.conn.common.limits;
        let (mut requests, mut received) = (0, 0);
        loop {
            loop {
                if is_ending(ctx) {
                    return Ok(End::Close);
                }
                if requests == TURN_REQUESTS {
                    self.output.flush(source, limits)?;
                    return Ok(End::Again);
                }
                match input.reader.next(&mut input.bytes, &mut self.spare, limits) {
                    Ok(None) => break,
                    Ok(Some(Event::Head(request, framing))) => {
                        requests += 1;
                        if !self.request(request, framing, source, input, ctx)? {
                            return Ok(End::Close);
                        }
                    }
                    // Whoever takes a head takes its body as well.
                    Ok(Some(_)) => return Ok(End::Close),
                    Err(error) => {
                        let (server, peer) = (&self.conn.common.name, self.conn.peer);
                        tracing::debug!(server, %peer, %error, "request refused");
                        self.output.refuse(error.status());
                        return Ok(End::Close);
                    }
                }
            }
            self.output.flush(source, limits)?;
            if input.reader.is_over() {
                return Ok(End::Close);
            }
            if received >= TURN_BYTES {
                return Ok(End::Again);
            }
            match incoming::receive(source, &mut input.bytes, Wait::No) {
                Ok(0) => return Ok(End::Close),
                Ok(count) => received += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(End::Wait),
                Err(error) => return Err(error),
            }
        }
    }

    /// Serves a request; `false` if it was the last of its connection.
    fn request(
        &mut self,
        request: Request<()>,
        framing: Framing,
        source: &Arc<Source>,
        input: &mut Input,
        ctx: &Context<Served<H>>,
    ) -> io::Result<bool> {
        let limits = &self.conn.common.limits;
        let count = self.conn.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if limits.requests.is_some_and(|limit| count >= limit) {
            input.reader.close();
        }
        let mut asked = Asked {
            head: request.method() == Method::HEAD,
            version: request.version(),
            keep_alive: framing.keep_alive && limits.requests.is_none_or(|limit| count < limit),
        };
        let (body, returns) = match input.reader.whole_body(&mut input.bytes) {
            Some(whole) => (whole.into(), None),
            None => {
                // It may be a while before this one is answered, or come at all only when those before it are.
                self.output.flush(source, limits)?;
                let (input, returns) = (mem::take(input), Returns::default());
                let incoming = Incoming::new(
                    source.clone(),
                    limits.clone(),
                    input,
                    framing,
                    returns.clone(),
                );
                (Body(Kind::Incoming(Box::new(incoming))), Some(returns))
            }
        };

        self.stage = Stage::Handling(asked);
        let response = self.conn.common.handler.handle(request.map(|()| body));

        // The body may also be that of the answer.
        let mut lent = returns;
        if let Some((back, outcome)) = lent.as_ref().and_then(|returns| returns.lock().take()) {
            lent = None;
            *input = back;
            match outcome {
                Outcome::Read => {}
                Outcome::Unread => asked.keep_alive = false,
                Outcome::Refused(status) => {
                    self.output.refuse(status);
                    return Ok(false);
                }
                Outcome::Lost => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        asked.keep_alive &= !is_ending(ctx);
        self.stage = Stage::Answering;
        let (keep_alive, spare) = self.output.answer(response, asked, source, limits)?;
        self.stage = Stage::Between;
        self.spare = spare;
        if let Some(returns) = lent {
            match returns.lock().take() {
                Some((back, Outcome::Read)) => *input = back,
                // If somebody still has it, the socket is not to be closed in the orderly way, which would send this.
                _ => {
                    self.output.flush(source, limits)?;
                    return Ok(false);
                }
            }
        }
        Ok(keep_alive)
    }

    /// What it has been given.
    fn give_up(mut self) -> (Vec<u8>, HeaderMap) {
        let output = mem::take(&mut self.output);
        (output.into_bytes(), mem::take(&mut self.spare))
    }
}

impl<H: Handle> Drop for Work<'_, H> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut output = mem::take(&mut self.output);
        if let Stage::Handling(asked) = self.stage {
            let asked = Asked {
                keep_alive: false,
                ..asked
            };
            output.brief(StatusCode::INTERNAL_SERVER_ERROR, asked);
        }
        *self.conn.last_words.lock() = Some(output.into_bytes());
    }
}

impl Output {
    /// Answers what is no request, or none that can be served; the last that is said on a connection.
    fn refuse(&mut self, status: StatusCode) {
        let asked = Asked {
            head: false,
            version: Version::HTTP_11,
            keep_alive: false,
        };
        self.brief(status, asked);
    }
}
