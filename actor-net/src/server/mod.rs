//! [`Server`]: a tasklet, or an actor, for each connection.

pub(crate) mod accept;
mod actors;
pub(crate) mod admission;
pub(crate) mod builder;
pub(crate) mod connection;
pub(crate) mod connections;
mod handle;
pub(crate) mod peer;
mod stackless;
pub(crate) mod throttle;
#[cfg(feature = "tls")]
pub(crate) mod tls;
mod unix;

use std::fmt;
use std::io;
use std::sync::Arc;

use actor_core::{Handler, Outcome, SpawnError, Tasklet};
use actor_io::{Family, Internet, Listener, Stream, TcpStream, ToAddrs};

use accept::Service;
use actors::Actors;
use builder::Settings;
pub use builder::{
    DEFAULT_BACKLOG, DEFAULT_LINGER, DEFAULT_OUTBOX_BYTES, DEFAULT_OUTBOX_MESSAGES, ServerBuilder,
};
use connection::Tasklets;
use connections::Connections;
pub use handle::ServerHandle;
use stackless::StacklessActors;
#[cfg(feature = "tls")]
pub use tls::TlsServer;
use unix::Place;

use crate::codec::Codec;
use crate::connection::Connection;

/// Accepts connections, and gives each to a handler in a tasklet of its own, or to an
/// [actor](Self::serve_actors).
///
/// # The handler
///
/// A function of the [`TcpStream`] that returns nothing, or a `Result` whose error can be shown: an
/// [`Outcome`]. It runs in a tasklet named `connection <peer>`, with a mailbox, on the worker with
/// the fewest tasklets.
///
/// When it returns without an error, the tasklets it has spawned are asked to stop, and killed if
/// they still live after [`linger`](ServerBuilder::linger); a handler that fails, panics or is
/// killed takes them with it at once. When it has returned, with an error or without, the connection
/// is then closed in the orderly way: what was sent arrives, even if the peer had sent what nobody read.
/// (A panic or a kill just closes it, which resets it if there is such input.) Dropping the stream
/// earlier does not close it; [`shutdown`](TcpStream::shutdown) does. A stream that the handler gave
/// away to somebody who still has it is left to them.
///
/// A panic or an error ends that connection alone, and is logged with the peer's address: an error
/// as a warning, a panic as that of any tasklet that nobody joins. That the peer went away (broken
/// pipe, connection reset, unexpected end of file, and a read or write that ran into the [idle
/// timeout](ServerBuilder::idle_timeout)) is an everyday matter, and logged at the debug level, where
/// the handler returns the [`io::Error`] as such or as a [`BoxError`](actor_core::BoxError). So is
/// what fails once the connection has been asked to stop.
///
/// # Overload
///
/// A connection too many, by [`max_connections`](ServerBuilder::max_connections) or by the runtime's
/// limit of tasklets, is closed at once. So is one that comes when the process has no descriptors
/// left, by means of one that is held in reserve; then accepting pauses, for 10 ms at first and up
/// to a second, as it does for any shortage of the system's and when accepting keeps failing. The log
/// tells of it at most once a second.
///
/// # Stopping
///
/// When the tasklet that runs the server is asked to stop, by the end of the program for one, it
/// takes the connections that wait already, closes the listener, asks every connection's tasklet to stop, and returns when they have ended. A
/// handler in a [receive](Tasklet::receive) loop leaves it then, and can say goodbye; one that reads
/// from its socket goes on until the peer is done or the grace is over, which
/// [`ServerHandle::shutdown`] or else the runtime sets. Killing the server kills its connections. As
/// everywhere, a kill takes effect at the next operation that can block: a handler that only computes is
/// waited for.
///
/// # Examples
///
/// ```no_run
/// use actor_net::Server;
/// use std::io::{self, Read, Write};
///
/// actor_core::dispatch(|| {
///     Server::serve("localhost:7000", |mut stream| -> io::Result<()> {
///         let mut bytes = [0; 1024];
///         loop {
///             match stream.read(&mut bytes)? {
///                 0 => return Ok(()),
///                 n => stream.write_all(&bytes[..n])?,
///             }
///         }
///     })
/// });
/// ```
pub struct Server<F: Family = Internet> {
    /// Where it stands in the file system. Given up before the listener is closed, so that nobody who finds
    /// it abandoned has put another in its place.
    place: Option<Place>,
    listener: Listener<F>,
    local_addr: F::Addr,
    settings: Settings,
}

impl Server {
    /// Listens on `addr` and serves until the current tasklet is asked to stop: [`bind`](Self::bind)
    /// and [`run`](Self::run) in one, with the errors of both.
    ///
    /// ```no_run
    /// use actor_io::BufferedWriter;
    /// use actor_net::Server;
    ///
    /// actor_core::dispatch(|| {
    ///     Server::serve("localhost:7000", |stream| BufferedWriter::new(stream).write_line("hello"))
    /// });
    /// ```
    pub fn serve<H, R>(addr: impl ToAddrs, handler: H) -> io::Result<()>
    where
        H: Fn(TcpStream) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        Server::bind(addr)?.run(handler)
    }

    /// Listens on the first of these addresses that can be had, with the default options: see
    /// [`ServerBuilder::bind`].
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::bind(("127.0.0.1", 0)).unwrap();
    /// assert_ne!(server.local_addr().port(), 0);
    /// ```
    pub fn bind(addr: impl ToAddrs) -> io::Result<Server> {
        Server::builder().bind(addr)
    }

    /// A server with options.
    ///
    /// ```
    /// use actor_net::Server;
    /// use std::time::Duration;
    ///
    /// let server = Server::builder()
    ///     .name("echo")
    ///     .max_connections(1000)
    ///     .idle_timeout(Duration::from_secs(60))
    ///     .bind("127.0.0.1:0")
    ///     .unwrap();
    /// ```
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }
}

impl<F: Family> Server<F> {
    /// The address that it listens on, with the port that the system has chosen for port 0.
    ///
    /// ```
    /// let server = actor_net::Server::bind("127.0.0.1:0").unwrap();
    /// println!("listening on {}", server.local_addr());
    /// ```
    pub fn local_addr(&self) -> F::Addr {
        self.local_addr.clone()
    }

    /// Serves in the current tasklet until that is asked to stop and the last connection has ended.
    ///
    /// # Errors
    ///
    /// When the listener itself fails, which nothing that a peer does can bring about, outside a
    /// tasklet, and with [`TimedOut`](io::ErrorKind::TimedOut) when an enclosing
    /// [`timeout`](actor_core::timeout) expires. The connections that are left are killed then.
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// use actor_net::Server;
    ///
    /// # actor_core::dispatch(|| {
    /// let server = Server::bind("127.0.0.1:0").unwrap();
    /// let tasklet = Tasklet::spawn(move || server.run(drop));
    /// tasklet.stop();
    /// tasklet.join().unwrap().unwrap();
    /// # });
    /// ```
    pub fn run<H, R>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Stream<F>) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        self.run_as(tasklets(handler), Arc::default())
    }

    /// Serves in a tasklet of its own, a child of the current one.
    ///
    /// When the program stops, it is asked to stop before its parent has ended, so that nobody is
    /// accepted any more. It is not a daemon: the program goes on as long as the server does.
    ///
    /// # Errors
    ///
    /// When no tasklet is to be had: at the limit of their number, or where no runtime is.
    ///
    /// ```
    /// use actor_net::Server;
    /// use std::time::Duration;
    ///
    /// # actor_core::dispatch(|| {
    /// let server = Server::bind("127.0.0.1:0").unwrap().spawn(drop).unwrap();
    /// println!("listening on {}", server.local_addr());
    /// server.shutdown(Duration::from_secs(5)).unwrap();
    /// # });
    /// ```
    pub fn spawn<H, R>(self, handler: H) -> io::Result<ServerHandle<F>>
    where
        H: Fn(Stream<F>) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        self.spawn_as(tasklets(handler))
    }

    pub(crate) fn run_as<S: Service<F>>(
        self,
        service: impl FnOnce(String, Settings, Arc<Connections>) -> S,
        connections: Arc<Connections>,
    ) -> io::Result<()> {
        if Tasklet::try_current().is_none() {
            return Err(io::Error::other(
                "a server runs in a tasklet, and this is a plain thread",
            ));
        }
        let name = self.settings.name_at(&self.local_addr);
        tracing::info!(addr = ?self.local_addr, server = %name, "listening");
        let service = Arc::new(service(name, self.settings, Arc::clone(&connections)));
        // What is left when this tasklet is killed, or the listener fails, goes with it.
        let _rest = connections::KillOnDrop(&connections);
        accept::until_stopped(&self.listener, &service)?;
        // Before anybody is asked to stop: another server can have the address at once.
        drop(self.place);
        drop(self.listener);
        connections.stop_all();
        connections.wait_until_none();
        Ok(())
    }

    pub(crate) fn spawn_as<S: Service<F>>(
        self,
        service: impl FnOnce(String, Settings, Arc<Connections>) -> S + Send + 'static,
    ) -> io::Result<ServerHandle<F>> {
        let local_addr = self.local_addr.clone();
        let connections = Arc::<Connections>::default();
        let tasklet = Tasklet::builder()
            .name(self.settings.name_at(&local_addr))
            .stop_first(true)
            .spawn({
                let connections = Arc::clone(&connections);
                move || self.run_as(service, connections)
            })?;
        Ok(ServerHandle::new(tasklet, local_addr, connections))
    }
}

impl Server {
    /// Listens on `addr` and serves with an actor for each connection until the current tasklet is asked
    /// to stop: [`bind`](Self::bind) and [`run_actors`](Self::run_actors) in one, with the errors of both.
    ///
    /// # The actor
    ///
    /// `make` is given a [`Connection`] and makes the actor. What the peer says is decoded by a clone of
    /// `codec` and arrives as messages; what the actor, or anybody else, [sends](Connection::send) to the
    /// connection is encoded by the codec, gathered and written. So the actor neither reads nor writes,
    /// and takes messages from others between those of its peer.
    ///
    /// It is called `connection <peer>`, as is the tasklet that reads for it; another tasklet writes.
    ///
    /// *How it hears of the end.* When the connection ends, it is asked to stop: it handles what is in its
    /// mailbox, and its hook [`stopped`](actor_core::Actor::stopped) is told
    /// [`Shutdown`](actor_core::ExitReason::Shutdown) if the server is coming to its end, and
    /// [`Stopped`](actor_core::ExitReason::Stopped) if the peer has sent all that it wanted to or is lost;
    /// [`Connection::error`] tells these apart. What the hook sends still goes out, if the peer can be
    /// reached.
    ///
    /// *How it ends the connection.* By its own end. What it has sent is written first, for at most
    /// [`linger`](ServerBuilder::linger); if it has panicked or was killed, the connection is closed at
    /// once. The others are not concerned. A panic is logged under the actor's name.
    ///
    /// # Limits
    ///
    /// *A peer that sends faster than its actor handles* is slowed down by TCP: no more is read once 64
    /// messages, or 64 KiB, are waiting for the actor. What others send to it does not count. If the
    /// server has a [`mailbox`](ServerBuilder::mailbox), which is the actor's then, that bounds all
    /// together by its own policy: with [`Overflow::Block`](actor_core::Overflow::Block) reading waits for
    /// room, and with [`Overflow::Fail`](actor_core::Overflow::Fail) a message without room ends the
    /// connection.
    ///
    /// *A peer that does not read* loses the connection when the [outbox](ServerBuilder::outbox) is full.
    /// *One that stops in the middle of a frame* costs what it has sent so far, which the codec bounds, and
    /// is found out by the [idle timeout](ServerBuilder::idle_timeout).
    ///
    /// These ends, and what the codec does not understand, are logged with the peer's address, those that
    /// are a peer's everyday departure at the debug level. All the rest is as for [handlers](Server):
    /// overload, stopping, the options of the [builder](Self::builder).
    ///
    /// # Without a stack
    ///
    /// With [`ServerBuilder::stackless`] none of this needs a tasklet: what the peer says is read, decoded and
    /// handled in the actor's own turn when it has come in, and what is sent is written between the turns of
    /// others. A connection that is idle then takes some hundred bytes and no time, and not two stacks. The
    /// same actors and codecs work either way; it differs in this:
    ///
    /// - *Back-pressure.* Nothing is read while the actor handles something, or waits in a handler; then
    ///   others have their turn after 64 messages or 64 KiB. The [`mailbox`](ServerBuilder::mailbox) bounds
    ///   what others send, and is not passed by what the peer says.
    /// - *Names.* The actor is called after its type; the log has the peer's address where it tells of the
    ///   connection.
    /// - *Reading ends* when the actor is asked to stop: what has come in and has not been handled is dropped.
    ///
    /// ```no_run
    /// use actor_core::{Actor, Context, Handler, dispatch};
    /// use actor_net::{Connection, Line, LineCodec, Server};
    ///
    /// struct Echo(Connection<LineCodec>);
    ///
    /// impl Actor for Echo {}
    ///
    /// impl Handler<Line> for Echo {
    ///     fn handle(&mut self, Line(line): Line, ctx: &mut Context<Self>) {
    ///         match line.as_str() {
    ///             "quit" => ctx.stop(),
    ///             _ => self.0.send(line),
    ///         }
    ///     }
    /// }
    ///
    /// dispatch(|| Server::serve_actors("localhost:7000", LineCodec::new(), Echo));
    /// ```
    pub fn serve_actors<C, F, A>(addr: impl ToAddrs, codec: C, make: F) -> io::Result<()>
    where
        C: Codec,
        F: Fn(Connection<C>) -> A + Send + Sync + 'static,
        A: Handler<C::Item>,
    {
        Server::bind(addr)?.run_actors(codec, make)
    }

    /// As [`run`](Self::run), with an [actor](Self::serve_actors) for each connection.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// ```
    /// # use actor_core::{Actor, Context, Handler, Tasklet};
    /// # use actor_net::{Connection, Line, LineCodec, Server};
    /// # struct Echo(Connection<LineCodec>);
    /// # impl Actor for Echo {}
    /// # impl Handler<Line> for Echo {
    /// #     fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
    /// #         self.0.send(line);
    /// #     }
    /// # }
    /// # actor_core::dispatch(|| {
    /// let server = Server::bind("127.0.0.1:0").unwrap();
    /// let tasklet = Tasklet::spawn(move || server.run_actors(LineCodec::new(), Echo));
    /// tasklet.stop();
    /// tasklet.join().unwrap().unwrap();
    /// # });
    /// ```
    pub fn run_actors<C, F, A>(self, codec: C, make: F) -> io::Result<()>
    where
        C: Codec,
        F: Fn(Connection<C>) -> A + Send + Sync + 'static,
        A: Handler<C::Item>,
    {
        if self.settings.stackless {
            return self.run_as(stackless(codec, make), Arc::default());
        }
        let (server, handler) = self.with_actors(codec, make);
        server.run(handler)
    }

    /// As [`spawn`](Self::spawn), with an [actor](Self::serve_actors) for each connection.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// ```
    /// # use actor_core::{Actor, Context, Handler, Tasklet};
    /// # use actor_net::{Connection, Connector, Line, LineCodec, Server};
    /// # use actor_io::BufferedStream;
    /// # use std::io::Write;
    /// # use std::time::Duration;
    /// # struct Echo(Connection<LineCodec>);
    /// # impl Actor for Echo {}
    /// # impl Handler<Line> for Echo {
    /// #     fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
    /// #         self.0.send(line);
    /// #     }
    /// # }
    /// # actor_core::dispatch(|| {
    /// let server = Server::bind("127.0.0.1:0").unwrap().spawn_actors(LineCodec::new(), Echo).unwrap();
    /// let mut client = BufferedStream::new(Connector::connect(server.local_addr()).unwrap());
    /// client.writer().write_line("hello").unwrap();
    /// client.flush().unwrap();
    /// assert_eq!(client.reader().read_line().unwrap().as_deref(), Some("hello"));
    /// server.shutdown(Duration::from_secs(5)).unwrap();
    /// # });
    /// ```
    pub fn spawn_actors<C, F, A>(self, codec: C, make: F) -> io::Result<ServerHandle>
    where
        C: Codec,
        F: Fn(Connection<C>) -> A + Send + Sync + 'static,
        A: Handler<C::Item>,
    {
        if self.settings.stackless {
            return self.spawn_as(stackless(codec, make));
        }
        let (server, handler) = self.with_actors(codec, make);
        server.spawn(handler)
    }

    /// A server whose handler is to be one for actors, and that handler.
    fn with_actors<C, F, A>(
        mut self,
        codec: C,
        make: F,
    ) -> (
        Server,
        impl Fn(TcpStream) -> Result<(), SpawnError> + Send + Sync + 'static,
    )
    where
        C: Codec,
        F: Fn(Connection<C>) -> A + Send + Sync + 'static,
        A: Handler<C::Item>,
    {
        let actors = Actors::of(&mut self, codec, make);
        let handler = move |stream: TcpStream| match stream.peer_addr() {
            Ok(peer) => actors.serve(stream, peer).map(drop),
            // It has gone already.
            Err(_) => Ok(()),
        };
        (self, handler)
    }
}

/// What serves connections by running `handler` in a tasklet for each.
fn tasklets<F, H>(
    handler: H,
) -> impl FnOnce(String, Settings, Arc<Connections>) -> Tasklets<H, F> + use<F, H> {
    move |name, settings, connections| Tasklets::new(handler, name, settings, connections)
}

/// What serves connections by an actor for each, without a stack.
fn stackless<C, F, A>(
    codec: C,
    make: F,
) -> impl FnOnce(String, Settings, Arc<Connections>) -> StacklessActors<C, A> + use<C, F, A>
where
    C: Codec,
    F: Fn(Connection<C>) -> A + Send + Sync + 'static,
    A: Handler<C::Item>,
{
    move |name, settings, connections| {
        StacklessActors::new(codec, Box::new(make), name, settings, connections)
    }
}

impl<F: Family> fmt::Debug for Server<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
