//! A server and its connections, through their lives.

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actor_core::{
    BoxError, DEFAULT_STACK_SIZE, Mailbox, Message, Overflow, Placement, Tasklet, TimedOut,
    join_all, timeout,
};
use actor_io::{BufferedStream, TcpStream};
use actor_net::Server;
use common::{PATIENCE, ask, client, echo, eventually, in_tasklet, is_closed, keep_log, logged};

const MOMENT: Duration = Duration::from_millis(50);

struct Note;

impl Message for Note {
    type Reply = ();
}

#[test]
fn many_clients_are_served_at_once() {
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
        let addr = server.local_addr();
        let clients = (0..50).map(|number| {
            Tasklet::spawn(move || {
                let mut client = client(addr);
                for round in 0..20 {
                    let line = format!("client {number}, round {round}");
                    assert_eq!(ask(&mut client, &line).unwrap(), Some(line));
                }
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
fn a_panic_ends_one_connection_and_is_logged() {
    keep_log();
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let handler = |stream: TcpStream| -> io::Result<()> {
            let mut stream = BufferedStream::new(stream);
            while let Some(line) = stream.reader().read_line()? {
                assert_ne!(line, "panic", "as the client wished");
                stream.writer().write_line(line)?;
                stream.flush()?;
            }
            Ok(())
        };
        let server = server.spawn(handler).unwrap();
        let mut bystander = client(server.local_addr());
        assert_eq!(ask(&mut bystander, "a").unwrap().unwrap(), "a");
        let mut unlucky = client(server.local_addr());
        let peer = unlucky.reader().get_ref().local_addr().unwrap().to_string();
        assert_eq!(ask(&mut unlucky, "panic").unwrap(), None);
        assert_eq!(ask(&mut bystander, "b").unwrap().unwrap(), "b");
        let mut late = client(server.local_addr());
        assert_eq!(ask(&mut late, "c").unwrap().unwrap(), "c");
        eventually("the log line", || {
            !logged(&[&peer, "as the client wished"]).is_empty()
        });
        drop((bystander, late));
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn errors_are_logged_with_the_peer() {
    keep_log();
    in_tasklet(|| {
        // Each handler fails in the way that its client asks for.
        let handler = |stream: TcpStream| -> io::Result<()> {
            let mut stream = BufferedStream::new(stream);
            match stream.reader().read_line()?.unwrap().as_str() {
                "typed" => Err(io::Error::other("the disk is full")),
                _ => Err(ErrorKind::BrokenPipe.into()),
            }
        };
        let server = Server::builder()
            .name("failing")
            .bind("127.0.0.1:0")
            .unwrap();
        let server = server.spawn(handler).unwrap();
        for (wish, level, says) in [("typed", "WARN", "the disk is full"), ("gone", "DEBUG", "")] {
            let mut client = client(server.local_addr());
            let peer = client.reader().get_ref().local_addr().unwrap().to_string();
            assert_eq!(ask(&mut client, wish).unwrap(), None);
            eventually("the log line", || {
                !logged(&["failing", level, &peer, says]).is_empty()
            });
        }
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn a_handler_may_return_what_it_likes() {
    keep_log();
    in_tasklet(|| {
        fn bind() -> Server {
            Server::bind("127.0.0.1:0").unwrap()
        }
        let nothing = bind().spawn(|_stream| ()).unwrap();
        let text = bind()
            .spawn(|_stream| Err::<(), _>("a plain text"))
            .unwrap();
        let boxed = bind().spawn(|_stream| -> Result<(), BoxError> { Err(Box::new(TimedOut)) });
        let boxed = boxed.unwrap();
        let forever = |_stream| loop {
            Tasklet::sleep(PATIENCE);
        };
        let never = bind().spawn(forever).unwrap();
        for server in [&nothing, &text, &boxed] {
            assert!(is_closed(&mut client(server.local_addr())));
            server.shutdown(PATIENCE).unwrap();
        }
        let _client = client(never.local_addr());
        eventually("the connection", || never.connections() == 1);
        never.shutdown(Duration::ZERO).unwrap();
        assert!(!logged(&["WARN", "a plain text"]).is_empty());
    });
}

#[test]
fn connections_beyond_the_limit_are_turned_away() {
    keep_log();
    in_tasklet(|| {
        let server = Server::builder().name("small").max_connections(2);
        let server = server.bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
        let mut clients: Vec<_> = (0..2).map(|_| client(server.local_addr())).collect();
        for client in &mut clients {
            assert_eq!(ask(client, "in").unwrap().unwrap(), "in");
        }
        for _ in 0..5 {
            assert!(is_closed(&mut client(server.local_addr())));
        }
        assert_eq!(server.connections(), 2);
        assert_eq!(server.refused(), 5);
        let lines = logged(&["WARN", "small", "limit of 2 connections"]);
        assert_eq!(lines.len(), 1, "one line a second at most: {lines:?}");
        clients.pop();
        eventually("a free place", || server.connections() == 1);
        assert_eq!(
            ask(&mut client(server.local_addr()), "in")
                .unwrap()
                .unwrap(),
            "in"
        );
        drop(clients);
        server.shutdown(PATIENCE).unwrap();
    });
}

/// Runs `handler` for one connection, and gives its client.
fn serve_one<R: actor_core::Outcome + 'static>(
    linger: Duration,
    handler: impl Fn(TcpStream) -> R + Send + Sync + 'static,
) -> (actor_net::ServerHandle, BufferedStream) {
    let server = Server::builder()
        .linger(linger)
        .bind("127.0.0.1:0")
        .unwrap();
    let server = server.spawn(handler).unwrap();
    let client = client(server.local_addr());
    (server, client)
}

#[test]
fn what_outlives_its_handler_is_killed_after_the_linger() {
    in_tasklet(|| {
        let child = Arc::new(Mutex::new(None));
        let (server, mut client) = serve_one(MOMENT, {
            let child = Arc::clone(&child);
            move |_stream| {
                let stubborn = Tasklet::spawn(|| Tasklet::sleep(10 * PATIENCE));
                *child.lock().unwrap() = Some((stubborn.tasklet().clone(), Instant::now()));
            }
        });
        assert!(is_closed(&mut client));
        let (child, spawned) = child.lock().unwrap().take().unwrap();
        assert!(spawned.elapsed() >= MOMENT);
        eventually("the child's end", || !child.is_alive());
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn what_ends_when_asked_has_its_say() {
    in_tasklet(|| {
        let (server, mut client) = serve_one(PATIENCE, |stream: TcpStream| {
            let (_reader, mut writer) = BufferedStream::new(stream).split();
            Tasklet::spawn(move || -> io::Result<()> {
                let _reachable = Tasklet::current();
                Tasklet::receive().for_each(drop);
                writer.write_line("asked to stop")?;
                writer.flush()
            });
        });
        assert_eq!(
            client.reader().read_line().unwrap().unwrap(),
            "asked to stop"
        );
        assert!(is_closed(&mut client));
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn a_handler_that_fails_takes_its_tasklets_with_it() {
    in_tasklet(|| {
        for panics in [false, true] {
            let (server, mut client) = serve_one(PATIENCE, move |_stream| {
                let parent = Tasklet::spawn(|| {
                    Tasklet::spawn(|| Tasklet::sleep(10 * PATIENCE)).join().ok();
                });
                Tasklet::yield_now();
                drop(parent);
                assert!(!panics, "as the test wished");
                Err::<(), _>("as the test wished")
            });
            let begun = Instant::now();
            assert!(is_closed(&mut client));
            server.shutdown(PATIENCE).unwrap();
            eventually("the end of its tasklets", || {
                Tasklet::current().children().is_empty()
            });
            assert!(begun.elapsed() < PATIENCE);
        }
    });
}

#[test]
fn unread_input_does_not_spoil_the_farewell() {
    in_tasklet(|| {
        let (server, client) = serve_one(PATIENCE, |mut stream: TcpStream| {
            stream.read_exact(&mut [0; 1])?;
            stream.write_all(b"no more than that, please\n")
        });
        let stream = client.into_inner();
        let mut writing = stream.try_clone().unwrap();
        let writer = Tasklet::spawn(move || {
            for _ in 0..8 {
                writing.write_all(&[b'x'; 4096])?;
                Tasklet::yield_now();
            }
            writing.shutdown(std::net::Shutdown::Write)
        });
        writer.join().unwrap().unwrap();
        eventually("the end of the handler", || server.connections() == 0);
        let mut farewell = String::new();
        (&stream).read_to_string(&mut farewell).unwrap();
        assert_eq!(farewell, "no more than that, please\n");
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn a_stream_that_was_given_away_lives_on() {
    in_tasklet(|| {
        let kept = Arc::new(Mutex::new(None));
        let (server, mut client) = serve_one(PATIENCE, {
            let kept = Arc::clone(&kept);
            move |stream| *kept.lock().unwrap() = Some(stream)
        });
        eventually("the end of the handler", || {
            kept.lock().unwrap().is_some() && server.connections() == 0
        });
        server.shutdown(PATIENCE).unwrap();
        let mut stream = kept.lock().unwrap().take().unwrap();
        stream.write_all(b"still here\n").unwrap();
        assert_eq!(client.reader().read_line().unwrap().unwrap(), "still here");
    });
}

#[test]
fn silence_beyond_the_idle_timeout_ends_a_connection() {
    keep_log();
    in_tasklet(|| {
        let server = Server::builder().idle_timeout(MOMENT).name("impatient");
        let server = server.bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
        let mut client = client(server.local_addr());
        let peer = client.reader().get_ref().local_addr().unwrap().to_string();
        assert_eq!(ask(&mut client, "hello").unwrap().unwrap(), "hello");
        assert!(is_closed(&mut client));
        eventually("the log line", || {
            !logged(&["DEBUG", "impatient", &peer]).is_empty()
        });
        server.shutdown(PATIENCE).unwrap();
        let error = Server::builder()
            .idle_timeout(Duration::ZERO)
            .bind("127.0.0.1:0");
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn connections_are_actors_with_a_name_and_small_writes_at_once() {
    in_tasklet(|| {
        let (server, mut client) = serve_one(PATIENCE, |stream: TcpStream| {
            let name = Tasklet::current().name().to_owned();
            let nodelay = stream.nodelay()?;
            let mut stream = BufferedStream::new(stream);
            stream.writer().write_line(format!("{name} {nodelay}"))?;
            stream.flush()
        });
        let peer = client.reader().get_ref().local_addr().unwrap();
        let said = client.reader().read_line().unwrap().unwrap();
        assert_eq!(said, format!("connection {peer} true"));
        assert_eq!(
            server.tasklet().name(),
            format!("server {}", server.local_addr())
        );
        server.shutdown(PATIENCE).unwrap();
    });
}

/// Says goodbye when it is asked to stop; reads meanwhile.
fn polite(stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = BufferedStream::new(stream).split();
    let reading = Tasklet::spawn(move || while let Ok(Some(_)) = reader.read_line() {});
    let _reading = reading.kill_on_drop();
    // As long as somebody could send to it, a receive loop goes on until it is asked to stop.
    let _reachable = Tasklet::current();
    Tasklet::receive().for_each(drop);
    writer.write_line("goodbye")?;
    writer.flush()
}

#[test]
fn a_shutdown_lets_everybody_say_goodbye() {
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(polite).unwrap();
        let addr = server.local_addr();
        let mut clients: Vec<_> = (0..20).map(|_| client(addr)).collect();
        eventually("all connections", || server.connections() == 20);
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(server.connections(), 0);
        for client in &mut clients {
            assert_eq!(client.reader().read_line().unwrap().unwrap(), "goodbye");
            assert!(is_closed(client));
        }
        assert_eq!(
            TcpStream::connect(addr).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        server.join().unwrap();
    });
}

#[test]
fn a_shutdown_under_load_ends_within_its_grace() {
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
        let addr = server.local_addr();
        let rounds = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let rounds = Arc::clone(&rounds);
                Tasklet::spawn(move || {
                    // New connections all the time, until the server has gone.
                    while let Ok(stream) = TcpStream::connect(addr) {
                        stream.set_read_timeout(Some(PATIENCE)).unwrap();
                        let mut client = BufferedStream::new(stream);
                        for _ in 0..10 {
                            match ask(&mut client, "ping") {
                                Ok(Some(_)) => rounds.fetch_add(1, SeqCst),
                                _ => return,
                            };
                        }
                    }
                })
            })
            .collect();
        eventually("some load", || rounds.load(SeqCst) > 500);
        let begun = Instant::now();
        server.shutdown(Duration::from_millis(200)).unwrap();
        assert!(begun.elapsed() < PATIENCE / 2);
        assert_eq!(server.connections(), 0);
        for client in join_all(clients) {
            client.unwrap();
        }
    });
}

#[test]
fn the_grace_is_for_those_who_do_not_listen() {
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
        let mut client = client(server.local_addr());
        assert_eq!(ask(&mut client, "a").unwrap().unwrap(), "a");
        let begun = Instant::now();
        server.shutdown(MOMENT).unwrap();
        assert!(begun.elapsed() >= MOMENT);
        assert!(is_closed(&mut client));
    });
}

#[test]
fn to_run_is_to_serve_until_asked_to_stop() {
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let addr = server.local_addr();
        let running = Tasklet::spawn(move || server.run(polite));
        let mut client = client(addr);
        client.writer().write_line("hello").unwrap();
        client.flush().unwrap();
        running.stop();
        running.join_timeout(PATIENCE).unwrap().unwrap();
        // Whether the connection had been accepted by then is a matter of luck.
        while let Ok(Some(line)) = client.reader().read_line() {
            assert_eq!(line, "goodbye");
        }
    });
}

#[test]
fn a_killed_server_takes_its_connections_with_it() {
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
        let mut client = client(server.local_addr());
        assert_eq!(ask(&mut client, "a").unwrap().unwrap(), "a");
        server.tasklet().kill();
        assert!(server.join().is_err());
        assert!(is_closed(&mut client));
        eventually("the end of its connections", || server.connections() == 0);
    });
}

#[test]
fn what_cannot_be_had_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    assert_eq!(Server::bind(addr).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(
        Server::bind("no port").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let server = Server::bind("127.0.0.1:0").unwrap();
    assert!(server.run(echo).is_err(), "outside a tasklet");
}

#[test]
fn several_servers_share_a_port_if_they_want_to() {
    in_tasklet(|| {
        let shared = || Server::builder().reuse_port(true).backlog(16);
        let first = shared().bind("127.0.0.1:0").unwrap();
        let addr = first.local_addr();
        let second = shared().bind(addr).unwrap();
        let servers = [first, second].map(|server| server.spawn(echo).unwrap());
        for _ in 0..10 {
            assert_eq!(ask(&mut client(addr), "x").unwrap().unwrap(), "x");
        }
        for server in &servers {
            server.shutdown(PATIENCE).unwrap();
        }
    });
}

#[test]
fn the_end_of_the_program_is_an_orderly_one_for_servers() {
    let (sender, farewell) = std::sync::mpsc::channel();
    actor_core::dispatch(move || {
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(polite).unwrap();
        let mut client = client(server.local_addr());
        eventually("the connection", || server.connections() == 1);
        // A plain thread, so that the end of the program does not concern it.
        std::thread::spawn(move || {
            let line = client.reader().read_line().unwrap();
            sender.send((line, is_closed(&mut client))).unwrap();
        });
        actor_core::quit(0);
    });
    let (line, closed) = farewell.recv_timeout(PATIENCE).unwrap();
    assert_eq!(line.as_deref(), Some("goodbye"));
    assert!(closed);
}

/// An error text that is written before the handler fails, while a tasklet of it still reads.
#[test]
fn what_a_failing_handler_has_said_arrives() {
    in_tasklet(|| {
        let (server, client) = serve_one(PATIENCE, |stream: TcpStream| -> io::Result<()> {
            let (mut reader, mut writer) = BufferedStream::new(stream).split();
            assert_eq!(reader.read_line()?.as_deref(), Some("first"));
            Tasklet::spawn(move || {
                let _reader = reader;
                Tasklet::sleep(10 * PATIENCE);
            });
            writer.write_line("that will not do")?;
            writer.flush()?;
            Err(io::Error::other("the client is at fault"))
        });
        let mut stream = client.into_inner();
        stream.write_all(b"first\n").unwrap();
        // What nobody will read is there before the connection is closed, or it would be too easy.
        stream.write_all(&[b'x'; 100_000]).unwrap();
        eventually("the end of the handler", || server.connections() == 0);
        let mut farewell = String::new();
        stream.read_to_string(&mut farewell).unwrap();
        assert_eq!(farewell, "that will not do\n");
        server.shutdown(PATIENCE).unwrap();
    });
}

/// Not even those who hand over to others all the time.
#[test]
fn nobody_outlives_a_handler_that_fails() {
    fn relay() {
        for _ in 0..10 {
            Tasklet::yield_now();
        }
        let next = Tasklet::builder().placement(Placement::LeastLoaded);
        next.spawn(relay).unwrap();
    }
    in_tasklet(|| {
        let failed = AtomicUsize::new(0);
        let handler = move |_stream| {
            for _ in 0..20 {
                Tasklet::spawn(relay);
            }
            Tasklet::sleep(Duration::from_millis(2));
            match failed.fetch_add(1, SeqCst) % 3 {
                0 => panic!("as the test wished"),
                1 => Tasklet::current().kill(),
                _ => {}
            }
            Err::<(), _>("as the test wished")
        };
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(handler).unwrap();
        for _ in 0..100 {
            assert!(is_closed(&mut client(server.local_addr())));
            eventually("the end of its tasklets", || {
                server.tasklet().children().is_empty()
            });
        }
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn options_for_the_tasklet_reach_it() {
    in_tasklet(|| {
        let (sender, handlers) = std::sync::mpsc::channel();
        let server = Server::builder()
            .stack_size(8 * DEFAULT_STACK_SIZE)
            .mailbox(Mailbox::bounded(2, Overflow::Fail))
            .bind("127.0.0.1:0")
            .unwrap();
        let handler = move |mut stream: TcpStream| -> io::Result<()> {
            // More than the default stack holds: without the option it overflows.
            let large = std::hint::black_box([1_u8; 2 * DEFAULT_STACK_SIZE]);
            sender.send(Tasklet::current()).unwrap();
            stream.read_exact(&mut [0; 1])?;
            stream.write_all(&large[..1])
        };
        let server = server.spawn(handler).unwrap();
        let mut stream = client(server.local_addr()).into_inner();
        let mut tasklet = None;
        eventually("the handler", || {
            tasklet = handlers.try_recv().ok();
            tasklet.is_some()
        });
        let tasklet = tasklet.unwrap();
        for _ in 0..2 {
            tasklet.try_send(Note).unwrap();
        }
        assert!(tasklet.try_send(Note).unwrap_err().is_full());
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        drop(tasklet);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn the_idle_timeout_is_over_when_it_says_in_both_directions() {
    in_tasklet(|| {
        let (sender, waits) = std::sync::mpsc::channel();
        let server = Server::builder().idle_timeout(MOMENT);
        let handler = move |mut stream: TcpStream| -> io::Result<()> {
            let begun = Instant::now();
            let read = stream.read(&mut [0; 1]).unwrap_err();
            sender.send((read.kind(), begun.elapsed())).unwrap();
            let (mut begun, filler) = (Instant::now(), [0; 4096]);
            let write = loop {
                if let Err(error) = stream.write_all(&filler) {
                    break error;
                }
                begun = Instant::now();
            };
            sender.send((write.kind(), begun.elapsed())).unwrap();
            Ok(())
        };
        let server = server.bind("127.0.0.1:0").unwrap().spawn(handler).unwrap();
        // Neither reads nor writes.
        let client = client(server.local_addr());
        let mut ends = Vec::new();
        eventually("both time-outs", || {
            ends.extend(waits.try_iter());
            ends.len() == 2
        });
        for (kind, wait) in ends {
            assert_eq!(kind, ErrorKind::TimedOut);
            assert!(wait >= MOMENT && wait < PATIENCE / 10, "{wait:?}");
        }
        drop(client);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn clients_that_reset_at_any_time_do_no_harm() {
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
        for number in 0..300 {
            let mut rude = client(server.local_addr());
            match number % 3 {
                0 => {}
                1 => rude.writer().write_line("half a conversation").unwrap(),
                _ => assert!(ask(&mut rude, "a whole one").unwrap().is_some()),
            }
            rude.flush().unwrap();
            let stream = rude.into_inner();
            stream.set_linger(Some(Duration::ZERO)).unwrap();
        }
        let mut polite = client(server.local_addr());
        assert_eq!(ask(&mut polite, "hello").unwrap().unwrap(), "hello");
        eventually("the end of the others", || server.connections() == 1);
        drop(polite);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn a_deadline_around_a_server_ends_it() {
    in_tasklet(|| {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let addr = server.local_addr();
        let error = timeout(MOMENT, || server.run(echo)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(TcpStream::connect(addr).is_err());
    });
}

/// Also if the grace is over before the accept loop has noticed anything.
#[test]
fn nobody_is_left_after_a_shutdown_without_grace() {
    in_tasklet(|| {
        for _ in 0..100 {
            let server = Server::bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
            let addr = server.local_addr();
            let clients: Vec<_> = (0..5)
                .map(|_| Tasklet::spawn(move || TcpStream::connect(addr).map(drop)))
                .collect();
            Tasklet::yield_now();
            server.shutdown(Duration::ZERO).unwrap();
            assert_eq!(server.connections(), 0);
            for client in join_all(clients) {
                client.unwrap().ok();
            }
        }
    });
}
