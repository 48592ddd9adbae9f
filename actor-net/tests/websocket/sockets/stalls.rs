//! Peers that do not read, flood or are silent, and readers and writers that are gone in the middle.

use super::*;

#[test]
fn a_peer_that_does_not_read_makes_sending_wait_and_then_fail() {
    in_tasklet(|| {
        let options = WsOptions::default().with(|options| {
            options.send = Some(SHORT);
            options.ping = None;
        });
        let (near, mut far) = pair(options, WsOptions::default());
        let (_reader, mut writer) = near.split();
        let message = Message::from(vec![5; 100_000]);
        let mut whole = 0;
        let error = loop {
            match writer.send(message.clone()) {
                Ok(()) => whole += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, WsError::TimedOut), "{error:?}");
        assert!(whole > 0);
        // Nothing is lost but time: what has been begun is in front of what comes next.
        let last = Tasklet::spawn(move || -> Result<(), WsError> {
            loop {
                match writer.send("last") {
                    Err(WsError::TimedOut) => {}
                    sent => return sent,
                }
            }
        });
        let mut read = 0;
        loop {
            match far.read().unwrap().unwrap() {
                Message::Text(text) => {
                    assert_eq!(text, "last");
                    break;
                }
                received => assert_eq!(received, message),
            }
            read += 1;
        }
        assert!(read == whole || read == whole + 1, "{read} of {whole}");
        last.join().unwrap().unwrap();
    });
}

#[test]
fn a_timeout_around_a_read_loses_nothing() {
    in_tasklet(|| {
        let (mut near, far) = default_pair();
        assert!(matches!(
            timeout(SHORT, || near.read()),
            Err(WsError::TimedOut)
        ));
        let mut raw = far;
        raw.send("here").unwrap();
        assert_eq!(
            timeout(PATIENCE, || near.read()).unwrap(),
            Some("here".into())
        );
    });
}

#[test]
fn a_peer_that_floods_with_pings_and_does_not_read_takes_no_memory() {
    in_tasklet(|| {
        let read = Arc::new(Event::new());
        let flag = read.clone();
        let server = serve(move |mut socket: WebSocket| {
            let message = socket.read()?;
            assert_eq!(message, Some("enough".into()));
            flag.set();
            echo(socket)
        });
        let mut raw = Raw::connect(&server);
        // Much more than the buffers of both ends' sockets hold.
        let pings: Vec<u8> = (0..100_000u32)
            .flat_map(|n| {
                crate::raw::frame(FIN | PING, &[n.to_be_bytes(); 30].concat(), Some([0; 4]))
            })
            .collect();
        raw.bytes(pings);
        raw.send(FIN | TEXT, "enough");
        read.wait_timeout(PATIENCE).unwrap();
        raw.send(FIN | TEXT, "still there?");
        let mut pongs = 0;
        loop {
            let frame = raw.read().unwrap();
            match frame.kind & 15 {
                PONG => pongs += 1,
                TEXT => break assert_eq!(frame.payload, b"still there?"),
                other => panic!("{other}"),
            }
        }
        assert!(0 < pongs && pongs <= 100_000, "{pongs}");
        raw.part(1000);
    });
}

#[test]
fn a_pong_that_found_no_room_is_sent_when_there_is_some() {
    in_tasklet(|| {
        let options = WsOptions::default().with(|options| {
            options.ping = None;
            options.send = Some(SHORT);
        });
        let (client, server) = streams();
        let far = WebSocket::server(server, Vec::new(), options).unwrap();
        let (mut reader, mut writer) = far.split();
        // Until the sockets are full.
        while writer.send(vec![1; 50_000]).is_ok() {}
        let mut raw = Raw::client(client);
        raw.bytes(
            [
                crate::raw::frame(FIN | PING, b"are you there?", Some([0; 4])),
                crate::raw::frame(FIN | TEXT, b"behind it", Some([0; 4])),
            ]
            .concat(),
        );
        // By then it has been tried in vain.
        assert_eq!(reader.read().unwrap(), Some("behind it".into()));
        let reading = Tasklet::spawn(move || reader.read());
        eventually("the reader waits", || reading.is_blocked());
        // Nobody sends any more, and nothing more comes in: the reader has to see to it.
        loop {
            let frame = raw.read().unwrap();
            if frame.kind == FIN | PONG {
                assert_eq!(frame.payload, b"are you there?");
                break;
            }
        }
        raw.send(FIN | CLOSE, closing(1000, b""));
        assert_eq!(reading.join().unwrap().unwrap(), None);
    });
}

#[test]
fn a_silent_peer_is_asked_and_then_given_up() {
    in_tasklet(|| {
        let options = |pong| {
            WsOptions::default().with(|options| {
                options.ping = Some(SHORT);
                options.pong = pong;
            })
        };
        // Whoever answers stays, however long it has nothing else to say; on a busy machine the answers take their
        // time.
        let server = serve_with(options(PATIENCE), echo);
        let mut raw = Raw::connect(&server);
        for _ in 0..5 {
            let ping = raw.read().unwrap();
            assert_eq!(ping.kind, FIN | PING);
            raw.send(FIN | PONG, ping.payload);
        }
        raw.send(FIN | CLOSE, closing(1000, b""));
        while raw.read().unwrap().kind == FIN | PING {}

        // One that is half open does not.
        let ended = Arc::new(Event::new());
        let flag = ended.clone();
        let server = serve_with(options(SHORT), move |mut socket: WebSocket| {
            let error = socket.read().unwrap_err();
            assert!(matches!(error, WsError::Silent), "{error:?}");
            assert!(matches!(socket.send("x"), Err(WsError::Closed)));
            assert_eq!(socket.read().unwrap(), None);
            flag.set();
        });
        let mut raw = Raw::connect(&server);
        ended.wait_timeout(PATIENCE).unwrap();
        assert_eq!(raw.read(), Some(Frame::new(FIN | PING, "")));
        assert_eq!(raw.read(), None);
    });
}

#[test]
fn a_silent_peer_ends_the_writer_that_waits_for_it() {
    in_tasklet(|| {
        let options = WsOptions::default().with(|options| {
            options.ping = Some(SHORT);
            options.pong = SHORT;
            options.send = None;
        });
        let (client, server) = streams();
        let far = WebSocket::server(server, Vec::new(), options).unwrap();
        let (mut reader, mut writer) = far.split();
        let writing = Tasklet::spawn(move || {
            loop {
                if let Err(error) = writer.send(vec![0; 100_000]) {
                    break error;
                }
            }
        });
        assert!(matches!(reader.read(), Err(WsError::Silent)));
        let error = writing.join().unwrap();
        assert!(
            matches!(error, WsError::Io(_) | WsError::Closed),
            "{error:?}"
        );
        drop(client);
    });
}

#[test]
fn a_reader_that_is_killed_in_the_middle_leaves_the_writer() {
    in_tasklet(|| {
        let (near, mut far) = default_pair();
        let (mut reader, mut writer) = near.split();
        let reading = Tasklet::spawn(move || reader.read().map(drop));
        Tasklet::yield_now();
        reading.kill();
        reading.join().unwrap_err();
        writer.send("still here").unwrap();
        assert_eq!(far.read().unwrap(), Some("still here".into()));
    });
}

#[test]
fn a_writer_that_is_killed_in_the_middle_of_a_message_loses_nothing_of_it() {
    in_tasklet(|| {
        let (near, far) = streams();
        // Some systems' sockets would hold all of it.
        near.socket_ref().set_send_buffer_size(64 * 1024).unwrap();
        far.socket_ref().set_recv_buffer_size(64 * 1024).unwrap();
        let near = WebSocket::client(near, Vec::new(), WsOptions::default()).unwrap();
        let mut far = WebSocket::server(far, Vec::new(), WsOptions::default()).unwrap();
        let (mut reader, writer) = near.split();
        let session = Arc::new(actor_core::sync::Mutex::new(writer));
        let shared = session.clone();
        let sending = Tasklet::spawn(move || {
            // More than the sockets hold.
            shared.lock().send(vec![9; 4 << 20]).unwrap();
        });
        eventually("it waits for room", || sending.is_blocked());
        sending.kill();
        sending.join().unwrap_err();
        let rest = Tasklet::spawn(move || session.lock().send("behind"));
        assert!(far.read().unwrap() == Some(vec![9; 4 << 20].into()));
        assert_eq!(far.read().unwrap(), Some("behind".into()));
        rest.join().unwrap().unwrap();
        let closing = Tasklet::spawn(move || far.close(CloseCode::NORMAL, ""));
        assert_eq!(reader.read().unwrap(), None);
        closing.join().unwrap().unwrap();
    });
}

#[test]
fn a_writer_that_is_gone_in_the_middle_of_a_message_ends_a_reader_that_waits() {
    in_tasklet(|| {
        // Killed, and nobody else can send; killed, and nobody else does; timed out, and gone.
        for case in ["owner", "one of many", "impatient"] {
            let options = WsOptions::default().with(|options| {
                options.ping = None;
                options.send = (case == "impatient").then_some(SHORT);
                options.close = SHORT;
            });
            let (near, far) = pair(options, WsOptions::default());
            let (mut reader, mut writer) = near.split();
            let reading = Tasklet::spawn(move || reader.read());
            eventually("the reader waits", || reading.is_blocked());
            let message = vec![9; 16 << 20];
            let mut shared = None;
            let sending = match case {
                "one of many" => {
                    let writer = Arc::new(actor_core::sync::Mutex::new(writer));
                    shared = Some(writer.clone());
                    Tasklet::spawn(move || writer.lock().send(message))
                }
                _ => Tasklet::spawn(move || writer.send(message)),
            };
            if case == "impatient" {
                let error = sending.join().unwrap();
                assert!(matches!(error, Err(WsError::TimedOut)), "{error:?}");
            } else {
                eventually("it waits for room", || sending.is_blocked());
                sending.kill();
                sending.join().unwrap_err();
            }
            let end = reading.join_timeout(PATIENCE).unwrap();
            assert!(matches!(end, Err(WsError::Unfinished)), "{case}: {end:?}");
            if let Some(writer) = shared {
                let late = writer.lock().send("late");
                assert!(matches!(late, Err(WsError::Closed)), "{late:?}");
            }
            drop(far);
        }
    });
}
