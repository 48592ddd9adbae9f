extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
struct Line<'a>(&'a str);

fn main() {}
