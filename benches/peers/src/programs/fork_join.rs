//! Savina's "fork join": actors that compute a little for every message, 40,000 of them with one
//! message each (`Create`) or 60 with 10,000 each (`Throughput`).

use super::{Program, Roll};
use crate::frameworks::{Behaviour, Context, Framework, Inbox, Outlet, Place};
use std::hint::black_box;
use std::sync::Arc;

pub(crate) struct Create<F: Framework> {
    outlet: Outlet,
    inbox: F::Inbox,
}

const ACTORS: u64 = 40_000;

pub(crate) struct Throughput<F: Framework> {
    outlet: Outlet,
    inbox: F::Inbox,
}

const WORKERS: u64 = 60;
const MESSAGES_EACH: u64 = 10_000;

pub(crate) struct Worker {
    number: u64,
    left: u64,
    done: u64,
    roll: Arc<Roll>,
}

pub(crate) struct Work;

impl<F: Framework> Behaviour<F> for Worker {
    type Message = Work;

    fn receive(&mut self, Work: Work, context: &mut impl Context<F, Self>) {
        compute(37.2);
        self.done += 1;
        self.left -= 1;
        if self.left == 0 {
            self.roll.sign(self.number * self.done);
            context.stop();
        }
    }
}

/// The suite's work for one message.
fn compute(theta: f64) {
    let sine = black_box(theta).sin();
    black_box(sine * sine);
}

/// Spawns the workers.
fn fork<F: Framework>(workers: u64, left: u64, outlet: &Outlet) -> Vec<F::Addr<Worker>> {
    let roll = Arc::new(Roll::new(workers, outlet.clone()));
    let worker = |number| Worker {
        number,
        left,
        done: 0,
        roll: roll.clone(),
    };
    (0..workers)
        .map(|number| F::spawn(Place::Spread(number as usize), worker(number)))
        .collect()
}

impl<F: Framework> Create<F> {
    pub(crate) fn new() -> Self {
        let (outlet, inbox) = F::inbox();
        Create { outlet, inbox }
    }
}

impl<F: Framework> Program for Create<F> {
    async fn batch(&mut self) -> usize {
        for worker in fork::<F>(ACTORS, 1, &self.outlet) {
            F::send(&worker, Work);
        }
        assert_eq!(self.inbox.next().await, ACTORS * (ACTORS - 1) / 2);
        ACTORS as usize
    }
}

impl<F: Framework> Throughput<F> {
    pub(crate) fn new() -> Self {
        let (outlet, inbox) = F::inbox();
        Throughput { outlet, inbox }
    }
}

impl<F: Framework> Program for Throughput<F> {
    async fn batch(&mut self) -> usize {
        let workers = fork::<F>(WORKERS, MESSAGES_EACH, &self.outlet);
        for _ in 0..MESSAGES_EACH {
            for worker in &workers {
                F::send(worker, Work);
            }
        }
        let numbers = WORKERS * (WORKERS - 1) / 2;
        assert_eq!(self.inbox.next().await, numbers * MESSAGES_EACH);
        (WORKERS * MESSAGES_EACH) as usize
    }
}
