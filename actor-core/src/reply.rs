//! The answer to a call: the cell it is put into, and the right to put it there.
//!
//! A call's cell is part of the message's own allocation and has two owners: the caller, and whoever
//! holds the right to answer. Either may go first. One byte decides between them: the answer and the
//! caller's giving up are both swaps, so exactly one of "answered in time" and "given up" is true for
//! both.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::panicking;
use std::time::Instant;

use crate::block::{self, Interrupt, Wait, Waiting};
use crate::primitive::AtomicU8;
use crate::waiter::Waiter;
use crate::{CallError, Pid, counters};

const PENDING: u8 = 0;
const ANSWERED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Where an answer is put, once.
pub(crate) struct ReplyCell<T> {
    state: AtomicU8,
    answer: UnsafeCell<Option<Result<T, CallError>>>,
    caller: Waiter,
}

// SAFETY: the answer is written by the holder of the only right to answer, before it swaps ANSWERED
// in, and read by the only caller after it has read ANSWERED; so it moves between threads (hence
// `T: Send`) and is never shared. The rest is Sync by itself.
unsafe impl<T: Send> Sync for ReplyCell<T> {}

impl<T> ReplyCell<T> {
    pub(crate) fn new(caller: Waiter) -> Self {
        ReplyCell {
            state: AtomicU8::new(PENDING),
            answer: UnsafeCell::new(None),
            caller,
        }
    }

    /// # Safety
    ///
    /// Called at most once, by the holder of the right to answer.
    pub(crate) unsafe fn answer(&self, answer: Result<T, CallError>) {
        // SAFETY: nobody reads it before the swap below, and nobody else writes it.
        unsafe { *self.answer.get() = Some(answer) };
        // Release publishes the answer; acquire is not needed, but says what `PENDING` means: the
        // caller is still there to be woken.
        match self.state.swap(ANSWERED, Ordering::AcqRel) {
            PENDING => self.caller.wake(),
            _ => counters::LATE_REPLIES.add(1),
        }
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.state.load(Ordering::Acquire) == GIVEN_UP
    }

    /// # Safety
    ///
    /// Called by the caller alone, and not again after it has given something.
    pub(crate) unsafe fn take(&self) -> Option<Result<T, CallError>> {
        if self.state.load(Ordering::Acquire) != ANSWERED {
            return None;
        }
        // SAFETY: ANSWERED was read with acquire, so the answer has been written and is not written
        // again; the caller alone reads it.
        unsafe { (*self.answer.get()).take() }
    }

    /// Takes the answer that has come before [`give_up`](Self::give_up), which then said `false`.
    ///
    /// # Safety
    ///
    /// Called by the caller alone, once, right after that.
    pub(crate) unsafe fn take_late(&self) -> Option<Result<T, CallError>> {
        // SAFETY: the swap that found ANSWERED has acquired the answer, which is not written again;
        // the caller alone reads it. The state says GIVEN_UP now, which is why `take` would not do.
        unsafe { (*self.answer.get()).take() }
    }

    /// Says that nobody waits any more; `false` if the answer has come first.
    pub(crate) fn give_up(&self) -> bool {
        self.state.swap(GIVEN_UP, Ordering::AcqRel) == PENDING
    }
}

/// Something that has a reply cell within: a call's node, or the bare cell.
pub(crate) trait Answers<T>: Send + Sync {
    fn cell(&self) -> &ReplyCell<T>;
}

impl<T: Send> Answers<T> for ReplyCell<T> {
    fn cell(&self) -> &ReplyCell<T> {
        self
    }
}

/// The right to answer one call.
///
/// Can be kept and sent on, so that the answer comes later or from somebody else. Dropped unused, the
/// caller gets [`CallError::Unanswered`], or [`CallError::Ended`] if it is dropped because its holder
/// unwinds.
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{CallError, Message, Tasklet, dispatch, match_message};
/// #[derive(Message)]
/// #[message(reply = u32)]
/// struct Double(u32);
///
/// # fn main() {
/// dispatch(|| {
///     let doubler = Tasklet::spawn(|| {
///         for message in Tasklet::receive() {
///             match_message!(match message {
///                 (Double(0), reply) => drop(reply),
///                 (Double(n), reply) => reply.send(n * 2),
///             });
///         }
///     });
///     assert_eq!(doubler.call(Double(21)), Ok(42));
///     assert_eq!(doubler.call(Double(0)), Err(CallError::Unanswered));
/// });
/// # }
/// ```
pub struct ReplyTo<T> {
    answers: Option<Arc<dyn Answers<T>>>,
}

impl<T> ReplyTo<T> {
    /// The right to answer into `cell`, of which there must be no other.
    pub(crate) fn new(cell: Arc<dyn Answers<T>>) -> Self {
        ReplyTo {
            answers: Some(cell),
        }
    }

    /// For a message that was only sent: the answer goes nowhere.
    pub(crate) fn nobody() -> Self {
        ReplyTo { answers: None }
    }

    /// Whether it is the right to answer into `cell`.
    pub(crate) fn goes_to(&self, cell: &ReplyCell<T>) -> bool {
        self.answers
            .as_ref()
            .is_some_and(|answers| ptr::eq(answers.cell(), cell))
    }

    /// Answers the call.
    ///
    /// If the caller has given up meanwhile, or the message was sent and not called, the value is
    /// dropped. Ask [`is_wanted`](Self::is_wanted) first where computing it is dear.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch, match_message};
    /// #[derive(Message)]
    /// #[message(reply = usize)]
    /// struct Length(&'static str);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let server = Tasklet::spawn(|| {
    ///         match_message!(match Tasklet::receive_one().unwrap() {
    ///             (Length(text), reply) => reply.send(text.len()),
    ///         });
    ///     });
    ///     assert_eq!(server.call(Length("four")), Ok(4));
    /// });
    /// # }
    /// ```
    pub fn send(mut self, value: T) {
        self.put(Ok(value));
    }

    /// Whether somebody still waits for the answer.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch, match_message};
    /// #[derive(Message)]
    /// #[message(reply = usize)]
    /// struct Length(&'static str);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let me = Tasklet::current();
    ///     me.send(Length("four")).unwrap(); // sent, not called
    ///     match_message!(match Tasklet::receive_one().unwrap() {
    ///         (Length(_), reply) => assert!(!reply.is_wanted()),
    ///     });
    /// });
    /// # }
    /// ```
    pub fn is_wanted(&self) -> bool {
        self.answers
            .as_ref()
            .is_some_and(|answers| !answers.cell().is_given_up())
    }

    /// Ends the call with an error.
    pub(crate) fn fail(mut self, error: CallError) {
        self.put(Err(error));
    }

    /// Gives the right up without using it: it is with its envelope again.
    pub(crate) fn dissolve(mut self) {
        self.answers = None;
    }

    fn put(&mut self, answer: Result<T, CallError>) {
        if let Some(answers) = self.answers.take() {
            // SAFETY: this is the only right to answer, and it has just been used up.
            unsafe { answers.cell().answer(answer) };
        }
    }
}

impl<T> Drop for ReplyTo<T> {
    fn drop(&mut self) {
        if self.answers.is_some() {
            self.put(Err(if panicking() {
                CallError::Ended
            } else {
                CallError::Unanswered
            }));
        }
    }
}

impl<T> fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo")
            .field("wanted", &self.is_wanted())
            .finish()
    }
}

/// The caller's end of a cell: gives up if dropped while it waits.
pub(crate) struct Reply<T> {
    cell: Arc<dyn Answers<T>>,
}

impl<T> Reply<T> {
    /// The caller's end of `cell`, of which there must be no other.
    pub(crate) fn new(cell: Arc<dyn Answers<T>>) -> Self {
        Reply { cell }
    }

    /// A right to answer and the end at which the answer comes out, for a caller that waits as
    /// `caller`.
    pub(crate) fn pair(caller: Waiter) -> (ReplyTo<T>, Reply<T>)
    where
        T: Send + 'static,
    {
        let cell = Arc::new(ReplyCell::new(caller));
        (ReplyTo::new(cell.clone()), Reply::new(cell))
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.cell.cell().give_up();
    }
}

/// Waits for the answer of the receiver `of`.
pub(crate) fn wait_for_reply<T>(
    reply: Reply<T>,
    of: Pid,
    deadline: Option<Instant>,
) -> Result<T, CallError> {
    let cell = reply.cell.cell();
    let wait = Wait::new(Waiting::Reply(of), deadline);
    // SAFETY: this is the caller's only end, and `wait_until` stops at the first answer.
    match block::wait_until(wait, || unsafe { cell.take() }) {
        Ok(answer) => answer,
        Err(interrupt) => {
            // Giving up may come too late: then the answer is here after all, and is not lost.
            if cell.give_up() {
                return Err(interrupted(interrupt));
            }
            // SAFETY: as above; nothing has been taken yet.
            unsafe { cell.take_late() }.unwrap_or(Err(interrupted(interrupt)))
        }
    }
}

/// The call's error for a wait that ended without an answer.
pub(crate) fn interrupted(interrupt: Interrupt) -> CallError {
    match interrupt {
        Interrupt::TimedOut | Interrupt::Expired(_) => CallError::Timeout,
        // The caller cannot wait, so for it the call has come to nothing.
        Interrupt::Unwinding | Interrupt::Outside | Interrupt::Stopping => CallError::Unanswered,
    }
}

/// Whether `reply` is a right to send `()`; if so, uses it. Called when the arm that took a message
/// has run to its end without taking the right to answer.
pub(crate) fn answer_unit<T: 'static>(reply: &mut Option<ReplyTo<T>>) {
    if let Some(unit) = (reply as &mut dyn Any).downcast_mut::<Option<ReplyTo<()>>>()
        && let Some(reply) = unit.take()
    {
        reply.send(());
    }
}
