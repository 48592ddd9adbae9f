//! [`HttpServer`].

use std::fmt;
use std::io;
use std::net::SocketAddr;

use actor_io::ToAddrs;
use http::Request;

use super::body::Body;
use super::conn::{Common, Handle};
use super::limits::Limits;
use super::response::IntoResponse;
use crate::server::builder::Settings;
use crate::{Server, ServerHandle};

/// A server of HTTP/1.1 and 1.0.
///
/// # The handler
///
/// A function of the request that returns [what an answer is made of](IntoResponse). It runs in blocking style,
/// as an actor's handler does: it may read the request's [body](Body), ask other tasklets and actors, sleep and
/// call other services, and meanwhile other connections are served. The requests of one connection are
/// handled one after the other, in the order in which they have come, and answered in it; answers to
/// requests that came together go out together. One that waits therefore holds up those behind it on its
/// connection, and those before it that have not gone out yet.
///
/// A handler that panics is answered for with status 500, and its connection is closed. A kill closes it.
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
/// being handled are answered, with `Connection: close`.
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
        let service = service(handler, self.limits);
        self.server.run_as(service, Default::default())
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
        let service = service(handler, self.limits);
        self.server.spawn_as(service)
    }
}

fn service<H: Handle>(
    handler: H,
    limits: Limits,
) -> impl FnOnce(String, Settings, std::sync::Arc<crate::server::connections::Connections>) -> Common<H>
{
    move |name, settings, connections| Common::new(handler, limits, name, settings, connections)
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("server", &self.server)
            .field("limits", &self.limits)
            .finish()
    }
}
