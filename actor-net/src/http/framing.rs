//! Where the body of a message ends, and what becomes of the connection behind it.
//!
//! Two programs that disagree on the end of a body take different bytes for the next request, which is how
//! requests are smuggled past a proxy. So whatever leaves room for two opinions is refused, also where
//! RFC 9112 says which of them to take.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};

use super::class::is_name;
use super::error::BadMessage;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// After so many bytes; there may be none.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// What the head of a request means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Where its body ends.
    pub body: BodyEnd,
    /// Whether another request may follow.
    pub keep_alive: bool,
    /// Whether the client waits to be told that it is to send the body.
    pub expects_continue: bool,
}

/// What the headers of a message say of its end and its connection, noted while they are read. To look them up
/// in the map costs more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notes {
    length: Option<Result<u64, BadMessage>>,
    /// `Transfer-Encoding`.
    coding: Option<Result<(), BadMessage>>,
    /// Whether there is a `Connection`.
    connection: bool,
    /// Whether there is an `Expect`, and one that is known.
    expects: Option<Result<(), BadMessage>>,
}

impl Notes {
    /// Takes note of a header.
    #[inline]
    pub(super) fn note(&mut self, name: &HeaderName, value: &[u8]) {
        // Names of which the crate `http` knows are numbers there, and cost nothing to compare.
        if *name == CONTENT_LENGTH {
            self.length = Some(match self.length {
                None => number(value),
                // Equal ones too, in requests and responses: `BadMessage` says why.
                Some(_) => Err(BadMessage::RepeatedContentLength),
            });
        } else if *name == TRANSFER_ENCODING {
            self.coding = Some(match self.coding {
                None => chunked(value),
                Some(_) => Err(BadMessage::TransferEncoding),
            });
        } else if *name == CONNECTION {
            self.connection = true;
        } else if *name == EXPECT {
            self.expects = Some(match self.expects {
                None if value.eq_ignore_ascii_case(b"100-continue") => Ok(()),
                _ => Err(BadMessage::Expectation),
            });
        }
    }

    fn of(headers: &HeaderMap) -> Self {
        let mut notes = Notes::default();
        for (name, value) in headers {
            notes.note(name, value.as_bytes());
        }
        notes
    }

    /// The end that the headers tell of.
    #[inline]
    fn end(&self, version: Version) -> Result<Option<BodyEnd>, BadMessage> {
        match (self.coding, self.length) {
            (None, None) => Ok(None),
            (None, Some(length)) => Ok(Some(BodyEnd::Length(length?))),
            (Some(_), Some(_)) => Err(BadMessage::TwoLengths),
            (Some(_), None) if version == Version::HTTP_10 => {
                Err(BadMessage::TransferEncodingTooNew)
            }
            (Some(coding), None) => coding.map(|()| Some(BodyEnd::Chunked)),
        }
    }

    /// Whether the connection stays open. Takes out the headers that are for it alone.
    #[inline]
    fn keeps(&self, headers: &mut HeaderMap, version: Version) -> Result<bool, BadMessage> {
        match self.connection {
            true => connection(headers, version),
            false => Ok(version != Version::HTTP_10),
        }
    }
}

/// Looks at a request's head, of which the notes are. What its `Connection` header names, which is for this
/// connection alone, is taken out, save for what an upgrade is asked for by.
#[inline]
pub(super) fn of_request<T>(
    request: &mut Request<T>,
    notes: &Notes,
    max_body: u64,
) -> Result<Framing, BadMessage> {
    let version = request.version();
    let is_tunnel = request.method() == Method::CONNECT;
    let body = match notes.end(version)? {
        // What follows belongs to the tunnel, or to the next request: it has no body to tell apart.
        Some(_) if is_tunnel => return Err(BadMessage::TunnelWithBody),
        Some(BodyEnd::Length(length)) if length > max_body => return Err(BadMessage::BodyTooLong),
        Some(end) => end,
        None => BodyEnd::Length(0),
    };
    let keep_alive = notes.keeps(request.headers_mut(), version)?;
    let expects = match notes.expects {
        None => false,
        Some(known) => known.map(|()| true)?,
    };
    Ok(Framing {
        body,
        keep_alive,
        // HTTP/1.0 has no interim answers, and who sends no body waits for none.
        expects_continue: expects && version == Version::HTTP_11 && body != BodyEnd::Length(0),
    })
}

/// Looks at a response's head: where its body ends, and whether another may follow on the connection.
pub fn of_response(
    response: &mut Response<()>,
    method: &Method,
) -> Result<(BodyEnd, bool), BadMessage> {
    let (version, status) = (response.version(), response.status());
    let headers = response.headers_mut();
    let notes = Notes::of(headers);
    let explicit = notes.end(version)?;
    let keep_alive = notes.keeps(headers, version)?;
    let body = if method == Method::HEAD || has_no_body(status) {
        BodyEnd::Length(0)
    } else if method == Method::CONNECT && status.is_success() {
        BodyEnd::Close
    } else {
        explicit.unwrap_or(BodyEnd::Close)
    };
    Ok((body, keep_alive && body != BodyEnd::Close))
}

/// Whether a response of this status never has a body.
pub(super) fn has_no_body(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// Digits and nothing else.
fn number(digits: &[u8]) -> Result<u64, BadMessage> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadMessage::ContentLength);
    }
    str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or(BadMessage::ContentLength)
}

/// The one coding that is known here.
fn chunked(value: &[u8]) -> Result<(), BadMessage> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let names: Vec<_> = value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .collect();
    if !names.iter().all(|name| is_name(name)) {
        return Err(BadMessage::TransferEncoding);
    }
    let is_chunked = |name: &&[u8]| name.eq_ignore_ascii_case(b"chunked");
    // `chunked` twice, or under something else, has no end that all agree on.
    match names.iter().position(is_chunked) {
        Some(at) if at + 1 < names.len() => Err(BadMessage::TransferEncoding),
        _ => Err(BadMessage::CodingNotImplemented),
    }
}

/// What `Connection` says.
fn connection(headers: &mut HeaderMap, version: Version) -> Result<bool, BadMessage> {
    let (mut close, mut keep) = (false, false);
    let mut named: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for option in value.as_bytes().split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            if option.eq_ignore_ascii_case(b"close") {
                close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                keep = true;
            } else if !option.is_empty() {
                let name = HeaderName::from_bytes(option).map_err(|_| BadMessage::Connection)?;
                if name == CONTENT_LENGTH || name == TRANSFER_ENCODING || name == HOST {
                    return Err(BadMessage::Connection);
                }
                if name != UPGRADE && name != CONNECTION {
                    named.push(name);
                }
            }
        }
    }
    for name in named {
        headers.remove(name);
    }
    Ok(!close && (version != Version::HTTP_10 || keep))
}
