//! Savina's "chameneos": creatures that meet in a mall, two at a time, and both change colour. All
//! messages go through one actor or come from it.

use super::{Program, Roll};
use crate::frameworks::{Behaviour, Context, Framework, Inbox, Outlet, Place};
use std::sync::Arc;

pub(crate) struct Chameneos<F: Framework> {
    outlet: Outlet,
    inbox: F::Inbox,
}

const CREATURES: u64 = 100;
const MEETINGS: u64 = 20_000;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Colour {
    Red,
    Yellow,
    Blue,
}

impl Colour {
    /// What both become: the same colour stays, of two different ones they become the third.
    fn meets(self, other: Colour) -> Colour {
        match (self, other) {
            (Colour::Red, Colour::Red) => Colour::Red,
            (Colour::Yellow, Colour::Yellow) => Colour::Yellow,
            (Colour::Blue, Colour::Blue) => Colour::Blue,
            (Colour::Red, Colour::Yellow) | (Colour::Yellow, Colour::Red) => Colour::Blue,
            (Colour::Red, Colour::Blue) | (Colour::Blue, Colour::Red) => Colour::Yellow,
            (Colour::Yellow, Colour::Blue) | (Colour::Blue, Colour::Yellow) => Colour::Red,
        }
    }
}

pub(crate) struct Mall<F: Framework> {
    waiting: Option<F::Addr<Creature<F>>>,
    left: u64,
    /// Creatures that have not been sent away.
    guests: u64,
}

pub(crate) struct Arrival<F: Framework> {
    colour: Colour,
    creature: F::Addr<Creature<F>>,
}

impl<F: Framework> Behaviour<F> for Mall<F> {
    type Message = Arrival<F>;

    fn receive(&mut self, arrival: Arrival<F>, context: &mut impl Context<F, Self>) {
        if self.left == 0 {
            F::send(&arrival.creature, Message::Leave);
            self.guests -= 1;
            if self.guests == 0 {
                context.stop();
            }
            return;
        }
        match self.waiting.take() {
            None => self.waiting = Some(arrival.creature),
            Some(waiting) => {
                self.left -= 1;
                F::send(&waiting, Message::Meet(arrival));
            }
        }
    }
}

pub(crate) struct Creature<F: Framework> {
    mall: F::Addr<Mall<F>>,
    colour: Colour,
    meetings: u64,
    roll: Arc<Roll>,
}

pub(crate) enum Message<F: Framework> {
    Begin,
    Meet(Arrival<F>),
    Change(Colour),
    Leave,
}

impl<F: Framework> Creature<F> {
    fn go_to_mall(&self, context: &impl Context<F, Self>) {
        let arrival = Arrival {
            colour: self.colour,
            creature: context.me(),
        };
        F::send(&self.mall, arrival);
    }
}

impl<F: Framework> Behaviour<F> for Creature<F> {
    type Message = Message<F>;

    fn receive(&mut self, message: Message<F>, context: &mut impl Context<F, Self>) {
        match message {
            Message::Begin => self.go_to_mall(context),
            Message::Meet(other) => {
                self.colour = self.colour.meets(other.colour);
                self.meetings += 1;
                F::send(&other.creature, Message::Change(self.colour));
                self.go_to_mall(context);
            }
            Message::Change(colour) => {
                self.colour = colour;
                self.meetings += 1;
                self.go_to_mall(context);
            }
            Message::Leave => {
                self.roll.sign(self.meetings);
                context.stop();
            }
        }
    }
}

impl<F: Framework> Chameneos<F> {
    pub(crate) fn new() -> Self {
        let (outlet, inbox) = F::inbox();
        Chameneos { outlet, inbox }
    }
}

impl<F: Framework> Program for Chameneos<F> {
    async fn batch(&mut self) -> usize {
        let mall = Mall {
            waiting: None,
            left: MEETINGS,
            guests: CREATURES,
        };
        let mall = F::spawn(Place::Spread(0), mall);
        let roll = Arc::new(Roll::new(CREATURES, self.outlet.clone()));
        for number in 0..CREATURES {
            let creature = Creature {
                mall: mall.clone(),
                colour: [Colour::Red, Colour::Yellow, Colour::Blue][number as usize % 3],
                meetings: 0,
                roll: roll.clone(),
            };
            let creature = F::spawn(Place::Spread(number as usize + 1), creature);
            F::send(&creature, Message::Begin);
        }
        // Two take part in each.
        assert_eq!(self.inbox.next().await, 2 * MEETINGS);
        MEETINGS as usize
    }
}
