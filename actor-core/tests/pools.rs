//! Pools: who gets which message, what waits, and what becomes of it when workers fail, come and go.

mod common;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use actor_core::{
    Actor, Addr, BoxError, CallError, Context, DeadLetter, ExitReason, Handler, Mailbox, Message,
    Overflow, Pid, Pool, Recipient, Restart, Routing, SendError, Shutdown, SpawnError, Tasklet,
    registry, subscribe_dead_letters, sync,
};
use common::*;

extern crate actor_core as concurrence;

/// Says who it is, and what it is told.
struct Worker {
    heard: Vec<usize>,
}

impl Worker {
    fn new() -> Worker {
        Worker { heard: Vec::new() }
    }
}

impl Actor for Worker {}

#[derive(Message)]
#[message(reply = Pid)]
struct Who;

impl Handler<Who> for Worker {
    fn handle(&mut self, _: Who, ctx: &mut Context<Self>) -> Pid {
        ctx.pid()
    }
}

/// Has a worker wait.
#[derive(Message)]
struct Hold(Gate);

impl Handler<Hold> for Worker {
    fn handle(&mut self, Hold(gate): Hold, _: &mut Context<Self>) {
        gate.pass();
    }
}

#[derive(Message)]
struct Crash;

impl Handler<Crash> for Worker {
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("as told");
    }
}

#[derive(Message, Debug, PartialEq)]
struct Note(usize);

impl Handler<Note> for Worker {
    fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) {
        self.heard.push(n);
    }
}

#[derive(Message)]
#[message(reply = Vec<usize>)]
struct Heard;

impl Handler<Heard> for Worker {
    fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> Vec<usize> {
        self.heard.clone()
    }
}

#[derive(Message)]
struct Finish;

impl Handler<Finish> for Worker {
    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

fn pool(workers: usize) -> Pool<Worker> {
    Pool::spawn(workers, Worker::new).unwrap()
}

fn bounded(capacity: usize, overflow: Overflow) -> Pool<Worker> {
    Pool::builder(1, Worker::new)
        .mailbox(Mailbox::bounded(capacity, overflow))
        .spawn()
        .unwrap()
}

/// Has `workers` of the pool wait, until the gate is opened.
fn hold(pool: &Pool<Worker>, workers: usize) -> Gate {
    let gate = Gate::new();
    for _ in 0..workers {
        pool.send(Hold(gate.clone())).unwrap();
    }
    assert_eq!(pool.waiting(), 0);
    gate
}

fn is_idle(pool: &Pool<Worker>) -> bool {
    pool.waiting() == 0 && pool.at_work() == 0
}

fn all_heard(pool: &Pool<Worker>) -> Vec<usize> {
    let workers = pool.workers();
    let heard = workers
        .iter()
        .flat_map(|worker| worker.call(Heard).unwrap());
    heard.collect()
}

#[track_caller]
fn end(pool: &Pool<Worker>) -> ExitReason {
    promptly(|limit| pool.join_timeout(limit)).expect("the pool ends")
}

#[test]
fn whoever_is_free_gets_the_next() {
    run(|| {
        let pool = pool(3);
        let gate = hold(&pool, 2);
        let who: HashSet<Pid> = (0..20).map(|_| pool.call(Who).unwrap()).collect();
        assert_eq!(who.len(), 1);
        gate.open();
        // The free ones, the one that has been for longest first.
        wait_until(|| {
            let who: HashSet<Pid> = (0..3).map(|_| pool.call(Who).unwrap()).collect();
            who.len() == 3
        });
    });
}

#[test]
fn what_nobody_is_free_for_waits_for_the_first_who_is() {
    run(|| {
        let pool = pool(2);
        let (slow, quick) = (hold(&pool, 1), hold(&pool, 1));
        for n in 0..100 {
            pool.send(Note(n)).unwrap();
        }
        assert_eq!(pool.waiting(), 100);
        quick.open();
        wait_until(|| pool.waiting() == 0 && pool.at_work() == 1);
        // Nothing stands behind the one that is slow, and all came in order.
        slow.open();
        assert_eq!(all_heard(&pool), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn each_has_its_turn() {
    run(|| {
        let pool = Pool::builder(3, Worker::new)
            .routing(Routing::RoundRobin)
            .spawn()
            .unwrap();
        let gate = hold(&pool, 3);
        for n in 0..30 {
            pool.send(Note(n)).unwrap();
        }
        gate.open();
        wait_until(|| is_idle(&pool));
        for (first, worker) in pool.workers().iter().enumerate() {
            let expected: Vec<_> = (first..30).step_by(3).collect();
            assert_eq!(worker.call(Heard).unwrap(), expected);
        }
    });
}

#[test]
fn a_key_has_one_worker_and_its_order() {
    run(|| {
        let pool = pool(4);
        let owners: HashMap<usize, Pid> = (0..200)
            .map(|key| (key, pool.keyed(&key).call(Who).unwrap()))
            .collect();
        for (key, owner) in &owners {
            assert_eq!(pool.keyed(key).call(Who).unwrap(), *owner);
        }
        for worker in pool.workers() {
            let share = owners
                .values()
                .filter(|owner| **owner == worker.pid())
                .count();
            assert!((20..=90).contains(&share), "{share} of 200");
        }
        let gate = hold(&pool, 4);
        let notes: Recipient<Note> = pool.recipient_by_key(|Note(n)| n % 10);
        for n in 0..100 {
            notes.send(Note(n)).unwrap();
        }
        gate.open();
        wait_until(|| is_idle(&pool));
        for worker in pool.workers() {
            let heard = worker.call(Heard).unwrap();
            assert!(heard.is_sorted());
            for n in heard {
                assert_eq!(owners[&(n % 10)], worker.pid());
            }
        }
    });
}

#[test]
fn a_change_of_workers_moves_few_keys() {
    run(|| {
        let pool = pool(4);
        let owners = |pool: &Pool<Worker>| -> Vec<Pid> {
            let owners = (0..400).map(|key| pool.keyed(&key).call(Who).unwrap());
            owners.collect()
        };
        let four = owners(&pool);
        pool.resize(5).unwrap();
        let fifth = pool.workers()[4].pid();
        let five = owners(&pool);
        let moved = (0..400).filter(|key| four[*key] != five[*key]).count();
        assert!((30..=140).contains(&moved), "{moved} of 400");
        assert!((0..400).all(|key| four[key] == five[key] || five[key] == fifth));
        pool.resize(4).unwrap();
        assert_eq!(owners(&pool), four);
    });
}

#[test]
fn what_waits_is_not_lost_when_workers_come_and_go() {
    run(|| {
        for routing in [Routing::LeastLoaded, Routing::RoundRobin] {
            let pool = Pool::builder(4, Worker::new)
                .routing(routing)
                .spawn()
                .unwrap();
            let heard = Count::new();
            let gate = hold(&pool, 4);
            let mut rest = pool.workers().split_off(1);
            for n in 0..50 {
                pool.send(Note(n)).unwrap();
                pool.keyed(&n).send(Note(n)).unwrap();
                pool.keyed("fixed").send(Tell(heard.clone(), n)).unwrap();
            }
            assert_eq!(pool.waiting(), 150);
            // Nobody waits for those who are at work.
            pool.resize(1).unwrap();
            assert_eq!(pool.waiting(), 150);
            pool.resize(3).unwrap();
            gate.open();
            wait_until(|| is_idle(&pool));
            while let Some(gone) = rest.pop() {
                let reason = promptly(|limit| gone.join_timeout(limit)).unwrap();
                assert!(matches!(reason, ExitReason::Shutdown), "{reason}");
            }
            let mut all = all_heard(&pool);
            all.sort_unstable();
            let expected: Vec<_> = (0..50).flat_map(|n| [n, n]).collect();
            assert_eq!(all, expected);
            assert_eq!(heard.get(), 50);
        }
    });
}

/// Counts, and is told in which place it must come.
#[derive(Message)]
struct Tell(Count, usize);

impl Handler<Tell> for Worker {
    fn handle(&mut self, Tell(count, place): Tell, _: &mut Context<Self>) {
        assert_eq!(count.up(), place + 1);
    }
}

#[test]
fn a_worker_that_fails_keeps_its_address_and_the_others_go_on() {
    run(|| {
        let pool = Pool::builder(3, Worker::new)
            .intensity(1_000, PATIENCE)
            .spawn()
            .unwrap();
        let workers = pool.workers();
        let mut failed = 0;
        for n in 0..100 {
            if n % 5 == 0 {
                assert_eq!(pool.call(Crash), Err(CallError::Ended));
                failed += 1;
            }
            pool.call(Note(n)).unwrap();
        }
        assert_eq!(failed, 20);
        assert_eq!(pool.workers(), workers);
        for worker in workers {
            worker.call(Note(0)).unwrap();
        }
    });
}

#[test]
fn nobody_waits_for_a_worker_that_is_long_in_coming_back() {
    run(|| {
        let pool = Pool::builder(2, Worker::new)
            .intensity(100, PATIENCE)
            .backoff(PATIENCE, PATIENCE)
            .spawn()
            .unwrap();
        assert_eq!(pool.call(Crash), Err(CallError::Ended));
        let who: HashSet<Pid> = (0..50)
            .map(|_| promptly(|limit| pool.call_timeout(Who, limit)).unwrap())
            .collect();
        assert_eq!(who.len(), 1);
        pool.stop_now();
        end(&pool);
    });
}

#[test]
fn killed_workers_lose_only_what_they_were_at() {
    run(|| {
        let pool = Pool::builder(2, Worker::new)
            .intensity(100_000, PATIENCE)
            .spawn()
            .unwrap();
        let done = Count::new();
        let mut seed = 7;
        for _ in 0..300 {
            let count = done.clone();
            pool.send(Ping(count)).unwrap();
            if random(&mut seed).is_multiple_of(10) {
                pool.workers()[random(&mut seed) as usize % 2].kill();
                Tasklet::yield_now();
            }
        }
        pool.stop();
        assert!(matches!(end(&pool), ExitReason::Stopped));
        // A kill ends a life, not a message: none of these handlers comes to an operation.
        assert_eq!(done.get(), 300);
    });
}

#[derive(Message)]
struct Ping(Count);

impl Handler<Ping> for Worker {
    fn handle(&mut self, Ping(count): Ping, _: &mut Context<Self>) {
        count.up();
    }
}

#[test]
fn workers_that_fail_too_often_end_the_pool() {
    run(|| {
        let pool = Pool::builder(2, Worker::new)
            .intensity(3, PATIENCE)
            .spawn()
            .unwrap();
        let gate = hold(&pool, 2);
        for _ in 0..10 {
            pool.send(Crash).unwrap();
        }
        let caller = pool.clone();
        let call = spawn(move || caller.call(Who));
        gate.open();
        assert!(matches!(end(&pool), ExitReason::Failed(_)));
        assert_eq!(join(call), Err(CallError::Ended));
        wait_until(|| pool.is_empty());
        assert_eq!(pool.send(Note(1)), Err(SendError::Ended(Note(1))));
        assert!(matches!(pool.resize(3), Err(SpawnError::NotRunning)));
    });
}

#[test]
fn what_waits_at_the_end_is_not_lost_silently() {
    run(|| {
        let pool = Pool::builder(1, Worker::new)
            .shutdown(Shutdown::Kill)
            .spawn()
            .unwrap();
        hold(&pool, 1);
        let letters = subscribe_dead_letters(Tasklet::current());
        pool.send(Note(7)).unwrap();
        let caller = pool.clone();
        let call = spawn(move || caller.call(Who));
        wait_until(|| pool.waiting() == 2);
        pool.stop_now();
        end(&pool);
        assert_eq!(join(call), Err(CallError::Ended));
        // Those of other tests come as well.
        let letter = loop {
            let letter = promptly(Tasklet::receive_timeout).unwrap();
            let letter = letter.downcast::<DeadLetter>().unwrap();
            if letter.to == pool.pid() {
                break letter;
            }
        };
        let note = letter.take().unwrap().downcast::<Note>().unwrap();
        assert_eq!(note, Note(7));
        letters.cancel();
    });
}

#[test]
fn a_stop_comes_after_what_was_sent() {
    run(|| {
        let pool = pool(2);
        let gate = hold(&pool, 2);
        let done = Count::new();
        for _ in 0..20 {
            pool.send(Ping(done.clone())).unwrap();
        }
        pool.stop();
        assert_eq!(pool.send(Note(1)), Err(SendError::Ended(Note(1))));
        assert!(pool.is_alive());
        gate.open();
        assert!(matches!(end(&pool), ExitReason::Stopped));
        assert_eq!(done.get(), 20);
    });
}

#[test]
fn the_last_reference_takes_the_pool_along_after_its_work() {
    run(|| {
        let pool = pool(2);
        let gate = hold(&pool, 2);
        let done = Count::new();
        for _ in 0..20 {
            pool.send(Ping(done.clone())).unwrap();
        }
        let workers = pool.workers();
        drop(pool);
        assert_eq!(done.get(), 0);
        gate.open();
        for worker in workers {
            promptly(|limit| worker.join_timeout(limit)).unwrap();
        }
        assert_eq!(done.get(), 20);
    });
}

#[test]
fn workers_that_end_for_good_drop_out() {
    run(|| {
        let pool = Pool::builder(3, Worker::new)
            .restart(Restart::Transient)
            .spawn()
            .unwrap();
        let gate = hold(&pool, 3);
        for n in 0..10 {
            pool.send(Note(n)).unwrap();
        }
        pool.send(Finish).unwrap();
        gate.open();
        wait_until(|| pool.len() == 2 && is_idle(&pool));
        pool.send(Finish).unwrap();
        wait_until(|| pool.len() == 1);
        pool.call(Note(10)).unwrap();
        pool.send(Finish).unwrap();
        end(&pool);
        assert_eq!(pool.send(Note(1)), Err(SendError::Ended(Note(1))));
    });
}

#[test]
fn a_full_pool_refuses() {
    run(|| {
        let pool = bounded(2, Overflow::Fail);
        let gate = hold(&pool, 1);
        pool.send(Note(1)).unwrap();
        pool.send(Note(2)).unwrap();
        assert_eq!(pool.send(Note(3)), Err(SendError::Full(Note(3))));
        assert_eq!(pool.call(Who), Err(CallError::Full));
        gate.open();
        wait_until(|| is_idle(&pool));
        pool.call(Note(4)).unwrap();
        assert_eq!(pool.workers()[0].call(Heard).unwrap(), [1, 2, 4]);
    });
}

#[test]
fn a_full_pool_drops_the_newest_or_the_oldest() {
    run(|| {
        for (overflow, expected) in [
            (Overflow::DropNewest, [0, 1, 2]),
            (Overflow::DropOldest, [7, 8, 9]),
        ] {
            let pool = bounded(3, overflow);
            let gate = hold(&pool, 1);
            for n in 0..10 {
                // Those with keys wait in another queue, and count as well.
                if n % 2 == 0 {
                    pool.send(Note(n)).unwrap();
                } else {
                    pool.keyed(&n).send(Note(n)).unwrap();
                }
            }
            assert_eq!(pool.waiting(), 3);
            gate.open();
            wait_until(|| is_idle(&pool));
            assert_eq!(pool.workers()[0].call(Heard).unwrap(), expected);
        }
    });
}

#[test]
fn a_full_pool_has_its_senders_wait() {
    run(|| {
        let pool = bounded(2, Overflow::Block);
        let gate = hold(&pool, 1);
        pool.send(Note(0)).unwrap();
        pool.send(Note(1)).unwrap();
        assert_eq!(pool.try_send(Note(9)), Err(SendError::Full(Note(9))));
        let sent = Count::new();
        let senders: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (pool, sent) = (pool.clone(), sent.clone());
                spawn_on(worker, move || {
                    for n in 0..50 {
                        pool.send(Note(n)).unwrap();
                        sent.up();
                    }
                })
            })
            .collect();
        for sender in &senders {
            wait_until_it_waits(sender, "room");
        }
        assert_eq!((sent.get(), pool.waiting()), (0, 2));
        gate.open();
        senders.into_iter().for_each(join);
        wait_until(|| is_idle(&pool));
        let heard = pool.workers()[0].call(Heard).unwrap();
        assert_eq!(heard.len(), 2 + 50 * WORKERS);
        // Places are given back: as many as at first can wait.
        let gate = hold(&pool, 1);
        pool.try_send(Note(0)).unwrap();
        pool.try_send(Note(1)).unwrap();
        assert!(pool.try_send(Note(2)).is_err());
        // Those who wait at the end learn of it.
        let waits = pool.clone();
        let sender = spawn(move || waits.send(Note(3)));
        wait_until_it_waits(&sender, "room");
        pool.stop();
        assert_eq!(join(sender), Err(SendError::Ended(Note(3))));
        gate.open();
        end(&pool);
    });
}

#[test]
fn a_worker_that_does_not_start_is_an_error() {
    run(|| {
        let made = Count::new();
        let count = made.clone();
        let pool: Result<Pool<Worker>, _> = Pool::fallible(3, move || {
            if count.up() == 2 {
                return Err(BoxError::from("no room"));
            }
            Ok(Worker::new())
        })
        .spawn();
        let Err(SpawnError::Started(error)) = pool else {
            panic!("{pool:?}");
        };
        assert!(error.to_string().contains("no room"), "{error}");
        assert_eq!(made.get(), 2);
    });
}

#[test]
fn pools_are_receivers_like_others() {
    run(|| {
        let pool = pool(2);
        let who: Recipient<Who> = pool.recipient();
        assert!(
            pool.workers()
                .iter()
                .any(|worker| Ok(worker.pid()) == who.call(Who))
        );
        registry::register("pool", &pool).unwrap();
        let found: Pool<Worker> = registry::lookup("pool").unwrap();
        assert_eq!(found, pool);
        let keyed: Recipient<Who> = pool.keyed("key").recipient();
        assert_eq!(keyed.call(Who), keyed.call(Who));
        let rung = Count::new();
        pool.recipient().send_after(Ping(rung.clone()), SHORT);
        wait_until(|| rung.get() == 1);
        pool.stop();
        end(&pool);
        wait_until(|| registry::whereis("pool").is_none());
    });
}

#[test]
fn plain_threads_use_pools() {
    let done = Arc::new(AtomicBool::new(false));
    let told = done.clone();
    run(move || {
        let pool = pool(3);
        let theirs = pool.clone();
        thread::spawn(move || {
            for _ in 0..100 {
                theirs.call(Who).unwrap();
            }
            told.store(true, Ordering::SeqCst);
        });
        wait_until(|| done.load(Ordering::SeqCst));
        assert_eq!(pool.waiting(), 0);
    });
}

#[test]
fn everything_at_once() {
    run(|| {
        for overflow in [None, Some(Overflow::Block), Some(Overflow::Fail)] {
            let mailbox = overflow.map_or(Mailbox::unbounded(), |o| Mailbox::bounded(5, o));
            let pool = Pool::builder(3, Worker::new)
                .mailbox(mailbox)
                .intensity(1_000_000, PATIENCE)
                .spawn()
                .unwrap();
            let (sent, done) = (Count::new(), Count::new());
            let senders: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    let (pool, sent, done) = (pool.clone(), sent.clone(), done.clone());
                    spawn_on(worker, move || {
                        let mut seed = worker as u64;
                        for n in 0..200 {
                            let ping = Ping(done.clone());
                            let taken = match random(&mut seed) % 8 {
                                0 => {
                                    let _ = pool.try_send(Crash);
                                    continue;
                                }
                                1 => {
                                    pool.resize(1 + random(&mut seed) as usize % 5).unwrap();
                                    continue;
                                }
                                2 | 3 => pool.keyed(&n).send(ping),
                                4 => pool.try_send(ping),
                                _ => pool.send(ping),
                            };
                            if taken.is_ok() {
                                sent.up();
                            }
                        }
                    })
                })
                .collect();
            senders.into_iter().for_each(join);
            pool.stop();
            assert!(matches!(end(&pool), ExitReason::Stopped));
            assert_eq!(done.get(), sent.get());
        }
    });
}

#[test]
fn a_handler_that_waits_is_at_work() {
    /// Waits while it holds a lock.
    #[derive(Message)]
    struct With(Arc<sync::Mutex<Vec<Pid>>>);
    impl Handler<With> for Worker {
        fn handle(&mut self, With(list): With, ctx: &mut Context<Self>) {
            let mut list = list.lock();
            Tasklet::sleep(Duration::from_micros(100));
            list.push(ctx.pid());
        }
    }

    run(|| {
        let pool = pool(4);
        let list = Arc::new(sync::Mutex::new(Vec::new()));
        for _ in 0..40 {
            pool.send(With(list.clone())).unwrap();
        }
        pool.stop();
        end(&pool);
        let list = list.lock();
        assert_eq!(list.len(), 40);
        assert_eq!(list.iter().collect::<HashSet<_>>().len(), 4);
    });
}

#[test]
fn a_supervisor_terminates_a_child() {
    use actor_core::{Child, Supervisor};

    run(|| {
        let supervisor = Addr::spawn(Supervisor::one_for_one().intensity(9, PATIENCE));
        let stays = supervisor.start(Child::new("stays", Worker::new)).unwrap();
        let goes = supervisor.start(Child::new("goes", Worker::new)).unwrap();
        assert!(supervisor.terminate(goes.pid()));
        let reason = promptly(|limit| goes.join_timeout(limit)).unwrap();
        assert!(matches!(reason, ExitReason::Shutdown));
        assert!(!supervisor.terminate(goes.pid()));
        assert_eq!(stays.call(Crash), Err(CallError::Ended));
        assert_eq!(stays.call(Who), Ok(stays.pid()));
        supervisor.stop();
        promptly(|limit| supervisor.join_timeout(limit)).unwrap();
        assert!(!supervisor.terminate(stays.pid()));
    });
}
