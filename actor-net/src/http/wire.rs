//! What goes out on a connection: finished answers are gathered, and go out together.

use std::io;
use std::mem;

use actor_core::__private::begin_operation;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

#[cfg(feature = "tower")]
use super::body::Frames;
use super::body::{Body, Kind};
use super::chunk;
use super::encode::{self, Asked};
#[cfg(feature = "tower")]
use super::incoming::Piece;
use super::limits::Limits;
use super::raw::RawAnswer;
use super::stream::Stream;

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
    /// Forgets what has not been sent.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// How much memory it has.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// What has not been sent.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Sends what has been gathered, waiting for room as long as the limits allow.
    pub(super) fn flush(&mut self, stream: &Stream, limits: &Limits) -> io::Result<()> {
        if self.bytes.is_empty() && !stream.has_unsent() {
            return Ok(());
        }
        let sent = stream.send_all(&self.bytes, false, limits);
        self.bytes.clear();
        sent
    }

    /// Sends what there is room for, and does not wait. Whether the peer has gone is found out by whoever
    /// sends the rest, or receives.
    pub(super) fn try_flush(&mut self, stream: &Stream) {
        while !self.bytes.is_empty() {
            match stream.try_send(&self.bytes) {
                Ok(count @ 1..) => drop(self.bytes.drain(..count)),
                _ => return,
            }
        }
    }

    /// Writes an answer, and sends what must not wait. Gives whether the connection stays open. The body is taken out.
    #[inline]
    pub(super) fn answer(
        &mut self,
        response: &mut Response<Body>,
        asked: Asked,
        stream: &Stream,
        limits: &Limits,
    ) -> io::Result<bool> {
        let sent = encode::response_head(
            response.status(),
            response.headers(),
            response.body().size(),
            asked,
            &mut self.bytes,
        );
        let body = mem::take(response.body_mut());
        let whole = self.body(body, sent.body, stream, limits)?;
        if self.bytes.len() >= GATHERED {
            self.flush(stream, limits)?;
        }
        Ok(sent.keep_alive && whole)
    }

    /// The same for an answer of a shortcut.
    #[inline]
    pub(super) fn answer_raw(
        &mut self,
        answer: RawAnswer,
        asked: Asked,
        stream: &Stream,
        limits: &Limits,
    ) -> io::Result<bool> {
        let headers = answer.headers.iter().map(|(name, value)| (name, value));
        let size = Some(answer.body.len() as u64);
        let sent = encode::response_head(answer.status, headers, size, asked, &mut self.bytes);
        let whole = self.body(answer.body.into(), sent.body, stream, limits)?;
        if self.bytes.len() >= GATHERED {
            self.flush(stream, limits)?;
        }
        Ok(sent.keep_alive && whole)
    }

    /// Tells the client to go on with its body. Behind the head of the answer it would be taken for a part of that.
    pub(super) fn go_on(&mut self) {
        self.bytes.extend_from_slice(encode::CONTINUE);
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

    /// Writes an answer behind which the connection is no longer one of HTTP, and sends all.
    pub(super) fn upgrade(
        &mut self,
        response: &Response<Body>,
        stream: &Stream,
        limits: &Limits,
    ) -> io::Result<()> {
        encode::upgrade_head(response.status(), response.headers(), &mut self.bytes);
        self.flush(stream, limits)
    }

    /// Writes a body; `false` if it was shorter than announced.
    #[inline]
    fn body(
        &mut self,
        body: Body,
        announced: encode::Body,
        stream: &Stream,
        limits: &Limits,
    ) -> io::Result<bool> {
        if let (Kind::Bytes(bytes), encode::Body::Length(length)) = (&body.0, announced)
            && bytes.len() <= COPIED
            && bytes.len() as u64 == length
        {
            self.bytes.extend_from_slice(bytes);
            return Ok(true);
        }
        self.any_body(body, announced, stream, limits)
    }

    /// The same.
    fn any_body(
        &mut self,
        body: Body,
        announced: encode::Body,
        stream: &Stream,
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
                self.bytes_of_body(bytes, stream, limits)?;
            }
            #[cfg(feature = "tower")]
            Kind::Frames(mut frames) => {
                let trailers = self.frames(&mut *frames, &mut left, is_chunked, stream, limits)?;
                if is_chunked {
                    chunk::encode_end(&trailers, &mut self.bytes);
                }
                frames.finish(limits.write_time, &mut || self.flush(stream, limits))?;
            }
            // It has a length as well. What is to be encrypted must be read.
            Kind::Regions(regions) if !stream.is_encrypted() => {
                left -= regions.send(left, &mut self.bytes, stream, limits)?;
            }
            kind => {
                let mut body = Body(kind);
                let mut piece = vec![0; PIECE];
                while left > 0 {
                    let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
                    if body.may_wait() || self.bytes.len() >= GATHERED {
                        self.flush(stream, limits)?;
                    }
                    // There need not be a wait in all this, for the others' turn and for kills.
                    begin_operation()?;
                    let count = match body.read_for(&mut piece[..room], stream.source()) {
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
                    chunk::encode_end(&body.take_trailers(), &mut self.bytes);
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

    /// Writes a body that comes in pieces, at most `left` bytes; gives what comes behind them.
    #[cfg(feature = "tower")]
    fn frames(
        &mut self,
        frames: &mut dyn Frames,
        left: &mut u64,
        is_chunked: bool,
        stream: &Stream,
        limits: &Limits,
    ) -> io::Result<HeaderMap> {
        while *left > 0 {
            let mut data = match frames.next(&mut || self.flush(stream, limits))? {
                Piece::Data(data) => data,
                Piece::End(trailers) => return Ok(trailers),
            };
            data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            if data.is_empty() {
                continue;
            }
            *left -= data.len() as u64;
            if is_chunked {
                chunk::encode_size(data.len(), &mut self.bytes);
            }
            self.bytes_of_body(&data, stream, limits)?;
            if is_chunked {
                self.bytes.extend_from_slice(b"\r\n");
            }
            if self.bytes.len() >= GATHERED {
                self.flush(stream, limits)?;
            }
        }
        Ok(HeaderMap::new())
    }

    fn bytes_of_body(&mut self, bytes: &[u8], stream: &Stream, limits: &Limits) -> io::Result<()> {
        if bytes.len() <= COPIED {
            self.bytes.extend_from_slice(bytes);
            return Ok(());
        }
        // The system joins the two.
        let sent = stream.send_all(&self.bytes, true, limits);
        self.bytes.clear();
        sent?;
        stream.send_all(bytes, false, limits)
    }
}
