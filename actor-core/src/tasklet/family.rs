//! Who has spawned whom.
//!
//! A tasklet's children are those it has spawned and that live. When it ends they pass to its own
//! parent, or become roots of the program; if it ended because it was asked to stop, they are asked
//! next. Children are younger than their parents, always, so locking families in the order of the
//! pids cannot deadlock.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::core::Core;
use crate::Pid;

/// A tasklet's relatives.
#[derive(Debug, Default)]
pub(crate) struct Family {
    /// None for a root of the program.
    parent: Weak<Core>,
    /// In the order in which they were spawned.
    children: BTreeMap<Pid, Weak<Core>>,
}

impl Family {
    /// Makes `child`, which is new, a child of `parent`; `false` if that has ended.
    pub(crate) fn adopt(parent: &Arc<Core>, child: &Arc<Core>) -> bool {
        let mut family = parent.family.lock();
        if parent.has_ended() {
            return false;
        }
        family.children.insert(child.pid, Arc::downgrade(child));
        child.family.lock().parent = Arc::downgrade(parent);
        true
    }

    pub(crate) fn parent(of: &Core) -> Option<Arc<Core>> {
        of.family.lock().parent.upgrade()
    }

    pub(crate) fn children(of: &Core) -> Vec<Arc<Core>> {
        of.family
            .lock()
            .children
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Takes the dead out of the family, and passes its children on.
    ///
    /// It has been marked as ended before, so it gets no more children.
    pub(crate) fn bury(dead: &Core) {
        loop {
            let parent = Family::parent(dead);
            let orphans = match &parent {
                None => {
                    let mut own = dead.family.lock();
                    let orphans = std::mem::take(&mut own.children);
                    // Before they learn that they are roots: one that ends meanwhile waits for this
                    // lock and then takes itself out.
                    dead.program.replace_root(dead.pid, &orphans);
                    for child in orphans.values().filter_map(Weak::upgrade) {
                        child.family.lock().parent = Weak::new();
                    }
                    orphans
                }
                Some(parent) => {
                    let mut family = parent.family.lock();
                    let mut own = dead.family.lock();
                    // While neither was locked the parent may have ended and passed this one on.
                    if !std::ptr::eq(own.parent.as_ptr(), Arc::as_ptr(parent)) {
                        continue;
                    }
                    family.children.remove(&dead.pid);
                    let orphans = std::mem::take(&mut own.children);
                    for (pid, child) in &orphans {
                        if let Some(child) = child.upgrade() {
                            child.family.lock().parent = Arc::downgrade(parent);
                            family.children.insert(*pid, Arc::downgrade(&child));
                        }
                    }
                    orphans
                }
            };
            // Not under the locks: a stop may ring another worker's bell.
            if dead.is_stopping() {
                for orphan in orphans.values().filter_map(Weak::upgrade) {
                    orphan.stop();
                }
            }
            return;
        }
    }
}
