//! What is measured, a file a group. A new group is a file with a `GROUP` and its line in `ALL`.

mod actors;
mod channels;
mod chat;
mod echo;
mod http;
mod http_idle;
mod http_new;
mod others;
mod proxy;
mod remote;
mod roundtrip;
mod savina;
mod spawn;
mod throughput;
mod udp;

use crate::harness::{Choice, Group, Metric};

/// Every group, in the order in which they run.
pub(crate) const ALL: &[&Group] = &[
    &spawn::GROUP,
    &roundtrip::GROUP,
    &throughput::GROUP,
    &echo::TCP,
    &echo::TLS,
    &udp::GROUP,
    &proxy::GROUP,
    &chat::GROUP,
    &remote::GROUP,
    &remote::SECRET,
    &http::GROUP,
    &http::TEXT,
    &http::RAW,
    &http::ROUTER,
    &http_idle::GROUP,
    &http_new::GROUP,
    &actors::GROUP,
    &savina::GROUP,
    &channels::GROUP,
    &others::ERLANG,
    &others::GO,
];

/// The group of that name, or the metric or part if it is one of a group that measures them apart.
pub(crate) fn find(name: &str) -> Option<Choice> {
    let (name, metric) = match name.split_once('/') {
        Some((name, metric)) => (name, Some(metric)),
        None => (name, None),
    };
    let group = ALL.iter().copied().find(|group| group.name == name)?;
    let metric = match metric {
        None => None,
        Some(name) => {
            let mut parts = group.metrics.iter().map(Metric::part);
            Some(parts.find(|part| group.apart && *part == name)?)
        }
    };
    Some(Choice {
        group,
        metric,
        named: true,
    })
}
