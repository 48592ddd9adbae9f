//! Where a panic happened, for the logs and the join handle.
//!
//! A caught panic does not tell its place; only the process's panic hook hears it. Ours, installed
//! when the runtime starts, notes the place of a tasklet's panic and then calls the hook that was
//! there, so nothing that a program or a test harness has set is lost.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{PanicHookInfo, resume_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// What the last panic on this thread said, and where.
    static LAST: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Chains our hook to the one that is there.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let chained = take_hook();
        set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if QUIET.get() {
                return;
            }
            if let Some(place) = info.location() {
                let said = text(info.payload()).unwrap_or_default().to_owned();
                note(said, place.to_string());
            }
            chained(info);
        }));
    });
}

/// The place of the panic that ended with `payload`, on this thread, just now.
///
/// What was raised without a panic (`resume_unwind`) passes no hook, so the last place is another's:
/// it is told by what that one said.
pub(crate) fn take_place(payload: &(dyn Any + Send)) -> Option<String> {
    let (said, place) = LAST.try_with(RefCell::take).ok().flatten()?;
    (text(payload).unwrap_or_default() == said).then_some(place)
}

/// Says where the panic with `payload`, which is about to be resumed here, happened on another thread.
pub(crate) fn put_place(payload: &(dyn Any + Send), place: Option<String>) {
    if let Some(place) = place {
        note(text(payload).unwrap_or_default().to_owned(), place);
    }
}

/// Goes on here with what was caught elsewhere.
pub(crate) fn resume(payload: Box<dyn Any + Send>, place: Option<String>) -> ! {
    put_place(&*payload, place);
    resume_unwind(payload)
}

fn note(said: String, place: String) {
    // A destructor of a thread-local may panic when this one has gone: then nobody asks.
    let _ = LAST.try_with(|last| last.replace(Some((said, place))));
}

/// Runs `f` without a word from the hook if it panics. Does not switch tasklets.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> R {
    QUIET.set(true);
    let result = f();
    QUIET.set(false);
    result
}

fn text(payload: &dyn Any) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or(payload.downcast_ref::<String>().map(|s| &**s))
}
