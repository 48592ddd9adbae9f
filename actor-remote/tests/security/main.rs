//! Peers that mean harm, over sockets: what they do is refused, ends their own connection at most, and costs little.

extern crate actor_core as concurrence;

#[path = "../faults/common.rs"]
mod common;
mod ends;
mod frames;
mod handshakes;
mod log;
mod raw;
#[path = "../support/program.rs"]
mod support;
