//! The receiver's side: what it remembers.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_codec::EncodeError;
use actor_core::remote::{Encodable, InboundCall, Returns};
use actor_core::{CallError, Refusal, time};
use parking_lot::Mutex;

use super::{CallId, Dedup, MemoryLimits, Verdict};
use crate::wire::frame::{Body, Malformed};

/// The biggest answer that is remembered, as much as a message may have.
const MAX_ANSWER: usize = 1 << 20;

/// What a call that may be made again says of itself.
#[derive(Clone, Copy)]
pub(crate) struct Repeated {
    id: CallId,
    window: Duration,
    /// Which process has perhaps executed it.
    before: Option<u128>,
}

impl Repeated {
    pub(crate) fn read(body: &mut Body<'_>) -> Result<Repeated, Malformed> {
        let client = body.wide()?;
        let number = body.number()?;
        let window = Duration::from_millis(body.number()?);
        let before = body.wide()?;
        Ok(Repeated {
            id: CallId { client, number },
            window,
            before: (before != 0).then_some(before),
        })
    }
}

/// What is remembered of calls to one object.
#[derive(Default)]
pub(crate) struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    limits: MemoryLimits,
    store: Option<Arc<dyn Dedup>>,
    calls: HashMap<CallId, Call>,
    /// Those that are done, the oldest first, and until when they are remembered.
    done: VecDeque<(Instant, CallId)>,
    bytes: usize,
    clients: HashMap<u128, Client>,
    /// A client has been forgotten.
    forgotten: bool,
}

/// Of one client.
#[derive(Default)]
struct Client {
    /// The highest number that has been forgotten.
    forgotten: Option<u64>,
    /// How many are remembered.
    calls: usize,
}

enum Call {
    /// It is being executed, and these wait for its answer.
    Runs {
        waiting: Vec<(u64, Arc<dyn Returns>)>,
        window: Duration,
    },
    Done(Arc<Outcome>),
}

type Outcome = Result<Vec<u8>, CallError>;

/// What is to be done with a call.
pub(crate) enum Begun {
    /// It is to be executed, and answered to this.
    Execute(Arc<dyn Returns>),
    /// It is answered already, or with the one that runs.
    Known,
}

/// What has been found when a call was to be entered.
enum Entered {
    New,
    Runs,
    Done(Arc<Outcome>),
    Full,
}

impl Memory {
    /// A call has come, to a receiver with this memory.
    pub(crate) fn begin(
        memory: Option<&Arc<Memory>>,
        repeated: Repeated,
        incarnation: u128,
        call: &InboundCall,
    ) -> Begun {
        let refuse = |why| {
            call.returns.answer(call.id, Err(CallError::Refused(why)));
            Begun::Known
        };
        let Some(memory) = memory else {
            return refuse(Refusal::NotIdempotent);
        };
        let id = repeated.id;
        let (store, gone) = {
            let mut state = memory.state.lock();
            let gone = state.forget_old();
            match state.calls.get_mut(&id) {
                Some(Call::Runs { waiting, .. }) => {
                    waiting.push((call.id, call.returns.clone()));
                    return Begun::Known;
                }
                Some(Call::Done(outcome)) => {
                    let outcome = outcome.clone();
                    drop(state);
                    drop(gone);
                    answer(&*call.returns, call.id, &outcome);
                    return Begun::Known;
                }
                None => {}
            }
            (state.store.clone(), gone)
        };
        drop(gone);
        match store.map(|store| store.look_up(id)) {
            Some(Verdict::Done(bytes)) => {
                answer(&*call.returns, call.id, &Ok(bytes));
                return Begun::Known;
            }
            Some(Verdict::Forgotten) => return refuse(Refusal::Forgotten),
            // It knows all.
            Some(Verdict::New) => {}
            None => {
                let state = memory.state.lock();
                let is_forgotten = match state.clients.get(&id.client) {
                    Some(client) => client.forgotten.is_some_and(|number| id.number <= number),
                    None => state.forgotten && repeated.before.is_some(),
                };
                let was_elsewhere = repeated.before.is_some_and(|before| before != incarnation);
                if is_forgotten || was_elsewhere {
                    drop(state);
                    return refuse(Refusal::Forgotten);
                }
            }
        }
        match memory.enter(repeated, call) {
            Entered::New => Begun::Execute(Arc::new(Recorder {
                memory: memory.clone(),
                id,
            })),
            Entered::Runs => Begun::Known,
            Entered::Done(outcome) => {
                answer(&*call.returns, call.id, &outcome);
                Begun::Known
            }
            Entered::Full => {
                call.returns.answer(call.id, Err(CallError::Full));
                Begun::Known
            }
        }
    }

    /// Remembers that a call is being executed, if there is room. What comes by another link at the same moment finds it.
    fn enter(&self, repeated: Repeated, call: &InboundCall) -> Entered {
        let mut state = self.state.lock();
        let Repeated { id, window, .. } = repeated;
        match state.calls.get_mut(&id) {
            Some(Call::Runs { waiting, .. }) => {
                waiting.push((call.id, call.returns.clone()));
                return Entered::Runs;
            }
            Some(Call::Done(outcome)) => return Entered::Done(outcome.clone()),
            None => {}
        }
        let mut gone = Vec::new();
        while state.calls.len() >= state.limits.calls {
            match state.forget_one() {
                Some(call) => gone.push(call),
                None => return Entered::Full,
            }
        }
        if !state.clients.contains_key(&id.client) && !state.make_room_for_client() {
            return Entered::Full;
        }
        state.clients.entry(id.client).or_default().calls += 1;
        let waiting = vec![(call.id, call.returns.clone())];
        state.calls.insert(id, Call::Runs { waiting, window });
        drop(state);
        drop(gone);
        Entered::New
    }

    pub(crate) fn set(&self, limits: MemoryLimits, store: Option<Arc<dyn Dedup>>) {
        let before = {
            let mut state = self.state.lock();
            state.limits = limits;
            std::mem::replace(&mut state.store, store)
        };
        drop(before);
    }

    /// A call has come to its end.
    fn finish(&self, id: CallId, outcome: Outcome) {
        // What has certainly not been executed may be, the next time.
        let is_executed = !matches!(
            outcome,
            Err(CallError::Full
                | CallError::Refused(_)
                | CallError::Disconnected {
                    maybe_executed: false
                })
        );
        let store = self.state.lock().store.clone();
        if let (Some(store), Ok(bytes)) = (&store, &outcome) {
            store.done(id, bytes);
        }
        let outcome = Arc::new(outcome);
        let mut gone = Vec::new();
        let waiting = {
            let mut state = self.state.lock();
            let Some(Call::Runs { waiting, window }) = state.calls.remove(&id) else {
                return;
            };
            if is_executed {
                state.bytes += size(&outcome);
                let age = window.saturating_mul(2).min(state.limits.age);
                if let Some(until) = time::now().checked_add(age) {
                    state.done.push_back((until, id));
                }
                state.calls.insert(id, Call::Done(outcome.clone()));
                while state.bytes > state.limits.bytes
                    && let Some(call) = state.forget_one()
                {
                    gone.push(call);
                }
            } else if let Some(client) = state.clients.get_mut(&id.client) {
                client.calls -= 1;
            }
            waiting
        };
        drop(gone);
        for (call, returns) in waiting {
            answer(&*returns, call, &outcome);
        }
    }
}

/// What one answer counts for.
fn size(outcome: &Outcome) -> usize {
    64 + outcome.as_ref().map_or(0, Vec::len)
}

fn answer(returns: &dyn Returns, call: u64, outcome: &Outcome) {
    match outcome {
        Ok(bytes) => returns.answer(call, Ok(&Encoded(bytes))),
        Err(error) => returns.answer(call, Err(*error)),
    }
}

impl State {
    /// Forgets what has been remembered for long enough.
    fn forget_old(&mut self) -> Vec<Call> {
        let now = time::now();
        let mut gone = Vec::new();
        while self.done.front().is_some_and(|(until, _)| *until <= now) {
            gone.extend(self.forget_one());
        }
        gone
    }

    /// Forgets the oldest of those that are done.
    fn forget_one(&mut self) -> Option<Call> {
        let (_, id) = self.done.pop_front()?;
        let call = self.calls.remove(&id)?;
        if let Call::Done(outcome) = &call {
            self.bytes -= size(outcome);
        }
        let client = self.clients.entry(id.client).or_default();
        client.calls = client.calls.saturating_sub(1);
        client.forgotten = client.forgotten.max(Some(id.number));
        Some(call)
    }

    /// Forgets a client of which no call is remembered, if there are too many; `false` if there is none.
    fn make_room_for_client(&mut self) -> bool {
        if self.clients.len() < self.limits.clients {
            return true;
        }
        let idle = self
            .clients
            .iter()
            .find_map(|(&client, of)| (of.calls == 0).then_some(client));
        match idle {
            Some(client) => {
                self.clients.remove(&client);
                self.forgotten = true;
                true
            }
            None => false,
        }
    }
}

/// Where a call that is remembered is answered to.
#[derive(Debug)]
struct Recorder {
    memory: Arc<Memory>,
    id: CallId,
}

impl Returns for Recorder {
    fn answer(&self, _: u64, outcome: Result<&dyn Encodable, CallError>) {
        let outcome = outcome.and_then(|value| {
            let mut bytes = Vec::new();
            // An answer with references in it means something on one link alone, and cannot be given again.
            match value.encode(&mut bytes, MAX_ANSWER) {
                Ok(()) => Ok(bytes),
                Err(_) => Err(CallError::Unanswered),
            }
        });
        self.memory.finish(self.id, outcome);
    }
}

/// What has been encoded before.
struct Encoded<'a>(&'a [u8]);

impl Encodable for Encoded<'_> {
    fn encode(&self, into: &mut Vec<u8>, max: usize) -> Result<(), EncodeError> {
        if self.0.len() > max {
            return Err(EncodeError::TooBig { max });
        }
        into.extend_from_slice(self.0);
        Ok(())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Memory")
            .field("calls", &state.calls.len())
            .field("bytes", &state.bytes)
            .finish()
    }
}
