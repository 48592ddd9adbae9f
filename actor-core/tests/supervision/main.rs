//! Supervisors: who is started again, when, and in which order.

mod children;
#[path = "../common/mod.rs"]
mod common;
mod lives;
mod restarts;
mod shutdown;
mod starts;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor_core::{
    Actor, Addr, BoxError, CallError, Child, Context, Exit, ExitReason, Handler, IntensityExceeded,
    JoinHandle, Mailbox, Message, Overflow, Restart, SendError, Shutdown, SpawnError, Supervisor,
    Tasklet, dispatch,
};
use common::*;

extern crate actor_core as concurrence;

/// No test comes near it.
const MANY: usize = 1_000_000;

/// Of a backoff that is not waited for.
const FAR: Duration = Duration::from_secs(3600);

/// What has happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    /// Waits until `expected` has happened since the last time, and nothing else.
    #[track_caller]
    fn expect(&self, expected: &str) {
        let expected: Vec<_> = expected.split_whitespace().collect();
        wait_until(|| self.0.lock().unwrap().len() >= expected.len());
        let happened = std::mem::take(&mut *self.0.lock().unwrap());
        assert_eq!(happened, expected);
    }

    /// The same in any order: a tasklet counts as started before it runs.
    #[track_caller]
    fn expect_all(&self, expected: &str) {
        let mut expected: Vec<_> = expected.split_whitespace().collect();
        wait_until(|| self.0.lock().unwrap().len() >= expected.len());
        let mut happened = std::mem::take(&mut *self.0.lock().unwrap());
        happened.sort();
        expected.sort();
        assert_eq!(happened, expected);
    }
}

/// Writes down when a life of it begins (`+`) and ends (`-`).
struct Part {
    name: &'static str,
    log: Log,
}

impl Actor for Part {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.log.write(format!("+{}", self.name));
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.log.write(format!("-{}", self.name));
    }
}

type Deed = Box<dyn FnOnce(&mut Part, &mut Context<Part>) -> usize + Send>;

struct Do(Deed);

impl Message for Do {
    type Reply = usize;
}

impl Handler<Do> for Part {
    fn handle(&mut self, Do(deed): Do, ctx: &mut Context<Self>) -> usize {
        deed(self, ctx)
    }
}

fn deed(f: impl FnOnce(&mut Part, &mut Context<Part>) -> usize + Send + 'static) -> Do {
    Do(Box::new(f))
}

fn part(name: &'static str, log: &Log) -> Child<Part> {
    let log = log.clone();
    Child::new(name, move || Part {
        name,
        log: log.clone(),
    })
}

/// Waits until it is there.
#[track_caller]
fn assert_lives(part: &Addr<Part>) {
    assert_eq!(part.call_timeout(deed(|_, _| 7), PATIENCE), Ok(7));
}

#[track_caller]
fn crash(part: &Addr<Part>) {
    let crashed = part.call_timeout(deed(|_, _| panic!("no luck")), PATIENCE);
    assert_eq!(crashed, Err(CallError::Ended));
}

#[track_caller]
fn reason<A: Actor>(addr: &Addr<A>) -> ExitReason {
    promptly(|limit| addr.join_timeout(limit)).expect("the actor ends")
}

#[track_caller]
fn stop<A: Actor>(addr: &Addr<A>) {
    addr.stop();
    assert!(matches!(reason(addr), ExitReason::Stopped));
}

#[track_caller]
fn assert_exceeded(reason: &ExitReason, restarts: usize, within: Duration) {
    match reason {
        ExitReason::Failed(error) => assert_eq!(
            error.downcast_ref(),
            Some(&IntensityExceeded { restarts, within })
        ),
        other => panic!("{other}"),
    }
}

/// Monitored by the caller before it ends, and ended.
#[track_caller]
fn next_exit() -> Exit {
    let _reachable = Tasklet::current();
    let message = promptly(Tasklet::receive_timeout).expect("word of an end");
    message.downcast().expect("nothing else")
}

/// Goes on in a tasklet, until it waits for a reply.
fn call_aside(addr: &Addr<Part>, message: Do) -> JoinHandle<Result<usize, CallError>> {
    let addr = addr.clone();
    let caller = spawn(move || addr.call(message));
    wait_until_it_waits(&caller, "waits for a reply");
    caller
}
