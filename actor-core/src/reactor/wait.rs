//! How a source waits: on the worker of the caller, where it is registered for that, or on a thread of its own.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::Direction;
use super::readiness::Registration;
use super::source::Source;
use super::system::{epoll_add, poll};
use crate::block::{self, Here, Interrupt, Wait, Waiting};
use crate::{time, worker};

/// How many tasklets wait on descriptors; the virtual clock stands still for them.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Whether any tasklet waits on a descriptor.
pub(crate) fn anybody_waits() -> bool {
    WAITING.load(Ordering::SeqCst) > 0
}

impl Source {
    pub(super) fn waiting(&self, direction: Direction) -> Waiting {
        match direction {
            Direction::Read => Waiting::Readable(self.as_raw_fd()),
            Direction::Write => Waiting::Writable(self.as_raw_fd()),
        }
    }

    /// As [`attempt`](Self::attempt), unless the caller is asked to stop.
    pub(super) fn attempt_or_stop<T>(
        &self,
        deadline: Option<Instant>,
        direction: Direction,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<(T, bool)>,
    ) -> io::Result<Option<T>> {
        let wait = Wait::new(self.waiting(direction), deadline).or_stop();
        if block::current().is_some_and(|core| core.is_asked_to_stop()) {
            return Ok(None);
        }
        match self.attempt(wait, direction, operation) {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Interrupted(Interrupt::Stopping)) => Ok(None),
            Err(failure) => Err(failure.into_io()),
        }
    }

    /// Tries, waits, and tries again. The operation also says whether the direction is exhausted.
    pub(super) fn attempt<T>(
        &self,
        wait: Wait,
        direction: Direction,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<(T, bool)>,
    ) -> Result<T, Failure> {
        block::enter()?;
        loop {
            let seen = self.readiness.state();
            let here = block::here();
            // Threads ask the system: they neither hear of events nor note them in the flags.
            if seen & direction.flag() != 0 || matches!(here, Here::Thread) {
                let tried = self.once(direction, seen, &mut operation);
                if let Some(value) = tried.map_err(Failure::System)? {
                    return Ok(value);
                }
            }
            match here {
                Here::Tasklet(local, _) => self.wait_here(local, wait, direction, seen)?,
                Here::Driver => return Err(Interrupt::Outside.into()),
                Here::Thread => self.wait_on_thread(wait, direction)?,
            }
        }
    }

    /// Waits in a tasklet for an event since the state was `seen`.
    fn wait_here(
        &self,
        local: &worker::Local,
        wait: Wait,
        direction: Direction,
        seen: u32,
    ) -> Result<(), Failure> {
        self.wait_here_or(local, wait, direction, seen, || None::<()>)
            .map(drop)
    }

    /// The same, unless `other` gives something first.
    #[inline]
    pub(super) fn wait_here_or<T>(
        &self,
        local: &worker::Local,
        wait: Wait,
        direction: Direction,
        seen: u32,
        mut other: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        // Fails while the tasklet unwinds, before anything is changed.
        let waiter = block::waiter()?;
        // Before the registration: the event with which the kernel answers it, if the descriptor is
        // ready by now, sets the flag again.
        self.readiness.clear(direction, seen);
        self.register(local)?;
        let list = match direction {
            Direction::Read => &self.readiness.readers,
            Direction::Write => &self.readiness.writers,
        };
        let place = list.enter(waiter);
        let _counted = Counted::new();
        // An event takes all waiters out of the list, and another of them may have used it up by the
        // time this one looks: then it must try again, and enter again, or the next event would find
        // it nowhere. That cannot be at the first look, before which it has not slept: if it is taken
        // out that early, the wake-up makes it look once more.
        let mut slept = false;
        let waited = block::wait_until(wait, || {
            if let Some(found) = other() {
                return Some(Some(found));
            }
            let over = self.readiness.is_ready(direction) || (slept && place.is_woken());
            slept = true;
            over.then_some(None)
        })?;
        Ok(waited)
    }

    /// Waits on a plain thread.
    fn wait_on_thread(&self, wait: Wait, direction: Direction) -> Result<(), Failure> {
        let events = match direction {
            Direction::Read => libc::POLLIN | libc::POLLRDHUP,
            Direction::Write => libc::POLLOUT,
        };
        loop {
            let (deadline, interrupt) = wait.deadline(&Here::Thread);
            let left = deadline.map(|at| at.saturating_duration_since(time::now()));
            match poll(self.as_fd(), events, left) {
                Ok(true) => return Ok(()),
                Ok(false) if left.is_some_and(|left| left.is_zero()) => {
                    return Err(interrupt.into());
                }
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::System(error)),
            }
        }
    }

    /// Sees to it that this worker hears of the descriptor's events, or that another does on which
    /// somebody waits already.
    fn register(&self, local: &worker::Local) -> Result<(), Failure> {
        // The usual case, without the lock: it was registered here before. Registrations change
        // hands only under the lock, but one that is read as ours and moves away the moment after is
        // no harm: wherever it is, its events wake whoever is in the lists.
        if self.readiness.home() == Some(local.id) {
            return Ok(());
        }
        self.register_anew(local).map_err(Failure::System)
    }

    #[cold]
    pub(super) fn register_anew(&self, local: &worker::Local) -> io::Result<()> {
        let readiness = &self.readiness;
        let mut rest = readiness.lock();
        if let Some(old) = readiness.registration(&rest) {
            let waited_on = !readiness.readers.is_empty() || !readiness.writers.is_empty();
            if old.worker == local.id || waited_on {
                return Ok(());
            }
            readiness.unregistered(&rest);
            self.remove(old);
        }
        let key = local.sources().insert(readiness.clone());
        let events =
            libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET;
        if let Err(error) = epoll_add(local.epoll(), self.as_raw_fd(), events as u32, key) {
            local.sources().remove(key);
            // If this was a move, somebody may have begun to wait at the old place meanwhile: they look
            // again, and meet the error themselves.
            readiness.readers.wake_all();
            readiness.writers.wake_all();
            return Err(error);
        }
        let worker = local.id;
        readiness.registered(&mut rest, Registration { worker, key });
        Ok(())
    }

    pub(super) fn deregister(&self) {
        self.unwatch();
        let old = {
            let rest = self.readiness.lock();
            self.readiness.unregistered(&rest)
        };
        if let Some(old) = old {
            self.remove(old);
        }
    }

    /// Takes a registration back, from any thread, while the descriptor is still open.
    fn remove(&self, old: Registration) {
        worker::forget_descriptor(old.worker, self.as_raw_fd(), old.key);
    }
}

/// Why an attempt has ended.
pub(super) enum Failure {
    System(io::Error),
    Interrupted(Interrupt),
}

impl Failure {
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Failure::System(error) => error,
            Failure::Interrupted(interrupt) => interrupt.into_io(),
        }
    }
}

impl From<Interrupt> for Failure {
    fn from(interrupt: Interrupt) -> Self {
        Failure::Interrupted(interrupt)
    }
}

/// One that waits on a descriptor, counted for the virtual clock. On the real one nobody asks, and a
/// count that all workers share would cost them.
struct Counted {
    counted: bool,
}

/// One more that is told of a descriptor.
pub(super) fn count_watched() {
    if time::is_virtual() {
        WAITING.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) fn uncount_watched() {
    if time::is_virtual() {
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counted {
    fn new() -> Self {
        let counted = time::is_virtual();
        if counted {
            WAITING.fetch_add(1, Ordering::SeqCst);
        }
        Counted { counted }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.counted {
            WAITING.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
