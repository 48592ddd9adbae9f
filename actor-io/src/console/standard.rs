//! One standard stream, and the way it is best read or written.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use actor_core::reactor::{Direction, Source};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::{RecvFlags, SendFlags};

use crate::fs::File;

/// A descriptor that the process has been started with.
pub(super) struct Standard {
    number: RawFd,
    direction: Direction,
    way: OnceLock<Way>,
}

/// How it is read or written without keeping its thread waiting, or changing it for others.
#[derive(Debug)]
enum Way {
    /// A pipe or terminal that has been opened once more, so that its flags are its own.
    Reopened(Source),
    /// A socket, which can be told with each operation not to wait.
    Socket(Source),
    /// On threads; once it is ready, if that can be waited for.
    Threads { file: File, ready: Option<Source> },
}

impl Standard {
    pub(super) const fn new(number: RawFd, direction: Direction) -> Self {
        Standard {
            number,
            direction,
            way: OnceLock::new(),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'static> {
        // SAFETY: the standard descriptors are open from before `main` (the run-time of Rust opens those
        // that are not) and belong to the process as a whole, so that nobody may close them.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }

    /// Found out at the first use. If that fails, for want of descriptors, it is tried again.
    fn way(&self) -> io::Result<&Way> {
        if let Some(way) = self.way.get() {
            return Ok(way);
        }
        let found = Way::find(self.as_fd(), self.direction)?;
        // Another may have been faster; then this one is closed.
        Ok(self.way.get_or_init(|| found))
    }

    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        match self.way()? {
            Way::Reopened(source) => source.io(Direction::Read, None, |fd| {
                Ok(rustix::io::read(fd, &mut *buf)?)
            }),
            Way::Socket(source) => source.io(Direction::Read, None, |fd| receive(fd, buf)),
            Way::Threads { file, ready } => {
                if let Some(ready) = ready {
                    ready.wait(Direction::Read, None)?;
                }
                (&*file).read(buf)
            }
        }
    }

    /// As `read`, unless the tasklet is asked to stop.
    pub(super) fn read_or_stop(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        if buf.is_empty() {
            return Ok(Some(0));
        }
        match self.way()? {
            Way::Reopened(source) => {
                source.io_or_stop(Direction::Read, |fd| Ok(rustix::io::read(fd, &mut *buf)?))
            }
            Way::Socket(source) => source.io_or_stop(Direction::Read, |fd| receive(fd, buf)),
            Way::Threads { file, ready } => {
                if let Some(ready) = ready
                    && ready.io_or_stop(Direction::Read, is_readable)?.is_none()
                {
                    return Ok(None);
                }
                (&*file).read(buf).map(Some)
            }
        }
    }

    pub(super) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        match self.way()? {
            Way::Reopened(source) => {
                source.io(Direction::Write, None, |fd| Ok(rustix::io::write(fd, buf)?))
            }
            Way::Socket(source) => source.io(Direction::Write, None, |fd| {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                Ok(rustix::net::send(fd, buf, flags)?)
            }),
            Way::Threads { file, ready } => {
                if let Some(ready) = ready {
                    ready.wait(Direction::Write, None)?;
                }
                (&*file).write(buf)
            }
        }
    }
}

fn receive(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(fd, buf, RecvFlags::DONTWAIT)?.0)
}

impl Way {
    fn find(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<Way> {
        let metadata = rustix::fs::fstat(fd)?;
        match FileType::from_raw_mode(metadata.st_mode) {
            FileType::Socket => Ok(Way::Socket(Source::as_is(fd.try_clone_to_owned()?))),
            FileType::Fifo | FileType::CharacterDevice if is_waited_for(fd, &metadata) => {
                match reopen(fd, direction, &metadata) {
                    Some(again) => Ok(Way::Reopened(Source::new(again)?)),
                    None => Way::threads(fd, true),
                }
            }
            // Files, and devices such as /dev/null, are always ready.
            FileType::RegularFile
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Directory => Way::threads(fd, false),
            // Descriptors without a file: those of events, timers and the like.
            _ => Way::threads(fd, true),
        }
    }

    fn threads(fd: BorrowedFd<'_>, waits: bool) -> io::Result<Way> {
        let ready = match waits {
            true => Some(Source::as_is(fd.try_clone_to_owned()?)),
            false => None,
        };
        Ok(Way::Threads {
            file: File::from(fd.try_clone_to_owned()?),
            ready,
        })
    }
}

/// Whether it may have one wait for it, and can be told to be ready: pipes and terminals.
fn is_waited_for(fd: BorrowedFd<'_>, metadata: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(metadata.st_mode) == FileType::Fifo || rustix::termios::isatty(fd)
}

/// Opens what `fd` refers to once more, without waiting and with flags of its own; `None` if that
/// is not to be had. It is no controlling terminal of anybody's that it was not before.
fn reopen(
    fd: BorrowedFd<'_>,
    direction: Direction,
    metadata: &rustix::fs::Stat,
) -> Option<OwnedFd> {
    // The master of a pseudo-terminal, opened again, would be that of a new one.
    if rustix::pty::ptsname(fd, Vec::new()).is_ok() {
        return None;
    }
    let access = match direction {
        Direction::Read => OFlags::RDONLY,
        Direction::Write => OFlags::WRONLY,
    };
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let again = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    // Where no /proc is mounted there may be anything at that path.
    let opened = rustix::fs::fstat(&again).ok()?;
    let same = (opened.st_dev, opened.st_ino, opened.st_rdev)
        == (metadata.st_dev, metadata.st_ino, metadata.st_rdev);
    same.then_some(again)
}

/// `WouldBlock` until a read would not wait.
fn is_readable(fd: BorrowedFd<'_>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled = [PollFd::new(&fd, PollFlags::IN | PollFlags::RDHUP)];
    match poll(&mut polled, Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

impl fmt::Debug for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Standard").field(&self.number).finish()
    }
}
