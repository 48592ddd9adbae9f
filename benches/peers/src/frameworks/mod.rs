//! What the programs need of an actor framework, and the four that have it.
//!
//! The programs are written once, so that all frameworks do the same work: the same actors, messages
//! and checks. An adapter is what a user of that framework writes around it, at the framework's own
//! best: unbounded mailboxes, sends that do not wait, no tracing. Everything is generic and known to the
//! compiler; an adapter costs nothing.

pub(crate) mod actix;
pub(crate) mod concurrence;
pub(crate) mod kameo;
pub(crate) mod ractor;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A framework. Everything is called on one of its workers.
pub(crate) trait Framework: Sized + Send + Sync + 'static {
    /// Where an actor can be reached.
    type Addr<B: Behaviour<Self>>: Clone + Send + Sync + Unpin + 'static;

    fn spawn<B: Behaviour<Self>>(place: Place, behaviour: B) -> Self::Addr<B>;

    /// Sends without waiting.
    fn send<B: Behaviour<Self>>(to: &Self::Addr<B>, message: B::Message);

    /// What the main task gets results by.
    type Inbox: Inbox;

    fn inbox() -> (Outlet, Self::Inbox);

    /// An actor that answers a question `n` with `n + 1`.
    type Answerer: Send + Sync;

    fn spawn_answerer() -> Self::Answerer;

    /// Asks from the main task.
    fn ask(answerer: &Self::Answerer, n: u64) -> impl Future<Output = u64> + Send;

    /// An actor that is there only to end, and what tells of its end.
    type Mortal: Send + Sync;

    fn spawn_mortal(state: Counted) -> impl Future<Output = Self::Mortal> + Send;

    /// Has it end.
    fn stop(mortal: &Self::Mortal) -> impl Future<Output = ()> + Send;

    /// Waits until it has ended and its state is dropped.
    fn ended(mortal: Self::Mortal) -> impl Future<Output = ()> + Send;
}

/// Where a new actor should be, if the framework does not see to that itself.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// On the spawner's worker: the two have much to say to each other.
    Here,
    /// Each number on the next worker.
    Spread(usize),
}

/// What an actor does.
pub(crate) trait Behaviour<F: Framework>: Sized + Send + Sync + Unpin + 'static {
    type Message: Send + 'static;

    fn receive(&mut self, message: Self::Message, context: &mut impl Context<F, Self>);
}

/// An actor's own side, while it handles a message.
pub(crate) trait Context<F: Framework, B: Behaviour<F>> {
    fn me(&self) -> F::Addr<B>;

    /// Ends the actor after this message.
    fn stop(&mut self);
}

/// Where results come in.
pub(crate) trait Inbox: Send {
    /// Waits for the next one.
    fn next(&mut self) -> impl Future<Output = u64> + Send;
}

/// Tells the main task a result. Once a batch, so that it does not matter how.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<dyn Fn(u64) + Send + Sync>);

impl Outlet {
    fn new(tell: impl Fn(u64) + Send + Sync + 'static) -> Outlet {
        Outlet(Arc::new(tell))
    }

    pub(crate) fn tell(&self, result: u64) {
        (self.0)(result);
    }
}

/// The state of an actor that is there only to end. What has been dropped is counted.
pub(crate) struct Counted(u64);

static DROPPED: AtomicU64 = AtomicU64::new(0);

impl Counted {
    pub(crate) fn new(value: u64) -> Counted {
        Counted(value)
    }

    /// The sum of those that have been dropped since this was asked last.
    pub(crate) fn take_dropped() -> u64 {
        DROPPED.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(self.0, Ordering::Relaxed);
    }
}

/// The inbox of those that run on tokio.
mod tokio_inbox {
    use super::{Inbox, Outlet};
    use tokio::sync::mpsc::{self, UnboundedReceiver};

    pub(super) fn new() -> (Outlet, UnboundedReceiver<u64>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let outlet = Outlet::new(move |result| sender.send(result).expect("the main task waits"));
        (outlet, receiver)
    }

    impl Inbox for UnboundedReceiver<u64> {
        async fn next(&mut self) -> u64 {
            self.recv().await.expect("the outlet is there")
        }
    }
}
