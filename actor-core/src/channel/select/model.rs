//! Selects for the models, with a wait that loom knows.

use super::arm::{Arm, Receiving, Sending};
use super::lines::{self, Ready};
use crate::channel::{Channel, ReceiveError, SendError};

pub(in crate::channel) struct Lines<'a>(lines::Lines<'a, ()>);

pub(in crate::channel) type BoxedArm<'a> = Box<dyn Arm<()> + 'a>;

pub(in crate::channel) fn sending<'a>(
    channel: &'a Channel<usize>,
    value: &'a mut Option<usize>,
) -> BoxedArm<'a> {
    Box::new(Sending {
        channel,
        value,
        ticket: None,
        outcome: None,
        then: |sent: Result<(), SendError<usize>>| sent.unwrap(),
    })
}

pub(in crate::channel) fn receiving<'a>(
    channel: &'a Channel<usize>,
    value: &'a mut Option<usize>,
) -> BoxedArm<'a> {
    Box::new(Receiving {
        channel,
        ticket: None,
        outcome: None,
        then: |received: Result<usize, ReceiveError>| *value = received.ok(),
    })
}

impl<'a> Lines<'a> {
    pub(in crate::channel) fn new(arms: Vec<BoxedArm<'a>>) -> Self {
        Lines(lines::Lines::new(arms))
    }

    /// `Select::wait`, until it is met, or with `late` until it has joined the lines; which arm was.
    pub(in crate::channel) fn run(mut self, late: bool) -> Option<usize> {
        let arm = match self.0.meet_or_join(None, true).unwrap() {
            Ready::Arm(arm) => Some(arm),
            Ready::Joined(claim) => {
                while !late && claim.met().is_none() {
                    loom::thread::yield_now();
                }
                let met = claim.withdraw();
                self.0.arms.iter_mut().for_each(|arm| arm.leave());
                met
            }
            Ready::Message | Ready::Nothing => unreachable!("there are arms alone"),
        };
        if let Some(arm) = arm {
            self.0.arms.swap_remove(arm).finish();
        }
        arm
    }
}
