//! Another node, as this one knows it: by its name, whether there is a link to it or not.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actor_core::remote::{Unsent, Wait};
use actor_core::sync::Event;
use actor_core::time;
use parking_lot::RwLock;

use crate::config::WhileDown;
use crate::link::{Link, LinkEnd};
use crate::named::Names;

/// How long the reader of a link that has ended may take until it notices.
const QUIET: Duration = Duration::from_secs(2);

/// Another node.
pub(crate) struct Peer {
    name: Box<str>,
    link: RwLock<Option<Arc<Link>>>,
    names: Arc<Names>,
    /// Set while there is a link: changed with that, under its lock.
    up: Event,
    while_down: WhileDown,
    /// Whether a tasklet sees to it that there is a link.
    kept: AtomicBool,
    /// Held while one link takes the place of another.
    pub(crate) adopting: actor_core::sync::Mutex<()>,
}

impl Peer {
    pub(crate) fn new(name: &str, while_down: WhileDown) -> Arc<Peer> {
        Arc::new(Peer {
            name: name.into(),
            link: RwLock::new(None),
            names: Arc::default(),
            up: Event::new(),
            while_down,
            kept: AtomicBool::new(false),
            adopting: actor_core::sync::Mutex::new(()),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// From now on the caller sees to it that there is a link; `false` if somebody does already.
    pub(crate) fn keep(&self) -> bool {
        !self.kept.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }

    /// No more links are to be made.
    pub(crate) fn leave(&self) {
        self.kept.store(false, Ordering::Release);
    }

    /// The link to it, if there is one that lasts.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.read().clone().filter(|link| !link.has_ended())
    }

    /// The same, for a send, which may wait for one.
    pub(crate) fn link_for(&self, wait: Wait) -> Result<Arc<Link>, Unsent> {
        if let Some(link) = self.link() {
            return Ok(link);
        }
        let WhileDown::Wait(limit) = self.while_down else {
            return Err(Unsent::Disconnected);
        };
        let own = time::now().checked_add(limit);
        let (own, until) = match wait {
            Wait::Never => return Err(Unsent::Disconnected),
            Wait::Policy => (own, None),
            Wait::Until(until) => (own, until),
        };
        self.wait_up(earlier(own, until)).ok_or_else(|| {
            let is_callers = until.is_some_and(|until| time::now() >= until);
            if is_callers {
                Unsent::Timeout
            } else {
                Unsent::Disconnected
            }
        })
    }

    /// Waits until there is a link.
    pub(crate) fn wait_up(&self, until: Option<Instant>) -> Option<Arc<Link>> {
        loop {
            let present = self.link.read().clone();
            if let Some(link) = present {
                if !link.has_ended() {
                    return Some(link);
                }
                // Whoever has ended it says so next.
                self.lost(&link);
            }
            match until {
                None => self.up.wait(),
                Some(at) => {
                    let left = at.saturating_duration_since(time::now());
                    if left.is_zero() || self.up.wait_timeout(left).is_err() {
                        return self.link();
                    }
                }
            }
        }
    }

    /// Takes `link` into use, unless there is a better one.
    pub(crate) fn adopt(&self, link: &Arc<Link>, is_mine_smaller: bool) -> bool {
        let _one_at_a_time = self.adopting.lock();
        let old = self.link();
        if let Some(old) = &old {
            if old.peer.incarnation == link.peer.incarnation
                && !is_better(old, link, is_mine_smaller)
            {
                return false;
            }
            // All of the old one ends before anything of the new one begins.
            self.set(None);
            old.end(LinkEnd::Replaced);
            old.wait_quiet(QUIET);
            self.names.disconnected(old.session);
        }
        self.set(Some(link.clone()));
        true
    }

    fn set(&self, link: Option<Arc<Link>>) {
        let mut present = self.link.write();
        let before = mem::replace(&mut *present, link);
        if present.is_some() {
            self.up.set();
        } else {
            self.up.clear();
        }
        drop(present);
        drop(before);
    }

    /// A link to it has ended.
    pub(crate) fn lost(&self, link: &Arc<Link>) {
        let lost = {
            let mut present = self.link.write();
            let lost = present.take_if(|present| Arc::ptr_eq(present, link));
            if lost.is_some() {
                self.up.clear();
            }
            lost
        };
        drop(lost);
        self.names.disconnected(link.session);
    }
}

/// Whether a second link between the same two processes takes the place of the first. Both sides decide alike.
fn is_better(old: &Link, new: &Link, is_mine_smaller: bool) -> bool {
    if old.initiated == new.initiated {
        // The initiator does not begin a second one while it has one: so its first is dead for it.
        !new.initiated
    } else {
        // Both have connected: that of the smaller one stays.
        new.initiated == is_mine_smaller
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("name", &self.name)
            .field("link", &self.link.read())
            .finish_non_exhaustive()
    }
}
