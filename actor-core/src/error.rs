//! The errors of this crate: one small type per operation, named after it.
//!
//! An operation that cannot fail in some way has an error type without that variant, and a send that
//! fails gives its message back. Each of them converts into [`io::Error`], so that `?` works in a
//! function that reads and writes sockets as well; the typed error stays inside, where
//! [`io::Error::get_ref`] and [`io::Error::downcast`] find it.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;

use parking_lot::Mutex;

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

/// A message that was not delivered, with the reason why.
///
/// The message is inside: [`into_message`](Self::into_message) gives it back, so that it can go
/// elsewhere or be sent again.
///
/// There is no bound on `M`: the error can be printed and unwrapped whatever the message is. As it
/// holds the message it is [`Sync`] only if the message is, which `?` into a [`BoxError`] asks for;
/// [`erase`](Self::erase) drops the message where that stands in the way.
///
/// # Examples
///
/// ```
/// use actor_core::SendError;
///
/// let error = SendError::Full("a line");
/// assert!(error.is_full());
/// assert_eq!(error.to_string(), "sending to a full mailbox");
/// assert_eq!(error.into_message(), "a line");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendError<M> {
    /// The receiver has ended, or has been asked to and takes nothing more.
    Ended(M),
    /// The receiver's mailbox is full, and its policy or the manner of sending says not to wait.
    Full(M),
    /// The receiver's mailbox was full for as long as the sender was ready to wait.
    Timeout(M),
    /// There is no link to the receiver's node at present; nothing of the message has been sent.
    Disconnected(M),
    /// The message cannot go to the receiver's node.
    Refused(M, Refusal),
}

/// Why a message cannot be taken to, or by, a receiver in another process.
///
/// # Examples
///
/// ```
/// use actor_core::{CallError, Refusal, SendError};
///
/// let error = SendError::Refused("a line", Refusal::TooBig);
/// assert_eq!(error.to_string(), "the message is bigger than the link takes");
/// assert_eq!(CallError::from(error), CallError::Refused(Refusal::TooBig));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing is exposed there by that name, or the reference has been given back.
    Unknown,
    /// What is there is not exposed for messages of this class.
    NotExposed,
    /// Both sides know the class by its name, but not in the same version or of the same fields.
    Version,
    /// The other side could not make a message of the bytes.
    Undecodable,
    /// The message's own `Serialize` failed, or has no encoding.
    Unencodable,
    /// The message is bigger than the link's limit.
    TooBig,
    /// More names of objects and classes have been used over the link than it may have.
    TooManyNames,
    /// It is a call that has been made before, and the other side does not know any more what came of it: perhaps it
    /// has been executed.
    Forgotten,
    /// What is there does not remember calls, so it cannot be called in a way that may be repeated.
    NotIdempotent,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Unknown => "nothing is exposed there by that name",
            Refusal::NotExposed => "the receiver is not exposed for messages of this class",
            Refusal::Version => "the two sides have different versions of the message",
            Refusal::Undecodable => "the other side could not decode the message",
            Refusal::Unencodable => "the message could not be encoded",
            Refusal::TooBig => "the message is bigger than the link takes",
            Refusal::TooManyNames => "the link has no room for another name",
            Refusal::Forgotten => "nobody knows any more what came of that call",
            Refusal::NotIdempotent => "the receiver does not remember calls",
        })
    }
}

impl Error for Refusal {}

impl<M> SendError<M> {
    /// Gives back the message.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// assert_eq!(SendError::Ended(7).into_message(), 7);
    /// ```
    pub fn into_message(self) -> M {
        match self {
            SendError::Ended(message)
            | SendError::Full(message)
            | SendError::Timeout(message)
            | SendError::Disconnected(message)
            | SendError::Refused(message, _) => message,
        }
    }

    /// Returns whether the receiver has ended, so that sending again is in vain.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// assert!(SendError::Ended(7).is_ended());
    /// assert!(!SendError::Full(7).is_ended());
    /// ```
    pub fn is_ended(&self) -> bool {
        matches!(self, SendError::Ended(_))
    }

    /// Returns whether the mailbox was full.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// assert!(SendError::Full(7).is_full());
    /// assert!(!SendError::Timeout(7).is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, SendError::Full(_))
    }

    /// Returns whether the sender waited for room until its time was up.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// assert!(SendError::Timeout(7).is_timeout());
    /// assert!(!SendError::Ended(7).is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendError::Timeout(_))
    }

    /// Applies `f` to the message and keeps the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::SendError;
    ///
    /// let error = SendError::Full("7").map(str::len);
    /// assert_eq!(error, SendError::Full(1));
    /// ```
    pub fn map<N>(self, f: impl FnOnce(M) -> N) -> SendError<N> {
        match self {
            SendError::Ended(message) => SendError::Ended(f(message)),
            SendError::Full(message) => SendError::Full(f(message)),
            SendError::Timeout(message) => SendError::Timeout(f(message)),
            SendError::Disconnected(message) => SendError::Disconnected(f(message)),
            SendError::Refused(message, why) => SendError::Refused(f(message), why),
        }
    }

    /// Drops the message and keeps the reason.
    ///
    /// # Examples
    ///
    /// A message that is not [`Sync`] keeps its error out of a [`BoxError`]:
    ///
    /// ```
    /// use actor_core::{BoxError, SendError};
    ///
    /// struct Job(Box<dyn FnOnce() + Send>);
    ///
    /// fn submit(result: Result<(), SendError<Job>>) -> Result<(), BoxError> {
    ///     Ok(result.map_err(SendError::erase)?)
    /// }
    ///
    /// let refused = SendError::Full(Job(Box::new(|| println!("working"))));
    /// assert!(submit(Err(refused)).is_err());
    /// ```
    pub fn erase(self) -> SendError<()> {
        self.map(drop)
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Ended(_) => "Ended(..)",
            SendError::Full(_) => "Full(..)",
            SendError::Timeout(_) => "Timeout(..)",
            SendError::Disconnected(_) => "Disconnected(..)",
            SendError::Refused(_, why) => return write!(f, "Refused(.., {why:?})"),
        })
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Ended(_) => "sending to a receiver that has ended",
            SendError::Full(_) => "sending to a full mailbox",
            SendError::Timeout(_) => "timed out sending to a full mailbox",
            SendError::Disconnected(_) => "no link to the receiver's node",
            SendError::Refused(_, why) => return why.fmt(f),
        })
    }
}

impl<M> Error for SendError<M> {}

/// The message is dropped: an [`io::Error`] has to be `Send` and `Sync`, which not every message is.
impl<M> From<SendError<M>> for io::Error {
    fn from(error: SendError<M>) -> io::Error {
        let kind = match error {
            SendError::Ended(_) => io::ErrorKind::BrokenPipe,
            SendError::Full(_) => io::ErrorKind::QuotaExceeded,
            SendError::Timeout(_) => io::ErrorKind::TimedOut,
            SendError::Disconnected(_) => io::ErrorKind::NotConnected,
            SendError::Refused(..) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error.erase())
    }
}

/// Why a call has no reply.
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::CallError;
///
/// fn is_worth_another_try(error: CallError) -> bool {
///     matches!(error, CallError::Full | CallError::Exhausted)
/// }
///
/// assert!(is_worth_another_try(CallError::Full));
/// assert_eq!(io::Error::from(CallError::Timeout).kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallError {
    /// No reply came in time. Whether the request was handled, or is going to be, is not known; a
    /// reply that comes later is dropped.
    Timeout,
    /// The receiver had ended, or ended before it replied.
    Ended,
    /// The receiver's mailbox was full, or dropped the request to stay within its bound.
    Full,
    /// The request was taken, but the right to answer it was dropped; or no arm of the receiver
    /// matched it.
    Unanswered,
    /// The call would have closed a cycle of calls, none of which could ever be answered; or nothing
    /// is left in the program that could answer it (see [`Deadlock`]).
    Deadlock,
    /// The receiver could not be run, because no more tasklets may exist.
    Exhausted,
    /// The caller has [forbidden itself to wait](crate::Tasklet::set_block_trap).
    WouldBlock,
    /// The link to the receiver's node broke.
    Disconnected {
        /// Whether the request may have been handled; if not, calling again is safe.
        maybe_executed: bool,
    },
    /// The request could not go to the receiver's node, or was refused there, or its answer could not
    /// come back.
    Refused(Refusal),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CallError::Refused(why) => return why.fmt(f),
            CallError::Timeout => "timed out waiting for the reply to a call",
            CallError::Ended => "calling a receiver that has ended",
            CallError::Full => "calling a receiver whose mailbox is full",
            CallError::Unanswered => "the call was taken but not answered",
            CallError::Deadlock => "the call can never be answered: all wait for each other",
            CallError::WouldBlock => "the call would have to wait, which its tasklet has forbidden",
            CallError::Exhausted => "no tasklet is left to run the receiver of the call",
            CallError::Disconnected {
                maybe_executed: true,
            } => "the link broke before the reply came: the call may have been executed",
            CallError::Disconnected {
                maybe_executed: false,
            } => "the link broke before the call was executed",
        })
    }
}

impl Error for CallError {}

impl From<CallError> for io::Error {
    fn from(error: CallError) -> io::Error {
        let kind = match error {
            CallError::Timeout => io::ErrorKind::TimedOut,
            CallError::Ended => io::ErrorKind::BrokenPipe,
            CallError::Full | CallError::Exhausted => io::ErrorKind::QuotaExceeded,
            CallError::Unanswered => io::ErrorKind::Other,
            CallError::Deadlock => io::ErrorKind::Deadlock,
            CallError::WouldBlock => io::ErrorKind::WouldBlock,
            CallError::Disconnected { .. } => io::ErrorKind::ConnectionAborted,
            CallError::Refused(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// The message is dropped.
impl<M> From<SendError<M>> for CallError {
    fn from(error: SendError<M>) -> CallError {
        match error {
            SendError::Ended(_) => CallError::Ended,
            SendError::Full(_) => CallError::Full,
            SendError::Timeout(_) => CallError::Timeout,
            SendError::Disconnected(_) => CallError::Disconnected {
                maybe_executed: false,
            },
            SendError::Refused(_, why) => CallError::Refused(why),
        }
    }
}

/// What a tasklet that panicked left behind.
///
/// # Examples
///
/// ```
/// use actor_core::{JoinError, Tasklet, dispatch};
///
/// fn main() -> std::process::ExitCode {
///     dispatch(|| {
///         let tasklet = Tasklet::spawn(|| -> u32 { panic!("boom") });
///         let Err(JoinError::Panicked(panic)) = tasklet.join() else {
///             unreachable!("the tasklet panics");
///         };
///         assert_eq!(panic.message(), "boom");
///     })
/// }
/// ```
pub struct Panic {
    message: Cow<'static, str>,
    location: Option<String>,
    /// Never locked: the lock makes a `Panic` `Sync`, so that errors that hold one are too, and the
    /// payload only ever leaves by value.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    /// Wraps the payload that `catch_unwind` gave, and the place the panic hook saw, if it did.
    pub(crate) fn new(payload: Box<dyn Any + Send>, location: Option<String>) -> Panic {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            Cow::Borrowed(*text)
        } else if let Some(text) = payload.downcast_ref::<String>() {
            Cow::Owned(text.clone())
        } else {
            Cow::Borrowed("a value that is not a string")
        };
        Panic {
            message,
            location,
            payload: Mutex::new(payload),
        }
    }

    /// Returns what the panic said.
    ///
    /// A panic with a payload other than a string, as [`std::panic::panic_any`] raises it, is only
    /// described.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// fn main() -> std::process::ExitCode {
    ///     dispatch(|| match Tasklet::spawn(|| -> u32 { panic!("boom") }).join() {
    ///         Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "boom"),
    ///         other => panic!("expected a panic, got {other:?}"),
    ///     })
    /// }
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the place of the panic as `file:line:column`, if it is known.
    ///
    /// It is not when the unwinding was started by [`std::panic::resume_unwind`], which says nothing
    /// of a place.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic;
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// fn main() -> std::process::ExitCode {
    ///     dispatch(|| {
    ///         let tasklet = Tasklet::spawn(|| -> u32 { panic::resume_unwind(Box::new("boom")) });
    ///         match tasklet.join() {
    ///             Err(JoinError::Panicked(panic)) => assert_eq!(panic.location(), None),
    ///             other => panic!("expected a panic, got {other:?}"),
    ///         }
    ///     })
    /// }
    /// ```
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Gives the payload, as [`std::panic::catch_unwind`] would have.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic;
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// fn main() -> std::process::ExitCode {
    ///     dispatch(|| match Tasklet::spawn(|| -> u32 { panic::panic_any(7_u8) }).join() {
    ///         Err(JoinError::Panicked(panic)) => {
    ///             assert_eq!(*panic.into_payload().downcast::<u8>().unwrap(), 7);
    ///         }
    ///         other => panic!("expected a panic, got {other:?}"),
    ///     })
    /// }
    /// ```
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload.into_inner()
    }

    /// The payload, and the place if it is known.
    pub(crate) fn into_parts(self) -> (Box<dyn Any + Send>, Option<String>) {
        (self.payload.into_inner(), self.location)
    }

    /// Goes on with the panic here, without a second report by the panic hook.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// /// Runs `f` in a tasklet; its panic is the caller's.
    /// fn run<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    ///     match Tasklet::spawn(f).join() {
    ///         Err(JoinError::Panicked(panic)) => panic.resume(),
    ///         result => result,
    ///     }
    /// }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     dispatch(|| assert_eq!(run(|| 7).unwrap(), 7))
    /// }
    /// ```
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("message", &self.message)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

impl Error for Panic {}

/// Why a tasklet that was joined has no result.
///
/// # Examples
///
/// ```
/// use actor_core::{JoinError, Tasklet, dispatch};
///
/// fn main() -> std::process::ExitCode {
///     dispatch(|| {
///         let tasklet = Tasklet::spawn(|| 7);
///         assert_eq!(tasklet.join().unwrap(), 7);
///         assert!(matches!(tasklet.join(), Err(JoinError::Taken)));
///     })
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// It panicked.
    Panicked(Panic),
    /// It was killed.
    Killed,
    /// Somebody has [raised](crate::Tasklet::raise) this error in it, and it has not been caught.
    Raised(BoxError),
    /// It did not end in time. It runs on, and can be joined again.
    Timeout,
    /// Its result has been taken by an earlier join.
    Taken,
    /// It has not ended, and the tasklet that joins it is unwinding and so must not wait.
    Unwinding,
    /// It has not ended, and an actor's handler cannot wait for it, because no more tasklets may exist.
    Exhausted,
    /// It has not ended, and the tasklet that joins it has [forbidden itself to
    /// wait](crate::Tasklet::set_block_trap).
    WouldBlock,
    /// It has not ended and never will: nothing is left in the program that could go on (see
    /// [`Deadlock`]).
    Deadlock,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(panic) => write!(f, "the tasklet {panic}"),
            JoinError::Killed => f.write_str("the tasklet was killed"),
            JoinError::Raised(error) => write!(f, "the tasklet was ended by an error: {error}"),
            JoinError::Timeout => f.write_str("timed out joining a tasklet"),
            JoinError::Taken => f.write_str("the tasklet's result was already taken"),
            JoinError::Unwinding => f.write_str("joining a tasklet while unwinding"),
            JoinError::WouldBlock => f.write_str("joining a tasklet would have to wait"),
            JoinError::Deadlock => f.write_str("joining a tasklet that can never go on"),
            JoinError::Exhausted => {
                f.write_str("no tasklet is left to run others while a handler joins one")
            }
        }
    }
}

impl Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        let kind = match error {
            JoinError::Timeout => io::ErrorKind::TimedOut,
            JoinError::Exhausted => io::ErrorKind::QuotaExceeded,
            JoinError::WouldBlock => io::ErrorKind::WouldBlock,
            JoinError::Deadlock => io::ErrorKind::Deadlock,
            JoinError::Panicked(_)
            | JoinError::Killed
            | JoinError::Raised(_)
            | JoinError::Taken
            | JoinError::Unwinding => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Why a tasklet was not started.
///
/// # Examples
///
/// ```
/// use actor_core::SpawnError;
///
/// let error = SpawnError::TaskletLimit { limit: 30_000, sysctl: "vm.max_map_count" };
/// assert!(error.to_string().starts_with("30000 tasklets exist, which is the limit"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// As many tasklets exist as may.
    TaskletLimit {
        /// How many may exist at a time.
        limit: usize,
        /// The setting of the system that bounds them.
        sysctl: &'static str,
    },
    /// The stack asked for is larger than a tasklet may have.
    StackSize {
        /// The size asked for, in bytes.
        requested: usize,
        /// The largest size there is, in bytes.
        limit: usize,
    },
    /// The system refused memory or another resource.
    System(io::Error),
    /// There is no runtime, or it is coming to its end.
    NotRunning,
    /// It was started, and failed at its first step.
    Started(BoxError),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::TaskletLimit { limit, sysctl } => write!(
                f,
                "{limit} tasklets exist, which is the limit: raise {sysctl} of the system, or the \
                 program's own limit with Runtime::builder().tasklets(n)"
            ),
            SpawnError::StackSize { requested, limit } => write!(
                f,
                "a stack of {requested} bytes is larger than the limit of {limit} bytes: ask for \
                 less with stack_size(bytes)"
            ),
            SpawnError::System(error) => {
                write!(f, "the system has no resources for a tasklet: {error}")
            }
            SpawnError::NotRunning => {
                f.write_str("no runtime is running: spawn tasklets inside dispatch(..)")
            }
            SpawnError::Started(error) => write!(f, "failed to start: {error}"),
        }
    }
}

impl Error for SpawnError {
    // The texts above contain that of the inner error, so the chain goes on with what is behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SpawnError::System(error) => error.source(),
            SpawnError::Started(error) => error.source(),
            SpawnError::TaskletLimit { .. }
            | SpawnError::StackSize { .. }
            | SpawnError::NotRunning => None,
        }
    }
}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> io::Error {
        let kind = match &error {
            SpawnError::TaskletLimit { .. } => io::ErrorKind::QuotaExceeded,
            SpawnError::StackSize { .. } => io::ErrorKind::InvalidInput,
            SpawnError::System(error) => error.kind(),
            SpawnError::NotRunning | SpawnError::Started(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Why there is no message to receive.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use actor_core::{ReceiveError, Tasklet, dispatch};
///
/// fn main() -> std::process::ExitCode {
///     dispatch(|| {
///         let nothing = Tasklet::receive_timeout(Duration::from_millis(1));
///         assert_eq!(nothing.unwrap_err(), ReceiveError::Timeout);
///     })
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiveError {
    /// None came in time.
    Timeout,
    /// None can come any more: the tasklet was asked to stop and has received all that came before,
    /// or nobody is left who could send to it.
    Stopped,
    /// None is there, and the tasklet has [forbidden itself to
    /// wait](crate::Tasklet::set_block_trap).
    WouldBlock,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReceiveError::Timeout => "timed out waiting for a message",
            ReceiveError::Stopped => "receiving from a mailbox that is closed and empty",
            ReceiveError::WouldBlock => "receiving from an empty mailbox would have to wait",
        })
    }
}

impl Error for ReceiveError {}

impl From<ReceiveError> for io::Error {
    fn from(error: ReceiveError) -> io::Error {
        let kind = match error {
            ReceiveError::Timeout => io::ErrorKind::TimedOut,
            ReceiveError::Stopped => io::ErrorKind::UnexpectedEof,
            ReceiveError::WouldBlock => io::ErrorKind::WouldBlock,
        };
        io::Error::new(kind, error)
    }
}

/// The deadline of a [`timeout`](crate::timeout) block has passed.
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::{CallError, TimedOut};
///
/// assert_eq!(CallError::from(TimedOut), CallError::Timeout);
/// assert_eq!(io::Error::from(TimedOut).kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl Error for TimedOut {}

impl From<TimedOut> for io::Error {
    fn from(error: TimedOut) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, error)
    }
}

impl From<TimedOut> for CallError {
    fn from(_: TimedOut) -> CallError {
        CallError::Timeout
    }
}

impl From<TimedOut> for JoinError {
    fn from(_: TimedOut) -> JoinError {
        JoinError::Timeout
    }
}

impl From<TimedOut> for ReceiveError {
    fn from(_: TimedOut) -> ReceiveError {
        ReceiveError::Timeout
    }
}

/// An operation would have had to wait while its tasklet unwinds.
///
/// A tasklet that panics or is killed runs its destructors without ever giving its thread to another
/// tasklet. What they do through this crate either completes at once or fails with this error.
///
/// # Examples
///
/// As an [`io::Error`] it is [`Other`](io::ErrorKind::Other): a loop that tries again after
/// [`Interrupted`](io::ErrorKind::Interrupted), as [`write_all`](io::Write::write_all) does, would
/// never end.
///
/// ```
/// use std::io;
/// use actor_core::Unwinding;
///
/// let error = io::Error::from(Unwinding);
/// assert_eq!(error.kind(), io::ErrorKind::Other);
/// assert!(error.get_ref().is_some_and(|inner| inner.is::<Unwinding>()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Unwinding;

impl fmt::Display for Unwinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would have to wait while its tasklet unwinds")
    }
}

impl Error for Unwinding {}

impl From<Unwinding> for io::Error {
    fn from(error: Unwinding) -> io::Error {
        io::Error::other(error)
    }
}

impl From<Unwinding> for JoinError {
    fn from(_: Unwinding) -> JoinError {
        JoinError::Unwinding
    }
}

/// An operation would have had to wait, and its tasklet has forbidden itself to.
///
/// See [`Tasklet::set_block_trap`](crate::Tasklet::set_block_trap). As an [`io::Error`] it is
/// [`WouldBlock`](io::ErrorKind::WouldBlock).
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::WouldBlock;
///
/// let error = io::Error::from(WouldBlock);
/// assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
/// assert!(error.get_ref().is_some_and(|inner| inner.is::<WouldBlock>()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct WouldBlock;

impl fmt::Display for WouldBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would have to wait, which its tasklet has forbidden itself")
    }
}

impl Error for WouldBlock {}

impl From<WouldBlock> for io::Error {
    fn from(error: WouldBlock) -> io::Error {
        io::Error::new(io::ErrorKind::WouldBlock, error)
    }
}

/// The main tasklet would have waited for ever: nothing is left that could end the wait.
///
/// When the main tasklet waits for a channel, for a tasklet's end or for the reply to a call, and no
/// tasklet, actor, timer, descriptor or thread of the process is left that could bring that about, its
/// operation ends with the variant `Deadlock` of its error. It is Stackless's "the last runnable
/// tasklet cannot be blocked", found for all workers together. There is no false alarm; what makes
/// sure of that leaves some deadlocks unfound, those namely
///
/// - in a process that runs other threads than the runtime's, each of which could still send something,
/// - with a timer that is set, be it the deadline of another tasklet's wait,
/// - with a descriptor that some tasklet has ever waited on and that is still open,
/// - while several programs run, or one that has been asked to stop.
///
/// It is found when all workers have had nothing to do for some ten milliseconds. Coroutines of `may`
/// that a program starts by itself are not looked at.
///
/// # Examples
///
/// ```
/// use std::io;
/// use actor_core::Deadlock;
///
/// let error = io::Error::from(Deadlock);
/// assert_eq!(error.kind(), io::ErrorKind::Deadlock);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Deadlock;

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadlock: nothing is left that could end the wait")
    }
}

impl Error for Deadlock {}

impl From<Deadlock> for io::Error {
    fn from(error: Deadlock) -> io::Error {
        io::Error::new(io::ErrorKind::Deadlock, error)
    }
}

/// Why the runtime did not start.
///
/// # Examples
///
/// ```
/// use actor_core::RuntimeError;
///
/// let error = RuntimeError::AlreadyRunning;
/// assert!(error.to_string().contains("one runtime a process"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RuntimeError {
    /// This process runs one already, with other settings.
    AlreadyRunning,
    /// `dispatch` was called inside a tasklet, which it would block for ever.
    InTasklet,
    /// The virtual clock was asked for with more than one worker.
    VirtualClockWorkers,
    /// The substrate does not behave as the runtime relies on; the text says in what, and how to
    /// find the cause.
    ProbeFailed(String),
    /// The system refused a thread, a descriptor or another resource.
    System(io::Error),
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuntimeError::AlreadyRunning => f.write_str(
                "a runtime with other settings is running: there is one runtime a process, and its \
                 first dispatch settles how it is built",
            ),
            RuntimeError::InTasklet => f.write_str(
                "dispatch was called inside a tasklet: spawn a tasklet instead, or call it on a thread",
            ),
            RuntimeError::VirtualClockWorkers => {
                f.write_str("the virtual clock needs exactly one worker: leave out workers(..)")
            }
            RuntimeError::ProbeFailed(what) => {
                write!(f, "the runtime cannot run in this process: {what}")
            }
            RuntimeError::System(error) => {
                write!(f, "the system has no resources for the runtime: {error}")
            }
        }
    }
}

impl Error for RuntimeError {
    // The text contains that of the inner error, so the chain goes on with what is behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RuntimeError::System(error) => error.source(),
            _ => None,
        }
    }
}

impl From<io::Error> for RuntimeError {
    fn from(error: io::Error) -> RuntimeError {
        RuntimeError::System(error)
    }
}

impl From<RuntimeError> for io::Error {
    fn from(error: RuntimeError) -> io::Error {
        let kind = match &error {
            RuntimeError::System(error) => error.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
