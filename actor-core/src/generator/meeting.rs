//! Where a generator's consumer and its inner code meet: whose turn it is, and the slot for what is given.

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};

use parking_lot::Mutex;

use crate::block::{self, Interrupt, Wait, Waiting};
use crate::tasklet::core::Core;
use crate::wait_list::WaitList;
use crate::worker::Local;

/// Nothing is wanted. The slot is empty.
pub(super) const IDLE: u8 = 0;
/// The consumer waits for an element, or has at least asked for one.
pub(super) const WANTED: u8 = 1;
/// There is an element in the slot.
pub(super) const GIVEN: u8 = 2;
/// The inner code has ended, and there will be no more.
pub(super) const ENDED: u8 = 3;

/// The two sides' turns.
#[derive(Debug)]
pub(super) struct Meeting {
    pub(super) state: AtomicU8,
    /// The generator has been dropped: nobody wants anything any more.
    pub(super) abandoned: AtomicBool,
    /// By how many elements the producer may be ahead.
    pub(super) ahead: AtomicUsize,
    /// Whether the consumer visits the producer at this moment, and so needs no waking. Read and written
    /// on the producer's home thread.
    pub(super) visited: AtomicBool,
    /// The tasklet that is in `give`, if it is not the inner one but one that it waits for; or null. Good
    /// for that long. Read and written on the producer's home thread.
    pub(super) deputy: AtomicPtr<Core>,
    /// The same for other threads.
    pub(super) remote_deputy: Mutex<Option<Arc<Core>>>,
    /// The consumer, while it sleeps.
    pub(super) taker: WaitList,
}

/// Where an element is handed over.
#[derive(Debug)]
pub(super) struct Slot<T> {
    /// Where the producer is to put it: usually straight into the frame of the consumer's `next`. Null is
    /// for the place below.
    pub(super) target: Cell<*mut Option<T>>,
    pub(super) kept: UnsafeCell<VecDeque<T>>,
}

// SAFETY: the contents are touched by one side at a time, as the meeting's state says, whose changes
// order the accesses. So elements only move between threads.
unsafe impl<T: Send> Send for Slot<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// Gives the number of elements that are kept.
    ///
    /// # Safety
    ///
    /// The state is `WANTED`, and the caller is on the producer's home thread.
    #[inline(always)]
    pub(super) unsafe fn put(&self, element: T) -> usize {
        // SAFETY: the producer's, as the caller says, and everybody there takes turns on one thread.
        let kept = unsafe { &mut *self.kept.get() };
        let target = self.target.replace(ptr::null_mut());
        if target.is_null() {
            kept.push_back(element);
        } else {
            // SAFETY: a consumer that visits has set it, to a `None`, and is still below on this thread.
            unsafe { target.write(Some(element)) };
        }
        kept.len()
    }

    /// Exchanges what is kept for what is in `with`.
    ///
    /// # Safety
    ///
    /// It is the turn of the caller, who is the consumer: the state is not `WANTED`, or the producer is of
    /// this thread and does not run.
    #[inline(always)]
    pub(super) unsafe fn exchange(&self, with: &mut VecDeque<T>) {
        // SAFETY: the consumer's, as the caller says.
        mem::swap(unsafe { &mut *self.kept.get() }, with);
    }
}

impl Meeting {
    /// The producer's change of the state.
    #[inline(always)]
    pub(super) fn tell(&self, state: u8) {
        if self.visited.load(Relaxed) {
            // The consumer is on this very thread, and looks when it is back.
            self.state.store(state, Release);
        } else {
            self.state.store(state, SeqCst);
            self.taker.wake_all();
        }
    }

    /// The consumer's change of the state, unless that is another one.
    pub(super) fn change(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, SeqCst, Relaxed)
            .is_ok()
    }

    /// Whether the producer is to go on.
    #[inline(always)]
    pub(super) fn is_wanted(&self) -> bool {
        self.state.load(Acquire) == WANTED || self.abandoned.load(Acquire)
    }

    /// Waits until the consumer wants an element, or has gone.
    #[cold]
    pub(super) fn wait_for_demand(&self) {
        let wait = Wait::new(Waiting::Demand, None);
        if let Err(interrupt) = block::wait_until(wait, || self.is_wanted().then_some(())) {
            interrupt.raise("giving an element");
        }
    }

    /// Gives the consumer what `put` puts into the slot, and waits until it wants more, on the tasklet
    /// `me`; or goes on at once, if it may be ahead. `put` is called when the state is `WANTED`, on the
    /// producer's home thread, or not at all, and gives the number of elements that are kept.
    #[inline(always)]
    pub(super) fn hand_over(&self, local: &'static Local, me: &Core, put: impl FnOnce() -> usize) {
        if self.state.load(Acquire) != WANTED || self.abandoned.load(Relaxed) {
            // The last wait ended early, or the consumer has gone: then this is where a kill is raised, unless
            // it is held off.
            block::touch();
            self.wait_for_demand();
            if self.abandoned.load(Relaxed) {
                return;
            }
        }
        if me.must_not_block() {
            Interrupt::WouldBlock.raise("giving an element");
        }
        if put() < self.ahead.load(Relaxed) && self.visited.load(Relaxed) {
            // The consumer has one operation, and one switch, for all that it gets at once.
            local.count_operation();
            me.check_kill(local);
            return;
        }
        self.tell(GIVEN);
        // The usual case without the steps that any wait may need: the consumer is on this thread, and
        // lets this tasklet go on when it wants the next.
        // SAFETY: the tasklet itself.
        if unsafe { me.home_state() }.scope.get().is_none() && !me.must_not_block() {
            me.park(local, Waiting::Demand);
            me.check_kill(local);
        }
        if !self.is_wanted() {
            self.wait_for_demand();
        }
    }

    /// The same for a tasklet `me` that the inner one waits for.
    #[cold]
    pub(super) fn hand_over_from_below(
        &self,
        local: &'static Local,
        me: &Core,
        put: impl FnOnce() -> usize,
    ) {
        struct Deputy<'a>(&'a Meeting);

        impl Drop for Deputy<'_> {
            fn drop(&mut self) {
                self.0.deputy.store(ptr::null_mut(), Relaxed);
                *self.0.remote_deputy.lock() = None;
            }
        }

        *self.remote_deputy.lock() = Some(me.strong());
        self.deputy.store((&raw const *me).cast_mut(), Relaxed);
        let _deputy = Deputy(self);
        self.hand_over(local, me, put);
    }
}
