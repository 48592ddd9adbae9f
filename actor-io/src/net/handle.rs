//! What all sockets and other descriptors have in common: they wait, with timeouts and deadlines.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use actor_core::time;
use socket2::SockRef;

/// A timeout that may be changed while others wait by it; zero nanoseconds mean none.
#[derive(Debug, Default)]
struct Timeout(AtomicU64);

impl Timeout {
    /// A timeout of zero is refused, as in [`std::net`]: it would read as "none" to the system.
    fn set(&self, timeout: Option<Duration>) -> io::Result<()> {
        let nanos = match timeout {
            None => 0,
            Some(timeout) => check_timeout(timeout)?
                .as_nanos()
                .try_into()
                .unwrap_or(u64::MAX),
        };
        self.0.store(nanos, Relaxed);
        Ok(())
    }

    fn get(&self) -> Option<Duration> {
        match self.0.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

/// The time after `timeout`; none if it lies beyond what the clock can tell.
pub(super) fn deadline_in(timeout: Duration) -> Option<Instant> {
    time::now().checked_add(timeout)
}

pub(super) fn check_timeout(timeout: Duration) -> io::Result<Duration> {
    if timeout.is_zero() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a timeout of zero is not allowed; None waits without limit",
        ));
    }
    Ok(timeout)
}

/// A descriptor, and what holds for all who have a handle of it.
#[derive(Debug)]
struct Shared {
    source: Source,
    read_timeout: Timeout,
    write_timeout: Timeout,
    /// Operations fail instead of waiting.
    nonblocking: AtomicBool,
}

/// One of the handles of a descriptor, which is closed with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    /// Holds for operations on this handle alone.
    deadline: Option<Instant>,
}

impl Handle {
    pub(crate) fn new(fd: impl Into<OwnedFd>) -> io::Result<Handle> {
        Source::new(fd).map(Handle::of)
    }

    /// Of a descriptor that does not block.
    pub(crate) fn of(source: Source) -> Handle {
        Handle {
            shared: Arc::new(Shared {
                source,
                read_timeout: Timeout::default(),
                write_timeout: Timeout::default(),
                nonblocking: AtomicBool::new(false),
            }),
            deadline: None,
        }
    }

    pub(crate) fn with_deadline(&self, deadline: Instant) -> Handle {
        Handle {
            shared: Arc::clone(&self.shared),
            deadline: Some(deadline),
        }
    }

    /// A deadline that lies beyond what the clock can tell is none.
    pub(crate) fn with_timeout(&self, timeout: Duration) -> Handle {
        Handle {
            shared: Arc::clone(&self.shared),
            deadline: deadline_in(timeout),
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Gives up what waits, still non-blocking, with the timeouts for reads and writes.
    pub(crate) fn into_parts(self) -> io::Result<(Source, [Option<Duration>; 2])> {
        let shared = Arc::into_inner(self.shared).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the descriptor is shared with handles that are still alive",
            )
        })?;
        let timeouts = [shared.read_timeout.get(), shared.write_timeout.get()];
        Ok((shared.source, timeouts))
    }

    fn timeout_of(&self, direction: Direction) -> &Timeout {
        match direction {
            Direction::Read => &self.shared.read_timeout,
            Direction::Write => &self.shared.write_timeout,
        }
    }

    pub(crate) fn set_timeout(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.timeout_of(direction).set(timeout)
    }

    pub(crate) fn timeout(&self, direction: Direction) -> Option<Duration> {
        self.timeout_of(direction).get()
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.shared.nonblocking.load(Relaxed)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.shared.nonblocking.store(nonblocking, Relaxed);
    }

    /// When an operation that begins now is over.
    pub(super) fn deadline(&self, direction: Direction) -> Option<Instant> {
        let timeout = self.timeout(direction).and_then(deadline_in);
        match (timeout, self.deadline) {
            (Some(timeout), Some(deadline)) => Some(timeout.min(deadline)),
            (timeout, deadline) => timeout.or(deadline),
        }
    }

    pub(crate) fn options(&self) -> SockRef<'_> {
        SockRef::from(&self.shared.source)
    }

    /// Does `operation` when it can be done: see [`Source::io`].
    pub(crate) fn io<T>(
        &self,
        direction: Direction,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.is_nonblocking() {
            return self.at_once(operation);
        }
        self.shared
            .source
            .io(direction, self.deadline(direction), operation)
    }

    /// As [`io`](Self::io), where doing less than was `wanted` shows that there is no more for now:
    /// see [`Source::io_stream`].
    pub(crate) fn io_stream(
        &self,
        direction: Direction,
        wanted: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.is_nonblocking() {
            return self.at_once(operation);
        }
        let deadline = self.deadline(direction);
        self.shared
            .source
            .io_stream(direction, deadline, wanted, operation)
    }

    /// As [`io`](Self::io), unless the caller is asked to stop.
    pub(crate) fn io_or_stop<T>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let mut value = None;
        let done = self.io_stream_or_stop(direction, 1, |fd| {
            value = Some(operation(fd)?);
            // All that was wanted: nothing is known about what else there may be.
            Ok(1)
        })?;
        Ok(done.and(value))
    }

    /// As [`io_stream`](Self::io_stream), unless the caller is asked to stop.
    pub(crate) fn io_stream_or_stop(
        &self,
        direction: Direction,
        wanted: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<Option<usize>> {
        if self.is_nonblocking() {
            return self.at_once(operation).map(Some);
        }
        let deadline = self.deadline(direction);
        self.shared
            .source
            .io_stream_or_stop(direction, deadline, wanted, operation)
    }

    pub(crate) fn wait(&self, direction: Direction) -> io::Result<()> {
        self.shared.source.wait(direction, self.deadline(direction))
    }

    /// Tries `operation`, and does not wait.
    ///
    /// The reactor need not hear of it: if this takes what it believes is there, its next operation
    /// finds nothing and waits; and what it believes exhausted is marked ready by an event.
    pub(super) fn at_once<T>(
        &self,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match operation(self.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.source.as_fd()
    }
}

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
