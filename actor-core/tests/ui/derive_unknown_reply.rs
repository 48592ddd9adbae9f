extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
#[message(reply = Missing)]
struct Get;

fn main() {}
