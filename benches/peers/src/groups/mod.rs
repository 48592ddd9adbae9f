//! What is measured, a file a group. A new group is a file with a `GROUP` and its line in `ALL`.

mod chat;
mod echo;
mod roundtrip;
mod spawn;
mod throughput;

use crate::harness::Group;

/// Every group, in the order in which they run.
pub(crate) const ALL: &[&Group] = &[
    &spawn::GROUP,
    &roundtrip::GROUP,
    &throughput::GROUP,
    &echo::GROUP,
    &chat::GROUP,
];

/// The group of that name.
pub(crate) fn find(name: &str) -> Option<&'static Group> {
    ALL.iter().copied().find(|group| group.name == name)
}
