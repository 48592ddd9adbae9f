//! A teller: takes orders line by line, and sees to it that they reach their branches.

use std::env;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use concurrence::remote::{Node, Takes};
use concurrence::{BoxError, CallError, Refusal, RemoteMessage, Tasklet, io};

use crate::{
    Balance, Bank, Deposit, OrderError, PATIENCE, PAUSE, Statement, Transfer, config,
    keep_connected, linked,
};

/// What has become of an order.
enum Outcome {
    Done(String),
    /// Nothing has changed, and nothing will.
    Failed(String),
    /// It may have been done, or be done yet.
    Unknown(String),
}

struct Teller {
    node: Node,
    /// How long an order is tried again.
    patience: Duration,
}

impl Teller {
    fn obey(&self, line: &str) -> Outcome {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.order(&words)
            .unwrap_or_else(|| Outcome::Failed("not an order".into()))
    }

    /// Nothing if it cannot be understood.
    fn order(&self, words: &[&str]) -> Option<Outcome> {
        Some(match words {
            ["deposit", account, amount, id @ ..] => {
                let (account, branch) = account.split_once('@')?;
                let order = Deposit {
                    id: number(id)?,
                    account: account.to_owned(),
                    amount: amount.parse().ok()?,
                };
                self.ask(branch, order, answered)
            }
            ["transfer", account, to, amount, id @ ..] => {
                let (account, branch) = account.split_once('@')?;
                let (to, to_branch) = to.split_once('@')?;
                let order = Transfer {
                    id: number(id)?,
                    account: account.to_owned(),
                    amount: amount.parse().ok()?,
                    to: (to.to_owned(), to_branch.to_owned()),
                };
                self.ask(branch, order, answered)
            }
            ["balance", account] => {
                let (account, branch) = account.split_once('@')?;
                let order = Balance(account.to_owned());
                self.ask(branch, order, |balance| Outcome::Done(balance.to_string()))
            }
            ["statement", branch] => self.ask(branch, Statement, |(sum, under_way)| {
                Outcome::Done(format!("{sum} {under_way}"))
            }),
            _ => return None,
        })
    }

    /// Asks until there is an answer. All orders can be repeated: they are done once.
    fn ask<M>(&self, branch: &str, order: M, done: impl Fn(M::Reply) -> Outcome) -> Outcome
    where
        M: RemoteMessage + Clone,
        Bank: Takes<M>,
    {
        let until = Instant::now() + self.patience;
        let mut maybe = None;
        loop {
            if let Some(peer) = linked(&self.node, branch) {
                let left = until.saturating_duration_since(Instant::now());
                let branch = peer.unchecked::<Bank>("branch");
                match branch.call_timeout(order.clone(), PATIENCE.min(left).max(PAUSE)) {
                    Ok(answer) => return done(answer),
                    Err(CallError::Disconnected {
                        maybe_executed: false,
                    }) => {}
                    // It has not opened yet.
                    Err(CallError::Refused(Refusal::Unknown)) => {}
                    Err(CallError::Refused(why)) => return Outcome::Failed(why.to_string()),
                    Err(error) => maybe = Some(error),
                }
                Tasklet::sleep(PAUSE);
            }
            if Instant::now() >= until {
                return match maybe {
                    Some(error) => Outcome::Unknown(error.to_string()),
                    None => Outcome::Failed(format!("no link to {branch}")),
                };
            }
        }
    }
}

fn answered(answer: Result<u64, OrderError>) -> Outcome {
    match answer {
        Ok(balance) => Outcome::Done(balance.to_string()),
        Err(error @ OrderError::TooOld) => Outcome::Unknown(error.to_string()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// The number of an order: one that is given, or a new one. That begins with the milliseconds of the clock, so
/// that later ones are higher, and has dice behind them, so that no other teller has the same.
fn number(given: &[&str]) -> Option<u64> {
    match given {
        [] => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            Some((since.as_millis() as u64) << 20 | fastrand::u64(..1 << 20))
        }
        [id] => id.parse().ok(),
        _ => None,
    }
}

pub(crate) fn run(branches: Vec<(String, String)>) -> Result<(), BoxError> {
    let name = format!("teller {:016x}", fastrand::u64(..));
    let patience = env::var("BANK_PATIENCE").map(|seconds| seconds.parse());
    let teller = Teller {
        node: Node::start(config(&name)?)?,
        patience: Duration::from_secs_f64(patience.unwrap_or(Ok(10.0))?),
    };
    for (branch, addr) in branches {
        keep_connected(&teller.node, &branch, &addr)?;
    }
    for line in io::stdin().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        match teller.obey(&line) {
            Outcome::Done(answer) => println!("ok {answer}"),
            Outcome::Failed(why) => println!("failed {why}"),
            Outcome::Unknown(why) => println!("unknown {why}"),
        }
    }
    teller.node.close();
    Ok(())
}
