//! A branch: its accounts, and the couriers that take money to the others.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::io;
use std::path::PathBuf;

use concurrence::remote::Node;
use concurrence::{
    Accepts, Actor, Addr, BoxError, Context, Exit, Handler, JoinHandle, Message, ReplyTo, Tasklet,
    match_message,
};

use crate::journal::{Entry, Journal};
use crate::{
    Balance, Bank, Deposit, OrderError, PATIENCE, PAUSE, Remittance, Statement, Transfer, config,
    keep_connected, linked,
};

/// How many transfers wait at most for their branches.
const MAX_UNDER_WAY: usize = 10_000;

/// How many orders are remembered, unless `BANK_MEMORY` says otherwise.
const MAX_ANSWERS: usize = 100_000;

/// What the entries of the journal come to.
struct Books {
    accounts: BTreeMap<String, u64>,
    /// By its number, what was answered to whoever has ordered something.
    answers: BTreeMap<u64, u64>,
    /// How many of these are kept.
    max_answers: usize,
    /// Of the numbers below, those are known alone that are there.
    known_from: u64,
    /// Transfers whose money has not arrived, by the numbers of their orders.
    under_way: BTreeMap<u64, UnderWay>,
    /// How many remittances there have been to each branch, and from each.
    sent: HashMap<String, u64>,
    come: HashMap<String, u64>,
}

/// Money that has been taken out for another branch.
struct UnderWay {
    branch: String,
    /// Which of the remittances to that branch it is.
    number: u64,
    account: String,
    amount: u32,
    /// What whoever has ordered it is answered when it has arrived.
    answer: u64,
}

impl Books {
    fn new(max_answers: usize) -> Books {
        Books {
            accounts: BTreeMap::new(),
            answers: BTreeMap::new(),
            max_answers,
            known_from: 0,
            under_way: BTreeMap::new(),
            sent: HashMap::new(),
            come: HashMap::new(),
        }
    }

    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Deposit {
                id,
                account,
                amount,
            } => {
                let balance = self.put_in(account, *amount);
                self.answer(*id, balance);
            }
            Entry::Inside {
                id,
                account,
                amount,
                to,
            } => {
                let balance = self.take_out(account, *amount);
                self.answer(*id, balance);
                self.put_in(to, *amount);
            }
            Entry::Intent {
                id,
                account,
                amount,
                to,
                branch,
            } => {
                let answer = self.take_out(account, *amount);
                self.answer(*id, answer);
                let sent = self.sent.entry(branch.clone()).or_default();
                *sent += 1;
                let under_way = UnderWay {
                    branch: branch.clone(),
                    number: *sent,
                    account: to.clone(),
                    amount: *amount,
                    answer,
                };
                self.under_way.insert(*id, under_way);
            }
            Entry::Arrived { id } => {
                self.under_way.remove(id);
            }
            Entry::Remittance {
                from,
                number,
                account,
                amount,
            } => {
                self.put_in(account, *amount);
                self.come.insert(from.clone(), *number);
            }
        }
    }

    /// Remembers what an order is answered, and forgets the one with the lowest number if there are too many.
    fn answer(&mut self, id: u64, balance: u64) {
        self.answers.insert(id, balance);
        if self.answers.len() > self.max_answers
            && let Some((forgotten, _)) = self.answers.pop_first()
        {
            self.known_from = self.known_from.max(forgotten.saturating_add(1));
        }
    }

    /// Whether an order with this number, which is not known, may have been done before.
    fn is_too_old(&self, id: u64) -> bool {
        id < self.known_from
    }

    fn put_in(&mut self, account: &str, amount: u32) -> u64 {
        let balance = self.accounts.entry(account.to_owned()).or_default();
        *balance += u64::from(amount);
        *balance
    }

    fn take_out(&mut self, account: &str, amount: u32) -> u64 {
        let balance = self.accounts.entry(account.to_owned()).or_default();
        *balance -= u64::from(amount);
        *balance
    }

    fn balance(&self, account: &str) -> u64 {
        self.accounts.get(account).copied().unwrap_or(0)
    }
}

struct Branch {
    name: String,
    books: Books,
    journal: Journal,
    /// Who has asked for a transfer that is under way.
    waiting: HashMap<u64, ReplyTo<Result<u64, OrderError>>>,
    couriers: HashMap<String, JoinHandle<()>>,
    node: Node,
    others: Vec<String>,
}

/// One to be taken to another branch, for the order with this number.
#[derive(Message)]
struct Deliver(u64, Remittance);

/// The other branch has answered.
#[derive(Message)]
struct Arrived(u64);

impl Branch {
    /// Has it on the disk before it counts.
    fn enter(&mut self, entry: &Entry) -> io::Result<()> {
        self.journal.write(entry)?;
        self.books.apply(entry);
        Ok(())
    }

    fn deposit(&mut self, deposit: Deposit) -> io::Result<Result<u64, OrderError>> {
        let Deposit {
            id,
            account,
            amount,
        } = deposit;
        if let Some(answer) = self.books.answers.get(&id) {
            return Ok(Ok(*answer));
        }
        if self.books.is_too_old(id) {
            return Ok(Err(OrderError::TooOld));
        }
        let answer = self.books.balance(&account) + u64::from(amount);
        self.enter(&Entry::Deposit {
            id,
            account,
            amount,
        })?;
        Ok(Ok(answer))
    }

    /// Nothing if there is no answer yet.
    fn transfer(&mut self, order: Transfer) -> io::Result<Option<Result<u64, OrderError>>> {
        let Transfer {
            id,
            account,
            amount,
            to: (to, branch),
        } = order;
        if self.books.under_way.contains_key(&id) {
            return Ok(None);
        }
        if let Some(answer) = self.books.answers.get(&id) {
            return Ok(Some(Ok(*answer)));
        }
        if self.books.is_too_old(id) {
            return Ok(Some(Err(OrderError::TooOld)));
        }
        let is_inside = branch == self.name;
        let balance = self.books.balance(&account);
        let refused = if balance < u64::from(amount) {
            Some(OrderError::TooLittle(balance))
        } else if !is_inside && !self.couriers.contains_key(&branch) {
            Some(OrderError::UnknownBranch)
        } else if self.books.under_way.len() >= MAX_UNDER_WAY {
            Some(OrderError::Busy)
        } else {
            None
        };
        if let Some(error) = refused {
            return Ok(Some(Err(error)));
        }
        if is_inside {
            self.enter(&Entry::Inside {
                id,
                account,
                amount,
                to,
            })?;
            return Ok(Some(Ok(balance - u64::from(amount))));
        }
        self.enter(&Entry::Intent {
            id,
            account,
            amount,
            to,
            branch,
        })?;
        self.send_off(id);
        Ok(None)
    }

    fn send_off(&self, id: u64) {
        if let Some(under_way) = self.books.under_way.get(&id)
            && let Some(courier) = self.couriers.get(&under_way.branch)
        {
            let remittance = Remittance {
                from: self.name.clone(),
                number: under_way.number,
                account: under_way.account.clone(),
                amount: under_way.amount,
            };
            // It ends with the program alone, and then the next start sends it off again.
            let _ = courier.send(Deliver(id, remittance));
        }
    }

    fn remittance(&mut self, remittance: Remittance) -> io::Result<()> {
        let Remittance {
            from,
            number,
            account,
            amount,
        } = remittance;
        let come = self.books.come.get(&from).copied().unwrap_or(0);
        match number.checked_sub(come) {
            Some(1) => self.enter(&Entry::Remittance {
                from,
                number,
                account,
                amount,
            }),
            // It has come before.
            None | Some(0) => Ok(()),
            Some(_) => Err(io::Error::other(format!(
                "{from} has sent remittance {number} after {come}: one of the journals is not what it was"
            ))),
        }
    }
}

impl Actor for Branch {
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        for other in &self.others {
            let (node, own, name) = (self.node.clone(), ctx.addr(), other.clone());
            let courier = Tasklet::builder()
                .name(format!("courier to {other}"))
                .daemon(true)
                .spawn(move || deliver(&node, &own, &name))?;
            self.couriers.insert(other.clone(), courier);
        }
        // In the order in which they were intended.
        let mut under_way: Vec<_> = self.books.under_way.iter().collect();
        under_way.sort_by_key(|(_, under_way)| under_way.number);
        for (id, UnderWay { branch, .. }) in under_way {
            if !self.couriers.contains_key(branch) {
                tracing::error!(branch, "has money to come, and nobody says where it is");
            }
            self.send_off(*id);
        }
        Ok(())
    }
}

/// Takes one remittance after the other to another branch, each as often as it takes.
fn deliver(node: &Node, own: &Addr<Branch>, branch: &str) {
    for message in Tasklet::receive() {
        match_message!(match message {
            Deliver(id, remittance) => {
                while !is_delivered(node, branch, &remittance) {
                    Tasklet::sleep(PAUSE);
                }
                if own.send(Arrived(id)).is_err() {
                    return;
                }
            }
        });
    }
}

fn is_delivered(node: &Node, branch: &str, remittance: &Remittance) -> bool {
    let Some(peer) = linked(node, branch) else {
        return false;
    };
    let other = peer.unchecked::<Bank>("branch");
    let answer = other.call_timeout(remittance.clone(), PATIENCE);
    if let Err(error) = &answer {
        tracing::debug!(branch, number = remittance.number, %error, "once more");
    }
    answer.is_ok()
}

impl Accepts<Deposit> for Branch {
    fn accept(
        &mut self,
        deposit: Deposit,
        reply: ReplyTo<Result<u64, OrderError>>,
        ctx: &mut Context<Self>,
    ) {
        match self.deposit(deposit) {
            Ok(answer) => reply.send(answer),
            // What is on the disk nobody knows: the next start tells. Nobody is answered.
            Err(error) => ctx.fail(error),
        }
    }
}

impl Accepts<Remittance> for Branch {
    fn accept(&mut self, remittance: Remittance, reply: ReplyTo<()>, ctx: &mut Context<Self>) {
        match self.remittance(remittance) {
            Ok(()) => reply.send(()),
            Err(error) => ctx.fail(error),
        }
    }
}

impl Accepts<Transfer> for Branch {
    fn accept(
        &mut self,
        order: Transfer,
        reply: ReplyTo<Result<u64, OrderError>>,
        ctx: &mut Context<Self>,
    ) {
        let id = order.id;
        match self.transfer(order) {
            Ok(Some(answer)) => reply.send(answer),
            // Who asks again has no use for an answer to the first time.
            Ok(None) => drop(self.waiting.insert(id, reply)),
            Err(error) => ctx.fail(error),
        }
    }
}

impl Handler<Arrived> for Branch {
    fn handle(&mut self, Arrived(id): Arrived, ctx: &mut Context<Self>) {
        let Some(answer) = self
            .books
            .under_way
            .get(&id)
            .map(|transfer| transfer.answer)
        else {
            return;
        };
        if let Err(error) = self.enter(&Entry::Arrived { id }) {
            return ctx.fail(error);
        }
        if let Some(reply) = self.waiting.remove(&id) {
            reply.send(Ok(answer));
        }
    }
}

impl Handler<Balance> for Branch {
    fn handle(&mut self, Balance(account): Balance, _: &mut Context<Self>) -> u64 {
        self.books.balance(&account)
    }
}

impl Handler<Statement> for Branch {
    fn handle(&mut self, _: Statement, _: &mut Context<Self>) -> (u64, u64) {
        let under_way = self.books.under_way.values();
        let under_way = under_way.map(|transfer| u64::from(transfer.amount));
        (self.books.accounts.values().sum(), under_way.sum())
    }
}

/// Opens a branch: what it has done before first, and then its doors. `others` are the other branches, and where
/// they are; one of two needs to know where the other is.
pub(crate) fn run(
    name: &str,
    addr: &str,
    directory: PathBuf,
    others: Vec<(String, String)>,
) -> Result<(), BoxError> {
    let max_answers = match env::var("BANK_MEMORY") {
        Ok(count) => count.parse()?,
        Err(_) => MAX_ANSWERS,
    };
    let mut books = Books::new(max_answers);
    let journal = Journal::open(&directory, |entry| books.apply(&entry))?;
    let node = Node::start(config(name)?)?;
    let branch = Addr::builder().spawn_ready(Branch {
        name: name.to_owned(),
        books,
        journal,
        waiting: HashMap::new(),
        couriers: HashMap::new(),
        node: node.clone(),
        others: others.iter().map(|(name, _)| name.clone()).collect(),
    })?;
    node.expose("branch", &branch).protocol::<Bank>();
    node.listen_on(addr)?;
    for (other, addr) in others.iter().filter(|(_, addr)| !addr.is_empty()) {
        keep_connected(&node, other, addr)?;
    }
    branch.monitor();
    let mut failed = Ok(());
    for message in Tasklet::receive() {
        let mut end = None;
        match_message!(match message {
            exit @ Exit { .. } => end = Some(exit),
        });
        // Without its books it is better to end than to be there and not answer.
        if let Some(exit) = end {
            failed = match exit.reason.is_abnormal() {
                true => Err(exit.to_string().into()),
                false => Ok(()),
            };
            break;
        }
    }
    node.close();
    failed
}
