//! What `#[derive(Message)]` makes of messages to other processes.
#![cfg(feature = "remote")]

use actor_core::{Encoding, Message, RemoteMessage};
use serde::{Deserialize, Serialize};

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "bank.Deposit", reply = Result<u64, String>)]
struct Deposit {
    account: u64,
    amount: u64,
}

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "bank.Deposit", version = 2, encoding = "named")]
#[message(reply = Result<u64, String>)]
struct Deposit2 {
    account: u64,
    amount: u64,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "bank.Event", encoding = "compact")]
enum Event {
    Opened { account: u64 },
    Moved(u64, Vec<(u64, i64)>),
    Closed,
}

/// As `Deposit`, written otherwise and elsewhere.
mod elsewhere {
    use super::*;

    #[rustfmt::skip]
    #[derive(Debug, Message, Serialize, Deserialize)]
    #[message(remote = "bank.Deposit", crate = actor_core, version = 0x1)]
    #[message(reply = Result <
        u64, // the balance
        String,
    >)]
    pub(super) struct PutIn {
        /// Whose.
        pub r#account: u64,
        pub amount: u64,
    }
}

macro_rules! message {
    ($name:ident, $of:ty, $reply:ty) => {
        #[derive(Message, Serialize, Deserialize)]
        #[message(crate = actor_core, remote = "bank.Deposit", reply = $reply)]
        struct $name {
            account: $of,
            amount: $of,
        }
    };
}

message!(FromMacro, u64, Result<u64, String>);

#[test]
fn names_versions_and_encodings_are_those_that_are_given() {
    assert_eq!((Deposit::NAME, Deposit::VERSION), ("bank.Deposit", 1));
    assert_eq!(Deposit::ENCODING, Encoding::Compact);
    assert_eq!((Deposit2::NAME, Deposit2::VERSION), ("bank.Deposit", 2));
    assert_eq!(Deposit2::ENCODING, Encoding::Named);
    assert_eq!(Event::ENCODING, Encoding::Compact);
}

/// Processes of different releases compare these: whoever changes one of them has changed the hash, and no
/// new process can talk to an old one any more.
#[test]
fn the_hash_is_the_same_for_ever() {
    assert_eq!(Deposit::SCHEMA, 0x3e87_9897_2814_ab5d);
    assert_eq!(Deposit2::SCHEMA, 0x5c94_2bac_3cf1_8b9f);
    assert_eq!(Event::SCHEMA, 0x1a1c_aa5d_506b_32a2);
}

#[test]
fn it_does_not_matter_how_and_where_a_type_is_written() {
    assert_eq!(elsewhere::PutIn::SCHEMA, Deposit::SCHEMA);
    assert_eq!(elsewhere::PutIn::VERSION, 1);
    assert_eq!(FromMacro::SCHEMA, Deposit::SCHEMA);
}
