extern crate actor_core as concurrence;

use concurrence::messages;

#[messages]
struct Counter;

fn main() {}
