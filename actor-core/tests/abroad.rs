//! What a receiver is for another process, and one of another process for a receiver, without a link between them.
#![cfg(feature = "remote")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actor_codec::Limits;
use actor_core::remote::{
    Absent, Delivered, Encodable, Export, GiveUp, InboundCall, Owner, Returns, Station, export,
};
use actor_core::{
    CallError, Exit, ExitReason, JoinError, JoinHandle, Mailbox, Message, Overflow, Tasklet,
    dispatch, match_message,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "test.Add", reply = u64)]
struct Add(u64);

/// Keeps how calls have ended.
#[derive(Debug, Default)]
struct Ends {
    outcomes: Mutex<Vec<Result<(), CallError>>>,
    waiting: Waiting,
}

#[derive(Default)]
struct Waiting(Mutex<Vec<std::sync::Weak<dyn GiveUp>>>);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

impl Returns for Ends {
    fn answer(&self, _: u64, outcome: Result<&dyn Encodable, CallError>) {
        self.outcomes.lock().push(outcome.map(drop));
    }

    fn waits(&self, _: u64, here: std::sync::Weak<dyn GiveUp>) {
        self.waiting.0.lock().push(here);
    }
}

fn call(ends: &Arc<Ends>) -> InboundCall {
    InboundCall {
        id: 1,
        returns: ends.clone(),
        deadline: None,
    }
}

/// Adds up what it is called with, once there is something else in its mailbox.
fn adder() -> (JoinHandle<u64>, Arc<dyn Export>) {
    let adder = Tasklet::spawn(|| {
        let mut sum = 0;
        for message in Tasklet::receive() {
            match_message!(match message {
                (Add(0), reply) => {
                    reply.send(sum);
                    break;
                }
                (Add(n), reply) => {
                    sum += n;
                    reply.send(sum);
                }
            });
        }
        sum
    });
    let taken = export(adder.recipient::<Add>());
    (adder, taken)
}

fn deliver(to: &Arc<dyn Export>, n: u8, call: Option<InboundCall>, behind: bool) -> Delivered {
    to.deliver(&[n], &Limits::default(), call, behind).unwrap()
}

#[test]
fn a_call_that_finds_no_room_is_answered() {
    let code = dispatch(|| {
        let (adder, taken) = adder();
        let ends = Arc::new(Ends::default());
        let Delivered::Full(waits) = deliver(&taken, 1, Some(call(&ends)), true) else {
            panic!("it was to wait");
        };
        assert!(ends.outcomes.lock().is_empty());
        // Whoever was to bring it over is gone.
        drop(waits);
        assert_eq!(*ends.outcomes.lock(), [Err(CallError::Full)]);
        // One that is brought over is answered once, and not by that.
        let Delivered::Full(waits) = deliver(&taken, 2, Some(call(&ends)), true) else {
            panic!("it was to wait");
        };
        waits().unwrap();
        deliver(&taken, 0, None, false);
        assert_eq!(adder.join().unwrap(), 2);
        assert_eq!(*ends.outcomes.lock(), [Err(CallError::Full), Ok(())]);
    });
    assert_eq!(code, ExitCode::SUCCESS);
}

#[test]
fn a_call_whose_bearer_is_killed_while_it_waits_for_room_is_answered() {
    let code = dispatch(|| {
        let full = Tasklet::builder()
            .mailbox(Mailbox::bounded(1, Overflow::Block))
            .daemon(true)
            .spawn(|| Tasklet::sleep(Duration::from_secs(3600)))
            .unwrap();
        let taken = export(full.tasklet().recipient::<Add>());
        let ends = Arc::new(Ends::default());
        deliver(&taken, 1, None, false);
        let Delivered::Full(waits) = deliver(&taken, 2, Some(call(&ends)), false) else {
            panic!("there is no room");
        };
        let bearer = Tasklet::spawn(move || waits().is_ok());
        // It has come to where it waits.
        while ends.waiting.0.lock().len() < 2 {
            Tasklet::yield_now();
        }
        bearer.kill();
        assert!(matches!(bearer.join(), Err(JoinError::Killed)));
        assert_eq!(*ends.outcomes.lock(), [Err(CallError::Full)]);
        // And nothing is left of it.
        let waiting = ends.waiting.0.lock();
        assert!(waiting.iter().all(|here| here.strong_count() == 0));
        drop(waiting);
        full.kill();
    });
    assert_eq!(code, ExitCode::SUCCESS);
}

#[test]
fn a_call_that_is_given_up_in_the_mailbox_is_not_taken_out_of_it() {
    let code = dispatch(|| {
        let (adder, taken) = adder();
        let ends = Arc::new(Ends::default());
        for n in [1, 10, 100] {
            deliver(&taken, n, Some(call(&ends)), false);
        }
        // Nobody else has run yet.
        let second = ends.waiting.0.lock()[1].upgrade().unwrap();
        second.give_up();
        second.give_up();
        drop(second);
        deliver(&taken, 0, None, false);
        assert_eq!(adder.join().unwrap(), 101);
        assert_eq!(*ends.outcomes.lock(), [Ok(()), Ok(())]);
        // What has been answered is gone.
        assert!(
            ends.waiting
                .0
                .lock()
                .iter()
                .all(|here| here.strong_count() == 0)
        );
    });
    assert_eq!(code, ExitCode::SUCCESS);
}

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<&'static str>>>);

impl Station for Told {
    fn watch(&self) {
        self.0.lock().push("watch");
    }

    fn leave(&self, is_left: &dyn Fn() -> bool) {
        assert!(is_left());
        self.0.lock().push("leave");
    }

    fn tell(&self, exit: &Exit) {
        assert!(exit.linked);
        self.0.lock().push("tell");
    }
}

impl Told {
    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock())
    }
}

#[test]
fn one_that_is_absent_knows_whether_it_is_watched() {
    let code = dispatch(|| {
        let told = Told::default();
        let absent = Absent::new("there".into(), Box::new(told.clone()));
        let owner: Owner = absent.owner();
        let (one, two) = (owner.monitor(), owner.monitor());
        assert_eq!(told.take(), ["watch", "watch"]);
        assert!(one.cancel());
        assert_eq!(told.take(), [""; 0]);
        owner.link();
        assert!(two.cancel());
        assert_eq!(told.take(), ["watch"]);
        owner.unlink();
        assert_eq!(told.take(), ["leave"]);
        // The end of one who is linked is told before that nobody is.
        let linked = Tasklet::spawn({
            let owner = owner.clone();
            move || owner.link()
        });
        linked.join().unwrap();
        assert_eq!(told.take(), ["watch", "tell", "leave"]);
        // One that has ended has nobody to leave.
        let last = owner.monitor();
        absent.end(ExitReason::NoConnection);
        assert!(!last.cancel());
        assert_eq!(told.take(), ["watch"]);
    });
    assert_eq!(code, ExitCode::SUCCESS);
}
