//! Descriptors of any kind: [`Descriptor`], [`wait_readable`] and [`wait_writable`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};

use crate::net::{Family, Handle, Stream};

/// A descriptor that was made by others, on which a tasklet can wait.
///
/// Whatever the system can poll: a pipe, a terminal, a timer, an event counter, an inotify queue, the
/// socket of another library. It is read and written as what it is; where that takes operations of its
/// own, [`read_with`](Self::read_with) and [`write_with`](Self::write_with) do these. All handles share
/// the one descriptor, which is closed with the last of them.
///
/// A plain file is always ready, and its operations block the thread.
///
/// ```
/// use actor_io::Descriptor;
/// use std::io::{self, Read, Write};
///
/// # fn main() -> io::Result<()> {
/// let (reader, writer) = io::pipe()?;
/// let (mut reader, mut writer) = (Descriptor::new(reader)?, Descriptor::new(writer)?);
/// writer.write_all(b"through the pipe")?;
/// drop(writer);
/// let mut all = String::new();
/// reader.read_to_string(&mut all)?;
/// assert_eq!(all, "through the pipe");
/// # Ok(())
/// # }
/// ```
pub struct Descriptor(Handle);

impl Descriptor {
    /// Takes over a descriptor and makes it non-blocking. That is a property of what it refers to:
    /// duplicates of it, in other processes too, are non-blocking from then on.
    ///
    /// ```
    /// let (reader, _writer) = std::io::pipe().unwrap();
    /// let reader = actor_io::Descriptor::new(reader).unwrap();
    /// ```
    pub fn new(fd: impl Into<OwnedFd>) -> io::Result<Descriptor> {
        Handle::new(fd).map(Descriptor)
    }

    pub(crate) fn of<F: Family>(stream: &Stream<F>) -> Descriptor {
        Descriptor(stream.socket().clone())
    }

    /// Waits until there is something to read, or the other end has closed. May return early.
    ///
    /// ```
    /// use actor_io::Descriptor;
    /// use std::io::Write;
    ///
    /// let (reader, mut writer) = std::io::pipe().unwrap();
    /// let reader = Descriptor::new(reader).unwrap();
    /// writer.write_all(b"x").unwrap();
    /// reader.wait_readable().unwrap();
    /// ```
    pub fn wait_readable(&self) -> io::Result<()> {
        self.0.wait(Direction::Read)
    }

    /// Waits until there is room to write, or nobody is left to read. May return early.
    ///
    /// ```
    /// let (_reader, writer) = std::io::pipe().unwrap();
    /// actor_io::Descriptor::new(writer).unwrap().wait_writable().unwrap();
    /// ```
    pub fn wait_writable(&self) -> io::Result<()> {
        self.0.wait(Direction::Write)
    }

    /// Does `operation`; while it says [`WouldBlock`](io::ErrorKind::WouldBlock), waits until there is
    /// something to read and repeats it.
    ///
    /// ```
    /// use actor_io::Descriptor;
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixDatagram;
    ///
    /// let (library, other) = UnixDatagram::pair().unwrap();
    /// let descriptor = Descriptor::new(library.try_clone().unwrap()).unwrap();
    /// other.send(b"x").unwrap();
    /// let len = descriptor.read_with(|_fd| library.recv(&mut [0; 4])).unwrap();
    /// assert_eq!(len, 1);
    /// ```
    pub fn read_with<T>(
        &self,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.0.io(Direction::Read, operation)
    }

    /// As [`read_with`](Self::read_with), for what needs room to write.
    ///
    /// ```
    /// use actor_io::Descriptor;
    /// use std::os::unix::net::UnixDatagram;
    ///
    /// let (library, _other) = UnixDatagram::pair().unwrap();
    /// let descriptor = Descriptor::new(library.try_clone().unwrap()).unwrap();
    /// assert_eq!(descriptor.write_with(|_fd| library.send(b"abc")).unwrap(), 3);
    /// ```
    pub fn write_with<T>(
        &self,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.0.io(Direction::Write, operation)
    }

    /// Another handle of the same descriptor, for whose operations there is a deadline: see
    /// [`Stream::with_deadline`].
    ///
    /// ```
    /// use actor_core::time;
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let (reader, _writer) = std::io::pipe().unwrap();
    /// let reader = actor_io::Descriptor::new(reader).unwrap();
    /// let soon = time::now() + Duration::from_millis(2);
    /// let error = reader.with_deadline(soon).wait_readable().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// ```
    pub fn with_deadline(&self, deadline: Instant) -> Descriptor {
        Descriptor(self.0.with_deadline(deadline))
    }

    /// As [`with_deadline`](Self::with_deadline), for a time that begins now.
    ///
    /// ```
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let (reader, _writer) = std::io::pipe().unwrap();
    /// let reader = actor_io::Descriptor::new(reader).unwrap();
    /// let error = reader.with_timeout(Duration::from_millis(2)).wait_readable().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// ```
    pub fn with_timeout(&self, timeout: Duration) -> Descriptor {
        Descriptor(self.0.with_timeout(timeout))
    }

    /// Another handle of the same descriptor. It never fails; the result is there for the sake of the
    /// name.
    ///
    /// ```
    /// let (reader, _writer) = std::io::pipe().unwrap();
    /// let reader = actor_io::Descriptor::new(reader).unwrap();
    /// let other = reader.try_clone().unwrap();
    /// ```
    pub fn try_clone(&self) -> io::Result<Descriptor> {
        Ok(self.handle())
    }

    pub(crate) fn handle(&self) -> Descriptor {
        Descriptor(self.0.clone())
    }

    /// Gives the descriptor back, still non-blocking. Fails with
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) while there are other handles of it.
    ///
    /// ```
    /// let (reader, _writer) = std::io::pipe().unwrap();
    /// let fd = actor_io::Descriptor::new(reader).unwrap().into_fd().unwrap();
    /// ```
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        Ok(self.0.into_parts()?.0.into_fd())
    }
}

/// Reads through a shared reference.
impl Read for &Descriptor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // Not as a stream: terminals, timers and queues of events give less than was asked.
        self.0
            .io(Direction::Read, |fd| Ok(rustix::io::read(fd, &mut *buf)?))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0
            .io(Direction::Read, |fd| Ok(rustix::io::readv(fd, bufs)?))
    }
}

/// Writes through a shared reference. A pipe that nobody reads any more is an error, and the signal
/// `SIGPIPE` if the program has turned that on again.
impl Write for &Descriptor {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0
            .io(Direction::Write, |fd| Ok(rustix::io::write(fd, buf)?))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0
            .io(Direction::Write, |fd| Ok(rustix::io::writev(fd, bufs)?))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Descriptor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for Descriptor {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Descriptor")
            .field(&self.as_raw_fd())
            .finish()
    }
}

/// Waits until there is something to read from `fd`, or its other end has closed. May return early.
///
/// For descriptors that belong to others, which may be blocking and stay so. A [`Descriptor`] costs
/// less if it is waited on more than once, since this one looks after a duplicate each time.
///
/// # Errors
///
/// [`TimedOut`](io::ErrorKind::TimedOut) when `limit` or an enclosing
/// [`timeout`](actor_core::timeout) is over, and what the system says, if it can neither duplicate nor
/// poll the descriptor.
///
/// ```
/// use std::io::Write;
/// use std::time::Duration;
///
/// let (reader, mut writer) = std::io::pipe().unwrap();
/// assert!(actor_io::wait_readable(&reader, Some(Duration::from_millis(2))).is_err());
/// writer.write_all(b"x").unwrap();
/// actor_io::wait_readable(&reader, None).unwrap();
/// ```
pub fn wait_readable(fd: impl AsFd, limit: Option<Duration>) -> io::Result<()> {
    wait(fd.as_fd(), Direction::Read, limit)
}

/// Waits until there is room to write to `fd`, or nobody is left to read. As [`wait_readable`]
/// otherwise.
///
/// ```
/// let (_reader, writer) = std::io::pipe().unwrap();
/// actor_io::wait_writable(&writer, None).unwrap();
/// ```
pub fn wait_writable(fd: impl AsFd, limit: Option<Duration>) -> io::Result<()> {
    wait(fd.as_fd(), Direction::Write, limit)
}

fn wait(fd: BorrowedFd<'_>, direction: Direction, limit: Option<Duration>) -> io::Result<()> {
    let deadline = limit.and_then(|limit| actor_core::time::now().checked_add(limit));
    Source::foreign(fd)?.wait(direction, deadline)
}
