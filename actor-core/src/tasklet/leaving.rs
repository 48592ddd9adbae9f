//! What a tasklet does before it gives up its stack: to wait, or to let others run.
//!
//! Who has a duty that others could take over as well, the one that serves a list for example, can keep it as long
//! as nothing makes it wait, and does not have to know in advance whether something will.

use std::cell::Cell;
use std::mem;
use std::ptr::NonNull;

use super::core::Core;
use crate::contain::contain_or;

/// Only a borrow lasts as long as it is in its place.
type Deed = dyn Fn() + 'static;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Leaving(Cell<Option<NonNull<Deed>>>);

impl Leaving {
    /// The tasklet is about to give up its stack.
    #[inline(always)]
    pub(super) fn call(&self) {
        if let Some(deed) = self.0.get() {
            call(deed);
        }
    }
}

#[cold]
fn call(deed: NonNull<Deed>) {
    // SAFETY: it is in its place only as long as the borrow lasts that it was made of (see `on_leaving`).
    let deed = unsafe { deed.as_ref() };
    contain_or(deed, || {
        tracing::error!("what a tasklet does before it waits has panicked");
    });
}

impl Core {
    /// Runs `work`, and `deed` each time before that gives up the stack.
    ///
    /// It must not wait: the tasklet counts as one that sleeps by then. For the tasklet itself.
    pub(crate) fn on_leaving<T>(&self, deed: &dyn Fn(), work: impl FnOnce() -> T) -> T {
        struct Restore<'a>(&'a Leaving, Option<NonNull<Deed>>);

        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.0.set(self.1);
            }
        }

        let deed: *const (dyn Fn() + '_) = deed;
        // SAFETY: only the lifetime changes. It is called from below `work` alone, since it is taken out when
        // that returns or unwinds; until then the borrow lasts.
        let deed: *mut Deed = unsafe { mem::transmute(deed.cast_mut()) };
        // SAFETY: the tasklet itself.
        let leaving = unsafe { &self.home_state().leaving };
        let _restore = Restore(leaving, leaving.0.replace(NonNull::new(deed)));
        work()
    }
}
