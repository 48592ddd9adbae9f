//! [`Listener`], by the names of [`TcpListener`] and [`UnixListener`].

use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use rustix::net::{SocketAddrAny, SocketType};
use socket2::SockRef;

use super::Handle;
use super::family::{Family, Internet, Unix};
use super::socket::{accept, give_up, take_over};
use super::stream::Stream;

/// A socket that listens for connections: see [`TcpListener`] and [`UnixListener`].
///
/// As the standard library's, but [`accept`](Listener::accept) blocks the tasklet and not the thread.
/// It is closed when the last handle of it has been dropped.
///
/// ```
/// use actor_io::{Family, Listener, TcpListener, TcpStream};
/// use std::io;
///
/// fn accept_two<F: Family>(listener: &Listener<F>) -> io::Result<()> {
///     for stream in listener.incoming().take(2) {
///         println!("{:?}", stream?);
///     }
///     Ok(())
/// }
///
/// # fn main() -> io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let _clients = [(); 2].map(|()| TcpStream::connect(listener.local_addr().unwrap()));
/// accept_two(&listener)
/// # }
/// ```
pub struct Listener<F: Family> {
    pub(super) socket: Handle,
    family: PhantomData<F>,
}

/// A socket that listens for TCP connections.
///
/// As [`std::net::TcpListener`], but [`accept`](Listener::accept) blocks the tasklet and not the
/// thread.
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
pub type TcpListener = Listener<Internet>;

/// A Unix socket that listens for connections.
///
/// As [`std::os::unix::net::UnixListener`], but [`accept`](Listener::accept) blocks the tasklet and
/// not the thread. Like there, its path stays in the file system when it is closed.
///
/// ```
/// use actor_io::{UnixListener, UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// let path = std::env::temp_dir().join(format!("listener-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// let client = UnixStream::connect(&path)?;
/// let (stream, peer) = listener.accept()?;
/// assert!(peer.is_unnamed());
/// # std::fs::remove_file(path)
/// # }
/// ```
pub type UnixListener = Listener<Unix>;

socket_methods!(
    Listener,
    SocketType::STREAM,
    1,
    "actor_io::TcpListener::bind(\"127.0.0.1:0\").unwrap()"
);

impl<F: Family> Listener<F> {
    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of one connection, such as [`ConnectionAborted`](io::ErrorKind::ConnectionAborted), and
    /// running out of descriptors are reported here and leave the listener as it was. In the second
    /// case the connection still waits, so that the next attempt fails at once until there is a
    /// descriptor: pause before it, as `Server` of the crate `actor-net` does.
    /// [`TimedOut`](io::ErrorKind::TimedOut) comes from the [deadline](Self::with_deadline) of this
    /// handle or an enclosing [`timeout`](actor_core::timeout).
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
    pub fn accept(&self) -> io::Result<(Stream<F>, F::Addr)> {
        adopt(self.socket.io(Direction::Read, accept)?)
    }

    /// As [`accept`](Listener::accept), but ends with `Ok(None)` once the current tasklet has
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
    pub fn accept_or_stop(&self) -> io::Result<Option<(Stream<F>, F::Addr)>> {
        let accepted = self.socket.io_or_stop(Direction::Read, accept)?;
        accepted.map(adopt).transpose()
    }

    /// The connections as they come in, or the errors of [`accept`](Listener::accept), none of which
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
    pub fn incoming(&self) -> Incoming<'_, F> {
        Incoming { listener: self }
    }
}

/// The next connection of a listener, if one waits already: asks the system, whatever has been heard from it.
pub fn accept_waiting<F: Family>(listener: &Listener<F>) -> io::Result<(Stream<F>, F::Addr)> {
    adopt(accept(listener.as_fd())?)
}

fn adopt<F: Family>(
    (fd, peer): (OwnedFd, Option<SocketAddrAny>),
) -> io::Result<(Stream<F>, F::Addr)> {
    // It is accepted as one that does not block.
    let handle = Handle::of(Source::as_is(fd));
    Ok((Stream::from_handle(handle), F::decode(peer)?))
}

/// The connections of a listener: see [`Listener::incoming`].
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
pub struct Incoming<'a, F: Family = Internet> {
    listener: &'a Listener<F>,
}

impl<F: Family> Iterator for Incoming<'_, F> {
    type Item = io::Result<Stream<F>>;

    fn next(&mut self) -> Option<io::Result<Stream<F>>> {
        Some(self.listener.accept().map(|(stream, _peer)| stream))
    }
}

impl<F: Family> FusedIterator for Incoming<'_, F> {}

impl<'a, F: Family> IntoIterator for &'a Listener<F> {
    type Item = io::Result<Stream<F>>;
    type IntoIter = Incoming<'a, F>;

    fn into_iter(self) -> Incoming<'a, F> {
        self.incoming()
    }
}
