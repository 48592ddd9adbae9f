//! Waiting for the first of several things.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rendezvous::{Claim, Item, Member, Received, Sent};
use super::{Channel, OnUnwind, Peer, ReceiveError, SelectError, SendError, hook};
use crate::block::{self, Interrupt, Next, Wait, Waiting};
use crate::envelope::Envelope;
use crate::line::Ticket;
use crate::tasklet::core::Core;
use crate::tasklet::receive::{self, Listening};
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

/// A send or receive that a select waits for.
pub(super) trait Arm<R> {
    /// Whether it can come to pass at all.
    fn is_possible(&self) -> bool;

    /// Where its channel is; the locks are taken in the order of this.
    fn place(&self) -> usize;

    /// Where its handle is.
    fn handle(&self) -> usize;

    fn hold(&self);

    /// # Safety
    ///
    /// The caller holds the channel's lock.
    unsafe fn release(&self);

    /// Does it if a peer waits, or if it must fail; `own` is how many handles of the channel the select
    /// has.
    ///
    /// # Safety
    ///
    /// As [`release`](Self::release).
    unsafe fn meet(&mut self, own: usize) -> Option<Met>;

    /// Joins the line.
    ///
    /// # Safety
    ///
    /// As [`release`](Self::release).
    unsafe fn join(&mut self, member: Member<Peer>);

    /// Leaves the line, and takes what it has been given there, or its own value back.
    fn leave(&mut self);

    /// Runs the function for what has come to pass.
    fn finish(self: Box<Self>) -> R;
}

/// What is to be done for a meeting once the locks are released.
pub(super) struct Met {
    channel: u64,
    sending: bool,
    /// Whom to wake, and who runs next; nobody, if the channel has come to its end.
    peer: Option<(Peer, Next)>,
    refused: Vec<Peer>,
}

struct Receiving<'a, T, F> {
    channel: &'a Channel<T>,
    ticket: Option<Ticket>,
    outcome: Option<Result<T, ReceiveError>>,
    then: F,
}

impl<T, R, F: FnOnce(Result<T, ReceiveError>) -> R> Arm<R> for Receiving<'_, T, F> {
    fn is_possible(&self) -> bool {
        true
    }

    fn place(&self) -> usize {
        self.channel.place()
    }

    fn handle(&self) -> usize {
        std::ptr::from_ref(self.channel).addr()
    }

    fn hold(&self) {
        self.channel.shared.rendezvous.raw().hold();
    }

    unsafe fn release(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.channel.shared.rendezvous.raw().release() };
    }

    unsafe fn meet(&mut self, own: usize) -> Option<Met> {
        // SAFETY: as the caller promises; there is one such reference at a time.
        let state = unsafe { self.channel.shared.rendezvous.raw().held() };
        let (peer, refused) = if let Some((item, peer)) = state.receive() {
            self.outcome = Some(item.map_err(ReceiveError::Raised));
            (Some((peer, state.next_after_receive())), Vec::new())
        } else if state.is_closing {
            self.outcome = Some(Err(ReceiveError::Closed));
            (None, Vec::new())
        } else if state.is_deserted(own) {
            self.outcome = Some(Err(ReceiveError::Closed));
            (None, state.refuse_all())
        } else {
            return None;
        };
        Some(Met {
            channel: self.channel.id(),
            sending: false,
            peer,
            refused,
        })
    }

    unsafe fn join(&mut self, member: Member<Peer>) {
        // SAFETY: as in `meet`.
        let state = unsafe { self.channel.shared.rendezvous.raw().held() };
        self.ticket = Some(state.join_receivers(member));
    }

    fn leave(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let received = self
            .channel
            .shared
            .rendezvous
            .lock()
            .leave_receivers(ticket);
        self.outcome = match received {
            Received::Item(item) => Some(item.map_err(ReceiveError::Raised)),
            Received::Refused => Some(Err(ReceiveError::Closed)),
            Received::Withdrawn => None,
        };
    }

    fn finish(self: Box<Self>) -> R {
        (self.then)(self.outcome.expect("the arm that was met has an outcome"))
    }
}

struct Sending<'a, T, F> {
    channel: &'a Channel<T>,
    /// Empty while the value stands in line.
    value: &'a mut Option<T>,
    ticket: Option<Ticket>,
    outcome: Option<Result<(), SendError<T>>>,
    then: F,
}

/// The value in an item that was made of one.
fn value<T>(item: Item<T>) -> Option<T> {
    item.ok()
}

impl<T, R, F: FnOnce(Result<(), SendError<T>>) -> R> Arm<R> for Sending<'_, T, F> {
    fn is_possible(&self) -> bool {
        self.value.is_some()
    }

    fn place(&self) -> usize {
        self.channel.place()
    }

    fn handle(&self) -> usize {
        std::ptr::from_ref(self.channel).addr()
    }

    fn hold(&self) {
        self.channel.shared.rendezvous.raw().hold();
    }

    unsafe fn release(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.channel.shared.rendezvous.raw().release() };
    }

    unsafe fn meet(&mut self, own: usize) -> Option<Met> {
        // SAFETY: as in `Receiving::meet`.
        let state = unsafe { self.channel.shared.rendezvous.raw().held() };
        let item = self.value.take()?;
        let (peer, refused) = match state.send(Ok(item)) {
            Ok(peer) => {
                self.outcome = Some(Ok(()));
                (Some((peer, state.next_after_send())), Vec::new())
            }
            Err(item) => {
                *self.value = value(item);
                if state.is_closing {
                    self.outcome = self.value.take().map(|value| Err(SendError::Closed(value)));
                    (None, Vec::new())
                } else if state.is_deserted(own) {
                    self.outcome = self.value.take().map(|value| Err(SendError::Closed(value)));
                    (None, state.refuse_all())
                } else {
                    return None;
                }
            }
        };
        Some(Met {
            channel: self.channel.id(),
            sending: true,
            peer,
            refused,
        })
    }

    unsafe fn join(&mut self, member: Member<Peer>) {
        // SAFETY: as in `Receiving::meet`.
        let state = unsafe { self.channel.shared.rendezvous.raw().held() };
        if let Some(value) = self.value.take() {
            self.ticket = Some(state.join_senders(member, Ok(value)));
        }
    }

    fn leave(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let sent = self.channel.shared.rendezvous.lock().leave_senders(ticket);
        match sent {
            Sent::Taken => self.outcome = Some(Ok(())),
            Sent::Refused(item) => {
                self.outcome = value(item).map(|value| Err(SendError::Closed(value)));
            }
            Sent::Withdrawn(item) => *self.value = value(item),
        }
    }

    fn finish(self: Box<Self>) -> R {
        (self.then)(self.outcome.expect("the arm that was met has an outcome"))
    }
}

/// What a select has found.
enum Ready {
    Arm(usize),
    /// There is something in the mailbox, or never will be.
    Message,
    Nothing,
    /// Nothing, and it stands in all lines.
    Joined(Arc<Claim>),
}

/// The arms of a select.
struct Lines<'a, R> {
    arms: Vec<Box<dyn Arm<R> + 'a>>,
    /// The arms in the order in which their locks are taken.
    order: Vec<usize>,
    /// For each arm, how many handles of its channel the select has, and whether this arm counts its own.
    handles: Vec<(usize, usize)>,
}

impl<'a, R> Lines<'a, R> {
    fn new(arms: Vec<Box<dyn Arm<R> + 'a>>) -> Self {
        let mut order: Vec<usize> = (0..arms.len()).collect();
        order.sort_by_key(|arm| arms[*arm].place());
        let first_with_its_handle = |arm: usize| {
            !arms[..arm]
                .iter()
                .any(|other| other.handle() == arms[arm].handle())
        };
        let handles = arms.iter().enumerate().map(|(index, arm)| {
            let same_channel = |other: &usize| arms[*other].place() == arm.place();
            let own = (0..arms.len()).filter(same_channel);
            let own = own.filter(|other| first_with_its_handle(*other)).count();
            (own, usize::from(first_with_its_handle(index)))
        });
        let handles = handles.collect();
        Lines {
            arms,
            order,
            handles,
        }
    }

    /// The arms whose locks are to be taken, one for each lock.
    fn locks(&self) -> impl Iterator<Item = &dyn Arm<R>> {
        self.order.iter().enumerate().filter_map(|(at, arm)| {
            let arm = &*self.arms[*arm];
            let is_again = at > 0 && self.arms[self.order[at - 1]].place() == arm.place();
            (!is_again).then_some(arm)
        })
    }

    /// Does one of the things that are ready; or joins all lines, if there is none and it `may_join`.
    fn meet_or_join(&mut self, owner: Option<&Core>, may_join: bool) -> Result<Ready, Interrupt> {
        let count = self.arms.len();
        // Not under the locks: this may make a carrier.
        let peer = may_join.then(Peer::current);
        self.locks().for_each(|arm| arm.hold());
        let mut met = Ready::Nothing;
        let mut follow = None;
        // In a random order, so that each that is ready comes first as often as another. The mailbox
        // has the number after the arms'.
        let mut rest: Vec<usize> = (0..count + usize::from(owner.is_some())).collect();
        while !rest.is_empty() {
            let candidate = rest.swap_remove(random(rest.len()));
            if candidate == count {
                if owner.is_some_and(receive::has_news) {
                    met = Ready::Message;
                    break;
                }
                continue;
            }
            // SAFETY: all locks are held.
            if let Some(done) = unsafe { self.arms[candidate].meet(self.handles[candidate].0) } {
                met = Ready::Arm(candidate);
                follow = Some(done);
                break;
            }
        }
        let mut result = Ok(met);
        match (&result, peer) {
            (Ok(Ready::Nothing), Some(Ok(peer))) => {
                let claim = Arc::new(Claim::new());
                for (arm, (_, handles)) in self.handles.iter().enumerate() {
                    let member = Member::arm(peer.clone(), claim.clone(), arm, *handles);
                    // SAFETY: all locks are held.
                    unsafe { self.arms[arm].join(member) };
                }
                result = Ok(Ready::Joined(claim));
            }
            (Ok(Ready::Nothing), Some(Err(interrupt))) => result = Err(interrupt),
            _ => {}
        }
        // SAFETY: they were taken above.
        self.locks().for_each(|arm| unsafe { arm.release() });
        if let Some(done) = follow {
            super::wake_all(done.refused);
            if let Some((peer, next)) = done.peer {
                hook::report(done.channel, done.sending, false);
                block::meet(peer.waiter, next);
            }
        }
        result
    }

    /// Waits in all lines, and leaves them.
    fn wait(
        &mut self,
        claim: &Claim,
        owner: Option<&Core>,
        deadline: Option<Instant>,
    ) -> Result<Ready, Interrupt> {
        let arms = &mut self.arms;
        let mut leave = || {
            let met = claim.withdraw();
            arms.iter_mut().for_each(|arm| arm.leave());
            met
        };
        let waited = {
            // A kill leaves the lines on its way.
            let unwinding = OnUnwind(&mut leave);
            let _listening = owner.map(Listening);
            // A mailbox may always be told to stop.
            let what = match owner {
                Some(_) => Waiting::Any,
                None => Waiting::AnyPeer,
            };
            let wait = Wait::new(what, deadline).for_peer();
            let me = block::current();
            let waited = block::wait_until(wait, || {
                if claim.look(me.is_some_and(Core::is_to_unwind)) {
                    return Some(());
                }
                let owner = owner?;
                if receive::has_news(owner) {
                    return Some(());
                }
                (!receive::listen(owner)).then_some(())
            });
            std::mem::forget(unwinding);
            waited
        };
        match (leave(), waited) {
            (Some(arm), _) => Ok(Ready::Arm(arm)),
            (None, Ok(())) => Ok(Ready::Message),
            (None, Err(interrupt)) => Err(interrupt),
        }
    }
}

/// A number below `bound`.
fn random(bound: usize) -> usize {
    // A model must do the same each time.
    if cfg!(loom) {
        return 0;
    }
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
    }
    // A destructor of another thread-local may come here after ours has run: any choice will do.
    let drawn = STATE.try_with(|state| {
        let mut word = state.get();
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        state.set(word);
        word >> 32
    });
    drawn.map_or(0, |drawn| drawn as usize % bound)
}

/// Selects for the models, with a wait that loom knows.
#[cfg(all(test, loom))]
pub(super) mod model {
    use super::*;

    pub(in crate::channel) struct Lines<'a>(super::Lines<'a, ()>);

    pub(in crate::channel) type BoxedArm<'a> = Box<dyn Arm<()> + 'a>;

    pub(in crate::channel) fn sending<'a>(
        channel: &'a Channel<usize>,
        value: &'a mut Option<usize>,
    ) -> BoxedArm<'a> {
        Box::new(Sending {
            channel,
            value,
            ticket: None,
            outcome: None,
            then: |sent: Result<(), SendError<usize>>| sent.unwrap(),
        })
    }

    pub(in crate::channel) fn receiving<'a>(
        channel: &'a Channel<usize>,
        value: &'a mut Option<usize>,
    ) -> BoxedArm<'a> {
        Box::new(Receiving {
            channel,
            ticket: None,
            outcome: None,
            then: |received: Result<usize, ReceiveError>| *value = received.ok(),
        })
    }

    impl<'a> Lines<'a> {
        pub(in crate::channel) fn new(arms: Vec<BoxedArm<'a>>) -> Self {
            Lines(super::Lines::new(arms))
        }

        /// `Select::wait`, until it is met, or with `late` until it has joined the lines; which arm was.
        pub(in crate::channel) fn run(mut self, late: bool) -> Option<usize> {
            let arm = match self.0.meet_or_join(None, true).unwrap() {
                Ready::Arm(arm) => Some(arm),
                Ready::Joined(claim) => {
                    while !late && claim.met().is_none() {
                        loom::thread::yield_now();
                    }
                    let met = claim.withdraw();
                    self.0.arms.iter_mut().for_each(|arm| arm.leave());
                    met
                }
                Ready::Message | Ready::Nothing => unreachable!("there are arms alone"),
            };
            if let Some(arm) = arm {
                self.0.arms.swap_remove(arm).finish();
            }
            arm
        }
    }
}
