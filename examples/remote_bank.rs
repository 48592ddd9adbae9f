//! A bank of two branches, each a process of its own, that sends money from one to the other. Either may be
//! killed at any moment, and no money is lost or made.
//!
//! Try it, in three terminals:
//!
//! ```text
//! cargo run --release --example remote_bank -- branch a 127.0.0.1:9041 /tmp/branch-a b
//! cargo run --release --example remote_bank -- branch b 127.0.0.1:9042 /tmp/branch-b a=127.0.0.1:9041
//! cargo run --release --example remote_bank -- teller a=127.0.0.1:9041 b=127.0.0.1:9042
//! ```
//!
//! The teller takes `deposit ann@a 100`, `transfer ann@a bob@b 30`, `balance bob@b` and `statement a`. Kill a
//! branch in between, with `kill -9`, and start it again. Two machines need a secret of at least 16 bytes, in the
//! variable `BANK_SECRET`.
//!
//! A message arrives at most once, and whether it has arrived nobody knows whose link has broken meanwhile. So what
//! changes something has a number, is sent again until there is an answer, and is done once however often it
//! comes:
//!
//! - A branch writes what it does into its journal, and has it on the disk, before it answers and before
//!   anybody sees an effect. The number and the effect are one entry: there is no moment at which one is there and
//!   the other is not. At its start it does again what is in the journal; half an entry, the last one, is
//!   what nobody was answered about, and is taken away.
//! - To take money out for another branch and to intend to send it there is one entry. What is intended is sent,
//!   one remittance after the other, each until the other branch has answered; that this has
//!   happened is another entry. If it gets lost, the remittance is sent once more, and has no effect.
//! - Who asked for the transfer is answered when the money has arrived.
//!
//! What a branch remembers is bounded, and forgetting is safe:
//!
//! - Of the tellers' numbers it remembers the highest hundred thousand. Whenever it forgets one it draws a line
//!   behind it, and what is below the line and not remembered it refuses: that may have been done before, so
//!   it is not done. Numbers begin with the time at which they were given, so the line is behind those that
//!   anybody still asks about; a teller whose clock is slow is refused, and does no harm.
//! - Of the other branches' remittances it remembers how many have come. Each branch numbers those to another one after
//!   the other, and sends none before the one before has been answered: so what comes is the next, or one that has
//!   been before. Nothing that is under way is ever too old.
//!
//! The journal grows with each entry. A real bank would write down now and then what all of it comes to.

#[path = "remote_bank/branch.rs"]
mod branch;
#[path = "remote_bank/journal.rs"]
mod journal;
#[path = "remote_bank/teller.rs"]
mod teller;

use std::time::Duration;
use std::{env, fmt, process::ExitCode};

use concurrence::remote::{Config, Node, PeerRef, Secret, protocol};
use concurrence::{BoxError, Message, Tasklet, dispatch};
use serde::{Deserialize, Serialize};

const USAGE: &str = "usage: remote_bank branch NAME ADDRESS DIRECTORY [OTHER[=ADDRESS] ..]
       remote_bank teller BRANCH=ADDRESS ..";

/// How long a call may take before it is tried again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait before that.
const PAUSE: Duration = Duration::from_millis(50);

/// Puts money in; the answer is the balance then.
#[derive(Message, Clone, Serialize, Deserialize)]
#[message(remote = "bank.Deposit", reply = Result<u64, OrderError>)]
struct Deposit {
    id: u64,
    account: String,
    amount: u32,
}

/// Takes money out and puts it in elsewhere. The answer is what is left.
#[derive(Message, Clone, Serialize, Deserialize)]
#[message(remote = "bank.Transfer", reply = Result<u64, OrderError>)]
struct Transfer {
    id: u64,
    account: String,
    amount: u32,
    /// The other account, and its branch.
    to: (String, String),
}

/// Money from another branch, which has taken it out. Only the next one counts.
#[derive(Message, Clone, Serialize, Deserialize)]
#[message(remote = "bank.Remittance", reply = ())]
struct Remittance {
    from: String,
    /// How many there have been from that branch before, and this one.
    number: u64,
    account: String,
    amount: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum OrderError {
    /// There is no more than this.
    TooLittle(u64),
    /// There is no such branch.
    UnknownBranch,
    /// Too many transfers wait for their branches.
    Busy,
    /// It has been done, or not: nobody knows any more.
    TooOld,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::TooLittle(left) => write!(f, "there are only {left}"),
            OrderError::UnknownBranch => f.write_str("there is no such branch"),
            OrderError::Busy => f.write_str("too many transfers wait already"),
            OrderError::TooOld => f.write_str("it is too old to be known"),
        }
    }
}

#[derive(Message, Clone, Serialize, Deserialize)]
#[message(remote = "bank.Balance", reply = u64)]
struct Balance(String);

/// What all accounts of a branch have together, and how much it has taken out that may not have arrived yet.
#[derive(Message, Clone, Serialize, Deserialize)]
#[message(remote = "bank.Statement", reply = (u64, u64))]
struct Statement;

protocol! { Bank: Deposit, Transfer, Remittance, Balance, Statement }

fn config(name: &str) -> Result<Config, BoxError> {
    let config = Config::new(name)
        .cluster("bank")
        .heartbeat(Duration::from_millis(250), Duration::from_secs(1))
        .reconnect(Duration::from_millis(50), Duration::from_millis(500));
    Ok(match env::var("BANK_SECRET") {
        Ok(secret) => config.secret(Secret::from_bytes(secret)?),
        Err(_) => config,
    })
}

/// Has a node connected to another, which may not be there yet. From then on it connects again by itself.
fn keep_connected(node: &Node, name: &str, addr: &str) -> Result<(), BoxError> {
    let (node, name, addr) = (node.clone(), name.to_owned(), addr.to_owned());
    let connecting = move || {
        while let Err(error) = node.connect_to(&name, addr.as_str()) {
            tracing::debug!(name, %error, "not connected");
            Tasklet::sleep(PAUSE);
        }
    };
    Tasklet::builder().daemon(true).spawn(connecting)?;
    Ok(())
}

/// The other node, if there is a link to it, or is one within a while.
fn linked(node: &Node, name: &str) -> Option<PeerRef> {
    match node.peer(name) {
        Some(peer) => peer.wait_connected(PAUSE).then_some(peer),
        None => {
            Tasklet::sleep(PAUSE);
            None
        }
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let split = |other: &&str| {
        let (name, addr) = other.split_once('=').unwrap_or((other, ""));
        (name.to_owned(), addr.to_owned())
    };
    match words.as_slice() {
        ["branch", name, addr, directory, others @ ..] => {
            let (name, addr) = (name.to_string(), addr.to_string());
            let (directory, others) = (directory.into(), others.iter().map(split).collect());
            dispatch(move || branch::run(&name, &addr, directory, others))
        }
        ["teller", branches @ ..] if !branches.is_empty() => {
            let branches = branches.iter().map(split).collect();
            dispatch(move || teller::run(branches))
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
