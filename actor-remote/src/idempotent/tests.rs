//! What is remembered, and what becomes of those who wait.

use std::sync::Arc;
use std::time::Duration;

use actor_core::remote::{Encodable, InboundCall, Returns};
use actor_core::{CallError, Refusal};
use parking_lot::Mutex;

use super::memory::{Begun, Memory, Repeated};
use super::{CallId, MemoryLimits};

/// What has been answered to which call.
#[derive(Debug, Default)]
struct Answers(Mutex<Vec<Answered>>);

type Answered = (u64, Result<Vec<u8>, CallError>);

impl Returns for Answers {
    fn answer(&self, call: u64, outcome: Result<&dyn Encodable, CallError>) {
        let bytes = outcome.map(|value| {
            let mut bytes = Vec::new();
            value.encode(&mut bytes, 100).unwrap();
            bytes
        });
        self.0.lock().push((call, bytes));
    }
}

struct Bytes(&'static [u8]);

impl Encodable for Bytes {
    fn encode(&self, into: &mut Vec<u8>, _: usize) -> Result<(), actor_codec::EncodeError> {
        into.extend_from_slice(self.0);
        Ok(())
    }
}

const HERE: u128 = 7;

/// One that calls, with numbers for its attempts.
#[derive(Default)]
struct Caller {
    memory: Arc<Memory>,
    answers: Arc<Answers>,
    attempts: u64,
}

impl Caller {
    fn new(limits: MemoryLimits) -> Caller {
        let caller = Caller::default();
        caller.memory.set(limits, None);
        caller
    }

    /// Makes an attempt; where it is to be answered to, if it is to be executed.
    fn call(&mut self, number: u64, before: Option<u128>) -> Option<Arc<dyn Returns>> {
        self.call_as(1, number, before)
    }

    /// The same for another process.
    fn call_as(
        &mut self,
        client: u128,
        number: u64,
        before: Option<u128>,
    ) -> Option<Arc<dyn Returns>> {
        self.attempts += 1;
        let call = InboundCall {
            id: self.attempts,
            returns: self.answers.clone(),
            deadline: None,
        };
        let repeated = Repeated {
            id: CallId { client, number },
            window: Duration::MAX,
            before,
        };
        match Memory::begin(Some(&self.memory), repeated, HERE, &call) {
            Begun::Execute(returns) => Some(returns),
            Begun::Ask(..) => panic!("there is no store"),
            Begun::Known => None,
        }
    }

    fn answered(&self) -> Vec<Answered> {
        std::mem::take(&mut self.answers.0.lock())
    }
}

#[test]
fn all_attempts_are_answered_alike() {
    let mut caller = Caller::new(MemoryLimits::default());
    let returns = caller.call(1, None).unwrap();
    assert!(caller.call(1, Some(HERE)).is_none());
    assert!(caller.answered().is_empty());
    returns.answer(99, Ok(&Bytes(b"yes")));
    assert!(caller.call(1, Some(HERE)).is_none());
    let yes = || Ok(b"yes".to_vec());
    assert_eq!(caller.answered(), [(1, yes()), (2, yes()), (3, yes())]);
}

#[test]
fn one_that_is_dropped_is_answered_and_not_executed_again() {
    let mut caller = Caller::new(MemoryLimits::default());
    let returns = caller.call(1, None).unwrap();
    assert!(caller.call(1, None).is_none());
    drop(returns);
    assert!(caller.call(1, None).is_none());
    let unanswered = || Err(CallError::Unanswered);
    assert_eq!(
        caller.answered(),
        [(1, unanswered()), (2, unanswered()), (3, unanswered())]
    );
}

#[test]
fn what_was_certainly_not_executed_may_be() {
    let mut caller = Caller::new(MemoryLimits::default());
    let maybe_executed = false;
    for error in [
        CallError::Full,
        CallError::Disconnected { maybe_executed },
        CallError::Refused(Refusal::NotExposed),
    ] {
        let returns = caller.call(1, None).unwrap();
        returns.answer(0, Err(error));
    }
    let maybe_executed = true;
    let returns = caller.call(1, None).unwrap();
    returns.answer(0, Err(CallError::Disconnected { maybe_executed }));
    assert!(caller.call(1, None).is_none());
    // An answer that could not come back from a third node.
    let returns = caller.call(2, None).unwrap();
    returns.answer(0, Err(CallError::Refused(Refusal::TooBig)));
    assert!(caller.call(2, None).is_none());
}

#[test]
fn what_the_first_attempt_has_not_found_others_look_for_themselves() {
    let mut caller = Caller::new(MemoryLimits::default());
    let returns = caller.call(1, None).unwrap();
    assert!(caller.call(1, Some(HERE)).is_none());
    returns.answer(0, Err(CallError::Full));
    let maybe_executed = false;
    let disconnected = Err(CallError::Disconnected { maybe_executed });
    assert_eq!(
        caller.answered(),
        [(1, Err(CallError::Full)), (2, disconnected)]
    );
    assert!(caller.call(1, Some(HERE)).is_some());
}

#[test]
fn attempts_that_wait_are_bounded() {
    let mut caller = Caller::new(MemoryLimits::default());
    let returns = caller.call(1, None).unwrap();
    for _ in 0..99 {
        assert!(caller.call(1, Some(HERE)).is_none());
    }
    let given_up = caller.answered();
    assert_eq!(given_up.len(), 84);
    let maybe_executed = true;
    let disconnected = Err(CallError::Disconnected { maybe_executed });
    assert!(given_up.iter().all(|(_, answer)| *answer == disconnected));
    returns.answer(0, Ok(&Bytes(b"yes")));
    // The latest are there yet.
    let numbers: Vec<_> = caller.answered().iter().map(|(call, _)| *call).collect();
    assert_eq!(numbers, (85..=100).collect::<Vec<_>>());
}

#[test]
fn what_is_remembered_without_an_end_is_bounded_nevertheless() {
    let mut caller = Caller::new(MemoryLimits {
        calls: 3,
        age: Duration::MAX,
        ..MemoryLimits::default()
    });
    for number in 1..=10 {
        let returns = caller.call(number, None).unwrap();
        returns.answer(0, Ok(&Bytes(b"yes")));
    }
    caller.answered();
    assert!(caller.call(8, None).is_none());
    assert!(caller.call(7, None).is_none());
    let forgotten = Err(CallError::Refused(Refusal::Forgotten));
    assert_eq!(
        caller.answered(),
        [(11, Ok(b"yes".to_vec())), (12, forgotten)]
    );
}

#[test]
fn those_that_run_leave_no_room_for_others() {
    let mut caller = Caller::new(MemoryLimits {
        calls: 2,
        ..MemoryLimits::default()
    });
    let one = caller.call(1, None).unwrap();
    let _two = caller.call(2, None).unwrap();
    assert!(caller.call(3, None).is_none());
    assert_eq!(caller.answered(), [(3, Err(CallError::Full))]);
    one.answer(0, Ok(&Bytes(b"yes")));
    assert!(caller.call(3, None).is_some());
}

#[test]
fn what_was_perhaps_executed_elsewhere_is_refused() {
    let mut caller = Caller::new(MemoryLimits::default());
    assert!(caller.call(1, Some(HERE + 1)).is_none());
    let forgotten = Err(CallError::Refused(Refusal::Forgotten));
    assert_eq!(caller.answered(), [(1, forgotten)]);
    assert!(caller.call(1, Some(HERE)).is_some());
}

#[test]
fn what_is_done_makes_room_for_those_who_call_for_the_first_time() {
    let mut caller = Caller::new(MemoryLimits {
        clients: 3,
        ..MemoryLimits::default()
    });
    // The first of the three has one that runs besides, and is not forgotten.
    let runs = caller.call_as(1, 2, None).unwrap();
    for client in 1..=3 {
        let returns = caller.call_as(client, 1, None).unwrap();
        returns.answer(0, Ok(&Bytes(b"yes")));
    }
    caller.answered();
    let returns = caller.call_as(4, 1, None);
    assert!(returns.is_some(), "{:?}", caller.answered());
    // What had to be forgotten is not executed again, and the rest is remembered.
    assert!(caller.call_as(1, 1, Some(HERE)).is_none());
    assert!(caller.call_as(2, 1, Some(HERE)).is_none());
    assert!(caller.call_as(3, 1, Some(HERE)).is_none());
    let forgotten = || Err(CallError::Refused(Refusal::Forgotten));
    assert_eq!(
        caller.answered(),
        [(6, forgotten()), (7, forgotten()), (8, Ok(b"yes".to_vec()))]
    );
    drop((runs, returns));
}

#[test]
fn nothing_is_forgotten_for_those_for_whom_there_is_no_room_anyway() {
    let mut caller = Caller::new(MemoryLimits {
        clients: 2,
        ..MemoryLimits::default()
    });
    let running: Vec<_> = (1..=2)
        .map(|client| {
            let returns = caller.call_as(client, 1, None).unwrap();
            returns.answer(0, Ok(&Bytes(b"yes")));
            caller.call_as(client, 2, None).unwrap()
        })
        .collect();
    caller.answered();
    assert!(caller.call_as(3, 1, None).is_none());
    assert!(caller.call_as(1, 1, Some(HERE)).is_none());
    assert_eq!(
        caller.answered(),
        [(5, Err(CallError::Full)), (6, Ok(b"yes".to_vec()))]
    );
    // One that has ended without having been executed leaves room.
    running[1].answer(0, Err(CallError::Full));
    assert!(caller.call_as(3, 1, None).is_some());
}
