//! What a complete head says.
//!
//! `httparse` takes it apart; what it lets through, and what the names and values mean for the end of the
//! message, is looked at here and in [`framing`](super::framing). Targets and values are slices of the head,
//! not copies.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::Uri;
use http::{Method, Request, Response, StatusCode, Version};
use httparse::{Header, Status};

use super::error::BadMessage;

/// How many headers are parsed without an allocation.
const FEW: usize = 32;

/// The head of a request, which is `head` and nothing more, of so many header lines. `headers` is an empty map
/// whose memory is used again.
#[inline]
pub fn request(head: &Bytes, lines: usize, headers: HeaderMap) -> Result<Request<()>, BadMessage> {
    with_room(lines, |room| parse_request(head, headers, room))
}

/// The head of a response: as for a request.
pub fn response(
    head: &Bytes,
    lines: usize,
    headers: HeaderMap,
) -> Result<Response<()>, BadMessage> {
    with_room(lines, |room| parse_response(head, headers, room))
}

/// What comes behind a chunked body: lines of headers and the empty one.
pub(super) fn trailers(lines: &Bytes, count: usize) -> Result<HeaderMap, BadMessage> {
    let mut room = vec![httparse::EMPTY_HEADER; count];
    match httparse::parse_headers(lines, &mut room) {
        Ok(Status::Complete((length, parsed))) if length == lines.len() => {
            let mut headers = HeaderMap::with_capacity(count);
            for header in parsed {
                append(&mut headers, lines, header)?;
            }
            Ok(headers)
        }
        Ok(_) => Err(BadMessage::LineEnd),
        Err(error) => Err(error.into()),
    }
}

type Room<'r, 'b> = &'r mut [MaybeUninit<Header<'b>>];

#[inline]
fn with_room<'b, T>(lines: usize, parse: impl FnOnce(Room<'_, 'b>) -> T) -> T {
    if lines <= FEW {
        parse(&mut [const { MaybeUninit::uninit() }; FEW])
    } else {
        let mut room = Vec::with_capacity(lines);
        parse(room.spare_capacity_mut())
    }
}

#[inline]
fn parse_request<'b>(
    head: &'b Bytes,
    mut headers: HeaderMap,
    room: Room<'_, 'b>,
) -> Result<Request<()>, BadMessage> {
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(head, room)?;
    // It ends where the scan has found the end, or the two do not mean the same by a line.
    if status != Status::Complete(head.len()) {
        return Err(BadMessage::LineEnd);
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(BadMessage::FirstLine);
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| BadMessage::FirstLine)?;
    let uri = uri(&method, target, head)?;
    let mut hosts = 0;
    headers.reserve(parsed.headers.len());
    for header in &*parsed.headers {
        let name = append(&mut headers, head, header)?;
        if name == HOST {
            hosts += 1;
            if hosts > 1 {
                return Err(BadMessage::RepeatedHost);
            }
            check_host(header.value)?;
        }
    }
    if hosts == 0 && minor == 1 {
        return Err(BadMessage::MissingHost);
    }
    if let Some(authority) = uri.authority() {
        // The target says whom it is for, whatever the header says.
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| BadMessage::Host)?;
        headers.insert(HOST, host);
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version(minor);
    *request.headers_mut() = headers;
    Ok(request)
}

fn parse_response<'b>(
    head: &'b Bytes,
    mut headers: HeaderMap,
    room: Room<'_, 'b>,
) -> Result<Response<()>, BadMessage> {
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        head,
        room,
    )?;
    if status != Status::Complete(head.len()) {
        return Err(BadMessage::LineEnd);
    }
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(BadMessage::FirstLine);
    };
    let code = StatusCode::from_u16(code).map_err(|_| BadMessage::FirstLine)?;
    headers.reserve(parsed.headers.len());
    for header in &*parsed.headers {
        append(&mut headers, head, header)?;
    }
    let mut response = Response::new(());
    *response.status_mut() = code;
    *response.version_mut() = version(minor);
    *response.headers_mut() = headers;
    Ok(response)
}

fn version(minor: u8) -> Version {
    match minor {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    }
}

fn append(
    headers: &mut HeaderMap,
    head: &Bytes,
    header: &Header<'_>,
) -> Result<HeaderName, BadMessage> {
    let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| BadMessage::Header)?;
    if matches!(name.as_str(), "content_length" | "transfer_encoding") {
        return Err(BadMessage::HeaderName);
    }
    let value = HeaderValue::from_maybe_shared(head.slice_ref(header.value))
        .map_err(|_| BadMessage::Header)?;
    headers
        .try_append(name.clone(), value)
        .map_err(|_| BadMessage::TooManyHeaders)?;
    Ok(name)
}

/// The target, in one of the forms that its method has.
fn uri(method: &Method, target: &str, head: &Bytes) -> Result<Uri, BadMessage> {
    if method == Method::CONNECT {
        return Err(BadMessage::MethodNotImplemented);
    }
    if !target.bytes().all(is_of_uri) {
        return Err(BadMessage::Target);
    }
    let shared = || head.slice_ref(target.as_bytes());
    if target.starts_with('/') {
        return Uri::from_maybe_shared(shared()).map_err(|_| BadMessage::Target);
    }
    if target == "*" {
        return match *method == Method::OPTIONS {
            true => Ok(Uri::from_static("*")),
            false => Err(BadMessage::Target),
        };
    }
    let uri = Uri::from_maybe_shared(shared()).map_err(|_| BadMessage::Target)?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(BadMessage::Target);
    };
    check_host(authority.as_str().as_bytes())?;
    Ok(uri)
}

/// Whether a byte may be in a target: it may be in a URI, and begins no fragment.
fn is_of_uri(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte)
}

/// A name or address, not empty, and perhaps a port.
fn check_host(host: &[u8]) -> Result<(), BadMessage> {
    let port = match host {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else {
                return Err(BadMessage::Host);
            };
            let address = str::from_utf8(&rest[..end]).map_err(|_| BadMessage::Host)?;
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(BadMessage::Host);
            }
            &rest[end + 1..]
        }
        _ => {
            let end = host.iter().position(|&byte| byte == b':');
            let (name, port) = host.split_at(end.unwrap_or(host.len()));
            if name.is_empty() || !name.iter().all(|&byte| is_of_name(byte)) {
                return Err(BadMessage::Host);
            }
            port
        }
    };
    match port {
        [] => Ok(()),
        [b':', digits @ ..] if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => Ok(()),
        _ => Err(BadMessage::Host),
    }
}

/// Whether a byte may be in the name of a host. A comma may be by the letter, but is taken for a list.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}

impl From<httparse::Error> for BadMessage {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::HeaderName | httparse::Error::HeaderValue => BadMessage::Header,
            httparse::Error::NewLine => BadMessage::LineEnd,
            httparse::Error::Token | httparse::Error::Status => BadMessage::FirstLine,
            httparse::Error::TooManyHeaders => BadMessage::TooManyHeaders,
            httparse::Error::Version => BadMessage::Version,
        }
    }
}
