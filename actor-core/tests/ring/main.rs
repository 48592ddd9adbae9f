//! The run queue: who runs next, and the states of tasklets, as Stackless has them.

mod block_trap;
#[path = "../common/mod.rs"]
mod common;
mod draining;
mod hooks;
mod insert_remove;
mod panics;
mod raise_kill;
mod run;
mod runners;
mod schedule;
mod states;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use actor_core::sync::{Event, Mutex, Semaphore};
use actor_core::{
    BlockOnThreadError, BlockTrap, Budget, CallError, Generator, InsertError, JoinError, Mailbox,
    Message, Overflow, RaiseError, ReceiveError, RemoveError, RunError, SendError, Tasklet,
    WouldBlock, block_on_thread, call, catch_raised, set_schedule_hook, timeout,
    try_block_on_thread,
};
use common::{
    Count, Log, OnDrop, PATIENCE, SHORT, WORKERS, alone, assert_killed, forwarding, join, spawn,
    spawn_on, wait_until,
};

extern crate actor_core as concurrence;

#[derive(Debug, PartialEq)]
struct Enough(u8);

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enough of {}", self.0)
    }
}

impl Error for Enough {}

#[derive(Message)]
#[message(reply = ())]
struct Note;

/// Alive, scheduled, blocked, paused.
fn flags(tasklet: &Tasklet) -> [bool; 4] {
    [
        tasklet.is_alive(),
        tasklet.is_scheduled(),
        tasklet.is_blocked(),
        tasklet.is_paused(),
    ]
}

#[derive(Message)]
struct Note2;
