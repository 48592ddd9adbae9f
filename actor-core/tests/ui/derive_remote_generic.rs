extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
#[message(remote = "store.Put")]
struct Put<T> {
    value: T,
}

#[derive(Message)]
#[message(remote = "store.Fill")]
struct Fill<const N: usize>([u8; N]);

fn main() {}
