//! A bank: a thousand accounts send money to each other while somebody kills them at random.
//! Try it: `cargo run --release --example bank`, or with a seed of your own behind `--`.
//!
//! An account is an actor, and what it knows is gone when it is killed. So what counts is in its book,
//! which outlives it as a file would; and the book changes only in single steps, between which it may be
//! killed. To take money out and to note whom it is for is one step. To put it in and to note the number
//! of the transfer is another. What is noted as on its way is sent again, after a restart and now and
//! then, until there is a receipt; and what has been put in once is not put in a second time.

use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use concurrence::{
    Actor, Addr, BoxError, Child, Context, Handler, Message, Supervisor, Tasklet, dispatch,
};

const ACCOUNTS: usize = 1_000;
const EACH: u64 = 1_000;
const TRANSFERS: u64 = 20_000;
const KILLS: u64 = 2_000;

/// What is known of an account whatever becomes of its actor.
#[derive(Default)]
struct Book {
    balance: u64,
    /// By the number of the transfer: what has been taken out, and for whom, until there is a receipt.
    under_way: BTreeMap<u64, (usize, u64)>,
    /// The numbers of the transfers that have been put in.
    received: HashSet<u64>,
}

/// What all accounts know.
struct Bank {
    books: Vec<Mutex<Book>>,
    accounts: OnceLock<Vec<Addr<Account>>>,
    /// How many lives all accounts have had together, how many orders were refused for want of money,
    /// and how many deposits came more than once.
    lives: AtomicU64,
    refused: AtomicU64,
    repeated: AtomicU64,
}

impl Bank {
    fn account(&self, number: usize) -> &Addr<Account> {
        &self.accounts.get().expect("the bank has opened")[number]
    }

    /// Held for one step, in which nothing of the framework is done: a kill cannot fall into it.
    fn book(&self, number: usize) -> MutexGuard<'_, Book> {
        self.books[number].lock().expect("no step panics")
    }
}

struct Account {
    number: usize,
    bank: Arc<Bank>,
}

/// The order to send money to another account.
#[derive(Message)]
struct Transfer {
    number: u64,
    to: usize,
    amount: u64,
}

/// Money, on its way.
#[derive(Message)]
struct Deposit {
    number: u64,
    from: usize,
    amount: u64,
}

/// A deposit has come.
#[derive(Message)]
struct Receipt(u64);

/// What is still under way is to be sent again.
#[derive(Message, Clone)]
struct Again;

/// The balance, and how much is under way.
#[derive(Message)]
#[message(reply = (u64, u64))]
struct Statement;

impl Account {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.bank.book(self.number)
    }

    fn deposit(&self, number: u64, to: usize, amount: u64) {
        let from = self.number;
        let deposit = Deposit {
            number,
            from,
            amount,
        };
        // One that does not arrive stays under way.
        let _ = self.bank.account(to).send(deposit);
    }
}

impl Actor for Account {
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        ctx.send_every(Again, Duration::from_millis(200));
        ctx.addr().send(Again)?;
        Ok(())
    }
}

impl Handler<Transfer> for Account {
    fn handle(&mut self, order: Transfer, _: &mut Context<Self>) {
        let Transfer { number, to, amount } = order;
        dawdle(); // killed here, it has never heard of the order
        {
            let mut book = self.book();
            if book.balance < amount {
                self.bank.refused.fetch_add(1, Relaxed);
                return;
            }
            book.balance -= amount;
            book.under_way.insert(number, (to, amount));
        }
        dawdle(); // killed here, it sends the deposit in its next life
        self.deposit(number, to, amount);
    }
}

impl Handler<Deposit> for Account {
    fn handle(&mut self, deposit: Deposit, _: &mut Context<Self>) {
        dawdle(); // killed here, it gets the deposit again
        {
            let mut book = self.book();
            if book.received.insert(deposit.number) {
                book.balance += deposit.amount;
            } else {
                self.bank.repeated.fetch_add(1, Relaxed);
            }
        }
        dawdle(); // killed here, it gets the deposit again and only sends the receipt
        let _ = self
            .bank
            .account(deposit.from)
            .send(Receipt(deposit.number));
    }
}

impl Handler<Receipt> for Account {
    fn handle(&mut self, Receipt(number): Receipt, _: &mut Context<Self>) {
        self.book().under_way.remove(&number);
    }
}

impl Handler<Again> for Account {
    fn handle(&mut self, _: Again, _: &mut Context<Self>) {
        let under_way = self.book().under_way.clone();
        for (number, (to, amount)) in under_way {
            self.deposit(number, to, amount);
        }
    }
}

impl Handler<Statement> for Account {
    fn handle(&mut self, _: Statement, _: &mut Context<Self>) -> (u64, u64) {
        let book = self.book();
        let under_way = book.under_way.values().map(|(_, amount)| amount);
        (book.balance, under_way.sum())
    }
}

/// Takes a while, as a disk would.
fn dawdle() {
    Tasklet::sleep(Duration::from_micros(100));
}

/// Random numbers, good enough for this.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn account(&mut self) -> usize {
        self.below(ACCOUNTS as u64) as usize
    }
}

/// Opens the bank: all accounts under one supervisor, which never gives up while somebody has its address.
fn open() -> Result<(Arc<Bank>, Addr<Supervisor>), BoxError> {
    let book = || Book {
        balance: EACH,
        ..Book::default()
    };
    let bank = Arc::new(Bank {
        books: (0..ACCOUNTS).map(|_| Mutex::new(book())).collect(),
        accounts: OnceLock::new(),
        lives: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        repeated: AtomicU64::new(0),
    });
    let children = (0..ACCOUNTS).map(|number| {
        let bank = bank.clone();
        Child::new(format!("account {number}"), move || {
            bank.lives.fetch_add(1, Relaxed);
            Account {
                number,
                bank: bank.clone(),
            }
        })
    });
    let children: Vec<_> = children.collect();
    let _ = bank
        .accounts
        .set(children.iter().map(Child::addr).collect());
    let supervisor = Supervisor::one_for_one().intensity(usize::MAX, Duration::from_secs(1));
    let supervisor = children.into_iter().fold(supervisor, Supervisor::child);
    Ok((bank, Addr::builder().spawn_ready(supervisor)?))
}

fn run(seed: u64) -> Result<ExitCode, BoxError> {
    let (bank, _supervisor) = open()?;
    let mut dice = Dice(seed);
    for number in 0..TRANSFERS {
        let (from, to, amount) = (dice.account(), dice.account(), dice.below(EACH / 2));
        bank.account(from).send(Transfer { number, to, amount })?;
        if number % (TRANSFERS / KILLS) == 0 {
            Tasklet::sleep(Duration::from_micros(50));
            bank.account(dice.account()).kill();
        }
    }
    // All has been ordered, and nobody is killed any more: what is under way will arrive.
    while sum_of_all(&bank)?.1 > 0 {
        Tasklet::sleep(Duration::from_millis(10));
    }
    // A sum that is taken while money moves means nothing; now none does.
    let (after, _) = sum_of_all(&bank)?;
    let before = ACCOUNTS as u64 * EACH;
    let done = (0..ACCOUNTS)
        .map(|n| bank.book(n).received.len() as u64)
        .sum::<u64>();
    let (refused, repeated) = (bank.refused.load(Relaxed), bank.repeated.load(Relaxed));
    let lost = TRANSFERS - done - refused;
    let restarts = bank.lives.load(Relaxed) - ACCOUNTS as u64;
    println!("{KILLS} kills, {restarts} restarts");
    println!(
        "{TRANSFERS} transfers ordered: {done} done, {refused} refused for want of money, {lost} killed"
    );
    println!("{repeated} deposits came again and did not count again");
    println!("money: {before} before, {after} after");
    Ok(match after == before {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Asks all accounts: the sum of the balances, and of what is under way.
fn sum_of_all(bank: &Bank) -> Result<(u64, u64), BoxError> {
    let mut sums = (0, 0);
    for number in 0..ACCOUNTS {
        let (balance, under_way) = bank.account(number).call(Statement)?;
        sums = (sums.0 + balance, sums.1 + under_way);
    }
    Ok(sums)
}

fn main() -> ExitCode {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok());
    dispatch(move || run(seed.unwrap_or(1)))
}
