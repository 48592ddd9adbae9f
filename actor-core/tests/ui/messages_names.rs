extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct Counter;

impl Actor for Counter {}

#[messages]
impl Counter {
    fn send(&mut self) {}

    fn stop(&mut self) {}

    fn r#clone(&self) -> u64 {
        0
    }

    fn self_(&mut self) {}

    fn __(&mut self) {}
}

fn main() {}
