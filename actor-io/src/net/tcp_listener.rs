//! [`TcpListener`].

use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use actor_core::reactor::Direction;
use socket2::{Domain, Protocol, SockRef, Type};

use super::TcpStream;
use super::socket::{Socket, accept};
use crate::addrs::{ToAddrs, first_of};

/// How many connections may wait to be accepted; the system may know a lower bound
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A socket that listens for connections.
///
/// As [`std::net::TcpListener`], but [`accept`](TcpListener::accept) blocks the tasklet and not the
/// thread. It is closed when the last handle of it has been dropped.
///
/// ```
/// use actor_io::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind(("127.0.0.1", 0))?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
/// let (stream, peer) = listener.accept()?;
/// assert_eq!(peer, client.local_addr()?);
/// assert_eq!(peer, stream.peer_addr()?);
/// # Ok(())
/// # }
/// ```
pub struct TcpListener {
    socket: Arc<Socket>,
}

impl TcpListener {
    /// Listens on the first of these addresses that can be had. Port 0 asks the system for a free
    /// one. `SO_REUSEADDR` is set, so that a server can be restarted at once. Waits only where there is
    /// a name to be looked up.
    ///
    /// # Errors
    ///
    /// That of the last address, if none can be had, or of the look-up: see [`ToAddrs::to_addrs`].
    ///
    /// ```
    /// let listener = actor_io::TcpListener::bind("localhost:0").unwrap();
    /// assert!(listener.local_addr().unwrap().ip().is_loopback());
    /// ```
    pub fn bind(addr: impl ToAddrs) -> io::Result<TcpListener> {
        first_of(addr, |addr| {
            let kind = Type::STREAM.nonblocking().cloexec();
            let socket =
                socket2::Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&addr.into())?;
            socket.listen(BACKLOG)?;
            TcpListener::try_from(OwnedFd::from(socket))
        })
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of one connection, such as [`ConnectionAborted`](io::ErrorKind::ConnectionAborted), and
    /// running out of descriptors are reported here and leave the listener as it was. In the second
    /// case the connection still waits, so that the next attempt fails at once until there is a
    /// descriptor: pause before it, as `Server` of the crate `actor-net` does.
    /// [`TimedOut`](io::ErrorKind::TimedOut) comes from an enclosing
    /// [`timeout`](actor_core::timeout).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = actor_io::TcpListener::bind("127.0.0.1:0")?;
    /// # let client = actor_io::TcpStream::connect(listener.local_addr()?)?;
    /// let (stream, peer) = listener.accept()?;
    /// # assert_eq!(stream.peer_addr()?, peer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (fd, peer) = self.socket.source().io(Direction::Read, None, accept)?;
        Ok((TcpStream::new(Socket::new(fd)?), peer))
    }

    /// As [`accept`](TcpListener::accept), but ends with `Ok(None)` once the current tasklet has
    /// been [asked to stop](actor_core::Tasklet::stop): for loops that accept until then.
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// use actor_io::TcpListener;
    ///
    /// # actor_core::dispatch(|| {
    /// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// let server = Tasklet::spawn(move || {
    ///     while let Some((stream, _peer)) = listener.accept_or_stop().unwrap() {
    ///         drop(stream);
    ///     }
    /// });
    /// server.stop();
    /// server.join().unwrap();
    /// # });
    /// ```
    pub fn accept_or_stop(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        match self.socket.source().io_or_stop(Direction::Read, accept)? {
            Some((fd, peer)) => Ok(Some((TcpStream::new(Socket::new(fd)?), peer))),
            None => Ok(None),
        }
    }

    /// The connections as they come in, or the errors of [`accept`](TcpListener::accept), none of which
    /// is the end; never ends by itself.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = actor_io::TcpListener::bind("127.0.0.1:0")?;
    /// # let client = actor_io::TcpStream::connect(listener.local_addr()?)?;
    /// for stream in listener.incoming() {
    ///     println!("{} is here", stream?.peer_addr()?);
    /// #   break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The address that it listens on.
    ///
    /// ```
    /// let listener = actor_io::TcpListener::bind("127.0.0.1:0").unwrap();
    /// assert_ne!(listener.local_addr().unwrap().port(), 0);
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet(self.socket.options().local_addr()?)
    }

    /// Another handle of the same listener, and of the same descriptor: whoever is first takes the
    /// next connection. It never fails; the result is there for the sake of the name.
    ///
    /// ```
    /// let listener = actor_io::TcpListener::bind("127.0.0.1:0").unwrap();
    /// let other = listener.try_clone().unwrap();
    /// assert_eq!(listener.local_addr().unwrap(), other.local_addr().unwrap());
    /// ```
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        Ok(TcpListener {
            socket: Arc::clone(&self.socket),
        })
    }

    /// Sets the time to live of packets sent (IPv4).
    ///
    /// ```
    /// let listener = actor_io::TcpListener::bind("127.0.0.1:0").unwrap();
    /// listener.set_ttl(42).unwrap();
    /// assert_eq!(listener.ttl().unwrap(), 42);
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.options().set_ttl_v4(ttl)
    }

    /// The time to live of packets sent (IPv4). See [`set_ttl`](TcpListener::set_ttl).
    ///
    /// ```
    /// let listener = actor_io::TcpListener::bind("127.0.0.1:0").unwrap();
    /// assert!(listener.ttl().unwrap() > 0);
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.options().ttl_v4()
    }

    /// Takes the error that is pending on the socket, if there is one.
    ///
    /// ```
    /// let listener = actor_io::TcpListener::bind("127.0.0.1:0").unwrap();
    /// assert!(listener.take_error().unwrap().is_none());
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.options().take_error()
    }

    /// All the other options of the socket. It must stay non-blocking.
    ///
    /// ```
    /// let listener = actor_io::TcpListener::bind("127.0.0.1:0").unwrap();
    /// listener.socket_ref().set_recv_buffer_size(1 << 20).unwrap();
    /// ```
    pub fn socket_ref(&self) -> SockRef<'_> {
        self.socket.options()
    }
}

/// An internet address out of one that may be of any family.
pub(super) fn internet(addr: socket2::SockAddr) -> io::Result<SocketAddr> {
    addr.as_socket()
        .ok_or_else(|| io::Error::other("the socket has no internet address"))
}

/// Takes over a socket that listens already, set up by other means, and makes it non-blocking. What is
/// not a TCP socket is refused with [`InvalidInput`](io::ErrorKind::InvalidInput), and closed.
///
/// ```
/// use std::os::fd::OwnedFd;
/// let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// let listener = actor_io::TcpListener::try_from(OwnedFd::from(other)).unwrap();
/// ```
impl TryFrom<OwnedFd> for TcpListener {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<TcpListener> {
        Ok(TcpListener {
            socket: Arc::new(Socket::take_over(fd)?),
        })
    }
}

/// Takes over a listener and makes it non-blocking.
impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    fn try_from(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        OwnedFd::from(listener).try_into()
    }
}

/// Gives the socket to blocking code. Fails with [`ResourceBusy`](io::ErrorKind::ResourceBusy) while
/// [clones](TcpListener::try_clone) of it are alive, since they need it non-blocking.
impl TryFrom<TcpListener> for std::net::TcpListener {
    type Error = io::Error;

    fn try_from(listener: TcpListener) -> io::Result<std::net::TcpListener> {
        let socket = Arc::into_inner(listener.socket).ok_or_else(shared)?;
        let listener = std::net::TcpListener::from(socket.into_fd());
        listener.set_nonblocking(false)?;
        Ok(listener)
    }
}

pub(super) fn shared() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the socket is shared with clones that are still alive",
    )
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("addr", &self.local_addr().ok())
            .field("fd", &self.as_raw_fd())
            .finish()
    }
}

/// The connections of a listener: see [`TcpListener::incoming`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let listener = actor_io::TcpListener::bind("127.0.0.1:0")?;
/// # let client = actor_io::TcpStream::connect(listener.local_addr()?)?;
/// let first = listener.incoming().next().expect("it never ends")?;
/// # assert_eq!(first.peer_addr()?, client.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _peer)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}
