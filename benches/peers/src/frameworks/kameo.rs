//! kameo, as its documentation has it for speed: unbounded mailboxes, which no sender waits for, hence
//! `try_send`; without the feature `tracing`.

use super::{Behaviour, Context, Counted, Framework, Outlet, Place, tokio_inbox};
use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::mailbox;
use kameo::message::Message;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

pub(crate) struct Kameo;

pub(crate) struct Host<B>(B);

impl<B: Behaviour<Kameo>> Actor for Host<B> {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(host: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(host)
    }
}

impl<B: Behaviour<Kameo>> Message<B::Message> for Host<B> {
    type Reply = ();

    async fn handle(&mut self, message: B::Message, ctx: &mut kameo::message::Context<Self, ()>) {
        self.0.receive(message, ctx);
    }
}

impl<B: Behaviour<Kameo>> Context<Kameo, B> for kameo::message::Context<Host<B>, ()> {
    fn me(&self) -> ActorRef<Host<B>> {
        self.actor_ref().clone()
    }

    fn stop(&mut self) {
        self.stop();
    }
}

pub(crate) struct Answerer;

struct Next(u64);

impl Actor for Answerer {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(answerer: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(answerer)
    }
}

impl Message<Next> for Answerer {
    type Reply = u64;

    async fn handle(&mut self, Next(n): Next, _: &mut kameo::message::Context<Self, u64>) -> u64 {
        n + 1
    }
}

pub(crate) struct Mortal {
    _state: Counted,
}

impl Actor for Mortal {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(mortal: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(mortal)
    }
}

type Ended = Result<(Mortal, ActorStopReason), PanicError>;

impl Framework for Kameo {
    type Addr<B: Behaviour<Self>> = ActorRef<Host<B>>;

    fn spawn<B: Behaviour<Self>>(_: Place, behaviour: B) -> ActorRef<Host<B>> {
        Host::spawn_with_mailbox(Host(behaviour), mailbox::unbounded())
    }

    fn send<B: Behaviour<Self>>(to: &ActorRef<Host<B>>, message: B::Message) {
        assert!(to.tell(message).try_send().is_ok());
    }

    type Inbox = UnboundedReceiver<u64>;

    fn inbox() -> (Outlet, UnboundedReceiver<u64>) {
        tokio_inbox::new()
    }

    type Answerer = ActorRef<Answerer>;

    fn spawn_answerer() -> ActorRef<Answerer> {
        Answerer::spawn_with_mailbox(Answerer, mailbox::unbounded())
    }

    async fn ask(answerer: &ActorRef<Answerer>, n: u64) -> u64 {
        answerer.ask(Next(n)).send().await.expect("it answers")
    }

    type Mortal = (ActorRef<Mortal>, JoinHandle<Ended>);

    async fn spawn_mortal(state: Counted) -> Self::Mortal {
        let prepared = Mortal::prepare_with_mailbox(mailbox::unbounded());
        let mortal = prepared.actor_ref().clone();
        (mortal, prepared.spawn(Mortal { _state: state }))
    }

    async fn stop((mortal, _): &Self::Mortal) {
        mortal.stop_gracefully().await.expect("it takes messages");
    }

    async fn ended((_, handle): Self::Mortal) {
        let ended = handle.await.expect("an actor ends");
        assert!(ended.is_ok());
    }
}
