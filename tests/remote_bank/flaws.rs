//! Banks that are wrong, each in one way: what looks at them must notice.
//!
//! One has the journals of its branches changed while they are down. The others are made here: a small bank
//! whose answers get lost and whose memory is lost in crashes, all but its journal, with one mistake each.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use fastrand::Rng;

use crate::branches::{Answer, Branch, Directory, PATIENT, Teller, bank};
use crate::events::{ACCOUNTS, Event, Order, Wrong, check, observe};

/// The checksum of a line of a journal.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Kills a branch, changes the entries of its journal, and starts it again.
fn tamper(branch: &mut Branch, change: impl FnOnce(&mut Vec<String>)) {
    branch.kill();
    let journal = branch.directory.join("journal");
    let text = fs::read_to_string(&journal).unwrap();
    let entry = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    let mut entries: Vec<_> = text.lines().map(entry).collect();
    change(&mut entries);
    let line = |entry: &String| format!("{:016x} {entry}\n", checksum(entry));
    fs::write(&journal, entries.iter().map(line).collect::<String>()).unwrap();
    branch.start();
}

/// What both branches have together.
fn sum(teller: &mut Teller) -> u64 {
    let sums = ["a", "b"].map(|branch| teller.number(&format!("statement {branch}")));
    sums.iter().sum()
}

fn is_sum(wrong: &Wrong) -> bool {
    matches!(wrong, Wrong::Sum { .. })
}

#[test]
fn a_branch_that_has_not_written_what_it_said_is_noticed() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    let clock = Instant::now();
    let mut history = Vec::new();
    let mut order = |order: Order, teller: &mut Teller| {
        history.push(observe(teller, order, clock));
        history.clone()
    };
    for (id, amount) in [(1, 100), (2, 10)] {
        let account = "ann@a";
        order(
            Order::Deposit {
                id,
                account,
                amount,
            },
            &mut teller,
        );
    }
    let read = Order::Balance { account: "ann@a" };
    assert_eq!(check(&order(read.clone(), &mut teller), 110), []);

    tamper(&mut branches[0], |entries| {
        entries.pop();
    });
    let history = order(read, &mut teller);
    let wrong = check(&history, sum(&mut teller));
    assert!(wrong.iter().any(is_sum), "{wrong:?}");
    assert!(!wrong.iter().all(is_sum), "{wrong:?}");
}

#[test]
fn a_branch_that_does_not_remember_an_order_is_noticed() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    let clock = Instant::now();
    let mut history = Vec::new();
    let deposit = Order::Deposit {
        id: 1,
        account: "ann@a",
        amount: 100,
    };
    history.push(observe(&mut teller, deposit, clock));
    let transfer = Order::Transfer {
        id: 2,
        account: "ann@a",
        to: "bob@b",
        amount: 30,
    };
    history.push(observe(&mut teller, transfer.clone(), clock));
    // It is under another number, and so done once more when it is ordered again.
    tamper(&mut branches[0], |entries| {
        let transfer = entries.iter_mut().find(|entry| entry.contains("Intent"));
        let transfer = transfer.unwrap();
        *transfer = transfer.replace("\"id\":2", "\"id\":3");
    });
    assert_eq!(teller.ask(&transfer.text()), Answer::Ok(vec![40]));
    for account in ["ann@a", "bob@b"] {
        history.push(observe(&mut teller, Order::Balance { account }, clock));
    }
    // No money is lost or made, and yet it is not where it should be.
    let wrong = check(&history, sum(&mut teller));
    assert!(!wrong.iter().any(is_sum), "{wrong:?}");
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

/// What a bank does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Nothing,
    /// Does a transfer again that is ordered again.
    TransferForgotten,
    /// Answers, and does not write into its journal, now and then.
    EntryNotWritten,
    /// Adds to a balance that somebody else has changed meanwhile.
    LostUpdate,
    /// Tells of a balance that was, and is no more.
    StaleRead,
    /// Takes out what a transfer is about, and loses it if nobody waits for the answer.
    MoneyInTheAir,
}

/// A bank in this process, of as many branches as it likes.
struct Toy {
    flaw: Flaw,
    books: Mutex<Books>,
    dice: Mutex<Rng>,
}

#[derive(Default, Clone)]
struct Books {
    accounts: BTreeMap<&'static str, u64>,
    answers: BTreeMap<u64, Vec<u64>>,
    /// What is there after a crash.
    journal: Vec<Entry>,
    /// Orders by which money was taken, and put in nowhere.
    taken: HashSet<u64>,
    /// What balances were told before.
    before: BTreeMap<&'static str, u64>,
}

#[derive(Clone)]
struct Entry {
    id: u64,
    changes: Vec<(&'static str, i64)>,
    answer: Vec<u64>,
}

impl Books {
    fn apply(&mut self, entry: &Entry, is_remembered: bool) {
        for (account, change) in &entry.changes {
            let balance = self.accounts.entry(account).or_default();
            self.before.insert(account, *balance);
            *balance = balance.saturating_add_signed(*change);
        }
        if matches!(entry.changes[..], [(_, change)] if change < 0) {
            self.taken.insert(entry.id);
        }
        if is_remembered {
            self.answers.insert(entry.id, entry.answer.clone());
        }
    }

    fn balance(&self, account: &str) -> u64 {
        self.accounts.get(account).copied().unwrap_or(0)
    }
}

impl Toy {
    fn new(flaw: Flaw, seed: u64) -> Toy {
        Toy {
            flaw,
            books: Mutex::default(),
            dice: Mutex::new(Rng::with_seed(seed)),
        }
    }

    fn one_in(&self, many: u32) -> bool {
        self.dice.lock().unwrap().u32(..many) == 0
    }

    /// One attempt at an order; nothing if its answer gets lost, or it does.
    fn attempt(&self, order: &Order) -> Option<Answer> {
        if self.one_in(8) {
            return None;
        }
        if self.one_in(40) {
            self.crash();
        }
        let answer = self.execute(order);
        (!self.one_in(8)).then_some(answer)
    }

    /// All is gone but the journal.
    fn crash(&self) {
        let mut books = self.books.lock().unwrap();
        let journal = std::mem::take(&mut books.journal);
        let mut again = Books::default();
        for entry in &journal {
            again.apply(entry, true);
        }
        again.journal = journal;
        *books = again;
    }

    fn execute(&self, order: &Order) -> Answer {
        match *order {
            Order::Balance { account } => {
                let books = self.books.lock().unwrap();
                let before = books.before.get(account);
                let stale = before.filter(|_| self.flaw == Flaw::StaleRead && self.one_in(10));
                let balance = stale.copied().unwrap_or_else(|| books.balance(account));
                Answer::Ok(vec![balance])
            }
            Order::Deposit {
                id,
                account,
                amount,
            } => {
                let mut books = self.books.lock().unwrap();
                if let Some(answer) = books.answers.get(&id) {
                    return Answer::Ok(answer.clone());
                }
                let balance = books.balance(account);
                if self.flaw == Flaw::LostUpdate {
                    drop(books);
                    thread::yield_now();
                    books = self.books.lock().unwrap();
                }
                // What has happened in between is written over.
                let change = (balance + amount) as i64 - books.balance(account) as i64;
                let answer = vec![balance + amount];
                let changes = vec![(account, change)];
                self.enter(
                    &mut books,
                    Entry {
                        id,
                        changes,
                        answer: answer.clone(),
                    },
                );
                Answer::Ok(answer)
            }
            Order::Transfer {
                id,
                account,
                to,
                amount,
            } => {
                let mut books = self.books.lock().unwrap();
                if self.flaw == Flaw::MoneyInTheAir && books.taken.contains(&id) {
                    return Answer::Unknown("nobody has waited".into());
                }
                if let Some(answer) = books.answers.get(&id) {
                    return Answer::Ok(answer.clone());
                }
                let balance = books.balance(account);
                if balance < amount {
                    return Answer::Failed(format!("there are only {balance}"));
                }
                let answer = vec![balance - amount];
                let mut changes = vec![(account, -(amount as i64)), (to, amount as i64)];
                if self.flaw == Flaw::MoneyInTheAir && self.one_in(20) {
                    changes.pop();
                    let answer = answer.clone();
                    self.enter(
                        &mut books,
                        Entry {
                            id,
                            changes,
                            answer,
                        },
                    );
                    return Answer::Unknown("nobody has waited".into());
                }
                self.enter(
                    &mut books,
                    Entry {
                        id,
                        changes,
                        answer: answer.clone(),
                    },
                );
                Answer::Ok(answer)
            }
        }
    }

    fn enter(&self, books: &mut Books, entry: Entry) {
        let is_transfer = entry.changes.len() == 2;
        let forgets = self.flaw == Flaw::TransferForgotten && is_transfer;
        books.apply(&entry, !forgets);
        let is_lost = self.flaw == Flaw::EntryNotWritten && self.one_in(20);
        if !is_lost {
            books.journal.push(entry);
        }
    }

    /// Has an order carried out, as a teller does: again and again, some with little patience.
    fn order(&self, order: Order, is_patient: bool, clock: &AtomicU64) -> Event {
        let now = || clock.fetch_add(1, Ordering::SeqCst);
        let begun = now();
        let mut answer = Answer::Unknown("no answer".into());
        while let Answer::Unknown(_) = answer {
            match self.attempt(&order) {
                // What is known to be in the air is not asked for again.
                Some(Answer::Unknown(why)) => {
                    answer = Answer::Unknown(why);
                    break;
                }
                Some(come) => answer = come,
                None if is_patient || !self.one_in(3) => {}
                None => break,
            }
            thread::yield_now();
        }
        Event {
            order,
            begun,
            ended: now(),
            answer,
        }
    }

    /// What several tellers see of it, and how much it has in the end.
    fn observed(&self, seed: u64) -> (Vec<Event>, u64) {
        let clock = AtomicU64::new(1);
        let mut dice = Rng::with_seed(seed);
        let mut history = Vec::new();
        for account in ACCOUNTS {
            let (id, amount) = (dice.u64(1..u64::MAX), dice.u64(1_000_000..5_000_000));
            let order = Order::Deposit {
                id,
                account,
                amount,
            };
            history.push(self.order(order, true, &clock));
        }
        let tellers = thread::scope(|scope| {
            let tellers: Vec<_> = (0..4)
                .map(|n| {
                    let (mut dice, clock) = (dice.fork(), &clock);
                    scope.spawn(move || {
                        let order = |_| self.order(Order::by(&mut dice), n == 0, clock);
                        (0..100).map(order).collect::<Vec<_>>()
                    })
                })
                .collect();
            let join = |teller: thread::ScopedJoinHandle<'_, Vec<Event>>| teller.join().unwrap();
            tellers.into_iter().flat_map(join).collect::<Vec<_>>()
        });
        history.extend(tellers);
        self.crash();
        // Of deposits it is found out whether they have been made.
        for event in &mut history {
            let is_deposit = matches!(event.order, Order::Deposit { .. });
            if is_deposit && matches!(event.answer, Answer::Unknown(_)) {
                let again = self.order(event.order.clone(), true, &clock);
                (event.answer, event.ended) = (again.answer, again.ended);
            }
        }
        for account in ACCOUNTS {
            history.push(self.order(Order::Balance { account }, true, &clock));
        }
        let sum = self.books.lock().unwrap().accounts.values().sum();
        (history, sum)
    }
}

/// What is wrong with a bank that has a flaw, as it was seen at several times.
fn noticed(flaw: Flaw) -> Vec<Vec<Wrong>> {
    (1..=8)
        .map(|seed| {
            let (history, sum) = Toy::new(flaw, seed).observed(seed);
            let ids: HashSet<_> = history.iter().map(|event| event.begun).collect();
            assert_eq!(ids.len(), history.len(), "the clock tells all apart");
            check(&history, sum)
        })
        .collect()
}

/// In how many of them the sum is wrong, and in how many an account.
fn count(noticed: &[Vec<Wrong>]) -> (usize, usize) {
    let of = |is: fn(&Wrong) -> bool| noticed.iter().filter(|all| all.iter().any(is)).count();
    (of(is_sum), of(|wrong| !is_sum(wrong)))
}

#[test]
fn a_bank_without_a_flaw_is_found_to_have_none() {
    assert_eq!(count(&noticed(Flaw::Nothing)), (0, 0));
}

#[test]
fn a_transfer_that_is_not_remembered_is_noticed() {
    let (sums, accounts) = count(&noticed(Flaw::TransferForgotten));
    // It goes from one account to another, and so nothing is lost: the sum alone says nothing.
    assert_eq!(sums, 0);
    assert_eq!(accounts, 8);
}

#[test]
fn an_entry_that_is_not_written_is_noticed() {
    let (sums, accounts) = count(&noticed(Flaw::EntryNotWritten));
    assert!(sums > 4 && accounts > 6, "{sums} {accounts}");
}

#[test]
fn an_update_that_is_lost_is_noticed() {
    let (sums, accounts) = count(&noticed(Flaw::LostUpdate));
    assert!(sums > 0 && accounts > 0, "{sums} {accounts}");
}

#[test]
fn a_balance_that_is_no_more_is_noticed() {
    let (sums, accounts) = count(&noticed(Flaw::StaleRead));
    assert_eq!((sums, accounts), (0, 8));
}

#[test]
fn money_that_never_arrives_is_noticed() {
    let (sums, accounts) = count(&noticed(Flaw::MoneyInTheAir));
    // Each account has an explanation: where nobody knows what has become of a transfer, half of it will do.
    assert_eq!((sums, accounts), (8, 0));
}
