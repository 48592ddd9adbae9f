extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct State;

struct Counter;

impl Actor for Counter {}

#[messages]
impl Counter {
    pub fn state(&self) -> State {
        State
    }
}

fn main() {}
