#![allow(unused_variables)]

extern crate actor_core as concurrence;

use concurrence::{Actor, Context, messages};

struct Counter;

impl Actor for Counter {}

#[messages]
impl Counter {
    fn apart(&mut self, (a, b): (u64, u64)) {}

    fn nameless(&mut self, _: u64) {}

    fn context_first(&mut self, ctx: &mut Context<Self>, n: u64) {}

    fn now_and_then(&mut self, #[cfg(test)] n: u64) {}
}

fn main() {}
