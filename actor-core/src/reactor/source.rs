//! Sources: descriptors with what is done on them, tried first, and waited for when it would block.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Direction;
use super::readiness::{ALWAYS_READABLE, REGISTERED, Readiness};
use super::system::{poll, set_nonblocking};
use super::wait::{Failure, count_watched, uncount_watched};
use super::watch::Watch;
use crate::block::{self, Here, Interrupt, Wait};
use crate::worker;

/// A descriptor that blocks the tasklet, and not the thread, that waits on it.
///
/// The ground on which sockets are built. It can be shared: each operation takes `&self`.
///
/// ```
/// use actor_core::reactor::{Direction, Source};
/// use std::io::Read;
/// use std::os::unix::net::UnixStream;
/// # use std::io::Write;
///
/// let (near, mut far) = UnixStream::pair()?;
/// let source = Source::new(near)?;
/// far.write_all(b"x")?;
/// source.wait(Direction::Read, None)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Source {
    /// Taken only by `into_fd`.
    fd: Option<OwnedFd>,
    pub(super) readiness: Arc<Readiness>,
}

impl Source {
    /// Takes over a descriptor and makes it non-blocking. It is registered when first waited on.
    ///
    /// Fails where the system does. A descriptor that epoll refuses (a plain file) is found out by the
    /// first wait.
    pub fn new(fd: impl Into<OwnedFd>) -> io::Result<Source> {
        let fd = fd.into();
        set_nonblocking(&fd)?;
        Ok(Source::as_is(fd))
    }

    /// Takes over a descriptor as it is, for operations that never block the thread by themselves.
    ///
    /// Whether a descriptor blocks is a flag of the *open file description*, which is shared with those
    /// who have a duplicate: to change it for a pipe or a terminal that was inherited changes it for other
    /// processes too. Who takes such a descriptor over leaves the flag alone, and asks with each operation
    /// not to wait (`MSG_DONTWAIT`, `RWF_NOWAIT`), or only [waits](Self::wait) here.
    ///
    /// ```
    /// use actor_core::reactor::{Direction, Source};
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, mut far) = UnixStream::pair()?;
    /// let source = Source::as_is(near.try_clone()?);
    /// far.write_all(b"x")?;
    /// source.wait(Direction::Read, None)?;
    /// // A read of the duplicate would wait, if there were nothing to read.
    /// assert_eq!((&near).read(&mut [0; 8])?, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn as_is(fd: impl Into<OwnedFd>) -> Source {
        Source {
            fd: Some(fd.into()),
            readiness: Arc::new(Readiness::new()),
        }
    }

    /// For waiting on a descriptor that belongs to others: leaves it as blocking as it is, and looks after
    /// a duplicate. Operations other than [`wait`](Self::wait) may block the thread.
    ///
    /// ```
    /// use actor_core::reactor::{Direction, Source};
    ///
    /// let (_reader, writer) = std::io::pipe()?;
    /// Source::foreign(&writer)?.wait(Direction::Write, None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn foreign(fd: impl AsFd) -> io::Result<Source> {
        Ok(Source {
            fd: Some(fd.as_fd().try_clone_to_owned()?),
            readiness: Arc::new(Readiness::new()),
        })
    }

    /// Gives the descriptor back, still non-blocking.
    pub fn into_fd(mut self) -> OwnedFd {
        self.deregister();
        self.fd.take().expect("taken only here, and self is gone")
    }

    /// Does `operation`; while it says [`WouldBlock`](io::ErrorKind::WouldBlock), waits and repeats it.
    ///
    /// An operation that a signal interrupts is repeated at once. Past `deadline`, or that of a
    /// [`timeout`](crate::timeout()) around the call, the error is of the kind
    /// [`TimedOut`](io::ErrorKind::TimedOut) and holds a [`TimedOut`](crate::TimedOut).
    ///
    /// ```
    /// use actor_core::{dispatch, reactor::{Direction, Source}};
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// dispatch(|| {
    ///     let (near, mut far) = UnixStream::pair().unwrap();
    ///     let near = Source::new(near).unwrap();
    ///     far.write_all(b"x").unwrap();
    ///     let mut byte = [0; 1];
    ///     let read = near.io(Direction::Read, None, |fd| {
    ///         let stream = UnixStream::from(fd.try_clone_to_owned()?);
    ///         (&stream).read(&mut byte)
    ///     });
    ///     assert_eq!(read.unwrap(), 1);
    /// });
    /// ```
    pub fn io<T>(
        &self,
        direction: Direction,
        deadline: Option<Instant>,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.attempt(
            Wait::new(self.waiting(direction), deadline),
            direction,
            |fd| operation(fd).map(|value| (value, false)),
        )
        .map_err(Failure::into_io)
    }

    /// As [`io`](Self::io), for a byte stream of which `wanted` bytes were asked.
    ///
    /// A smaller count means that the stream is exhausted for now, so the next call waits without
    /// asking the system in vain. That holds for TCP and pipes, and for Unix streams on which no
    /// descriptors are passed; not for terminals, which give a line at a time: use [`io`](Self::io).
    pub fn io_stream(
        &self,
        direction: Direction,
        deadline: Option<Instant>,
        wanted: usize,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.attempt(
            Wait::new(self.waiting(direction), deadline),
            direction,
            |fd| operation(fd).map(|count| (count, 0 < count && count < wanted)),
        )
        .map_err(Failure::into_io)
    }

    /// As [`io`](Self::io), but ends with `None` as soon as the calling tasklet is asked to
    /// [stop](crate::Tasklet::stop). For accept loops.
    pub fn io_or_stop<T>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        self.attempt_or_stop(None, direction, |fd| {
            operation(fd).map(|value| (value, false))
        })
    }

    /// As [`io_stream`](Self::io_stream), but ends with `None` as soon as the calling tasklet is asked to
    /// [stop](crate::Tasklet::stop). For those who read until then.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch, reactor::{Direction, Source}};
    /// use std::os::unix::net::UnixStream;
    ///
    /// dispatch(|| {
    ///     let (near, _far) = UnixStream::pair().unwrap();
    ///     let near = Source::new(near).unwrap();
    ///     let reader = Tasklet::spawn(move || {
    ///         near.io_stream_or_stop(Direction::Read, None, 1, |_| {
    ///             Err(std::io::ErrorKind::WouldBlock.into())
    ///         })
    ///     });
    ///     reader.stop();
    ///     assert_eq!(reader.join().unwrap().unwrap(), None);
    /// });
    /// ```
    pub fn io_stream_or_stop(
        &self,
        direction: Direction,
        deadline: Option<Instant>,
        wanted: usize,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<Option<usize>> {
        self.attempt_or_stop(deadline, direction, |fd| {
            operation(fd).map(|count| (count, 0 < count && count < wanted))
        })
    }

    /// Waits until an operation is worth trying. May return early.
    ///
    /// ```
    /// use actor_core::{dispatch, reactor::{Direction, Source}};
    /// use std::os::unix::net::UnixStream;
    ///
    /// dispatch(|| {
    ///     let (near, _far) = UnixStream::pair().unwrap();
    ///     let near = Source::new(near).unwrap();
    ///     near.wait(Direction::Write, None).unwrap(); // there is room at once
    /// });
    /// ```
    pub fn wait(&self, direction: Direction, deadline: Option<Instant>) -> io::Result<()> {
        let events = match direction {
            Direction::Read => libc::POLLIN | libc::POLLRDHUP,
            Direction::Write => libc::POLLOUT,
        };
        self.io(direction, deadline, |fd| {
            match poll(fd, events, Some(Duration::ZERO))? {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        })
    }

    /// Has `watch` told when the descriptor becomes ready, until it is replaced or [taken
    /// back](Self::unwatch). Registers the descriptor on the worker of the caller.
    ///
    /// Only *becoming* ready is told: after an operation would have blocked. So the owner begins with a
    /// look of its own, and each look is [`rearm`](Self::rearm) and then [`try_io`](Self::try_io), in
    /// every direction that it cares for, until that says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), which costs no system call once the descriptor is known
    /// to be exhausted. An owner that leaves off earlier has itself told by its own means.
    ///
    /// A descriptor that has not been registered before is presumed to have nothing to read; if it has,
    /// the owner is told at once. Tasklets may wait on the source all the same. Does not wait.
    ///
    /// The virtual clock stands still as long as there is somebody to be told. See [`ActorWatch`](super::ActorWatch) for an
    /// example.
    ///
    /// # Errors
    ///
    /// Where epoll fails, and on a thread that is no worker.
    pub fn watch(&self, watch: Arc<dyn Watch>) -> io::Result<()> {
        let local = worker::local().ok_or_else(|| Interrupt::Outside.into_io())?;
        if self.readiness.home().is_none() {
            self.readiness.presume_empty();
        }
        if self.readiness.set_watch(Some(watch)).is_none() {
            count_watched();
        }
        self.register_anew(local).inspect_err(|_| self.unwatch())
    }

    /// Takes [`watch`](Self::watch) back. A call that is under way comes to its end.
    ///
    /// ```
    /// # use actor_core::reactor::Source;
    /// let (near, _far) = std::os::unix::net::UnixStream::pair()?;
    /// Source::new(near)?.unwatch(); // there was none
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unwatch(&self) {
        // Dropped here, and not under the lock.
        if self.readiness.set_watch(None).is_some() {
            uncount_watched();
        }
    }

    /// Has the owner told anew of what comes from now on. To be called before each look.
    ///
    /// ```
    /// # use actor_core::reactor::{Direction, Source};
    /// let (near, _far) = std::os::unix::net::UnixStream::pair()?;
    /// let source = Source::new(near)?;
    /// source.rearm();
    /// assert!(source.is_ready(Direction::Write));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn rearm(&self) {
        self.readiness.rearm();
    }

    /// Tells the owner as an event would, for it to look again: when it has left off before all was done, or
    /// its mind has been changed. Does nothing if there is none.
    ///
    /// ```
    /// # use actor_core::reactor::Source;
    /// let (near, _far) = std::os::unix::net::UnixStream::pair()?;
    /// Source::new(near)?.tell(); // there is nobody to be told
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn tell(&self) {
        self.readiness.tell_once();
    }

    /// Whether an operation is worth a try, as far as is known.
    ///
    /// ```
    /// use actor_core::reactor::{Direction, Source};
    ///
    /// let (near, _far) = std::os::unix::net::UnixStream::pair()?;
    /// assert!(Source::new(near)?.is_ready(Direction::Read)); // nothing is known yet
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_ready(&self, direction: Direction) -> bool {
        self.readiness.is_ready(direction)
    }

    /// Does `operation` if it is worth a try, and never waits.
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) means that the owner is told when it is worth one again,
    /// provided that the source is [watched](Self::watch). An operation that a signal interrupts is
    /// repeated.
    ///
    /// ```
    /// use actor_core::reactor::{Direction, Source};
    /// use std::io::{ErrorKind, Read};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, _far) = UnixStream::pair()?;
    /// let near = Source::new(near)?;
    /// let read = near.try_io(Direction::Read, |fd| {
    ///     (&UnixStream::from(fd.try_clone_to_owned()?)).read(&mut [0; 1])
    /// });
    /// assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_io<T>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.attempt_once(direction, |fd| operation(fd).map(|value| (value, false)))
    }

    /// As [`try_io`](Self::try_io), for a byte stream of which `wanted` bytes were asked; see
    /// [`io_stream`](Self::io_stream).
    ///
    /// ```
    /// use actor_core::reactor::{Direction, Source};
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, _far) = UnixStream::pair()?;
    /// let near = Source::new(near)?;
    /// let written = near.try_io_stream(Direction::Write, 2, |fd| {
    ///     (&UnixStream::from(fd.try_clone_to_owned()?)).write(b"hi")
    /// })?;
    /// assert_eq!(written, 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_io_stream(
        &self,
        direction: Direction,
        wanted: usize,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.attempt_once(direction, |fd| {
            operation(fd).map(|count| (count, 0 < count && count < wanted))
        })
    }

    fn attempt_once<T>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<(T, bool)>,
    ) -> io::Result<T> {
        loop {
            let seen = self.readiness.state();
            if seen & direction.flag() == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if let Some(value) = self.once(direction, seen, &mut operation)? {
                return Ok(value);
            }
            // If an event has come meanwhile, the owner would not be told of it: the flag was set.
            if seen & REGISTERED == 0 || self.readiness.clear(direction, seen) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }

    /// One attempt, begun when the state was `seen`; `None` if it would block.
    pub(super) fn once<T>(
        &self,
        direction: Direction,
        seen: u32,
        operation: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<(T, bool)>,
    ) -> io::Result<Option<T>> {
        loop {
            match operation(self.as_fd()) {
                Ok((value, exhausted)) => {
                    let sticky = direction == Direction::Read && seen & ALWAYS_READABLE != 0;
                    if exhausted && !sticky && seen & REGISTERED != 0 {
                        self.readiness.clear(direction, seen);
                    }
                    return Ok(Some(value));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits in a tasklet until an operation is worth a try, or `other` gives something; whoever changes what that
    /// looks at wakes the tasklet. For those who have tried, and wait for more than this.
    #[doc(hidden)]
    pub fn ready_or<T>(
        &self,
        direction: Direction,
        deadline: Option<Instant>,
        other: impl FnMut() -> Option<T>,
    ) -> io::Result<Option<T>> {
        let wait = Wait::new(self.waiting(direction), deadline);
        let waited = match block::here() {
            Here::Tasklet(local, _) => {
                let seen = self.readiness.state();
                if seen & direction.flag() != 0 {
                    return Ok(None);
                }
                self.wait_here_or(local, wait, direction, seen, other)
            }
            Here::Driver | Here::Thread => Err(Interrupt::Outside.into()),
        };
        waited.map_err(Failure::into_io)
    }

    /// The worker in whose epoll it is, if it is in one. It may be in another the moment after.
    #[doc(hidden)]
    pub fn home(&self) -> Option<usize> {
        self.readiness.home()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Before the descriptor closes: its number may be another's the moment after.
        if self.fd.is_some() {
            self.deregister();
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
            .as_ref()
            .expect("taken only by into_fd, which takes self")
            .as_fd()
    }
}

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
