extern crate actor_core as concurrence;

use concurrence::{Envelope, Message, match_message};

#[derive(Message)]
struct Add(u64);

#[derive(Message)]
#[message(reply = u64)]
struct Get;

#[derive(Message)]
struct Quit;

#[deny(unused_must_use)]
fn run(message: Envelope) {
    match_message!(match message {
        Add(n) => n.checked_add(1).ok_or(()),
        Quit => {}
    });
}

fn main() {}
