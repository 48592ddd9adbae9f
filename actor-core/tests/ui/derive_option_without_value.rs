extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
#[message(reply)]
struct Get;

#[derive(Message)]
#[message]
struct Set;

fn main() {}
