//! WebSocket (RFC 6455), for the feature `websocket`, which is on by default.
//!
//! A server upgrades a request with [`WebSocket::upgrade`], a client [connects](connect()). A
//! [`WebSocket`] is read and written as a socket is, in [halves](WebSocket::split) if need be; or its
//! messages go to [an actor](WebSocket::serve_actor) or [any receiver](WsReader::forward_to), which sends through
//! a [`WsSender`] that never waits for the peer.
//!
//! The frames are those of the crate [tungstenite](https://docs.rs/tungstenite). No extensions are offered or
//! accepted, compression among them: it would cost each connection more memory than all else together.

mod client;
mod error;
mod handshake;
mod message;
mod options;
mod outbox;
pub(super) mod probe;
mod session;
mod socket;
mod transport;

pub use client::{WsConnector, connect};
pub use error::{Violation, WsError};
pub use message::{Close, CloseCode, Message, Utf8Bytes};
pub use options::{Origins, WsOptions};
pub use outbox::WsSender;
pub use socket::{WebSocket, WsReader, WsWriter};
pub use transport::Transport;
