//! What listeners and streams have in common: a descriptor that waits, with timeouts.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use actor_core::time;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

/// The most buffers that one vectored system call takes (`IOV_MAX` of Linux).
const MAX_SLICES: usize = 1024;

/// A timeout that may be changed while others wait by it; zero nanoseconds mean none.
#[derive(Debug, Default)]
pub(super) struct Timeout(AtomicU64);

impl Timeout {
    /// A timeout of zero is refused, as in [`std::net`]: it would read as "none" to the system.
    pub(super) fn set(&self, timeout: Option<Duration>) -> io::Result<()> {
        let nanos = match timeout {
            None => 0,
            Some(timeout) => check_timeout(timeout)?
                .as_nanos()
                .try_into()
                .unwrap_or(u64::MAX),
        };
        self.0.store(nanos, Relaxed);
        Ok(())
    }

    pub(super) fn get(&self) -> Option<Duration> {
        match self.0.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// When an operation that starts now is over.
    fn deadline(&self) -> Option<Instant> {
        self.get().and_then(deadline_in)
    }
}

/// The time after `timeout`; none if it lies beyond what the clock can tell.
pub(super) fn deadline_in(timeout: Duration) -> Option<Instant> {
    time::now().checked_add(timeout)
}

pub(super) fn check_timeout(timeout: Duration) -> io::Result<Duration> {
    if timeout.is_zero() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a timeout of zero is not allowed; None waits without limit",
        ));
    }
    Ok(timeout)
}

/// A stream socket: one descriptor, shared by all who have a handle of it.
#[derive(Debug)]
pub(super) struct Socket {
    source: Source,
    pub(super) read_timeout: Timeout,
    pub(super) write_timeout: Timeout,
}

impl Socket {
    pub(super) fn new(fd: impl Into<OwnedFd>) -> io::Result<Socket> {
        Ok(Socket {
            source: Source::new(fd)?,
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
        })
    }

    /// Takes over a socket of which all that is known is its descriptor. Only stream sockets of the
    /// internet families are TCP ones.
    pub(super) fn take_over(fd: OwnedFd) -> io::Result<Socket> {
        let socket = SockRef::from(&fd);
        let of_internet = matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6);
        if !of_internet || socket.r#type()? != Type::STREAM {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the descriptor is not that of a TCP socket",
            ));
        }
        Socket::new(fd)
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn options(&self) -> SockRef<'_> {
        SockRef::from(&self.source)
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.source.into_fd()
    }

    /// Connects a new socket to `addr`.
    pub(super) fn connect(addr: SocketAddr, deadline: Option<Instant>) -> io::Result<Socket> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = socket2::Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
        // Before the reactor hears of it: a socket that has never been connected polls as hung up.
        let connected = match socket.connect(&addr.into()) {
            Ok(()) => true,
            // An interrupted connect goes on in the background like one that takes its time.
            Err(error) if is_under_way(&error) => false,
            Err(error) => return Err(error),
        };
        let socket = Socket::new(socket)?;
        if !connected {
            socket
                .source
                .io(Direction::Write, deadline, connect_outcome)?;
        }
        // A free local port that happens to be the one asked for connects a socket to itself:
        // nobody listens there.
        if is_its_own_peer(&socket.options()) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(socket)
    }

    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf.len(), |fd| {
            Ok(rustix::net::recv(fd, &mut *buf, RecvFlags::empty())?.0)
        })
    }

    pub(super) fn read_or_stop(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        if buf.is_empty() {
            return Ok(Some(0));
        }
        // As in `receive`.
        let deadline = self.read_timeout.deadline();
        self.source
            .io_stream_or_stop(Direction::Read, deadline, buf.len(), |fd| {
                Ok(rustix::net::recv(fd, &mut *buf, RecvFlags::empty())?.0)
            })
    }

    pub(super) fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let taken = bufs.len().min(MAX_SLICES);
        let bufs = &mut bufs[..taken];
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.receive(len, |fd| Ok(rustix::io::readv(fd, bufs)?))
    }

    pub(super) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.transmit(buf.len(), |fd| {
            Ok(rustix::net::send(fd, buf, SendFlags::NOSIGNAL)?)
        })
    }

    pub(super) fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(MAX_SLICES)];
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.transmit(len, |fd| {
            SockRef::from(&fd).send_vectored_with_flags(bufs, libc::MSG_NOSIGNAL)
        })
    }

    pub(super) fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        // Not `io_stream`: what was peeked at is still there, however little it was.
        self.source
            .io(Direction::Read, self.read_timeout.deadline(), |fd| {
                Ok(rustix::net::recv(fd, &mut *buf, RecvFlags::PEEK)?.0)
            })
    }

    /// Reads as a stream: a count less than `len` is taken to mean that nothing more has come in, and
    /// that there will be an event when it does.
    ///
    /// That is so for TCP, where only urgent data and the end of the stream also cut a read short; the
    /// reactor knows of both. It would not be for sockets that keep messages or ancillary data apart,
    /// as Unix ones do, or for terminals: hence [`Socket::take_over`].
    fn receive(
        &self,
        len: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if len == 0 {
            return Ok(0);
        }
        self.source.io_stream(
            Direction::Read,
            self.read_timeout.deadline(),
            len,
            operation,
        )
    }

    /// Writes as a stream: a count less than `len` is taken to mean that there is no more room. TCP
    /// sends as much as the buffer holds, and notes that somebody wants more.
    fn transmit(
        &self,
        len: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if len == 0 {
            return Ok(0);
        }
        self.source.io_stream(
            Direction::Write,
            self.write_timeout.deadline(),
            len,
            operation,
        )
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

fn is_under_way(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINPROGRESS | libc::EINTR | libc::EALREADY)
    )
}

/// Whether both ends of a connection are this one. A peer that has reset the connection meanwhile has
/// no address any more, and is told by the next read.
fn is_its_own_peer(socket: &SockRef<'_>) -> bool {
    let same = |local: SockAddr, peer: SockAddr| local.as_socket() == peer.as_socket();
    match (socket.local_addr(), socket.peer_addr()) {
        (Ok(local), Ok(peer)) => same(local, peer),
        _ => false,
    }
}

/// How a connect has ended; `WouldBlock` if it has not.
fn connect_outcome(fd: BorrowedFd<'_>) -> io::Result<()> {
    let socket = SockRef::from(&fd);
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(()),
        // Neither failed nor connected: woken too early.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

/// Takes the next connection; what it gives neither blocks nor survives `exec`.
pub(super) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    // SAFETY: `try_init` hands out storage for an address and its size in `len`, and `accept4`
    // writes no more than that, and the true length to `len`, before it returns a descriptor.
    let (fd, peer) = unsafe {
        SockAddr::try_init(|storage, len| {
            let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            match libc::accept4(listener.as_raw_fd(), storage.cast(), len, flags) {
                -1 => Err(io::Error::last_os_error()),
                // A fresh descriptor that nobody else knows of.
                fd => Ok(OwnedFd::from_raw_fd(fd)),
            }
        })
    }?;
    let peer = peer
        .as_socket()
        .ok_or_else(|| io::Error::other("the peer's address is not an internet address"))?;
    Ok((fd, peer))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A peer may reset a connection before the one who connects has taken a look at it. That is a
    /// connection that was reset, and not one that never was.
    #[test]
    fn a_connection_that_was_reset_at_once_is_no_connection_to_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        SockRef::from(&far)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(far);
        // Waits for the reset.
        near.read(&mut [0; 1]).unwrap_err();
        assert!(near.peer_addr().is_err());
        assert!(!is_its_own_peer(&SockRef::from(&near)));
    }
}
