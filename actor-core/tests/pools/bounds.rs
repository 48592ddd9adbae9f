//! Pools that are full.

use super::*;

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
