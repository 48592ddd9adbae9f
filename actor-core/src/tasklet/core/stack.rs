//! A tasklet's stack, and what it does there with its driver: it begins, switches and finishes.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::mem::{self, ManuallyDrop};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::panicking;
use std::time::Instant;

use super::{Body, Core};
use crate::actor::cell::ActorCell;
use crate::block::{self, Waiting};
use crate::deadlock::Calls;
use crate::prefetch;
use crate::runtime::limits;
use crate::substrate::{Coroutine, Suspender};
use crate::tasklet::leaving::Leaving;
use crate::tasklet::local::Locals;
use crate::timeout::Scope;
use crate::worker::{self, Local};

/// What only the tasklet itself, and its home's driver, touch.
pub(crate) struct HomeState {
    coroutine: UnsafeCell<Option<Coroutine>>,
    body: Cell<Option<Body>>,
    suspender: Cell<Option<Suspender>>,
    /// Where on its stack it stopped when it was suspended last.
    rested_at: Cell<usize>,
    /// Where the stack's usable addresses begin and end. Until it has run: 0, and how many there are.
    stack_start: Cell<usize>,
    stack_end: Cell<usize>,
    /// The nearest deadline around what it does.
    pub(crate) scope: Cell<Option<Scope>>,
    pub(crate) locals: RefCell<Locals>,
    /// How often a kill has been raised in it.
    pub(super) raised: Cell<u32>,
    /// How many `shield`s are around what it does.
    pub(crate) shields: Cell<u32>,
    /// Whether it, or the actor that it stands for, is at its end.
    pub(super) ending: Cell<bool>,
    /// Whether its operations fail that would have to wait.
    pub(crate) block_trap: Cell<bool>,
    /// Whether its wait has been found to be for ever.
    pub(super) deadlocked: Cell<bool>,
    /// Until when the handler that it runs must answer.
    pub(crate) answer_by: Cell<Option<Instant>>,
    /// Of the link that what it encodes or decodes crosses.
    #[cfg(feature = "remote")]
    pub(crate) border: Cell<Option<NonNull<dyn crate::remote::Border>>>,
    /// The call that it waits in.
    pub(crate) calls: Calls,
    /// The actor one of whose handlers it runs, if it is a carrier.
    pub(crate) acting: Cell<Option<NonNull<ActorCell>>>,
    /// What it does before it gives up its stack.
    pub(in crate::tasklet) leaving: Leaving,
}

impl HomeState {
    /// Of a tasklet that has no stack yet.
    pub(super) fn new(locals: Locals) -> HomeState {
        HomeState {
            coroutine: UnsafeCell::new(None),
            body: Cell::new(None),
            suspender: Cell::new(None),
            rested_at: Cell::new(0),
            stack_start: Cell::new(0),
            stack_end: Cell::new(0),
            scope: Cell::new(None),
            locals: RefCell::new(locals),
            raised: Cell::new(0),
            shields: Cell::new(0),
            ending: Cell::new(false),
            block_trap: Cell::new(false),
            deadlocked: Cell::new(false),
            answer_by: Cell::new(None),
            #[cfg(feature = "remote")]
            border: Cell::new(None),
            calls: Calls::default(),
            acting: Cell::new(None),
            leaving: Leaving::default(),
        }
    }

    /// Runs the tasklet until it suspends or finishes; `true` if it has finished. For the driver.
    #[inline]
    pub(crate) fn resume(&self) -> bool {
        // SAFETY: the driver alone takes this reference, and the tasklet, which runs meanwhile, does
        // not touch the cell.
        let coroutine = unsafe { (*self.coroutine.get()).as_mut() };
        coroutine
            .expect("a scheduled tasklet has a coroutine")
            .resume()
    }
}

impl Core {
    /// Makes a new tasklet ready to run `body` on `coroutine`, at its first wake-up.
    ///
    /// Before anybody else learns of it: a stop or a kill may come at any time then, and wakes it.
    pub(crate) fn prepare(core: &Arc<Core>, mut coroutine: Coroutine, body: Body) {
        /// A pointer that the coroutine takes along.
        struct Own(NonNull<Core>);
        // SAFETY: it is used on the home thread alone, while the core lives (see `Core`).
        unsafe impl Send for Own {}

        worker::all()[core.home]
            .tasklets
            .fetch_add(1, Ordering::Relaxed);
        // Given up by `retire`.
        let core = ManuallyDrop::new(core.clone());
        let own = Own(NonNull::from(&**core));
        coroutine.start(move |suspender| {
            let own = own;
            // SAFETY: the core lives until the coroutine has finished and been retired.
            unsafe { own.0.as_ref() }.run(suspender);
        });
        let state = &core.home_state;
        state.body.set(Some(body));
        // Where it lies is known only when it runs.
        state.stack_end.set(coroutine.stack_size());
        // SAFETY: not started yet, so nobody else touches it.
        unsafe { *state.coroutine.get() = Some(coroutine) };
    }

    /// The whole life of the tasklet, on its own stack.
    fn run(&self, suspender: Suspender) {
        let here = 0u8;
        let no_return = NoReturn;
        // SAFETY: the tasklet itself, on its home thread.
        let state = unsafe { self.home_state() };
        state.suspender.set(Some(suspender));
        // The outermost frame lies in the highest page: closures are boxed, so it is small.
        let top = (&raw const here)
            .expose_provenance()
            .next_multiple_of(limits::page_size());
        state.stack_start.set(top - state.stack_end.get());
        state.stack_end.set(top);
        let body = state
            .body
            .take()
            .expect("a tasklet is launched with a body");
        body(self);
        self.end();
        mem::forget(no_return);
    }

    /// Takes the stack of a finished tasklet back, and gives up the tasklet's reference to itself.
    ///
    /// # Safety
    ///
    /// Called once, on the home thread, after the coroutine has finished.
    pub(crate) unsafe fn retire(core: NonNull<Core>) -> Coroutine {
        // SAFETY: the reference that `launch` has kept.
        let core = unsafe { Arc::from_raw(core.as_ref().whole()) };
        // SAFETY: on the home thread, and the coroutine no longer runs.
        let coroutine = unsafe { (*core.home_state.coroutine.get()).take() };
        let mut coroutine = coroutine.expect("a tasklet is retired once");
        coroutine.set_memory(core.stack());
        if coroutine.touched_bottom() {
            block::die(&format!(
                "tasklet '{}' has used its stack to the last word and may have overflowed it; give \
                 it more with Tasklet::builder().stack_size(..)",
                core.name()
            ));
        }
        limits::give_back();
        coroutine
    }

    /// # Safety
    ///
    /// Called by the tasklet itself, or by its home's driver, on the home thread.
    #[inline]
    pub(crate) unsafe fn home_state(&self) -> &HomeState {
        &self.home_state
    }

    /// Lets the others run that are ready.
    #[inline(always)]
    pub(crate) fn yield_now(&self, local: &'static Local) {
        // SAFETY: this tasklet runs, so it has not finished and is in no queue.
        unsafe { local.queue(NonNull::from(self)) };
        self.suspend(local);
    }

    /// Sleeps until it is woken; may return early.
    #[inline(always)]
    pub(crate) fn park(&self, local: &'static Local, what: Waiting) {
        debug_assert!(!panicking(), "a tasklet does not switch while it unwinds");
        if self.wake.try_park() {
            self.waiting.store(what.encode(), Ordering::Relaxed);
            self.suspend(local);
            self.waiting
                .store(Waiting::Nothing.encode(), Ordering::Relaxed);
        }
    }

    /// Lets the others run at an operation that could wait, or is taken out of the run queue there.
    #[cold]
    pub(crate) fn give_way(&self, local: &'static Local) {
        if self.acting().is_some() {
            self.yield_now(local);
        } else if local.is_over_budget() {
            local.catch(self);
            self.suspend(local);
        } else if !local.limits_stretches() {
            self.yield_now(local);
        }
    }

    /// Leaves the run queue until it is put back.
    pub(crate) fn pause(&self, local: &'static Local) {
        if panicking() {
            return;
        }
        if self.is_unreachable() {
            // Nobody could ever put it back.
            self.mark_killed();
        }
        if self.must_run() {
            self.yield_now(local);
        } else {
            self.wake.pause();
            self.suspend(local);
        }
        self.check_kill(local);
    }

    /// Switches to the driver, and comes back when resumed.
    // Inlined, as are its callers up to the user's operation: after a switch each return of a call made
    // before it is mispredicted, which costs as much as the switch itself.
    #[inline(always)]
    pub(crate) fn suspend(&self, local: &'static Local) {
        if !self.runs_on_its_stack() {
            block::die("a generator inside a tasklet has called an operation that waits");
        }
        // SAFETY: the tasklet itself.
        let state = unsafe { self.home_state() };
        state.leaving.call();
        let suspender = state.suspender.get().expect("set before the body runs");
        let frame = 0u8;
        state.rested_at.set((&raw const frame).addr());
        // SAFETY: on this tasklet's stack, as has just been checked.
        unsafe { suspender.suspend() };
        local.check_thread();
    }

    /// Has that part of its stack fetched into the cache on which it will go on, with its registers. For its
    /// home's thread, while it does not run.
    #[inline]
    pub(crate) fn prefetch_stack(&self) {
        let state = &self.home_state;
        let at = state.rested_at.get();
        if at == 0 {
            return;
        }
        // What lies below is the frame of the switch.
        prefetch::lines(at.wrapping_sub(128), 12);
        // SAFETY: on the home thread; the cell is written before the tasklet is first resumed and after it has
        // been for the last time.
        if let Some(coroutine) = unsafe { &*state.coroutine.get() } {
            coroutine.prefetch_registers();
        }
    }

    /// Whether the caller's frame lies on the tasklet's own stack. For its home's thread.
    #[inline(always)]
    pub(crate) fn runs_on_its_stack(&self) -> bool {
        let frame = 0u8;
        let state = &self.home_state;
        (state.stack_start.get()..state.stack_end.get()).contains(&(&raw const frame).addr())
    }

    /// Its stack, for its home's thread, the overflow handler included.
    pub(crate) fn stack(&self) -> Range<usize> {
        self.home_state.stack_start.get()..self.home_state.stack_end.get()
    }
}

/// In a tasklet's outermost frame: unwinding past it would run into the driver's.
struct NoReturn;

impl Drop for NoReturn {
    fn drop(&mut self) {
        block::die("a panic has got past all that catches it at a tasklet's end");
    }
}
