//! Actors: messages, ends, waiting handlers, and many of them.

mod common;

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use actor_core::reactor::{Direction, Source};
use actor_core::{
    Accepts, Actor, Addr, BoxError, CallError, Context, ExitReason, Handler, Mailbox, Message,
    Overflow, Pid, Placement, Recipient, ReplyTo, SendError, SpawnError, Tasklet, WeakAddr,
    block_on_thread, dispatch, tasklet_local,
};
use common::*;

extern crate actor_core as concurrence;

/// Does what it is told.
struct Puppet {
    tell: Sender<String>,
    _alive: Count,
}

impl Puppet {
    fn new() -> (Puppet, std::sync::mpsc::Receiver<String>) {
        let (tell, told) = channel();
        let puppet = Puppet {
            tell,
            _alive: Count::new(),
        };
        (puppet, told)
    }
}

impl Actor for Puppet {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        // Most tests do not listen.
        let _ = self.tell.send("started".into());
        Ok(())
    }

    fn stopped(&mut self, reason: &ExitReason) {
        let _ = self.tell.send(format!("stopped: {reason}"));
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.tell.send("dropped".into());
    }
}

type Deed = Box<dyn FnOnce(&mut Puppet, &mut Context<Puppet>) -> usize + Send>;

struct Do(Deed);

impl Message for Do {
    type Reply = usize;
}

impl Handler<Do> for Puppet {
    fn handle(&mut self, Do(deed): Do, ctx: &mut Context<Self>) -> usize {
        deed(self, ctx)
    }
}

fn deed(f: impl FnOnce(&mut Puppet, &mut Context<Puppet>) -> usize + Send + 'static) -> Do {
    Do(Box::new(f))
}

#[derive(Message, Debug, PartialEq)]
struct Say(usize);

impl Handler<Say> for Puppet {
    fn handle(&mut self, Say(n): Say, _: &mut Context<Self>) {
        let _ = self.tell.send(n.to_string());
    }
}

#[track_caller]
fn reason<A: Actor>(addr: &Addr<A>) -> ExitReason {
    promptly(|limit| addr.join_timeout(limit)).expect("the actor ends")
}

#[test]
fn messages_are_handled_in_order_between_the_hooks() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        for n in 0..3 {
            addr.send(Say(n)).unwrap();
        }
        addr.stop();
        assert_eq!(addr.send(Say(9)), Err(SendError::Ended(Say(9))));
        assert!(matches!(reason(&addr), ExitReason::Stopped));
        assert!(!addr.is_alive());
        let all: Vec<_> = told.try_iter().collect();
        let expected = [
            "started",
            "0",
            "1",
            "2",
            "stopped: was asked to stop",
            "dropped",
        ];
        assert_eq!(all, expected);
    });
}

#[test]
fn a_start_takes_nobody_away_who_waits_for_the_end() {
    struct Slow(Gate);
    impl Actor for Slow {
        fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
            self.0.pass();
            Ok(())
        }
    }
    run(|| {
        let gate = Gate::new();
        let addr = Addr::spawn(Slow(gate.clone()));
        let waits = {
            let addr = addr.clone();
            spawn(move || reason(&addr))
        };
        wait_until_it_waits(&waits, "waits for the end");
        gate.open();
        // It has started when it answers, and whoever waits has looked in vain.
        addr.stop();
        assert!(matches!(join(waits), ExitReason::Stopped));
    });
}

#[test]
fn stop_now_leaves_the_rest_unread() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let (begun, gate) = (Gate::new(), Gate::new());
        let (tell, shut) = (begun.clone(), gate.clone());
        addr.send(deed(move |_, _| {
            tell.open();
            shut.pass();
            0
        }))
        .unwrap();
        begun.pass();
        addr.send(Say(1)).unwrap();
        addr.stop_now();
        gate.open();
        assert!(matches!(reason(&addr), ExitReason::Stopped));
        let all: Vec<_> = told.try_iter().collect();
        assert_eq!(all, ["started", "stopped: was asked to stop", "dropped"]);
    });
}

/// From its own thread and from elsewhere.
#[test]
fn a_handler_that_waits_for_a_stop_as_well_is_told_of_it() {
    run(|| {
        for stop in [Addr::<Puppet>::stop, Addr::<Puppet>::stop_now] {
            for elsewhere in [false, true] {
                let addr = Addr::spawn(Puppet::new().0);
                let (begun, told) = (Gate::new(), Gate::new());
                let (tell, shut) = (begun.clone(), told.clone());
                addr.send(deed(move |_, _| {
                    let (near, _far) = UnixStream::pair().unwrap();
                    let source = Source::new(near).unwrap();
                    tell.open();
                    let read = source.io_or_stop(Direction::Read, |fd| {
                        (&UnixStream::from(fd.try_clone_to_owned()?)).read(&mut [0; 8])
                    });
                    assert_eq!(read.unwrap(), None);
                    shut.open();
                    0
                }))
                .unwrap();
                begun.pass();
                match elsewhere {
                    true => {
                        let addr = addr.clone();
                        thread::spawn(move || stop(&addr)).join().unwrap();
                    }
                    false => stop(&addr),
                }
                told.pass();
                assert!(matches!(reason(&addr), ExitReason::Stopped));
            }
        }
    });
}

#[test]
fn an_actor_ends_itself() {
    run(|| {
        let (puppet, _told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let ended = addr.call(deed(|_, ctx| {
            ctx.stop();
            7
        }));
        assert_eq!(ended, Ok(7));
        assert!(matches!(reason(&addr), ExitReason::Normal));

        let (puppet, _told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        addr.send(deed(|_, ctx| {
            ctx.fail("no more sugar");
            0
        }))
        .unwrap();
        match reason(&addr) {
            ExitReason::Failed(error) => assert_eq!(error.to_string(), "no more sugar"),
            other => panic!("{other}"),
        }
    });
}

#[test]
fn a_panic_ends_one_actor_and_its_callers_hear_of_it() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let waiting = {
            let addr = addr.clone();
            spawn(move || addr.call(deed(|_, _| 1)))
        };
        let failing = addr.call(deed(|_, _| panic!("no luck")));
        assert_eq!(failing, Err(CallError::Ended));
        // The one before it was answered.
        assert_eq!(join(waiting), Ok(1));
        match reason(&addr) {
            ExitReason::Panicked(text) => assert!(text.contains("no luck"), "{text}"),
            other => panic!("{other}"),
        }
        assert_eq!(addr.call(deed(|_, _| 1)), Err(CallError::Ended));
        // Not stopped, but dropped.
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["started", "dropped"]);
        assert_eq!(join(spawn(|| 1)), 1);
    });
}

#[test]
fn calls_that_wait_in_the_mailbox_end_with_it() {
    run(|| {
        let (puppet, _told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let gate = Gate::new();
        let shut = gate.clone();
        addr.send(deed(move |_, _| {
            shut.pass();
            panic!("no luck")
        }))
        .unwrap();
        let callers: Vec<_> = (0..3)
            .map(|worker| {
                let addr = addr.clone();
                spawn_on(worker, move || addr.call(deed(|_, _| 1)))
            })
            .collect();
        callers
            .iter()
            .for_each(|caller| wait_until_it_waits(caller, "waits for a reply"));
        gate.open();
        for caller in callers {
            assert_eq!(join(caller), Err(CallError::Ended));
        }
    });
}

#[test]
fn an_actor_that_cannot_start_says_so() {
    struct Stillborn(Gate);
    impl Actor for Stillborn {
        fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
            Err("no".into())
        }
        fn stopped(&mut self, _: &ExitReason) {
            self.0.open();
        }
    }
    run(|| {
        let stopped = Gate::new();
        let refused = Addr::builder().spawn_ready(Stillborn(stopped.clone()));
        match refused {
            Err(SpawnError::Started(error)) => assert_eq!(error.to_string(), "no"),
            other => panic!("{other:?}"),
        }
        let addr = Addr::spawn(Stillborn(stopped.clone()));
        assert!(matches!(reason(&addr), ExitReason::Failed(_)));
        // It has not begun.
        assert!(!stopped.is_open());
        let (puppet, told) = Puppet::new();
        let ready = Addr::builder().name("ready").spawn_ready(puppet).unwrap();
        assert_eq!(told.try_recv().unwrap(), "started");
        assert_eq!(ready.name(), "ready");
    });
}

#[test]
fn an_actor_that_nobody_can_reach_ends() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        for n in 0..3 {
            addr.send(Say(n)).unwrap();
        }
        let weak = addr.downgrade();
        assert!(weak.upgrade().is_some());
        drop(addr);
        wait_until(|| weak.upgrade().is_none());
        let all: Vec<_> = told.try_iter().collect();
        // All that was sent has been handled.
        assert_eq!(all[..4], ["started", "0", "1", "2"]);
        assert!(all[4].contains("could not be reached"), "{all:?}");
    });
}

#[test]
fn a_kill_reaches_idle_waiting_and_computing_actors() {
    run(|| {
        let idle = Addr::spawn(Puppet::new().0);
        assert_eq!(idle.call(deed(|_, _| 1)), Ok(1));
        idle.kill();
        assert!(matches!(reason(&idle), ExitReason::Killed));

        for worker in 0..WORKERS {
            let unwound = Gate::new();
            let begun = Gate::new();
            let waiting = Addr::builder()
                .placement(Placement::Worker(worker))
                .spawn(Puppet::new().0)
                .unwrap();
            let (tell, open) = (begun.clone(), unwound.clone());
            waiting
                .send(deed(move |_, _| {
                    let _guard = OnDrop::new(move || open.open());
                    tell.open();
                    Tasklet::sleep(PATIENCE * 3);
                    0
                }))
                .unwrap();
            begun.pass();
            waiting.kill();
            assert!(matches!(reason(&waiting), ExitReason::Killed));
            assert!(unwound.is_open());
        }

        let computing = Addr::builder()
            .placement(Placement::Worker(1))
            .spawn(Puppet::new().0)
            .unwrap();
        let begun = Gate::new();
        let tell = begun.clone();
        computing
            .send(deed(move |_, _| {
                tell.open();
                loop {
                    Tasklet::yield_now();
                }
            }))
            .unwrap();
        begun.pass();
        computing.kill();
        assert!(matches!(reason(&computing), ExitReason::Killed));
        // The carriers' next actors are none the worse for it.
        for worker in 0..WORKERS {
            let next = Addr::builder().placement(Placement::Worker(worker));
            let next = next.spawn(Puppet::new().0).unwrap();
            let slept = next.call(deed(|_, _| {
                Tasklet::sleep(SHORT);
                5
            }));
            assert_eq!(slept, Ok(5));
        }
    });
}

fn read_byte(source: &Source) -> u8 {
    let mut byte = [0; 1];
    let read = source.io(Direction::Read, None, |fd| {
        (&UnixStream::from(fd.try_clone_to_owned()?)).read(&mut byte)
    });
    assert_eq!(read.unwrap(), 1);
    byte[0]
}

#[test]
fn handlers_that_wait_hold_up_nobody_else() {
    const SLEEPERS: usize = 1_000;
    const READERS: usize = 500;
    const OTHERS: usize = 10_000;
    run(|| {
        let gate = Gate::new();
        let sleepers: Vec<_> = (0..SLEEPERS)
            .map(|n| {
                let addr = Addr::builder().placement(Placement::Worker(n % WORKERS));
                let addr = addr.spawn(Puppet::new().0).unwrap();
                let gate = gate.clone();
                addr.send(deed(move |_, _| {
                    gate.pass();
                    0
                }))
                .unwrap();
                addr
            })
            .collect();
        let (sockets, readers): (Vec<_>, Vec<_>) = (0..READERS)
            .map(|n| {
                let (near, far) = UnixStream::pair().unwrap();
                let source = Source::new(near).unwrap();
                let addr = Addr::builder().placement(Placement::Worker(n % WORKERS));
                let addr = addr.spawn(Puppet::new().0).unwrap();
                addr.send(deed(move |puppet, _| {
                    let read = read_byte(&source);
                    let _ = puppet.tell.send(format!("read {read}"));
                    0
                }))
                .unwrap();
                (far, addr)
            })
            .unzip();
        let others: Vec<_> = (0..OTHERS).map(|_| Addr::spawn(Puppet::new().0)).collect();
        for (n, other) in others.iter().enumerate() {
            assert_eq!(other.call(deed(move |_, _| n)), Ok(n));
        }
        // All of them have been served while those waited.
        assert!(!gate.is_open());
        for mut socket in sockets {
            socket.write_all(&[1]).unwrap();
        }
        gate.open();
        for sleeper in sleepers.into_iter().chain(readers) {
            sleeper.stop();
            assert!(matches!(reason(&sleeper), ExitReason::Stopped));
        }
    });
}

#[test]
fn handlers_wait_for_everything() {
    run(|| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let source = Source::new(near).unwrap();
        let addr = Addr::spawn(Puppet::new().0);
        let reads = {
            let addr = addr.clone();
            spawn(move || addr.call(deed(move |_, _| 1 + usize::from(read_byte(&source)))))
        };
        wait_until_it_waits(&reads, "waits for a reply");
        far.write_all(&[6]).unwrap();
        assert_eq!(join(reads), Ok(7));
        let on_thread = addr.call(deed(|_, _| block_on_thread(|| 3)));
        assert_eq!(on_thread, Ok(3));
        // A call to another, on another worker, that calls a third.
        let [second, third] = [1, 2].map(|worker| {
            let builder = Addr::builder().placement(Placement::Worker(worker));
            builder.spawn(Puppet::new().0).unwrap()
        });
        let nested = addr.call(deed(move |_, _| {
            let inner = move |_: &mut Puppet, _: &mut Context<Puppet>| {
                third.call(deed(|_, _| 40)).unwrap() + 1
            };
            second.call(deed(inner)).unwrap() + 1
        }));
        assert_eq!(nested, Ok(42));
        let joined = addr.call(deed(|_, _| Tasklet::spawn(|| 9).join().unwrap()));
        assert_eq!(joined, Ok(9));
    });
}

#[test]
fn an_answer_may_come_later_and_from_elsewhere() {
    struct Waiter(Vec<ReplyTo<usize>>);
    impl Actor for Waiter {}
    #[derive(Message)]
    #[message(reply = usize)]
    struct Wait;
    #[derive(Message)]
    struct Answer(usize);
    impl Accepts<Wait> for Waiter {
        fn accept(&mut self, _: Wait, reply: ReplyTo<usize>, _: &mut Context<Self>) {
            self.0.push(reply);
        }
    }
    impl Handler<Answer> for Waiter {
        fn handle(&mut self, Answer(n): Answer, _: &mut Context<Self>) {
            let mut replies = self.0.drain(..);
            // The first from a thread, the others unanswered.
            if let Some(reply) = replies.next() {
                thread::spawn(move || reply.send(n));
            }
        }
    }
    run(|| {
        let waiter = Addr::spawn(Waiter(Vec::new()));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let waiter = waiter.clone();
                let caller = spawn(move || waiter.call(Wait));
                wait_until_it_waits(&caller, "waits for a reply");
                caller
            })
            .collect();
        waiter.send(Answer(3)).unwrap();
        let answers: Vec<_> = callers.into_iter().map(join).collect();
        assert_eq!(answers, [Ok(3), Err(CallError::Unanswered)]);
    });
}

#[test]
fn mailboxes_keep_their_bounds() {
    run(|| {
        let full = |overflow| {
            let gate = Gate::new();
            let (puppet, told) = Puppet::new();
            let addr = Addr::builder().mailbox(Mailbox::bounded(2, overflow));
            let addr = addr.spawn_ready(puppet).unwrap();
            let (begun, shut) = (Gate::new(), gate.clone());
            let tell = begun.clone();
            addr.send(deed(move |_, _| {
                tell.open();
                shut.pass();
                0
            }))
            .unwrap();
            begun.pass();
            addr.send(Say(1)).unwrap();
            addr.send(Say(2)).unwrap();
            (addr, gate, told)
        };
        let rest = |addr: Addr<Puppet>, told: std::sync::mpsc::Receiver<String>| {
            addr.stop();
            reason(&addr);
            let all: Vec<_> = told.try_iter().collect();
            all[1..all.len() - 2].to_vec()
        };
        let (addr, gate, told) = full(Overflow::Fail);
        assert_eq!(addr.send(Say(3)), Err(SendError::Full(Say(3))));
        gate.open();
        assert_eq!(rest(addr, told), ["1", "2"]);

        let (addr, gate, told) = full(Overflow::DropNewest);
        addr.send(Say(3)).unwrap();
        gate.open();
        assert_eq!(rest(addr, told), ["1", "2"]);

        let (addr, gate, told) = full(Overflow::DropOldest);
        addr.send(Say(3)).unwrap();
        gate.open();
        assert_eq!(rest(addr, told), ["2", "3"]);

        let (addr, gate, told) = full(Overflow::Block);
        assert_eq!(addr.try_send(Say(3)), Err(SendError::Full(Say(3))));
        let blocked = {
            let addr = addr.clone();
            spawn(move || addr.send(Say(3)))
        };
        wait_until_it_waits(&blocked, "waits for room");
        gate.open();
        join(blocked).unwrap();
        assert_eq!(rest(addr, told), ["1", "2", "3"]);
    });
}

tasklet_local! {
    static MARK: Cell<usize> = Cell::new(0);
}

#[test]
fn a_handler_has_its_actors_identity() {
    run(|| {
        let [one, other] = [(); 2].map(|()| Addr::spawn(Puppet::new().0));
        for addr in [&one, &other] {
            let pid = addr.pid();
            let same = addr.call(deed(move |_, ctx| {
                assert_eq!(Pid::current(), Some(ctx.pid()));
                usize::from(ctx.pid() == pid)
            }));
            assert_eq!(same, Ok(1));
        }
        // Tasklet-locals are each actor's own, and stay from one message to the next.
        let mark = |n| deed(move |_, _| MARK.with(|mark| mark.replace(n)));
        assert_eq!(one.call(mark(1)), Ok(0));
        assert_eq!(other.call(mark(2)), Ok(0));
        assert_eq!(one.call(mark(3)), Ok(1));
        assert_eq!(other.call(mark(3)), Ok(2));
        assert_eq!(MARK.with(Cell::get), 0);
        // It is no tasklet.
        let refused = one.call(deed(|_, _| {
            assert!(Tasklet::try_current().is_none());
            let current = std::panic::catch_unwind(|| drop(Tasklet::current()));
            let receive = std::panic::catch_unwind(|| drop(Tasklet::try_receive()));
            usize::from(current.is_err() && receive.is_err())
        }));
        assert_eq!(refused, Ok(1));
    });
}

#[test]
fn tasklets_of_handlers_are_stopped_at_the_end() {
    run(|| {
        let addr = Addr::spawn(Puppet::new().0);
        let (tell, told) = channel();
        addr.call(deed(move |_, _| {
            let tasklet = Tasklet::spawn(|| {
                let reachable = Tasklet::current();
                Tasklet::receive().for_each(drop);
                drop(reachable);
            });
            tell.send(tasklet).unwrap();
            0
        }))
        .unwrap();
        let tasklet = told.recv().unwrap();
        assert!(tasklet.is_alive());
        addr.stop();
        join(tasklet);
    });
}

#[test]
fn a_program_ends_when_its_actors_have_no_work_left() {
    struct Countdown {
        next: Option<Addr<Countdown>>,
        ends: Sender<String>,
    }
    #[derive(Message)]
    struct Count(u32);
    #[derive(Message)]
    struct Next(Addr<Countdown>);
    impl Actor for Countdown {
        fn stopped(&mut self, reason: &ExitReason) {
            let _ = self.ends.send(reason.to_string());
        }
    }
    impl Handler<Next> for Countdown {
        fn handle(&mut self, Next(next): Next, _: &mut Context<Self>) {
            self.next = Some(next);
        }
    }
    impl Handler<Count> for Countdown {
        fn handle(&mut self, Count(n): Count, _: &mut Context<Self>) {
            if n.is_multiple_of(1_000) {
                Tasklet::sleep(SHORT);
            }
            match n.checked_sub(1) {
                Some(n) => self.next.as_ref().unwrap().send(Count(n)).unwrap(),
                None => self.ends.send("zero".into()).unwrap(),
            }
        }
    }
    let (ends, ended) = channel();
    let code = finish(move || {
        dispatch(move || {
            let ring: Vec<_> = (0..3)
                .map(|worker| {
                    let builder = Addr::builder().placement(Placement::Worker(worker));
                    let ends = ends.clone();
                    builder.spawn(Countdown { next: None, ends }).unwrap()
                })
                .collect();
            for (n, addr) in ring.iter().enumerate() {
                addr.send(Next(ring[(n + 1) % 3].clone())).unwrap();
            }
            ring[0].send(Count(5_000)).unwrap();
            // Main ends here, long before they do.
        })
    });
    assert_eq!(text(code), text(std::process::ExitCode::SUCCESS));
    let ended: Vec<_> = ended.try_iter().collect();
    assert_eq!(
        ended,
        ["zero", "was shut down", "was shut down", "was shut down"]
    );
}

#[test]
fn messages_are_put_aside_and_taken_up_again() {
    #[derive(Default)]
    struct Door {
        open: bool,
        through: Vec<usize>,
    }
    impl Actor for Door {}
    #[derive(Message)]
    struct Pass(usize);
    #[derive(Message)]
    struct Open;
    #[derive(Message)]
    #[message(reply = Vec<usize>)]
    struct Who;
    impl Handler<Pass> for Door {
        fn handle(&mut self, Pass(n): Pass, ctx: &mut Context<Self>) {
            if self.open {
                self.through.push(n);
            } else {
                ctx.stash(Pass(n));
            }
        }
    }
    impl Handler<Open> for Door {
        fn handle(&mut self, _: Open, ctx: &mut Context<Self>) {
            self.open = true;
            ctx.unstash_all();
        }
    }
    impl Accepts<Who> for Door {
        fn accept(&mut self, _: Who, reply: ReplyTo<Vec<usize>>, ctx: &mut Context<Self>) {
            if self.open {
                reply.send(self.through.clone());
            } else {
                ctx.stash_call(Who, reply);
            }
        }
    }
    run(|| {
        let door = Addr::spawn(Door::default());
        door.send(Pass(1)).unwrap();
        door.send(Pass(2)).unwrap();
        let asks = {
            let door = door.clone();
            spawn(move || door.call(Who))
        };
        wait_until_it_waits(&asks, "waits for a reply");
        door.send(Open).unwrap();
        door.send(Pass(3)).unwrap();
        assert_eq!(join(asks), Ok(vec![1, 2]));
        assert_eq!(door.call(Who), Ok(vec![1, 2, 3]));
    });
}

#[test]
fn timers_and_work_aside_come_as_messages() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        addr.send_after(Say(1), SHORT);
        addr.send(deed(|_, ctx| {
            ctx.pipe(|| {
                Tasklet::sleep(SHORT);
                Say(2)
            });
            ctx.send_after(Say(3), SHORT);
            let late = ctx.send_after(Say(4), PATIENCE * 100);
            assert!(late.cancel());
            0
        }))
        .unwrap();
        let mut said = Vec::new();
        wait_until(|| {
            said.extend(told.try_iter());
            said.len() >= 4
        });
        said.sort();
        assert_eq!(said, ["1", "2", "3", "started"]);
        // Timers of one that has ended are gone, and keep nobody.
        let late = addr.send_after(Say(5), PATIENCE * 100);
        addr.stop();
        reason(&addr);
        wait_until(|| !late.cancel());
    });
}

#[test]
fn addresses_of_all_kinds_are_of_one_actor() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let say: Recipient<Say> = addr.recipient();
        assert_eq!(say, Recipient::from(&addr));
        assert_eq!(say.pid(), addr.pid());
        say.send(Say(1)).unwrap();
        let weak: WeakAddr<_> = addr.downgrade();
        assert_eq!(weak.upgrade().as_ref(), Some(&addr));
        thread::spawn({
            let addr = addr.clone();
            move || addr.send(Say(2)).unwrap()
        })
        .join()
        .unwrap();
        let from_thread = addr.clone();
        let answer = block_on_thread(move || from_thread.call(deed(|_, _| 3)));
        assert_eq!(answer, Ok(3));
        let all: Vec<_> = told.try_iter().collect();
        assert_eq!(all, ["started", "1", "2"]);
    });
}

/// Spawned everywhere, sent to from everywhere, moved from worker to worker, stopped and killed.
#[test]
fn nothing_is_lost_in_a_storm() {
    const ACTORS: usize = 400;
    const SENDERS: usize = 6;
    const EACH: usize = 20_000;
    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    struct Tally {
        got: Arc<AtomicUsize>,
        next: [usize; SENDERS],
    }
    #[derive(Message)]
    struct From(usize, usize);
    impl Actor for Tally {}
    impl Handler<From> for Tally {
        fn handle(&mut self, From(sender, n): From, _: &mut Context<Self>) {
            assert!(n >= self.next[sender], "{n} of {sender} has been overtaken");
            self.next[sender] = n + 1;
            self.got.fetch_add(1, Ordering::Relaxed);
            // Long enough for backlogs, and so for moves.
            std::hint::black_box((0..200).fold(n, |a, b| a ^ b));
            if n.is_multiple_of(997) {
                Tasklet::yield_now();
            }
        }
    }
    impl Drop for Tally {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }
    run_within(Duration::from_secs(20), || {
        let got = Arc::new(AtomicUsize::new(0));
        // All on one worker, so that the others must take some.
        let actors: Arc<Vec<_>> = Arc::new(
            (0..ACTORS)
                .map(|n| {
                    ALIVE.fetch_add(1, Ordering::SeqCst);
                    // Senders wait for room in some, and are gone on when those have moved.
                    let mailbox = match n % 3 {
                        0 => Mailbox::bounded(4, Overflow::Block),
                        _ => Mailbox::unbounded(),
                    };
                    let builder = Addr::builder().placement(Placement::Worker(0));
                    let builder = builder.mailbox(mailbox);
                    let tally = Tally {
                        got: got.clone(),
                        next: [0; SENDERS],
                    };
                    builder.spawn(tally).unwrap()
                })
                .collect(),
        );
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let actors = actors.clone();
                spawn_on(sender % WORKERS, move || {
                    let mut seed = sender as u64;
                    for n in 0..EACH {
                        let to = random(&mut seed) as usize % ACTORS;
                        actors[to].send(From(sender, n)).unwrap();
                        if n % 64 == 0 {
                            Tasklet::yield_now();
                        }
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(join);
        // Half are asked to stop, half are left without an address.
        let weak: Vec<_> = actors.iter().map(Addr::downgrade).collect();
        actors.iter().step_by(2).for_each(Addr::stop);
        drop(actors);
        wait_until(|| weak.iter().all(|weak| weak.upgrade().is_none()));
        assert_eq!(got.load(Ordering::SeqCst), SENDERS * EACH);
        assert_eq!(ALIVE.load(Ordering::SeqCst), 0);
    });
}
