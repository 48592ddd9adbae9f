//! Connections that actors serve without a stack: the same as with one.

mod common;
mod suite;

const STACKLESS: bool = true;
