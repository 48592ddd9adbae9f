//! Channels on which a sender and a receiver meet.
//!
//! A [`Channel`] holds nothing. [`send`](Channel::send) waits until a receiver takes the value, and
//! [`receive`](Channel::receive) until a sender brings one; those who wait are served in the order in
//! which they came. The two may be tasklets of one worker or of two, handlers of actors, or plain
//! threads.
//!
//! ```
//! use actor_core::channel::Channel;
//! use actor_core::{Tasklet, dispatch};
//!
//! dispatch(|| {
//!     let channel = Channel::new();
//!     let numbers = channel.clone();
//!     Tasklet::spawn(move || {
//!         for n in 1..=3 {
//!             numbers.send(n).unwrap();
//!         }
//!     });
//!     assert_eq!(channel.receive().unwrap(), 1);
//!     assert_eq!(channel.iter().sum::<i32>(), 5); // until the sender's handle is gone
//! });
//! ```
//!
//! # Who runs next
//!
//! When the two share a worker, the channel's [`Preference`] says who of them goes on. Whoever does not
//! comes after all that are ready.
//!
//! | | [`Receiver`](Preference::Receiver), as usual | [`Neither`](Preference::Neither) | [`Sender`](Preference::Sender) |
//! |---|---|---|---|
//! | a send finds a receiver | the receiver, at once | the sender goes on | the sender goes on |
//! | a receive finds a sender | the receiver goes on | the receiver goes on | the sender, at once |
//! | nobody is there | the next that is ready | the same | the same |
//!
//! With [`schedule_all`](Channel::set_schedule_all) whoever finds a peer lets all others run first, whatever
//! the preference: those who are ready, then the peer, then the one that has found it. Between workers, or
//! with a plain thread, both go on, in any case.
//!
//! # The end
//!
//! [`close`](Channel::close) keeps the lines from growing: an operation that finds a peer succeeds, any
//! other fails, and those who wait go on waiting for a peer. [`open`](Channel::open) takes that back.
//!
//! A channel also comes to its end with its handles. Those who wait hold handles themselves; so it does
//! when each handle that is left is one that waits, all of them to send or all to receive, and
//! nobody is there who could meet them. Then all waits fail with `Closed`, and so does every operation
//! that would bring this about by waiting. This is why a handle belongs to one tasklet or thread at a
//! time (it is [`Send`], but not [`Sync`]): clone it for each. It also means that one who keeps a
//! second handle while it waits with the first keeps its own wait from ending so. As long as no handle
//! has ever been dropped nothing has come to an end, and who waits waits.
//!
//! # What ends a wait
//!
//! A wait in a channel is like any other: it can have a deadline of its own, or that of a
//! [`timeout`](crate::timeout()) block around it, and its tasklet can be killed, or have an error
//! [raised](crate::Tasklet::raise) in it. Whichever way it ends, the waiter leaves the line at that moment,
//! and [`balance`](Channel::balance) says so. Values are neither lost nor doubled by it:
//!
//! - A value that nobody has taken comes back in the error; if the sender is killed it is dropped with
//!   all else that the sender has.
//! - A tasklet that has been killed is given nothing any more, even before it has run to unwind: the
//!   value goes to the next in the line, or the sender waits.
//! - What has changed hands when the deadline passes or the kill comes has been sent and received: both
//!   operations succeed. The deadline counts for the next operation, and so does the kill.
//!
//! # Several at once
//!
//! A [`Select`] waits for the first of several channels, the mailbox and a deadline.
//!
//! The idea, the preferences and the two ends are those of Stackless Python's channels.

mod error;
mod hook;
mod iter;
mod lock;
#[cfg(all(test, loom))]
mod loom_models;
mod peer;
pub(crate) mod rendezvous;
mod select;
mod transfer;

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use self::error::{ReceiveError, SelectError, SendError};
pub use self::hook::{ChannelHook, Operation, channel_hook, set_channel_hook};
pub use self::iter::Iter;
use self::peer::{Peer, wake_all};
use self::rendezvous::Rendezvous;
pub use self::select::Select;
use self::transfer::Patience;
use crate::actor::carrier;
use crate::waiter::Waiter;
use crate::{BoxError, Tasklet};

/// Who goes on when a sender and a receiver of one worker have met.
///
/// See [the table](self#who-runs-next).
///
/// # Examples
///
/// ```
/// use actor_core::channel::{Channel, Preference};
///
/// assert_eq!(Channel::<()>::new().preference(), Preference::Receiver);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preference {
    /// The receiver. Stackless's −1.
    #[default]
    Receiver,
    /// Whoever came second, and so found the other. Stackless's 0.
    Neither,
    /// The sender. Stackless's 1.
    Sender,
}

/// A handle to a channel, on which senders and receivers meet.
///
/// A clone is another handle to the same channel. See the [module](self) for what channels promise.
///
/// # Examples
///
/// ```
/// use actor_core::channel::Channel;
/// use actor_core::{Tasklet, dispatch};
///
/// dispatch(|| {
///     let channel = Channel::new();
///     let other = channel.clone();
///     let receiver = Tasklet::spawn(move || other.receive().unwrap());
///     channel.send("hello").unwrap();
///     assert_eq!(receiver.join().unwrap(), "hello");
/// });
/// ```
pub struct Channel<T> {
    shared: Arc<Shared<T>>,
    /// Not `Sync`: that is how the channel knows that a handle that waits is not used otherwise.
    _one_at_a_time: PhantomData<Cell<()>>,
}

#[derive(Debug)]
struct Shared<T> {
    id: u64,
    rendezvous: Rendezvous<T, Peer>,
}

impl<T> Channel<T> {
    /// Makes a channel that prefers receivers.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    ///
    /// assert_eq!(Channel::<String>::new().balance(), 0);
    /// ```
    pub fn new() -> Self {
        Channel::with_preference(Preference::default())
    }

    /// Makes a channel with another preference.
    ///
    /// # Examples
    ///
    /// Here the sender goes on until there is nobody to send to:
    ///
    /// ```
    /// use actor_core::channel::{Channel, Preference};
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let channel = Channel::with_preference(Preference::Sender);
    ///     let other = channel.clone();
    ///     let receiver = Tasklet::spawn(move || other.receive().unwrap());
    ///     Tasklet::yield_now();
    ///     channel.send(7).unwrap();
    ///     assert!(receiver.is_alive()); // it has not run yet
    ///     assert_eq!(receiver.join().unwrap(), 7);
    /// });
    /// ```
    pub fn with_preference(preference: Preference) -> Self {
        static ISSUED: AtomicU64 = AtomicU64::new(1);
        Channel {
            shared: Arc::new(Shared {
                id: ISSUED.fetch_add(1, Ordering::Relaxed),
                rendezvous: Rendezvous::new(preference),
            }),
            _one_at_a_time: PhantomData,
        }
    }

    /// The channel's number, which no other channel of the process has.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    ///
    /// let channel = Channel::<u8>::new();
    /// assert_eq!(channel.id(), channel.clone().id());
    /// assert_ne!(channel.id(), Channel::<u8>::new().id());
    /// ```
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Says who runs next from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, Preference};
    ///
    /// let channel = Channel::<u8>::new();
    /// channel.set_preference(Preference::Neither);
    /// assert_eq!(channel.preference(), Preference::Neither);
    /// ```
    pub fn set_preference(&self, preference: Preference) {
        self.shared.rendezvous.lock().preference = preference;
    }

    /// Who runs next.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, Preference};
    ///
    /// let channel = Channel::<u8>::with_preference(Preference::Sender);
    /// assert_eq!(channel.preference(), Preference::Sender);
    /// ```
    pub fn preference(&self) -> Preference {
        self.shared.rendezvous.lock().preference
    }

    /// Has whoever finds a peer here let all others of its worker run, or not any more; in place of what
    /// the [preference](Self::preference) says. Those who are ready come first, then the peer, and then the
    /// one that has found it.
    ///
    /// Stackless's channels have such a flag, for programs in which nobody is to get ahead of others by
    /// communicating.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let channel = Channel::new();
    ///     channel.set_schedule_all(true);
    ///     let other = channel.clone();
    ///     let receiver = Tasklet::spawn(move || other.receive().unwrap());
    ///     Tasklet::schedule();
    ///     let ready = Tasklet::spawn(|| ());
    ///     channel.send(7).unwrap();
    ///     assert!(!ready.is_alive() && !receiver.is_alive()); // both have run
    /// });
    /// ```
    pub fn set_schedule_all(&self, on: bool) {
        self.shared.rendezvous.lock().schedule_all = on;
    }

    /// Whether all others run after each meeting; see [`set_schedule_all`](Self::set_schedule_all).
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    ///
    /// let channel = Channel::<u8>::new();
    /// assert!(!channel.schedule_all());
    /// channel.set_schedule_all(true);
    /// assert!(channel.schedule_all());
    /// ```
    pub fn schedule_all(&self) -> bool {
        self.shared.rendezvous.lock().schedule_all
    }

    /// Gives `value` to a receiver, waiting for one if need be.
    ///
    /// It fails, and gives the value back, if the channel comes to its [end](self#the-end), if the deadline
    /// of a [`timeout`](crate::timeout()) block passes, with [`SendError::Deadlock`] if the main tasklet waits
    /// and no receiver can come, or with [`SendError::WouldBlock`] where nothing can wait: while the tasklet
    /// unwinds, in the [block trap](crate::BlockTrap), in a timer's action, or in an actor's handler when no
    /// more tasklets may exist.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, SendError};
    ///
    /// let channel = Channel::new();
    /// channel.close();
    /// assert_eq!(channel.send(7), Err(SendError::Closed(7)));
    /// ```
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_value(value, Patience::ENDLESS)
    }

    /// Gives `value` to a receiver if one waits.
    ///
    /// As after [`send`](Self::send), the receiver may run at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, SendError};
    ///
    /// assert_eq!(Channel::new().try_send(7), Err(SendError::WouldBlock(7)));
    /// ```
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_value(value, Patience::None)
    }

    /// As [`send`](Self::send), but waits for at most `limit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::channel::{Channel, SendError};
    ///
    /// let channel = Channel::new();
    /// let late = channel.send_timeout(7, Duration::from_millis(1));
    /// assert_eq!(late, Err(SendError::Timeout(7)));
    /// assert_eq!(channel.balance(), 0);
    /// ```
    pub fn send_timeout(&self, value: T, limit: Duration) -> Result<(), SendError<T>> {
        self.send_value(value, Patience::limit(limit))
    }

    /// Gives a receiver an error, which its [`receive`](Self::receive) fails with; waits for one if need
    /// be. Stackless's "bomb".
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let quotients = Channel::<i32>::new();
    ///     let divider = quotients.clone();
    ///     Tasklet::spawn(move || divider.send_error("division by zero"));
    ///     assert_eq!(quotients.receive().unwrap_err().to_string(), "division by zero");
    /// });
    /// ```
    pub fn send_error<E: Into<BoxError>>(&self, error: E) -> Result<(), SendError<BoxError>> {
        self.send_item(Err(error.into()), Patience::ENDLESS)
            .map_err(|refused| {
                refused.map(|item| match item {
                    Err(error) => error,
                    Ok(_) => unreachable!("an error was sent"),
                })
            })
    }

    /// Sends one value after the other, and says how many.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let letters = Channel::new();
    ///     let sender = letters.clone();
    ///     let sent = Tasklet::spawn(move || sender.send_all("abc".chars()).unwrap());
    ///     assert_eq!(letters.iter().collect::<String>(), "abc");
    ///     assert_eq!(sent.join().unwrap(), 3);
    /// });
    /// ```
    pub fn send_all(&self, values: impl IntoIterator<Item = T>) -> Result<usize, SendError<T>> {
        let mut sent = 0;
        for value in values {
            self.send(value)?;
            sent += 1;
        }
        Ok(sent)
    }

    /// Takes a value from a sender, waiting for one if need be.
    ///
    /// It fails with [`ReceiveError::Raised`] if the sender [sent an error](Self::send_error), and
    /// otherwise as [`send`](Self::send) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    /// use actor_core::channel::Channel;
    ///
    /// let channel = Channel::new();
    /// let other = channel.clone();
    /// let sender = thread::spawn(move || other.send(7));
    /// assert_eq!(channel.receive().unwrap(), 7);
    /// sender.join().unwrap().unwrap();
    /// ```
    #[inline]
    pub fn receive(&self) -> Result<T, ReceiveError> {
        self.receive_value(Patience::ENDLESS)
    }

    /// Takes a value from a sender if one waits.
    ///
    /// As after [`receive`](Self::receive), the sender may run at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, ReceiveError};
    ///
    /// let channel = Channel::<u8>::new();
    /// assert!(matches!(channel.try_receive(), Err(ReceiveError::WouldBlock)));
    /// ```
    pub fn try_receive(&self) -> Result<T, ReceiveError> {
        self.receive_value(Patience::None)
    }

    /// As [`receive`](Self::receive), but waits for at most `limit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::channel::{Channel, ReceiveError};
    ///
    /// let channel = Channel::<u8>::new();
    /// let late = channel.receive_timeout(Duration::from_millis(1));
    /// assert!(matches!(late, Err(ReceiveError::Timeout)));
    /// ```
    pub fn receive_timeout(&self, limit: Duration) -> Result<T, ReceiveError> {
        self.receive_value(Patience::limit(limit))
    }

    /// How many senders wait, less how many receivers do.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let channel = Channel::new();
    ///     for n in 0..3 {
    ///         let sender = channel.clone();
    ///         Tasklet::spawn(move || sender.send(n));
    ///     }
    ///     Tasklet::yield_now();
    ///     assert_eq!(channel.balance(), 3);
    ///     assert_eq!(channel.receive().unwrap(), 0);
    ///     assert_eq!(channel.balance(), 2);
    /// });
    /// ```
    pub fn balance(&self) -> isize {
        self.shared.rendezvous.lock().balance()
    }

    /// Whether a sender waits: then a receive does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    ///
    /// assert!(!Channel::<u8>::new().has_sender());
    /// ```
    pub fn has_sender(&self) -> bool {
        self.shared.rendezvous.lock().has_sender()
    }

    /// Whether a receiver waits: then a send does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    ///
    /// assert!(!Channel::<u8>::new().has_receiver());
    /// ```
    pub fn has_receiver(&self) -> bool {
        self.shared.rendezvous.lock().has_receiver()
    }

    /// The tasklet that has waited here longest, and is the next to be met; `None` if nobody waits, or
    /// if it is a plain thread or the handler of an actor.
    ///
    /// It may go on at any moment unless it shares the caller's worker. Stackless's `channel.queue`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let channel = Channel::<u8>::new();
    ///     assert!(channel.first_waiting().is_none());
    ///     let other = channel.clone();
    ///     let receiver = Tasklet::spawn(move || other.receive());
    ///     Tasklet::schedule();
    ///     assert_eq!(channel.first_waiting().as_ref(), Some(receiver.tasklet()));
    ///     channel.send(7).unwrap();
    /// });
    /// ```
    pub fn first_waiting(&self) -> Option<Tasklet> {
        let state = self.shared.rendezvous.lock();
        match &state.first()?.waiter {
            Waiter::Tasklet(core) if !carrier::is(core) => Some(Tasklet::new(core.clone())),
            _ => None,
        }
    }

    /// Keeps everybody from waiting here from now on. Those who wait already go on waiting, and can be
    /// met: see [the end](self#the-end).
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let channel = Channel::new();
    ///     let sender = channel.clone();
    ///     Tasklet::spawn(move || sender.send(1));
    ///     Tasklet::yield_now();
    ///     channel.close();
    ///     assert!(channel.is_closing() && !channel.is_closed());
    ///     assert_eq!(channel.receive().unwrap(), 1); // what waited
    ///     assert!(channel.is_closed());
    ///     assert!(channel.receive().is_err());
    /// });
    /// ```
    pub fn close(&self) {
        self.shared.rendezvous.lock().is_closing = true;
    }

    /// Takes a [`close`](Self::close) back.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    ///
    /// let channel = Channel::<u8>::new();
    /// channel.close();
    /// channel.open();
    /// assert!(!channel.is_closing());
    /// ```
    pub fn open(&self) {
        self.shared.rendezvous.lock().is_closing = false;
    }

    /// Whether the channel has been [closed](Self::close). There may still be some who wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    ///
    /// let channel = Channel::<u8>::new();
    /// channel.close();
    /// assert!(channel.is_closing());
    /// ```
    pub fn is_closing(&self) -> bool {
        self.shared.rendezvous.lock().is_closing
    }

    /// Whether the channel has been [closed](Self::close) and nobody waits any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    ///
    /// let channel = Channel::<u8>::new();
    /// channel.close();
    /// assert!(channel.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        let state = self.shared.rendezvous.lock();
        state.is_closing && !state.has_sender() && !state.has_receiver()
    }

    /// Receives one value after the other, until the channel comes to its [end](self#the-end) or a
    /// sender [sends an error](Self::send_error).
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let channel = Channel::new();
    ///     let sender = channel.clone();
    ///     Tasklet::spawn(move || {
    ///         sender.send_all([1, 2])?;
    ///         sender.close();
    ///         Ok::<_, actor_core::channel::SendError<i32>>(())
    ///     });
    ///     let mut received = Vec::new();
    ///     for value in &channel {
    ///         received.push(value);
    ///     }
    ///     assert_eq!(received, [1, 2]);
    /// });
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// Where the channel is in memory.
    fn place(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        self.shared.rendezvous.lock().add_handle();
        Channel {
            shared: self.shared.clone(),
            _one_at_a_time: PhantomData,
        }
    }
}

impl<T> Drop for Channel<T> {
    fn drop(&mut self) {
        let refused = self.shared.rendezvous.lock().remove_handle();
        wake_all(refused);
    }
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        Channel::new()
    }
}

/// Whether they are handles to the same channel.
impl<T> PartialEq for Channel<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shared.id == other.shared.id
    }
}

impl<T> Eq for Channel<T> {}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.rendezvous.lock();
        let (balance, preference) = (state.balance(), state.preference);
        drop(state);
        f.debug_struct("Channel")
            .field("id", &self.shared.id)
            .field("balance", &balance)
            .field("preference", &preference)
            .finish()
    }
}

impl<'a, T> IntoIterator for &'a Channel<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
