//! What tellers have ordered and were answered, and whether a bank can have done that.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use fastrand::Rng;

use crate::branches::{Answer, Teller};
use crate::history::{Effect, Operation, linearize};

/// What one order was, when it was given, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) order: Order,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Deposit {
        id: u64,
        account: &'static str,
        amount: u64,
    },
    Transfer {
        id: u64,
        account: &'static str,
        to: &'static str,
        amount: u64,
    },
    Balance {
        account: &'static str,
    },
}

pub(crate) const ACCOUNTS: [&str; 6] = ["ann@a", "bob@b", "cid@a", "dan@b", "eve@a", "fay@b"];

impl Order {
    pub(crate) fn by(dice: &mut Rng) -> Order {
        let id = dice.u64(..);
        let place = dice.usize(..ACCOUNTS.len());
        let account = ACCOUNTS[place];
        match dice.u32(..10) {
            0..2 => Order::Deposit {
                id,
                account,
                amount: dice.u64(1..1_000_000),
            },
            2..7 => {
                let to = ACCOUNTS[(place + dice.usize(1..ACCOUNTS.len())) % ACCOUNTS.len()];
                let amount = dice.u64(1..1_000_000);
                Order::Transfer {
                    id,
                    account,
                    to,
                    amount,
                }
            }
            _ => Order::Balance { account },
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Order::Deposit {
                id,
                account,
                amount,
            } => format!("deposit {account} {amount} {id}"),
            Order::Transfer {
                id,
                account,
                to,
                amount,
            } => format!("transfer {account} {to} {amount} {id}"),
            Order::Balance { account } => format!("balance {account}"),
        }
    }
}

/// Gives an order and writes down what becomes of it.
pub(crate) fn observe(teller: &mut Teller, order: Order, clock: Instant) -> Event {
    let begun = clock.elapsed().as_nanos() as u64;
    let answer = teller.ask(&order.text());
    let ended = clock.elapsed().as_nanos() as u64;
    Event {
        order,
        begun,
        ended,
        answer,
    }
}

/// What an event was to each account.
fn operations(event: &Event) -> Vec<(&'static str, Operation)> {
    let (balance, ended) = match &event.answer {
        Answer::Ok(numbers) => (Some(numbers[0]), Some(event.ended)),
        Answer::Unknown(_) => (None, None),
        Answer::Failed(why) => {
            let left = why.strip_prefix("there are only ");
            return match (&event.order, left) {
                (
                    Order::Transfer {
                        account, amount, ..
                    },
                    Some(left),
                ) => {
                    let effect = Effect::Refused {
                        amount: *amount,
                        balance: left.parse().unwrap(),
                    };
                    let (begun, ended) = (event.begun, Some(event.ended));
                    vec![(
                        account,
                        Operation {
                            effect,
                            begun,
                            ended,
                        },
                    )]
                }
                // It has had no effect, and seen nothing.
                _ => Vec::new(),
            };
        }
    };
    let operation = |effect: Effect| Operation {
        effect,
        begun: event.begun,
        ended,
    };
    match event.order {
        Order::Deposit {
            account, amount, ..
        } => {
            vec![(account, operation(Effect::Add { amount, balance }))]
        }
        // Who is answered knows that both have happened.
        Order::Transfer {
            account,
            to,
            amount,
            ..
        } => vec![
            (account, operation(Effect::Take { amount, balance })),
            (
                to,
                operation(Effect::Add {
                    amount,
                    balance: None,
                }),
            ),
        ],
        Order::Balance { account } => match balance {
            Some(balance) => vec![(account, operation(Effect::Read { balance }))],
            None => Vec::new(),
        },
    }
}

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// There is not what has been put in.
    Sum { is: u64, put_in: u64 },
    /// No order of what has happened at this account explains what was seen; all that happened there.
    Account(&'static str, String),
}

/// What is wrong with what has been seen, where all accounts together have `sum` in the end.
pub(crate) fn check(history: &[Event], sum: u64) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    wrong.extend(conserved(history, sum));
    wrong.extend(explained(history));
    wrong
}

/// Conservation: there is what has been put in.
fn conserved(history: &[Event], sum: u64) -> Option<Wrong> {
    let deposits = history
        .iter()
        .map(|event| match (&event.order, &event.answer) {
            (Order::Deposit { amount, .. }, Answer::Ok(_)) => *amount,
            (Order::Deposit { .. }, Answer::Unknown(_)) => panic!("not found out: {event:?}"),
            _ => 0,
        });
    let put_in = deposits.sum();
    (sum != put_in).then_some(Wrong::Sum { is: sum, put_in })
}

/// Each account by itself makes sense at every moment.
fn explained(history: &[Event]) -> Vec<Wrong> {
    let mut accounts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (account, operation) in history.iter().flat_map(operations) {
        accounts.entry(account).or_default().push(operation);
    }
    let inexplicable = accounts
        .into_iter()
        .filter(|(_, operations)| linearize(operations).is_none());
    inexplicable
        .map(|(account, _)| Wrong::Account(account, told(history, account)))
        .collect()
}

/// What has happened at an account, line by line.
fn told(history: &[Event], account: &str) -> String {
    let mut events: Vec<_> = history
        .iter()
        .filter(|event| event.order.text().contains(account))
        .collect();
    events.sort_by_key(|event| event.begun);
    let mut text = String::new();
    for event in events {
        let order = event.order.text();
        let (begun, ended) = (event.begun, event.ended);
        let _ = writeln!(text, "{begun:>14} {ended:>14} {order}: {:?}", event.answer);
    }
    text
}
