//! [`Body`].

use std::fmt;
use std::io::{self, Read};
use std::mem;

use bytes::{Buf, Bytes};
use http::HeaderMap;

use super::incoming::Incoming;

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
    /// Perhaps of a length that is known.
    Reader(Box<dyn Read + Send>, Option<u64>),
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
            Kind::Reader(_, size) => *size,
        }
    }

    /// All of it, from here to its end. Without a copy, if it has come already.
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
            _ => None,
        }
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Empty => Ok(0),
            Kind::Bytes(bytes) => {
                let count = bytes.len().min(buf.len());
                bytes.copy_to_slice(&mut buf[..count]);
                Ok(count)
            }
            Kind::Incoming(incoming) => incoming.read(buf),
            Kind::Reader(reader, _) => reader.read(buf),
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
