//! Actors that are spawned, stopped, and known to have ended.

use super::Program;
use crate::frameworks::{Counted, Framework};
use std::marker::PhantomData;

/// Actors with a `u64`, so many at a time.
pub(crate) struct Spawn<F> {
    at_once: u64,
    _on: PhantomData<F>,
}

/// Actors in a batch.
const ACTORS: u64 = 10_000;

impl<F: Framework> Spawn<F> {
    pub(crate) fn new(at_once: u64) -> Self {
        Spawn {
            at_once,
            _on: PhantomData,
        }
    }
}

impl<F: Framework> Program for Spawn<F> {
    async fn batch(&mut self) -> usize {
        let mut mortals = Vec::with_capacity(self.at_once as usize);
        for n in 1..=ACTORS {
            mortals.push(F::spawn_mortal(Counted::new(n)).await);
            if !n.is_multiple_of(self.at_once) {
                continue;
            }
            for mortal in &mortals {
                F::stop(mortal).await;
            }
            for mortal in mortals.drain(..) {
                F::ended(mortal).await;
            }
        }
        assert_eq!(Counted::take_dropped(), ACTORS * (ACTORS + 1) / 2);
        ACTORS as usize
    }
}
