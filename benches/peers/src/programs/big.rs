//! Savina's "big": every actor sends a ping to another that it chooses at random, waits for the pong,
//! and does so again: many to many.

use super::{Dice, Program, Roll};
use crate::frameworks::{Behaviour, Context, Framework, Inbox, Outlet, Place};
use std::sync::Arc;

pub(crate) struct Big<F: Framework> {
    outlet: Outlet,
    inbox: F::Inbox,
}

const ACTORS: usize = 120;
const PINGS_EACH: u64 = 2_000;

pub(crate) struct Player<F: Framework> {
    number: usize,
    others: Arc<[F::Addr<Player<F>>]>,
    dice: Dice,
    pongs: u64,
    /// The answer to each ping, and their sum.
    pinged: u64,
    sum: u64,
    roll: Arc<Roll>,
}

pub(crate) enum Message<F: Framework> {
    /// To all before any of them begins.
    Others(Arc<[F::Addr<Player<F>>]>),
    Begin,
    Ping {
        from: usize,
        value: u64,
    },
    Pong(u64),
    End,
}

impl<F: Framework> Player<F> {
    fn ping(&mut self) {
        let other = self.dice.below(self.others.len());
        self.pinged += 1;
        let ping = Message::Ping {
            from: self.number,
            value: self.pinged,
        };
        F::send(&self.others[other], ping);
    }
}

impl<F: Framework> Behaviour<F> for Player<F> {
    type Message = Message<F>;

    fn receive(&mut self, message: Message<F>, context: &mut impl Context<F, Self>) {
        match message {
            Message::Others(others) => self.others = others,
            Message::Begin => self.ping(),
            Message::Ping { from, value } => F::send(&self.others[from], Message::Pong(value)),
            Message::Pong(value) => {
                self.pongs += 1;
                self.sum += value;
                if self.pongs < PINGS_EACH {
                    self.ping();
                } else {
                    self.roll.sign(self.sum);
                }
            }
            Message::End => {
                // They refer to each other, and would stay.
                self.others = Arc::new([]);
                context.stop();
            }
        }
    }
}

impl<F: Framework> Big<F> {
    pub(crate) fn new() -> Self {
        let (outlet, inbox) = F::inbox();
        Big { outlet, inbox }
    }
}

impl<F: Framework> Program for Big<F> {
    async fn batch(&mut self) -> usize {
        let roll = Arc::new(Roll::new(ACTORS as u64, self.outlet.clone()));
        let player = |number| Player {
            number,
            others: Arc::new([]),
            dice: Dice::new(number as u64),
            pongs: 0,
            pinged: 0,
            sum: 0,
            roll: roll.clone(),
        };
        let players: Arc<[F::Addr<Player<F>>]> = (0..ACTORS)
            .map(|number| F::spawn(Place::Spread(number), player(number)))
            .collect();
        for one in players.iter() {
            F::send(one, Message::Others(players.clone()));
        }
        for one in players.iter() {
            F::send(one, Message::Begin);
        }
        let sum = ACTORS as u64 * PINGS_EACH * (PINGS_EACH + 1) / 2;
        assert_eq!(self.inbox.next().await, sum);
        for one in players.iter() {
            F::send(one, Message::End);
        }
        ACTORS * PINGS_EACH as usize
    }
}
