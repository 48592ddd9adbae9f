//! The atomics of the lock-free parts, and the locks beside them, so that loom can take their place.
//!
//! What the crate's loom models check uses these: [`queue`](crate::queue), [`wake`](crate::wake), where an
//! actor [resides](crate::actor::residence), the state of a [`reply`](crate::reply) cell, the meetings of a
//! [`channel`](crate::channel), the readiness word of the [`reactor`](crate::reactor), the
//! [`wait_list`](crate::wait_list) and the [`permits`](crate::sync::permits).
//!
//! The last two are made in constant functions, which loom's types are not: theirs are made at first
//! use, when there is a model.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};

#[cfg(loom)]
pub(crate) use self::late::{ConstAtomicPtr, ConstAtomicUsize, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicPtr as ConstAtomicPtr, AtomicUsize as ConstAtomicUsize};

#[cfg(loom)]
mod late {
    use std::cell::UnsafeCell;
    use std::fmt;
    use std::ops::{Deref, DerefMut};
    use std::sync::OnceLock;
    use std::sync::atomic::Ordering::{self, SeqCst};

    use loom::sync::atomic::{AtomicPtr, AtomicUsize, fence};

    /// loom takes `SeqCst` for `AcqRel`, and so sees a store and a later load change places that may
    /// not. A fence before each, which it knows, says the same; and not if the later one is weaker.
    fn order(order: Ordering) {
        if order == SeqCst {
            fence(SeqCst);
        }
    }

    /// Defines an atomic's part of loom's that is used, in terms of `inner`.
    macro_rules! operations {
        ($value:ty: $($name:ident($($argument:ident: $type:ty),*);)*) => {
            pub(crate) fn load(&self, ordering: Ordering) -> $value {
                order(ordering);
                self.inner().load(ordering)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                order(success);
                self.inner().compare_exchange(current, new, success, failure)
            }

            $(pub(crate) fn $name(&self, $($argument: $type,)* ordering: Ordering) -> $value {
                order(ordering);
                self.inner().$name($($argument,)* ordering)
            })*
        };
    }

    #[derive(Debug)]
    pub(crate) struct ConstAtomicUsize(usize, OnceLock<AtomicUsize>);

    impl ConstAtomicUsize {
        pub(crate) const fn new(value: usize) -> Self {
            ConstAtomicUsize(value, OnceLock::new())
        }

        fn inner(&self) -> &AtomicUsize {
            self.1.get_or_init(|| AtomicUsize::new(self.0))
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            current: usize,
            new: usize,
            success: Ordering,
            failure: Ordering,
        ) -> Result<usize, usize> {
            self.compare_exchange(current, new, success, failure)
        }

        operations!(usize:
            swap(value: usize);
            fetch_add(value: usize);
            fetch_sub(value: usize);
            fetch_or(value: usize);
            fetch_and(value: usize);
        );
    }

    /// Begins with null, as all do that use it.
    pub(crate) struct ConstAtomicPtr<T>(OnceLock<AtomicPtr<T>>);

    impl<T> ConstAtomicPtr<T> {
        pub(crate) const fn new(null: *mut T) -> Self {
            assert!(null.is_null());
            ConstAtomicPtr(OnceLock::new())
        }

        fn inner(&self) -> &AtomicPtr<T> {
            self.0.get_or_init(|| AtomicPtr::new(std::ptr::null_mut()))
        }

        operations!(*mut T:
            swap(value: *mut T);
        );
    }

    impl<T> fmt::Debug for ConstAtomicPtr<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ConstAtomicPtr(..)")
        }
    }

    pub(crate) struct Mutex<T> {
        lock: OnceLock<loom::sync::Mutex<()>>,
        value: UnsafeCell<T>,
    }

    // SAFETY: the value is reached under the lock alone.
    unsafe impl<T: Send> Sync for Mutex<T> {}

    pub(crate) struct MutexGuard<'a, T> {
        value: &'a UnsafeCell<T>,
        _held: loom::sync::MutexGuard<'a, ()>,
    }

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Mutex {
                lock: OnceLock::new(),
                value: UnsafeCell::new(value),
            }
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let lock = self.lock.get_or_init(|| loom::sync::Mutex::new(()));
            MutexGuard {
                value: &self.value,
                _held: lock.lock().expect("loom's locks are not poisoned"),
            }
        }
    }

    impl<T> fmt::Debug for Mutex<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Mutex(..)")
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            // SAFETY: the lock is held.
            unsafe { &*self.value.get() }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: the lock is held, and the guard borrowed for as long.
            unsafe { &mut *self.value.get() }
        }
    }
}
