//! Pools: who gets which message, what waits, and what becomes of it when workers fail, come and go.

mod bounds;
#[path = "../common/mod.rs"]
mod common;
mod failures;
mod routing;
mod uses;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use actor_core::{
    Actor, Addr, BoxError, CallError, Context, DeadLetter, ExitReason, Handler, Mailbox, Message,
    Overflow, Pid, Pool, Recipient, Restart, Routing, SendError, Shutdown, SpawnError, Tasklet,
    registry, subscribe_dead_letters, sync,
};
use common::*;

extern crate actor_core as concurrence;

/// Says who it is, and what it is told.
struct Worker {
    heard: Vec<usize>,
}

impl Worker {
    fn new() -> Worker {
        Worker { heard: Vec::new() }
    }
}

impl Actor for Worker {}

#[derive(Message)]
#[message(reply = Pid)]
struct Who;

impl Handler<Who> for Worker {
    fn handle(&mut self, _: Who, ctx: &mut Context<Self>) -> Pid {
        ctx.pid()
    }
}

/// Has a worker wait.
#[derive(Message)]
struct Hold(Gate);

impl Handler<Hold> for Worker {
    fn handle(&mut self, Hold(gate): Hold, _: &mut Context<Self>) {
        gate.pass();
    }
}

#[derive(Message)]
struct Crash;

impl Handler<Crash> for Worker {
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("as told");
    }
}

#[derive(Message, Debug, PartialEq)]
struct Note(usize);

impl Handler<Note> for Worker {
    fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) {
        self.heard.push(n);
    }
}

#[derive(Message)]
#[message(reply = Vec<usize>)]
struct Heard;

impl Handler<Heard> for Worker {
    fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> Vec<usize> {
        self.heard.clone()
    }
}

#[derive(Message)]
struct Finish;

impl Handler<Finish> for Worker {
    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

fn pool(workers: usize) -> Pool<Worker> {
    Pool::spawn(workers, Worker::new).unwrap()
}

fn bounded(capacity: usize, overflow: Overflow) -> Pool<Worker> {
    Pool::builder(1, Worker::new)
        .mailbox(Mailbox::bounded(capacity, overflow))
        .spawn()
        .unwrap()
}

/// Has `workers` of the pool wait, until the gate is opened.
fn hold(pool: &Pool<Worker>, workers: usize) -> Gate {
    let gate = Gate::new();
    for _ in 0..workers {
        pool.send(Hold(gate.clone())).unwrap();
    }
    assert_eq!(pool.waiting(), 0);
    gate
}

fn is_idle(pool: &Pool<Worker>) -> bool {
    pool.waiting() == 0 && pool.at_work() == 0
}

fn all_heard(pool: &Pool<Worker>) -> Vec<usize> {
    let workers = pool.workers();
    let heard = workers
        .iter()
        .flat_map(|worker| worker.call(Heard).unwrap());
    heard.collect()
}

#[track_caller]
fn end(pool: &Pool<Worker>) -> ExitReason {
    promptly(|limit| pool.join_timeout(limit)).expect("the pool ends")
}

/// Counts, and is told in which place it must come.
#[derive(Message)]
struct Tell(Count, usize);

impl Handler<Tell> for Worker {
    fn handle(&mut self, Tell(count, place): Tell, _: &mut Context<Self>) {
        assert_eq!(count.up(), place + 1);
    }
}

#[derive(Message)]
struct Ping(Count);

impl Handler<Ping> for Worker {
    fn handle(&mut self, Ping(count): Ping, _: &mut Context<Self>) {
        count.up();
    }
}
