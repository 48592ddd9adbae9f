//! Actors: messages, ends, waiting handlers, and many of them.

#[path = "../common/mod.rs"]
mod common;
mod ends;
mod messages;
mod waits;

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use actor_core::reactor::{Direction, Source};
use actor_core::{
    Accepts, Actor, Addr, BoxError, CallError, Context, ExitReason, Handler, Mailbox, Message,
    Overflow, Pid, Placement, Recipient, ReplyTo, SendError, SpawnError, Tasklet, WeakAddr,
    block_on_thread, dispatch, tasklet_local,
};
use common::*;

extern crate actor_core as concurrence;

tasklet_local! {
    static MARK: Cell<usize> = Cell::new(0);
}

/// Does what it is told.
struct Puppet {
    tell: Sender<String>,
    _alive: Count,
}

impl Puppet {
    fn new() -> (Puppet, std::sync::mpsc::Receiver<String>) {
        let (tell, told) = channel();
        let puppet = Puppet {
            tell,
            _alive: Count::new(),
        };
        (puppet, told)
    }
}

impl Actor for Puppet {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        // Most tests do not listen.
        let _ = self.tell.send("started".into());
        Ok(())
    }

    fn stopped(&mut self, reason: &ExitReason) {
        let _ = self.tell.send(format!("stopped: {reason}"));
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.tell.send("dropped".into());
    }
}

type Deed = Box<dyn FnOnce(&mut Puppet, &mut Context<Puppet>) -> usize + Send>;

struct Do(Deed);

impl Message for Do {
    type Reply = usize;
}

impl Handler<Do> for Puppet {
    fn handle(&mut self, Do(deed): Do, ctx: &mut Context<Self>) -> usize {
        deed(self, ctx)
    }
}

fn deed(f: impl FnOnce(&mut Puppet, &mut Context<Puppet>) -> usize + Send + 'static) -> Do {
    Do(Box::new(f))
}

#[derive(Message, Debug, PartialEq)]
struct Say(usize);

impl Handler<Say> for Puppet {
    fn handle(&mut self, Say(n): Say, _: &mut Context<Self>) {
        let _ = self.tell.send(n.to_string());
    }
}

#[track_caller]
fn reason<A: Actor>(addr: &Addr<A>) -> ExitReason {
    promptly(|limit| addr.join_timeout(limit)).expect("the actor ends")
}

fn read_byte(source: &Source) -> u8 {
    let mut byte = [0; 1];
    let read = source.io(Direction::Read, None, |fd| {
        (&UnixStream::from(fd.try_clone_to_owned()?)).read(&mut byte)
    });
    assert_eq!(read.unwrap(), 1);
    byte[0]
}
