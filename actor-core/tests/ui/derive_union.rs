extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
union Bits {
    int: u32,
    float: f32,
}

fn main() {}
