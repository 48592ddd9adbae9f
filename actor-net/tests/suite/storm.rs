//! Many clients at once, and everything at once.

use super::*;

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
