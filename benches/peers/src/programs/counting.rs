//! Savina's "counting actor": one actor sends another a number of increments, and then asks for the
//! count.

use super::Program;
use crate::frameworks::{Behaviour, Context, Framework, Inbox, Outlet, Place};

pub(crate) struct Counting<F: Framework> {
    outlet: Outlet,
    inbox: F::Inbox,
}

const INCREMENTS: u64 = 1_000_000;

pub(crate) struct Producer<F: Framework> {
    counter: F::Addr<Counter>,
    outlet: Outlet,
}

pub(crate) enum Word {
    Begin,
    Count(u64),
}

impl<F: Framework> Behaviour<F> for Producer<F> {
    type Message = Word;

    fn receive(&mut self, word: Word, context: &mut impl Context<F, Self>) {
        match word {
            Word::Begin => {
                for _ in 0..INCREMENTS {
                    F::send(&self.counter, Message::Increment);
                }
                F::send(&self.counter, Message::Retrieve(context.me()));
            }
            Word::Count(count) => {
                self.outlet.tell(count);
                context.stop();
            }
        }
    }
}

pub(crate) struct Counter(u64);

pub(crate) enum Message<F: Framework> {
    Increment,
    Retrieve(F::Addr<Producer<F>>),
}

impl<F: Framework> Behaviour<F> for Counter {
    type Message = Message<F>;

    fn receive(&mut self, message: Message<F>, context: &mut impl Context<F, Self>) {
        match message {
            Message::Increment => self.0 += 1,
            Message::Retrieve(producer) => {
                F::send(&producer, Word::Count(self.0));
                context.stop();
            }
        }
    }
}

impl<F: Framework> Counting<F> {
    pub(crate) fn new() -> Self {
        let (outlet, inbox) = F::inbox();
        Counting { outlet, inbox }
    }
}

impl<F: Framework> Program for Counting<F> {
    async fn batch(&mut self) -> usize {
        let producer = Producer {
            counter: F::spawn(Place::Spread(0), Counter(0)),
            outlet: self.outlet.clone(),
        };
        F::send(&F::spawn(Place::Spread(1), producer), Word::Begin);
        assert_eq!(self.inbox.next().await, INCREMENTS);
        INCREMENTS as usize
    }
}
