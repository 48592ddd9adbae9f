//! An echo is answered soon, however busy its worker is kept.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use common::{PATIENCE, Program, child};
use concurrence::net::{self, Server};
use concurrence::{Message, Placement, Runtime, Tasklet, io, match_message};

/// One core is left to the client: what is measured is our scheduler, not the kernel's.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// How many tasklets keep each worker busy.
const BUSY: usize = 100;
const ECHOES: usize = 500;

/// A program that echoes, and whose every worker is kept busy by `BUSY` daemons.
fn busy_echo(daemon: impl Fn(usize) + Send + 'static) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    Runtime::builder().workers(workers()).dispatch(move || {
        for worker in 0..workers() {
            daemon(worker);
        }
        Server::serve("127.0.0.1:0", |stream: net::TcpStream| {
            io::copy(&mut &stream, &mut &stream).map(drop)
        })
    })
}

/// Spawns a daemon on a worker.
fn daemon(worker: usize, run: impl FnOnce() + Send + 'static) -> concurrence::JoinHandle<()> {
    let builder = Tasklet::builder()
        .daemon(true)
        .placement(Placement::Worker(worker));
    builder.spawn(run).expect("there is room")
}

/// What an echo may take here. Measured on a machine that does nothing else, 99 in a hundred take less
/// than a tenth of it. It is that loose because the tests share the machine with whatever else runs, and
/// because no test should be the proof of a speed: it is there to notice starvation, of which a single
/// case takes as long as the busy tasklets go on, which is for ever.
const STARVED: Duration = Duration::from_millis(50);

/// Has the program echo; prints how long that took, and checks that nobody was starved.
fn measure(program: &mut Command) {
    // One at a time: what the machine has is shared out by its kernel, not by us.
    static MACHINE: Mutex<()> = Mutex::new(());
    let _machine = MACHINE.lock();
    let program = Program::start(program);
    let addr = program.address();
    let mut streams: Vec<_> = (0..4)
        .map(|_| {
            let stream = TcpStream::connect(addr).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        })
        .collect();
    let mut times: Vec<Duration> = (0..ECHOES)
        .map(|n| {
            let stream = &mut streams[n % 4];
            let start = Instant::now();
            stream.write_all(b"are you there?\n").unwrap();
            stream.read_exact(&mut [0; 15]).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    let (p50, p99) = (times[ECHOES / 2], times[ECHOES * 99 / 100]);
    println!("echo beside {BUSY} busy tasklets a worker: p50 {p50:.1?}, p99 {p99:.1?}");
    assert!(p99 < STARVED, "p99 is {p99:?}");
}

#[test]
fn echo_beside_tasklets_that_only_yield() {
    measure(&mut child(|| {
        busy_echo(|worker| {
            for _ in 0..BUSY {
                daemon(worker, || {
                    loop {
                        Tasklet::yield_now();
                    }
                });
            }
        })
    }));
}

#[derive(Message)]
struct Ball;

/// Sends a ball back and forth for ever, waiting for nothing else.
fn play(partner: &Tasklet) {
    for message in Tasklet::receive() {
        match_message!(match message {
            Ball => {
                let _ = partner.send(Ball);
            }
        });
    }
}

#[test]
fn echo_beside_tasklets_that_only_exchange_messages() {
    measure(&mut child(|| {
        busy_echo(|worker| {
            for _ in 0..BUSY / 2 {
                daemon(worker, move || {
                    let me = Tasklet::current();
                    let partner = daemon(worker, move || play(&me));
                    partner.send(Ball).unwrap();
                    play(&partner);
                });
            }
        })
    }));
}

#[test]
fn echo_beside_tasklets_that_never_find_their_mailbox_empty() {
    measure(&mut child(|| {
        busy_echo(|worker| {
            daemon(worker, || {
                let me = Tasklet::current();
                me.send(Ball).unwrap();
                play(&me);
            });
        })
    }));
}
