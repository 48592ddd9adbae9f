//! The bank of two branches, under tellers that try it and somebody who kills, stops and starts its branches.
//!
//! `CONCURRENCE_BANK_SECONDS=60` makes the long test longer, and `CONCURRENCE_BANK_SEED` repeats what it did, as far as
//! the scheduler does.

mod common;
#[path = "common/history.rs"]
mod history;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::clients::stops_orderly;
use common::{Program, eventually, example};
use fastrand::Rng;
use history::{Effect, Operation, linearize};

/// A directory that is removed with this.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("concurrence-bank-{}-{count}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A branch, which can be killed and started again at the same place.
struct Branch {
    name: &'static str,
    addr: String,
    directory: PathBuf,
    other: String,
    program: Option<Program>,
}

impl Branch {
    fn open(name: &'static str, directory: &Directory, other: String) -> Branch {
        let mut branch = Branch {
            name,
            addr: "127.0.0.1:0".into(),
            directory: directory.0.join(name),
            other,
            program: None,
        };
        branch.start();
        branch
    }

    fn start(&mut self) {
        let mut command = example("remote_bank");
        command.args(["branch", self.name, &self.addr]);
        command.arg(&self.directory).arg(&self.other);
        let program = Program::start(&mut command);
        self.addr = program.address().to_string();
        self.program = Some(program);
    }

    fn kill(&mut self) {
        let program = self.program.take().expect("runs");
        program.signal(libc::SIGKILL);
        assert_eq!(program.ended().signal(), Some(libc::SIGKILL));
    }

    fn signal(&self, signal: libc::c_int) {
        self.program.as_ref().expect("runs").signal(signal);
    }

    fn at(&self) -> String {
        format!("{}={}", self.name, self.addr)
    }
}

/// Both branches: `b` connects to `a`.
fn bank(directory: &Directory) -> [Branch; 2] {
    let a = Branch::open("a", directory, "b".into());
    let b = Branch::open("b", directory, a.at());
    [a, b]
}

/// What a teller says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Ok(Vec<u64>),
    Failed(String),
    Unknown(String),
}

/// A teller, to whom one can talk.
struct Teller {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Teller {
    fn new(branches: &[Branch; 2], patience: &str) -> Teller {
        let mut command = example("remote_bank");
        command.arg("teller").args(branches.iter().map(Branch::at));
        command.env("BANK_PATIENCE", patience);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Teller {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, order: &str) -> Answer {
        writeln!(self.stdin, "{order}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_once(' ').expect("an answer");
        match kind {
            "ok" => Answer::Ok(rest.split(' ').map(|n| n.parse().unwrap()).collect()),
            "failed" => Answer::Failed(rest.into()),
            "unknown" => Answer::Unknown(rest.into()),
            other => panic!("{other}"),
        }
    }

    /// For what must go well.
    fn number(&mut self, order: &str) -> u64 {
        match self.ask(order) {
            Answer::Ok(numbers) => numbers[0],
            other => panic!("{order}: {other:?}"),
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PATIENT: &str = "60";

#[test]
fn money_goes_from_branch_to_branch() {
    let directory = Directory::new();
    let branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    assert_eq!(teller.number("deposit ann@a 100"), 100);
    assert_eq!(teller.number("transfer ann@a bob@b 30"), 70);
    assert_eq!(teller.number("balance bob@b"), 30);
    assert_eq!(teller.number("transfer bob@b ann@a 10"), 20);
    assert_eq!(teller.number("transfer ann@a cid@a 5"), 75);
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![80, 0]));
    assert_eq!(teller.ask("statement b"), Answer::Ok(vec![20, 0]));
    let refused = |text: &str| Answer::Failed(text.into());
    assert_eq!(
        teller.ask("transfer bob@b ann@a 21"),
        refused("there are only 20")
    );
    assert_eq!(
        teller.ask("transfer bob@b ann@c 1"),
        refused("there is no such branch")
    );
    assert_eq!(teller.ask("make money"), refused("not an order"));
    drop(teller);
    for mut branch in branches {
        stops_orderly(branch.program.take().unwrap());
    }
}

#[test]
fn what_is_ordered_twice_is_done_once() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    for _ in 0..2 {
        for _ in 0..2 {
            // The answers are those of the first time.
            assert_eq!(teller.number("deposit ann@a 100 1"), 100);
            assert_eq!(teller.number("transfer ann@a bob@b 30 2"), 70);
            assert_eq!(teller.number("transfer ann@a cid@a 30 3"), 40);
        }
        assert_eq!(teller.number("balance ann@a"), 40);
        assert_eq!(teller.number("balance bob@b"), 30);
        assert_eq!(teller.number("balance cid@a"), 30);
        // Nor does a branch forget by being killed.
        for branch in &mut branches {
            branch.kill();
            branch.start();
        }
    }
}

#[test]
fn what_is_intended_is_done_after_a_crash() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    assert_eq!(teller.number("deposit ann@a 100"), 100);
    branches[1].kill();
    let mut hasty = Teller::new(&branches, "1");
    let answer = hasty.ask("transfer ann@a bob@b 30 7");
    assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
    // Taken out, and not put in yet.
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![70, 30]));
    branches[0].kill();
    branches[0].start();
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![70, 30]));
    branches[1].start();
    // Whoever asks again is answered when it has arrived.
    assert_eq!(teller.number("transfer ann@a bob@b 30 7"), 70);
    assert_eq!(teller.number("balance bob@b"), 30);
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![70, 0]));
}

#[test]
fn half_an_entry_is_taken_away_and_damage_is_not() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    assert_eq!(teller.number("deposit ann@a 100"), 100);
    assert_eq!(teller.number("deposit ann@a 10"), 110);
    branches[0].kill();
    let journal = branches[0].directory.join("journal");
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
    branches[0].start();
    assert_eq!(teller.number("balance ann@a"), 100);
    assert_eq!(teller.number("deposit ann@a 5"), 105);
    branches[0].kill();

    // One in the middle is nothing that a crash does.
    let mut damaged = fs::read(&journal).unwrap();
    damaged[30] ^= 1;
    fs::write(&journal, &damaged).unwrap();
    let branch = &branches[0];
    let mut command = example("remote_bank");
    command.args(["branch", "a", &branch.addr]);
    command.arg(&branch.directory).arg("b");
    let ended = Program::start(&mut command).ended();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("damaged at line 1"),
        "{}",
        ended.stderr
    );
}

/// What one order was, when it was given, and what became of it.
#[derive(Debug, Clone)]
struct Event {
    order: Order,
    begun: u64,
    ended: u64,
    answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Order {
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

const ACCOUNTS: [&str; 6] = ["ann@a", "bob@b", "cid@a", "dan@b", "eve@a", "fay@b"];

impl Order {
    fn by(dice: &mut Rng) -> Order {
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

    fn text(&self) -> String {
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
fn observe(teller: &mut Teller, order: Order, clock: Instant) -> Event {
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
    check(&history, sum);

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

fn check(history: &[Event], sum: u64) {
    // Conservation: there is what has been put in.
    let deposits = history
        .iter()
        .map(|event| match (&event.order, &event.answer) {
            (Order::Deposit { amount, .. }, Answer::Ok(_)) => *amount,
            (Order::Deposit { .. }, Answer::Unknown(_)) => panic!("not found out: {event:?}"),
            _ => 0,
        });
    assert_eq!(sum, deposits.sum::<u64>(), "money was lost or made");

    // And each account by itself makes sense at every moment.
    let mut accounts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (account, operation) in history.iter().flat_map(operations) {
        accounts.entry(account).or_default().push(operation);
    }
    for (account, operations) in accounts {
        if linearize(&operations).is_none() {
            let mut events: Vec<_> = history.iter().collect();
            events.sort_by_key(|event| event.begun);
            let events = events
                .iter()
                .filter(|event| event.order.text().contains(account));
            for event in events {
                eprintln!(
                    "{:>14} {:>14} {}: {:?}",
                    event.begun,
                    event.ended,
                    event.order.text(),
                    event.answer
                );
            }
            panic!("{account}: no order explains what was seen");
        }
    }
}

mod checker {
    //! That a history which cannot have been is told from one that can.

    use super::{Effect, Operation, linearize};

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
}
