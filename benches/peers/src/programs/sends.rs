//! Messages from one or several actors to one other.

use super::Program;
use crate::frameworks::{Behaviour, Context, Framework, Inbox, Outlet, Place};

/// No mailbox has a bound, but every sender has at most two windows of messages under way: the receiver
/// asks for another when it has one. So the queue is short and both ends can work at the same time.
pub(crate) struct Sends<F: Framework> {
    senders: Vec<F::Addr<Sender<F>>>,
    inbox: F::Inbox,
}

/// Messages in a batch, of all senders.
const MESSAGES: u64 = 1 << 18;

/// Messages in a window, of all senders.
const WINDOW: u64 = 512;

pub(crate) struct Sender<F: Framework> {
    number: usize,
    receiver: F::Addr<Receiver<F>>,
    window: u64,
    /// How many this one has to send in a batch.
    share: u64,
    sent: u64,
}

pub(crate) enum Order {
    /// Begin a batch.
    Begin,
    /// Send another window.
    More,
}

impl<F: Framework> Sender<F> {
    fn send_window(&mut self) {
        for n in 1..=self.window {
            self.sent += 1;
            F::send(
                &self.receiver,
                Message::Number {
                    value: self.sent,
                    window_of: if n == self.window { self.number } else { NONE },
                },
            );
        }
    }
}

impl<F: Framework> Behaviour<F> for Sender<F> {
    type Message = Order;

    fn receive(&mut self, order: Order, _: &mut impl Context<F, Self>) {
        match order {
            Order::Begin => {
                self.sent = 0;
                self.send_window();
                self.send_window();
            }
            Order::More if self.sent < self.share => self.send_window(),
            Order::More => {}
        }
    }
}

pub(crate) struct Receiver<F: Framework> {
    senders: Vec<F::Addr<Sender<F>>>,
    count: u64,
    sum: u64,
    outlet: Outlet,
}

/// No sender.
const NONE: usize = usize::MAX;

pub(crate) enum Message<F: Framework> {
    Sender(F::Addr<Sender<F>>),
    Number {
        value: u64,
        /// Whose window ends with this.
        window_of: usize,
    },
}

impl<F: Framework> Behaviour<F> for Receiver<F> {
    type Message = Message<F>;

    fn receive(&mut self, message: Message<F>, _: &mut impl Context<F, Self>) {
        match message {
            Message::Sender(sender) => self.senders.push(sender),
            Message::Number { value, window_of } => {
                self.count += 1;
                self.sum += value;
                if window_of != NONE {
                    F::send(&self.senders[window_of], Order::More);
                }
                if self.count == MESSAGES {
                    self.outlet.tell(self.sum);
                    self.count = 0;
                    self.sum = 0;
                }
            }
        }
    }
}

impl<F: Framework> Sends<F> {
    pub(crate) fn new(senders: usize) -> Self {
        let (outlet, inbox) = F::inbox();
        let receiver = F::spawn(
            Place::Spread(0),
            Receiver {
                senders: Vec::new(),
                count: 0,
                sum: 0,
                outlet,
            },
        );
        let senders = (0..senders).map(|number| {
            let sender = Sender {
                number,
                receiver: receiver.clone(),
                window: WINDOW / senders as u64,
                share: MESSAGES / senders as u64,
                sent: 0,
            };
            let sender = F::spawn(Place::Spread(number + 1), sender);
            F::send(&receiver, Message::Sender(sender.clone()));
            sender
        });
        let senders = senders.collect();
        Sends { senders, inbox }
    }
}

impl<F: Framework> Program for Sends<F> {
    async fn batch(&mut self) -> usize {
        for sender in &self.senders {
            F::send(sender, Order::Begin);
        }
        let senders = self.senders.len() as u64;
        let share = MESSAGES / senders;
        assert_eq!(self.inbox.next().await, senders * share * (share + 1) / 2);
        MESSAGES as usize
    }
}
