//! Ours.

use super::{Behaviour, Context, Counted, Framework, Inbox, Outlet, Place};
use concurrence::{Actor, Addr, ExitReason, Handler, Message, Tasklet, match_message};
use std::pin::pin;
use std::task::{self, Poll, Waker};

pub(crate) struct Concurrence;

/// Runs a main task written for all frameworks in a tasklet, where nothing needs `await`: what waits
/// has waited when it returns.
pub(crate) fn run(main: impl Future<Output = ()>) {
    let mut context = task::Context::from_waker(Waker::noop());
    match pin!(main).poll(&mut context) {
        Poll::Ready(()) => {}
        Poll::Pending => unreachable!("a tasklet waits by itself"),
    }
}

pub(crate) struct Host<B>(B);

pub(crate) struct Carried<M>(M);

impl<M: Send + 'static> Message for Carried<M> {
    type Reply = ();
}

impl<B: Behaviour<Concurrence>> Actor for Host<B> {}

impl<B: Behaviour<Concurrence>> Handler<Carried<B::Message>> for Host<B> {
    fn handle(&mut self, message: Carried<B::Message>, ctx: &mut concurrence::Context<Self>) {
        self.0.receive(message.0, ctx);
    }
}

impl<B: Behaviour<Concurrence>> Context<Concurrence, B> for concurrence::Context<Host<B>> {
    fn me(&self) -> Addr<Host<B>> {
        self.addr()
    }

    fn stop(&mut self) {
        self.stop();
    }
}

#[derive(Message)]
struct Result(u64);

pub(crate) struct MainTasklet;

impl Inbox for MainTasklet {
    async fn next(&mut self) -> u64 {
        match_message!(match Tasklet::receive_one().expect("a result") {
            Result(result) => result,
            _ => panic!("not a result"),
        })
    }
}

pub(crate) struct Answerer;

#[derive(Message)]
#[message(reply = u64)]
struct Next(u64);

impl Actor for Answerer {}

impl Handler<Next> for Answerer {
    fn handle(&mut self, Next(n): Next, _: &mut concurrence::Context<Self>) -> u64 {
        n + 1
    }
}

pub(crate) struct Mortal {
    _state: Counted,
}

impl Actor for Mortal {}

impl Framework for Concurrence {
    type Addr<B: Behaviour<Self>> = Addr<Host<B>>;

    fn spawn<B: Behaviour<Self>>(_: Place, behaviour: B) -> Addr<Host<B>> {
        Addr::spawn(Host(behaviour))
    }

    fn send<B: Behaviour<Self>>(to: &Addr<Host<B>>, message: B::Message) {
        assert!(to.send(Carried(message)).is_ok());
    }

    type Inbox = MainTasklet;

    fn inbox() -> (Outlet, MainTasklet) {
        let main = Tasklet::current();
        let outlet = Outlet::new(move |result| main.send(Result(result)).expect("it waits"));
        (outlet, MainTasklet)
    }

    type Answerer = Addr<Answerer>;

    fn spawn_answerer() -> Addr<Answerer> {
        Addr::spawn(Answerer)
    }

    async fn ask(answerer: &Addr<Answerer>, n: u64) -> u64 {
        answerer.call(Next(n)).expect("it answers")
    }

    type Mortal = Addr<Mortal>;

    async fn spawn_mortal(state: Counted) -> Addr<Mortal> {
        Addr::spawn(Mortal { _state: state })
    }

    async fn stop(mortal: &Addr<Mortal>) {
        mortal.stop();
    }

    async fn ended(mortal: Addr<Mortal>) {
        assert!(matches!(mortal.join(), ExitReason::Stopped));
    }
}
