//! What threads ask of a worker: to wake a tasklet or an actor, to run a command, to forget a descriptor.
//!
//! On the worker's own thread that is done at once. From any other it goes into the inbox, which the driver
//! empties; whoever finds it idle rings the doorbell.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Local, all, local};
use crate::actor;
use crate::actor::cell::ActorCell;
use crate::actor::residence::Knock;
use crate::contain::contain_or;
use crate::queue::{Kind, Link, Push};
use crate::reactor;
use crate::tasklet::core::Core;

/// Runs `command` on this worker now, or soon on some worker if this thread is none.
///
/// # Panics
///
/// If the runtime has never been started.
pub(crate) fn on_some_worker(command: impl FnOnce(&Local) + Send + 'static) {
    assert!(!all().is_empty(), "the runtime has not been started");
    match local() {
        Some(local) => command(local),
        None => post(0, command),
    }
}

/// Runs `command` on the worker `id`: now if this thread is it, or else soon, outside any tasklet.
pub(crate) fn on_worker(id: usize, command: impl FnOnce(&Local) + Send + 'static) {
    match local() {
        Some(local) if local.id == id => command(local),
        _ => post(id, command),
    }
}

/// Runs `command` on the worker `id`, outside any tasklet.
pub(crate) fn post(id: usize, command: impl FnOnce(&Local) + Send + 'static) {
    let command = Command {
        link: Link::new(Kind::Command),
        run: Box::new(command),
    };
    let node = NonNull::from(Box::leak(Box::new(command))).cast();
    // SAFETY: the command has just been leaked for this, and the link is its first field.
    unsafe { deliver(id, node) };
}

/// Has `work` done soon by a driver: this worker's, or else that of `home`, or any. It must not wait.
///
/// # Panics
///
/// If the runtime has never been started.
pub(crate) fn soon(home: Option<usize>, work: Box<dyn FnOnce() + Send>) {
    assert!(!all().is_empty(), "the runtime has not been started");
    match local() {
        Some(local) => local.due.borrow_mut().push_back(work),
        None => post(home.unwrap_or(0), move |local| {
            local.due.borrow_mut().push_back(work);
        }),
    }
}

/// Has `work` done by the driver of the worker `id`. It must not wait.
///
/// # Panics
///
/// If there is no such worker.
pub(crate) fn at(id: usize, work: Box<dyn FnOnce() + Send>) {
    post(id, move |local| local.due.borrow_mut().push_back(work));
}

/// # Safety
///
/// As [`Queue::push`]; the node begins a [`Core`] or a [`Command`], as its kind says.
unsafe fn deliver(id: usize, node: NonNull<Link>) {
    let worker = &all()[id];
    // SAFETY: as the caller promises.
    match unsafe { worker.inbox.push(node) } {
        Push::Queued => {}
        Push::WakeConsumer => ring(&worker.bell),
        Push::Closed => unreachable!("an inbox is never closed"),
    }
}

/// Takes a descriptor out of a worker's epoll at once, and forgets its key soon.
///
/// The descriptor must still be open: this is what makes it safe to close it next.
pub(crate) fn forget_descriptor(id: usize, fd: RawFd, key: u64) {
    reactor::epoll_remove(all()[id].epoll.load(Ordering::Acquire), fd);
    match local() {
        Some(local) if local.id == id => local.sources().remove(key),
        _ => post(id, move |local| local.sources().remove(key)),
    }
}

pub(super) fn ring(bell: &OwnedFd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: writes eight bytes of a local to an open descriptor. It cannot fail: the counter would
    // have to overflow, and then it is readable anyway.
    unsafe { libc::write(bell.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

#[repr(C)]
struct Command {
    link: Link,
    run: Box<dyn FnOnce(&Local) + Send>,
}

/// Wakes a tasklet, from any thread: makes it look again, if it waits.
pub(crate) fn wake(core: &Core) {
    match local() {
        Some(local) if local.id == core.home => local.wake_own(core),
        _ => {
            if core.wake.post() {
                // The inbox has a reference of its own: the tasklet may end before it is read.
                let core = Arc::into_raw(core.strong()).cast_mut();
                // SAFETY: never null.
                let core = unsafe { NonNull::new_unchecked(core) };
                // SAFETY: the link is the core's first field, and in no queue: whoever raised the
                // flag just now is the only one to use it until the home has taken it down.
                unsafe { deliver(core.as_ref().home, core.cast()) };
            }
        }
    }
}

/// Wakes a tasklet, from any thread, and has it run before all others that are ready if it shares the
/// caller's worker.
pub(crate) fn hurry(core: &Core) {
    match local() {
        Some(local) if local.id == core.home => local.hurry(core),
        _ => wake(core),
    }
}

/// Wakes an actor, from any thread: makes it look again.
#[inline]
pub(crate) fn wake_actor(actor: &ActorCell) {
    let local = local();
    let on = local.map(|local| local.id);
    match (actor.residence.knock(on), local) {
        (Knock::Here, Some(local)) => {
            if actor.flags() & actor::cell::TOLD_TO_END != 0 {
                local.interrupt(actor);
            }
            local.wake_own_actor(actor);
        }
        (Knock::Deliver(home), _) => {
            actor.program.activity.begin(on);
            deliver_actor(actor, home);
        }
        (Knock::Here | Knock::OnItsWay, _) => {}
    }
}

/// Puts an actor into the inbox of worker `home`, for whoever has raised its flag for that. It counts
/// as begun until it is there.
pub(crate) fn deliver_actor(actor: &ActorCell, home: usize) {
    // The inbox has a reference of its own: the actor may end before it is read.
    actor.add_reference();
    // SAFETY: the link is the cell's first field, and in no queue: whoever has raised the flag is the
    // only one to use it until the home has taken it down.
    unsafe { deliver(home, actor.node().cast()) };
}

impl Local {
    pub(super) fn empty_inbox(&self) -> bool {
        let mut arrived = self.shared.inbox.take_all();
        let any = arrived.len() > 0;
        while let Some(node) = arrived.pop() {
            // SAFETY: the chain owns the node.
            match unsafe { node.as_ref() }.kind {
                Kind::Tasklet => {
                    // SAFETY: of this kind only `wake` delivers, with a reference.
                    let core = unsafe { Arc::from_raw(node.cast::<Core>().as_ptr().cast_const()) };
                    core.wake.taken_from_inbox();
                    self.wake_own(&core);
                }
                Kind::Actor => {
                    let actor = node.cast::<ActorCell>();
                    // SAFETY: of this kind only `wake_actor` delivers, with a reference.
                    self.welcome(unsafe { actor.as_ref() });
                    // SAFETY: that reference.
                    unsafe { ActorCell::remove_reference(actor) };
                }
                Kind::Command => {
                    // SAFETY: of this kind only `post` delivers, and it leaked a box.
                    let command = unsafe { Box::from_raw(node.cast::<Command>().as_ptr()) };
                    (command.run)(self);
                }
                Kind::Envelope => unreachable!("mailboxes have queues of their own"),
            }
        }
        any
    }

    /// An actor has come to the inbox, or would have.
    pub(crate) fn welcome(&self, actor: &ActorCell) {
        // If it has no home: it has just been launched, or been given away by another worker.
        actor.residence.settle(self.id);
        actor.residence.arrive();
        if !actor.has(actor::cell::ENDED) {
            if actor.flags() & actor::cell::TOLD_TO_END != 0 {
                self.interrupt(actor);
            }
            self.wake_own_actor(actor);
        }
        actor.program.activity.rest(self.id);
    }

    /// Runs the timers' actions that are due; only in the driver.
    pub(super) fn run_due(&self) {
        loop {
            let run = self.due.borrow_mut().pop_front();
            let Some(run) = run else { return };
            contain_or(run, || tracing::error!("a timer's action has panicked"));
        }
    }
}
