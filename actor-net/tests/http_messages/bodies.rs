//! Ends of bodies: the kinds of cases from 49 on.

use actor_net::http::__private::{Event, RequestReader};
use actor_net::http::{BadMessage, Limits, Request};
use bytes::BytesMut;

use super::{check_cuts, check_refused, chunked, read, read_whole, served, with};

#[test]
fn ends_of_bodies_that_are_refused() {
    use BadMessage::*;
    let extension = |length: usize| format!("5;{}\r\nhello\r\n", "x".repeat(length - 1));
    let many = [&extension(256).repeat(64)[..], "1;x\r\n"].concat();
    let trailers = |lines: usize| format!("0\r\n{}\r\n", "x: y\r\n".repeat(lines));
    let cases: &[(u32, Vec<u8>, BadMessage, u16)] = &[
        (
            49,
            with("Content-Length: 5\r\nContent-Length: 6"),
            RepeatedContentLength,
            400,
        ),
        (
            50,
            with("Content-Length: 5\r\nContent-Length: 5"),
            RepeatedContentLength,
            400,
        ),
        (51, with("Content-Length: 5, 5"), ContentLength, 400),
        (52, with("Content-Length: +5"), ContentLength, 400),
        (52, with("Content-Length: -1"), ContentLength, 400),
        (52, with("Content-Length: 0x5"), ContentLength, 400),
        (52, with("Content-Length: 5 5"), ContentLength, 400),
        (52, with("Content-Length: 5;"), ContentLength, 400),
        (53, with("Content-Length: "), ContentLength, 400),
        (
            54,
            with("Content-Length: 18446744073709551616"),
            ContentLength,
            400,
        ),
        (
            55,
            with("Content-Length: 18446744073709551615"),
            BodyTooLong,
            413,
        ),
        (55, with("Content-Length: 8388609"), BodyTooLong, 413),
        (
            56,
            with("Content-Length: 5\r\nTransfer-Encoding: chunked"),
            TwoLengths,
            400,
        ),
        (
            56,
            with("Transfer-Encoding: gzip\r\nContent-Length: 0"),
            TwoLengths,
            400,
        ),
        (
            57,
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            TransferEncodingTooNew,
            400,
        ),
        (
            58,
            with("Transfer-Encoding: xchunked"),
            CodingNotImplemented,
            501,
        ),
        (
            58,
            with("Transfer-Encoding: identity"),
            CodingNotImplemented,
            501,
        ),
        (
            58,
            with("Transfer-Encoding: gzip"),
            CodingNotImplemented,
            501,
        ),
        (
            59,
            with("Transfer-Encoding: chunked, chunked"),
            TransferEncoding,
            400,
        ),
        (
            59,
            with("Transfer-Encoding: chunked, gzip"),
            TransferEncoding,
            400,
        ),
        (
            59,
            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            TransferEncoding,
            400,
        ),
        (
            59,
            with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
            TransferEncoding,
            400,
        ),
        (
            59,
            with("Transfer-Encoding: chunked,"),
            TransferEncoding,
            400,
        ),
        (
            60,
            with("Transfer-Encoding: gzip, chunked"),
            CodingNotImplemented,
            501,
        ),
        (
            61,
            with("Transfer-Encoding: chunked;x=1"),
            TransferEncoding,
            400,
        ),
        (
            61,
            with("Transfer-Encoding: \"chunked\""),
            TransferEncoding,
            400,
        ),
        (61, with("Transfer-Encoding: \x0bchunked"), Header, 400),
        (61, with("Transfer-Encoding: "), TransferEncoding, 400),
        (64, chunked(b"\r\n"), ChunkSize, 400),
        (64, chunked(b"5\r\nhello\r\n\r\n"), ChunkSize, 400),
        (64, chunked(b";x\r\n"), ChunkSize, 400),
        (65, chunked(b"5 \r\nhello\r\n"), ChunkSize, 400),
        (65, chunked(b"5\t\r\nhello\r\n"), ChunkSize, 400),
        (65, chunked(b"5 ;x\r\nhello\r\n"), ChunkSize, 400),
        (66, chunked(b"0x5\r\nhello\r\n"), ChunkSize, 400),
        (66, chunked(b"+5\r\nhello\r\n"), ChunkSize, 400),
        (66, chunked(b"-5\r\nhello\r\n"), ChunkSize, 400),
        (66, chunked(b"5_0\r\nhello\r\n"), ChunkSize, 400),
        (66, chunked(b" 5\r\nhello\r\n"), ChunkSize, 400),
        (66, chunked(b"5\nhello\r\n"), ChunkSize, 400),
        (66, chunked(b"5\rhello\r\n"), ChunkSize, 400),
        (66, chunked(b"g\r\n"), ChunkSize, 400),
        (
            67,
            chunked(b"00000000000000005\r\nhello\r\n"),
            ChunkSize,
            400,
        ),
        (67, chunked(b"fffffffffffffffff\r\n"), ChunkSize, 400),
        (67, chunked(b"ffffffffffffffff\r\n"), BodyTooLong, 413),
        (67, chunked(b"800001\r\n"), BodyTooLong, 413),
        (
            67,
            chunked(b"1\r\na\r\nffffffffffffffff\r\n"),
            BodyTooLong,
            413,
        ),
        (67, chunked(b"1\r\na\r\n800000\r\n"), BodyTooLong, 413),
        (68, chunked(b"5;x\nhello\r\n"), ChunkExtension, 400),
        (68, chunked(b"5;x\0\r\nhello\r\n"), ChunkExtension, 400),
        (68, chunked(b"5;x\ry\r\nhello\r\n"), ChunkSize, 400),
        (68, chunked(b"5;\r\nhello\r\n"), ChunkExtension, 400),
        (68, chunked(b"5;x=\r\nhello\r\n"), ChunkExtension, 400),
        (68, chunked(b"5;=x\r\nhello\r\n"), ChunkExtension, 400),
        (
            68,
            chunked(b"5;x=\"\r\n\"\r\nhello\r\n"),
            ChunkExtension,
            400,
        ),
        (
            68,
            chunked(b"5;x=\"\\\n\"\r\nhello\r\n"),
            ChunkExtension,
            400,
        ),
        (68, chunked(b"5;x=\"a\"b\r\nhello\r\n"), ChunkExtension, 400),
        // Blanks, which the standard has recipients tolerate.
        (68, chunked(b"5; x\r\nhello\r\n"), ChunkExtension, 400),
        (68, chunked(b"5;x =y\r\nhello\r\n"), ChunkExtension, 400),
        (68, chunked(b"5;x= y\r\nhello\r\n"), ChunkExtension, 400),
        (68, chunked(b"5;x=y \r\nhello\r\n"), ChunkExtension, 400),
        (69, chunked(extension(257).as_bytes()), ChunkExtension, 400),
        (70, chunked(many.as_bytes()), ChunkExtensionsTooLong, 413),
        (71, chunked(b"5\r\nhelloX\r\n"), ChunkEnd, 400),
        (71, chunked(b"5\r\nhello\n0\r\n"), ChunkEnd, 400),
        (71, chunked(b"5\r\nhello\r0\r\n"), ChunkEnd, 400),
        (71, chunked(b"5\r\nhello0\r\n\r\n"), ChunkEnd, 400),
        (74, chunked(trailers(33).as_bytes()), TrailersTooLong, 431),
        (
            74,
            chunked(format!("0\r\nx: {}\r\n\r\n", "y".repeat(4096)).as_bytes()),
            TrailersTooLong,
            431,
        ),
        (74, chunked(b"0\r\nx: y\n\r\n"), LineEnd, 400),
        (74, chunked(b"0\r\n\n"), LineEnd, 400),
        (74, chunked(b"0\r\nx : y\r\n\r\n"), Header, 400),
        (74, chunked(b"0\r\nx: y\r\n z\r\n\r\n"), Header, 400),
        (
            74,
            chunked(b"0\r\nContent_Length: 5\r\n\r\n"),
            HeaderName,
            400,
        ),
    ];
    for (kind, request, error, status) in cases {
        check_refused(*kind, request, *error, *status);
    }
}

#[test]
fn ends_of_bodies_that_are_served() {
    let body = |request: &[u8]| served(request).body;
    // 62: a body where none is usual.
    assert_eq!(
        body(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
        b"hello"
    );
    // 63: no body is said to follow, so none does.
    assert_eq!(body(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"), b"");
    // 52 to 54: numbers that are.
    assert_eq!(
        body(&[&with("Content-Length: 05")[..], b"hello"].concat()),
        b"hello"
    );
    assert_eq!(body(&[&with("Content-Length: 0")[..], b""].concat()), b"");
    assert_eq!(body(&with("Content-Length:  0 ")), b"");
    // 64 to 69: sizes and extensions that are, to the limit.
    assert_eq!(body(&chunked(b"0\r\n\r\n")), b"");
    assert_eq!(
        body(&chunked(b"5\r\nhello\r\n0006\r\n world\r\n000\r\n\r\n")),
        b"hello world"
    );
    assert_eq!(
        body(&chunked(b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n")).len(),
        20
    );
    assert_eq!(
        body(&chunked(b"2;x;y=z;q=\"a \\\" b\"\r\n\r\n\r\n0;end\r\n\r\n")),
        b"\r\n"
    );
    let longest = [b"1;", &[b'x'; 255][..], b"\r\na\r\n0\r\n\r\n"].concat();
    assert_eq!(body(&chunked(&longest)), b"a");
    // 73: trailers stay apart, without those that would say something else.
    let trailers = served(&chunked(
        b"0\r\nX: y\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: z\r\nX: z\r\n\r\n",
    ));
    let kept = [
        ("x".to_owned(), b"y".to_vec()),
        ("x".to_owned(), b"z".to_vec()),
    ];
    assert_eq!(trailers.trailers, kept);
    assert!(
        trailers
            .headers
            .iter()
            .all(|(name, value)| name != "x" && value != b"b")
    );
}

/// 72.
#[test]
fn a_body_that_does_not_end_is_seen_not_to() {
    for request in [
        [&with("Content-Length: 5")[..], b"hell"].concat(),
        chunked(b"5\r\nhell"),
        chunked(b"5\r\nhello\r\n"),
        chunked(b"5\r\nhello\r\n0\r\n"),
        chunked(b"5\r\nhello\r\n0\r\nx: y\r\n"),
    ] {
        let (seen, error) = read_whole(&request);
        assert_eq!((seen.len(), error), (1, None));
        assert!(!seen[0].whole);
        check_cuts(&request);
    }
}

#[test]
fn requests_follow_each_other_until_one_is_the_last() {
    let bytes = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGET\
        \r\nPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\
        GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\
        GET /4 HTTP/1.1\r\nHost: a\r\n\r\n";
    let (seen, left, error) = read([&bytes[..]], &Limits::default());
    let lines: Vec<_> = seen.iter().map(|seen| (&*seen.line, &*seen.body)).collect();
    assert_eq!(
        lines,
        [
            ("POST /1 HTTP/1.1", &b"GET"[..]),
            ("POST /2 HTTP/1.1", b"x"),
            ("GET /3 HTTP/1.1", b""),
        ]
    );
    assert!(left.starts_with(b"GET /4") && error.is_none());
    check_cuts(bytes);
}

#[test]
fn what_is_kept_of_a_request_is_not_copied() {
    let mut input = BytesMut::from(&b"GET /target HTTP/1.1\r\nHost: a\r\nx: value\r\n\r\nrest"[..]);
    let range = input.as_ptr_range();
    let mut reader = RequestReader::default();
    let mut request = Request::new(());
    let event = reader.next(&mut input, &mut request, &Limits::default());
    let Ok(Some(Event::Head(_))) = event else {
        panic!("{event:?}");
    };
    assert!(range.contains(&request.headers()["x"].as_bytes().as_ptr()));
    assert!(range.contains(&request.uri().path().as_ptr()));
    assert_eq!(&input[..], b"rest");
}
