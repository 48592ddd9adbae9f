//! Pools as receivers, from threads, and everything at once.

use super::*;

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
