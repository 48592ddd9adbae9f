//! How long a small call takes beside messages of a mebibyte, over a connection that takes 20 MB a second: what a link
//! leaves to the kernel stands before all that comes later.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::{Actor, Addr, Context, Handler, Message, Runtime, Tasklet};
use actor_remote::{Config, Node, RemoteRef, protocol};
use serde::{Deserialize, Serialize};

/// Bytes a second.
const RATE: f64 = 20e6;
const CALLS: usize = 300;

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "bench.Ask", reply = u64)]
struct Ask(u64);

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "bench.Bulk")]
struct Bulk(String);

protocol! { Asked: Ask }
protocol! { Flooded: Bulk }

struct Both;

impl Actor for Both {}

impl Handler<Ask> for Both {
    fn handle(&mut self, ask: Ask, _: &mut Context<Self>) -> u64 {
        ask.0
    }
}

impl Handler<Bulk> for Both {
    fn handle(&mut self, _: Bulk, _: &mut Context<Self>) {}
}

fn main() -> ExitCode {
    Runtime::builder().workers(1).dispatch(|| {
        let server = Node::listen("127.0.0.1:0", Config::new("server")).expect("a free port");
        let (asked, flooded) = (Addr::spawn(Both), Addr::spawn(Both));
        server.expose("asked", &asked).protocol::<Asked>();
        server.expose("flooded", &flooded).protocol::<Flooded>();
        let slow = slow(server.local_addr().expect("it listens"));
        let client = Node::start(Config::new("client")).expect("a good name");
        let peer = client.connect(slow.to_string()).expect("it listens");
        let asked: RemoteRef<Asked> = peer.lookup("asked").expect("it is exposed");
        let flooded: RemoteRef<Flooded> = peer.lookup("flooded").expect("it is exposed");

        report("alone", &asked);
        let over = Arc::new(AtomicBool::new(false));
        let flood = {
            let over = over.clone();
            Tasklet::spawn(move || {
                let filler = "x".repeat((1 << 20) - 100);
                while !over.load(Relaxed) {
                    flooded.send(Bulk(filler.clone())).expect("a link");
                }
            })
        };
        // Until the flood fills all that it finds on its way.
        Tasklet::sleep(Duration::from_secs(1));
        report("beside bulk", &asked);
        over.store(true, Relaxed);
        flood.join().expect("it does not panic");
        client.close();
        server.close();
    })
}

fn report(what: &str, asked: &RemoteRef<Asked>) {
    let mut times: Vec<_> = (0..CALLS as u64)
        .map(|n| {
            let start = Instant::now();
            assert_eq!(asked.call(Ask(n)), Ok(n));
            start.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "{what}: median {:.2?}, 99th percentile {:.2?}",
        times[CALLS / 2],
        times[CALLS * 99 / 100]
    );
}

/// A proxy that passes on what comes from the client no faster than [`RATE`].
fn slow(to: SocketAddr) -> SocketAddr {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.expect("a socket");
    // What waits in the proxy waits on no link of ours.
    listener.set_recv_buffer_size(64 << 10).expect("an option");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).expect("a free port");
    listener.listen(1).expect("it is bound");
    let listener: TcpListener = listener.into();
    let addr = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client");
        let server = TcpStream::connect(to).expect("it listens");
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("an option");
        }
        let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        let (from, into) = (clone(&server), clone(&client));
        thread::spawn(move || pass(from, into, f64::INFINITY));
        pass(client, server, RATE);
    });
    addr
}

fn pass(mut from: TcpStream, mut into: TcpStream, rate: f64) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if into.write_all(&buffer[..count]).is_err() {
            return;
        }
        thread::sleep(Duration::from_secs_f64(count as f64 / rate));
    }
}
