//! Who has spawned whom.
//!
//! A tasklet's children are those it has spawned and that live. When it ends they pass to its own
//! parent, or become roots of the program; if it ended because it was asked to stop, they are asked
//! next. Children are younger than their parents, always, so locking families in the order of the
//! pids cannot deadlock.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::{mem, ptr};

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

    /// Kills all that live below `of`, those included that are spawned there meanwhile or later.
    ///
    /// Each parent is marked before its children are looked for, and a newcomer takes its place among
    /// the children before it looks at the mark; so one of the two sees the other.
    pub(crate) fn kill_descendants(of: &Core) {
        of.doom();
        // Not recursive: a tree may be deeper than a stack.
        let mut rest = Family::children(of);
        while let Some(core) = rest.pop() {
            core.doom();
            core.kill();
            rest.extend(Family::children(&core));
        }
    }

    /// Takes the dead out of the family, and passes its children on, with the stop or the kill that was
    /// asked of it or of the program.
    ///
    /// It has been marked as ended before, so it gets no more children.
    pub(crate) fn bury(dead: &Core) {
        loop {
            let parent = Family::parent(dead);
            let mut family = parent.as_ref().map(|parent| parent.family.lock());
            let mut own = dead.family.lock();
            // While neither was locked the parent may have ended and passed this one on.
            let as_ever = match &parent {
                Some(parent) => ptr::eq(own.parent.as_ptr(), Arc::as_ptr(parent)),
                None => true,
            };
            if !as_ever {
                continue;
            }
            let children = mem::take(&mut own.children);
            // Before they learn who is their parent now: one that ends meanwhile waits for the lock of
            // its old parent, and then takes itself out of its new one's.
            let ending = match &mut family {
                Some(family) => {
                    family.children.remove(&dead.pid);
                    family
                        .children
                        .extend(children.iter().map(|(pid, child)| (*pid, child.clone())));
                    false
                }
                None => dead.program.replace_root(dead.pid, &children),
            };
            let heir = own.parent.clone();
            let orphans: Vec<_> = children.values().filter_map(Weak::upgrade).collect();
            for orphan in &orphans {
                orphan.family.lock().parent = heir.clone();
            }
            // Marked under the locks: an orphan that ends right after them knows what to ask of its own
            // children. The rest is done without: it may ring another worker's bell.
            let stop = ending || dead.is_stopping();
            let marked: Vec<_> = orphans
                .iter()
                .filter(|orphan| stop && orphan.mark_stopping())
                .collect();
            drop((own, family));
            marked.iter().for_each(|orphan| orphan.stop_marked());
            // Those who kill a family or the whole program look at one parent after the other, and may
            // have missed the orphans on their way from one to the next.
            let doomed = parent.as_deref().is_some_and(Core::is_doomed);
            if doomed || dead.is_doomed() || dead.program.is_killing() {
                for orphan in &orphans {
                    orphan.kill();
                    Family::kill_descendants(orphan);
                }
            }
            return;
        }
    }
}
