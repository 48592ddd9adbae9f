//! Many actors that are alive at the same time, and idle but for one message.

use super::Roll;
use crate::frameworks::{Behaviour, Context, Framework, Inbox, Place};
use crate::harness;
use std::sync::Arc;
use std::time::Instant;

/// An actor with a `u64`.
pub(crate) struct Idler(u64);

/// The roll to be signed, with what the actor has.
pub(crate) struct Sign(Arc<Roll>);

impl<F: Framework> Behaviour<F> for Idler {
    type Message = Sign;

    fn receive(&mut self, Sign(roll): Sign, _: &mut impl Context<F, Self>) {
        roll.sign(self.0);
    }
}

/// Spawns `actors` of them, sends each a message, and waits until all have handled it; so many at a
/// time.
async fn gather<F: Framework>(actors: u64, at_once: u64) -> Vec<F::Addr<Idler>> {
    let (outlet, mut inbox) = F::inbox();
    let mut crowd: Vec<F::Addr<Idler>> = Vec::with_capacity(actors as usize);
    for first in (0..actors).step_by(at_once as usize) {
        let end = actors.min(first + at_once);
        crowd.extend((first..end).map(|n| F::spawn(Place::Spread(n as usize), Idler(n))));
        let roll = Arc::new(Roll::new(end - first, outlet.clone()));
        for idler in &crowd[first as usize..] {
            F::send(idler, Sign(roll.clone()));
        }
        assert_eq!(inbox.next().await, (first..end).sum::<u64>());
    }
    crowd
}

/// So few at a time that what is under way between them takes no room worth mentioning.
const PORTION: u64 = 100;

/// The resident memory, in bytes, of an actor that has nothing to do, with an address of it.
pub(crate) async fn bytes_each<F: Framework>(actors: u64) -> f64 {
    // What the runtime itself needs is there by then.
    drop(gather::<F>(1_000, PORTION).await);
    let resident = || harness::own_resident().expect("Linux says") as f64;
    let before = resident();
    let crowd = gather::<F>(actors, PORTION).await;
    let bytes = resident() - before;
    drop(crowd);
    bytes / actors as f64
}

/// The milliseconds from nothing to so many actors alive, each of which has handled a message.
pub(crate) async fn milliseconds<F: Framework>(actors: u64) -> f64 {
    let start = Instant::now();
    let crowd = gather::<F>(actors, actors).await;
    let elapsed = start.elapsed();
    drop(crowd);
    elapsed.as_secs_f64() * 1e3
}
