//! An actor as the runtime sees it.
//!
//! Here are its cell, where it is, who refers to it, what state it is in and how word reaches it. The rest is a file each:
//!
//! - `value`: the value of the actor's own type, and what depends on that type;
//! - `reason`: why it ends, or has ended;
//! - `lives`: what a supervisor makes of it;
//! - `owned`: what its handlers leave with it until its end;
//! - `stash`: messages that were put aside.

mod lives;
mod owned;
mod reason;
mod stash;
mod value;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use self::lives::Supervised;
use self::stash::Stash;
pub(crate) use self::stash::Stashed;
pub(super) use self::value::{Table, free, settle};
pub(crate) use self::value::{Typed, parts};
use super::residence::Residence;
use super::roster::Entry;
use crate::block::{Interrupt, Wait, Waiting};
use crate::envelope::Envelope;
use crate::exit::{Exit, ExitReason, SharedError, Watchers};
use crate::lazy::LazyBox;
use crate::mailbox::{Contents, Mailbox, Patience};
use crate::queue::Link;
use crate::runtime::program::Program;
use crate::tasklet::core::Core;
use crate::tasklet::local::Locals;
use crate::wait_list::WaitList;
use crate::{BoxError, Pid, SendError, Timer, block, worker};

/// It is to be ended at its carrier's next operation.
pub(crate) const KILLED: u8 = 1;
/// It takes no more messages, and ends after those that are there.
pub(crate) const STOPPING: u8 = 2;
/// It ends before its next message.
pub(crate) const ENDING: u8 = 4;
/// What a handler that runs hears of.
pub(crate) const TOLD_TO_END: u8 = KILLED | STOPPING | ENDING;
/// It has not been started yet.
pub(crate) const NEW: u8 = 8;
pub(crate) const ENDED: u8 = 16;
/// It has tasklet-locals, which must not leave their thread, and so does not change its worker.
pub(crate) const PINNED: u8 = 32;
/// It is supervised, and between two lives: it has no value, and takes no message out of its mailbox.
pub(crate) const DOWN: u8 = 64;
/// It has a supervisor, which decides what becomes of it when a life has ended.
pub(crate) const SUPERVISED: u8 = 128;

/// The bit of a carrier's address that says that it waits for an answer.
const IN_CALL: usize = 1;
const _: () = assert!(align_of::<Core>() > IN_CALL);

/// What does not depend on the actor's type. Begins a [`Typed`].
#[repr(C)]
pub(crate) struct ActorCell {
    /// Its place in an inbox. First, because the inbox sees only this.
    link: Link,
    pub(crate) residence: Residence,
    flags: AtomicU8,
    /// Why it is to end, or has: the code of a reason.
    reason: AtomicU8,
    pub(crate) pid: Pid,
    table: &'static Table,
    pub(crate) program: Arc<Program>,
    /// Where it stands in the program's roster.
    entry: Cell<Entry>,
    /// How many addresses there are. All of them together hold one of the references.
    handles: AtomicUsize,
    /// What keeps the memory: the addresses, the life from spawn to end, weak addresses, inboxes.
    references: AtomicUsize,
    /// The tasklet that runs a handler of it now, or null; with [`IN_CALL`] if that waits for an answer.
    /// Written on its home's thread alone.
    carrier: AtomicPtr<Core>,
    pub(crate) mailbox: Contents,
    /// Whoever waits for its start or its end.
    waiting: LazyBox<WaitList>,
    extra: LazyBox<Extra>,
}

/// What few actors have.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) name: Option<Box<str>>,
    watchers: OnceLock<Watchers>,
    /// Why it is to end, or has, if a code does not say it.
    reason: Mutex<Option<ExitReason>>,
    /// For its carrier.
    pub(crate) locals: RefCell<Locals>,
    /// Of a supervised one.
    pub(crate) supervised: OnceLock<Supervised>,
    /// Tasklets that its handlers have spawned, to be asked to stop at its end.
    children: Mutex<Vec<Weak<Core>>>,
    /// Timers that send to it, to be cancelled at its end.
    timers: Mutex<Vec<Timer>>,
    /// Messages that were put aside, and those of them that are to be handled next. For its carrier.
    stash: RefCell<Stash>,
}

// SAFETY: the link is an inbox's while the actor is in it, which is at most once (see
// `Residence`). The entry is written before anybody else knows the cell. The value is
// reached by the carrier alone, on the home's thread, and the home changes hands under the locks of the
// surplus. The rest is Sync by itself.
unsafe impl Sync for ActorCell {}
// SAFETY: as above; nothing in it is bound to a thread.
unsafe impl Send for ActorCell {}

/// The name of a type without its path and its parameters.
pub(crate) fn short_name(path: &str) -> &str {
    let end = path.find('<').unwrap_or(path.len());
    path[..end].rsplit("::").next().unwrap_or(path)
}

/// What the builder settles.
pub(crate) struct Settings {
    pub(crate) name: Option<Box<str>>,
    pub(crate) mailbox: Mailbox,
    pub(crate) program: Arc<Program>,
}

impl ActorCell {
    /// A pointer to this with the right to use all of the allocation, which a reference to the part that
    /// does not depend on the type has not.
    pub(super) fn whole(&self) -> NonNull<ActorCell> {
        NonNull::with_exposed_provenance(NonNull::from(self).addr())
    }

    /// The same, for queues.
    pub(crate) fn node(&self) -> NonNull<ActorCell> {
        self.whole()
    }

    /// Makes a new actor known to its program, and has it started.
    ///
    /// Once, by whoever has allocated it.
    pub(crate) fn launch(&self, home: usize) {
        // Of its life: given up at its end.
        self.add_reference();
        let on = worker::local().map(|local| local.id);
        self.entry.set(self.program.roster.add(self.whole(), on));
        // Those who stop or kill all first say so and then go through the roster.
        if self.program.is_killing() {
            self.raise(KILLED);
        } else if self.program.stops_actors() {
            self.stop();
        }
        self.program.activity.begin(on);
        match worker::local() {
            Some(local) if local.id == home => local.welcome(self),
            _ => worker::deliver_actor(self, home),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self.extra.get().and_then(|extra| extra.name.as_deref()) {
            Some(name) => name,
            None => short_name((self.table.name)()),
        }
    }

    pub(crate) fn extra(&self) -> &Extra {
        self.extra.get_or_default()
    }

    // Where it is ------------------------------------------------------------------------------

    /// Whether the caller is on its home's thread; only there this cannot change meanwhile.
    pub(crate) fn is_at_home(&self) -> bool {
        worker::local().is_some_and(|local| self.residence.is_home(local.id))
    }

    /// Makes it nobody's, with everybody to believe that it is on its way to an inbox; `false` if it
    /// cannot go. On its home's thread, while it is ready and does not run.
    pub(crate) fn leave_home(&self) -> bool {
        self.flags() & PINNED == 0 && self.residence.leave()
    }

    /// The tasklet that runs a handler of it now.
    ///
    /// # Safety
    ///
    /// On its home's thread, and used there before anybody else runs.
    pub(crate) unsafe fn carrier(&self) -> Option<&Core> {
        let carrier = self.carrier.load(Ordering::Relaxed);
        let carrier = carrier.map_addr(|addr| addr & !IN_CALL);
        // SAFETY: a carrier lives while it runs a handler, and takes itself out on this thread.
        unsafe { carrier.as_ref() }
    }

    /// On its home's thread.
    pub(crate) fn set_carrier(&self, carrier: Option<&Core>) {
        let carrier = carrier.map_or(ptr::null(), ptr::from_ref).cast_mut();
        self.carrier.store(carrier, Ordering::Relaxed);
    }

    /// Whether a handler of it runs. From another thread this is a hint.
    pub(crate) fn is_in_handler(&self) -> bool {
        !self.carrier.load(Ordering::Relaxed).is_null()
    }

    /// Whether the handler that runs waits for an answer. From another thread this is a hint.
    pub(crate) fn is_in_call(&self) -> bool {
        self.carrier.load(Ordering::Relaxed).addr() & IN_CALL != 0
    }

    /// For its carrier.
    pub(crate) fn mark_in_call(&self, is: bool) {
        let carrier = self.carrier.load(Ordering::Relaxed);
        let carrier = carrier.map_addr(|addr| (addr & !IN_CALL) | (usize::from(is) * IN_CALL));
        self.carrier.store(carrier, Ordering::Relaxed);
    }

    // References -------------------------------------------------------------------------------

    /// One reference more.
    pub(crate) fn reference(&self) -> ActorRef {
        self.add_reference();
        ActorRef(self.whole())
    }

    pub(crate) fn add_reference(&self) {
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    /// # Safety
    ///
    /// The caller has a reference, and gives it up.
    pub(crate) unsafe fn remove_reference(cell: NonNull<ActorCell>) {
        // SAFETY: it lives until the last reference has gone.
        let core = unsafe { cell.as_ref() };
        // As in `Arc`: what others did with theirs happens before the end.
        if core.references.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: this was the last one.
            unsafe { (core.table.free)(cell) };
        }
    }

    pub(crate) fn add_handle(&self) {
        if self.handles.fetch_add(1, Ordering::Relaxed) == 0 {
            // From a weak address, after the last one had gone.
            self.add_reference();
        }
    }

    /// # Safety
    ///
    /// The caller has an address, and gives it up.
    pub(crate) unsafe fn remove_handle(cell: NonNull<ActorCell>) {
        // SAFETY: the addresses have a reference.
        let core = unsafe { cell.as_ref() };
        // Release, so that what was sent through the address is seen by the look that finds none left.
        if core.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            if !core.has(ENDED) {
                worker::wake_actor(core);
            }
            // SAFETY: the reference of the addresses.
            unsafe { ActorCell::remove_reference(cell) };
        }
    }

    pub(crate) fn is_unreachable(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0 && !self.is_supervised()
    }

    // State ------------------------------------------------------------------------------------

    /// Acquire: who sees that it is to end sees the reason, and what was sent before.
    pub(crate) fn flags(&self) -> u8 {
        self.flags.load(Ordering::Acquire)
    }

    /// Sequentially consistent, as the wait list asks.
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags.load(Ordering::SeqCst) & flag != 0
    }

    pub(crate) fn raise(&self, flag: u8) -> bool {
        self.flags.fetch_or(flag, Ordering::SeqCst) & flag == 0
    }

    /// It has started. For its carrier.
    pub(crate) fn begin(&self) {
        self.flags.fetch_and(!NEW, Ordering::SeqCst);
        self.tell_waiting();
    }

    pub(crate) fn tell_waiting(&self) {
        // Whoever waits makes the list first, and then looks for what has just been changed; all of that
        // is sequentially consistent.
        if let Some(waiting) = self.waiting.get() {
            waiting.wake_all();
        }
    }

    pub(crate) fn is_supervised(&self) -> bool {
        self.flags() & SUPERVISED != 0
    }

    /// Asks it to end after what is in its mailbox.
    pub(crate) fn stop(&self) {
        if self.is_supervised() {
            // Its mailbox stays open: there may be another life.
            let _ = self.send(Envelope::stop(), Patience::System);
        } else if self.raise(STOPPING) {
            self.mailbox.close();
            worker::wake_actor(self);
        }
    }

    /// As [`stop`](Self::stop), for a reason of the caller's. Not for supervised ones, whose reasons are
    /// their supervisors'.
    pub(crate) fn stop_for(&self, reason: &ExitReason) {
        self.suggest(reason);
        self.stop();
    }

    /// Makes it end before its next message. The first reason counts.
    pub(crate) fn end_with(&self, reason: ExitReason) {
        self.suggest(&reason);
        if self.raise(ENDING) {
            worker::wake_actor(self);
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.flags() & (STOPPING | ENDING) != 0
    }

    /// Ends it, in the middle of a handler if that comes to an operation.
    pub(crate) fn kill(&self) {
        self.raise(KILLED);
        worker::wake_actor(self);
    }

    /// Waits until `look` has something; it is asked again at the actor's start and at its end.
    pub(crate) fn wait_for<T>(
        &self,
        deadline: Option<Instant>,
        look: impl Fn() -> Option<T>,
    ) -> Result<T, Interrupt> {
        block::enter()?;
        if let Some(there) = look() {
            return Ok(there);
        }
        let wait = Wait::new(Waiting::Exit(self.pid), deadline);
        self.waiting.get_or_default().wait_until(wait, look)
    }

    /// Waits until `started` has returned, and says whether it has failed.
    pub(crate) fn wait_for_start(&self) -> Result<Result<(), BoxError>, Interrupt> {
        self.wait_for(None, || {
            if !self.has(NEW) {
                return Some(Ok(()));
            }
            // It has ended before it began.
            Some(Err(match self.reason_of_end()? {
                ExitReason::Failed(error) => Box::new(SharedError(error)),
                other => BoxError::from(other.to_string()),
            }))
        })
    }

    // Watching ---------------------------------------------------------------------------------

    pub(crate) fn watchers(&self) -> &Watchers {
        self.extra().watchers.get_or_init(Watchers::default)
    }

    /// Whether it has ever had anything that few actors have. If not, nobody watches it, unless somebody
    /// begins to now.
    pub(crate) fn is_plain(&self) -> bool {
        self.extra.get().is_none()
    }

    /// Those who watch it, if anybody has ever done so, or it has watched anybody.
    pub(crate) fn watchers_if_any(&self) -> Option<&Watchers> {
        self.extra.get()?.watchers.get()
    }

    /// It is told of an end.
    pub(crate) fn hear_of(&self, exit: Exit) {
        // Refused by one that takes no more, which has no use for it.
        let _ = self.send((self.table.exit)(exit), Patience::System);
    }

    /// Puts a message into its mailbox.
    pub(crate) fn send(
        &self,
        envelope: Envelope,
        patience: Patience,
    ) -> Result<(), SendError<Envelope>> {
        block::touch();
        self.deliver(envelope, patience)
    }

    /// As [`send`](Self::send), in the middle of whatever runs: it is no operation of the caller's.
    pub(crate) fn deliver(
        &self,
        envelope: Envelope,
        patience: Patience,
    ) -> Result<(), SendError<Envelope>> {
        // SAFETY: that is what `is_at_home` says.
        if unsafe {
            self.mailbox
                .push(envelope, patience, self.pid, || self.is_at_home())
        }? {
            worker::wake_actor(self);
        }
        Ok(())
    }

    /// Marks it as ended. For its carrier.
    pub(crate) fn mark_ended(&self) {
        self.program.roster.remove(self.entry.get());
        self.raise(ENDED);
    }
}

/// A reference to an actor's memory: whatever it is asked, it may have ended.
pub(crate) struct ActorRef(NonNull<ActorCell>);

// SAFETY: cells are Send and Sync.
unsafe impl Send for ActorRef {}
// SAFETY: as above.
unsafe impl Sync for ActorRef {}

impl Deref for ActorRef {
    type Target = ActorCell;

    fn deref(&self) -> &ActorCell {
        // SAFETY: it has a reference.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for ActorRef {
    fn clone(&self) -> Self {
        self.reference()
    }
}

impl Drop for ActorRef {
    fn drop(&mut self) {
        // SAFETY: it has a reference, which is not used again.
        unsafe { ActorCell::remove_reference(self.0) };
    }
}

impl fmt::Debug for ActorCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.pid)
    }
}

const _: () = assert!(mem::offset_of!(ActorCell, link) == 0);
