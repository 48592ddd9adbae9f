//! Bodies that somebody else writes while they are sent: [`BodyWriter`].

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_core::__private::{contain, wait_or_stop};
use actor_core::reactor::{Direction, Source};
use actor_core::sync::Event;
use actor_core::{TimedOut, time};
use bytes::Bytes;
use parking_lot::Mutex;
use rustix::event::PollFlags;

use super::body::{Body, Kind};
use super::peer::closed_sides;

/// How many bytes a [`BodyWriter`] may be ahead of the client unless [said otherwise](Body::channel_of).
///
/// ```
/// use actor_net::http::{Body, DEFAULT_BODY_AHEAD};
///
/// let (writer, body) = Body::channel_of(2 * DEFAULT_BODY_AHEAD);
/// ```
pub const DEFAULT_BODY_AHEAD: usize = 64 * 1024;

/// How often a connection that waits for its body looks whether the client is still there.
const LOOK: Duration = Duration::from_secs(1);

impl Body {
    /// A body, and what writes it: from another tasklet, an actor or a thread, while it is sent. What is written goes
    /// out as soon as the connection gets to it, without a flush.
    ///
    /// The handler returns the body, and only then is anything read from it: a handler that would write all of it
    /// first, on its own stack, waits for ever once it is [ahead](DEFAULT_BODY_AHEAD).
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// use actor_net::http::{Body, Request, Response};
    /// use std::io::{self, Write};
    ///
    /// fn squares(_: Request<Body>) -> Response<Body> {
    ///     let (mut writer, body) = Body::channel();
    ///     Tasklet::spawn(move || -> io::Result<()> {
    ///         for i in 1..=1_000_000_u64 {
    ///             writeln!(writer, "{}", i * i)?;
    ///         }
    ///         writer.finish()
    ///     });
    ///     Response::new(body)
    /// }
    ///
    /// # actor_core::dispatch(|| {
    /// let text = squares(Request::default()).into_body().into_bytes().unwrap();
    /// assert!(text.starts_with(b"1\n4\n9\n") && text.ends_with(b"\n1000000000000\n"));
    /// # });
    /// ```
    pub fn channel() -> (BodyWriter, Body) {
        Body::channel_of(DEFAULT_BODY_AHEAD)
    }

    /// As [`channel`](Self::channel), for a writer that may be ahead by so many bytes, of which there must be at
    /// least one.
    ///
    /// ```
    /// use actor_net::http::Body;
    /// use std::io::{ErrorKind, Write};
    ///
    /// let (mut writer, _body) = Body::channel_of(5);
    /// writer.try_write(b"hello").unwrap();
    /// assert_eq!(writer.try_write(b"!").unwrap_err().kind(), ErrorKind::WouldBlock);
    /// ```
    pub fn channel_of(ahead: usize) -> (BodyWriter, Body) {
        let (writer, reader) = channel(ahead, Manners::default());
        (writer, Body(Kind::Channel(Box::new(reader))))
    }
}

/// How a body behaves while nothing is written.
#[derive(Debug, Default)]
pub(super) struct Manners {
    /// It ends when its connection is asked to stop, or the client says that it sends nothing more: it would never end
    /// by itself.
    pub(super) is_endless: bool,
    /// What is sent instead, after so long.
    pub(super) keep_alive: Option<(Duration, Bytes)>,
}

pub(super) fn channel(ahead: usize, manners: Manners) -> (BodyWriter, Reader) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        ahead: ahead.max(1),
        came: Event::new(),
        room: Event::new(),
    });
    let writer = BodyWriter {
        shared: shared.clone(),
    };
    let reader = Reader {
        shared,
        taken: Vec::new(),
        start: 0,
        manners,
        last: None,
    };
    (writer, reader)
}

struct Shared {
    /// Locked for a few instructions, in which nothing of the user's runs.
    state: Mutex<State>,
    ahead: usize,
    /// Something has come for the reader.
    came: Event,
    /// There is room for the writer, or the reader has gone.
    room: Event,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    end: Option<End>,
    is_gone: bool,
    when_gone: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone, Copy)]
enum End {
    Finished,
    Aborted,
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "nobody reads the body any more: the client has gone",
    )
}

/// Writes a [body](Body::channel) while it is sent.
///
/// A write waits while the client has not read what was written before, up to what the writer may be ahead; so the
/// pace is the client's. When the client goes away, or has taken too long, writes fail with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe); whoever writes seldom can [be told](Self::when_gone) otherwise. That a
/// client has gone is found out by writing to it, or within a second if it says so itself; one that has only announced to
/// send nothing more may still read.
///
/// The body is complete once it was [finished](Self::finish). A writer that is dropped before (its tasklet panics, is
/// killed, leaves by an error) [aborts](Self::abort) it, and the client sees that something is missing.
pub struct BodyWriter {
    shared: Arc<Shared>,
}

impl BodyWriter {
    /// Writes all of it, or nothing if there is no room for it at the moment. Never waits.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room; what is longer than all that the writer may be ahead
    /// has room when there is nothing before it. [`BrokenPipe`](io::ErrorKind::BrokenPipe) when nobody reads any more.
    ///
    /// ```
    /// let (mut writer, body) = actor_net::http::Body::channel();
    /// writer.try_write(b"hello").unwrap();
    /// writer.finish().unwrap();
    /// assert_eq!(body.into_bytes().unwrap(), "hello");
    /// ```
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.put_whole(bytes)? {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes all of it as soon as there is room for that, or nothing.
    pub(super) fn write_whole(&mut self, bytes: &[u8]) -> io::Result<()> {
        while !self.put_whole(bytes)? {
            self.shared.room.wait_timeout(Duration::MAX)?;
        }
        Ok(())
    }

    /// Writes all of it, if there is room; if not, there will be some when the event tells of it.
    fn put_whole(&self, bytes: &[u8]) -> io::Result<bool> {
        {
            let mut state = self.shared.state.lock();
            if state.is_gone {
                return Err(gone());
            }
            let room = self.shared.ahead.saturating_sub(state.bytes.len());
            if bytes.len() > room && !state.bytes.is_empty() {
                self.shared.room.clear();
                return Ok(false);
            }
            state.bytes.extend_from_slice(bytes);
        }
        self.shared.came.set();
        Ok(true)
    }

    /// Says that this was all.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) if nobody reads any more. What was written last may get lost after
    /// this as well: that the client has it only the client can say.
    ///
    /// ```
    /// let (writer, body) = actor_net::http::Body::channel();
    /// writer.finish().unwrap();
    /// assert_eq!(body.into_bytes().unwrap(), "");
    /// ```
    pub fn finish(self) -> io::Result<()> {
        match self.end(End::Finished) {
            true => Ok(()),
            false => Err(gone()),
        }
    }

    /// Gives the body up: what was written may still be sent, and then the connection is closed in such a way that
    /// the client sees that something is missing. A client of HTTP/1.0 does not, to whom the end of the connection is
    /// that of the body.
    ///
    /// ```
    /// let (writer, body) = actor_net::http::Body::channel();
    /// writer.abort();
    /// assert_eq!(body.into_bytes().unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
    /// ```
    pub fn abort(self) {
        self.end(End::Aborted);
    }

    /// Whether nobody reads any more, so that writing is of no use.
    ///
    /// ```
    /// let (writer, body) = actor_net::http::Body::channel();
    /// drop(body);
    /// assert!(writer.is_gone());
    /// ```
    pub fn is_gone(&self) -> bool {
        self.shared.state.lock().is_gone
    }

    /// Has `tell` called once nobody reads any more, at once if that is so: because the client has gone, or because
    /// the body has been read to its end. It replaces what was to be called before.
    ///
    /// It is called by the connection, and is not to wait: to send a message to whoever holds the writer, say. Its
    /// panics go nowhere.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// static GONE: AtomicBool = AtomicBool::new(false);
    /// let (writer, body) = actor_net::http::Body::channel();
    /// writer.when_gone(|| GONE.store(true, Ordering::Relaxed));
    /// drop(body);
    /// assert!(GONE.load(Ordering::Relaxed));
    /// ```
    pub fn when_gone(&self, tell: impl FnOnce() + Send + 'static) {
        let tell: Box<dyn FnOnce() + Send> = Box::new(tell);
        let old = {
            let mut state = self.shared.state.lock();
            match state.is_gone {
                true => Err(tell),
                false => Ok(state.when_gone.replace(tell)),
            }
        };
        if let Err(tell) = old {
            tell();
        }
    }

    /// Ends it, if it has not ended; whether there is somebody to read that.
    fn end(&self, end: End) -> bool {
        let is_read = {
            let mut state = self.shared.state.lock();
            state.end.get_or_insert(end);
            !state.is_gone
        };
        self.shared.came.set();
        is_read
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            let count = {
                let mut state = self.shared.state.lock();
                if state.is_gone {
                    return Err(gone());
                }
                let room = self.shared.ahead.saturating_sub(state.bytes.len());
                let count = room.min(bytes.len());
                state.bytes.extend_from_slice(&bytes[..count]);
                if count == 0 {
                    self.shared.room.clear();
                }
                count
            };
            if count > 0 {
                self.shared.came.set();
                return Ok(count);
            }
            self.shared.room.wait_timeout(Duration::MAX)?;
        }
    }

    /// Nothing is kept back: what was written is on its way.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        self.end(End::Aborted);
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter")
            .field("is_gone", &self.is_gone())
            .finish_non_exhaustive()
    }
}

/// The other end.
pub(super) struct Reader {
    shared: Arc<Shared>,
    /// What has been taken from the writer, all of it at a time.
    taken: Vec<u8>,
    start: usize,
    manners: Manners,
    /// When something was read.
    last: Option<Instant>,
}

impl Reader {
    /// What there is: `None` if it must be waited for.
    fn take(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        if self.start == self.taken.len() {
            self.taken.clear();
            self.start = 0;
            let mut state = self.shared.state.lock();
            if state.bytes.is_empty() {
                match state.end {
                    Some(End::Finished) => return Ok(Some(0)),
                    Some(End::Aborted) => {
                        let reason = "the body was given up by its writer";
                        let kind = io::ErrorKind::ConnectionAborted;
                        return Err(io::Error::new(kind, reason));
                    }
                    None => {}
                }
                self.shared.came.clear();
                return Ok(None);
            }
            std::mem::swap(&mut self.taken, &mut state.bytes);
            drop(state);
            self.shared.room.set();
        }
        let left = &self.taken[self.start..];
        let count = left.len().min(buf.len());
        buf[..count].copy_from_slice(&left[..count]);
        self.start += count;
        Ok(Some(count))
    }

    /// Reads what is to be sent on `source`, and looks after it while there is nothing.
    pub(super) fn read_for(&mut self, buf: &mut [u8], source: &Source) -> io::Result<usize> {
        loop {
            if let Some(count) = self.take(buf)? {
                self.last = Some(time::now());
                return Ok(count);
            }
            let begun = time::now();
            let waited = match self.manners.is_endless {
                true => wait_or_stop(&self.shared.came, Some(LOOK)),
                false => self.shared.came.wait_timeout(LOOK).map(|()| true),
            };
            match waited {
                Ok(true) => continue,
                Ok(false) => return Ok(0),
                Err(TimedOut) => {}
            }
            let now = time::now();
            if now < begun + LOOK {
                // Not our time that is up.
                return Err(TimedOut.into());
            }
            if has_gone(source, !self.manners.is_endless) {
                return Err(gone());
            }
            let last = *self.last.get_or_insert(begun);
            if let Some((wait, bytes)) = &self.manners.keep_alive
                && now >= last + *wait
                && !buf.is_empty()
            {
                let count = bytes.len().min(buf.len());
                buf[..count].copy_from_slice(&bytes[..count]);
                self.last = Some(now);
                return Ok(count);
            }
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(count) = self.take(buf)? {
                return Ok(count);
            }
            self.shared.came.wait_timeout(Duration::MAX)?;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (bytes, tell) = {
            let mut state = self.shared.state.lock();
            state.is_gone = true;
            (std::mem::take(&mut state.bytes), state.when_gone.take())
        };
        drop(bytes);
        self.shared.room.set();
        if let Some(tell) = tell {
            // The connection may be unwinding.
            contain(tell);
        }
    }
}

/// Whether the client has gone, as far as it has said. Asks the system only if something has happened.
fn has_gone(source: &Source, is_half_enough: bool) -> bool {
    if !source.is_ready(Direction::Read) {
        return false;
    }
    let gone = PollFlags::HUP | PollFlags::ERR;
    let gone = match is_half_enough {
        // It may still read.
        true => gone,
        false => gone | PollFlags::RDHUP,
    };
    closed_sides(source.as_fd()).intersects(gone)
}
