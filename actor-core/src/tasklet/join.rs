//! Waiting for a tasklet's end, and its result.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Tasklet;
use super::core::{Core, Raise};
use super::family::Family;
use crate::block::{self, Interrupt, Wait, Waiting};
use crate::runtime::program::Program;
use crate::{JoinError, time};

/// Where a tasklet leaves its result.
///
/// Whoever lets go of it last, the tasklet or its join handle, says what nobody has asked for: a
/// failure must not vanish because it raced with the drop of the handle.
pub(crate) struct Packet<T> {
    left: Mutex<Option<Left<T>>>,
}

struct Left<T> {
    result: Result<T, JoinError>,
    /// What is to be logged if nobody takes the result.
    failure: Option<Failure>,
    /// Where the failure goes as well, if it is one that ends a tasklet.
    forward_to: Option<Weak<Program>>,
}

impl<T> Packet<T> {
    pub(crate) fn new() -> Arc<Packet<T>> {
        Arc::new(Packet {
            left: Mutex::new(None),
        })
    }

    pub(crate) fn put(
        &self,
        result: Result<T, JoinError>,
        failure: Option<Failure>,
        forward_to: Option<Weak<Program>>,
    ) {
        *self.left.lock() = Some(Left {
            result,
            failure,
            forward_to,
        });
    }

    pub(crate) fn take(&self) -> Option<Result<T, JoinError>> {
        self.left.lock().take().map(|left| left.result)
    }
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        let Some(left) = self.left.get_mut().take() else {
            return;
        };
        if let Some(failure) = left.failure {
            failure.log();
        }
        let raise = match left.result {
            Err(JoinError::Panicked(panic)) => Raise::Panic(panic),
            Err(JoinError::Raised(error)) => Raise::Error(error),
            _ => return,
        };
        if let Some(program) = left.forward_to.and_then(|program| program.upgrade()) {
            program.forward(raise);
        }
    }
}

/// How a tasklet has failed, for the log.
#[derive(Debug)]
pub(crate) enum Failure {
    Panicked {
        name: String,
        place: String,
        message: String,
    },
    /// It has returned an error; of less interest if it was being stopped.
    Returned {
        name: String,
        error: String,
        stopping: bool,
    },
}

impl Failure {
    fn log(&self) {
        match self {
            Failure::Panicked {
                name,
                place,
                message,
            } => {
                tracing::error!(tasklet = name, place, panic = message, "panicked");
            }
            Failure::Returned {
                name,
                error,
                stopping: false,
            } => {
                tracing::warn!(tasklet = name, error, "ended with an error");
            }
            Failure::Returned {
                name,
                error,
                stopping: true,
            } => {
                tracing::debug!(tasklet = name, error, "ended with an error while stopping");
            }
        }
    }
}

/// The right to a tasklet's result.
///
/// It derefs to the [`Tasklet`], so it can be sent to, stopped and killed; `clone` of it is a
/// `Tasklet`. Dropping it lets the tasklet run on; if that then panics, or returns an `io::Error` or
/// boxed error, it is logged.
///
/// ```
/// use actor_core::{JoinError, Tasklet, dispatch};
///
/// dispatch(|| {
///     let sum = Tasklet::spawn(|| (1..=4).sum::<u32>());
///     assert_eq!(sum.join().unwrap(), 10);
///     assert!(matches!(sum.join(), Err(JoinError::Taken)));
///
///     let unlucky = Tasklet::spawn(|| -> u8 { panic!("no luck") });
///     match unlucky.join() {
///         Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "no luck"),
///         other => panic!("{other:?}"),
///     }
/// });
/// ```
pub struct JoinHandle<T> {
    tasklet: Tasklet,
    packet: Arc<Packet<T>>,
    /// How many wait in `join` on this very handle. Locked while the reference is given up or taken
    /// back, so that the two cannot overtake each other.
    joining: Mutex<usize>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(tasklet: Tasklet, packet: Arc<Packet<T>>) -> Self {
        JoinHandle {
            tasklet,
            packet,
            joining: Mutex::new(0),
        }
    }

    /// Waits until the tasklet has ended, and takes its result.
    ///
    /// A panic, a kill, and a result that was taken before are errors. While it waits the handle does
    /// not count as a reference to the tasklet: one that sits in a receive loop, and that nobody else
    /// can send to, ends. If the caller is asked to stop, it passes that on to the tasklet, if that
    /// is its descendant, since it cannot react itself. A tasklet that joins itself waits for ever.
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     assert_eq!(Tasklet::spawn(|| 7).join().unwrap(), 7);
    ///     let killed = Tasklet::spawn(|| Tasklet::receive().count());
    ///     killed.kill();
    ///     assert!(matches!(killed.join(), Err(JoinError::Killed)));
    /// });
    /// ```
    pub fn join(&self) -> Result<T, JoinError> {
        self.wait(None)
    }

    /// As [`join`](Self::join), for at most `limit`; after [`JoinError::Timeout`] it can be joined
    /// again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let slow = Tasklet::spawn(|| Tasklet::sleep(Duration::from_millis(20)));
    ///     assert!(matches!(slow.join_timeout(Duration::ZERO), Err(JoinError::Timeout)));
    ///     slow.join().unwrap(); // nothing is lost
    /// });
    /// ```
    pub fn join_timeout(&self, limit: Duration) -> Result<T, JoinError> {
        self.wait(time::after(limit))
    }

    /// As [`join`](Self::join), but ends with `Ok(None)` once the current tasklet has been [asked to
    /// stop](Tasklet::stop), and does not pass that on: for those who then end by other means what they
    /// wait for. It can be joined again.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    /// use std::time::Duration;
    ///
    /// dispatch(|| {
    ///     let guard = Tasklet::spawn(|| {
    ///         let deaf = Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(60))).kill_on_drop();
    ///         deaf.join_or_stop().unwrap().is_none()
    ///     });
    ///     guard.stop();
    ///     assert!(guard.join().unwrap());
    /// });
    /// ```
    pub fn join_or_stop(&self) -> Result<Option<T>, JoinError> {
        let wait = |core: &Core| {
            let _place = core.joiners.enter(block::waiter()?);
            let wait = Wait::new(Waiting::End(core.pid), None).or_stop();
            block::wait_until(wait, || core.has_ended().then_some(()))
        };
        match self.wait_for_end(wait) {
            Err(Interrupt::Stopping) => Ok(None),
            ended => self.outcome(ended).map(Some),
        }
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<T, JoinError> {
        self.outcome(self.wait_for_end(|core| wait_for_end(core, deadline)))
    }

    fn outcome(&self, ended: Result<(), Interrupt>) -> Result<T, JoinError> {
        ended.map_err(|interrupt| match interrupt {
            Interrupt::TimedOut | Interrupt::Expired(_) => JoinError::Timeout,
            Interrupt::Exhausted => JoinError::Exhausted,
            Interrupt::WouldBlock => JoinError::WouldBlock,
            Interrupt::Deadlock => JoinError::Deadlock,
            Interrupt::Unwinding | Interrupt::Outside | Interrupt::Stopping => JoinError::Unwinding,
        })?;
        self.packet.take().unwrap_or(Err(JoinError::Taken))
    }

    fn wait_for_end(
        &self,
        wait: impl FnOnce(&Core) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        let core = self.tasklet.core();
        block::enter()?;
        if core.has_ended() {
            return Ok(());
        }
        let _unreferenced = Unreferenced::new(self);
        wait(core)
    }

    /// The tasklet.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let handle = Tasklet::spawn(|| ());
    ///     let tasklet: Tasklet = handle.tasklet().clone();
    ///     handle.join().unwrap();
    ///     assert!(!tasklet.is_alive());
    /// });
    /// ```
    pub fn tasklet(&self) -> &Tasklet {
        &self.tasklet
    }

    /// Ties the tasklet to the handle: it is killed when the handle is dropped.
    ///
    /// For tasklets that make no sense without the one that spawned them. Mind that `let _ =` drops
    /// at once.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let reader = Tasklet::spawn(|| Tasklet::receive().count()).kill_on_drop();
    ///     let tasklet = reader.tasklet().clone();
    ///     drop(reader);
    ///     tasklet.wait();
    /// });
    /// ```
    pub fn kill_on_drop(self) -> KillOnDrop<T> {
        KillOnDrop { handle: self }
    }
}

/// Takes a handle out of the count of references while somebody waits on it.
struct Unreferenced<'a, T>(&'a JoinHandle<T>);

impl<'a, T> Unreferenced<'a, T> {
    fn new(handle: &'a JoinHandle<T>) -> Self {
        // Shared handles can be waited on by several; they are one reference all the same.
        let mut joining = handle.joining.lock();
        *joining += 1;
        if *joining == 1 {
            handle.tasklet.core().remove_handle();
        }
        drop(joining);
        Unreferenced(handle)
    }
}

impl<T> Drop for Unreferenced<'_, T> {
    fn drop(&mut self) {
        let mut joining = self.0.joining.lock();
        *joining -= 1;
        if *joining == 0 {
            self.0.tasklet.core().add_handle();
        }
    }
}

/// Waits until a tasklet has ended. The caller has begun the operation.
pub(crate) fn wait_for_end(core: &Core, deadline: Option<Instant>) -> Result<(), Interrupt> {
    let _place = core.joiners.enter(block::waiter()?);
    let wait = Wait::new(Waiting::End(core.pid), deadline);
    let ended = || core.has_ended().then_some(());
    match block::wait_until(wait.or_stop(), ended) {
        Err(Interrupt::Stopping) => {
            pass_stop_on(core);
            block::wait_until(wait, ended)
        }
        waited => waited,
    }
}

/// The caller cannot react to a stop while it waits for `core`, so that one is asked, if it is a
/// descendant.
pub(crate) fn pass_stop_on(core: &Core) {
    if block::tasklet().is_some_and(|me| is_descendant(core, me)) {
        core.stop();
    }
}

fn is_descendant(of: &Core, ancestor: &Core) -> bool {
    let mut parent = Family::parent(of);
    while let Some(core) = parent {
        if core.pid == ancestor.pid {
            return true;
        }
        parent = Family::parent(&core);
    }
    false
}

/// Waits for all of `handles` and gives their results in the same order.
///
/// ```
/// use actor_core::{Tasklet, dispatch, join_all};
///
/// dispatch(|| {
///     let squares = (1..=3).map(|n| Tasklet::spawn(move || n * n));
///     let squares: Vec<i32> = join_all(squares).into_iter().map(Result::unwrap).collect();
///     assert_eq!(squares, [1, 4, 9]);
/// });
/// ```
pub fn join_all<T>(
    handles: impl IntoIterator<Item = impl std::borrow::Borrow<JoinHandle<T>>>,
) -> Vec<Result<T, JoinError>> {
    // All of them first: a lazy iterator that spawns would otherwise run them one by one.
    let handles: Vec<_> = handles.into_iter().collect();
    handles
        .iter()
        .map(|handle| handle.borrow().join())
        .collect()
}

impl<T> Deref for JoinHandle<T> {
    type Target = Tasklet;

    fn deref(&self) -> &Tasklet {
        &self.tasklet
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinHandle({:?})", self.tasklet)
    }
}

/// A [`JoinHandle`] that kills its tasklet when it is dropped.
#[must_use = "the tasklet is killed when this is dropped"]
pub struct KillOnDrop<T> {
    handle: JoinHandle<T>,
}

impl<T> Deref for KillOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        &self.handle
    }
}

impl<T> Drop for KillOnDrop<T> {
    fn drop(&mut self) {
        self.handle.kill();
    }
}

impl<T> fmt::Debug for KillOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KillOnDrop({:?})", self.handle.tasklet)
    }
}
