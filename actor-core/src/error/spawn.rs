//! Why there is no new tasklet, or no runtime.

use std::error::Error;
use std::fmt;
use std::io;

use super::BoxError;

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
