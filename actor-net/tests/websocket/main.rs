//! WebSockets: every rule of RFC 6455 over raw sockets, both ends of ours against each other, and Python's
//! `websockets` at either end.

#![cfg(feature = "websocket")]

#[cfg(feature = "tls")]
#[path = "../common/certificates.rs"]
mod certificates;
#[path = "../common/mod.rs"]
mod common;

mod actors;
mod classes;
mod conformance;
mod handshakes;
mod python;
mod raw;
#[cfg(feature = "tls")]
mod secure;
mod sockets;
