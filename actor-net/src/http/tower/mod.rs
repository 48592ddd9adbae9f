//! Services of [`tower_service`], such as an axum `Router`, for the feature `tower`, which is off by default.
//!
//! [`tower()`] makes a handler of a service, for [`HttpServer`](super::HttpServer) and whatever else takes one.
//!
//! The connection's tasklet calls the service and polls its future, on the worker where the connection lives, and lets
//! others run while there is nothing to be polled. No runtime of another kind is needed for that, nor are the
//! features of axum that bring one. What the service awaits may wake it from any thread.
//!
//! # Bodies
//!
//! That of a request that has come with its head is one frame. Of a larger one, pieces are read when they are
//! [asked for](RequestBody), wherever that is. That of an answer is polled for a frame when the last has gone out, or has been
//! gathered with others that were there at once: so a client that does not read holds it up, and what is ready goes out
//! before the body is waited for. An exact [size](http_body::Body::size_hint) becomes a `Content-Length`; otherwise there are
//! chunks, with the body's trailers behind them. If a body fails the connection is closed without the last chunk, or
//! before so many bytes, so that the client sees that something is missing. For an answer to `HEAD` it is not
//! polled. While the answer waits for its client to read, no more of the request's body comes, whoever asks for it: a client
//! that sends all before it reads anything is one for services that do the same.
//!
//! # Blocking
//!
//! A service may call what blocks in this framework: actors, channels, sockets, [`Tasklet::sleep`](actor_core::Tasklet::sleep). That blocks
//! the tasklet and so this connection, and the other branches of a `join!` or `select!` around it, but not the thread.
//! What blocks the thread blocks its worker, as everywhere: `std`'s locks for long, `block_in_place`, `blocking_recv`.
//!
//! # Errors
//!
//! An error of the service is logged and answered with status 500, as is a panic, which also closes the connection.
//! A kill, and a deadline of a [`timeout`](actor_core::timeout()) around the handler, drop the future.
//!
//! # The connection
//!
//! [`peer`](super::peer()) and [`peer_gone`](super::peer_gone()) can be asked in a service. For extractors that look for such things in the
//! extensions of a request, the handler is called by another that puts them there:
//!
//! ```
//! use actor_net::http::{self, Body, Request, Response};
//! use std::net::SocketAddr;
//!
//! #[derive(Clone)]
//! struct ConnectInfo(SocketAddr);
//!
//! fn with_peer(app: impl Fn(Request<Body>) -> Response<Body>) -> impl Fn(Request<Body>) -> Response<Body> {
//!     move |mut request| {
//!         if let Some(peer) = http::peer() {
//!             request.extensions_mut().insert(ConnectInfo(peer.addr()));
//!         }
//!         app(request)
//!     }
//! }
//! ```
//!
//! # What is not there
//!
//! - *tokio*, unless the workers have [entered](actor_core::RuntimeBuilder::on_worker_start) a runtime of it: its timers (so the
//!   timeouts of `tower` and `tower-http`, and axum's keep-alive of server-sent events), `spawn`, `spawn_blocking` (so
//!   files of `tower-http`) and sockets panic without. `tokio::sync` needs none.
//! - *Upgrades* by hyper's means, as axum's `ws` has them. An [`Upgrade`](super::Upgrade) of ours rides in the
//!   extensions of an answer, and so passes through a service that keeps them.
//! - *HTTP/2*: requests are of HTTP/1.

mod answer;
mod request;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use actor_core::__private::Poller;
use actor_core::BoxError;
use http::{Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use tower_service::Service;

use super::body::Body;
use super::response::IntoResponse;
use request::Feed;
pub use request::RequestBody;

/// Makes a handler of a service: see the [module](self).
///
/// Each request is given to a clone of its own, as soon as that is [ready](Service::poll_ready). The future of the service and
/// the body of its answer are polled on one thread; the former need not be `Send`.
///
/// ```
/// use actor_net::http::tower::RequestBody;
/// use actor_net::http::{self, HttpServer, Request, Response};
/// use std::convert::Infallible;
/// use std::future::{Ready, ready};
/// use std::task::{Context, Poll, Waker};
/// use tower_service::Service;
///
/// #[derive(Clone)]
/// struct Hello;
///
/// impl Service<Request<RequestBody>> for Hello {
///     type Response = Response<RequestBody>;
///     type Error = Infallible;
///     type Future = Ready<Result<Self::Response, Infallible>>;
///
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
///         Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
///         ready(Ok(Response::new("hello".into())))
///     }
/// }
///
/// # actor_core::dispatch(|| {
/// let server = HttpServer::bind("127.0.0.1:0").unwrap().spawn(http::tower(Hello)).unwrap();
/// # use std::io::{Read, Write};
/// # let mut client = actor_io::TcpStream::connect(server.local_addr()).unwrap();
/// # client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer).unwrap();
/// # assert!(answer.ends_with("\r\n\r\nhello"));
/// # server.shutdown(std::time::Duration::from_secs(5)).unwrap();
/// # });
/// ```
pub fn tower<S, B>(service: S) -> impl Fn(Request<Body>) -> Response<Body> + Send + Sync + 'static
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    // Many services are `Send` and not `Sync`. It is held for as long as a clone takes.
    let service = Mutex::new(service);
    move |request| {
        let service = service.lock().clone();
        handle(service, request)
    }
}

fn handle<S, B>(mut service: S, request: Request<Body>) -> Response<Body>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let is_head = request.method() == Method::HEAD;
    let (parts, body) = request.into_parts();
    let (body, mut feed) = RequestBody::of(body);
    let request = Request::from_parts(parts, body);
    // Most services are ready whenever they are asked. So that is found out here, and not in a future with the two
    // of them, in which the request would be moved from one place to another.
    let ready = match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Ok(ready),
        Poll::Pending => drive(&mut feed, &mut || Ok(()), |context| {
            service.poll_ready(context)
        }),
    };
    let answered = match ready {
        Ok(Ok(())) => {
            let mut answer = pin!(service.call(request));
            drive(&mut feed, &mut || Ok(()), |context| {
                answer.as_mut().poll(context)
            })
        }
        Ok(Err(error)) => Ok(Err(error)),
        Err(error) => Err(error),
    };
    let error = match answered {
        Ok(Ok(response)) => {
            let feed = feed.filter(|feed| !feed.is_over());
            return answer::answer(response, is_head, feed);
        }
        Ok(Err(error)) => error.into(),
        Err(error) => error.into(),
    };
    tracing::warn!(%error, "a service has failed");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Polls until there is something, and serves the body of the request meanwhile.
fn drive<T>(
    feed: &mut Option<Feed>,
    before_waiting: &mut dyn FnMut() -> io::Result<()>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> io::Result<T> {
    Poller::with(|poller| {
        if let Some(feed) = feed {
            feed.serve_by(poller.waker());
        }
        let mut waited = false;
        loop {
            if let Poll::Ready(value) = poller.poll(&mut poll) {
                return Ok(value);
            }
            if !std::mem::replace(&mut waited, true) {
                before_waiting()?;
            }
            match feed {
                Some(feed) => feed.serve(poller),
                None => poller.wait(),
            }
        }
    })
}
