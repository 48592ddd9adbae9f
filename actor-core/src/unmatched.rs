//! Messages that no arm of a receive loop takes.
//!
//! What is told of them is who received them and their class, which is what has to be changed: an arm is
//! missing there, or somebody sends to the wrong tasklet. It is not told who sent: a message carries no
//! sender, since that would cost every send a word and a look at who runs, for a mistake that is made
//! once. Whoever needs it has it in the message; and the class is most often sent in one place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::dead_letters::{self, DeadLetterCause};
use crate::envelope::Envelope;
use crate::{CallError, block, counters};

/// What happens to a message that no arm of a [`match_message!`](crate::match_message) without a
/// catch-all takes.
///
/// A call ends with [`CallError::Unanswered`] in each case.
///
/// ```
/// use actor_core::{Runtime, Unmatched};
///
/// let strict = Runtime::builder().unmatched(Unmatched::Panic);
/// # assert_eq!(strict.dispatch(|| ()), std::process::ExitCode::SUCCESS);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmatched {
    /// It is dropped and counted, and logged once for each class and tasklet. As with the others, it is
    /// a [`DeadLetter`](crate::DeadLetter) to those who subscribe to those.
    #[default]
    Log,
    /// The tasklet that received it panics. For tests.
    Panic,
    /// It is dropped and counted.
    Ignore,
}

static POLICY: AtomicU8 = AtomicU8::new(Unmatched::Log as u8);

pub(crate) fn set_policy(policy: Unmatched) {
    POLICY.store(policy as u8, Ordering::Relaxed);
}

/// How many messages of which class a tasklet has not taken.
pub(crate) type Ignored = BTreeMap<&'static str, u64>;

/// Disposes of a message that no arm has taken.
pub(crate) fn unmatched(envelope: Envelope) {
    counters::UNMATCHED.add(1);
    let class = envelope.class();
    let receiver = block::current();
    match receiver {
        Some(core) if !envelope.is_call() => {
            dead_letters::publish(envelope, core.pid, core.name(), DeadLetterCause::Unmatched);
        }
        _ => envelope.fail(CallError::Unanswered),
    }
    let first = receiver.is_none_or(|core| {
        let mut ignored = core.ignored.lock();
        let count = ignored.entry(class).or_default();
        *count += 1;
        *count == 1
    });
    let name = receiver.map_or("a thread", |core| core.name());
    let policy = POLICY.load(Ordering::Relaxed);
    if policy == Unmatched::Panic as u8 {
        panic!("{name}: no arm takes a message of the class {class}");
    }
    if first && policy == Unmatched::Log as u8 {
        tracing::warn!(tasklet = name, class, "no arm takes messages of this class");
    }
}
