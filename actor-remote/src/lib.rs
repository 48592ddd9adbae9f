//! Actors of other processes: messages, calls, monitors and links between nodes.
//!
//! Programs use this crate as `concurrence::remote`.

mod aside;
mod config;
mod error;
mod exposure;
pub mod handshake;
mod idempotent;
mod link;
mod named;
mod node;
mod offers;
mod peer;
mod protocol;
mod remote_child;
mod remote_ref;
mod spawned;
mod standing;
mod watched;
pub mod wire;

pub use config::{
    Config, DEFAULT_ASK, DEFAULT_GIVE_UP, DEFAULT_HALF_OPEN, DEFAULT_HANDSHAKE,
    DEFAULT_MAX_MESSAGE, DEFAULT_ORPHAN_AFTER, DEFAULT_OUTBOX_BYTES, DEFAULT_OUTBOX_MESSAGES,
    GREATEST_MESSAGE, WhileDown,
};
pub use error::{ConnectError, LookupError, NoRandomness, NodeError, RemoteSpawnError};
pub use exposure::Exposure;
pub use handshake::{Secret, Secrets};
pub use idempotent::{CallId, Dedup, Idempotent, MemoryLimits, Verdict};
pub use link::{Full, LinkEnd};
pub use node::{Node, PeerRef};
pub use offers::{Guest, MAX_GUESTS, Offer};
#[doc(hidden)]
pub use protocol::__private;
pub use protocol::{MessageName, Protocol, Serves, Takes};
pub use remote_child::{RemoteActor, RemoteChild, WhichNode};
pub use remote_ref::RemoteRef;
pub use spawned::Spawned;
