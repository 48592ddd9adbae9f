//! One TLS connection, apart from the stream that it runs over.
//!
//! rustls neither reads nor writes: it is handed what has come in and hands out what is to be sent. Its
//! own adapter for blocking streams holds the connection exclusively while it waits, so that one who
//! waits to read keeps everybody from writing. Here the connection is behind a lock that is held for
//! the cryptography alone, never while anybody waits. The reading end waits for its stream with a buffer
//! of its own and then takes the lock; the writing end takes the records out under the lock and waits for
//! room with them in hand.
//!
//! Reading can make something to be sent as well: alerts. (Answers to key updates rustls holds back until
//! the next write, as the protocol allows.) The reading end sends it if that can be done at once, and else
//! leaves it to the next write; it never waits for a peer that does not read.

use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::mem;

use parking_lot::Mutex;
use rustls::Connection;

use super::TlsError;

/// How much is encrypted at a time. The most that waits here for a peer that does not read, and for one
/// system call.
const CHUNK: usize = 64 * 1024;

/// How large a buffer for records may be that is kept.
const KEPT: usize = 2 * CHUNK;

/// How much is read at once: to begin with, and when there is always more.
const FIRST_READ: usize = 4 * 1024;
const LARGEST_READ: usize = 64 * 1024;

thread_local! {
    /// An empty buffer for records, so that no connection keeps one. Taken out by whoever sends, who may wait
    /// with it.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// See the [module](self). Shared by the halves of a stream.
pub(super) struct Session {
    state: Mutex<State>,
}

struct State {
    tls: Connection,
    /// Records that are to be sent before any other.
    outgoing: Vec<u8>,
    /// Why nothing can be read or written any more.
    failed: Option<rustls::Error>,
    /// The failure of a write whose bytes had been taken: the next one tells of it.
    late: Option<io::Error>,
    /// Nothing more will be written.
    closed: bool,
}

/// What has been read from the stream and not been looked at.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Empty until something is read.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// The stream has ended, and whether the session knows.
    ended: bool,
    told: bool,
}

/// What a reader needs of the stream beneath.
pub(super) trait Wire {
    /// Reads as [`Read::read`]. May wait, and end the attempt with `None`.
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>>;

    /// [Sends](Session::send) what is there, if that can be done at once.
    fn answer(&mut self, session: &Session);
}

impl Session {
    pub(super) fn new(mut tls: Connection) -> Session {
        tls.set_buffer_limit(Some(CHUNK));
        Session {
            state: Mutex::new(State {
                tls,
                outgoing: Vec::new(),
                failed: None,
                late: None,
                closed: false,
            }),
        }
    }

    /// Looks at the connection.
    pub(super) fn with<T>(&self, f: impl FnOnce(&Connection) -> T) -> T {
        f(&self.state.lock().tls)
    }

    /// Agrees with the peer, or finds out why not. Whoever calls it sets the deadline.
    pub(super) fn shake_hands<S: Read + Write>(
        &self,
        incoming: &mut Incoming,
        stream: &mut S,
    ) -> Result<(), TlsError> {
        loop {
            self.send(stream)?;
            let outcome = {
                let mut state = self.state.lock();
                if !state.tls.is_handshaking() && !state.tls.wants_write() {
                    return Ok(());
                }
                match state.feed(incoming) {
                    Ok(true) => Ok(false),
                    // A handshake that the peer breaks off is as good as a reset.
                    Ok(false) if incoming.ended => Err(TlsError::Truncated),
                    Ok(false) => Ok(!state.tls.wants_write() && state.tls.is_handshaking()),
                    Err(error) => Err(error),
                }
            };
            match outcome {
                Ok(false) => {}
                Ok(true) => {
                    incoming.fill(|buf| stream.read(buf).map(Some))?;
                }
                Err(error) => {
                    // The alert says why. If it cannot be sent the error is the better reason.
                    let _ = self.send(stream);
                    return Err(error);
                }
            }
        }
    }

    /// Reads as [`Read::read`] from `wire`.
    pub(super) fn read(
        &self,
        incoming: &mut Incoming,
        buf: &mut [u8],
        wire: &mut impl Wire,
    ) -> io::Result<Option<usize>> {
        if buf.is_empty() {
            return Ok(Some(0));
        }
        loop {
            let (decrypted, answer) = {
                let mut state = self.state.lock();
                let decrypted = state.decrypt(incoming, buf);
                (
                    decrypted,
                    state.tls.wants_write() || !state.outgoing.is_empty(),
                )
            };
            // Before the wait: the peer may wait for it.
            if answer && !matches!(decrypted, Ok(Some(_))) {
                wire.answer(self);
            }
            if let Some(count) = decrypted? {
                return Ok(Some(count));
            }
            if !incoming.fill(|buf| wire.receive(buf))? {
                return Ok(None);
            }
        }
    }

    /// Writes as [`Write::write_vectored`]. What it has taken will be sent, if not by this call then by
    /// the next, or by [`send`](Self::send).
    pub(super) fn write(&self, sink: &mut impl Write, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // Fails, if it does, before anything is taken.
        self.check_late()?;
        self.send(sink)?;
        let taken = {
            let mut state = self.state.lock();
            state.check_writable()?;
            state.tls.writer().write_vectored(bufs)?
        };
        if let Err(error) = self.send(sink)
            && !may_pass(&error)
        {
            self.state.lock().late = Some(error);
        }
        Ok(taken)
    }

    /// Says that nothing more will be written, and sends all that is left.
    pub(super) fn close(&self, sink: &mut impl Write) -> io::Result<()> {
        {
            let mut state = self.state.lock();
            if !mem::replace(&mut state.closed, true) {
                state.tls.send_close_notify();
            }
        }
        self.flush(sink)
    }

    /// Sends what is left.
    pub(super) fn flush(&self, sink: &mut impl Write) -> io::Result<()> {
        self.check_late()?;
        self.send(sink)?;
        sink.flush()
    }

    fn check_late(&self) -> io::Result<()> {
        self.state.lock().late.take().map_or(Ok(()), Err)
    }

    /// Whether something is to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.state.lock().has_unsent()
    }

    /// Sends what is to be sent. Whatever ends it early, an error or an unwinding, leaves the rest in its
    /// place: half a record that was lost would be the end of the connection.
    pub(super) fn send(&self, sink: &mut impl Write) -> io::Result<()> {
        loop {
            let mut records = {
                let mut state = self.state.lock();
                Records {
                    session: self,
                    bytes: state.collect()?,
                    sent: 0,
                }
            };
            if records.bytes.is_empty() {
                return Ok(());
            }
            while records.sent < records.bytes.len() {
                match sink.write(&records.bytes[records.sent..]) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => records.sent += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// Whether the next attempt may succeed, and so will tell for itself.
fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

impl State {
    fn has_unsent(&self) -> bool {
        self.tls.wants_write() || !self.outgoing.is_empty()
    }

    /// All that is to be sent.
    fn collect(&mut self) -> io::Result<Vec<u8>> {
        let mut records = mem::take(&mut self.outgoing);
        if records.capacity() == 0 && self.tls.wants_write() {
            // Not there at the end of a thread.
            records = SPARE.try_with(Cell::take).unwrap_or_default();
        }
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records)?;
        }
        Ok(records)
    }

    fn check_writable(&self) -> io::Result<()> {
        if let Some(error) = &self.failed {
            return Err(TlsError::Protocol(error.clone()).into());
        }
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    /// Plaintext, as far as there is any; `None` if more has to be read first. No bytes are the end.
    fn decrypt(&mut self, incoming: &mut Incoming, buf: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.tls.reader().read(buf) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(TlsError::Truncated.into());
                }
                Err(error) => return Err(self.reason(error)),
            }
            match self.feed(incoming) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn reason(&self, error: io::Error) -> io::Error {
        match &self.failed {
            Some(failure) => TlsError::Protocol(failure.clone()).into(),
            None => error,
        }
    }

    /// Hands rustls a piece of what has come in; `false` if there is none. It takes no more than a record
    /// at a time, and none while there is plaintext that nobody has read.
    fn feed(&mut self, incoming: &mut Incoming) -> Result<bool, TlsError> {
        if let Some(error) = &self.failed {
            return Err(TlsError::Protocol(error.clone()));
        }
        let mut unread = &incoming.buffer[incoming.begin..incoming.end];
        if unread.is_empty() {
            if !incoming.ended || mem::replace(&mut incoming.told, true) {
                return Ok(false);
            }
            // An end is told by a read of nothing.
            self.tls.read_tls(&mut unread)?;
        } else {
            let before = unread.len();
            self.tls.read_tls(&mut unread)?;
            let taken = before - unread.len();
            incoming.begin += taken;
            if taken == 0 {
                // Behind the peer's close_notify nothing counts.
                incoming.begin = incoming.end;
            }
        }
        if let Err(error) = self.tls.process_new_packets() {
            self.failed = Some(error.clone());
            return Err(error.into());
        }
        Ok(true)
    }
}

impl Incoming {
    /// Reads once; `false` if `source` has given up.
    fn fill(
        &mut self,
        mut source: impl FnMut(&mut [u8]) -> io::Result<Option<usize>>,
    ) -> io::Result<bool> {
        debug_assert_eq!(self.begin, self.end, "the rest is looked at first");
        if self.buffer.is_empty() {
            self.buffer.resize(FIRST_READ, 0);
        } else if self.end == self.buffer.len() && self.end < LARGEST_READ {
            // It was filled: there may be much more.
            self.buffer.resize(2 * self.end, 0);
        }
        (self.begin, self.end) = (0, 0);
        let count = loop {
            match source(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(None) => return Ok(false),
                Ok(Some(count)) => break count,
                Err(error) => return Err(error),
            }
        };
        self.end = count;
        self.ended = count == 0;
        Ok(true)
    }
}

/// Records on their way. What has not been sent goes back when it is dropped.
struct Records<'a> {
    session: &'a Session,
    bytes: Vec<u8>,
    sent: usize,
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        bytes.drain(..self.sent);
        if !bytes.is_empty() {
            // Nobody else sends meanwhile, so there is nothing in its place.
            self.session.state.lock().outgoing = bytes;
        } else if bytes.capacity() <= KEPT {
            let _ = SPARE.try_with(|spare| spare.set(bytes));
        }
    }
}
