//! What a carrier does with an actor that is ready: start it, hand it its messages, end it.

use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use super::cell::{ActorCell, DOWN, ENDING, KILLED, NEW, STOPPING};
use crate::block::Killed;
use crate::contain::{contain, contain_or};
use crate::envelope::Envelope;
use crate::exit::{self, ExitReason, Party};
use crate::runtime::panics;
use crate::tasklet::core::Core;
use crate::worker::Local;
use crate::{Panic, counters};

/// How many messages one actor handles before it is another's turn.
const BATCH: usize = 64;

/// What is to become of an actor after a run.
enum Then {
    /// It has handled all there was, and is idle.
    Idle,
    /// There is more to do.
    Again,
    End(ExitReason),
    /// It is down, and there is to be no other life.
    Bury(ExitReason),
}

/// Runs an actor that has been taken from the ready queue.
///
/// # Safety
///
/// On the thread of `local`, which is the actor's home; in the tasklet of `carrier`.
pub(crate) unsafe fn run(local: &'static Local, carrier: &Core, cell: NonNull<ActorCell>) {
    // SAFETY: what is in the ready queue lives: it ends in here alone.
    let actor = unsafe { cell.as_ref() };
    actor.residence.begin_run();
    actor.set_carrier(Some(carrier));
    // SAFETY: the tasklet itself.
    let state = unsafe { carrier.home_state() };
    state.acting.set(Some(cell));
    // SAFETY: this is its carrier, and it has not ended.
    let ran = catch_unwind(AssertUnwindSafe(|| unsafe {
        handle_messages(local, actor)
    }));
    let mut then = ran.unwrap_or_else(|payload| Then::End(reason_of(payload)));
    // Its next life, if it has one, is its supervisor's affair: it is queued for that decision.
    if let Then::End(reason) = &mut then {
        // SAFETY: this is its carrier.
        unsafe { end_life(carrier, actor, reason) };
        if actor.is_supervised() && !actor.program.is_killing() {
            // Those who watch this life ask for news of it in this one.
            let party = Party::actor(actor);
            // A kill that has come too late is not to be carried out here.
            carrier.shield();
            exit::end_life(&party, reason, || actor.go_down());
            actor.tell_waiting();
            let ended = mem::replace(&mut then, Then::Again);
            contain(|| drop(ended));
            carrier.unshield();
        }
    }
    if let Then::End(reason) | Then::Bury(reason) = &then {
        // SAFETY: this is its carrier, and it is not run again.
        unsafe { end(local, carrier, actor, reason) };
    }
    actor.set_carrier(None);
    state.acting.set(None);
    carrier.forget_kill();
    match then {
        Then::Idle => {}
        // SAFETY: it is at home, does not run any more and is in no queue.
        Then::Again => unsafe { local.queue_actor(cell) },
        Then::End(reason) | Then::Bury(reason) => {
            // It may have an error of the user's.
            contain(|| drop(reason));
            // SAFETY: the reference of its life.
            unsafe { ActorCell::remove_reference(cell) };
        }
    }
}

/// # Safety
///
/// The caller is the actor's carrier, and the actor has its value.
unsafe fn handle_messages(local: &'static Local, actor: &ActorCell) -> Then {
    if actor.flags() & DOWN != 0 {
        if actor.is_buried() || actor.program.is_killing() {
            // That of its last life, if it has had one.
            return Then::Bury(actor.reason().unwrap_or(ExitReason::Shutdown));
        }
        if actor.residence.try_idle() {
            local.actor_idles(actor);
            return Then::Idle;
        }
        return Then::Again;
    }
    if actor.flags() & NEW != 0 {
        if actor.flags() & KILLED != 0 {
            return Then::End(ExitReason::Killed);
        }
        // SAFETY: as the caller promises; the value is there then.
        if let Err(error) = actor.make_value().and_then(|()| unsafe { actor.started() }) {
            return Then::End(ExitReason::Failed(error.into()));
        }
        actor.begin();
    }
    for _ in 0..BATCH {
        if actor.flags() & (KILLED | ENDING) != 0 {
            return Then::End(why(actor));
        }
        // SAFETY: as the caller promises.
        if let Some(then) = unsafe { handle_next(local, actor) } {
            return then;
        }
        if local.slice_may_be_over() && local.take_turn_if_due() {
            break;
        }
    }
    Then::Again
}

/// Handles one message; if there is none, says what is to become of the actor.
///
/// # Safety
///
/// As [`handle_messages`].
#[inline(always)]
unsafe fn handle_next(local: &'static Local, actor: &ActorCell) -> Option<Then> {
    if let Some(message) = actor.next_unstashed() {
        // SAFETY: the actor has put it aside, and this is its carrier.
        unsafe { message.handle(actor) };
        return None;
    }
    // Asked before the look at the mailbox: what was sent before the last address went, or before
    // a stop, is found by that look.
    let over = actor.flags() & STOPPING != 0 || actor.is_unreachable();
    // SAFETY: the consumer.
    match unsafe { actor.mailbox.pop() } {
        Some(message) if message.is_given_up() => {
            counters::SKIPPED_CALLS.add(1);
            contain(|| drop(message));
        }
        // SAFETY: the message was put there by an address of this actor's type.
        Some(message) => unsafe { message.handle(actor) },
        None if over => return Some(Then::End(why(actor))),
        // SAFETY: the consumer.
        None if unsafe { actor.mailbox.listen() } => {
            if actor.residence.try_idle() {
                local.actor_idles(actor);
                return Some(Then::Idle);
            }
            // SAFETY: the consumer.
            unsafe { actor.mailbox.stop_listening() };
        }
        None => {}
    }
    None
}

/// The reason of an end that has been asked for.
fn why(actor: &ActorCell) -> ExitReason {
    let flags = actor.flags();
    if flags & KILLED != 0 {
        return ExitReason::Killed;
    }
    match actor.reason() {
        Some(reason) => reason,
        // Those who could reach it may have been shut down before.
        None if actor.program.is_shutting_down() => ExitReason::Shutdown,
        None if flags & (STOPPING | ENDING) != 0 => ExitReason::Stopped,
        None => ExitReason::Unreachable,
    }
}

/// The reason of an end by unwinding.
fn reason_of(payload: Box<dyn std::any::Any + Send>) -> ExitReason {
    if payload.is::<Killed>() {
        return ExitReason::Killed;
    }
    let place = panics::take_place(&*payload);
    let panic = Panic::new(payload, place);
    let text: Arc<str> = panic.to_string().into();
    // The payload is a value of the user's, and so is its destructor.
    contain(|| drop(panic));
    ExitReason::Panicked(text)
}

/// Ends a life: the value is dropped, and what belongs to it.
///
/// # Safety
///
/// The caller is the actor's carrier.
unsafe fn end_life(carrier: &Core, actor: &ActorCell, reason: &mut ExitReason) {
    carrier.set_ending(true);
    let guarded = guard(actor);
    if !actor.is_supervised() {
        actor.mailbox.close();
    }
    let started = !actor.has(NEW);
    if started && !matches!(reason, ExitReason::Killed | ExitReason::Panicked(_)) {
        // Not shielded yet: if this does not come to its end it can be killed.
        // SAFETY: this is its carrier, and the value is there.
        let stopped = catch_unwind(AssertUnwindSafe(|| unsafe { actor.stopped(reason) }));
        match stopped.map_err(reason_of) {
            Ok(()) => {}
            Err(ExitReason::Killed) => *reason = ExitReason::Killed,
            Err(panic) => drop(contain(
                || tracing::warn!(actor = actor.name(), pid = %actor.pid, %panic, "`stopped` has panicked"),
            )),
        }
    }
    // It is as good as dead: a kill has nothing left to unwind but destructors.
    carrier.shield();
    for message in actor.take_stash() {
        let message = Cell::new(Some(message));
        guarded(&|| {
            message
                .take()
                .into_iter()
                .for_each(|message| message.abandon(actor))
        });
    }
    // SAFETY: this is its carrier.
    guarded(&|| unsafe { actor.drop_value() });
    // Last, since the destructors before may have made new ones.
    actor.clear_locals(&guarded);
    actor.stop_children();
    actor.cancel_timers();
    if reason.is_abnormal() {
        contain(
            || tracing::error!(actor = actor.name(), pid = %actor.pid, %reason, "an actor has ended"),
        );
    }
    actor.set_reason(reason);
    carrier.unshield();
    carrier.set_ending(false);
}

/// Ends the actor for good: what is left in its mailbox is dropped.
///
/// # Safety
///
/// The caller is the actor's carrier; it is called once, after the last life.
unsafe fn end(local: &Local, carrier: &Core, actor: &ActorCell, reason: &ExitReason) {
    carrier.set_ending(true);
    carrier.shield();
    let guarded = guard(actor);
    actor.mailbox.close();
    // Its name is found out only if there is anything.
    let abandon = |message: Envelope| message.abandon(actor.pid, actor.name());
    // SAFETY: the consumer.
    unsafe { actor.mailbox.abandon_all(&guarded, abandon) };
    if let Some(watchers) = actor.watchers_if_any() {
        watchers.do_deeds();
    }
    // SAFETY: this is its carrier, and this its only end.
    contain(|| unsafe { actor.over() });
    actor.clear_locals(&guarded);
    actor.set_reason(reason);
    actor.mark_ended();
    // Whoever watches it makes what it has for that first, and then looks whether it has ended.
    if !actor.is_plain() {
        exit::tell_all(&Party::actor(actor));
    }
    // Last: whoever has waited for the end finds all of that done.
    actor.tell_waiting();
    actor.program.activity.rest(local.id);
    carrier.unshield();
    carrier.set_ending(false);
}

/// Runs destructors of the user's. One that panics ends that piece alone.
pub(super) fn guard(actor: &ActorCell) -> impl Fn(&dyn Fn()) {
    move |piece| {
        contain_or(piece, || {
            tracing::warn!(actor = actor.name(), "a destructor has panicked at the end");
        });
    }
}
