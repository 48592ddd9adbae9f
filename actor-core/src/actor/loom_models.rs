//! Models of what is between an actor and those who wake and move it; see the models of the crate.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicUsize;
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::residence::{Knock, Residence};

fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// An actor, two workers' inboxes (each holds it, or not) and the surplus between them.
struct World {
    residence: Residence,
    /// What others have asked of it.
    asked: AtomicUsize,
    /// What it has seen of that; and, like all that senders at home write, its home's thread's alone.
    seen: UnsafeCell<usize>,
    inboxes: [Mutex<bool>; 2],
    surplus: Mutex<bool>,
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World {
            residence: Residence::new(),
            asked: AtomicUsize::new(0),
            seen: UnsafeCell::new(0),
            inboxes: [Mutex::new(false), Mutex::new(false)],
            surplus: Mutex::new(false),
        })
    }

    /// As `worker::wake_actor`, from the thread `on`; `true` if the caller is to run it.
    fn ask(&self, on: Option<usize>) -> bool {
        self.asked.fetch_add(1, SeqCst);
        match self.residence.knock(on) {
            Knock::Here => self.residence.wake(),
            Knock::Deliver(home) => {
                let mut inbox = self.inboxes[home].lock().unwrap();
                assert!(!*inbox, "it is delivered once at a time");
                *inbox = true;
                false
            }
            Knock::OnItsWay => false,
        }
    }

    /// As `Local::welcome`: `true` if it is to be queued.
    fn welcome(&self, id: usize) -> bool {
        self.residence.settle(id);
        assert!(self.residence.is_home(id), "it comes to its home alone");
        self.residence.arrive();
        self.residence.wake()
    }

    /// As `Local::empty_inbox`.
    fn empty_inbox(&self, id: usize) -> bool {
        let arrived = std::mem::take(&mut *self.inboxes[id].lock().unwrap());
        arrived && self.welcome(id)
    }

    /// As `Local::take_surplus`.
    fn take_surplus(&self, id: usize) -> bool {
        let taken = std::mem::take(&mut *self.surplus.lock().unwrap());
        taken && self.welcome(id)
    }

    /// As `actor::run::run`, until it is idle.
    fn run(&self) {
        loop {
            self.residence.begin_run();
            // Nobody else is at home with it.
            // SAFETY: on the home's thread; loom checks it.
            self.seen
                .with_mut(|seen| unsafe { *seen = self.asked.load(Relaxed) });
            if self.residence.try_idle() {
                return;
            }
        }
    }

    /// Whatever is still on its way comes to worker `id`, or to its home.
    fn settle_all(&self) {
        for id in [0, 1] {
            if self.take_surplus(id) || self.empty_inbox(id) {
                self.run();
            }
        }
        // SAFETY: all others have ended.
        let seen = self.seen.with(|seen| unsafe { *seen });
        assert_eq!(seen, self.asked.load(Relaxed), "nothing is overlooked");
    }
}

/// It is launched, looks, and idles, while two others want something.
#[test]
fn loom_actor_idles_through_no_wake_up() {
    check(None, || {
        let world = World::new();
        world.inboxes[0]
            .try_lock()
            .map(|mut inbox| *inbox = true)
            .unwrap();
        let strangers: Vec<_> = [Some(1), None]
            .into_iter()
            .map(|on| {
                let world = world.clone();
                thread::spawn(move || assert!(!world.ask(on), "at home with another"))
            })
            .collect();
        for _ in 0..2 {
            if world.empty_inbox(0) {
                world.run();
            }
        }
        strangers.into_iter().for_each(|one| one.join().unwrap());
        world.settle_all();
    });
}

/// It is ready on worker 0, which gives it away; worker 1 takes it, or 0 takes it back; a stranger and
/// its old home want something of it meanwhile.
#[test]
fn loom_actor_that_moves_overlooks_nothing() {
    check(Some(3), || {
        let world = World::new();
        // Ready at its first home.
        assert!(world.welcome(0));
        let taker = {
            let world = world.clone();
            thread::spawn(move || {
                if world.take_surplus(1) {
                    world.run();
                }
                if world.ask(Some(1)) {
                    world.run();
                }
                if world.empty_inbox(1) {
                    world.run();
                }
            })
        };
        let stranger = {
            let world = world.clone();
            thread::spawn(move || assert!(!world.ask(None), "at home nowhere"))
        };
        if world.residence.leave() {
            *world.surplus.lock().unwrap() = true;
        } else {
            world.run();
        }
        if world.ask(Some(0)) {
            world.run();
        }
        if world.take_surplus(0) || world.empty_inbox(0) {
            world.run();
        }
        taker.join().unwrap();
        stranger.join().unwrap();
        world.settle_all();
    });
}
