//! What flows through dispatchers: all of it, in order, and nobody starves.

use super::*;

#[test]
fn many_clients_get_back_all_that_they_send() {
    in_tasklet(|| {
        let (map, addr, events) = echoes();
        let clients: Vec<_> = (0..20)
            .map(|n| {
                thread::spawn(move || {
                    let sent = noise(300_000, n);
                    assert!(exchange(client(addr), sent.clone()) == sent);
                })
            })
            .collect();
        aside(|| {
            clients
                .into_iter()
                .for_each(|client| client.join().unwrap())
        });
        for _ in 0..40 {
            match next(&events) {
                Event::Closed(None) | Event::Ended(ExitReason::Normal) => {}
                event => panic!("{event:?}"),
            }
        }
        eventually("the last end", || map.len() == 1);
        close(&map);
    });
}

#[test]
fn a_peer_that_does_not_read_is_not_heard_and_loses_nothing() {
    in_tasklet(|| {
        let map = Map::new();
        let (sender, _events) = mpsc::channel();
        let most = Arc::new(AtomicUsize::new(0));
        let most_pending = most.clone();
        let addr = listen(&map, move |channel| {
            let mut echo = Echo::new(channel, &sender);
            echo.most_pending = most_pending.clone();
            echo
        });
        aside(move || {
            // More than all the buffers in between can hold.
            let sent = noise(32 << 20, 0);
            let mut stream = client(addr);
            let mut writer = stream.try_clone().unwrap();
            writer.set_nonblocking(true).unwrap();
            let mut count = 0;
            let mut stalled = 0;
            // Until nobody takes any more, for a while.
            while stalled < 50 && count < sent.len() {
                match writer.write(&sent[count..]) {
                    Ok(some) => {
                        count += some;
                        stalled = 0;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        stalled += 1;
                        thread::sleep(Duration::from_millis(2));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(count < sent.len(), "nobody has held it back");
            writer.set_nonblocking(false).unwrap();
            let rest = sent[count..].to_vec();
            let writing = thread::spawn(move || {
                writer.write_all(&rest).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut back = Vec::new();
            stream.read_to_end(&mut back).unwrap();
            writing.join().unwrap();
            assert!(back == sent);
        });
        let most = most.load(SeqCst);
        let limit = actor_net::dispatcher::DEFAULT_OUTPUT;
        assert!(
            most > 0 && most <= limit / 2 + 1000,
            "{most} bytes were pending"
        );
        close(&map);
    });
}

/// Reads a byte at a time, and only while it is told to.
struct Choosy {
    channel: Channel,
    reads: bool,
    writes: usize,
    bytes: mpsc::Sender<u8>,
}

impl Actor for Choosy {}

impl Dispatcher for Choosy {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn readable(&mut self) -> bool {
        self.reads
    }

    fn writable(&mut self) -> bool {
        self.writes > 0
    }

    fn handle_read(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        let mut byte = [0];
        if self.channel.recv(&mut byte)? == 1 {
            self.bytes.send(byte[0])?;
        }
        Ok(())
    }

    fn handle_write(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.writes -= 1;
        assert_eq!(self.channel.send(b".")?, 1);
        Ok(())
    }
}

#[derive(Debug)]
enum Order {
    Read(bool),
    Write(usize),
}

impl Message for Order {
    type Reply = ();
}

impl Handler<Order> for Choosy {
    fn handle(&mut self, order: Order, _: &mut Context<Self>) {
        match order {
            Order::Read(reads) => self.reads = reads,
            Order::Write(times) => self.writes = times,
        }
        self.channel.look_again();
    }
}

#[test]
fn nothing_is_lost_on_one_that_reads_little_and_at_times() {
    in_tasklet(|| {
        let map = Map::new();
        let (near, mut far) = UnixStream::pair().unwrap();
        let (bytes, heard) = mpsc::channel();
        let choosy = Choosy {
            channel: Channel::adopt(near).unwrap(),
            reads: false,
            writes: 0,
            bytes,
        };
        let choosy = map.spawn(choosy).unwrap();
        far.write_all(b"abc").unwrap();
        choosy.call(Order::Write(100)).unwrap();
        let mut dots = [0; 100];
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut far = aside(move || {
            far.read_exact(&mut dots).unwrap();
            assert_eq!(dots, [b'.'; 100]);
            far
        });
        assert!(heard.try_recv().is_err(), "it was not to read");
        choosy.call(Order::Read(true)).unwrap();
        let expect = |text: &[u8]| {
            for &byte in text {
                let mut next = None;
                eventually("a byte", || {
                    next = heard.try_recv().ok();
                    next.is_some()
                });
                assert_eq!(next, Some(byte));
            }
        };
        expect(b"abc");
        // More than it handles in one turn, with the end behind it.
        let long: Vec<u8> = (0..200).collect();
        far.write_all(&long).unwrap();
        far.shutdown(Shutdown::Write).unwrap();
        expect(&long);
        map.run_timeout(PATIENCE).unwrap();
    });
}

#[test]
fn what_there_is_no_room_for_is_refused_whole() {
    let (near, _far) = UnixStream::pair().unwrap();
    let mut channel = Channel::adopt(near).unwrap();
    channel.set_output_limit(1 << 20);
    let block = vec![0; 100_000];
    let full = loop {
        if let Err(full) = channel.push(&block) {
            break full;
        }
    };
    let OutputFull {
        wanted,
        pending,
        limit,
    } = full;
    assert_eq!((wanted, limit), (100_000, 1 << 20));
    assert_eq!(pending, channel.pending());
    assert!(pending <= limit && pending + wanted > limit);
    assert_eq!(
        channel.send(b"x").unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    channel.close();
    assert_eq!(
        channel.send(b"x").unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    assert_eq!(
        channel.recv(&mut [0]).unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    channel.push(b"to nobody").unwrap();
}

/// One that sends without end does not keep others, nor itself, from being heard.
#[test]
fn a_flood_starves_nobody() {
    in_tasklet(|| {
        let (map, addr, _events) = echoes();
        let floods: Vec<_> = (0..4)
            .map(|n| {
                thread::spawn(move || {
                    let mut stream = client(addr);
                    let mut reader = stream.try_clone().unwrap();
                    let reading = thread::spawn(move || {
                        let mut waste = [0; 65536];
                        while matches!(reader.read(&mut waste), Ok(1..)) {}
                    });
                    let bytes = noise(65536, n);
                    while stream.write_all(&bytes).is_ok() {}
                    reading.join().unwrap();
                })
            })
            .collect();
        eventually("the floods", || map.len() == 5);
        aside(move || {
            let mut stream = client(addr);
            for n in 0..50u8 {
                stream.write_all(&[n]).unwrap();
                let mut back = [0];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(back, [n]);
            }
        });
        close(&map);
        aside(|| floods.into_iter().for_each(|flood| flood.join().unwrap()));
    });
}
