//! TLS beneath a connection, without a stack.
//!
//! It is what [`TlsStream`] is made of, over a socket that is tried and not waited for: whoever reads or shakes hands
//! comes back with nothing, and is told when there is more. Where somebody waits, for a body or to send, the same is
//! done over a socket that waits. What is read into belongs to the thread, so an idle connection has no buffer.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actor_core::__private::{begin_operation, soon, worker};
use actor_core::Timer;
use actor_core::reactor::{Direction, Source};
use actor_io::{Split, TcpStream};
use bytes::BytesMut;
use parking_lot::Mutex;
use rustix::net::SendFlags;

use super::conn::Conn;
use super::limits::Limits;
use super::peer::Facts;
use super::stream::{Parts, Stream, send_some};
use super::upgraded::{Decrypts, Encrypts, Halves};
use crate::closing::{recv, send};
use crate::tls::{
    Incoming, ServerTls, Session, TakeTurns, TlsError, TlsReader, TlsStream, TlsWriter, Turn,
    Turnstile, Wire,
};

/// How large a buffer may be that the thread keeps.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// What is read into, by one connection after the other.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// See the [module](self).
pub(super) struct Secure {
    source: Source,
    session: Arc<Session>,
    /// Taken out by whoever reads.
    incoming: Mutex<Option<Incoming>>,
    /// The handshake has been made.
    is_established: AtomicBool,
    /// Held by whoever sends, so that records do not get between each other. One at a time sends what is to be sent in any
    /// case, and may wait with it; all others only try, and leave what they have to that one.
    sends: Mutex<()>,
    /// Until then.
    handshake: Mutex<Option<Box<Handshake>>>,
}

/// What a connection has until its handshake has been made.
struct Handshake {
    limit: Duration,
    turnstile: Arc<Turnstile>,
    turn: Option<Turn>,
    /// It has asked for a turn.
    is_waiting: bool,
    timer: Option<Timer>,
}

impl Secure {
    /// One that is still to shake hands.
    pub(super) fn new(source: Source, tls: &ServerTls) -> Result<Secure, TlsError> {
        let (session, limit, turnstile) = tls.begin_http()?;
        let handshake = Handshake {
            limit,
            turnstile,
            turn: None,
            is_waiting: false,
            timer: None,
        };
        Ok(Secure {
            source,
            session: Arc::new(session),
            incoming: Mutex::new(Some(Incoming::default())),
            is_established: AtomicBool::new(false),
            sends: Mutex::default(),
            handshake: Mutex::new(Some(Box::new(handshake))),
        })
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(super) fn is_established(&self) -> bool {
        self.is_established.load(Ordering::Relaxed)
    }

    /// How long the handshake may take.
    pub(super) fn handshake_time(&self) -> Duration {
        let handshake = self.handshake.lock();
        handshake
            .as_ref()
            .map_or(Duration::ZERO, |handshake| handshake.limit)
    }

    /// Keeps the timer of the handshake, until that has been made.
    pub(super) fn set_timer(&self, timer: Timer) {
        match &mut *self.handshake.lock() {
            Some(handshake) => handshake.timer = Some(timer),
            None => drop(timer.cancel()),
        }
    }

    /// Whether there is something to be sent that nobody waits with.
    pub(super) fn has_unsent(&self) -> bool {
        self.session.has_unsent()
    }

    /// Goes on with the handshake; `false` if that is not over. `conn` is whose stream it is, and is made ready when it
    /// is its turn.
    pub(super) fn shake_hands(&self, conn: &Arc<Conn>) -> Result<bool, TlsError> {
        let mut turns = Turns {
            handshake: &self.handshake,
            conn,
        };
        let shaken = self.reading(|incoming| {
            let mut tries = self.tries();
            match self.session.shake_hands(incoming, &mut tries, &mut turns) {
                Err(TlsError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                done => done.map(|()| true),
            }
        })?;
        if shaken {
            self.is_established.store(true, Ordering::Relaxed);
            self.end_handshake();
        }
        Ok(shaken)
    }

    fn tries(&self) -> Tries<'_> {
        Tries {
            source: &self.source,
            sends: &self.sends,
        }
    }

    /// It is its turn in the handshake, unless that is over.
    fn take_turn(&self, turn: Turn) -> Option<Turn> {
        match &mut *self.handshake.lock() {
            Some(handshake) => handshake.turn.replace(turn),
            None => Some(turn),
        }
    }

    /// Has somebody read, who has what has been read before to himself.
    fn reading<T, E: From<io::Error>>(
        &self,
        read: impl FnOnce(&mut Incoming) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(incoming) = self.incoming.lock().take() else {
            // Two at a time would be the connection's, and the body's that has escaped.
            return Err(io::Error::from(io::ErrorKind::ResourceBusy).into());
        };
        let mut reading = Reading {
            secure: self,
            incoming,
        };
        reading.incoming.lend(BUFFER.take());
        read(&mut reading.incoming)
    }

    fn read_from(&self, buffer: &mut BytesMut, wire: &mut impl Wire) -> io::Result<usize> {
        let read = self.reading(|incoming| {
            let take = |reader: &mut rustls::Reader<'_>| {
                let chunk = reader.fill_buf()?;
                buffer.extend_from_slice(chunk);
                let count = chunk.len();
                reader.consume(count);
                Ok(count)
            };
            self.session.read_by(incoming, take, wire)
        });
        match read {
            Ok(Some(count)) => Ok(count),
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
            // Where a request ends is known by other means.
            Err(error) if is_truncation(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    pub(super) fn try_receive(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.read_from(buffer, &mut self.tries())
    }

    pub(super) fn receive(
        &self,
        buffer: &mut BytesMut,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        let tries = self.tries();
        self.read_from(buffer, &mut Waits { tries, deadline })
    }

    /// Sends some of it, or takes it to be sent later, as far as there is room.
    pub(super) fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        let Some(_sends) = self.sends.try_lock() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let bytes = [IoSlice::new(bytes)];
        self.session.write(&mut self.tries(), &bytes)
    }

    /// Sends all of it, and what was taken before. If `more` follows at once, it is kept for that.
    pub(super) fn send_all(&self, mut bytes: &[u8], more: bool, limits: &Limits) -> io::Result<()> {
        // All others let go at once: see there.
        let _sends = self.sends.lock();
        let mut sink = Sink {
            source: &self.source,
            limits,
            failed: None,
        };
        while !bytes.is_empty() {
            let taken = match more {
                true => self.session.take(&[IoSlice::new(bytes)])?,
                false => 0,
            };
            let taken = match taken {
                0 => self.session.write(&mut sink, &[IoSlice::new(bytes)])?,
                taken => taken,
            };
            // It is told by the next write as a rule, and there need not be one.
            if let Some(kind) = sink.failed {
                return Err(kind.into());
            }
            bytes = &bytes[taken..];
            if !bytes.is_empty() {
                // The peer may be as quick as this is, and others want their turn.
                begin_operation()?;
            }
        }
        match more {
            true => Ok(()),
            false => self.session.flush(&mut sink),
        }
    }

    /// What is still to go out of the socket, with these words and the end of the stream.
    pub(super) fn end(&self, words: &[u8]) -> Vec<u8> {
        self.end_handshake();
        self.session.end(words)
    }

    pub(super) fn end_handshake(&self) {
        let handshake = self.handshake.lock().take();
        if let Some(timer) = handshake.and_then(|handshake| handshake.timer) {
            timer.cancel();
        }
    }

    pub(super) fn into_parts(self) -> io::Result<Parts> {
        let cover = self.cover()?;
        Ok(Parts {
            socket: self.source.into_fd(),
            cover: Some(cover),
        })
    }

    /// What it is apart from the socket, whose it is no more.
    pub(super) fn cover(&self) -> io::Result<Cover> {
        match self.incoming.lock().take() {
            Some(incoming) => Ok(Cover {
                incoming,
                session: self.session.clone(),
            }),
            None => Err(io::ErrorKind::ResourceBusy.into()),
        }
    }
}

fn is_truncation(error: &io::Error) -> bool {
    let inner = error.get_ref();
    let tls = inner.and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(tls, Some(TlsError::Truncated))
}

/// TLS without a socket.
pub(super) struct Cover {
    incoming: Incoming,
    session: Arc<Session>,
}

impl Cover {
    /// Puts it over a socket.
    pub(super) fn over(self, socket: TcpStream) -> Halves {
        let stream = TlsStream::from_parts(socket, self.incoming, self.session);
        let (reader, writer) = stream.split();
        (Box::new(reader), Box::new(writer))
    }

    pub(super) fn facts(&self) -> Facts {
        Some(self.session.clone())
    }

    /// What ends it, once nobody has the stream any more.
    pub(super) fn end(&self) -> impl FnOnce() -> Vec<u8> + use<> {
        let session = self.session.clone();
        move || session.end(&[])
    }
}

impl fmt::Debug for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cover").finish_non_exhaustive()
    }
}

impl Decrypts for TlsReader {
    fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        TlsReader::read_or_stop(self, buf)
    }
}

impl Encrypts for TlsWriter {
    fn close_write(&mut self) -> io::Result<()> {
        self.close_notify()
    }
}

/// What has been read before, on loan.
struct Reading<'a> {
    secure: &'a Secure,
    incoming: Incoming,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(buffer) = self.incoming.give_up_buffer()
            && buffer.capacity() <= KEPT
        {
            // Not there at the end of a thread.
            let _ = BUFFER.try_with(|place| place.set(buffer));
        }
        let incoming = std::mem::take(&mut self.incoming);
        *self.secure.incoming.lock() = Some(incoming);
    }
}

/// The socket, which is tried.
struct Tries<'a> {
    source: &'a Source,
    sends: &'a Mutex<()>,
}

impl Tries<'_> {
    /// Sends what reading has brought about: alerts, updates of keys. Whoever sends at the moment sends it as well, or
    /// the next one does.
    fn answer(&mut self, session: &Session) {
        if let Some(_sends) = self.sends.try_lock() {
            // A failure is told by the next operation, and what is left goes with it.
            let _ = session.send(self);
        }
    }
}

impl Read for Tries<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = buf.len();
        let operation = |fd: BorrowedFd<'_>| recv(fd, buf);
        self.source.try_io_stream(Direction::Read, room, operation)
    }
}

impl Write for Tries<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let operation = |fd: BorrowedFd<'_>| send(fd, buf);
        self.source
            .try_io_stream(Direction::Write, buf.len(), operation)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire for Tries<'_> {
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            read => read.map(Some),
        }
    }

    fn answer(&mut self, session: &Session) {
        Tries::answer(self, session);
    }
}

/// The socket, which is waited for until there is something to read.
struct Waits<'a> {
    tries: Tries<'a>,
    deadline: Option<Instant>,
}

impl Wire for Waits<'_> {
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let (room, deadline) = (buf.len(), self.deadline);
        let operation = |fd: BorrowedFd<'_>| recv(fd, buf);
        let source = self.tries.source;
        let read = source.io_stream(Direction::Read, deadline, room, operation);
        read.map(Some)
    }

    fn answer(&mut self, session: &Session) {
        self.tries.answer(session);
    }
}

/// The socket, which is waited for until there is room to send.
struct Sink<'a> {
    source: &'a Source,
    limits: &'a Limits,
    failed: Option<io::ErrorKind>,
}

impl Write for Sink<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let sent = send_some(self.source, buf, SendFlags::empty(), self.limits);
        if let Err(error) = &sent {
            self.failed = Some(error.kind());
        }
        sent
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The turns of a handshake that waits for nothing.
struct Turns<'a> {
    handshake: &'a Mutex<Option<Box<Handshake>>>,
    conn: &'a Arc<Conn>,
}

impl TakeTurns for Turns<'_> {
    fn enter(&mut self) -> io::Result<()> {
        let mut place = self.handshake.lock();
        let (Some(handshake), Some(worker)) = (&mut *place, worker()) else {
            return Ok(());
        };
        if handshake.turn.is_some() {
            handshake.is_waiting = false;
            return Ok(());
        }
        if !handshake.is_waiting {
            let conn = Arc::downgrade(self.conn);
            let again = move |turn| match conn.upgrade() {
                Some(conn) => {
                    let left = match conn.stream() {
                        Stream::Tls(secure) => secure.take_turn(turn),
                        Stream::Plain(_) => Some(turn),
                    };
                    conn.make_ready();
                    left
                }
                None => Some(turn),
            };
            handshake.turn = handshake.turnstile.enter(worker, again);
            handshake.is_waiting = handshake.turn.is_none();
        }
        match handshake.turn {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn leave(&mut self) {
        let turn = match &mut *self.handshake.lock() {
            Some(handshake) => handshake.turn.take(),
            None => None,
        };
        if let Some(turn) = turn {
            // When the worker has been round.
            soon(None, move || drop(turn));
        }
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
