//! [`ServerBuilder`]: the options of a server.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use actor_core::Mailbox;
use actor_io::{TcpListener, ToAddrs};
use socket2::{Domain, Protocol, Socket, Type};

use super::Server;

/// How many connections may wait to be accepted, unless [`ServerBuilder::backlog`] says otherwise.
pub const DEFAULT_BACKLOG: u32 = 4096;

/// How long the tasklets of a handler may outlive it, unless [`ServerBuilder::linger`] says
/// otherwise.
pub const DEFAULT_LINGER: Duration = Duration::from_secs(5);

/// What a connection's tasklet is given.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: Option<String>,
    pub(super) nodelay: bool,
    pub(super) max_connections: Option<usize>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) linger: Duration,
    pub(super) stack_size: Option<usize>,
    pub(super) mailbox: Option<Mailbox>,
}

impl Settings {
    /// The server's name, or one made of its address.
    pub(super) fn name_at(&self, addr: SocketAddr) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("server {addr}"),
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
    backlog: u32,
    reuse_addr: bool,
    reuse_port: bool,
    settings: Settings,
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
            },
        }
    }

    /// How many connections may wait to be accepted; [`DEFAULT_BACKLOG`] otherwise. The system may
    /// know a lower bound (`net.core.somaxconn`).
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Whether the address can be had while connections of a former server on it are still winding
    /// down (`SO_REUSEADDR`). On by default, so that a server can be restarted at once.
    pub fn reuse_addr(mut self, reuse: bool) -> Self {
        self.reuse_addr = reuse;
        self
    }

    /// Whether other sockets may listen on the same port, the system sharing the connections out
    /// among them (`SO_REUSEPORT`). Off by default.
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). On by default: a buffered writer has
    /// gathered already what belongs together.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.settings.nodelay = nodelay;
        self
    }

    /// How many connections may be served at a time; one more is closed at once. No limit by
    /// default, other than that of the runtime's tasklets.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.settings.max_connections = Some(limit);
        self
    }

    /// How long a read or a write may wait for the peer: the stream's
    /// [read](actor_io::TcpStream::set_read_timeout) and
    /// [write timeout](actor_io::TcpStream::set_write_timeout) to start with, which a handler may
    /// change. The operation then fails with [`TimedOut`](io::ErrorKind::TimedOut). None by default;
    /// zero is refused by [`bind`](Self::bind).
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = Some(limit);
        self
    }

    /// The name of the server's tasklet, and in its log lines; `server <address>` otherwise.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// How long the tasklets that a handler has spawned may outlive it once it has returned: they
    /// are asked to stop then, and killed when this is over. [`DEFAULT_LINGER`] otherwise.
    pub fn linger(mut self, limit: Duration) -> Self {
        self.settings.linger = limit;
        self
    }

    /// The stack, in bytes, of each connection's tasklet; the runtime's default otherwise.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// The mailbox of each connection's tasklet; an unbounded one otherwise.
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.settings.mailbox = Some(mailbox);
        self
    }

    /// Listens on the first of these addresses that can be had.
    pub fn bind(self, addr: impl ToAddrs) -> io::Result<Server> {
        if self
            .settings
            .idle_timeout
            .is_some_and(|limit| limit.is_zero())
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an idle timeout of zero would end every connection",
            ));
        }
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
        socket.bind(&addr.into())?;
        socket.listen(self.backlog.try_into().unwrap_or(i32::MAX))?;
        TcpListener::try_from(OwnedFd::from(socket))
    }
}
