//! Dispatchers: actors that are told what their sockets are ready for.

#[path = "../common/mod.rs"]
mod common;
mod connects;
#[path = "../common/dispatchers.rs"]
mod dispatchers;
mod ends;
mod flow;

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
use dispatchers::listen;

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
    let addr = listen(&map, move |channel| Echo::new(channel, &sender));
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
