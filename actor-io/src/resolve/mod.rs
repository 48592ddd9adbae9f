//! Names to addresses.

#[cfg(feature = "hickory")]
mod dns;
mod error;
mod flight;
mod system;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

#[cfg(feature = "hickory")]
pub use dns::{Dns, Service};
pub use error::ResolveError;
use flight::Flights;

/// How many look-ups the system's resolver makes at a time.
///
/// ```
/// assert_eq!(actor_io::DEFAULT_RESOLVER_THREADS, 8);
/// ```
pub const DEFAULT_RESOLVER_THREADS: usize = 8;

static SYSTEM: LazyLock<Resolver> =
    LazyLock::new(|| Resolver::new(DEFAULT_RESOLVER_THREADS, system::look_up));

/// The addresses of `host`, with `port`, as the system's resolver knows them: by the hosts file, name servers,
/// and whatever else `nsswitch.conf` says. In the order in which they are to be tried (RFC 6724); at
/// least one. Literal addresses are parsed on the spot.
///
/// Only the calling tasklet waits. The system's resolver blocks its thread, for half a minute when a name
/// server is down, and cannot be interrupted. So it has a few
/// [threads of its own](DEFAULT_RESOLVER_THREADS), and whoever asks for a name that is being looked up already
/// shares that answer. A caller that leaves, by its time, a [`timeout`](actor_core::timeout) around it or a kill,
/// leaves the look-up to go on in the background.
///
/// # Errors
///
/// See [`ResolveError`]. When all threads are held, further names wait for one within their own time; when
/// all have been held for five seconds, they are refused at once.
///
/// ```
/// use actor_io::resolve;
/// use std::time::Duration;
///
/// let limit = Duration::from_secs(5);
/// assert_eq!(resolve("::1", 80, limit).unwrap(), ["[::1]:80".parse().unwrap()]);
/// assert!(resolve("localhost", 80, limit).unwrap().iter().all(|addr| addr.ip().is_loopback()));
/// ```
pub fn resolve(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    SYSTEM.resolve(host, port, timeout)
}

/// As [`resolve`], without a limit other than that of a `timeout` around it.
pub(crate) fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(SYSTEM.resolve(host, port, Duration::MAX)?)
}

/// Looks names up by a function that may block its thread, as [`resolve`] does by the system's.
///
/// For sources of one's own, and for tests. Clones share the threads and what is being looked up.
///
/// ```
/// use actor_io::{ResolveError, Resolver};
/// use std::time::Duration;
///
/// let resolver = Resolver::new(2, |host| match host {
///     "printer" => Ok(vec![([10, 0, 0, 7], 0).into()]),
///     _ => Err(ResolveError::NotFound),
/// });
/// let addrs = resolver.resolve("Printer", 631, Duration::from_secs(1)).unwrap();
/// assert_eq!(addrs, ["10.0.0.7:631".parse().unwrap()]);
/// ```
#[derive(Clone)]
pub struct Resolver {
    flights: Arc<Flights>,
}

impl Resolver {
    /// Looks up by `source`, on at most so many threads, which are started when there is something to do and
    /// end when there is nothing. Names come in lower case; the ports of what it returns do not matter.
    ///
    /// ```
    /// # use actor_io::{ResolveError, Resolver};
    /// let nobody = Resolver::new(1, |_host| Err(ResolveError::NotFound));
    /// ```
    pub fn new(
        threads: usize,
        source: impl Fn(&str) -> Result<Vec<SocketAddr>, ResolveError> + Send + Sync + 'static,
    ) -> Resolver {
        Resolver {
            flights: Arc::new(Flights::new(threads, source)),
        }
    }

    /// The addresses of `host`, with `port`: see [`resolve`].
    ///
    /// # Errors
    ///
    /// Those of the source, and otherwise as [there](resolve).
    ///
    /// ```
    /// # use actor_io::{ResolveError, Resolver};
    /// # use std::time::Duration;
    /// # let nobody = Resolver::new(1, |_host| Err(ResolveError::NotFound));
    /// let error = nobody.resolve("localhost", 80, Duration::from_secs(1)).unwrap_err();
    /// assert!(matches!(error, ResolveError::NotFound));
    /// ```
    pub fn resolve(
        &self,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let mut addrs = self.flights.look_up(&host.to_ascii_lowercase(), timeout)?;
        for addr in &mut addrs {
            addr.set_port(port);
        }
        Ok(addrs)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("threads", &self.flights.threads())
            .finish_non_exhaustive()
    }
}
