//! An echo over UDP: datagrams a second that come back, and the server's CPU time for each. One socket at
//! each end, datagrams of 64 bytes, 1 or 64 of them under way, which is far less than a socket holds.
//! Fair because all servers are one loop with a buffer of 2 KiB, under the same client.

use crate::harness::{self, Better, Child, Figure, Group, Metric, Result, Setup, Side};
use crate::runtimes;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const SETUPS: &[Setup] = &[Setup::OneCore, Setup::OneWorker, Setup::TwoWorkers];

pub(crate) const GROUP: Group = Group {
    name: "udp",
    about: "datagrams of 64 bytes that come back, 1 and 64 under way",
    metrics: &[rate("rate_1"), cpu("cpu_1"), rate("rate_64"), cpu("cpu_64")],
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
        Side {
            name: "threads",
            setups: SETUPS,
            run: |_| runtimes::threads(serve_thread),
        },
    ],
    apart: false,
    needs: &[],
    drive: |child, _| harness::serve(child, load),
};

const fn rate(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "/s",
        better: Better::Higher,
    }
}

const fn cpu(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "us",
        better: Better::Lower,
    }
}

const BUFFER: usize = 2_048;

// ---- the servers ----

fn serve_ours() {
    let socket = concurrence::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    harness::listening(socket.local_addr().expect("it is bound"));
    let mut buffer = [0; BUFFER];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).expect("a datagram");
        socket.send_to(&buffer[..count], from).expect("room for it");
    }
}

fn serve_thread() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    harness::listening(socket.local_addr().expect("it is bound"));
    let mut buffer = [0; BUFFER];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).expect("a datagram");
        socket.send_to(&buffer[..count], from).expect("room for it");
    }
}

async fn serve_tokio() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    harness::listening(socket.local_addr().expect("it is bound"));
    let mut buffer = [0; BUFFER];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).await.expect("a datagram");
        let sent = socket.send_to(&buffer[..count], from).await;
        sent.expect("room for it");
    }
}

// ---- the client ----

const DATAGRAM: usize = 64;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASURED: Duration = Duration::from_millis(600);
/// Without an answer for so long, a datagram has been lost.
const STUCK: Duration = Duration::from_secs(5);

fn load(address: SocketAddr, server: &Child) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for window in [1, 64] {
        let mut client = Client::new(address, window)?;
        client.exchange(Instant::now() + WARM_UP)?;
        let (start, cpu) = (Instant::now(), server.cpu_time()?);
        let answered = client.exchange(start + MEASURED)? as f64;
        let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu);
        let rate = answered / elapsed.as_secs_f64();
        figures.push(Figure::new(&format!("rate_{window}"), rate));
        let each = cpu.as_secs_f64() * 1e6 / answered;
        figures.push(Figure::new(&format!("cpu_{window}"), each));
    }
    Ok(figures)
}

/// Numbers its datagrams, and expects them in that order: there is one way to the server.
struct Client {
    socket: UdpSocket,
    sent: u64,
    answered: u64,
}

impl Client {
    /// One with `window` datagrams under way.
    fn new(address: SocketAddr, window: usize) -> Result<Client> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(STUCK))?;
        let mut client = Client {
            socket,
            sent: 0,
            answered: 0,
        };
        for _ in 0..window {
            client.send()?;
        }
        Ok(client)
    }

    fn datagram(number: u64) -> [u8; DATAGRAM] {
        let mut bytes = [b'.'; DATAGRAM];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[DATAGRAM - 8..].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    fn send(&mut self) -> Result<()> {
        self.socket.send(&Client::datagram(self.sent))?;
        self.sent += 1;
        Ok(())
    }

    /// Sends a datagram for each that comes back, and says how many came.
    fn exchange(&mut self, until: Instant) -> Result<u64> {
        let before = self.answered;
        let mut back = [0; DATAGRAM + 1];
        while Instant::now() < until {
            match self.socket.recv(&mut back) {
                Ok(count) if back[..count] == Client::datagram(self.answered) => {}
                Ok(_) => return Err(format!("not datagram {}", self.answered).into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err("nothing has come for 5 s: a datagram was lost".into());
                }
                Err(error) => return Err(error.into()),
            }
            self.answered += 1;
            self.send()?;
        }
        Ok(self.answered - before)
    }
}
