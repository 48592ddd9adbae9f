//! Connections that actors serve, with a tasklet to read and one to write.

mod common;
mod suite;

const STACKLESS: bool = false;
