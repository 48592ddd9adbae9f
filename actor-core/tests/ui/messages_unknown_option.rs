extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct Counter;

impl Actor for Counter {}

#[messages(mod = other)]
impl Counter {
    fn add(&mut self) {}
}

#[messages(module = one, module = two)]
impl Counter {
    fn get(&self) -> u64 {
        0
    }
}

#[messages(module = _1)]
impl Counter {
    fn first(&self) -> u64 {
        0
    }
}

#[messages]
impl Counter {
    #[message(ignore)]
    fn ignore(&mut self) {}
}

fn main() {}
