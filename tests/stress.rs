//! Everything at once, on more workers than there are cores, with kills, stops and timeouts in
//! between. Two things must hold: every operation returns on the thread on which it was called,
//! and every one of them returns.
//!
//! It runs for five seconds, or as many as `CONCURRENCE_STRESS_SECONDS` says. Five are enough for
//! some hundred thousand operations, and short enough to be run with every change; races that are
//! rarer than that are for the loom models, which try all interleavings, and for a minute of this
//! before a release.

use std::collections::HashMap;
use std::env;
use std::io::{Read, Write};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use concurrence::net::{Server, TcpStream};
use concurrence::sync::{Mutex, Semaphore};
use concurrence::{
    CallError, Envelope, JoinError, Message, Placement, Runtime, Tasklet, TimedOut,
    block_on_thread, io, join_all, match_message, timeout,
};

/// How many tasklets live at a time; whoever ends is replaced.
const LIVES: usize = 96;

/// A hang is noticed when a life has not got on for so long.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Message)]
struct Poke;

#[derive(Message)]
#[message(reply = u64)]
struct Double(u64);

/// A small generator of pseudo-random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn micros(&mut self, below: u64) -> Duration {
        Duration::from_micros(self.below(below))
    }
}

/// What the lives share.
struct World {
    over: AtomicBool,
    lives: RwLock<HashMap<usize, Tasklet>>,
    /// How many operations each life has come back from.
    progress: Vec<AtomicU64>,
    counter: Mutex<u64>,
    semaphore: Semaphore,
    inside: AtomicU64,
    echo: std::net::SocketAddr,
    workers: usize,
    kills: AtomicU64,
    stops: AtomicU64,
    expiries: AtomicU64,
}

impl World {
    fn peer(&self, random: &mut Random) -> Option<Tasklet> {
        let n = random.below(LIVES as u64) as usize;
        self.lives.read().unwrap().get(&n).cloned()
    }
}

/// Ends the whole test: in a tasklet a panic would be one among the many ends that are expected.
fn fail(what: &str) -> ! {
    eprintln!("{what}");
    process::abort();
}

/// The thread on which a tasklet lives.
struct Home(ThreadId);

impl Home {
    fn here() -> Home {
        Home(thread::current().id())
    }

    fn check(&self, operation: &str) {
        let here = thread::current().id();
        if here != self.0 {
            fail(&format!(
                "{operation} was called on {:?} and returned on {here:?}",
                self.0
            ));
        }
    }
}

/// Answers what has been asked.
fn answer(message: Envelope) {
    match_message!(match message {
        (Double(n), reply) => reply.send(2 * n),
        Poke => {}
    });
}

/// One life: operations at random, until it is asked to stop.
fn live(me: usize, seed: u64, world: &World) -> io::Result<()> {
    let home = Home::here();
    let mut random = Random(seed);
    let stream = TcpStream::connect(world.echo)?;
    home.check("connect");
    while !Tasklet::is_stopping() {
        let operation = match random.below(16) {
            0 => {
                Tasklet::yield_now();
                "yield_now"
            }
            1 => {
                Tasklet::sleep(random.micros(3_000));
                "sleep"
            }
            2 | 3 => {
                if let Some(peer) = world.peer(&mut random) {
                    let _ = peer.send(Poke);
                }
                "send"
            }
            4 | 5 => {
                if let Ok(message) = Tasklet::receive_timeout(random.micros(2_000)) {
                    answer(message);
                }
                "receive_timeout"
            }
            6 | 7 => {
                if let Some(peer) = world.peer(&mut random) {
                    let n = random.below(1_000);
                    match peer.call_timeout(Double(n), random.micros(5_000)) {
                        Ok(answer) if answer != 2 * n => fail("the answer to another call"),
                        Err(CallError::Timeout) => {
                            world.expiries.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => {}
                    }
                }
                "call_timeout"
            }
            8 => {
                let mut counter = world.counter.lock();
                let before = *counter;
                Tasklet::yield_now();
                if *counter != before {
                    fail("two in the lock at once");
                }
                *counter += 1;
                "lock"
            }
            9 => {
                let _permit = world.semaphore.acquire();
                /// Counts those inside, also when they are killed there.
                struct Inside<'a>(&'a AtomicU64);
                impl Drop for Inside<'_> {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, Ordering::SeqCst);
                    }
                }
                if world.inside.fetch_add(1, Ordering::SeqCst) >= 3 {
                    fail("four have one of three permits");
                }
                let _inside = Inside(&world.inside);
                Tasklet::sleep(random.micros(200));
                "acquire"
            }
            10 => {
                let child = Tasklet::spawn(Home::here);
                if let Ok(theirs) = child.join() {
                    theirs.check("spawn, which shares its worker,");
                }
                "join"
            }
            11 => {
                let worker = random.below(world.workers as u64) as usize;
                let nap = random.micros(500);
                let child = Tasklet::builder()
                    .placement(Placement::Worker(worker))
                    .spawn(move || {
                        let home = Home::here();
                        Tasklet::sleep(nap);
                        home.check("sleep");
                    });
                let _ = child.map(|child| child.join());
                "join across workers"
            }
            12 => {
                let sleeper =
                    Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(3600))).kill_on_drop();
                if random.below(2) == 0 {
                    Tasklet::yield_now();
                }
                sleeper.kill();
                match sleeper.join() {
                    Err(JoinError::Killed) => "kill",
                    other => fail(&format!("killed, and joined with {other:?}")),
                }
            }
            13 => {
                let expired: Result<(), TimedOut> = timeout(random.micros(1_000), || {
                    for message in Tasklet::receive() {
                        home.check("receive in a timeout");
                        answer(message);
                    }
                    Ok(())
                });
                if expired.is_err() {
                    world.expiries.fetch_add(1, Ordering::Relaxed);
                }
                "timeout"
            }
            14 => {
                let mut back = [0; 16];
                let sent = random.below(u64::MAX).to_be_bytes().repeat(2);
                (&stream).write_all(&sent)?;
                home.check("write");
                (&stream).read_exact(&mut back)?;
                if back != sent[..] {
                    fail("the echo of something else");
                }
                "read"
            }
            _ => {
                let n = random.below(1_000);
                if block_on_thread(move || n + 1) != n + 1 {
                    fail("the result of another closure");
                }
                "block_on_thread"
            }
        };
        home.check(operation);
        world.progress[me].fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Keeps one place in the world filled.
fn keep_alive(me: usize, world: Arc<World>) {
    let mut random = Random(me as u64 + 1);
    for _ in 0..me {
        random.below(1);
    }
    while !world.over.load(Ordering::SeqCst) {
        let (seed, shared) = (random.below(u64::MAX) | 1, world.clone());
        let worker = random.below(world.workers as u64) as usize;
        let life = Tasklet::builder()
            .name(format!("life {me}"))
            .placement(Placement::Worker(worker))
            .spawn(move || live(me, seed, &shared))
            .expect("there is room");
        world
            .lives
            .write()
            .unwrap()
            .insert(me, life.tasklet().clone());
        if world.over.load(Ordering::SeqCst) {
            life.stop(); // whoever ends the world may have looked before this one was there
        }
        match life.join() {
            Ok(Ok(())) | Err(JoinError::Killed) => {}
            other => fail(&format!("life {me} has ended with {other:?}")),
        }
    }
}

/// Kills and stops at random, until the world is over; then stops all.
fn meddle(world: &World, duration: Duration) {
    let mut random = Random(42);
    let end = Instant::now() + duration;
    while Instant::now() < end {
        Tasklet::sleep(random.micros(2_000));
        let Some(victim) = world.peer(&mut random) else {
            continue;
        };
        if random.below(2) == 0 {
            victim.kill();
            world.kills.fetch_add(1, Ordering::Relaxed);
        } else {
            victim.stop();
            world.stops.fetch_add(1, Ordering::Relaxed);
        }
    }
    world.over.store(true, Ordering::SeqCst);
    for life in world.lives.read().unwrap().values() {
        life.stop();
    }
}

/// A plain thread that sends and calls, as long as the world lasts.
fn outsider(world: &World) {
    let mut random = Random(7);
    while !world.over.load(Ordering::SeqCst) {
        if let Some(peer) = world.peer(&mut random) {
            let _ = peer.send(Poke);
            if let Ok(answer) = peer.call_timeout(Double(21), Duration::from_millis(2))
                && answer != 42
            {
                fail("the answer to another call");
            }
        }
        let _ = Tasklet::builder().spawn(|| Tasklet::sleep(Duration::from_micros(100)));
        thread::sleep(Duration::from_micros(500));
    }
}

/// A plain thread that ends the process when a life has not got on for too long.
fn watch(world: &World) {
    let read = || -> Vec<u64> {
        world
            .progress
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect()
    };
    let mut seen = read();
    let mut since = vec![Instant::now(); LIVES];
    while !world.over.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(100));
        for (n, now) in read().into_iter().enumerate() {
            if now != seen[n] {
                (seen[n], since[n]) = (now, Instant::now());
            } else if since[n].elapsed() > PATIENCE {
                let life = world.lives.read().unwrap().get(&n).cloned();
                fail(&format!(
                    "life {n} hangs:\n{}",
                    life.map(|life| life.tree()).unwrap()
                ));
            }
        }
    }
    // The end is an operation too.
    thread::sleep(PATIENCE);
    fail("the world does not end");
}

#[test]
fn every_operation_returns_and_on_its_own_thread() {
    let seconds =
        env::var("CONCURRENCE_STRESS_SECONDS").map_or(5, |s| s.parse().expect("a number"));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = 2 * cores + 1;
    let code = Runtime::builder().workers(workers).dispatch(move || {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let echo = server.local_addr();
        // One that was killed closes its connection, at times with bytes still unread: a reset.
        let server = server.spawn(|stream: TcpStream| {
            let _ = io::copy(&mut &stream, &mut &stream);
        });
        let server = server.unwrap();
        let world = Arc::new(World {
            over: AtomicBool::new(false),
            lives: RwLock::default(),
            progress: (0..LIVES).map(|_| AtomicU64::new(0)).collect(),
            counter: Mutex::new(0),
            semaphore: Semaphore::new(3),
            inside: AtomicU64::new(0),
            echo,
            workers,
            kills: AtomicU64::new(0),
            stops: AtomicU64::new(0),
            expiries: AtomicU64::new(0),
        });
        let (watched, outside) = (world.clone(), world.clone());
        thread::spawn(move || watch(&watched));
        let outsider = thread::spawn(move || outsider(&outside));
        let keepers: Vec<_> = (0..LIVES)
            .map(|n| {
                let world = world.clone();
                Tasklet::spawn(move || keep_alive(n, world))
            })
            .collect();
        meddle(&world, Duration::from_secs(seconds));
        for keeper in join_all(&keepers) {
            keeper.unwrap();
        }
        block_on_thread(move || outsider.join().unwrap());
        server.shutdown(Duration::from_secs(5)).unwrap();
        let operations: u64 = world.progress.iter().map(|n| n.load(Ordering::Relaxed)).sum();
        println!(
            "{operations} operations on {workers} workers in {seconds} s; {} kills, {} stops, {} expiries",
            world.kills.load(Ordering::Relaxed),
            world.stops.load(Ordering::Relaxed),
            world.expiries.load(Ordering::Relaxed),
        );
        assert!(operations > 1_000, "{operations} operations");
    });
    assert_eq!(code, process::ExitCode::SUCCESS);
}
