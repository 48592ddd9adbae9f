//! What a complete head says.
//!
//! `httparse` takes it apart; what it lets through, and what the names and values mean for the end of the
//! message, is looked at here and in [`framing`](super::framing). Targets and values are slices of the head,
//! not copies.

use std::mem::{self, MaybeUninit};
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::Uri;
use http::{Method, Request, Response, StatusCode, Version};
use httparse::{Header, Status};

use super::class::{are_of_target, is_token, split_name};
use super::error::BadMessage;
use super::framing::Notes;
use super::limits::Limits;
use super::names::frequent;
use super::raw::RawHead;
use super::scan::{FirstLine, HeadScan, VERSION};

/// How many headers are parsed without an allocation.
const FEW: usize = 32;

/// Takes the head of a request off the front of the input; `None` if it has not come to its end. `request` is
/// filled with it, save for its body; its headers are to be empty, and their memory is used.
///
/// Nearly all heads come in one piece. So one is first parsed as if it were whole and good; only if that is
/// not so, it is looked through line by line, for what is wrong or how far it goes. Both come to the same.
#[inline]
pub(super) fn take_request<T>(
    scan: &mut HeadScan,
    input: &mut BytesMut,
    request: &mut Request<T>,
    limits: &Limits,
) -> Result<Option<Notes>, BadMessage> {
    if scan.is_new() {
        let mut room = [const { MaybeUninit::uninit() }; FEW];
        let mut fields = [const { MaybeUninit::uninit() }; FEW];
        if let Ok((line, fields)) = parse_request(input, &mut room, &mut fields, limits) {
            let head = input.split_to(line.end).freeze();
            return fill(request, head, &line, fields, limits.connect).map(Some);
        }
    }
    let Some(extent) = scan.find(input, FirstLine::Request, limits)? else {
        return Ok(None);
    };
    input.advance(extent.begin);
    let head = input.split_to(extent.end - extent.begin).freeze();
    let mut room = vec![MaybeUninit::uninit(); extent.headers];
    let mut fields = vec![MaybeUninit::uninit(); extent.headers];
    let (line, fields) = parse_request(&head, &mut room, &mut fields, limits)?;
    // It ends where the scan has found the end, or the two do not mean the same by a line.
    if line.end != head.len() {
        return Err(BadMessage::LineEnd);
    }
    fill(request, head, &line, fields, limits.connect).map(Some)
}

/// Shows the next head to `look`, if it has come in one piece and is plain: nothing in it decides over the body or
/// the connection, and there is nothing to refuse. What is not shown is for [`take_request`]. Gives what `look`
/// gives, and where the head ends.
#[inline]
pub(super) fn show_request<R>(
    scan: &HeadScan,
    input: &[u8],
    limits: &Limits,
    look: impl FnOnce(&RawHead<'_>) -> Option<R>,
) -> Option<(R, usize)> {
    if !scan.is_new() {
        return None;
    }
    let mut room = [const { MaybeUninit::uninit() }; FEW];
    let mut fields = [const { MaybeUninit::uninit() }; FEW];
    let (line, fields) = parse_request(input, &mut room, &mut fields, limits).ok()?;
    if !is_plain(input, &line, fields) {
        return None;
    }
    let seen = look(&RawHead::new(input, &line, fields))?;
    Some((seen, line.end))
}

/// Whether a head says no more than what is asked for. In doubt it does.
#[inline]
fn is_plain(head: &[u8], line: &RequestLine, fields: &[Field]) -> bool {
    let target = &head[line.target()];
    // Longer ones `Uri` may not take.
    if target[0] != b'/' || target.len() > 8 * 1024 || !are_of_target(target) {
        return false;
    }
    let mut has_host = false;
    for field in fields {
        let name = &head[field.name()];
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match name.len() {
            4 if is("host") => {
                if has_host || check_host(&head[field.value()]).is_err() {
                    return false;
                }
                has_host = true;
            }
            6 if is("expect") => return false,
            10 if is("connection") && !head[field.value()].eq_ignore_ascii_case(b"keep-alive") => {
                return false;
            }
            14 if is("content-length") || is("content_length") => return false,
            17 if is("transfer-encoding") || is("transfer_encoding") => return false,
            _ => {}
        }
    }
    has_host && line.minor == 1 && &head[..line.method] != b"CONNECT"
}

/// The head of a response, which is `head` and nothing more, of so many header lines. `headers` is an empty map
/// whose memory is used again.
pub fn response(
    head: &Bytes,
    lines: usize,
    headers: HeaderMap,
) -> Result<Response<()>, BadMessage> {
    if lines <= FEW {
        let mut room = [const { MaybeUninit::uninit() }; FEW];
        parse_response(head, headers, &mut room)
    } else {
        let mut room = vec![MaybeUninit::uninit(); lines];
        parse_response(head, headers, &mut room)
    }
}

/// What comes behind a chunked body: lines of headers and the empty one.
pub(super) fn trailers(lines: &Bytes, count: usize) -> Result<HeaderMap, BadMessage> {
    let mut room = vec![httparse::EMPTY_HEADER; count];
    match httparse::parse_headers(lines, &mut room) {
        Ok(Status::Complete((length, parsed))) if length == lines.len() => {
            let mut headers = HeaderMap::new();
            reserve(&mut headers, count)?;
            for header in parsed {
                append_parsed(&mut headers, lines, header)?;
            }
            Ok(headers)
        }
        Ok(_) => Err(BadMessage::LineEnd),
        Err(error) => Err(error.into()),
    }
}

type Room<'r, 'b> = &'r mut [MaybeUninit<Header<'b>>];

/// The first line of a request's head: how long its method is and its target, which is behind a blank.
#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) method: usize,
    target: usize,
    minor: u8,
    /// Where the whole head ends.
    pub(super) end: usize,
}

impl RequestLine {
    #[inline]
    pub(super) fn target(&self) -> Range<usize> {
        let begin = self.method + 1;
        begin..begin + self.target
    }
}

/// Where a header's name and value are, from the beginning of the head. The places of names and values outlive
/// the look at the input, of which a part is taken out then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Field {
    name: u32,
    name_end: u32,
    value: u32,
    value_end: u32,
}

impl Field {
    #[inline]
    pub(super) fn name(&self) -> Range<usize> {
        self.name as usize..self.name_end as usize
    }

    #[inline]
    pub(super) fn value(&self) -> Range<usize> {
        self.value as usize..self.value_end as usize
    }
}

/// How much of a head is looked at, whatever the limit is: places in it fit into 32 bits.
const MAX_HEAD: usize = u32::MAX as usize;

/// Parses a head, of which all is said to have come, with something behind it perhaps. It is held to the limits,
/// and to ends of lines that are CR LF. `httparse` takes a mere LF as well, and empty lines at the beginning.
#[inline]
fn parse_request<'b, 'f>(
    input: &'b [u8],
    room: Room<'_, 'b>,
    fields: &'f mut [MaybeUninit<Field>],
    limits: &Limits,
) -> Result<(RequestLine, &'f [Field]), BadMessage> {
    let seen = &input[..input.len().min(limits.head).min(MAX_HEAD)];
    if !seen.first().is_some_and(|&byte| is_token(byte)) {
        return Err(BadMessage::FirstLine);
    }
    let mut parsed = httparse::Request::new(&mut []);
    let Status::Complete(end) = parsed.parse_with_uninit_headers(seen, room)? else {
        return Err(BadMessage::LineEnd);
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(BadMessage::FirstLine);
    };
    let line = RequestLine {
        method: method.len(),
        target: target.len(),
        minor,
        end,
    };
    if line.method > limits.method {
        return Err(BadMessage::MethodTooLong);
    }
    if line.target > limits.target {
        return Err(BadMessage::TargetTooLong);
    }
    if parsed.headers.len() > limits.headers {
        return Err(BadMessage::TooManyHeaders);
    }
    let mut begin = line_end(seen, line.method + 1 + line.target + 1 + VERSION)?;
    let fields = &mut fields[..parsed.headers.len()];
    for (header, field) in parsed.headers.iter().zip(&mut *fields) {
        let value = (header.value.as_ptr() as usize).wrapping_sub(seen.as_ptr() as usize);
        let value_end = value.wrapping_add(header.value.len());
        let blanks = seen.get(value_end..).ok_or(BadMessage::LineEnd)?;
        field.write(Field {
            name: begin as u32,
            name_end: (begin + header.name.len()) as u32,
            value: value as u32,
            value_end: value_end as u32,
        });
        let blanks = blanks.iter().take_while(|&&byte| is_blank(byte)).count();
        let end = value_end + blanks;
        if end - begin > limits.header {
            return Err(BadMessage::HeaderTooLong);
        }
        begin = line_end(seen, end)?;
    }
    // SAFETY: the loop has come to its end, so each of them has been written. There are as many headers, or the
    // slice above would have failed.
    let fields = unsafe { fields.assume_init_ref() };
    match line_end(seen, begin)? == end {
        true => Ok((line, fields)),
        false => Err(BadMessage::LineEnd),
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// What is behind the end of a line, which is to be here.
#[inline]
fn line_end(head: &[u8], at: usize) -> Result<usize, BadMessage> {
    match head.get(at..at + 2) {
        Some(b"\r\n") => Ok(at + 2),
        _ => Err(BadMessage::LineEnd),
    }
}

/// Fills a request with a head that has been parsed. `connect` says whether it may ask for a tunnel.
#[inline]
fn fill<T>(
    request: &mut Request<T>,
    head: Bytes,
    line: &RequestLine,
    fields: &[Field],
    connect: bool,
) -> Result<Notes, BadMessage> {
    let method = Method::from_bytes(&head[..line.method]).map_err(|_| BadMessage::FirstLine)?;
    let uri = uri(&method, head.slice(line.target()), connect)?;
    let headers = request.headers_mut();
    let (mut notes, mut has_host) = (Notes::default(), false);
    let mut name_of = |field: &Field| {
        let (name, value) = (&head[field.name()], &head[field.value()]);
        let name = header_name(name)?;
        if name == HOST {
            if mem::replace(&mut has_host, true) {
                return Err(BadMessage::RepeatedHost);
            }
            check_host(value)?;
        } else {
            notes.note(&name, value);
        }
        Ok(name)
    };
    reserve(headers, fields.len())?;
    if let Some((last, others)) = fields.split_last() {
        for field in others {
            append(headers, name_of(field)?, head.slice(field.value()))?;
        }
        let name = name_of(last)?;
        // The last value takes the head's own share of the memory, so that there is one less to count.
        let mut value = head;
        let place = last.value();
        value.truncate(place.end);
        value.advance(place.start);
        append(headers, name, value)?;
    }
    if !has_host && line.minor == 1 {
        return Err(BadMessage::MissingHost);
    }
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version(line.minor);
    if let Some(authority) = request.uri().authority() {
        // The target says whom it is for, whatever the header says.
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| BadMessage::Host)?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(notes)
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
    reserve(&mut headers, parsed.headers.len())?;
    for header in &*parsed.headers {
        append_parsed(&mut headers, head, header)?;
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

/// Makes room, of which a map has a limit of its own: a limit of ours may be beyond it.
#[inline]
fn reserve(headers: &mut HeaderMap, count: usize) -> Result<(), BadMessage> {
    headers
        .try_reserve(count)
        .map_err(|_| BadMessage::TooManyHeaders)
}

#[inline]
fn header_name(name: &[u8]) -> Result<HeaderName, BadMessage> {
    if let Some(name) = frequent(name) {
        return Ok(name);
    }
    let name = HeaderName::from_bytes(name).map_err(|_| BadMessage::Header)?;
    match name.as_str() {
        "content_length" | "transfer_encoding" => Err(BadMessage::HeaderName),
        _ => Ok(name),
    }
}

#[inline]
fn append(headers: &mut HeaderMap, name: HeaderName, value: Bytes) -> Result<(), BadMessage> {
    let value = header_value(value)?;
    match headers.try_append(name, value) {
        Ok(_) => Ok(()),
        Err(_) => Err(BadMessage::TooManyHeaders),
    }
}

/// A value that `httparse` has let through.
#[inline]
fn header_value(value: Bytes) -> Result<HeaderValue, BadMessage> {
    if value.is_ascii() {
        // SAFETY: it is UTF-8, being ASCII. Nor has it any of the control characters that a value must not have:
        // `httparse` refuses what is below a blank, save for the tab, and DEL.
        return Ok(unsafe { HeaderValue::from_maybe_shared_unchecked(value) });
    }
    HeaderValue::from_maybe_shared(value).map_err(|_| BadMessage::Header)
}

/// Adds a header of a head that lives on.
fn append_parsed(
    headers: &mut HeaderMap,
    head: &Bytes,
    header: &Header<'_>,
) -> Result<(), BadMessage> {
    let name = header_name(header.name.as_bytes())?;
    append(headers, name, head.slice_ref(header.value))
}

/// The target, in one of the forms that its method has.
#[inline]
fn uri(method: &Method, target: Bytes, connect: bool) -> Result<Uri, BadMessage> {
    if *method == Method::CONNECT {
        return match connect {
            true => authority(target),
            false => Err(BadMessage::MethodNotImplemented),
        };
    }
    if !are_of_target(&target) {
        return Err(BadMessage::Target);
    }
    match &target[..] {
        [b'/', ..] => Uri::from_maybe_shared(target).map_err(|_| BadMessage::Target),
        b"*" if *method == Method::OPTIONS => Ok(Uri::from_static("*")),
        b"*" => Err(BadMessage::Target),
        _ => absolute(target),
    }
}

fn absolute(target: Bytes) -> Result<Uri, BadMessage> {
    let uri = Uri::from_maybe_shared(target).map_err(|_| BadMessage::Target)?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(BadMessage::Target);
    };
    check_host(authority.as_str().as_bytes())?;
    Ok(uri)
}

/// Whom a tunnel is to lead to: a host and a port, both of which must be there.
fn authority(target: Bytes) -> Result<Uri, BadMessage> {
    check_host(&target).map_err(|_| BadMessage::Target)?;
    let uri = Uri::from_maybe_shared(target).map_err(|_| BadMessage::Target)?;
    // Not zero, nor more than there are.
    match uri.port_u16() {
        None | Some(0) => Err(BadMessage::Target),
        Some(_) => Ok(uri),
    }
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
        _ => match split_name(host) {
            ([], _) => return Err(BadMessage::Host),
            (_, port) => port,
        },
    };
    match port {
        [] => Ok(()),
        [b':', digits @ ..] if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => Ok(()),
        _ => Err(BadMessage::Host),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are made without another look at them, so what is let through must be what a value may be.
    #[test]
    fn each_byte_in_a_value_is_refused_or_may_be_there() {
        for byte in 0..=u8::MAX {
            let value = [b"a".as_slice(), &[byte], b"b"].concat();
            let line = [b"x: ".as_slice(), &value, b"\r\n"].concat();
            let head = [b"GET / HTTP/1.1\r\nhost: a\r\n".as_slice(), &line, b"\r\n"].concat();
            let mut request = Request::new(());
            let mut input = BytesMut::from(&head[..]);
            let limits = Limits::default();
            let taken = take_request(&mut HeadScan::default(), &mut input, &mut request, &limits);
            let expected = HeaderValue::from_bytes(&value).ok();
            match taken {
                Ok(taken) => {
                    assert!(taken.is_some());
                    assert_eq!(request.headers().get("x"), expected.as_ref(), "{byte}");
                }
                Err(_) => assert_eq!(expected, None, "{byte}"),
            }
            let lines = Bytes::from([&line[..], b"\r\n"].concat());
            let trailers = trailers(&lines, 1).ok();
            assert_eq!(trailers.and_then(|mut map| map.remove("x")), expected);
        }
    }
}
