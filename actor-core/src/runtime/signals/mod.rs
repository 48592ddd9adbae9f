//! SIGINT and SIGTERM end the program in order, the second at once; SIGUSR1 shows the tree; and any
//! signal that somebody has subscribed to is sent as a message instead.
//!
//! The signals are blocked in the workers, so no handler runs on a tasklet's stack. What they ask for
//! is done by a thread of its own; only the second SIGINT or SIGTERM ends the process in the handler,
//! since at that time nothing else can be relied on.

mod mask;
mod subscribe;

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use signal_hook::iterator::backend::Handle;
use signal_hook::low_level::{self, emulate_default_handler};

use super::program::{Cause, Program};
use super::threads;

pub(crate) use mask::Blocked;
pub use mask::Unblocked;
pub(crate) use subscribe::anybody_subscribed;
pub use subscribe::{Signal, SignalSubscription, subscribe_signals};

/// Whether there has been a SIGINT or SIGTERM since programs run: then the next one ends the process.
static AGAIN: AtomicBool = AtomicBool::new(false);
/// Whether SIGINT and SIGTERM end programs, and whether SIGUSR1 shows trees.
static ENDING: AtomicBool = AtomicBool::new(false);
static TREE: AtomicBool = AtomicBool::new(false);
/// The signals, a bit for each number, that did nothing, or something of the program's own, before the runtime
/// heard of them. What has to be done for them without the runtime has been done, or is nothing.
static NOT_DEFAULT: AtomicU64 = AtomicU64::new(0);
/// Adds signals to those that the thread listens to, once there is one.
static LISTENER: Mutex<Option<Handle>> = Mutex::new(None);

/// The last program that ran has ended: for the next one the first signal is the first again.
pub(crate) fn forget_first() {
    AGAIN.store(false, Ordering::SeqCst);
}

/// Starts to listen: to SIGINT and SIGTERM if `ending`, to SIGUSR1 if `tree`.
pub(crate) fn listen(ending: bool, tree: bool) -> io::Result<()> {
    if ending {
        ENDING.store(true, Ordering::SeqCst);
        for signal in [SIGINT, SIGTERM] {
            let end_at_once = move || {
                if !subscribe::is_taken(signal) && AGAIN.swap(true, Ordering::SeqCst) {
                    low_level::exit(128 + signal);
                }
            };
            note_disposition(signal);
            // SAFETY: the closure loads and swaps atomics and calls `_exit`, all of which may be done
            // in a handler; it neither panics nor allocates.
            unsafe { low_level::register(signal, end_at_once) }?;
            listen_to(signal)?;
        }
    }
    if tree {
        TREE.store(true, Ordering::SeqCst);
        listen_to(SIGUSR1)?;
    }
    Ok(())
}

/// Has the thread hear of a signal, which from then on does nothing else.
fn listen_to(signal: libc::c_int) -> io::Result<()> {
    let mut listener = LISTENER.lock();
    note_disposition(signal);
    if let Some(handle) = &*listener {
        return handle.add_signal(signal);
    }
    let mut signals = Signals::new([signal])?;
    let handle = signals.handle();
    thread::Builder::new()
        .name("concurrence-signals".into())
        .spawn(move || signals.forever().for_each(handle_signal))?;
    threads::count_helper();
    *listener = Some(handle);
    Ok(())
}

/// Remembers what a signal did before the runtime heard of it; only the first call for it counts.
fn note_disposition(signal: libc::c_int) {
    static NOTED: AtomicU64 = AtomicU64::new(0);
    let bit = mask::bit(signal);
    if NOTED.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
        return;
    }
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with no new action the call only fills in the present one; it is looked at if it has.
    let is_default = unsafe {
        libc::sigaction(signal, ptr::null(), before.as_mut_ptr()) != 0
            || before.assume_init().sa_sigaction == libc::SIG_DFL
    };
    if !is_default {
        NOT_DEFAULT.fetch_or(bit, Ordering::SeqCst);
    }
}

fn handle_signal(signal: libc::c_int) {
    if subscribe::deliver(signal) {
        if matches!(signal, SIGINT | SIGTERM) && Program::running().iter().all(is_going_on) {
            // The handler may have counted it before somebody subscribed.
            AGAIN.store(false, Ordering::SeqCst);
        }
        return;
    }
    match signal {
        SIGUSR1 if TREE.load(Ordering::SeqCst) => show_trees(),
        SIGINT | SIGTERM if ENDING.load(Ordering::SeqCst) => {
            let programs = Program::running();
            for program in &programs {
                // The handler has not counted it if there was a subscriber at that time.
                AGAIN.store(true, Ordering::SeqCst);
                program.shut_down(Cause::Signal(signal as u8));
            }
            if programs.is_empty() {
                do_as_without_us(signal);
            }
        }
        _ => do_as_without_us(signal),
    }
}

fn is_going_on(program: &Arc<Program>) -> bool {
    !program.is_shutting_down()
}

/// Between programs, or once nobody is subscribed any more, a signal does what it does without the
/// runtime. A handler of the program's own has been called, and what was ignored still is: SIGPIPE in programs of
/// Rust, SIGHUP under `nohup`.
fn do_as_without_us(signal: libc::c_int) {
    if NOT_DEFAULT.load(Ordering::SeqCst) & mask::bit(signal) != 0 {
        return;
    }
    // An error would say that this is no signal.
    let _ = emulate_default_handler(signal);
}

fn show_trees() {
    for program in Program::running() {
        super::say(format_args!("{}", program.overview()));
    }
}
