//! What actors must bear: kills and panics at odd moments, and neighbours that never rest.

mod common;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actor_core::{
    Accepts, Actor, Addr, BoxError, CallError, Child, Context, DeadLetter, ExitReason, Handler,
    Mailbox, Message, Overflow, Placement, Recipient, ReplyTo, Supervisor, Tasklet,
    subscribe_dead_letters, tasklet_local,
};
use common::*;

extern crate actor_core as concurrence;

#[track_caller]
fn reason<A: Actor>(addr: &Addr<A>) -> ExitReason {
    promptly(|limit| addr.join_timeout(limit)).expect("the actor ends")
}

/// Never rests.
struct Busy {
    world: Arc<World>,
    index: usize,
    pinned: bool,
}

struct World {
    over: AtomicBool,
    counts: Vec<AtomicU64>,
}

#[derive(Message)]
struct Go;

tasklet_local! {
    static PIN: Cell<u32> = Cell::new(0);
}

impl Actor for Busy {}

impl Handler<Go> for Busy {
    fn handle(&mut self, _: Go, ctx: &mut Context<Self>) {
        if self.pinned {
            PIN.with(|pin| pin.set(1));
        }
        for _ in 0..2_000 {
            std::hint::spin_loop();
        }
        self.world.counts[self.index].fetch_add(1, Ordering::Relaxed);
        if !self.world.over.load(Ordering::Relaxed) {
            let _ = ctx.addr().send(Go);
        }
    }
}

/// Each of `many` on one worker gets on, however busy all are.
fn all_get_on(many: usize, pinned: bool) {
    run(move || {
        let world = Arc::new(World {
            over: AtomicBool::new(false),
            counts: (0..many).map(|_| AtomicU64::new(0)).collect(),
        });
        let actors: Vec<_> = (0..many)
            .map(|index| {
                let world = world.clone();
                let builder = Addr::builder().placement(Placement::Worker(0));
                let addr = builder
                    .spawn(Busy {
                        world,
                        index,
                        pinned,
                    })
                    .unwrap();
                addr.send(Go).unwrap();
                addr
            })
            .collect();
        for _ in 0..20 {
            let seen: Vec<_> = world
                .counts
                .iter()
                .map(|n| n.load(Ordering::Relaxed))
                .collect();
            wait_until(|| {
                let mut now = world.counts.iter().map(|n| n.load(Ordering::Relaxed));
                seen.iter().all(|seen| now.next().unwrap() > *seen)
            });
        }
        world.over.store(true, Ordering::Relaxed);
        for actor in &actors {
            actor.stop();
            reason(actor);
        }
    });
}

#[test]
fn actors_that_never_rest_all_get_on() {
    all_get_on(20, false);
}

#[test]
fn actors_that_cannot_move_all_get_on() {
    for many in [3, 5, 9] {
        all_get_on(many, true);
    }
}

#[test]
fn a_kill_before_the_start_is_heeded() {
    struct Endless(Gate);
    impl Actor for Endless {
        fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
            self.0.open();
            loop {
                Tasklet::sleep(SHORT);
            }
        }
    }
    run(|| {
        let begun = Gate::new();
        let addr = Addr::spawn(Endless(begun.clone()));
        addr.kill();
        assert!(matches!(reason(&addr), ExitReason::Killed));
        assert!(!begun.is_open());
    });
}

struct Boom;

impl Actor for Boom {}

impl Handler<Go> for Boom {
    fn handle(&mut self, _: Go, _: &mut Context<Self>) {
        std::panic::resume_unwind(Box::new("boom"));
    }
}

#[test]
fn kills_that_come_while_an_end_is_told_harm_nobody() {
    const ROUNDS: usize = 30;
    const WATCHERS: usize = 300;
    run(|| {
        let child = Child::new("boom", || Boom);
        let addr = child.addr();
        let supervisor = Supervisor::one_for_one().intensity(usize::MAX, SHORT);
        let supervisor = Addr::spawn(supervisor.child(child));
        let over = Arc::new(AtomicBool::new(false));
        let killer = {
            let (addr, over) = (addr.clone(), over.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    addr.kill();
                    std::thread::yield_now();
                }
            })
        };
        for _ in 0..ROUNDS {
            for _ in 0..WATCHERS {
                addr.monitor();
            }
            let _ = addr.send(Go);
            for _ in 0..WATCHERS {
                promptly(Tasklet::receive_timeout).unwrap();
            }
        }
        over.store(true, Ordering::Relaxed);
        killer.join().unwrap();
        supervisor.stop();
        reason(&supervisor);
    });
}

#[test]
fn destructors_that_panic_end_nobody_else() {
    struct Nasty;
    impl Message for Nasty {
        type Reply = ();
    }
    impl Drop for Nasty {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "nasty");
        }
    }
    #[derive(Debug)]
    struct NastyError;
    impl std::fmt::Display for NastyError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("nasty")
        }
    }
    impl std::error::Error for NastyError {}
    impl Drop for NastyError {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "nasty");
        }
    }
    struct Target;
    impl Actor for Target {}
    impl Handler<Nasty> for Target {
        fn handle(&mut self, message: Nasty, ctx: &mut Context<Self>) {
            std::mem::forget(message);
            ctx.fail(NastyError);
        }
    }
    run(|| {
        // In a timer, in a mailbox, as a reason.
        let addr = Addr::spawn(Target);
        addr.send_after(Nasty, PATIENCE);
        addr.stop();
        assert!(matches!(reason(&addr), ExitReason::Stopped));
        let addr = Addr::spawn(Target);
        addr.send(Nasty).unwrap();
        addr.kill();
        assert!(matches!(reason(&addr), ExitReason::Killed));
        let child = Child::new("target", || Target);
        let addr = child.addr();
        let supervisor = Addr::spawn(Supervisor::one_for_one().child(child));
        addr.send(Nasty).unwrap();
        wait_until(|| addr.is_alive());
        supervisor.stop();
        reason(&supervisor);
    });
}

/// Puts all aside until it is opened.
#[derive(Default)]
struct Door {
    open: bool,
    seen: u32,
}

#[derive(Message)]
struct Pass;

#[derive(Message)]
struct Open;

#[derive(Message)]
#[message(reply = u32)]
struct Seen;

impl Actor for Door {}

impl Handler<Pass> for Door {
    fn handle(&mut self, pass: Pass, ctx: &mut Context<Self>) {
        // What is put aside again and again never keeps the worker.
        if !self.open {
            ctx.stash(pass);
        } else if self.seen < u32::MAX / 2 {
            self.seen += 1;
            ctx.stash(pass);
            ctx.unstash_all();
        }
    }
}

impl Handler<Open> for Door {
    fn handle(&mut self, _: Open, ctx: &mut Context<Self>) {
        self.open = true;
        ctx.unstash_all();
    }
}

impl Accepts<Seen> for Door {
    fn accept(&mut self, seen: Seen, reply: ReplyTo<u32>, ctx: &mut Context<Self>) {
        ctx.stash_call(seen, reply);
    }
}

#[test]
fn messages_that_are_put_aside_again_leave_room_for_others() {
    run(|| {
        let door = Addr::builder().placement(Placement::Worker(0));
        let door = door.spawn(Door::default()).unwrap();
        door.send(Pass).unwrap();
        door.send(Open).unwrap();
        // On its worker: a timer, another tasklet.
        join(spawn_on(0, || Tasklet::sleep(SHORT)));
        door.kill();
        assert!(matches!(reason(&door), ExitReason::Killed));
    });
}

#[test]
fn what_was_put_aside_is_not_lost_silently() {
    run(|| {
        let (tell, told) = std::sync::mpsc::channel();
        let letters = subscribe_dead_letters(Recipient::from_fn(move |letter: DeadLetter| {
            drop(tell.send(letter))
        }));
        let door = Addr::spawn(Door::default());
        let asks = {
            let door = door.clone();
            spawn(move || door.call(Seen))
        };
        wait_until_it_waits(&asks, "waits for a reply");
        door.send(Pass).unwrap();
        door.stop();
        reason(&door);
        assert_eq!(join(asks), Err(CallError::Ended));
        let own = told.try_iter().filter(|letter| letter.to == door.pid());
        let own: Vec<_> = own.map(|letter| letter.take().unwrap()).collect();
        assert!(own.len() == 1 && own[0].is::<Pass>());
        letters.cancel();
    });
}

#[test]
fn word_of_an_end_that_is_passed_on_takes_no_room() {
    run(|| {
        let gate = Gate::new();
        let shut = gate.clone();
        let to = Tasklet::with_mailbox(Mailbox::bounded(2, Overflow::Fail));
        let to = to
            .spawn(move || {
                shut.pass();
                Tasklet::receive().count()
            })
            .unwrap();
        for _ in 0..5 {
            let ended = spawn(|| ());
            ended.monitor();
            let exit = promptly(Tasklet::receive_timeout).unwrap();
            to.forward(exit).unwrap();
        }
        to.send(Go).unwrap();
        to.send(Go).unwrap();
        assert!(to.send(Go).unwrap_err().is_full());
        gate.open();
        wait_until(|| to.send(Go).is_ok());
        to.stop();
        assert_eq!(join(to), 8);
    });
}

#[test]
fn watchers_that_have_ended_are_forgotten() {
    run(|| {
        let watched = Addr::spawn(Boom);
        let weak: Vec<_> = (0..100)
            .map(|_| {
                let watched = watched.clone();
                let watcher = spawn(move || drop(watched.monitor()));
                let weak = watcher.downgrade();
                join(watcher);
                weak
            })
            .collect();
        let left = weak.iter().filter(|weak| weak.upgrade().is_some()).count();
        assert!(left < 64, "{left} are left");
        watched.kill();
        reason(&watched);
    });
}

#[test]
fn a_value_may_be_larger_than_a_stack() {
    struct Large(Box<u8>, [u8; 300 * 1024]);
    impl Actor for Large {}
    impl Handler<Go> for Large {
        fn handle(&mut self, _: Go, _: &mut Context<Self>) {
            self.1[77] = *self.0;
        }
    }
    run(|| {
        // Made on a stack of its own that is large enough.
        let maker = Tasklet::builder().stack_size(64 << 20);
        let addr = maker
            .spawn(|| Addr::spawn(Large(Box::new(1), [0; 300 * 1024])))
            .unwrap();
        let addr = join(addr);
        addr.send(Go).unwrap();
        addr.stop();
        assert!(matches!(reason(&addr), ExitReason::Stopped));
    });
}

#[test]
fn an_actor_does_not_wait_for_its_own_end() {
    run(|| {
        struct Own(Option<Addr<Own>>);
        impl Actor for Own {}
        impl Handler<Go> for Own {
            fn handle(&mut self, _: Go, _: &mut Context<Self>) {
                self.0.as_ref().unwrap().join();
            }
        }
        #[derive(Message)]
        struct You(Addr<Own>);
        impl Handler<You> for Own {
            fn handle(&mut self, You(addr): You, _: &mut Context<Self>) {
                self.0 = Some(addr);
            }
        }
        let own = Addr::spawn(Own(None));
        own.send(You(own.clone())).unwrap();
        own.send(Go).unwrap();
        match reason(&own) {
            ExitReason::Panicked(text) => assert!(text.contains("own end"), "{text}"),
            other => panic!("{other}"),
        }
    });
}
