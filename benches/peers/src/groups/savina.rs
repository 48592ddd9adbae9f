//! Programs of the Savina suite of actor benchmarks, beside ractor, kameo and actix. Fair as the group
//! `actors` is. The sizes are the suite's, but for "big" and "chameneos", which are repeated instead.

use super::actors::{OURS, PEERS, SETUPS, lower};
use crate::harness::{self, Group};

pub(crate) const GROUP: Group = Group {
    name: "savina",
    about: "programs of the Savina suite, for each message, actor, ping, meeting, transfer",
    metrics: &[
        lower("counting", "ns"),
        lower("fork_join_create", "ns"),
        lower("fork_join", "ns"),
        lower("big", "ns"),
        lower("chameneos", "ns"),
        lower("bank", "ns"),
    ],
    setups: SETUPS,
    ours: OURS,
    peers: PEERS,
    apart: true,
    needs: &[],
    drive: harness::collect,
};
