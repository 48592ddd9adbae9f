//! Mailboxes that are bounded by what is in the messages as well as by their number.
//!
//! A message goes into the mailbox together with what it weighs, which is given back when it comes out or is dropped,
//! on whichever way. So the mailbox itself need not know.

use std::sync::Arc;

use crate::deadlock::Callee;
use crate::envelope::Envelope;
use crate::exit::Owner;
use crate::mailbox::{self, Mailbox, Overflow, Patience};
use crate::message::{Delivery, Destination, Message, Receiver, unwrap_refused};
use crate::reply::ReplyTo;
use crate::sync::permits::Permits;
use crate::{CallError, Pid, SendError, Tasklet, counters};

/// How much the messages in a bounded mailbox may weigh together. A single one may weigh more, if it is alone.
#[derive(Debug)]
pub struct Scale {
    room: Permits,
    most: usize,
    overflow: Overflow,
}

impl Scale {
    /// One for a mailbox; `None` if that has no bound at all.
    pub fn new(mailbox: Mailbox, most: usize) -> Option<Arc<Scale>> {
        let (_, overflow) = mailbox.bound()?;
        let most = most.min(Permits::MAX);
        Some(Arc::new(Scale {
            room: Permits::new(most),
            most,
            overflow,
        }))
    }

    /// Whoever waits for room gives up: there will be none.
    pub fn close(&self) {
        self.room.close();
    }

    /// How much room the message is given; `None` if it is to be dropped.
    fn reserve(
        &self,
        weight: usize,
        patience: Patience,
        to: &Tasklet,
    ) -> Result<Option<usize>, SendError<()>> {
        let weight = weight.min(self.most);
        if self.overflow != Overflow::DropOldest {
            let room = mailbox::reserve(&self.room, weight, self.overflow, patience, to.pid())?;
            return Ok(room.then_some(weight));
        }
        loop {
            match self.room.try_acquire(weight) {
                Ok(true) => return Ok(Some(weight)),
                Ok(false) if to.core().mailbox.drop_oldest() => {}
                // What has just been taken out is about to give its room back.
                Ok(false) => return Ok(Some(0)),
                Err(_) => return Err(SendError::Ended(())),
            }
        }
    }
}

/// A message and what it weighs.
#[derive(Debug)]
pub struct Weighed<M> {
    message: Option<M>,
    reply: Option<ReplyTo<()>>,
    scale: Option<Arc<Scale>>,
    weight: usize,
}

impl<M: Message<Reply = ()>> Message for Weighed<M> {
    type Reply = ();
}

impl<M> Weighed<M> {
    /// Gives the room back, and answers a call.
    pub fn into_message(mut self) -> Option<M> {
        if let Some(reply) = self.reply.take() {
            reply.send(());
        }
        self.message.take()
    }
}

impl<M> Drop for Weighed<M> {
    fn drop(&mut self) {
        if let Some(scale) = &self.scale {
            scale.room.release(self.weight);
        }
    }
}

/// The way into a mailbox in which [`Weighed`] messages are.
#[derive(Debug)]
pub struct Weighing<M> {
    /// Whose mailbox it is.
    pub to: Tasklet,
    /// If there is none, nothing is weighed.
    pub scale: Option<Arc<Scale>>,
    /// What a message weighs.
    pub weigh: fn(&M) -> usize,
}

impl<M: Message<Reply = ()>> Receiver for Weighing<M> {
    fn pid(&self) -> Pid {
        Receiver::pid(&self.to)
    }

    fn owner(&self) -> Option<Owner> {
        self.to.owner()
    }

    fn callee(&self) -> Callee {
        self.to.callee()
    }
}

impl<M: Message<Reply = ()>> Destination<M> for Weighing<M> {
    fn deliver(&self, delivery: Delivery<M>) -> Result<(), SendError<M>> {
        let (mut envelope, patience) = (delivery.envelope, delivery.patience);
        let Some(message) = envelope.message_mut::<M>().and_then(Option::take) else {
            unreachable!("a message on its way is in its envelope");
        };
        let weight = match &self.scale {
            None => 0,
            Some(scale) => match scale.reserve((self.weigh)(&message), patience, &self.to) {
                Ok(Some(weight)) => weight,
                Ok(None) => {
                    counters::OVERFLOWED.add(1);
                    envelope.fail(CallError::Full);
                    return Ok(());
                }
                Err(refused) => return Err(refused.map(|()| message)),
            },
        };
        let weighed = Weighed {
            message: Some(message),
            reply: envelope.take_reply::<M>(),
            scale: self.scale.clone(),
            weight,
        };
        let sent = self.to.core().send(Envelope::new(weighed), patience);
        sent.map_err(|refused| {
            refused.map(
                |envelope| match unwrap_refused::<Weighed<M>>(envelope).message.take() {
                    Some(message) => message,
                    None => unreachable!("nobody has taken it out"),
                },
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Event;
    use crate::{JoinHandle, Recipient, dispatch};

    #[derive(Debug, PartialEq)]
    struct Text(&'static str);

    impl Message for Text {
        type Reply = ();
    }

    /// A mailbox for ten letters, out of which nothing is taken until it is let.
    struct Sink {
        to: Recipient<Text>,
        gate: Arc<Event>,
        tasklet: JoinHandle<Vec<&'static str>>,
    }

    fn sink(overflow: Overflow) -> Sink {
        let mailbox = Mailbox::bounded(10, overflow);
        let gate = Arc::new(Event::new());
        let open = gate.clone();
        let tasklet = Tasklet::with_mailbox(mailbox)
            .spawn(move || {
                open.wait();
                let weighed = Tasklet::receive().map(|envelope| envelope.downcast());
                weighed
                    .filter_map(|weighed: Result<Weighed<Text>, _>| weighed.ok()?.into_message())
                    .map(|text| text.0)
                    .collect()
            })
            .unwrap();
        let scale = Scale::new(mailbox, 10);
        let to = tasklet.tasklet().clone();
        let weigh = |text: &Text| text.0.len();
        Sink {
            to: Recipient::new(Weighing { to, scale, weigh }),
            gate,
            tasklet,
        }
    }

    impl Sink {
        fn send(&self, texts: &[&'static str]) {
            for text in texts {
                self.to.send(Text(text)).unwrap();
            }
        }

        /// What has got through.
        fn received(self) -> Vec<&'static str> {
            self.gate.set();
            self.tasklet.stop();
            self.tasklet.join().unwrap()
        }
    }

    fn test(work: impl FnOnce() + Send + 'static) {
        let (sender, ended) = std::sync::mpsc::channel();
        dispatch(move || {
            work();
            let _ = sender.send(());
        });
        ended.try_recv().expect("the main tasklet has panicked");
    }

    #[test]
    fn what_is_too_heavy_is_refused_and_comes_back() {
        test(|| {
            let sink = sink(Overflow::Fail);
            sink.send(&["12345678"]);
            let refused = sink.to.send(Text("123")).unwrap_err();
            assert!(refused.is_full());
            assert_eq!(refused.into_message(), Text("123"));
            sink.send(&["12"]);
            assert!(sink.to.send(Text("1")).is_err());
            assert_eq!(sink.received(), ["12345678", "12"]);
        });
    }

    #[test]
    fn what_is_too_heavy_is_taken_alone() {
        test(|| {
            let sink = sink(Overflow::Fail);
            sink.send(&["0123456789abcdef", ""]);
            assert!(sink.to.send(Text("1")).is_err());
            assert_eq!(sink.received(), ["0123456789abcdef", ""]);
        });
    }

    #[test]
    fn the_newest_or_the_oldest_is_dropped() {
        test(|| {
            let newest = sink(Overflow::DropNewest);
            newest.send(&["first", "4567", "not this", "1"]);
            assert_eq!(newest.received(), ["first", "4567", "1"]);
            let oldest = sink(Overflow::DropOldest);
            oldest.send(&["first", "4567", "1", "seventh", "8"]);
            assert_eq!(oldest.received(), ["1", "seventh", "8"]);
            let oldest = sink(Overflow::DropOldest);
            oldest.send(&["1", "2", "all of it", "0123456789abcdef"]);
            assert_eq!(oldest.received(), ["0123456789abcdef"]);
        });
    }

    #[test]
    fn whoever_has_to_waits_for_room() {
        test(|| {
            let sink = sink(Overflow::Block);
            sink.send(&["123456789"]);
            assert!(sink.to.try_send(Text("12")).unwrap_err().is_full());
            let to = sink.to.clone();
            let waiting = Tasklet::spawn(move || to.call(Text("12")));
            while !waiting.is_blocked() {
                Tasklet::yield_now();
            }
            sink.gate.set();
            waiting.join().unwrap().unwrap();
            assert_eq!(sink.received(), ["123456789", "12"]);
        });
    }

    #[test]
    fn an_end_gives_everything_back() {
        test(|| {
            let sink = sink(Overflow::Fail);
            sink.send(&["123456789"]);
            let to = sink.to.clone();
            let calling = Tasklet::spawn(move || to.call(Text("1")));
            while !calling.is_blocked() {
                Tasklet::yield_now();
            }
            sink.tasklet.kill();
            assert!(calling.join().unwrap().is_err());
            assert!(sink.tasklet.join().is_err());
            let refused = sink.to.send(Text("12345")).unwrap_err();
            assert!(matches!(refused, SendError::Ended(Text("12345"))));
        });
    }

    #[test]
    fn nothing_is_weighed_without_a_bound() {
        assert!(Scale::new(Mailbox::unbounded(), 10).is_none());
    }
}
