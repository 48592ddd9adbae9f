//! Locks: order, limits, kills in the middle, and tasklets and threads at the same lock.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::sync::{Condvar, Event, Mutex, Semaphore};
use actor_core::{JoinError, JoinHandle, Tasklet, TimedOut, join_all, timeout};

use common::*;

// Mutex -----------------------------------------------------------------------------------------

#[test]
fn a_mutex_goes_to_those_who_wait_in_their_order() {
    run(|| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let guard = order.lock();
        let waiters: Vec<_> = (0..10)
            .map(|n| {
                let order = order.clone();
                spawn(move || order.lock().push(n))
            })
            .collect();
        drop(guard);
        // It has been handed over: nobody can get in between.
        assert!(order.try_lock().is_none());
        waiters.into_iter().for_each(join);
        assert_eq!(*order.lock(), Vec::from_iter(0..10));
    });
}

#[test]
fn one_at_a_time_from_tasklets_of_all_workers_and_threads() {
    const EACH: usize = 500;
    const TASKLETS: usize = 12;
    const THREADS: usize = 3;
    struct Shared {
        value: Mutex<usize>,
        inside: AtomicBool,
    }
    fn add(shared: &Shared, pause: impl Fn()) {
        for n in 0..EACH {
            let mut value = shared.value.lock();
            assert!(
                !shared.inside.swap(true, Ordering::Relaxed),
                "two are inside"
            );
            let before = *value;
            if n % 8 == 0 {
                pause();
            }
            *value = before + 1;
            shared.inside.store(false, Ordering::Relaxed);
        }
    }
    let shared = Arc::new(Shared {
        value: Mutex::new(0),
        inside: AtomicBool::new(false),
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let shared = shared.clone();
            thread::spawn(move || add(&shared, thread::yield_now))
        })
        .collect();
    let for_tasklets = shared.clone();
    run(move || {
        let adders = (0..TASKLETS).map(|n| {
            let shared = for_tasklets.clone();
            spawn_on(n % WORKERS, move || add(&shared, Tasklet::yield_now))
        });
        assert!(join_all(adders).iter().all(Result::is_ok));
    });
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(*shared.value.lock(), EACH * (TASKLETS + THREADS));
}

#[test]
fn a_waiter_killed_in_the_middle_leaves_the_line() {
    run(|| {
        let mutex = Arc::new(Mutex::new(Vec::new()));
        let guard = mutex.lock();
        let lock_and_push = |n| {
            let mutex = mutex.clone();
            spawn(move || mutex.lock().push(n))
        };
        let (first, second, third) = (lock_and_push(1), lock_and_push(2), lock_and_push(3));
        second.kill();
        assert_killed(&second);
        drop(guard);
        join(first);
        join(third);
        assert_eq!(*mutex.try_lock().expect("nobody holds it"), [1, 3]);
    });
}

#[test]
fn a_lock_granted_to_one_that_is_killed_goes_on() {
    run(|| {
        let mutex = Arc::new(Mutex::new(Vec::new()));
        let guard = mutex.lock();
        let lock_and_push = |n| {
            let mutex = mutex.clone();
            spawn(move || mutex.lock().push(n))
        };
        let (first, second) = (lock_and_push(1), lock_and_push(2));
        // Granted, but it has not run since.
        drop(guard);
        first.kill();
        assert_killed(&first);
        join(second);
        assert_eq!(*mutex.try_lock().expect("nobody holds it"), [2]);
    });
}

#[test]
fn panics_and_kills_unlock_and_do_not_poison() {
    run(|| {
        let mutex = Arc::new(Mutex::new(0));
        let panics = spawn({
            let mutex = mutex.clone();
            move || {
                *mutex.lock() += 1;
                let _guard = mutex.lock();
                panic!("while locked")
            }
        });
        assert!(matches!(panics.join(), Err(JoinError::Panicked(_))));
        assert_eq!(*mutex.lock(), 1);
        let killed = spawn({
            let mutex = mutex.clone();
            move || {
                let mut value = mutex.lock();
                *value += 1;
                Tasklet::sleep(PATIENCE);
                *value += 1;
            }
        });
        assert!(mutex.try_lock().is_none());
        killed.kill();
        // The half of the update that was done.
        assert_eq!(*mutex.lock(), 2);
    });
}

#[test]
fn limits_end_the_wait_for_a_mutex() {
    run(|| {
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        let start = Instant::now();
        assert_eq!(mutex.lock_timeout(SHORT).unwrap_err(), TimedOut);
        assert!(start.elapsed() >= SHORT);
        let expired = timeout(SHORT, || -> Result<(), TimedOut> {
            let _guard = mutex.lock();
            Ok(())
        });
        assert_eq!(expired, Err(TimedOut));
        // The block's deadline is the nearer one, and the operation has an error to give.
        let inner = timeout(SHORT, || -> Result<_, TimedOut> {
            Ok(mutex.lock_timeout(PATIENCE).map(drop))
        });
        assert_eq!(inner, Ok(Err(TimedOut)));
        drop(guard);
        assert!(
            mutex.try_lock().is_some(),
            "those who gave up have left the line"
        );
    });
}

#[test]
fn a_plain_thread_can_time_out_as_well() {
    let mutex = Mutex::new(0);
    let _guard = mutex.lock();
    assert!(mutex.lock_timeout(SHORT).is_err());
    let expired = timeout(SHORT, || Some(*mutex.lock()));
    assert_eq!(expired, None);
}

#[test]
fn a_lock_granted_before_the_waiter_saw_its_limit_pass_is_a_success() {
    run(|| {
        let mutex = Arc::new(Mutex::new(()));
        let guard = mutex.lock();
        let waiter = spawn({
            let mutex = mutex.clone();
            move || mutex.lock_timeout(SHORT).is_ok()
        });
        let_short_pass();
        drop(guard);
        assert!(join(waiter));
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn while_unwinding_nothing_waits() {
    struct Destructor {
        held: Arc<Mutex<()>>,
        free: Arc<Mutex<u32>>,
        semaphore: Semaphore,
        event: Event,
        condvar: Condvar,
    }
    impl Drop for Destructor {
        fn drop(&mut self) {
            assert!(thread::panicking());
            assert!(self.held.try_lock().is_none());
            assert!(self.held.lock_timeout(PATIENCE).is_err());
            assert!(self.semaphore.acquire_timeout(PATIENCE).is_err());
            assert!(self.event.wait_timeout(PATIENCE).is_err());
            let (mut free, timed_out) = self.condvar.wait_timeout(self.free.lock(), PATIENCE);
            assert!(timed_out);
            *free += 1;
            // What would have to wait and has no error to give panics; caught, it does no harm.
            assert!(catch_unwind(AssertUnwindSafe(|| drop(self.held.lock()))).is_err());
        }
    }
    run(|| {
        let held = Arc::new(Mutex::new(()));
        let free = Arc::new(Mutex::new(0));
        let _guard = held.lock();
        let unwinds = spawn({
            let (held, free) = (held.clone(), free.clone());
            move || {
                let _destructor = Destructor {
                    held,
                    free,
                    semaphore: Semaphore::new(0),
                    event: Event::new(),
                    condvar: Condvar::new(),
                };
                Tasklet::sleep(PATIENCE);
            }
        });
        let start = Instant::now();
        unwinds.kill();
        assert_killed(&unwinds);
        assert!(start.elapsed() < PATIENCE);
        assert_eq!(*free.lock(), 1);
    });
}

// Condvar ---------------------------------------------------------------------------------------

type Watched = Arc<(Mutex<u32>, Condvar)>;

fn watched() -> Watched {
    Arc::new((Mutex::new(0), Condvar::new()))
}

/// Spawns one that waits for a notification, and says whether that came in time.
fn wait_for_one(watched: &Watched) -> JoinHandle<bool> {
    let watched = watched.clone();
    spawn(move || {
        let (value, changed) = &*watched;
        let (_guard, timed_out) = changed.wait_timeout(value.lock(), PATIENCE);
        !timed_out
    })
}

#[test]
fn notifications_go_to_those_who_wait_in_their_order() {
    run(|| {
        let watched = watched();
        watched.1.notify_one(); // gone
        let (first, second, third) = (
            wait_for_one(&watched),
            wait_for_one(&watched),
            wait_for_one(&watched),
        );
        watched.1.notify_one();
        assert!(join(first));
        assert!(second.is_alive() && third.is_alive());
        watched.1.notify_all();
        assert!(join(second) && join(third));
    });
}

#[test]
fn a_notification_of_one_that_is_killed_goes_on() {
    run(|| {
        let watched = watched();
        let (first, second) = (wait_for_one(&watched), wait_for_one(&watched));
        watched.1.notify_one();
        first.kill();
        assert_killed(&first);
        assert!(join(second));
        assert!(watched.0.try_lock().is_some());
    });
}

#[test]
fn so_it_does_when_the_kill_comes_while_it_locks_again() {
    run(|| {
        let watched = watched();
        let (first, second) = (wait_for_one(&watched), wait_for_one(&watched));
        let guard = watched.0.lock();
        watched.1.notify_one();
        Tasklet::yield_now(); // the first one now waits for the mutex
        first.kill();
        assert_killed(&first);
        drop(guard);
        assert!(join(second));
        assert!(watched.0.try_lock().is_some());
    });
}

#[test]
fn so_it_does_when_a_deadline_around_it_comes_while_it_locks_again() {
    run(|| {
        let watched = watched();
        let expires = spawn({
            let watched = watched.clone();
            move || timeout(SHORT, || Some(*watched.1.wait(watched.0.lock())))
        });
        let second = wait_for_one(&watched);
        let guard = watched.0.lock();
        watched.1.notify_one();
        assert_eq!(join(expires), None);
        drop(guard);
        assert!(join(second));
        assert!(watched.0.try_lock().is_some());
    });
}

#[test]
fn a_wait_that_unwinds_leaves_the_mutex_unlocked() {
    run(|| {
        let watched = watched();
        let expired = timeout(SHORT, || Some(*watched.1.wait(watched.0.lock())));
        assert_eq!(expired, None);
        assert!(watched.0.try_lock().is_some());
        let waiter = wait_for_one(&watched);
        waiter.kill();
        assert_killed(&waiter);
        assert!(watched.0.try_lock().is_some());
    });
}

#[test]
fn a_notification_before_the_waiter_saw_its_limit_pass_counts() {
    run(|| {
        let watched = watched();
        let waiter = spawn({
            let watched = watched.clone();
            move || watched.1.wait_timeout(watched.0.lock(), SHORT).1
        });
        let_short_pass();
        watched.1.notify_one();
        assert!(!join(waiter));
    });
}

#[test]
fn a_wait_that_times_out_locks_again() {
    run(|| {
        let watched = watched();
        let (guard, timed_out) = watched.1.wait_timeout(watched.0.lock(), SHORT);
        assert!(timed_out);
        assert!(watched.0.try_lock().is_none());
        drop(guard);
        let (_guard, timed_out) = watched
            .1
            .wait_timeout_while(watched.0.lock(), SHORT, |value| *value == 0);
        assert!(timed_out);
    });
}

#[test]
fn a_buffer_between_threads_and_tasklets_loses_nothing() {
    const ROOM: usize = 4;
    const EACH: usize = 1_000;
    #[derive(Default)]
    struct Buffer {
        items: Mutex<Vec<usize>>,
        changed: (Condvar, Condvar),
    }
    fn produce(buffer: &Buffer) {
        for n in 1..=EACH {
            let items = buffer.items.lock();
            let mut items = buffer
                .changed
                .0
                .wait_while(items, |items| items.len() == ROOM);
            items.push(n);
            buffer.changed.1.notify_one();
        }
    }
    fn consume(buffer: &Buffer) -> usize {
        (0..EACH)
            .map(|_| {
                let items = buffer.items.lock();
                let mut items = buffer.changed.1.wait_while(items, |items| items.is_empty());
                buffer.changed.0.notify_one();
                items.pop().unwrap()
            })
            .sum()
    }
    let buffer = Arc::new(Buffer::default());
    let (for_producer, for_consumer) = (buffer.clone(), buffer.clone());
    let producer = thread::spawn(move || produce(&for_producer));
    let consumer = thread::spawn(move || consume(&for_consumer));
    let (tell, told) = std::sync::mpsc::channel();
    run(move || {
        let producers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let buffer = buffer.clone();
                spawn_on(worker, move || produce(&buffer))
            })
            .collect();
        let consumers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let buffer = buffer.clone();
                spawn_on(worker, move || consume(&buffer))
            })
            .collect();
        producers.into_iter().for_each(join);
        tell.send(consumers.into_iter().map(join).sum::<usize>())
            .unwrap();
    });
    producer.join().unwrap();
    let sum = consumer.join().unwrap() + told.recv().unwrap();
    assert_eq!(sum, (WORKERS + 1) * EACH * (EACH + 1) / 2);
}

// Event -----------------------------------------------------------------------------------------

#[test]
fn an_event_lets_all_go_on_even_if_it_is_cleared_at_once() {
    run(|| {
        let event = Arc::new(Event::new());
        let wait = || {
            let event = event.clone();
            spawn(move || event.wait_timeout(PATIENCE))
        };
        let (first, killed, last) = (wait(), wait(), wait());
        killed.kill();
        assert_killed(&killed);
        event.set();
        event.clear();
        assert_eq!(join(first), Ok(()));
        assert_eq!(join(last), Ok(()));
        assert_eq!(event.wait_timeout(SHORT), Err(TimedOut));
        event.set();
        event.wait();
    });
}

/// Each round fails if a set also lets one go on that came after the clear that followed it.
#[test]
fn an_event_goes_from_threads_to_tasklets_and_back() {
    const ROUNDS: usize = 20_000;
    let (ping, pong) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let (heard, answer) = (ping.clone(), pong.clone());
    let thread = thread::spawn(move || {
        for _ in 0..ROUNDS {
            heard.wait_timeout(PATIENCE).unwrap();
            heard.clear();
            answer.set();
        }
    });
    run(move || {
        for _ in 0..ROUNDS {
            ping.set();
            pong.wait_timeout(PATIENCE).unwrap();
            pong.clear();
        }
    });
    thread.join().unwrap();
}

// Semaphore -------------------------------------------------------------------------------------

#[test]
fn a_later_one_that_wants_less_does_not_overtake() {
    run(|| {
        let semaphore = Arc::new(Semaphore::new(3));
        let two = semaphore.acquire_many(2);
        let acquire = |count| {
            let semaphore = semaphore.clone();
            spawn(move || drop(semaphore.acquire_many(count)))
        };
        let (many, one) = (acquire(3), acquire(1));
        assert!(
            one.is_alive(),
            "there is one left, but somebody waits before it"
        );
        assert!(semaphore.try_acquire().is_none());
        assert_eq!(semaphore.available(), 1);
        // Once the first in line has gone, there is enough for the next.
        many.kill();
        assert_killed(&many);
        join(one);
        drop(two);
        assert_eq!(semaphore.available(), 3);
    });
}

#[test]
fn permits_can_be_moved_forgotten_and_added() {
    static SEMAPHORE: Semaphore = Semaphore::new(1);
    run(|| {
        let permit = SEMAPHORE.acquire();
        let holder = spawn(move || {
            let _permit = permit;
            Tasklet::sleep(PATIENCE);
        });
        assert_eq!(SEMAPHORE.acquire_timeout(SHORT).unwrap_err(), TimedOut);
        holder.kill();
        SEMAPHORE.acquire().forget();
        assert_eq!(SEMAPHORE.available(), 0);
        let waiter = spawn(|| SEMAPHORE.acquire_many(3).count());
        SEMAPHORE.add_permits(2);
        assert!(waiter.is_alive());
        SEMAPHORE.add_permits(1);
        assert_eq!(join(waiter), 3);
        assert_eq!(SEMAPHORE.available(), 3);
    });
}

#[test]
fn permits_granted_to_one_that_is_killed_go_on() {
    run(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let acquire = |count| {
            let semaphore = semaphore.clone();
            spawn(move || semaphore.acquire_many(count).forget())
        };
        let (first, second, third) = (acquire(2), acquire(1), acquire(1));
        semaphore.add_permits(2);
        first.kill();
        assert_killed(&first);
        join(second);
        join(third);
        assert_eq!(semaphore.available(), 0);
    });
}

// All at once -----------------------------------------------------------------------------------

/// Tasklets on all workers and threads take what they can, give up, unwind and are killed at any
/// moment; in the end everything must have been given back, and nobody may have waited in vain.
#[test]
fn nothing_is_lost_whatever_becomes_of_those_who_wait() {
    const PERMITS: usize = 3;
    const VICTIMS: usize = 8;
    const ROUNDS: u64 = 150;
    struct Shared {
        mutex: Mutex<usize>,
        semaphore: Semaphore,
        changed: Condvar,
        inside: AtomicUsize,
    }
    struct Inside<'a>(&'a AtomicUsize);
    impl Drop for Inside<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    fn work(shared: &Shared, seed: &mut u64) {
        let limit = Duration::from_micros(random(seed) % 300);
        match random(seed) % 5 {
            0 => {
                let mut value = shared.mutex.lock();
                *value += 1;
                shared.changed.notify_one();
            }
            1 => {
                let _permit = shared.semaphore.acquire();
                assert!(shared.inside.fetch_add(1, Ordering::Relaxed) < PERMITS);
                let _inside = Inside(&shared.inside);
                Tasklet::yield_now();
            }
            2 => {
                let _ = timeout(limit, || {
                    let permits = shared.semaphore.acquire_many(PERMITS);
                    assert_eq!(shared.inside.load(Ordering::Relaxed), 0);
                    let guard = shared.mutex.lock();
                    drop(permits);
                    Some(*shared.changed.wait(guard))
                });
            }
            3 => drop(shared.mutex.lock_timeout(limit)),
            _ => drop(shared.changed.wait_timeout(shared.mutex.lock(), limit)),
        }
    }
    let shared = Arc::new(Shared {
        mutex: Mutex::new(0),
        semaphore: Semaphore::new(PERMITS),
        changed: Condvar::new(),
        inside: AtomicUsize::new(0),
    });
    let done = Arc::new(AtomicBool::new(false));
    let for_program = (shared.clone(), done.clone());
    let threads: Vec<_> = (0..2u64)
        .map(|n| {
            let (shared, done) = (shared.clone(), done.clone());
            thread::spawn(move || {
                let mut seed = n + 1;
                while !done.load(Ordering::Relaxed) {
                    work(&shared, &mut seed);
                }
            })
        })
        .collect();
    run(move || {
        let (shared, done) = for_program;
        for round in 0..ROUNDS {
            let victims: Vec<_> = (0..VICTIMS)
                .map(|n| {
                    let shared = shared.clone();
                    let mut seed = round << 8 | n as u64;
                    spawn_on(n % WORKERS, move || {
                        loop {
                            work(&shared, &mut seed);
                        }
                    })
                })
                .collect();
            Tasklet::sleep(SHORT);
            for victim in &victims {
                victim.kill();
                Tasklet::yield_now();
            }
            victims.iter().for_each(assert_killed);
        }
        done.store(true, Ordering::Relaxed);
    });
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(shared.semaphore.available(), PERMITS);
    assert!(*shared.mutex.try_lock().expect("nobody is left to hold it") > 0);
}
