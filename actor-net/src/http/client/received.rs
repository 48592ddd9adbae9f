//! [`Received`]: the body of an answer, as it comes.

use std::io;
use std::sync::Arc;

use bytes::Buf;
use http::HeaderMap;
use parking_lot::Mutex;

use super::conn::Conn;
use super::error::{FetchError, Phase};
use super::pool::Pool;
use super::proxy::Route;
use super::stream::Wait;
use super::timeouts::Clock;
use crate::http::BadMessage;
use crate::http::chunk::{ChunkDecoder, Piece};
use crate::http::framing::BodyEnd;
use crate::http::limits::Limits;

/// How much of a body that nobody reads is thrown away to have the connection back.
pub(super) const WASTE: usize = 64 * 1024;

/// Where a connection goes when the answer has come completely.
#[derive(Debug)]
pub(super) enum Home {
    /// To others who go the same way.
    Pool(Arc<Pool>, Route),
    /// Back to who has it alone.
    Owner(Arc<Mutex<Option<Conn>>>),
}

/// See the [module](self).
#[derive(Debug)]
pub(in crate::http) struct Received {
    /// Until the end, or a failure.
    conn: Option<Conn>,
    rest: Rest,
    /// Where the connection goes, if it can be used again.
    home: Option<Home>,
    limits: Arc<Limits>,
    clock: Clock,
    trailers: HeaderMap,
    /// How much has come.
    count: u64,
}

/// How the rest of the body ends.
#[derive(Debug)]
enum Rest {
    Length(u64),
    /// In chunks; so much of what has been received is data of the current one.
    Chunks(Box<ChunkDecoder>, usize),
    Close,
    Over,
    Failed,
}

impl Received {
    /// The body that follows on `conn`.
    pub(super) fn new(
        conn: Conn,
        end: BodyEnd,
        home: Option<Home>,
        limits: Arc<Limits>,
        clock: Clock,
    ) -> Received {
        let mut received = Received {
            conn: Some(conn),
            rest: match end {
                BodyEnd::Length(length) => Rest::Length(length),
                BodyEnd::Chunked => Rest::Chunks(Box::default(), 0),
                BodyEnd::Close => Rest::Close,
            },
            home,
            limits,
            clock,
            trailers: HeaderMap::new(),
            count: 0,
        };
        if let Rest::Length(0) = received.rest {
            received.end();
        }
        received
    }

    pub(in crate::http) fn left(&self) -> Option<u64> {
        match self.rest {
            Rest::Length(left) => Some(left),
            Rest::Over => Some(0),
            _ => None,
        }
    }

    /// How long the body may be.
    #[cfg(feature = "compression")]
    pub(super) fn limit(&self) -> u64 {
        self.limits.body
    }

    pub(in crate::http) fn trailers(&self) -> Option<&HeaderMap> {
        matches!(self.rest, Rest::Over).then_some(&self.trailers)
    }

    pub(in crate::http) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wait = self.clock.wait(self.clock.limits.read);
        self.read_within(buf, wait).map_err(io::Error::from)
    }

    /// Throws away what is left, if it is little and comes in time.
    pub(super) fn drain(&mut self, wait: Wait) {
        // Nothing could be won.
        if self.home.is_none() || self.left().is_some_and(|left| left > WASTE as u64) {
            return;
        }
        let mut waste = [0; 4096];
        let mut count = 0;
        while count < WASTE && !matches!(self.rest, Rest::Over | Rest::Failed) {
            match self.read_within(&mut waste, wait) {
                Ok(0) | Err(_) => break,
                Ok(read) => count += read,
            }
        }
    }

    fn read_within(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize, FetchError> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = self.try_read(buf, wait);
        match &read {
            Ok(count) => {
                self.count += *count as u64;
                if self.count > self.limits.body {
                    return Err(self.fail(BadMessage::BodyTooLong.into()));
                }
            }
            // Nothing has been lost: who has set the deadline may read on.
            Err(FetchError::TimedOut { .. }) => {}
            Err(FetchError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.rest = Rest::Failed;
                self.conn = None;
            }
        }
        read
    }

    fn try_read(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize, FetchError> {
        loop {
            let conn = match (&self.rest, &mut self.conn) {
                (Rest::Over, _) => return Ok(0),
                (_, Some(conn)) => conn,
                (_, None) => return Err(FetchError::Io(io::ErrorKind::BrokenPipe.into())),
            };
            match &mut self.rest {
                Rest::Length(left) => {
                    let room = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
                    let count = read_some(conn, &mut buf[..room], wait)?;
                    if count == 0 {
                        return Err(FetchError::Truncated);
                    }
                    *left -= count as u64;
                    if *left == 0 {
                        self.end();
                    }
                    return Ok(count);
                }
                Rest::Close => {
                    let count = read_some(conn, buf, wait)?;
                    if count == 0 {
                        self.home = None;
                        self.end();
                    }
                    return Ok(count);
                }
                Rest::Chunks(_, ready @ 1..) => {
                    let count = (*ready).min(buf.len());
                    conn.input.copy_to_slice(&mut buf[..count]);
                    *ready -= count;
                    return Ok(count);
                }
                Rest::Chunks(decoder, ready) => {
                    let mut rest = &conn.input[..];
                    let before = rest.len();
                    let piece = decoder.decode(&mut rest, &self.limits)?;
                    let taken = before - rest.len();
                    match piece {
                        Piece::Data(data) => {
                            // It is the last of what has been taken.
                            *ready = data.len();
                            conn.input.advance(taken - *ready);
                        }
                        Piece::End(trailers) => {
                            conn.input.advance(taken);
                            self.trailers = trailers;
                            self.end();
                        }
                        Piece::More => {
                            conn.input.advance(taken);
                            match conn.receive(wait) {
                                Ok(0) => return Err(FetchError::Truncated),
                                Ok(_) => {}
                                Err(error) => {
                                    return Err(FetchError::of_connection(error, Phase::Body));
                                }
                            }
                        }
                    }
                }
                Rest::Over | Rest::Failed => return Ok(0),
            }
        }
    }

    fn fail(&mut self, error: FetchError) -> FetchError {
        self.rest = Rest::Failed;
        self.conn = None;
        error
    }

    /// The answer has come completely.
    fn end(&mut self) {
        self.rest = Rest::Over;
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        conn.used += 1;
        match self.home.take() {
            Some(Home::Pool(pool, route)) => pool.put(route, conn),
            Some(Home::Owner(owner)) => *owner.lock() = Some(conn),
            None => conn.close(),
        }
    }
}

fn read_some(conn: &mut Conn, buf: &mut [u8], wait: Wait) -> Result<usize, FetchError> {
    loop {
        match conn.read(buf, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FetchError::of_connection(error, Phase::Body)),
            Ok(count) => return Ok(count),
        }
    }
}

impl Drop for Received {
    /// Takes what has come already: if that is the rest, the connection can be used again. Else it is closed.
    fn drop(&mut self) {
        if self.home.is_some() && self.conn.is_some() && !std::thread::panicking() {
            self.drain(Wait::No);
        }
    }
}
