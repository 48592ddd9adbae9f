//! What sockets do, whatever their family: the system calls, and when to repeat them.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use actor_core::reactor::Direction;
use actor_core::sync::Event;
use actor_core::{TimedOut, Unwinding, time};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, sockopt,
};
use socket2::SockRef;

use super::family::Family;
use super::handle::Handle;

/// The most buffers that one vectored system call takes (`IOV_MAX` of Linux).
const MAX_SLICES: usize = 1024;

/// How many connections may wait to be accepted; the system may know a lower bound
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// The pauses before a Unix listener whose queue was full is tried again: each twice the one before.
const FIRST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

const FRESH: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// A new socket for talking to, or as, `addr`.
fn create(addr: &SocketAddrAny, kind: SocketType) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        addr.address_family(),
        kind,
        FRESH,
        None,
    )?)
}

/// A new datagram socket with the address `addr`.
pub(super) fn bind<F: Family>(addr: &F::Addr) -> io::Result<Handle> {
    let addr = F::encode(addr)?;
    let socket = create(&addr, SocketType::DGRAM)?;
    rustix::net::bind(&socket, &addr)?;
    Handle::new(socket)
}

/// A new socket that listens at `addr`.
pub(super) fn listen<F: Family>(addr: &F::Addr) -> io::Result<Handle> {
    let addr = F::encode(addr)?;
    let socket = create(&addr, SocketType::STREAM)?;
    if addr.address_family() != AddressFamily::UNIX {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &addr)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Handle::new(socket)
}

/// A new stream, connected to `addr`.
pub(super) fn connect<F: Family>(addr: &F::Addr, deadline: Option<Instant>) -> io::Result<Handle> {
    let (fd, connected) = begin_connect::<F>(addr, deadline)?;
    let socket = Handle::new(fd)?;
    if !connected {
        let socket = match deadline {
            Some(deadline) => socket.with_deadline(deadline),
            None => socket.clone(),
        };
        socket.io(Direction::Write, connect_outcome)?;
    }
    check_peer(&socket.options())?;
    Ok(socket)
}

/// A new stream on its way to `addr`, and whether it is there already.
pub(super) fn begin_connect<F: Family>(
    addr: &F::Addr,
    deadline: Option<Instant>,
) -> io::Result<(OwnedFd, bool)> {
    let addr = F::encode(addr)?;
    let fd = create(&addr, SocketType::STREAM)?;
    // Before the reactor hears of it: a socket that has never been connected polls as hung up.
    let connected = retry_for_room(deadline, || match rustix::net::connect(&fd, &addr) {
        Ok(()) => Ok(Some(true)),
        // An interrupted connect goes on in the background like one that takes its time.
        Err(Errno::INPROGRESS | Errno::INTR | Errno::ALREADY) => Ok(Some(false)),
        // The listener's queue is full. There is no event for the moment when it no longer is.
        Err(Errno::AGAIN) if addr.address_family() == AddressFamily::UNIX => Ok(None),
        Err(error) => Err(error.into()),
    })?;
    Ok((fd, connected))
}

/// Refuses a connection to itself, which a free local port makes that happens to be the one asked for:
/// nobody listens there.
pub(super) fn check_peer(socket: &SockRef<'_>) -> io::Result<()> {
    match is_its_own_peer(socket) {
        true => Err(io::ErrorKind::ConnectionRefused.into()),
        false => Ok(()),
    }
}

/// Repeats what needs room in the queue of another socket, until it succeeds.
fn retry_for_room<T>(
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> io::Result<Option<T>>,
) -> io::Result<T> {
    // Never sets anything off, but an operation it is: it counts as one, hears of a kill, and has an error
    // to give where a sleep would unwind to the edge of the `timeout` block that has expired.
    let room = Event::new();
    room.set();
    room.wait_timeout(Duration::MAX)?;
    room.clear();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        // Then there is no waiting.
        if std::thread::panicking() {
            return Err(Unwinding.into());
        }
        let left = deadline.map_or(pause, |at| at.saturating_duration_since(time::now()));
        if left.is_zero() {
            return Err(TimedOut.into());
        }
        let rest = pause.min(left);
        let rested = time::now() + rest;
        // Ends before its time only for the sake of a `timeout` block.
        if room.wait_timeout(rest).is_err() && time::now() < rested {
            return Err(TimedOut.into());
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether both ends of a connection are this one. A peer that has reset the connection meanwhile has
/// no address any more, and is told by the next read.
fn is_its_own_peer(socket: &SockRef<'_>) -> bool {
    let internet = |addr: io::Result<socket2::SockAddr>| addr.ok()?.as_socket();
    let local: Option<SocketAddr> = internet(socket.local_addr());
    local.is_some() && local == internet(socket.peer_addr())
}

/// How a connect has ended; `WouldBlock` if it has not.
pub fn connect_outcome(fd: BorrowedFd<'_>) -> io::Result<()> {
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

/// A socket that was set up by other means, with the timeouts that the system has for it. Only
/// sockets of this family and kind are taken.
pub(super) fn take_over<F: Family>(fd: OwnedFd, kind: SocketType) -> io::Result<Handle> {
    let fits = F::includes(sockopt::socket_domain(&fd)?) && sockopt::socket_type(&fd)? == kind;
    if !fits {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the descriptor is a socket of another kind",
        ));
    }
    let options = SockRef::from(&fd);
    let timeouts = (options.read_timeout()?, options.write_timeout()?);
    let handle = Handle::new(fd)?;
    handle.set_timeout(Direction::Read, timeouts.0)?;
    handle.set_timeout(Direction::Write, timeouts.1)?;
    Ok(handle)
}

/// A socket for blocking code, with its timeouts.
pub(super) fn give_up(handle: Handle) -> io::Result<OwnedFd> {
    let (source, [read, write]) = handle.into_parts()?;
    let fd = source.into_fd();
    let options = SockRef::from(&fd);
    options.set_nonblocking(false)?;
    options.set_read_timeout(read)?;
    options.set_write_timeout(write)?;
    Ok(fd)
}

/// Two connected sockets without names.
pub(super) fn pair(kind: SocketType) -> io::Result<(Handle, Handle)> {
    let (near, far) = rustix::net::socketpair(AddressFamily::UNIX, kind, FRESH, None)?;
    Ok((Handle::new(near)?, Handle::new(far)?))
}

/// A datagram socket without a name.
pub(super) fn unbound() -> io::Result<Handle> {
    Handle::new(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        FRESH,
        None,
    )?)
}

/// Takes the next connection; what it gives neither blocks nor survives `exec`.
pub(super) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    Ok(rustix::net::acceptfrom_with(listener, FRESH)?)
}

/// What all sockets do, in the terms of their family.
impl Handle {
    pub(super) fn local_addr<F: Family>(&self) -> io::Result<F::Addr> {
        F::decode(Some(rustix::net::getsockname(self.as_fd())?))
    }

    pub(super) fn peer_addr<F: Family>(&self) -> io::Result<F::Addr> {
        F::decode(rustix::net::getpeername(self.as_fd())?)
    }

    pub(super) fn connect_to<F: Family>(&self, addr: &F::Addr) -> io::Result<()> {
        let addr = F::encode(addr)?;
        // Notes an address, and has nothing to wait for.
        self.at_once(|fd| Ok(rustix::net::connect(fd, &addr)?))
    }
}

/// The count below which an operation on `len` bytes shows that there is no more for now.
fn wanted<F: Family>(len: usize) -> usize {
    if F::SHORT_IS_EXHAUSTED { len } else { 0 }
}

/// What streams do.
impl Handle {
    pub(super) fn read<F: Family>(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive::<F>(buf.len(), |fd| {
            Ok(rustix::net::recv(fd, &mut *buf, RecvFlags::empty())?.0)
        })
    }

    pub(super) fn read_or_stop<F: Family>(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        if buf.is_empty() {
            return Ok(Some(0));
        }
        let wanted = wanted::<F>(buf.len());
        self.io_stream_or_stop(Direction::Read, wanted, |fd| {
            Ok(rustix::net::recv(fd, &mut *buf, RecvFlags::empty())?.0)
        })
    }

    pub(super) fn read_vectored<F: Family>(
        &self,
        bufs: &mut [IoSliceMut<'_>],
    ) -> io::Result<usize> {
        let taken = bufs.len().min(MAX_SLICES);
        let bufs = &mut bufs[..taken];
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.receive::<F>(len, |fd| Ok(rustix::io::readv(fd, bufs)?))
    }

    pub(super) fn write<F: Family>(&self, buf: &[u8]) -> io::Result<usize> {
        self.transmit::<F>(buf.len(), |fd| {
            Ok(rustix::net::send(fd, buf, SendFlags::NOSIGNAL)?)
        })
    }

    pub(super) fn write_vectored<F: Family>(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(MAX_SLICES)];
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.transmit::<F>(len, |fd| {
            SockRef::from(&fd).send_vectored_with_flags(bufs, libc::MSG_NOSIGNAL)
        })
    }

    fn receive<F: Family>(
        &self,
        len: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if len == 0 {
            return Ok(0);
        }
        self.io_stream(Direction::Read, wanted::<F>(len), operation)
    }

    fn transmit<F: Family>(
        &self,
        len: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if len == 0 {
            return Ok(0);
        }
        self.io_stream(Direction::Write, wanted::<F>(len), operation)
    }
}

/// What datagram sockets do. A buffer of no bytes receives a datagram too, and one without bytes is
/// one: nothing is special about zero.
impl Handle {
    /// Receives into `buf`; how long the datagram was, which may be longer, and whose it is.
    pub(super) fn recv_from<F: Family>(
        &self,
        buf: &mut [u8],
        flags: RecvFlags,
    ) -> io::Result<(usize, F::Addr)> {
        let (len, from) = self.io(Direction::Read, |fd| recv_from(fd, buf, flags))?;
        Ok((len, F::decode(from)?))
    }

    pub(super) fn recv_from_or_stop<F: Family>(
        &self,
        buf: &mut [u8],
    ) -> io::Result<Option<(usize, F::Addr)>> {
        let receive = |fd: BorrowedFd<'_>| recv_from(fd, buf, RecvFlags::empty());
        match self.io_or_stop(Direction::Read, receive)? {
            Some((len, from)) => Ok(Some((len, F::decode(from)?))),
            None => Ok(None),
        }
    }

    /// Receives, or peeks, without asking whose it is; how much of it is in `buf`. On streams too.
    pub(super) fn recv(&self, buf: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        self.io(Direction::Read, |fd| {
            match rustix::net::recv(fd, &mut *buf, flags) {
                Ok((len, _)) => Ok(len),
                Err(error) => nothing_if_ended(fd, error).map(|()| 0),
            }
        })
    }

    pub(super) fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io(Direction::Write, |fd| {
            Ok(rustix::net::send(fd, buf, SendFlags::NOSIGNAL)?)
        })
    }

    pub(super) fn send_to<F: Family>(&self, buf: &[u8], addr: &F::Addr) -> io::Result<usize> {
        let addr = F::encode(addr)?;
        let send =
            |fd: BorrowedFd<'_>| Ok(rustix::net::sendto(fd, buf, SendFlags::NOSIGNAL, &addr)?);
        if addr.address_family() != AddressFamily::UNIX || self.is_nonblocking() {
            return self.io(Direction::Write, send);
        }
        // If it is the receiver's queue that is full there is no event for the moment when it no
        // longer is, unless this socket is connected to it.
        let deadline = self.deadline(Direction::Write);
        retry_for_room(deadline, || match self.at_once(send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            sent => sent.map(Some),
        })
    }
}

fn recv_from(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Option<SocketAddrAny>)> {
    match rustix::net::recvfrom(socket, buf, flags | RecvFlags::TRUNC) {
        Ok((_, len, from)) => Ok((len, from)),
        Err(error) => nothing_if_ended(socket, error).map(|()| (0, None)),
    }
}

/// Whether receiving has failed because the socket has been shut down. The system says so to those who
/// wait, and tells the others to try again.
fn nothing_if_ended(socket: BorrowedFd<'_>, error: Errno) -> io::Result<()> {
    if error == Errno::AGAIN {
        let mut entry = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
        let now = Timespec::default();
        if rustix::event::poll(&mut entry, Some(&now))? > 0
            && entry[0].revents().contains(PollFlags::RDHUP)
        {
            return Ok(());
        }
    }
    Err(error.into())
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
