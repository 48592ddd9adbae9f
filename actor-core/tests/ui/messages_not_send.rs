#![allow(unused_variables)]

extern crate actor_core as concurrence;

use std::rc::Rc;

use concurrence::{Actor, messages};

struct Counter;

impl Actor for Counter {}

#[messages]
impl Counter {
    fn share(&mut self, what: Rc<u64>) {}

    fn shared(&self) -> Rc<u64> {
        Rc::new(0)
    }
}

fn main() {}
