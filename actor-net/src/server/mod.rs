//! [`Server`]: a tasklet for each connection.

mod accept;
mod builder;
mod connection;
mod connections;
mod handle;
mod throttle;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actor_core::{Outcome, Tasklet};
use actor_io::{TcpListener, TcpStream, ToAddrs};

use builder::Settings;
pub use builder::{DEFAULT_BACKLOG, DEFAULT_LINGER, ServerBuilder};
use connections::Connections;
pub use handle::ServerHandle;

/// Accepts connections, and gives each to a handler in a tasklet of its own.
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
/// closes the listener, asks every connection's tasklet to stop, and returns when they have ended. A
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
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
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

    /// The address that it listens on, with the port that the system has chosen for port 0.
    ///
    /// ```
    /// let server = actor_net::Server::bind("127.0.0.1:0").unwrap();
    /// println!("listening on {}", server.local_addr());
    /// ```
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
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
        H: Fn(TcpStream) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        self.run_with(handler, Arc::default())
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
    pub fn spawn<H, R>(self, handler: H) -> io::Result<ServerHandle>
    where
        H: Fn(TcpStream) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        let local_addr = self.local_addr;
        let connections = Arc::<Connections>::default();
        let tasklet = Tasklet::builder()
            .name(self.settings.name_at(local_addr))
            .stop_first(true)
            .spawn({
                let connections = Arc::clone(&connections);
                move || self.run_with(handler, connections)
            })?;
        Ok(ServerHandle::new(tasklet, local_addr, connections))
    }

    fn run_with<H, R>(self, handler: H, connections: Arc<Connections>) -> io::Result<()>
    where
        H: Fn(TcpStream) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        if Tasklet::try_current().is_none() {
            return Err(io::Error::other(
                "a server runs in a tasklet, and this is a plain thread",
            ));
        }
        let name = self.settings.name_at(self.local_addr);
        tracing::info!(addr = %self.local_addr, server = %name, "listening");
        let service = Arc::new(connection::Service::new(
            handler,
            name,
            self.settings,
            Arc::clone(&connections),
        ));
        // What is left when this tasklet is killed, or the listener fails, goes with it.
        let _rest = connections::KillOnDrop(&connections);
        // Closes the listener when it returns, before anybody is asked to stop.
        accept::until_stopped(self.listener, &service)?;
        connections.stop_all();
        connections.wait_until_none();
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
