//! Heads of responses.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{StatusCode, Version};

use super::{date, framing};

/// What matters for the answer of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// With `HEAD`, which wants the head of an answer alone.
    pub head: bool,
    /// Of the request.
    pub version: Version,
    /// Whether another request may follow.
    pub keep_alive: bool,
}

/// What is to follow a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The next answer.
    Nothing,
    /// So many bytes, neither more nor less.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All that there is, and then the end of the connection.
    Close,
}

/// How an answer goes on behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What is to follow.
    pub body: Body,
    /// Whether the connection stays open.
    pub keep_alive: bool,
}

/// Room for all of a head but the headers that are given.
const ROOM: usize = 256;

/// Writes the head of a response whose body has `size` bytes, if that is known.
///
/// How the body ends is decided here. Of what `headers` say of that, a `Content-Length` counts, and
/// `Connection: close`; what else they say of the connection counts only where it is upgraded.
pub fn response_head<'h>(
    status: StatusCode,
    headers: impl IntoIterator<Item = (&'h HeaderName, &'h HeaderValue)>,
    size: Option<u64>,
    asked: Asked,
    out: &mut Vec<u8>,
) -> Sent {
    out.reserve(ROOM);
    status_line(status, out);
    let interim = status.is_informational();
    let (mut length, mut closes, mut has_date) = (None, false, interim);
    // One pass over all costs less than to look for each of these.
    for (name, value) in headers {
        match name.as_str() {
            // Written below as it turns out to be. Of several, the first counts.
            "content-length" => length = length.or(Some(number(value))),
            "transfer-encoding" => {}
            "connection" if status == StatusCode::SWITCHING_PROTOCOLS => header(name, value, out),
            "connection" => closes |= is_close(value),
            "date" => {
                has_date = true;
                header(name, value, out);
            }
            _ => header(name, value, out),
        }
    }
    let length = length.flatten();
    let size = length.or(size);
    let body = if asked.head || framing::has_no_body(status) || status == StatusCode::RESET_CONTENT
    {
        Body::Nothing
    } else {
        match size {
            Some(size) => Body::Length(size),
            None if asked.version == Version::HTTP_10 => Body::Close,
            None => Body::Chunked,
        }
    };
    let keep_alive = asked.keep_alive && body != Body::Close && !closes;
    if !interim {
        if !keep_alive {
            out.extend_from_slice(b"connection: close\r\n");
        } else if asked.version == Version::HTTP_10 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
    }
    match body {
        Body::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Body::Length(size) => content_length(size, out),
        Body::Close => {}
        Body::Nothing => match size {
            _ if status == StatusCode::RESET_CONTENT => content_length(0, out),
            _ if status == StatusCode::NO_CONTENT || interim => {}
            // What a body would have here, if it had been asked for or had changed. That of a 304 is not known.
            _ if status == StatusCode::NOT_MODIFIED => {
                length
                    .into_iter()
                    .for_each(|size| content_length(size, out));
            }
            Some(size) => content_length(size, out),
            None => {}
        },
    }
    match has_date {
        true => out.extend_from_slice(b"\r\n"),
        false => date::end_head(out),
    }
    Sent { body, keep_alive }
}

/// Writes the head of a response behind which the connection is no longer one of HTTP.
pub(super) fn upgrade_head(status: StatusCode, headers: &HeaderMap, out: &mut Vec<u8>) {
    status_line(status, out);
    for (name, value) in headers {
        // It has no body. And of a tunnel there is nothing to be said of the connection.
        let is_of_connection = name == CONNECTION && status != StatusCode::SWITCHING_PROTOCOLS;
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING && !is_of_connection {
            header(name, value, out);
        }
    }
    if status == StatusCode::SWITCHING_PROTOCOLS && !headers.contains_key(CONNECTION) {
        out.extend_from_slice(b"connection: upgrade\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Tells a client to go on with its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[inline]
fn status_line(status: StatusCode, out: &mut Vec<u8>) {
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    other_status_line(status, out);
}

fn other_status_line(status: StatusCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    // There may be no reason, but there is a blank.
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a line with a header. Neither name nor value can have the end of a line in it.
#[inline]
pub(super) fn header(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    // Here once, and not for each part.
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn content_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// What a `Content-Length` says, if it is a number.
fn number(value: &HeaderValue) -> Option<u64> {
    let value = value.to_str().ok()?;
    match value.bytes().all(|byte| byte.is_ascii_digit()) {
        true => value.parse().ok(),
        false => None,
    }
}

/// Whether a `Connection` says so.
fn is_close(value: &HeaderValue) -> bool {
    let mut options = value.as_bytes().split(|&byte| byte == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests {
    use http::header::DATE;

    use super::*;

    const GET: Asked = Asked {
        head: false,
        version: Version::HTTP_11,
        keep_alive: true,
    };

    fn head(
        status: u16,
        given: &[(&str, &str)],
        size: Option<u64>,
        asked: Asked,
    ) -> (String, Sent) {
        let mut headers = HeaderMap::new();
        headers.append(DATE, HeaderValue::from_static("today"));
        for (name, value) in given {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let mut out = Vec::new();
        let status = StatusCode::from_u16(status).unwrap();
        let sent = response_head(status, &headers, size, asked, &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines = text.strip_suffix("\r\n\r\n").unwrap();
        (
            lines.replace("\r\ndate: today", "").replace("\r\n", "|"),
            sent,
        )
    }

    /// Status, headers, size, whether it was asked with `HEAD`; and what comes of it.
    #[test]
    fn the_head_says_where_the_body_ends() {
        type Given = (
            u16,
            &'static [(&'static str, &'static str)],
            Option<u64>,
            bool,
        );
        let cases: &[(Given, &str, Body)] = &[
            (
                (200, &[], Some(5), false),
                "HTTP/1.1 200 OK|content-length: 5",
                Body::Length(5),
            ),
            (
                (200, &[], Some(0), false),
                "HTTP/1.1 200 OK|content-length: 0",
                Body::Length(0),
            ),
            (
                (200, &[], None, false),
                "HTTP/1.1 200 OK|transfer-encoding: chunked",
                Body::Chunked,
            ),
            (
                (200, &[], Some(5), true),
                "HTTP/1.1 200 OK|content-length: 5",
                Body::Nothing,
            ),
            ((200, &[], None, true), "HTTP/1.1 200 OK", Body::Nothing),
            (
                (200, &[("content-length", "7")], Some(0), true),
                "HTTP/1.1 200 OK|content-length: 7",
                Body::Nothing,
            ),
            (
                (200, &[("content-length", "7")], None, false),
                "HTTP/1.1 200 OK|content-length: 7",
                Body::Length(7),
            ),
            // What a handler says in vain.
            (
                (
                    200,
                    &[("content-length", "+7"), ("transfer-encoding", "gzip")],
                    Some(5),
                    false,
                ),
                "HTTP/1.1 200 OK|content-length: 5",
                Body::Length(5),
            ),
            (
                (204, &[("content-length", "7")], Some(7), false),
                "HTTP/1.1 204 No Content",
                Body::Nothing,
            ),
            (
                (205, &[], Some(7), false),
                "HTTP/1.1 205 Reset Content|content-length: 0",
                Body::Nothing,
            ),
            (
                (304, &[], Some(0), false),
                "HTTP/1.1 304 Not Modified",
                Body::Nothing,
            ),
            (
                (304, &[("content-length", "7")], Some(0), false),
                "HTTP/1.1 304 Not Modified|content-length: 7",
                Body::Nothing,
            ),
            (
                (
                    101,
                    &[("connection", "upgrade"), ("upgrade", "websocket")],
                    Some(0),
                    false,
                ),
                "HTTP/1.1 101 Switching Protocols|connection: upgrade|upgrade: websocket",
                Body::Nothing,
            ),
            (
                (404, &[("x", "y")], Some(0), false),
                "HTTP/1.1 404 Not Found|x: y|content-length: 0",
                Body::Length(0),
            ),
            (
                (299, &[], Some(0), false),
                "HTTP/1.1 299 |content-length: 0",
                Body::Length(0),
            ),
        ];
        for &((status, given, size, is_head), text, body) in cases {
            let asked = Asked {
                head: is_head,
                ..GET
            };
            let sent = Sent {
                body,
                keep_alive: true,
            };
            assert_eq!(
                head(status, given, size, asked),
                (text.to_owned(), sent),
                "{status} {given:?}"
            );
        }
    }

    #[test]
    fn the_head_says_whether_the_connection_ends() {
        let http_10 = |keep_alive| Asked {
            version: Version::HTTP_10,
            keep_alive,
            ..GET
        };
        let last = Asked {
            keep_alive: false,
            ..GET
        };
        let close: &'static [_] = &[("connection", "x, Close")];
        type Given = (Option<u64>, &'static [(&'static str, &'static str)], Asked);
        let cases: &[(Given, &str, bool)] = &[
            ((Some(1), &[], GET), "content-length: 1", true),
            (
                (Some(1), &[], last),
                "connection: close|content-length: 1",
                false,
            ),
            (
                (Some(1), close, GET),
                "connection: close|content-length: 1",
                false,
            ),
            (
                (Some(1), &[("connection", "keep-alive")], last),
                "connection: close|content-length: 1",
                false,
            ),
            (
                (Some(1), &[], http_10(true)),
                "connection: keep-alive|content-length: 1",
                true,
            ),
            (
                (Some(1), &[], http_10(false)),
                "connection: close|content-length: 1",
                false,
            ),
            ((None, &[], http_10(true)), "connection: close", false),
        ];
        for &((size, given, asked), lines, keep_alive) in cases {
            let (text, sent) = head(200, given, size, asked);
            assert_eq!(text, format!("HTTP/1.1 200 OK|{lines}"));
            assert_eq!(sent.keep_alive, keep_alive);
        }
    }

    #[test]
    fn a_date_is_added_where_there_is_none() {
        let mut out = Vec::new();
        response_head(StatusCode::OK, &HeaderMap::new(), Some(0), GET, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("\r\ndate: ") && text.contains(" GMT\r\n"),
            "{text}"
        );
    }
}
