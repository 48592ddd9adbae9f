//! The body of an answer that a service has made.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actor_core::BoxError;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Response};

use super::drive;
use super::request::Feed;
use crate::http::body::{Body, Frames, Kind};
use crate::http::incoming::Piece;

/// How large a body may be that is taken at once, if it is there.
const AT_ONCE: u64 = 64 * 1024;

/// Makes the answer of a service one of ours. `feed` serves the body of the request, if somebody may still read that.
pub(super) fn answer<B>(response: Response<B>, is_head: bool, feed: Option<Feed>) -> Response<Body>
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    response.map(|body| {
        if feed.is_none() && body.is_end_stream() {
            return Body::empty();
        }
        let size = body.size_hint().exact();
        let at_once = feed.is_none() && !is_head && size.is_some_and(|size| size <= AT_ONCE);
        let mut answer = Answer {
            body: Box::pin(body),
            size,
            feed,
            ahead: None,
            rest: Bytes::new(),
            trailers: None,
        };
        if at_once {
            // Most often it is one frame, and nothing is behind it. If it is not there yet it is polled again
            // before anybody waits for it.
            let mut context = Context::from_waker(Waker::noop());
            match poll(answer.body.as_mut(), &mut context) {
                Poll::Ready(Ok(Piece::Data(data)))
                    if Some(data.len() as u64) == size && answer.body.is_end_stream() =>
                {
                    return data.into();
                }
                Poll::Ready(piece) => answer.ahead = Some(piece),
                Poll::Pending => {}
            }
        }
        Body(Kind::Frames(Box::new(answer)))
    })
}

/// See the [module](self).
struct Answer<B> {
    body: Pin<Box<B>>,
    size: Option<u64>,
    feed: Option<Feed>,
    /// What has been polled already.
    ahead: Option<io::Result<Piece>>,
    /// For who reads it otherwise than by pieces.
    rest: Bytes,
    trailers: Option<HeaderMap>,
}

fn poll<B>(mut body: Pin<&mut B>, context: &mut std::task::Context<'_>) -> Poll<io::Result<Piece>>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    loop {
        let Poll::Ready(frame) = body.as_mut().poll_frame(context) else {
            return Poll::Pending;
        };
        let piece = match frame {
            None => Piece::End(HeaderMap::new()),
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error.into()))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => Piece::Data(data.copy_to_bytes(data.remaining())),
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) => Piece::End(trailers),
                    // Of a kind that there was none of yet.
                    Err(_) => continue,
                },
            },
        };
        return Poll::Ready(Ok(piece));
    }
}

impl<B> Frames for Answer<B>
where
    B: http_body::Body + Send,
    B::Error: Into<BoxError>,
{
    fn size(&self) -> Option<u64> {
        self.size
    }

    fn next(&mut self, before_waiting: &mut dyn FnMut() -> io::Result<()>) -> io::Result<Piece> {
        if let Some(piece) = self.ahead.take() {
            return piece;
        }
        let body = &mut self.body;
        drive(&mut self.feed, before_waiting, |context| {
            poll(body.as_mut(), context)
        })?
    }

    fn trailers(&mut self) -> HeaderMap {
        self.trailers.take().unwrap_or_default()
    }

    fn finish(
        self: Box<Self>,
        patience: Duration,
        before_waiting: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        let Answer { body, feed, .. } = *self;
        // Most often it is what has the body of the request.
        drop(body);
        let Some(mut feed) = feed.filter(|feed| !feed.is_over()) else {
            return Ok(());
        };
        before_waiting()?;
        feed.serve_to_the_end(patience);
        Ok(())
    }
}

impl<B> Read for Answer<B>
where
    B: http_body::Body + Send,
    B::Error: Into<BoxError>,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && self.trailers.is_none() {
            match self.next(&mut || Ok(()))? {
                Piece::Data(data) => self.rest = data,
                Piece::End(trailers) => self.trailers = Some(trailers),
            }
        }
        let count = self.rest.len().min(buf.len());
        self.rest.copy_to_slice(&mut buf[..count]);
        Ok(count)
    }
}
