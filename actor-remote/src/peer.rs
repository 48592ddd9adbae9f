//! Another node, as this one knows it: by its name, whether there is a link to it or not.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use actor_core::remote::{Unsent, Wait};
use actor_core::sync::Event;
use actor_core::time;
use parking_lot::{Mutex, RwLock};

use crate::config::WhileDown;
use crate::link::{Link, LinkEnd};
use crate::named::Names;
use crate::wire::frame::{Kind, put_number};

/// How long the reader of a link that has ended may take until it notices.
const QUIET: Duration = Duration::from_secs(2);

/// Another node.
pub(crate) struct Peer {
    name: Box<str>,
    link: RwLock<Option<Arc<Link>>>,
    /// Why the last one has ended. Changed with `link`, under its lock.
    last_end: Mutex<Option<LinkEnd>>,
    names: Arc<Names>,
    /// Set while there is a link: changed with that, under its lock.
    up: Event,
    while_down: WhileDown,
    /// The session of the link on which this side has said goodbye last.
    parting: AtomicU64,
    /// Which tasklet sees to it that there is a link; 0 if none does.
    kept: AtomicU64,
    /// The last link that was taken into use.
    last: Mutex<Weak<Link>>,
    /// Held while another takes its place.
    adopting: actor_core::sync::Mutex<()>,
    /// Held by the one attempt of this node at a time to take another link into use.
    proposing: actor_core::sync::Mutex<()>,
    /// Which link that is, and with which process. Changed while `adopting` is held, or to take it back.
    proposed: Mutex<Option<(u64, u128)>>,
}

/// A moment of this process: each is later than those before.
///
/// A link that is to be taken into use says at which moment this was wanted, or agreed to. So of two that both want
/// one at the same time, and of links that have ended for one of the two and not yet for the other, each side can tell
/// which the other means.
fn moment() -> u64 {
    static MOMENTS: AtomicU64 = AtomicU64::new(1);
    MOMENTS.fetch_add(1, Ordering::Relaxed)
}

/// A link that the other side has been asked to take into use. Dropped before it has agreed, the link ends.
pub(crate) struct Proposal<'a> {
    peer: &'a Peer,
    link: Arc<Link>,
}

impl Proposal<'_> {
    /// Waits no longer; whether the link was taken into use.
    pub(crate) fn settle(self) -> bool {
        !self.take_back()
    }

    fn take_back(&self) -> bool {
        let session = self.link.session;
        let is_open = {
            let mut proposed = self.peer.proposed.lock();
            proposed.take_if(|(of, _)| *of == session).is_some()
        };
        if is_open {
            self.link.end(LinkEnd::Cut);
        }
        is_open
    }
}

impl Drop for Proposal<'_> {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// Sees to it that there is a link. Dropped, by a kill as well, it leaves that to others.
pub(crate) struct Keeper {
    peer: Arc<Peer>,
    number: u64,
}

impl Keeper {
    pub(crate) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Whether there are to be more links, and it is the one who makes them.
    pub(crate) fn is_wanted(&self) -> bool {
        self.peer.kept.load(Ordering::Acquire) == self.number
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Somebody else does perhaps already.
        let _ =
            self.peer
                .kept
                .compare_exchange(self.number, 0, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Peer {
    pub(crate) fn new(name: &str, while_down: WhileDown) -> Arc<Peer> {
        Arc::new(Peer {
            name: name.into(),
            link: RwLock::new(None),
            last_end: Mutex::default(),
            names: Arc::default(),
            up: Event::new(),
            while_down,
            parting: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            last: Mutex::default(),
            adopting: actor_core::sync::Mutex::new(()),
            proposing: actor_core::sync::Mutex::new(()),
            proposed: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// From now on whoever has this sees to it that there is a link; `None` if somebody does already.
    pub(crate) fn keep(self: &Arc<Self>) -> Option<Keeper> {
        let number = moment();
        self.kept
            .compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire)
            .ok()?;
        Some(Keeper {
            peer: self.clone(),
            number,
        })
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire) != 0
    }

    /// No more links are to be made, and this side says goodbye on the present one.
    pub(crate) fn part(&self) {
        self.kept.store(0, Ordering::Release);
        if let Some(link) = self.link() {
            self.part_from(&link);
        }
    }

    /// Says goodbye on a link, if that is the present one.
    pub(crate) fn part_from(&self, link: &Arc<Link>) {
        if self
            .link()
            .is_some_and(|present| Arc::ptr_eq(&present, link))
        {
            self.parting.store(link.session, Ordering::Release);
            link.close();
        }
    }

    fn is_parting(&self, link: &Link) -> bool {
        self.parting.load(Ordering::Acquire) == link.session
    }

    /// Waits for the end of a link on which this side has said goodbye; `false` if that takes longer than `limit`.
    pub(crate) fn wait_parted(&self, limit: Duration) -> bool {
        match self.link() {
            Some(link) if self.is_parting(&link) => link.over().wait_timeout(limit).is_ok(),
            _ => true,
        }
    }

    /// The link to it, if there is one that has not ended.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.read().clone().filter(|link| !link.has_ended())
    }

    /// The same, if this side has not said goodbye on it.
    pub(crate) fn lasting_link(&self) -> Option<Arc<Link>> {
        self.link().filter(|link| !self.is_parting(link))
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

    /// Waits until there is a link, and one on which this side has not said goodbye.
    pub(crate) fn wait_up(&self, until: Option<Instant>) -> Option<Arc<Link>> {
        loop {
            let present = self.link.read().clone();
            let parting = match present {
                Some(link) if link.has_ended() => {
                    // Whoever has ended it says so next.
                    self.lost(&link);
                    None
                }
                Some(link) if !self.is_parting(&link) => return Some(link),
                parting => parting,
            };
            // It may be in place when it has ended, and another one not be there yet.
            let event = parting.as_ref().map_or(&self.up, |link| link.over());
            match until {
                None => event.wait(),
                Some(at) => {
                    let left = at.saturating_duration_since(time::now());
                    if left.is_zero() || event.wait_timeout(left).is_err() {
                        return self.lasting_link();
                    }
                }
            }
        }
    }

    /// The right to take another link into use, for one of this node's attempts at a time.
    pub(crate) fn one_attempt(&self) -> actor_core::sync::MutexGuard<'_, ()> {
        self.proposing.lock()
    }

    /// Asks the other side to take `link` into use, which this one has made; `None` if there is one already.
    pub(crate) fn propose(&self, link: &Arc<Link>) -> Option<Proposal<'_>> {
        let _one_at_a_time = self.adopting.lock();
        if let Some(present) = self.link()
            && present.peer.incarnation == link.peer.incarnation
        {
            return None;
        }
        *self.proposed.lock() = Some((link.session, link.peer.incarnation));
        let now = moment();
        link.word(Kind::Begin, |into| put_number(into, now));
        Some(Proposal {
            peer: self,
            link: link.clone(),
        })
    }

    /// The other side has taken `link` into use, which this one has made, at this moment of its own: this side does so
    /// as well. `false` if it does not want to any more.
    pub(crate) fn agreed(&self, link: &Arc<Link>, theirs: u64) -> bool {
        let _one_at_a_time = self.adopting.lock();
        let is_proposed = {
            let mut proposed = self.proposed.lock();
            proposed.take_if(|(of, _)| *of == link.session).is_some()
        };
        if is_proposed {
            link.begins(theirs);
            self.adopt(link);
        }
        is_proposed
    }

    /// The other side has made `link`, and wants to take it into use since this moment of its own: both do, unless there
    /// is a better one.
    pub(crate) fn agree(&self, link: &Arc<Link>, theirs: u64, is_mine_smaller: bool) -> bool {
        let _one_at_a_time = self.adopting.lock();
        // It wants another one only while it has none. If that was before it took the present one into use, it will
        // find that.
        if let Some(present) = self.link()
            && present.peer.incarnation == link.peer.incarnation
            && present.begun() >= theirs
        {
            return false;
        }
        // Both want one at the same time: that of the smaller one is taken.
        let proposed = *self.proposed.lock();
        if is_mine_smaller
            && proposed.is_some_and(|(_, incarnation)| incarnation == link.peer.incarnation)
        {
            return false;
        }
        link.begins(theirs);
        // The first word of all, which says that it is in use.
        let now = moment();
        link.word(Kind::Begin, |into| put_number(into, now));
        self.adopt(link);
        true
    }

    /// Whether there is anything yet of the last link, which has to end before the next one begins: what waits for room in
    /// a mailbox, say.
    pub(crate) fn has_remains(&self) -> bool {
        self.last.lock().strong_count() > 0
    }

    /// Takes `link` into use, in the place of the last one.
    fn adopt(&self, link: &Arc<Link>) {
        // All of the old one ends before anything of the new one begins. It may have ended, and still be read.
        let last = self.last.lock().upgrade();
        if let Some(old) = last {
            self.set(None);
            old.supersede();
            old.end(LinkEnd::Replaced);
            // Whoever else has ended it may be at it yet.
            let _ = old.over().wait_timeout(QUIET);
            old.wait_quiet(QUIET);
            *self.last_end.lock() = old.ended();
            self.names.disconnected(old.session);
        }
        *self.last.lock() = Arc::downgrade(link);
        self.set(Some(link.clone()));
    }

    /// Why the last link that has ended has.
    pub(crate) fn last_end(&self) -> Option<LinkEnd> {
        let present = self.link.read();
        let present = present.as_ref().and_then(|link| link.ended());
        present.or_else(|| self.last_end.lock().clone())
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
                *self.last_end.lock() = link.ended();
                self.up.clear();
            }
            lost
        };
        drop(lost);
        self.names.disconnected(link.session);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_that_is_gone_leaves_it_to_the_next() {
        let peer = Peer::new("other", WhileDown::Fail);
        let first = peer.keep().unwrap();
        assert!(first.is_wanted() && peer.keep().is_none());
        drop(first);
        assert!(!peer.is_kept());
        // One that is no longer wanted takes nothing from the next one.
        let second = peer.keep().unwrap();
        peer.part();
        let third = peer.keep().unwrap();
        assert!(!second.is_wanted());
        drop(second);
        assert!(third.is_wanted());
    }
}
