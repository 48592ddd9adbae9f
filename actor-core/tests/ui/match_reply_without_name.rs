extern crate actor_core as concurrence;

use concurrence::{Envelope, Message, match_message};

#[derive(Message)]
struct Add(u64);

#[derive(Message)]
#[message(reply = u64)]
struct Get;

#[derive(Message)]
struct Quit;

fn run(message: Envelope) {
    match_message!(match message {
        (Get, _) => {}
    });
}

fn main() {}
