//! Who gets which message.

use super::*;

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
