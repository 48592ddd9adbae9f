//! First lines and headers. A case begins with the number of its kind: 1 to 24 are first lines, 25 to 48 headers.

use actor_net::http::__private::RequestReader;
use actor_net::http::{BadMessage, Limits};
use bytes::BytesMut;

use super::{Seen, check_refused, line, served, with};

#[test]
fn request_lines_that_are_refused() {
    use BadMessage::*;
    let long = "M".repeat(1000);
    let far = format!("GET /{} HTTP/1.1", "a".repeat(8 * 1024));
    let cases: &[(u32, Vec<u8>, BadMessage, u16)] = &[
        (1, b"GET / HTTP/1.1\nHost: a\r\n\r\n".into(), LineEnd, 400),
        (1, b"GET / HTTP/1.1\nHost: a\n\n".into(), LineEnd, 400),
        (
            2,
            b"GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n".into(),
            LineEnd,
            400,
        ),
        (2, b"GET / HTTP/1.1\r\nHost: a\r\n\n".into(), LineEnd, 400),
        (3, line("GET /\rx HTTP/1.1"), FirstLine, 400),
        (
            4,
            b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n".into(),
            Version,
            400,
        ),
        (
            4,
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n".into(),
            LineEnd,
            400,
        ),
        (
            4,
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n".into(),
            LineEnd,
            400,
        ),
        (
            6,
            [b"\r\n\r\n", &line("GET / HTTP/1.1")[..]].concat(),
            FirstLine,
            400,
        ),
        (
            6,
            [b"\n", &line("GET / HTTP/1.1")[..]].concat(),
            FirstLine,
            400,
        ),
        (
            6,
            [b"\r", &line("GET / HTTP/1.1")[..]].concat(),
            FirstLine,
            400,
        ),
        (7, line(" GET / HTTP/1.1"), FirstLine, 400),
        (7, line("\tGET / HTTP/1.1"), FirstLine, 400),
        (8, line("GET  / HTTP/1.1"), FirstLine, 400),
        (8, line("GET /  HTTP/1.1"), Version, 400),
        (8, line("GET\t/ HTTP/1.1"), FirstLine, 400),
        (8, line("GET /\tHTTP/1.1"), Version, 400),
        (9, line("GET / HTTP/1.1 "), Version, 400),
        (10, line("GET /"), Version, 400),
        (10, b"GET /\r\n".into(), Version, 400),
        (11, line("GET / HTTP/1.2"), VersionNotSupported, 505),
        (11, line("GET / HTTP/1.9"), VersionNotSupported, 505),
        (12, line("GET / HTTP/2.0"), VersionNotSupported, 505),
        (12, line("GET / HTTP/0.9"), VersionNotSupported, 505),
        (
            12,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            VersionNotSupported,
            505,
        ),
        (13, line("GET / http/1.1"), Version, 400),
        (13, line("GET / HTTP/01.1"), Version, 400),
        (13, line("GET / HTTP/1.10"), Version, 400),
        (13, line("GET / HTTP/1.1x"), Version, 400),
        (13, line("GET / HTTP/1,1"), Version, 400),
        (14, line(&format!("{long} / HTTP/1.1")), MethodTooLong, 501),
        (16, line("G@T / HTTP/1.1"), FirstLine, 400),
        (16, line("(GET) / HTTP/1.1"), FirstLine, 400),
        (16, line("/ HTTP/1.1"), FirstLine, 400),
        (17, line("GET foo HTTP/1.1"), Target, 400),
        (17, line("GET example.com:80 HTTP/1.1"), Target, 400),
        (17, line("GET ftp://a/ HTTP/1.1"), Target, 400),
        (17, line("GET http:///x HTTP/1.1"), Target, 400),
        (17, line("GET http://me@a/ HTTP/1.1"), Host, 400),
        (17, line("GET ?x HTTP/1.1"), Target, 400),
        (18, line("GET * HTTP/1.1"), Target, 400),
        (19, line("GET /a#b HTTP/1.1"), Target, 400),
        (20, line("GET /\u{e4} HTTP/1.1"), Target, 400),
        (22, line(&far), TargetTooLong, 414),
        (24, line("CONNECT a:80 HTTP/1.1"), MethodNotImplemented, 501),
    ];
    for (kind, request, error, status) in cases {
        check_refused(*kind, request, *error, *status);
    }
    for byte in "\"<>{}|\\^`".chars() {
        check_refused(21, &line(&format!("GET /{byte} HTTP/1.1")), Target, 400);
    }
}

#[test]
fn request_lines_that_are_served() {
    let uri = |request: &[u8]| served(request).line;
    // 5: one empty line in front.
    assert_eq!(
        uri(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        "GET / HTTP/1.1"
    );
    // 15: methods that no one knows are the handler's affair.
    assert_eq!(uri(&line("get / HTTP/1.1")), "get / HTTP/1.1");
    assert_eq!(uri(&line("BREW /pot HTTP/1.1")), "BREW /pot HTTP/1.1");
    // 18: the one method that has this target.
    assert_eq!(uri(&line("OPTIONS * HTTP/1.1")), "OPTIONS * HTTP/1.1");
    // 23: what looks like something else is passed as it is.
    for target in [
        "/%00",
        "/%zz",
        "/../x",
        "//x",
        "/?a=b&c=/d?",
        "/a;b=c:d@e,f!$'()*+[]~",
    ] {
        let line = line(&format!("GET {target} HTTP/1.1"));
        assert_eq!(uri(&line), format!("GET {target} HTTP/1.1"));
    }
    // 22: up to the limit.
    let longest = format!("GET /{} HTTP/1.1", "a".repeat(8 * 1024 - 1));
    assert_eq!(uri(&line(&longest)), longest);
}

#[test]
fn headers_that_are_refused() {
    use BadMessage::*;
    let cases: &[(u32, Vec<u8>, BadMessage, u16)] = &[
        (25, with("x : y"), Header, 400),
        (25, with("x\t: y"), Header, 400),
        (25, with("Content-Length : 5"), Header, 400),
        (26, with("x: y\r\n z"), Header, 400),
        (26, with("x: y\r\n\tz"), Header, 400),
        (
            27,
            b"GET / HTTP/1.1\r\n Host: a\r\n\r\n".into(),
            Header,
            400,
        ),
        (28, with(": y"), Header, 400),
        (29, with("xy"), Header, 400),
        (30, with("x: a\0b"), Header, 400),
        (30, with("x: a\x01b"), Header, 400),
        (30, with("x: a\x0bb"), Header, 400),
        (30, with("x: a\x0cb"), Header, 400),
        (30, with("x: a\x7fb"), Header, 400),
        (31, with("x: a\rb"), Header, 400),
        (31, with("x: a\rContent-Length: 5"), Header, 400),
        (33, with("\u{e4}: y"), Header, 400),
        (33, with("x\0: y"), Header, 400),
        (33, with("x(: y"), Header, 400),
        (34, with("Content_Length: 5"), HeaderName, 400),
        (34, with("transfer_encoding: chunked"), HeaderName, 400),
        (35, b"GET / HTTP/1.1\r\n\r\n".into(), MissingHost, 400),
        (
            35,
            b"GET / HTTP/1.1\r\nx: y\r\n\r\n".into(),
            MissingHost,
            400,
        ),
        (
            35,
            b"GET http://a/ HTTP/1.1\r\nx: y\r\n\r\n".into(),
            MissingHost,
            400,
        ),
        (36, with("Host: a"), RepeatedHost, 400),
        (36, with("Host: b"), RepeatedHost, 400),
        (
            36,
            b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n".into(),
            RepeatedHost,
            400,
        ),
        (42, with("Connection: Content-Length"), Connection, 400),
        (42, with("Connection: close, host"), Connection, 400),
        (42, with("Connection: Transfer-Encoding"), Connection, 400),
        (42, with("Connection: a b"), Connection, 400),
        (43, with(&["x: y"; 100].join("\r\n")), TooManyHeaders, 431),
        (
            44,
            with(&format!("x: {}", "y".repeat(8 * 1024))),
            HeaderTooLong,
            431,
        ),
        (
            45,
            with(&vec![format!("x: {}", "y".repeat(4000)); 9].join("\r\n")),
            HeadTooLong,
            431,
        ),
        (46, with("Expect: 200-ok"), Expectation, 417),
        (
            46,
            with("Expect: 100-continue\r\nExpect: x"),
            Expectation,
            417,
        ),
        (
            48,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".into(),
            FirstLine,
            400,
        ),
    ];
    for (kind, request, error, status) in cases {
        check_refused(*kind, request, *error, *status);
    }
    for host in [
        "a/b", "me@a", "a?b", "a#b", "a b", "a,b", "", " ", "a:b", "a:1:2", "a:123456", "[::1",
        "[x]", "::1", "[::1]x", ":80",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        // 37 and 38.
        check_refused(37, request.as_bytes(), Host, 400);
    }
}

#[test]
fn headers_that_are_served() {
    let header = |seen: &Seen, name: &str| {
        let mut values = seen
            .headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.clone());
        let value = values.next();
        assert_eq!(values.next(), None);
        value
    };
    // 32: opaque bytes in a value.
    let opaque = served(b"GET / HTTP/1.1\r\nHost: a\r\nx:\t \x80\xff a\tb \t\r\n\r\n");
    assert_eq!(header(&opaque, "x").unwrap(), b"\x80\xff a\tb");
    // 37: hosts as they may be.
    for host in [
        "a",
        "a.b:80",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "a:",
        "x_y",
        "%41",
    ] {
        let seen = served(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(header(&seen, "host").unwrap(), host.as_bytes());
    }
    // 39: the target wins over the host.
    let elsewhere = served(b"GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(elsewhere.line, "GET http://b:81/x?y HTTP/1.1");
    assert_eq!(header(&elsewhere, "host").unwrap(), b"b:81");
    // 40: no host in HTTP/1.0.
    let old = served(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!((header(&old, "host"), old.keep_alive), (None, false));
    let kept = served(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert!(kept.keep_alive);
    // 41: what `Connection` names is dropped; and 85: nobody is made to speak h2c.
    let named = served(&with(
        "X: y\r\nConnection: close, X, upgrade\r\nUpgrade: h2c\r\nZ: 1",
    ));
    assert_eq!((header(&named, "x"), named.keep_alive), (None, false));
    assert_eq!(header(&named, "upgrade").unwrap(), b"h2c");
    assert_eq!(header(&named, "z").unwrap(), b"1");
    // 42: `TE` is to be named where it is sent, and is dropped like any other.
    for lines in [
        "TE: trailers\r\nConnection: TE, close",
        "Connection: close\r\nConnection: te\r\nTE: trailers, deflate;q=0.5",
    ] {
        let seen = served(&with(lines));
        assert_eq!((header(&seen, "te"), seen.keep_alive), (None, false));
    }
    // 43: up to the limit.
    let most = served(&with(&["x: y"; 99].join("\r\n")));
    assert_eq!(most.headers.len(), 100);
    // 46: the one expectation that there is.
    assert!(!served(&with("Expect: 100-Continue")).expects_continue);
    let waiting = [&with("Expect: 100-Continue\r\nContent-Length: 1")[..], b"x"].concat();
    assert!(served(&waiting).expects_continue);
}

/// A shortcut is shown the plain ones alone, and what it answers is gone.
#[test]
fn plain_requests_are_shown() {
    let shown = |bytes: &[u8]| {
        let (mut reader, mut input) = (RequestReader::default(), BytesMut::from(bytes));
        let seen = reader.show(&mut input, &Limits::default(), |head| {
            assert_eq!(head.header("HOST"), Some(&b"a"[..]));
            assert_eq!(head.header("x"), None);
            Some(head.target().to_vec())
        });
        (seen, input.to_vec())
    };
    let plain: &[&[u8]] = &[
        b"GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"BREW /x?y HTTP/1.1\r\nConnection: Keep-Alive\r\nhost: a \r\nempty:\r\n\r\n",
    ];
    for request in plain {
        let (seen, left) = shown(&[request, &b"rest"[..]].concat());
        assert_eq!(seen.unwrap(), b"/x?y", "{}", request.escape_ascii());
        assert_eq!(left, b"rest");
    }
    let other: &[Vec<u8>] = &[
        line("OPTIONS * HTTP/1.1"),
        line("GET http://a/ HTTP/1.1"),
        line("GET / HTTP/1.0"),
        with("Content-Length: 0"),
        with("Transfer-Encoding: chunked"),
        with("Connection: close"),
        with("Connection: upgrade"),
        with("Expect: 100-continue"),
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        b"GET / HTTP/1.1\r\nHost: a\r\n\r".into(),
        b"GET / HTTP/1.1\nHost: a\r\n\r\n".into(),
        b"GET / HTTP/1.1\r\nHost: a\n\r\n".into(),
    ];
    for request in other {
        assert_eq!(shown(request), (None, request.clone()));
    }
}
