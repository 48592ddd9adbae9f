//! The run queue as the ring that Stackless's tasklets turn.
//!
//! Whoever runs, followed by those in the queue, is a ring: each that gives way goes behind the last.
//! Switching to one of them at once turns the ring until that one is in front, so those behind it come
//! before those that it has jumped. One that is in no queue is put in front of whoever switched to it.
//!
//! A tasklet that runs the others until none is ready is out of the ring meanwhile. The driver, when it
//! finds the queue empty, puts the one back that has come last.

use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use super::Local;
use super::turn::OPERATIONS_PER_LOOK;
use crate::runtime::program::Program;
use crate::tasklet::core::Core;
use crate::tasklet::hooks::{self, Observer};
use crate::ticks;

/// How much a tasklet may do before it is caught.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    pub(crate) limit: Limit,
    /// Whether all tasklets together may do no more.
    pub(crate) total: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Operations(u64),
    Time(Duration),
}

/// Those who run the others, and what they have set them.
#[derive(Debug)]
pub(super) struct Runs {
    /// The innermost last.
    callers: RefCell<Vec<Run>>,
    /// The innermost one's.
    meter: Cell<Option<Meter>>,
    /// Operations so far, or when it began, in ticks.
    used: Cell<u64>,
    over_budget: Cell<bool>,
    /// Which bits of the count of operations are zero when it is time to look.
    look_mask: Cell<u32>,
}

#[derive(Debug)]
struct Run {
    /// It lives: it is in its call.
    caller: NonNull<Core>,
    meter: Option<Meter>,
    /// The tasklet that has done more than it may.
    caught: Option<Arc<Core>>,
}

/// With no meter.
const LOOK_MASK: u32 = OPERATIONS_PER_LOOK - 1;
const _: () = assert!(OPERATIONS_PER_LOOK.is_power_of_two());

impl Default for Runs {
    fn default() -> Self {
        Runs {
            callers: RefCell::default(),
            meter: Cell::new(None),
            used: Cell::new(0),
            over_budget: Cell::new(false),
            look_mask: Cell::new(LOOK_MASK),
        }
    }
}

impl Runs {
    #[inline]
    pub(super) fn is_look_due(&self, operations: u32) -> bool {
        operations & self.look_mask.get() == 0
    }

    /// Whether it is put back by one of these calls: as its caller, or by the one to whom it is given.
    fn contains(&self, core: &Core) -> bool {
        let is_caught = |run: &Run| {
            run.caught
                .as_ref()
                .is_some_and(|caught| ptr::eq(&raw const **caught, core))
        };
        let callers = self.callers.borrow();
        callers
            .iter()
            .any(|run| ptr::eq(run.caller.as_ptr(), core) || is_caught(run))
    }

    /// The innermost call has changed.
    fn set_meter(&self) {
        let meter = self.callers.borrow().last().and_then(|run| run.meter);
        self.meter.set(meter);
        self.look_mask
            .set(if meter.is_some() { 0 } else { LOOK_MASK });
        self.begin();
    }

    fn begin(&self) {
        self.over_budget.set(false);
        let begun = match self.meter.get().map(|meter| meter.limit) {
            Some(Limit::Time(_)) => ticks::now(),
            Some(Limit::Operations(_)) | None => 0,
        };
        self.used.set(begun);
    }
}

impl Local {
    fn position(&self, core: &Core) -> Option<usize> {
        let is_it = |entry: &Option<NonNull<Core>>| {
            entry.is_some_and(|ready| ptr::eq(ready.as_ptr(), core))
        };
        self.ready.borrow().iter().position(is_it)
    }

    /// How many tasklets are ready to run, without the one that runs.
    pub(crate) fn ready_tasklets(&self) -> usize {
        self.ready.borrow().len() - usize::from(self.actors_are_queued.get())
    }

    /// Something has happened that wakes those who wait: a paused tasklet goes on only if it is to
    /// unwind, or to react to a stop.
    #[cold]
    pub(super) fn wake_paused(&self, core: &Core) {
        if core.is_unreachable() && !self.runs.contains(core) {
            // Nobody can put it back any more.
            core.mark_killed();
        }
        if core.must_run() {
            self.insert(core);
        }
    }

    /// Puts a paused tasklet of this worker at the end of the run queue; `false` if it is not paused.
    pub(crate) fn insert(&self, core: &Core) -> bool {
        let paused = core.wake.resume_paused();
        if paused {
            // SAFETY: it was paused, so it has not finished, and is in no queue.
            unsafe { self.queue(NonNull::from(core)) };
        }
        paused
    }

    /// Takes a tasklet of this worker out of the run queue; `false` if it was not in it.
    #[cold]
    fn unqueue(&self, core: &Core) -> bool {
        let at = self.position(core);
        at.and_then(|at| self.ready.borrow_mut().remove(at))
            .is_some()
    }

    /// Puts a tasklet before all others that are ready. It has not finished, and is in no queue.
    #[inline]
    fn queue_first(&self, core: &Core) {
        let mut ready = self.ready.borrow_mut();
        ready.push_front(Some(NonNull::from(core)));
    }

    /// Wakes a tasklet of this worker, to run before all others that are ready: also if it was woken for
    /// no reason of its own (its last handle has gone, say), and has its place already.
    #[inline]
    pub(crate) fn wake_first(&self, core: &Core) {
        if core.wake.wake_at_home() || self.unqueue(core) {
            self.queue_first(core);
        }
    }

    /// The same, to run after all others that are ready.
    #[inline]
    pub(crate) fn wake_last(&self, core: &Core) {
        if core.wake.wake_at_home() || self.unqueue(core) {
            // SAFETY: it was parked, or taken out, so it has not finished, and is in no queue.
            unsafe { self.queue(NonNull::from(core)) };
        }
    }

    /// Pauses a tasklet of this worker that is in the run queue, or on its way there; `false` if it runs,
    /// or has lent its turn to the one that does and goes on when that one waits.
    pub(crate) fn take_out(&self, core: &Core) -> bool {
        let is_out = self.unqueue(core) || core.wake.is_parked();
        if is_out {
            core.wake.pause();
        }
        is_out
    }

    /// Wakes a tasklet of this worker, or puts it back, before all others that are ready.
    pub(super) fn hurry(&self, core: &Core) {
        let unqueued = self.unqueue(core);
        if core.wake.wake_at_home() || core.wake.resume_paused() || unqueued {
            self.queue_first(core);
        }
    }

    /// Switches from the tasklet that runs to another one of this worker, which is woken or put back if
    /// need be, and turns the ring accordingly; `false` if the other one waits for the one that runs.
    pub(crate) fn switch_to(&'static self, current: &Core, next: &Core) -> bool {
        let place = self.turn_to(next);
        if let Some(place) = place {
            let own = Some(NonNull::from(current));
            self.ready.borrow_mut().insert(place, own);
            current.suspend(self);
        }
        place.is_some()
    }

    /// The same, but the one that runs leaves the ring until it is put back.
    pub(crate) fn switch_and_pause(&'static self, current: &Core, next: &Core) {
        self.turn_to(next);
        current.pause(self);
    }

    /// Turns the ring until `next` comes first, and says at which place the one that runs belongs; `None`
    /// if `next` is on its way already, since it has only lent its turn.
    fn turn_to(&self, next: &Core) -> Option<usize> {
        if let Some(at) = self.position(next) {
            let mut ready = self.ready.borrow_mut();
            ready.rotate_left(at);
            return Some(ready.len() - at);
        }
        // It has not begun, or waits, or is paused.
        let is_out = next.wake.wake_at_home() || next.wake.resume_paused();
        is_out.then(|| {
            self.queue_first(next);
            1
        })
    }

    // Running the others ------------------------------------------------------------------------

    /// Lets the others run until none is ready, or one of them has done more than it may, or somebody
    /// puts the caller back. Gives the one that has done too much, which is paused.
    pub(crate) fn run_others(
        &'static self,
        caller: &Core,
        meter: Option<Meter>,
    ) -> Option<Arc<Core>> {
        let running = Running::begin(self, caller, meter);
        caller.wake.pause();
        caller.suspend(self);
        // Before it takes what it would only drop.
        caller.check_kill(self);
        running.end()
    }

    /// Nobody is ready: puts the last one back who runs the others; `false` if there is none.
    pub(super) fn end_run(&self) -> bool {
        let caller = self.runs.callers.borrow().last().map(|run| run.caller);
        // SAFETY: it is in its call, so it lives.
        caller.is_some_and(|caller| self.insert(unsafe { caller.as_ref() }))
    }

    /// The last one who runs the others, if it belongs to `program`.
    pub(crate) fn innermost_caller(&self, program: &Program) -> Option<Arc<Core>> {
        let callers = self.runs.callers.borrow();
        // SAFETY: it is in its call, so it lives.
        let core = unsafe { callers.last()?.caller.as_ref() };
        ptr::eq(&*core.program, program).then(|| core.strong())
    }

    /// A tasklet is about to run, with all that it may do before it; unless that is for all together.
    pub(super) fn begin_stretch(&self) {
        if self.runs.meter.get().is_some_and(|meter| !meter.total) {
            self.runs.begin();
        }
    }

    /// Counts an operation of the tasklet that runs against what it may do.
    pub(super) fn meter_operation(&self) {
        let (Some(meter), Some(core)) = (self.runs.meter.get(), self.current()) else {
            return;
        };
        // SAFETY: it runs, so it lives.
        if unsafe { core.as_ref() }.acting().is_some() {
            return;
        }
        let over = match meter.limit {
            Limit::Operations(limit) => {
                self.runs.used.set(self.runs.used.get() + 1);
                self.runs.used.get() > limit
            }
            Limit::Time(limit) => {
                ticks::now().wrapping_sub(self.runs.used.get()) >= ticks::of(limit)
            }
        };
        if over {
            self.runs.over_budget.set(true);
            // So that the next operation that could wait finds it.
            self.turns.set(self.turns.get().max(2));
        }
    }

    /// Whether there is a limit to each stretch, up to which nobody is made to give way: else a stretch would
    /// end with the slice, and hardly ever be too long.
    pub(crate) fn limits_stretches(&self) -> bool {
        self.runs.meter.get().is_some_and(|meter| !meter.total)
    }

    /// Whether the tasklet that runs has done more than it may.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.runs.over_budget.get()
    }

    /// Pauses the tasklet that runs, and has the one go on who has set it its limit. The caller
    /// suspends it.
    pub(crate) fn catch(&self, core: &Core) {
        self.runs.over_budget.set(false);
        let mut callers = self.runs.callers.borrow_mut();
        match callers.last_mut() {
            Some(run) if run.caught.is_none() => {
                core.wake.pause();
                run.caught = Some(core.strong());
                let caller = run.caller;
                drop(callers);
                // SAFETY: it is in its call, so it lives.
                self.hurry(unsafe { caller.as_ref() });
            }
            // One is caught already, and the caller has not yet been able to take it.
            // SAFETY: it runs, so it has not finished and is in no queue.
            _ => unsafe { self.queue(NonNull::from(core)) },
        }
    }
}

/// A call that runs the others. Taken back when it is over, also by unwinding.
struct Running<'a> {
    local: &'static Local,
    caller: &'a Core,
    _observer: Option<Observer>,
}

impl<'a> Running<'a> {
    fn begin(local: &'static Local, caller: &'a Core, meter: Option<Meter>) -> Self {
        local.runs.callers.borrow_mut().push(Run {
            caller: NonNull::from(caller),
            meter,
            caught: None,
        });
        local.runs.set_meter();
        Running {
            local,
            caller,
            _observer: meter.map(|_| hooks::observe()),
        }
    }

    fn take(&self) -> Option<Arc<Core>> {
        let mut callers = self.local.runs.callers.borrow_mut();
        // Not always the last: others may have begun later, and this one may have been put back.
        let at = callers
            .iter()
            .rposition(|run| ptr::eq(run.caller.as_ptr(), self.caller))?;
        let run = callers.remove(at);
        drop(callers);
        self.local.runs.set_meter();
        run.caught
    }

    fn end(self) -> Option<Arc<Core>> {
        self.take()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Only if it unwinds there is one: then nobody else would put that one back.
        if let Some(caught) = self.take() {
            self.local.insert(&caught);
        }
    }
}
