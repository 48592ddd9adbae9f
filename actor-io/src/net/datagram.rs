//! [`DatagramSocket`], by the names of [`UdpSocket`] and [`UnixDatagram`].

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use actor_core::reactor::Direction;
use rustix::net::{RecvFlags, SocketType};
use socket2::SockRef;

use super::Handle;
use super::family::{Family, Internet, Unix};
use super::socket::{give_up, take_over};

/// A socket for datagrams: see [`UdpSocket`] and [`UnixDatagram`].
///
/// As the standard library's, but its operations block the tasklet and not the thread. Each receives,
/// or sends, one whole datagram; one without bytes is a datagram like others, and not an end.
///
/// A datagram that is longer than the buffer loses what does not fit. [`recv`](Self::recv) and its
/// relations keep silent about it, as the standard library's do; [`receive`](Self::receive) tells.
///
/// ```
/// use actor_io::{DatagramSocket, Family, UnixDatagram};
///
/// fn echo<F: Family>(socket: &DatagramSocket<F>) -> std::io::Result<()> {
///     let mut buf = [0; 1500];
///     let len = socket.recv(&mut buf)?;
///     socket.send(&buf[..len])?;
///     Ok(())
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let (near, far) = UnixDatagram::pair()?;
/// near.send(b"hello")?;
/// echo(&far)?;
/// assert_eq!(near.recv(&mut [0; 16])?, 5);
/// # Ok(())
/// # }
/// ```
pub struct DatagramSocket<F: Family> {
    pub(super) socket: Handle,
    family: PhantomData<F>,
}

/// A UDP socket.
///
/// As [`std::net::UdpSocket`], but its operations block the tasklet and not the thread: see
/// [`DatagramSocket`].
///
/// ```
/// use actor_io::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"ping", server.local_addr()?)?;
/// let mut buf = [0; 16];
/// let (len, from) = server.recv_from(&mut buf)?;
/// assert_eq!(&buf[..len], b"ping");
/// assert_eq!(from, client.local_addr()?);
/// # Ok(())
/// # }
/// ```
pub type UdpSocket = DatagramSocket<Internet>;

/// A Unix socket for datagrams.
///
/// As [`std::os::unix::net::UnixDatagram`], but its operations block the tasklet and not the thread:
/// see [`DatagramSocket`]. Datagrams arrive in the order in which they were sent, and whoever sends
/// waits while the receiver's queue is full.
///
/// ```
/// use actor_io::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// let (near, far) = UnixDatagram::pair()?;
/// near.send(b"")?;
/// assert_eq!(far.recv(&mut [0; 16])?, 0);
/// # Ok(())
/// # }
/// ```
pub type UnixDatagram = DatagramSocket<Unix>;

socket_methods!(
    DatagramSocket,
    SocketType::DGRAM,
    2,
    "actor_io::UdpSocket::bind(\"127.0.0.1:0\").unwrap()"
);

timeout_methods!(
    DatagramSocket,
    "receive",
    "send",
    "actor_io::UdpSocket::bind(\"127.0.0.1:0\").unwrap()"
);

/// A datagram that was received, apart from its bytes: see [`DatagramSocket::receive`].
///
/// ```
/// use actor_io::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// let (near, far) = UnixDatagram::pair()?;
/// near.send(b"too long")?;
/// let received = far.receive(&mut [0; 3])?;
/// assert!(received.is_truncated());
/// assert_eq!((received.len, received.sent), (3, 8));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received<A> {
    /// How many of its bytes are in the buffer.
    pub len: usize,
    /// How many there were.
    pub sent: usize,
    /// The address of the socket that sent it.
    pub from: A,
}

impl<A> Received<A> {
    /// Whether there were more bytes than the buffer has taken; they are lost.
    ///
    /// ```
    /// # let (near, far) = actor_io::UnixDatagram::pair().unwrap();
    /// near.send(b"abc").unwrap();
    /// assert!(!far.receive(&mut [0; 3]).unwrap().is_truncated());
    /// ```
    pub fn is_truncated(&self) -> bool {
        self.len < self.sent
    }
}

impl<F: Family> DatagramSocket<F> {
    /// The address of the socket that this one is connected to.
    ///
    /// ```
    /// use actor_io::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    /// assert!(socket.peer_addr().is_err());
    /// socket.connect(socket.local_addr().unwrap()).unwrap();
    /// assert_eq!(socket.peer_addr().unwrap(), socket.local_addr().unwrap());
    /// ```
    pub fn peer_addr(&self) -> io::Result<F::Addr> {
        self.socket.peer_addr::<F>()
    }

    /// Receives a datagram, and tells all there is to know about it: above all whether it was
    /// longer than `buf`.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// ```
    /// use actor_io::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    /// socket.send_to(b"0123456789", socket.local_addr().unwrap()).unwrap();
    /// let mut buf = [0; 4];
    /// let received = socket.receive(&mut buf).unwrap();
    /// assert!(received.is_truncated());
    /// assert_eq!((&buf[..received.len], received.sent), (&b"0123"[..], 10));
    /// ```
    pub fn receive(&self, buf: &mut [u8]) -> io::Result<Received<F::Addr>> {
        let (sent, from) = self.socket.recv_from::<F>(buf, RecvFlags::empty())?;
        Ok(Received {
            len: sent.min(buf.len()),
            sent,
            from,
        })
    }

    /// As [`receive`](Self::receive), but ends with `Ok(None)` once the current tasklet has been [asked to
    /// stop](actor_core::Tasklet::stop): for those who receive until then.
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// use actor_io::UdpSocket;
    ///
    /// # actor_core::dispatch(|| {
    /// let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    /// let server = Tasklet::spawn(move || {
    ///     let mut buf = [0; 1500];
    ///     while let Some(received) = socket.receive_or_stop(&mut buf).unwrap() {
    ///         socket.send_to(&buf[..received.len], received.from).unwrap();
    ///     }
    /// });
    /// server.stop();
    /// server.join().unwrap();
    /// # });
    /// ```
    pub fn receive_or_stop(&self, buf: &mut [u8]) -> io::Result<Option<Received<F::Addr>>> {
        let len = buf.len();
        let received = self.socket.recv_from_or_stop::<F>(buf)?;
        Ok(received.map(|(sent, from)| Received {
            len: sent.min(len),
            sent,
            from,
        }))
    }

    /// Waits for a datagram; gives how many bytes of it are in `buf`, and the address of its sender.
    ///
    /// # Errors
    ///
    /// What the system has to say about a datagram that this socket has sent to where it is connected
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if nobody is there), and
    /// [`TimedOut`](io::ErrorKind::TimedOut) after a timeout or deadline.
    ///
    /// ```
    /// let socket = actor_io::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// let addr = socket.local_addr().unwrap();
    /// socket.send_to(b"x", addr).unwrap();
    /// assert_eq!(socket.recv_from(&mut [0; 4]).unwrap(), (1, addr));
    /// ```
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, F::Addr)> {
        let received = self.receive(buf)?;
        Ok((received.len, received.from))
    }

    /// As [`recv_from`](Self::recv_from), without the address.
    ///
    /// ```
    /// let (near, far) = actor_io::UnixDatagram::pair().unwrap();
    /// near.send(b"x").unwrap();
    /// assert_eq!(far.recv(&mut [0; 4]).unwrap(), 1);
    /// ```
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buf, RecvFlags::empty())
    }

    /// As [`recv_from`](Self::recv_from), but leaves the datagram there for the next that receives.
    ///
    /// ```
    /// let socket = actor_io::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// let addr = socket.local_addr().unwrap();
    /// socket.send_to(b"x", addr).unwrap();
    /// assert_eq!(socket.peek_from(&mut [0; 4]).unwrap(), (1, addr));
    /// assert_eq!(socket.recv(&mut [0; 4]).unwrap(), 1);
    /// ```
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, F::Addr)> {
        let (sent, from) = self.socket.recv_from::<F>(buf, RecvFlags::PEEK)?;
        Ok((sent.min(buf.len()), from))
    }

    /// As [`recv`](Self::recv), but leaves the datagram there for the next that receives.
    ///
    /// ```
    /// let (near, far) = actor_io::UnixDatagram::pair().unwrap();
    /// near.send(b"x").unwrap();
    /// assert_eq!(far.peek(&mut [0; 4]).unwrap(), 1);
    /// assert_eq!(far.recv(&mut [0; 4]).unwrap(), 1);
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buf, RecvFlags::PEEK)
    }

    /// Sends a datagram to the socket that this one is connected to, and waits for room.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) after a timeout or deadline, and what the system says: if
    /// this socket is not connected, if the datagram is too long, if one sent before did not arrive.
    ///
    /// ```
    /// let (near, _far) = actor_io::UnixDatagram::pair().unwrap();
    /// assert_eq!(near.send(b"abc").unwrap(), 3);
    /// ```
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send(buf)
    }
}
