//! HTTP with 64 and 512 connections that stay open: a line of text, a little JSON, and the line again with 16
//! requests at a time. Fair because all answers have the same headers in the same number of bytes, which
//! are compared before the load, because the load is `wrk` for all, and because the CPU time counts the
//! server's work where the rate is that of `wrk`: on a CPU of its own its one thread is busy, whatever the
//! server does. With [`ROUTER`] the same `Router` of axum is on either side, and what differs is the server
//! beneath. [`TEXT`] and [`RAW`] are two other ways to write the line of text for our server: the peers are the same,
//! and give the same bytes.

use crate::harness::{self, Child, Figure, Group, Metric, Result, Setup, Side};
use crate::tools::Need;
use crate::web::wrk::{self, Load};
use crate::web::{JSON, PLAINTEXT, servers};

const SETUPS: &[Setup] = &[Setup::OneCore, Setup::OneWorker];

pub(crate) const GROUP: Group = Group {
    name: "http",
    about: "a page over connections that stay open, 1 or 16 requests at a time",
    metrics: METRICS,
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: servers::ours,
    },
    peers: &[AXUM, AXUM_CURRENT_THREAD, MAY_MINIHTTP],
    apart: true,
    needs: &[wrk::NEED, Need::Package(servers::MAY_MINIHTTP)],
    drive: load,
};

const AXUM: Side = Side {
    name: "axum",
    setups: SETUPS,
    run: servers::axum,
};

const AXUM_CURRENT_THREAD: Side = Side {
    name: "axum_current_thread",
    setups: SETUPS,
    run: servers::axum_current_thread,
};

pub(crate) const ROUTER: Group = Group {
    name: "http_router",
    about: "the pages of a Router of axum, on our server and on its own",
    metrics: OF_ROUTER,
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: servers::axum_on_ours,
    },
    peers: &[AXUM, AXUM_CURRENT_THREAD],
    apart: true,
    needs: &[wrk::NEED],
    drive: load,
};

const MAY_MINIHTTP: Side = Side {
    name: servers::MAY_MINIHTTP,
    setups: SETUPS,
    run: servers::may_minihttp,
};

pub(crate) const TEXT: Group = Group {
    name: "http_text",
    about: "the line of text, which our handler returns as a text",
    metrics: OF_64,
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: servers::ours_text,
    },
    peers: &[AXUM_CURRENT_THREAD, MAY_MINIHTTP],
    apart: true,
    needs: &[wrk::NEED, Need::Package(servers::MAY_MINIHTTP)],
    drive: load,
};

pub(crate) const RAW: Group = Group {
    name: "http_raw",
    about: "the line of text, raw: by a shortcut of our server, without the types of `http`",
    metrics: OF_64,
    setups: SETUPS,
    ours: Side {
        name: "shortcut",
        setups: SETUPS,
        run: servers::ours_shortcut,
    },
    peers: &[AXUM_CURRENT_THREAD, MAY_MINIHTTP],
    apart: true,
    needs: &[wrk::NEED, Need::Package(servers::MAY_MINIHTTP)],
    drive: load,
};

/// With 64 connections alone.
const OF_64: &[Metric] = &[
    Metric::higher("plain_64.rate", "req/s"),
    Metric::lower("plain_64.cpu", "us/req"),
    Metric::lower("plain_64.p50", "us"),
    Metric::lower("plain_64.p99", "us"),
    Metric::higher("pipeline_64.rate", "req/s"),
    Metric::lower("pipeline_64.cpu", "us/req"),
];

const METRICS: &[Metric] = &[
    Metric::higher("plain_64.rate", "req/s"),
    Metric::lower("plain_64.cpu", "us/req"),
    Metric::lower("plain_64.p50", "us"),
    Metric::lower("plain_64.p99", "us"),
    Metric::higher("plain_512.rate", "req/s"),
    Metric::lower("plain_512.cpu", "us/req"),
    Metric::lower("plain_512.p50", "us"),
    Metric::lower("plain_512.p99", "us"),
    Metric::higher("pipeline_64.rate", "req/s"),
    Metric::lower("pipeline_64.cpu", "us/req"),
    Metric::higher("pipeline_512.rate", "req/s"),
    Metric::lower("pipeline_512.cpu", "us/req"),
    Metric::higher("json_64.rate", "req/s"),
    Metric::lower("json_64.cpu", "us/req"),
    Metric::lower("json_64.p50", "us"),
    Metric::lower("json_64.p99", "us"),
    Metric::higher("json_512.rate", "req/s"),
    Metric::lower("json_512.cpu", "us/req"),
    Metric::lower("json_512.p50", "us"),
    Metric::lower("json_512.p99", "us"),
];

/// All but the JSON, which is encoded by the same on either side.
const OF_ROUTER: &[Metric] = METRICS.split_at(12).0;

fn load(child: &mut Child, _: Setup) -> Result<Vec<Figure>> {
    let part = child.metric().to_owned();
    let (kind, connections) = part.split_once('_').expect("as above");
    let (page, depth) = match kind {
        "json" => (&JSON, 1),
        "pipeline" => (&PLAINTEXT, 16),
        _ => (&PLAINTEXT, 1),
    };
    let load = Load {
        page,
        connections: connections.parse()?,
        depth,
    };
    harness::serve(child, |address, server| {
        load.measure(&part, address, server)
    })
}
