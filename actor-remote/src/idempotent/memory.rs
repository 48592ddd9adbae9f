//! The receiver's side: what it remembers.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actor_codec::EncodeError;
use actor_core::__private::catch_panic;
use actor_core::remote::{Encodable, InboundCall, Returns};
use actor_core::{CallError, Refusal, time};
use parking_lot::Mutex;

use super::{CallId, Dedup, MemoryLimits, Verdict};
use crate::aside::Aside;
use crate::wire::frame::{Body, Malformed};

/// The biggest answer that is remembered, as much as a message may have.
const MAX_ANSWER: usize = 1 << 20;

/// What a call that may be made again says of itself.
#[derive(Clone, Copy)]
pub(crate) struct Repeated {
    pub(super) id: CallId,
    pub(super) window: Duration,
    /// Which process has perhaps executed it.
    pub(super) before: Option<u128>,
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
    store: Option<Store>,
    calls: HashMap<CallId, Call>,
    /// Those that are done, the oldest first, and until when they are remembered, if that is ever over.
    done: VecDeque<(Option<Instant>, CallId)>,
    bytes: usize,
    clients: HashMap<u128, Client>,
    /// A client has been forgotten.
    forgotten: bool,
}

/// One of the user's, and who tells it what has been answered.
#[derive(Clone)]
struct Store {
    dedup: Arc<dyn Dedup>,
    aside: Arc<Aside>,
}

/// Of one client.
#[derive(Default)]
struct Client {
    /// The highest number that has been forgotten.
    forgotten: Option<u64>,
    /// How many are remembered.
    calls: usize,
    /// How many of these are being executed.
    runs: usize,
}

enum Call {
    /// It is being executed, or the store is asked, and these wait for its answer.
    Runs {
        waiting: VecDeque<Waiting>,
        window: Duration,
    },
    Done(Arc<Outcome>),
}

/// An attempt that waits: the call, and where its answer goes.
type Waiting = (u64, Arc<dyn Returns>);

type Outcome = Result<Vec<u8>, CallError>;

/// How many attempts at one call wait for its answer: the links of all but the last have ended, mostly.
const MAX_WAITING: usize = 16;

/// What is to be done with a call.
pub(crate) enum Begun {
    /// It is to be executed, and answered to this.
    Execute(Arc<dyn Returns>),
    /// The same, unless the store knows it. It is asked where others do not wait for that.
    Ask(Arc<dyn Returns>, Inquiry),
    /// It is answered already, or with the one that runs.
    Known,
}

/// A store is to be asked about a call.
pub(crate) struct Inquiry {
    memory: Arc<Memory>,
    store: Arc<dyn Dedup>,
    id: CallId,
}

impl Inquiry {
    /// Asks, and has the call executed if it is new. May wait.
    pub(crate) fn then<T>(self, execute: impl FnOnce() -> Result<(), T>) -> Result<(), T> {
        let Inquiry { memory, store, id } = self;
        let verdict = catch_panic(|| store.look_up(id)).unwrap_or_else(|panic| {
            tracing::error!(%panic, ?id, "a store has panicked, and is taken not to know a call");
            Verdict::Forgotten
        });
        match verdict {
            Verdict::New => return execute(),
            Verdict::Done(bytes) => memory.conclude(id, Ok(bytes)),
            Verdict::Forgotten => {
                memory.conclude(id, Err(CallError::Refused(Refusal::Forgotten)));
            }
        }
        Ok(())
    }
}

impl Memory {
    /// A call has come, to a receiver with this memory. Never waits.
    pub(crate) fn begin(
        memory: Option<&Arc<Memory>>,
        repeated: Repeated,
        incarnation: u128,
        call: &InboundCall,
    ) -> Begun {
        let refuse = |why| {
            call.returns.answer(call.id, Err(why));
            Begun::Known
        };
        let Some(memory) = memory else {
            return refuse(CallError::Refused(Refusal::NotIdempotent));
        };
        let Repeated { id, window, before } = repeated;
        let mut state = memory.state.lock();
        let mut gone = state.forget_old();
        match state.calls.get_mut(&id) {
            Some(Call::Runs { waiting, .. }) => {
                let oldest = if waiting.len() < MAX_WAITING {
                    None
                } else {
                    waiting.pop_front()
                };
                waiting.push_back((call.id, call.returns.clone()));
                drop(state);
                drop(gone);
                if let Some((call, returns)) = oldest {
                    let maybe_executed = true;
                    returns.answer(call, Err(CallError::Disconnected { maybe_executed }));
                }
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
        let store = state.store.clone();
        // A store knows all.
        if store.is_none() && state.has_forgotten(id, before, incarnation) {
            drop(state);
            drop(gone);
            return refuse(CallError::Refused(Refusal::Forgotten));
        }
        if !state.make_room(id.client, &mut gone) {
            drop(state);
            drop(gone);
            return refuse(CallError::Full);
        }
        // From here on, what comes by another link finds it.
        let client = state.clients.entry(id.client).or_default();
        client.calls += 1;
        client.runs += 1;
        let waiting = VecDeque::from([(call.id, call.returns.clone())]);
        state.calls.insert(id, Call::Runs { waiting, window });
        drop(state);
        drop(gone);
        let memory = memory.clone();
        let recorder = Arc::new(Recorder {
            memory: memory.clone(),
            id,
            answered: AtomicBool::new(false),
        });
        match store {
            None => Begun::Execute(recorder),
            Some(Store { dedup: store, .. }) => Begun::Ask(recorder, Inquiry { memory, store, id }),
        }
    }

    pub(crate) fn set(&self, limits: MemoryLimits, store: Option<Arc<dyn Dedup>>) {
        let store = store.map(|dedup| Store {
            dedup,
            aside: Arc::new(Aside::new("stores what was answered")),
        });
        let before = {
            let mut state = self.state.lock();
            state.limits = limits;
            std::mem::replace(&mut state.store, store)
        };
        drop(before);
    }

    /// A call has been answered by its receiver. Never waits, as that may be where others wait.
    fn finish(self: &Arc<Self>, id: CallId, outcome: Outcome) {
        let store = self.state.lock().store.clone();
        match (store, outcome) {
            (Some(Store { dedup, aside }), Ok(bytes)) => {
                let memory = self.clone();
                aside.run(move || {
                    let stored = catch_panic(|| dedup.done(id, &bytes));
                    memory.conclude(
                        id,
                        stored.map(|()| bytes).map_err(|panic| {
                            tracing::error!(%panic, ?id, "a store has panicked, and a call stays unanswered");
                            CallError::Unanswered
                        }),
                    );
                });
            }
            (_, outcome) => self.conclude(id, outcome),
        }
    }

    /// A call has come to its end: remembers that, and answers all who wait.
    fn conclude(&self, id: CallId, outcome: Outcome) {
        let is_executed = !is_certainly_not_executed(&outcome);
        let outcome = Arc::new(outcome);
        let mut gone = Vec::new();
        let waiting = {
            let mut state = self.state.lock();
            let Some(Call::Runs { waiting, window }) = state.calls.get_mut(&id) else {
                return;
            };
            let (waiting, window) = (std::mem::take(waiting), *window);
            if let Some(client) = state.clients.get_mut(&id.client) {
                client.runs -= 1;
            }
            if is_executed {
                state.bytes += size(&outcome);
                let age = window.saturating_mul(2).min(state.limits.age);
                state.done.push_back((time::now().checked_add(age), id));
                state.calls.insert(id, Call::Done(outcome.clone()));
                while state.bytes > state.limits.bytes
                    && let Some(call) = state.forget_one()
                {
                    gone.push(call);
                }
            } else {
                // It may be, the next time.
                state.calls.remove(&id);
                if let Some(client) = state.clients.get_mut(&id.client) {
                    client.calls -= 1;
                }
            }
            waiting
        };
        drop(gone);
        // What the first attempt has found is nothing that others, over later links, would find as well: they try for
        // themselves.
        let maybe_executed = false;
        let again = Err(CallError::Disconnected { maybe_executed });
        for (number, (call, returns)) in waiting.into_iter().enumerate() {
            let own = if is_executed || number == 0 {
                &*outcome
            } else {
                &again
            };
            answer(&*returns, call, own);
        }
    }
}

/// Whether an outcome says that nothing has happened. Other refusals may be of an answer, on its way from a third node.
fn is_certainly_not_executed(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Err(CallError::Full
            | CallError::Refused(
                Refusal::Unknown
                    | Refusal::NotExposed
                    | Refusal::Version
                    | Refusal::Forgotten
                    | Refusal::NotIdempotent
            )
            | CallError::Disconnected {
                maybe_executed: false
            })
    )
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
    /// Whether a call that is not known may have been executed.
    fn has_forgotten(&self, id: CallId, before: Option<u128>, incarnation: u128) -> bool {
        let by_number = match self.clients.get(&id.client) {
            Some(client) => client.forgotten.is_some_and(|number| id.number <= number),
            None => self.forgotten && before.is_some(),
        };
        by_number || before.is_some_and(|before| before != incarnation)
    }

    /// Forgets so much that another call can be remembered; `false` if all are being executed.
    fn make_room(&mut self, client: u128, gone: &mut Vec<Call>) -> bool {
        while self.calls.len() >= self.limits.calls {
            match self.forget_one() {
                Some(call) => gone.push(call),
                None => return false,
            }
        }
        self.clients.contains_key(&client) || self.make_room_for_client(gone)
    }

    /// Forgets what has been remembered for long enough.
    fn forget_old(&mut self) -> Vec<Call> {
        let now = time::now();
        let mut gone = Vec::new();
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        while self.done.front().is_some_and(|(until, _)| is_over(*until)) {
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

    /// Forgets a client of which no call is remembered, if there are too many. If there is no such client, the oldest of
    /// what is done is forgotten until there is; `false` if calls of all are being executed.
    fn make_room_for_client(&mut self, gone: &mut Vec<Call>) -> bool {
        if self.clients.len() < self.limits.clients {
            return true;
        }
        let find = |is_one: fn(&Client) -> bool| {
            let mut clients = self.clients.iter();
            clients.find_map(|(&client, of)| is_one(of).then_some(client))
        };
        let idle = match find(|of| of.calls == 0) {
            Some(idle) => idle,
            // Before anything is forgotten in vain.
            None if find(|of| of.runs == 0).is_none() => return false,
            None => loop {
                let Some(&(_, oldest)) = self.done.front() else {
                    return false;
                };
                gone.extend(self.forget_one());
                let of = self.clients.get(&oldest.client);
                if of.is_some_and(|of| of.calls == 0) {
                    break oldest.client;
                }
            },
        };
        self.clients.remove(&idle);
        self.forgotten = true;
        true
    }
}

/// Where a call that is remembered is answered to.
#[derive(Debug)]
struct Recorder {
    memory: Arc<Memory>,
    id: CallId,
    answered: AtomicBool,
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
        // Relaxed: for itself alone.
        self.answered.store(true, Ordering::Relaxed);
        self.memory.finish(self.id, outcome);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Whatever has become of it, nobody is to wait for ever, nor may it be executed again.
        if !*self.answered.get_mut() {
            self.memory.finish(self.id, Err(CallError::Unanswered));
        }
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
