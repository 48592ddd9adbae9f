//! Whom a reference refers to, as one that is watched.

use std::sync::Arc;

use actor_core::remote::{Absent, Foreign, Station, number_of};
use actor_core::{Exit, ExitReason, Pid};

use crate::link::{Import, Link, LinkOwner};
use crate::named::Named;
use crate::standing::Standing;
use crate::wire::frame::{Kind, put_number};

/// One that is watched.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) owner: LinkOwner,
    /// What it is called on which link.
    there: Option<(Arc<Link>, u64)>,
}

impl Watched {
    pub(crate) fn foreign(foreign: &dyn Foreign) -> Watched {
        let any = foreign.as_any();
        if let Some(named) = any.downcast_ref::<Named>() {
            let (absent, there) = named.absent();
            let owner = absent.owner();
            return Watched { owner, there };
        }
        if let Some(import) = any.downcast_ref::<Import>() {
            let owner = import.absent().owner();
            let there = Some(import.there());
            return Watched { owner, there };
        }
        if let Some(standing) = any.downcast_ref::<Standing>() {
            return match standing.current() {
                Some(current) => Watched::foreign(&*current),
                None => {
                    let absent = Absent::new("nobody".into(), Box::new(Nowhere));
                    absent.end(ExitReason::NoConnection);
                    let owner = absent.owner();
                    Watched { owner, there: None }
                }
            };
        }
        Watched::own(foreign.owner())
    }

    /// One of this process; what has no owner never ends.
    pub(crate) fn own(owner: Option<LinkOwner>) -> Watched {
        let owner =
            owner.unwrap_or_else(|| Absent::new("nobody".into(), Box::new(Nowhere)).owner());
        Watched { owner, there: None }
    }

    /// Tells its node that `linker` is linked with it, or no longer.
    pub(crate) fn say(&self, kind: Kind, linker: Pid) {
        if let Some((link, object)) = &self.there {
            // Behind the end of an earlier life of the same one.
            link.word_behind(kind, |into| {
                put_number(into, *object);
                put_number(into, number_of(linker));
            });
        }
    }
}

/// Behind one that nothing can be asked of.
pub(crate) struct Nowhere;

impl Station for Nowhere {
    fn watch(&self) {}

    fn tell(&self, _: &Exit) {}
}
