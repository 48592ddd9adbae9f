//! Models of a worker and its tasklet.

use std::ptr::NonNull;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::{Arc, Notify};
use loom::thread;

use super::check;
use super::nodes::{push, value};
use crate::queue::{Chain, Kind, Link, Push, Queue};
use crate::wake::WakeState;

/// What a worker's inbox holds: its tasklet, or a command.
#[repr(C)]
struct Post {
    link: Link,
    /// Written by whoever has the right to use the post, so that loom sees it if two have.
    used: UnsafeCell<()>,
}

impl Post {
    fn new(kind: Kind) -> Self {
        Post {
            link: Link::new(kind),
            used: UnsafeCell::new(()),
        }
    }

    fn touch(&self) {
        self.used.with_mut(|_| ());
    }
}

/// A worker with one tasklet, as other threads see them.
pub(super) struct World {
    inbox: Queue,
    bell: Notify,
    wake: WakeState,
    tasklet: Post,
    mailbox: Queue,
    killed: AtomicBool,
    /// Whether the tasklet's deadline has passed.
    late: AtomicBool,
}

// SAFETY: all but the post are Sync; that one is used as `WakeState::post` says, which is what the
// models check.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    pub(super) fn new() -> Arc<World> {
        Arc::new(World {
            inbox: Queue::new(),
            bell: Notify::new(),
            wake: WakeState::new(),
            tasklet: Post::new(Kind::Tasklet),
            mailbox: Queue::new(),
            killed: AtomicBool::new(false),
            late: AtomicBool::new(false),
        })
    }

    /// `worker::wake`, from another thread.
    pub(super) fn wake_from_afar(&self) {
        if self.wake.post() {
            self.tasklet.touch();
            self.deliver(NonNull::from(&self.tasklet).cast());
        }
    }

    /// `worker::post`.
    fn post_command(&self) {
        let command = Box::leak(Box::new(Post::new(Kind::Command)));
        self.deliver(NonNull::from(command).cast());
    }

    fn deliver(&self, post: NonNull<Link>) {
        // SAFETY: the callers own the post.
        match unsafe { self.inbox.push(post) } {
            Push::Queued => {}
            Push::WakeConsumer => self.bell.notify(),
            Push::Closed => unreachable!("an inbox is never closed"),
        }
    }

    /// `Core::send`, from another thread; `false` if it was refused.
    pub(super) fn send(&self, message: usize) -> bool {
        match push(&self.mailbox, message) {
            Push::Queued => true,
            Push::WakeConsumer => {
                self.wake_from_afar();
                true
            }
            Push::Closed => false,
        }
    }

    /// `Core::kill`, from another thread.
    fn kill(&self) {
        self.killed.swap(true, AcqRel);
        self.wake_from_afar();
    }

    /// `Core::stop`, from another thread.
    fn stop(&self) {
        self.mailbox.close();
        self.wake_from_afar();
    }

    /// The deadline passes: the timerfd makes the worker's wait return.
    fn let_time_pass(&self) {
        self.late.store(true, Release);
        self.bell.notify();
    }
}

/// How a receive has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Message(usize),
    Over,
    Killed,
    TimedOut,
}

/// The part of a worker that its own thread alone touches.
pub(super) struct Home<'a> {
    world: &'a World,
    /// Whether the tasklet is in the run queue.
    ready: bool,
    /// Whether the tasklet waits with a deadline.
    timer: bool,
    commands: usize,
    /// Taken by the tasklet before it sleeps: it lets this thread end, and then takes a turn.
    distraction: Option<thread::JoinHandle<()>>,
    /// What the tasklet has taken out of its mailbox and not yet handled.
    taken: Chain,
}

impl<'a> Home<'a> {
    fn new(world: &'a World) -> Self {
        Home {
            world,
            ready: false,
            timer: false,
            commands: 0,
            distraction: None,
            taken: Chain::EMPTY,
        }
    }

    /// With the tasklet running.
    pub(super) fn launched(world: &'a World) -> Self {
        let mut home = Home::new(world);
        home.wake_own();
        home.drive_until_resumed();
        home
    }

    fn wake_own(&mut self) {
        if self.world.wake.wake_at_home() {
            assert!(!self.ready, "a tasklet is queued once");
            self.ready = true;
        }
    }

    fn empty_inbox(&mut self) {
        let mut arrived = self.world.inbox.take_all();
        while let Some(post) = arrived.pop() {
            // SAFETY: the chain owns what it holds, and the link is the first field.
            if unsafe { post.as_ref() }.kind == Kind::Tasklet {
                self.world.tasklet.touch();
                self.world.wake.taken_from_inbox();
                self.wake_own();
            } else {
                // SAFETY: leaked by `post_command`.
                let command = unsafe { Box::from_raw(post.cast::<Post>().as_ptr()) };
                command.touch();
                self.commands += 1;
            }
        }
    }

    /// `Local::turn`.
    fn turn(&mut self) {
        if self.timer && self.world.late.load(Acquire) {
            self.timer = false;
            self.wake_own();
        }
        self.empty_inbox();
    }

    /// `Local::sleep`.
    fn sleep(&mut self) {
        if self.world.inbox.go_idle() {
            self.world.bell.wait();
            self.world.inbox.leave_idle();
        }
    }

    /// `drive`, until the tasklet runs.
    fn drive_until_resumed(&mut self) {
        loop {
            self.turn();
            if self.ready {
                self.ready = false;
                self.world.wake.resumed();
                return;
            }
            self.sleep();
        }
    }

    /// `Core::park`.
    pub(super) fn park(&mut self, deadline: bool) {
        if !self.world.wake.try_park() {
            return;
        }
        self.timer = deadline;
        self.drive_until_resumed();
        self.timer = false;
    }

    /// `Contents::pop`.
    fn next(&mut self) -> Option<usize> {
        if self.taken.len() == 0 {
            self.taken.append(self.world.mailbox.take_all());
        }
        self.taken.pop().map(value)
    }

    /// `receive`, in the tasklet.
    pub(super) fn receive(&mut self, deadline: bool) -> Received {
        let received = self.wait_for_message(deadline);
        self.world.mailbox.leave_idle();
        received
    }

    fn wait_for_message(&mut self, deadline: bool) -> Received {
        if let Some(message) = self.next() {
            return Received::Message(message);
        }
        loop {
            self.world.mailbox.leave_idle();
            loop {
                let over = self.world.mailbox.is_closed();
                if let Some(message) = self.next() {
                    return Received::Message(message);
                }
                if over {
                    return Received::Over;
                }
                if self.world.mailbox.go_idle() {
                    break;
                }
            }
            if deadline && self.world.late.load(Acquire) {
                return Received::TimedOut;
            }
            if let Some(other) = self.distraction.take() {
                // What an operation does between its look and its sleep may take a turn, in which a
                // wake-up comes while the tasklet still runs.
                other.join().unwrap();
                self.turn();
            }
            self.park(deadline);
            if self.world.killed.load(Relaxed) {
                return Received::Killed;
            }
        }
    }

    /// The end of the tasklet: gives what nobody has received.
    fn end(&mut self) -> usize {
        self.world.mailbox.close();
        let mut undelivered = 0;
        while self.next().is_some() {
            undelivered += 1;
        }
        undelivered
    }
}

/// A worker that goes to sleep while others post to it: no delivery is missed.
#[test]
fn loom_worker_sleeps_through_no_delivery() {
    check(Some(2), || {
        let world = World::new();
        let posters: Vec<_> = (0..2)
            .map(|_| {
                let world = world.clone();
                thread::spawn(move || world.post_command())
            })
            .collect();
        let mut home = Home::new(&world);
        while home.commands < 2 {
            home.turn();
            if home.commands < 2 {
                home.sleep();
            }
        }
        posters
            .into_iter()
            .for_each(|poster| poster.join().unwrap());
    });
}

/// The same with a ring that has nothing to do with the inbox, which ends the sleep early.
#[test]
fn loom_worker_woken_by_an_event_sleeps_through_no_delivery() {
    check(Some(2), || {
        let world = World::new();
        let poster = {
            let world = world.clone();
            thread::spawn(move || world.post_command())
        };
        let timer = {
            let world = world.clone();
            thread::spawn(move || world.let_time_pass())
        };
        let mut home = Home::new(&world);
        while home.commands < 1 {
            home.turn();
            if home.commands < 1 {
                home.sleep();
            }
        }
        poster.join().unwrap();
        timer.join().unwrap();
    });
}

/// A tasklet that is started from another worker, and sent to by it.
#[test]
fn loom_tasklet_starts_and_receives_what_another_worker_sends() {
    check(Some(3), || {
        let world = World::new();
        let spawner = {
            let world = world.clone();
            thread::spawn(move || {
                world.wake_from_afar();
                assert!(world.send(1));
            })
        };
        let mut home = Home::new(&world);
        home.drive_until_resumed();
        assert_eq!(home.receive(false), Received::Message(1));
        spawner.join().unwrap();
    });
}

/// One message: however the look, the idle mark and the sleep fall, it is received. Then a second one
/// to a tasklet that may be anywhere on its way.
#[test]
fn loom_tasklet_receives_everything_from_one_sender() {
    check(Some(3), || {
        let world = World::new();
        let sender = {
            let world = world.clone();
            thread::spawn(move || {
                assert!(world.send(1));
                assert!(world.send(2));
            })
        };
        let mut home = Home::launched(&world);
        assert_eq!(home.receive(false), Received::Message(1));
        assert_eq!(home.receive(false), Received::Message(2));
        sender.join().unwrap();
    });
}

/// A wake-up that comes in a turn of the tasklet's own, when it has looked and not yet slept: it must
/// look again.
#[test]
fn loom_tasklet_woken_in_its_own_turn_looks_again() {
    check(Some(3), || {
        let world = World::new();
        let sender = {
            let world = world.clone();
            thread::spawn(move || assert!(world.send(1)))
        };
        let mut home = Home::launched(&world);
        home.distraction = Some(sender);
        assert_eq!(home.receive(false), Received::Message(1));
    });
}

/// Two senders: the one that does not wake relies on the one that does.
#[test]
fn loom_tasklet_receives_everything_from_two_senders() {
    check(Some(2), || {
        let world = World::new();
        let senders: Vec<_> = (1..3)
            .map(|message| {
                let world = world.clone();
                thread::spawn(move || assert!(world.send(message)))
            })
            .collect();
        let mut home = Home::launched(&world);
        let received = [home.receive(false), home.receive(false)];
        assert!(
            received == [Received::Message(1), Received::Message(2)]
                || received == [Received::Message(2), Received::Message(1)],
            "{received:?}"
        );
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
    });
}

/// The deadline passes in the middle: a message that is not received then is received by the next
/// look, and the idle mark that was left behind by the first does no harm.
#[test]
fn loom_tasklet_that_times_out_loses_no_message() {
    check(Some(2), || {
        let world = World::new();
        let sender = {
            let world = world.clone();
            thread::spawn(move || assert!(world.send(1)))
        };
        let timer = {
            let world = world.clone();
            thread::spawn(move || world.let_time_pass())
        };
        let mut home = Home::launched(&world);
        let received = match home.receive(true) {
            Received::TimedOut => home.receive(false),
            received => received,
        };
        assert_eq!(received, Received::Message(1));
        sender.join().unwrap();
        timer.join().unwrap();
    });
}

/// Killed in the middle: it always ends, and a message is received, left undelivered, or refused.
#[test]
fn loom_tasklet_that_is_killed_leaves_no_message_behind() {
    check(Some(2), || {
        let world = World::new();
        let sender = {
            let world = world.clone();
            thread::spawn(move || world.send(1))
        };
        let killer = {
            let world = world.clone();
            thread::spawn(move || world.kill())
        };
        let mut home = Home::launched(&world);
        let mut received = 0;
        loop {
            match home.receive(false) {
                Received::Message(_) => received += 1,
                Received::Killed => break,
                other => panic!("{other:?}"),
            }
        }
        let undelivered = home.end();
        let accepted = sender.join().unwrap();
        assert_eq!(received + undelivered, usize::from(accepted));
        killer.join().unwrap();
    });
}

/// Asked to stop in the middle: the loop ends, after everything that was accepted.
#[test]
fn loom_tasklet_that_is_stopped_receives_what_was_accepted() {
    check(Some(2), || {
        let world = World::new();
        let sender = {
            let world = world.clone();
            thread::spawn(move || world.send(1))
        };
        let stopper = {
            let world = world.clone();
            thread::spawn(move || world.stop())
        };
        let mut home = Home::launched(&world);
        let mut received = 0;
        loop {
            match home.receive(false) {
                Received::Message(_) => received += 1,
                Received::Over => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(received, usize::from(sender.join().unwrap()));
        assert_eq!(home.end(), 0);
        stopper.join().unwrap();
    });
}

/// Two wakers at once, and a command between them: the tasklet's post is never in the inbox twice.
#[test]
fn loom_tasklet_is_posted_by_one_waker_at_a_time() {
    check(Some(2), || {
        let world = World::new();
        let wakers: Vec<_> = (0..2)
            .map(|number| {
                let world = world.clone();
                thread::spawn(move || {
                    world.wake_from_afar();
                    if number == 0 {
                        world.post_command();
                        world.wake_from_afar();
                    }
                })
            })
            .collect();
        let mut home = Home::new(&world);
        home.drive_until_resumed();
        while home.commands < 1 {
            home.turn();
            if home.commands < 1 {
                home.sleep();
            }
        }
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        home.turn();
        assert!(!world.inbox.has_nodes());
    });
}
