//! How a WebSocket comes about, or does not.

use std::io::{self, Read, Write};
use std::time::Duration;

use actor_core::{Tasklet, time};
use actor_io::{TcpListener, TcpStream};
use actor_net::ConnectError;
use actor_net::http::ws::{self, CloseCode, Origins, WebSocket, WsConnector, WsError, WsOptions};
use actor_net::http::{Body, HttpServer, IntoResponse, Request, StatusCode};

use crate::common::{PATIENCE, in_tasklet};
use crate::raw::{FIN, Frame, MASK, Raw, Running, TEXT, echo, frame, request, serve, serve_with};

/// What comes of a request: the head of the answer.
fn answer(options: WsOptions, request: String) -> String {
    in_tasklet(move || {
        let server = serve_with(options, echo);
        let mut raw = Raw::visit(&server);
        raw.bytes(request);
        raw.head()
    })
}

fn refusal(changes: &[(&str, &str)]) -> String {
    answer(WsOptions::default(), request(changes))
}

#[test]
fn what_is_no_handshake_is_refused() {
    for (changes, status) in [
        (&[("upgrade", "")][..], "426"),
        (&[("upgrade", "h2c")], "426"),
        (&[("connection", "")], "400"),
        (&[("connection", "keep-alive")], "400"),
        (&[("sec-websocket-version", "")], "426"),
        (&[("sec-websocket-version", "8")], "426"),
        (&[("sec-websocket-version", "13, 8")], "426"),
        (
            &[
                ("sec-websocket-version", "13"),
                ("sec-websocket-version", "13"),
            ],
            "426",
        ),
        (&[("sec-websocket-key", "")], "400"),
        (&[("sec-websocket-key", "c2hvcnQ=")], "400"),
        (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")], "400"),
        (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ!==")], "400"),
        (
            &[
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ],
            "400",
        ),
        (&[("content-length", "3")], "400"),
        (&[("transfer-encoding", "chunked")], "400"),
        (&[("origin", "http://evil.example")], "403"),
        (&[("origin", "null")], "403"),
        (&[("origin", "http://a"), ("origin", "http://a")], "403"),
    ] {
        let head = refusal(changes);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{changes:?}: {head}"
        );
        assert!(!head.contains("sec-websocket-accept"), "{head}");
    }
    let post = request(&[]).replace("GET", "POST");
    assert!(answer(WsOptions::default(), post).starts_with("HTTP/1.1 405 "));
    let old = request(&[]).replace("HTTP/1.1", "HTTP/1.0");
    assert!(answer(WsOptions::default(), old).starts_with("HTTP/1.1 426 "));
}

/// A body makes no handshake of a request, and is none itself, however much it looks like one.
#[test]
fn a_body_is_not_taken_for_a_handshake() {
    let inner = request(&[]);
    for changes in [
        &[][..],
        &[("sec-websocket-key", "")],
        &[("sec-websocket-version", "")],
    ] {
        let length = inner.len().to_string();
        let by_length = [changes, &[("content-length", &length)]].concat();
        let chunked = [changes, &[("transfer-encoding", "chunked")]].concat();
        let chunk = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
        for (changes, body) in [(by_length, &inner), (chunked, &chunk)] {
            // With the request, and behind it.
            for at_once in [true, false] {
                let (head, body) = (request(&changes), body.clone());
                let rest = in_tasklet(move || {
                    let server = serve(echo);
                    let mut raw = Raw::visit(&server);
                    match at_once {
                        true => raw.bytes(head + &body),
                        false => {
                            raw.bytes(head);
                            (0..10).for_each(|_| Tasklet::yield_now());
                            // It may have been refused.
                            let _ = raw.stream.write_all(body.as_bytes());
                        }
                    }
                    let _ = raw.stream.shutdown(std::net::Shutdown::Write);
                    let mut rest = String::new();
                    raw.stream.read_to_string(&mut rest).unwrap();
                    rest
                });
                let has_version = changes
                    .iter()
                    .all(|(name, _)| *name != "sec-websocket-version");
                let status = if has_version { "400" } else { "426" };
                assert!(
                    rest.starts_with(&format!("HTTP/1.1 {status} ")),
                    "{changes:?}: {rest}"
                );
                assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{changes:?}: {rest}");
                assert_eq!(
                    rest.contains("sec-websocket-version: 13\r\n"),
                    !has_version,
                    "{rest}"
                );
            }
        }
    }
}

#[test]
fn another_version_is_told_which_one_is_spoken() {
    let head = refusal(&[("sec-websocket-version", "8")]);
    assert!(head.contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
    let head = refusal(&[("upgrade", "")]);
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
}

#[test]
fn a_refused_request_may_be_followed_by_a_better_one() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::visit(&server);
        raw.bytes(request(&[("sec-websocket-version", "8")]));
        let head = raw.head();
        let length = head.split_once("content-length: ").unwrap().1;
        let length = length.split_once('\r').unwrap().0.parse().unwrap();
        raw.stream.read_exact(&mut vec![0; length]).unwrap();
        raw.bytes(request(&[]));
        assert!(raw.head().starts_with("HTTP/1.1 101 "));
        raw.part(1000);
    });
}

#[test]
fn names_are_understood_in_any_case_and_in_lists() {
    let head = refusal(&[
        ("upgrade", "WebSocket, h2c"),
        ("connection", "keep-alive, UPGRADE"),
        ("origin", "http://A:80"),
        ("content-length", "0"),
    ]);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // Nothing is agreed upon that was not asked for, and no extensions at all.
    let head = refusal(&[
        ("sec-websocket-extensions", "permessage-deflate"),
        ("sec-websocket-protocol", "unheard-of"),
    ]);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        !head.contains("extensions") && !head.contains("protocol:"),
        "{head}"
    );
}

#[test]
fn the_origins_are_for_the_server_to_choose() {
    let with = |origins| WsOptions::default().with(|options| options.origins = origins);
    let from = |origin| request(&[("origin", origin)]);
    let only = || Origins::Only(vec!["https://good.example".to_owned()]);
    assert!(answer(with(only()), from("https://good.example")).starts_with("HTTP/1.1 101"));
    assert!(answer(with(only()), from("https://good.example.evil")).starts_with("HTTP/1.1 403"));
    assert!(answer(with(only()), from("http://a")).starts_with("HTTP/1.1 403"));
    assert!(answer(with(Origins::Any), from("http://evil.example")).starts_with("HTTP/1.1 101"));
}

#[test]
fn frames_may_follow_the_request_at_once() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::visit(&server);
        let first = frame(FIN | TEXT, b"early", Some(MASK));
        let (begun, rest) = first.split_at(3);
        raw.bytes([request(&[]).as_bytes(), begun].concat());
        assert!(raw.head().starts_with("HTTP/1.1 101 "));
        raw.bytes(rest);
        assert_eq!(raw.read(), Some(Frame::new(FIN | TEXT, "early")));
        raw.part(1000);
    });
}

#[test]
fn a_subprotocol_is_the_servers_choice_of_the_clients() {
    in_tasklet(|| {
        let options = WsOptions::default()
            .with(|options| options.protocols = vec!["v2".to_owned(), "v1".to_owned()]);
        let server = serve_with(options, |mut socket: WebSocket| {
            let protocol = socket.protocol().unwrap_or("none").to_owned();
            socket.send(protocol)
        });
        let url = format!("ws://{}", server.local_addr());
        for (offered, chosen) in [
            (&["v1", "v2", "v3"][..], Some("v2")),
            (&["v1"], Some("v1")),
            (&["v3"], None),
            (&[], None),
        ] {
            let mut connector = WsConnector::new();
            for name in offered {
                connector = connector.protocol(*name);
            }
            let mut socket = connector.connect(&url).unwrap();
            assert_eq!(socket.protocol(), chosen);
            let told = socket.read().unwrap().unwrap();
            assert_eq!(told.as_text(), Some(chosen.unwrap_or("none")));
            assert_eq!(socket.read().unwrap(), None);
            assert_eq!(socket.peers_close().unwrap().code, CloseCode::NORMAL);
        }
    });
}

/// A server that answers a request with `answer`, in which the accept key is filled in.
fn connect_to(answer: &'static str) -> Result<WebSocket, WsError> {
    in_tasklet(move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        Tasklet::spawn(move || {
            let mut raw = Raw::server(listener.accept().unwrap().0);
            let request = raw.head();
            let key = request
                .split_once("sec-websocket-key: ")
                .unwrap()
                .1
                .split_once('\r')
                .unwrap()
                .0;
            let digest = sha1(key);
            raw.bytes(answer.replace("ACCEPT", &digest));
        });
        WsConnector::new()
            .protocol("good")
            .timeout(PATIENCE)
            .connect(&url)
    })
}

/// The accept key, by another program than the one under test.
fn sha1(key: &str) -> String {
    let script = format!(
        "printf %s {key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11 | openssl sha1 -binary | base64"
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn clients_see_whether_the_server_has_consented() {
    const GOOD: &str = "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n";
    connect_to(GOOD).unwrap();
    connect_to("HTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: good\r\n\r\n").unwrap();
    for bad in [
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: bad\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    ] {
        let error = connect_to(bad).unwrap_err();
        assert!(matches!(error, WsError::Handshake(_)), "{bad}: {error:?}");
    }
    assert!(matches!(
        connect_to("SSH-2.0-x\r\n\r\n"),
        Err(WsError::Answer(_))
    ));
    assert!(matches!(
        connect_to("HTTP/1.1 101 x\r\nUpgr"),
        Err(WsError::Cut)
    ));
    assert!(matches!(connect_to(""), Err(WsError::Cut)));
}

#[test]
fn clients_are_told_why_a_server_refuses() {
    in_tasklet(|| {
        let refuse = |_: Request<Body>| (StatusCode::FORBIDDEN, "not today").into_response();
        let server = Running(
            HttpServer::bind("127.0.0.1:0")
                .unwrap()
                .spawn(refuse)
                .unwrap(),
        );
        let error = ws::connect(&format!("ws://{}/x", server.local_addr())).unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
        let WsError::Refused(response) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(response.body(), "not today");
        assert_eq!(
            io::Error::from(error).kind(),
            io::ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn the_request_has_what_it_was_given() {
    in_tasklet(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Tasklet::spawn(move || Raw::server(listener.accept().unwrap().0).head());
        let connector = WsConnector::new()
            .header("authorization", "Bearer 1")
            .protocol("a")
            .protocol("b");
        let error = connector
            .connect(&format!("ws://localhost:{port}?room=1"))
            .unwrap_err();
        assert!(matches!(error, WsError::Cut), "{error:?}");
        let head = server.join().unwrap();
        assert!(head.starts_with("GET /?room=1 HTTP/1.1\r\n"), "{head}");
        for line in [
            &format!("host: localhost:{port}")[..],
            "authorization: Bearer 1",
            "sec-websocket-protocol: a, b",
            "upgrade: websocket",
            "connection: Upgrade",
            "sec-websocket-version: 13",
        ] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
        }
    });
}

#[test]
fn what_cannot_be_asked_for_is_refused_before_anything_is_done() {
    for url in [
        "",
        "x",
        "http://a/",
        "ws://",
        "ws:///path",
        "ws://user@a/",
        "ws://a:99999/",
        "wss//a",
    ] {
        assert!(matches!(ws::connect(url), Err(WsError::Url(_))), "{url}");
    }
    for (name, value) in [
        ("a b", "c"),
        ("a", "b\r\nc: d"),
        ("host", "b"),
        ("upgrade", "h2c"),
    ] {
        let connector = WsConnector::new().header(name, value);
        assert!(
            matches!(
                connector.connect("ws://127.0.0.1:1/"),
                Err(WsError::Header(_))
            ),
            "{name}"
        );
    }
    let connector = WsConnector::new().protocol("a, b");
    assert!(matches!(
        connector.connect("ws://127.0.0.1:1/"),
        Err(WsError::Header(_))
    ));
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    in_tasklet(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let begun = time::now();
        let limit = Duration::from_millis(50);
        let error = WsConnector::new().timeout(limit).connect(&url).unwrap_err();
        assert!(matches!(error, WsError::TimedOut), "{error:?}");
        assert!(begun.elapsed() >= limit);
        drop(listener);
        let error = ws::connect(&url).unwrap_err();
        assert!(
            matches!(error, WsError::Connect(ConnectError::Failed { .. })),
            "{error:?}"
        );
    });
}

#[test]
fn a_handler_sees_the_request_and_may_answer_otherwise() {
    in_tasklet(|| {
        let handler = |request: Request<Body>| match request.uri().path() {
            "/echo" => WebSocket::upgrade(&request, &WsOptions::default(), echo),
            _ => "a page".into_response(),
        };
        let server = Running(
            HttpServer::bind("127.0.0.1:0")
                .unwrap()
                .spawn(handler)
                .unwrap(),
        );
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.ends_with("a page"), "{page}");
        let mut socket = ws::connect(&format!("ws://{}/echo", server.local_addr())).unwrap();
        socket.send("x").unwrap();
        assert_eq!(socket.read().unwrap(), Some("x".into()));
        socket.close(CloseCode::NORMAL, "").unwrap();
    });
}
