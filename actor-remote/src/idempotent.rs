//! Calls that are executed once, however often they are made.
//!
//! The caller gives each an id, and makes the call again under the same one when the link breaks. The receiver
//! remembers ids: a call that is being executed is joined by the next, and one that has been is answered with what was
//! answered then. What it has had to forget is never executed again: per caller it keeps the highest number that it has
//! forgotten, and a number below that which it does not know is refused.

mod caller;
mod memory;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub(crate) use self::memory::{Begun, Memory, Repeated};
use crate::error::NoRandomness;
use crate::handshake::Nonce;

/// Which call it is: the same however often it is made.
///
/// ```
/// use actor_remote::CallId;
///
/// assert_ne!(CallId::fresh()?, CallId::fresh()?);
/// # Ok::<(), actor_remote::NoRandomness>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallId {
    /// Which process makes it.
    pub client: u128,
    /// Which of its calls it is. Later ones have higher numbers: once a receiver has forgotten one, it takes lower ones
    /// that it does not know for forgotten as well.
    pub number: u64,
}

impl CallId {
    /// One that no other call has.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`] if the system has none to give. Once it has given some in this process, as to any
    /// [`Node`](crate::Node), this does not fail.
    pub fn fresh() -> Result<CallId, NoRandomness> {
        if CLIENT.get().is_none() {
            let random = Nonce::random().map_err(NoRandomness)?;
            identify_by(&random);
        }
        CallId::next().ok_or_else(|| NoRandomness(io::ErrorKind::Other.into()))
    }

    /// The next one of this process, if that has an id.
    fn next() -> Option<CallId> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        Some(CallId {
            client: *CLIENT.get()?,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
        })
    }
}

/// Which process this is.
static CLIENT: OnceLock<u128> = OnceLock::new();

/// Gives this process an id, unless it has one.
pub(crate) fn identify_by(random: &Nonce) {
    CLIENT.get_or_init(|| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&random.as_bytes()[..16]);
        u128::from_le_bytes(bytes)
    });
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({:x}/{})", self.client, self.number)
    }
}

/// How a call is made that may be made again; see [`RemoteRef::call_idempotent`](crate::RemoteRef::call_idempotent).
#[derive(Clone, Debug)]
pub struct Idempotent {
    id: Option<CallId>,
    pub(crate) limit: Duration,
    /// With an id that is given: which process has perhaps executed it.
    before: Arc<Mutex<Option<u128>>>,
}

impl Idempotent {
    /// With an id of its own, for thirty seconds.
    pub fn new() -> Idempotent {
        Idempotent {
            id: None,
            limit: Duration::from_secs(30),
            before: Arc::default(),
        }
    }

    /// For at most `limit`, all attempts together.
    pub fn limit(mut self, limit: Duration) -> Idempotent {
        self.limit = limit;
        self
    }

    /// With this id: for a call whose message carries its own id, so that the receiver can write it in one with what the call
    /// has done. No two calls have the same.
    ///
    /// By this value and its clones the call can be made again when its time was over. By another with the same id it
    /// must not, unless the receiver has a [store](Dedup): a receiver that has been started anew would not know of
    /// the first attempt.
    pub fn id(mut self, id: CallId) -> Idempotent {
        self.id = Some(id);
        self.before = Arc::default();
        self
    }
}

impl Default for Idempotent {
    fn default() -> Self {
        Idempotent::new()
    }
}

/// How much a receiver remembers of calls that may be made again.
///
/// ```
/// use actor_remote::MemoryLimits;
///
/// let few = MemoryLimits { calls: 1_000, ..MemoryLimits::default() };
/// assert_eq!(few.bytes, 16 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// How many calls. 65,536 unless set. Those that are being executed count, and if all are, no more are taken.
    pub calls: usize,
    /// How many bytes their answers have together, and 64 more each. 16 MiB unless set.
    pub bytes: usize,
    /// For how long at most. Ten minutes unless set. It should be more than callers try: an answer is dropped earlier
    /// when twice the time has passed for which its caller said that it would try.
    pub age: Duration,
    /// Of how many processes that call. 4,096 unless set. Where there are as many, the oldest answers are
    /// forgotten until another has room; if calls of all are being executed, none of others are taken.
    pub clients: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        MemoryLimits {
            calls: 65_536,
            bytes: 16 << 20,
            age: Duration::from_secs(600),
            clients: 4096,
        }
    }
}

/// What a store knows of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has never been executed.
    New,
    /// It has been, and this was answered, as [`Dedup::done`] was given it.
    Done(Vec<u8>),
    /// It is not known.
    Forgotten,
}

/// A store of the user's behind what a receiver remembers, which outlasts its process; see
/// [`Exposure::idempotent_with`](crate::Exposure::idempotent_with).
///
/// A call is executed exactly once over a crash only if its effect and its id are made durable by one write: so the
/// message [carries its id](Idempotent::id), and whoever handles it writes both. `done` alone comes after the
/// effect, and what crashes in between has the effect without the id.
///
/// Its methods are called by tasklets of their own and may wait, for a disk say. `look_up` is asked before anything else
/// that the same link has for the same receiver is delivered, since order is kept; and a call is answered when `done` has
/// returned, of which one runs at a time. Where one of them panics the call is refused as
/// [forgotten](actor_core::Refusal::Forgotten), or left [unanswered](actor_core::CallError::Unanswered).
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
///
/// use actor_remote::{CallId, Dedup, Verdict};
///
/// /// Stands for one on disk.
/// #[derive(Default)]
/// struct Store(Mutex<HashMap<CallId, Vec<u8>>>);
///
/// impl Dedup for Store {
///     fn look_up(&self, id: CallId) -> Verdict {
///         match self.0.lock().unwrap().get(&id) {
///             Some(answer) => Verdict::Done(answer.clone()),
///             None => Verdict::New,
///         }
///     }
///
///     fn done(&self, id: CallId, answer: &[u8]) {
///         self.0.lock().unwrap().insert(id, answer.to_vec());
///     }
/// }
///
/// let (store, id) = (Store::default(), CallId::fresh()?);
/// assert_eq!(store.look_up(id), Verdict::New);
/// store.done(id, b"42");
/// assert_eq!(store.look_up(id), Verdict::Done(b"42".to_vec()));
/// # Ok::<(), actor_remote::NoRandomness>(())
/// ```
pub trait Dedup: Send + Sync + 'static {
    /// Whether a call has been executed. Asked of those that are not remembered.
    fn look_up(&self, id: CallId) -> Verdict;

    /// A call has been executed, and this is its encoded answer. Before it is sent.
    fn done(&self, id: CallId, answer: &[u8]);
}
