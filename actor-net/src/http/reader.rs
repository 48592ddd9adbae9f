//! The requests of a connection, out of the bytes that come in.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Request};

use super::chunk::{ChunkDecoder, Piece};
use super::error::BadMessage;
use super::framing::{self, BodyEnd, Framing};
use super::head;
use super::limits::Limits;
use super::raw::RawHead;
use super::scan::HeadScan;

/// What comes next on a connection. After a head comes its body, which may have no data but has an end.
#[derive(Debug)]
pub enum Event {
    /// The head of a request, which the request given has been filled with.
    Head(Framing),
    /// Some of its body; never empty.
    Data(Bytes),
    /// The end of its body, with the trailers.
    End(HeaderMap),
}

/// Takes requests apart, one after the other. Does no input of its own.
#[derive(Debug, Default)]
pub struct RequestReader {
    state: State,
    /// No request follows the current one.
    last: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadScan),
    /// In a body, of which so much is to come.
    Length(u64),
    /// In a box, since connections are idle in the first state.
    Chunked(Box<ChunkDecoder>),
    /// Whatever comes is not for us.
    Over,
    Failed(BadMessage),
}

impl Default for State {
    fn default() -> Self {
        State::Head(HeadScan::default())
    }
}

impl RequestReader {
    /// Takes what comes next off the front of the input, without a copy; `None` if more is to come for that. What
    /// is not taken is to be given again. `request` is filled with the next head, save for its body and extensions;
    /// its headers are to be empty, and their memory is used. So nothing large is handed from one to the next.
    ///
    /// After an error it stays with it: where the next request would begin is not known.
    #[inline]
    pub fn next<T>(
        &mut self,
        input: &mut BytesMut,
        request: &mut Request<T>,
        limits: &Limits,
    ) -> Result<Option<Event>, BadMessage> {
        let State::Head(scan) = &mut self.state else {
            return self.body(input, limits);
        };
        match Self::head(scan, input, request, limits) {
            Ok(Some(framing)) => {
                self.state = match framing.body {
                    BodyEnd::Chunked => State::Chunked(Box::default()),
                    BodyEnd::Length(length) => State::Length(length),
                    // No request's does.
                    BodyEnd::Close => State::Over,
                };
                self.last = !framing.keep_alive;
                Ok(Some(Event::Head(framing)))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                request.headers_mut().clear();
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// Takes what comes next of the body of the current request, as [`next`](Self::next) does; `None` also if
    /// there is no current request.
    pub(super) fn body(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<Event>, BadMessage> {
        let event = match &mut self.state {
            State::Head(_) | State::Over => Ok(None),
            State::Length(0) => {
                self.end_body();
                Ok(Some(Event::End(HeaderMap::new())))
            }
            State::Length(_) if input.is_empty() => Ok(None),
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX);
                let data = input.split_to(here.min(input.len()));
                *left -= data.len() as u64;
                Ok(Some(Event::Data(data.freeze())))
            }
            State::Chunked(decoder) => match Self::chunk(decoder, input, limits) {
                Ok(Some(event)) => {
                    if let Event::End(_) = event {
                        self.end_body();
                    }
                    Ok(Some(event))
                }
                other => other,
            },
            State::Failed(error) => Err(*error),
        };
        if let Err(error) = event {
            self.state = State::Failed(error);
        }
        event
    }

    /// Shows the next head to `look` where it is, if it has come in one piece and is plain: one of HTTP/1.1, of no
    /// body, whose connection stays open. What `look` gives something for is taken off the input; anything else is
    /// for [`next`](Self::next).
    #[inline]
    pub fn show<R>(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
        look: impl FnOnce(&RawHead<'_>) -> Option<R>,
    ) -> Option<R> {
        let State::Head(scan) = &self.state else {
            return None;
        };
        let (seen, end) = head::show_request(scan, input, limits, look)?;
        input.advance(end);
        Some(seen)
    }

    /// Takes the whole body of the current request, where its length was said in advance and all of it has come;
    /// its end comes as no event then.
    #[inline]
    pub fn whole_body(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        let State::Length(length) = self.state else {
            return None;
        };
        let length = usize::try_from(length).ok()?;
        if length > input.len() {
            return None;
        }
        self.end_body();
        Some(match length {
            0 => Bytes::new(),
            _ => input.split_to(length).freeze(),
        })
    }

    /// Whether it is between two requests, or before the first.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Whether nothing has been seen of the next head, so that there is nothing to be done before something comes.
    #[inline]
    pub(super) fn is_between(&self) -> bool {
        matches!(&self.state, State::Head(scan) if scan.is_new())
    }

    /// Whether it is in the middle of something, of which more may be on its way.
    pub(super) fn is_amid(&self) -> bool {
        matches!(
            self.state,
            State::Length(1..) | State::Chunked(_) | State::Failed(_)
        )
    }

    /// Whether no more requests come from this.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::Failed(_))
    }

    /// Takes no request behind the current one, or any more if there is none.
    pub fn close(&mut self) {
        self.last = true;
        if self.is_idle() {
            self.state = State::Over;
        }
    }

    #[inline]
    fn end_body(&mut self) {
        self.state = match self.last {
            true => State::Over,
            false => State::default(),
        };
    }

    #[inline]
    fn head<T>(
        scan: &mut HeadScan,
        input: &mut BytesMut,
        request: &mut Request<T>,
        limits: &Limits,
    ) -> Result<Option<Framing>, BadMessage> {
        debug_assert!(request.headers().is_empty());
        match head::take_request(scan, input, request, limits)? {
            Some(notes) => framing::of_request(request, &notes, limits.body).map(Some),
            None => Ok(None),
        }
    }

    fn chunk(
        decoder: &mut ChunkDecoder,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<Event>, BadMessage> {
        let mut rest = &input[..];
        let piece = decoder.decode(&mut rest, limits);
        let taken = input.len() - rest.len();
        match piece? {
            Piece::Data(data) => {
                // The data is the last of what has been taken.
                let lines = taken - data.len();
                let mut data = input.split_to(taken);
                data.advance(lines);
                Ok(Some(Event::Data(data.freeze())))
            }
            Piece::More => {
                input.advance(taken);
                Ok(None)
            }
            Piece::End(trailers) => {
                input.advance(taken);
                Ok(Some(Event::End(trailers)))
            }
        }
    }
}
