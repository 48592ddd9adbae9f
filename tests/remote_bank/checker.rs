//! That a history which cannot have been is told from one that can.

use crate::history::{Effect, Operation, linearize};

fn at(begun: u64, ended: u64, effect: Effect) -> Operation {
    Operation {
        effect,
        begun,
        ended: Some(ended),
    }
}

fn unknown(begun: u64, effect: Effect) -> Operation {
    Operation {
        effect,
        begun,
        ended: None,
    }
}

fn add(amount: u64, balance: u64) -> Effect {
    let balance = Some(balance);
    Effect::Add { amount, balance }
}

fn take(amount: u64, balance: u64) -> Effect {
    let balance = Some(balance);
    Effect::Take { amount, balance }
}

fn read(balance: u64) -> Effect {
    Effect::Read { balance }
}

#[test]
fn what_happens_at_a_time_may_happen_in_any_order() {
    let order = linearize(&[
        at(1, 10, add(5, 12)),
        at(2, 9, add(7, 7)),
        at(3, 8, read(12)),
        at(4, 11, take(2, 10)),
    ]);
    let order: Vec<_> = order.unwrap().iter().map(|one| one.begun).collect();
    assert_eq!(order, [2, 1, 3, 4]);
}

#[test]
fn what_is_over_is_seen() {
    assert!(linearize(&[at(1, 2, add(5, 5)), at(3, 4, read(5))]).is_some());
    // A read of what was before.
    assert!(linearize(&[at(1, 2, add(5, 5)), at(3, 4, read(0))]).is_none());
    // Of what comes later.
    assert!(linearize(&[at(1, 2, read(5)), at(3, 4, add(5, 5))]).is_none());
    // Two that have not seen each other: one is lost.
    assert!(linearize(&[at(1, 5, add(5, 5)), at(2, 6, add(7, 7))]).is_none());
    // One that counts twice.
    assert!(linearize(&[at(1, 2, add(5, 5)), at(3, 4, read(10))]).is_none());
    // Two reads that saw the same two in different orders.
    let both = [
        unknown(1, add(5, 5)),
        unknown(
            1,
            Effect::Add {
                amount: 7,
                balance: None,
            },
        ),
        at(1, 9, read(5)),
        at(1, 9, read(7)),
    ];
    assert!(linearize(&both).is_none());
}

#[test]
fn what_is_unknown_may_have_happened_or_not_and_late() {
    let lost = unknown(
        1,
        Effect::Add {
            amount: 5,
            balance: None,
        },
    );
    assert!(linearize(&[lost, at(2, 3, read(0))]).is_some());
    assert!(linearize(&[lost, at(2, 3, read(0)), at(4, 5, read(5))]).is_some());
    // But once, and not before it has begun.
    assert!(linearize(&[lost, at(2, 3, read(10))]).is_none());
    assert!(linearize(&[at(4, 5, read(5)), unknown(6, lost.effect)]).is_none());
    assert!(linearize(&[lost, at(2, 3, read(5)), at(4, 5, read(0))]).is_none());
}

#[test]
fn what_is_refused_has_seen_too_little() {
    let refused = Effect::Refused {
        amount: 6,
        balance: 5,
    };
    assert!(linearize(&[at(1, 2, add(5, 5)), at(3, 4, refused)]).is_some());
    assert!(linearize(&[at(1, 2, add(7, 7)), at(3, 4, refused)]).is_none());
    // Nobody takes what is not there.
    let taken = unknown(
        1,
        Effect::Take {
            amount: 6,
            balance: None,
        },
    );
    assert!(linearize(&[taken, at(2, 3, add(5, 5)), at(4, 5, read(5))]).is_some());
    let short = [at(1, 2, add(5, 5)), at(3, 4, take(6, 0))];
    assert!(linearize(&short).is_none());
}

#[test]
fn a_history_of_many_is_found_in_time() {
    let mut dice = fastrand::Rng::with_seed(7);
    let (mut operations, mut balance) = (Vec::new(), 0);
    for n in 0..20_000 {
        let amount = dice.u64(1..1_000);
        balance += amount;
        let around = |dice: &mut fastrand::Rng| dice.u64(1..50);
        let (begun, ended) = (1_000 + 10 * n, 1_000 + 10 * n);
        let effect = add(amount, balance);
        operations.push(match dice.u32(..500) {
            0 => unknown(
                begun - around(&mut dice),
                Effect::Add {
                    amount,
                    balance: None,
                },
            ),
            _ => at(begun - around(&mut dice), ended + around(&mut dice), effect),
        });
    }
    assert!(linearize(&operations).is_some());
    // And that there is none, where one is wrong.
    operations[15_000].effect = read(1);
    assert!(linearize(&operations[14_990..15_010]).is_none());
}
