//! Channels: who runs next, who waits, what ends a wait, and that no value is lost or doubled.

extern crate actor_core as concurrence;

mod closing;
#[path = "../common/mod.rs"]
mod common;
mod errors;
mod handles;
mod hook;
mod kills;
mod order;
mod races;
mod select;
mod threads;
mod timeouts;
mod waiters;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, thread};

use actor_core::channel::{
    Channel, Preference, ReceiveError, Select, SelectError, SendError, set_channel_hook,
};
use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, Context, Handler, JoinHandle, Message, Pid, Tasklet, TimedOut, catch_raised,
    timeout,
};
use common::{
    Count, Gate, OnDrop, PATIENCE, SHORT, assert_killed, join, let_short_pass, promptly, random,
    run, spawn, spawn_on, wait_until,
};

/// What happens, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, what: impl fmt::Display) {
        self.0.lock().unwrap().push(what.to_string());
    }

    #[track_caller]
    fn assert(&self, expected: &str) {
        assert_eq!(self.0.lock().unwrap().join(" "), expected);
    }
}

/// A tasklet of this worker that says its name when its turn comes.
fn bystander(log: &Log, name: &'static str) -> JoinHandle<()> {
    let log = log.clone();
    Tasklet::spawn(move || log.say(name))
}

/// A value that is counted when it is dropped.
fn counted(drops: &Count) -> OnDrop<impl FnOnce() + Send + 'static + use<>> {
    let drops = drops.clone();
    OnDrop::new(move || {
        drops.up();
    })
}

fn receiver<T: Send + 'static>(channel: &Channel<T>) -> JoinHandle<Result<T, ReceiveError>> {
    let channel = channel.clone();
    spawn(move || channel.receive())
}

fn sender<T: Send + 'static>(
    channel: &Channel<T>,
    value: T,
) -> JoinHandle<Result<(), SendError<T>>> {
    let channel = channel.clone();
    spawn(move || channel.send(value))
}

#[derive(Debug, PartialEq)]
struct DivisionByZero;

impl fmt::Display for DivisionByZero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("division by zero")
    }
}

impl std::error::Error for DivisionByZero {}
