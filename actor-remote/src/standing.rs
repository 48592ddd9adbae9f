//! What leads to another receiver, now to this one and now to that.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use actor_core::Pid;
use actor_core::remote::{Foreign, Outbound, Unsent, fresh_pid};
use parking_lot::RwLock;

use crate::link::LinkOwner;

/// Leads to the present one of several that come one after the other.
pub(crate) struct Standing {
    pid: Pid,
    current: RwLock<Option<Arc<dyn Foreign>>>,
}

impl Standing {
    pub(crate) fn new() -> Arc<Standing> {
        Arc::new(Standing {
            pid: fresh_pid(),
            current: RwLock::new(None),
        })
    }

    pub(crate) fn lead_to(&self, foreign: Option<Arc<dyn Foreign>>) {
        let before = std::mem::replace(&mut *self.current.write(), foreign);
        // Not under the lock: it gives a handle back.
        drop(before);
    }

    pub(crate) fn lead_nowhere(&self) {
        self.lead_to(None);
    }

    pub(crate) fn current(&self) -> Option<Arc<dyn Foreign>> {
        self.current.read().clone()
    }
}

impl Foreign for Standing {
    fn pid(&self) -> Pid {
        self.pid
    }

    fn owner(&self) -> Option<LinkOwner> {
        // The end of one is not the end of this.
        None
    }

    fn deliver(&self, outbound: Outbound<'_>) -> Result<(), Unsent> {
        match self.current() {
            Some(current) => match current.deliver(outbound) {
                // That one has; there will be another.
                Err(Unsent::Ended) => Err(Unsent::Disconnected),
                sent => sent,
            },
            None => Err(Unsent::Disconnected),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.current() {
            Some(current) => write!(f, "{current:?}"),
            None => f.write_str("nobody at present"),
        }
    }
}
