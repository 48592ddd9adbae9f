//! Something that most have not, made when it is first needed.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

/// A box, or none yet. As large as a pointer, and looked at by one load.
///
/// Both steps are sequentially consistent: who changes something else in that way and then finds no box
/// comes, for everybody, before whoever makes one and looks at that afterwards.
pub(crate) struct LazyBox<T> {
    boxed: AtomicPtr<T>,
    _owns: PhantomData<T>,
}

// SAFETY: it gives out `&T` alone; a `T` may be made on one thread and dropped on another.
unsafe impl<T: Send + Sync> Sync for LazyBox<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for LazyBox<T> {}

impl<T> LazyBox<T> {
    pub(crate) const fn empty() -> Self {
        LazyBox {
            boxed: AtomicPtr::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    pub(crate) fn new(value: Option<T>) -> Self {
        let boxed = value.map_or(ptr::null_mut(), |value| Box::into_raw(Box::new(value)));
        LazyBox {
            boxed: AtomicPtr::new(boxed),
            _owns: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: null, or a box that stays as long as this does.
        unsafe { self.boxed.load(SeqCst).as_ref() }
    }
}

impl<T: Default> LazyBox<T> {
    pub(crate) fn get_or_default(&self) -> &T {
        match self.get() {
            Some(value) => value,
            None => self.make(),
        }
    }

    #[cold]
    fn make(&self) -> &T {
        let made = Box::into_raw(Box::<T>::default());
        let there = match self
            .boxed
            .compare_exchange(ptr::null_mut(), made, SeqCst, SeqCst)
        {
            Ok(_) => made,
            Err(there) => {
                // SAFETY: it has just been made, and nobody else knows it.
                drop(unsafe { Box::from_raw(made) });
                there
            }
        };
        // SAFETY: not null, and it stays as long as this does.
        unsafe { &*there }
    }
}

impl<T> Drop for LazyBox<T> {
    fn drop(&mut self) {
        let boxed = *self.boxed.get_mut();
        if !boxed.is_null() {
            // SAFETY: it came from a box, which nobody else has.
            drop(unsafe { Box::from_raw(boxed) });
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for LazyBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
