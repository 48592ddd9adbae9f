//! Channels without a buffer, on which sender and receiver meet: nanoseconds for a value there and its
//! answer back, each on a channel of its own, and for a value that goes one way. Fair because every
//! answer is checked on all sides. Peers are Go's goroutines, and crossbeam's and the standard
//! library's channels of no capacity between two threads, for which `1w` is one CPU for both.

use std::thread;

use concurrence::channel::Channel;
use concurrence::{Placement, Tasklet};

use super::actors::lower;
use super::others;
use crate::harness::{self, Group, Setup, Side};
use crate::runtimes;

const SETUPS: &[Setup] = &[Setup::OneWorker, Setup::TwoWorkers, Setup::Across];

pub(crate) const GROUP: Group = Group {
    name: "channels",
    about: "values handed over on channels that hold none",
    metrics: &[lower("rendezvous", "ns"), lower("handed_over", "ns")],
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: |setup| {
            runtimes::concurrence(setup.workers(), move || {
                let placement = match setup {
                    Setup::Across => Placement::Worker(1),
                    _ => Placement::Here,
                };
                let questions = Channel::new();
                let answers = Channel::new();
                let (from, to) = (questions.clone(), answers.clone());
                Tasklet::builder()
                    .placement(placement)
                    .spawn(move || answer(|| from.receive().ok(), |n| to.send(n).is_ok()))
                    .expect("a second tasklet is within the limit");
                measure(
                    |n| questions.send(n).expect("the other receives"),
                    || answers.receive().expect("the other answers"),
                );
            })
        },
    },
    peers: &[
        Side {
            name: "go",
            setups: &[Setup::OneWorker, Setup::TwoWorkers],
            run: |setup| others::run("go", setup),
        },
        Side {
            name: "crossbeam",
            setups: SETUPS,
            run: |_| {
                let (ask, questions) = crossbeam_channel::bounded(0);
                let (reply, answers) = crossbeam_channel::bounded(0);
                thread::spawn(move || answer(|| questions.recv().ok(), |n| reply.send(n).is_ok()));
                measure(
                    |n| ask.send(n).expect("the other receives"),
                    || answers.recv().expect("the other answers"),
                );
                std::process::ExitCode::SUCCESS
            },
        },
        Side {
            name: "std",
            setups: SETUPS,
            run: |_| {
                let (ask, questions) = std::sync::mpsc::sync_channel(0);
                let (reply, answers) = std::sync::mpsc::sync_channel(0);
                thread::spawn(move || answer(|| questions.recv().ok(), |n| reply.send(n).is_ok()));
                measure(
                    |n| ask.send(n).expect("the other receives"),
                    || answers.recv().expect("the other answers"),
                );
                std::process::ExitCode::SUCCESS
            },
        },
    ],
    apart: true,
    needs: &[],
    drive: harness::collect,
};

/// Values between two looks at the clock.
const BATCH: u64 = 1_000;

/// An answer is the number after the one asked about; to 0 there is none.
fn answer(receive: impl Fn() -> Option<u64>, send: impl Fn(u64) -> bool) {
    while let Some(n) = receive() {
        if n > 0 && !send(n + 1) {
            return;
        }
    }
}

fn measure(send: impl Fn(u64), receive: impl Fn() -> u64) {
    let figure = harness::nanoseconds_each(|| {
        match harness::metric() {
            "rendezvous" => (1..=BATCH).for_each(|n| {
                send(n);
                assert_eq!(receive(), n + 1);
            }),
            _ => {
                (1..BATCH).for_each(|_| send(0));
                send(BATCH);
                assert_eq!(receive(), BATCH + 1);
            }
        }
        BATCH as usize
    });
    harness::report(harness::metric(), figure);
}
