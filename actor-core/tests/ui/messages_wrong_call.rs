#![allow(unused_variables)]

extern crate actor_core as concurrence;

use concurrence::{Actor, Addr, messages};

struct Counter;

impl Actor for Counter {}

#[messages]
impl Counter {
    fn add(&mut self, n: u64) {}
}

fn add(counter: &Addr<Counter>) {
    counter.add("one");
    counter.add();
    counter.get();
}

fn main() {}
