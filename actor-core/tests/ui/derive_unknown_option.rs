extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
#[message(replay = u64)]
struct Get;

#[derive(Message)]
#[message(distant = "get")]
struct Set;

fn main() {}
