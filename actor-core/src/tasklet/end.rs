//! The end of a tasklet: to wait for it, to be told of it, to bring it about.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::family::Family;
use super::{Tasklet, join};
use crate::block::{self, Interrupt};
use crate::exit::{self, Monitor, Party};
use crate::{TimedOut, time};

impl Tasklet {
    /// Waits until it has ended, whoever has the right to its result.
    ///
    /// As with [`join`](crate::JoinHandle::join), a caller that is asked to stop passes that on. Unlike there,
    /// the reference it is called on counts: it keeps a receive loop going.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let tasklet = Tasklet::spawn(|| ()).tasklet().clone();
    ///     tasklet.wait();
    ///     assert!(!tasklet.is_alive());
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If it would have to wait where that is not possible, as while the caller unwinds; and in the main
    /// tasklet if it could only wait for ever (see [`Deadlock`](crate::Deadlock)).
    pub fn wait(&self) {
        self.wait_for_end(None)
            .unwrap_or_else(|interrupt| interrupt.raise("wait"));
    }

    /// Waits until it has ended, for at most `limit`; at once, as far as waiting goes, while the
    /// caller unwinds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{Tasklet, TimedOut, dispatch};
    ///
    /// dispatch(|| {
    ///     let loops = Tasklet::spawn(|| Tasklet::receive().count());
    ///     assert_eq!(loops.wait_timeout(Duration::from_millis(1)), Err(TimedOut));
    /// });
    /// ```
    pub fn wait_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.wait_for_end(time::after(limit)).map_err(|_| TimedOut)
    }

    fn wait_for_end(&self, deadline: Option<Instant>) -> Result<(), Interrupt> {
        block::enter()?;
        if self.core.has_ended() {
            Ok(())
        } else {
            join::wait_for_end(&self.core, deadline)
        }
    }

    // Watching ----------------------------------------------------------------------------------

    /// Has the current tasklet or actor told when this one ends, by an [`Exit`](crate::Exit) in its
    /// mailbox; at once if it has ended.
    ///
    /// This is no reference to the one that is told: a receive loop to which nobody can send any more
    /// ends, though word of an end was still to come.
    ///
    /// # Panics
    ///
    /// On a plain thread, which has no mailbox.
    pub fn monitor(&self) -> Monitor {
        exit::monitor(exit::watcher(), self.party())
    }

    /// Links this tasklet and the current tasklet or actor: if one ends abnormally, so does the other,
    /// unless it [traps exits](Self::trap_exits).
    ///
    /// # Panics
    ///
    /// On a plain thread, which has no mailbox.
    pub fn link(&self) {
        exit::link(exit::watcher(), self.party());
    }

    /// Takes a link with the current tasklet or actor back.
    ///
    /// # Panics
    ///
    /// On a plain thread, which has no mailbox.
    pub fn unlink(&self) {
        exit::unlink(&exit::watcher(), &self.party());
    }

    /// Whether the current tasklet receives an [`Exit`](crate::Exit) when one ends that it is linked
    /// to, and does not end with it.
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn trap_exits(on: bool) {
        let core = block::tasklet().expect("only a tasklet can trap exits, and this is none");
        core.traps_exits.store(on, Ordering::Release);
    }

    pub(crate) fn party(&self) -> Party {
        Party::Tasklet(self.core.clone())
    }

    // Ending ------------------------------------------------------------------------------------

    /// Asks it to end in order.
    ///
    /// Its mailbox takes no more messages, and its receive loop ends after those that are there;
    /// [`is_stopping`](Self::is_stopping) tells it in other places. When it has ended, its children
    /// are asked, and so on down the tree. Stopping is not a message, so no catch-all arm can swallow
    /// it. What neither receives nor asks runs on.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let loops = Tasklet::spawn(|| {
    ///         Tasklet::receive().for_each(drop);
    ///         "said goodbye"
    ///     });
    ///     loops.stop();
    ///     assert_eq!(loops.join().unwrap(), "said goodbye");
    /// });
    /// ```
    pub fn stop(&self) {
        self.core.stop();
    }

    /// Ends it at its next operation, by unwinding: its destructors run, no panic is reported, and
    /// [`join`](crate::JoinHandle::join) gives [`JoinError::Killed`](crate::JoinError::Killed).
    ///
    /// One that waits is woken for it. One that computes without an operation runs on until it comes
    /// to one. Killing the current tasklet unwinds at its next operation, not here. Nobody runs
    /// for it now, unlike with [`kill_now`](Self::kill_now).
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let sleeper = Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(60)));
    ///     sleeper.kill();
    ///     assert!(matches!(sleeper.join(), Err(JoinError::Killed)));
    /// });
    /// ```
    pub fn kill(&self) {
        self.core.kill();
    }

    /// Kills all its descendants, and those that they or this tasklet still spawn: none of them
    /// outlives this call for longer than it takes to unwind. The tasklet itself runs on.
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    /// use std::time::Duration;
    ///
    /// dispatch(|| {
    ///     let child = Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(60)));
    ///     Tasklet::current().kill_descendants();
    ///     assert!(matches!(child.join(), Err(JoinError::Killed)));
    /// });
    /// ```
    pub fn kill_descendants(&self) {
        Family::kill_descendants(&self.core);
    }
}
