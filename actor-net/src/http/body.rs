//! [`Body`].

use std::fmt;
use std::io::{self, Read};
use std::mem;
#[cfg(feature = "tower")]
use std::time::Duration;

use actor_core::reactor::Source;
use actor_io::fs::File;
use bytes::{Buf, Bytes};
use http::HeaderMap;

use super::channel;
use super::client::Reply;
use super::files::region::Regions;
use super::incoming::Incoming;
#[cfg(feature = "tower")]
use super::incoming::Piece;

/// The body of a request or a response: bytes, or something to read them from.
///
/// That of a request is read where it is needed, and as fast as it is: what nobody reads stays with the
/// client, or is thrown away if there is little of it. A body that is larger than what has come with its head
/// is read from the connection: reading waits for the client then, as any read from a socket does.
///
/// # Errors
///
/// Reading fails with [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the client goes away in the middle,
/// with [`TimedOut`](io::ErrorKind::TimedOut) when it is [too slow](super::Limits::body_rate), and with
/// [`InvalidData`](io::ErrorKind::InvalidData) and a [`BadMessage`](super::BadMessage) inside for a body that is
/// malformed or too long. Whatever the handler returns after that, the client is told what it has done wrong.
///
/// ```
/// use actor_net::http::Body;
/// use std::io::Read;
///
/// let mut text = String::new();
/// Body::from("hello").read_to_string(&mut text).unwrap();
/// assert_eq!(text, "hello");
/// ```
#[derive(Default)]
pub struct Body(pub(super) Kind);

/// What a body is made of.
#[derive(Default)]
pub(super) enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    /// That of a request which is still to come.
    Incoming(Box<Incoming>),
    /// That of an answer, from a client.
    Reply(Reply),
    /// Perhaps of a length that is known.
    Reader(Box<dyn Read + Send>, Option<u64>),
    /// Parts of files.
    Regions(Box<Regions>),
    /// What somebody else writes meanwhile.
    Channel(Box<channel::Reader>),
    /// Behind which something comes.
    Trailed(Box<Trailed>),
    /// What a service has made.
    #[cfg(feature = "tower")]
    Frames(Box<dyn Frames>),
}

/// A body that comes in pieces of its own, and has somebody to be looked after meanwhile.
#[cfg(feature = "tower")]
pub(super) trait Frames: Read + Send {
    fn size(&self) -> Option<u64>;

    /// The next piece. Calls `before_waiting` once if it has to wait.
    fn next(&mut self, before_waiting: &mut dyn FnMut() -> io::Result<()>) -> io::Result<Piece>;

    /// What comes behind the data, for who reads it.
    fn trailers(&mut self) -> HeaderMap;

    /// When all has been written: looks after whoever still wants it, if he lets no more than so much time pass. Calls
    /// `before_waiting` if there is somebody.
    fn finish(
        self: Box<Self>,
        patience: Duration,
        before_waiting: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()>;
}

/// A body with trailers.
pub(super) struct Trailed {
    body: Kind,
    /// Asked for them at the end.
    trailers: Option<Box<dyn FnOnce() -> HeaderMap + Send>>,
}

impl Body {
    /// No bytes at all.
    ///
    /// ```
    /// assert_eq!(actor_net::http::Body::empty().size(), Some(0));
    /// ```
    pub fn empty() -> Self {
        Body::default()
    }

    /// What `reader` gives, piece by piece: each is sent as soon as it has been read. So a response may take
    /// as long as it likes, and its connection holds a stack until then.
    ///
    /// ```
    /// use actor_net::http::{Body, Request, Response};
    /// use std::fs::File;
    ///
    /// fn handler(_: Request<Body>) -> std::io::Result<Response<Body>> {
    ///     Ok(Response::new(Body::from_reader(File::open("large")?)))
    /// }
    /// ```
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Body(Kind::Reader(Box::new(reader), None))
    }

    /// As [`from_reader`](Self::from_reader), for a reader that gives so many bytes. It is not asked for more;
    /// if it gives less the connection is closed, which shows the client that something is missing.
    ///
    /// ```
    /// use actor_net::http::Body;
    ///
    /// assert_eq!(Body::from_sized_reader(&b"hello"[..], 5).size(), Some(5));
    /// ```
    pub fn from_sized_reader(reader: impl Read + Send + 'static, size: u64) -> Self {
        Body(Kind::Reader(Box::new(reader), Some(size)))
    }

    /// `len` bytes of a file, from `offset` on. On a connection that is not encrypted they go from the system's cache
    /// to the socket directly, in slices between which others have their turns; what must come from the disk first is
    /// brought by a thread of the pool.
    ///
    /// A file that turns out to be shorter when its turn comes ends the connection, which shows the client that
    /// something is missing. See [`Files`](super::Files) for a whole tree of them.
    ///
    /// ```
    /// use actor_io::fs::File;
    /// use actor_net::http::{Body, Request, Response};
    /// use std::io;
    ///
    /// fn handler(_: Request<Body>) -> io::Result<Response<Body>> {
    ///     let file = File::open("large")?;
    ///     let len = file.metadata()?.len();
    ///     Ok(Response::new(Body::file(file, 0, len)))
    /// }
    /// ```
    pub fn file(file: impl Into<File>, offset: u64, len: u64) -> Self {
        Regions::of(file.into(), offset, len).into()
    }

    /// How many bytes there are, if that is known.
    ///
    /// ```
    /// assert_eq!(actor_net::http::Body::from("hello").size(), Some(5));
    /// ```
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Incoming(incoming) => incoming.left(),
            Kind::Reply(reply) => reply.left(),
            Kind::Reader(_, size) => *size,
            Kind::Regions(regions) => Some(regions.len()),
            Kind::Channel(_) => None,
            // Only what is chunked has something behind it.
            Kind::Trailed(_) => None,
            #[cfg(feature = "tower")]
            Kind::Frames(frames) => frames.size(),
        }
    }

    /// All of it, from here to its end. Without a copy, if it has come already: then it shares its memory with what
    /// came with it, 16 KiB and more, and who keeps a little of it for long keeps a copy instead.
    ///
    /// # Errors
    ///
    /// Those of [reading](Self).
    ///
    /// ```
    /// assert_eq!(actor_net::http::Body::from("hello").into_bytes().unwrap(), "hello");
    /// ```
    pub fn into_bytes(mut self) -> io::Result<Bytes> {
        match mem::take(&mut self.0) {
            Kind::Empty => Ok(Bytes::new()),
            Kind::Bytes(bytes) => Ok(bytes),
            kind => {
                let mut bytes = Vec::new();
                Body(kind).read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }

    /// What came behind a chunked body, once that has been read to its end.
    ///
    /// ```
    /// assert!(actor_net::http::Body::from("hello").trailers().is_none());
    /// ```
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match &self.0 {
            Kind::Incoming(incoming) => incoming.trailers(),
            Kind::Reply(reply) => reply.trailers(),
            _ => None,
        }
    }

    /// For the body of a response: sends headers behind it, which `trailers` is asked for when all of it has been read.
    ///
    /// Such a body is sent in chunks even if its length is known, since nothing can follow one of
    /// another kind. So the trailers are left out where the client speaks HTTP/1.0, where the response has a
    /// `Content-Length`, and of course where it has no body. Those are left out as well that no recipient
    /// may take from behind a body: whatever concerns the end of the message, where it goes, who
    /// may have it and how it is to be understood. Most clients look at no trailers at all; those that do
    /// may want to be told by a header `Trailer` which there will be.
    ///
    /// ```
    /// use actor_net::http::{Body, HeaderMap, HeaderValue, Request, Response};
    ///
    /// fn handler(_: Request<Body>) -> Response<Body> {
    ///     Response::new(Body::from("hello").with_trailers(|| {
    ///         let mut trailers = HeaderMap::new();
    ///         trailers.insert("x-checksum", HeaderValue::from_static("1234"));
    ///         trailers
    ///     }))
    /// }
    /// ```
    pub fn with_trailers(self, trailers: impl FnOnce() -> HeaderMap + Send + 'static) -> Self {
        Body(Kind::Trailed(Box::new(Trailed {
            body: self.0,
            trailers: Some(Box::new(trailers)),
        })))
    }

    /// What is to be sent behind it, once it has been read to its end.
    pub(super) fn take_trailers(&mut self) -> HeaderMap {
        match &mut self.0 {
            Kind::Trailed(trailed) => {
                let trailers = trailed.trailers.take();
                trailers.map_or_else(HeaderMap::new, |trailers| trailers())
            }
            #[cfg(feature = "tower")]
            Kind::Frames(frames) => frames.trailers(),
            _ => HeaderMap::new(),
        }
    }

    /// Whether reading it may take a while.
    pub(super) fn may_wait(&self) -> bool {
        self.0.may_wait()
    }

    /// Reads what is to be sent on `source`, and looks after that if it has to wait.
    pub(super) fn read_for(&mut self, buf: &mut [u8], source: &Source) -> io::Result<usize> {
        self.0.read_for(buf, source)
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Kind {
    fn may_wait(&self) -> bool {
        match self {
            // The disk is waited for, if at all, for a short while.
            Kind::Empty | Kind::Bytes(_) | Kind::Regions(_) => false,
            Kind::Incoming(_) | Kind::Reply(_) | Kind::Reader(..) | Kind::Channel(_) => true,
            Kind::Trailed(trailed) => trailed.body.may_wait(),
            #[cfg(feature = "tower")]
            Kind::Frames(_) => true,
        }
    }

    fn read_for(&mut self, buf: &mut [u8], source: &Source) -> io::Result<usize> {
        match self {
            Kind::Channel(reader) => reader.read_for(buf, source),
            Kind::Trailed(trailed) => trailed.body.read_for(buf, source),
            kind => kind.read(buf),
        }
    }
}

impl Read for Kind {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Kind::Empty => Ok(0),
            Kind::Bytes(bytes) => {
                let count = bytes.len().min(buf.len());
                bytes.copy_to_slice(&mut buf[..count]);
                Ok(count)
            }
            Kind::Incoming(incoming) => incoming.read(buf),
            Kind::Reply(reply) => reply.read(buf),
            Kind::Reader(reader, _) => reader.read(buf),
            Kind::Regions(regions) => regions.read(buf),
            Kind::Channel(reader) => reader.read(buf),
            Kind::Trailed(trailed) => trailed.body.read(buf),
            #[cfg(feature = "tower")]
            Kind::Frames(frames) => frames.read(buf),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl From<Regions> for Body {
    fn from(regions: Regions) -> Self {
        Body(Kind::Regions(Box::new(regions)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        match bytes.is_empty() {
            true => Body(Kind::Empty),
            false => Body(Kind::Bytes(bytes)),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Body::empty()
    }
}
