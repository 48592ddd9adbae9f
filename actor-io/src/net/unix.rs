//! What only Unix sockets have: paths, and pairs.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::net::SocketType;

use super::datagram::{DatagramSocket, UnixDatagram};
use super::family::Unix;
use super::handle::{check_timeout, deadline_in};
use super::listener::{Listener, UnixListener};
use super::socket;
use super::stream::{Stream, UnixStream};

impl Listener<Unix> {
    /// Listens at `path`, which must not exist and is created.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("bind-{}", std::process::id()));
    /// let listener = actor_io::UnixListener::bind(&path).unwrap();
    /// assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Listens at an address, which may be an abstract name: one that is in no file system, and free
    /// again once the socket is closed.
    ///
    /// ```
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    /// use actor_io::{UnixListener, UnixStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let name = format!("example-{}", std::process::id());
    /// let addr = SocketAddr::from_abstract_name(name)?;
    /// let listener = UnixListener::bind_addr(&addr)?;
    /// let client = UnixStream::connect_addr(&addr)?;
    /// # listener.accept()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixListener> {
        Ok(Listener::from_handle(socket::listen::<Unix>(addr)?))
    }
}

impl Stream<Unix> {
    /// Connects to the socket that listens at `path`; waits while its queue is full.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("connect-{}", std::process::id()));
    /// let listener = actor_io::UnixListener::bind(&path).unwrap();
    /// let stream = actor_io::UnixStream::connect(&path).unwrap();
    /// assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to the socket that listens at an address; waits while its queue is full. See
    /// [`UnixListener::bind_addr`].
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// let addr = std::os::unix::net::SocketAddr::from_pathname("/run/service")?;
    /// let stream = actor_io::UnixStream::connect_addr(&addr)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_addr(addr: &SocketAddr) -> io::Result<UnixStream> {
        Ok(Stream::from_handle(socket::connect::<Unix>(addr, None)?))
    }

    /// Connects to the socket that listens at an address, waiting no longer than `timeout` while its
    /// queue is full.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) when the time is over,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when it is zero, and what the system says.
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    ///
    /// let addr = std::os::unix::net::SocketAddr::from_pathname("/run/service")?;
    /// let stream = actor_io::UnixStream::connect_timeout(&addr, Duration::from_secs(5))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<UnixStream> {
        let deadline = deadline_in(check_timeout(timeout)?);
        Ok(Stream::from_handle(socket::connect::<Unix>(
            addr, deadline,
        )?))
    }

    /// Two streams that are connected to each other.
    ///
    /// ```
    /// let (near, far) = actor_io::UnixStream::pair().unwrap();
    /// ```
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (near, far) = socket::pair(SocketType::STREAM)?;
        Ok((Stream::from_handle(near), Stream::from_handle(far)))
    }
}

impl DatagramSocket<Unix> {
    /// A socket with the address `path`, which must not exist and is created.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("datagram-{}", std::process::id()));
    /// let socket = actor_io::UnixDatagram::bind(&path).unwrap();
    /// assert_eq!(socket.local_addr().unwrap().as_pathname(), Some(&*path));
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        UnixDatagram::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// A socket with an address, which may be an abstract name: see [`UnixListener::bind_addr`].
    ///
    /// ```
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let name = format!("datagrams-{}", std::process::id());
    /// let addr = SocketAddr::from_abstract_name(name)?;
    /// let socket = actor_io::UnixDatagram::bind_addr(&addr)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixDatagram> {
        Ok(DatagramSocket::from_handle(socket::bind::<Unix>(addr)?))
    }

    /// A socket without an address: it can send, but nobody can answer.
    ///
    /// ```
    /// let socket = actor_io::UnixDatagram::unbound().unwrap();
    /// assert!(socket.local_addr().unwrap().is_unnamed());
    /// ```
    pub fn unbound() -> io::Result<UnixDatagram> {
        Ok(DatagramSocket::from_handle(socket::unbound()?))
    }

    /// Two sockets that are connected to each other.
    ///
    /// ```
    /// let (near, far) = actor_io::UnixDatagram::pair().unwrap();
    /// ```
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (near, far) = socket::pair(SocketType::DGRAM)?;
        Ok((
            DatagramSocket::from_handle(near),
            DatagramSocket::from_handle(far),
        ))
    }

    /// Connects to the socket at `path`: [`send`](Self::send) sends to it, and only what it sends is
    /// received.
    ///
    /// ```
    /// use actor_io::UnixDatagram;
    ///
    /// # let path = std::env::temp_dir().join(format!("peer-{}", std::process::id()));
    /// let server = UnixDatagram::bind(&path).unwrap();
    /// let client = UnixDatagram::unbound().unwrap();
    /// client.connect(&path).unwrap();
    /// client.send(b"x").unwrap();
    /// assert_eq!(server.recv(&mut [0; 4]).unwrap(), 1);
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to the socket at an address: see [`connect`](UnixDatagram::connect).
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// let addr = std::os::unix::net::SocketAddr::from_pathname("/run/service")?;
    /// actor_io::UnixDatagram::unbound()?.connect_addr(&addr)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        self.socket.connect_to::<Unix>(addr)
    }

    /// Sends a datagram to the socket at `path`. Waits while there is no room in its queue.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// ```
    /// use actor_io::UnixDatagram;
    ///
    /// # let path = std::env::temp_dir().join(format!("send-{}", std::process::id()));
    /// let server = UnixDatagram::bind(&path).unwrap();
    /// UnixDatagram::unbound().unwrap().send_to(b"x", &path).unwrap();
    /// assert_eq!(server.recv(&mut [0; 4]).unwrap(), 1);
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_addr(buf, &SocketAddr::from_pathname(path)?)
    }

    /// Sends a datagram to the socket at an address: see [`send_to`](UnixDatagram::send_to).
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// let addr = std::os::unix::net::SocketAddr::from_pathname("/run/service")?;
    /// actor_io::UnixDatagram::unbound()?.send_to_addr(b"x", &addr)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_to_addr(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        self.socket.send_to::<Unix>(buf, addr)
    }

    /// Ends one direction or both, for all handles of this socket, which is connected.
    ///
    /// ```
    /// use std::net::Shutdown;
    ///
    /// let (near, far) = actor_io::UnixDatagram::pair().unwrap();
    /// near.shutdown(Shutdown::Both).unwrap();
    /// assert!(far.send(b"x").is_err());
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.options().shutdown(how)
    }
}
