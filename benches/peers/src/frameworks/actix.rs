//! actix. Its actors stay on the arbiter that they were started on, so the program has to spread them:
//! as many arbiters as there are workers, the system's own among them.

use super::{Behaviour, Context, Counted, Framework, Outlet, Place, tokio_inbox};
use actix::{
    Actor, ActorContext, Addr, Arbiter, ArbiterHandle, AsyncContext, Handler, Message, System,
};
use std::process::ExitCode;
use std::sync::OnceLock;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

pub(crate) struct Actix;

/// Where actors are spread to: empty if they all stay on the arbiter of `main`.
static ARBITERS: OnceLock<Vec<ArbiterHandle>> = OnceLock::new();

/// Runs `main` on the system's arbiter.
pub(crate) fn run(workers: usize, main: impl Future<Output = ()> + Send + 'static) -> ExitCode {
    let system = System::new();
    let ended = system.block_on(async move {
        let mut arbiters = Vec::new();
        if workers > 1 {
            arbiters.push(Arbiter::current());
            arbiters.extend((1..workers).map(|_| Arbiter::new().handle()));
        }
        ARBITERS.set(arbiters).expect("one system a process");
        actix::spawn(main).await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // The panic has been printed.
        Err(_) => ExitCode::FAILURE,
    }
}

pub(crate) struct Host<B>(B);

pub(crate) struct Carried<M>(M);

impl<M: 'static> Message for Carried<M> {
    type Result = ();
}

impl<B: Behaviour<Actix>> Actor for Host<B> {
    type Context = actix::Context<Self>;
}

impl<B: Behaviour<Actix>> Handler<Carried<B::Message>> for Host<B> {
    type Result = ();

    fn handle(&mut self, message: Carried<B::Message>, ctx: &mut actix::Context<Self>) {
        self.0.receive(message.0, ctx);
    }
}

impl<B: Behaviour<Actix>> Context<Actix, B> for actix::Context<Host<B>> {
    fn me(&self) -> Addr<Host<B>> {
        self.address()
    }

    fn stop(&mut self) {
        ActorContext::stop(self);
    }
}

fn start<A: Actor<Context = actix::Context<A>> + Send>(place: Place, actor: A) -> Addr<A> {
    let arbiters = ARBITERS.get().expect("a system runs");
    match place {
        Place::Spread(number) if !arbiters.is_empty() => {
            Actor::start_in_arbiter(&arbiters[number % arbiters.len()], |_| actor)
        }
        _ => actor.start(),
    }
}

pub(crate) struct Answerer;

#[derive(Message)]
#[rtype(result = "u64")]
struct Next(u64);

impl Actor for Answerer {
    type Context = actix::Context<Self>;
}

impl Handler<Next> for Answerer {
    type Result = u64;

    fn handle(&mut self, Next(n): Next, _: &mut actix::Context<Self>) -> u64 {
        n + 1
    }
}

pub(crate) struct Mortal {
    _state: Counted,
    /// Dropped after the state.
    _ended: oneshot::Sender<()>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Actor for Mortal {
    type Context = actix::Context<Self>;
}

impl Handler<Stop> for Mortal {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut actix::Context<Self>) {
        ctx.stop();
    }
}

impl Framework for Actix {
    type Addr<B: Behaviour<Self>> = Addr<Host<B>>;

    fn spawn<B: Behaviour<Self>>(place: Place, behaviour: B) -> Addr<Host<B>> {
        start(place, Host(behaviour))
    }

    fn send<B: Behaviour<Self>>(to: &Addr<Host<B>>, message: B::Message) {
        to.do_send(Carried(message));
    }

    type Inbox = UnboundedReceiver<u64>;

    fn inbox() -> (Outlet, UnboundedReceiver<u64>) {
        tokio_inbox::new()
    }

    type Answerer = Addr<Answerer>;

    fn spawn_answerer() -> Addr<Answerer> {
        start(Place::Spread(1), Answerer)
    }

    async fn ask(answerer: &Addr<Answerer>, n: u64) -> u64 {
        answerer.send(Next(n)).await.expect("it answers")
    }

    type Mortal = (Addr<Mortal>, oneshot::Receiver<()>);

    async fn spawn_mortal(state: Counted) -> Self::Mortal {
        let place = Place::Spread(state.0 as usize);
        let (sender, receiver) = oneshot::channel();
        let mortal = Mortal {
            _state: state,
            _ended: sender,
        };
        (start(place, mortal), receiver)
    }

    async fn stop((mortal, _): &Self::Mortal) {
        mortal.do_send(Stop);
    }

    async fn ended((_, ended): Self::Mortal) {
        assert!(ended.await.is_err());
    }
}
