//! Connections that actors serve without a stack: the same as with one.

mod common;
#[path = "suite/actors.rs"]
mod suite;

const STACKLESS: bool = true;
