extern crate actor_core as concurrence;

use concurrence::Message;

#[derive(Message)]
#[message(version = 2)]
struct VersionAlone;

#[derive(Message)]
#[message(encoding = "named")]
struct EncodingAlone;

#[derive(Message)]
#[message(remote = "bank.Open", version = -1)]
struct Negative;

#[derive(Message)]
#[message(remote = "bank.Open", version = 4294967296)]
struct TooBig;

#[derive(Message)]
#[message(remote = "bank.Open", version = "2")]
struct NoNumber;

#[derive(Message)]
#[message(remote = "bank.Open", encoding = "json")]
struct UnknownEncoding;

#[derive(Message)]
#[message(remote = "bank.Open", version = 1, version = 2)]
struct Twice;

fn main() {}
