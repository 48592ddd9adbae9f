//! A branch: its accounts, and the couriers that take money to the others.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;

use concurrence::remote::Node;
use concurrence::{
    Accepts, Actor, Addr, BoxError, Context, Exit, Handler, JoinHandle, Message, ReplyTo, Tasklet,
    match_message,
};

use crate::journal::{Entry, Journal};
use crate::{
    Balance, Bank, Deposit, PATIENCE, PAUSE, Statement, Transfer, TransferError, config,
    keep_connected, linked,
};

/// How many transfers wait at most for their branches.
const MAX_UNDER_WAY: usize = 10_000;

/// What the entries of the journal come to.
#[derive(Default)]
struct Books {
    accounts: BTreeMap<String, u64>,
    /// By its number, what was answered to whoever has ordered something.
    answers: HashMap<u64, u64>,
    /// By the name of the branch that they are for: deposits that have not been answered.
    under_way: BTreeMap<u64, (String, Deposit)>,
}

impl Books {
    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Deposit {
                id,
                account,
                amount,
            } => {
                let balance = self.put_in(account, *amount);
                self.answers.insert(*id, balance);
            }
            Entry::Inside {
                id,
                account,
                amount,
                to,
            } => {
                let balance = self.take_out(account, *amount);
                self.answers.insert(*id, balance);
                self.put_in(to, *amount);
            }
            Entry::Intent {
                id,
                account,
                amount,
                to,
                branch,
            } => {
                let balance = self.take_out(account, *amount);
                self.answers.insert(*id, balance);
                let deposit = Deposit {
                    id: *id,
                    account: to.clone(),
                    amount: *amount,
                };
                self.under_way.insert(*id, (branch.clone(), deposit));
            }
            Entry::Arrived { id } => {
                self.under_way.remove(id);
            }
        }
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
    waiting: HashMap<u64, ReplyTo<Result<u64, TransferError>>>,
    couriers: HashMap<String, JoinHandle<()>>,
    node: Node,
    others: Vec<String>,
}

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

    fn deposit(&mut self, deposit: Deposit) -> io::Result<u64> {
        let Deposit {
            id,
            account,
            amount,
        } = deposit;
        if !self.books.answers.contains_key(&id) {
            self.enter(&Entry::Deposit {
                id,
                account,
                amount,
            })?;
        }
        Ok(self.books.answers[&id])
    }

    /// Nothing if there is no answer yet.
    fn transfer(&mut self, order: Transfer) -> io::Result<Option<Result<u64, TransferError>>> {
        let Transfer {
            id,
            account,
            amount,
            to: (to, branch),
        } = order;
        if let Some(answer) = self.books.answers.get(&id) {
            let is_there = !self.books.under_way.contains_key(&id);
            return Ok(is_there.then_some(Ok(*answer)));
        }
        let is_inside = branch == self.name;
        let balance = self.books.balance(&account);
        let refused = if balance < u64::from(amount) {
            Some(TransferError::TooLittle(balance))
        } else if !is_inside && !self.couriers.contains_key(&branch) {
            Some(TransferError::UnknownBranch)
        } else if self.books.under_way.len() >= MAX_UNDER_WAY {
            Some(TransferError::Busy)
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
            return Ok(Some(Ok(self.books.answers[&id])));
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
        if let Some((branch, deposit)) = self.books.under_way.get(&id)
            && let Some(courier) = self.couriers.get(branch)
        {
            // It ends with the program alone, and then the next start sends it off again.
            let _ = courier.send(deposit.clone());
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
        for (id, (branch, _)) in &self.books.under_way {
            if !self.couriers.contains_key(branch) {
                tracing::error!(branch, "has money to come, and nobody says where it is");
            }
            self.send_off(*id);
        }
        Ok(())
    }
}

/// Takes one deposit after the other to another branch, each as often as it takes.
fn deliver(node: &Node, own: &Addr<Branch>, branch: &str) {
    for message in Tasklet::receive() {
        match_message!(match message {
            deposit @ Deposit { .. } => {
                let id = deposit.id;
                while !is_delivered(node, branch, &deposit) {
                    Tasklet::sleep(PAUSE);
                }
                if own.send(Arrived(id)).is_err() {
                    return;
                }
            }
        });
    }
}

fn is_delivered(node: &Node, branch: &str, deposit: &Deposit) -> bool {
    let Some(peer) = linked(node, branch) else {
        return false;
    };
    let other = peer.unchecked::<Bank>("branch");
    let answer = other.call_timeout(deposit.clone(), PATIENCE);
    if let Err(error) = &answer {
        tracing::debug!(branch, id = deposit.id, %error, "once more");
    }
    answer.is_ok()
}

impl Accepts<Deposit> for Branch {
    fn accept(&mut self, deposit: Deposit, reply: ReplyTo<u64>, ctx: &mut Context<Self>) {
        match self.deposit(deposit) {
            Ok(balance) => reply.send(balance),
            // What is on the disk nobody knows: the next start tells. Nobody is answered.
            Err(error) => ctx.fail(error),
        }
    }
}

impl Accepts<Transfer> for Branch {
    fn accept(
        &mut self,
        order: Transfer,
        reply: ReplyTo<Result<u64, TransferError>>,
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
        if !self.books.under_way.contains_key(&id) {
            return;
        }
        if let Err(error) = self.enter(&Entry::Arrived { id }) {
            return ctx.fail(error);
        }
        if let Some(reply) = self.waiting.remove(&id) {
            reply.send(Ok(self.books.answers[&id]));
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
        let under_way = under_way.map(|(_, deposit)| u64::from(deposit.amount));
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
    let mut books = Books::default();
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
