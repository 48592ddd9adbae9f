//! Bodies of requests, as a service reads them, or does not.

use super::*;

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
        assert_mirrors(&mut client);
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
        assert_does_not_wait_for_the_rest(&mut client);
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
