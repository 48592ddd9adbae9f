//! An HTTP server, byte by byte.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor_core::Tasklet;
use actor_core::sync::Event;
use actor_io::TcpStream;
use actor_net::http::{Body, HttpServer, IntoResponse, Limits, Request, Response, StatusCode};
use common::{PATIENCE, eventually, in_tasklet, many_clients};
use http::{
    Client, Running, assert_does_not_wait_for_the_rest, assert_mirrors, echo, get, limited, post,
    spawn,
};

#[test]
fn a_connection_is_used_again() {
    in_tasklet(|| {
        let server = spawn(echo);
        let mut client = Client::of(&server);
        for i in 0..3 {
            client.send(get(&format!("/{i}")));
            let (head, body) = client.answer();
            assert_eq!(body, format!("GET /{i}"));
            assert!(
                !head.contains("connection:") && head.contains("\r\ndate: "),
                "{head}"
            );
        }
        client.send("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let rest = client.rest();
        assert!(
            rest.contains("connection: close\r\n") && rest.ends_with("GET /last"),
            "{rest}"
        );
        eventually("the connection has gone", || server.connections() == 0);
    });
}

#[test]
fn requests_come_in_any_pieces() {
    in_tasklet(|| {
        let server = spawn(echo);
        let mut client = Client::of(&server);
        let requests = [
            get("/1"),
            post("Content-Length: 3", "abc"),
            post(
                "Transfer-Encoding: chunked",
                "2\r\nde\r\n1;x=y\r\nf\r\n0\r\nx: y\r\n\r\n",
            ),
            get("/2"),
        ];
        for byte in requests.concat().as_bytes() {
            client.send([*byte]);
            // The server is to see it before the next.
            Tasklet::yield_now();
        }
        for expected in ["GET /1", "abc", "def", "GET /2"] {
            assert_eq!(client.body(), expected);
        }
    });
}

#[test]
fn answers_to_a_pipeline_come_in_order() {
    in_tasklet(|| {
        let server = spawn(echo);
        let mut client = Client::of(&server);
        let count = 1000;
        let requests: String = (0..count).map(|i| get(&format!("/{i}"))).collect();
        let mut writer = client.0.try_clone().unwrap();
        let writer = Tasklet::spawn(move || writer.write_all(requests.as_bytes()));
        for i in 0..count {
            assert_eq!(client.body(), format!("GET /{i}"));
        }
        writer.join().unwrap().unwrap();
        // The end of the input is no reason not to answer what has come before it.
        client.send([get("/a"), get("/b")].concat());
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        let rest = client.rest();
        assert!(
            rest.contains("GET /a") && rest.ends_with("GET /b"),
            "{rest}"
        );
    });
}

#[test]
fn what_is_refused_is_answered_and_ends_the_connection() {
    in_tasklet(|| {
        let server = limited(|limits| limits.body = 1000);
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400 Bad Request"),
            ("GET /\r\n".to_owned(), "400 Bad Request"),
            (
                "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03".to_owned(),
                "400 Bad Request",
            ),
            (
                "GET / HTTP/2.0\r\n\r\n".to_owned(),
                "505 HTTP Version Not Supported",
            ),
            (format!("GET /{}", "a".repeat(9000)), "414 URI Too Long"),
            (post("x: y\r\nx : z", ""), "400 Bad Request"),
            (
                post("Content-Length: 5\r\nTransfer-Encoding: chunked", ""),
                "400 Bad Request",
            ),
            (post("Content-Length: 1001", ""), "413 Payload Too Large"),
            (post("Transfer-Encoding: gzip", ""), "501 Not Implemented"),
            (post("Expect: wonders", ""), "417 Expectation Failed"),
            // Found out while the handler reads.
            (
                post("Transfer-Encoding: chunked", "5\r\nhelloX"),
                "400 Bad Request",
            ),
            (
                post("Transfer-Encoding: chunked", "3e9\r\n"),
                "413 Payload Too Large",
            ),
        ] {
            let mut client = Client::of(&server);
            // What nobody reads must not cost the client the answer, nor be taken for a request.
            client.send([&get("/ok"), &request, &get("/smuggled").repeat(100)[..]].concat());
            assert_eq!(client.body(), "GET /ok");
            let rest = client.rest();
            let (head, body) = rest.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{request:?}: {rest}"
            );
            assert!(head.contains("connection: close"), "{rest}");
            assert_eq!(body, &status[4..], "{request:?}");
        }
        eventually("the connections have gone", || server.connections() == 0);
    });
}

#[test]
fn old_clients_are_served() {
    in_tasklet(|| {
        let server = spawn(|request: Request<Body>| match request.uri().path() {
            "/stream" => Body::from_reader(&b"hello"[..]).into_response(),
            _ => "hello".into_response(),
        });
        let mut client = Client::of(&server);
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let (head, _) = client.answer();
        assert!(head.contains("connection: keep-alive\r\n"), "{head}");
        client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let rest = client.rest();
        assert!(
            rest.contains("connection: close\r\n") && rest.ends_with("\r\n\r\nhello"),
            "{rest}"
        );
        assert!(!rest.contains("chunked"), "{rest}");
    });
}

#[test]
fn a_head_alone_has_no_body() {
    in_tasklet(|| {
        let server = spawn(echo);
        let mut client = Client::of(&server);
        client.send(["HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &get("/next")].concat());
        assert!(client.head().contains("content-length: 6\r\n"));
        assert_eq!(client.body(), "GET /next");
    });
}

#[test]
fn a_client_that_waits_to_go_on_is_told() {
    in_tasklet(|| {
        let server = spawn(|request: Request<Body>| match request.uri().path() {
            "/no" => Err(StatusCode::FORBIDDEN),
            _ => Ok(echo(request)),
        });
        let mut client = Client::of(&server);
        client.send(post("Expect: 100-continue\r\nContent-Length: 5", ""));
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("hello");
        assert_eq!(client.body(), "hello");
        client.send(
            "POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 32\r\n\r\n",
        );
        let rest = client.rest();
        assert!(
            rest.starts_with("HTTP/1.1 403 Forbidden\r\n") && rest.contains("connection: close"),
            "{rest}"
        );
    });
}

#[test]
fn a_body_streams_both_ways() {
    in_tasklet(|| {
        // What has come goes back before the rest has.
        let server = spawn(|request: Request<Body>| Response::new(request.into_body()));
        let mut client = Client::of(&server);
        client.send(post("Transfer-Encoding: chunked", ""));
        client.send("3\r\nabc\r\n");
        assert!(client.head().contains("transfer-encoding: chunked\r\n"));
        let mut chunk = [0; 8];
        client.0.read_exact(&mut chunk).unwrap();
        assert_eq!(&chunk, b"3\r\nabc\r\n");
        client.send("2\r\nde\r\n0\r\n\r\n");
        let mut end = [0; 12];
        client.0.read_exact(&mut end).unwrap();
        assert_eq!(&end, b"2\r\nde\r\n0\r\n\r\n");
        // And the connection goes on; this one is larger than all buffers.
        assert_mirrors(&mut client);
        client.send(get("/").replace("GET", "PUT"));
        assert_eq!(client.body(), "");
    });
}

#[test]
fn a_body_that_nobody_reads_does_no_harm() {
    in_tasklet(|| {
        let server = spawn(|_: Request<Body>| "enough");
        let mut client = Client::of(&server);
        client.send([post("Content-Length: 5", "hello"), get("/")].concat());
        assert_eq!(
            (client.body(), client.body()),
            ("enough".to_owned(), "enough".to_owned())
        );
        assert_does_not_wait_for_the_rest(&mut client);
    });
}

#[test]
fn a_body_that_is_kept_ends_with_its_connection() {
    in_tasklet(|| {
        let kept = Arc::new(Mutex::new(None));
        let server = spawn({
            let kept = kept.clone();
            move |request: Request<Body>| {
                *kept.lock().unwrap() = Some(request.into_body());
                "kept"
            }
        });
        let mut client = Client::of(&server);
        client.send(post("Content-Length: 5", "hell"));
        assert!(client.rest().ends_with("\r\n\r\nkept"));
        eventually("the connection has gone", || server.connections() == 0);
        let body = kept.lock().unwrap().take().unwrap();
        let error = body.into_bytes().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn an_answer_that_is_too_short_is_seen_to_be() {
    in_tasklet(|| {
        let server = spawn(|request: Request<Body>| {
            Response::new(match request.uri().path() {
                "/short" => Body::from_sized_reader(&b"hello"[..], 10),
                _ => Body::from_sized_reader(io::repeat(b'x'), 10),
            })
        });
        let mut client = Client::of(&server);
        client.send(get("/long"));
        assert_eq!(client.body(), "xxxxxxxxxx");
        client.send(get("/short"));
        let rest = client.rest();
        assert!(
            rest.contains("content-length: 10\r\n") && rest.ends_with("\r\n\r\nhello"),
            "{rest}"
        );
    });
}

#[test]
fn a_panic_is_answered_for_and_concerns_nobody_else() {
    in_tasklet(|| {
        let server = spawn(|request: Request<Body>| {
            assert_ne!(request.uri().path(), "/panic", "as it is to");
            "well"
        });
        let (mut client, mut other) = (Client::of(&server), Client::of(&server));
        client.send([get("/"), get("/panic"), get("/")].concat());
        assert_eq!(client.body(), "well");
        let rest = client.rest();
        assert!(
            rest.starts_with("HTTP/1.1 500 Internal Server Error\r\n"),
            "{rest}"
        );
        assert!(!rest.contains("well"), "{rest}");
        other.send(get("/"));
        assert_eq!(other.body(), "well");
        eventually("one is left", || server.connections() == 1);
    });
}

#[test]
fn a_handler_that_waits_holds_nobody_up() {
    in_tasklet(|| {
        let opened = Arc::new(Event::new());
        let server = spawn({
            let opened = opened.clone();
            move |request: Request<Body>| {
                match request.uri().path() {
                    "/wait" => opened.wait(),
                    _ => opened.set(),
                }
                "over"
            }
        });
        let mut waiting: Vec<_> = (0..20).map(|_| Client::of(&server)).collect();
        for client in &mut waiting {
            client.send(get("/wait"));
        }
        let mut client = Client::of(&server);
        client.send(get("/"));
        assert_eq!(client.body(), "over");
        for client in &mut waiting {
            assert_eq!(client.body(), "over");
        }
    });
}

#[test]
fn clients_that_take_their_time_are_given_up() {
    in_tasklet(|| {
        let short = Duration::from_millis(50);
        let server = limited(|limits| {
            limits.head_time = short;
            limits.idle_time = short;
            limits.body_grace = short;
            limits.body_rate = 1_000_000;
        });
        // Says nothing at all.
        assert_eq!(Client::of(&server).rest(), "");
        // Says nothing any more.
        let mut idle = Client::of(&server);
        idle.send(get("/"));
        assert_eq!(idle.body(), "GET /");
        assert_eq!(idle.rest(), "");
        for request in ["GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let mut client = Client::of(&server);
            client.send(request);
            let rest = client.rest();
            assert!(
                rest.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
                "{rest}"
            );
        }
        let mut slow = Client::of(&server);
        slow.send(post("Content-Length: 5", "hell"));
        let rest = slow.rest();
        assert!(
            rest.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{rest}"
        );
        eventually("the connections have gone", || server.connections() == 0);
    });
}

/// Each says a byte now and then, and never comes to the end of its head.
#[test]
fn many_slow_clients_keep_nobody_waiting() {
    in_tasklet(|| {
        let server = spawn(echo);
        let count = many_clients();
        let mut slow: Vec<_> = (0..count).map(|_| Client::of(&server)).collect();
        eventually("all are there", || server.connections() == count);
        let mut client = Client::of(&server);
        for bytes in ["G", "E", "T / HTTP/1.1\r", "\nHost", ": a\r\n"] {
            for (i, slow) in slow.iter_mut().enumerate() {
                slow.send(bytes);
                if i % 100 == 0 {
                    client.send(get("/fast"));
                    assert_eq!(client.body(), "GET /fast");
                }
            }
        }
        assert_eq!(server.connections(), count + 1);
        // And they are served all the same, in the end.
        for slow in &mut slow {
            slow.send("\r\n");
            assert_eq!(slow.body(), "GET /");
        }
    });
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    in_tasklet(|| {
        let server = HttpServer::bind("127.0.0.1:0").unwrap();
        let limits = Limits::default().with(|limits| limits.write_time = Duration::from_millis(50));
        let answer = |_: Request<Body>| Body::from_reader(io::repeat(b'x'));
        let server = Running(server.limits(limits).spawn(answer).unwrap());
        let mut client = Client::of(&server);
        client.send(get("/"));
        client.head();
        eventually("it has been given up", || server.connections() == 0);
        let mut rest = Vec::new();
        let end = client.0.read_to_end(&mut rest);
        assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        assert!(
            !rest.ends_with(b"0\r\n\r\n"),
            "the end of the body has not come"
        );
    });
}

#[test]
fn a_connection_has_so_many_requests() {
    in_tasklet(|| {
        let server = limited(|limits| limits.requests = Some(2));
        let mut client = Client::of(&server);
        client.send([get("/1"), get("/2"), get("/3")].concat());
        assert_eq!(client.body(), "GET /1");
        let rest = client.rest();
        assert!(
            rest.contains("connection: close") && rest.ends_with("GET /2"),
            "{rest}"
        );
    });
}

#[test]
fn a_shutdown_lets_requests_finish() {
    in_tasklet(|| {
        let (begun, go_on) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let server = spawn({
            let (begun, go_on) = (begun.clone(), go_on.clone());
            move |request: Request<Body>| {
                if request.uri().path() == "/wait" {
                    begun.set();
                    go_on.wait();
                }
                "finished"
            }
        });
        let (mut idle, mut busy) = (Client::of(&server), Client::of(&server));
        idle.send(get("/"));
        assert_eq!(idle.body(), "finished");
        busy.send([get("/wait"), get("/")].concat());
        begun.wait();
        let addr = server.local_addr();
        let stopping = Tasklet::spawn(move || server.shutdown(PATIENCE));
        assert_eq!(idle.rest(), "");
        eventually("nobody is accepted", || TcpStream::connect(addr).is_err());
        go_on.set();
        let rest = busy.rest();
        assert!(rest.contains("connection: close"), "{rest}");
        assert_eq!(rest.matches("finished").count(), 1, "{rest}");
        stopping.join().unwrap().unwrap();
    });
}
