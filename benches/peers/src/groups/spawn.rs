//! What it costs to start something concurrent and to have its result: nanoseconds per spawn and
//! join. Fair because both sides run the same closure or future, hand a result back and check it.

use crate::harness::{self, Better, Group, Meter, Metric, Setup, Side};
use crate::runtimes;
use concurrence::Tasklet;

pub(crate) const GROUP: Group = Group {
    name: "spawn",
    about: "spawn and join a task, one after the other and 10,000 at once",
    metrics: &[
        Metric {
            name: "sequential",
            unit: "ns",
            better: Better::Lower,
        },
        Metric {
            name: "at_once",
            unit: "ns",
            better: Better::Lower,
        },
    ],
    setups: &[Setup::OneWorker, Setup::TwoWorkers],
    ours: Side {
        name: "concurrence",
        setups: &[Setup::OneWorker, Setup::TwoWorkers],
        run: |setup| runtimes::concurrence(setup.workers(), ours),
    },
    peers: &[
        Side {
            name: "tokio",
            setups: &[Setup::OneWorker, Setup::TwoWorkers],
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), tokio()),
        },
        Side {
            name: "tokio_current_thread",
            setups: &[Setup::OneWorker],
            run: |_| runtimes::tokio_current_thread(tokio()),
        },
    ],
    apart: false,
    needs: &[],
    drive: harness::collect,
};

/// Tasks alive together, and the length of a batch of the sequential ones.
const TASKS: usize = 10_000;

/// What the results of a batch must add up to.
const SUM: usize = TASKS * (TASKS - 1) / 2;

fn ours() {
    let sequential = harness::nanoseconds_each(|| {
        let mut sum = 0;
        for n in 0..TASKS {
            sum += Tasklet::spawn(move || n).join().expect("a tasklet ends");
        }
        assert_eq!(sum, SUM);
        TASKS
    });
    harness::report("sequential", sequential);

    let at_once = harness::nanoseconds_each(|| {
        let tasklets: Vec<_> = (0..TASKS).map(|n| Tasklet::spawn(move || n)).collect();
        let mut sum = 0;
        for tasklet in tasklets {
            sum += tasklet.join().expect("a tasklet ends");
        }
        assert_eq!(sum, SUM);
        TASKS
    });
    harness::report("at_once", at_once);
}

async fn tokio() {
    let sequential = async || {
        let mut sum = 0;
        for n in 0..TASKS {
            sum += tokio::spawn(async move { n }).await.expect("a task ends");
        }
        assert_eq!(sum, SUM);
    };
    sequential().await;
    let mut meter = Meter::start();
    while meter.goes_on() {
        sequential().await;
        meter.count(TASKS);
    }
    harness::report("sequential", meter.nanoseconds_each());

    let at_once = async || {
        let tasks: Vec<_> = (0..TASKS).map(|n| tokio::spawn(async move { n })).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("a task ends");
        }
        assert_eq!(sum, SUM);
    };
    at_once().await;
    let mut meter = Meter::start();
    while meter.goes_on() {
        at_once().await;
        meter.count(TASKS);
    }
    harness::report("at_once", meter.nanoseconds_each());
}
