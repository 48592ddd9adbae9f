//! The lives of a supervised actor: what its supervisor and its carrier do between two of them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::reason::NO_REASON;
use super::value::typed;
use super::{ActorCell, DOWN, ENDING, KILLED, NEW, SUPERVISED};
use crate::{Actor, BoxError, worker};

/// What a supervised actor has.
pub(crate) struct Supervised {
    /// Makes the value of its next life.
    factory: Box<Factory>,
    /// How many lives it has behind it.
    lives: AtomicU32,
    /// Whether the present life is the last, or there is to be none.
    buried: AtomicBool,
}

/// Puts a new value into a cell of the type that it is for.
type Factory = dyn Fn(&ActorCell) -> Result<(), BoxError> + Send + Sync;

impl ActorCell {
    /// Makes it one that has a supervisor. Before it is launched.
    pub(crate) fn supervise<A: Actor>(
        &self,
        factory: impl Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    ) {
        let factory = move |core: &ActorCell| {
            let value = factory()?;
            // SAFETY: the cell is of this type, and the caller its carrier; between two lives there is
            // no value, and so no reference to one.
            unsafe { typed::<A>(core).as_ref().fill(value) };
            Ok(())
        };
        let supervised = Supervised {
            factory: Box::new(factory),
            lives: AtomicU32::new(0),
            buried: AtomicBool::new(false),
        };
        let _ = self.extra().supervised.set(supervised);
        self.raise(SUPERVISED);
    }

    fn supervised(&self) -> Option<&Supervised> {
        self.extra.get()?.supervised.get()
    }

    /// How many lives it has behind it.
    pub(crate) fn life(&self) -> u32 {
        self.supervised()
            .map_or(0, |supervised| supervised.lives.load(Ordering::Relaxed))
    }

    /// Has another life begin. It is down, and the caller its supervisor.
    pub(crate) fn revive(&self) {
        // What was asked of the life before does not concern this one. The reason goes while it is
        // still down: until then it has ended, and from then on it has not.
        self.flags.fetch_and(!(KILLED | ENDING), Ordering::SeqCst);
        self.reason.store(NO_REASON, Ordering::SeqCst);
        self.forget_reason();
        self.raise(NEW);
        self.flags.fetch_and(!DOWN, Ordering::SeqCst);
        // Those who kill all first say so and then go through the roster.
        if self.program.is_killing() {
            self.raise(KILLED);
        }
        worker::wake_actor(self);
    }

    /// There is to be no other life. If there was none, `launched` is false, and it has ended.
    pub(crate) fn bury(&self, launched: bool) {
        let Some(supervised) = self.supervised() else {
            return;
        };
        let again = supervised.buried.swap(true, Ordering::SeqCst);
        if launched {
            worker::wake_actor(self);
        } else if !again {
            self.raise(DOWN);
            let here = worker::local().map_or(0, |local| local.id);
            self.launch(here);
        }
    }

    /// Whether there is to be no other life. For its carrier.
    pub(crate) fn is_buried(&self) -> bool {
        self.supervised()
            .is_some_and(|supervised| supervised.buried.load(Ordering::SeqCst))
    }

    /// Makes the value of a new life, if it has none. For its carrier.
    pub(crate) fn make_value(&self) -> Result<(), BoxError> {
        match self.supervised() {
            Some(supervised) => (supervised.factory)(self),
            None => {
                // SAFETY: the caller is its carrier, and it has not been started.
                unsafe { (self.table.make)(self) };
                Ok(())
            }
        }
    }

    /// Marks it as between two lives. For its carrier.
    pub(crate) fn go_down(&self) {
        if let Some(supervised) = self.supervised() {
            supervised.lives.fetch_add(1, Ordering::Relaxed);
        }
        self.raise(DOWN);
    }
}
