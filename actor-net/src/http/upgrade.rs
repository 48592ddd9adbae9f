//! Answers after which a connection goes on with another protocol, or as a tunnel.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use actor_core::reactor::Source;
use actor_core::{BoxError, Outcome, Tasklet};
use actor_io::{Endpoint, TcpStream};
use bytes::Bytes;
use http::{Response, StatusCode, Version};
use parking_lot::Mutex;

use super::body::Body;
use super::peer::{Peer, Serving};
use super::response::IntoResponse;
use super::secure::Cover;
use super::stream::Parts;
use super::upgraded::Upgraded;
use crate::closing::{self, Closed, Manner};
use crate::server::builder::Settings;
use crate::server::connection::failure;

/// An answer after which the connection is no longer one of HTTP: it speaks another protocol, as WebSockets
/// do, or is a tunnel through a proxy.
///
/// The status says that this is so: 101 for another protocol, with its name in the header `Upgrade`, and 200 for
/// a tunnel that was asked for by `CONNECT`, which a server is [only given](super::Limits::connect) if it likes. When the
/// head of the answer has been sent, the function is called in place of the handler, on the same
/// stack, and may take as long as it likes. It has the [stream](Upgraded) to itself. When it returns the connection is
/// closed, in the orderly way unless somebody still has the stream. An error is logged.
///
/// The connection stays one of the server's: it counts as such, and is told of the server's end as a handler is, so that
/// the function should look whether it is [to stop](actor_core::Tasklet::is_stopping), or
/// [read](Upgraded::read_or_stop) so that it notices. A kill ends it, and so does a panic, which is logged.
///
/// All other statuses make it an ordinary answer, and the function is not called. Neither is it if the
/// request does not permit it: one of HTTP/1.0 knows no other protocols and is answered with status
/// 505, and one whose body has not been read to its end with status 500.
///
/// ```
/// use actor_net::http::{Body, IntoResponse, Request, Response, StatusCode, Upgrade, Upgraded};
/// use std::io::{self, Read, Write};
///
/// fn echo(mut stream: Upgraded) -> io::Result<()> {
///     let mut buf = [0; 1024];
///     while let Some(count @ 1..) = stream.read_or_stop(&mut buf)? {
///         stream.write_all(&buf[..count])?;
///     }
///     Ok(())
/// }
///
/// fn handler(request: Request<Body>) -> Response<Body> {
///     if request.headers().get("upgrade").is_none_or(|name| name != "echo") {
///         return (StatusCode::UPGRADE_REQUIRED, "only echoes here").into_response();
///     }
///     let response = Response::builder()
///         .status(StatusCode::SWITCHING_PROTOCOLS)
///         .header("upgrade", "echo")
///         .body(())
///         .unwrap();
///     Upgrade::new(response, echo).into_response()
/// }
/// ```
#[must_use = "an upgrade is an answer"]
pub struct Upgrade {
    response: Response<()>,
    then: Then,
}

/// What is done with the connection.
pub(super) type Then = Box<dyn FnOnce(Upgraded) -> Result<(), BoxError> + Send>;

/// In the extensions of a response, which are to be `Clone` and `Sync`.
#[derive(Clone)]
struct Ride(Arc<Mutex<Option<Then>>>);

impl Upgrade {
    /// With the head of the answer, and what is done then.
    ///
    /// A header `Connection` that says so is added where there is none.
    ///
    /// ```
    /// use actor_io::{TcpStream, copy_bidirectional};
    /// use actor_net::http::{Body, HttpServer, IntoResponse, Limits, Method, Request, Response, StatusCode, Upgrade};
    ///
    /// fn proxy(request: Request<Body>) -> Response<Body> {
    ///     let (&Method::CONNECT, Some(target)) = (request.method(), request.uri().authority()) else {
    ///         return StatusCode::METHOD_NOT_ALLOWED.into_response();
    ///     };
    ///     match TcpStream::connect(target.as_str()) {
    ///         Ok(target) => Upgrade::new(Response::default(), move |client| {
    ///             copy_bidirectional(client, target).map(drop)
    ///         })
    ///         .into_response(),
    ///         Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    ///     }
    /// }
    ///
    /// let limits = Limits::default().with(|limits| limits.connect = true);
    /// let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
    /// # drop((server, proxy));
    /// ```
    pub fn new<R: Outcome + 'static>(
        response: Response<()>,
        then: impl FnOnce(Upgraded) -> R + Send + 'static,
    ) -> Upgrade {
        Upgrade {
            response,
            then: Box::new(move |stream| failure(then(stream))),
        }
    }
}

impl IntoResponse for Upgrade {
    fn into_response(self) -> Response<Body> {
        let mut response = self.response.map(Body::from);
        let ride = Ride(Arc::new(Mutex::new(Some(self.then))));
        response.extensions_mut().insert(ride);
        response
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("response", &self.response)
            .finish_non_exhaustive()
    }
}

/// What an answer makes of its connection.
pub(super) enum Turn {
    /// The next request may follow.
    None,
    /// Another protocol follows.
    Upgrade(Then),
    /// It cannot be sent: this is instead, and the end.
    Refuse(StatusCode),
}

/// Looks what a handler has decided. `is_tunnel` if it was asked for one, `at_end` if the request has been read to its
/// end.
#[inline]
pub(super) fn decided(
    response: &mut Response<Body>,
    is_tunnel: bool,
    version: Version,
    at_end: impl FnOnce() -> bool,
) -> Turn {
    let status = response.status();
    let switches = status.is_informational() || (is_tunnel && status.is_success());
    if !switches {
        // Dropping the response drops what has not come to pass.
        return Turn::None;
    }
    decide(response, is_tunnel, version, at_end)
}

#[cold]
fn decide(
    response: &mut Response<Body>,
    is_tunnel: bool,
    version: Version,
    at_end: impl FnOnce() -> bool,
) -> Turn {
    let status = response.status();
    let ride = response.extensions_mut().remove::<Ride>();
    let then = ride.and_then(|Ride(then)| then.lock().take());
    let switches = status == StatusCode::SWITCHING_PROTOCOLS || is_tunnel && status.is_success();
    match then {
        // The client would wait for an answer, or take what follows for something else.
        None => tracing::warn!(%status, "a handler has given an answer that is none"),
        Some(_) if !switches => {
            tracing::warn!(%status, "a handler has given an answer that is none");
        }
        Some(_) if version == Version::HTTP_10 && !is_tunnel => {
            return Turn::Refuse(StatusCode::HTTP_VERSION_NOT_SUPPORTED);
        }
        Some(_) if !at_end() => {
            tracing::warn!("a request for another protocol has a body that has not been read");
        }
        Some(then) => return Turn::Upgrade(then),
    }
    Turn::Refuse(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A connection on its way to another protocol.
pub(super) struct Upgrading<'a, C: Closed> {
    pub(super) then: Then,
    pub(super) parts: Parts,
    /// What has come behind the request.
    pub(super) ahead: Bytes,
    pub(super) peer: Peer,
    pub(super) server: &'a str,
    pub(super) settings: &'a Settings,
    /// Hears of the end.
    pub(super) closed: C,
}

impl<C: Closed> Upgrading<'_, C> {
    /// Has it done, and closes the connection; hurriedly, if that is the case at its end. If this is unwound the
    /// connection is cut off.
    pub(super) fn run(self, is_hurried: impl FnOnce() -> bool) -> io::Result<()> {
        let Parts { socket, cover } = self.parts;
        let stream = TcpStream::try_from(socket)?;
        let socket = Socket {
            stream: Some(stream.try_clone()?),
            closed: Some(self.closed),
        };
        let end = cover.as_ref().map(Cover::end);
        let facts = cover.as_ref().and_then(Cover::facts);
        let tls = match cover {
            Some(cover) => Some(cover.over(stream.try_clone()?)),
            None => None,
        };
        let (server, peer) = (self.server, self.peer.addr());
        let result = {
            let handle = stream.try_clone()?;
            let _serving = Serving::begin(self.peer, facts, &handle);
            (self.then)(Upgraded::new(stream, tls, self.ahead, peer))
        };
        // After an error the end is not told: see the module of TLS.
        let mut output = Vec::new();
        match result {
            Ok(()) => {
                tracing::debug!(server, %peer, "upgraded connection closed");
                if let Some(end) = end.filter(|_| !socket.is_shared()) {
                    output = end();
                }
            }
            Err(error) => {
                let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
                if kind.is_some_and(|kind| self.settings.is_everyday(kind))
                    || Tasklet::is_stopping()
                {
                    tracing::debug!(server, %peer, %error, "upgraded connection lost");
                } else {
                    tracing::warn!(server, %peer, %error, "upgraded connection failed");
                }
            }
        }
        socket.close(Manner {
            output,
            linger: self.settings.linger,
            hurry: is_hurried(),
            sending: false,
        });
        Ok(())
    }
}

/// The socket, which others may still have when it is to be closed.
struct Socket<C: Closed> {
    /// Until they are closed.
    stream: Option<TcpStream>,
    closed: Option<C>,
}

impl<C: Closed> Socket<C> {
    fn is_shared(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|stream| stream.is_shared())
    }

    fn close(mut self, manner: Manner) {
        let source = match self.stream.take() {
            Some(stream) if !stream.is_shared() => {
                OwnedFd::try_from(stream).and_then(Source::new).ok()
            }
            shared => {
                self.stream = shared;
                None
            }
        };
        if let Some(source) = source
            && let Some(closed) = self.closed.take()
        {
            closing::close(source, manner, closed);
        }
    }
}

impl<C: Closed> Drop for Socket<C> {
    /// Cuts it off, if it has not been closed.
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take()
            && stream.is_shared()
        {
            stream.abort();
        }
        if let Some(closed) = self.closed.take() {
            closed.closed(0);
        }
    }
}
