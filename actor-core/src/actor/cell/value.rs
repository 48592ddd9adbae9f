//! The value of an actor's own type, and what of the actor depends on that type.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize};

use super::reason::NO_REASON;
use super::{ActorCell, Extra, NEW, Settings};
use crate::actor::context::Context;
use crate::actor::residence::Residence;
use crate::contain::contain;
use crate::envelope::Envelope;
use crate::exit::{Exit, ExitReason};
use crate::lazy::LazyBox;
use crate::mailbox::Contents;
use crate::queue::{Kind, Link};
use crate::{Actor, BoxError, Pid};

/// What depends on the actor's type.
pub(crate) struct Table {
    pub(super) name: fn() -> &'static str,
    /// Makes the value, if it is not there from the beginning.
    pub(super) make: unsafe fn(&ActorCell),
    /// Calls `started`.
    started: unsafe fn(&ActorCell) -> Result<(), BoxError>,
    /// Calls `stopped`.
    stopped: unsafe fn(&ActorCell, &ExitReason),
    /// Makes word of an end a message to it.
    pub(super) exit: fn(Exit) -> Envelope,
    /// Drops the value.
    drop_value: unsafe fn(&ActorCell),
    /// It has come to its end for good: does what has been left to be done then.
    over: unsafe fn(&ActorCell),
    /// Frees the memory.
    pub(super) free: unsafe fn(NonNull<ActorCell>),
}

impl Table {
    /// The table of an actor that has something behind its value.
    pub(in crate::actor) const fn with(
        self,
        make: unsafe fn(&ActorCell),
        over: unsafe fn(&ActorCell),
        free: unsafe fn(NonNull<ActorCell>),
    ) -> Table {
        Table {
            make,
            over,
            free,
            ..self
        }
    }
}

/// An actor with its value.
#[repr(C)]
pub(crate) struct Typed<A> {
    pub(crate) core: ActorCell,
    value: Slot<A>,
}

/// A place for a value. Not an `Option`: emptied by an assignment it could need as much of the stack as
/// the value takes.
struct Slot<A> {
    full: Cell<bool>,
    value: UnsafeCell<MaybeUninit<A>>,
}

impl<A> Slot<A> {
    fn new(value: Option<A>) -> Self {
        Slot {
            full: Cell::new(value.is_some()),
            value: UnsafeCell::new(value.map_or_else(MaybeUninit::uninit, MaybeUninit::new)),
        }
    }

    /// # Safety
    ///
    /// The caller is the only one to use the slot, and there is no reference to a value in it.
    unsafe fn fill(&self, value: A) {
        // SAFETY: as the caller promises.
        unsafe { self.clear() };
        // SAFETY: as above.
        unsafe { (*self.value.get()).write(value) };
        self.full.set(true);
    }

    /// # Safety
    ///
    /// As [`fill`](Self::fill).
    unsafe fn clear(&self) {
        if self.full.replace(false) {
            // SAFETY: there was a value, and there is no reference to it.
            unsafe { (*self.value.get()).assume_init_drop() };
        }
    }

    /// # Safety
    ///
    /// The caller is the only one to use the slot, and lets go of the reference before anybody else does.
    #[expect(clippy::mut_from_ref, reason = "the caller vouches for it")]
    unsafe fn get(&self) -> &mut A {
        assert!(self.full.get(), "an actor that runs has its value");
        // SAFETY: there is a value, and as the caller promises.
        unsafe { (*self.value.get()).assume_init_mut() }
    }
}

impl<A> Drop for Slot<A> {
    fn drop(&mut self) {
        // SAFETY: nobody else refers to it.
        unsafe { self.clear() };
    }
}

impl<A: Actor> Typed<A> {
    pub(in crate::actor) const TABLE: Table = Table {
        name: std::any::type_name::<A>,
        make: |_| {},
        started: |core| {
            // SAFETY: as for `value_of`, which the caller promises.
            let (value, mut context) = unsafe { parts::<A>(core) };
            value.started(&mut context)
        },
        stopped: |core, reason| {
            // SAFETY: as above.
            let (value, _) = unsafe { parts::<A>(core) };
            value.stopped(reason);
        },
        exit: Envelope::exit::<A>,
        drop_value: |core| {
            // In its place: it may be too large for the stack.
            // SAFETY: as above.
            unsafe { typed::<A>(core).as_ref().value.clear() };
        },
        over: |_| {},
        // SAFETY: it was allocated as this.
        free: |cell| unsafe { free(cell.cast::<Typed<A>>()) },
    };

    /// Puts the value in its place.
    ///
    /// # Safety
    ///
    /// The caller is the carrier, and there is no reference to a value.
    pub(in crate::actor) unsafe fn fill(&self, value: A) {
        // SAFETY: as the caller promises.
        unsafe { self.value.fill(value) };
    }

    /// A new actor, with one address.
    ///
    /// It counts as on its way to its home's inbox, where [`launch`](ActorCell::launch) then puts it; so
    /// nothing wakes it before.
    pub(in crate::actor) fn new(
        settings: Settings,
        value: Option<A>,
        table: &'static Table,
    ) -> Self {
        let extra = settings.name.map(|name| Extra {
            name: Some(name),
            ..Extra::default()
        });
        Typed {
            core: ActorCell {
                link: Link::new(Kind::Actor),
                residence: Residence::new(),
                flags: AtomicU8::new(NEW),
                reason: AtomicU8::new(NO_REASON),
                pid: Pid::unused(),
                table,
                program: settings.program,
                entry: Cell::default(),
                handles: AtomicUsize::new(1),
                references: AtomicUsize::new(1),
                carrier: AtomicPtr::new(ptr::null_mut()),
                mailbox: Contents::new(settings.mailbox),
                waiting: LazyBox::new(None),
                extra: LazyBox::new(extra),
            },
            value: Slot::new(value),
        }
    }
}

/// Puts an actor, whatever stands behind its cell, where it stays.
pub(in crate::actor) fn settle<T>(typed: T) -> NonNull<T> {
    let typed = NonNull::from(Box::leak(Box::new(typed)));
    // See `whole`.
    typed.expose_provenance();
    typed
}

/// Frees what [`settle`] has made.
///
/// # Safety
///
/// It begins with a cell, to which the last reference has gone.
pub(in crate::actor) unsafe fn free<T>(whole: NonNull<T>) {
    // SAFETY: as the caller promises.
    let core = unsafe { whole.cast::<ActorCell>().as_ref() };
    // What has come to one that was never launched.
    core.mailbox.close();
    let guard = |piece: &dyn Fn()| {
        contain(piece);
    };
    let abandon = |message: Envelope| message.abandon(core.pid, core.name());
    // SAFETY: nobody else refers to it.
    unsafe { core.mailbox.abandon_all(guard, abandon) };
    // Wherever this is, it is not the place for a panic of the user's.
    // SAFETY: it was boxed by `settle`, and the last reference has gone.
    contain(|| drop(unsafe { Box::from_raw(whole.as_ptr()) }));
}

/// # Safety
///
/// `core` begins a `Typed<A>`.
pub(super) unsafe fn typed<A: Actor>(core: &ActorCell) -> NonNull<Typed<A>> {
    core.whole().cast()
}

/// The actor's value, and its context.
///
/// # Safety
///
/// `core` begins a `Typed<A>`; the caller is its carrier, and lets go of both before anybody else runs
/// it. The value has not been dropped.
pub(crate) unsafe fn parts<'a, A: Actor>(core: &ActorCell) -> (&'a mut A, Context<A>) {
    // SAFETY: as the caller promises.
    unsafe {
        let typed = typed::<A>(core);
        (typed.as_ref().value.get(), Context::new(typed))
    }
}

impl ActorCell {
    /// A new actor, with one address. It is still to be [launched](Self::launch).
    pub(crate) fn allocate<A: Actor>(settings: Settings, value: Option<A>) -> NonNull<Typed<A>> {
        settle(Typed::new(settings, value, &Typed::<A>::TABLE))
    }

    // For its carrier --------------------------------------------------------------------------

    /// # Safety
    ///
    /// The caller is its carrier, and the value has not been dropped.
    pub(crate) unsafe fn started(&self) -> Result<(), BoxError> {
        // SAFETY: as the caller promises.
        unsafe { (self.table.started)(self) }
    }

    /// # Safety
    ///
    /// As [`started`](Self::started).
    pub(crate) unsafe fn stopped(&self, reason: &ExitReason) {
        // SAFETY: as the caller promises.
        unsafe { (self.table.stopped)(self, reason) }
    }

    /// # Safety
    ///
    /// The caller is its carrier.
    pub(crate) unsafe fn drop_value(&self) {
        // SAFETY: as the caller promises.
        unsafe { (self.table.drop_value)(self) }
    }

    /// Does what has been left to be done at its end.
    ///
    /// # Safety
    ///
    /// The caller is its carrier, and calls this once.
    pub(crate) unsafe fn over(&self) {
        // SAFETY: as the caller promises.
        unsafe { (self.table.over)(self) }
    }
}

const _: () = assert!(mem::offset_of!(Typed<Example>, core) == 0);

#[allow(dead_code, reason = "only its layout is looked at")]
struct Example(PhantomData<()>);
