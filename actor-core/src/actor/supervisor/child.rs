//! Children of supervisors, before they have one: how to make them, when they are started again, how they are shut down.

use std::fmt;
use std::time::Duration;

use crate::actor::Actor;
use crate::actor::addr::Addr;
use crate::actor::cell::Settings;
use crate::mailbox::Mailbox;
use crate::{BoxError, runtime};

/// How long a child has to shut down unless told otherwise.
pub const DEFAULT_SHUTDOWN: Duration = Duration::from_secs(5);

/// When a child that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// If it has ended abnormally: by a panic, an error or a kill.
    Transient,
    /// Never.
    Temporary,
}

/// How a child is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// It is asked to end, and killed if it has not after this time.
    Within(Duration),
    /// It is killed.
    Kill,
    /// It is asked to end, and waited for, however long that takes. For supervisors.
    Wait,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::Within(DEFAULT_SHUTDOWN)
    }
}

/// A supervised actor: how to make it, and its address, which is good before its first life, between
/// two of them, and until the last has ended.
pub struct Child<A: Actor> {
    pub(super) addr: Addr<A>,
    pub(super) settings: ChildSettings,
    /// Whether a supervisor has it.
    pub(super) taken: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChildSettings {
    pub(super) restart: Restart,
    pub(super) shutdown: Shutdown,
}

impl<A: Actor> Child<A> {
    /// A child that is called `name`, each of whose lives begins with a value that `factory` makes.
    ///
    /// # Panics
    ///
    /// If no [`dispatch`](crate::dispatch) runs.
    pub fn new<F>(name: impl Into<String>, factory: F) -> Child<A>
    where
        F: Fn() -> A + Send + Sync + 'static,
    {
        Child::fallible(name, move || Ok(factory()))
    }

    /// As [`new`](Self::new), for a factory that can fail. A failure counts as one of the child.
    pub fn fallible<F>(name: impl Into<String>, factory: F) -> Child<A>
    where
        F: Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    {
        Child::build(name.into(), Mailbox::unbounded(), factory)
    }

    /// As [`fallible`](Self::fallible), with a mailbox that is bounded, or otherwise to order.
    pub fn with_mailbox<F>(name: impl Into<String>, mailbox: Mailbox, factory: F) -> Child<A>
    where
        F: Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    {
        Child::build(name.into(), mailbox, factory)
    }

    fn build<F>(name: String, mailbox: Mailbox, factory: F) -> Child<A>
    where
        F: Fn() -> Result<A, BoxError> + Send + Sync + 'static,
    {
        let program = runtime::program().expect("a child belongs to a program, and none runs");
        let settings = Settings {
            name: Some(name.into_boxed_str()),
            mailbox,
            program,
        };
        let addr = Addr::unlaunched(settings);
        addr.core().supervise(factory);
        Child {
            addr,
            settings: ChildSettings::default(),
            taken: false,
        }
    }

    /// When it is started again; [`Restart::Permanent`] by default.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.settings.restart = restart;
        self
    }

    /// How it is shut down; within [`DEFAULT_SHUTDOWN`] by default.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.settings.shutdown = shutdown;
        self
    }

    /// Its address.
    pub fn addr(&self) -> Addr<A> {
        self.addr.clone()
    }
}

impl<A: Actor> Drop for Child<A> {
    /// Without a supervisor it will never live, and those who wait for an answer of it must not for ever.
    fn drop(&mut self) {
        if !self.taken {
            self.addr.core().bury(false);
        }
    }
}

impl<A: Actor> fmt::Debug for Child<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({:?})", self.addr.core())
    }
}
