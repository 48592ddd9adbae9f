//! What messages must be, and what addresses become, in order to go to another process.
//!
//! How they go is nothing to this crate: see `actor-remote`. Here is what only the crate that owns
//! [`Recipient`](crate::Recipient) and [`ReplyTo`](crate::ReplyTo) can say of them.

mod absent;
mod border;
mod class;
mod export;
mod foreign;
mod message;
mod references;

pub use absent::{Absent, Station};
pub use border::{
    Arrival, Border, BorderError, Encodable, ReplyAbroad, ReplyHome, at_border, within,
};
pub use class::{ClassName, decode, encode};
pub use export::{Delivered, Export, GiveUp, InboundCall, Returns, Undelivered, export};
pub use foreign::{Abroad, Foreign, Once, Outbound, OutboundCall, Unsent, Wait};
pub use message::{Encoding, RemoteMessage};

pub use crate::exit::Owner;

/// An identity for one of another process.
pub fn fresh_pid() -> crate::Pid {
    crate::Pid::unused()
}

/// The number of an identity: for others to tell those apart that are of this process, and nothing that leads to
/// one.
pub fn number_of(pid: crate::Pid) -> u64 {
    pid.0
}
