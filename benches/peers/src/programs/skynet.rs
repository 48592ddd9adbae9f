//! A tree of actors, ten below each, with a million leaves; the numbers of the leaves are added up on
//! the way back to the root.

use crate::frameworks::{Behaviour, Context, Framework, Inbox, Outlet, Place};
use std::time::Instant;

const LEAVES: u64 = 1_000_000;
const CHILDREN: u64 = 10;
const SUM: u64 = LEAVES * (LEAVES - 1) / 2;

pub(crate) struct Node<F: Framework> {
    parent: Parent<F>,
    /// The leaves below this one, and the number of the first of them.
    size: u64,
    first: u64,
    missing: u64,
    sum: u64,
}

enum Parent<F: Framework> {
    Node(F::Addr<Node<F>>),
    Main(Outlet),
}

pub(crate) enum Message {
    Begin,
    Sum(u64),
}

impl<F: Framework> Node<F> {
    fn new(parent: Parent<F>, first: u64, size: u64) -> Self {
        Node {
            parent,
            size,
            first,
            missing: CHILDREN,
            sum: 0,
        }
    }

    fn finish(&mut self, sum: u64, context: &mut impl Context<F, Self>) {
        match &self.parent {
            Parent::Node(parent) => F::send(parent, Message::Sum(sum)),
            Parent::Main(outlet) => outlet.tell(sum),
        }
        context.stop();
    }
}

impl<F: Framework> Behaviour<F> for Node<F> {
    type Message = Message;

    fn receive(&mut self, message: Message, context: &mut impl Context<F, Self>) {
        match message {
            Message::Begin if self.size == 1 => self.finish(self.first, context),
            Message::Begin => {
                let size = self.size / CHILDREN;
                for n in 0..CHILDREN {
                    let parent = Parent::Node(context.me());
                    let child = Node::new(parent, self.first + n * size, size);
                    // The big branches go to different places, what is below them stays together.
                    let place = match self.parent {
                        Parent::Main(_) => Place::Spread(n as usize),
                        Parent::Node(_) => Place::Here,
                    };
                    F::send(&F::spawn(place, child), Message::Begin);
                }
            }
            Message::Sum(sum) => {
                self.sum += sum;
                self.missing -= 1;
                if self.missing == 0 {
                    self.finish(self.sum, context);
                }
            }
        }
    }
}

/// The milliseconds from the first actor to the sum.
pub(crate) async fn milliseconds<F: Framework>() -> f64 {
    let (outlet, mut inbox) = F::inbox();
    let start = Instant::now();
    let root = Node::<F>::new(Parent::Main(outlet), 0, LEAVES);
    F::send(&F::spawn(Place::Here, root), Message::Begin);
    assert_eq!(inbox.next().await, SUM);
    start.elapsed().as_secs_f64() * 1e3
}
