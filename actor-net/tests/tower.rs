//! Services of tower behind the server: what they are asked, how bodies come and go, and who waits for whom.

#![cfg(feature = "tower")]

#[cfg(feature = "tls")]
#[path = "common/certificates.rs"]
mod certificates;
mod common;
#[path = "common/http.rs"]
mod http;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{BoxError, Tasklet, block_on};
use actor_net::http::tower::RequestBody;
use actor_net::http::{
    self as server, Body, Bytes, HeaderMap, HeaderValue, HttpServer, IntoResponse, Limits, Method,
    Request, Response, StatusCode, Upgrade, Upgraded, tower,
};
use common::{eventually, in_tasklet};
use http::{Client, Running, get, post, spawn};
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
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

/// A value that somebody else brings.
struct Awaited<T>(Mutex<(VecDeque<T>, Option<Waker>)>);

impl<T> Awaited<T> {
    fn new() -> Arc<Awaited<T>> {
        Arc::new(Awaited(Mutex::new((VecDeque::new(), None))))
    }

    fn bring(&self, value: T) {
        let waker = {
            let mut inner = self.0.lock();
            inner.0.push_back(value);
            inner.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn is_waited_for(&self) -> bool {
        self.0.lock().1.is_some()
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut inner = self.0.lock();
        match inner.0.pop_front() {
            Some(value) => Poll::Ready(value),
            None => {
                inner.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    async fn get(&self) -> T {
        poll_fn(|context| self.poll(context)).await
    }
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

#[test]
fn requests_are_answered() {
    in_tasklet(|| {
        let server = serve(async |request: Request<RequestBody>| {
            let line = format!("{} {}", request.method(), request.uri().path());
            match request.uri().path() {
                "/empty" => text(""),
                "/peer" => text(server::peer().unwrap().addr().to_string()),
                _ => text(line),
            }
        });
        let mut client = Client::of(&server);
        let all = ["/", "/a", "/empty"].map(get).concat();
        client.send(all + "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + &get("/last"));
        assert_eq!(client.body(), "GET /");
        assert_eq!(client.body(), "GET /a");
        assert_eq!(client.body(), "");
        assert!(client.head().contains("content-length: 6\r\n"));
        assert_eq!(client.body(), "GET /last");
        client.send(get("/peer"));
        let addr = client.0.local_addr().unwrap();
        assert_eq!(client.body(), addr.to_string());
    });
}

/// Ready at the second look.
struct Busy {
    looks: usize,
    ready: Arc<Awaited<Result<(), &'static str>>>,
}

impl Clone for Busy {
    fn clone(&self) -> Busy {
        Busy {
            looks: 0,
            ready: self.ready.clone(),
        }
    }
}

impl Service<Request<RequestBody>> for Busy {
    type Response = Response<RequestBody>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<RequestBody>, &'static str>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.looks += 1;
        self.ready.poll(context)
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        assert!(self.looks > 1, "the same is called that was ready");
        std::future::ready(Ok(text("ready")))
    }
}

#[test]
fn a_service_is_called_when_it_is_ready() {
    in_tasklet(|| {
        let ready = Awaited::new();
        let looks = 0;
        let server = spawn(tower(Busy {
            looks,
            ready: ready.clone(),
        }));
        let mut client = Client::of(&server);
        client.send(get("/"));
        eventually("it is asked", || ready.is_waited_for());
        let waker = thread::spawn({
            let ready = ready.clone();
            move || ready.bring(Ok(()))
        });
        assert_eq!(client.body(), "ready");
        waker.join().unwrap();
        // One that never will be is a failure of the service, and not of the connection.
        ready.bring(Err("out of order"));
        client.send(get("/"));
        assert!(client.answer().0.starts_with("HTTP/1.1 500 "));
        client.send(get("/"));
        eventually("it is asked again", || ready.is_waited_for());
        ready.bring(Ok(()));
        assert_eq!(client.body(), "ready");
    });
}

#[test]
fn a_panic_is_answered_for() {
    in_tasklet(|| {
        let server = serve(async |request: Request<RequestBody>| {
            if request.uri().path() == "/panic" {
                panic!("a service that panics");
            }
            text("well")
        });
        let mut client = Client::of(&server);
        client.send([get("/"), get("/panic"), get("/")].concat());
        assert_eq!(client.body(), "well");
        let rest = client.rest();
        assert!(rest.starts_with("HTTP/1.1 500 "), "{rest}");
        assert!(rest.contains("connection: close\r\n"), "{rest}");
        eventually("the connection has gone", || server.connections() == 0);
    });
}

#[test]
fn a_body_that_has_come_is_one_frame() {
    in_tasklet(|| {
        let server = serve(async |request: Request<RequestBody>| {
            let mut body = pin!(request.into_body());
            assert_eq!(body.size_hint().exact(), Some(5));
            let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await;
            assert!(body.is_end_stream());
            text(frame.unwrap().unwrap().into_data().unwrap())
        });
        let mut client = Client::of(&server);
        client.send(post("Content-Length: 5", "hello"));
        assert_eq!(client.body(), "hello");
    });
}

#[test]
fn a_body_comes_as_it_is_asked_for() {
    in_tasklet(|| {
        let server = serve(async |request: Request<RequestBody>| {
            let size = request.body().size_hint().exact();
            let (bytes, trailers) = collect(request.into_body()).await.unwrap();
            let trailers = trailers.map(|trailers| trailers["x-sum"].to_str().unwrap().to_owned());
            let bytes = String::from_utf8(bytes).unwrap();
            text(format!("{size:?} {bytes} {trailers:?}"))
        });
        let mut client = Client::of(&server);
        client.send(post("Content-Length: 5", "he"));
        Tasklet::yield_now();
        client.send("llo");
        assert_eq!(client.body(), "Some(5) hello None");
        client.send(post("Transfer-Encoding: chunked", "3\r\nabc\r\n"));
        Tasklet::yield_now();
        client.send("2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n");
        assert_eq!(client.body(), "None abcde Some(\"7\")");
        client.send(post("Expect: 100-continue\r\nContent-Length: 2", ""));
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("ok");
        assert_eq!(client.body(), "Some(2) ok None");
    });
}

/// The head of the answer comes before the body of the request has, and each piece goes back at once.
#[test]
fn a_body_streams_both_ways() {
    in_tasklet(|| {
        let server =
            serve(async |request: Request<RequestBody>| Response::new(request.into_body()));
        let mut client = Client::of(&server);
        client.send(post(
            "Transfer-Encoding: chunked\r\nExpect: 100-continue",
            "",
        ));
        // Not in the middle of the answer.
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(client.head().contains("transfer-encoding: chunked\r\n"));
        client.send("3\r\nabc\r\n");
        assert_eq!(take(&mut client, 8), "3\r\nabc\r\n");
        client.send("0\r\nX-Sum: 7\r\n\r\n");
        assert_eq!(take(&mut client, 15), "0\r\nx-sum: 7\r\n\r\n");
        // And the connection goes on; this one is larger than all buffers.
        let size = 4 * 1024 * 1024;
        let mut writer = client.0.try_clone().unwrap();
        let writer = Tasklet::spawn(move || {
            let head = post(&format!("Content-Length: {size}"), "");
            writer.write_all(head.as_bytes())?;
            (0..size / 4096).try_for_each(|i| writer.write_all(&[(i % 251) as u8; 4096]))
        });
        let length = format!("content-length: {size}\r\n");
        assert!(client.head().contains(&length));
        let mut piece = [0; 4096];
        for i in 0..size / 4096 {
            client.0.read_exact(&mut piece).unwrap();
            assert_eq!(piece, [(i % 251) as u8; 4096]);
        }
        writer.join().unwrap().unwrap();
        client.send(get("/"));
        assert_eq!(client.body(), "");
    });
}

#[test]
fn what_is_not_asked_for_stays_with_the_client() {
    in_tasklet(|| {
        let go_on = Awaited::new();
        let server = serve({
            let go_on = go_on.clone();
            move |request: Request<RequestBody>| {
                let go_on = go_on.clone();
                async move {
                    go_on.get().await;
                    text(
                        collect(request.into_body())
                            .await
                            .unwrap()
                            .0
                            .len()
                            .to_string(),
                    )
                }
            }
        });
        let mut client = Client::of(&server);
        // More than the system buffers, and less than the limit.
        let size = 8 * 1024 * 1024;
        client.send(post(&format!("Content-Length: {size}"), ""));
        let mut writer = client.0.try_clone().unwrap();
        writer
            .set_write_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let (piece, mut sent) = (vec![b'x'; 64 * 1024], 0);
        let error = loop {
            match writer.write(&piece[..piece.len().min(size - sent)]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(sent < size, "all of it has been taken");
        go_on.bring(());
        writer.set_write_timeout(None).unwrap();
        let rest = vec![b'x'; size - sent];
        writer.write_all(&rest).unwrap();
        assert_eq!(client.body(), size.to_string());
    });
}

/// While a piece is waited for that the client does not send, the future is woken for something else.
#[test]
fn a_future_goes_on_while_its_body_is_waited_for() {
    in_tasklet(|| {
        let enough = Awaited::new();
        let server = serve({
            let enough = enough.clone();
            move |request: Request<RequestBody>| {
                let enough = enough.clone();
                async move {
                    let mut body = pin!(request.into_body());
                    poll_fn(|context| {
                        if let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(context) {
                            assert_eq!(frame.into_data().unwrap(), "he");
                            assert!(body.as_mut().poll_frame(context).is_pending());
                        }
                        enough.poll(context)
                    })
                    .await;
                    text("enough")
                }
            }
        });
        for _ in 0..100 {
            let mut client = Client::of(&server);
            client.send(post("Content-Length: 5", "he"));
            eventually("the rest is waited for", || enough.is_waited_for());
            let thread = thread::spawn({
                let enough = enough.clone();
                move || enough.bring(())
            });
            let rest = client.rest();
            assert!(rest.ends_with("\r\n\r\nenough"), "{rest}");
            assert!(rest.contains("connection: close\r\n"), "{rest}");
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_body_may_be_read_on_a_thread() {
    in_tasklet(|| {
        let server = serve(async |request: Request<RequestBody>| {
            let read = Awaited::new();
            let thread = thread::spawn({
                let read = read.clone();
                move || read.bring(block_on(collect(request.into_body())))
            });
            let (bytes, _) = read.get().await.unwrap();
            thread.join().unwrap();
            text(bytes)
        });
        let mut client = Client::of(&server);
        let body = "0123456789".repeat(50_000);
        let head = format!("Content-Length: {}", body.len());
        let mut writer = client.0.try_clone().unwrap();
        let request = post(&head, &body);
        let writer = Tasklet::spawn(move || writer.write_all(request.as_bytes()));
        assert!(client.body() == body);
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn a_body_may_outlive_the_answer() {
    in_tasklet(|| {
        let read = Awaited::new();
        let server = serve({
            let read = read.clone();
            move |request: Request<RequestBody>| {
                let read = read.clone();
                async move {
                    if request.method() == Method::POST {
                        thread::spawn(move || read.bring(block_on(collect(request.into_body()))));
                    }
                    text("accepted")
                }
            }
        });
        let mut client = Client::of(&server);
        client.send(post("Content-Length: 10", "hello"));
        assert_eq!(client.body(), "accepted");
        client.send("world");
        assert_eq!(block_on(read.get()).unwrap().0, b"helloworld");
        client.send(get("/"));
        assert_eq!(client.body(), "accepted");
        // One that goes away leaves nothing behind.
        client.send(post("Content-Length: 10", "hello"));
        assert_eq!(client.body(), "accepted");
        drop(client);
        let error = block_on(read.get()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        eventually("the connection has gone", || server.connections() == 0);
    });
}

/// The connection is not kept for ever for somebody who neither reads nor drops it.
#[test]
fn a_body_that_is_kept_does_not_keep_the_connection() {
    in_tasklet(|| {
        let kept = Awaited::new();
        let service = {
            let kept = kept.clone();
            move |request: Request<RequestBody>| {
                let kept = kept.clone();
                async move {
                    let mut body = request.into_body();
                    // One piece, and no more.
                    let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
                    let data = frame.unwrap()?.into_data().unwrap();
                    kept.bring(body);
                    Ok::<_, io::Error>(text(data))
                }
            }
        };
        let limits = Limits::default().with(|limits| {
            limits.write_time = Duration::from_millis(100);
        });
        let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
        let server = Running(server.spawn(tower(Serve(service))).unwrap());
        let mut client = Client::of(&server);
        client.send(post("Content-Length: 10", "hello"));
        assert_eq!(client.body(), "hello");
        assert_eq!(client.rest(), "");
        eventually("the connection has gone", || server.connections() == 0);
        let error = block_on(collect(block_on(kept.get()))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn a_body_that_nobody_reads_does_no_harm() {
    in_tasklet(|| {
        let server = serve(async |_: Request<RequestBody>| text("enough"));
        let mut client = Client::of(&server);
        client.send(
            [
                post("Transfer-Encoding: chunked", "1\r\na\r\n0\r\n\r\n"),
                get("/"),
            ]
            .concat(),
        );
        assert_eq!(
            (client.body(), client.body()),
            ("enough".into(), "enough".into())
        );
        client.send(post("Content-Length: 5", "hell"));
        let rest = client.rest();
        assert!(
            rest.contains("connection: close") && rest.ends_with("enough"),
            "{rest}"
        );
    });
}

#[test]
fn what_is_wrong_with_a_body_is_told_to_both() {
    in_tasklet(|| {
        let failed = Awaited::new();
        let server = serve({
            let failed = failed.clone();
            move |request: Request<RequestBody>| {
                let failed = failed.clone();
                async move {
                    let mut body = pin!(request.into_body());
                    let error = loop {
                        let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await;
                        if let Err(error) = frame.expect("an error before the end") {
                            break error;
                        }
                    };
                    // It comes once.
                    assert!(
                        poll_fn(|context| body.as_mut().poll_frame(context))
                            .await
                            .is_none()
                    );
                    failed.bring(error.kind());
                    text("whatever")
                }
            }
        });
        let mut client = Client::of(&server);
        client.send(post("Transfer-Encoding: chunked", "5\r\nhelloX"));
        assert!(client.rest().starts_with("HTTP/1.1 400 Bad Request\r\n"));
        assert_eq!(block_on(failed.get()), ErrorKind::InvalidData);

        let mut client = Client::of(&server);
        client.send(post("Content-Length: 5", "he"));
        drop(client);
        assert_eq!(block_on(failed.get()), ErrorKind::UnexpectedEof);
        eventually("the connections have gone", || server.connections() == 0);
    });
}

#[test]
fn a_client_that_is_too_slow_is_told_so() {
    in_tasklet(|| {
        let limits = Limits::default().with(|limits| {
            limits.body_grace = Duration::from_millis(20);
        });
        let service = |request: Request<RequestBody>| async {
            let error = collect(request.into_body()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            Ok::<_, Infallible>(text("whatever"))
        };
        let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
        let server = Running(server.spawn(tower(Serve(service))).unwrap());
        let mut client = Client::of(&server);
        client.send(post("Content-Length: 5", "he"));
        assert!(
            client
                .rest()
                .starts_with("HTTP/1.1 408 Request Timeout\r\n")
        );
    });
}

#[test]
fn frames_are_sent_as_they_come() {
    in_tasklet(|| {
        let (server, frames) = bringing(None);
        let mut client = Client::of(&server);
        client.send(get("/"));
        assert!(client.head().contains("transfer-encoding: chunked\r\n"));
        frames.bring(data("first"));
        assert_eq!(take(&mut client, 10), "5\r\nfirst\r\n");
        frames.bring(data(""));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        frames.bring(Some(Ok(Frame::trailers(trailers))));
        assert_eq!(take(&mut client, 15), "0\r\nx-sum: 7\r\n\r\n");
        // Without chunks, the end is that of the connection.
        client.send("GET / HTTP/1.0\r\n\r\n");
        frames.bring(data("old"));
        frames.bring(None);
        let rest = client.rest();
        assert!(
            rest.ends_with("\r\n\r\nold") && !rest.contains("chunked"),
            "{rest}"
        );
    });
}

#[test]
fn a_length_that_is_known_is_told() {
    in_tasklet(|| {
        let (server, frames) = bringing(Some(6));
        let mut client = Client::of(&server);
        client.send(get("/"));
        frames.bring(data("one"));
        assert!(client.head().contains("content-length: 6\r\n"));
        assert_eq!(take(&mut client, 3), "one");
        frames.bring(data("two and more"));
        assert_eq!(take(&mut client, 3), "two");
        // What is too short is seen to be.
        client.send(get("/"));
        frames.bring(data("short"));
        frames.bring(None);
        assert!(client.rest().ends_with("\r\n\r\nshort"));
        // A head alone asks for nothing.
        let mut client = Client::of(&server);
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(client.head().contains("content-length: 6\r\n"));
        assert!(!frames.is_waited_for());
    });
}

#[test]
fn an_error_in_the_middle_is_seen_to_be_one() {
    in_tasklet(|| {
        let (server, frames) = bringing(None);
        let mut client = Client::of(&server);
        client.send(get("/"));
        client.head();
        frames.bring(data("some"));
        frames.bring(Some(Err("that is all I know")));
        // What there was is sent, and no end.
        assert_eq!(client.rest(), "4\r\nsome\r\n");
        eventually("the connection has gone", || server.connections() == 0);
    });
}

/// Gives the same for ever.
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(
            &[b'x'; 16 * 1024],
        )))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.fetch_add(1 << 32, Ordering::SeqCst);
    }
}

#[test]
fn a_reader_that_does_not_read_holds_the_body_up() {
    in_tasklet(|| {
        let polled = Arc::new(AtomicUsize::new(0));
        let limits = Limits::default().with(|limits| {
            limits.write_time = Duration::from_millis(50);
        });
        let service = {
            let polled = polled.clone();
            move |_| {
                let answer = Response::new(Endless(polled.clone()));
                async { Ok::<_, Infallible>(answer) }
            }
        };
        let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
        let server = Running(server.spawn(tower(Serve(service))).unwrap());
        let mut client = Client::of(&server);
        client.send(get("/"));
        eventually("the body is dropped", || {
            polled.load(Ordering::SeqCst) >> 32 == 1
        });
        let frames = polled.load(Ordering::SeqCst) & 0xffff_ffff;
        assert!(
            frames < 4096,
            "{frames} frames of 16 KiB have been made for nobody"
        );
        eventually("the connection has gone", || server.connections() == 0);
    });
}

/// Notices its end.
struct Ends(Arc<Event>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[test]
fn a_kill_drops_the_future() {
    in_tasklet(|| {
        let (waits, ended) = (Awaited::<()>::new(), Arc::new(Event::new()));
        let server = serve({
            let (waits, ended) = (waits.clone(), ended.clone());
            move |_| {
                let (waits, ends) = (waits.clone(), Ends(ended.clone()));
                async move {
                    waits.get().await;
                    drop(ends);
                    text("never")
                }
            }
        });
        let mut client = Client::of(&server);
        client.send(get("/"));
        eventually("it waits", || waits.is_waited_for());
        server.tasklet().kill();
        ended.wait();
        assert_eq!(client.rest(), "");
        // A waker that is left wakes nobody.
        waits.bring(());
    });
}

/// What tower knows nothing of rides in the extensions of the answer.
#[test]
fn an_upgrade_passes_through_a_service() {
    in_tasklet(|| {
        let server = serve(async |_: Request<RequestBody>| {
            let mut switching = Response::new(());
            *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let echo = |mut stream: Upgraded| {
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                stream.write_all(text.to_uppercase().as_bytes())
            };
            let response: Response<Body> = Upgrade::new(switching, echo).into_response();
            response.map(|_| RequestBody::from(""))
        });
        let mut client = Client::of(&server);
        client.send(get("/"));
        client.send("hello");
        assert!(client.head().starts_with("HTTP/1.1 101 "));
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.rest(), "HELLO");
    });
}

/// What a handler is, it can be around another.
#[test]
fn what_is_known_of_a_connection_can_be_put_in_before() {
    #[derive(Clone)]
    struct From(std::net::SocketAddr);

    in_tasklet(|| {
        let service = |request: Request<RequestBody>| {
            let from = request.extensions().get::<From>().unwrap().0;
            async move { Ok::<_, Infallible>(text(from.to_string())) }
        };
        let app = tower(Serve(service));
        let server = spawn(move |mut request: Request<Body>| {
            let addr = server::peer().unwrap().addr();
            request.extensions_mut().insert(From(addr));
            app(request)
        });
        let mut client = Client::of(&server);
        client.send(get("/"));
        let addr = client.0.local_addr().unwrap();
        assert_eq!(client.body(), addr.to_string());
    });
}

/// What is beneath a connection makes no difference.
#[cfg(feature = "tls")]
#[test]
fn bodies_stream_under_tls() {
    in_tasklet(|| {
        let (tls, client_tls) = certificates::both();
        let service = |request: Request<RequestBody>| {
            let answer = Response::new(request.into_body());
            async { Ok::<_, Infallible>(answer) }
        };
        let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls);
        let server = Running(server.spawn(tower(Serve(service))).unwrap());
        let stream = client_tls
            .connect("localhost", Client::of(&server).0)
            .unwrap();
        let mut client = Client(stream);
        client.send(post("Transfer-Encoding: chunked", ""));
        assert!(client.head().contains("transfer-encoding: chunked\r\n"));
        for piece in ["3\r\nabc\r\n", "2\r\nde\r\n", "0\r\n\r\n"] {
            client.send(piece);
            let mut back = vec![0; piece.len()];
            client.0.read_exact(&mut back).unwrap();
            assert_eq!(back, piece.as_bytes());
        }
        let body = "0123456789".repeat(10_000);
        client.send(post(&format!("Content-Length: {}", body.len()), &body));
        assert!(client.body() == body);
    });
}
