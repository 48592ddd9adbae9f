//! Watching over a link: monitors and links of receivers of one side with those of the other.
//!
//! What is watched of the other side is asked for once. What the other side watches of this one is watched in
//! its stead, by something absent whose word goes over the link.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use actor_core::remote::Station;
use actor_core::{Exit, ExitReason, Monitor};

use super::ends::put_reason;
use super::import::Import;
use super::{Link, LinkOwner};
use crate::wire::frame::{Kind, put_number};

/// Behind one of the other side that is watched here.
pub(crate) struct Watch {
    link: Weak<Link>,
    object: u64,
    asked: AtomicBool,
    /// Keeps a handle from being given back while it is watched.
    import: Option<Weak<Import>>,
}

impl Watch {
    pub(crate) fn new(link: &Arc<Link>, object: u64, import: Option<Weak<Import>>) -> Watch {
        Watch {
            link: Arc::downgrade(link),
            object,
            asked: AtomicBool::new(false),
            import,
        }
    }
}

impl Station for Watch {
    fn watch(&self) {
        let Some(link) = self.link.upgrade() else {
            return;
        };
        if !self.asked.swap(true, Ordering::AcqRel) {
            if let Some(import) = self.import.as_ref().and_then(Weak::upgrade) {
                link.keep(import);
            }
            link.outbox
                .word(Kind::Monitor, 0, |into| put_number(into, self.object));
        }
    }

    fn tell(&self, exit: &Exit) {
        if let Some(link) = self.link.upgrade() {
            link.outbox.word_behind(Kind::Parted, |into| {
                put_number(into, self.object);
                put_reason(into, &exit.reason);
            });
        }
    }
}

/// In the stead of the other side, watches something of this one.
pub(super) struct Reporter {
    link: Weak<Link>,
    object: u64,
    /// It is linked with one of the other side, and not only monitored.
    told: AtomicBool,
}

impl Reporter {
    pub(super) fn new(link: &Arc<Link>, object: u64) -> Reporter {
        Reporter {
            link: Arc::downgrade(link),
            object,
            told: AtomicBool::new(false),
        }
    }
}

impl Station for Reporter {
    fn watch(&self) {}

    fn tell(&self, exit: &Exit) {
        // Monitored and linked, it is told twice.
        if self.told.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(link) = self.link.upgrade() {
            link.report(self.object, &exit.reason);
        }
    }
}

/// What is watched of this side for the other.
pub(super) struct Watched {
    pub(super) absent: Arc<actor_core::remote::Absent>,
    pub(super) owner: LinkOwner,
    monitor: Option<Monitor>,
}

impl Watched {
    pub(super) fn new(link: &Arc<Link>, object: u64, owner: LinkOwner) -> Watched {
        let station = Box::new(Reporter::new(link, object));
        let name = format!("{}/watcher", link.peer.name);
        Watched {
            absent: actor_core::remote::Absent::new(name.into(), station),
            owner,
            monitor: None,
        }
    }

    /// Begins. It may be told at once.
    pub(super) fn begin(&mut self) {
        self.monitor = Some(self.absent.monitor_of(&self.owner));
    }

    /// The link has ended: those who are linked are told, and nobody watches any more.
    pub(super) fn end(self) {
        if let Some(monitor) = self.monitor {
            monitor.cancel();
        }
        self.absent.end(ExitReason::NoConnection);
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.absent.fmt(f)
    }
}
