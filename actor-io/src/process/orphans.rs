//! Programs that nobody waits for any more.
//!
//! A process that has ended remains as a zombie until its parent waits for it. Those whose
//! [`Child`](super::Child) was dropped before are kept here, and looked at whenever another program is
//! started or dropped: so there are never more zombies than ended since.

use std::mem;
use std::process::Child;

use parking_lot::Mutex;

static ORPHANS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Takes a program over, unless it has been waited for.
pub(super) fn adopt(child: Child) {
    collect_ended(Some(child));
}

/// Waits for those that have ended.
pub(super) fn collect() {
    collect_ended(None);
}

fn collect_ended(newcomer: Option<Child>) {
    let mut orphans = ORPHANS.lock();
    for mut child in mem::take(&mut *orphans).into_iter().chain(newcomer) {
        // An error says that somebody else has waited for it.
        if let Ok(None) = child.try_wait() {
            orphans.push(child);
        }
    }
}
