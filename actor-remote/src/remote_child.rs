//! Children of a supervisor that live at other nodes.

mod placing;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actor_core::remote::Abroad;
use actor_core::{
    Actor, BoxError, Child, Context, Exit, ExitReason, Handler, Message, Pid, SpawnError, Tasklet,
};
use serde::Serialize;

use self::placing::{Held, Lost, Placed, Plan};
use crate::node::{PATIENCE, PeerRef};
use crate::protocol::Protocol;
use crate::remote_ref::RemoteRef;
use crate::spawned::{Kills, Spawned};

/// How long a child waits for its node to come back, unless set. Longer than it takes with a node's defaults until that
/// has given the link up, has waited for a claim, and has killed what does not end when asked.
const LINGER: Duration = Duration::from_secs(30);

/// How long one at another node has to end, before it is killed. Less than a supervisor gives its child here.
const GRACE: Duration = Duration::from_secs(3);

/// A child of a [`Supervisor`](actor_core::Supervisor) that lives at another node, which
/// [offers](crate::Node::offer) its kind.
///
/// What the supervisor has is an actor of this process that stands for it ([`RemoteActor`]): that has it started,
/// watches it, fails as it fails, and ends it when it is ended itself. So strategies, intensity and backoff are as
/// with any other child. The supervisor waits for the first start, for ten seconds for each node that is tried; later ones
/// are made aside, and fail the child if they do not succeed.
///
/// When the link to its node breaks, nobody knows whether it lives. The child then waits for the node
/// ([`linger`](Self::linger)). If that comes back in time and still has it, it is claimed, and goes on as if
/// nothing had happened; if it has started anew, the child fails and is restarted there. If the node does not come back,
/// the child fails. Its restart waits for the same node again, unless it may be
/// [restarted elsewhere](Self::restart_elsewhere).
///
/// Before another is started, the old one has ended: its node has said so, or is another process now, or has not been heard
/// of for as long as the child lingers. So it is with one of which nobody knows whether it has started, because the link
/// broke meanwhile, or it took too long.
///
/// One that has ended in order, by itself or because its node was closed, is restarted only where the child is
/// [permanent](actor_core::Restart::Permanent).
///
/// Others reach it by [`reference`](Self::reference), which leads to the one that lives at present. What comes while
/// there is none fails with [`SendError::Disconnected`](actor_core::SendError::Disconnected).
///
/// # What cannot be promised
///
/// That there is one only, where it may be restarted elsewhere. While the link is broken, the old one may live behind it,
/// and others may reach it, until that node ends it. It does so when it has given the link up (see
/// [`Config::heartbeat`](crate::Config::heartbeat)), [`Config::orphan_after`](crate::Config::orphan_after) is over, and
/// the actor has ended or, after five seconds more, was killed. Where all that takes less than what is lingered here, as it
/// does with the defaults, the old one has ended before another is started, provided that the clocks of both run alike,
/// that what is killed ends, and that no process is stopped at the wrong moment. As none of these can be relied on, what
/// there must be only one of needs a fence at what it writes to. A restarted one is another actor: it knows nothing of
/// what the old one knew, and messages to that are lost.
///
/// When a supervisor is lost, with its process or behind a broken link, its children are ended by their nodes in the same
/// way; and at once when a process with the name of its node comes back.
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
            plan: Plan::new(
                placements.into_iter().collect(),
                LINGER,
                Box::new(move |peer| Spawned::start(peer.peer(), &kind, &args, PATIENCE)),
            ),
        }
    }

    /// How long it waits for its node when the link to that breaks; thirty seconds unless set.
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
            errand: None,
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
    current: Option<Held<P>>,
    watched: Option<Pid>,
    errand: Option<Errand>,
}

/// Asks a [`RemoteActor`] at which node its child is, if there is one that lives as far as is known.
#[derive(Clone, Copy, Debug)]
pub struct WhichNode;

impl Message for WhichNode {
    type Reply = Option<String>;
}

/// What takes long and is done aside. Dropped, it is given up.
struct Errand {
    /// An actor's mailbox outlasts its lives: what an errand of an earlier one has brought is none of this one's.
    ticket: u64,
    _tasklet: Kills,
}

/// What an errand has brought. Not taken, a child that has been started is ended.
struct Brought<P: Protocol> {
    ticket: u64,
    news: News<P>,
}

enum News<P: Protocol> {
    Started(Result<Held<P>, BoxError>),
    Back(Result<RemoteRef<P>, Lost>),
}

impl<P: Protocol> Message for Brought<P> {
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
    /// Has something done aside, which may wait. What was done before is given up.
    fn run_aside(
        &mut self,
        ctx: &Context<Self>,
        work: impl FnOnce() -> News<P> + Send + 'static,
    ) -> Result<(), SpawnError> {
        static TICKETS: AtomicU64 = AtomicU64::new(1);
        let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
        let own = ctx.addr();
        self.errand = None;
        let tasklet = Tasklet::builder()
            .name("sees to a remote child")
            .daemon(true)
            .spawn(move || {
                let news = work();
                drop(own.send(Brought { ticket, news }));
            })?;
        self.errand = Some(Errand {
            ticket,
            _tasklet: Kills(tasklet.tasklet().clone()),
        });
        Ok(())
    }

    fn start_aside(&mut self, ctx: &Context<Self>) -> Result<(), SpawnError> {
        let plan = self.plan.clone();
        self.run_aside(ctx, move || News::Started(plan.start()))
    }

    /// The node of the present one is away: waits for it, and claims the child when it is back.
    fn await_node(&mut self, ctx: &mut Context<Self>) {
        let Some(current) = &self.current else { return };
        let (plan, spawned) = (self.plan.clone(), current.spawned().clone());
        if let Err(error) = self.run_aside(ctx, move || News::Back(plan.reclaim(&spawned))) {
            ctx.fail(error);
        }
    }

    fn take(&mut self, held: Held<P>) {
        let reference = held.spawned().reference();
        self.current = Some(held);
        self.watch(&reference);
    }

    fn watch(&mut self, reference: &RemoteRef<P>) {
        self.watched = Some(reference.monitor().pid());
        self.plan.standing.lead_to(reference.as_foreign());
    }

    /// The present one has ended.
    fn has_ended(&mut self) {
        if let Some(held) = self.current.take() {
            self.plan.has_ended(held.release().right());
        }
    }

    fn fail(&mut self, lost: Lost, reason: ExitReason, ctx: &mut Context<Self>) {
        match lost {
            Lost::Gone => self.has_ended(),
            // It is killed, if it can be; and the next life waits until it has ended.
            Lost::Away => self.current = None,
        }
        ctx.fail(Gone {
            node: self.plan.node(),
            reason,
        });
    }
}

impl<P: Protocol> Actor for RemoteActor<P> {
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if self.plan.is_first() {
            // The supervisor is to know whether it can be started at all.
            match self.plan.start_first()? {
                Placed::At(held) => {
                    self.take(held);
                    return Ok(());
                }
                Placed::Perhaps => {}
            }
        }
        // Not here: the supervisor has others to look after.
        Ok(self.start_aside(ctx)?)
    }

    fn stopped(&mut self, _: &ExitReason) {
        self.errand = None;
        self.plan.standing.lead_nowhere();
        if let Some(held) = &self.current
            && held.spawned().stop()
        {
            let reason = held.spawned().join_timeout(GRACE);
            if reason.is_some_and(|reason| !matches!(reason, ExitReason::NoConnection)) {
                self.has_ended();
            }
        }
        // What has not ended, and what may have started meanwhile. If this is killed before, the drop does it.
        self.current = None;
        self.plan.end_all();
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
            ExitReason::NoConnection => self.await_node(ctx),
            reason if reason.is_abnormal() => self.fail(Lost::Gone, reason, ctx),
            _ => {
                self.has_ended();
                ctx.stop();
            }
        }
    }
}

impl<P: Protocol> Handler<Brought<P>> for RemoteActor<P> {
    fn handle(&mut self, Brought { ticket, news }: Brought<P>, ctx: &mut Context<Self>) {
        if self
            .errand
            .take_if(|errand| errand.ticket == ticket)
            .is_none()
        {
            return;
        }
        match news {
            News::Started(Ok(held)) => self.take(held),
            News::Started(Err(error)) => ctx.fail(error),
            News::Back(Ok(reference)) => self.watch(&reference),
            News::Back(Err(lost)) => self.fail(lost, ExitReason::NoConnection, ctx),
        }
    }
}

impl<P: Protocol> Handler<WhichNode> for RemoteActor<P> {
    fn handle(&mut self, _: WhichNode, _: &mut Context<Self>) -> Option<String> {
        self.watched.is_some().then(|| self.plan.node())
    }
}

impl<P: Protocol> Drop for RemoteActor<P> {
    fn drop(&mut self) {
        // Killed, or it has panicked: otherwise it leads nowhere already.
        self.plan.standing.lead_nowhere();
    }
}

impl<P: Protocol> fmt::Debug for RemoteActor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteActor")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
