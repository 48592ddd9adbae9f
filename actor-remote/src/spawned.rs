//! Actors that this node has had started at others.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actor_codec::EncodeError;
use actor_core::remote::{Abroad, Encodable};
use actor_core::{Exit, ExitReason, Tasklet};
use parking_lot::RwLock;
use serde::Serialize;

use crate::error::RemoteSpawnError;
use crate::link::{Import, KILL, Link, NotSpawned, STOP, Wanted};
use crate::peer::Peer;
use crate::protocol::Protocol;
use crate::remote_ref::RemoteRef;

/// How long a claim waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An actor that this node has had started at another; see [`PeerRef::spawn`](crate::PeerRef::spawn).
///
/// It is the right to end it, which a [reference](Self::reference) is not. Dropping it ends nothing.
pub struct Spawned<P: Protocol> {
    peer: Arc<Peer>,
    /// Which process of the node has it.
    incarnation: u128,
    number: u64,
    reference: RwLock<RemoteRef<P>>,
}

struct Args<'a, A>(&'a A);

impl<A: Serialize> Encodable for Args<'_, A> {
    fn encode(&self, into: &mut Vec<u8>, max: usize) -> Result<(), EncodeError> {
        actor_codec::encode(self.0, into, max)
    }
}

impl<P: Protocol> Spawned<P> {
    pub(crate) fn start(
        peer: &Arc<Peer>,
        kind: &str,
        args: &impl Serialize,
        limit: Duration,
    ) -> Result<Spawned<P>, RemoteSpawnError> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let link = peer.link().ok_or(RemoteSpawnError::Disconnected)?;
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let wanted = Wanted {
            kind,
            classes: P::MESSAGES,
            args: &Args(args),
        };
        let import = link.spawn(number, &wanted, limit).map_err(error)?;
        Ok(Spawned {
            peer: peer.clone(),
            incarnation: link.peer.incarnation,
            number,
            reference: RwLock::new(reference(import)),
        })
    }

    /// What it is reached by. Good as long as the link lasts, over which it was started or
    /// [claimed](Self::claim) last.
    pub fn reference(&self) -> RemoteRef<P> {
        self.reference.read().clone()
    }

    /// What its node is called.
    pub fn node(&self) -> &str {
        self.peer.name()
    }

    /// Asks it to end. `false` if there is no link to its node, which then ends it after
    /// [a time](crate::Config::orphan_after).
    pub fn stop(&self) -> bool {
        self.end(STOP)
    }

    /// Ends it whatever it does. `false` as with [`stop`](Self::stop).
    pub fn kill(&self) -> bool {
        self.end(KILL)
    }

    fn end(&self, how: u8) -> bool {
        match self.link() {
            Some(link) => {
                link.stop(self.number, how);
                true
            }
            None => false,
        }
    }

    /// The link to its process.
    fn link(&self) -> Option<Arc<Link>> {
        let link = self.peer.link()?;
        (link.peer.incarnation == self.incarnation).then_some(link)
    }

    /// Says over a new link that it is still wanted, after the one has broken over which it was started. Without
    /// that, its node ends it after [a time](crate::Config::orphan_after).
    ///
    /// # Errors
    ///
    /// [`RemoteSpawnError::Gone`] if it has ended, or its node has started anew;
    /// [`Disconnected`](RemoteSpawnError::Disconnected) if there is no link, and
    /// [`Timeout`](RemoteSpawnError::Timeout) if there is no answer.
    pub fn claim(&self) -> Result<RemoteRef<P>, RemoteSpawnError> {
        let link = self.peer.link().ok_or(RemoteSpawnError::Disconnected)?;
        if link.peer.incarnation != self.incarnation {
            return Err(RemoteSpawnError::Gone);
        }
        let import = link.claim(self.number, PATIENCE).map_err(error)?;
        let new = reference(import);
        let before = std::mem::replace(&mut *self.reference.write(), new.clone());
        drop(before);
        Ok(new)
    }

    /// Waits for its end, or the break of the link to its node; `None` if that takes longer than `limit`.
    pub fn join_timeout(&self, limit: Duration) -> Option<ExitReason> {
        let reference = self.reference();
        // A tasklet of its own, since the word of an end comes by the mailbox, which is the caller's.
        let waits = Tasklet::builder()
            .name("waits for an end")
            .daemon(true)
            .spawn(move || {
                let monitor = reference.monitor();
                loop {
                    let Ok(message) = Tasklet::receive_one() else {
                        return None;
                    };
                    if let Ok(exit) = message.downcast::<Exit>()
                        && exit.pid == monitor.pid()
                    {
                        return Some(exit.reason);
                    }
                }
            })
            .ok()?;
        if waits.wait_timeout(limit).is_err() {
            waits.kill();
            return None;
        }
        waits.join().ok().flatten()
    }
}

fn reference<P: Protocol>(import: Arc<Import>) -> RemoteRef<P> {
    RemoteRef::foreign(Abroad(import))
}

fn error(why: NotSpawned) -> RemoteSpawnError {
    match why {
        NotSpawned::Unknown => RemoteSpawnError::Unknown,
        NotSpawned::Refused(why) => RemoteSpawnError::Refused(why),
        NotSpawned::Failed(text) => RemoteSpawnError::Failed(text.into()),
        NotSpawned::TooMany => RemoteSpawnError::TooMany,
        NotSpawned::Gone => RemoteSpawnError::Gone,
        NotSpawned::Disconnected => RemoteSpawnError::Disconnected,
        NotSpawned::TimedOut => RemoteSpawnError::Timeout,
    }
}

impl<P: Protocol> fmt::Debug for Spawned<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawned")
            .field("node", &self.peer.name())
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
