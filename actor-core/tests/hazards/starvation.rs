//! Fairness: nobody who is busy keeps others waiting.

use super::*;

/// Keeps every worker busy with tasklets that never let it go idle, until `over`.
fn busy(over: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let is_over = || {
        let over = over.clone();
        move || over.load(Ordering::Relaxed)
    };
    let mut load = Vec::new();
    for worker in 0..WORKERS {
        // One that only yields.
        let over = is_over();
        load.push(spawn_on(worker, move || {
            while !over() {
                Tasklet::yield_now();
            }
        }));
        // Two that only wake each other.
        let player = || {
            let over = is_over();
            spawn_on(worker, move || {
                for message in Tasklet::receive() {
                    let Ball(to) = message.downcast().unwrap();
                    if over() || to.send(Ball(Tasklet::current())).is_err() {
                        return;
                    }
                }
            })
        };
        let (ping, pong) = (player(), player());
        ping.send(Ball(pong.tasklet().clone())).unwrap();
        load.extend([ping, pong]);
        // One that always finds a message, and one that always finds a byte: neither ever waits.
        let over = is_over();
        load.push(spawn_on(worker, move || {
            let me = Tasklet::current();
            while !over() {
                me.send(Ball(me.clone())).unwrap();
                drop(Tasklet::receive_one().unwrap());
            }
        }));
        let over = is_over();
        load.push(spawn_on(worker, move || {
            let (near, mut far) = UnixStream::pair().unwrap();
            let near = Source::new(near).unwrap();
            while !over() {
                far.write_all(b"x").unwrap();
                read_byte(&near);
            }
        }));
    }
    load
}

#[test]
fn busy_workers_serve_descriptors_timers_and_remote_wakes() {
    run(|| {
        let over = Arc::new(AtomicBool::new(false));
        let load = busy(&over);
        for worker in 0..WORKERS {
            // A descriptor whose other end is a thread.
            let (near, mut far) = UnixStream::pair().unwrap();
            let echo = spawn_on(worker, move || {
                let source = Source::new(near).unwrap();
                (0..50).for_each(|n| assert_eq!(read_byte(&source), n));
            });
            let thread = thread::spawn(move || (0..50).for_each(|n| far.write_all(&[n]).unwrap()));
            // A timer.
            let sleeper = spawn_on(worker, || (0..20).for_each(|_| Tasklet::sleep(SHORT / 10)));
            // Wake-ups and spawns from another worker, and from a thread.
            let doubler = spawn_on(worker, || {
                for message in Tasklet::receive() {
                    match_message!(match message {
                        (Ask(n), reply) => reply.send(n * 2),
                    });
                }
            });
            let to = doubler.tasklet().clone();
            let caller = spawn_on(worker + 1, move || {
                (0..50).for_each(|n| assert_eq!(to.call(Ask(n)), Ok(n * 2)));
            });
            let to = doubler.tasklet().clone();
            block_on_thread(move || {
                (0..50).for_each(|n| assert_eq!(to.call(Ask(n)), Ok(n * 2)));
                thread.join().unwrap();
            });
            [echo, sleeper, caller].into_iter().for_each(join);
            join(doubler);
        }
        over.store(true, Ordering::Relaxed);
        for tasklet in load {
            tasklet.stop();
            join(tasklet);
        }
    });
}

#[test]
fn sleeps_and_intervals_of_no_time_let_others_run() {
    run(|| {
        let over = Gate::new();
        let sleepless = {
            let over = over.clone();
            spawn(move || {
                while !over.is_open() {
                    Tasklet::sleep(Duration::ZERO);
                }
            })
        };
        let hectic = Tasklet::interval(Duration::ZERO, || ());
        let bystander = Tasklet::spawn(|| (0..50).for_each(|_| Tasklet::yield_now()));
        join(bystander);
        over.open();
        join(sleepless);
        hectic.stop();
        join(hectic);
    });
}
