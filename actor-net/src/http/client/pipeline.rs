//! [`HttpConnection`]: several requests on their way.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request, Response, Uri};
use parking_lot::Mutex;

use super::conn::Conn;
use super::error::FetchError;
use super::exchange::Exchange;
use super::head;
use super::origin::{self, Origin};
use super::proxy::Route;
use super::received::{Home, Received};
use super::request::CONSENT;
use super::timeouts::Clock;
use super::{FinalUri, HttpClient};
use crate::http::body::{Body, Kind};
use crate::http::error::BadMessage;
use crate::http::framing::BodyEnd;

/// A connection to one server, over which requests are sent without waiting for the answers, which come in the same
/// order.
///
/// It is none of the client's pool, follows no redirects, uses no cookie jar, and repeats nothing: who sends many requests ahead does
/// not know which of them were carried out when the connection ends. A server that reads no more until its answers are
/// read, and a client that sends on, wait for each other until the [time](super::Timeouts::write) is up: receive now and
/// then.
///
/// The idea is that of Concurrence's client.
///
/// ```
/// use actor_net::http::{Body, HttpClient, HttpServer, Request};
/// use std::time::Duration;
///
/// # fn main() -> std::process::ExitCode {
/// actor_core::dispatch(|| -> std::io::Result<()> {
///     let path = |request: Request<Body>| request.uri().path().to_owned();
///     let server = HttpServer::bind("127.0.0.1:0")?.spawn(path)?;
///
///     let mut connection = HttpClient::new().connect(format!("http://{}", server.local_addr()))?;
///     for path in ["/a", "/b", "/c"] {
///         connection.send(Request::get(path).body(Body::empty()).unwrap())?;
///     }
///     for path in ["/a", "/b", "/c"] {
///         assert_eq!(connection.receive()?.into_body().into_bytes()?, path);
///     }
///     drop(connection);
///     server.shutdown(Duration::from_secs(5))
/// })
/// # }
/// ```
pub struct HttpConnection {
    client: HttpClient,
    base: Uri,
    /// What name and password of the URL come to.
    user: Option<HeaderValue>,
    origin: Origin,
    route: Route,
    /// Empty while the body of an answer has it, and when it has failed.
    conn: Arc<Mutex<Option<Conn>>>,
    /// What has been asked and not been answered: the method decides where an answer ends.
    pending: VecDeque<Pending>,
    /// No more answers come.
    over: bool,
}

struct Pending {
    method: Method,
    uri: Uri,
    clock: Clock,
}

const BUSY: FetchError =
    FetchError::Request("the body of the answer before is to be read first, or dropped");

impl HttpConnection {
    pub(super) fn open(client: HttpClient, mut base: Uri) -> Result<HttpConnection, FetchError> {
        let user = origin::take_user(&mut base)?;
        let origin = Origin::of(&base)?;
        let inner = &*client.inner;
        let clock = Clock::start(inner.timeouts.clone());
        // A proxy could send the requests over several connections.
        let route = inner.proxies.route(origin.clone(), true);
        let conn = inner.dialer.dial(&route, &clock, &inner.limits)?;
        Ok(HttpConnection {
            client,
            base,
            user,
            origin,
            route,
            conn: Arc::new(Mutex::new(Some(conn))),
            pending: VecDeque::new(),
            over: false,
        })
    }

    /// Sends a request. Its URL may be a path alone; if it has a host that must be the one that this is connected to.
    ///
    /// # Errors
    ///
    /// See [`FetchError`]. [`FetchError::Request`] while the body of an answer is being read, and for another host.
    /// [`FetchError::Closed`] behind a request or an answer with `Connection: close`.
    ///
    /// ```
    /// use actor_net::http::{Body, FetchError, HttpConnection, Request};
    ///
    /// fn ask(connection: &mut HttpConnection) -> Result<(), FetchError> {
    ///     connection.send(Request::get("/").body(Body::empty()).unwrap())
    /// }
    /// ```
    pub fn send(&mut self, request: Request<Body>) -> Result<(), FetchError> {
        let (mut parts, mut body) = request.into_parts();
        if parts.method == Method::CONNECT {
            return Err(FetchError::Request(
                "CONNECT is for proxies, which the client asks",
            ));
        }
        if parts.uri.host().is_none() {
            let target = parts
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str());
            parts.uri = origin::resolve(&self.base, target.as_bytes())
                .ok_or(FetchError::Request("the URL is malformed"))?;
        }
        let user = origin::take_user(&mut parts.uri)?.or_else(|| self.user.clone());
        if Origin::of(&parts.uri)? != self.origin {
            return Err(FetchError::Request("the connection is to another server"));
        }
        if self.over {
            return Err(FetchError::Closed(io::ErrorKind::NotConnected.into()));
        }
        if let Some(user) = user {
            parts.headers.entry(AUTHORIZATION).or_insert(user);
        }
        let inner = &*self.client.inner;
        let clock = inner.clock(&parts);
        let mut asked = inner.asked(&parts, &self.origin, &self.route, &body)?;
        // Nobody waits for an answer here, and so not for consent either.
        asked.expect = false;
        asked.encodings = None;
        let closes = head::closes(&parts.headers);
        let mut conn = self.take()?;
        let mut exchange = Exchange {
            conn: &mut conn,
            asked: &asked,
            clock: &clock,
            limits: &inner.limits,
            consent: CONSENT,
            touched: false,
            early: None,
        };
        exchange.send_only(&mut body)?;
        *self.conn.lock() = Some(conn);
        self.pending.push_back(Pending {
            method: parts.method,
            uri: parts.uri,
            clock,
        });
        self.over |= closes;
        Ok(())
    }

    /// Receives the answer to the oldest request that has none yet.
    ///
    /// The connection goes on when its body has been read to the end, or has been dropped and its rest had come.
    ///
    /// # Errors
    ///
    /// See [`FetchError`]. [`FetchError::Request`] if nothing has been asked, and while the body of the answer before is
    /// being read.
    ///
    /// ```
    /// use actor_net::http::{FetchError, HttpConnection, StatusCode};
    ///
    /// fn status(connection: &mut HttpConnection) -> Result<StatusCode, FetchError> {
    ///     Ok(connection.receive()?.status())
    /// }
    /// ```
    pub fn receive(&mut self) -> Result<Response<Body>, FetchError> {
        if self.pending.is_empty() {
            return Err(FetchError::Request("there is no request to be answered"));
        }
        let mut conn = self.take()?;
        let Some(pending) = self.pending.pop_front() else {
            return Err(FetchError::Request("there is no request to be answered"));
        };
        let Pending { method, uri, clock } = pending;
        let limits = &self.client.inner.limits;
        let mut interim = 0;
        conn.begin();
        let wait = clock.wait(clock.limits.answer);
        let head = loop {
            let head = conn.head(&method, limits, wait)?;
            match head.response.status() {
                status if status.as_u16() == 101 => return Err(FetchError::Upgraded),
                status if status.is_informational() => interim += 1,
                _ => break head,
            }
            if interim == super::exchange::INTERIM {
                return Err(FetchError::TooManyInterim);
            }
        };
        if let BodyEnd::Length(length) = head.end
            && length > limits.body
        {
            return Err(BadMessage::BodyTooLong.into());
        }
        self.over |= !head.keep_alive;
        let home = head.keep_alive.then(|| Home::Owner(Arc::clone(&self.conn)));
        let received = Received::new(conn, head.end, home, Arc::clone(limits), clock);
        let mut answer = head.response;
        answer.extensions_mut().insert(FinalUri(uri));
        let reply = super::Reply::Plain(Box::new(received));
        Ok(answer.map(|()| Body(Kind::Reply(reply))))
    }

    /// How many requests have been sent and not been answered.
    ///
    /// ```
    /// # use actor_net::http::HttpConnection;
    /// fn is_idle(connection: &HttpConnection) -> bool {
    ///     connection.pending() == 0
    /// }
    /// ```
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The connection, for one operation. If that fails it is closed.
    fn take(&self) -> Result<Conn, FetchError> {
        if let Some(conn) = self.conn.lock().take() {
            return Ok(conn);
        }
        // A body that is still about has a handle as well.
        match Arc::strong_count(&self.conn) {
            2.. => Err(BUSY),
            _ => Err(FetchError::Closed(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection")
            .field("base", &self.base)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}
