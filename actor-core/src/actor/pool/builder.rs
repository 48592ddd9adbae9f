//! The settings of a pool.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::crew::{Shared, State};
use super::{Pool, Routing};
use crate::actor::Actor;
use crate::actor::addr::Addr;
use crate::actor::supervisor::{Child, Restart, Shutdown, Supervisor};
use crate::mailbox::{Mailbox, Overflow};
use crate::sync::permits::Permits;
use crate::{BoxError, SpawnError, sync};

/// Settings for a [`Pool`]; from [`Pool::builder`].
///
/// ```
/// use std::time::Duration;
/// use actor_core::{Actor, Mailbox, Overflow, Pool, Routing, dispatch};
///
/// struct Resizer;
/// impl Actor for Resizer {}
///
/// dispatch(|| {
///     let pool = Pool::builder(4, || Resizer)
///         .name("resizers")
///         .routing(Routing::LeastLoaded)
///         .mailbox(Mailbox::bounded(1000, Overflow::Fail))
///         .intensity(10, Duration::from_secs(1))
///         .spawn()
///         .unwrap();
///     assert_eq!(pool.workers()[0].name(), "resizers-1");
/// });
/// ```
#[must_use = "a builder does nothing until `spawn`"]
pub struct PoolBuilder<A: Actor> {
    pub(super) workers: usize,
    pub(super) factory: Arc<Factory<A>>,
    pub(super) name: String,
    pub(super) routing: Routing,
    pub(super) mailbox: Mailbox,
    pub(super) intensity: (usize, Duration),
    pub(super) backoff: Option<(Duration, Duration)>,
    pub(super) restart: Restart,
    pub(super) shutdown: Shutdown,
}

/// Makes the value of a worker's next life.
type Factory<A> = dyn Fn() -> Result<A, BoxError> + Send + Sync;

impl<A: Actor> PoolBuilder<A> {
    /// What it is called in logs and errors, and its workers with a number behind. By default, as their type.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Which worker is next. By default, [`Routing::LeastLoaded`].
    pub fn routing(mut self, routing: Routing) -> Self {
        self.routing = routing;
        self
    }

    /// How much may wait in front of the pool, all together, and what happens to what comes then. By
    /// default, there is no bound.
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// How many restarts there may be within a time; see [`Supervisor::intensity`]. By default, as many as
    /// there are workers at first, in five seconds.
    pub fn intensity(mut self, restarts: usize, within: Duration) -> Self {
        self.intensity = (restarts, within);
        self
    }

    /// Puts restarts off; see [`Supervisor::backoff`]. Meanwhile the others do the work.
    pub fn backoff(mut self, from: Duration, to: Duration) -> Self {
        self.backoff = Some((from, to));
        self
    }

    /// When a worker that has ended is started again; see [`Child::restart`]. One that is not is missing
    /// from then on, and the pool ends when the last is.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How a worker is shut down; see [`Child::shutdown`].
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Spawns the pool, and waits until its workers have started.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Started`] if a worker has not started; [`SpawnError::NotRunning`] outside a running
    /// [`dispatch`](crate::dispatch).
    pub fn spawn(self) -> Result<Pool<A>, SpawnError> {
        let mut supervisor =
            Supervisor::one_for_one().intensity(self.intensity.0, self.intensity.1);
        if let Some((from, to)) = self.backoff {
            supervisor = supervisor.backoff(from, to);
        }
        let supervisor = Addr::builder()
            .name(format!("{} pool", self.name))
            .spawn(supervisor)?;
        let bound = self.mailbox.bound();
        let room = match bound {
            Some((capacity, Overflow::Block)) => Some(Permits::new(capacity)),
            _ => None,
        };
        let (name, factory) = (self.name, self.factory);
        let (restart, shutdown) = (self.restart, self.shutdown);
        let made = AtomicUsize::new(0);
        let make = move || {
            let number = made.fetch_add(1, Ordering::Relaxed) + 1;
            let factory = factory.clone();
            Child::fallible(format!("{name}-{number}"), move || factory())
                .restart(restart)
                .shutdown(shutdown)
        };
        let pool = Pool {
            shared: Arc::new(Shared {
                supervisor,
                routing: self.routing,
                bound,
                room,
                make: Box::new(make),
                resizing: sync::Mutex::new(()),
                state: Mutex::new(State::new()),
            }),
        };
        pool.resize(self.workers)?;
        Ok(pool)
    }
}

impl<A: Actor> fmt::Debug for PoolBuilder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("name", &self.name)
            .field("routing", &self.routing)
            .field("mailbox", &self.mailbox)
            .finish_non_exhaustive()
    }
}
