//! What the facade has, which is no dependency of this crate.
#![allow(unused_imports, reason = "not all who use it do so with all of it")]

pub(crate) use actor_core::*;
pub(crate) use actor_remote as remote;
