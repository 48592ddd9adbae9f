//! An echo over TCP and one over TLS: requests a second, and the server's CPU time for each, with 1, 64
//! and 1,000 connections, each with one request of 64 bytes under way. Fair because all servers are a
//! task or a thread a connection, with a buffer of 4 KiB and TCP_NODELAY, under the same clients, and
//! with the same configuration of rustls; and because the CPU time counts the work where the rate is
//! the clients' or the idle CPU's affair. Handshakes come before anything is measured.

use crate::harness::{self, Better, Child, Figure, Group, Metric, Result, Setup, Side};
use crate::load::Clients;
use crate::{requests, runtimes, tls};
use concurrence::net::Server;
use concurrence::net::tls::ServerTls;
use rustls::{ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const SETUPS: &[Setup] = &[Setup::OneCore, Setup::OneWorker, Setup::TwoWorkers];
const ONE_WORKER: &[Setup] = &[Setup::OneCore, Setup::OneWorker];

const CONNECTIONS: [usize; 3] = [1, 64, 1_000];
const METRICS: &[Metric] = &[
    rate("rate_1"),
    cpu("cpu_1"),
    rate("rate_64"),
    cpu("cpu_64"),
    rate("rate_1000"),
    cpu("cpu_1000"),
];

const fn rate(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "req/s",
        better: Better::Higher,
    }
}

const fn cpu(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "us/req",
        better: Better::Lower,
    }
}

pub(crate) const TCP: Group = Group {
    name: "tcp",
    about: "TCP connections, each with a request of 64 bytes under way",
    metrics: METRICS,
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: |setup| runtimes::concurrence(setup.workers(), tcp_ours),
    },
    peers: &[
        Side {
            name: "tokio",
            setups: SETUPS,
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), tcp_tokio()),
        },
        Side {
            name: "tokio_current_thread",
            setups: ONE_WORKER,
            run: |_| runtimes::tokio_current_thread(tcp_tokio()),
        },
        Side {
            name: "threads",
            setups: SETUPS,
            run: |_| runtimes::threads(tcp_threads),
        },
    ],
    apart: false,
    needs: &[],
    drive: |child, _| {
        harness::serve(child, |address, server| {
            measure(server, |count| Clients::connect(address, count))
        })
    },
};

pub(crate) const TLS: Group = Group {
    name: "tls",
    about: "TLS connections, each with a request of 64 bytes under way",
    metrics: METRICS,
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: |setup| runtimes::concurrence(setup.workers(), tls_ours),
    },
    peers: &[
        Side {
            name: "tokio",
            setups: SETUPS,
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), tls_tokio()),
        },
        Side {
            name: "tokio_current_thread",
            setups: ONE_WORKER,
            run: |_| runtimes::tokio_current_thread(tls_tokio()),
        },
        Side {
            name: "threads",
            setups: SETUPS,
            run: |_| runtimes::threads(tls_threads),
        },
    ],
    apart: false,
    needs: &[],
    drive: |child, _| {
        let config = tls::clients(&child.told()?)?;
        harness::serve(child, |address, server| {
            measure(server, |count| {
                Clients::connect_over(address, count, |stream| tls::Client::over(stream, &config))
            })
        })
    },
};

/// All numbers of connections, one after the other.
fn measure<S: crate::load::Stream>(
    server: &Child,
    connect: impl Fn(usize) -> Result<Clients<S>>,
) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for count in CONNECTIONS {
        figures.extend(requests::measure(connect(count)?, count, server)?);
    }
    Ok(figures)
}

const BUFFER: usize = 4_096;

// ---- ours ----

fn tcp_ours() {
    let server = Server::bind("127.0.0.1:0").expect("a free port");
    harness::listening(server.local_addr());
    server.run(echo).expect("it is killed in the end");
}

fn tls_ours() {
    let tls = ServerTls::from_config(tls::server());
    let server = Server::bind("127.0.0.1:0").expect("a free port").tls(tls);
    harness::listening(server.local_addr());
    server.run(echo).expect("it is killed in the end");
}

/// As well the threads'.
fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

// ---- threads ----

fn tcp_threads() {
    runtimes::serve_by_threads(&threads_listener(), echo);
}

fn tls_threads() {
    let config = tls::server();
    runtimes::serve_by_threads(&threads_listener(), move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).expect("a good configuration");
        echo(StreamOwned::new(tls, stream))
    });
}

fn threads_listener() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    harness::listening(listener.local_addr().expect("it is bound"));
    listener
}

// ---- tokio ----

async fn tcp_tokio() {
    let listener = tokio_listener().await;
    loop {
        let (stream, _) = listener.accept().await.expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        tokio::spawn(echo_tokio(stream));
    }
}

async fn tls_tokio() {
    let tls = TlsAcceptor::from(tls::server());
    let listener = tokio_listener().await;
    loop {
        let (stream, _) = listener.accept().await.expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        let tls = tls.clone();
        tokio::spawn(async move { echo_tokio(tls.accept(stream).await?).await });
    }
}

async fn tokio_listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    harness::listening(listener.local_addr().expect("it is bound"));
    listener
}

async fn echo_tokio(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
        // Nothing for TCP. For TLS the documentation asks for it.
        stream.flush().await?;
    }
}
