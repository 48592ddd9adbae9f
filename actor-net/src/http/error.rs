//! [`BadMessage`].

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Why a message of HTTP/1.1 is not taken.
///
/// A server answers it with the [status](Self::status) and closes the connection, since where the next
/// message would begin cannot be known. A client fails with it.
///
/// ```
/// use actor_net::http::{BadMessage, StatusCode};
///
/// assert_eq!(BadMessage::RepeatedHost.status(), StatusCode::BAD_REQUEST);
/// assert_eq!(BadMessage::TargetTooLong.status(), StatusCode::URI_TOO_LONG);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BadMessage {
    /// The first line is none of a request, or of a response.
    FirstLine,
    /// The method is longer than [the limit](super::Limits::method).
    MethodTooLong,
    /// A method that a server which is no proxy has no use for: `CONNECT`, unless it is [let in](super::Limits::connect).
    MethodNotImplemented,
    /// The target is longer than [the limit](super::Limits::target).
    TargetTooLong,
    /// The target is none of the forms that there are, or has bytes that belong in no URI.
    Target,
    /// The version is not written as versions are.
    Version,
    /// A version other than 1.0 and 1.1.
    VersionNotSupported,
    /// A line does not end with CR LF, or one of the two is elsewhere.
    LineEnd,
    /// A line is no header: no name, no colon, a blank before the colon or at the beginning, or a byte that is
    /// not allowed.
    Header,
    /// A name that gateways to programs take for another that says where the body ends: `Content_Length`.
    HeaderName,
    /// There are more headers than [the limit](super::Limits::headers).
    TooManyHeaders,
    /// A header is longer than [the limit](super::Limits::header).
    HeaderTooLong,
    /// The head is longer than [the limit](super::Limits::head).
    HeadTooLong,
    /// There is no `Host`.
    MissingHost,
    /// There is more than one `Host`.
    RepeatedHost,
    /// `Host` is no host with a port, or the target has none.
    Host,
    /// `Connection` is no list of names, or names a header that is not for the connection alone: `Content-Length`,
    /// `Transfer-Encoding` or `Host`. A proxy that took it at its word would take away what says where the message
    /// ends or whom it is for. To name `TE` is no fault: RFC 9110, section 10.1.4, has whoever sends a `TE` do so,
    /// and like any header that is named it is taken out.
    Connection,
    /// `Expect` is for something other than `100-continue`.
    Expectation,
    /// `Content-Length` is no number.
    ContentLength,
    /// There is more than one `Content-Length`, be they equal or not, in a request or a response. RFC 9110,
    /// section 8.6, leaves it to the recipient to refuse equal ones or to take them for one. They are refused,
    /// since whoever has written two may have joined two messages, and to lose the connection is a small price.
    RepeatedContentLength,
    /// There is a `Content-Length` beside a `Transfer-Encoding`.
    TwoLengths,
    /// `Transfer-Encoding` is not a list of codings with `chunked` at its end, once.
    TransferEncoding,
    /// A `Transfer-Encoding` in a message of HTTP/1.0, which knows none.
    TransferEncodingTooNew,
    /// A coding other than `chunked`.
    CodingNotImplemented,
    /// The body is longer than [the limit](super::Limits::body).
    BodyTooLong,
    /// A request for a tunnel (`CONNECT`) with a body, which it cannot have.
    TunnelWithBody,
    /// The size of a chunk is not written as sizes are.
    ChunkSize,
    /// What follows the size of a chunk is no extension, or [too long](super::Limits::chunk_extension). Blanks
    /// around its `;` and `=` are not taken (in front of the first `;` they are a fault of the
    /// [size](Self::ChunkSize)): RFC 9112, section 7.1.1, has recipients tolerate them, but programs have disagreed
    /// on where such a line ends, and no known client sends any.
    ChunkExtension,
    /// The extensions of all chunks together are too long.
    ChunkExtensionsTooLong,
    /// A chunk does not end where its size says.
    ChunkEnd,
    /// There are more trailers than [the limit](super::Limits::trailers), or longer ones.
    TrailersTooLong,
}

impl BadMessage {
    /// What a server answers.
    ///
    /// ```
    /// use actor_net::http::{BadMessage, StatusCode};
    ///
    /// assert_eq!(BadMessage::BodyTooLong.status(), StatusCode::PAYLOAD_TOO_LARGE);
    /// ```
    pub fn status(self) -> StatusCode {
        use BadMessage::*;
        match self {
            FirstLine
            | Target
            | Version
            | LineEnd
            | Header
            | HeaderName
            | MissingHost
            | RepeatedHost
            | Host
            | Connection
            | ContentLength
            | RepeatedContentLength
            | TwoLengths
            | TransferEncoding
            | TransferEncodingTooNew
            | TunnelWithBody
            | ChunkSize
            | ChunkExtension
            | ChunkEnd => StatusCode::BAD_REQUEST,
            MethodTooLong | MethodNotImplemented | CodingNotImplemented => {
                StatusCode::NOT_IMPLEMENTED
            }
            TargetTooLong => StatusCode::URI_TOO_LONG,
            VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            TooManyHeaders | HeaderTooLong | HeadTooLong | TrailersTooLong => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Expectation => StatusCode::EXPECTATION_FAILED,
            BodyTooLong | ChunkExtensionsTooLong => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use BadMessage::*;
        f.write_str(match self {
            FirstLine => "the first line is malformed",
            MethodTooLong => "the method is too long",
            MethodNotImplemented => "the method is for proxies",
            TargetTooLong => "the target is too long",
            Target => "the target is malformed",
            Version => "the version is malformed",
            VersionNotSupported => "the version is not supported",
            LineEnd => "a line does not end with CR LF",
            Header => "a header is malformed",
            HeaderName => "the name of a header is misleading",
            TooManyHeaders => "there are too many headers",
            HeaderTooLong => "a header is too long",
            HeadTooLong => "the head is too long",
            MissingHost => "there is no host",
            RepeatedHost => "there is more than one host",
            Host => "the host is malformed",
            Connection => "the header connection names one that it may not",
            Expectation => "the expectation is unknown",
            ContentLength => "the length of the body is malformed",
            RepeatedContentLength => "the length of the body is given more than once",
            TwoLengths => "the body is chunked and has a length",
            TransferEncoding => "the codings of the body are malformed",
            TransferEncodingTooNew => "the version has no codings of the body",
            CodingNotImplemented => "the coding of the body is unknown",
            BodyTooLong => "the body is too long",
            TunnelWithBody => "a request for a tunnel has a body",
            ChunkSize => "the size of a chunk is malformed",
            ChunkExtension => "the extension of a chunk is malformed",
            ChunkExtensionsTooLong => "the extensions of the chunks are too long",
            ChunkEnd => "a chunk does not end where it is to",
            TrailersTooLong => "the trailers are too long",
        })
    }
}

impl Error for BadMessage {}
