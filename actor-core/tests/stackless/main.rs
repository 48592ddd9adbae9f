//! What Stackless's own tests and its users' programs rely on, beyond what `ring.rs` and `channels.rs`
//! show: who runs next to the letter, and what becomes of those who wait for nobody.

mod channels;
#[path = "../common/mod.rs"]
mod common;
mod forgotten;
mod identity;
mod pending;
mod switch;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::thread;

use actor_core::channel::{
    Channel, Preference, ReceiveError, Select, SelectError, SendError, channel_hook,
    set_channel_hook,
};
use actor_core::{
    Actor, Addr, BlockTrap, Context, Generator, Handler, InsertError, JoinError, JoinHandle,
    Message, RaiseError, RemoveError, RunError, Tasklet, block_on_thread, call, catch_raised,
    schedule_hook, set_schedule_hook,
};
use common::{
    Count, Log, OnDrop, PATIENCE, alone, assert_killed, forwarding, join, spawn, spawn_on,
    wait_until,
};

extern crate actor_core as concurrence;

#[derive(Debug, PartialEq)]
struct Enough;

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("enough")
    }
}

impl Error for Enough {}

#[test]
fn a_hook_that_is_set_is_told_and_can_be_chained() {
    alone(|| {
        assert!(schedule_hook().is_none() && channel_hook().is_none());
        let switches = Count::new();
        let count = switches.clone();
        set_schedule_hook(Some(Arc::new(move |_, _| _ = count.up())));
        let inner = schedule_hook().expect("it is set");
        let outer = Count::new();
        let count = outer.clone();
        let before = set_schedule_hook(Some(Arc::new(move |from, to| {
            count.up();
            inner(from, to);
        })));
        assert!(before.is_some());
        spawn(|| ());
        set_schedule_hook(None);
        assert!(outer.get() > 0 && switches.get() >= outer.get());

        let operations = Count::new();
        let count = operations.clone();
        let channel = Channel::new();
        let id = channel.id();
        set_channel_hook(Some(Arc::new(move |operation| {
            if operation.channel == id {
                count.up();
            }
        })));
        let hook = channel_hook().expect("it is set");
        let other = channel.clone();
        Tasklet::spawn(move || other.send(1));
        channel.receive().unwrap();
        assert_eq!(operations.get(), 2);
        set_channel_hook(None);
        assert!(channel_hook().is_none());
        drop(hook);
    });
}
