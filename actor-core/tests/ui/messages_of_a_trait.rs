extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct Counter;

#[messages]
impl Actor for Counter {}

fn main() {}
