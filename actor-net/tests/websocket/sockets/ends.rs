//! How a conversation ends: agreed upon, cut, or given up.

use super::*;

#[test]
fn the_end_is_told_with_its_reason() {
    in_tasklet(|| {
        let (near, mut far) = default_pair();
        let closing = Tasklet::spawn(move || near.close(CloseCode(4001), &"é".repeat(100)));
        assert_eq!(far.read().unwrap(), None);
        let close = far.peers_close().unwrap();
        // Whole characters, no more than there is room for.
        assert_eq!(
            close,
            Close {
                code: CloseCode(4001),
                reason: "é".repeat(61)
            }
        );
        closing.join().unwrap().unwrap();
        assert!(matches!(far.send("late"), Err(WsError::Closed)));
        assert_eq!(far.read().unwrap(), None);

        // One that must not be sent is not.
        let (near, mut far) = default_pair();
        let closing = Tasklet::spawn(move || near.close(CloseCode::NO_STATUS, ""));
        assert_eq!(far.read().unwrap(), None);
        assert_eq!(far.peers_close().unwrap().code, CloseCode::NO_STATUS);
        closing.join().unwrap().unwrap();
    });
}

#[test]
fn both_may_close_at_once() {
    in_tasklet(|| {
        let (near, far) = default_pair();
        let far = Tasklet::spawn(move || far.close(CloseCode::AWAY, ""));
        near.close(CloseCode::NORMAL, "").unwrap();
        far.join().unwrap().unwrap();
    });
}

#[test]
fn a_peer_that_does_not_agree_to_the_end_is_not_waited_for() {
    in_tasklet(|| {
        let options = WsOptions::default().with(|options| options.close = SHORT);
        let begun = Instant::now();
        let (client, server) = streams();
        let far = WebSocket::server(server, Vec::new(), options.clone()).unwrap();
        let error = far.close(CloseCode::NORMAL, "");
        assert!(matches!(error, Err(WsError::Unanswered)), "{error:?}");
        assert!(begun.elapsed() >= SHORT);
        let mut raw = Raw::client(client);
        raw.is_closed_with(1000);

        // The writer has said so while the reader was waiting.
        let (client, server) = streams();
        let (mut reader, mut writer) = WebSocket::server(server, Vec::new(), options)
            .unwrap()
            .split();
        let reading = Tasklet::spawn(move || reader.read());
        writer.close(CloseCode::NORMAL, "").unwrap();
        let error = reading.join().unwrap();
        assert!(matches!(error, Err(WsError::Unanswered)), "{error:?}");
        drop(client);

        // One that is told by the way has no more time for it than its block.
        let (near, _far) = default_pair();
        let error = timeout(SHORT, || near.close(CloseCode::NORMAL, ""));
        assert!(matches!(error, Err(WsError::TimedOut)), "{error:?}");
    });
}

#[test]
fn an_end_that_the_peer_has_not_agreed_to_is_an_error() {
    in_tasklet(|| {
        let server = |stream| WebSocket::server(stream, Vec::new(), WsOptions::default()).unwrap();
        let close = |far: WebSocket| far.close(CloseCode::NORMAL, "");

        // It was gone already, and that has been seen or not.
        let (client, stream) = streams();
        drop(client);
        let error = close(server(stream));
        assert!(matches!(error, Err(WsError::Cut)), "{error:?}");
        let (client, stream) = streams();
        drop(client);
        let mut far = server(stream);
        assert!(matches!(far.read(), Err(WsError::Cut)));
        let error = close(far);
        assert!(matches!(error, Err(WsError::Cut)), "{error:?}");

        // It goes when it is told.
        let (client, stream) = streams();
        let closing = Tasklet::spawn(move || close(server(stream)));
        let mut raw = Raw::client(client);
        let told = raw.read().unwrap();
        assert_eq!(
            told,
            Frame::new(FIN | CLOSE, crate::raw::closing(1000, b""))
        );
        drop(raw);
        let error = closing.join().unwrap();
        assert!(matches!(error, Err(WsError::Cut)), "{error:?}");

        // It says something else that ends it.
        let (client, stream) = streams();
        let mut raw = Raw::client(client);
        raw.send(FIN | TEXT, b"\xff");
        let error = close(server(stream));
        assert!(matches!(error, Err(WsError::NotUtf8)), "{error:?}");

        // It was the first to say so, and has gone since.
        for shutdown in [Shutdown::Write, Shutdown::Both] {
            let (client, stream) = streams();
            let mut raw = Raw::client(client);
            raw.send(FIN | CLOSE, crate::raw::closing(1001, b""));
            raw.stream.shutdown(shutdown).unwrap();
            close(server(stream)).unwrap();
        }
    });
}

#[test]
fn a_peer_that_keeps_sending_does_not_hold_up_the_end() {
    in_tasklet(|| {
        let options = WsOptions::default().with(|options| options.close = SHORT);
        let (near, far) = pair(options, WsOptions::default());
        let (_reader, mut writer) = far.split();
        // It never reads, so it never hears of the end but by the end of the connection.
        let flooding = Tasklet::spawn(move || while writer.send(vec![0; 10_000]).is_ok() {});
        let error = near.close(CloseCode::NORMAL, "");
        assert!(matches!(error, Err(WsError::Unanswered)), "{error:?}");
        // Its system may go on asking for room for a while.
        flooding.kill();
    });
}

#[test]
fn what_the_peer_still_sends_is_thrown_away_by_a_close() {
    in_tasklet(|| {
        let (near, far) = default_pair();
        let (mut reader, mut writer) = far.split();
        let sending = Tasklet::spawn(move || {
            // Until it hears of the end.
            while writer.send(vec![1; 10_000]).is_ok() {}
        });
        let closing = Tasklet::spawn(move || near.close(CloseCode::NORMAL, ""));
        assert_eq!(reader.read().unwrap(), None);
        closing.join().unwrap().unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn a_connection_that_ends_without_a_word_is_cut() {
    in_tasklet(|| {
        let (client, server) = streams();
        let mut far = WebSocket::server(server, Vec::new(), WsOptions::default()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(matches!(far.read(), Err(WsError::Cut)));
        assert_eq!(far.read().unwrap(), None);
        // In the middle of a frame.
        let (client, server) = streams();
        let mut far = WebSocket::server(server, Vec::new(), WsOptions::default()).unwrap();
        let mut raw = Raw::client(client);
        raw.bytes([FIN | BINARY, 0x85, 0, 0]);
        drop(raw);
        assert!(matches!(far.read(), Err(WsError::Cut)));
    });
}

#[test]
fn one_that_is_dropped_cuts_the_connection() {
    in_tasklet(|| {
        let (near, mut far) = default_pair();
        drop(near);
        assert!(matches!(far.read(), Err(WsError::Cut)));
    });
}

#[test]
fn a_server_that_shuts_down_takes_leave() {
    in_tasklet(|| {
        let open = Arc::new(AtomicUsize::new(0));
        let count = open.clone();
        let server = serve(move |socket: WebSocket| {
            count.fetch_add(1, Ordering::Relaxed);
            let result = echo(socket);
            count.fetch_sub(1, Ordering::Relaxed);
            result
        });
        let url = format!("ws://{}/", server.local_addr());
        let mut clients: Vec<_> = (0..20).map(|_| ws::connect(&url).unwrap()).collect();
        for client in &mut clients {
            client.send("x").unwrap();
            assert_eq!(client.read().unwrap(), Some("x".into()));
        }
        let leaving: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                Tasklet::spawn(move || {
                    assert_eq!(client.read().unwrap(), None);
                    client.peers_close().unwrap().code
                })
            })
            .collect();
        server.shutdown(PATIENCE).unwrap();
        for client in leaving {
            assert_eq!(client.join().unwrap(), CloseCode::AWAY);
        }
        assert_eq!(open.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_handler_that_fails_tells_its_client() {
    keep_log();
    in_tasklet(|| {
        let server = serve(|mut socket: WebSocket| -> Result<(), BoxError> {
            match socket.read()?.as_ref().and_then(Message::as_text) {
                Some("fail") => Err("as it was told".into()),
                Some("panic") => panic!("as it was told"),
                _ => Ok(()),
            }
        });
        let url = format!("ws://{}/", server.local_addr());
        let told = |message: &str| {
            let mut socket = ws::connect(&url).unwrap();
            socket.send(message).unwrap();
            let end = socket.read();
            (
                end.map(|end| end.is_none()),
                socket.peers_close().map(|close| close.code),
            )
        };
        assert!(matches!(told("well"), (Ok(true), Some(CloseCode::NORMAL))));
        assert!(matches!(told("fail"), (Ok(true), Some(CloseCode::ERROR))));
        assert!(matches!(told("panic"), (Err(_), None)));
        eventually("the log", || {
            !logged(&["WARN", "upgraded connection failed", "as it was told"]).is_empty()
        });
    });
}
