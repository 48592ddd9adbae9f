//! Handles: what this side has given to the other in messages, and what it has been given.
//!
//! An export lives until the other side has given back as many times as it was given. Sends are counted, and
//! not only that there is one: a `Release` that crosses another send must not free what has just been sent.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use actor_core::Pid;
use actor_core::remote::Export;
use parking_lot::Mutex;

use super::import::Import;
use super::outbox::MAX_NAMES;
use crate::exposure::Exposed;

/// What the other side has of this one.
#[derive(Default)]
pub(super) struct Exports {
    state: Mutex<ExportState>,
}

#[derive(Default)]
struct ExportState {
    by_id: HashMap<u32, Exported>,
    /// So that what is sent twice is one at the other end.
    ids: HashMap<Key, u32>,
    issued: u32,
    /// The link has ended: nothing is kept for it any more.
    over: bool,
}

/// What tells exports apart: whose mailbox it is, for which messages.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    pid: Pid,
    classes: Vec<&'static str>,
}

struct Exported {
    object: Arc<Exposed>,
    sent: u64,
    /// By how many tasklets messages for it are brought over.
    held: usize,
    key: Key,
}

impl ExportState {
    /// Takes out what nobody has any more.
    fn retire(&mut self, id: u32) -> Option<Exported> {
        let exported = self.by_id.get(&id)?;
        if exported.sent > 0 || exported.held > 0 {
            return None;
        }
        let exported = self.by_id.remove(&id)?;
        self.ids.remove(&exported.key);
        Some(exported)
    }
}

impl Exports {
    /// Counts a send of something; `None` if there is no room.
    pub(super) fn send(&self, classes: Vec<Arc<dyn Export>>) -> Option<u32> {
        let key = Key {
            pid: classes.first()?.pid(),
            classes: classes.iter().map(|export| export.class().name).collect(),
        };
        let mut state = self.state.lock();
        if state.over {
            // What it is in goes nowhere.
            return Some(state.issued);
        }
        if let Some(&id) = state.ids.get(&key) {
            if let Some(exported) = state.by_id.get_mut(&id) {
                exported.sent += 1;
            }
            return Some(id);
        }
        if state.by_id.len() >= MAX_NAMES as usize {
            return None;
        }
        // Numbers are not used again: what a late frame names is then known to be gone.
        let id = state.issued;
        state.issued = state.issued.checked_add(1)?;
        state.ids.insert(key.clone(), id);
        let object = Arc::new(Exposed::new(classes));
        let exported = Exported {
            object,
            sent: 1,
            held: 0,
            key,
        };
        state.by_id.insert(id, exported);
        Some(id)
    }

    /// So many of the sends are given back; `false` if there were not as many.
    pub(super) fn release(&self, id: u32, count: u64) -> bool {
        let released;
        {
            let mut state = self.state.lock();
            let Some(exported) = state.by_id.get_mut(&id) else {
                return false;
            };
            let Some(left) = exported.sent.checked_sub(count) else {
                return false;
            };
            exported.sent = left;
            released = state.retire(id);
        }
        // Not under the lock: it may be the last address of somebody.
        drop(released);
        true
    }

    /// Messages for it wait for room: it keeps its number until they are in. With another one, what comes next would
    /// not stand behind them, nor be counted with them.
    pub(super) fn hold(&self, id: u32) {
        if let Some(exported) = self.state.lock().by_id.get_mut(&id) {
            exported.held += 1;
        }
    }

    /// They are in.
    pub(super) fn let_go(&self, id: u32) {
        let mut state = self.state.lock();
        if let Some(exported) = state.by_id.get_mut(&id) {
            exported.held -= 1;
        }
        let released = state.retire(id);
        drop(state);
        drop(released);
    }

    /// Whether it is there because messages for it wait, and for nothing else.
    pub(super) fn is_only_held(&self, id: u32) -> bool {
        let state = self.state.lock();
        state
            .by_id
            .get(&id)
            .is_some_and(|exported| exported.sent == 0)
    }

    pub(super) fn get(&self, id: u32) -> Option<Arc<Exposed>> {
        let state = self.state.lock();
        state.by_id.get(&id).map(|exported| exported.object.clone())
    }

    /// Whether the number has been given to something, which may be gone.
    pub(super) fn was_issued(&self, id: u32) -> bool {
        id < self.state.lock().issued
    }

    pub(super) fn clear(&self) {
        let all = {
            let mut state = self.state.lock();
            state.over = true;
            state.ids.clear();
            std::mem::take(&mut state.by_id)
        };
        drop(all);
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().by_id.len()
    }
}

impl fmt::Debug for Exports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exports").field("len", &self.len()).finish()
    }
}

/// What this side has of the other.
#[derive(Debug, Default)]
pub(super) struct Imports {
    by_id: Mutex<HashMap<u32, Imported>>,
}

#[derive(Debug)]
struct Imported {
    import: Weak<Import>,
    received: u64,
}

impl Imports {
    /// Something has come, of which `make` makes what stands for it if it is not there already.
    pub(super) fn receive(
        &self,
        id: u32,
        make: impl FnOnce() -> Arc<Import>,
    ) -> Option<Arc<Import>> {
        let mut by_id = self.by_id.lock();
        if let Some(imported) = by_id.get_mut(&id)
            && let Some(import) = imported.import.upgrade()
        {
            imported.received += 1;
            return Some(import);
        }
        // One that is being dropped at this moment gives back what it has had, and finds another in its place.
        if by_id.len() >= MAX_NAMES as usize {
            return None;
        }
        let import = make();
        let before = by_id.get(&id).map_or(0, |imported| imported.received);
        let imported = Imported {
            import: Arc::downgrade(&import),
            received: before + 1,
        };
        by_id.insert(id, imported);
        Some(import)
    }

    /// `import` goes: how often it has been received, to be given back.
    pub(super) fn give_back(&self, id: u32, import: *const Import) -> u64 {
        let mut by_id = self.by_id.lock();
        match by_id.get(&id) {
            Some(imported) if imported.import.as_ptr() == import => {
                by_id.remove(&id).map_or(0, |imported| imported.received)
            }
            // Another has taken its place, and its debts.
            _ => 0,
        }
    }

    /// All that live.
    pub(super) fn all(&self) -> Vec<Arc<Import>> {
        let by_id = self.by_id.lock();
        by_id
            .values()
            .filter_map(|imported| imported.import.upgrade())
            .collect()
    }

    pub(super) fn get(&self, id: u32) -> Option<Arc<Import>> {
        let by_id = self.by_id.lock();
        by_id
            .get(&id)
            .and_then(|imported| imported.import.upgrade())
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.lock().len()
    }
}
