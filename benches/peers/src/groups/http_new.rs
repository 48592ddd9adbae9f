//! A new connection for each request, a hundred at a time, for a page of 40 bytes. Fair because the load is
//! `ab` for both, because both send the same headers in the same number of bytes, and because nginx has
//! nothing to do for the page but to send it: it is in its configuration.

use crate::harness::{self, Group, Metric, Setup, Side};
use crate::tools::Need;
use crate::web::{SMALL, ab, servers};

const SETUPS: &[Setup] = &[Setup::OneCore, Setup::OneWorker];

pub(crate) const GROUP: Group = Group {
    name: "http_new",
    about: "a page of 40 bytes, with a new connection for each of 100,000 requests",
    metrics: &[
        Metric::higher("rate", "req/s"),
        Metric::lower("cpu", "us/req"),
        Metric::lower("p50", "us"),
        Metric::lower("p99", "us"),
    ],
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: servers::ours,
    },
    peers: &[Side {
        name: "nginx",
        setups: SETUPS,
        run: servers::nginx,
    }],
    apart: false,
    needs: &[ab::NEED, Need::Command("nginx", "nginx-light")],
    drive: |child, _| {
        harness::serve(child, |address, server| {
            ab::measure(&SMALL, address, server)
        })
    },
};
