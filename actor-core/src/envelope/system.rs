//! What the runtime itself sends: word of an end, a job of a pool, a stop, a deed to be done by an actor.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::Envelope;
use super::class::{Class, Classes, Header, Sent};
use crate::actor::Actor;
use crate::actor::cell::{self, ActorCell};
use crate::actor::pool::Ticket;
use crate::{Context, Exit, ExitReason, Message, recycle};

/// Word of ends, to tasklets and to actors.
pub(super) struct Exits<A>(PhantomData<A>);

impl Exits<()> {
    pub(super) const TO_TASKLET: Class = Class {
        system: true,
        ..<Exit as Classes>::SENT
    };
}

impl<A: Actor> Exits<A> {
    pub(super) const TO_ACTOR: Class = Class {
        handle: handle_exit::<A>,
        ..Exits::TO_TASKLET
    };
}

/// A message that a pool has given to one of its workers, and how the pool learns that it is done. Without
/// a message it only tells that the worker has come to it.
pub(crate) struct Job {
    pub(crate) message: Option<Envelope>,
    pub(crate) ticket: Ticket,
}

impl Message for Job {
    type Reply = ();
}

pub(super) struct Jobs;

impl Jobs {
    pub(super) const CLASS: Class = Class {
        system: true,
        standing: |node| {
            // SAFETY: it was allocated for this type by `Envelope::new`, and lives.
            let job = unsafe { node.cast::<Sent<Job>>().as_ref() };
            let message = job.message.as_ref()?.message.as_ref()?;
            message.standing().map(NonNull::from)
        },
        discard: |node, error| {
            // SAFETY: as above, and the share is used up.
            let sent = unsafe { recycle::take(node.cast::<Sent<Job>>()) };
            // The ticket goes last.
            if let Some(Job { message, ticket }) = sent.message {
                match (message, error) {
                    (Some(message), Some(error)) => message.fail(error),
                    (message, _) => drop(message),
                }
                drop(ticket);
            }
        },
        handle: |node, actor| {
            // SAFETY: as above.
            let sent = unsafe { recycle::take(node.cast::<Sent<Job>>()) };
            if let Some(Job { message, ticket }) = sent.message {
                if let Some(message) = message {
                    // SAFETY: the pool has addressed it to its workers' type; the caller is the carrier.
                    unsafe { message.handle(actor) };
                }
                drop(ticket);
            }
        },
        ..<Job as Classes>::SENT
    };
}

/// A request to stop, to a supervised actor.
#[derive(Debug)]
pub(super) struct Stop;

impl Message for Stop {
    type Reply = ();
}

pub(super) struct Stops;

impl Stops {
    pub(super) const CLASS: Class = Class {
        system: true,
        handle: |node, actor| {
            // SAFETY: as for `handle_sent`.
            unsafe { recycle::free(node.cast::<Sent<Stop>>()) };
            actor.end_with(ExitReason::Stopped);
        },
        ..<Stop as Classes>::SENT
    };
}

/// Something that an actor is to do, given to it as a message.
pub(super) struct Deed<F>(pub(super) F);

impl<F: Send + 'static> Message for Deed<F> {
    type Reply = ();
}

pub(super) struct Deeds<A, F>(PhantomData<(A, F)>);

impl<A: Actor, F: FnOnce(&mut A, &mut Context<A>) + Send + 'static> Deeds<A, F> {
    pub(super) const CLASS: Class = Class {
        system: true,
        handle: |node, actor| {
            // SAFETY: as for `handle_sent`.
            let sent = unsafe { recycle::take(node.cast::<Sent<Deed<F>>>()) };
            if let Some(Deed(deed)) = sent.message {
                // SAFETY: as above.
                let (value, mut context) = unsafe { cell::parts::<A>(actor) };
                deed(value, &mut context);
            }
        },
        ..<Deed<F> as Classes>::SENT
    };
}

/// # Safety
///
/// As for [`handle_sent`].
unsafe fn handle_exit<A: Actor>(node: NonNull<Header>, actor: &ActorCell) {
    // SAFETY: it was allocated for this type by `Envelope::new`.
    let sent = unsafe { recycle::take(node.cast::<Sent<Exit>>()) };
    // What a life before has asked for is nothing to this one.
    if let Some(exit) = sent.message.filter(|exit| exit.life == actor.life()) {
        // SAFETY: as the caller promises.
        let (value, mut context) = unsafe { cell::parts::<A>(actor) };
        value.exited(exit, &mut context);
    }
}
