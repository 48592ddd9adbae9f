//! Something of the other side that has come in a message: it takes messages as long as its link lasts.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use actor_core::remote::{Absent, Foreign, Outbound, Unsent, fresh_pid};
use actor_core::{ExitReason, Pid};

use super::outbox::Target;
use super::watch::Watch;
use super::{Link, LinkOwner};
use crate::wire::frame::{Kind, put_number};

/// A handle of the other side.
pub(crate) struct Import {
    pub(super) link: Arc<Link>,
    pub(super) id: u32,
    pub(super) target: Target,
    absent: Arc<Absent>,
}

impl Import {
    fn new(link: &Arc<Link>, id: u32) -> Arc<Import> {
        let target = link.outbox.add_handle(u64::from(id) << 1 | 1);
        Arc::new_cyclic(|this: &Weak<Import>| {
            let name = format!("{}/#{id}", link.peer.name);
            let station = Watch::new(link, target.object, Some(this.clone()));
            Import {
                link: link.clone(),
                id,
                target,
                absent: Absent::known_as(fresh_pid(), name.into(), Box::new(station)),
            }
        })
    }

    /// One that has come over `link`; `None` if there is no room.
    pub(super) fn receive(link: &Arc<Link>, id: u32) -> Option<Arc<Import>> {
        let import = link.imports.receive(id, || Import::new(link, id))?;
        // It has come too late to be among those that have ended with the link.
        if link.has_ended() {
            import.absent.end(ExitReason::NoConnection);
        }
        Some(import)
    }

    /// What its link calls it.
    pub(crate) fn there(&self) -> (Arc<Link>, u64) {
        (self.link.clone(), self.target.object)
    }

    pub(crate) fn absent(&self) -> &Arc<Absent> {
        &self.absent
    }
}

impl Foreign for Import {
    fn pid(&self) -> Pid {
        self.absent.pid()
    }

    fn owner(&self) -> Option<LinkOwner> {
        Some(self.absent.owner())
    }

    fn deliver(&self, outbound: Outbound<'_>) -> Result<(), Unsent> {
        if self.absent.reason().is_some() && self.link.ended().is_none() {
            return Err(Unsent::Ended);
        }
        self.link.send(&self.target, outbound)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        let count = self.link.imports.give_back(self.id, self);
        self.link.outbox.forget_handle(&self.target);
        if count > 0 {
            let id = self.id;
            // Behind what was sent to it, or with it.
            self.link.outbox.word_behind(Kind::Release, |into| {
                put_number(into, u64::from(id));
                put_number(into, count);
            });
        }
    }
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/#{}", self.link.peer.name, self.id)
    }
}
