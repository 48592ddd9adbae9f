//! The caller's side: attempts, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_codec::{EncodeError, Limits};
use actor_core::remote::{
    ClassName, Encodable, Foreign, Once, Outbound, OutboundCall, ReplyHome, Unsent, Wait, decode,
    encode,
};
use actor_core::sync::Event;
use actor_core::{CallError, Refusal, RemoteMessage, Tasklet, time};
use parking_lot::Mutex;

use super::{CallId, Idempotent};
use crate::named::Named;

/// How long it waits before the next attempt, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

impl Idempotent {
    /// Makes the call, and again, until it is answered.
    pub(crate) fn call<M: RemoteMessage>(
        &self,
        to: &Arc<dyn Foreign>,
        message: &M,
    ) -> Result<M::Reply, CallError> {
        // There is no reference without a node, which has given the process its id.
        let maybe_executed = false;
        let id = self.id.or_else(CallId::next);
        let id = id.ok_or(CallError::Disconnected { maybe_executed })?;
        let until = time::now().checked_add(self.limit);
        let named = to.as_any().downcast_ref::<Named>();
        let memory = match self.id {
            Some(_) => self.before.clone(),
            None => Arc::default(),
        };
        let mut pause = PAUSES.0;
        loop {
            let before = *memory.lock();
            let goes_to = Arc::default();
            let once = Once {
                client: id.client,
                number: id.number,
                window: self.limit,
                before,
                goes_to: Arc::clone(&goes_to),
            };
            let outcome = attempt(&**to, message, once, until);
            if let Err(
                CallError::Timeout
                | CallError::Disconnected {
                    maybe_executed: true,
                },
            ) = outcome
                && before.is_none()
            {
                *memory.lock() = *goes_to.lock();
            }
            match outcome {
                Err(CallError::Disconnected { .. }) => {}
                // Where it was before, it may have been executed; that this one does not know it says nothing.
                Err(CallError::Refused(Refusal::Unknown | Refusal::NotExposed))
                    if before.is_some() =>
                {
                    return Err(CallError::Refused(Refusal::Forgotten));
                }
                outcome => return outcome,
            }
            let over = Err(CallError::Disconnected {
                maybe_executed: memory.lock().is_some(),
            });
            let Some(named) = named else { return over };
            let left = until.map(|at| at.saturating_duration_since(time::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return over;
            }
            // A link that breaks again and again is not to be called as often.
            Tasklet::sleep(left.map_or(pause, |left| left.min(pause)));
            pause = (pause * 2).min(PAUSES.1);
            if !named.wait_up(until) {
                return over;
            }
        }
    }
}

/// One of several.
fn attempt<M: RemoteMessage>(
    to: &dyn Foreign,
    message: &M,
    once: Once,
    until: Option<Instant>,
) -> Result<M::Reply, CallError> {
    let answer = Arc::new(Answer::<M> {
        outcome: Mutex::new(None),
        come: Event::new(),
    });
    let sent = to.deliver(Outbound {
        class: ClassName::of::<M>(),
        message: &Borrowed(message),
        call: Some(OutboundCall {
            reply: Box::new(Home(answer.clone())),
            deadline: until,
            once: Some(once),
        }),
        wait: Wait::Until(until),
    });
    match sent {
        Ok(()) => {}
        Err(Unsent::Disconnected) => {
            return Err(CallError::Disconnected {
                maybe_executed: false,
            });
        }
        Err(Unsent::Ended) => return Err(CallError::Ended),
        Err(Unsent::Full) => return Err(CallError::Full),
        Err(Unsent::Timeout) => return Err(CallError::Timeout),
        Err(Unsent::Refused(why)) => return Err(CallError::Refused(why)),
    }
    match until {
        None => answer.come.wait(),
        Some(at) => {
            let left = at.saturating_duration_since(time::now());
            if answer.come.wait_timeout(left).is_err() {
                return Err(CallError::Timeout);
            }
        }
    }
    let outcome = answer.outcome.lock().take();
    outcome.unwrap_or(Err(CallError::Unanswered))
}

struct Borrowed<'a, M>(&'a M);

impl<M: RemoteMessage> Encodable for Borrowed<'_, M> {
    fn encode(&self, into: &mut Vec<u8>, max: usize) -> Result<(), EncodeError> {
        encode::<M, M>(self.0, into, max)
    }
}

struct Answer<M: RemoteMessage> {
    outcome: Mutex<Option<Result<M::Reply, CallError>>>,
    come: Event,
}

/// Where the answer comes to.
struct Home<M: RemoteMessage>(Arc<Answer<M>>);

impl<M: RemoteMessage> ReplyHome for Home<M> {
    fn answer(self: Box<Self>, outcome: Result<&[u8], CallError>) {
        let outcome = outcome.and_then(|bytes| {
            decode::<M, M::Reply>(bytes, &Limits::default())
                .map_err(|_| CallError::Refused(Refusal::Undecodable))
        });
        *self.0.outcome.lock() = Some(outcome);
    }

    fn come_back(self: Box<Self>) {}

    fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl<M: RemoteMessage> Drop for Home<M> {
    fn drop(&mut self) {
        // Answered, or never to be.
        self.0.come.set();
    }
}
