//! Questions to the other node itself, and who waits for their answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use parking_lot::Mutex;

/// Questions that have not been answered.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    issued: u32,
    ended: bool,
    waiting: HashMap<u32, Arc<Question>>,
}

#[derive(Debug, Default)]
struct Question {
    answer: Mutex<Option<Vec<u8>>>,
    answered: Event,
}

/// A question that has been asked. Dropped, nobody waits for the answer.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    requests: &'a Requests,
    pub(crate) id: u32,
    question: Arc<Question>,
}

impl Requests {
    /// A new question; `None` if nobody is there any more.
    pub(crate) fn ask(&self) -> Option<Asked<'_>> {
        let mut state = self.state.lock();
        if state.ended {
            return None;
        }
        let id = state.issued;
        state.issued = state.issued.wrapping_add(1);
        let question = Arc::<Question>::default();
        state.waiting.insert(id, question.clone());
        Some(Asked {
            requests: self,
            id,
            question,
        })
    }

    /// The answer has come.
    pub(super) fn answer(&self, id: u32, answer: &[u8]) -> Answered {
        let question = {
            let mut state = self.state.lock();
            let Some(question) = state.waiting.remove(&id) else {
                return if id < state.issued {
                    Answered::Nobody
                } else {
                    Answered::Never
                };
            };
            // Under the lock: whoever gives up finds either the question in its place, or the answer.
            *question.answer.lock() = Some(answer.to_vec());
            question
        };
        question.answered.set();
        Answered::Taken
    }

    pub(super) fn end(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.ended = true;
            std::mem::take(&mut state.waiting)
        };
        for question in waiting.into_values() {
            question.answered.set();
        }
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Somebody has waited for it.
    Taken,
    /// Whoever has asked has given up.
    Nobody,
    /// Nobody has asked.
    Never,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    Disconnected,
    TimedOut,
}

impl Asked<'_> {
    /// Waits for the answer.
    pub(crate) fn wait(&self, limit: Duration) -> Result<Vec<u8>, NoAnswer> {
        let timed_out = self.question.answered.wait_timeout(limit).is_err();
        match self.give_up() {
            Some(answer) => Ok(answer),
            None if timed_out => Err(NoAnswer::TimedOut),
            None => Err(NoAnswer::Disconnected),
        }
    }

    /// Waits no longer. If the answer has come, and nobody has taken it, this is it.
    pub(super) fn give_up(&self) -> Option<Vec<u8>> {
        self.requests.state.lock().waiting.remove(&self.id);
        self.question.answer.lock().take()
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.requests.state.lock().waiting.remove(&self.id);
    }
}
