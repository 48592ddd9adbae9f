//! Tasklet-local storage.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use crate::block::{self, Here};

/// How often the values of an ending tasklet are dropped again because their destructors made new
/// ones.
const ROUNDS: usize = 16;

/// One tasklet's values, by the address of their key. A handful at most, so a list serves.
#[derive(Default)]
pub(crate) struct Locals {
    values: Vec<Local>,
}

struct Local {
    key: usize,
    /// Counted, so that it can be lent out while others are made.
    value: Rc<dyn Any>,
    inherit: Option<Copier>,
}

/// Makes a copy of a value that children inherit. The value is `Send`, and the copy is not shared.
type Copier = fn(&dyn Any) -> Rc<dyn Any>;

thread_local! {
    /// For plain threads.
    static THREAD: RefCell<Locals> = RefCell::default();
}

/// Lends the caller's values to `f`, which must not call code of the user's.
fn with_locals<R>(f: impl FnOnce(&mut Locals) -> R) -> R {
    match block::here() {
        Here::Tasklet(_, core) => match core.acting() {
            // SAFETY: the tasklet itself.
            None => f(&mut unsafe { core.home_state() }.locals.borrow_mut()),
            Some(actor) => f(&mut actor.locals().borrow_mut()),
        },
        Here::Driver | Here::Thread => THREAD.with_borrow_mut(f),
    }
}

impl Locals {
    /// What a tasklet that the caller spawns inherits.
    pub(crate) fn inherited() -> Locals {
        if matches!(block::here(), Here::Thread) && THREAD.try_with(|_| ()).is_err() {
            // Spawned by a destructor at the thread's end, when its values have gone.
            return Locals::default();
        }
        let inherited: Vec<_> = with_locals(|locals| {
            let shared = |local: &Local| {
                local
                    .inherit
                    .map(|copier| (local.key, local.value.clone(), copier))
            };
            locals.values.iter().filter_map(shared).collect()
        });
        // Not above: a copy is made by code of the user's.
        let copy = |(key, value, copier): (usize, Rc<dyn Any>, Copier)| Local {
            key,
            value: copier(&*value),
            inherit: Some(copier),
        };
        Locals {
            values: inherited.into_iter().map(copy).collect(),
        }
    }

    /// Drops the values of an ending tasklet, in it; each round under `guard`, which catches panics.
    pub(crate) fn clear(locals: &RefCell<Locals>, guard: impl Fn(&dyn Fn())) {
        for _ in 0..ROUNDS {
            let values = locals.take().values;
            if values.is_empty() {
                return;
            }
            let values = Cell::new(values);
            guard(&|| drop(values.take()));
        }
        // Destructors that make new values for ever: these are never dropped, because after the
        // tasklet there is no place to do it.
        std::mem::forget(locals.take());
    }

    fn get(&self, key: usize) -> Option<Rc<dyn Any>> {
        let local = self.values.iter().find(|local| local.key == key)?;
        Some(local.value.clone())
    }
}

/// A key to values of which each tasklet has its own; made by [`tasklet_local!`](crate::tasklet_local).
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
    inherit: Option<Copier>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> Self {
        LocalKey {
            init,
            inherit: None,
        }
    }

    #[doc(hidden)]
    pub const fn inherited(init: fn() -> T) -> Self
    where
        T: Clone + Send,
    {
        fn copy<T: Clone + 'static>(value: &dyn Any) -> Rc<dyn Any> {
            let value = value
                .downcast_ref::<T>()
                .expect("the value is of its key's type");
            Rc::new(value.clone())
        }
        LocalKey {
            init,
            inherit: Some(copy::<T>),
        }
    }

    /// Lends the current tasklet's value to `f`; makes it first if there is none yet. On a plain
    /// thread, the thread's value.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use actor_core::{dispatch, tasklet_local};
    ///
    /// tasklet_local! {
    ///     static VISITS: Cell<u32> = Cell::new(0);
    /// }
    ///
    /// dispatch(|| {
    ///     VISITS.with(|visits| visits.set(visits.get() + 1));
    ///     assert_eq!(VISITS.with(Cell::get), 1);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// On a plain thread, in a destructor that runs after the thread's values have been dropped.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let key = (&raw const *self).addr();
        let value = with_locals(|locals| locals.get(key)).unwrap_or_else(|| {
            let value: Rc<dyn Any> = Rc::new((self.init)());
            let local = Local {
                key,
                value: value.clone(),
                inherit: self.inherit,
            };
            with_locals(|locals| locals.values.push(local));
            value
        });
        f(value
            .downcast_ref()
            .expect("the value is of its key's type"))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKey(..)")
    }
}

/// Declares values of which each tasklet has its own, as `thread_local!` does for threads.
///
/// A value is made at its first use in a tasklet, and dropped inside the tasklet when that ends. With
/// `inherit`, a tasklet starts with a clone of the value that the one that spawned it had then.
///
/// ```
/// use actor_core::{Tasklet, dispatch, tasklet_local};
/// use std::cell::Cell;
///
/// tasklet_local! {
///     static VISITS: Cell<u32> = Cell::new(0);
///     inherit static USER: Cell<&'static str> = Cell::new("nobody");
/// }
///
/// dispatch(|| {
///     VISITS.with(|visits| visits.set(7));
///     USER.with(|user| user.set("Ada"));
///     let child = Tasklet::spawn(|| (VISITS.with(Cell::get), USER.with(Cell::get)));
///     assert_eq!(child.join().unwrap(), (0, "Ada"));
/// });
/// ```
#[macro_export]
macro_rules! tasklet_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$attr])* $vis static $name: $crate::LocalKey<$type> = $crate::LocalKey::new(|| $init);
        $($crate::tasklet_local! { $($rest)* })?
    };
    ($(#[$attr:meta])* inherit $vis:vis static $name:ident: $type:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$attr])* $vis static $name: $crate::LocalKey<$type> = $crate::LocalKey::inherited(|| $init);
        $($crate::tasklet_local! { $($rest)* })?
    };
}
