//! What idle connections cost that hold no stack: memory, time, and what it takes to accept and to close
//! them. As many as the limit on descriptors allows, up to 19,000.
//!
//! The server is a process of its own, this very program, so that nothing but it is measured. Run with
//! `--nocapture` for the figures: memory, and that nothing is done while nobody speaks, must be right
//! everywhere; rates depend on the machine, and are only told.

mod common;
#[path = "common/dispatchers.rs"]
mod dispatchers;

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::{Actor, BoxError, Context, Handler, dispatch, quit};
use actor_net::dispatcher::{Channel, Dispatcher, Map};
use actor_net::{Connection, Line, LineCodec, Server};
use common::{PATIENCE, limit_descriptors};
use dispatchers::listen;
use socket2::{Domain, Socket, Type};

const ROLE: &str = "ACTOR_NET_IDLE_SERVER";

/// How many connections are held at the most.
const MOST: usize = 19_000;
/// Descriptors that are left for other things.
const RESERVE: usize = 1_000;
/// How many connections there are before memory is measured: what is there once has been made by then.
const FIRST: usize = 500;

/// One kind of server.
struct Kind {
    name: &'static str,
    /// What a client says, and the end of what it hears.
    says: &'static str,
    hears: &'static str,
    /// The aim: bytes of user memory for each connection, the actor's value not counted that is its own.
    bytes: usize,
}

const ACTORS: Kind = Kind {
    name: "server",
    says: "hello\n",
    hears: "hello\n",
    bytes: 512,
};
const DISPATCHERS: Kind = Kind {
    name: "dispatcher",
    ..ACTORS
};
#[cfg(feature = "http")]
const HTTP: Kind = Kind {
    name: "http",
    says: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    hears: "\r\n\r\nhello",
    bytes: 256,
};

#[test]
fn a_connection_of_a_server_costs_little_while_it_is_idle() {
    measure(&ACTORS);
}

#[test]
fn a_dispatcher_costs_little_while_it_is_idle() {
    measure(&DISPATCHERS);
}

#[cfg(feature = "http")]
#[test]
fn a_connection_of_an_http_server_costs_little_while_it_is_idle() {
    measure(&HTTP);
}

fn measure(kind: &'static Kind) {
    let name = kind.name;
    match env::var(ROLE) {
        Ok(role) if role == name => return serve(name),
        Ok(_) => return,
        Err(_) => {}
    }
    // All descriptors that a client may have are for one at a time.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let many = MOST.min(limit_descriptors(None).saturating_sub(RESERVE));
    if many < 4 * FIRST {
        println!("{name}: {many} connections are too few to be measured");
        return;
    }
    let mut server = Process::start(kind);
    let mut clients = connect(kind, server.addr, FIRST);
    server.wait_for(FIRST);
    let first = server.report();
    let few = server.cost_of_a_round_trip(&mut clients[0]);

    let begun = Instant::now();
    clients.extend(connect(kind, server.addr, many - FIRST));
    server.wait_for(many);
    let accepted = rate(many - FIRST, begun);
    let all = server.report();
    // The actor's own value is not counted.
    let own = match name {
        "server" => size_of::<Echo>(),
        "dispatcher" => size_of::<EchoDispatcher>() - size_of::<Channel>(),
        // One for all.
        _ => 0,
    };
    let bytes = (all.memory - first.memory) / (many - FIRST) - own;

    // Nobody says anything.
    let before = server.report().cpu;
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(500));
    let idle = server.report().cpu - before;
    let waited = begun.elapsed();

    let loaded = server.cost_of_a_round_trip(&mut clients[0]);
    // Each is alive.
    for client in clients.iter_mut().step_by(97) {
        kind.round_trip(client);
    }

    let begun = Instant::now();
    clients.clear();
    server.wait_for(0);
    let closed = rate(many, begun);
    println!(
        "{name}: {many} idle connections: {bytes} bytes each, {idle:?} of CPU in {waited:?}; \
         accepted {accepted:.0}/s, closed {closed:.0}/s; \
         CPU of a round trip {few:?} beside {FIRST}, {loaded:?} beside {many}"
    );
    // What grows by doubling is shared by fewer, where there are few.
    let allowed = if many >= 10_000 {
        kind.bytes
    } else {
        kind.bytes + 128
    };
    assert!(bytes <= allowed, "{bytes} bytes for a connection");
    // A look at each of them every 10 ms would be several times as much.
    assert!(idle <= waited / 10, "{idle:?} of CPU in {waited:?}");
}

fn rate(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

/// Connections, on each of which something has been said.
fn connect(kind: &Kind, addr: SocketAddr, count: usize) -> Vec<TcpStream> {
    /// Far fewer than may wait to be accepted, or the system has clients wait for a second.
    const AT_ONCE: usize = 256;
    let connect = |n| {
        // From several addresses: the system takes long to find one of the last ports that are free.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let from = SocketAddr::from(([127, 0, 0, 2 + (n % 8) as u8], 0));
        socket.bind(&from.into()).unwrap();
        socket.connect(&addr.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let first = streams.len();
        streams.extend((first..count.min(first + AT_ONCE)).map(connect));
        for stream in &mut streams[first..] {
            stream.write_all(kind.says.as_bytes()).unwrap();
        }
        for stream in &mut streams[first..] {
            kind.hear(stream);
        }
    }
    streams
}

impl Kind {
    fn round_trip(&self, stream: &mut TcpStream) {
        stream.write_all(self.says.as_bytes()).unwrap();
        self.hear(stream);
    }

    fn hear(&self, stream: &mut TcpStream) {
        let (mut answer, mut length) = ([0; 512], 0);
        while !answer[..length].ends_with(self.hears.as_bytes()) {
            let count = stream.read(&mut answer[length..]).unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&answer[..length]));
            length += count;
        }
    }
}

struct Process {
    kind: &'static Kind,
    child: Child,
    addr: SocketAddr,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

/// What a server tells of itself.
struct Report {
    connections: usize,
    /// Resident, in bytes.
    memory: usize,
    cpu: Duration,
}

impl Process {
    fn start(kind: &'static Kind) -> Process {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--nocapture", "--test-threads=1"])
            .env(ROLE, kind.name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let mut reports = BufReader::new(child.stdout.take().unwrap());
        let addr = next_line(&mut reports, "listening ").parse().unwrap();
        Process {
            kind,
            child,
            addr,
            orders,
            reports,
        }
    }

    fn report(&mut self) -> Report {
        writeln!(self.orders, "report").unwrap();
        let line = next_line(&mut self.reports, "report ");
        let mut numbers = line.split(' ').map(|number| number.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Report {
            connections: next(),
            memory: next(),
            cpu: Duration::from_micros(next() as u64),
        }
    }

    fn wait_for(&mut self, connections: usize) {
        let begun = Instant::now();
        while self.report().connections != connections {
            assert!(
                begun.elapsed() < PATIENCE,
                "never {connections} connections"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn cost_of_a_round_trip(&mut self, client: &mut TcpStream) -> Duration {
        const ROUNDS: u32 = 1_000;
        let mut measure = || {
            let before = self.report().cpu;
            for _ in 0..ROUNDS {
                self.kind.round_trip(client);
            }
            (self.report().cpu - before) / ROUNDS
        };
        // The system has work of its own to do for connections that have just been made.
        let costs = [measure(), measure(), measure()];
        costs.into_iter().min().unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(lines: &mut impl BufRead, prefix: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "the server has gone"
        );
        // The test harness of the other process writes there as well.
        if let Some(at) = line.find(prefix) {
            return line[at + prefix.len()..].trim().to_owned();
        }
    }
}

// The server -----------------------------------------------------------------------------------

/// An actor for each connection.
struct Echo(Connection<LineCodec>);

impl Actor for Echo {}

impl Handler<Line> for Echo {
    fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
        self.0.send(line);
    }
}

/// A dispatcher for each connection.
struct EchoDispatcher(Channel);

impl Actor for EchoDispatcher {}

impl Dispatcher for EchoDispatcher {
    fn channel(&mut self) -> &mut Channel {
        &mut self.0
    }

    fn handle_read(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        let mut bytes = [0; 1024];
        let received = self.0.recv(&mut bytes)?;
        self.0.push(&bytes[..received])?;
        Ok(())
    }
}

fn serve(name: &'static str) {
    dispatch(move || {
        #[cfg(feature = "http")]
        if name == HTTP.name {
            return serve_http();
        }
        if name == DISPATCHERS.name {
            let map = Map::new();
            let addr = listen(&map, EchoDispatcher);
            let counted = map.clone();
            obey(addr, move || counted.len() - 1);
            map.run();
        } else {
            let server = Server::builder().stackless(true).bind("127.0.0.1:0");
            let server = server
                .unwrap()
                .spawn_actors(LineCodec::new(), Echo)
                .unwrap();
            let server = Arc::new(server);
            let counted = server.clone();
            obey(server.local_addr(), move || counted.connections());
            server.join().unwrap();
        }
    });
}

#[cfg(feature = "http")]
fn serve_http() {
    use actor_net::http::{Body, HttpServer, Request};

    let server = HttpServer::bind("127.0.0.1:0").unwrap();
    let server = server
        .spawn(|_: Request<Body>| Body::from("hello"))
        .unwrap();
    let server = Arc::new(server);
    let counted = server.clone();
    obey(server.local_addr(), move || counted.connections());
    server.join().unwrap();
}

/// Tells of this process when it is asked to; ends it when there is nobody to ask.
fn obey(addr: SocketAddr, connections: impl Fn() -> usize + Send + 'static) {
    println!("listening {addr}");
    thread::spawn(move || {
        for _ in std::io::stdin().lock().lines() {
            println!(
                "report {} {} {}",
                connections(),
                memory(),
                cpu().as_micros()
            );
        }
        quit(0);
    });
}

fn memory() -> usize {
    let mut text = String::new();
    let mut file = std::fs::File::open("/proc/self/smaps_rollup").unwrap();
    file.read_to_string(&mut text).unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:"));
    let kilobytes = line
        .and_then(|line| line.split_whitespace().nth(1))
        .unwrap();
    1024 * kilobytes.parse::<usize>().unwrap()
}

fn cpu() -> Duration {
    // SAFETY: zeroes are a value of this type, and a local is filled in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}
