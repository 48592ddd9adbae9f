//! The ends of the pipes to and from a child.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::{self, Stdio};

use actor_core::reactor::{Direction, Source};
use rustix::fs::OFlags;

/// Defines an end of a pipe.
macro_rules! end {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type {
            source: Source,
        }

        impl $type {
            pub(super) fn new(pipe: process::$type) -> io::Result<Self> {
                Ok($type { source: Source::new(OwnedFd::from(pipe))? })
            }

            #[doc = concat!("As [`std::process::", stringify!($type), "`] has it, and as a program expects ")]
            /// its standard streams: blocking the thread.
            pub fn into_fd(self) -> io::Result<OwnedFd> {
                let fd = self.source.into_fd();
                let flags = rustix::fs::fcntl_getfl(&fd)?;
                rustix::fs::fcntl_setfl(&fd, flags - OFlags::NONBLOCK)?;
                Ok(fd)
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.source.as_fd()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.source.as_raw_fd()
            }
        }

        /// For another program, which gets the pipe as it expects it.
        impl TryFrom<$type> for Stdio {
            type Error = io::Error;

            fn try_from(end: $type) -> io::Result<Stdio> {
                end.into_fd().map(Stdio::from)
            }
        }
    };
}

/// Defines an end to read from.
macro_rules! readable {
    ($type:ident) => {
        impl Read for &$type {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                read(&self.source, buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.source
                    .io(Direction::Read, None, |fd| Ok(rustix::io::readv(fd, bufs)?))
            }
        }

        impl Read for $type {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                (&*self).read(buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                (&*self).read_vectored(bufs)
            }
        }
    };
}

fn read(source: &Source, buf: &mut [u8]) -> io::Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    source.io_stream(Direction::Read, None, buf.len(), |fd| {
        Ok(rustix::io::read(fd, &mut *buf)?)
    })
}

end! {
    /// What a child reads as its standard input. Dropped, it is the end of that input.
    ///
    /// ```
    /// use actor_io::process::{Command, Stdio};
    /// use std::io::{Read, Write};
    ///
    /// let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    /// cat.stdin.take().unwrap().write_all(b"hello")?;
    /// let mut text = String::new();
    /// cat.stdout.take().unwrap().read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// assert!(cat.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ChildStdin
}

end! {
    /// What a child writes to its standard output. It may be made the input of another program:
    ///
    /// ```
    /// use actor_io::process::{Command, Stdio};
    ///
    /// let mut echo = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// let hello = Stdio::try_from(echo.stdout.take().unwrap())?;
    /// let counted = Command::new("wc").arg("-c").stdin(hello).output()?;
    /// assert_eq!(String::from_utf8_lossy(&counted.stdout).trim(), "6");
    /// assert!(echo.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ChildStdout
}

end! {
    /// What a child writes to its standard error.
    ChildStderr
}

readable!(ChildStdout);
readable!(ChildStderr);

impl Write for &ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.source
            .io_stream(Direction::Write, None, buf.len(), |fd| {
                Ok(rustix::io::write(fd, buf)?)
            })
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.io(Direction::Write, None, |fd| {
            Ok(rustix::io::writev(fd, bufs)?)
        })
    }

    /// Nothing is kept back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    /// Nothing is kept back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
