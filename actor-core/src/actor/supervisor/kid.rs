//! A child as its supervisor has it: started, waited for, shut down.

use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use super::child::{Child, ChildSettings, Shutdown};
use crate::actor::Actor;
use crate::actor::cell::{ActorRef, DOWN, ENDED};
use crate::block::Interrupt;
use crate::exit::{self, Monitor, Party};
use crate::timers::Timer;
use crate::{BoxError, ExitReason, Pid, SpawnError, Tasklet, time, worker};

/// How long a killed child is waited for before its supervisor goes on without it.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A child, as its supervisor has it.
pub(super) struct Kid {
    kind: Kind,
    pub(super) settings: ChildSettings,
    /// While it lives.
    pub(super) monitor: Option<Monitor>,
    /// When it has last started.
    pub(super) since: Option<Instant>,
    /// How often it has failed in a row.
    pub(super) failures: u32,
    /// Its restart that has been put off.
    pub(super) later: Option<Later>,
}

/// A restart that has been put off.
pub(super) struct Later {
    /// As its [`Again`] has it.
    pub(super) ticket: Pid,
    /// Until the message has been sent.
    pub(super) timer: Option<Timer>,
}

pub(super) enum Kind {
    Actor {
        cell: ActorRef,
        launched: bool,
    },
    Tasklet {
        name: String,
        spawn: Box<Spawn>,
        current: Option<Tasklet>,
    },
}

/// Spawns a tasklet under a name.
type Spawn = dyn Fn(&str) -> Result<Tasklet, SpawnError> + Send;

impl Kid {
    pub(super) fn new(kind: Kind, settings: ChildSettings) -> Kid {
        Kid {
            kind,
            settings,
            monitor: None,
            since: None,
            failures: 0,
            later: None,
        }
    }

    pub(super) fn actor<A: Actor>(mut child: Child<A>) -> Kid {
        child.taken = true;
        let kind = Kind::Actor {
            cell: child.addr.core().reference(),
            launched: false,
        };
        Kid::new(kind, child.settings)
    }

    /// Whether it is the one that is known as `pid` at present.
    pub(super) fn has_pid(&self, pid: Pid) -> bool {
        match &self.kind {
            Kind::Actor { cell, .. } => cell.pid == pid,
            Kind::Tasklet { current, .. } => {
                current.as_ref().is_some_and(|tasklet| tasklet.pid() == pid)
            }
        }
    }

    /// Begins a life, and waits until it has started.
    pub(super) fn start(&mut self) -> Result<(), BoxError> {
        let party = match &mut self.kind {
            Kind::Actor { cell, launched } => {
                if !mem::replace(launched, true) {
                    let here = worker::local().map_or(0, |local| local.id);
                    cell.launch(here);
                } else if cell.has(DOWN) {
                    cell.revive();
                }
                Party::actor(cell)
            }
            Kind::Tasklet {
                name,
                spawn,
                current,
            } => {
                let tasklet = spawn(name)?;
                let party = tasklet.party();
                *current = Some(tasklet);
                party
            }
        };
        // Before the wait: this may be killed meanwhile, or fail.
        self.monitor = Some(exit::monitor(exit::watcher(), party));
        if let Kind::Actor { cell, .. } = &self.kind {
            // An interrupted wait leaves the monitor: it may start yet, and is to be shut down then.
            let started = cell.wait_for_start().map_err(Interrupt::into_io)?;
            if let Err(error) = started {
                self.monitor.take().map(Monitor::cancel);
                return Err(error);
            }
        }
        self.since = Some(time::now());
        Ok(())
    }

    /// Ends the present life, if there is one, and waits for that.
    pub(super) fn shut_down(&mut self) {
        self.forget_later();
        if self.monitor.take().map(Monitor::cancel).is_none() {
            return;
        }
        let limit = match self.settings.shutdown {
            Shutdown::Within(limit) => Some(limit),
            Shutdown::Kill => Some(Duration::ZERO),
            Shutdown::Wait => None,
        };
        if self.settings.shutdown != Shutdown::Kill {
            match &self.kind {
                Kind::Actor { cell, .. } => cell.end_with(ExitReason::Shutdown),
                Kind::Tasklet { current, .. } => current.iter().for_each(Tasklet::stop),
            }
        }
        if self.wait_for_end(limit) {
            return;
        }
        self.kill();
        if !self.wait_for_end(Some(LAST_WAIT)) {
            tracing::warn!(child = %self, "does not end though killed");
        }
    }

    fn kill(&self) {
        match &self.kind {
            Kind::Actor { cell, .. } => cell.kill(),
            Kind::Tasklet { current, .. } => current.iter().for_each(Tasklet::kill),
        }
    }

    fn wait_for_end(&self, limit: Option<Duration>) -> bool {
        match &self.kind {
            Kind::Actor { cell, .. } => cell
                .wait_for(limit.and_then(time::after), || {
                    cell.has(DOWN | ENDED).then_some(())
                })
                .is_ok(),
            Kind::Tasklet { current, .. } => match (current, limit) {
                (None, _) => true,
                (Some(tasklet), None) => {
                    tasklet.wait();
                    true
                }
                (Some(tasklet), Some(limit)) => tasklet.wait_timeout(limit).is_ok(),
            },
        }
    }

    /// There is to be no other life.
    pub(super) fn bury(&self) {
        if let Kind::Actor { cell, launched } = &self.kind {
            cell.bury(*launched);
        }
    }

    /// Ends it without waiting.
    pub(super) fn abandon(&mut self) {
        self.forget_later();
        self.bury();
        // Whether it lives is not to be asked: it may be about to start, or to be shut down.
        self.kill();
    }

    fn forget_later(&mut self) {
        if let Some(timer) = self.later.take().and_then(|later| later.timer) {
            timer.cancel();
        }
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Actor { cell, .. } => write!(f, "{:?}", **cell),
            Kind::Tasklet { name, .. } => f.write_str(name),
        }
    }
}
