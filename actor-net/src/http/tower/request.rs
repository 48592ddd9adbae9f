//! The body of a request as a service reads it, and how it gets there.
//!
//! The service may read it anywhere, on a thread of its own for instance; but only the tasklet that serves the
//! connection touches the socket. So whoever polls for a piece asks for it, and wakes that tasklet, which
//! leaves one piece and wakes the reader in turn. What nobody asks for is not read, and stays with the client.

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actor_core::__private::Poller;
use actor_core::time;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;

use crate::http::body::{Body, Kind};
use crate::http::incoming::{Incoming, Piece};

/// The body of a request, for services.
///
/// What has come with the head is one frame. The rest is read from the connection when it is polled for, a
/// piece at a time, so a client is never further ahead than the buffers of the system. It can be
/// moved to another task or thread, and outlive the handler: then the connection is kept for it when the answer has been
/// sent, until it has been read or dropped, or has not been polled for as long as a client may take to read
/// ([`Limits::write_time`](crate::http::Limits::write_time)); unless the answer has no body, to a `HEAD` for instance, or
/// the server is to end.
///
/// # Errors
///
/// As reading a [`Body`](crate::http::Body) does: [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the client has gone,
/// [`TimedOut`](io::ErrorKind::TimedOut) when it is too slow, [`InvalidData`](io::ErrorKind::InvalidData) with a
/// [`BadMessage`](crate::http::BadMessage) inside for what is malformed or too long, after each of which the client is told so
/// whatever the service answers; and [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) when the connection has been ended
/// on this side. An error comes once, and then the end.
///
/// ```
/// use actor_net::http::tower::RequestBody;
/// use http_body::Body;
///
/// let body = RequestBody::from("hello");
/// assert_eq!(body.size_hint().exact(), Some(5));
/// ```
pub struct RequestBody(Content);

enum Content {
    Whole(Bytes),
    Asked(Arc<Shared>),
}

/// What the two ends of a body share.
#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// The piece that has been asked for.
    piece: Option<io::Result<Piece>>,
    is_wanted: bool,
    reader: Option<Waker>,
    server: Option<Waker>,
    /// How much is to come, if that is known.
    left: Option<u64>,
    /// Nobody serves it any more.
    is_cut: bool,
    /// The reader has had the last of it, or has dropped it.
    is_over: bool,
}

impl RequestBody {
    /// That of a request, and what serves it if it has not come completely.
    pub(super) fn of(body: Body) -> (RequestBody, Option<Feed>) {
        match body.0 {
            Kind::Empty => (RequestBody(Content::Whole(Bytes::new())), None),
            Kind::Bytes(bytes) => (RequestBody(Content::Whole(bytes)), None),
            Kind::Incoming(incoming) => {
                let shared = Arc::new(Shared(Mutex::new(State {
                    left: incoming.left(),
                    ..State::default()
                })));
                let body = RequestBody(Content::Asked(shared.clone()));
                (body, Some(Feed { incoming, shared }))
            }
            kind => {
                // No connection makes one of these, but who calls the handler might. It is read here, since that waits.
                let content = match Body(kind).into_bytes() {
                    Ok(bytes) => Content::Whole(bytes),
                    Err(error) => Content::Asked(Arc::new(Shared(Mutex::new(State {
                        piece: Some(Err(error)),
                        ..State::default()
                    })))),
                };
                (RequestBody(content), None)
            }
        }
    }
}

impl State {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.piece.take() {
            _ if self.is_over => Poll::Ready(None),
            Some(Ok(Piece::Data(data))) => {
                if let Some(left) = &mut self.left {
                    *left -= data.len() as u64;
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Ok(Piece::End(trailers))) => {
                self.is_over = true;
                let trailers = (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)));
                Poll::Ready(trailers)
            }
            Some(Err(error)) => {
                self.is_over = true;
                Poll::Ready(Some(Err(error)))
            }
            None if self.is_cut => {
                self.is_over = true;
                Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
            }
            None => {
                match &mut self.reader {
                    Some(reader) => reader.clone_from(context.waker()),
                    None => self.reader = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let shared = match &mut self.0 {
            Content::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Content::Whole(bytes) => return Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Content::Asked(shared) => shared,
        };
        let server = {
            let mut state = shared.0.lock();
            let polled = state.poll(context);
            if polled.is_ready() {
                return polled;
            }
            match mem::replace(&mut state.is_wanted, true) {
                true => None,
                false => state.server.clone(),
            }
        };
        // Not under the lock: it may be anybody's, as is the other.
        server.into_iter().for_each(Waker::wake);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Asked(shared) => shared.0.lock().is_over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Asked(shared) => {
                let left = shared.0.lock().left;
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Content::Asked(shared) = &self.0 {
            let (server, piece, reader) = {
                let mut state = shared.0.lock();
                state.is_over = true;
                state.is_wanted = false;
                (
                    state.server.clone(),
                    state.piece.take(),
                    state.reader.take(),
                )
            };
            drop((piece, reader));
            server.into_iter().for_each(Waker::wake);
        }
    }
}

/// For tests of services.
impl<T: Into<Bytes>> From<T> for RequestBody {
    fn from(bytes: T) -> Self {
        RequestBody(Content::Whole(bytes.into()))
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("size", &http_body::Body::size_hint(self).exact())
            .finish_non_exhaustive()
    }
}

/// What serves a body, with the tasklet of its connection.
pub(super) struct Feed {
    incoming: Box<Incoming>,
    shared: Arc<Shared>,
}

impl Feed {
    /// Whoever asks for a piece wakes this one.
    pub(super) fn serve_by(&self, server: &Waker) {
        let mut state = self.shared.0.lock();
        match &mut state.server {
            Some(old) => old.clone_from(server),
            None => state.server = Some(server.clone()),
        }
    }

    /// Whether nobody will ask for anything any more.
    pub(super) fn is_over(&self) -> bool {
        self.shared.0.lock().is_over
    }

    /// Gives what is asked for; waits for the client to send it, and for `poller` to be woken. Comes back when
    /// that has been.
    pub(super) fn serve(&mut self, poller: &Poller<'_>) {
        if self.give(poller) {
            poller.wait();
        }
    }

    /// The same until nobody will ask for anything any more, or nobody has for so long.
    pub(super) fn serve_to_the_end(&mut self, patience: Duration) {
        Poller::with(|poller| {
            self.serve_by(poller.waker());
            let until = || time::now().checked_add(patience);
            let mut deadline = until();
            while !self.is_over() {
                let is_wanted = self.shared.0.lock().is_wanted;
                // If it has been woken in the middle of that, somebody may have dropped what he had asked for.
                if self.give(poller) {
                    if is_wanted {
                        deadline = until();
                    }
                    if poller.wait_until(deadline).is_err() {
                        return;
                    }
                }
            }
        });
    }

    /// Gives what is asked for, and waits for the client to send it; `false` if `poller` has been woken before.
    fn give(&mut self, poller: &Poller<'_>) -> bool {
        while self.shared.0.lock().is_wanted {
            let piece = match self.incoming.next(poller) {
                Ok(None) => return false,
                Ok(Some(piece)) => Ok(piece),
                Err(error) => Err(error),
            };
            let reader = {
                let mut state = self.shared.0.lock();
                if mem::take(&mut state.is_wanted) {
                    state.piece = Some(piece);
                }
                state.reader.take()
            };
            reader.into_iter().for_each(Waker::wake);
        }
        true
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let reader = {
            let mut state = self.shared.0.lock();
            state.is_cut = true;
            state.server = None;
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }
}
