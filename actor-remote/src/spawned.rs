//! Actors that this node has had started at others.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actor_codec::EncodeError;
use actor_core::remote::{Abroad, Encodable};
use actor_core::{Exit, ExitReason, Tasklet, time};
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
    right: Right,
    reference: RwLock<RemoteRef<P>>,
}

/// The right to end one that was ordered, whether it has started or not.
#[derive(Clone)]
pub(crate) struct Right {
    peer: Arc<Peer>,
    /// Which process of the node has it.
    incarnation: u128,
    /// No other of this process has it.
    number: u64,
}

/// Why there is none.
pub(crate) struct NotStarted {
    pub(crate) error: RemoteSpawnError,
    /// There may be one nevertheless, or be one yet, and this is the right to end it.
    pub(crate) left: Option<Right>,
}

/// What has become of one that is to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Gone,
    /// Nobody can tell without a link.
    Unreachable,
    /// It does not end, or its node does not say.
    Lives,
}

struct Args<'a, A>(&'a A);

impl<A: Serialize> Encodable for Args<'_, A> {
    fn encode(&self, into: &mut Vec<u8>, max: usize) -> Result<(), EncodeError> {
        actor_codec::encode(self.0, into, max)
    }
}

impl Right {
    /// Has it ended; `false` if there is no link to its process.
    pub(crate) fn end(&self, how: u8) -> bool {
        match self.link() {
            Some(link) => {
                link.stop(self.number, how);
                true
            }
            None => false,
        }
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn finish(&self, limit: Duration) -> Fate {
        let Some(link) = self.peer.link() else {
            return Fate::Unreachable;
        };
        if link.peer.incarnation != self.incarnation {
            return Fate::Gone;
        }
        link.stop(self.number, KILL);
        // Who claims one that is to end is told when it is gone.
        match link.claim(self.number, limit) {
            Err(NotSpawned::Gone) => Fate::Gone,
            Err(NotSpawned::Disconnected) => Fate::Unreachable,
            Ok(_) | Err(_) => Fate::Lives,
        }
    }

    /// Waits until there is a link to its node.
    pub(crate) fn wait_connected(&self, limit: Duration) -> bool {
        self.peer.wait_up(time::now().checked_add(limit)).is_some()
    }

    pub(crate) fn is_same(&self, other: &Right) -> bool {
        self.number == other.number
    }

    /// The link to its process.
    fn link(&self) -> Option<Arc<Link>> {
        let link = self.peer.link()?;
        (link.peer.incarnation == self.incarnation).then_some(link)
    }
}

impl<P: Protocol> Spawned<P> {
    pub(crate) fn start(
        peer: &Arc<Peer>,
        kind: &str,
        args: &impl Serialize,
        limit: Duration,
    ) -> Result<Spawned<P>, NotStarted> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let link = peer.link().ok_or(NotStarted {
            error: RemoteSpawnError::Disconnected,
            left: None,
        })?;
        let right = Right {
            peer: peer.clone(),
            incarnation: link.peer.incarnation,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
        };
        let wanted = Wanted {
            kind,
            classes: P::MESSAGES,
            args: &Args(args),
        };
        match link.spawn(right.number, &wanted, limit) {
            Ok(import) => Ok(Spawned {
                right,
                reference: RwLock::new(reference(import)),
            }),
            Err(why) => {
                let maybe = matches!(
                    why,
                    NotSpawned::Disconnected | NotSpawned::TimedOut | NotSpawned::TooMany
                );
                Err(NotStarted {
                    error: error(why),
                    left: maybe.then_some(right),
                })
            }
        }
    }

    pub(crate) fn right(&self) -> &Right {
        &self.right
    }

    /// What it is reached by. Good as long as the link lasts, over which it was started or
    /// [claimed](Self::claim) last.
    pub fn reference(&self) -> RemoteRef<P> {
        self.reference.read().clone()
    }

    /// What its node is called.
    pub fn node(&self) -> &str {
        self.right.peer.name()
    }

    /// Asks it to end. `false` if there is no link to its node, which then ends it after
    /// [a time](crate::Config::orphan_after).
    pub fn stop(&self) -> bool {
        self.right.end(STOP)
    }

    /// Ends it whatever it does. `false` as with [`stop`](Self::stop).
    pub fn kill(&self) -> bool {
        self.right.end(KILL)
    }

    /// Says over a new link that it is still wanted, after the one has broken over which it was started. Without
    /// that, its node ends it after [a time](crate::Config::orphan_after).
    ///
    /// The node is asked, and waited for, for ten seconds at most. Of one that is to end, because that time is over or
    /// somebody has stopped it, it answers at the end.
    ///
    /// # Errors
    ///
    /// [`RemoteSpawnError::Gone`] if it has ended, or its node has started anew;
    /// [`Disconnected`](RemoteSpawnError::Disconnected) if there is no link, and
    /// [`Timeout`](RemoteSpawnError::Timeout) if there is no answer.
    ///
    /// ```no_run
    /// # use actor_core::Message;
    /// # use actor_remote::{PeerRef, RemoteRef, RemoteSpawnError, Spawned, protocol};
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # #[message(crate = actor_core, remote = "counter.Add", reply = u64)]
    /// # struct Add(u64);
    /// # protocol! { Counting: Add }
    /// fn have_back(
    ///     peer: &PeerRef,
    ///     counter: &Spawned<Counting>,
    /// ) -> Result<RemoteRef<Counting>, RemoteSpawnError> {
    ///     // Less than the node gives it without a link.
    ///     peer.wait_connected(Duration::from_secs(5));
    ///     counter.claim()
    /// }
    /// ```
    pub fn claim(&self) -> Result<RemoteRef<P>, RemoteSpawnError> {
        let right = &self.right;
        let link = right.peer.link().ok_or(RemoteSpawnError::Disconnected)?;
        if link.peer.incarnation != right.incarnation {
            return Err(RemoteSpawnError::Gone);
        }
        let import = link.claim(right.number, PATIENCE).map_err(error)?;
        let new = reference(import);
        let before = std::mem::replace(&mut *self.reference.write(), new.clone());
        drop(before);
        Ok(new)
    }

    /// Waits for its end, or the break of the link to its node, which is
    /// [`ExitReason::NoConnection`]; `None` if that takes longer than `limit`, or there is no stack for the tasklet
    /// that waits.
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
        // A kill of the caller ends it as well.
        let kills = Kills(waits.tasklet().clone());
        if waits.wait_timeout(limit).is_err() {
            return None;
        }
        drop(kills);
        waits.join().ok().flatten()
    }
}

/// Ends a tasklet that works for whoever has this.
pub(crate) struct Kills(pub(crate) Tasklet);

impl Drop for Kills {
    fn drop(&mut self) {
        self.0.kill();
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
            .field("node", &self.right.peer.name())
            .field("number", &self.right.number)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Right({}/{})", self.peer.name(), self.number)
    }
}
