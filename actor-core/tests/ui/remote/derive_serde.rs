extern crate actor_core as concurrence;

use concurrence::Message;
use serde::{Deserialize, Serialize};

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "bank.LeftOut")]
struct LeftOut {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    amount: u64,
}

#[derive(Serialize, Deserialize)]
struct More {
    limit: u64,
}

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "bank.Flat")]
struct Flat {
    #[serde(flatten)]
    more: More,
}

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "bank.Untagged")]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
}

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "bank.Tagged")]
#[serde(tag = "kind")]
enum Tagged {
    Opened { account: u64 },
}

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "bank.OneSided")]
struct OneSided {
    #[serde(skip_serializing)]
    note: String,
    amount: u64,
}

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "bank.Skipped")]
enum Skipped {
    #[serde(skip)]
    Never,
    Always(u64),
}

fn main() {}
