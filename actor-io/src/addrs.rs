//! From what users write to socket addresses.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};

use actor_core::sync::Event;
use actor_core::{BlockOnThreadError, Tasklet, TimedOut, try_block_on_thread};
use parking_lot::Mutex;

/// What can be listened on or connected to: an address, several, or a name that stands for them.
///
/// Implemented for what implements [`ToSocketAddrs`], with the same meaning. The difference is where
/// a name is looked up. The system's resolver blocks its thread, for seconds when a name server is
/// down, and wants more stack than a tasklet has; so a tasklet that needs it waits for a thread of
/// the [pool](actor_core::block_on_thread) instead, and a plain thread for one of its own. In both
/// places a [`timeout`](actor_core::timeout) ends the wait, with an error of the kind
/// [`TimedOut`](io::ErrorKind::TimedOut), while the resolver goes on in the background until it gives
/// up by itself. Literal addresses are parsed on the spot.
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

/// Asks the system's resolver, on another thread than the caller's, who may run out of patience.
fn look_up(name: impl ToSocketAddrs + Send + 'static) -> io::Result<Vec<SocketAddr>> {
    elsewhere(move || name.to_socket_addrs().map(Iterator::collect))
}

/// Runs `f` on another thread. The error is that of the waiting, or what `f` returns.
fn elsewhere<T, F>(f: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    if Tasklet::try_current().is_some() {
        return match try_block_on_thread(f) {
            Ok(result) => result,
            Err(BlockOnThreadError::Timeout) => Err(TimedOut.into()),
            Err(error) => Err(error.into()),
        };
    }
    // The pool runs what a plain thread asks of it on that very thread.
    let result = Arc::new((Event::new(), Mutex::new(None)));
    let thread = thread::Builder::new().name("resolver".to_owned());
    thread.spawn({
        let result = Arc::clone(&result);
        move || {
            let (done, value) = &*result;
            *value.lock() = Some(f());
            done.set();
        }
    })?;
    let (done, value) = &*result;
    // Without a limit of its own, but unlike `wait` it has an error to give.
    done.wait_timeout(Duration::MAX)?;
    let value = value.lock().take();
    value.unwrap_or_else(|| Err(io::Error::other("the look-up has ended without a result")))
}

impl ToAddrs for str {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        match self.parse() {
            Ok(literal) => Ok(vec![literal]),
            Err(_) => look_up(self.to_owned()),
        }
    }
}

impl ToAddrs for String {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_addrs()
    }
}

impl ToAddrs for (&str, u16) {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(literal) => Ok(vec![SocketAddr::new(literal, port)]),
            Err(_) => look_up((host.to_owned(), port)),
        }
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

#[cfg(test)]
mod tests {
    use std::process::ExitCode;
    use std::sync::mpsc;

    use actor_core::{dispatch, timeout};

    use super::*;

    /// What a resolver does whose name server is down, until the gate is dropped.
    fn hangs() -> (mpsc::Sender<()>, impl FnOnce() -> io::Result<()> + Send) {
        let (gate, opened) = mpsc::channel();
        (gate, move || opened.recv().map_err(io::Error::other))
    }

    fn check() {
        let limit = Duration::from_millis(20);
        let (_gate, hangs) = hangs();
        let error = timeout(limit, || elsewhere(hangs)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.get_ref().is_some_and(|inner| inner.is::<TimedOut>()));
        let limit = Duration::from_secs(30);
        assert_eq!(timeout(limit, || elsewhere(|| Ok(1))).unwrap(), 1);
        let refused = timeout(limit, || {
            elsewhere(|| Err::<(), _>(io::ErrorKind::NotFound.into()))
        });
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_look_up_that_hangs_can_be_abandoned() {
        check();
        assert_eq!(dispatch(check), ExitCode::SUCCESS);
    }
}
