//! Watching over a link: monitors and links of receivers of one side with those of the other.
//!
//! What is watched of the other side is asked for once. What the other side watches of this one is watched in
//! its stead, by something absent whose word goes over the link.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Weak};

use actor_core::remote::{Absent, Station, fresh_pid, number_of};
use actor_core::{Exit, ExitReason, Monitor, Pid};
use parking_lot::Mutex;

use super::Link;
use super::ends::put_reason;
use super::import::Import;
use super::outbox::MAX_NAMES;
use crate::watched::Watched as Subject;
use crate::wire::frame::{Kind, Malformed, put_number};

/// Behind one of the other side that is watched here.
pub(crate) struct Watch {
    link: Weak<Link>,
    object: u64,
    /// Whether the other side is to tell. Locked while it is told so.
    asked: Mutex<bool>,
    /// Keeps a handle from being given back while it is watched.
    import: Option<Weak<Import>>,
}

impl Watch {
    pub(crate) fn new(link: &Arc<Link>, object: u64, import: Option<Weak<Import>>) -> Watch {
        Watch {
            link: Arc::downgrade(link),
            object,
            asked: Mutex::new(false),
            import,
        }
    }
}

impl Station for Watch {
    fn watch(&self) {
        let Some(link) = self.link.upgrade() else {
            return;
        };
        let mut asked = self.asked.lock();
        if !*asked {
            *asked = true;
            if let Some(import) = self.import.as_ref().and_then(Weak::upgrade) {
                link.keep(import);
            }
            link.outbox
                .word(Kind::Monitor, 0, |into| put_number(into, self.object));
        }
    }

    fn leave(&self, is_left: &dyn Fn() -> bool) {
        let Some(link) = self.link.upgrade() else {
            return;
        };
        let kept = {
            let mut asked = self.asked.lock();
            if !*asked || !is_left() {
                return;
            }
            *asked = false;
            link.outbox
                .word(Kind::Demonitor, 0, |into| put_number(into, self.object));
            let import = self.import.as_ref().and_then(Weak::upgrade);
            import.and_then(|import| link.kept.lock().remove(&import.id))
        };
        // Not under the lock: it may be the last, and is given back then, behind this.
        drop(kept);
    }

    fn tell(&self, exit: &Exit) {
        if let Some(link) = self.link.upgrade() {
            let mut why = Vec::new();
            put_reason(&mut why, &exit.reason);
            link.outbox.word_behind(Kind::Parted, |into| {
                put_number(into, self.object);
                put_number(into, number_of(exit.pid));
                into.extend_from_slice(&why);
            });
        }
    }
}

/// In the stead of the other side, watches something of this one.
struct Reporter {
    link: Weak<Link>,
    key: Key,
    /// That of the one in whose place this is.
    pid: Pid,
}

impl Station for Reporter {
    fn watch(&self) {}

    fn tell(&self, exit: &Exit) {
        let Some(link) = self.link.upgrade() else {
            return;
        };
        let told = link.watching.remove(self.key, Some(self.pid));
        let (object, linker) = self.key;
        // Who is linked monitors it as well, and is told once.
        if told.is_some() && linker.is_none() {
            link.report(object, &exit.reason);
        }
    }
}

/// An object, and who of the other side is linked with it; nobody where it is monitored.
type Key = (u64, Option<u64>);

/// What is watched of this side for the other.
struct Watched {
    absent: Arc<Absent>,
    subject: Subject,
    monitor: Option<Monitor>,
}

impl Watched {
    /// Nobody watches any more. Those who are linked are not told.
    fn cancel(self) {
        match self.monitor {
            Some(monitor) => drop(monitor.cancel()),
            None => {
                self.absent.unlink_from(&self.subject.owner);
                self.subject.say(Kind::Unlink, self.absent.pid());
            }
        }
    }

    /// Whoever has watched is gone: those who are linked are told.
    fn end(self, why: ExitReason) {
        if let Some(monitor) = self.monitor {
            monitor.cancel();
        }
        self.absent.end(why);
    }
}

/// All that is watched of this side for the other: what lives, and what the other side wants to know of.
#[derive(Default)]
pub(super) struct Watching {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    over: bool,
    all: BTreeMap<Key, Watched>,
    /// How many of these are links.
    linked: usize,
}

impl State {
    fn insert(&mut self, key: Key, watched: Watched) -> Option<Watched> {
        let before = self.all.insert(key, watched);
        if before.is_none() && key.1.is_some() {
            self.linked += 1;
        }
        before
    }

    fn remove(&mut self, key: Key) -> Option<Watched> {
        let removed = self.all.remove(&key)?;
        if key.1.is_some() {
            self.linked -= 1;
        }
        Some(removed)
    }
}

/// How many of the other side may be linked with objects of this one. Those that are monitored are so many at most as
/// there are names and handles.
const MAX_LINKED: usize = MAX_NAMES as usize;

impl Watching {
    /// Enters one. What was there before is returned; `None` if the link has ended.
    fn insert(&self, key: Key, watched: Watched) -> Result<Option<Option<Watched>>, Malformed> {
        let mut state = self.state.lock();
        if state.over {
            return Ok(None);
        }
        if key.1.is_some() && state.linked >= MAX_LINKED {
            return Err(Malformed::TooMany);
        }
        Ok(Some(state.insert(key, watched)))
    }

    /// Takes one out, if it is still the one that is meant.
    fn remove(&self, key: Key, pid: Option<Pid>) -> Option<Watched> {
        let mut state = self.state.lock();
        let is_meant = |watched: &Watched| pid.is_none_or(|pid| watched.absent.pid() == pid);
        if state.all.get(&key).is_some_and(is_meant) {
            state.remove(key)
        } else {
            None
        }
    }

    /// What is watched as an object, at present.
    fn subject(&self, object: u64) -> Option<Subject> {
        let state = self.state.lock();
        let watched = state.all.get(&(object, None))?;
        Some(watched.subject.clone())
    }

    fn has(&self, key: Key) -> bool {
        self.state.lock().all.contains_key(&key)
    }

    /// The link has ended.
    pub(super) fn end(&self) {
        let all = {
            let mut state = self.state.lock();
            state.over = true;
            mem::take(&mut state.all)
        };
        for watched in all.into_values() {
            watched.end(ExitReason::NoConnection);
        }
    }
}

/// What the other side asks for. All of it comes by the link's reader.
impl Link {
    /// Has the other side told of the end of `subject`, which it calls `object`.
    pub(super) fn monitor_for(
        self: &Arc<Self>,
        object: u64,
        subject: Subject,
    ) -> Result<(), Malformed> {
        let key = (object, None);
        let owner = subject.owner.clone();
        let Some(absent) = self.enter(key, subject)? else {
            return Ok(());
        };
        // It may be told at once, and is out again then.
        let monitor = absent.monitor_of(&owner);
        let mut state = self.watching.state.lock();
        match state.all.get_mut(&key) {
            Some(watched) if Arc::ptr_eq(&watched.absent, &absent) => {
                watched.monitor = Some(monitor);
            }
            _ => {
                drop(state);
                monitor.cancel();
            }
        }
        Ok(())
    }

    /// The other side does not want to be told any more.
    pub(super) fn demonitor_for(&self, object: u64) {
        if let Some(watched) = self.watching.remove((object, None), None) {
            watched.cancel();
        }
    }

    /// Links `linker` of the other side with what that monitors as `object`.
    pub(super) fn link_for(self: &Arc<Self>, object: u64, linker: u64) -> Result<(), Malformed> {
        let key = (object, Some(linker));
        // If it is not monitored it has ended, which is on its way.
        let Some(subject) = self.watching.subject(object) else {
            return Ok(());
        };
        if self.watching.has(key) {
            return Ok(());
        }
        if let Some(absent) = self.enter(key, subject.clone())? {
            absent.link_with(&subject.owner);
            // One of a third node has to know as well.
            subject.say(Kind::Link, absent.pid());
        }
        Ok(())
    }

    /// Takes that back.
    pub(super) fn unlink_for(&self, object: u64, linker: u64) {
        if let Some(watched) = self.watching.remove((object, Some(linker)), None) {
            watched.cancel();
        }
    }

    /// One of the other side has ended that was linked with an object of this one.
    pub(super) fn parted(&self, object: u64, linker: u64, why: ExitReason) {
        if let Some(watched) = self.watching.remove((object, Some(linker)), None) {
            watched.end(why);
        }
    }

    /// The other side has nothing of an object any more.
    pub(super) fn forget_object(&self, object: u64) {
        let gone: Vec<_> = {
            let mut state = self.watching.state.lock();
            let of_it = (object, None)..=(object, Some(u64::MAX));
            let keys: Vec<_> = state.all.range(of_it).map(|(key, _)| *key).collect();
            keys.into_iter()
                .filter_map(|key| state.remove(key))
                .collect()
        };
        for watched in gone {
            watched.cancel();
        }
    }

    /// Who stands for the other side where `subject` is watched; `None` if the link has ended.
    fn enter(
        self: &Arc<Self>,
        key: Key,
        subject: Subject,
    ) -> Result<Option<Arc<Absent>>, Malformed> {
        let pid = fresh_pid();
        let station = Box::new(Reporter {
            link: Arc::downgrade(self),
            key,
            pid,
        });
        let name = format!("{}/watcher", self.peer.name);
        let absent = Absent::known_as(pid, name.into(), station);
        let watched = Watched {
            absent: absent.clone(),
            subject,
            monitor: None,
        };
        let Some(before) = self.watching.insert(key, watched)? else {
            return Ok(None);
        };
        // Asked for twice, it is watched once.
        if let Some(before) = before {
            before.cancel();
        }
        Ok(Some(absent))
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.state.lock().all.keys()).finish()
    }
}
