//! A hundred thousand actors that send, call, link, fail, are killed and restarted, all at once. What
//! must hold: every message that was accepted is handled or becomes a dead letter, every call returns,
//! all end when they are asked to, and nothing is left behind.
//!
//! It runs for three seconds on each number of workers, or as many as `CONCURRENCE_STORM_SECONDS` says.

use std::alloc::{GlobalAlloc, Layout, System};
use std::env;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use concurrence::{
    Actor, Addr, CallError, Child, Context, Handler, Message, Placement, Recipient, Runtime,
    Supervisor, Tasklet, join_all, subscribe_dead_letters,
};

const ACTORS: usize = 100_000;
/// How many of them have a supervisor, and how many each of those has.
const SUPERVISED: usize = 5_000;
const BROOD: usize = 100;
const MEDDLERS: usize = 8;
/// Nothing has moved for so long: a hang.
const PATIENCE: Duration = Duration::from_secs(30);
/// What may be left on the heap after a longer storm and not after a short one: caches that have grown.
const SLACK: i64 = 16 << 20;

const OUT_OF_LUCK: &str = "out of luck";

/// Counts what is on the heap.
struct Counting;

static HEAP: AtomicI64 = AtomicI64::new(0);

// SAFETY: as the system's allocator, to which all is passed on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct World {
    slots: Vec<Mutex<Option<Addr<Node>>>>,
    over: AtomicBool,
    accepted: AtomicU64,
    handled: AtomicU64,
    dead: AtomicU64,
    calls: AtomicU64,
    refused: AtomicU64,
    kills: AtomicU64,
    alive: AtomicI64,
}

impl World {
    fn pick(&self, random: &mut Random) -> Option<Addr<Node>> {
        let slot = &self.slots[random.below(ACTORS)];
        slot.lock().unwrap().clone()
    }

    fn send(&self, to: &Addr<Node>, message: Bump) {
        if to.send(message).is_ok() {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn call(&self, to: &Addr<Node>, depth: u32) {
        match to.call(Ask(depth)) {
            Ok(()) | Err(CallError::Ended) => {}
            // Of calls in a circle; and of handlers that wait, when there are no more stacks.
            Err(CallError::Deadlock | CallError::Exhausted) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => panic!("{error}"),
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// A small generator of pseudo-random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

struct Node {
    world: Arc<World>,
    random: Random,
}

impl Node {
    fn new(world: &Arc<World>, seed: usize) -> Node {
        world.alive.fetch_add(1, Ordering::Relaxed);
        Node {
            world: world.clone(),
            random: Random((seed as u64) << 1 | 1),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.world.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Actor for Node {}

#[derive(Message, Clone)]
struct Bump(u32);

#[derive(Message)]
struct Ask(u32);

#[derive(Message)]
struct LinkTo(Addr<Node>);

impl Handler<Bump> for Node {
    fn handle(&mut self, Bump(left): Bump, ctx: &mut Context<Self>) {
        self.world.handled.fetch_add(1, Ordering::Relaxed);
        if self.world.over.load(Ordering::Relaxed) {
            return;
        }
        match self.random.below(1_000) {
            0 => std::panic::panic_any(OUT_OF_LUCK),
            1 => ctx.stop(),
            2 => ctx.fail("no more of this"),
            3 => Tasklet::sleep(Duration::from_micros(300)),
            4..10 => Tasklet::yield_now(),
            _ => {}
        }
        if let Some(left) = left.checked_sub(1)
            && let Some(next) = self.world.pick(&mut self.random)
        {
            self.world.send(&next, Bump(left));
        }
    }
}

impl Handler<Ask> for Node {
    fn handle(&mut self, Ask(depth): Ask, _: &mut Context<Self>) {
        if depth > 0
            && let Some(next) = self.world.pick(&mut self.random)
        {
            self.world.call(&next, depth - 1);
        }
    }
}

impl Handler<LinkTo> for Node {
    fn handle(&mut self, LinkTo(other): LinkTo, _: &mut Context<Self>) {
        other.link();
    }
}

/// Does one thing after another to actors picked by chance, and replaces those that have ended.
fn meddle(world: &Arc<World>, seed: usize) {
    let mut random = Random(seed as u64 * 7919 + 1);
    while !world.over.load(Ordering::Relaxed) {
        let index = random.below(ACTORS);
        let Some(addr) = world.slots[index].lock().unwrap().clone() else {
            continue;
        };
        if !addr.is_alive() {
            let node = Node::new(world, random.0 as usize);
            let placement = Placement::Worker(index % MEDDLERS);
            let spawned = match random.below(2) {
                0 => Addr::builder().spawn(node),
                _ => Addr::builder().placement(placement).spawn(node),
            };
            *world.slots[index].lock().unwrap() = Some(spawned.unwrap());
            continue;
        }
        match random.below(1_000) {
            0..10 => {
                world.kills.fetch_add(1, Ordering::Relaxed);
                // So that there is something to be left behind.
                (0..4).for_each(|_| world.send(&addr, Bump(0)));
                addr.kill();
            }
            10..15 => addr.stop(),
            15..20 => addr.stop_now(),
            20..25 => {
                if let Some(other) = world.pick(&mut random) {
                    let _ = addr.send(LinkTo(other));
                }
            }
            25..125 => world.call(&addr, 2),
            _ => world.send(&addr, Bump(3)),
        }
        if random.below(64) == 0 {
            Tasklet::yield_now();
        }
    }
}

/// Ends the process when nothing has moved for too long.
fn watch(world: &World, done: &AtomicBool) {
    let moved = || world.handled.load(Ordering::Relaxed) + world.calls.load(Ordering::Relaxed);
    let (mut last, mut since) = (moved(), Instant::now());
    while !done.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
        if last != moved() {
            (last, since) = (moved(), Instant::now());
        } else if since.elapsed() > PATIENCE {
            eprintln!("the storm hangs");
            std::process::abort();
        }
    }
}

/// Gives how much is on the heap when it is over.
fn storm(time: Duration) -> i64 {
    let mut world = World::default();
    world.slots.resize_with(ACTORS, Mutex::default);
    let world = Arc::new(world);
    let done = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (world, done) = (world.clone(), done.clone());
        thread::spawn(move || watch(&world, &done))
    };
    let counts = world.clone();
    let letters = subscribe_dead_letters(Recipient::from_fn(
        move |letter: concurrence::DeadLetter| {
            if letter.class.ends_with("Bump") {
                counts.dead.fetch_add(1, Ordering::Relaxed);
            }
        },
    ));
    let mut supervisors = Vec::new();
    for brood in 0..SUPERVISED / BROOD {
        let mut supervisor =
            Supervisor::one_for_one().intensity(usize::MAX, Duration::from_secs(1));
        for index in brood * BROOD..(brood + 1) * BROOD {
            let of = world.clone();
            let child = Child::new("node", move || Node::new(&of, index));
            *world.slots[index].lock().unwrap() = Some(child.addr());
            supervisor = supervisor.child(child);
        }
        supervisors.push(Addr::spawn(supervisor));
    }
    for index in SUPERVISED..ACTORS {
        *world.slots[index].lock().unwrap() = Some(Addr::spawn(Node::new(&world, index)));
    }
    let meddlers: Vec<_> = (0..MEDDLERS)
        .map(|n| {
            let world = world.clone();
            let builder = Tasklet::builder().placement(Placement::Worker(n % workers()));
            builder.spawn(move || meddle(&world, n)).unwrap()
        })
        .collect();
    let outsider = {
        let world = world.clone();
        thread::spawn(move || {
            let mut random = Random(4711);
            while !world.over.load(Ordering::Relaxed) {
                if let Some(addr) = world.pick(&mut random) {
                    world.send(&addr, Bump(1));
                    world.call(&addr, 0);
                }
            }
        })
    };
    Tasklet::sleep(time);
    world.over.store(true, Ordering::Relaxed);
    join_all(&meddlers).into_iter().for_each(|end| end.unwrap());
    concurrence::block_on_thread(move || outsider.join().unwrap());
    // The supervisors first: they would start again what is stopped.
    for supervisor in &supervisors {
        supervisor.stop();
    }
    for supervisor in supervisors {
        supervisor.join();
    }
    let addrs: Vec<_> = world
        .slots
        .iter()
        .filter_map(|slot| slot.lock().unwrap().take())
        .collect();
    addrs.iter().for_each(Addr::stop);
    for addr in addrs {
        addr.join();
    }
    letters.cancel();
    done.store(true, Ordering::Relaxed);
    concurrence::block_on_thread(move || watcher.join().unwrap());
    let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
    println!(
        "{} messages, {} dead letters, {} calls ({} refused), {} kills",
        read(&world.handled),
        read(&world.dead),
        read(&world.calls),
        read(&world.refused),
        read(&world.kills),
    );
    assert_eq!(world.alive.load(Ordering::SeqCst), 0, "values are left");
    assert_eq!(
        read(&world.accepted),
        read(&world.handled) + read(&world.dead),
        "what was accepted is handled, or a dead letter"
    );
    assert!(read(&world.handled) > 10_000 && read(&world.kills) > 10);
    drop(world);
    HEAP.load(Ordering::SeqCst)
}

fn workers() -> usize {
    env::var("CONCURRENCE_STORM_WORKERS").map_or(2, |n| n.parse().expect("a number"))
}

/// The storm itself, in a process of its own.
#[test]
#[ignore = "run by the others"]
fn child() {
    let seconds = env::var("CONCURRENCE_STORM_SECONDS").map_or(3, |s| s.parse().expect("a number"));
    let code = Runtime::builder().workers(workers()).dispatch(move || {
        // These panics are part of it.
        let say = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&OUT_OF_LUCK) {
                say(info);
            }
        }));
        let first = storm(Duration::from_millis(500));
        let second = storm(Duration::from_secs(seconds));
        println!("{first} bytes on the heap after the first, {second} after the second");
        if second - first > SLACK {
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    });
    assert_eq!(code, ExitCode::SUCCESS);
}

fn run_with(workers: usize) {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("CONCURRENCE_STORM_WORKERS", workers.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    println!("{workers} workers: {said}");
    assert!(
        child.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

#[test]
fn nothing_is_lost_on_two_workers() {
    run_with(2);
}

#[test]
fn nothing_is_lost_on_four_workers() {
    run_with(4);
}
