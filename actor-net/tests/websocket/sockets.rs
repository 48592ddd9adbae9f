//! Both ends of ours: halves, ends, times and stalls.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actor_core::sync::Event;
use actor_core::{BoxError, Placement, Tasklet, timeout};
use actor_io::{TcpListener, TcpStream, UnixStream};
use actor_net::http::ws::{
    self, Close, CloseCode, Message, WebSocket, WsConnector, WsError, WsOptions,
};

use crate::common::{PATIENCE, eventually, in_tasklet, keep_log, logged};
use crate::raw::{
    BINARY, CLOSE, FIN, Frame, PING, PONG, Raw, TEXT, closing, echo, serve, serve_with,
};

const SHORT: Duration = Duration::from_millis(30);

/// Two ends of a WebSocket over TCP.
fn pair(near: WsOptions, far: WsOptions) -> (WebSocket, WebSocket) {
    let (client, server) = streams();
    (
        WebSocket::client(client, Vec::new(), near).unwrap(),
        WebSocket::server(server, Vec::new(), far).unwrap(),
    )
}

fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    (client, server)
}

fn default_pair() -> (WebSocket, WebSocket) {
    pair(WsOptions::default(), WsOptions::default())
}

fn echoing(socket: WebSocket) -> actor_core::JoinHandle<Result<(), WsError>> {
    Tasklet::spawn(move || echo(socket))
}

#[test]
fn messages_go_both_ways_and_end_well() {
    in_tasklet(|| {
        let (mut near, far) = default_pair();
        let far = echoing(far);
        for message in [
            Message::from("text"),
            Message::from(vec![0, 255]),
            Message::from(""),
        ] {
            near.send(message.clone()).unwrap();
            assert_eq!(near.read().unwrap(), Some(message));
        }
        near.close(CloseCode(4000), "enough").unwrap();
        far.join().unwrap().unwrap();
    });
}

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
fn full_duplex_on_two_workers() {
    const COUNT: usize = 20_000;
    let run = || {
        let (near, far) = default_pair();
        // Who says that it is over does so when both have got all.
        let got = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for (worker, socket) in [near, far].into_iter().enumerate() {
            let (mut reader, mut writer) = socket.split();
            let (count, got) = (got.clone(), got.clone());
            let placed = |worker| Tasklet::builder().placement(Placement::Worker(worker));
            tasks.push(
                placed(worker)
                    .spawn(move || -> Result<(), BoxError> {
                        for n in 0..COUNT {
                            writer.send(vec![n as u8; 4096])?;
                        }
                        while got.load(Ordering::SeqCst) < 2 * COUNT {
                            Tasklet::sleep(Duration::from_millis(1));
                        }
                        Ok(writer.close(CloseCode::NORMAL, "")?)
                    })
                    .unwrap(),
            );
            tasks.push(
                placed(1 - worker)
                    .spawn(move || -> Result<(), BoxError> {
                        for n in 0..COUNT {
                            let message = reader.read()?.ok_or("too few")?;
                            assert_eq!(message, Message::from(vec![n as u8; 4096]));
                            count.fetch_add(1, Ordering::SeqCst);
                        }
                        assert_eq!(reader.read()?, None);
                        Ok(())
                    })
                    .unwrap(),
            );
        }
        for task in tasks {
            task.join().unwrap().unwrap();
        }
    };
    in_tasklet(run);
}

#[test]
fn messages_longer_than_any_buffer_arrive() {
    in_tasklet(|| {
        let options = WsOptions::default().with(|options| options.message = 64 << 20);
        let (mut near, far) = pair(options.clone(), options);
        let far = echoing(far);
        let big: Vec<u8> = (0..20 << 20).map(|n: u32| (n % 251) as u8).collect();
        let big = Message::from(big);
        let (mut reader, mut writer) = {
            near.send("first").unwrap();
            near.split()
        };
        let sent = big.clone();
        let sending = Tasklet::spawn(move || {
            writer.send(sent).unwrap();
            writer
        });
        assert_eq!(reader.read().unwrap(), Some("first".into()));
        assert!(reader.read().unwrap() == Some(big));
        let mut writer = sending.join().unwrap();
        writer.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(reader.read().unwrap(), None);
        far.join().unwrap().unwrap();
    });
}

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
        let (near, mut far) = default_pair();
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

#[test]
fn any_stream_will_do() {
    in_tasklet(|| {
        let (near, far) = UnixStream::pair().unwrap();
        let far = echoing(WebSocket::server(far, Vec::new(), WsOptions::default()).unwrap());
        let mut near = WebSocket::client(near, Vec::new(), WsOptions::default()).unwrap();
        near.send("local").unwrap();
        assert_eq!(near.read().unwrap(), Some("local".into()));
        near.close(CloseCode::NORMAL, "").unwrap();
        far.join().unwrap().unwrap();
    });
}

#[test]
fn a_handshake_can_be_made_over_any_stream() {
    in_tasklet(|| {
        let server = serve(echo);
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        let mut socket = WsConnector::new().connect_over(stream, "ws://a/").unwrap();
        socket.send("x").unwrap();
        assert_eq!(socket.read().unwrap(), Some("x".into()));
        socket.close(CloseCode::NORMAL, "").unwrap();
    });
}

#[test]
fn plain_threads_can_use_it_as_well() {
    let (sender, addr) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let program = std::thread::spawn(move || {
        in_tasklet(move || {
            let server = serve(echo);
            sender.send(server.local_addr()).unwrap();
            actor_core::block_on_thread(move || ended.recv().unwrap());
        });
    });
    let mut socket = ws::connect(&format!("ws://{}/", addr.recv().unwrap())).unwrap();
    socket.send("from a thread").unwrap();
    assert_eq!(socket.read().unwrap(), Some("from a thread".into()));
    socket.close(CloseCode::NORMAL, "").unwrap();
    end.send(()).unwrap();
    program.join().unwrap();
}
