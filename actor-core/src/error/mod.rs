//! The errors of this crate: one small type per operation, named after it.
//!
//! An operation that cannot fail in some way has an error type without that variant, and a send that
//! fails gives its message back. Each of them converts into [`io::Error`], so that `?` works in a
//! function that reads and writes sockets as well; the typed error stays inside, where
//! [`io::Error::get_ref`] and [`io::Error::downcast`] find it.
//!
//! - `send`, `call`: of messages, and why none can go to another process;
//! - `panic`, `join`, `spawn`: of tasklets, and of the runtime that they need;
//! - `wait`: of what waits, whatever it waits for.

mod call;
mod join;
mod panic;
mod send;
mod spawn;
mod wait;

use std::error::Error;

pub use self::call::CallError;
pub use self::join::JoinError;
pub use self::panic::Panic;
pub use self::send::{Refusal, SendError};
pub use self::spawn::{RuntimeError, SpawnError};
pub use self::wait::{Deadlock, ReceiveError, TimedOut, Unwinding, WouldBlock};

/// Any error at all, in a form that travels between tasklets.
///
/// # Examples
///
/// ```
/// use actor_core::BoxError;
///
/// fn port(text: &str) -> Result<u16, BoxError> {
///     Ok(text.parse()?)
/// }
///
/// assert_eq!(port("9010").unwrap(), 9010);
/// assert_eq!(port("ninety").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;
