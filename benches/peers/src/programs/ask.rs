//! Questions to an actor, each with its answer.

use super::Program;
use crate::frameworks::Framework;

/// The main task asks.
pub(crate) struct Ask<F: Framework> {
    answerer: F::Answerer,
}

/// Questions in a batch.
const QUESTIONS: u64 = 10_000;

impl<F: Framework> Ask<F> {
    pub(crate) fn new() -> Self {
        let answerer = F::spawn_answerer();
        Ask { answerer }
    }
}

impl<F: Framework> Program for Ask<F> {
    async fn batch(&mut self) -> usize {
        for n in 0..QUESTIONS {
            assert_eq!(F::ask(&self.answerer, n).await, n + 1);
        }
        QUESTIONS as usize
    }
}
