//! The body of a request that is still to come.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use actor_core::{TimedOut, time};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use rustix::net::RecvFlags;

use super::encode::CONTINUE;
use super::framing::{BodyEnd, Framing};
use super::limits::Limits;
use super::reader::{Event, RequestReader};
use super::wire;

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

/// Where a body leaves what it was lent.
pub(super) type Returns = Arc<Mutex<Option<(Input, Outcome)>>>;

/// See the [module](self).
pub(super) struct Incoming {
    source: Arc<Source>,
    limits: Arc<Limits>,
    /// Until it is given back.
    input: Option<Input>,
    returns: Returns,
    /// Some data that has been taken apart.
    data: Bytes,
    /// How much is left, where that was said in advance.
    left: Option<u64>,
    /// Whether the client waits to be told to go on.
    tell: bool,
    /// When the first of it was waited for, and how much has come since.
    since: Option<Instant>,
    count: u64,
    outcome: Outcome,
    trailers: HeaderMap,
}

impl Incoming {
    pub(super) fn new(
        source: Arc<Source>,
        limits: Arc<Limits>,
        input: Input,
        framing: Framing,
        returns: Returns,
    ) -> Self {
        Incoming {
            source,
            limits,
            returns,
            data: Bytes::new(),
            left: match framing.body {
                BodyEnd::Length(length) => Some(length),
                BodyEnd::Chunked | BodyEnd::Close => None,
            },
            // Who sends the body all the same is told nothing.
            tell: framing.expects_continue && input.bytes.is_empty(),
            input: Some(input),
            since: None,
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
            self.advance(true)?;
        }
        let count = self.data.len().min(buf.len());
        self.data.copy_to_slice(&mut buf[..count]);
        if let Some(left) = &mut self.left {
            *left -= count as u64;
        }
        Ok(count)
    }

    /// Takes the next piece of the body apart, or receives some more; `false` if it would have to wait and
    /// may not.
    fn advance(&mut self, wait: bool) -> io::Result<bool> {
        let Some(input) = &mut self.input else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        // No head is read here that could take the map.
        let event = input
            .reader
            .next(&mut input.bytes, &mut HeaderMap::new(), &self.limits);
        match event {
            Ok(Some(Event::Data(data))) => {
                self.data = data;
                Ok(true)
            }
            Ok(Some(Event::End(trailers))) => {
                self.trailers = trailers;
                self.outcome = Outcome::Read;
                Ok(true)
            }
            Ok(Some(Event::Head(..))) => Err(self.lose(io::ErrorKind::BrokenPipe.into())),
            Ok(None) if wait => self.receive().map(|()| true),
            Ok(None) => Ok(false),
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

    fn receive(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.tell) {
            wire::send_all(&self.source, CONTINUE, &self.limits)
                .map_err(|error| self.lose(error))?;
        }
        let since = *self.since.get_or_insert_with(time::now);
        let rate = self.limits.body_rate.max(1);
        let earned = Duration::from_secs_f64(self.count as f64 / f64::from(rate));
        let deadline = since.checked_add(self.limits.body_grace + earned);
        let Some(input) = &mut self.input else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        match receive(&self.source, &mut input.bytes, Wait::Until(deadline)) {
            Ok(0) => Err(self.lose(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.count += count as u64;
                Ok(())
            }
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<TimedOut>()) => {
                // The deadline may have been one of the handler's own.
                if deadline.is_some_and(|deadline| deadline <= time::now()) {
                    self.outcome = Outcome::Refused(StatusCode::REQUEST_TIMEOUT);
                }
                Err(error)
            }
            Err(error) => Err(self.lose(error)),
        }
    }
}

impl Drop for Incoming {
    /// Gives back what it was lent. What is left of the body is thrown away as far as it has come.
    fn drop(&mut self) {
        while let Outcome::Unread = self.outcome {
            // Who waits to be told to go on is not told, and may send either the body or another request.
            if self.tell || !matches!(self.advance(false), Ok(true)) {
                break;
            }
        }
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Lost);
        if let Some(input) = self.input.take() {
            *self.returns.lock() = Some((input, outcome));
        }
    }
}

/// Whether a receive waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    No,
    Until(Option<Instant>),
}

/// How much room there is to receive into.
const ROOM: usize = 16 * 1024;

/// Receives what there is, behind what is in the buffer.
pub(super) fn receive(source: &Source, buffer: &mut BytesMut, wait: Wait) -> io::Result<usize> {
    buffer.reserve(ROOM);
    let room = buffer.spare_capacity_mut().len();
    let count = {
        let operation = |fd: std::os::fd::BorrowedFd<'_>| {
            let spare = buffer.spare_capacity_mut();
            let ((received, _), _) = rustix::net::recv(fd, spare, RecvFlags::empty())?;
            Ok(received.len())
        };
        match wait {
            Wait::No => source.try_io_stream(Direction::Read, room, operation)?,
            Wait::Until(deadline) => {
                source.io_stream(Direction::Read, deadline, room, operation)?
            }
        }
    };
    // SAFETY: `recv` has just initialised so many bytes of the spare room, from its beginning on.
    unsafe { buffer.advance_mut(count) };
    Ok(count)
}
