//! Calls on a stack of their own.

use std::any::{Any, type_name};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::{Arc, Weak};
use std::thread::panicking;

use crate::block::{self, Here, Interrupt, Killed, Wait, Waiting};
use crate::runtime::panics;
use crate::tasklet::builder::TaskletBuilder;
use crate::tasklet::core::{Body, Core, Name};
use crate::timeout::{self, Scope};
use crate::{ExitReason, SpawnError};

/// Calls `f` on the stack of a new tasklet, and returns what it returns.
///
/// For recursion that is deeper than one stack: if each level is such a call, or every hundredth, the
/// depth is bounded by memory and by the number of tasklets that there may be. At that limit the call
/// fails with [`SpawnError::TaskletLimit`], and says which setting of the system raises it.
///
/// ```
/// use actor_core::{SpawnError, call, dispatch};
///
/// fn depth(of: &Option<Box<Nested>>) -> Result<u32, SpawnError> {
///     match of {
///         Some(nested) => Ok(1 + call(|| depth(&nested.0))??),
///         None => Ok(0),
///     }
/// }
///
/// struct Nested(Option<Box<Nested>>);
///
/// # fn main() {
/// dispatch(|| {
///     let three = (0..3).fold(None, |inner, _| Some(Box::new(Nested(inner))));
///     assert_eq!(depth(&three).unwrap(), 3);
/// });
/// # }
/// ```
///
/// It is as near to a plain call as can be. `f` runs at once, before others that are ready, and may borrow
/// from the caller, who always waits for its end. A panic in it goes on in the caller. The deadlines of
/// [`timeout`](crate::timeout()) blocks around the call hold inside, and an expiry that unwinds goes on to
/// the edge of its block. If the caller is killed, or an error is [raised](crate::Tasklet::raise) in it,
/// that is raised inside, and goes on in the caller; where the caller is
/// [shielded](crate::Tasklet::shield), so is `f`, and where it must not wait
/// ([`BlockTrap`](crate::BlockTrap)), nor must `f`. A stop is passed on.
///
/// What differs: in `f`, [`Tasklet::current`](crate::Tasklet::current) is the new tasklet, a child of the
/// caller, with a mailbox and locals of its own. Killing that one kills the caller as well.
///
/// Each level takes a stack from those kept for new tasklets, which is some hundreds of nanoseconds, or a
/// new one from the system. Works on a plain thread too, while a [`dispatch`](crate::dispatch) runs. While
/// the caller unwinds, `f` is called on the caller's own stack.
///
/// The idea is in Dalke's talk on Stackless Python, where a thousand levels each wait for the next on a
/// channel.
///
/// # Errors
///
/// If no tasklet is to be had; then `f` has not been called.
///
/// # Panics
///
/// With the panic of `f`; and in a timer's action, where nothing can wait.
pub fn call<T, F>(f: F) -> Result<T, SpawnError>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    if panicking() {
        return Ok(f());
    }
    let entered = block::enter();
    if let Err(interrupt) = entered {
        interrupt.raise("a call");
    }
    if let Here::Driver = block::here() {
        Interrupt::Outside.raise("a call");
    }
    let surroundings = Surroundings::here();
    let mut outcome = None;
    let returned = Destination(NonNull::from(&mut outcome));
    let body = move |core: &Core| {
        let returned = returned;
        surroundings.take_over(core);
        let result = catch_unwind(AssertUnwindSafe(|| {
            if core.is_to_unwind() {
                // Killed before its first run.
                drop(f);
                core.end_before_start();
            }
            f()
        }));
        let result = result.map_err(|payload| Unwound {
            place: panics::take_place(&*payload),
            payload,
        });
        core.set_reason(match &result {
            Ok(_) => ExitReason::Normal,
            Err(unwound) if unwound.payload.is::<Killed>() => ExitReason::Killed,
            Err(_) => ExitReason::Panicked("in a call".into()),
        });
        // SAFETY: the caller waits for this tasklet's end, and looks at it only then.
        unsafe { *returned.0.as_ptr() = Some(result) };
    };
    let body: Box<dyn FnOnce(&Core) + Send + '_> = Box::new(body);
    // SAFETY: the body, and all that it borrows, is used no longer than this function runs: it is dropped
    // by `launch_asleep` if that fails, and otherwise consumed by its tasklet, for whose end `run` waits,
    // whatever happens.
    let body: Body = unsafe { mem::transmute(body) };
    let name = Name::Function(type_name::<F>());
    let core = TaskletBuilder::new().launch_asleep(name, body, 0)?;
    run(&core);
    match outcome.expect("a call's tasklet leaves what has become of it") {
        Ok(value) => Ok(value),
        Err(unwound) if unwound.payload.is::<Killed>() && block::current().is_none() => {
            panic!("the tasklet of a call was killed")
        }
        Err(unwound) => panics::resume(unwound.payload, unwound.place),
    }
}

/// Where a call leaves its result, on the caller's stack.
struct Destination<T>(NonNull<Option<Result<T, Unwound>>>);

// SAFETY: it is written on the one side before the tasklet's end and read on the other after it; what is
// written is Send.
unsafe impl<T: Send> Send for Destination<T> {}

/// What has unwound a call.
struct Unwound {
    payload: Box<dyn Any + Send>,
    place: Option<String>,
}

/// What holds for all that is called in a place.
struct Surroundings {
    scope: Option<Scope>,
    answer_by: Option<std::time::Instant>,
    is_shielded: bool,
    must_not_block: bool,
}

impl Surroundings {
    fn here() -> Self {
        let shields = |core: &Core| {
            // SAFETY: the tasklet itself.
            unsafe { core.home_state() }.shields.get()
        };
        Surroundings {
            scope: timeout::scope(),
            answer_by: block::answer_by(),
            is_shielded: block::current().is_some_and(|core| shields(core) > 0),
            must_not_block: block::current().is_some_and(Core::must_not_block),
        }
    }

    /// For the tasklet of the call, before anything else.
    fn take_over(self, core: &Core) {
        // SAFETY: the tasklet itself.
        let state = unsafe { core.home_state() };
        state.scope.set(self.scope);
        state.answer_by.set(self.answer_by);
        state.block_trap.set(self.must_not_block);
        if self.is_shielded {
            core.shield();
        }
    }
}

/// Ends the process if it is dropped.
struct NoReturn;

impl Drop for NoReturn {
    fn drop(&mut self) {
        block::die("the wait for a call has been unwound");
    }
}

/// Runs a tasklet that sleeps until its end, whatever happens meanwhile. What it borrows is gone after
/// that, so there is no way out before.
fn run(core: &Core) {
    let no_return = NoReturn;
    match block::here() {
        Here::Tasklet(local, me) if local.id == core.home && core.wake.is_parked() => {
            // SAFETY: it is here and sleeps, as has just been found, and the caller runs in `me`.
            unsafe { local.visit(me, NonNull::from(core)) };
        }
        _ => core.wake_up(),
    }
    if !core.has_ended() {
        // Deadlines and the block trap hold for what is called, which has them; and for this it is too
        // late.
        timeout::with(None, || match block::current() {
            Some(me) => {
                // SAFETY: the tasklet itself.
                let trap = unsafe { &me.home_state().block_trap };
                let trapped = trap.replace(false);
                *me.called.lock() = Some(Arc::downgrade(&core.strong()));
                wait_for_end(core);
                *me.called.lock() = None;
                trap.set(trapped);
            }
            None => wait_for_end(core),
        });
    }
    mem::forget(no_return);
}

/// Who runs in the place of `core`, as far down as it has called others and waits for them.
pub(crate) fn innermost(mut core: Arc<Core>) -> Arc<Core> {
    loop {
        let called = core.called.lock().as_ref().and_then(Weak::upgrade);
        match called {
            Some(called) => core = called,
            None => return core,
        }
    }
}

/// Waits for the end of a call, and passes on what reaches the caller.
#[cold]
fn wait_for_end(core: &Core) {
    let me = block::current();
    let may_be_killed = me.is_some_and(|me| {
        // SAFETY: the tasklet itself.
        unsafe { me.home_state() }.shields.get() == 0
    });
    let mut told_of_kill = false;
    let mut told_of_stop = false;
    let look = move || {
        if let Some(me) = me {
            if may_be_killed && me.is_killed_itself() {
                if !mem::replace(&mut told_of_kill, true) {
                    core.kill();
                }
            } else if may_be_killed && me.is_called_off() {
                me.pass_raises_on(core);
            }
            if me.is_asked_to_stop() && !mem::replace(&mut told_of_stop, true) {
                core.stop();
            }
        }
        core.has_ended().then_some(())
    };
    block::shielded(move || {
        let mut look = look;
        let wait = Wait::new(Waiting::End(core.pid), None);
        loop {
            let waited = block::waiter().and_then(|waiter| {
                let _place = core.joiners.enter(waiter);
                block::wait_until(wait, &mut look)
            });
            match waited {
                Ok(()) => return,
                // No carrier to be had for the others: then this one lets them run without waiting.
                Err(_) => crate::Tasklet::yield_now(),
            }
            if look().is_some() {
                return;
            }
        }
    });
}
