//! [`TcpStream`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::socket::{Socket, check_timeout, deadline_in};
use super::tcp_listener::{internet, shared};
use crate::addrs::{ToAddrs, first_of};

/// A TCP connection.
///
/// As [`std::net::TcpStream`], but its operations block the tasklet and not the thread. One tasklet
/// may read while another writes, through a [clone](TcpStream::try_clone), a shared reference or
/// the halves of a [`BufferedStream`](crate::BufferedStream). Several may also read, or write; each
/// byte then goes to, or comes from, one of them.
///
/// A timeout that expires is told as [`TimedOut`](io::ErrorKind::TimedOut) (the standard library
/// says `WouldBlock` on some systems). Writing to a connection that the peer has closed is an error
/// and never a signal.
///
/// ```
/// use std::io::{Read, Write};
/// use actor_io::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (mut server, _peer) = listener.accept()?;
/// client.write_all(b"ping")?;
/// let mut request = [0; 4];
/// server.read_exact(&mut request)?;
/// assert_eq!(&request, b"ping");
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    socket: Arc<Socket>,
}

impl TcpStream {
    pub(super) fn new(socket: Socket) -> TcpStream {
        TcpStream {
            socket: Arc::new(socket),
        }
    }

    /// Connects to the first of these addresses that accepts, in the order given.
    ///
    /// Waits for the resolver, where there is a name, and for each address until it answers or the
    /// system gives up, which takes it some minutes: see [`connect_timeout`](TcpStream::connect_timeout)
    /// and [`timeout`](actor_core::timeout). An attempt that ends early, by a kill too, closes its
    /// socket.
    ///
    /// # Errors
    ///
    /// That of the last address, if none accepts, or of the look-up: see [`ToAddrs::to_addrs`].
    ///
    /// ```
    /// use actor_io::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(("localhost", listener.local_addr()?.port()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(addr: impl ToAddrs) -> io::Result<TcpStream> {
        first_of(addr, |addr| {
            Ok(TcpStream::new(Socket::connect(addr, None)?))
        })
    }

    /// Connects to one address, for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) when the time is over,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when it is zero, and what the system says.
    ///
    /// ```
    /// use actor_io::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(5))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let deadline = deadline_in(check_timeout(timeout)?);
        Ok(TcpStream::new(Socket::connect(*addr, deadline)?))
    }

    /// The address of the other end. Fails once that has reset the connection.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let addr = listener.local_addr().unwrap();
    /// let stream = TcpStream::connect(addr).unwrap();
    /// assert_eq!(stream.peer_addr().unwrap(), addr);
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        internet(self.socket.options().peer_addr()?)
    }

    /// The address of this end.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// assert!(stream.local_addr().unwrap().ip().is_loopback());
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet(self.socket.options().local_addr()?)
    }

    /// Ends one direction or both, for all handles of this connection. Who waits in a direction
    /// that ends is woken: a read gives 0 bytes, a write fails with
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe).
    ///
    /// ```
    /// use std::io::Read;
    /// use std::net::Shutdown;
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// # let (mut server, _) = listener.accept().unwrap();
    ///
    /// client.shutdown(Shutdown::Write).unwrap();
    /// assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.options().shutdown(how)
    }

    /// Another handle of the same connection.
    ///
    /// Unlike the standard library's it makes no second descriptor: all handles share one, as well
    /// as the timeouts, and the connection is closed when the last of them has been dropped. It
    /// never fails; the result is there for the sake of the name.
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///
    /// let other = stream.try_clone().unwrap();
    /// assert_eq!(other.as_raw_fd(), stream.as_raw_fd());
    /// ```
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(self.handle())
    }

    /// What [`try_clone`](TcpStream::try_clone) wraps.
    pub(crate) fn handle(&self) -> TcpStream {
        TcpStream {
            socket: Arc::clone(&self.socket),
        }
    }

    /// Whether there are other handles of this connection: clones or halves that are still alive.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let other = stream.try_clone().unwrap();
    /// assert!(stream.is_shared());
    /// drop(other);
    /// assert!(!stream.is_shared());
    /// ```
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.socket) > 1
    }

    /// Reads what is there, or waits for it, and leaves it there for the next read. The read timeout
    /// holds for it.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// # let (mut server, _) = listener.accept().unwrap();
    ///
    /// client.write_all(b"x").unwrap();
    /// let mut seen = [0; 8];
    /// assert_eq!(server.peek(&mut seen).unwrap(), 1);
    /// assert_eq!(server.read(&mut seen).unwrap(), 1);
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.peek(buf)
    }

    /// Reads as [`Read::read`] does, but ends with `Ok(None)` once the current tasklet has been [asked to
    /// stop](actor_core::Tasklet::stop): for those who read until then.
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// # use actor_io::{TcpListener, TcpStream};
    ///
    /// # actor_core::dispatch(|| {
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let (stream, _peer) = listener.accept().unwrap();
    /// let reader = Tasklet::spawn(move || stream.read_or_stop(&mut [0; 8]));
    /// reader.stop();
    /// assert_eq!(reader.join().unwrap().unwrap(), None);
    /// # });
    /// ```
    pub fn read_or_stop(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.socket.read_or_stop(buf)
    }

    /// Limits how long a read waits for the first byte; `None`, the default, is no limit. Holds for
    /// all handles, for operations that begin after it. Zero is refused.
    ///
    /// ```
    /// use std::io::{ErrorKind, Read};
    /// use std::time::Duration;
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///
    /// stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    /// assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.read_timeout.set(timeout)
    }

    /// Limits how long a write waits for room for the first byte. As
    /// [`set_read_timeout`](TcpStream::set_read_timeout) otherwise.
    ///
    /// ```
    /// use std::io::{ErrorKind, Write};
    /// use std::time::Duration;
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///
    /// stream.set_write_timeout(Some(Duration::from_millis(5))).unwrap();
    /// let error = loop {
    ///     // Nobody reads.
    ///     if let Err(error) = stream.write(&[0; 65536]) {
    ///         break error;
    ///     }
    /// };
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.write_timeout.set(timeout)
    }

    /// How long a read may wait: see [`set_read_timeout`](TcpStream::set_read_timeout).
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// assert_eq!(stream.read_timeout().unwrap(), None);
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.read_timeout.get())
    }

    /// How long a write may wait: see [`set_write_timeout`](TcpStream::set_write_timeout).
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// assert_eq!(stream.write_timeout().unwrap(), None);
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.write_timeout.get())
    }

    /// Sends small writes at once (`TCP_NODELAY`) instead of holding them back until those before
    /// have been acknowledged.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// stream.set_nodelay(true).unwrap();
    /// assert!(stream.nodelay().unwrap());
    /// ```
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.options().set_tcp_nodelay(nodelay)
    }

    /// Whether small writes are sent at once: see [`set_nodelay`](TcpStream::set_nodelay).
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// assert!(!stream.nodelay().unwrap());
    /// ```
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.options().tcp_nodelay()
    }

    /// Sets what becomes of unsent data when the connection is closed (`SO_LINGER`): zero throws it
    /// away and resets the connection. More than zero makes the close itself wait, on the thread
    /// and for all of its tasklets: avoid it, and end with [`shutdown`](TcpStream::shutdown) instead.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///
    /// stream.set_linger(Some(Duration::ZERO)).unwrap();
    /// assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
    /// ```
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket.options().set_linger(linger)
    }

    /// What becomes of unsent data when the connection is closed: see [`set_linger`](TcpStream::set_linger).
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// assert_eq!(stream.linger().unwrap(), None);
    /// ```
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.options().linger()
    }

    /// Sets the time to live of packets sent (IPv4).
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// stream.set_ttl(42).unwrap();
    /// assert_eq!(stream.ttl().unwrap(), 42);
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.options().set_ttl_v4(ttl)
    }

    /// The time to live of packets sent (IPv4): see [`set_ttl`](TcpStream::set_ttl).
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// assert!(stream.ttl().unwrap() > 0);
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.options().ttl_v4()
    }

    /// Takes the error that is pending on the socket, if there is one.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// assert!(stream.take_error().unwrap().is_none());
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.options().take_error()
    }

    /// All the other options of the socket, and operations that never wait. It must stay
    /// non-blocking.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// stream.socket_ref().set_keepalive(true).unwrap();
    /// ```
    pub fn socket_ref(&self) -> SockRef<'_> {
        self.socket.options()
    }
}

/// Reads through a shared reference.
impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored(bufs)
    }
}

/// Writes through a shared reference.
impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored(bufs)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes over a connected socket, set up by other means, and makes it non-blocking. What is not a TCP
/// socket is refused with [`InvalidInput`](io::ErrorKind::InvalidInput), and closed.
///
/// ```
/// use std::os::fd::OwnedFd;
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
/// let stream = actor_io::TcpStream::try_from(OwnedFd::from(other)).unwrap();
/// ```
impl TryFrom<OwnedFd> for TcpStream {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<TcpStream> {
        Ok(TcpStream::new(Socket::take_over(fd)?))
    }
}

/// Takes over a connection with its timeouts.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// let blocking = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
/// let stream = actor_io::TcpStream::try_from(blocking).unwrap();
/// let blocking = std::net::TcpStream::try_from(stream).unwrap();
/// ```
impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    fn try_from(blocking: std::net::TcpStream) -> io::Result<TcpStream> {
        let timeouts = (blocking.read_timeout()?, blocking.write_timeout()?);
        let stream = TcpStream::try_from(OwnedFd::from(blocking))?;
        stream.set_read_timeout(timeouts.0)?;
        stream.set_write_timeout(timeouts.1)?;
        Ok(stream)
    }
}

/// Gives the connection, with its timeouts, to blocking code. Fails with
/// [`ResourceBusy`](io::ErrorKind::ResourceBusy) while it [is shared](TcpStream::is_shared), since
/// the other handles need it non-blocking.
impl TryFrom<TcpStream> for std::net::TcpStream {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<std::net::TcpStream> {
        let socket = Arc::into_inner(stream.socket).ok_or_else(shared)?;
        let timeouts = (socket.read_timeout.get(), socket.write_timeout.get());
        let blocking = std::net::TcpStream::from(socket.into_fd());
        blocking.set_nonblocking(false)?;
        blocking.set_read_timeout(timeouts.0)?;
        blocking.set_write_timeout(timeouts.1)?;
        Ok(blocking)
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("addr", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .field("fd", &self.as_raw_fd())
            .finish()
    }
}
