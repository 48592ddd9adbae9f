//! A server that runs out of descriptors: refuses, does not spin, and recovers; of each kind.
//!
//! The server is a process of its own, this very program, so that the clients' descriptors do not
//! count.

mod common;

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::{Actor, BoxError, Context, Handler, Message};
use actor_net::{Codec, Connection, Server};
use common::{PATIENCE, limit_descriptors, open_descriptors};

const ROLE: &str = "ACTOR_NET_TEST_SERVER";

/// How many descriptors the server has left for connections, about.
const ROOM: usize = 24;

#[test]
fn a_shortage_of_descriptors_is_survived() {
    survives("tasklets");
}

#[test]
fn a_shortage_of_descriptors_is_survived_without_stacks() {
    survives("stackless");
}

fn survives(kind: &str) {
    match env::var(ROLE) {
        Ok(role) if role == kind => return serve(kind),
        Ok(_) => return,
        Err(_) => {}
    }
    let mut server = start(kind);
    let addr = server.addr;

    // More than it has room for. Those it serves answer, all others are told at once.
    let mut clients: Vec<_> = (0..3 * ROOM).map(|_| connect(addr)).collect();
    let served = clients
        .iter_mut()
        .map(answers)
        .filter(|&answers| answers)
        .count();
    assert!(
        served >= ROOM / 2,
        "{served} of {} were served",
        clients.len()
    );
    assert!(served < clients.len(), "the limit was never reached");

    // While it lasts, and clients keep trying, the server does next to nothing.
    let before = server.cpu_time();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        assert!(!answers(&mut connect(addr)));
    }
    let spent = server.cpu_time() - before;
    assert!(
        spent < begun.elapsed() / 2,
        "{spent:?} of CPU in {:?}",
        begun.elapsed()
    );

    // Once there is room again, it accepts again.
    clients.clear();
    let begun = Instant::now();
    while !answers(&mut connect(addr)) {
        assert!(begun.elapsed() < PATIENCE, "the server never recovered");
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
}

struct Running {
    child: Child,
    addr: SocketAddr,
}

impl Running {
    /// User and system time so far.
    fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn start(kind: &str) -> Running {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["is_survived", "--nocapture", "--test-threads=1"])
        .env(ROLE, kind)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let addr = lines
        .map(Result::unwrap)
        .find_map(|line| Some(line.split_once("listening on ")?.1.parse().unwrap()))
        .unwrap();
    Running { child, addr }
}

/// What the child does: answers a byte with the same byte, with few descriptors.
fn serve(kind: &str) {
    let stackless = kind == "stackless";
    actor_core::dispatch(move || {
        let server = Server::builder().stackless(stackless).bind("127.0.0.1:0");
        let server = server.unwrap();
        let addr = server.local_addr();
        limit_descriptors(Some(open_descriptors() + ROOM));
        // The test harness may have begun a line of its own.
        println!("\nlistening on {addr}");
        if stackless {
            return server.run_actors(Bytes, Echo);
        }
        let handler = |mut stream: actor_io::TcpStream| -> std::io::Result<()> {
            let mut byte = [0];
            while stream.read(&mut byte)? > 0 {
                stream.write_all(&byte)?;
            }
            Ok(())
        };
        server.run(handler)
    });
}

/// Bytes, one by one.
#[derive(Clone)]
struct Bytes;

struct Byte(u8);

impl Message for Byte {
    type Reply = ();
}

impl Codec for Bytes {
    type Item = Byte;
    type Out = u8;

    fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Byte>, BoxError> {
        Ok(input.split_off_first().copied().map(Byte))
    }

    fn encode(&self, byte: u8, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        bytes.push(byte);
        Ok(())
    }
}

struct Echo(Connection<Bytes>);

impl Actor for Echo {}

impl Handler<Byte> for Echo {
    fn handle(&mut self, Byte(byte): Byte, _: &mut Context<Self>) {
        self.0.send(byte);
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    // A queue that overflows for a moment is no failure.
    let begun = Instant::now();
    loop {
        match TcpStream::connect(addr) {
            Ok(stream) => break stream,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a client is served; if not, its connection is closed.
fn answers(client: &mut TcpStream) -> bool {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut byte = [0];
    match client.write_all(b"x").and_then(|()| client.read(&mut byte)) {
        Ok(count) => count == 1,
        Err(error) => {
            assert_ne!(
                error.kind(),
                std::io::ErrorKind::WouldBlock,
                "neither served nor refused"
            );
            false
        }
    }
}
