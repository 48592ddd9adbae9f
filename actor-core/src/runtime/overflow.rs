//! Stack overflow: says which tasklet, and ends the process.
//!
//! `generator` installs handlers of its own when the first coroutine runs, which panic inside the
//! handler when a plain thread overflows and symbolise a backtrace on an 8 KiB stack for any other
//! fault. So ours come after theirs, and hand what is no tasklet's overflow to what was there before
//! either: std's handler, which names threads that overflow, or the default.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, ptr};

use crate::runtime::limits;
use crate::worker;

/// A worker's signal stack, if it has none.
const SIGNAL_STACK: usize = 64 * 1024;
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The actions that were there before `may` started.
struct Saved(UnsafeCell<MaybeUninit<[libc::sigaction; 2]>>);

// SAFETY: written once by `save`, before `SAVED` is set and the handlers are installed; only read
// afterwards.
unsafe impl Sync for Saved {}

static ACTIONS: Saved = Saved(UnsafeCell::new(MaybeUninit::uninit()));
static SAVED: AtomicBool = AtomicBool::new(false);
static PAGE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(4096);

/// Notes the present actions. Before `may` starts.
pub(crate) fn save() -> io::Result<()> {
    let mut actions = [MaybeUninit::<libc::sigaction>::uninit(); 2];
    for (signal, action) in SIGNALS.into_iter().zip(&mut actions) {
        // SAFETY: asks for the present action, which the kernel writes into a local.
        if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: both were filled in above; and nobody reads before the flag is set.
    unsafe { (*ACTIONS.0.get()).write(actions.map(|action| action.assume_init())) };
    PAGE.store(limits::page_size(), Ordering::Relaxed);
    SAVED.store(true, Ordering::Release);
    Ok(())
}

/// Installs the handlers. After a coroutine has run on every worker.
pub(crate) fn install() -> io::Result<()> {
    // SAFETY: all zeros is a valid `sigaction`: no flags, empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    action.sa_sigaction = handle as *const () as usize;
    for signal in SIGNALS {
        // SAFETY: the handler is async-signal-safe (see there) and has the three-argument form that
        // SA_SIGINFO asks for.
        if unsafe { libc::sigaction(signal, &action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives this thread a signal stack if it has none; without one, overflow could not be told. std
/// gives its threads one, but not everything that hosts a library runs std's start-up.
pub(crate) fn ensure_signal_stack() {
    let mut present = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: asks for the present signal stack, which the kernel writes into a local.
    let disabled = unsafe {
        libc::sigaltstack(ptr::null(), present.as_mut_ptr()) == 0
            && present.assume_init().ss_flags & libc::SS_DISABLE != 0
    };
    if disabled {
        // Leaked: workers live as long as the process.
        let memory = Box::leak(vec![0u8; SIGNAL_STACK].into_boxed_slice());
        let stack = libc::stack_t {
            ss_sp: memory.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: memory.len(),
        };
        // SAFETY: the memory is ours for ever, and no signal stack is in use on this thread.
        unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
    }
}

/// Runs on the signal stack of the thread that faulted: no allocation, no lock, only `write`,
/// `sigaction` and `abort`.
extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid pointer to a handler that was installed with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() }.addr();
    if let Some(local) = worker::local()
        && let Some(core) = local.current()
    {
        // SAFETY: the tasklet that runs on this thread, which has just faulted, is alive.
        let core = unsafe { core.as_ref() };
        let bottom = core.stack().start;
        // The guard page, and the first word above it, which a push can straddle.
        if (bottom.saturating_sub(PAGE.load(Ordering::Relaxed))..bottom + 64).contains(&address) {
            say("tasklet '");
            say(core.acting_name());
            say(
                "' has overflowed its stack; give it more with Tasklet::builder().stack_size(..), \
                 or all of them with Runtime::builder().stack_size(..)\n",
            );
            // SAFETY: ends the process.
            unsafe { libc::abort() };
        }
    }
    // Not ours: put back what was there before, and return, so that the fault repeats.
    let index = usize::from(signal != SIGNALS[0]);
    if SAVED.load(Ordering::Acquire) {
        // SAFETY: written before the flag was set, and not changed since.
        let actions = unsafe { (*ACTIONS.0.get()).assume_init_ref() };
        // SAFETY: an action that the kernel has given us.
        unsafe { libc::sigaction(signal, &actions[index], ptr::null_mut()) };
    }
}

fn say(text: &str) {
    // SAFETY: writes a valid slice; a failure cannot be told to anybody.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}
