//! Messages that nobody will handle, for those who want to see them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::{Envelope, Message, Pid, Recipient, SendError};

/// A message that nobody will handle: it was left in a mailbox whose owner has ended, or no arm of a
/// receive loop took it.
///
/// Calls are not among them: their callers are told. Nor is what a full mailbox drops, since that is
/// its owner's choice. All of them are counted, see [`dropped`](crate::dropped()).
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{DeadLetter, Message, Tasklet, dispatch, match_message, subscribe_dead_letters};
///
/// #[derive(Message)]
/// struct Order(u32);
///
/// fn main() {
///     dispatch(|| {
///         let letters = subscribe_dead_letters(Tasklet::current());
///         let shop = Tasklet::spawn(|| drop(Tasklet::receive_one()));
///         shop.send(Order(1)).unwrap();
///         shop.send(Order(2)).unwrap(); // it ends after the first
///         shop.join().unwrap();
///         match_message!(match Tasklet::receive_one().unwrap() {
///             letter: DeadLetter => {
///                 assert_eq!(letter.to, shop.pid());
///                 let order = letter.take().unwrap().downcast::<Order>();
///                 assert_eq!(order.unwrap().0, 2);
///             }
///         });
///         letters.cancel();
///     });
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Whom it was sent to.
    pub to: Pid,
    /// What that one was called.
    pub name: Arc<str>,
    /// The name of the message's class, as `std::any::type_name` has it.
    pub class: &'static str,
    /// Why nobody handles it.
    pub cause: DeadLetterCause,
    message: Arc<Mutex<Option<Envelope>>>,
}

/// Why nobody handles a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadLetterCause {
    /// It was in the mailbox when the receiver ended.
    Ended,
    /// No arm of the receiver's loop took it.
    Unmatched,
}

impl DeadLetter {
    /// The message itself, for the first who asks for it.
    pub fn take(&self) -> Option<Envelope> {
        self.message.lock().take()
    }
}

impl Message for DeadLetter {
    type Reply = ();
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("to", &self.to)
            .field("name", &self.name)
            .field("class", &self.class)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

/// A subscription to dead letters. Dropping it changes nothing; it ends with the subscriber.
#[derive(Debug)]
pub struct DeadLetterSubscription {
    id: u64,
}

impl DeadLetterSubscription {
    /// Ends it. Letters that are on their way still come.
    pub fn cancel(self) {
        remove(|subscriber| subscriber.id == self.id);
    }
}

#[derive(Clone)]
struct Subscriber {
    id: u64,
    to: Recipient<DeadLetter>,
}

static SUBSCRIBERS: Mutex<Vec<Subscriber>> = Mutex::new(Vec::new());
/// How many there are, to be read without the lock.
static WANTED: AtomicUsize = AtomicUsize::new(0);

/// Has every dead letter of the process from now on sent to `to` as well, as
/// [`try_send`](Recipient::try_send) does. What a subscriber does not take is lost.
///
/// The idea is Akka's. A subscriber that falls behind is best given a bounded mailbox.
pub fn subscribe_dead_letters(to: impl Into<Recipient<DeadLetter>>) -> DeadLetterSubscription {
    static ISSUED: AtomicU64 = AtomicU64::new(0);
    let id = ISSUED.fetch_add(1, Ordering::Relaxed);
    let mut subscribers = SUBSCRIBERS.lock();
    subscribers.push(Subscriber { id, to: to.into() });
    WANTED.store(subscribers.len(), Ordering::Release);
    DeadLetterSubscription { id }
}

fn remove(which: impl Fn(&Subscriber) -> bool) {
    let removed: Vec<_> = {
        let mut subscribers = SUBSCRIBERS.lock();
        let removed = subscribers.extract_if(.., |one| which(one)).collect();
        WANTED.store(subscribers.len(), Ordering::Release);
        removed
    };
    // Not under the lock: it may be the last address of an actor.
    drop(removed);
}

/// Publishes a message that was sent to `to` and that nobody will handle, or drops it.
pub(crate) fn publish(message: Envelope, to: Pid, name: &str, cause: DeadLetterCause) {
    // Letters about letters would have no end.
    if WANTED.load(Ordering::Acquire) == 0 || message.is::<DeadLetter>() {
        return;
    }
    let letter = DeadLetter {
        to,
        name: name.into(),
        class: message.class(),
        cause,
        message: Arc::new(Mutex::new(Some(message))),
    };
    let subscribers = SUBSCRIBERS.lock().clone();
    for Subscriber { id, to } in subscribers {
        if let Err(SendError::Ended(_)) = to.try_send(letter.clone()) {
            remove(|one| one.id == id);
        }
    }
}
