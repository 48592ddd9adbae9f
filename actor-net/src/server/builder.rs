//! [`ServerBuilder`]: the options of a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use actor_core::Mailbox;
use actor_io::{TcpListener, ToAddrs};
use socket2::{Domain, Protocol, Socket, Type};

use super::Server;
use crate::connection::outbox::Limits;

/// How many connections may wait to be accepted, unless [`ServerBuilder::backlog`] says otherwise.
///
/// ```
/// use actor_net::{DEFAULT_BACKLOG, Server};
///
/// let small = Server::builder().backlog(DEFAULT_BACKLOG / 16);
/// ```
pub const DEFAULT_BACKLOG: u32 = 4096;

/// How long the tasklets of a handler may outlive it, unless [`ServerBuilder::linger`] says
/// otherwise.
///
/// ```
/// use actor_net::{DEFAULT_LINGER, Server};
///
/// let patient = Server::builder().linger(2 * DEFAULT_LINGER);
/// ```
pub const DEFAULT_LINGER: Duration = Duration::from_secs(5);

/// How many messages may wait for a peer to read them, unless [`ServerBuilder::outbox`] says otherwise.
///
/// ```
/// use actor_net::{DEFAULT_OUTBOX_BYTES, DEFAULT_OUTBOX_MESSAGES, Server};
///
/// let strict = Server::builder().outbox(DEFAULT_OUTBOX_MESSAGES / 16, DEFAULT_OUTBOX_BYTES / 16);
/// ```
pub const DEFAULT_OUTBOX_MESSAGES: usize = 16 * 1024;

/// How many bytes may wait for a peer to read them, unless [`ServerBuilder::outbox`] says otherwise.
///
/// ```
/// assert_eq!(actor_net::DEFAULT_OUTBOX_BYTES, 4 << 20);
/// ```
pub const DEFAULT_OUTBOX_BYTES: usize = 4 * 1024 * 1024;

/// What a connection's tasklet is given.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) nodelay: bool,
    pub(crate) max_connections: Option<usize>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) linger: Duration,
    pub(crate) stack_size: Option<usize>,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) outbox: Limits,
    pub(crate) stackless: bool,
}

impl Settings {
    pub(super) fn check(&self) -> io::Result<()> {
        if self.idle_timeout.is_some_and(|limit| limit.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an idle timeout of zero would end every connection",
            ));
        }
        Ok(())
    }

    /// The server's name, or one made of its address.
    pub(crate) fn name_at(&self, addr: impl fmt::Debug) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("server {addr:?}"),
        }
    }
}

/// The options of a [`Server`]; ends with [`bind`](ServerBuilder::bind).
///
/// ```
/// use actor_core::{Mailbox, Overflow};
/// use actor_net::Server;
/// use std::time::Duration;
///
/// let server = Server::builder()
///     .name("chat")
///     .backlog(128)
///     .reuse_port(true)
///     .nodelay(true)
///     .max_connections(10_000)
///     .idle_timeout(Duration::from_secs(600))
///     .linger(Duration::from_secs(1))
///     .stack_size(128 * 1024)
///     .mailbox(Mailbox::bounded(1024, Overflow::Fail))
///     .bind("127.0.0.1:0")
///     .unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it binds"]
pub struct ServerBuilder {
    pub(super) backlog: u32,
    pub(super) reuse_addr: bool,
    reuse_port: bool,
    pub(super) settings: Settings,
}

impl ServerBuilder {
    pub(super) fn new() -> Self {
        ServerBuilder {
            backlog: DEFAULT_BACKLOG,
            reuse_addr: true,
            reuse_port: false,
            settings: Settings {
                name: None,
                nodelay: true,
                max_connections: None,
                idle_timeout: None,
                linger: DEFAULT_LINGER,
                stack_size: None,
                mailbox: None,
                outbox: Limits {
                    messages: DEFAULT_OUTBOX_MESSAGES,
                    bytes: DEFAULT_OUTBOX_BYTES,
                },
                stackless: false,
            },
        }
    }

    /// How many connections may wait to be accepted; [`DEFAULT_BACKLOG`] otherwise. The system may
    /// know a lower bound (`net.core.somaxconn`).
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().backlog(128).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Whether the address can be had while connections of a former server on it are still winding
    /// down (`SO_REUSEADDR`). On by default, so that a server can be restarted at once.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().reuse_addr(false).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn reuse_addr(mut self, reuse: bool) -> Self {
        self.reuse_addr = reuse;
        self
    }

    /// Whether other sockets may listen on the same port, the system sharing the connections out
    /// among them (`SO_REUSEPORT`). Off by default.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let first = Server::builder().reuse_port(true).bind("127.0.0.1:0").unwrap();
    /// let second = Server::builder().reuse_port(true).bind(first.local_addr()).unwrap();
    /// ```
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). On by default: a buffered writer has
    /// gathered already what belongs together.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().nodelay(false).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.settings.nodelay = nodelay;
        self
    }

    /// How many connections may be served at a time; one more is closed at once. No limit by
    /// default, other than that of the runtime's tasklets. A connection counts until its tasklet has
    /// ended, which may be a moment after its peer has seen the end.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().max_connections(10_000).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.settings.max_connections = Some(limit);
        self
    }

    /// How long a read or a write may wait for the peer: the stream's
    /// [read](actor_io::TcpStream::set_read_timeout) and
    /// [write timeout](actor_io::TcpStream::set_write_timeout) to start with, which a handler may
    /// change. The operation then fails with [`TimedOut`](io::ErrorKind::TimedOut). None by default;
    /// zero is refused by [`bind`](Self::bind).
    ///
    /// A peer that has vanished without a word, its machine switched off, is found out by this alone,
    /// or by TCP's own probes: see `set_keepalive` of [`socket_ref`](actor_io::TcpStream::socket_ref).
    ///
    /// ```
    /// use actor_net::Server;
    /// use std::time::Duration;
    ///
    /// let server = Server::builder().idle_timeout(Duration::from_secs(600)).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = Some(limit);
        self
    }

    /// The name of the server's tasklet, and in its log lines; `server <address>` otherwise.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().name("chat").bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// How long the tasklets that a handler has spawned may outlive it once it has returned: they
    /// are asked to stop then, and killed when this is over. [`DEFAULT_LINGER`] otherwise.
    ///
    /// ```
    /// use actor_net::Server;
    /// use std::time::Duration;
    ///
    /// let server = Server::builder().linger(Duration::from_secs(1)).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn linger(mut self, limit: Duration) -> Self {
        self.settings.linger = limit;
        self
    }

    /// The stack, in bytes, of each connection's tasklet; the runtime's default otherwise.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().stack_size(64 * 1024).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// The mailbox of each connection's tasklet; an unbounded one otherwise. Where an actor serves the
    /// connection it is the actor's: see [`Server::serve_actors`].
    ///
    /// ```
    /// use actor_net::Server;
    /// use actor_core::{Mailbox, Overflow};
    ///
    /// let server = Server::builder().mailbox(Mailbox::bounded(64, Overflow::Fail)).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.settings.mailbox = Some(mailbox);
        self
    }

    /// How much may wait for the peer of a connection to read it, if an actor serves it: messages, and
    /// bytes that they are; [`DEFAULT_OUTBOX_MESSAGES`] and [`DEFAULT_OUTBOX_BYTES`] otherwise. What the
    /// system buffers does not count. A message that finds no room ends the connection; one that is
    /// larger than all the room there is goes out if nothing else waits.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().outbox(64, 64 * 1024).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn outbox(mut self, messages: usize, bytes: usize) -> Self {
        self.settings.outbox = Limits { messages, bytes };
        self
    }

    /// Whether connections that actors serve hold no stack while they are idle; by default they hold two, one
    /// to read on and one to write. See [`Server::serve_actors`] for what is
    /// different then. Has no effect on connections that a handler serves.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().stackless(true).bind("127.0.0.1:0").unwrap();
    /// ```
    pub fn stackless(mut self, stackless: bool) -> Self {
        self.settings.stackless = stackless;
        self
    }

    /// Listens on the first of these addresses that can be had. Waits only where there is a name to be
    /// looked up. Clients can connect from now on; they are accepted when the server runs.
    ///
    /// # Errors
    ///
    /// That of the last address, if none can be had, or of the look-up: see [`ToAddrs::to_addrs`].
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for an idle timeout of zero.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// let server = Server::builder().bind("localhost:0").unwrap();
    /// let taken = server.local_addr();
    /// assert!(Server::builder().bind(taken).is_err());
    /// ```
    pub fn bind(self, addr: impl ToAddrs) -> io::Result<Server> {
        self.settings.check()?;
        let mut failure = io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name resolved to no address",
        );
        for addr in addr.to_addrs()? {
            match self.listen(addr) {
                Ok(listener) => {
                    let local_addr = listener.local_addr()?;
                    return Ok(Server {
                        listener,
                        local_addr,
                        settings: self.settings,
                        place: None,
                    });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn listen(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
        socket.set_reuse_address(self.reuse_addr)?;
        socket.set_reuse_port(self.reuse_port)?;
        // Its connections inherit this.
        socket.set_tcp_nodelay(self.settings.nodelay)?;
        socket.bind(&addr.into())?;
        socket.listen(self.backlog.try_into().unwrap_or(i32::MAX))?;
        TcpListener::try_from(OwnedFd::from(socket))
    }
}
