//! One of another process, as one whose end can be watched.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::Pid;
use crate::exit::{self, Exit, ExitReason, Monitor, Owner, Party, Watchers};

/// What an absent one needs of the link behind which it is.
pub trait Station: Send + Sync {
    /// Somebody here wants to know of its end: the other side is to tell. May be called again and again.
    fn watch(&self);

    /// Nobody here wants to know it any more, if `is_left` says so still: the other side need not tell. Whoever begins to
    /// watch at the same moment calls [`watch`](Self::watch) when `is_left` says no, so that one of the two comes second.
    fn leave(&self, is_left: &dyn Fn() -> bool) {
        let _ = is_left;
    }

    /// Somebody here to whom it is linked has ended: the other side is to know.
    fn tell(&self, exit: &Exit);
}

/// Stands for a receiver of another process where receivers watch each other.
pub struct Absent {
    pid: Pid,
    name: Arc<str>,
    watchers: Watchers,
    reason: OnceLock<ExitReason>,
    station: Box<dyn Station>,
}

impl Absent {
    /// For a receiver that is called `name` there, behind `station`.
    pub fn new(name: Arc<str>, station: Box<dyn Station>) -> Arc<Absent> {
        Absent::known_as(Pid::unused(), name, station)
    }

    /// The same, with an identity that it has had before.
    pub fn known_as(pid: Pid, name: Arc<str>, station: Box<dyn Station>) -> Arc<Absent> {
        Arc::new(Absent {
            pid,
            name,
            watchers: Watchers::default(),
            reason: OnceLock::new(),
            station,
        })
    }

    /// Its identity in this process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As one whose end can be seen.
    pub fn owner(self: &Arc<Self>) -> Owner {
        Owner(Party::Absent(self.clone()))
    }

    /// It has ended, or cannot be reached any more: tells all who watch it, once.
    pub fn end(self: &Arc<Self>, reason: ExitReason) {
        if self.reason.set(reason).is_ok() {
            exit::tell_all(&Party::Absent(self.clone()));
        }
    }

    /// Links a receiver of this process with it, which has asked for that.
    pub fn link_with(self: &Arc<Self>, owner: &Owner) {
        let own = Party::Absent(self.clone());
        exit::link(own.clone(), owner.0.clone());
        // It may have ended meanwhile, before it was linked.
        if self.reason.get().is_some() {
            exit::tell_all(&own);
        }
    }

    /// Has it told of the end of a receiver of this process.
    pub fn monitor_of(self: &Arc<Self>, owner: &Owner) -> Monitor {
        exit::monitor(Party::Absent(self.clone()), owner.0.clone())
    }

    /// Takes a link with a receiver of this process back.
    pub fn unlink_from(self: &Arc<Self>, owner: &Owner) {
        exit::unlink(&owner.0, &Party::Absent(self.clone()));
    }

    /// Why it has ended, if it has.
    pub fn reason(&self) -> Option<ExitReason> {
        self.reason.get().cloned()
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    pub(crate) fn is_watched(&self) {
        if self.reason.get().is_none() {
            self.station.watch();
        }
    }

    /// One who has watched it does so no more: it may have been the last.
    pub(crate) fn is_left(&self) {
        let is_left = || self.reason.get().is_none() && self.watchers.is_empty();
        if is_left() {
            self.station.leave(&is_left);
        }
    }

    pub(crate) fn tell(&self, exit: &Exit) {
        self.station.tell(exit);
    }
}

impl Owner {
    /// Has the current tasklet or actor told of its end.
    ///
    /// # Panics
    ///
    /// If the caller is neither.
    #[track_caller]
    pub fn monitor(&self) -> Monitor {
        exit::monitor(exit::watcher(), self.0.clone())
    }

    /// Links the current tasklet or actor with it.
    ///
    /// # Panics
    ///
    /// If the caller is neither.
    #[track_caller]
    pub fn link(&self) {
        exit::link(exit::watcher(), self.0.clone());
    }

    /// Takes a link of the current tasklet or actor back.
    ///
    /// # Panics
    ///
    /// If the caller is neither.
    #[track_caller]
    pub fn unlink(&self) {
        exit::unlink(&exit::watcher(), &self.0);
    }
}

impl fmt::Debug for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Absent({}{})", self.name, self.pid)
    }
}
