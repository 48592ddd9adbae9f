//! Links under faults: processes that are killed and stopped, a proxy that garbles, peers that stall.

extern crate actor_core as concurrence;

mod agent;
mod answers;
mod children;
mod closing;
mod common;
mod gate;
mod host;
mod large;
mod mesh;
mod network;
mod once;
mod pressure;
mod processes;
mod proxied;
mod proxy;
#[path = "../support/program.rs"]
mod support;
