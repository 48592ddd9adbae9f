//! A stream of messages from one tasklet to one other.

mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use concurrence::{Mailbox, Message, Overflow, Tasklet, match_message};
use criterion::Throughput;

/// The bound, and how many an unbounded sender sends before it lets the receiver run.
const BOUND: usize = 1_024;

#[derive(Message)]
struct Number(u64);

fn main() -> ExitCode {
    support::run(|criterion, runner| {
        let mut group = criterion.benchmark_group("one_to_one");
        group.throughput(Throughput::Elements(1));
        group.bench_function("unbounded", |bencher| {
            bencher.iter_custom(|times| {
                runner.run(move || stream(times, Mailbox::unbounded(), Some(BOUND as u64)))
            });
        });
        group.bench_function("bounded", |bencher| {
            bencher.iter_custom(|times| {
                runner.run(move || stream(times, Mailbox::bounded(BOUND, Overflow::Block), None))
            });
        });
        group.finish();
    })
}

/// How long `times` messages take from the first sent to the last received.
fn stream(times: u64, mailbox: Mailbox, yield_every: Option<u64>) -> Duration {
    let receiver = Tasklet::with_mailbox(mailbox)
        .spawn(move || {
            let mut sum = 0u64;
            for message in Tasklet::receive().take(times as usize) {
                match_message!(match message {
                    Number(n) => sum += n,
                });
            }
            sum
        })
        .expect("a second tasklet is within the limit");
    let start = Instant::now();
    for n in 0..times {
        receiver.send(Number(n)).expect("it receives");
        if yield_every.is_some_and(|every| (n + 1).is_multiple_of(every)) {
            Tasklet::yield_now();
        }
    }
    let sum = receiver.join().expect("it ends");
    let elapsed = start.elapsed();
    assert_eq!(sum, times * times.saturating_sub(1) / 2);
    elapsed
}
