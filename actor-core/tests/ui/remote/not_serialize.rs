extern crate actor_core as concurrence;

use concurrence::Message;
use serde::{Deserialize, Serialize};

#[derive(Message)]
#[message(remote = "bank.Open")]
struct Open {
    account: u64,
}

struct Receipt;

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "bank.Close", reply = Receipt)]
struct Close {
    account: u64,
}

fn main() {}
