//! Links under faults: processes that are killed and stopped, a proxy that garbles, peers that stall.

extern crate actor_core as concurrence;

mod agent;
mod closing;
mod common;
mod large;
mod mesh;
mod pressure;
mod processes;
mod proxied;
mod proxy;
