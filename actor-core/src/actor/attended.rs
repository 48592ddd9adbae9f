//! Actors with something in their allocation that makes their value and hears of their end.
//!
//! Who watches an actor is listed in what few actors have, which is several times as large as an actor. A
//! server that has an actor for each connection watches them all; so each has its watcher with it, for
//! the few bytes that it takes.

use std::cell::UnsafeCell;
use std::mem;
use std::ptr::NonNull;

use super::Actor;
use super::cell::{self, Settings, Table, Typed};
use crate::ExitReason;

/// Looks after one actor.
pub trait Attendant<A: Actor>: Send + 'static {
    /// Makes the actor's value, on the stack of whoever is to run it, before it is started. If this panics
    /// the actor has ended.
    fn make(&self) -> A;

    /// The actor has come to its end; its value is gone. On the stack of whoever ends it: must not wait or
    /// panic.
    fn over(self, reason: &ExitReason);
}

/// An actor and its attendant.
#[repr(C)]
struct Attended<A, T> {
    typed: Typed<A>,
    /// There before the actor is launched, and until its end; then the carrier's alone.
    attendant: UnsafeCell<Option<T>>,
}

impl<A: Actor, T: Attendant<A>> Attended<A, T> {
    const TABLE: Table = Typed::<A>::TABLE.with(
        |core| {
            // SAFETY: this table is that of cells in allocations of this type alone.
            let attended = unsafe { core.whole().cast::<Attended<A, T>>().as_ref() };
            // SAFETY: the caller is the carrier, which runs nothing else of this actor meanwhile.
            if let Some(attendant) = unsafe { &*attended.attendant.get() } {
                let value = attendant.make();
                // SAFETY: the caller is the carrier, and there is no value yet.
                unsafe { attended.typed.fill(value) };
            }
        },
        |core| {
            // SAFETY: as above.
            let attended = unsafe { core.whole().cast::<Attended<A, T>>().as_ref() };
            // SAFETY: as above; the value has been made, or will not be.
            if let Some(attendant) = unsafe { (*attended.attendant.get()).take() } {
                attendant.over(&core.reason().unwrap_or(ExitReason::Normal));
            }
        },
        // SAFETY: as above.
        |cell| unsafe { cell::free(cell.cast::<Attended<A, T>>()) },
    );
}

/// A new actor with one address, whose attendant is still [to come](attend).
pub(super) fn allocate<A: Actor, T: Attendant<A>>(settings: Settings) -> NonNull<Typed<A>> {
    let typed = Typed::<A>::new(settings, None, &Attended::<A, T>::TABLE);
    cell::settle(Attended {
        typed,
        attendant: UnsafeCell::new(None::<T>),
    })
    .cast()
}

/// Gives an actor its attendant.
///
/// # Safety
///
/// The actor was [allocated](allocate) for this type of attendant, and has not been launched.
pub(super) unsafe fn attend<A: Actor, T: Attendant<A>>(actor: NonNull<Typed<A>>, attendant: T) {
    // SAFETY: as the caller promises; before the launch nobody looks at it.
    unsafe { *actor.cast::<Attended<A, T>>().as_ref().attendant.get() = Some(attendant) };
}

// An actor's cell begins its allocation, whatever else is in it.
const _: () = assert!(mem::offset_of!(Attended<Example, Example>, typed) == 0);

#[allow(dead_code, reason = "only its layout is looked at")]
struct Example;
