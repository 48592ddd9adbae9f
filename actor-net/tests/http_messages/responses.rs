//! Responses, as a client reads them.

use actor_net::http::__private::{BodyEnd, Extent, FirstLine, HeadScan, of_response, response};
use actor_net::http::{BadMessage, HeaderMap, Limits, Method, StatusCode};
use bytes::Bytes;

pub(super) fn read_response(
    bytes: &[u8],
    method: Method,
) -> Result<(StatusCode, BodyEnd, bool), BadMessage> {
    let scan = HeadScan::default().find(bytes, FirstLine::Status, &Limits::default())?;
    let Extent {
        begin,
        end,
        headers,
    } = scan.expect("a whole head");
    let head = Bytes::copy_from_slice(&bytes[begin..end]);
    let mut response = response(&head, headers, HeaderMap::new())?;
    let (body, keep_alive) = of_response(&mut response, &method)?;
    Ok((response.status(), body, keep_alive))
}

#[test]
fn a_response_says_where_its_body_ends() {
    use BodyEnd::*;
    let cases: &[(&str, Method, u16, BodyEnd, bool)] = &[
        (
            "1.1 200 OK|content-length: 5",
            Method::GET,
            200,
            Length(5),
            true,
        ),
        (
            "1.1 200 OK|content-length: 5",
            Method::HEAD,
            200,
            Length(0),
            true,
        ),
        (
            "1.1 200 OK|transfer-encoding: chunked",
            Method::GET,
            200,
            Chunked,
            true,
        ),
        ("1.1 200 OK", Method::GET, 200, Close, false),
        ("1.1 200 ", Method::GET, 200, Close, false),
        ("1.1 200", Method::GET, 200, Close, false),
        (
            "1.0 200 OK|content-length: 5",
            Method::GET,
            200,
            Length(5),
            false,
        ),
        (
            "1.0 200 OK|content-length: 5|connection: keep-alive",
            Method::GET,
            200,
            Length(5),
            true,
        ),
        (
            "1.1 200 OK|content-length: 5|connection: close",
            Method::GET,
            200,
            Length(5),
            false,
        ),
        ("1.1 204 No Content", Method::GET, 204, Length(0), true),
        (
            "1.1 304 Not Modified|content-length: 5",
            Method::GET,
            304,
            Length(0),
            true,
        ),
        ("1.1 100 Continue", Method::POST, 100, Length(0), true),
        (
            "1.1 200 OK|content-length: 5",
            Method::CONNECT,
            200,
            Close,
            false,
        ),
        (
            "1.1 403 Forbidden|content-length: 5",
            Method::CONNECT,
            403,
            Length(5),
            true,
        ),
    ];
    for (lines, method, status, body, keep_alive) in cases {
        let bytes = format!("HTTP/{}\r\n\r\n", lines.replace('|', "\r\n"));
        let read = read_response(bytes.as_bytes(), method.clone());
        let status = StatusCode::from_u16(*status).unwrap();
        assert_eq!(read, Ok((status, *body, *keep_alive)), "{lines}");
    }
}

#[test]
fn responses_that_are_refused() {
    use BadMessage::*;
    let cases: &[(&str, BadMessage)] = &[
        ("SSH-2.0-x\r\n\r\n", FirstLine),
        ("HTTP/2.0 200 OK\r\n\r\n", VersionNotSupported),
        ("HTTP/1.1\r\n\r\n", Version),
        ("HTTP/1.1 2x0 OK\r\n\r\n", FirstLine),
        ("HTTP/1.1 099 OK\r\n\r\n", FirstLine),
        ("HTTP/1.1 200 OK\n\r\n", LineEnd),
        ("HTTP/1.1 200 OK\r\nx : y\r\n\r\n", Header),
        ("HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n", Header),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            RepeatedContentLength,
        ),
        // Equal ones, which the standard would let pass.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
            RepeatedContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\n",
            ContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            TwoLengths,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            CodingNotImplemented,
        ),
    ];
    for &(bytes, error) in cases {
        assert_eq!(
            read_response(bytes.as_bytes(), Method::GET),
            Err(error),
            "{bytes:?}"
        );
    }
}
