extern crate actor_core as concurrence;

use concurrence::{Envelope, Message, match_message};

#[derive(Message)]
struct Add(u64);

#[derive(Message)]
#[message(reply = u64)]
struct Get;

#[derive(Message)]
struct Quit;

fn run(message: Envelope) -> u64 {
    match_message!(match message {
        Add(n) => n,
        Quit => "quit",
        _ => 0,
    })
}

fn main() {}
