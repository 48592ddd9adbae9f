//! Tasklets: spawning, joining, stopping, daemons, and the programs they make up.

#[path = "../common/mod.rs"]
mod common;
mod identity;
mod joins;
mod order;
mod periodic;
mod programs;
mod stops;

use std::collections::HashSet;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use actor_core::{
    CallError, JoinError, JoinHandle, Message, Placement, Runtime, RuntimeError, SendError,
    Tasklet, block_on_thread, dispatch, is_shutting_down, join_all, quit, timeout,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message, Debug, PartialEq)]
struct Note(u32);

#[derive(Message)]
#[message(reply = u32)]
struct Ask;

/// A log that tasklets write to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
