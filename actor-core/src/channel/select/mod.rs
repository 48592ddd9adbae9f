//! Waiting for the first of several things.
//!
//! - `arm`: a receive or a send among them;
//! - `lines`: the arms together, in the lines of their channels.

mod arm;
mod lines;
#[cfg(all(test, loom))]
pub(super) mod model;

use std::fmt;
use std::time::{Duration, Instant};

use self::arm::{Arm, Receiving, Sending};
use self::lines::{Lines, Ready};
use super::{Channel, ReceiveError, SelectError, SendError};
use crate::block::{self, Interrupt};
use crate::envelope::Envelope;
use crate::tasklet::receive;
use crate::{ReceiveError as MailboxError, time};

/// Waits for the first of several things: a value from one channel, a receiver at another, a message, a
/// deadline.
///
/// Each is added with a function for what follows; [`wait`](Self::wait) runs that of the one that comes
/// first, and gives what it returns. Of several that are ready it takes any, each as likely as another.
/// What it does not take is as if it had not been there: no value is received or sent, and nobody is in
/// a line any more.
///
/// The one that comes to pass is a send or receive like any other: it has the same errors, and the
/// channel's [preference](super::Preference) says who runs next.
///
/// The idea is Go's `select`, which Stackless Python's examples have as well.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use actor_core::channel::{Channel, Select};
/// use actor_core::{Tasklet, dispatch};
///
/// dispatch(|| {
///     let (words, numbers) = (Channel::<&str>::new(), Channel::<u32>::new());
///     let sender = numbers.clone();
///     Tasklet::spawn(move || sender.send(7));
///     let first = Select::new()
///         .receive(&words, |word| word.unwrap().to_owned())
///         .receive(&numbers, |number| number.unwrap().to_string())
///         .timeout(Duration::from_secs(5), || "nothing".to_owned())
///         .wait();
///     assert_eq!(first.unwrap(), "7");
/// });
/// ```
#[must_use = "nothing is waited for before `wait` is called"]
pub struct Select<'a, R> {
    arms: Vec<Box<dyn Arm<R> + 'a>>,
    message: Option<Box<OnMessage<'a, R>>>,
    late: Option<(Option<Instant>, Box<Otherwise<'a, R>>)>,
    otherwise: Option<Box<Otherwise<'a, R>>>,
}

/// What to make of a message.
type OnMessage<'a, R> = dyn FnOnce(Result<Envelope, MailboxError>) -> R + 'a;

/// What to do if nothing has come to pass.
type Otherwise<'a, R> = dyn FnOnce() -> R + 'a;

impl<'a, R> Select<'a, R> {
    /// Begins with nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Select;
    ///
    /// assert_eq!(Select::new().otherwise(|| "nothing").wait(), Ok("nothing"));
    /// ```
    pub fn new() -> Self {
        Select {
            arms: Vec::new(),
            message: None,
            late: None,
            otherwise: None,
        }
    }

    /// Adds a value from `channel`.
    ///
    /// It has also come, as an error, if the channel has come to its end, or a sender sends an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, Select};
    ///
    /// let channel = Channel::<u8>::new();
    /// channel.close();
    /// let received = Select::new().receive(&channel, |value| value).wait().unwrap();
    /// assert!(received.is_err());
    /// ```
    pub fn receive<T>(
        mut self,
        channel: &'a Channel<T>,
        then: impl FnOnce(Result<T, ReceiveError>) -> R + 'a,
    ) -> Self {
        self.arms.push(Box::new(Receiving {
            channel,
            ticket: None,
            outcome: None,
            then,
        }));
        self
    }

    /// Adds a receiver at `channel` for what is in `value`.
    ///
    /// If another thing comes first the value is in its place again when that one's function runs. If
    /// there is none in it, this cannot come first.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, Select};
    ///
    /// let channel = Channel::new();
    /// let mut next = Some("a line");
    /// let sent = Select::new()
    ///     .send(&channel, &mut next, |sent| sent.is_ok())
    ///     .otherwise(|| false)
    ///     .wait();
    /// assert_eq!((sent, next), (Ok(false), Some("a line")));
    /// ```
    pub fn send<T>(
        mut self,
        channel: &'a Channel<T>,
        value: &'a mut Option<T>,
        then: impl FnOnce(Result<(), SendError<T>>) -> R + 'a,
    ) -> Self {
        self.arms.push(Box::new(Sending {
            channel,
            value,
            ticket: None,
            outcome: None,
            then,
        }));
        self
    }

    /// Adds a message in the current tasklet's mailbox, as [`Tasklet::receive_one`] takes it.
    ///
    /// [`Tasklet::receive_one`]: crate::Tasklet::receive_one
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// # use concurrence::channel::{Channel, Select};
    /// #[derive(Message)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let channel = Channel::<u8>::new();
    ///     Tasklet::current().send(Note(1)).unwrap();
    ///     let note = Select::new()
    ///         .receive(&channel, |_| false)
    ///         .message(|message| message.unwrap().is::<Note>())
    ///         .wait();
    ///     assert!(note.unwrap());
    /// });
    /// # }
    /// ```
    pub fn message(mut self, then: impl FnOnce(Result<Envelope, MailboxError>) -> R + 'a) -> Self {
        self.message = Some(Box::new(then));
        self
    }

    /// Adds a deadline, `limit` from now. Of several the first counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::channel::{Channel, Select};
    ///
    /// let channel = Channel::<u8>::new();
    /// let late = Select::new()
    ///     .receive(&channel, |_| false)
    ///     .timeout(Duration::from_millis(1), || true)
    ///     .wait();
    /// assert_eq!(late, Ok(true));
    /// ```
    pub fn timeout(mut self, limit: Duration, then: impl FnOnce() -> R + 'a) -> Self {
        let at = time::after(limit);
        let is_first = match &self.late {
            Some((Some(other), _)) => at.is_some_and(|at| at < *other),
            Some((None, _)) => at.is_some(),
            None => true,
        };
        if is_first {
            self.late = Some((at, Box::new(then)));
        }
        self
    }

    /// Does not wait: if nothing is ready, this comes to pass.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, Select};
    ///
    /// let channel = Channel::<u8>::new();
    /// let nothing = Select::new().receive(&channel, |_| false).otherwise(|| true).wait();
    /// assert_eq!(nothing, Ok(true));
    /// ```
    pub fn otherwise(mut self, then: impl FnOnce() -> R + 'a) -> Self {
        self.otherwise = Some(Box::new(then));
        self
    }

    /// Waits for the first of what has been added, and gives what its function returns.
    ///
    /// It fails if the deadline of a [`timeout`](crate::timeout()) block around it passes, where a
    /// [`send`](Channel::send) could not wait, and with [`SelectError::Deadlock`] if there is nothing to
    /// wait for, or, in the main tasklet, if nothing in the process is left that could bring one of the
    /// peers; with a [`message`](Self::message) a stop still could.
    ///
    /// # Panics
    ///
    /// With a [`message`](Self::message), outside a tasklet.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::{Channel, Select};
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let channel = Channel::new();
    ///     let receiver = channel.clone();
    ///     Tasklet::spawn(move || receiver.receive());
    ///     let mut value = Some(7);
    ///     let sent = Select::new().send(&channel, &mut value, |sent| sent.is_ok()).wait();
    ///     assert_eq!((sent, value), (Ok(true), None));
    /// });
    /// ```
    pub fn wait(mut self) -> Result<R, SelectError> {
        block::enter_in_turn().map_err(error)?;
        self.arms.retain(|arm| arm.is_possible());
        let mut lines = Lines::new(self.arms);
        let owner = self.message.is_some().then(receive::receiver);
        loop {
            let ready = match lines.meet_or_join(owner, self.otherwise.is_none()) {
                Ok(ready) => ready,
                Err(interrupt) => return Err(error(interrupt)),
            };
            let ready = match ready {
                Ready::Joined(claim) => {
                    if lines.arms.is_empty() && owner.is_none() && self.late.is_none() {
                        return Err(SelectError::Deadlock);
                    }
                    let deadline = self.late.as_ref().and_then(|(at, _)| *at);
                    match lines.wait(&claim, owner, deadline) {
                        Ok(ready) => ready,
                        Err(Interrupt::TimedOut) if let Some((_, then)) = self.late => {
                            return Ok(then());
                        }
                        Err(interrupt) => return Err(error(interrupt)),
                    }
                }
                ready => ready,
            };
            match ready {
                Ready::Arm(arm) => return Ok(lines.arms.swap_remove(arm).finish()),
                Ready::Message => {
                    // What was there may have been a call whose caller has given up.
                    if let Some(received) = owner.and_then(receive::try_next)
                        && let Some(then) = self.message.take()
                    {
                        return Ok(then(received));
                    }
                }
                Ready::Nothing => {
                    if let Some(then) = self.otherwise.take() {
                        return Ok(then());
                    }
                }
                Ready::Joined(_) => {}
            }
        }
    }
}

impl<R> Default for Select<'_, R> {
    fn default() -> Self {
        Select::new()
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("channels", &self.arms.len())
            .finish_non_exhaustive()
    }
}

fn error(interrupt: Interrupt) -> SelectError {
    match interrupt {
        Interrupt::TimedOut | Interrupt::Expired(_) => SelectError::Timeout,
        Interrupt::Deadlock => SelectError::Deadlock,
        // What is left are the ways in which the caller may not wait.
        _ => SelectError::WouldBlock,
    }
}
