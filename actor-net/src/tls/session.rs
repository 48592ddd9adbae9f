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
use rustls::{Connection, Reader};

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
pub(crate) struct Session {
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
pub(crate) struct Incoming {
    /// Empty until something is read.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// The stream has ended, and whether the session knows.
    ended: bool,
    told: bool,
}

/// What a reader needs of the stream beneath.
pub(crate) trait Wire {
    /// Reads as [`Read::read`]. May wait, and end the attempt with `None`.
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>>;

    /// [Sends](Session::send) what is there, if that can be done at once.
    fn answer(&mut self, session: &Session);
}

/// Who may compute, where many would at a time.
pub(crate) trait TakeTurns {
    /// Waits for a turn, or fails where it may not wait.
    fn enter(&mut self) -> io::Result<()>;

    /// Gives the turn up, if it has one.
    fn leave(&mut self);
}

/// For those who take no turns.
impl TakeTurns for () {
    fn enter(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn leave(&mut self) {}
}

impl Session {
    pub(crate) fn new(mut tls: Connection) -> Session {
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
    pub(crate) fn with<T>(&self, f: impl FnOnce(&Connection) -> T) -> T {
        f(&self.state.lock().tls)
    }

    /// Agrees with the peer, or finds out why not. Whoever calls it sets the deadline. Where the stream or the turn
    /// does not wait but fails, it can be called again.
    pub(crate) fn shake_hands<S: Read + Write>(
        &self,
        incoming: &mut Incoming,
        stream: &mut S,
        turns: &mut impl TakeTurns,
    ) -> Result<(), TlsError> {
        loop {
            self.send(stream)?;
            if self.with(|tls| !tls.is_handshaking() && !tls.wants_write()) {
                return Ok(());
            }
            if incoming.has_bytes() {
                turns.enter()?;
            }
            let outcome = {
                let mut state = self.state.lock();
                match state.feed(incoming) {
                    Ok(true) => Ok(false),
                    // A handshake that the peer breaks off is as good as a reset.
                    Ok(false) if incoming.ended => Err(TlsError::Truncated),
                    Ok(false) => Ok(!state.tls.wants_write() && state.tls.is_handshaking()),
                    Err(error) => Err(error),
                }
            };
            turns.leave();
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
    pub(crate) fn read(
        &self,
        incoming: &mut Incoming,
        buf: &mut [u8],
        wire: &mut impl Wire,
    ) -> io::Result<Option<usize>> {
        if buf.is_empty() {
            return Ok(Some(0));
        }
        self.read_by(incoming, |reader| reader.read(buf), wire)
    }

    /// As [`read`](Self::read), with `take` to take what there is, no more than rustls has in one piece.
    pub(crate) fn read_by(
        &self,
        incoming: &mut Incoming,
        mut take: impl FnMut(&mut Reader<'_>) -> io::Result<usize>,
        wire: &mut impl Wire,
    ) -> io::Result<Option<usize>> {
        loop {
            let (decrypted, answer) = {
                let mut state = self.state.lock();
                let decrypted = state.decrypt(incoming, &mut take);
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
    pub(crate) fn write(&self, sink: &mut impl Write, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // Fails, if it does, before anything is taken.
        self.check_late()?;
        self.send(sink)?;
        let taken = self.take(bufs)?;
        if let Err(error) = self.send(sink)
            && !may_pass(&error)
        {
            self.state.lock().late = Some(error);
        }
        Ok(taken)
    }

    /// Takes as much of this as there is room for, without sending any.
    pub(crate) fn take(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.check_writable()?;
        state.tls.writer().write_vectored(bufs)
    }

    /// All that is still to be sent, with these words and that it is the end.
    #[cfg(feature = "http")]
    pub(crate) fn end(&self, mut words: &[u8]) -> Vec<u8> {
        let mut state = self.state.lock();
        let mut records = Vec::new();
        // What cannot be said any more is not.
        while !words.is_empty()
            && state.check_writable().is_ok()
            && let Ok(taken @ 1..) = state.tls.writer().write(words)
            && let Ok(more) = state.collect()
        {
            words = &words[taken..];
            records.extend_from_slice(&more);
        }
        if !mem::replace(&mut state.closed, true) {
            state.tls.send_close_notify();
        }
        records.extend_from_slice(&state.collect().unwrap_or_default());
        records
    }

    /// Says that nothing more will be written, and sends all that is left.
    pub(crate) fn close(&self, sink: &mut impl Write) -> io::Result<()> {
        {
            let mut state = self.state.lock();
            if !mem::replace(&mut state.closed, true) {
                state.tls.send_close_notify();
            }
        }
        self.flush(sink)
    }

    /// Sends what is left.
    pub(crate) fn flush(&self, sink: &mut impl Write) -> io::Result<()> {
        self.check_late()?;
        self.send(sink)?;
        sink.flush()
    }

    fn check_late(&self) -> io::Result<()> {
        self.state.lock().late.take().map_or(Ok(()), Err)
    }

    /// Whether something is to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.state.lock().has_unsent()
    }

    /// Sends what is to be sent. Whatever ends it early, an error or an unwinding, leaves the rest in its
    /// place: half a record that was lost would be the end of the connection.
    pub(crate) fn send(&self, sink: &mut impl Write) -> io::Result<()> {
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
    fn decrypt(
        &mut self,
        incoming: &mut Incoming,
        take: &mut impl FnMut(&mut Reader<'_>) -> io::Result<usize>,
    ) -> io::Result<Option<usize>> {
        loop {
            match take(&mut self.tls.reader()) {
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
    /// Whether something has been read that has not been looked at.
    fn has_bytes(&self) -> bool {
        self.begin < self.end
    }

    /// Reads into this from now on, if it has no buffer of its own.
    #[cfg(feature = "http")]
    pub(crate) fn lend(&mut self, buffer: Vec<u8>) {
        if self.buffer.is_empty() {
            self.buffer = buffer;
        }
    }

    /// The buffer, if nothing is in it. It makes itself another when it has to.
    #[cfg(feature = "http")]
    pub(crate) fn give_up_buffer(&mut self) -> Option<Vec<u8>> {
        if self.has_bytes() {
            return None;
        }
        (self.begin, self.end) = (0, 0);
        Some(mem::take(&mut self.buffer))
    }

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
