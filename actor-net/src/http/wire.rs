//! What goes out on a connection: finished answers are gathered, and go out together.

use std::io::{self, Read};

use actor_core::reactor::{Direction, Source};
use actor_core::time;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use rustix::net::SendFlags;

use super::body::{Body, Kind};
use super::chunk;
use super::encode::{self, Asked};
use super::limits::Limits;

/// How much is gathered before it is sent.
const GATHERED: usize = 16 * 1024;

/// How large a body may be that is copied behind its head.
const COPIED: usize = 8 * 1024;

/// How much is read at a time of a body that is a stream.
const PIECE: usize = 16 * 1024;

/// Answers on their way out.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
}

impl Output {
    /// One that gathers in this memory.
    pub(super) fn new(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Output { bytes }
    }

    /// What has not been sent.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Sends what has been gathered, waiting for room as long as the limits allow.
    pub(super) fn flush(&mut self, source: &Source, limits: &Limits) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let sent = send_all(source, &self.bytes, limits);
        self.bytes.clear();
        sent
    }

    /// Writes an answer, and sends what must not wait. Gives whether the connection stays open, and the headers,
    /// whose memory can be used again.
    #[inline]
    pub(super) fn answer(
        &mut self,
        response: Response<Body>,
        asked: Asked,
        source: &Source,
        limits: &Limits,
    ) -> io::Result<(bool, HeaderMap)> {
        let (parts, body) = response.into_parts();
        let sent = encode::response_head(
            parts.status,
            &parts.headers,
            body.size(),
            asked,
            &mut self.bytes,
        );
        let whole = self.body(body, sent.body, source, limits)?;
        if self.bytes.len() >= GATHERED {
            self.flush(source, limits)?;
        }
        let mut headers = parts.headers;
        headers.clear();
        Ok((sent.keep_alive && whole, headers))
    }

    /// Writes an answer of the server's own: its status, also in words.
    pub(super) fn brief(&mut self, status: StatusCode, asked: Asked) {
        let text = status.canonical_reason().unwrap_or_default();
        let mut headers = HeaderMap::new();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
        let size = Some(text.len() as u64);
        let sent = encode::response_head(status, &headers, size, asked, &mut self.bytes);
        if sent.body != encode::Body::Nothing {
            self.bytes.extend_from_slice(text.as_bytes());
        }
    }

    /// Writes a body; `false` if it was shorter than announced.
    fn body(
        &mut self,
        body: Body,
        announced: encode::Body,
        source: &Source,
        limits: &Limits,
    ) -> io::Result<bool> {
        let mut left = match announced {
            encode::Body::Nothing => return Ok(true),
            encode::Body::Length(length) => length,
            encode::Body::Chunked | encode::Body::Close => u64::MAX,
        };
        let is_chunked = announced == encode::Body::Chunked;
        match body.0 {
            Kind::Empty => {}
            // Its length is known, so it is never chunked.
            Kind::Bytes(bytes) => {
                let bytes = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
                left -= bytes.len() as u64;
                self.bytes_of_body(bytes, source, limits)?;
            }
            kind => {
                let mut body = Body(kind);
                let mut piece = vec![0; PIECE];
                while left > 0 {
                    let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
                    // The reader may take its time.
                    self.flush(source, limits)?;
                    let count = match body.read(&mut piece[..room]) {
                        Ok(count) => count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(error),
                    };
                    if count == 0 {
                        break;
                    }
                    left -= count as u64;
                    if is_chunked {
                        chunk::encode(&piece[..count], &mut self.bytes);
                    } else {
                        self.bytes.extend_from_slice(&piece[..count]);
                    }
                }
                if is_chunked {
                    chunk::encode_end(&HeaderMap::new(), &mut self.bytes);
                }
            }
        }
        if let encode::Body::Length(length) = announced
            && left > 0
        {
            tracing::warn!(
                length,
                missing = left,
                "a body is shorter than its length says"
            );
            return Ok(false);
        }
        Ok(true)
    }

    fn bytes_of_body(&mut self, bytes: &[u8], source: &Source, limits: &Limits) -> io::Result<()> {
        if bytes.len() <= COPIED {
            self.bytes.extend_from_slice(bytes);
            return Ok(());
        }
        // The system joins the two.
        let sent = send_with(source, &self.bytes, limits, SendFlags::MORE);
        self.bytes.clear();
        sent?;
        send_all(source, bytes, limits)
    }
}

/// Sends all of it, waiting for room.
pub(super) fn send_all(source: &Source, bytes: &[u8], limits: &Limits) -> io::Result<()> {
    send_with(source, bytes, limits, SendFlags::empty())
}

fn send_with(
    source: &Source,
    mut bytes: &[u8],
    limits: &Limits,
    flags: SendFlags,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let operation = |fd: std::os::fd::BorrowedFd<'_>| {
            Ok(rustix::net::send(fd, bytes, flags | SendFlags::NOSIGNAL)?)
        };
        let sent = match source.try_io_stream(Direction::Write, bytes.len(), operation) {
            // Only now is the clock of interest.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let deadline = time::now().checked_add(limits.write_time);
                source.io_stream(Direction::Write, deadline, bytes.len(), operation)
            }
            other => other,
        };
        match sent? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}
