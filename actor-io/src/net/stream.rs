//! [`Stream`], by the names of [`TcpStream`] and [`UnixStream`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use actor_core::reactor::Direction;
use rustix::net::{RecvFlags, SocketType};
use socket2::SockRef;

use super::Handle;
use super::family::{Family, Internet, Unix};
use super::socket::{give_up, take_over};

/// A connection, over TCP or between Unix sockets: see [`TcpStream`] and [`UnixStream`].
///
/// As the standard library's, but its operations block the tasklet and not the thread. One tasklet
/// may read while another writes, through a [clone](Stream::try_clone), a shared reference or the
/// halves of a [`BufferedStream`](crate::BufferedStream). Several may also read, or write; each byte
/// then goes to, or comes from, one of them.
///
/// A timeout that expires is told as [`TimedOut`](io::ErrorKind::TimedOut) (the standard library
/// says `WouldBlock` on some systems). Writing to a connection that the peer has closed is an error
/// and never a signal.
///
/// ```
/// use actor_io::{Family, Stream, TcpListener, TcpStream, UnixStream};
/// use std::io::{self, Read, Write};
///
/// fn ask<F: Family>(mut stream: Stream<F>) -> io::Result<String> {
///     stream.write_all(b"name?")?;
///     stream.shutdown(std::net::Shutdown::Write)?;
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer)?;
///     Ok(answer)
/// }
///
/// # fn main() -> io::Result<()> {
/// let (near, far) = UnixStream::pair()?;
/// (&far).write_all(b"echo")?;
/// far.shutdown(std::net::Shutdown::Write)?;
/// assert_eq!(ask(near)?, "echo");
/// # Ok(())
/// # }
/// ```
pub struct Stream<F: Family> {
    pub(super) socket: Handle,
    family: PhantomData<F>,
}

/// A TCP connection.
///
/// As [`std::net::TcpStream`], but its operations block the tasklet and not the thread: see
/// [`Stream`].
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
pub type TcpStream = Stream<Internet>;

/// A connection between Unix sockets.
///
/// As [`std::os::unix::net::UnixStream`], but its operations block the tasklet and not the thread:
/// see [`Stream`].
///
/// ```
/// use std::io::{Read, Write};
/// use actor_io::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// let (mut near, mut far) = UnixStream::pair()?;
/// near.write_all(b"ping")?;
/// let mut request = [0; 4];
/// far.read_exact(&mut request)?;
/// assert_eq!(&request, b"ping");
/// # Ok(())
/// # }
/// ```
pub type UnixStream = Stream<Unix>;

socket_methods!(
    Stream,
    SocketType::STREAM,
    0,
    "actor_io::UnixStream::pair().unwrap().0"
);

timeout_methods!(
    Stream,
    "read",
    "write",
    "actor_io::UnixStream::pair().unwrap().0"
);

impl<F: Family> Stream<F> {
    pub(crate) fn socket(&self) -> &Handle {
        &self.socket
    }

    /// The address of the other end. On TCP it fails once that has reset the connection.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let addr = listener.local_addr().unwrap();
    /// let stream = TcpStream::connect(addr).unwrap();
    /// assert_eq!(stream.peer_addr().unwrap(), addr);
    /// ```
    pub fn peer_addr(&self) -> io::Result<F::Addr> {
        self.socket.peer_addr::<F>()
    }

    /// Ends one direction or both, for all handles of this connection. Who waits in a direction
    /// that ends is woken: a read gives 0 bytes, a write fails with
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe).
    ///
    /// ```
    /// use std::io::Read;
    /// use std::net::Shutdown;
    /// # use actor_io::UnixStream;
    ///
    /// let (near, mut far) = UnixStream::pair().unwrap();
    /// near.shutdown(Shutdown::Write).unwrap();
    /// assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.options().shutdown(how)
    }

    /// Reads what is there, or waits for it, and leaves it there for the next read. The read timeout
    /// holds for it.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// # use actor_io::UnixStream;
    ///
    /// let (mut near, mut far) = UnixStream::pair().unwrap();
    /// near.write_all(b"x").unwrap();
    /// let mut seen = [0; 8];
    /// assert_eq!(far.peek(&mut seen).unwrap(), 1);
    /// assert_eq!(far.read(&mut seen).unwrap(), 1);
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buf, RecvFlags::PEEK)
    }

    /// Reads as [`Read::read`] does, but ends with `Ok(None)` once the current tasklet has been [asked to
    /// stop](actor_core::Tasklet::stop): for those who read until then.
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// # use actor_io::UnixStream;
    ///
    /// # actor_core::dispatch(|| {
    /// let (near, _far) = UnixStream::pair().unwrap();
    /// let reader = Tasklet::spawn(move || near.read_or_stop(&mut [0; 8]));
    /// reader.stop();
    /// assert_eq!(reader.join().unwrap().unwrap(), None);
    /// # });
    /// ```
    pub fn read_or_stop(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.socket.read_or_stop::<F>(buf)
    }
}

/// Reads through a shared reference.
impl<F: Family> Read for &Stream<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read::<F>(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored::<F>(bufs)
    }
}

/// Writes through a shared reference.
impl<F: Family> Write for &Stream<F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.write::<F>(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored::<F>(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: Family> Read for Stream<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read::<F>(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored::<F>(bufs)
    }
}

impl<F: Family> Write for Stream<F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.write::<F>(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored::<F>(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
