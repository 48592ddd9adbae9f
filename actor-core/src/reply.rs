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
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::panicking;
use std::time::Instant;

use crate::block::{self, Interrupt, Wait, Waiting};
use crate::deadlock::Calling;
use crate::primitive::{AtomicBool, AtomicU8};
use crate::tasklet::core::Core;
use crate::waiter::Waiter;
use crate::{CallError, Pid, counters, recycle};

const PENDING: u8 = 0;
const ANSWERED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// How a call stands.
#[derive(Debug)]
pub(crate) struct Standing {
    state: AtomicU8,
    /// Whether the right to answer has got into the hands of the user's code, and may be anywhere.
    handed_on: AtomicBool,
    /// Whether the right to answer has gone to another process, from where the answer comes. What is left
    /// of it here is nothing then.
    #[cfg(feature = "remote")]
    abroad: AtomicBool,
}

impl Standing {
    /// Whether it can end only by an answer of the one whose mailbox it was put into. It never becomes
    /// so again once it is not.
    pub(crate) fn is_pending(&self) -> bool {
        self.state.load(Ordering::Acquire) == PENDING && !self.handed_on.load(Ordering::Acquire)
    }

    /// The right to answer leaves the hands of the runtime.
    pub(crate) fn hand_on(&self) {
        self.handed_on.store(true, Ordering::Release);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.state.load(Ordering::Acquire) == GIVEN_UP
    }
}

/// Where an answer is put, once.
pub(crate) struct ReplyCell<T> {
    pub(crate) standing: Standing,
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
            standing: Standing {
                state: AtomicU8::new(PENDING),
                handed_on: AtomicBool::new(false),
                #[cfg(feature = "remote")]
                abroad: AtomicBool::new(false),
            },
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
        match self.standing.state.swap(ANSWERED, Ordering::AcqRel) {
            PENDING => self.caller.wake(),
            _ => counters::LATE_REPLIES.add(1),
        }
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.standing.is_given_up()
    }

    /// # Safety
    ///
    /// Called by the caller alone, and not again after it has given something.
    pub(crate) unsafe fn take(&self) -> Option<Result<T, CallError>> {
        if self.standing.state.load(Ordering::Acquire) != ANSWERED {
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
        self.standing.state.swap(GIVEN_UP, Ordering::AcqRel) == PENDING
    }
}

/// A reply cell with the count of those who have a share in it, inside a node that goes with the last.
pub(crate) struct Shared<T> {
    shares: AtomicUsize,
    /// Frees the node that this is in.
    free: unsafe fn(NonNull<Shared<T>>),
    /// Until when the answer must be there, if whoever works on it is to know.
    deadline: Option<Instant>,
    pub(crate) cell: ReplyCell<T>,
}

impl<T> Shared<T> {
    /// A cell for an answer to `caller`, with `shares` shares. `free` is for a pointer to it in its
    /// place, with the right to use all of the node.
    pub(crate) fn new(
        caller: Waiter,
        deadline: Option<Instant>,
        shares: usize,
        free: unsafe fn(NonNull<Shared<T>>),
    ) -> Self {
        Shared {
            shares: AtomicUsize::new(shares),
            free,
            deadline,
            cell: ReplyCell::new(caller),
        }
    }

    /// Adds a share.
    pub(crate) fn add_share(&self) {
        self.shares.fetch_add(1, Ordering::Relaxed);
    }

    /// # Safety
    ///
    /// The caller has a share, and gives it up.
    pub(crate) unsafe fn remove_share(this: NonNull<Self>) {
        // SAFETY: it lives until the last share has gone.
        let shared = unsafe { this.as_ref() };
        // Whoever has the only share is the only one who could add another, so no atomic exchange is
        // needed. Acquire and release: what the others did with theirs happens before the end.
        if shared.shares.load(Ordering::Acquire) == 1
            || shared.shares.fetch_sub(1, Ordering::AcqRel) == 1
        {
            // SAFETY: this was the last one.
            unsafe { (shared.free)(this) };
        }
    }
}

/// A share of a reply cell.
pub(crate) struct Share<T> {
    shared: NonNull<Shared<T>>,
}

// SAFETY: a share gives access to the cell, which is Sync if the answer is Send, and the last one
// drops the node: the message in it has gone by then or is Send as well, as the answer is.
unsafe impl<T: Send> Send for Share<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Share<T> {}

impl<T> Share<T> {
    /// # Safety
    ///
    /// The caller has a share, which passes to this.
    pub(crate) unsafe fn new(shared: NonNull<Shared<T>>) -> Self {
        Share { shared }
    }

    /// Until when the answer must be there, if whoever works on it is to know.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // SAFETY: it lives as long as this share of it.
        unsafe { self.shared.as_ref() }.deadline
    }

    /// The right to answer that it becomes is given to the user's code.
    pub(crate) fn hand_on(&self) {
        self.cell().standing.hand_on();
    }

    fn cell(&self) -> &ReplyCell<T> {
        // SAFETY: it lives as long as this share of it.
        &unsafe { self.shared.as_ref() }.cell
    }
}

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        // SAFETY: this is a share, which is not used again.
        unsafe { Shared::remove_share(self.shared) };
    }
}

/// The right to answer one call.
///
/// Can be kept and sent on, so that the answer comes later or from somebody else. Dropped unused, the
/// caller gets [`CallError::Unanswered`], or [`CallError::Ended`] if it is dropped because its holder
/// unwinds, or is an actor that ends.
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
    answers: Option<Share<T>>,
}

impl<T> ReplyTo<T> {
    /// The right to answer into the cell, of which there must be no other.
    pub(crate) fn new(share: Share<T>) -> Self {
        ReplyTo {
            answers: Some(share),
        }
    }

    /// For a message that was only sent: the answer goes nowhere.
    #[inline]
    pub(crate) fn nobody() -> Self {
        ReplyTo { answers: None }
    }

    /// Whether it is for a message that was only sent.
    pub(crate) fn is_to_nobody(&self) -> bool {
        self.answers.is_none()
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

    /// Whether somebody still waits for the answer, and by this. Not once it has gone to another process in a message:
    /// it is answered there.
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
        #[cfg(feature = "remote")]
        if self.is_abroad() {
            return false;
        }
        self.answers
            .as_ref()
            .is_some_and(|answers| !answers.cell().is_given_up())
    }

    /// Until when the answer must be there, if the caller has said so by
    /// [`call_within`](crate::Recipient::call_within).
    ///
    /// In an actor's handlers this holds for the calls that they make without further ado. A tasklet that
    /// calls others to find the answer can pass on what is left.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{CallError, Message, Tasklet, dispatch, match_message, time};
    /// # use std::time::Duration;
    /// #[derive(Message)]
    /// #[message(reply = bool)]
    /// struct IsUrgent;
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let server = Tasklet::spawn(|| {
    ///         for message in Tasklet::receive() {
    ///             match_message!(match message {
    ///                 (IsUrgent, reply) => {
    ///                     let left = reply.deadline().map(|at| at - time::now());
    ///                     reply.send(left.is_some_and(|left| left < Duration::from_secs(60)));
    ///                 }
    ///             });
    ///         }
    ///     });
    ///     assert_eq!(server.call(IsUrgent), Ok(false));
    ///     assert_eq!(server.call_within(IsUrgent, Duration::from_secs(5)), Ok(true));
    /// });
    /// # }
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        self.answers.as_ref().and_then(Share::deadline)
    }

    /// Ends the call with an error.
    pub(crate) fn fail(mut self, error: CallError) {
        self.put(Err(error));
    }

    /// Gives the right up without using it: it is with its envelope again.
    pub(crate) fn dissolve(mut self) {
        self.answers = None;
    }

    #[inline]
    fn put(&mut self, answer: Result<T, CallError>) {
        #[cfg(feature = "remote")]
        if self.is_abroad() {
            self.answers = None;
        }
        if let Some(answers) = self.answers.take() {
            // SAFETY: this is the only right to answer, and it has just been used up.
            unsafe { answers.cell().answer(answer) };
        }
    }
}

impl<T> Drop for ReplyTo<T> {
    // Most messages are only sent: then this is a look, in the midst of the handler's code.
    #[inline(always)]
    fn drop(&mut self) {
        if self.answers.is_some() {
            self.disappoint();
        }
    }
}

impl<T> ReplyTo<T> {
    #[cold]
    fn disappoint(&mut self) {
        let ending = panicking() || block::current().is_some_and(Core::is_ending);
        self.put(Err(if ending {
            CallError::Ended
        } else {
            CallError::Unanswered
        }));
    }
}

#[cfg(feature = "remote")]
impl<T> ReplyTo<T> {
    /// Whether it has gone to another process.
    fn is_abroad(&self) -> bool {
        // Acquire pairs with the release in `come_back`: who finds it here again comes after that.
        self.answers
            .as_ref()
            .is_some_and(|answers| answers.cell().standing.abroad.load(Ordering::Acquire))
    }

    /// The right itself, which is gone from here from now on; `None` if it has gone already, or is to answer nobody.
    /// Whoever has it [brings it back](Departed::come_back) if it cannot go after all.
    pub(crate) fn depart(&self) -> Option<Departed<T>> {
        let answers = self.answers.as_ref()?;
        // Acquire and release: one of those who try gets it, and what it does with it comes after what
        // another has done that has brought it back.
        if answers.cell().standing.abroad.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: this share keeps the cell alive, and the one that is added is the new owner's.
        let share = unsafe {
            answers.shared.as_ref().add_share();
            Share::new(answers.shared)
        };
        share.hand_on();
        Some(Departed { share: Some(share) })
    }
}

/// A right to answer that is on its way to another process.
#[cfg(feature = "remote")]
pub(crate) struct Departed<T> {
    share: Option<Share<T>>,
}

#[cfg(feature = "remote")]
impl<T> Departed<T> {
    /// Ends the call.
    pub(crate) fn answer(mut self, answer: Result<T, CallError>) {
        if let Some(share) = self.share.take() {
            // SAFETY: the only right to answer: what it came from has been told that it is abroad.
            unsafe { share.cell().answer(answer) };
        }
    }

    /// It is where it was before.
    pub(crate) fn come_back(mut self) {
        if let Some(share) = self.share.take() {
            // Release: what was tried with it abroad comes before whatever is done with it here.
            share.cell().standing.abroad.store(false, Ordering::Release);
        }
    }

    /// Whether somebody still waits for the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        self.share
            .as_ref()
            .is_some_and(|share| !share.cell().is_given_up())
    }
}

#[cfg(feature = "remote")]
impl<T> Drop for Departed<T> {
    fn drop(&mut self) {
        if let Some(share) = self.share.take() {
            // SAFETY: as in `answer`.
            unsafe { share.cell().answer(Err(CallError::Unanswered)) };
        }
    }
}

#[cfg(feature = "remote")]
impl<T> Reply<T> {
    /// The answer, if it has come.
    pub(crate) fn take(&self) -> Option<Result<T, CallError>> {
        // SAFETY: this is the caller's only end; whoever uses this does so once, when it has been told that the
        // answer is there.
        unsafe { self.share.cell().take() }
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
    share: Share<T>,
}

impl<T> Reply<T> {
    /// The caller's end of the cell, of which there must be no other.
    pub(crate) fn new(share: Share<T>) -> Self {
        Reply { share }
    }

    /// How the call stands.
    pub(crate) fn standing(&self) -> &Standing {
        &self.share.cell().standing
    }

    /// A right to answer and the end at which the answer comes out, for a caller that waits as
    /// `caller`.
    pub(crate) fn pair(caller: Waiter) -> (ReplyTo<T>, Reply<T>)
    where
        T: Send + 'static,
    {
        // SAFETY: nobody has a share in it any more, and it was allocated so below.
        let free = |shared| unsafe { recycle::free::<Shared<T>>(shared) };
        let shared = recycle::allocate(Shared::new(caller, None, 2, free));
        // SAFETY: these are the two shares.
        unsafe {
            (
                ReplyTo::new(Share::new(shared)),
                Reply::new(Share::new(shared)),
            )
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let cell = self.share.cell();
        // Most often it has been answered, or given up before; that is never taken back.
        if cell.standing.state.load(Ordering::Relaxed) == PENDING {
            cell.give_up();
        }
    }
}

/// Waits for the answer of the receiver `of`.
pub(crate) fn wait_for_reply<T>(
    reply: Reply<T>,
    of: Pid,
    deadline: Option<Instant>,
    // Goes before the reply, the cell of which it refers to.
    calling: Option<Calling<'_>>,
) -> Result<T, CallError> {
    let cell = reply.share.cell();
    let wait = Wait::new(Waiting::Reply(of), deadline);
    // SAFETY: this is the caller's only end, and `wait_until` stops at the first answer.
    let look = || match unsafe { cell.take() } {
        None if calling.as_ref().is_some_and(Calling::is_refused) => Some(Err(CallError::Deadlock)),
        answer => answer,
    };
    match block::wait_until(wait, look) {
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
        Interrupt::Exhausted => CallError::Exhausted,
        Interrupt::WouldBlock => CallError::WouldBlock,
        Interrupt::Deadlock => CallError::Deadlock,
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
