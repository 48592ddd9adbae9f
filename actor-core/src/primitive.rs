//! The atomics of the lock-free parts, so that loom can take their place.
//!
//! Only [`queue`](crate::queue), [`wake`](crate::wake), where an actor
//! [resides](crate::actor::residence), the state of a [`reply`](crate::reply) cell and
//! the readiness word of the [`reactor`](crate::reactor) use these: they are what the crate's loom
//! models check, and loom's atomics cannot live in statics.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32};
