//! The body of a request that is still to come.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_core::__private::Poller;
use actor_core::reactor::Direction;
use actor_core::{TimedOut, time};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

use super::conn::Conn;
use super::encode::CONTINUE;
use super::framing::{BodyEnd, Framing};
use super::limits::Limits;
use super::reader::{Event, RequestReader};
use super::stream::Stream;

/// What a connection reads from: lent to the body of the current request while that is read.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) reader: RequestReader,
    /// What has come and has not been taken.
    pub(super) bytes: BytesMut,
}

/// What has become of a body when its reader is done with it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has not been read to its end, which is no fault of the client's.
    Unread,
    /// All has been read.
    Read,
    /// The client is to be told this.
    Refused(StatusCode),
    /// The client has gone, or nothing can be read any more.
    Lost,
}

/// A part of a body, in its order.
#[cfg(feature = "tower")]
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// What comes behind the data.
    End(HeaderMap),
}

/// Whether taking a body apart waits for more of it.
#[derive(Clone, Copy)]
enum Patience<'a> {
    None,
    Full,
    /// Until the caller is woken for something else.
    #[cfg_attr(
        not(feature = "tower"),
        expect(dead_code, reason = "nobody else waits so")
    )]
    UntilWoken(&'a Poller<'a>),
}

/// What a connection and the body of its current request have in common.
#[derive(Debug, Default)]
pub(super) struct Loan {
    /// Where the body leaves what it was lent.
    back: Mutex<Option<(Input, Outcome)>>,
    /// Whether the client waits to be told to go on. Locked while it is told, so that this is not in the middle of
    /// an answer.
    waits: Mutex<bool>,
}

impl Loan {
    pub(super) fn take_back(&self) -> Option<(Input, Outcome)> {
        self.back.lock().take()
    }

    /// Whether the client is to be told to go on, which is the caller's affair then. After this nobody else does.
    pub(super) fn is_to_be_told(&self) -> bool {
        mem::take(&mut *self.waits.lock())
    }

    /// Tells the client to go on, if it waits for that. Does not wait: where there is no room, the client has still to
    /// read what it was sent before.
    fn tell(&self, stream: &Stream) -> io::Result<()> {
        let mut waits = self.waits.lock();
        if !*waits {
            return Ok(());
        }
        match stream.try_send(CONTINUE) {
            Ok(count) if count == CONTINUE.len() => {
                *waits = false;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) => Err(error),
        }
    }
}

pub(super) type Returns = Arc<Loan>;

/// See the [module](self).
pub(super) struct Incoming {
    conn: Arc<Conn>,
    limits: Arc<Limits>,
    /// Until it is given back.
    input: Option<Input>,
    returns: Returns,
    /// Some data that has been taken apart.
    data: Bytes,
    /// How much is left, where that was said in advance.
    left: Option<u64>,
    /// How long it has been waited for, in all and since something came, and how much has come meanwhile. While nobody
    /// reads, the client cannot help it if nothing comes.
    waited: Duration,
    silent: Duration,
    count: u64,
    outcome: Outcome,
    trailers: HeaderMap,
}

impl Incoming {
    pub(super) fn new(
        conn: Arc<Conn>,
        limits: Arc<Limits>,
        input: Input,
        framing: Framing,
        returns: Returns,
    ) -> Self {
        // Who sends the body all the same is told nothing.
        let waits = framing.expects_continue && input.bytes.is_empty();
        *returns.waits.lock() = waits;
        Incoming {
            conn,
            limits,
            returns,
            data: Bytes::new(),
            left: match framing.body {
                BodyEnd::Length(length) => Some(length),
                BodyEnd::Chunked | BodyEnd::Close => None,
            },
            input: Some(input),
            waited: Duration::ZERO,
            silent: Duration::ZERO,
            count: 0,
            outcome: Outcome::Unread,
            trailers: HeaderMap::new(),
        }
    }

    pub(super) fn left(&self) -> Option<u64> {
        self.left
    }

    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        match self.outcome {
            Outcome::Read => Some(&self.trailers),
            _ => None,
        }
    }

    pub(super) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while self.data.is_empty() {
            match self.outcome {
                Outcome::Unread => {}
                Outcome::Read => return Ok(0),
                Outcome::Refused(_) | Outcome::Lost => return Err(io::ErrorKind::BrokenPipe.into()),
            }
            self.advance(Patience::Full)?;
        }
        let count = self.data.len().min(buf.len());
        self.data.copy_to_slice(&mut buf[..count]);
        if let Some(left) = &mut self.left {
            *left -= count as u64;
        }
        Ok(count)
    }

    /// The next piece; `None` if `poller` has been woken before it has come.
    #[cfg(feature = "tower")]
    pub(super) fn next(&mut self, poller: &Poller<'_>) -> io::Result<Option<Piece>> {
        loop {
            let data = std::mem::take(&mut self.data);
            if !data.is_empty() {
                if let Some(left) = &mut self.left {
                    *left -= data.len() as u64;
                }
                return Ok(Some(Piece::Data(data)));
            }
            match self.outcome {
                Outcome::Unread => {}
                Outcome::Read => return Ok(Some(Piece::End(std::mem::take(&mut self.trailers)))),
                Outcome::Refused(_) | Outcome::Lost => return Err(io::ErrorKind::BrokenPipe.into()),
            }
            if !self.advance(Patience::UntilWoken(poller))? {
                return Ok(None);
            }
        }
    }

    /// Takes the next piece of the body apart, or receives some more; `false` if it would have to wait for longer
    /// than it may.
    fn advance(&mut self, patience: Patience<'_>) -> io::Result<bool> {
        let Some(input) = &mut self.input else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        match input.reader.body(&mut input.bytes, &self.limits) {
            Ok(Some(Event::Data(data))) => {
                self.data = data;
                Ok(true)
            }
            Ok(Some(Event::End(trailers))) => {
                self.trailers = trailers;
                self.outcome = Outcome::Read;
                Ok(true)
            }
            Ok(Some(Event::Head(_))) => Err(self.lose(io::ErrorKind::BrokenPipe.into())),
            Ok(None) => match patience {
                Patience::None => Ok(false),
                Patience::Full => self.receive(None),
                Patience::UntilWoken(poller) => self.receive(Some(poller)),
            },
            Err(error) => {
                self.outcome = Outcome::Refused(error.status());
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    fn lose(&mut self, error: io::Error) -> io::Error {
        self.outcome = Outcome::Lost;
        error
    }

    /// Receives some more; `false` if the caller has been woken before.
    fn receive(&mut self, poller: Option<&Poller<'_>>) -> io::Result<bool> {
        let told = self.returns.tell(self.conn.stream());
        told.map_err(|error| self.lose(error))?;
        let rate = self.limits.body_rate.max(1);
        let earned = Duration::from_secs_f64(self.count as f64 / f64::from(rate));
        let by_rate = self.limits.body_grace.saturating_add(earned);
        let by_rate = by_rate.saturating_sub(self.waited);
        // What has come quickly is no credit for a long silence.
        let by_silence = self.limits.idle_time.saturating_sub(self.silent);
        let begun = time::now();
        let deadline = begun.checked_add(by_rate.min(by_silence));
        let Some(input) = &mut self.input else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let stream = self.conn.stream();
        let received = match poller {
            None => stream.receive(&mut input.bytes, deadline).map(Some),
            Some(poller) => receive_unless_woken(stream, &mut input.bytes, deadline, poller),
        };
        let now = time::now();
        let waited = now.saturating_duration_since(begun);
        self.waited += waited;
        self.silent += waited;
        match received {
            Ok(None) => Ok(false),
            Ok(Some(0)) => Err(self.lose(io::ErrorKind::UnexpectedEof.into())),
            Ok(Some(count)) => {
                self.count += count as u64;
                self.silent = Duration::ZERO;
                Ok(true)
            }
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<TimedOut>()) => {
                // The deadline may have been one of the handler's own.
                if deadline.is_some_and(|deadline| deadline <= now) {
                    self.outcome = Outcome::Refused(StatusCode::REQUEST_TIMEOUT);
                }
                Err(error)
            }
            Err(error) => Err(self.lose(error)),
        }
    }
}

impl Drop for Incoming {
    /// Gives back what it was lent. What is left of the body is thrown away as far as it has come; not after a
    /// panic, which ends the connection.
    fn drop(&mut self) {
        while let Outcome::Unread = self.outcome {
            // Who waits to be told to go on is not told, and may send either the body or another request.
            if std::thread::panicking()
                || *self.returns.waits.lock()
                || !matches!(self.advance(Patience::None), Ok(true))
            {
                break;
            }
        }
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Lost);
        if let Some(input) = self.input.take() {
            *self.returns.back.lock() = Some((input, outcome));
        }
    }
}

/// Receives, unless the caller is woken before there is anything.
fn receive_unless_woken(
    stream: &Stream,
    buffer: &mut BytesMut,
    deadline: Option<Instant>,
    poller: &Poller<'_>,
) -> io::Result<Option<usize>> {
    loop {
        match stream.try_receive(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received.map(Some),
        }
        if poller.wait_or_ready(stream.source(), Direction::Read, deadline)? {
            return Ok(None);
        }
    }
}
