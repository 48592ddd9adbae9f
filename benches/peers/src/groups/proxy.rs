//! A proxy: bytes a second that pass through it, its CPU time for them, and that of its peers with it,
//! who may pay for what it spares itself. It joins the connections that
//! it accepts two by two, so that the parent is both the client and the server behind. Fair because all
//! are written as their users would, with what each has for it; tokio's is tried with its own buffers and
//! with larger ones, of 64 KiB, too. What arrives is compared with what was sent, byte by byte.

use crate::harness::{self, Better, Child, Figure, Group, Metric, Result, Setup, Side};
use crate::load::Clients;
use crate::runtimes;
use concurrence::{Placement, Tasklet};
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const SETUPS: &[Setup] = &[Setup::OneCore, Setup::OneWorker, Setup::TwoWorkers];
const ONE_WORKER: &[Setup] = &[Setup::OneCore, Setup::OneWorker];

pub(crate) const GROUP: Group = Group {
    name: "proxy",
    about: "bytes through a proxy, 1 and 16 pairs of connections",
    metrics: &[
        rate("rate_1"),
        cpu("cpu_1"),
        cpu("all_1"),
        rate("rate_16"),
        cpu("cpu_16"),
        cpu("all_16"),
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
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), serve_tokio(SMALL)),
        },
        Side {
            name: "tokio_64k",
            setups: SETUPS,
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), serve_tokio(LARGE)),
        },
        Side {
            name: "tokio_current_thread",
            setups: ONE_WORKER,
            run: |_| runtimes::tokio_current_thread(serve_tokio(SMALL)),
        },
        Side {
            name: "tokio_64k_current_thread",
            setups: ONE_WORKER,
            run: |_| runtimes::tokio_current_thread(serve_tokio(LARGE)),
        },
        Side {
            name: "threads",
            setups: SETUPS,
            run: |_| runtimes::threads(serve_threads),
        },
    ],
    apart: false,
    needs: &[],
    drive: |child, _| harness::serve(child, load),
};

const fn rate(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "GB/s",
        better: Better::Higher,
    }
}

const fn cpu(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "ms/GB",
        better: Better::Lower,
    }
}

// ---- ours ----

fn serve_ours() {
    let listener = concurrence::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    harness::listening(listener.local_addr().expect("it is bound"));
    let accept = || {
        let (stream, _) = listener.accept().expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        stream
    };
    loop {
        let (one, other) = (accept(), accept());
        let join = move || drop(concurrence::net::copy_bidirectional(one, other));
        let tasklet = Tasklet::builder().placement(Placement::LeastLoaded);
        tasklet.spawn(join).expect("a stack");
    }
}

// ---- threads ----

fn serve_threads() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    harness::listening(listener.local_addr().expect("it is bound"));
    let accept = || {
        let (stream, _) = listener.accept().expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        Arc::new(stream)
    };
    loop {
        let (one, other) = (accept(), accept());
        for (from, to) in [
            (Arc::clone(&one), Arc::clone(&other)),
            (Arc::clone(&other), Arc::clone(&one)),
        ] {
            thread::spawn(move || -> io::Result<()> {
                io::copy(&mut &*from, &mut &*to)?;
                to.shutdown(Shutdown::Write)
            });
        }
    }
}

// ---- tokio ----

/// What `copy_bidirectional` takes.
const SMALL: usize = 8 * 1024;
const LARGE: usize = 64 * 1024;

async fn serve_tokio(buffer: usize) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    harness::listening(listener.local_addr().expect("it is bound"));
    let accept = async || {
        let (stream, _) = listener.accept().await.expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        stream
    };
    loop {
        let (mut one, mut other) = (accept().await, accept().await);
        tokio::spawn(async move {
            if buffer == SMALL {
                tokio::io::copy_bidirectional(&mut one, &mut other).await
            } else {
                let (one, other) = (&mut one, &mut other);
                tokio::io::copy_bidirectional_with_sizes(one, other, buffer, buffer).await
            }
        });
    }
}

// ---- the load ----

const WARM_UP: Duration = Duration::from_millis(200);
const MEASURED: Duration = Duration::from_millis(600);
const CHUNK: usize = 64 * 1024;

fn load(address: SocketAddr, server: &Child) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for pairs in [1, 16] {
        let mut load = Load::new(address, pairs)?;
        load.exchange(Instant::now() + WARM_UP)?;
        let (start, cpu) = (Instant::now(), server.cpu_time()?);
        let own = harness::own_cpu_time()?;
        let gigabytes = load.exchange(start + MEASURED)? as f64 / 1e9;
        let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu);
        let all = cpu + harness::own_cpu_time()? - own;
        let mut figure =
            |name: &str, value| figures.push(Figure::new(&format!("{name}_{pairs}"), value));
        figure("rate", gigabytes / elapsed.as_secs_f64());
        figure("cpu", cpu.as_secs_f64() * 1e3 / gigabytes);
        figure("all", all.as_secs_f64() * 1e3 / gigabytes);
    }
    Ok(figures)
}

/// Sends at the even ones of its connections and receives at the odd ones.
struct Load {
    ends: Clients,
    pairs: Vec<Pair>,
    /// Two chunks of the same bytes, so that there is a whole one from any place in the first.
    pattern: Vec<u8>,
    buffer: Vec<u8>,
}

/// How many bytes have been sent and received.
#[derive(Clone, Default)]
struct Pair {
    sent: u64,
    received: u64,
}

impl Load {
    fn new(address: SocketAddr, pairs: usize) -> Result<Load> {
        // A generator of Lehmer's: nothing in it repeats within a chunk.
        let mut state: u32 = 1;
        let mut pattern: Vec<u8> = std::iter::repeat_with(|| {
            state = (u64::from(state) * 48_271 % 0x7fff_ffff) as u32;
            (state >> 16) as u8
        })
        .take(CHUNK)
        .collect();
        pattern.extend_from_within(..);
        Ok(Load {
            ends: Clients::connect(address, 2 * pairs)?,
            pairs: vec![Pair::default(); pairs],
            pattern,
            buffer: vec![0; CHUNK],
        })
    }

    /// Keeps all pairs filled, and says how many bytes have arrived.
    fn exchange(&mut self, until: Instant) -> Result<u64> {
        let mut ready = Vec::new();
        let mut arrived = 0;
        while Instant::now() < until {
            for pair in 0..self.pairs.len() {
                self.fill(pair)?;
            }
            self.ends.wait(&mut ready)?;
            for &end in &ready {
                let count = self.ends.read(end, &mut self.buffer)? as u64;
                let pair = &mut self.pairs[end / 2];
                let at = (pair.received % CHUNK as u64) as usize;
                let expected = &self.pattern[at..at + count as usize];
                if end % 2 == 0 || expected != &self.buffer[..count as usize] {
                    return Err(format!("connection {end} had what was not sent to it").into());
                }
                pair.received += count;
                arrived += count;
            }
        }
        Ok(arrived)
    }

    /// Writes until there is no room.
    fn fill(&mut self, pair: usize) -> Result<()> {
        let sent = &mut self.pairs[pair].sent;
        loop {
            let at = (*sent % CHUNK as u64) as usize;
            let mut stream: &TcpStream = self.ends.stream(2 * pair);
            match stream.write(&self.pattern[at..at + CHUNK]) {
                Ok(count) => *sent += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
