//! Connections that actors serve, through their lives; of each kind.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::STACKLESS;
use crate::common::{PATIENCE, ask, client, eventually, in_tasklet, is_closed, keep_log, logged};
use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, BoxError, Context, ExitReason, Handler, Mailbox, Overflow, Tasklet, join_all,
};
use actor_io::{BufferedStream, LineTooLong, TcpStream};
use actor_net::{
    Codec, Connection, ConnectionError, Frame, FrameTooLong, LengthCodec, Line, LineCodec, Server,
    ServerBuilder, ServerHandle, Truncated,
};

const MOMENT: Duration = Duration::from_millis(50);

// Of the log, which all tests share, each looks for the name of its own server: ports come again.

fn builder() -> ServerBuilder {
    Server::builder().stackless(STACKLESS)
}

/// Does what its client asks for, and tells the test how it has ended.
struct Obedient {
    connection: Connection<LineCodec>,
    ends: mpsc::Sender<End>,
}

#[derive(Debug)]
struct End {
    reason: ExitReason,
    error: Option<Arc<ConnectionError>>,
}

impl Actor for Obedient {
    fn stopped(&mut self, reason: &ExitReason) {
        self.connection.send("goodbye");
        let _ = self.ends.send(End {
            reason: reason.clone(),
            error: self.connection.error(),
        });
    }
}

impl Handler<Line> for Obedient {
    fn handle(&mut self, Line(line): Line, ctx: &mut Context<Self>) {
        match line.as_str() {
            "panic" => panic!("as the client wished"),
            "die" => {
                ctx.addr().kill();
                Tasklet::sleep(PATIENCE);
            }
            "fail" => ctx.fail("as the client wished"),
            "end" => ctx.stop(),
            "close" => {
                self.connection.send("closing");
                self.connection.close();
                self.connection.send("too late");
            }
            "sulk" => {
                self.connection.send("sulking");
                Tasklet::sleep(10 * PATIENCE);
            }
            _ => self.connection.send(line),
        }
    }
}

/// A server of obedient actors, and how they end.
fn obedient(builder: ServerBuilder) -> (ServerHandle, mpsc::Receiver<End>) {
    let (sender, ends) = mpsc::channel();
    let server = builder.bind("127.0.0.1:0").unwrap();
    let make = move |connection| Obedient {
        connection,
        ends: sender.clone(),
    };
    (server.spawn_actors(LineCodec::new(), make).unwrap(), ends)
}

/// The next end, which is to come.
fn next(ends: &mpsc::Receiver<End>) -> End {
    let mut end = None;
    eventually("the end of an actor", || {
        end = ends.try_recv().ok();
        end.is_some()
    });
    end.unwrap()
}

fn address_of(client: &mut BufferedStream) -> String {
    client.reader().get_ref().local_addr().unwrap().to_string()
}

/// All that is still to come.
fn rest(client: BufferedStream) -> String {
    let mut stream = client;
    let mut rest = String::new();
    stream.reader().read_to_string(&mut rest).unwrap();
    rest
}

fn decode_error<E: std::error::Error + Copy + 'static>(end: &End) -> E {
    match end.error.as_deref() {
        Some(ConnectionError::Decode(error)) => *error.downcast_ref().expect("of this type"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_clients_are_served_at_once_and_in_order() {
    in_tasklet(|| {
        let (server, _ends) = obedient(builder());
        let addr = server.local_addr();
        let clients = (0..50).map(|number| {
            Tasklet::spawn(move || {
                let (mut reader, mut writer) = client(addr).split();
                let lines = move |round| format!("client {number}, round {round}");
                let writing = Tasklet::spawn(move || {
                    // In pieces that have nothing to do with the lines.
                    let text: String = (0..200).map(|round| lines(round) + "\n").collect();
                    for piece in text.as_bytes().chunks(7 + number) {
                        writer.write_all(piece).unwrap();
                        if number % 2 == 0 {
                            writer.flush().unwrap();
                        }
                    }
                    writer.flush().unwrap();
                    writer
                });
                for round in 0..200 {
                    assert_eq!(reader.read_line().unwrap().unwrap(), lines(round));
                }
                drop(writing.join().unwrap());
            })
        });
        for client in join_all(clients) {
            client.unwrap();
        }
        eventually("the end of all connections", || server.connections() == 0);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn the_end_of_the_input_reaches_the_actor_after_the_last_line() {
    in_tasklet(|| {
        let (server, ends) = obedient(builder());
        let mut client = client(server.local_addr());
        client.write_all(b"one\r\ntwo\nhalf").unwrap();
        client.flush().unwrap();
        let stream = client.reader().get_ref();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(client), "one\ntwo\nhalf\ngoodbye\n");
        let end = next(&ends);
        assert!(matches!(end.reason, ExitReason::Stopped), "{end:?}");
        assert!(end.error.is_none(), "{end:?}");
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn an_actor_that_ends_ends_its_connection_alone() {
    keep_log();
    in_tasklet(|| {
        let (server, ends) = obedient(builder());
        let mut bystander = client(server.local_addr());
        assert_eq!(ask(&mut bystander, "a").unwrap().unwrap(), "a");
        for (wish, farewell, says) in [
            ("end", "goodbye\n", ""),
            ("close", "closing\n", ""),
            ("fail", "goodbye\n", "as the client wished"),
            ("panic", "", "as the client wished"),
            ("die", "", "killed"),
        ] {
            let mut client = client(server.local_addr());
            let peer = address_of(&mut client);
            assert_eq!(ask(&mut client, "hello").unwrap().unwrap(), "hello");
            client.writer().write_line(wish).unwrap();
            client.flush().unwrap();
            assert_eq!(rest(client), farewell, "{wish}");
            if !says.is_empty() {
                eventually("the log line", || {
                    !logged(&["ERROR", &peer, says]).is_empty()
                });
            }
            let still = ask(&mut bystander, "still here").unwrap();
            assert_eq!(still.unwrap(), "still here");
        }
        drop(bystander);
        eventually("the end of all connections", || server.connections() == 0);
        let reasons: Vec<_> = ends.try_iter().map(|end| end.reason).collect();
        assert!(
            matches!(
                &reasons[..],
                [
                    ExitReason::Normal,
                    ExitReason::Stopped,
                    ExitReason::Failed(_),
                    ExitReason::Stopped,
                ]
            ),
            "those who panic or are killed have no say: {reasons:?}"
        );
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn a_line_too_long_and_bytes_that_are_no_text_end_a_connection() {
    keep_log();
    in_tasklet(|| {
        let (server, ends) = obedient(builder().name("strict"));
        let mut rude = client(server.local_addr());
        let peer = address_of(&mut rude);
        rude.write_all(b"hello\n").unwrap();
        rude.write_all(&[b'x'; 70_000]).unwrap();
        rude.flush().unwrap();
        assert_eq!(rest(rude), "hello\ngoodbye\n");
        let end = next(&ends);
        assert!(matches!(end.reason, ExitReason::Stopped), "{end:?}");
        assert_eq!(decode_error::<LineTooLong>(&end).limit, 64 * 1024);
        eventually("the log line", || {
            logged(&["WARN", "strict", &peer, "line longer"]).len() == 1
        });

        let mut rude = client(server.local_addr());
        let peer = address_of(&mut rude);
        rude.write_all(b"hello\n\xff\xfe\nlost\n").unwrap();
        rude.flush().unwrap();
        assert_eq!(rest(rude), "hello\ngoodbye\n");
        assert!(next(&ends).error.is_some());
        eventually("the log line", || {
            logged(&["WARN", "strict", &peer, "utf-8"]).len() == 1
        });
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn a_shutdown_lets_all_actors_say_goodbye() {
    in_tasklet(|| {
        let (server, ends) = obedient(builder());
        let addr = server.local_addr();
        let mut clients: Vec<_> = (0..20).map(|_| client(addr)).collect();
        for client in &mut clients {
            assert_eq!(ask(client, "hello").unwrap().unwrap(), "hello");
        }
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(server.connections(), 0);
        for client in clients {
            assert_eq!(rest(client), "goodbye\n");
        }
        let ends: Vec<_> = ends.try_iter().collect();
        assert_eq!(ends.len(), 20);
        for end in ends {
            assert!(matches!(end.reason, ExitReason::Shutdown), "{end:?}");
            assert!(end.error.is_none(), "{end:?}");
        }
    });
}

#[test]
fn the_end_of_the_program_is_an_orderly_one_for_actors() {
    let (sender, farewell) = mpsc::channel();
    actor_core::dispatch(move || {
        let (server, _ends) = obedient(builder());
        let mut client = client(server.local_addr());
        assert_eq!(ask(&mut client, "hello").unwrap().unwrap(), "hello");
        // A plain thread, so that the end of the program does not concern it.
        std::thread::spawn(move || sender.send(rest(client)).unwrap());
        actor_core::quit(0);
    });
    assert_eq!(farewell.recv_timeout(PATIENCE).unwrap(), "goodbye\n");
}

#[test]
fn actors_that_do_not_listen_are_killed_after_the_grace() {
    in_tasklet(|| {
        let (server, ends) = obedient(builder());
        let mut client = client(server.local_addr());
        assert_eq!(ask(&mut client, "sulk").unwrap().unwrap(), "sulking");
        let begun = Instant::now();
        server.shutdown(MOMENT).unwrap();
        assert!(begun.elapsed() >= MOMENT);
        assert!(is_closed(&mut client));
        // Its value is dropped, and with it the other end of this.
        eventually("the end of the actor", || {
            matches!(ends.try_recv(), Err(mpsc::TryRecvError::Disconnected))
        });
    });
}

/// Answers in its own time.
struct Slow {
    connection: Connection<LineCodec>,
    gate: Arc<Event>,
    handled: Arc<AtomicUsize>,
}

impl Actor for Slow {}

impl Handler<Line> for Slow {
    fn handle(&mut self, _: Line, _: &mut Context<Self>) {
        self.gate.wait();
        self.handled.fetch_add(1, SeqCst);
        self.connection.send("done");
    }
}

#[test]
fn a_peer_that_is_faster_than_its_actor_is_slowed_down() {
    let line = [b"x".repeat(999), vec![b'\n']].concat();
    for mailbox in [None, Some(Mailbox::bounded(8, Overflow::Block))] {
        let line = line.clone();
        in_tasklet(move || {
            let (gate, handled) = (Arc::new(Event::new()), Arc::new(AtomicUsize::new(0)));
            let mut builder = builder();
            if let Some(mailbox) = mailbox {
                builder = builder.mailbox(mailbox);
            }
            let server = builder.bind("127.0.0.1:0").unwrap();
            let make = {
                let (gate, handled) = (gate.clone(), handled.clone());
                move |connection| Slow {
                    connection,
                    gate: gate.clone(),
                    handled: handled.clone(),
                }
            };
            let server = server.spawn_actors(LineCodec::new(), make).unwrap();
            let stream = TcpStream::connect(server.local_addr()).unwrap();
            stream.set_write_timeout(Some(4 * MOMENT)).unwrap();
            let mut sent = 0;
            let error = loop {
                match (&stream).write(&line[sent % line.len()..]) {
                    Ok(count) => sent += count,
                    Err(error) => break error,
                }
                assert!(sent < 100_000_000, "nobody slows it down");
            };
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert_eq!(handled.load(SeqCst), 0);
            gate.set();
            stream.set_write_timeout(None).unwrap();
            (&stream).write_all(&line[sent % line.len()..]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let lines = sent / line.len() + 1;
            let mut answers = String::new();
            (&stream).read_to_string(&mut answers).unwrap();
            assert_eq!(answers.lines().count(), lines);
            assert_eq!(handled.load(SeqCst), lines);
            server.shutdown(PATIENCE).unwrap();
        });
    }
}

#[test]
fn a_mailbox_that_refuses_ends_the_connection_of_who_fills_it() {
    if STACKLESS {
        // What the peer says does not pass it.
        return;
    }
    keep_log();
    in_tasklet(|| {
        let (gate, given) = (Arc::new(Event::new()), Arc::new(Mutex::new(None)));
        let server = builder()
            .name("picky")
            .mailbox(Mailbox::bounded(8, Overflow::Fail));
        let make = {
            let (gate, given) = (gate.clone(), given.clone());
            move |connection: Connection<LineCodec>| {
                *given.lock().unwrap() = Some(connection.clone());
                Slow {
                    connection,
                    gate: gate.clone(),
                    handled: Arc::default(),
                }
            }
        };
        let server = server.bind("127.0.0.1:0").unwrap();
        let server = server.spawn_actors(LineCodec::new(), make).unwrap();
        let mut client = client(server.local_addr());
        let peer = address_of(&mut client);
        client.write_all(&b"x\n".repeat(20)).unwrap();
        client.flush().unwrap();
        eventually("the connection", || given.lock().unwrap().is_some());
        let connection = given.lock().unwrap().take().unwrap();
        eventually("the refusal", || {
            matches!(
                connection.error().as_deref(),
                Some(ConnectionError::Mailbox)
            )
        });
        // What it has accepted it handles, and answers: the one in its hands may be one more.
        gate.set();
        let answers = rest(client).lines().count();
        assert!((8..=9).contains(&answers), "{answers}");
        eventually("the log line", || {
            logged(&["WARN", "picky", &peer, "mailbox"]).len() == 1
        });
        server.shutdown(PATIENCE).unwrap();
    });
}

/// Sends far more than anybody has asked for.
struct Flood {
    connection: Connection<LineCodec>,
    lines: usize,
    ends: bool,
}

impl Actor for Flood {
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let line: Arc<str> = "x".repeat(1023).into();
        for _ in 0..self.lines {
            self.connection.send(line.clone());
        }
        if self.ends {
            ctx.stop();
        }
        Ok(())
    }
}

impl Handler<Line> for Flood {
    fn handle(&mut self, _: Line, _: &mut Context<Self>) {}
}

fn flood(builder: ServerBuilder, lines: usize, ends: bool) -> ServerHandle {
    let server = builder.bind("127.0.0.1:0").unwrap();
    let make = move |connection| Flood {
        connection,
        lines,
        ends,
    };
    server.spawn_actors(LineCodec::new(), make).unwrap()
}

#[test]
fn a_peer_that_does_not_read_loses_its_connection() {
    keep_log();
    in_tasklet(|| {
        for (messages, bytes) in [(100, usize::MAX), (usize::MAX, 100 * 1024)] {
            let server = flood(
                builder().name("generous").outbox(messages, bytes),
                100_000,
                false,
            );
            let mut client = client(server.local_addr());
            let peer = address_of(&mut client);
            eventually("the log line", || {
                !logged(&["WARN", "generous", &peer, "does not read", "`outbox`"]).is_empty()
            });
            eventually("the end of the connection", || server.connections() == 0);
            assert_eq!(
                logged(&["WARN", "generous", &peer]).len(),
                1,
                "a word is enough"
            );
            server.shutdown(PATIENCE).unwrap();
            // Only whole lines were sent, but the last may have been cut by the end.
            let got = rest(client);
            assert!(got.len() < 100_000 * 1024);
        }
    });
}

#[test]
fn what_an_actor_has_sent_arrives_before_its_end() {
    in_tasklet(|| {
        // More than the system takes at once, less than the outbox has room for.
        let builder = builder().outbox(usize::MAX, usize::MAX).linger(PATIENCE);
        let server = flood(builder, 20_000, true);
        let mut client = client(server.local_addr());
        // The actor has ended, and its connection is there for those who read at last.
        eventually("the connection", || server.connections() == 1);
        for _ in 0..20_000 {
            assert_eq!(client.reader().read_line().unwrap().unwrap().len(), 1023);
        }
        assert!(is_closed(&mut client));
        eventually("the end of the connection", || server.connections() == 0);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn what_is_not_read_within_the_linger_is_lost() {
    keep_log();
    in_tasklet(|| {
        let builder = builder().outbox(usize::MAX, usize::MAX).linger(MOMENT);
        let server = flood(builder, 20_000, true);
        let mut client = client(server.local_addr());
        let peer = address_of(&mut client);
        eventually("the log line", || {
            !logged(&["DEBUG", &peer, "could be sent"]).is_empty()
        });
        eventually("the end of the connection", || server.connections() == 0);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn half_a_frame_and_silence_cost_nobody_else_anything() {
    keep_log();
    in_tasklet(|| {
        let (server, ends) = obedient(builder().idle_timeout(4 * MOMENT).name("bored"));
        let mut stalled = client(server.local_addr());
        let peer = address_of(&mut stalled);
        stalled.write_all(b"half a li").unwrap();
        stalled.flush().unwrap();
        let mut lively = client(server.local_addr());
        assert_eq!(ask(&mut lively, "a").unwrap().unwrap(), "a");
        drop(lively);
        let first = next(&ends);
        assert!(first.error.is_none(), "{first:?}");
        assert_eq!(rest(stalled), "goodbye\n");
        assert!(matches!(
            next(&ends).error.as_deref(),
            Some(ConnectionError::Read(error)) if error.kind() == ErrorKind::TimedOut
        ));
        eventually("the log line", || {
            !logged(&["DEBUG", "bored", &peer, "connection lost"]).is_empty()
        });
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn clients_that_reset_at_any_time_do_no_harm() {
    in_tasklet(|| {
        let (server, ends) = obedient(builder());
        for number in 0..300 {
            let mut rude = client(server.local_addr());
            match number % 3 {
                0 => {}
                1 => rude.writer().write_line("half a conversation").unwrap(),
                _ => assert!(ask(&mut rude, "a whole one").unwrap().is_some()),
            }
            rude.flush().unwrap();
            rude.into_inner().set_linger(Some(Duration::ZERO)).unwrap();
        }
        let mut polite = client(server.local_addr());
        assert_eq!(ask(&mut polite, "hello").unwrap().unwrap(), "hello");
        eventually("the end of the others", || server.connections() == 1);
        assert!(
            ends.try_iter()
                .all(|end| matches!(end.reason, ExitReason::Stopped))
        );
        drop(polite);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn connections_beyond_the_limit_are_turned_away() {
    in_tasklet(|| {
        let (server, _ends) = obedient(builder().max_connections(2));
        let mut clients: Vec<_> = (0..2).map(|_| client(server.local_addr())).collect();
        for client in &mut clients {
            assert_eq!(ask(client, "in").unwrap().unwrap(), "in");
        }
        assert!(is_closed(&mut client(server.local_addr())));
        assert_eq!(server.refused(), 1);
        clients.pop();
        eventually("a free place", || server.connections() == 1);
        let mut late = client(server.local_addr());
        assert_eq!(ask(&mut late, "in").unwrap().unwrap(), "in");
        drop((clients, late));
        server.shutdown(PATIENCE).unwrap();
    });
}

/// Does not come into being, or not properly.
struct Stillborn;

impl Actor for Stillborn {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        Err("there is no room at the inn".into())
    }
}

impl Handler<Line> for Stillborn {
    fn handle(&mut self, _: Line, _: &mut Context<Self>) {}
}

#[test]
fn what_cannot_be_made_or_started_is_logged_and_closed() {
    keep_log();
    in_tasklet(|| {
        let server = builder().bind("127.0.0.1:0").unwrap();
        let made = AtomicUsize::new(0);
        let make = move |_| {
            assert_ne!(made.fetch_add(1, SeqCst), 0, "the first is refused");
            Stillborn
        };
        let server = server.spawn_actors(LineCodec::new(), make).unwrap();
        for says in ["the first is refused", "no room at the inn"] {
            let mut client = client(server.local_addr());
            let peer = address_of(&mut client);
            assert!(is_closed(&mut client));
            eventually("the log line", || !logged(&[&peer, says]).is_empty());
        }
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(server.connections(), 0);
    });
}

/// Echoes frames.
struct Frames {
    connection: Connection<LengthCodec>,
    errors: mpsc::Sender<Option<Arc<ConnectionError>>>,
}

impl Actor for Frames {
    fn stopped(&mut self, _: &ExitReason) {
        let _ = self.errors.send(self.connection.error());
    }
}

impl Handler<Frame> for Frames {
    fn handle(&mut self, Frame(frame): Frame, _: &mut Context<Self>) {
        self.connection.send(frame);
    }
}

fn frames(codec: LengthCodec) -> (ServerHandle, mpsc::Receiver<Option<Arc<ConnectionError>>>) {
    let (sender, errors) = mpsc::channel();
    let server = builder().name("framed").bind("127.0.0.1:0").unwrap();
    let make = move |connection| Frames {
        connection,
        errors: sender.clone(),
    };
    (server.spawn_actors(codec, make).unwrap(), errors)
}

#[test]
fn frames_of_any_size_come_back_whole() {
    in_tasklet(|| {
        let (server, errors) = frames(LengthCodec::new());
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        let sizes = [0, 1, 2, 1000, 8192, 8193, 100_000, 1024 * 1024, 3];
        let frames: Vec<Vec<u8>> = (1..).zip(sizes).map(|(n, size)| vec![n; size]).collect();
        let codec = LengthCodec::new();
        let mut bytes = Vec::new();
        for frame in &frames {
            codec.encode(frame[..].into(), &mut bytes).unwrap();
        }
        let (writing, expected) = (stream.try_clone().unwrap(), bytes.clone());
        let writer = Tasklet::spawn(move || {
            (&writing).write_all(&bytes).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        (&stream).read_to_end(&mut back).unwrap();
        writer.join().unwrap();
        assert!(back == expected, "{} bytes came back", back.len());
        server.shutdown(PATIENCE).unwrap();
        assert!(errors.try_recv().unwrap().is_none());
    });
}

#[test]
fn bad_frames_end_a_connection_and_say_why() {
    keep_log();
    in_tasklet(|| {
        let (server, errors) = frames(LengthCodec::new().with_width(2).with_max_frame(1000));
        // The connection is closed as soon as the length is there: nothing is waited for.
        let mut endless = client(server.local_addr());
        let peer = address_of(&mut endless);
        endless.write_all(b"\xff\xff").unwrap();
        endless.flush().unwrap();
        assert_eq!(rest(endless), "");
        let error = errors.recv_timeout(PATIENCE).unwrap().unwrap();
        let ConnectionError::Decode(error) = &*error else {
            panic!("{error:?}");
        };
        let expected = FrameTooLong {
            len: 65_535,
            limit: 1000,
        };
        assert_eq!(error.downcast_ref(), Some(&expected));
        eventually("the log line", || {
            logged(&["WARN", "framed", &peer, "65535 bytes"]).len() == 1
        });

        let mut cut = client(server.local_addr());
        let peer = address_of(&mut cut);
        cut.write_all(b"\0\x02hi\0\x05hel").unwrap();
        cut.flush().unwrap();
        cut.reader().get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(cut), "\0\x02hi", "what was whole is answered");
        let error = errors.recv_timeout(PATIENCE).unwrap().unwrap();
        let ConnectionError::Decode(error) = &*error else {
            panic!("{error:?}");
        };
        assert_eq!(error.downcast_ref(), Some(&Truncated { bytes: 5 }));
        eventually("the log line", || {
            logged(&["WARN", "framed", &peer, "in the middle of a frame"]).len() == 1
        });
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn what_cannot_be_encoded_ends_a_connection_after_what_came_before() {
    keep_log();
    in_tasklet(|| {
        let (sender, connections) = mpsc::channel();
        let (errors, _kept) = mpsc::channel();
        let server = builder().name("narrow").bind("127.0.0.1:0").unwrap();
        let make = move |connection: Connection<LengthCodec>| {
            sender.send(connection.clone()).unwrap();
            Frames {
                connection,
                errors: errors.clone(),
            }
        };
        let codec = LengthCodec::new().with_width(1);
        let server = server.spawn_actors(codec, make).unwrap();
        let mut client = client(server.local_addr());
        let peer = address_of(&mut client);
        let mut connection = None;
        eventually("the connection", || {
            connection = connections.try_recv().ok();
            connection.is_some()
        });
        let connection = connection.unwrap();
        assert_eq!(connection.peer_addr().to_string(), peer);
        assert!(connection.is_open());
        connection.send(b"fits"[..].to_owned());
        connection.send(vec![b'x'; 256]);
        connection.send(b"too late"[..].to_owned());
        assert!(!connection.is_open());
        assert_eq!(rest(client), "\x04fits");
        assert!(matches!(
            connection.error().as_deref(),
            Some(ConnectionError::Encode(error)) if error.is::<FrameTooLong>()
        ));
        eventually("the log line", || {
            logged(&["WARN", "narrow", &peer, "cannot encode"]).len() == 1
        });
        server.shutdown(PATIENCE).unwrap();
        connection.send(b"nobody is there"[..].to_owned());
    });
}

#[test]
fn messages_of_many_senders_are_not_mixed_up() {
    in_tasklet(|| {
        let given = Arc::new(Mutex::new(None));
        let server = builder().bind("127.0.0.1:0").unwrap();
        let make = {
            let given = given.clone();
            move |connection: Connection<LineCodec>| {
                *given.lock().unwrap() = Some(connection.clone());
                Flood {
                    connection,
                    lines: 0,
                    ends: false,
                }
            }
        };
        let server = server.spawn_actors(LineCodec::new(), make).unwrap();
        let mut client = client(server.local_addr());
        eventually("the connection", || given.lock().unwrap().is_some());
        let connection = given.lock().unwrap().take().unwrap();
        let say = move |connection: &Connection<LineCodec>, who: usize| {
            for n in 0..500 {
                connection.send(format!("{who} {n} {}", "x".repeat(n % 50)));
            }
        };
        let threads: Vec<_> = (0..4)
            .map(|who| {
                let connection = connection.clone();
                std::thread::spawn(move || say(&connection, who))
            })
            .collect();
        for who in 4..8 {
            let connection = connection.clone();
            Tasklet::spawn(move || say(&connection, who));
        }
        let mut counts = [0; 8];
        for _ in 0..8 * 500 {
            let line = client.reader().read_line().unwrap().unwrap();
            let mut words = line.split(' ');
            let mut number = || words.next().unwrap().parse::<usize>().unwrap();
            let (who, n) = (number(), number());
            assert_eq!(n, counts[who], "of {who}");
            assert_eq!(words.next().unwrap().len(), n % 50);
            counts[who] += 1;
        }
        for thread in threads {
            thread.join().unwrap();
        }
        connection.close();
        assert!(is_closed(&mut client));
        server.shutdown(PATIENCE).unwrap();
    });
}

/// An actor that nobody else knows lives as long as its connection, and no longer.
#[test]
fn the_connection_keeps_its_actor() {
    in_tasklet(|| {
        struct Quiet {
            connection: Connection<LineCodec>,
            addrs: mpsc::Sender<actor_core::WeakAddr<Quiet>>,
        }

        impl Actor for Quiet {
            fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
                self.addrs.send(ctx.addr().downgrade())?;
                Ok(())
            }
        }

        impl Handler<Line> for Quiet {
            fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
                self.connection.send(line);
            }
        }

        let (sender, addrs) = mpsc::channel();
        let server = builder().bind("127.0.0.1:0").unwrap();
        let make = move |connection| Quiet {
            connection,
            addrs: sender.clone(),
        };
        let server = server.spawn_actors(LineCodec::new(), make).unwrap();
        let mut client = client(server.local_addr());
        for _ in 0..10 {
            assert_eq!(
                ask(&mut client, "still there?").unwrap().unwrap(),
                "still there?"
            );
            Tasklet::sleep(Duration::from_millis(1));
        }
        let addr = addrs.try_recv().unwrap();
        let peer = address_of(&mut client);
        if !STACKLESS {
            assert_eq!(addr.upgrade().unwrap().name(), format!("connection {peer}"));
        }
        drop(client);
        eventually("the end of the actor", || addr.upgrade().is_none());
        server.shutdown(PATIENCE).unwrap();
    });
}

/// To stop the actor from outside is a way to close its connection.
#[test]
fn an_actor_that_is_asked_to_stop_says_goodbye_and_closes() {
    in_tasklet(|| {
        let (ends, _kept) = mpsc::channel();
        let (sender, addrs) = mpsc::channel();
        struct Known(Obedient, mpsc::Sender<Addr<Known>>);
        impl Actor for Known {
            fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
                Ok(self.1.send(ctx.addr())?)
            }
            fn stopped(&mut self, reason: &ExitReason) {
                self.0.stopped(reason);
            }
        }
        impl Handler<Line> for Known {
            fn handle(&mut self, _: Line, _: &mut Context<Self>) {}
        }
        let server = builder().bind("127.0.0.1:0").unwrap();
        let make = move |connection| {
            let ends = ends.clone();
            Known(Obedient { connection, ends }, sender.clone())
        };
        let server = server.spawn_actors(LineCodec::new(), make).unwrap();
        let mut client = client(server.local_addr());
        let mut addr = None;
        eventually("the actor", || {
            addr = addrs.try_recv().ok();
            addr.is_some()
        });
        addr.unwrap().stop();
        // The peer is still sending, and gets the farewell all the same.
        client.write_all(&[b'x'; 4096]).unwrap();
        client.flush().unwrap();
        assert_eq!(rest(client), "goodbye\n");
        eventually("the end of the connection", || server.connections() == 0);
        server.shutdown(PATIENCE).unwrap();
    });
}

/// The tasklet that reads for the only connection, and the one that writes.
fn tasklets_of(server: &ServerHandle) -> (Tasklet, Tasklet) {
    let reader = server.tasklet().children().pop().unwrap();
    let writer = reader.children().pop().unwrap();
    (reader, writer)
}

#[test]
fn the_end_of_a_tasklet_of_its_own_ends_a_connection() {
    if STACKLESS {
        // It has none.
        return;
    }
    keep_log();
    in_tasklet(|| {
        let (server, ends) = obedient(builder().name("fragile"));
        let connect = || {
            let mut client = client(server.local_addr());
            assert_eq!(ask(&mut client, "hello").unwrap().unwrap(), "hello");
            client
        };

        let mut deaf = connect();
        let peer = address_of(&mut deaf);
        let (reader, writer) = tasklets_of(&server);
        assert_eq!(reader.name(), format!("connection {peer}"));
        assert_eq!(writer.name(), format!("writer {peer}"));
        writer.kill();
        assert_eq!(rest(deaf), "");
        let end = next(&ends);
        assert!(
            matches!(end.error.as_deref(), Some(ConnectionError::Writer)),
            "{end:?}"
        );
        eventually("the log line", || {
            logged(&["WARN", "fragile", &peer, "writer was killed"]).len() == 1
        });
        eventually("the end of the connection", || server.connections() == 0);

        let stopped = connect();
        tasklets_of(&server).0.stop();
        assert_eq!(rest(stopped), "goodbye\n");
        let end = next(&ends);
        assert!(matches!(end.reason, ExitReason::Shutdown), "{end:?}");
        eventually("the end of the connection", || server.connections() == 0);

        let mut killed = connect();
        let peer = address_of(&mut killed);
        tasklets_of(&server).0.kill();
        assert!(is_closed(&mut killed));
        eventually("the end of the actor", || {
            !logged(&["ERROR", &peer, "was killed"]).is_empty()
        });
        server.shutdown(PATIENCE).unwrap();
    });
}

/// All that can happen to a connection, to many at once, and a shutdown in the midst of it.
#[test]
fn a_storm_leaves_nothing_behind() {
    const WISHES: [&str; 7] = ["panic", "die", "fail", "end", "close", "echo", "echo"];
    in_tasklet(|| {
        for grace in [PATIENCE, Duration::ZERO] {
            let builder = builder().outbox(32, 4096).linger(MOMENT);
            let (server, ends) = obedient(builder);
            let addr = server.local_addr();
            let rounds = Arc::new(AtomicUsize::new(0));
            let clients: Vec<_> = (0..16)
                .map(|number| {
                    let rounds = rounds.clone();
                    Tasklet::spawn(move || {
                        let mut random = number;
                        while let Ok(stream) = TcpStream::connect(addr) {
                            random = (random * 1_103_515_245 + 12_345) & 0x7fff_ffff;
                            stream.set_read_timeout(Some(PATIENCE)).unwrap();
                            stream.set_write_timeout(Some(PATIENCE)).unwrap();
                            let wish = WISHES[random / 1024 % WISHES.len()];
                            let lines = format!("{wish}\n").repeat(random / 65_536 % 500);
                            // It may be gone at any time.
                            let _ = (&stream).write_all(lines.as_bytes());
                            match random / 4096 % 3 {
                                0 => drop((&stream).read_to_end(&mut Vec::new())),
                                1 => stream.set_linger(Some(Duration::ZERO)).unwrap(),
                                _ => drop((&stream).write_all(b"half a li")),
                            }
                            rounds.fetch_add(1, SeqCst);
                        }
                    })
                })
                .collect();
            eventually("some weather", || rounds.load(SeqCst) > 500);
            server.shutdown(grace).unwrap();
            assert_eq!(server.connections(), 0);
            for client in join_all(clients) {
                client.unwrap();
            }
            // The last of the actors, and with it its end of this.
            eventually("the end of all actors", || {
                loop {
                    match ends.try_recv() {
                        Ok(_) => {}
                        Err(gone) => break gone == mpsc::TryRecvError::Disconnected,
                    }
                }
            });
            assert!(server.tasklet().children().is_empty());
        }
    });
}
