//! Where the body of a message ends, and what becomes of the connection behind it.
//!
//! Two programs that disagree on the end of a body take different bytes for the next request, which is how
//! requests are smuggled past a proxy. So whatever leaves room for two opinions is refused, also where
//! RFC 9112 says which of them to take.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};

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

/// Looks at a request's head. What its `Connection` header names, which is for this connection alone, is taken
/// out, save for what an upgrade is asked for by.
#[inline]
pub fn of_request(request: &mut Request<()>, max_body: u64) -> Result<Framing, BadMessage> {
    let version = request.version();
    let headers = request.headers_mut();
    let body = match explicit(headers, version)? {
        Some(BodyEnd::Length(length)) if length > max_body => return Err(BadMessage::BodyTooLong),
        Some(end) => end,
        None => BodyEnd::Length(0),
    };
    let keep_alive = connection(headers, version)?;
    let mut expectations = headers.get_all(EXPECT).iter();
    let expects = match expectations.next() {
        None => false,
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => true,
        Some(_) => return Err(BadMessage::Expectation),
    };
    if expectations.next().is_some() {
        return Err(BadMessage::Expectation);
    }
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
    let explicit = explicit(headers, version)?;
    let keep_alive = connection(headers, version)?;
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

/// The end that the headers tell of.
fn explicit(headers: &HeaderMap, version: Version) -> Result<Option<BodyEnd>, BadMessage> {
    let length = headers.get(CONTENT_LENGTH);
    match headers.get(TRANSFER_ENCODING) {
        None => match length {
            None => Ok(None),
            Some(length) => {
                if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
                    return Err(BadMessage::RepeatedContentLength);
                }
                Ok(Some(BodyEnd::Length(number(length)?)))
            }
        },
        Some(_) if length.is_some() => Err(BadMessage::TwoLengths),
        Some(_) if version == Version::HTTP_10 => Err(BadMessage::TransferEncodingTooNew),
        Some(coding) => {
            if headers.get_all(TRANSFER_ENCODING).iter().nth(1).is_some() {
                return Err(BadMessage::TransferEncoding);
            }
            chunked(coding)?;
            Ok(Some(BodyEnd::Chunked))
        }
    }
}

/// Digits and nothing else.
fn number(value: &HeaderValue) -> Result<u64, BadMessage> {
    let digits = value.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadMessage::ContentLength);
    }
    str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or(BadMessage::ContentLength)
}

/// The one coding that is known here.
fn chunked(codings: &HeaderValue) -> Result<(), BadMessage> {
    let value = codings.as_bytes();
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

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| super::scan::is_token(byte))
}

/// Whether the connection stays open. Takes out the headers that are for it alone.
fn connection(headers: &mut HeaderMap, version: Version) -> Result<bool, BadMessage> {
    if !headers.contains_key(CONNECTION) {
        return Ok(version != Version::HTTP_10);
    }
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
