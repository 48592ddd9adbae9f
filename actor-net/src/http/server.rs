//! [`HttpServer`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actor_io::ToAddrs;
use http::Request;

use super::body::Body;
use super::conn::{Handle, Http};
use super::limits::Limits;
use super::raw::{RawAnswer, RawHead, Shortcut};
use super::response::IntoResponse;
use crate::server::builder::Settings;
use crate::server::connections::Connections;
#[cfg(feature = "tls")]
use crate::tls::ServerTls;
use crate::{Server, ServerHandle};

/// A server of HTTP/1.1 and 1.0.
///
/// # The handler
///
/// A function of the request that returns [what an answer is made of](IntoResponse). It runs in blocking style,
/// as an actor's handler does: it may read the request's [body](Body), ask other tasklets and actors, sleep and
/// call other services, and meanwhile other connections are served. The requests of one connection are
/// handled one after the other, in the order in which they have come, and answered in it; answers to
/// requests that came together go out together, or when the first handler waits. One that waits therefore holds
/// up those behind it on its connection, and nobody else.
///
/// A handler that panics is answered for with status 500, and its connection is closed. A kill closes it. What it has
/// left in [tasklet-locals](actor_core::tasklet_local) is gone when its request has been answered; a tasklet
/// that it has spawned goes on.
///
/// # Connections
///
/// They stay open, as far as the protocol and the [limits](Limits) allow. One that is idle, or whose next request
/// has not come completely, holds no stack: a client that sends a byte now and then costs these bytes.
///
/// What is malformed is answered with a [status](super::BadMessage::status) and ends the connection, as does what
/// exceeds a limit. A handler whose client has gone is not interrupted, and finds out when it reads.
///
/// # Stopping
///
/// As [there](Server#stopping): no connections are accepted any more, idle ones are closed, and requests that are
/// being handled are answered, with `Connection: close`. Handlers see it
/// ([`is_stopping`](actor_core::Tasklet::is_stopping)).
///
/// ```no_run
/// use actor_net::http::{Body, HttpServer, IntoResponse, Method, Request, StatusCode};
///
/// fn handler(request: Request<Body>) -> impl IntoResponse {
///     match (request.method(), request.uri().path()) {
///         (&Method::GET, "/") => Ok("hello"),
///         _ => Err(StatusCode::NOT_FOUND),
///     }
/// }
///
/// actor_core::dispatch(|| HttpServer::serve("localhost:8080", handler));
/// ```
#[must_use = "a server does nothing until it runs"]
pub struct HttpServer {
    server: Server,
    limits: Limits,
    shortcut: Option<Shortcut>,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl HttpServer {
    /// Listens on `addr` and serves until the current tasklet is asked to stop: [`bind`](Self::bind) and
    /// [`run`](Self::run) in one, with the errors of both.
    ///
    /// ```no_run
    /// use actor_net::http::HttpServer;
    ///
    /// actor_core::dispatch(|| HttpServer::serve("localhost:8080", |_| "hello"));
    /// ```
    pub fn serve<H, R>(addr: impl ToAddrs, handler: H) -> io::Result<()>
    where
        H: Fn(Request<Body>) -> R + Send + Sync + 'static,
        R: IntoResponse + 'static,
    {
        HttpServer::bind(addr)?.run(handler)
    }

    /// Listens on the first of these addresses that can be had, with the default options.
    ///
    /// # Errors
    ///
    /// Those of [`ServerBuilder::bind`](crate::ServerBuilder::bind).
    ///
    /// ```
    /// use actor_net::http::HttpServer;
    ///
    /// let server = HttpServer::bind("127.0.0.1:0").unwrap();
    /// assert_ne!(server.local_addr().port(), 0);
    /// ```
    pub fn bind(addr: impl ToAddrs) -> io::Result<HttpServer> {
        Server::bind(addr).map(HttpServer::new)
    }

    /// Speaks HTTP where `server` listens, with its name and its limit of connections. Time-outs are those of the
    /// [limits](Self::limits), and its other options concern what has no place here.
    ///
    /// ```
    /// use actor_net::Server;
    /// use actor_net::http::HttpServer;
    ///
    /// let server = Server::builder().name("web").max_connections(10_000).bind("127.0.0.1:0").unwrap();
    /// let server = HttpServer::new(server);
    /// ```
    pub fn new(server: Server) -> HttpServer {
        HttpServer {
            server,
            limits: Limits::default(),
            shortcut: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets what a client may ask of its connection.
    ///
    /// ```
    /// use actor_net::http::{HttpServer, Limits};
    ///
    /// let limits = Limits::default().with(|limits| limits.body = 1024);
    /// let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Has `shortcut` look at requests before the handler does, and answer those it likes, for answers that are given
    /// very often and cost little: the rest of what a request costs is then less by half or more. What it gives
    /// nothing for goes on to the handler, as if it had not been looked at, which costs such a request a few per
    /// cent more.
    ///
    /// It is shown the [head](RawHead) where it has been received, before there is a [`Request`] with a URI and a map of
    /// headers. It is shown plain requests alone: those of HTTP/1.1 without a body, whose connection stays open
    /// behind them, and whose head has come in one piece. So it cannot count on being asked; the handler must know
    /// the same answers.
    ///
    /// It runs as a handler does, and may wait. Its panics are answered for in the same way.
    ///
    /// ```
    /// use actor_net::http::{Bytes, HttpServer, RawAnswer, RawHead, StatusCode};
    ///
    /// fn shortcut(head: &RawHead<'_>) -> Option<RawAnswer> {
    ///     (head.method() == b"GET" && head.target() == b"/health").then(|| RawAnswer {
    ///         status: StatusCode::OK,
    ///         headers: &[],
    ///         body: Bytes::from_static(b"ok"),
    ///     })
    /// }
    ///
    /// let server = HttpServer::bind("127.0.0.1:0").unwrap().shortcut(shortcut);
    /// ```
    pub fn shortcut(
        mut self,
        shortcut: impl Fn(&RawHead<'_>) -> Option<RawAnswer> + Send + Sync + 'static,
    ) -> Self {
        self.shortcut = Some(Box::new(shortcut));
        self
    }

    /// Has the connections be encrypted (HTTPS). Keep a clone of `tls` where certificates are to be exchanged
    /// later. Whatever protocols it names, `http/1.1` and `http/1.0` alone are agreed upon (ALPN), and clients that offer only
    /// others are refused.
    ///
    /// A connection that is idle, or in the middle of its handshake, holds no stack. Handshakes have the time that `tls`
    /// gives them, and [take turns](crate::tls::ServerTlsBuilder::handshakes).
    ///
    /// ```
    /// use actor_net::http::HttpServer;
    /// use actor_net::tls::{Identity, ServerTls};
    ///
    /// fn bind() -> std::io::Result<HttpServer> {
    ///     let tls = ServerTls::new(Identity::from_files("chain.pem", "key.pem")?)?;
    ///     Ok(HttpServer::bind("[::]:443")?.tls(tls))
    /// }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The address that it listens on: see [`Server::local_addr`].
    ///
    /// ```
    /// let server = actor_net::http::HttpServer::bind("127.0.0.1:0").unwrap();
    /// println!("http://{}/", server.local_addr());
    /// ```
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves in the current tasklet until that is asked to stop and the last connection has ended.
    ///
    /// # Errors
    ///
    /// As [`Server::run`].
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// use actor_net::http::HttpServer;
    ///
    /// # actor_core::dispatch(|| {
    /// let server = HttpServer::bind("127.0.0.1:0").unwrap();
    /// let tasklet = Tasklet::spawn(move || server.run(|_| "hello"));
    /// tasklet.stop();
    /// tasklet.join().unwrap().unwrap();
    /// # });
    /// ```
    pub fn run<H, R>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Request<Body>) -> R + Send + Sync + 'static,
        R: IntoResponse + 'static,
    {
        let (server, service) = self.service(handler);
        server.run_as(service, Default::default())
    }

    /// Serves in a tasklet of its own, a child of the current one: see [`Server::spawn`].
    ///
    /// # Errors
    ///
    /// When no tasklet is to be had: at the limit of their number, or where no runtime is.
    ///
    /// ```
    /// use actor_io::TcpStream;
    /// use actor_net::http::HttpServer;
    /// use std::io::{Read, Write};
    /// use std::time::Duration;
    ///
    /// # actor_core::dispatch(|| {
    /// let server = HttpServer::bind("127.0.0.1:0").unwrap().spawn(|_| "hello").unwrap();
    /// let mut client = TcpStream::connect(server.local_addr()).unwrap();
    /// client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer).unwrap();
    /// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    /// assert!(answer.ends_with("\r\n\r\nhello"));
    /// server.shutdown(Duration::from_secs(5)).unwrap();
    /// # });
    /// ```
    pub fn spawn<H, R>(self, handler: H) -> io::Result<ServerHandle>
    where
        H: Fn(Request<Body>) -> R + Send + Sync + 'static,
        R: IntoResponse + 'static,
    {
        let (server, service) = self.service(handler);
        server.spawn_as(service)
    }

    /// The server beneath, and what it does.
    fn service<H: Handle>(
        self,
        handler: H,
    ) -> (
        Server,
        impl FnOnce(String, Settings, Arc<Connections>) -> Http,
    ) {
        let service = move |name, settings, connections| {
            let (shortcut, limits) = (self.shortcut, self.limits);
            let http = Http::new(handler, shortcut, limits, name, settings, connections);
            #[cfg(feature = "tls")]
            let http = http.with_tls(self.tls);
            http
        };
        (self.server, service)
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("server", &self.server)
            .field("limits", &self.limits)
            .finish()
    }
}
