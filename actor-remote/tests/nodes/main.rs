//! Two nodes and more in one process, over real sockets.

extern crate actor_core as concurrence;

mod at_once;
mod calls;
mod children;
mod common;
mod dialling;
mod handles;
mod idempotent;
mod offers;
mod refusals;
#[path = "../support/program.rs"]
mod support;
mod third;
#[cfg(feature = "tls")]
mod tls;
mod watching;
