//! A token that goes round in a ring of actors.

use super::Program;
use crate::frameworks::{Behaviour, Context, Framework, Inbox, Outlet, Place};

/// A hop is one message from an actor to the next.
pub(crate) struct Ring<F: Framework> {
    first: F::Addr<Node<F>>,
    nodes: u64,
    inbox: F::Inbox,
}

/// Hops in a batch, a whole number of rounds.
const HOPS: u64 = 100_000;

pub(crate) struct Node<F: Framework> {
    number: u64,
    next: Option<F::Addr<Node<F>>>,
    outlet: Outlet,
}

pub(crate) enum Message<F: Framework> {
    Next(F::Addr<Node<F>>),
    /// Every node it comes to adds its number.
    Token {
        left: u64,
        sum: u64,
    },
}

impl<F: Framework> Behaviour<F> for Node<F> {
    type Message = Message<F>;

    fn receive(&mut self, message: Message<F>, _: &mut impl Context<F, Self>) {
        match message {
            Message::Next(next) => self.next = Some(next),
            Message::Token { left: 0, sum } => self.outlet.tell(sum),
            Message::Token { left, sum } => {
                let next = self.next.as_ref().expect("the ring is closed");
                let token = Message::Token {
                    left: left - 1,
                    sum: sum + self.number,
                };
                F::send(next, token);
            }
        }
    }
}

impl<F: Framework> Ring<F> {
    pub(crate) fn new(nodes: u64) -> Self {
        let (outlet, inbox) = F::inbox();
        let node = |number, next| Node {
            number,
            next,
            outlet: outlet.clone(),
        };
        let last = F::spawn(Place::Here, node(nodes - 1, None));
        let first = (0..nodes - 1).rev().fold(last.clone(), |next, number| {
            F::spawn(Place::Here, node(number, Some(next)))
        });
        F::send(&last, Message::Next(first.clone()));
        Ring {
            first,
            nodes,
            inbox,
        }
    }
}

impl<F: Framework> Program for Ring<F> {
    async fn batch(&mut self) -> usize {
        let token = Message::Token { left: HOPS, sum: 0 };
        F::send(&self.first, token);
        let round = self.nodes * (self.nodes - 1) / 2;
        assert_eq!(self.inbox.next().await, HOPS / self.nodes * round);
        HOPS as usize
    }
}
