//! ractor, as its documentation has it for speed: `cast` and `call`, without the span that the default
//! feature `message_span_propogation` sends along.

use super::{Behaviour, Context, Counted, Framework, Outlet, Place, tokio_inbox};
use ractor::concurrency::JoinHandle;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, call, cast};
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{self, Poll, Waker};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::unconstrained;

pub(crate) struct Ractor;

type Started<S> = Result<S, ActorProcessingErr>;

struct Host<B>(PhantomData<fn(B)>);

impl<B: Behaviour<Ractor>> Actor for Host<B> {
    type Msg = B::Message;
    type State = B;
    type Arguments = B;

    async fn pre_start(&self, _: ActorRef<B::Message>, behaviour: B) -> Started<B> {
        Ok(behaviour)
    }

    async fn handle(
        &self,
        mut myself: ActorRef<B::Message>,
        message: B::Message,
        behaviour: &mut B,
    ) -> Started<()> {
        behaviour.receive(message, &mut myself);
        Ok(())
    }
}

impl<B: Behaviour<Ractor>> Context<Ractor, B> for ActorRef<B::Message> {
    fn me(&self) -> ActorRef<B::Message> {
        self.clone()
    }

    fn stop(&mut self) {
        ActorCell::stop(self, None);
    }
}

/// Spawns in a handler that is not `async`.
///
/// `spawn` waits for `pre_start` alone, so with one that does not wait it is ready at its first poll,
/// if tokio does not find that the task has done enough.
/// `spawn_instant`, which need not be polled, starts a task that starts the actor's: that is dearer.
fn spawn<A: Actor>(handler: A, arguments: A::Arguments) -> (ActorRef<A::Msg>, JoinHandle<()>) {
    let mut context = task::Context::from_waker(Waker::noop());
    let spawned = unconstrained(Actor::spawn(None, handler, arguments));
    match pin!(spawned).poll(&mut context) {
        Poll::Ready(spawned) => spawned.expect("an actor starts"),
        Poll::Pending => unreachable!("nothing to wait for"),
    }
}

pub(crate) struct Answerer;

pub(crate) enum Question {
    Next(u64, RpcReplyPort<u64>),
}

impl Actor for Answerer {
    type Msg = Question;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Question>, (): ()) -> Started<()> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Question>,
        Question::Next(n, reply): Question,
        (): &mut (),
    ) -> Started<()> {
        reply.send(n + 1)?;
        Ok(())
    }
}

struct Mortal;

impl Actor for Mortal {
    type Msg = ();
    type State = Counted;
    type Arguments = Counted;

    async fn pre_start(&self, _: ActorRef<()>, state: Counted) -> Started<Counted> {
        Ok(state)
    }
}

impl Framework for Ractor {
    type Addr<B: Behaviour<Self>> = ActorRef<B::Message>;

    fn spawn<B: Behaviour<Self>>(_: Place, behaviour: B) -> ActorRef<B::Message> {
        spawn(Host(PhantomData), behaviour).0
    }

    fn send<B: Behaviour<Self>>(to: &ActorRef<B::Message>, message: B::Message) {
        assert!(cast!(to, message).is_ok());
    }

    type Inbox = UnboundedReceiver<u64>;

    fn inbox() -> (Outlet, UnboundedReceiver<u64>) {
        tokio_inbox::new()
    }

    type Answerer = ActorRef<Question>;

    fn spawn_answerer() -> ActorRef<Question> {
        spawn(Answerer, ()).0
    }

    async fn ask(answerer: &ActorRef<Question>, n: u64) -> u64 {
        call!(answerer, Question::Next, n).expect("it answers")
    }

    type Mortal = (ActorRef<()>, JoinHandle<()>);

    async fn spawn_mortal(state: Counted) -> Self::Mortal {
        Actor::spawn(None, Mortal, state)
            .await
            .expect("an actor starts")
    }

    async fn stop((mortal, _): &Self::Mortal) {
        ActorCell::stop(mortal, None);
    }

    async fn ended((_, handle): Self::Mortal) {
        handle.await.expect("an actor ends");
    }
}
