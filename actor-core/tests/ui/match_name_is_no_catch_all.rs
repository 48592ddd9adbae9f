extern crate actor_core as concurrence;

use concurrence::{Envelope, Message, match_message};

#[derive(Message)]
struct Add(u64);

#[derive(Message)]
#[message(reply = u64)]
struct Get;

#[derive(Message)]
struct Quit;

fn run(message: Envelope) -> &'static str {
    match_message!(match message {
        Quit => "quit",
        message => message.class(),
    })
}

fn main() {}
