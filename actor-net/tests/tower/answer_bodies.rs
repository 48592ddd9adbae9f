//! Bodies of answers, as a service makes them.

use super::*;

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
