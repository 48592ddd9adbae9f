//! A stop that comes while tasklets end by themselves. In a file of its own: it is a stop of the process.

mod common;

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::{Runtime, Tasklet, quit};
use common::{finish, start};

#[test]
fn a_stop_reaches_the_children_of_one_that_ends_meanwhile() {
    const ROUNDS: u32 = 200;
    /// More than a round takes without it; less than a minute for all.
    const GRACE: Duration = Duration::from_secs(10);
    start();
    for round in 0..ROUNDS {
        let both = Arc::new(Barrier::new(2));
        let spin = move |share: u32| (0..share).for_each(|_| std::hint::spin_loop());
        let quitter = {
            let both = both.clone();
            thread::spawn(move || {
                both.wait();
                spin(round * 8);
                quit(1);
            })
        };
        let begun = Instant::now();
        let program = finish(move || {
            Runtime::builder().grace(GRACE).dispatch(move || {
                Tasklet::spawn(|| {
                    let reachable = Tasklet::current();
                    Tasklet::receive().for_each(drop);
                    drop(reachable);
                });
                Tasklet::yield_now();
                both.wait();
                spin((ROUNDS - round) * 8);
            })
        });
        quitter.join().unwrap();
        assert!(
            begun.elapsed() < GRACE,
            "round {round} ran into the grace period: {program:?}"
        );
    }
}
