//! The atomics of the lock-free parts, so that loom can take their place.
//!
//! Only [`queue`](crate::queue) and [`wake`](crate::wake) use these: they are all that the models in
//! the crate's loom tests need, and loom's atomics cannot live in statics.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8};
