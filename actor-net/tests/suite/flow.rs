//! Peers that are faster than their actors, and such as do not read.

use super::*;

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
