//! Ends, and who hears of them: links and monitors, between tasklets and actors in any mixture.

mod common;

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
                    text.contains("no luck") && text.contains("exits.rs"),
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

#[test]
fn links_break_both_ways_in_any_mixture() {
    run(|| {
        for (one, other) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            for how in ENDS {
                for first_ends in [true, false] {
                    let (one, other) = (Being::spawn(one), Being::spawn(other));
                    one.link_to(&other);
                    let (ends, stays) = if first_ends {
                        (&one, &other)
                    } else {
                        (&other, &one)
                    };
                    ends.end(how);
                    if how.is_abnormal() {
                        stays.assert_has_fallen_with(ends);
                    } else {
                        ends.wait();
                        how.assert_is(&exit_of(ends).reason);
                        assert_eq!(stays.run(|| 7), 7);
                        stays.end(End::Normal);
                        stays.wait();
                        End::Normal.assert_is(&exit_of(stays).reason);
                    }
                }
            }
        }
    });
}

#[test]
fn who_traps_exits_hears_of_linked_ends_and_lives() {
    run(|| {
        for (one, other) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            for how in ENDS {
                let (trapper, told) = Being::trapping(one);
                let other = Being::spawn(other);
                // Twice is once.
                trapper.link_to(&other);
                other.link_to(&trapper);
                other.end(how);
                let exit = heard(&told);
                assert_eq!((exit.pid, exit.linked), (other.pid(), true));
                assert_eq!(*exit.name, other.name());
                how.assert_is(&exit.reason);
                assert!(trapper.run(move || told.try_recv()).is_err());
            }
        }
    });
}

#[test]
fn a_tasklet_can_stop_trapping() {
    run(|| {
        let (trapper, told) = Being::trapping(Kind::Tasklet);
        let [one, other] = KINDS.map(Being::spawn);
        trapper.link_to(&one);
        one.end(End::Killed);
        heard(&told);
        trapper.run(|| Tasklet::trap_exits(false));
        trapper.link_to(&other);
        other.end(End::Killed);
        trapper.assert_has_fallen_with(&other);
    });
}

#[test]
fn monitors_tell_who_and_why_and_take_nobody_along() {
    run(|| {
        for (watcher, subject) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            for how in ENDS {
                // Actors that do not trap take no notice.
                let meek = Being::spawn(watcher);
                let (watcher, told) = Being::trapping(watcher);
                let subject = Being::spawn(subject);
                for watcher in [&meek, &watcher] {
                    let subject = subject.clone();
                    let pid = subject.pid();
                    let monitored = watcher.run(move || subject.monitor().pid());
                    assert_eq!(monitored, pid);
                }
                subject.end(how);
                let exit = heard(&told);
                assert_eq!((exit.pid, exit.linked), (subject.pid(), false));
                assert_eq!(*exit.name, subject.name());
                how.assert_is(&exit.reason);
                for watcher in [&meek, &watcher] {
                    assert_eq!(watcher.run(|| 7), 7);
                }
                assert!(told.try_recv().is_err());
            }
        }
    });
}

#[test]
fn the_other_reasons_are_told_as_well() {
    run(|| {
        // Nobody can reach it.
        let addr = Addr::spawn(Meek);
        addr.monitor();
        let pid = addr.pid();
        drop(addr);
        let exit = next_exit();
        assert_eq!(exit.pid, pid);
        assert!(matches!(exit.reason, ExitReason::Unreachable), "{exit}");
        // Its supervisor ends.
        let child = Child::new("meek", || Meek);
        let addr = child.addr();
        let supervisor = Addr::spawn(Supervisor::one_for_one().child(child));
        assert_eq!(Being::Meek(addr.clone()).run(|| 7), 7);
        addr.monitor();
        supervisor.stop();
        let exit = next_exit();
        assert_eq!((exit.pid, &*exit.name), (addr.pid(), "meek"));
        assert!(matches!(exit.reason, ExitReason::Shutdown), "{exit}");
        // It cannot start.
        struct Stillborn;
        impl Actor for Stillborn {
            fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
                Err("no sugar".into())
            }
        }
        let addr = Addr::spawn(Stillborn);
        addr.monitor();
        End::Failed.assert_is(&next_exit().reason);
    });
}

#[test]
fn what_has_ended_is_told_at_once() {
    run(|| {
        for kind in KINDS {
            for how in ENDS {
                let subject = Being::spawn(kind);
                subject.end(how);
                subject.wait();
                for _ in 0..2 {
                    let exit = exit_of(&subject);
                    assert_eq!(exit.pid, subject.pid());
                    how.assert_is(&exit.reason);
                }
                let monitor = subject.monitor();
                assert!(!monitor.cancel());
                assert_eq!(next_exit().pid, subject.pid());
                for linked in KINDS {
                    let (trapper, told) = Being::trapping(linked);
                    trapper.link_to(&subject);
                    how.assert_is(&heard(&told).reason);
                    let linked = Being::spawn(linked);
                    let to = subject.clone();
                    linked.tell(move || {
                        to.link();
                        Then::Go
                    });
                    if how.is_abnormal() {
                        linked.assert_has_fallen_with(&subject);
                    } else {
                        assert_eq!(linked.run(|| 7), 7);
                    }
                }
            }
        }
    });
}

/// Begun at the same moment as the end: told once, neither never nor twice.
#[test]
fn no_word_is_lost_or_doubled_at_the_moment_of_an_end() {
    const ROUNDS: usize = 300;
    const WATCHERS: usize = 2 * WORKERS;
    run(|| {
        for round in 0..ROUNDS {
            let kind = KINDS[round % 2];
            let how = ENDS[round % ENDS.len()];
            let (subject, _) = Being::spawn_on(round % WORKERS, kind, false);
            let ready = Arc::new(AtomicUsize::new(0));
            // All at once, or as nearly as spinning can make it.
            let meet = {
                let ready = ready.clone();
                move || {
                    ready.fetch_add(1, Ordering::SeqCst);
                    while ready.load(Ordering::SeqCst) < WATCHERS + 1 {
                        Tasklet::yield_now();
                        thread::yield_now();
                    }
                }
            };
            let watchers: Vec<_> = (0..WATCHERS)
                .map(|n| {
                    let (subject, meet) = (subject.clone(), meet.clone());
                    spawn_on(n % WORKERS, move || {
                        Tasklet::trap_exits(true);
                        meet();
                        let linked = n < WORKERS;
                        if linked {
                            subject.link();
                        } else {
                            subject.monitor();
                        }
                        let exit = next_exit();
                        assert_eq!((exit.pid, exit.linked), (subject.pid(), linked));
                        how.assert_is(&exit.reason);
                        subject.wait();
                        assert_eq!(Tasklet::pending(), 0);
                    })
                })
                .collect();
            meet();
            subject.end(how);
            watchers.into_iter().for_each(join);
        }
    });
}

#[test]
fn a_monitor_is_cancelled() {
    run(|| {
        for kind in KINDS {
            let subject = Being::spawn(kind);
            let [first, second, third] = [(); 3].map(|()| subject.monitor());
            assert!(first.cancel());
            drop(third);
            subject.end(End::Killed);
            for _ in 0..2 {
                assert_eq!(next_exit().pid, subject.pid());
            }
            subject.wait();
            assert!(!second.cancel());
            assert_eq!(Tasklet::pending(), 0);
        }
    });
}

#[test]
fn a_link_is_taken_back_from_either_side() {
    run(|| {
        for (one, other) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            for first_takes_back in [true, false] {
                let (one, other) = (Being::spawn(one), Being::spawn(other));
                one.link_to(&other);
                let (from, to) = if first_takes_back {
                    (&one, other.clone())
                } else {
                    (&other, one.clone())
                };
                from.run(move || to.unlink());
                other.end(End::Killed);
                other.wait();
                assert_eq!(one.run(|| 7), 7);
            }
        }
    });
}

#[test]
fn a_link_with_oneself_is_none() {
    run(|| {
        for kind in KINDS {
            let (trapper, told) = Being::trapping(kind);
            trapper.link_to(&trapper);
            trapper.run({
                let trapper = trapper.clone();
                move || {
                    trapper.monitor();
                    trapper.unlink();
                }
            });
            trapper.end(End::Panicked);
            trapper.wait();
            assert!(told.try_recv().is_err());
        }
    });
}

#[test]
fn a_chain_falls_from_any_place() {
    const LEN: usize = 1_000;
    for broken in [0, LEN / 2, LEN - 1] {
        run(move || {
            let chain: Vec<_> = (0..LEN)
                .map(|n| Being::spawn_on(n % WORKERS, KINDS[n % 2], false).0)
                .collect();
            for pair in chain.windows(2) {
                pair[0].link_to(&pair[1]);
            }
            chain[broken].end(End::Panicked);
            chain.iter().for_each(Being::wait);
            assert!(chain.iter().all(|being| !being.is_alive()));
        });
    }
}

#[test]
fn a_ring_and_a_clique_fall_once() {
    run(|| {
        let ring: Vec<_> = (0..10)
            .map(|n| Being::spawn_on(n % WORKERS, KINDS[n % 2], false).0)
            .collect();
        for (n, being) in ring.iter().enumerate() {
            being.link_to(&ring[(n + 1) % ring.len()]);
        }
        ring[3].end(End::Failed);
        ring.iter().for_each(Being::wait);

        let (outside, told) = Being::trapping(Kind::Actor);
        let clique: Vec<_> = (0..12)
            .map(|n| Being::spawn_on(n % WORKERS, KINDS[n % 2], false).0)
            .collect();
        for one in &clique {
            outside.link_to(one);
            clique.iter().for_each(|other| one.link_to(other));
        }
        clique[5].end(End::Killed);
        clique.iter().for_each(Being::wait);
        let mut fallen: Vec<_> = clique.iter().map(|_| heard(&told).pid).collect();
        fallen.sort();
        let mut all: Vec<_> = clique.iter().map(Being::pid).collect();
        all.sort();
        assert_eq!(fallen, all);
        assert!(outside.run(move || told.try_recv()).is_err());
    });
}

#[test]
fn one_takes_a_thousand_along() {
    run(|| {
        let hub = Being::spawn(Kind::Actor);
        let spokes: Vec<_> = (0..1_000)
            .map(|n| Being::spawn_on(n % WORKERS, KINDS[n % 2], false).0)
            .collect();
        spokes.iter().for_each(|spoke| spoke.link_to(&hub));
        hub.end(End::Killed);
        spokes.iter().for_each(Being::wait);
    });
}

#[test]
fn word_of_an_end_takes_no_room() {
    struct Reader {
        got: Sender<String>,
    }
    impl Actor for Reader {
        fn exited(&mut self, exit: Exit, _: &mut Context<Self>) {
            let _ = self.got.send(format!("exit of {}", exit.name));
        }
    }
    impl Handler<Say> for Reader {
        fn handle(&mut self, Say(n): Say, _: &mut Context<Self>) {
            let _ = self.got.send(n.to_string());
        }
    }
    impl Handler<Do> for Reader {
        fn handle(&mut self, Do(deed): Do, _: &mut Context<Self>) {
            deed();
        }
    }
    fn subjects() -> Vec<Being> {
        (0..20).map(|n| Being::spawn(KINDS[n % 2])).collect()
    }
    for overflow in [
        Overflow::Block,
        Overflow::Fail,
        Overflow::DropNewest,
        Overflow::DropOldest,
    ] {
        for kind in KINDS {
            run(move || {
                let (got, all) = channel();
                let mailbox = Mailbox::bounded(2, overflow);
                let (shut, begun) = (Gate::new(), Gate::new());
                let subjects = subjects();
                let watch = {
                    let (subjects, shut, begun) = (subjects.clone(), shut.clone(), begun.clone());
                    move || {
                        subjects.iter().for_each(|subject| drop(subject.monitor()));
                        begun.open();
                        shut.pass();
                    }
                };
                type Send = Box<dyn Fn(usize) -> Result<(), SendError<Say>>>;
                let (send, stop): (Send, Box<dyn Fn()>) = match kind {
                    Kind::Tasklet => {
                        let read = move || {
                            watch();
                            for message in Tasklet::receive() {
                                match_message!(match message {
                                    Say(n) => drop(got.send(n.to_string())),
                                    exit @ Exit { .. } =>
                                        drop(got.send(format!("exit of {}", exit.name))),
                                });
                            }
                        };
                        let reader = Tasklet::with_mailbox(mailbox).spawn(read).unwrap();
                        let stop = reader.tasklet().clone();
                        (
                            Box::new(move |n| reader.try_send(Say(n))),
                            Box::new(move || stop.stop()),
                        )
                    }
                    Kind::Actor => {
                        let reader = Addr::builder().mailbox(mailbox).spawn(Reader { got });
                        let reader = reader.unwrap();
                        let deed = Do(Box::new(move || {
                            watch();
                            Then::Go
                        }));
                        reader.send(deed).unwrap();
                        let stop = reader.clone();
                        (
                            Box::new(move |n| reader.try_send(Say(n))),
                            Box::new(move || stop.stop()),
                        )
                    }
                };
                begun.pass();
                send(1).unwrap();
                send(2).unwrap();
                let (first, rest) = subjects.split_at(10);
                for subject in first {
                    subject.end(End::Normal);
                    subject.wait();
                }
                let full = send(3);
                let kept = match overflow {
                    Overflow::Block | Overflow::Fail => {
                        assert_eq!(full, Err(SendError::Full(Say(3))));
                        ["1", "2"]
                    }
                    Overflow::DropNewest => ["1", "2"],
                    Overflow::DropOldest => ["2", "3"],
                };
                shut.open();
                let mut got = Vec::new();
                wait_until(|| {
                    got.extend(all.try_iter());
                    got.len() == 12
                });
                let (exits, said): (Vec<_>, Vec<_>) =
                    got.into_iter().partition(|text| text.starts_with("exit"));
                assert_eq!((exits.len(), said), (10, Vec::from(kept.map(String::from))));
                // There is as much room as before, and no more.
                for subject in rest {
                    subject.end(End::Killed);
                    subject.wait();
                }
                let mut exits = 0;
                wait_until(|| {
                    exits += all.try_iter().count();
                    exits == 10
                });
                if matches!(overflow, Overflow::Block | Overflow::Fail) {
                    send(4).unwrap();
                    send(5).unwrap();
                    assert_eq!(send(6), Err(SendError::Full(Say(6))));
                }
                stop();
            });
        }
    }
}

/// From whatever worker it was sent, and to whatever kind.
#[test]
fn word_of_an_end_comes_after_what_had_been_sent() {
    const SAID: usize = 50;
    struct Listener {
        said: usize,
        done: Sender<usize>,
    }
    impl Actor for Listener {
        fn exited(&mut self, _: Exit, ctx: &mut Context<Self>) {
            self.done.send(self.said).unwrap();
            ctx.stop();
        }
    }
    impl Handler<Say> for Listener {
        fn handle(&mut self, _: Say, _: &mut Context<Self>) {
            self.said += 1;
        }
    }
    #[derive(Message)]
    struct Watch(Being);
    impl Handler<Watch> for Listener {
        fn handle(&mut self, Watch(being): Watch, _: &mut Context<Self>) {
            being.monitor();
        }
    }
    run(|| {
        for round in 0..100 {
            let how = ENDS[round % ENDS.len()];
            let (speaker, _) = Being::spawn_on(round % WORKERS, KINDS[round % 2], false);
            let (done, finished) = channel();
            let listener = Addr::spawn(Listener { said: 0, done });
            let heard = Gate::new();
            let tasklet = {
                let (speaker, heard) = (speaker.clone(), heard.clone());
                spawn(move || {
                    let _reachable = Tasklet::current();
                    speaker.monitor();
                    heard.open();
                    let mut said = 0;
                    loop {
                        let message = promptly(Tasklet::receive_timeout).unwrap();
                        if message.is::<Exit>() {
                            return said;
                        }
                        said += 1;
                    }
                })
            };
            heard.pass();
            listener.send(Watch(speaker.clone())).unwrap();
            let (to, also) = (listener.clone(), tasklet.tasklet().clone());
            speaker.tell(move || {
                for n in 0..SAID {
                    to.send(Say(n)).unwrap();
                    also.send(Say(n)).unwrap();
                }
                Then::Go
            });
            if how == End::Killed {
                speaker.run(|| ());
            }
            speaker.end(how);
            assert_eq!(join(tasklet), SAID);
            promptly(|limit| listener.join_timeout(limit)).unwrap();
            assert_eq!(finished.try_recv(), Ok(SAID));
        }
    });
}

/// Keeps the rights to answer: in itself, put aside, or with others.
struct Debtor {
    owed: Vec<ReplyTo<usize>>,
    aside: bool,
}

#[derive(Message)]
struct Finish(End);

impl Actor for Debtor {}

impl Accepts<Ask> for Debtor {
    fn accept(&mut self, ask: Ask, reply: ReplyTo<usize>, ctx: &mut Context<Self>) {
        if self.aside {
            ctx.stash_call(ask, reply);
        } else {
            self.owed.push(reply);
        }
    }
}

impl Handler<Finish> for Debtor {
    fn handle(&mut self, Finish(how): Finish, ctx: &mut Context<Self>) {
        match how {
            End::Normal => ctx.stop(),
            End::Stopped => ctx.addr().stop_now(),
            End::Killed => ctx.addr().kill(),
            End::Panicked => panic!("no luck"),
            End::Failed => ctx.fail("no sugar"),
        }
    }
}

#[test]
fn calls_whose_answer_was_put_off_end_with_the_one_that_owed_it() {
    run(|| {
        for how in ENDS {
            for aside in [false, true] {
                let owed = Vec::new();
                let debtor = Addr::spawn(Debtor { owed, aside });
                let callers: Vec<_> = (0..WORKERS)
                    .map(|worker| {
                        let debtor = debtor.clone();
                        spawn_on(worker, move || debtor.call(Ask(1)))
                    })
                    .collect();
                callers
                    .iter()
                    .for_each(|caller| wait_until_it_waits(caller, "waits for a reply"));
                // Handled after the calls.
                debtor.send(Finish(how)).unwrap();
                for caller in callers {
                    assert_eq!(join(caller), Err(CallError::Ended), "{how:?}");
                }
            }
        }
    });
}

#[test]
fn calls_in_every_state_end_with_the_one_that_is_called() {
    struct Busy(Gate);
    impl Actor for Busy {}
    impl Handler<Ask> for Busy {
        fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> usize {
            self.0.open();
            Tasklet::sleep(PATIENCE * 100);
            7
        }
    }
    run(|| {
        for worker in 0..WORKERS {
            let begun = Gate::new();
            let busy = Addr::builder().placement(Placement::Worker(worker));
            let busy = busy.spawn(Busy(begun.clone())).unwrap();
            let call = |busy: &Addr<Busy>| {
                let busy = busy.clone();
                let caller = spawn(move || busy.call(Ask(1)));
                wait_until_it_waits(&caller, "waits for a reply");
                caller
            };
            let handled = call(&busy);
            begun.pass();
            let waits = call(&busy);
            // From an actor, and from a thread.
            let from_actor = Being::spawn(Kind::Actor);
            let (tell, told) = channel();
            let called = busy.clone();
            from_actor.tell(move || {
                tell.send(called.call(Ask(1))).unwrap();
                Then::Go
            });
            let called = busy.clone();
            let thread = thread::spawn(move || called.call(Ask(1)));
            busy.kill();
            assert_eq!(join(handled), Err(CallError::Ended));
            assert_eq!(join(waits), Err(CallError::Ended));
            from_actor.run(|| ());
            assert_eq!(told.try_recv(), Ok(Err(CallError::Ended)));
            assert_eq!(thread.join().unwrap(), Err(CallError::Ended));
        }
    });
}

#[test]
fn a_call_that_a_tasklet_has_taken_ends_with_it() {
    run(|| {
        let taken = Gate::new();
        let open = taken.clone();
        let server = spawn(move || {
            let call = Tasklet::receive_one().unwrap().downcast_call::<Ask>();
            open.open();
            Tasklet::sleep(PATIENCE * 100);
            drop(call);
        });
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let server = server.tasklet().clone();
                let caller = spawn(move || server.call(Ask(1)));
                wait_until_it_waits(&caller, "waits for a reply");
                caller
            })
            .collect();
        taken.pass();
        server.kill();
        for caller in callers {
            assert_eq!(join(caller), Err(CallError::Ended));
        }
    });
}

/// A call that has been handed on is answered by whoever has it.
#[test]
fn a_call_that_was_handed_on_does_not_end_with_the_first() {
    run(|| {
        let owed = Vec::new();
        let debtor = Addr::spawn(Debtor { owed, aside: false });
        let caller = {
            let debtor = debtor.clone();
            spawn(move || debtor.call(Ask(1)))
        };
        wait_until_it_waits(&caller, "waits for a reply");
        #[derive(Message)]
        struct HandOver(Sender<ReplyTo<usize>>);
        impl Handler<HandOver> for Debtor {
            fn handle(&mut self, HandOver(to): HandOver, _: &mut Context<Self>) {
                to.send(self.owed.pop().unwrap()).unwrap();
            }
        }
        let (to, handed) = channel();
        debtor.send(HandOver(to)).unwrap();
        debtor.send(Finish(End::Panicked)).unwrap();
        promptly(|limit| debtor.join_timeout(limit)).unwrap();
        handed.recv().unwrap().send(9);
        assert_eq!(join(caller), Ok(9));
    });
}

/// What hangs in `stopped` can be killed.
#[test]
fn a_kill_reaches_one_that_is_about_to_end() {
    struct Lingering(Gate, Gate);
    impl Actor for Lingering {
        fn stopped(&mut self, _: &ExitReason) {
            self.0.open();
            Tasklet::sleep(PATIENCE * 100);
        }
    }
    impl Drop for Lingering {
        fn drop(&mut self) {
            self.1.open();
        }
    }
    run(|| {
        for worker in 0..WORKERS {
            let [stopping, dropped] = [(); 2].map(|()| Gate::new());
            let builder = Addr::builder().placement(Placement::Worker(worker));
            let lingering = Lingering(stopping.clone(), dropped.clone());
            let addr = builder.spawn(lingering).unwrap();
            addr.monitor();
            addr.stop();
            stopping.pass();
            addr.kill();
            assert!(matches!(next_exit().reason, ExitReason::Killed));
            assert!(dropped.is_open());
        }
    });
}

#[test]
fn a_panic_in_stopped_hides_nothing() {
    struct Clumsy(Count);
    impl Actor for Clumsy {
        fn stopped(&mut self, _: &ExitReason) {
            panic!("no luck");
        }
    }
    impl Drop for Clumsy {
        fn drop(&mut self) {
            self.0.up();
        }
    }
    run(|| {
        let dropped = Count::new();
        let addr = Addr::spawn(Clumsy(dropped.clone()));
        addr.monitor();
        addr.stop();
        assert!(matches!(next_exit().reason, ExitReason::Stopped));
        assert_eq!(dropped.get(), 1);
    });
}

/// The word that comes to one that has ended is dropped.
#[test]
fn the_dead_are_told_nothing() {
    run(|| {
        for (one, other) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            let (one, other) = (Being::spawn(one), Being::spawn(other));
            let subject = other.clone();
            one.run(move || drop((subject.monitor(), subject.link())));
            one.end(End::Normal);
            one.wait();
            other.end(End::Killed);
            other.wait();
            End::Normal.assert_is(&exit_of(&one).reason);
            End::Killed.assert_is(&exit_of(&other).reason);
        }
    });
}

#[test]
fn a_plain_thread_cannot_watch() {
    run(|| {
        let addr = Addr::spawn(Meek);
        let thread = thread::spawn(move || {
            let [monitor, link, unlink] = [Being::watch, Being::link, Being::unlink];
            for f in [monitor, link, unlink] {
                let addr = Being::Meek(addr.clone());
                let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&addr)));
                assert!(refused.is_err());
            }
        });
        wait_until(|| thread.is_finished());
        thread.join().unwrap();
    });
}

impl Being {
    fn watch(&self) {
        self.monitor();
    }
}

#[test]
fn a_tasklet_that_has_no_time_hears_later() {
    run(|| {
        let subject = Being::spawn(Kind::Actor);
        let watcher = spawn(move || {
            let _reachable = Tasklet::current();
            subject.monitor();
            subject.end(End::Killed);
            subject.wait();
            // It is there by the time the end can be seen.
            let there = Tasklet::try_receive().is_some_and(|message| message.is::<Exit>());
            let more = Tasklet::receive_timeout(SHORT).err();
            (there, more)
        });
        assert_eq!(join(watcher), (true, Some(ReceiveError::Timeout)));
    });
}

/// The start wakes those who wait for the end, and must not be all that does.
#[test]
fn a_join_that_begins_before_the_start_hears_of_the_end() {
    struct Slow(Gate);
    impl Actor for Slow {
        fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
            self.0.pass();
            Ok(())
        }
    }
    impl Handler<Ask> for Slow {
        fn handle(&mut self, Ask(n): Ask, _: &mut Context<Self>) -> usize {
            n
        }
    }
    run(|| {
        let shut = Gate::new();
        let slow = Addr::spawn(Slow(shut.clone()));
        let joining: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let slow = slow.clone();
                let joining = spawn_on(worker, move || {
                    promptly(|limit| slow.join_timeout(limit))
                        .unwrap()
                        .to_string()
                });
                wait_until_it_waits(&joining, "waits for the end");
                joining
            })
            .collect();
        shut.open();
        assert_eq!(slow.call(Ask(7)), Ok(7));
        // Those that were woken get to look.
        for _ in 0..100 {
            Tasklet::yield_now();
            thread::yield_now();
        }
        slow.stop();
        // One that loses its last reference is woken by that.
        let _referenced: Vec<_> = joining
            .iter()
            .map(|handle| handle.tasklet().clone())
            .collect();
        for joining in joining {
            assert_eq!(join(joining), "was asked to stop");
        }
    });
}
