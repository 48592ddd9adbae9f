//! Frames: of any size, bad ones, and such as cannot be encoded.

use super::*;

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
