//! Services of tower behind the server: what they are asked, how bodies come and go, and who waits for whom.

#![cfg(feature = "tower")]

mod answer_bodies;
#[path = "../../../actor-core/tests/common/awaited.rs"]
mod awaited;
#[cfg(feature = "tls")]
#[path = "../common/certificates.rs"]
mod certificates;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/http.rs"]
mod http;
mod request_bodies;
mod requests;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{BoxError, Tasklet, block_on};
use actor_net::http::tower::RequestBody;
use actor_net::http::{
    self as server, Body, Bytes, HeaderMap, HeaderValue, HttpServer, IntoResponse, Limits, Method,
    Request, Response, StatusCode, Upgrade, Upgraded, tower,
};
use awaited::Awaited;
use common::{eventually, in_tasklet};
use http::{Client, Running, assert_does_not_wait_for_the_rest, assert_mirrors, get, post, spawn};
use http_body::{Body as _, Frame, SizeHint};
use tower_service::Service;

/// A service of a function.
#[derive(Clone)]
struct Serve<F>(F);

impl<F, R, B, E> Service<Request<RequestBody>> for Serve<F>
where
    F: Fn(Request<RequestBody>) -> R,
    R: Future<Output = Result<Response<B>, E>>,
{
    type Response = Response<B>;
    type Error = E;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> R {
        (self.0)(request)
    }
}

fn serve<F, R, B>(f: F) -> Running
where
    F: Fn(Request<RequestBody>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<B>> + 'static,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = move |request| {
        let answer = f(request);
        async move { Ok::<_, Infallible>(answer.await) }
    };
    spawn(tower(Serve(service)))
}

fn text(text: impl Into<Bytes>) -> Response<RequestBody> {
    Response::new(RequestBody::from(text))
}

/// All of a body, and what came behind it.
async fn collect(body: RequestBody) -> io::Result<(Vec<u8>, Option<HeaderMap>)> {
    let mut body = pin!(body);
    let (mut bytes, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        match frame?.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes, trailers))
}

/// A body whose frames the test brings; an error is its end.
struct Brought {
    frames: Frames,
    size: Option<u64>,
    polled: Arc<AtomicUsize>,
}

impl http_body::Body for Brought {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.polled.fetch_add(1, Ordering::SeqCst);
        self.frames.poll(context)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

type Frames = Arc<Awaited<Option<Result<Frame<Bytes>, &'static str>>>>;

/// A server whose answers have these frames.
fn bringing(size: Option<u64>) -> (Running, Frames) {
    let frames: Frames = Awaited::new();
    let server = serve({
        let frames = frames.clone();
        move |_| {
            let frames = frames.clone();
            let polled = Arc::default();
            async move {
                Response::new(Brought {
                    frames,
                    size,
                    polled,
                })
            }
        }
    });
    (server, frames)
}

fn data(text: &'static str) -> Option<Result<Frame<Bytes>, &'static str>> {
    Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))
}

/// So many bytes.
fn take(client: &mut Client, count: usize) -> String {
    let mut bytes = vec![0; count];
    client.0.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}
