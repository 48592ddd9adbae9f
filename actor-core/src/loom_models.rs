//! Models of the lock-free parts, whose interleavings loom tries.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p actor-core --release --lib loom
//! ```
//!
//! The parts are the real ones; what is modelled is what surrounds them. A worker is a thread with the
//! steps of `worker::drive`, a tasklet a function with those of `receive`, the doorbell a
//! [`Notify`], which like an eventfd keeps a ring until somebody waits, and like `epoll_wait` may return
//! for no reason.
//!
//! **Preemption bound.** A thread that is made to wait gives way for free; the bound is on how often
//! one is interrupted where it could go on. The queues and cells alone are small enough for no bound.
//! The models with a worker in them have some forty switch points a thread, and their schedules grow
//! with the bound's power. So two is the bound where three threads take part, and three where there
//! are two; all models together then take half a minute. The bounds are enough to find the mistakes
//! that the parts invite, each of which has been made for a try: a plain store for an exchange, an
//! order too weak, a state written without looking, a wake-up or an idle mark forgotten.
//!
//! loom leaves out schedules that it takes for equal to others, and not always rightly. Where a model
//! is about one certain meeting, it joins a thread to bring that about.

use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize as PlainUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::sync::{Arc, Notify};
use loom::thread;

use crate::CallError;
use crate::mailbox::{Contents, Mailbox, Patience};
use crate::primitive::ConstAtomicUsize;
use crate::queue::{Chain, Kind, Link, Push, Queue};
use crate::reactor::{Direction, Readiness};
use crate::reply::ReplyCell;
use crate::sync::permits::Permits;
use crate::wait_list::{Sole, WaitList};
use crate::waiter::{ThreadParker, Waiter};
use crate::wake::WakeState;

/// Checks `model` under every schedule with at most `preemptions`; under all of them if `None`.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

// Queue -----------------------------------------------------------------------------------------

/// A node, as an envelope is one. loom sees to it that what is in it is written before it is read.
#[repr(C)]
struct Node {
    link: Link,
    value: UnsafeCell<usize>,
}

fn node(value: usize) -> NonNull<Link> {
    let node = Node {
        link: Link::new(Kind::Envelope),
        value: UnsafeCell::new(0),
    };
    // SAFETY: not shared yet.
    node.value.with_mut(|place| unsafe { *place = value });
    NonNull::from(Box::leak(Box::new(node))).cast()
}

/// Takes a node apart that is the caller's.
fn value(node: NonNull<Link>) -> usize {
    // SAFETY: made by `node`, and the caller owns it.
    let node = unsafe { Box::from_raw(node.cast::<Node>().as_ptr()) };
    // SAFETY: the box is the only owner.
    node.value.with(|place| unsafe { *place })
}

fn push(queue: &Queue, number: usize) -> Push {
    let node = node(number);
    // SAFETY: just made.
    let pushed = unsafe { queue.push(node) };
    if pushed == Push::Closed {
        assert_eq!(
            value(node),
            number,
            "a refused node is still the producer's"
        );
    }
    pushed
}

fn drain(mut chain: Chain, into: &mut Vec<usize>) {
    let len = chain.len();
    let before = into.len();
    while let Some(node) = chain.pop() {
        into.push(value(node));
    }
    assert_eq!(into.len() - before, len, "a chain is as long as it says");
}

fn assert_in_order(taken: &[usize], producer: usize) {
    let own: Vec<_> = taken
        .iter()
        .filter(|value| *value / 10 == producer)
        .collect();
    assert!(own.is_sorted(), "producer {producer}: {taken:?}");
}

/// Two producers, and a consumer that takes while they push: every node comes out once, those of a
/// producer in its order.
#[test]
fn loom_queue_delivers_everything_once_and_in_order() {
    check(None, || {
        let queue = Arc::new(Queue::new());
        let producers: Vec<_> = [(1, 2), (2, 1)]
            .into_iter()
            .map(|(producer, count)| {
                let queue = queue.clone();
                thread::spawn(move || {
                    for number in 0..count {
                        // The consumer never goes idle, so nobody has to wake it.
                        assert_eq!(push(&queue, producer * 10 + number), Push::Queued);
                    }
                })
            })
            .collect();
        let mut taken = Vec::new();
        drain(queue.take_all(), &mut taken);
        producers
            .into_iter()
            .for_each(|producer| producer.join().unwrap());
        let mut later = Chain::EMPTY;
        later.append(queue.take_all());
        drain(later, &mut taken);
        assert_in_order(&taken, 1);
        assert_in_order(&taken, 2);
        taken.sort_unstable();
        assert_eq!(taken, [10, 11, 20]);
    });
}

/// Of the pushes that meet an idle consumer exactly one is told to wake it.
#[test]
fn loom_queue_tells_one_producer_to_wake_an_idle_consumer() {
    check(None, || {
        let queue = Arc::new(Queue::new());
        assert!(queue.go_idle());
        let wakes = Arc::new(AtomicUsize::new(0));
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let (queue, wakes) = (queue.clone(), wakes.clone());
                thread::spawn(move || match push(&queue, producer) {
                    Push::WakeConsumer => drop(wakes.fetch_add(1, AcqRel)),
                    Push::Queued => {}
                    Push::Closed => panic!("nobody has closed it"),
                })
            })
            .collect();
        producers
            .into_iter()
            .for_each(|producer| producer.join().unwrap());
        assert_eq!(wakes.load(Acquire), 1);
        let mut taken = Vec::new();
        drain(queue.take_all(), &mut taken);
        assert_eq!(taken.len(), 2);
    });
}

/// A close against two producers: a node is drained afterwards or refused, never both and never
/// neither; and if the consumer was idle exactly one of the three is told to wake it.
#[test]
fn loom_queue_closes_in_one_step() {
    for idle in [false, true] {
        check(None, move || {
            let queue = Arc::new(Queue::new());
            if idle {
                assert!(queue.go_idle());
            }
            let producers: Vec<_> = (1..3)
                .map(|producer| {
                    let queue = queue.clone();
                    thread::spawn(move || push(&queue, producer))
                })
                .collect();
            let closer = {
                let queue = queue.clone();
                thread::spawn(move || queue.close())
            };
            let pushes = producers
                .into_iter()
                .map(|producer| producer.join().unwrap());
            let pushes: Vec<_> = pushes.collect();
            let told_to_wake = usize::from(closer.join().unwrap())
                + pushes
                    .iter()
                    .filter(|push| **push == Push::WakeConsumer)
                    .count();
            assert_eq!(told_to_wake, usize::from(idle));
            let mut taken = Vec::new();
            drain(queue.take_all(), &mut taken);
            let accepted = pushes.iter().filter(|push| **push != Push::Closed).count();
            assert_eq!(taken.len(), accepted, "{pushes:?}");
            assert!(queue.is_closed() && !queue.has_nodes());
            assert!(
                !queue.go_idle(),
                "a closed queue's consumer has nothing to wait for"
            );
            assert_eq!(push(&queue, 3), Push::Closed);
        });
    }
}

/// The end of a tasklet: the consumer itself closes and drains while a producer pushes. Nothing is
/// left behind.
#[test]
fn loom_queue_consumer_closes_and_drains() {
    check(None, || {
        let queue = Arc::new(Queue::new());
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                let pushes = [push(&queue, 1), push(&queue, 2)];
                pushes.iter().filter(|push| **push != Push::Closed).count()
            })
        };
        let mut taken = Vec::new();
        drain(queue.take_all(), &mut taken);
        queue.close();
        drain(queue.take_all(), &mut taken);
        assert_eq!(producer.join().unwrap(), taken.len());
        drain(queue.take_all(), &mut taken);
        assert_eq!(taken, [1, 2][..taken.len()]);
    });
}

/// A consumer that was idle, timed out and went on working: a push that came in between has said so,
/// or is found by the next look; and after the idle state was taken back no push reports it.
#[test]
fn loom_queue_consumer_times_out_of_the_idle_state() {
    check(None, || {
        let queue = Arc::new(Queue::new());
        let told = Arc::new(AtomicBool::new(false));
        assert!(queue.go_idle());
        let producer = {
            let (queue, told) = (queue.clone(), told.clone());
            thread::spawn(move || {
                if push(&queue, 7) == Push::WakeConsumer {
                    told.store(true, Release);
                }
            })
        };
        let mut taken = Vec::new();
        queue.leave_idle();
        drain(queue.take_all(), &mut taken);
        if taken.is_empty() && queue.go_idle() {
            producer.join().unwrap();
            // Idle, and nothing was there: so this push must have been told to wake.
            assert!(told.load(Acquire));
            drain(queue.take_all(), &mut taken);
        } else {
            drain(queue.take_all(), &mut taken);
            producer.join().unwrap();
        }
        assert_eq!(taken, [7]);
    });
}

// A worker and its tasklet ----------------------------------------------------------------------

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
struct World {
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
    fn new() -> Arc<World> {
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
    fn wake_from_afar(&self) {
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
    fn send(&self, message: usize) -> bool {
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
enum Received {
    Message(usize),
    Over,
    Killed,
    TimedOut,
}

/// The part of a worker that its own thread alone touches.
struct Home<'a> {
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
    fn launched(world: &'a World) -> Self {
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
    fn park(&mut self, deadline: bool) {
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
    fn receive(&mut self, deadline: bool) -> Received {
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

// The answer to a call --------------------------------------------------------------------------

/// An answer that is dropped once, and was written before it is read.
struct Answer {
    value: UnsafeCell<usize>,
    dropped: std::sync::Arc<PlainUsize>,
}

impl Answer {
    fn new(dropped: &std::sync::Arc<PlainUsize>) -> Answer {
        let answer = Answer {
            value: UnsafeCell::new(0),
            dropped: dropped.clone(),
        };
        // SAFETY: not shared yet.
        answer.value.with_mut(|value| unsafe { *value = 42 });
        answer
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: exclusive.
        self.value
            .with_mut(|value| assert_eq!(unsafe { *value }, 42));
        self.dropped.fetch_add(1, SeqCst);
    }
}

/// The answer against a caller that looks once and then gives up: exactly one of the two wins, the
/// value comes out in the one case and is dropped with the cell in the other.
#[test]
fn loom_reply_is_answered_or_given_up() {
    check(None, || {
        let dropped = std::sync::Arc::new(PlainUsize::new(0));
        // No other model answers calls.
        let late_before = crate::dropped().late_replies;
        let caller = Waiter::Thread(ThreadParker::current());
        let cell = Arc::new(ReplyCell::<Answer>::new(caller));
        let answerer = {
            let (cell, dropped) = (cell.clone(), dropped.clone());
            thread::spawn(move || {
                let wanted = !cell.is_given_up();
                // SAFETY: the only answer.
                unsafe { cell.answer(Ok(Answer::new(&dropped))) };
                wanted
            })
        };
        // SAFETY: the only caller.
        let mut answer = unsafe { cell.take() };
        let mut given_up = false;
        if answer.is_none() {
            given_up = cell.give_up();
            if !given_up {
                // As `wait_for_reply` does it: giving up came too late.
                // SAFETY: the only caller, and nothing was taken yet.
                answer = unsafe { cell.take_late() };
            }
        }
        assert_eq!(answer.is_none(), given_up, "one of the two wins");
        if let Some(answer) = answer {
            assert_eq!(dropped.load(SeqCst), 0);
            let answer = answer.unwrap_or_else(|error: CallError| panic!("{error}"));
            // SAFETY: exclusive.
            assert_eq!(answer.value.with(|value| unsafe { *value }), 42);
        }
        let wanted = answerer.join().unwrap();
        assert!(wanted || given_up, "what is not wanted has been given up");
        let late = crate::dropped().late_replies - late_before;
        assert_eq!(late, u64::from(given_up), "both sides agree on who has won");
        drop(cell);
        assert_eq!(dropped.load(SeqCst), 1);
    });
}

// Readiness -------------------------------------------------------------------------------------

/// A socket: how much there is to read, and the readiness word that events set.
struct Socket {
    bytes: AtomicUsize,
    readiness: Readiness,
}

impl Socket {
    fn new() -> Arc<Socket> {
        Arc::new(Socket {
            bytes: AtomicUsize::new(0),
            readiness: Readiness::new(),
        })
    }

    /// The peer writes, and the worker hears of it.
    fn arrive(&self) {
        self.bytes.fetch_add(1, AcqRel);
        self.readiness.set_ready(libc::EPOLLIN as u32);
    }

    /// One attempt of `Source::attempt`; `false` if it would block, which it has then noted.
    fn try_read(&self) -> bool {
        let seen = self.readiness.state();
        let has_some = |bytes: usize| bytes.checked_sub(1);
        if self.bytes.fetch_update(AcqRel, Acquire, has_some).is_ok() {
            return true;
        }
        self.readiness.clear(Direction::Read, seen);
        false
    }
}

/// A reader that finds nothing while bytes arrive: the flag is up afterwards whenever there is
/// something left to read. So nobody who waits for it waits in vain.
#[test]
fn loom_readiness_keeps_an_edge_that_comes_during_a_vain_attempt() {
    check(None, || {
        let socket = Socket::new();
        let peer = {
            let socket = socket.clone();
            thread::spawn(move || {
                socket.arrive();
                socket.arrive();
            })
        };
        let read = usize::from(socket.try_read()) + usize::from(socket.try_read());
        peer.join().unwrap();
        let left = socket.bytes.load(Acquire);
        assert_eq!(read + left, 2);
        assert!(
            left == 0 || socket.readiness.is_ready(Direction::Read),
            "{left} wait unheard of"
        );
        assert!(
            socket.readiness.is_ready(Direction::Write),
            "the other direction is not touched"
        );
    });
}

/// The same with two readers, each of which may clear what the other has yet to see.
#[test]
fn loom_readiness_keeps_an_edge_between_two_readers() {
    check(Some(3), || {
        let socket = Socket::new();
        let peer = {
            let socket = socket.clone();
            thread::spawn(move || socket.arrive())
        };
        let other = {
            let socket = socket.clone();
            thread::spawn(move || usize::from(socket.try_read()))
        };
        let read = usize::from(socket.try_read()) + other.join().unwrap();
        peer.join().unwrap();
        let left = socket.bytes.load(Acquire);
        assert_eq!(read + left, 1);
        assert!(
            left == 0 || socket.readiness.is_ready(Direction::Read),
            "it waits unheard of"
        );
    });
}

/// One turn of an owner without a stack: it says that it looks, and reads until it would block, as
/// `Source::attempt_once` does. Gives how much it has read.
fn look(socket: &Socket) -> usize {
    socket.readiness.rearm();
    read_all(socket)
}

fn read_all(socket: &Socket) -> usize {
    let mut read = 0;
    loop {
        let seen = socket.readiness.state();
        if !socket.readiness.is_ready(Direction::Read) {
            return read;
        }
        let has_some = |bytes: usize| bytes.checked_sub(1);
        if socket.bytes.fetch_update(AcqRel, Acquire, has_some).is_ok() {
            read += 1;
        } else if socket.readiness.clear(Direction::Read, seen) {
            return read;
        }
    }
}

/// An owner that looks while bytes arrive: afterwards either nothing is left, or it has been told, and
/// looks once more.
#[test]
fn loom_readiness_tells_an_owner_of_all_that_it_has_not_seen() {
    check(None, || {
        let socket = Socket::new();
        socket.readiness.mark_watched();
        let peer = {
            let socket = socket.clone();
            thread::spawn(move || {
                socket.arrive();
                socket.arrive();
            })
        };
        let mut read = look(&socket);
        peer.join().unwrap();
        if socket.readiness.is_told() {
            read += look(&socket);
        }
        assert_eq!(read, 2, "something waits unheard of");
    });
}

/// The same if a tasklet takes from the descriptor as well: what it clears, the owner is told of when it
/// comes again.
#[test]
fn loom_readiness_tells_an_owner_beside_a_reader() {
    check(Some(3), || {
        let socket = Socket::new();
        socket.readiness.mark_watched();
        let peer = {
            let socket = socket.clone();
            thread::spawn(move || socket.arrive())
        };
        let other = {
            let socket = socket.clone();
            thread::spawn(move || usize::from(socket.try_read()))
        };
        let mut read = look(&socket) + other.join().unwrap();
        peer.join().unwrap();
        if socket.readiness.is_told() {
            read += look(&socket);
        }
        assert_eq!(read, 1, "it waits unheard of");
    });
}

/// An owner that is told by way of a message, of which there is one at a time: what it is told by takes note
/// and sends the message, unless one is on its way, and the owner reads when it handles that. As connections
/// of actors without a stack do.
#[test]
fn loom_readiness_tells_by_one_message_at_a_time() {
    struct Owner {
        socket: Arc<Socket>,
        sent: AtomicBool,
        messages: AtomicUsize,
        read: AtomicUsize,
    }

    impl Owner {
        /// What `Watch::ready` does.
        fn ready(&self) {
            self.socket.readiness.rearm();
            let readable = self.socket.readiness.is_ready(Direction::Read);
            if readable && !self.sent.swap(true, SeqCst) {
                self.messages.fetch_add(1, AcqRel);
            }
        }

        /// Handles a message, if there is one.
        fn turn(&self) {
            let one_less = |messages: usize| messages.checked_sub(1);
            if self
                .messages
                .fetch_update(AcqRel, Acquire, one_less)
                .is_ok()
            {
                self.sent.swap(false, SeqCst);
                let read = read_all(&self.socket);
                self.read.fetch_add(read, Relaxed);
            }
        }
    }

    check(Some(3), || {
        let socket = Socket::new();
        socket.readiness.mark_watched();
        let owner = Arc::new(Owner {
            socket,
            sent: AtomicBool::new(false),
            messages: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
        });
        // All begins with a look.
        owner.read.fetch_add(look(&owner.socket), Relaxed);
        let worker = {
            let owner = owner.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    let was_told = owner.socket.readiness.is_told();
                    owner.socket.arrive();
                    // The worker's own thread alone sets the mark, and takes it down.
                    if !was_told && owner.socket.readiness.is_told() {
                        owner.ready();
                    }
                }
            })
        };
        owner.turn();
        worker.join().unwrap();
        // It is one actor, so its turns do not overlap.
        while owner.messages.load(Acquire) > 0 {
            owner.turn();
        }
        assert_eq!(owner.read.load(Relaxed), 2, "something waits unheard of");
    });
}

// Wait lists ------------------------------------------------------------------------------------

/// Shares what is complete only once it has been used, under loom.
fn made<T>(value: T, used: impl FnOnce(&T)) -> Arc<T> {
    used(&value);
    Arc::new(value)
}

/// Of one that enters a wait list and then looks, and one that makes the change and then wakes the
/// list, one sees the other: in the line of several.
#[test]
fn loom_wait_list_misses_no_change() {
    check(None, || {
        let list = made(WaitList::new(), |list| assert!(list.is_empty()));
        let changed = made(ConstAtomicUsize::new(0), |changed| {
            let _ = changed.load(SeqCst)
        });
        let waker = {
            let (list, changed) = (list.clone(), changed.clone());
            thread::spawn(move || {
                changed.swap(1, SeqCst);
                list.wake_all();
            })
        };
        let parker = std::sync::Arc::new(ThreadParker::default());
        let place = list.enter(Waiter::Thread(parker.clone()));
        let seen = changed.load(SeqCst) != 0;
        waker.join().unwrap();
        assert!(seen || parker.is_woken(), "it waits for ever");
        assert_eq!(
            place.is_woken(),
            parker.is_woken(),
            "who is woken is taken out, and nobody else"
        );
        drop(place);
        assert!(list.is_empty());
    });
}

/// The same in the place for one, where the waiter may also give up at that moment: it is taken out by
/// one of the two.
#[test]
fn loom_wait_list_has_a_place_for_one() {
    check(None, || {
        let place = made(Sole::new(), |place| assert!(place.is_empty()));
        let changed = made(ConstAtomicUsize::new(0), |changed| {
            let _ = changed.load(SeqCst)
        });
        let waker = {
            let (place, changed) = (place.clone(), changed.clone());
            thread::spawn(move || {
                changed.swap(1, SeqCst);
                place.take().is_some()
            })
        };
        let waiter = std::sync::Arc::new(());
        let mine = place.put(waiter.clone()).unwrap();
        let seen = changed.load(SeqCst) != 0;
        // One that has seen the change does not wait, and gives its place up.
        let taken_back = seen && place.take_back(mine).is_some();
        let woken = waker.join().unwrap();
        assert!(seen || woken, "it waits for ever");
        assert!(!(taken_back && woken), "it has been taken out twice");
        if !woken && !taken_back {
            panic!("it has been left behind");
        }
        assert_eq!(std::sync::Arc::strong_count(&waiter), 1);
    });
}

// Permits ---------------------------------------------------------------------------------------

fn parker() -> std::sync::Arc<ThreadParker> {
    std::sync::Arc::default()
}

/// One that finds no permit and joins the line while a permit is given back: it has it in the end, by
/// its own second look or by whoever gave it back, who then wakes it.
#[test]
fn loom_permits_lose_no_release_to_one_who_joins_the_line() {
    check(None, || {
        let permits = made(Permits::new(0), |permits| assert_eq!(permits.free(), 0));
        let releaser = {
            let permits = permits.clone();
            thread::spawn(move || permits.release(1))
        };
        if !permits.try_acquire(1).unwrap() {
            let own = parker();
            let place = permits.enter(1, Waiter::Thread(own.clone()));
            let at_once = place.look().is_some();
            releaser.join().unwrap();
            assert!(matches!(place.look(), Some(Ok(()))), "it waits for ever");
            assert!(at_once || own.is_woken(), "it sleeps for ever");
            // Not kept: it goes back.
            drop(place);
            assert_eq!(permits.free(), 1);
        } else {
            releaser.join().unwrap();
            assert_eq!(permits.free(), 0);
        }
    });
}

/// The first in the line gives up while a permit is given back: the second has it.
#[test]
fn loom_permits_pass_on_what_one_who_gives_up_was_granted() {
    check(Some(3), || {
        let permits = made(Permits::new(0), |permits| assert_eq!(permits.free(), 0));
        let (first, second) = (parker(), parker());
        let gives_up = permits.enter(1, Waiter::Thread(first));
        let waits = permits.enter(1, Waiter::Thread(second.clone()));
        let releaser = {
            let permits = permits.clone();
            thread::spawn(move || permits.release(1))
        };
        drop(gives_up);
        releaser.join().unwrap();
        assert!(matches!(waits.look(), Some(Ok(()))), "it waits for ever");
        assert!(second.is_woken(), "it sleeps for ever");
        drop(waits);
        assert_eq!(permits.free(), 1);
    });
}

// Mailboxes -------------------------------------------------------------------------------------

/// The number in a message, for the mailbox's own models.
struct Numbered(usize);

impl crate::Message for Numbered {
    type Reply = ();
}

/// Sends to a mailbox; whether its owner must be woken.
fn send(mailbox: &Contents, number: usize, at_home: bool) -> bool {
    let envelope = crate::Envelope::new(Numbered(number));
    let owner = crate::Pid(1);
    // SAFETY: the models say so on the owner's thread alone.
    let sent = unsafe { mailbox.push(envelope, Patience::Policy, owner, || at_home) };
    sent.unwrap_or_else(|_| panic!("nobody closes it"))
}

/// Takes all that is there. On the owner's thread.
fn receive_all(mailbox: &Contents, into: &mut Vec<usize>) {
    // SAFETY: the consumer itself.
    while let Some(envelope) = unsafe { mailbox.pop() } {
        into.push(envelope.downcast::<Numbered>().unwrap().0);
    }
}

/// An owner that goes to wait while it is sent to from its own thread and from another: it is told to
/// wake if there is anything, and gets everything, each sender's in order.
#[test]
fn loom_mailbox_tells_of_messages_by_either_way() {
    for sends_at_home in [false, true] {
        check(None, move || {
            let mailbox = Arc::new(Contents::new(Mailbox::unbounded()));
            let stranger = {
                let mailbox = mailbox.clone();
                thread::spawn(move || {
                    let first = send(&mailbox, 10, false);
                    let second = send(&mailbox, 11, false);
                    usize::from(first) + usize::from(second)
                })
            };
            let mut received = Vec::new();
            receive_all(&mailbox, &mut received);
            // SAFETY: the consumer itself.
            let waits = unsafe { mailbox.listen() };
            // Another tasklet of the same worker.
            let wakes_at_home = sends_at_home && send(&mailbox, 20, true);
            assert!(!wakes_at_home || waits, "who does not wait is not woken");
            let wakes_from_afar = stranger.join().unwrap();
            assert!(wakes_from_afar <= 1, "it is woken once from afar");
            let before = received.len();
            receive_all(&mailbox, &mut received);
            let woken = wakes_at_home || wakes_from_afar > 0;
            if waits && received.len() > before {
                assert!(woken, "it waits for ever beside {received:?}");
            }
            if waits && sends_at_home {
                assert!(wakes_at_home, "its own thread's push finds it waiting");
            }
            assert_in_order(&received, 1);
            received.sort_unstable();
            assert_eq!(
                received,
                [&[10, 11][..], if sends_at_home { &[20] } else { &[] }].concat()
            );
        });
    }
}

/// A message that is sent at home because of one that has come from elsewhere stays behind it.
#[test]
fn loom_mailbox_lets_no_message_overtake_its_cause() {
    check(None, || {
        let mailbox = Arc::new(Contents::new(Mailbox::unbounded()));
        let told = Arc::new(AtomicBool::new(false));
        let stranger = {
            let (mailbox, told) = (mailbox.clone(), told.clone());
            thread::spawn(move || {
                send(&mailbox, 1, false);
                told.store(true, Release);
            })
        };
        let because = told.load(Acquire);
        send(&mailbox, 2, true);
        stranger.join().unwrap();
        let mut received = Vec::new();
        receive_all(&mailbox, &mut received);
        if because {
            assert_eq!(received, [1, 2]);
        }
        assert_eq!(received.len(), 2);
    });
}
