//! [`ResolveError`].

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use actor_core::TimedOut;

/// Why a name has not been resolved.
///
/// ```
/// use actor_io::{ResolveError, Resolver};
/// use std::io;
/// use std::time::Duration;
///
/// let nobody = Resolver::new(1, |_host| Err(ResolveError::NotFound));
/// let error = nobody.resolve("host.example", 80, Duration::from_secs(5)).unwrap_err();
/// assert!(matches!(error, ResolveError::NotFound));
/// assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ResolveError {
    /// There is nobody of that name, or nothing of the kind that was asked for.
    NotFound,
    /// Whoever was asked had no answer at the moment; a later attempt may succeed.
    Unavailable(Arc<io::Error>),
    /// It could not be looked up, for a reason that will last.
    Failed(Arc<io::Error>),
    /// The answer did not come in time.
    TimedOut,
    /// The question was not even asked: all threads for look-ups are held by others that do not end. Most
    /// likely a name server does not answer.
    Busy {
        /// How many threads there are.
        threads: usize,
    },
}

impl ResolveError {
    pub(crate) fn failed(error: io::Error) -> ResolveError {
        ResolveError::Failed(Arc::new(error))
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::NotFound => f.write_str("no such name"),
            ResolveError::Unavailable(error) => write!(f, "no answer at the moment: {error}"),
            ResolveError::Failed(error) => error.fmt(f),
            ResolveError::TimedOut => f.write_str("the look-up took too long"),
            ResolveError::Busy { threads } => {
                write!(f, "all {threads} threads for look-ups are held by others")
            }
        }
    }
}

impl Error for ResolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ResolveError::Unavailable(error) | ResolveError::Failed(error) => error.source(),
            _ => None,
        }
    }
}

/// What a [`timeout`](actor_core::timeout) around a look-up makes of its expiry.
impl From<TimedOut> for ResolveError {
    fn from(_: TimedOut) -> ResolveError {
        ResolveError::TimedOut
    }
}

impl From<ResolveError> for io::Error {
    fn from(error: ResolveError) -> io::Error {
        let kind = match &error {
            ResolveError::NotFound => io::ErrorKind::NotFound,
            ResolveError::Unavailable(_) => io::ErrorKind::HostUnreachable,
            ResolveError::Failed(error) => error.kind(),
            // As from every operation that has run out of time.
            ResolveError::TimedOut => return TimedOut.into(),
            ResolveError::Busy { .. } => io::ErrorKind::ResourceBusy,
        };
        io::Error::new(kind, error)
    }
}
