extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
#[message(reply = u64)]
#[message(reply = u32)]
struct Get;

fn main() {}
