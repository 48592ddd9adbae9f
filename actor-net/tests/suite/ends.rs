//! How connections, and their actors, come to their ends.

use super::*;

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
