//! Descriptors that a tasklet can wait on.
//!
//! A [`Source`] owns a descriptor. Its operations are tried first, and only when one would block does
//! the caller wait. The first wait registers the descriptor in the epoll of the worker it happens
//! on, edge-triggered, under a key of slab index and generation, never a pointer; so an event that
//! comes late, for a descriptor that has gone, finds nothing. If a source is waited on from another
//! worker later, the registration moves there, unless somebody still waits on the old one.
//!
//! **Readiness** is a word of flags and a count of the events so far. An operation that finds the
//! descriptor exhausted clears its flag by compare-and-swap against the word it read before the
//! system call: if an event has come in between, the count differs, the swap fails and the flag stays
//! set. The cost of the race is one vain system call, never a lost edge.
//!
//! Any number of tasklets and threads may wait for the same direction; an event wakes them all, and
//! those who come away with nothing wait again. Plain threads wait with `poll(2)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::block::{self, Here, Interrupt, Wait, Waiting};
use crate::primitive::AtomicU32;
use crate::wait_list::WaitList;
use crate::{time, worker};

/// Which way a descriptor is waited on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Until there is something to read, a connection to accept, or the other end has closed.
    Read,
    /// Until there is room to write, or a connection attempt has ended.
    Write,
}

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;
/// The other end has closed its side, or there is an error or urgent data: from now on a short read
/// does not mean that the descriptor is exhausted.
const ALWAYS_READABLE: u32 = 4;
/// The descriptor is in some worker's epoll, so that a cleared flag will be set again.
const REGISTERED: u32 = 8;
const FLAGS: u32 = 0xff;
/// One event, in the count above the flags.
const EVENT: u32 = FLAGS + 1;

impl Direction {
    fn flag(self) -> u32 {
        match self {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        }
    }
}

/// How many tasklets wait on descriptors; the virtual clock stands still for them.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Whether any tasklet waits on a descriptor.
pub(crate) fn anybody_waits() -> bool {
    WAITING.load(Ordering::SeqCst) > 0
}

/// The part of a source that its worker's events reach.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// Flags, and the count of events above them.
    state: AtomicU32,
    readers: WaitList,
    writers: WaitList,
    /// Where the descriptor is registered.
    registered: Mutex<Option<Registration>>,
    /// The same worker, or `NOWHERE`, to be read without the lock.
    home: AtomicUsize,
}

/// No worker.
const NOWHERE: usize = usize::MAX;

#[derive(Clone, Copy, Debug)]
struct Registration {
    worker: usize,
    key: u64,
}

impl Readiness {
    /// Of a descriptor of which nothing is known: everything is worth a try.
    pub(crate) fn new() -> Self {
        Readiness {
            state: AtomicU32::new(READABLE | WRITABLE),
            readers: WaitList::new(),
            writers: WaitList::new(),
            registered: Mutex::new(None),
            home: AtomicUsize::new(NOWHERE),
        }
    }

    /// Takes in an event, and wakes whom it may concern.
    pub(crate) fn set_ready(&self, events: u32) {
        let has = |bits: i32| events & bits as u32 != 0;
        let ended = has(libc::EPOLLHUP | libc::EPOLLERR);
        let mut flags = 0;
        if has(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI) || ended {
            flags |= READABLE;
        }
        if has(libc::EPOLLRDHUP | libc::EPOLLPRI) || ended {
            flags |= ALWAYS_READABLE;
        }
        if has(libc::EPOLLOUT) || ended {
            flags |= WRITABLE;
        }
        // Sequentially consistent, as are the looks at it: the wait lists ask for that.
        let before = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, |state| {
                Some(state.wrapping_add(EVENT) | flags)
            })
            .unwrap_or_else(|state| state);
        // A flag that was set already has had its waiters woken by the event that set it, and whoever
        // came since has seen it: one enters the list first and looks at the flag then.
        let newly = flags & !before;
        if newly & READABLE != 0 {
            self.readers.wake_all();
        }
        if newly & WRITABLE != 0 {
            self.writers.wake_all();
        }
    }

    pub(crate) fn state(&self) -> u32 {
        self.state.load(Ordering::SeqCst)
    }

    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.state() & direction.flag() != 0
    }

    /// Notes that the system said "would block" at a time when the state was `seen`.
    pub(crate) fn clear(&self, direction: Direction, seen: u32) {
        let cleared = seen & !direction.flag();
        let _ = self
            .state
            .compare_exchange(seen, cleared, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// A worker's registered descriptors.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    source: Option<Arc<Readiness>>,
}

impl Sources {
    fn insert(&mut self, source: Arc<Readiness>) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                source: None,
            });
            u32::try_from(self.slots.len() - 1).expect("fewer descriptors than 2^32")
        });
        let slot = &mut self.slots[index as usize];
        slot.source = Some(source);
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    pub(crate) fn get(&self, key: u64) -> Option<Arc<Readiness>> {
        let slot = self.slots.get(key as u32 as usize)?;
        if u64::from(slot.generation) == key >> 32 {
            slot.source.clone()
        } else {
            None
        }
    }

    pub(crate) fn remove(&mut self, key: u64) {
        let slot = &mut self.slots[key as u32 as usize];
        if u64::from(slot.generation) == key >> 32 && slot.source.take().is_some() {
            // The largest generation is not used: its keys would meet those of bell and timer.
            slot.generation = (slot.generation + 1) % u32::MAX;
            self.free.push(key as u32);
        }
    }
}

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
    readiness: Arc<Readiness>,
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

    fn waiting(&self, direction: Direction) -> Waiting {
        match direction {
            Direction::Read => Waiting::Readable(self.as_raw_fd()),
            Direction::Write => Waiting::Writable(self.as_raw_fd()),
        }
    }

    /// As [`attempt`](Self::attempt), unless the caller is asked to stop.
    fn attempt_or_stop<T>(
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
    fn attempt<T>(
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
                match operation(self.as_fd()) {
                    Ok((value, exhausted)) => {
                        let sticky = direction == Direction::Read && seen & ALWAYS_READABLE != 0;
                        if exhausted && !sticky && seen & REGISTERED != 0 {
                            self.readiness.clear(direction, seen);
                        }
                        return Ok(value);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(Failure::System(error)),
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
        block::wait_until(wait, || {
            let over = self.readiness.is_ready(direction) || (slept && place.is_woken());
            slept = true;
            over.then_some(())
        })?;
        Ok(())
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
        if self.readiness.home.load(Ordering::Acquire) == local.id {
            return Ok(());
        }
        self.register_anew(local).map_err(Failure::System)
    }

    #[cold]
    fn register_anew(&self, local: &worker::Local) -> io::Result<()> {
        let mut registered = self.readiness.registered.lock();
        if let Some(old) = *registered {
            let waited_on =
                !self.readiness.readers.is_empty() || !self.readiness.writers.is_empty();
            if old.worker == local.id || waited_on {
                return Ok(());
            }
            self.readiness.home.store(NOWHERE, Ordering::Release);
            self.remove(old);
            *registered = None;
        }
        let key = local.sources().insert(self.readiness.clone());
        let events =
            libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET;
        if let Err(error) = epoll_add(local.epoll(), self.as_raw_fd(), events as u32, key) {
            local.sources().remove(key);
            // If this was a move, somebody may have begun to wait at the old place meanwhile: they look
            // again, and meet the error themselves.
            self.readiness.readers.wake_all();
            self.readiness.writers.wake_all();
            return Err(error);
        }
        *registered = Some(Registration {
            worker: local.id,
            key,
        });
        self.readiness.home.store(local.id, Ordering::Release);
        self.readiness.state.fetch_or(REGISTERED, Ordering::AcqRel);
        Ok(())
    }

    fn deregister(&self) {
        if let Some(old) = self.readiness.registered.lock().take() {
            self.remove(old);
        }
    }

    /// Takes a registration back, from any thread, while the descriptor is still open.
    fn remove(&self, old: Registration) {
        worker::forget_descriptor(old.worker, self.as_raw_fd(), old.key);
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

/// Why an attempt has ended.
enum Failure {
    System(io::Error),
    Interrupted(Interrupt),
}

impl Failure {
    fn into_io(self) -> io::Error {
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

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
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
fn poll(fd: BorrowedFd<'_>, events: libc::c_short, wait: Option<Duration>) -> io::Result<bool> {
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
