//! Connections that actors serve, with a tasklet to read and one to write.

mod common;
#[path = "suite/actors.rs"]
mod suite;

const STACKLESS: bool = false;
