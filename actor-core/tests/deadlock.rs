//! Calls in a circle, and calls that only look like it.

mod common;

use std::time::Duration;

use actor_core::{
    Accepts, Actor, Addr, CallError, Context, Handler, Message, Placement, ReplyTo, Tasklet,
    match_message,
};
use common::*;

extern crate actor_core as concurrence;

/// Calls the next one when it is called.
struct Link {
    next: Option<Addr<Link>>,
}

impl Actor for Link {}

#[derive(Message)]
struct Join(Addr<Link>);

/// Answers with how many links have been passed before somebody was refused.
#[derive(Message)]
#[message(reply = Result<u32, CallError>)]
struct Pass(u32);

impl Handler<Join> for Link {
    fn handle(&mut self, Join(next): Join, _: &mut Context<Self>) {
        self.next = Some(next);
    }
}

impl Handler<Pass> for Link {
    fn handle(&mut self, Pass(left): Pass, _: &mut Context<Self>) -> Result<u32, CallError> {
        if left == 0 {
            return Ok(0);
        }
        let next = self.next.as_ref().expect("joined");
        let passed = next.call(Pass(left - 1))?;
        Ok(passed? + 1)
    }
}

fn chain(workers: &[usize]) -> Vec<Addr<Link>> {
    let links: Vec<_> = workers
        .iter()
        .map(|worker| {
            let builder = Addr::builder().placement(Placement::Worker(*worker));
            builder.spawn_ready(Link { next: None }).unwrap()
        })
        .collect();
    for (n, link) in links.iter().enumerate() {
        link.send(Join(links[(n + 1) % links.len()].clone()))
            .unwrap();
    }
    links
}

/// Takes the circle apart, so that it can be dropped.
fn end(links: Vec<Addr<Link>>) {
    for link in &links {
        link.stop();
    }
    for link in &links {
        promptly(|limit| link.join_timeout(limit)).unwrap();
    }
}

#[test]
fn a_circle_is_refused_at_once_wherever_its_actors_are() {
    run(|| {
        for workers in [&[0, 0][..], &[0, 1], &[0, 1, 2], &[1, 1, 2, 0, 2], &[0; 7]] {
            for _ in 0..20 {
                let links = chain(workers);
                let last = workers.len() as u32;
                let refused = promptly(|_| links[0].call(Pass(last + 1)));
                assert_eq!(refused, Ok(Err(CallError::Deadlock)));
                // All of them are as well as before.
                assert_eq!(links[0].call(Pass(last - 1)), Ok(Ok(last - 1)));
                end(links);
            }
        }
    });
}

/// Calls its peer, whose call may be on its way to it.
struct Peer {
    other: Option<Addr<Peer>>,
}

impl Actor for Peer {}

#[derive(Message)]
struct Meet(Addr<Peer>);

#[derive(Message)]
#[message(reply = Result<(), CallError>)]
struct Ask;

#[derive(Message)]
#[message(reply = ())]
struct Answer;

impl Handler<Meet> for Peer {
    fn handle(&mut self, Meet(other): Meet, _: &mut Context<Self>) {
        self.other = Some(other);
    }
}

impl Handler<Ask> for Peer {
    fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> Result<(), CallError> {
        self.other.as_ref().expect("met").call(Answer)
    }
}

impl Handler<Answer> for Peer {
    fn handle(&mut self, _: Answer, _: &mut Context<Self>) {}
}

#[test]
fn two_that_call_each_other_at_the_same_moment_do_not_wait_for_ever() {
    const ROUNDS: usize = 3_000;
    run(|| {
        for (here, there) in [(0, 0), (0, 1), (1, 2)] {
            let [one, other] = [here, there].map(|worker| {
                let builder = Addr::builder().placement(Placement::Worker(worker));
                builder.spawn_ready(Peer { other: None }).unwrap()
            });
            one.send(Meet(other.clone())).unwrap();
            other.send(Meet(one.clone())).unwrap();
            let askers = [one.clone(), other.clone()].map(|peer| {
                let worker = if peer == one { here } else { there };
                spawn_on(worker, move || {
                    let mut refused = 0;
                    for _ in 0..ROUNDS {
                        match peer.call(Ask).unwrap() {
                            Ok(()) => {}
                            Err(CallError::Deadlock) => refused += 1,
                            Err(other) => panic!("{other}"),
                        }
                    }
                    refused
                })
            });
            let refused: usize = askers.into_iter().map(join).sum();
            println!("{here} and {there}: {refused} refused");
            one.stop();
            other.stop();
            promptly(|limit| one.join_timeout(limit)).unwrap();
            promptly(|limit| other.join_timeout(limit)).unwrap();
        }
    });
}

#[test]
fn tasklets_that_call_each_other_are_found_out() {
    run(|| {
        for workers in [[0, 0], [0, 1], [2, 1]] {
            let met = Gate::new();
            let (tell, told) = std::sync::mpsc::channel::<Tasklet>();
            let shut = met.clone();
            let one = spawn_on(workers[0], move || {
                shut.pass();
                let other = told.recv().unwrap();
                let called = other.call(Answer);
                // Ends the other's call, if that one waits.
                drop(Tasklet::try_receive());
                called
            });
            let first = one.tasklet().clone();
            let shut = met.clone();
            let other = spawn_on(workers[1], move || {
                shut.pass();
                let called = first.call(Answer);
                drop(Tasklet::try_receive());
                called
            });
            tell.send(other.tasklet().clone()).unwrap();
            met.open();
            let ends = [join(one), join(other)];
            assert!(ends.contains(&Err(CallError::Deadlock)), "{ends:?}");
        }
    });
}

#[test]
fn a_deferred_answer_is_no_circle() {
    /// Answers later, and calls back meanwhile.
    struct Later {
        back: Option<Addr<Caller>>,
    }
    struct Caller(Addr<Later>);
    #[derive(Message)]
    #[message(reply = u32)]
    struct Slow;
    #[derive(Message)]
    struct Back(Addr<Caller>);
    #[derive(Message)]
    struct Work(Gate);
    #[derive(Message)]
    #[message(reply = u32)]
    struct Go;
    #[derive(Message)]
    #[message(reply = u32)]
    struct Nothing;
    impl Actor for Later {}
    impl Actor for Caller {}
    impl Handler<Back> for Later {
        fn handle(&mut self, Back(back): Back, _: &mut Context<Self>) {
            self.back = Some(back);
        }
    }
    impl Accepts<Slow> for Later {
        fn accept(&mut self, _: Slow, reply: ReplyTo<u32>, ctx: &mut Context<Self>) {
            // Somebody else on its worker answers, when this one waits for the caller.
            let begun = Gate::new();
            let work = Work(begun.clone());
            Tasklet::spawn(move || {
                begun.pass();
                reply.send(7);
            });
            ctx.addr().send(work).unwrap();
        }
    }
    impl Handler<Work> for Later {
        fn handle(&mut self, Work(begun): Work, _: &mut Context<Self>) {
            let back = self.back.as_ref().unwrap();
            begun.open();
            assert_eq!(back.call(Nothing), Ok(1));
        }
    }
    impl Handler<Go> for Caller {
        fn handle(&mut self, _: Go, _: &mut Context<Self>) -> u32 {
            self.0.call(Slow).unwrap()
        }
    }
    impl Handler<Nothing> for Caller {
        fn handle(&mut self, _: Nothing, _: &mut Context<Self>) -> u32 {
            1
        }
    }
    run(|| {
        for workers in [[0, 0], [0, 1], [2, 1]] {
            let [later, caller] = workers.map(Placement::Worker);
            let later = Addr::builder()
                .placement(later)
                .spawn(Later { back: None })
                .unwrap();
            let caller = Addr::builder()
                .placement(caller)
                .spawn(Caller(later.clone()))
                .unwrap();
            later.send(Back(caller.clone())).unwrap();
            assert_eq!(caller.call(Go), Ok(7));
            later.stop_now();
            promptly(|limit| later.join_timeout(limit)).unwrap();
        }
    });
}

#[test]
fn a_call_with_a_deadline_is_no_part_of_a_circle() {
    run(|| {
        // A tasklet waits for an answer, for a time; its callee calls it back without one.
        let me = Tasklet::current();
        let back = spawn(move || {
            for message in Tasklet::receive() {
                match_message!(match message {
                    (Answer, _reply) => {
                        let asked = me.call(Answer);
                        // Answered after the outer call has timed out.
                        return asked;
                    }
                });
            }
            unreachable!("it is called");
        });
        let late = back.call_timeout(Answer, Duration::from_millis(5));
        assert_eq!(late, Err(CallError::Timeout));
        match_message!(match Tasklet::receive_one().unwrap() {
            (Answer, reply) => reply.send(()),
        });
        assert_eq!(join(back), Ok(()));
    });
}
