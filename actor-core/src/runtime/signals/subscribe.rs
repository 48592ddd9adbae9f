//! Signals as messages.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::{listen_to, mask};
use crate::{Message, Recipient, SendError};

/// A signal of the system: which one to [subscribe](subscribe_signals) to, and the message that says it
/// has come.
///
/// ```
/// use actor_core::Signal;
///
/// assert_eq!(Signal::HUP.to_string(), "SIGHUP");
/// assert_eq!(Signal::new(15), Some(Signal::TERM));
/// assert_eq!(Signal::new(9), None, "nobody is told of a SIGKILL");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(libc::c_int);

impl Message for Signal {
    type Reply = ();
}

/// Signals that have a name here.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $number:ident;)+) => {
        impl Signal {
            $($(#[$doc])* pub const $name: Signal = Signal(libc::$number);)+
        }

        /// What it is called, if it is one of those that have a name here.
        fn name(signal: Signal) -> Option<&'static str> {
            match signal {
                $(Signal::$name => Some(stringify!($number)),)+
                _ => None,
            }
        }
    };
}

names! {
    /// The terminal has been closed; for daemons, by custom, the order to read their settings again.
    HUP = SIGHUP;
    /// Ctrl-C.
    INT = SIGINT;
    /// Ctrl-\.
    QUIT = SIGQUIT;
    /// The order to end.
    TERM = SIGTERM;
    /// For any purpose of the program's.
    USR1 = SIGUSR1;
    /// For any purpose of the program's.
    USR2 = SIGUSR2;
    /// The alarm clock of the process.
    ALRM = SIGALRM;
    /// A child has ended, or was stopped.
    CHLD = SIGCHLD;
    /// The process goes on after a stop.
    CONT = SIGCONT;
    /// Ctrl-Z.
    TSTP = SIGTSTP;
    /// The terminal has changed its size.
    WINCH = SIGWINCH;
    /// The other end of a pipe has gone. Rust ignores it.
    PIPE = SIGPIPE;
    /// A descriptor is ready.
    IO = SIGIO;
}

impl Signal {
    /// The signal of this number; `None` if there is none, or none that one can be told of: SIGKILL and
    /// SIGSTOP never come to a process, and those of faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL) concern
    /// the instruction that has caused them.
    pub fn new(number: i32) -> Option<Signal> {
        const NEVER: [libc::c_int; 6] = [
            libc::SIGKILL,
            libc::SIGSTOP,
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
        ];
        ((1..=mask::MAX).contains(&number) && !NEVER.contains(&number)).then_some(Signal(number))
    }

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(*self) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A subscription to signals. Dropping it changes nothing; it ends with the subscriber.
#[derive(Debug)]
pub struct SignalSubscription {
    id: u64,
}

impl SignalSubscription {
    /// Ends it. Signals that are on their way may still come.
    pub fn cancel(self) {
        remove(|subscriber| subscriber.id == self.id);
    }
}

#[derive(Clone)]
struct Subscriber {
    id: u64,
    wanted: Arc<[Signal]>,
    to: Recipient<Signal>,
}

static SUBSCRIBERS: Mutex<Vec<Subscriber>> = Mutex::new(Vec::new());
/// How many there are, to be read without the lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// How many want each of the signals, for the handler.
static TAKEN: [AtomicU32; mask::MAX as usize + 1] =
    [const { AtomicU32::new(0) }; mask::MAX as usize + 1];

/// Has these signals sent to `to` as messages, each to all who have subscribed to it, as
/// [`try_send`](Recipient::try_send) does.
///
/// A subscriber *takes a signal over*: as long as there is one, the signal does nothing else. SIGINT and
/// SIGTERM do not stop the program then, neither the first nor the second; a subscriber that wants
/// it to end says so by [`quit`](crate::quit), with [`number`](Signal::number)` + 128` as the code that
/// shells expect. SIGUSR1 does not show the tree. Once nobody is subscribed to it any more, a signal
/// does again what it does without subscribers: what the runtime makes of it, or what it did before; one that
/// was ignored, as Rust ignores SIGPIPE, is ignored.
///
/// The system does not count signals: several of a kind in quick succession may come as one message. What a
/// mailbox refuses is lost.
///
/// # Errors
///
/// Those of the system, which may refuse a thread or a descriptor.
///
/// ```
/// use actor_core::{Signal, Tasklet, dispatch, match_message, subscribe_signals};
///
/// dispatch(|| -> std::io::Result<()> {
///     subscribe_signals([Signal::HUP, Signal::USR2], Tasklet::current())?;
///     # use std::process::Command;
///     # let this = std::process::id().to_string();
///     # actor_core::block_on_thread(move || Command::new("kill").args(["-HUP", &this]).status())?;
///     match_message!(match Tasklet::receive_one().unwrap() {
///         signal: Signal => assert_eq!(signal, Signal::HUP),
///     });
///     Ok(())
/// });
/// ```
pub fn subscribe_signals(
    signals: impl IntoIterator<Item = Signal>,
    to: impl Into<Recipient<Signal>>,
) -> io::Result<SignalSubscription> {
    static ISSUED: AtomicU64 = AtomicU64::new(0);
    let mut wanted: Vec<_> = signals.into_iter().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let id = ISSUED.fetch_add(1, Ordering::Relaxed);
    {
        let mut subscribers = SUBSCRIBERS.lock();
        for signal in &wanted {
            TAKEN[signal.0 as usize].fetch_add(1, Ordering::SeqCst);
        }
        let wanted = wanted.clone().into();
        let to = to.into();
        subscribers.push(Subscriber { id, wanted, to });
        COUNT.store(subscribers.len(), Ordering::SeqCst);
    }
    let subscription = SignalSubscription { id };
    for signal in wanted {
        mask::block_in_workers(signal.0);
        if let Err(error) = listen_to(signal.0) {
            subscription.cancel();
            return Err(error);
        }
    }
    Ok(subscription)
}

/// Whether anybody waits for a signal, which may come at any time.
pub(crate) fn anybody_subscribed() -> bool {
    COUNT.load(Ordering::SeqCst) > 0
}

/// Whether a signal has subscribers. For handlers: looks at an atomic alone.
pub(super) fn is_taken(signal: libc::c_int) -> bool {
    TAKEN[signal as usize].load(Ordering::SeqCst) > 0
}

/// Sends a signal to those who have subscribed to it; whether there is anybody.
pub(super) fn deliver(signal: libc::c_int) -> bool {
    let signal = Signal(signal);
    let subscribers = SUBSCRIBERS.lock().clone();
    let mut taken = false;
    for Subscriber { id, wanted, to } in subscribers {
        if !wanted.contains(&signal) {
            continue;
        }
        match to.try_send(signal) {
            Err(SendError::Ended(_)) => remove(|one| one.id == id),
            // A full mailbox is one to which signals still belong.
            _ => taken = true,
        }
    }
    taken
}

fn remove(which: impl Fn(&Subscriber) -> bool) {
    let removed: Vec<_> = {
        let mut subscribers = SUBSCRIBERS.lock();
        let removed: Vec<_> = subscribers.extract_if(.., |one| which(one)).collect();
        for signal in removed.iter().flat_map(|one| one.wanted.iter()) {
            TAKEN[signal.0 as usize].fetch_sub(1, Ordering::SeqCst);
        }
        COUNT.store(subscribers.len(), Ordering::SeqCst);
        removed
    };
    // Not under the lock: it may be the last address of an actor.
    drop(removed);
}
