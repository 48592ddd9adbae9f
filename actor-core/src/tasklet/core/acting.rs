//! Whom a tasklet stands for: itself, or, as a carrier, the actor one of whose handlers it runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Core;
use crate::Pid;
use crate::actor::cell::ActorCell;
use crate::runtime::program::Program;

impl Core {
    /// The actor that it stands for, if it is a carrier. For the tasklet itself, or its driver.
    #[inline]
    pub(crate) fn acting(&self) -> Option<&ActorCell> {
        // SAFETY: the tasklet itself; the actor lives while a handler of it runs.
        unsafe { self.home_state().acting.get().map(|actor| actor.as_ref()) }
    }

    /// Says that it, or the actor that it stands for, waits for an answer. For the tasklet itself.
    #[inline]
    pub(crate) fn mark_in_call(&self, is: bool) {
        match self.acting() {
            Some(actor) => actor.mark_in_call(is),
            None => self.in_call.store(is, Ordering::Relaxed),
        }
    }

    /// Whether it waits for an answer. From another thread this is a hint.
    pub(crate) fn is_in_call(&self) -> bool {
        self.in_call.load(Ordering::Relaxed)
    }

    /// Its identity, or that of the actor that it stands for. For the tasklet itself, or its driver.
    #[inline]
    pub(crate) fn acting_pid(&self) -> Pid {
        self.acting().map_or(self.pid, |actor| actor.pid)
    }

    /// What it is called, or the actor that it stands for. For the tasklet itself.
    pub(crate) fn acting_name(&self) -> &str {
        self.acting().map_or_else(|| self.name(), ActorCell::name)
    }

    /// Whether it, or the actor that it stands for, has been asked to stop. For the tasklet itself.
    pub(crate) fn is_asked_to_stop(&self) -> bool {
        self.acting()
            .map_or_else(|| self.is_stopping(), ActorCell::is_stopping)
    }

    /// Its program, or that of the actor that it stands for. For the tasklet itself.
    pub(crate) fn acting_program(&self) -> &Arc<Program> {
        self.acting().map_or(&self.program, |actor| &actor.program)
    }
}
