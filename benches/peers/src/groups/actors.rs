//! Actors beside those of ractor, kameo and actix: what a message, a question, an actor costs. Fair
//! because each [program](crate::programs) is written once, so that all do the same work and are checked
//! in the same way; and because every metric is measured in a process of its own, where it does not find
//! the memory as another has left it.

use crate::frameworks::actix::{self, Actix};
use crate::frameworks::concurrence::{self, Concurrence};
use crate::frameworks::kameo::Kameo;
use crate::frameworks::ractor::Ractor;
use crate::harness::{self, Better, Group, Metric, Setup, Side};
use crate::{programs, runtimes};

pub(super) const SETUPS: &[Setup] = &[Setup::OneWorker, Setup::TwoWorkers];

pub(crate) const GROUP: Group = Group {
    name: "actors",
    about: "what actors cost, and messages to them",
    metrics: COSTS,
    setups: SETUPS,
    ours: OURS,
    peers: PEERS,
    apart: true,
    needs: &[],
    drive: harness::collect,
};

pub(super) const COSTS: &[Metric] = &[
    lower("hop_2", "ns"),
    lower("hop_1000", "ns"),
    lower("send_1_to_1", "ns"),
    lower("send_16_to_1", "ns"),
    lower("ask", "ns"),
    lower("spawn_1", "ns"),
    lower("spawn_10000", "ns"),
    lower("idle", "bytes"),
    lower("million", "ms"),
    lower("skynet", "ms"),
];

pub(super) const fn lower(name: &'static str, unit: &'static str) -> Metric {
    Metric {
        name,
        unit,
        better: Better::Lower,
    }
}

pub(super) const OURS: Side = Side {
    name: "concurrence",
    setups: SETUPS,
    run: |setup| {
        runtimes::concurrence(setup.workers(), || {
            concurrence::run(programs::measure::<Concurrence>());
        })
    },
};

pub(super) const PEERS: &[Side] = &[
    Side {
        name: "ractor",
        setups: SETUPS,
        run: |setup| runtimes::tokio_multi_thread(setup.workers(), programs::measure::<Ractor>()),
    },
    Side {
        name: "ractor_current_thread",
        setups: &[Setup::OneWorker],
        run: |_| runtimes::tokio_current_thread(programs::measure::<Ractor>()),
    },
    Side {
        name: "kameo",
        setups: SETUPS,
        run: |setup| runtimes::tokio_multi_thread(setup.workers(), programs::measure::<Kameo>()),
    },
    Side {
        name: "kameo_current_thread",
        setups: &[Setup::OneWorker],
        run: |_| runtimes::tokio_current_thread(programs::measure::<Kameo>()),
    },
    Side {
        name: "actix",
        setups: SETUPS,
        run: |setup| actix::run(setup.workers(), programs::measure::<Actix>()),
    },
    Side {
        // All on one arbiter: what talks to each other need not cross threads.
        name: "actix_together",
        setups: &[Setup::TwoWorkers],
        run: |_| actix::run(1, programs::measure::<Actix>()),
    },
];
