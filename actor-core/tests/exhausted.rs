//! Handlers that wait when there are no more stacks. A file of its own, with a runtime of few.

mod common;

use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};

use actor_core::{
    Actor, Addr, CallError, Context, Handler, Message, Runtime, Tasklet, match_message,
};
use common::{Gate, text};

extern crate actor_core as concurrence;

const LIMIT: usize = 20;
const ACTORS: usize = 50;

#[derive(Message)]
#[message(reply = u32)]
struct Ask;

#[derive(Message)]
struct Go;

struct Caller {
    of: Tasklet,
    tell: Sender<Result<u32, CallError>>,
}

impl Actor for Caller {}

impl Handler<Go> for Caller {
    fn handle(&mut self, _: Go, _: &mut Context<Self>) {
        let answer = self.of.call(Ask);
        self.tell.send(answer).unwrap();
    }
}

impl Handler<Ask> for Caller {
    fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u32 {
        7
    }
}

#[test]
fn past_the_limit_a_call_in_a_handler_fails_and_nobody_hangs() {
    let builder = Runtime::builder().workers(1).tasklets(LIMIT);
    let code = builder.dispatch(|| {
        let gate = Gate::new();
        let shut = gate.clone();
        let slow = Tasklet::spawn(move || {
            shut.pass();
            for message in Tasklet::receive() {
                match_message!(match message {
                    (Ask, reply) => reply.send(1),
                });
            }
        });
        let (tell, told) = channel();
        let callers: Vec<_> = (0..ACTORS)
            .map(|_| {
                let of = slow.tasklet().clone();
                Addr::spawn(Caller {
                    of,
                    tell: tell.clone(),
                })
            })
            .collect();
        for caller in &callers {
            caller.send(Go).unwrap();
        }
        // All that can wait do, and the others have been told that they cannot.
        let mut refused = 0;
        while refused < ACTORS - LIMIT {
            Tasklet::yield_now();
            for answer in told.try_iter() {
                assert_eq!(answer, Err(CallError::Exhausted));
                refused += 1;
            }
        }
        // Those who do not wait are served as ever.
        let idle = callers
            .iter()
            .rev()
            .find(|caller| caller.call(Ask) == Ok(7));
        assert!(idle.is_some());
        gate.open();
        for _ in 0..ACTORS - refused {
            loop {
                match told.try_recv() {
                    Ok(answer) => {
                        assert!(
                            matches!(answer, Ok(1) | Err(CallError::Exhausted)),
                            "{answer:?}"
                        );
                        break;
                    }
                    Err(_) => Tasklet::yield_now(),
                }
            }
        }
        slow.stop();
        slow.join().unwrap();
    });
    assert_eq!(text(code), text(ExitCode::SUCCESS));
}
