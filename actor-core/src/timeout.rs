//! One deadline over a whole block of operations.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::block::{self, Here};
use crate::{TimedOut, time};

/// Which block a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScopeId(u64);

/// The nearest of the deadlines around what a tasklet or thread does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    at: Instant,
    id: ScopeId,
}

thread_local! {
    /// For plain threads; a tasklet has its own.
    static SCOPE: Cell<Option<Scope>> = const { Cell::new(None) };
}

#[inline]
fn with_scope<R>(here: &Here<'_>, f: impl FnOnce(&Cell<Option<Scope>>) -> R) -> Option<R> {
    match here {
        // SAFETY: the tasklet itself.
        Here::Tasklet(_, core) => Some(f(&unsafe { core.home_state() }.scope)),
        Here::Thread => SCOPE.try_with(f).ok(),
        Here::Driver => None,
    }
}

/// The nearest deadline around the caller, which is `here`, and whose it is.
#[inline]
pub(crate) fn nearest(here: &Here<'_>) -> Option<(Instant, ScopeId)> {
    with_scope(here, Cell::get)
        .flatten()
        .map(|scope| (scope.at, scope.id))
}

/// The nearest of the deadlines around the caller.
pub(crate) fn scope() -> Option<Scope> {
    with_scope(&block::here(), Cell::get).flatten()
}

/// Runs `f` with `scope` as the nearest of the deadlines around it.
pub(crate) fn with<R>(scope: Option<Scope>, f: impl FnOnce() -> R) -> R {
    let _restore = Restore(self::scope());
    with_scope(&block::here(), |cell| cell.set(scope));
    f()
}

/// What unwinds to the edge of a block whose time is up.
struct Expired(ScopeId);

/// Unwinds to the edge of the block `scope`.
pub(crate) fn raise(scope: ScopeId) -> ! {
    resume_unwind(Box::new(Expired(scope)))
}

/// Whether a caught payload is on its way to the edge of a block further out.
pub(crate) fn is_expiry(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Expired>()
}

/// Puts the outer scope back, also when the block unwinds.
struct Restore(Option<Scope>);

impl Drop for Restore {
    fn drop(&mut self) {
        with_scope(&block::here(), |scope| scope.set(self.0));
    }
}

/// Runs `f` with one deadline, `limit` from now, over every blocking operation in it.
///
/// Once it has passed, each operation in the block that could wait fails: those that have an error
/// return [`TimedOut`] in it, the others (a sleep, a lock, a receive loop) unwind to the edge of the
/// block, where the result becomes the type's own word for it: an error, or `None`. Blocks nest, and
/// the nearer deadline counts. Nothing is lost at the edge: an operation that succeeds at the same
/// moment has succeeded, a message that was not received is still in the mailbox, and what `f`
/// returns in time is returned as it is.
///
/// A block that computes without an operation is not interrupted. Works on plain threads as well.
///
/// The idea is Concurrence's stack of timeouts.
///
/// ```
/// use std::{io, time::Duration};
/// use actor_core::{Tasklet, timeout};
///
/// let in_time = timeout(Duration::from_secs(5), || -> io::Result<u8> {
///     Tasklet::sleep(Duration::from_millis(1));
///     Ok(1)
/// });
/// assert_eq!(in_time?, 1);
///
/// let late = timeout(Duration::from_millis(1), || -> io::Result<u8> {
///     Tasklet::sleep(Duration::from_secs(5));
///     Ok(1)
/// });
/// assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
/// # Ok::<(), io::Error>(())
/// ```
pub fn timeout<R: FromTimeout>(limit: Duration, f: impl FnOnce() -> R) -> R {
    static ISSUED: AtomicU64 = AtomicU64::new(0);
    let id = ScopeId(ISSUED.fetch_add(1, Ordering::Relaxed));
    let outer = with_scope(&block::here(), Cell::get).flatten();
    let own = time::after(limit).map(|at| Scope { at, id });
    let nearer = match (own, outer) {
        (Some(own), Some(outer)) if outer.at <= own.at => Some(outer),
        (own, outer) => own.or(outer),
    };
    let restore = Restore(outer);
    with_scope(&block::here(), |scope| scope.set(nearer));
    let result = catch_unwind(AssertUnwindSafe(f));
    drop(restore);
    match result {
        Ok(value) => value,
        Err(payload) => match payload.downcast::<Expired>() {
            Ok(expired) if expired.0 == id => R::timed_out(),
            Ok(expired) => resume_unwind(expired),
            Err(payload) => resume_unwind(payload),
        },
    }
}

/// What a [`timeout`] block can return: something that can say that time ran out.
///
/// Implemented for every `Result` whose error can be made from [`TimedOut`] (`io::Error`,
/// [`CallError`](crate::CallError), [`JoinError`](crate::JoinError), boxed errors, and your own), and
/// for `Option`.
///
/// ```
/// use std::time::Duration;
/// use actor_core::{Tasklet, TimedOut, timeout};
///
/// #[derive(Debug, PartialEq)]
/// enum OrderError {
///     SoldOut,
///     TooLate,
/// }
///
/// impl From<TimedOut> for OrderError {
///     fn from(_: TimedOut) -> Self {
///         OrderError::TooLate
///     }
/// }
///
/// fn order(left: u32, takes: Duration) -> Result<u32, OrderError> {
///     timeout(Duration::from_millis(20), || {
///         let rest = left.checked_sub(1).ok_or(OrderError::SoldOut)?;
///         Tasklet::sleep(takes);
///         Ok(rest)
///     })
/// }
///
/// assert_eq!(order(0, Duration::ZERO), Err(OrderError::SoldOut));
/// assert_eq!(order(5, Duration::from_secs(5)), Err(OrderError::TooLate));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that time ran out",
    note = "return a `Result<_, E>` with `E: From<TimedOut>` from the block (io::Error, CallError, JoinError, Box<dyn Error + Send + Sync>), or an `Option`"
)]
pub trait FromTimeout {
    /// The value for a block whose deadline has passed.
    fn timed_out() -> Self;
}

impl<T, E: From<TimedOut>> FromTimeout for Result<T, E> {
    fn timed_out() -> Self {
        Err(TimedOut.into())
    }
}

impl<T> FromTimeout for Option<T> {
    fn timed_out() -> Self {
        None
    }
}

impl fmt::Debug for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expired({:?})", self.0)
    }
}
