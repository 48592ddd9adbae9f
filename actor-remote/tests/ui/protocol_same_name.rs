use actor_core::Message;
use actor_remote::protocol;
use serde::{Deserialize, Serialize};

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "bank.Deposit")]
struct Deposit(u64);

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "bank.Deposit")]
struct Withdraw(u64);

protocol! { Bank: Deposit, Withdraw }

fn main() {}
