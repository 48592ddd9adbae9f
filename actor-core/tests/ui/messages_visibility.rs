extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct Counter;

impl Actor for Counter {}

#[messages]
impl Counter {
    pub fn add(&mut self) {}

    fn tick(&mut self) {}

    pub(crate) fn get(&self) -> u64 {
        0
    }
}

fn main() {}
