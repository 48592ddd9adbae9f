//! Generators: what comes out of them, where they can be used, and how they end.

mod ahead;
#[path = "../common/mod.rs"]
mod common;
mod elements;
mod ends;
mod interrupts;
mod places;

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use actor_core::{
    Actor, Addr, Context, Generator, Handler, JoinError, Message, SpawnError, Tasklet, Yielder,
    block_on_thread, call, tasklet_local, timeout,
};
use common::*;

extern crate actor_core as concurrence;

/// What has been said, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Counts when it is dropped.
struct Counted(
    #[expect(dead_code, reason = "told apart in a debugger")] u32,
    Count,
);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.up();
    }
}

/// Numbers without end; counts the end of the code that gives them.
fn numbers(ended: &Count) -> Generator<u64> {
    let ended = ended.clone();
    Generator::new(move |out| {
        let _ended = OnDrop::new(move || _ = ended.up());
        for n in 0.. {
            out.give(n);
        }
    })
}

fn message_of(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => *payload.downcast::<String>().expect("a text"),
    }
}
