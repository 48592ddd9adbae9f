//! Objects of another node by their names: they outlast the links to it.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use actor_core::remote::{Absent, Foreign, Outbound, Unsent, fresh_pid};
use actor_core::{ExitReason, Pid, Refusal};
use parking_lot::Mutex;

use crate::link::{Link, LinkOwner, Target, Watch};
use crate::peer::Peer;
use crate::watched::Nowhere;
use crate::wire::frame::MAX_TEXT;

/// An object that another node exposes by a name.
pub(crate) struct Named {
    peer: Arc<Peer>,
    name: Arc<str>,
    pid: Pid,
    this: Weak<Named>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What it is called on the link of this session.
    target: Option<(u64, Target)>,
    /// As one that is watched, until the end of that session.
    absent: Option<(u64, Arc<Absent>)>,
}

impl Named {
    /// What frames of `link` call it, if they have had to yet.
    pub(crate) fn target_on(&self, link: &Arc<Link>) -> Option<Target> {
        if link.peer.name != self.peer.name() {
            return None;
        }
        self.target(link).ok()
    }

    fn target(&self, link: &Arc<Link>) -> Result<Target, Unsent> {
        if let Some((session, target)) = &self.state.lock().target
            && *session == link.session
        {
            return Ok(target.clone());
        }
        if self.name.len() > MAX_TEXT {
            // Longer than any name that can be said over there.
            return Err(Unsent::Refused(Refusal::Unknown));
        }
        let target = link.object(&self.name)?;
        self.state.lock().target = Some((link.session, target.clone()));
        Ok(target)
    }

    /// As one that can be watched: as long as the present link lasts, or not at all without one. Besides, what it is
    /// called there.
    pub(crate) fn absent(&self) -> (Arc<Absent>, Option<(Arc<Link>, u64)>) {
        let link = self.peer.link();
        let session = link.as_ref().map_or(0, |link| link.session);
        {
            let state = self.state.lock();
            if let (Some((of, absent)), Some((_, target)), Some(link)) =
                (&state.absent, &state.target, &link)
                && *of == session
                && absent.reason().is_none()
            {
                return (absent.clone(), Some((link.clone(), target.object())));
            }
        }
        let name = format!("{}/{}", self.peer.name(), self.name);
        let target = link
            .as_ref()
            .and_then(|link| Some((link, self.target(link).ok()?)));
        let Some((link, target)) = target else {
            let absent = Absent::known_as(self.pid, name.into(), Box::new(Nowhere));
            absent.end(ExitReason::NoConnection);
            return (absent, None);
        };
        let station = Watch::new(link, target.object(), None);
        let absent = Absent::known_as(self.pid, name.into(), Box::new(station));
        // Before anybody can watch it: its end may be told at once.
        self.peer
            .names()
            .watch(session, target.object(), self.this.clone());
        {
            let mut state = self.state.lock();
            match &state.absent {
                // Somebody else has asked at the same time: whoever watches it watches that one.
                Some((of, other)) if *of == session && other.reason().is_none() => {
                    return (other.clone(), Some((link.clone(), target.object())));
                }
                _ => state.absent = Some((session, absent.clone())),
            }
        }
        // It may have ended meanwhile, before it was entered.
        if link.ended().is_some() {
            absent.end(ExitReason::NoConnection);
        }
        (absent, Some((link.clone(), target.object())))
    }

    /// Waits until there is a link to its node.
    pub(crate) fn wait_up(&self, until: Option<std::time::Instant>) -> bool {
        self.peer.wait_up(until).is_some()
    }

    fn end(&self, session: u64, why: ExitReason) {
        let absent = {
            let mut state = self.state.lock();
            state.absent.take_if(|(of, _)| *of == session)
        };
        if let Some((_, absent)) = absent {
            absent.end(why);
        }
    }
}

impl Foreign for Named {
    fn pid(&self) -> Pid {
        self.pid
    }

    fn owner(&self) -> Option<LinkOwner> {
        // Its end is not that of whoever is exposed by the name at present: another may be.
        None
    }

    fn deliver(&self, outbound: Outbound<'_>) -> Result<(), Unsent> {
        let link = self.peer.link_for(outbound.wait)?;
        let target = self.target(&link)?;
        link.send(&target, outbound)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.peer.name(), self.name)
    }
}

/// What is known of the names of one node.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: Mutex<HashMap<Arc<str>, Weak<Named>>>,
    /// Those that are watched, by session and number.
    watched: Mutex<HashMap<(u64, u64), Weak<Named>>>,
}

impl Names {
    /// The object `name` of `peer`: the same one as long as anybody has it.
    pub(crate) fn get(&self, peer: &Arc<Peer>, name: &str) -> Arc<Named> {
        let mut known = self.known.lock();
        if let Some(named) = known.get(name).and_then(Weak::upgrade) {
            return named;
        }
        if known.len() == known.capacity() {
            known.retain(|_, named| named.strong_count() > 0);
        }
        let name: Arc<str> = name.into();
        let named = Arc::new_cyclic(|this| Named {
            peer: peer.clone(),
            name: name.clone(),
            pid: fresh_pid(),
            this: this.clone(),
            state: Mutex::default(),
        });
        known.insert(name, Arc::downgrade(&named));
        named
    }

    fn watch(&self, session: u64, number: u64, named: Weak<Named>) {
        self.watched.lock().insert((session, number), named);
    }

    /// The one that frames of a session call `number` has ended.
    pub(crate) fn ended(&self, session: u64, number: u64, why: ExitReason) {
        let named = self.watched.lock().remove(&(session, number));
        if let Some(named) = named.and_then(|named| named.upgrade()) {
            named.end(session, why);
        }
    }

    /// The link of a session has ended.
    pub(crate) fn disconnected(&self, session: u64) {
        let mut gone = Vec::new();
        self.watched.lock().retain(|(of, _), named| {
            if *of == session {
                gone.extend(named.upgrade());
            }
            *of != session
        });
        for named in gone {
            named.end(session, ExitReason::NoConnection);
        }
    }
}
