//! Requests that are looked at where they have been received.
//!
//! The types of the crate `http` are what costs most of a request that asks for little: a URI, a map of headers,
//! counts of who holds on to the memory. This goes without.

use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

use super::head::{Field, RequestLine};

/// What looks at plain requests first.
pub(super) type Shortcut = Box<dyn Fn(&RawHead<'_>) -> Option<RawAnswer> + Send + Sync>;

/// The head of a request, as it has been received: what a [shortcut](super::HttpServer::shortcut) looks at.
///
/// It has passed the same checks and limits as any other. It is one of HTTP/1.1 whose connection stays open and
/// that has no body, and its target begins with `/`.
///
/// ```
/// use actor_net::http::RawHead;
///
/// fn wants_plain_text(head: &RawHead<'_>) -> bool {
///     head.method() == b"GET" && head.target() == b"/health" && head.header("accept") == Some(b"text/plain")
/// }
/// ```
#[derive(Clone, Copy)]
pub struct RawHead<'a> {
    head: &'a [u8],
    line: &'a RequestLine,
    fields: &'a [Field],
}

impl<'a> RawHead<'a> {
    #[inline]
    pub(super) fn new(head: &'a [u8], line: &'a RequestLine, fields: &'a [Field]) -> Self {
        RawHead { head, line, fields }
    }

    /// The method, which may be any, in the case in which it has been sent.
    ///
    /// ```
    /// fn is_get(head: &actor_net::http::RawHead<'_>) -> bool {
    ///     head.method() == b"GET"
    /// }
    /// ```
    #[inline]
    pub fn method(&self) -> &'a [u8] {
        &self.head[..self.line.method]
    }

    /// The path, and the query if there is one, as they have been sent: nothing in them is decoded.
    ///
    /// ```
    /// fn is_of_app(head: &actor_net::http::RawHead<'_>) -> bool {
    ///     head.target().starts_with(b"/app/")
    /// }
    /// ```
    #[inline]
    pub fn target(&self) -> &'a [u8] {
        &self.head[self.line.target()]
    }

    /// The value of the first header of this name, in whichever case. It may have any bytes but control characters.
    ///
    /// ```
    /// fn is_ours(head: &actor_net::http::RawHead<'_>) -> bool {
    ///     head.header("host") == Some(b"example.com")
    /// }
    /// ```
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let is_it = |(n, _): &(&[u8], _)| n.eq_ignore_ascii_case(name.as_bytes());
        self.headers().find(is_it).map(|(_, value)| value)
    }

    /// All headers, name and value, in the order and the case in which they have been sent.
    ///
    /// ```
    /// fn count(head: &actor_net::http::RawHead<'_>) -> usize {
    ///     head.headers().count()
    /// }
    /// ```
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let head = self.head;
        let fields = self.fields.iter();
        fields.map(move |field| (&head[field.name()], &head[field.value()]))
    }
}

impl fmt::Debug for RawHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawHead")
            .field("method", &self.method().escape_ascii().to_string())
            .field("target", &self.target().escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// What a [shortcut](super::HttpServer::shortcut) answers. `Content-Length` and `Date` are added to the headers.
///
/// ```
/// use actor_net::http::{Bytes, HeaderName, HeaderValue, RawAnswer, StatusCode};
///
/// static TEXT: [(HeaderName, HeaderValue); 1] =
///     [(HeaderName::from_static("content-type"), HeaderValue::from_static("text/plain"))];
///
/// let answer = RawAnswer {
///     status: StatusCode::OK,
///     headers: &TEXT,
///     body: Bytes::from_static(b"hello"),
/// };
/// ```
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// The status, which is to be a final one: with one below 200 the client is answered with 500.
    pub status: StatusCode,
    /// Headers, which are the same each time.
    pub headers: &'static [(HeaderName, HeaderValue)],
    /// The body.
    pub body: Bytes,
}
