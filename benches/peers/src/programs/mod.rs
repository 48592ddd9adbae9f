//! What the groups `actors` and `savina` run, written once for all [frameworks](crate::frameworks).
//!
//! Every program checks its result: a sum or a count that comes out only if all of the work was done.

pub(crate) mod ask;
pub(crate) mod bank;
pub(crate) mod big;
pub(crate) mod chameneos;
pub(crate) mod counting;
pub(crate) mod crowd;
pub(crate) mod fork_join;
pub(crate) mod ring;
pub(crate) mod sends;
pub(crate) mod skynet;
pub(crate) mod spawn;

use crate::frameworks::{Framework, Outlet};
use crate::harness::{self, Meter};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Measures what this child process is to measure.
pub(crate) async fn measure<F: Framework>() {
    let metric = harness::metric();
    let value = match metric {
        "hop_2" => nanoseconds_each(ring::Ring::<F>::new(2)).await,
        "hop_1000" => nanoseconds_each(ring::Ring::<F>::new(1_000)).await,
        "send_1_to_1" => nanoseconds_each(sends::Sends::<F>::new(1)).await,
        "send_16_to_1" => nanoseconds_each(sends::Sends::<F>::new(16)).await,
        "ask" => nanoseconds_each(ask::Ask::<F>::new()).await,
        "spawn_1" => nanoseconds_each(spawn::Spawn::<F>::new(1)).await,
        "spawn_10000" => nanoseconds_each(spawn::Spawn::<F>::new(10_000)).await,
        "idle" => crowd::bytes_each::<F>(200_000).await,
        "million" => crowd::milliseconds::<F>(1_000_000).await,
        "skynet" => skynet::milliseconds::<F>().await,
        "counting" => nanoseconds_each(counting::Counting::<F>::new()).await,
        "fork_join_create" => nanoseconds_each(fork_join::Create::<F>::new()).await,
        "fork_join" => nanoseconds_each(fork_join::Throughput::<F>::new()).await,
        "big" => nanoseconds_each(big::Big::<F>::new()).await,
        "chameneos" => nanoseconds_each(chameneos::Chameneos::<F>::new()).await,
        "bank" => nanoseconds_each(bank::Bank::<F>::new()).await,
        unknown => panic!("no program for {unknown}"),
    };
    harness::report(metric, value);
    // Taking a million actors down would take some as long as the measurement.
    process::exit(0);
}

/// Something to be done again and again.
pub(crate) trait Program: Send {
    /// Does a batch, checks it, and says how many things that were.
    fn batch(&mut self) -> impl Future<Output = usize> + Send;
}

/// Runs a batch to warm up and then batches for a while, and gives the nanoseconds that one thing took.
async fn nanoseconds_each(mut program: impl Program) -> f64 {
    program.batch().await;
    let mut meter = Meter::start();
    while meter.goes_on() {
        let done = program.batch().await;
        meter.count(done);
    }
    meter.nanoseconds_each()
}

/// What a number of actors sign when they have done their part; the last one tells the main task the
/// sum of what they wrote.
pub(crate) struct Roll {
    missing: AtomicU64,
    sum: AtomicU64,
    outlet: Outlet,
}

impl Roll {
    pub(crate) fn new(actors: u64, outlet: Outlet) -> Roll {
        Roll {
            missing: AtomicU64::new(actors),
            sum: AtomicU64::new(0),
            outlet,
        }
    }

    pub(crate) fn sign(&self, value: u64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.outlet.tell(self.sum.load(Ordering::Relaxed));
        }
    }
}

/// A pseudo-random sequence (xorshift), the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % end
    }
}
