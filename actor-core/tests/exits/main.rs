//! Ends, and who hears of them: links and monitors, between tasklets and actors in any mixture.

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod links;
mod moments;
mod monitors;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use actor_core::{
    Accepts, Actor, Addr, BoxError, CallError, Child, Context, Exit, ExitReason, Handler, Mailbox,
    Message, Monitor, Overflow, Pid, Placement, ReceiveError, ReplyTo, SendError, Supervisor,
    Tasklet, match_message,
};
use common::*;

extern crate actor_core as concurrence;

/// What becomes of one after a deed.
enum Then {
    Go,
    Return,
    Fail,
}

/// Something for it to do.
#[derive(Message)]
struct Do(Box<dyn FnOnce() -> Then + Send>);

#[derive(Message)]
#[message(reply = usize)]
struct Ask(usize);

#[derive(Message, Debug, PartialEq)]
struct Say(usize);

/// Falls with those it is linked to. Passes on what it hears.
struct Meek;

impl Actor for Meek {}

/// Traps exits.
struct Trapper(Sender<Exit>);

impl Actor for Trapper {
    fn exited(&mut self, exit: Exit, _: &mut Context<Self>) {
        let _ = self.0.send(exit);
    }
}

fn carry_out<A: Actor>(deed: Box<dyn FnOnce() -> Then + Send>, ctx: &mut Context<A>) {
    match deed() {
        Then::Go => {}
        Then::Return => ctx.stop(),
        Then::Fail => ctx.fail("no sugar"),
    }
}

impl Handler<Do> for Meek {
    fn handle(&mut self, Do(deed): Do, ctx: &mut Context<Self>) {
        carry_out(deed, ctx);
    }
}

impl Handler<Do> for Trapper {
    fn handle(&mut self, Do(deed): Do, ctx: &mut Context<Self>) {
        carry_out(deed, ctx);
    }
}

/// The kinds of those that can watch and be watched.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Tasklet,
    Actor,
}

const KINDS: [Kind; 2] = [Kind::Tasklet, Kind::Actor];

/// How one ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Normal,
    Stopped,
    Killed,
    Panicked,
    Failed,
}

const ENDS: [End; 5] = [
    End::Normal,
    End::Stopped,
    End::Killed,
    End::Panicked,
    End::Failed,
];

impl End {
    fn is_abnormal(self) -> bool {
        !matches!(self, End::Normal | End::Stopped)
    }

    #[track_caller]
    fn assert_is(self, reason: &ExitReason) {
        assert_eq!(self.is_abnormal(), reason.is_abnormal(), "{reason}");
        match (self, reason) {
            (End::Normal, ExitReason::Normal)
            | (End::Stopped, ExitReason::Stopped)
            | (End::Killed, ExitReason::Killed) => {}
            (End::Panicked, ExitReason::Panicked(text)) => {
                assert!(
                    text.contains("no luck") && text.contains("exits/main.rs"),
                    "{text}"
                );
            }
            (End::Failed, ExitReason::Failed(error)) => assert_eq!(error.to_string(), "no sugar"),
            (expected, other) => panic!("{expected:?} expected: {other}"),
        }
    }
}

/// A tasklet or an actor.
#[derive(Clone, Debug, PartialEq)]
enum Being {
    Tasklet(Tasklet),
    Meek(Addr<Meek>),
    Trapper(Addr<Trapper>),
}

impl Being {
    fn spawn_on(worker: usize, kind: Kind, traps: bool) -> (Being, Receiver<Exit>) {
        let placement = Placement::Worker(worker);
        let (tell, told) = channel();
        let being = match (kind, traps) {
            (Kind::Tasklet, _) => {
                let body = move || live(traps, &tell);
                let tasklet = Tasklet::builder().placement(placement).spawn(body).unwrap();
                Being::Tasklet(tasklet.tasklet().clone())
            }
            (Kind::Actor, false) => {
                let builder = Addr::builder().placement(placement);
                Being::Meek(builder.spawn(Meek).unwrap())
            }
            (Kind::Actor, true) => {
                let builder = Addr::builder().placement(placement);
                Being::Trapper(builder.spawn(Trapper(tell)).unwrap())
            }
        };
        // It traps from now on.
        being.run(|| ());
        (being, told)
    }

    fn spawn(kind: Kind) -> Being {
        Being::spawn_on(0, kind, false).0
    }

    fn trapping(kind: Kind) -> (Being, Receiver<Exit>) {
        Being::spawn_on(0, kind, true)
    }

    fn tell(&self, deed: impl FnOnce() -> Then + Send + 'static) {
        let deed = Do(Box::new(deed));
        let sent = match self {
            Being::Tasklet(tasklet) => tasklet.send(deed),
            Being::Meek(addr) => addr.send(deed),
            Being::Trapper(addr) => addr.send(deed),
        };
        assert!(sent.is_ok());
    }

    /// Has it do something, and waits for that.
    fn run<T: Send + 'static>(&self, deed: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        let done = Gate::new();
        let open = done.clone();
        self.tell(move || {
            let _ = tell.send(deed());
            open.open();
            Then::Go
        });
        done.pass();
        told.recv().unwrap()
    }

    fn end(&self, how: End) {
        match how {
            End::Normal => self.tell(|| Then::Return),
            End::Failed => self.tell(|| Then::Fail),
            End::Panicked => self.tell(|| panic!("no luck")),
            End::Killed => match self {
                Being::Tasklet(tasklet) => tasklet.kill(),
                Being::Meek(addr) => addr.kill(),
                Being::Trapper(addr) => addr.kill(),
            },
            End::Stopped => match self {
                Being::Tasklet(tasklet) => tasklet.stop(),
                Being::Meek(addr) => addr.stop(),
                Being::Trapper(addr) => addr.stop(),
            },
        }
    }

    fn pid(&self) -> Pid {
        match self {
            Being::Tasklet(tasklet) => tasklet.pid(),
            Being::Meek(addr) => addr.pid(),
            Being::Trapper(addr) => addr.pid(),
        }
    }

    fn name(&self) -> String {
        match self {
            Being::Tasklet(tasklet) => tasklet.name().to_owned(),
            Being::Meek(addr) => addr.name().to_owned(),
            Being::Trapper(addr) => addr.name().to_owned(),
        }
    }

    fn is_alive(&self) -> bool {
        match self {
            Being::Tasklet(tasklet) => tasklet.is_alive(),
            Being::Meek(addr) => addr.is_alive(),
            Being::Trapper(addr) => addr.is_alive(),
        }
    }

    fn watch(&self) {
        self.monitor();
    }

    /// By the caller.
    fn monitor(&self) -> Monitor {
        match self {
            Being::Tasklet(tasklet) => tasklet.monitor(),
            Being::Meek(addr) => addr.monitor(),
            Being::Trapper(addr) => addr.monitor(),
        }
    }

    /// With the caller.
    fn link(&self) {
        match self {
            Being::Tasklet(tasklet) => tasklet.link(),
            Being::Meek(addr) => addr.link(),
            Being::Trapper(addr) => addr.link(),
        }
    }

    fn unlink(&self) {
        match self {
            Being::Tasklet(tasklet) => tasklet.unlink(),
            Being::Meek(addr) => addr.unlink(),
            Being::Trapper(addr) => addr.unlink(),
        }
    }

    fn link_to(&self, other: &Being) {
        let other = other.clone();
        self.run(move || other.link());
    }

    #[track_caller]
    fn wait(&self) {
        let ended = promptly(|limit| match self {
            Being::Tasklet(tasklet) => tasklet.wait_timeout(limit),
            Being::Meek(addr) => addr.join_timeout(limit).map(drop),
            Being::Trapper(addr) => addr.join_timeout(limit).map(drop),
        });
        assert!(ended.is_ok(), "{self:?} goes on");
    }

    /// It has fallen with another.
    #[track_caller]
    fn assert_has_fallen_with(&self, other: &Being) {
        self.wait();
        let exit = exit_of(self);
        match self {
            Being::Tasklet(_) => assert!(matches!(exit.reason, ExitReason::Killed), "{exit}"),
            _ => {
                let text = exit.reason.to_string();
                let named = format!("linked to {}{}", other.name(), other.pid());
                assert!(text.contains(&named), "{text}");
            }
        }
    }
}

/// The life of a tasklet that does what it is told, and passes on what it hears.
fn live(traps: bool, tell: &Sender<Exit>) -> Result<(), BoxError> {
    Tasklet::trap_exits(traps);
    for message in Tasklet::receive() {
        match_message!(match message {
            Do(deed) => match deed() {
                Then::Go => {}
                Then::Return => break,
                Then::Fail => return Err("no sugar".into()),
            },
            (Ask(n), reply) => reply.send(n),
            exit @ Exit { .. } => drop(tell.send(exit)),
        });
    }
    Ok(())
}

/// Monitors it, in a tasklet of its own, and gives the word.
#[track_caller]
fn exit_of(being: &Being) -> Exit {
    let being = being.clone();
    join(spawn(move || {
        being.monitor();
        next_exit()
    }))
}

/// The next message of the current tasklet.
#[track_caller]
fn next_exit() -> Exit {
    // Word of an end comes from nobody: it does not keep a mailbox open.
    let _reachable = Tasklet::current();
    let message = promptly(Tasklet::receive_timeout).expect("word of an end");
    message.downcast().expect("nothing else")
}

/// What a being has heard.
#[track_caller]
fn heard(told: &Receiver<Exit>) -> Exit {
    let mut exit = None;
    wait_until(|| {
        exit = told.try_recv().ok();
        exit.is_some()
    });
    exit.unwrap()
}
