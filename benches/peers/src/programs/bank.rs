//! Savina's "bank transaction": a teller orders transfers between 1,000 accounts chosen at random. An
//! account that pays waits until the other has confirmed; what it is ordered meanwhile has to wait.

use super::{Dice, Program, Roll};
use crate::frameworks::{Behaviour, Context, Framework, Inbox, Outlet, Place};
use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) struct Bank<F: Framework> {
    outlet: Outlet,
    inbox: F::Inbox,
}

const ACCOUNTS: usize = 1_000;
const TRANSFERS: u64 = 50_000;
const BALANCE: u64 = 1_000_000;

pub(crate) struct Teller<F: Framework> {
    accounts: Vec<F::Addr<Account<F>>>,
    done: u64,
}

pub(crate) enum Message<F: Framework> {
    Begin(Vec<F::Addr<Account<F>>>),
    Done,
}

impl<F: Framework> Behaviour<F> for Teller<F> {
    type Message = Message<F>;

    fn receive(&mut self, message: Message<F>, context: &mut impl Context<F, Self>) {
        match message {
            Message::Begin(accounts) => {
                self.accounts = accounts;
                let mut dice = Dice::new(0);
                for _ in 0..TRANSFERS {
                    // From one in the first nine tenths to one behind it.
                    let from = dice.below(ACCOUNTS / 10 * 9);
                    let to = from + 1 + dice.below(ACCOUNTS - from - 1);
                    let order = Order::Transfer(Transfer {
                        amount: 1 + dice.below(1_000) as u64,
                        to: self.accounts[to].clone(),
                        teller: context.me(),
                    });
                    F::send(&self.accounts[from], order);
                }
            }
            Message::Done => {
                self.done += 1;
                if self.done == TRANSFERS {
                    for account in &self.accounts {
                        F::send(account, Order::Close);
                    }
                    context.stop();
                }
            }
        }
    }
}

pub(crate) struct Account<F: Framework> {
    balance: u64,
    /// Who has ordered the transfer that is under way.
    under_way: Option<F::Addr<Teller<F>>>,
    waiting: VecDeque<Transfer<F>>,
    roll: Arc<Roll>,
}

pub(crate) struct Transfer<F: Framework> {
    amount: u64,
    to: F::Addr<Account<F>>,
    teller: F::Addr<Teller<F>>,
}

pub(crate) enum Order<F: Framework> {
    Transfer(Transfer<F>),
    Credit {
        amount: u64,
        from: F::Addr<Account<F>>,
    },
    Confirmed,
    Close,
}

impl<F: Framework> Account<F> {
    fn pay(&mut self, transfer: Transfer<F>, context: &impl Context<F, Self>) {
        self.balance -= transfer.amount;
        let credit = Order::Credit {
            amount: transfer.amount,
            from: context.me(),
        };
        F::send(&transfer.to, credit);
        self.under_way = Some(transfer.teller);
    }
}

impl<F: Framework> Behaviour<F> for Account<F> {
    type Message = Order<F>;

    fn receive(&mut self, order: Order<F>, context: &mut impl Context<F, Self>) {
        match order {
            Order::Transfer(transfer) if self.under_way.is_some() => {
                self.waiting.push_back(transfer);
            }
            Order::Transfer(transfer) => self.pay(transfer, context),
            Order::Credit { amount, from } => {
                self.balance += amount;
                F::send(&from, Order::Confirmed);
            }
            Order::Confirmed => {
                let teller = self.under_way.take().expect("a transfer is under way");
                F::send(&teller, Message::Done);
                if let Some(next) = self.waiting.pop_front() {
                    self.pay(next, context);
                }
            }
            Order::Close => {
                self.roll.sign(self.balance);
                context.stop();
            }
        }
    }
}

impl<F: Framework> Bank<F> {
    pub(crate) fn new() -> Self {
        let (outlet, inbox) = F::inbox();
        Bank { outlet, inbox }
    }
}

impl<F: Framework> Program for Bank<F> {
    async fn batch(&mut self) -> usize {
        let roll = Arc::new(Roll::new(ACCOUNTS as u64, self.outlet.clone()));
        let account = || Account {
            balance: BALANCE,
            under_way: None,
            waiting: VecDeque::new(),
            roll: roll.clone(),
        };
        let accounts = (0..ACCOUNTS)
            .map(|number| F::spawn(Place::Spread(number), account()))
            .collect();
        let teller = Teller {
            accounts: Vec::new(),
            done: 0,
        };
        let teller = F::spawn(Place::Here, teller);
        F::send(&teller, Message::Begin(accounts));
        // No money is lost, and none is made.
        assert_eq!(self.inbox.next().await, ACCOUNTS as u64 * BALANCE);
        TRANSFERS as usize
    }
}
