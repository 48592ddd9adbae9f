#[path = "framework/mod.rs"]
mod framework;

use actor_core::{Actor, Addr, Context, Handler, remote};
use actor_remote::{RemoteRef, Serves};

#[remote(crate = crate::framework)]
trait Bank {
    fn open(&mut self, account: u64);

    fn close(&mut self, account: u64);
}

#[remote(crate = crate::framework)]
trait House {
    fn enter(&mut self);
}

struct Half;

impl Actor for Half {}

impl Handler<bank_messages::Open> for Half {
    fn handle(&mut self, _: bank_messages::Open, _: &mut Context<Self>) {}
}

fn serve(half: &Addr<Half>) -> &dyn Serves<BankProtocol> {
    half
}

fn enter(bank: &RemoteRef<BankProtocol>) {
    let _ = bank.send(house_messages::Enter);
}

fn main() {}
