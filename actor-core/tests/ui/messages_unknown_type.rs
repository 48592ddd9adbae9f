extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct Counter;

impl Actor for Counter {}

#[messages]
impl Counter {
    fn take(&mut self, what: Nothing) {}

    fn give(&self) -> Nothing {}
}

fn main() {}
