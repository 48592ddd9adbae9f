//! What only TCP has.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::sockopt;

use super::family::Internet;
use super::handle::{check_timeout, deadline_in};
use super::listener::{Listener, TcpListener};
use super::socket;
use super::stream::{Stream, TcpStream};
use crate::addrs::{ToAddrs, first_of};

impl Listener<Internet> {
    /// Listens on the first of these addresses that can be had. Port 0 asks the system for a free
    /// one. `SO_REUSEADDR` is set, so that a server can be restarted at once. Waits only where there is
    /// a name to be looked up.
    ///
    /// Other options, such as `SO_REUSEPORT`, are set before on a [`socket2::Socket`], which can be
    /// converted when it listens.
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
            Ok(Listener::from_handle(socket::listen::<Internet>(&addr)?))
        })
    }
}

ttl_methods!(
    Listener<Internet>,
    "",
    "actor_io::TcpListener::bind(\"127.0.0.1:0\").unwrap()"
);

impl Stream<Internet> {
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
            let socket = socket::connect::<Internet>(&addr, None)?;
            Ok(Stream::from_handle(socket))
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
        let socket = socket::connect::<Internet>(addr, deadline)?;
        Ok(Stream::from_handle(socket))
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

    /// Acknowledges at once what comes in (`TCP_QUICKACK`), until the system finds that it need not.
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// stream.set_quickack(true).unwrap();
    /// assert!(stream.quickack().unwrap());
    /// ```
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_quickack(&self.socket, quickack)?)
    }

    /// Whether what comes in is acknowledged at once: see [`set_quickack`](TcpStream::set_quickack).
    ///
    /// ```
    /// # use actor_io::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// println!("{}", stream.quickack().unwrap());
    /// ```
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_quickack(&self.socket)?)
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
}

ttl_methods!(
    Stream<Internet>,
    "# let listener = actor_io::TcpListener::bind(\"127.0.0.1:0\").unwrap();",
    "actor_io::TcpStream::connect(listener.local_addr().unwrap()).unwrap()"
);
