//! The system's calls: epoll, poll, and descriptors that do not block.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// Registers a descriptor in an epoll.
pub(crate) fn epoll_add(epoll: RawFd, fd: RawFd, events: u32, key: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: key };
    // SAFETY: plain system call; the kernel copies the event.
    check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) }).map(drop)
}

/// Takes a descriptor out of an epoll. Errors say that it is not there, which is what was wanted.
pub(crate) fn epoll_remove(epoll: RawFd, fd: RawFd) {
    // SAFETY: plain system call; the event is ignored.
    unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
}

pub(super) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: plain system call on an open descriptor.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK == 0 {
        let flags = flags | libc::O_NONBLOCK;
        // SAFETY: plain system call on an open descriptor.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) })?;
    }
    Ok(())
}

/// `poll(2)` on one descriptor; `false` when the time was up first.
pub(super) fn poll(
    fd: BorrowedFd<'_>,
    events: libc::c_short,
    wait: Option<Duration>,
) -> io::Result<bool> {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    // In whole milliseconds, rounded up so as not to be early; a longer wait comes back for more.
    let millis = wait.map_or(-1, |wait| {
        i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    });
    // SAFETY: one entry, as the count says.
    Ok(check(unsafe { libc::poll(&mut entry, 1, millis) })? > 0)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
