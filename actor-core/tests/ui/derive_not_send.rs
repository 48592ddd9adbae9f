extern crate actor_core as concurrence;

use concurrence::Message;

use std::rc::Rc;

#[derive(Message)]
struct Shared(Rc<u64>);

#[derive(Message)]
#[message(reply = Rc<u64>)]
struct Get;

fn main() {}
