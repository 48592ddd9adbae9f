//! One request over one connection, as far as the head of its answer.

use std::io::{self, Read};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::conn::{Conn, Head};
use super::error::{FetchError, Phase};
use super::head::{self, Asked, Length};
use super::stream::Wait;
use super::timeouts::Clock;
use crate::http::Body;
use crate::http::body::Kind;
use crate::http::chunk;
use crate::http::limits::Limits;

/// How large a body may be that is copied behind its head.
const COPIED: usize = 8 * 1024;

/// How much is read at a time of a body that is a stream.
const PIECE: usize = 16 * 1024;

/// How many interim answers there may be.
pub(super) const INTERIM: usize = 32;

/// See the [module](self).
pub(super) struct Exchange<'a> {
    pub(super) conn: &'a mut Conn,
    pub(super) asked: &'a Asked<'a>,
    pub(super) clock: &'a Clock,
    pub(super) limits: &'a Limits,
    /// How long the server's consent to the body is waited for.
    pub(super) consent: Duration,
    /// Whether any of the body has been read, and so could not be sent again.
    pub(super) touched: bool,
    /// An answer that has come before the end of the request: what follows in the connection is its body.
    pub(super) early: Option<Box<Head>>,
}

/// Why the sending of a request has ended early.
enum Broken {
    /// The server has answered already, and does not want the rest.
    Answered(Box<Head>),
    /// The connection does not take it.
    Connection(io::Error),
    Failed(FetchError),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Connection(error)
    }
}

impl From<FetchError> for Broken {
    fn from(error: FetchError) -> Broken {
        Broken::Failed(error)
    }
}

impl Exchange<'_> {
    /// Sends the request, and receives the head of the answer.
    pub(super) fn run(&mut self, body: &mut Body) -> Result<Head, FetchError> {
        self.conn.begin();
        match self.send(body) {
            Ok(Some(head)) => Ok(*head),
            Ok(None) => self.answer(self.clock.wait(self.clock.limits.answer)),
            Err(Broken::Answered(mut head)) => {
                // The server waits for the rest of the body, and for nothing else.
                head.keep_alive = false;
                Ok(*head)
            }
            Err(Broken::Failed(error)) => Err(error),
            Err(Broken::Connection(error)) => self.last_words(error),
        }
    }

    /// Sends the request alone; the answer is for another to receive.
    pub(super) fn send_only(&mut self, body: &mut Body) -> Result<(), FetchError> {
        let mut out = Vec::with_capacity(512);
        head::write(self.asked, &mut out);
        let sent = match self.send_whole(body, out, false) {
            Ok(_) => return Ok(()),
            Err(Broken::Connection(error)) => FetchError::of_connection(error, Phase::Send),
            Err(Broken::Failed(error)) => error,
            // Nobody has looked for one.
            Err(Broken::Answered(_)) => FetchError::Closed(io::ErrorKind::BrokenPipe.into()),
        };
        Err(sent)
    }

    /// Gives the answer if that has come meanwhile.
    fn send(&mut self, body: &mut Body) -> Result<Option<Box<Head>>, Broken> {
        let mut out = Vec::with_capacity(512);
        head::write(self.asked, &mut out);
        if self.asked.expect {
            self.put(&out)?;
            out.clear();
            if let Some(head) = self.consent()? {
                return Err(Broken::Answered(Box::new(head)));
            }
        }
        self.send_whole(body, out, true)
    }

    /// Sends what is in `out`, and the body.
    fn send_whole(
        &mut self,
        body: &mut Body,
        mut out: Vec<u8>,
        listen: bool,
    ) -> Result<Option<Box<Head>>, Broken> {
        match (&body.0, self.asked.length) {
            (_, Length::None) | (Kind::Empty, _) => self.put(&out)?,
            (Kind::Bytes(bytes), _) if bytes.len() <= COPIED => {
                out.extend_from_slice(bytes);
                self.put(&out)?;
            }
            (Kind::Bytes(bytes), _) => {
                self.put(&out)?;
                let bytes = bytes.clone();
                self.put(&bytes)?;
            }
            _ => return self.pieces(body, out, listen),
        }
        Ok(None)
    }

    /// Sends a body as it is read.
    fn pieces(
        &mut self,
        body: &mut Body,
        mut out: Vec<u8>,
        listen: bool,
    ) -> Result<Option<Box<Head>>, Broken> {
        let is_chunked = self.asked.length == Length::Chunked;
        let mut left = match self.asked.length {
            Length::Known(length) => length,
            _ => u64::MAX,
        };
        let mut piece = vec![0; PIECE];
        // The reader may take its time.
        self.put(&out)?;
        while left > 0 {
            out.clear();
            let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            self.touched = true;
            let mut read = || body.read(&mut piece[..room]);
            let read = match self.clock.left(None) {
                None => read(),
                Some(left) => actor_core::timeout(left, read),
            };
            let count = match read {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && self.clock.is_over() => {
                    return Err(FetchError::TimedOut { phase: Phase::Send }.into());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(FetchError::Body(error).into()),
                Ok(0) if is_chunked => break,
                Ok(0) => {
                    let short = io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the body is shorter than its length says",
                    );
                    return Err(FetchError::Body(short).into());
                }
                Ok(count) => count,
            };
            left -= count as u64;
            if is_chunked {
                chunk::encode(&piece[..count], &mut out);
                self.put(&out)?;
            } else {
                self.put(&piece[..count])?;
            }
            if listen && self.early.is_none() {
                self.early = self.listen()?;
            }
        }
        if is_chunked {
            out.clear();
            let mut trailers = body.take_trailers();
            trailers.extend(body.trailers().cloned().unwrap_or_default());
            chunk::encode_end(&trailers, &mut out);
            self.put(&out)?;
        }
        Ok(self.early.take())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let clock = self.clock;
        self.conn.send(bytes, || clock.wait(clock.limits.write))
    }

    /// Whether the server has answered, although there is more to come. An answer that is no error is kept, and
    /// the rest sent.
    fn listen(&mut self) -> Result<Option<Box<Head>>, Broken> {
        match self.conn.receive(Wait::No) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            Ok(_) => {}
        }
        while let Some(head) = self.conn.try_head(self.asked.method, self.limits)? {
            let status = head.response.status();
            if status.is_informational() {
                self.check_interim(status)?;
            } else if status.is_success() && head.keep_alive {
                return Ok(Some(Box::new(head)));
            } else {
                return Err(Broken::Answered(Box::new(head)));
            }
        }
        Ok(None)
    }

    /// Waits until the server wants the body, or has had the time to say that it does not. An answer means that it
    /// does not.
    fn consent(&mut self) -> Result<Option<Head>, FetchError> {
        let wait = self.clock.wait(Some(self.consent));
        for _ in 0..INTERIM {
            match self.conn.head(self.asked.method, self.limits, wait) {
                Ok(head) if head.response.status() == StatusCode::CONTINUE => return Ok(None),
                Ok(head) if head.response.status().is_informational() => {
                    self.check_interim(head.response.status())?;
                }
                Ok(head) => return Ok(Some(head)),
                // There are servers that do not know of this. If the time is over altogether what comes next says so.
                Err(FetchError::TimedOut { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Err(FetchError::TooManyInterim)
    }

    /// The answer, behind what interim ones there are.
    fn answer(&mut self, wait: Wait) -> Result<Head, FetchError> {
        for _ in 0..INTERIM {
            let head = self.conn.head(self.asked.method, self.limits, wait)?;
            let status = head.response.status();
            if !status.is_informational()
                || (status == StatusCode::SWITCHING_PROTOCOLS && self.asked.upgrade)
            {
                return Ok(head);
            }
            self.check_interim(status)?;
        }
        Err(FetchError::TooManyInterim)
    }

    fn check_interim(&self, status: StatusCode) -> Result<(), FetchError> {
        match status {
            StatusCode::SWITCHING_PROTOCOLS => Err(FetchError::Upgraded),
            _ => Ok(()),
        }
    }

    /// What a server has to say that takes no more of the request: perhaps why.
    fn last_words(&mut self, error: io::Error) -> Result<Head, FetchError> {
        let error = FetchError::of_connection(error, Phase::Send);
        let answer = match (self.early.take(), error.is_timed_out()) {
            (Some(head), _) => Ok(*head),
            (None, true) => self.answer(Wait::No),
            (None, false) => self.answer(self.clock.wait(self.clock.limits.answer)),
        };
        match answer {
            Ok(mut head) => {
                head.keep_alive = false;
                Ok(head)
            }
            Err(_) if self.conn.heard => Err(error),
            Err(_) => Err(match error {
                FetchError::Io(error) => FetchError::Closed(error),
                error => error,
            }),
        }
    }
}

/// The headers of an answer that say how its body is encoded, which is undone.
#[cfg_attr(not(feature = "compression"), allow(dead_code))]
pub(super) fn forget_encoding(headers: &mut HeaderMap) {
    headers.remove(http::header::CONTENT_ENCODING);
    headers.remove(http::header::CONTENT_LENGTH);
}
