//! What is measured, a file a group. A new group is a file with a `GROUP` and its line in `ALL`.

mod actors;
mod channels;
mod chat;
mod echo;
mod others;
mod proxy;
mod roundtrip;
mod savina;
mod spawn;
mod throughput;
mod udp;

use crate::harness::{Choice, Group};

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
    &actors::GROUP,
    &savina::GROUP,
    &channels::GROUP,
    &others::ERLANG,
    &others::GO,
];

/// The group of that name, or the metric if it is one of a group that measures them apart.
pub(crate) fn find(name: &str) -> Option<Choice> {
    let (name, metric) = match name.split_once('/') {
        Some((name, metric)) => (name, Some(metric)),
        None => (name, None),
    };
    let group = ALL.iter().copied().find(|group| group.name == name)?;
    let metric = match metric {
        None => None,
        Some(name) => {
            let mut metrics = group.metrics.iter().filter(|_| group.apart);
            Some(metrics.find(|metric| metric.name == name)?.name)
        }
    };
    Some(Choice { group, metric })
}
