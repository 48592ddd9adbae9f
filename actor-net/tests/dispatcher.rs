//! Dispatchers: actors that are told what their sockets are ready for.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use actor_core::{Actor, Addr, BoxError, Context, ExitReason, Handler, Message, Tasklet, TimedOut};
use actor_net::dispatcher::{Channel, Dispatcher, Map, OutputFull};
use common::{PATIENCE, eventually, in_tasklet};

/// Accepts, and has what it accepts served by what `make` makes.
struct Listener<F> {
    channel: Channel,
    make: F,
}

impl<F: FnMut(Channel) + Send + 'static> Actor for Listener<F> {}

impl<F: FnMut(Channel) + Send + 'static> Dispatcher for Listener<F> {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn handle_accepted(
        &mut self,
        channel: Channel,
        peer: SocketAddr,
        _: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        assert_eq!(channel.peer_addr().unwrap(), peer);
        (self.make)(channel);
        Ok(())
    }
}

fn listen(map: &Map, make: impl FnMut(Channel) + Send + 'static) -> SocketAddr {
    let channel = Channel::listen("127.0.0.1:0").unwrap();
    let addr = channel.local_addr().unwrap();
    map.spawn(Listener { channel, make }).unwrap();
    addr
}

fn client(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Runs what blocks on a thread of its own, so that it does not stand in the dispatchers' way.
fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    actor_core::block_on_thread(work)
}

/// What has happened to an [`Echo`].
#[derive(Debug)]
enum Event {
    Connected,
    Closed(Option<ErrorKind>),
    Failed(String),
    Ended(ExitReason),
}

/// Sends back what it receives, in small steps, and does what single bytes tell it.
struct Echo {
    channel: Channel,
    events: mpsc::Sender<Event>,
    most_pending: Arc<AtomicUsize>,
}

impl Echo {
    fn new(channel: Channel, events: &mpsc::Sender<Event>) -> Echo {
        Echo {
            channel,
            events: events.clone(),
            most_pending: Arc::default(),
        }
    }

    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

impl Actor for Echo {
    fn stopped(&mut self, reason: &ExitReason) {
        self.tell(Event::Ended(reason.clone()));
    }
}

impl Dispatcher for Echo {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn handle_connect(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.tell(Event::Connected);
        Ok(())
    }

    fn handle_read(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let mut bytes = [0; 1000];
        let count = self.channel.recv(&mut bytes)?;
        match &bytes[..count] {
            b"panic" => panic!("as the client wished"),
            b"fail" => return Err("as the client wished".into()),
            b"die" => {
                ctx.addr().kill();
                Tasklet::sleep(PATIENCE);
            }
            b"end" => ctx.stop(),
            b"sulk" => {
                self.channel.push(b"sulking")?;
                self.channel.flush();
                Tasklet::sleep(10 * PATIENCE);
            }
            bytes => self.channel.push(bytes)?,
        }
        self.most_pending.fetch_max(self.channel.pending(), SeqCst);
        Ok(())
    }

    fn handle_close(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.tell(Event::Closed(
            self.channel.error().map(|error| error.kind()),
        ));
        self.channel.close_when_done();
        Ok(())
    }

    fn handle_error(&mut self, error: BoxError, _: &mut Context<Self>) {
        self.tell(Event::Failed(error.to_string()));
        self.channel.close();
    }
}

#[derive(Debug)]
struct Say(&'static str);

impl Message for Say {
    type Reply = ();
}

impl Handler<Say> for Echo {
    fn handle(&mut self, Say(text): Say, _: &mut Context<Self>) {
        self.channel.push(text.as_bytes()).unwrap();
    }
}

fn next(events: &mpsc::Receiver<Event>) -> Event {
    let mut event = None;
    eventually("something", || {
        event = events.try_recv().ok();
        event.is_some()
    });
    event.unwrap()
}

/// A map with a listener whose connections are echoes.
fn echoes() -> (Map, SocketAddr, mpsc::Receiver<Event>) {
    let map = Map::new();
    let (sender, events) = mpsc::channel();
    let of = map.clone();
    let addr = listen(&map, move |channel| {
        of.spawn(Echo::new(channel, &sender)).unwrap();
    });
    (map, addr, events)
}

fn close(map: &Map) {
    map.close_all();
    map.run_timeout(PATIENCE).unwrap();
}

/// Sends `bytes` and reads until the end of the answer.
fn exchange(mut stream: TcpStream, bytes: Vec<u8>) -> Vec<u8> {
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&bytes).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    back
}

fn is_closed(mut stream: TcpStream) -> bool {
    match stream.read(&mut [0; 100]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn noise(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|n| (n.wrapping_mul(31) / 7 + seed) as u8)
        .collect()
}

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
        let (of, most_pending) = (map.clone(), most.clone());
        let addr = listen(&map, move |channel| {
            let mut echo = Echo::new(channel, &sender);
            echo.most_pending = most_pending.clone();
            of.spawn(echo).unwrap();
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
fn a_client_is_told_that_it_is_connected_or_why_it_is_not() {
    in_tasklet(|| {
        let map = Map::new();
        let (sender, events) = mpsc::channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut channel = Channel::connect(addr).unwrap();
        // Before it is connected: goes out as soon as it is.
        channel.push(b"hello").unwrap();
        map.spawn(Echo::new(channel, &sender)).unwrap();
        assert!(matches!(next(&events), Event::Connected));
        let (mut peer, _) = listener.accept().unwrap();
        let mut word = [0; 5];
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        aside(move || {
            peer.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"hello");
        });
        assert!(matches!(next(&events), Event::Closed(_)));
        assert!(matches!(next(&events), Event::Ended(_)));

        drop(listener);
        match Channel::connect(addr) {
            Ok(channel) => {
                map.spawn(Echo::new(channel, &sender)).unwrap();
                match next(&events) {
                    Event::Failed(error) => assert!(error.contains("refused"), "{error}"),
                    event => panic!("{event:?}"),
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
        map.run_timeout(PATIENCE).unwrap();
    });
}

#[test]
fn closing_before_it_is_connected_still_sends_what_is_pending() {
    in_tasklet(|| {
        let map = Map::new();
        let (sender, _events) = mpsc::channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut channel = Channel::connect(listener.local_addr().unwrap()).unwrap();
        channel.push(b"in passing").unwrap();
        channel.close_when_done();
        map.spawn(Echo::new(channel, &sender)).unwrap();
        let text = aside(move || {
            let mut text = String::new();
            listener
                .accept()
                .unwrap()
                .0
                .read_to_string(&mut text)
                .unwrap();
            text
        });
        assert_eq!(text, "in passing");
        map.run_timeout(PATIENCE).unwrap();
    });
}

/// Others can send to it while its channel is idle, and that goes out at once.
#[test]
fn a_dispatcher_takes_messages_as_well() {
    in_tasklet(|| {
        let map = Map::new();
        let (sender, _events) = mpsc::channel();
        let (near, mut far) = UnixStream::pair().unwrap();
        let channel = Channel::adopt(near).unwrap();
        let echo: Addr<Echo> = map.spawn(Echo::new(channel, &sender)).unwrap();
        echo.call(Say("one ")).unwrap();
        echo.send(Say("two ")).unwrap();
        far.write_all(b"three").unwrap();
        aside(move || {
            let mut text = [0; 13];
            far.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"one two three");
        });
        map.run_timeout(PATIENCE).unwrap();
        eventually("its end", || !echo.is_alive());
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
