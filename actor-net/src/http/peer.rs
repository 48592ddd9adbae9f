//! Who has sent the request that is being handled.
//!
//! A map of extensions would cost three allocations for each request, which is a tenth of what a request in a
//! pipeline costs altogether. So this is noted once for each turn of a connection, on the thread, beside what
//! other connections have noted whose handlers wait at the moment.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(feature = "tls")]
use std::sync::Arc;

use actor_core::Pid;
use rustix::event::{PollFd, PollFlags, Timespec};
#[cfg(feature = "tls")]
use rustls::{Connection, pki_types::CertificateDer};

#[cfg(feature = "tls")]
use crate::tls::Session;

/// The other end of a connection: see [`peer`].
///
/// ```
/// use actor_net::http::{self, Body, IntoResponse, Request};
///
/// fn handler(_: Request<Body>) -> impl IntoResponse {
///     http::peer().map_or_else(String::new, |peer| format!("you are {}", peer.addr()))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    addr: SocketAddr,
    is_encrypted: bool,
}

impl Peer {
    pub(super) fn new(addr: SocketAddr, is_encrypted: bool) -> Peer {
        Peer { addr, is_encrypted }
    }

    /// Its address. Behind a proxy it is the proxy's.
    ///
    /// ```
    /// use actor_net::http;
    ///
    /// fn is_local() -> bool {
    ///     http::peer().is_some_and(|peer| peer.addr().ip().is_loopback())
    /// }
    /// ```
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Whether the connection is encrypted (HTTPS).
    ///
    /// ```
    /// use actor_net::http;
    ///
    /// fn scheme() -> &'static str {
    ///     match http::peer() {
    ///         Some(peer) if peer.is_encrypted() => "https",
    ///         _ => "http",
    ///     }
    /// }
    /// ```
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
}

/// Who has sent the request that is being handled: for handlers, the bodies of their answers, and what they have
/// agreed to [upgrade](super::Upgrade) to. `None` anywhere else, and so in tasklets that a handler has spawned,
/// which can be given it.
///
/// It is no extension of the request, since these cost much for those who do not ask.
///
/// ```
/// use actor_net::http::{self, Body, IntoResponse, Request, StatusCode};
///
/// fn admin(_: Request<Body>) -> impl IntoResponse {
///     match http::peer() {
///         Some(peer) if peer.addr().ip().is_loopback() => Ok("welcome"),
///         _ => Err(StatusCode::FORBIDDEN),
///     }
/// }
/// ```
pub fn peer() -> Option<Peer> {
    current(|serving| serving.peer)
}

/// Whether the client whose request is being handled has closed its connection: for handlers that work long
/// and may as well give up. Nothing is interrupted by itself. `false` where there is [no peer](peer).
///
/// A client that has closed only its sending side, as it may once it has sent its request, cannot be told from
/// one that has gone. Those who do are few.
///
/// One system call; it does not wait.
///
/// ```
/// use actor_net::http::{self, Body, Request, StatusCode};
///
/// fn search(_: Request<Body>) -> Result<String, StatusCode> {
///     let mut found = String::new();
///     for part in 0..100 {
///         if http::peer_gone() {
///             return Err(StatusCode::REQUEST_TIMEOUT);
///         }
///         found += &format!("{part}\n");
///     }
///     Ok(found)
/// }
/// ```
pub fn peer_gone() -> bool {
    current(|serving| {
        // SAFETY: whoever has noted it holds the descriptor until the note is taken away.
        let fd = unsafe { BorrowedFd::borrow_raw(serving.fd) };
        has_closed(fd)
    })
    .unwrap_or_default()
}

fn has_closed(fd: BorrowedFd<'_>) -> bool {
    let ended = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    closed_sides(fd).intersects(ended)
}

/// `RDHUP` if the other end sends no more; `HUP` or `ERR` if it has gone for good.
pub(super) fn closed_sides(fd: BorrowedFd<'_>) -> PollFlags {
    let mut asked = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
    // What fails tells nothing; a signal does not interrupt what does not wait.
    let _ = rustix::event::poll(&mut asked, Some(&Timespec::default()));
    asked[0].revents()
}

/// The certificates that the client has shown, its own first: where the server's
/// [`ServerTls`](crate::tls::ServerTls) asks for some, and they have been found good then. None if it has shown none, or
/// there is [no peer](peer).
///
/// ```
/// use actor_net::http::{self, Body, IntoResponse, Request, StatusCode};
///
/// fn handler(_: Request<Body>) -> impl IntoResponse {
///     match http::peer_certificates().first() {
///         Some(certificate) => Ok(format!("{} bytes", certificate.len())),
///         None => Err(StatusCode::FORBIDDEN),
///     }
/// }
/// ```
#[cfg(feature = "tls")]
pub fn peer_certificates() -> Vec<CertificateDer<'static>> {
    tls(|tls| tls.peer_certificates().unwrap_or_default().to_vec()).unwrap_or_default()
}

/// The name by which the client has called this server when it began to encrypt (SNI), if it has. It need not
/// be that of the header `Host`.
///
/// ```
/// use actor_net::http;
///
/// fn is_for_shop() -> bool {
///     http::server_name().is_some_and(|name| name == "shop.example")
/// }
/// ```
#[cfg(feature = "tls")]
pub fn server_name() -> Option<String> {
    tls(|tls| match tls {
        Connection::Server(tls) => tls.server_name().map(str::to_owned),
        Connection::Client(_) => None,
    })
    .flatten()
}

#[cfg(feature = "tls")]
fn tls<T>(f: impl FnOnce(&Connection) -> T) -> Option<T> {
    current(|serving| Some(serving.facts.as_ref()?.with(f))).flatten()
}

/// What more is known of those whose connections are encrypted.
#[cfg(feature = "tls")]
pub(super) type Facts = Option<Arc<Session>>;
#[cfg(not(feature = "tls"))]
pub(super) type Facts = Option<std::convert::Infallible>;

/// What is noted of a connection.
struct Noted {
    /// Of whom the handler runs.
    pid: Pid,
    peer: Peer,
    fd: RawFd,
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "there are none"))]
    facts: Facts,
}

thread_local! {
    /// The connections of this thread that are being served. Most often one.
    static SERVED: RefCell<Vec<Noted>> = const { RefCell::new(Vec::new()) };
}

fn current<T>(f: impl FnOnce(&Noted) -> T) -> Option<T> {
    let pid = Pid::current()?;
    let look = |served: &RefCell<Vec<Noted>>| {
        let served = served.borrow();
        let noted = served.iter().rfind(|noted| noted.pid == pid)?;
        Some(f(noted))
    };
    SERVED.try_with(look).ok().flatten()
}

/// A connection is served by whoever runs now, until this is dropped.
pub(super) struct Serving<'a> {
    pid: Option<Pid>,
    /// The descriptor stays open as long, and it is dropped on its thread.
    fd: PhantomData<(BorrowedFd<'a>, *const ())>,
}

impl<'a> Serving<'a> {
    /// Notes whose requests are handled from now on, on a connection with this descriptor.
    #[inline]
    pub(super) fn begin(peer: Peer, facts: Facts, fd: &'a impl AsFd) -> Serving<'a> {
        let pid = Pid::current();
        if let Some(pid) = pid {
            let fd = fd.as_fd().as_raw_fd();
            let noted = Noted {
                pid,
                peer,
                fd,
                facts,
            };
            let note = |served: &RefCell<Vec<_>>| served.borrow_mut().push(noted);
            // Not there at the end of a thread, when nothing is served.
            let _ = SERVED.try_with(note);
        }
        Serving {
            pid,
            fd: PhantomData,
        }
    }
}

impl Drop for Serving<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(pid) = self.pid else { return };
        let _ = SERVED.try_with(|served| {
            let mut served = served.borrow_mut();
            if let Some(at) = served.iter().rposition(|noted| noted.pid == pid) {
                served.swap_remove(at);
            }
        });
    }
}
