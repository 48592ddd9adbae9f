//! The receive loop.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::Tasklet;
use super::core::Core;
use crate::block::{self, Interrupt, Wait, Waiting};
use crate::envelope::Envelope;
use crate::{ReceiveError, counters, time};

impl Tasklet {
    /// The current tasklet's messages, one after the other, waiting for each.
    ///
    /// The loop ends when the tasklet is asked to stop, after the messages that came before; or when
    /// there are none left and the last reference to it has gone, so that none can come. (The main
    /// tasklet of a program goes on waiting for a stop.)
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch, match_message};
    /// #[derive(Message)]
    /// struct Add(u32);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let sum = Tasklet::spawn(|| {
    ///         let mut sum = 0;
    ///         for message in Tasklet::receive() {
    ///             match_message!(match message {
    ///                 Add(n) => sum += n,
    ///             });
    ///         }
    ///         sum
    ///     });
    ///     sum.send(Add(3)).unwrap();
    ///     sum.send(Add(4)).unwrap();
    ///     assert_eq!(sum.join().unwrap(), 7); // joining is no reference: the loop ends
    /// });
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// The iterator, outside a tasklet.
    pub fn receive() -> Messages {
        Messages {
            _of_this_tasklet: PhantomData,
        }
    }

    /// Waits for one message; [`ReceiveError::Stopped`] says that none can come any more.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     Tasklet::current().send(Note(1)).unwrap();
    ///     assert!(Tasklet::receive_one().unwrap().is::<Note>());
    /// });
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    #[inline]
    pub fn receive_one() -> Result<Envelope, ReceiveError> {
        receive(None).map_err(error)
    }

    /// Waits for one message for at most `limit`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{ReceiveError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let nothing = Tasklet::receive_timeout(Duration::from_millis(1));
    ///     assert_eq!(nothing.unwrap_err(), ReceiveError::Timeout);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn receive_timeout(limit: Duration) -> Result<Envelope, ReceiveError> {
        receive(time::after(limit)).map_err(error)
    }

    /// The next message, if there is one.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     assert!(Tasklet::try_receive().is_none());
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn try_receive() -> Option<Envelope> {
        block::touch();
        next(receiver())
    }

    /// How many messages wait in the current tasklet's mailbox.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     Tasklet::current().send(Note(1)).unwrap();
    ///     assert_eq!(Tasklet::pending(), 1);
    /// });
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn pending() -> usize {
        // SAFETY: the tasklet itself.
        unsafe { receiver().mailbox.pending() }
    }
}

fn error(interrupt: Interrupt) -> ReceiveError {
    match interrupt {
        Interrupt::TimedOut | Interrupt::Expired(_) => ReceiveError::Timeout,
        Interrupt::WouldBlock => ReceiveError::WouldBlock,
        // Of these, only the first two can be: a tasklet is no carrier, and nobody tells a receiver
        // that nothing will come.
        Interrupt::Stopping
        | Interrupt::Unwinding
        | Interrupt::Exhausted
        | Interrupt::Outside
        | Interrupt::Deadlock => ReceiveError::Stopped,
    }
}

pub(crate) fn receiver<'a>() -> &'a Core {
    block::tasklet().expect("only a tasklet can receive messages, and this is none")
}

/// Takes the next message that is worth handling.
fn next(core: &Core) -> Option<Envelope> {
    loop {
        // SAFETY: the tasklet itself, as both callers got it from `receiver`.
        let envelope = unsafe { core.mailbox.pop() }?;
        if !envelope.is_given_up() {
            envelope.hand_on();
            return Some(envelope);
        }
        counters::SKIPPED_CALLS.add(1);
    }
}

/// What `receive` would give at once: a message, or that none can come any more.
pub(crate) fn try_next(core: &Core) -> Option<Result<Envelope, ReceiveError>> {
    // Asked before the look at the mailbox, as in `receive`.
    let over = core.mailbox.is_closed() || core.is_unreachable();
    next(core)
        .map(Ok)
        .or_else(|| over.then_some(Err(ReceiveError::Stopped)))
}

/// Whether `try_next` has something to give, or at least to look at.
pub(crate) fn has_news(core: &Core) -> bool {
    // SAFETY: the tasklet itself, as all callers got it from `receiver`.
    core.mailbox.is_closed() || core.is_unreachable() || unsafe { core.mailbox.pending() } > 0
}

/// Has the tasklet woken by news, as long as there is a [`Listening`]; `false` if there is some.
pub(crate) fn listen(core: &Core) -> bool {
    // SAFETY: as in `has_news`.
    unsafe { core.mailbox.listen() && !core.is_unreachable() }
}

/// Says that a mailbox's owner does not wait any more, also if the wait is ended by unwinding.
pub(crate) struct Listening<'a>(pub(crate) &'a Core);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        // SAFETY: the tasklet itself.
        unsafe { self.0.mailbox.stop_listening() };
    }
}

#[inline]
fn receive(deadline: Option<Instant>) -> Result<Envelope, Interrupt> {
    let core = receiver();
    block::enter()?;
    if let Some(envelope) = next(core) {
        return Ok(envelope);
    }
    let _listening = Listening(core);
    block::wait_until(Wait::new(Waiting::Message, deadline), || {
        loop {
            // Asked before the look at the mailbox: what was sent before the last reference went, or
            // before a stop, is found by that look.
            let over = core.mailbox.is_closed() || core.is_unreachable();
            if let Some(envelope) = next(core) {
                return Some(Ok(envelope));
            }
            if over {
                return Some(Err(Interrupt::Stopping));
            }
            // The next message, the stop, or the loss of the last reference wakes. If one of them has
            // come since the look, look again.
            // SAFETY: the tasklet itself.
            let listens = unsafe { core.mailbox.listen() };
            // Asked again, because `next` drops calls whose callers have given up: a destructor in such
            // a message may have waited, and so used up the wake-up that said this.
            if listens && !core.is_unreachable() {
                return None;
            }
        }
    })?
}

/// The current tasklet's messages; see [`Tasklet::receive`].
#[derive(Debug)]
#[must_use = "messages are received by iterating"]
pub struct Messages {
    /// Not `Send`: it is the tasklet it is used in whose messages these are.
    _of_this_tasklet: PhantomData<*const ()>,
}

impl Iterator for Messages {
    type Item = Envelope;

    /// Waits for the next message. An expired [`timeout`](crate::timeout()) around it unwinds to the
    /// edge of that block.
    #[inline]
    fn next(&mut self) -> Option<Envelope> {
        match receive(None) {
            Ok(envelope) => Some(envelope),
            Err(Interrupt::Stopping | Interrupt::Unwinding) => None,
            Err(interrupt) => interrupt.raise("receive"),
        }
    }
}
