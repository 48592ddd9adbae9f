//! What makes a tasklet unwind, kills and what is raised in it, and what holds that off.

use std::mem;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::panicking;

use super::{Core, ENDED, KILLED, RAISED};
use crate::block;
use crate::runtime::panics;
use crate::worker::Local;
use crate::{BoxError, Panic};

/// What is to be raised in a tasklet.
#[derive(Debug)]
pub(crate) enum Raise {
    Error(BoxError),
    /// Another tasklet's.
    Panic(Panic),
}

/// It is to unwind.
pub(super) const CALLED_OFF: u8 = KILLED | RAISED;

/// How many that have not ended are.
pub(super) static HOW_MANY_CALLED_OFF: AtomicUsize = AtomicUsize::new(0);

impl Raise {
    /// Says what has come too late for `core`, which has ended.
    pub(super) fn log_lost(&self, core: &Core) {
        let tasklet = core.name();
        match self {
            Raise::Error(error) => {
                tracing::warn!(tasklet, %error, "ended before the error was raised");
            }
            // It has been logged where it came from.
            Raise::Panic(_) => {}
        }
    }
}

impl Core {
    /// Has something raised in it; the caller wakes it. `Err` if it has ended.
    pub(crate) fn add_raise(&self, raise: Raise) -> Result<(), Raise> {
        let mut to_raise = self.to_raise.lock();
        // Marked under the lock, which is taken once more at the end.
        if self.has_ended() {
            return Err(raise);
        }
        to_raise.push_back(raise);
        self.call_off(RAISED);
        Ok(())
    }

    /// Has what is to be raised in this tasklet raised in `called` instead, for which it waits.
    pub(crate) fn pass_raises_on(&self, called: &Core) {
        let raises = {
            let mut to_raise = self.to_raise.lock();
            self.call_on(RAISED);
            mem::take(&mut *to_raise)
        };
        for raise in raises {
            if let Err(late) = called.add_raise(raise) {
                let _ = self.add_raise(late);
            }
        }
        called.wake_up();
    }

    /// A carrier's kill is that of the actor it stands for, and over with that one's run.
    #[inline]
    pub(crate) fn forget_kill(&self) {
        if self.flags.load(Ordering::Relaxed) & KILLED != 0 {
            self.call_on(KILLED);
            // SAFETY: the tasklet itself.
            unsafe { self.home_state() }.raised.set(0);
        }
    }

    /// Marks it as killed; or a carrier, whose actor has been. The caller wakes it.
    pub(crate) fn mark_killed(&self) {
        self.call_off(KILLED);
    }

    /// Whether what it waits for is of no use to it any more: it will unwind as soon as it runs, unless
    /// it is [shielded](Self::shield).
    pub(crate) fn is_called_off(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & CALLED_OFF != 0
    }

    fn call_off(&self, why: u8) {
        // Counted before, so that none is marked that is not counted.
        HOW_MANY_CALLED_OFF.fetch_add(1, Ordering::Relaxed);
        if self.flags.fetch_or(why, Ordering::AcqRel) & (CALLED_OFF | ENDED) != 0 {
            HOW_MANY_CALLED_OFF.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes that back.
    fn call_on(&self, why: u8) {
        if self.flags.fetch_and(!why, Ordering::AcqRel) & CALLED_OFF == why {
            HOW_MANY_CALLED_OFF.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether [`is_called_off`](Self::is_called_off) can be true of any that has not ended.
    pub(crate) fn any_called_off() -> bool {
        HOW_MANY_CALLED_OFF.load(Ordering::Relaxed) != 0
    }

    /// Whether kills are held off. For the tasklet itself.
    pub(crate) fn is_shielded(&self) -> bool {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.shields.get() > 0
    }

    /// Holds kills off, until [`unshield`](Self::unshield). For the tasklet itself.
    pub(crate) fn shield(&self) {
        // SAFETY: the tasklet itself.
        let shields = unsafe { &self.home_state().shields };
        shields.set(shields.get() + 1);
    }

    /// Takes one [`shield`](Self::shield) back.
    pub(crate) fn unshield(&self) {
        // SAFETY: the tasklet itself.
        let shields = unsafe { &self.home_state().shields };
        shields.set(shields.get() - 1);
    }

    /// Says whether it, or the actor that it stands for, is at its end: calls that it drops end with
    /// it. For the tasklet itself.
    pub(crate) fn set_ending(&self, ending: bool) {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.ending.set(ending);
    }

    /// See [`set_ending`](Self::set_ending). For the tasklet itself.
    pub(crate) fn is_ending(&self) -> bool {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.ending.get()
    }

    /// Whether its next operation unwinds it, which nobody takes back. For the tasklet itself.
    pub(crate) fn is_to_unwind(&self) -> bool {
        // SAFETY: the tasklet itself.
        let shields = unsafe { self.home_state() }.shields.get();
        shields == 0 && (self.is_killed_itself() || self.flag(RAISED))
    }

    /// Whether it has been killed, and not one that it stood for before. For the tasklet itself.
    pub(crate) fn is_killed_itself(&self) -> bool {
        self.is_killed() && self.acting().is_none_or(|actor| actor.has(KILLED))
    }

    /// Unwinds the tasklet, which is the current one, if it has been killed, or something is to be raised
    /// in it.
    #[inline]
    pub(crate) fn check_kill(&self, local: &'static Local) {
        if self.flags.load(Ordering::Relaxed) & CALLED_OFF != 0 {
            self.unwind(local);
        }
    }

    /// Unwinds the tasklet, which is the current one and to do so, before it has begun.
    pub(crate) fn end_before_start(&self) -> ! {
        if !self.is_killed() {
            self.carry_out_raise();
        }
        block::raise_kill()
    }

    #[cold]
    fn unwind(&self, local: &'static Local) {
        if self.is_killed() {
            self.carry_out_kill(local);
        } else {
            self.carry_out_raise();
        }
    }

    fn carry_out_raise(&self) {
        // SAFETY: the tasklet itself.
        if panicking() || unsafe { self.home_state() }.shields.get() > 0 {
            return;
        }
        let raise = {
            let mut to_raise = self.to_raise.lock();
            let raise = to_raise.pop_front();
            if to_raise.is_empty() {
                self.call_on(RAISED);
            }
            raise
        };
        match raise {
            Some(Raise::Error(error)) => block::raise_error(error),
            Some(Raise::Panic(panic)) => {
                let (payload, place) = panic.into_parts();
                panics::put_place(&*payload, place);
                resume_unwind(payload)
            }
            None => {}
        }
    }

    #[cold]
    fn carry_out_kill(&self, local: &'static Local) {
        // SAFETY: the tasklet itself.
        let state = unsafe { self.home_state() };
        if panicking() || state.shields.get() > 0 {
            return;
        }
        if self.acting().is_some_and(|actor| !actor.has(KILLED)) {
            // Meant for one that it stood for before.
            self.forget_kill();
            return;
        }
        let raised = state.raised.replace(state.raised.get() + 1);
        if raised > 0 {
            // Somebody has caught the last one and gone on. It must not keep the worker to itself.
            local.turn();
            self.yield_now(local);
            if raised == 3 {
                tracing::warn!(
                    tasklet = self.name(),
                    "a killed tasklet catches the unwinding and goes on: `catch_unwind` must pass on \
                     what is no panic of its own"
                );
            }
        }
        block::raise_kill();
    }
}
