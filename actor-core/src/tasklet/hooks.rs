//! Callbacks that hear of what the workers do, for tracing.
//!
//! Nothing of them costs anything while none is set but one relaxed load at a switch.

use std::cell::RefCell;
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::Tasklet;
use super::core::Core;
use crate::actor::carrier;
use crate::contain::contain_or;

/// Is told of every switch of a worker; see [`set_schedule_hook`].
pub type ScheduleHook = Arc<dyn Fn(Option<&Tasklet>, Option<&Tasklet>) + Send + Sync>;

static SCHEDULE_HOOK: RwLock<Option<(ScheduleHook, Observer)>> = RwLock::new(None);

/// How many look at switches: the hook, and those who meter tasklets.
static OBSERVERS: AtomicUsize = AtomicUsize::new(0);

/// Whether the drivers have to tell of switches.
#[inline]
pub(crate) fn are_observing() -> bool {
    OBSERVERS.load(Ordering::Relaxed) != 0
}

/// Has the drivers tell of switches until it is dropped.
#[derive(Debug)]
pub(crate) struct Observer(());

pub(crate) fn observe() -> Observer {
    OBSERVERS.fetch_add(1, Ordering::Relaxed);
    Observer(())
}

impl Drop for Observer {
    fn drop(&mut self) {
        OBSERVERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Has `hook` called at each switch of a worker from one tasklet to another, in the whole process, for
/// tracing; `None` for no more calls. Returns the one that was set before.
///
/// It is given the tasklet that ran last, which may have ended meanwhile, and the one that runs next.
/// The first is `None` after a worker has had nothing to do or has run actors, the second before it
/// does. A tasklet that gives way to nobody switches to itself, which is not told.
///
/// It is called on the worker's thread, between the two tasklets and so outside any: it must not wait,
/// and operations that would have to fail or panic as they do there. A panic of the hook is caught and
/// logged. As long as none is set, it costs a switch one load of a flag.
///
/// The idea is Stackless Python's schedule callback.
///
/// ```
/// use actor_core::{Runtime, Tasklet, set_schedule_hook};
/// use std::sync::{Arc, Mutex};
///
/// let switches = Arc::new(Mutex::new(Vec::new()));
/// let log = switches.clone();
/// set_schedule_hook(Some(Arc::new(move |from, to| {
///     let name = |tasklet: Option<&Tasklet>| tasklet.map(|tasklet| tasklet.name().to_owned());
///     log.lock().unwrap().push((name(from), name(to)));
/// })));
/// Runtime::builder().workers(1).dispatch(|| {
///     Tasklet::builder().name("other").spawn(|| ()).unwrap().join().unwrap();
/// });
/// set_schedule_hook(None);
/// let main_to_other = (Some("main".to_owned()), Some("other".to_owned()));
/// assert!(switches.lock().unwrap().contains(&main_to_other));
/// ```
pub fn set_schedule_hook(hook: Option<ScheduleHook>) -> Option<ScheduleHook> {
    let hook = hook.map(|hook| (hook, observe()));
    let mut place = SCHEDULE_HOOK.write();
    mem::replace(&mut *place, hook).map(|(hook, _)| hook)
}

/// The hook that is set.
///
/// ```
/// use actor_core::{schedule_hook, set_schedule_hook};
/// use std::sync::Arc;
///
/// assert!(schedule_hook().is_none());
/// set_schedule_hook(Some(Arc::new(|_, _| ())));
/// assert!(schedule_hook().is_some());
/// # set_schedule_hook(None);
/// ```
pub fn schedule_hook() -> Option<ScheduleHook> {
    SCHEDULE_HOOK.read().as_ref().map(|(hook, _)| hook.clone())
}

/// A driver is about to run `next`, or nothing.
#[cold]
pub(crate) fn switch(last: &RefCell<Option<Arc<Core>>>, next: Option<&Core>) {
    let hook = schedule_hook();
    // A carrier is nobody's tasklet.
    let next = next.filter(|core| !carrier::is(core));
    let next = hook.is_some().then_some(next).flatten().map(Core::strong);
    let last = last.replace(next.clone());
    let Some(hook) = hook else { return };
    let pids = [&last, &next].map(|core| core.as_ref().map(|core| core.pid));
    if pids[0] == pids[1] {
        return;
    }
    contain_or(
        || {
            lend(last.as_ref(), |last| {
                lend(next.as_ref(), |next| hook(last, next))
            })
        },
        || tracing::error!("the schedule hook has panicked"),
    );
}

/// Shows a tasklet to `f` without counting as a reference to it, so that nothing is different for being
/// watched.
fn lend<R>(core: Option<&Arc<Core>>, f: impl FnOnce(Option<&Tasklet>) -> R) -> R {
    let tasklet = core.map(|core| {
        // SAFETY: a copy that is never dropped, and gone before `core` is.
        let core = unsafe { ptr::read(core) };
        ManuallyDrop::new(Tasklet { core })
    });
    f(tasklet.as_deref())
}
