//! [`Connector`]: from a name to a connection.

mod error;
#[cfg(feature = "tls")]
mod tls;

use std::io;
use std::path::Path;
use std::time::Duration;

use actor_core::{time, timeout};
use actor_io::__private::{connect_first, is_time_out};
use actor_io::{TcpStream, ToAddrs, UnixStream};

pub use error::{Attempt, ConnectError};
#[cfg(feature = "tls")]
pub use tls::TlsConnector;

/// Connects to a server by a name that may stand for several addresses.
///
/// ```
/// use actor_net::Connector;
/// use std::time::Duration;
///
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let port = listener.local_addr().unwrap().port();
/// let connector = Connector::builder().timeout(Duration::from_secs(5));
/// let stream = connector.connect(("localhost", port)).unwrap();
/// assert!(stream.nodelay().unwrap());
/// ```
#[derive(Debug)]
pub struct Connector;

impl Connector {
    /// Connects to the [first](ConnectorBuilder::connect) of these addresses that accepts, without a limit of time other than
    /// the system's own (minutes) and that of an enclosing [`timeout`]; `TCP_NODELAY` is set.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    ///
    /// ```
    /// use actor_net::{ConnectError, Connector};
    ///
    /// # let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    /// let error = Connector::connect(("127.0.0.1", port)).unwrap_err();
    /// assert!(matches!(&error, ConnectError::Failed { attempts } if attempts.len() == 1));
    /// ```
    pub fn connect(addr: impl ToAddrs) -> Result<TcpStream, ConnectError> {
        Connector::builder().connect(addr)
    }

    /// Connects to the Unix socket at `path`: see [`ConnectorBuilder::connect_unix`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use actor_net::Connector;
    /// use std::io;
    ///
    /// let error = Connector::connect_unix("/nobody/listens/here").unwrap_err();
    /// assert_eq!(error.kind(), io::ErrorKind::NotFound);
    /// ```
    pub fn connect_unix(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        Connector::builder().connect_unix(path)
    }

    /// A connector with options.
    ///
    /// ```
    /// use actor_net::Connector;
    /// use std::time::Duration;
    ///
    /// let connector = Connector::builder().timeout(Duration::from_secs(5)).nodelay(false);
    /// ```
    pub fn builder() -> ConnectorBuilder {
        ConnectorBuilder {
            timeout: None,
            nodelay: true,
        }
    }
}

/// The options of a [`Connector`]; can be used again and again.
///
/// ```
/// use actor_net::Connector;
///
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let addr = listener.local_addr().unwrap();
/// let connector = Connector::builder().nodelay(false);
/// let (first, second) = (connector.connect(addr).unwrap(), connector.connect(addr).unwrap());
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it connects"]
pub struct ConnectorBuilder {
    timeout: Option<Duration>,
    nodelay: bool,
}

impl ConnectorBuilder {
    /// Limits the whole: the look-up of the name and all attempts. If there is little time for many
    /// addresses they follow each other faster, so that one that does not answer leaves some for the
    /// others.
    ///
    /// ```
    /// use actor_net::{ConnectError, Connector};
    /// use std::time::Duration;
    ///
    /// # let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    /// # listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    /// # listener.listen(0).unwrap();
    /// # let busy = listener.local_addr().unwrap().as_socket().unwrap();
    /// # let _filler = std::net::TcpStream::connect(busy).unwrap();
    /// let connector = Connector::builder().timeout(Duration::from_millis(20));
    /// let error = connector.connect(busy).unwrap_err();
    /// assert!(matches!(error, ConnectError::TimedOut { .. }));
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). On by default.
    ///
    /// ```
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let addr = listener.local_addr().unwrap();
    /// let connector = actor_net::Connector::builder().nodelay(false);
    /// assert!(!connector.connect(addr).unwrap().nodelay().unwrap());
    /// ```
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Connects to the first of these addresses that accepts.
    ///
    /// They are tried in the order given, but by turns of IPv6 and IPv4, beginning with the family of the
    /// first. The next is tried as soon as one refuses, and beside those that have not answered within a
    /// quarter of a second, so that a host that is not reachable by one of the two does not cost minutes
    /// ("happy eyeballs", RFC 8305). All attempts are made by the calling tasklet. One that is given up closes
    /// its socket; a look-up that is given up goes on in the background.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    ///
    /// ```
    /// # let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let addr = listener.local_addr().unwrap();
    /// let stream = actor_net::Connector::builder().connect([dead, addr]).unwrap();
    /// assert_eq!(stream.peer_addr().unwrap(), addr);
    /// ```
    pub fn connect(&self, addr: impl ToAddrs) -> Result<TcpStream, ConnectError> {
        // A limit beyond what the clock can tell is none.
        let deadline = self
            .timeout
            .and_then(|limit| time::now().checked_add(limit));
        let addrs = match self.timeout {
            Some(limit) => timeout(limit, || addr.to_addrs()),
            None => addr.to_addrs(),
        };
        let addrs = addrs.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => ConnectError::TimedOut {
                attempts: Vec::new(),
            },
            _ => ConnectError::Resolve(error),
        })?;
        if addrs.is_empty() {
            return Err(ConnectError::NoAddress);
        }
        let stream = connect_first(&addrs, deadline).map_err(|attempts| {
            let over = deadline.is_some_and(|at| time::now() >= at)
                || attempts.is_empty()
                || attempts.iter().any(|(_, error)| is_time_out(error));
            let attempts = attempts
                .into_iter()
                .map(|(address, error)| Attempt { address, error })
                .collect();
            match over {
                true => ConnectError::TimedOut { attempts },
                false => ConnectError::Failed { attempts },
            }
        })?;
        // If that fails the connection is lost already, which the next operation tells better.
        let _ = stream.set_nodelay(self.nodelay);
        Ok(stream)
    }

    /// Connects to the Unix socket at `path`, within the [timeout](Self::timeout). Waits only if the server
    /// has as many connections to accept as it wants to have.
    ///
    /// # Errors
    ///
    /// Those of [`UnixStream::connect`], and [`TimedOut`](io::ErrorKind::TimedOut).
    ///
    /// ```
    /// use actor_net::Connector;
    /// use std::time::Duration;
    ///
    /// # let path = std::env::temp_dir().join(format!("connector-{}", std::process::id()));
    /// # let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    /// let connector = Connector::builder().timeout(Duration::from_secs(5));
    /// let stream = connector.connect_unix(&path).unwrap();
    /// assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn connect_unix(&self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        match self.timeout {
            Some(limit) => timeout(limit, || UnixStream::connect(path)),
            None => UnixStream::connect(path),
        }
    }
}
