//! An echo over TCP: requests a second, and the server's CPU time for each. 64 connections, each
//! with one request of 64 bytes under way. Fair because both servers are a task a connection with a
//! buffer of 4 KiB and TCP_NODELAY, under the same clients; and because the CPU time counts the work
//! where the rate is the clients' or the idle CPU's affair.

use crate::harness::{self, Better, Child, Figure, Group, Metric, Result, Setup, Side};
use crate::load::Clients;
use crate::runtimes;
use concurrence::io::{self, Read, Write};
use concurrence::net::Server;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SETUPS: &[Setup] = &[Setup::OneCore, Setup::OneWorker, Setup::TwoWorkers];

pub(crate) const GROUP: Group = Group {
    name: "echo",
    about: "64 connections, each with a request of 64 bytes under way",
    metrics: &[
        Metric {
            name: "rate",
            unit: "req/s",
            better: Better::Higher,
        },
        Metric {
            name: "cpu",
            unit: "us/req",
            better: Better::Lower,
        },
    ],
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: |setup| runtimes::concurrence(setup.workers(), serve_ours),
    },
    peers: &[
        Side {
            name: "tokio",
            setups: SETUPS,
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), serve_tokio()),
        },
        Side {
            name: "tokio_current_thread",
            setups: &[Setup::OneCore, Setup::OneWorker],
            run: |_| runtimes::tokio_current_thread(serve_tokio()),
        },
    ],
    apart: false,
    needs: None,
    drive: |child, _| harness::serve(child, load),
};

const BUFFER: usize = 4_096;

// ---- ours ----

fn serve_ours() {
    let server = Server::bind("127.0.0.1:0").expect("a free port");
    harness::listening(server.local_addr());
    server.run(echo_ours).expect("it is killed in the end");
}

fn echo_ours(mut stream: concurrence::net::TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

// ---- tokio ----

async fn serve_tokio() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    harness::listening(listener.local_addr().expect("it is bound"));
    loop {
        let (stream, _) = listener.accept().await.expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        tokio::spawn(echo_tokio(stream));
    }
}

async fn echo_tokio(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

// ---- the clients ----

const CONNECTIONS: usize = 64;
const REQUEST: usize = 64;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASURED: Duration = Duration::from_millis(800);

/// A client's request under way: its number, at both ends of it, and how much of it is back.
struct UnderWay {
    number: u64,
    back: [u8; REQUEST],
    filled: usize,
}

impl UnderWay {
    fn request(&self) -> [u8; REQUEST] {
        let mut bytes = [b'.'; REQUEST];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[REQUEST - 8..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }
}

fn load(address: SocketAddr, server: &Child) -> Result<Vec<Figure>> {
    let mut clients = Clients::connect(address, CONNECTIONS)?;
    let mut requests: Vec<UnderWay> = (0..CONNECTIONS)
        .map(|client| UnderWay {
            number: (client as u64) << 32,
            back: [0; REQUEST],
            filled: 0,
        })
        .collect();
    for (client, request) in requests.iter().enumerate() {
        clients.write(client, &request.request())?;
    }
    exchange(&mut clients, &mut requests, Instant::now() + WARM_UP)?;

    let (start, cpu) = (Instant::now(), server.cpu_time()?);
    let answered = exchange(&mut clients, &mut requests, start + MEASURED)? as f64;
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu);
    Ok(vec![
        Figure::new("rate", answered / elapsed.as_secs_f64()),
        Figure::new("cpu", cpu.as_secs_f64() * 1e6 / answered),
    ])
}

/// Lets every client send its next request as soon as its last has come back, and says how many came.
fn exchange(clients: &mut Clients, requests: &mut [UnderWay], until: Instant) -> Result<usize> {
    let mut ready = Vec::new();
    let mut answered = 0;
    while Instant::now() < until {
        clients.wait(&mut ready)?;
        for &client in &ready {
            let request = &mut requests[client];
            request.filled += clients.read(client, &mut request.back[request.filled..])?;
            if request.filled < REQUEST {
                continue;
            }
            if request.back != request.request() {
                return Err(format!("client {client} had back what it did not send").into());
            }
            answered += 1;
            request.number += 1;
            request.filled = 0;
            clients.write(client, &request.request())?;
        }
    }
    Ok(answered)
}
