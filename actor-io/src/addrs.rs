//! From what users write to socket addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::resolve::look_up;

/// What can be listened on or connected to: an address, several, or a name that stands for them.
///
/// Implemented for what implements [`ToSocketAddrs`](std::net::ToSocketAddrs), with the same meaning. The
/// difference is where a name is looked up: as by [`resolve`](crate::resolve()), so that only the calling
/// tasklet waits, and a [`timeout`](actor_core::timeout) around it ends the wait with an error of the kind
/// [`TimedOut`](io::ErrorKind::TimedOut). Other errors hold a [`ResolveError`](crate::ResolveError).
/// Literal addresses are parsed on the spot.
///
/// It can be implemented for other sources of addresses. What would block there belongs into
/// [`block_on_thread`](actor_core::block_on_thread) too.
///
/// ```
/// use actor_io::ToAddrs;
/// use std::net::Ipv4Addr;
///
/// # fn main() -> std::io::Result<()> {
/// let addrs = "127.0.0.1:80".to_addrs()?;
/// assert_eq!(addrs, ("127.0.0.1", 80).to_addrs()?);
/// assert_eq!(addrs, (Ipv4Addr::LOCALHOST, 80).to_addrs()?);
/// assert_eq!(addrs, addrs[0].to_addrs()?);
/// assert!("localhost:80".to_addrs()?.iter().all(|addr| addr.ip().is_loopback()));
/// # Ok(())
/// # }
/// ```
pub trait ToAddrs {
    /// The addresses, in the order in which they are to be tried. Waits for the resolver where there
    /// is a name to be looked up.
    ///
    /// # Errors
    ///
    /// When a name is malformed or cannot be resolved, when an enclosing
    /// [`timeout`](actor_core::timeout) expires before it is, and when the system has no thread left.
    ///
    /// ```
    /// use actor_io::ToAddrs;
    ///
    /// assert_eq!("[::1]:80".to_addrs().unwrap().len(), 1);
    /// assert!("no port".to_addrs().is_err());
    /// ```
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>>;
}

impl ToAddrs for str {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        match self.parse() {
            Ok(literal) => Ok(vec![literal]),
            Err(_) => {
                let (host, port) = host_and_port(self).ok_or_else(malformed)?;
                look_up(host, port)
            }
        }
    }
}

fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the address is not of the form host:port",
    )
}

impl ToAddrs for String {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_addrs()
    }
}

impl ToAddrs for (&str, u16) {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = *self;
        look_up(host, port)
    }
}

impl ToAddrs for (String, u16) {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (self.0.as_str(), self.1).to_addrs()
    }
}

/// The types that are, or convert into, one address.
macro_rules! one_address {
    ($($class:ty),*) => {$(
        impl ToAddrs for $class {
            fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(vec![(*self).into()])
            }
        }
    )*};
}

one_address!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToAddrs for [SocketAddr] {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl<const N: usize> ToAddrs for [SocketAddr; N] {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl ToAddrs for Vec<SocketAddr> {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.clone())
    }
}

impl<T: ToAddrs + ?Sized> ToAddrs for &T {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).to_addrs()
    }
}

/// Tries `attempt` with each address in turn, as [`std::net`] does: the first success counts, or
/// else the last failure.
pub(crate) fn first_of<T>(
    addrs: impl ToAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut failure = None;
    for addr in addrs.to_addrs()? {
        match attempt(addr) {
            Ok(success) => return Ok(success),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name resolved to no address",
        )
    }))
}
