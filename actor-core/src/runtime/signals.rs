//! SIGINT and SIGTERM end the program in order, the second at once; SIGUSR1 shows the tree.
//!
//! The signals are blocked in the workers, so no handler runs on a tasklet's stack. What they ask for
//! is done by a thread of its own; only the second SIGINT or SIGTERM ends the process in the handler,
//! since at that time nothing else can be relied on.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::program::{Cause, Program};
use super::threads;

/// Whether there has been a SIGINT or SIGTERM since programs run: then the next one ends the process.
static AGAIN: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The last program that ran has ended: for the next one the first signal is the first again.
pub(crate) fn forget_first() {
    if let Some(again) = AGAIN.get() {
        again.store(false, Ordering::SeqCst);
    }
}

/// Starts to listen: to SIGINT and SIGTERM if `ending`, to SIGUSR1 if `tree`.
pub(crate) fn listen(ending: bool, tree: bool) -> io::Result<()> {
    let mut wanted = Vec::new();
    if ending {
        let again = AGAIN.get_or_init(Arc::default);
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal, of either kind, finds the flag down and raises it.
            flag::register_conditional_shutdown(signal, 128 + signal, again.clone())?;
            flag::register(signal, again.clone())?;
            wanted.push(signal);
        }
    }
    if tree {
        wanted.push(SIGUSR1);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut signals = Signals::new(wanted)?;
    thread::Builder::new()
        .name("concurrence-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGUSR1 {
                    show_trees();
                    continue;
                }
                let programs = Program::running();
                for program in &programs {
                    program.shut_down(Cause::Signal(signal as u8));
                }
                if programs.is_empty() {
                    // Between programs a signal does what it does without the runtime. An error would
                    // say that this is no signal.
                    let _ = emulate_default_handler(signal);
                }
            }
        })?;
    threads::count_helper();
    Ok(())
}

fn show_trees() {
    for program in Program::running() {
        super::say(format_args!("{}", program.overview()));
    }
}

/// Blocks the signals in this thread, and so in those that it starts, until dropped.
pub(crate) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    pub(crate) fn new() -> Self {
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set, the others change it, and `pthread_sigmask`
        // fills in what was there. With valid pointers and signals none of them can fail.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in [SIGINT, SIGTERM, SIGUSR1] {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
            Blocked {
                before: before.assume_init(),
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: puts back a mask that the kernel has given us.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}
