//! The bank of two branches: what it does, what it does under faults, and that those who look at it would notice if it
//! went wrong.

mod branches;
mod checker;
#[path = "../common/mod.rs"]
mod common;
mod events;
mod flaws;
#[path = "../common/history.rs"]
mod history;
mod orders;
mod torment;
