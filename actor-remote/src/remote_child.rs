//! Children of a supervisor that live at other nodes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actor_core::remote::Abroad;
use actor_core::{
    Actor, BoxError, Child, Context, Exit, ExitReason, Handler, Message, Monitor, Pid,
};
use parking_lot::Mutex;
use serde::Serialize;

use crate::error::RemoteSpawnError;
use crate::node::PeerRef;
use crate::protocol::Protocol;
use crate::remote_ref::RemoteRef;
use crate::spawned::Spawned;
use crate::standing::Standing;

/// How long a child waits for its node to come back, unless set: twenty seconds.
const LINGER: Duration = Duration::from_secs(20);

/// How long one at another node has to end, before it is killed. Less than a supervisor gives its child here.
const GRACE: Duration = Duration::from_secs(3);

/// A child of a [`Supervisor`](actor_core::Supervisor) that lives at another node, which
/// [offers](crate::Node::offer) its kind.
///
/// What the supervisor has is an actor of this process that stands for it ([`RemoteActor`]): that has it started,
/// watches it, fails as it fails, and ends it when it is ended itself. So strategies, intensity and backoff are as
/// with any other child.
///
/// When the link to its node breaks, nobody knows whether it lives. The child then waits for the node
/// ([`linger`](Self::linger)). If that comes back in time and still has it, it is claimed, and goes on as if
/// nothing had happened; if it has started anew, the child fails and is restarted there. If the node does not come back,
/// the child fails. Its restart waits for the same node again, unless it may be
/// [restarted elsewhere](Self::restart_elsewhere).
///
/// Others reach it by [`reference`](Self::reference), which leads to the one that lives at present. What comes while
/// there is none fails with [`SendError::Disconnected`](actor_core::SendError::Disconnected).
///
/// # What cannot be promised
///
/// That there is one only. While the link is broken, the old one may live behind it, and others may reach it, when
/// another has been started elsewhere: for as long as the partition lasts at that node's choice
/// ([`Config::orphan_after`](crate::Config::orphan_after)). Where that is less than what is lingered here, the old one
/// has ended before, provided that the clocks of both run alike and that no process is stopped at the wrong moment;
/// as neither can be relied on, what there must be only one of needs a fence at what it writes to. A restarted one
/// is another actor: it knows nothing of what the old one knew, and messages to that are lost.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use actor_core::{Actor, Addr, Context, Handler, Message, Supervisor, dispatch};
/// use actor_remote::{Config, Node, RemoteChild, protocol};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(remote = "counter.Add", reply = u64)]
/// struct Add(u64);
///
/// protocol! { Counting: Add }
///
/// struct Counter(u64);
///
/// impl Actor for Counter {}
///
/// impl Handler<Add> for Counter {
///     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
///         self.0 += n;
///         self.0
///     }
/// }
///
/// # fn main() {
/// dispatch(|| {
///     let host = Node::listen("127.0.0.1:0", Config::new("host")).unwrap();
///     host.offer("counter", |from: u64| Ok(Addr::spawn(Counter(from))))
///         .protocol::<Counting>();
///
///     // In another process:
///     let node = Node::start(Config::new("node")).unwrap();
///     let peer = node.connect(host.local_addr().unwrap()).unwrap();
///     let child = RemoteChild::<Counting>::new("counter", "counter", 40_u64, [peer]);
///     let counter = child.reference();
///     let supervisor = Addr::builder()
///         .spawn_ready(Supervisor::one_for_one().child(child.child()))
///         .unwrap();
///     assert_eq!(counter.call(Add(2)), Ok(42));
///     supervisor.stop();
///     supervisor.join();
///     # node.close();
///     # host.close();
/// });
/// # }
/// ```
#[must_use = "it does nothing until a supervisor has it"]
pub struct RemoteChild<P: Protocol> {
    name: String,
    plan: Plan<P>,
}

type Start<P> = dyn Fn(&PeerRef) -> Result<Spawned<P>, RemoteSpawnError> + Send + Sync;

/// All that its lives have in common.
struct Plan<P: Protocol> {
    start: Box<Start<P>>,
    placements: Vec<PeerRef>,
    linger: Duration,
    elsewhere: bool,
    standing: Arc<Standing>,
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    /// Where it was last.
    last: Option<usize>,
    /// That node has been waited for long enough.
    leave: bool,
}

impl<P: Protocol> RemoteChild<P> {
    /// A child called `name`, of the kind `kind`, started with `args` at the first of these nodes where that
    /// succeeds.
    pub fn new<A: Serialize + Send + Sync + 'static>(
        name: impl Into<String>,
        kind: impl Into<String>,
        args: A,
        placements: impl IntoIterator<Item = PeerRef>,
    ) -> RemoteChild<P> {
        let kind = kind.into();
        RemoteChild {
            name: name.into(),
            plan: Plan {
                start: Box::new(move |peer| peer.spawn::<P>(&kind, &args)),
                placements: placements.into_iter().collect(),
                linger: LINGER,
                elsewhere: false,
                standing: Standing::new(),
                place: Mutex::default(),
            },
        }
    }

    /// How long it waits for its node when the link to that breaks; twenty seconds unless set.
    pub fn linger(mut self, limit: Duration) -> Self {
        self.plan.linger = limit;
        self
    }

    /// Lets it be started at another node of its list when its own does not come back, or cannot start it any more.
    /// While the link is broken there may then be two.
    pub fn restart_elsewhere(mut self) -> Self {
        self.plan.elsewhere = true;
        self
    }

    /// What it is reached by, whichever of its lives it is in: its messages go to the present one. Monitored, it is
    /// the present one as well. It can be sent to other nodes, whose messages come by this one then.
    pub fn reference(&self) -> RemoteRef<P> {
        RemoteRef::foreign(Abroad(self.plan.standing.clone()))
    }

    /// For a supervisor, with the options of any child.
    ///
    /// # Panics
    ///
    /// If no program runs.
    pub fn child(self) -> Child<RemoteActor<P>> {
        let plan = Arc::new(self.plan);
        Child::new(self.name, move || RemoteActor {
            plan: plan.clone(),
            current: None,
            watched: None,
        })
    }
}

impl<P: Protocol> fmt::Debug for RemoteChild<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteChild")
            .field("name", &self.name)
            .field("placements", &self.plan.placements)
            .finish_non_exhaustive()
    }
}

/// Stands for a [`RemoteChild`] in its supervisor.
pub struct RemoteActor<P: Protocol> {
    plan: Arc<Plan<P>>,
    current: Option<Spawned<P>>,
    watched: Option<Pid>,
}

/// Asks a [`RemoteActor`] at which node its child is, if there is one that lives as far as is known.
#[derive(Clone, Copy, Debug)]
pub struct WhichNode;

impl Message for WhichNode {
    type Reply = Option<String>;
}

/// The node is back, or has been waited for long enough.
struct Lingered {
    is_back: bool,
}

impl Message for Lingered {
    type Reply = ();
}

/// Why the child fails.
#[derive(Debug)]
struct Gone {
    node: String,
    reason: ExitReason,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at the node {}, it {}", self.node, self.reason)
    }
}

impl std::error::Error for Gone {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            ExitReason::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

impl<P: Protocol> RemoteActor<P> {
    /// Has it started at the first of these that does.
    fn start_at(&mut self, places: impl IntoIterator<Item = usize>) -> Result<(), BoxError> {
        let mut failed = None;
        for place in places {
            let Some(peer) = self.plan.placements.get(place) else {
                continue;
            };
            match (self.plan.start)(peer) {
                Ok(spawned) => {
                    *self.plan.place.lock() = Place {
                        last: Some(place),
                        leave: false,
                    };
                    self.watch(&spawned.reference());
                    self.current = Some(spawned);
                    return Ok(());
                }
                Err(error) => {
                    tracing::debug!(node = peer.name(), %error, "a child does not start there");
                    failed = Some(format!("{}: {error}", peer.name()));
                }
            }
        }
        Err(failed
            .unwrap_or_else(|| "it has no node to start at".to_owned())
            .into())
    }

    fn watch(&mut self, reference: &RemoteRef<P>) {
        let monitor: Monitor = reference.monitor();
        self.watched = Some(monitor.pid());
        self.plan.standing.lead_to(reference.as_foreign());
    }

    /// Where to try, the last place first if it is one.
    fn places(&self, last: Option<usize>) -> Vec<usize> {
        let count = self.plan.placements.len();
        let first = last.unwrap_or(0);
        (0..count).map(|n| (first + n) % count).collect()
    }

    fn linger(&self, place: usize, ctx: &mut Context<Self>) {
        let Some(peer) = self.plan.placements.get(place).cloned() else {
            return;
        };
        let limit = self.plan.linger;
        ctx.pipe(move || Lingered {
            is_back: peer.wait_connected(limit),
        });
    }

    fn node(&self) -> String {
        let place = self.plan.place.lock().last;
        let peer = place.and_then(|place| self.plan.placements.get(place));
        peer.map(|peer| peer.name().to_owned()).unwrap_or_default()
    }

    fn fail(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        self.current = None;
        self.watched = None;
        ctx.fail(Gone {
            node: self.node(),
            reason,
        });
    }
}

impl<P: Protocol> Actor for RemoteActor<P> {
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let (last, leave) = {
            let place = self.plan.place.lock();
            (place.last, place.leave)
        };
        let Some(place) = last else {
            return self.start_at(self.places(None));
        };
        if leave {
            // The one that was waited for comes last.
            let mut places = self.places(Some(place));
            places.rotate_left(1);
            return self.start_at(places);
        }
        let is_there = self
            .plan
            .placements
            .get(place)
            .is_some_and(PeerRef::is_connected);
        if !is_there {
            // Not here: the supervisor has others to look after.
            self.linger(place, ctx);
            return Ok(());
        }
        if self.plan.elsewhere {
            self.start_at(self.places(Some(place)))
        } else {
            self.start_at([place])
        }
    }

    fn stopped(&mut self, _: &ExitReason) {
        self.plan.standing.lead_nowhere();
        if let Some(spawned) = self.current.take()
            && spawned.stop()
            && spawned.join_timeout(GRACE).is_none()
        {
            spawned.kill();
        }
    }

    fn exited(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        if self.watched != Some(exit.pid) {
            if exit.linked && exit.reason.is_abnormal() {
                ctx.fail(format!("linked to {exit}"));
            }
            return;
        }
        self.watched = None;
        self.plan.standing.lead_nowhere();
        match exit.reason {
            ExitReason::NoConnection => {
                let last = self.plan.place.lock().last;
                if let Some(place) = last {
                    self.linger(place, ctx);
                }
            }
            reason if reason.is_abnormal() => self.fail(reason, ctx),
            _ => {
                self.current = None;
                ctx.stop();
            }
        }
    }
}

impl<P: Protocol> Handler<Lingered> for RemoteActor<P> {
    fn handle(&mut self, Lingered { is_back }: Lingered, ctx: &mut Context<Self>) {
        let Some(place) = self.plan.place.lock().last else {
            return;
        };
        if !is_back {
            self.plan.place.lock().leave = self.plan.elsewhere;
            return self.fail(ExitReason::NoConnection, ctx);
        }
        let Some(spawned) = &self.current else {
            if let Err(error) = self.start_at([place]) {
                ctx.fail(error);
            }
            return;
        };
        match spawned.claim() {
            Ok(reference) => self.watch(&reference),
            Err(RemoteSpawnError::Disconnected) => self.linger(place, ctx),
            Err(error) => {
                tracing::debug!(%error, "a child is not there any more");
                self.fail(ExitReason::NoConnection, ctx);
            }
        }
    }
}

impl<P: Protocol> Handler<WhichNode> for RemoteActor<P> {
    fn handle(&mut self, _: WhichNode, _: &mut Context<Self>) -> Option<String> {
        self.watched.is_some().then(|| self.node())
    }
}

impl<P: Protocol> Drop for RemoteActor<P> {
    fn drop(&mut self) {
        // Killed, or it has panicked: otherwise it has been ended.
        if let Some(spawned) = self.current.take() {
            self.plan.standing.lead_nowhere();
            spawned.kill();
        }
    }
}

impl<P: Protocol> fmt::Debug for RemoteActor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteActor")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
