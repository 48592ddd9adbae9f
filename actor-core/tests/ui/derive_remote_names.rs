extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
#[message(remote = "")]
struct Nameless;

#[derive(Message)]
#[message(remote = "bank.Open account")]
struct WithSpace;

#[derive(Message)]
#[message(remote = "bank.Open\n")]
struct WithNewline;

#[derive(Message)]
#[message(remote = "bank.Open\0")]
struct WithNul;

#[derive(Message)]
#[message(remote = "bank.0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123")]
struct TooLong;

#[derive(Message)]
#[message(remote = bank.Open)]
struct NoText;

#[derive(Message)]
#[message(remote)]
struct NoName;

#[derive(Message)]
#[message(remote = "bank.Open", remote = "bank.Close")]
struct Twice;

fn main() {}
