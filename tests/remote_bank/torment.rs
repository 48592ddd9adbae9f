//! The bank under tellers that try it and somebody who kills, stops and starts its branches.
//!
//! `CONCURRENCE_BANK_SECONDS=60` makes the test longer, and `CONCURRENCE_BANK_SEED` repeats what it did, as far as
//! the scheduler does.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::branches::{Answer, Branch, Directory, PATIENT, Teller, bank};
use crate::common::eventually;
use crate::events::{ACCOUNTS, Order, Wrong, check, observe};

/// Kills, stops and starts the branches until the time is over. They run when it returns.
fn torment(branches: &mut [Branch; 2], dice: &mut Rng, until: Instant) -> [u32; 2] {
    let (mut kills, mut stops) = (0, 0);
    let pause =
        |dice: &mut Rng, longest| thread::sleep(Duration::from_millis(dice.u64(1..longest)));
    while Instant::now() < until {
        // Not for anything to happen: this is when the next fault comes.
        pause(dice, 600);
        let victim = dice.usize(..2);
        if dice.bool() {
            branches[victim].kill();
            pause(dice, 500);
            branches[victim].start();
            kills += 1;
        } else {
            // Sometimes for longer than a link lasts without a word, which is a second.
            branches[victim].signal(libc::SIGSTOP);
            pause(dice, 1_800);
            if dice.u32(..4) == 0 {
                branches[victim].kill();
                branches[victim].start();
                kills += 1;
            } else {
                branches[victim].signal(libc::SIGCONT);
            }
            stops += 1;
        }
    }
    [kills, stops]
}

#[test]
fn no_money_is_lost_or_made_under_faults() {
    let setting = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seconds = setting("CONCURRENCE_BANK_SECONDS").unwrap_or(6);
    let seed = setting("CONCURRENCE_BANK_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("CONCURRENCE_BANK_SEED={seed} CONCURRENCE_BANK_SECONDS={seconds}");
    let mut dice = Rng::with_seed(seed);
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let clock = Instant::now();

    // Something to begin with, for each.
    let mut teller = Teller::new(&branches, PATIENT);
    let mut history = Vec::new();
    for account in ACCOUNTS {
        let (id, amount) = (dice.u64(..), dice.u64(1_000_000..5_000_000));
        let order = Order::Deposit {
            id,
            account,
            amount,
        };
        history.push(observe(&mut teller, order, clock));
    }

    let is_over = AtomicBool::new(false);
    let faults = thread::scope(|scope| {
        let tellers: Vec<_> = (0..5)
            .map(|n| {
                // One is patient; the others soon give up, and do not know then.
                let patience = if n == 0 { PATIENT } else { "0.7" };
                let mut teller = Teller::new(&branches, patience);
                let (mut dice, is_over) = (dice.fork(), &is_over);
                scope.spawn(move || {
                    let mut events = Vec::new();
                    while !is_over.load(Ordering::Relaxed) {
                        events.push(observe(&mut teller, Order::by(&mut dice), clock));
                    }
                    events
                })
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(seconds);
        let faults = torment(&mut branches, &mut dice, until);
        is_over.store(true, Ordering::Relaxed);
        for teller in tellers {
            history.extend(teller.join().unwrap());
        }
        faults
    });

    // Of deposits it is found out whether they have been made, so that the sum is known: they are ordered again, with
    // the number that they had. What became of a transfer does not matter to it.
    let mut asked_again = 0;
    for event in &mut history {
        if matches!(event.answer, Answer::Unknown(_))
            && matches!(event.order, Order::Deposit { .. })
        {
            let again = observe(&mut teller, event.order.clone(), clock);
            (event.answer, event.ended) = (again.answer, again.ended);
            asked_again += 1;
        }
    }
    // What is under way arrives, and then nothing moves.
    let mut statements = || ["a", "b"].map(|name| teller.ask(&format!("statement {name}")));
    eventually("nothing is under way", || {
        let before = statements();
        let is_quiet = |answer: &Answer| matches!(answer, Answer::Ok(numbers) if numbers[1] == 0);
        before.iter().all(is_quiet) && statements() == before
    });
    let sum: u64 = statements()
        .iter()
        .map(|answer| match answer {
            Answer::Ok(numbers) => numbers[0],
            other => panic!("{other:?}"),
        })
        .sum();
    for account in ACCOUNTS {
        let order = Order::Balance { account };
        history.push(observe(&mut teller, order, clock));
    }
    match check(&history, sum).into_iter().next() {
        None => {}
        Some(Wrong::Account(account, told)) => {
            panic!("{account}: no order explains what was seen\n{told}")
        }
        Some(Wrong::Sum { is, put_in }) => panic!("there is {is}, and {put_in} was put in"),
    }

    let count = |is: fn(&Answer) -> bool| history.iter().filter(|e| is(&e.answer)).count();
    let done = count(|answer| matches!(answer, Answer::Ok(_)));
    let failed = count(|answer| matches!(answer, Answer::Failed(_)));
    let unknown = count(|answer| matches!(answer, Answer::Unknown(_)));
    let [kills, stops] = faults;
    println!(
        "{kills} kills, {stops} stops; {done} done, {failed} failed, {unknown} unknown, {asked_again} asked again"
    );
    assert!(kills + stops > 0 && done > 20, "nothing has been tried");
}
