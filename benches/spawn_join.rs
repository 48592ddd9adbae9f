//! What it costs to start a tasklet and to have its result.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use concurrence::{Tasklet, join_all};

/// Tasklets alive together.
const MANY: u64 = 1_000;

fn main() -> ExitCode {
    support::run(|criterion, runner| {
        criterion.bench_function("spawn_join/sequential", |bencher| {
            bencher.iter_custom(|times| {
                runner.run(move || {
                    support::time(times, |n| {
                        assert_eq!(Tasklet::spawn(move || n).join().expect("it ends"), n);
                    })
                })
            });
        });
        criterion.bench_function("spawn_join/thousand", |bencher| {
            bencher.iter_custom(|times| runner.run(move || thousand(times)));
        });
    })
}

fn thousand(times: u64) -> Duration {
    support::time(times, |_| {
        let tasklets: Vec<_> = (0..MANY).map(|n| Tasklet::spawn(move || n)).collect();
        let results = join_all(&tasklets).into_iter();
        let sum: u64 = results.map(|result| result.expect("it ends")).sum();
        assert_eq!(sum, MANY * (MANY - 1) / 2);
    })
}
