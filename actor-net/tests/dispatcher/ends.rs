//! How dispatchers, and their loops, come to their ends.

use super::*;

#[test]
fn each_ends_for_its_own_reason_and_the_others_go_on() {
    in_tasklet(|| {
        let (map, addr, events) = echoes();
        let mut bystander = client(addr);
        for wish in ["panic", "fail", "die", "end"] {
            let closed = aside(move || {
                let mut stream = client(addr);
                stream.write_all(wish.as_bytes()).unwrap();
                is_closed(stream)
            });
            assert!(closed, "{wish}");
            match (wish, next_or_none(&events, wish)) {
                ("panic" | "die", None) => {}
                ("fail", Some(Event::Failed(error))) => {
                    assert_eq!(error, "as the client wished");
                    assert!(matches!(next(&events), Event::Ended(ExitReason::Normal)));
                }
                ("end", Some(Event::Ended(ExitReason::Normal))) => {}
                other => panic!("{other:?}"),
            }
        }
        aside(move || {
            bystander.write_all(b"still here").unwrap();
            let mut word = [0; 10];
            bystander.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"still here");
        });
        eventually("the end of the others", || map.len() <= 2);
        close(&map);
    });
}

#[test]
fn a_kill_reaches_one_that_is_idle_and_one_in_a_handler_that_waits() {
    in_tasklet(|| {
        for sulks in [false, true] {
            let map = Map::new();
            let (sender, _events) = mpsc::channel();
            let (near, mut far) = UnixStream::pair().unwrap();
            far.set_read_timeout(Some(PATIENCE)).unwrap();
            let channel = Channel::adopt(near).unwrap();
            let echo = map.spawn(Echo::new(channel, &sender)).unwrap();
            let (wish, answer) = match sulks {
                true => (&b"sulk"[..], &b"sulking"[..]),
                false => (&b"hello"[..], &b"hello"[..]),
            };
            far.write_all(wish).unwrap();
            let far = aside(move || {
                let mut word = vec![0; answer.len()];
                far.read_exact(&mut word).unwrap();
                assert_eq!(word, answer);
                far
            });
            echo.kill();
            assert!(matches!(echo.join(), ExitReason::Killed));
            assert!(map.is_empty());
            assert!(aside(move || (&far).read(&mut [0]).unwrap() == 0));
        }
    });
}

/// What has happened, where a bad end happens silently.
fn next_or_none(events: &mpsc::Receiver<Event>, wish: &str) -> Option<Event> {
    match wish {
        "panic" | "die" => {
            assert!(events.try_recv().is_err());
            None
        }
        _ => Some(next(events)),
    }
}

#[test]
fn a_reset_is_told_with_its_error() {
    in_tasklet(|| {
        let (map, addr, events) = echoes();
        aside(move || {
            let stream = client(addr);
            let socket = socket2::SockRef::from(&stream);
            (&stream).write_all(b"x").unwrap();
            (&stream).read_exact(&mut [0]).unwrap();
            // Closing it resets the connection.
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        });
        match next(&events) {
            Event::Closed(Some(ErrorKind::ConnectionReset)) => {}
            event => panic!("{event:?}"),
        }
        assert!(matches!(next(&events), Event::Ended(ExitReason::Normal)));
        eventually("its end", || map.len() == 1);
        close(&map);
    });
}

#[test]
fn a_loop_ends_with_its_channels_or_its_time_or_when_it_is_stopped() {
    in_tasklet(|| {
        let (map, addr, events) = echoes();
        let limit = Duration::from_millis(5);
        assert_eq!(map.run_timeout(limit), Err(TimedOut));
        let idle = client(addr);
        eventually("the connection", || map.len() == 2);
        let looping = Tasklet::spawn({
            let map = map.clone();
            move || map.run()
        });
        Tasklet::yield_now();
        looping.stop();
        looping.join().unwrap();
        assert!(map.is_empty());
        assert!(matches!(next(&events), Event::Ended(ExitReason::Stopped)));
        assert!(aside(move || is_closed(idle)));
        // It takes no more.
        let (near, far) = UnixStream::pair().unwrap();
        let (sender, _ends) = mpsc::channel();
        let late = map.spawn(Echo::new(Channel::adopt(near).unwrap(), &sender));
        assert!(matches!(late.unwrap().join(), ExitReason::Stopped));
        assert!(aside(move || (&far).read(&mut [0]).unwrap() == 0));
        map.run();
    });
}

#[test]
fn a_stop_under_load_closes_all() {
    in_tasklet(|| {
        let (map, addr, _events) = echoes();
        let rounds = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..8)
            .map(|n| {
                let rounds = rounds.clone();
                thread::spawn(move || {
                    // Until nobody answers any more.
                    while let Ok(mut stream) = TcpStream::connect(addr) {
                        stream.set_read_timeout(Some(PATIENCE)).unwrap();
                        let bytes = noise(5000, n);
                        let mut back = vec![0; bytes.len()];
                        if stream.write_all(&bytes).is_err()
                            || stream.read_exact(&mut back).is_err()
                        {
                            break;
                        }
                        assert!(back == bytes);
                        rounds.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        eventually("some load", || rounds.load(SeqCst) > 100 && map.len() > 4);
        map.close_all();
        map.run_timeout(PATIENCE).unwrap();
        aside(|| {
            clients
                .into_iter()
                .for_each(|client| client.join().unwrap())
        });
    });
}

/// Goes on sending to a peer that has only ended its side, and notes what it is told of it.
struct Faithful {
    channel: Channel,
    ends: mpsc::Sender<Option<ErrorKind>>,
}

impl Actor for Faithful {}

impl Dispatcher for Faithful {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn handle_close(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        let error = self.channel.error().map(|error| error.kind());
        self.ends.send(error)?;
        if error.is_some() {
            self.channel.close();
        }
        Ok(())
    }
}

impl Handler<Say> for Faithful {
    fn handle(&mut self, Say(text): Say, _: &mut Context<Self>) {
        self.channel.push(text.as_bytes()).unwrap();
    }
}

#[test]
fn a_peer_that_is_lost_after_it_has_ended_its_side_is_told_of() {
    in_tasklet(|| {
        let map = Map::new();
        let (ends, told) = mpsc::channel();
        let (near, mut far) = UnixStream::pair().unwrap();
        let channel = Channel::adopt(near).unwrap();
        let addr = map.spawn(Faithful { channel, ends }).unwrap();
        far.shutdown(Shutdown::Write).unwrap();
        let mut end = None;
        let mut is_told = || {
            end = told.try_recv().ok();
            end.is_some()
        };
        eventually("the end of its side", &mut is_told);
        addr.call(Say("still there?")).unwrap();
        far.read_exact(&mut [0; 12]).unwrap();
        drop(far);
        addr.call(Say("and now?")).unwrap();
        eventually("the loss", is_told);
        assert_eq!(end, Some(Some(ErrorKind::BrokenPipe)));
        map.run_timeout(PATIENCE).unwrap();
        addr.join();
        assert!(told.try_recv().is_err(), "once");
    });
}
