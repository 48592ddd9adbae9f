//! An HTTP server and clients that mean it no good, or that die: whatever they do, it concerns nobody else, and
//! nothing of them is left.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actor_core::Tasklet;
use actor_core::sync::Event;
use actor_io::TcpStream;
use actor_net::ServerHandle;
use actor_net::http::{Body, HttpServer, IntoResponse, Limits, Request, Response, StatusCode};
use common::{eventually, in_tasklet};
use http::{Client, Running, echo, get, limited, post, spawn};

/// The server still serves, and the connections of those who have gone are no more.
fn assert_well(server: &ServerHandle) {
    eventually("the connections have gone", || server.connections() == 0);
    let mut client = Client::of(server);
    client.send("GET /well HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(client.rest().ends_with("GET /well"));
    eventually("the last has gone", || server.connections() == 0);
}

/// Ends a connection by a reset.
fn reset(client: Client) {
    client.0.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Sends all that is taken, in pieces; ends when the peer has had enough.
fn send_for_ever(mut stream: TcpStream, piece: &[u8]) -> io::Error {
    loop {
        if let Err(error) = stream.write_all(piece) {
            return error;
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind())
}

#[test]
fn a_client_may_die_at_any_time() {
    in_tasklet(|| {
        let (reached, waited) = (Arc::new(Event::new()), Arc::new(AtomicUsize::new(0)));
        let server = spawn({
            let (reached, waited) = (reached.clone(), waited.clone());
            move |request: Request<Body>| match request.uri().path() {
                "/wait" => {
                    waited.fetch_add(1, Ordering::SeqCst);
                    reached.wait();
                    "late".into_response()
                }
                "/stream" => Body::from_reader(io::repeat(b'x')).into_response(),
                "/large" => vec![b'x'; 10_000_000].into_response(),
                "/back" => Response::new(request.into_body()),
                _ => echo(request).into_response(),
            }
        });
        let chunked = post("Transfer-Encoding: chunked", "5\r\nhel");
        let back = "POST /back HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc";
        let beginnings = [
            "",
            "GET / HTTP/1.1\r\nHo",
            &post("Content-Length: 100", "abc"),
            &chunked,
            back,
            &get("/stream"),
            &get("/large"),
            &get("/").repeat(1000),
            "nonsense\r\n\r\n",
        ];
        for beginning in beginnings {
            for end in [reset, drop] {
                // With and without the server having seen it.
                for turns in [0, 1, 10] {
                    let mut client = Client::of(&server);
                    client.send(beginning);
                    (0..turns).for_each(|_| Tasklet::yield_now());
                    end(client);
                }
            }
        }
        // In the middle of an answer.
        for path in ["/stream", "/large"] {
            for end in [reset, drop] {
                let mut client = Client::of(&server);
                client.send(get(path));
                client.head();
                client.byte();
                end(client);
            }
        }
        assert_well(&server);
        // While the handler is at work: it ends in its own time.
        for (i, end) in [reset, drop].into_iter().enumerate() {
            let mut client = Client::of(&server);
            client.send(get("/wait"));
            eventually("it is reached", || waited.load(Ordering::SeqCst) == i + 1);
            end(client);
        }
        assert_eq!(server.connections(), 2);
        reached.set();
        assert_well(&server);
    });
}

/// Where the answer needs the body, the client is told before the answer begins: what is behind its head is taken for
/// the answer's body.
#[test]
fn an_answer_is_not_interrupted_to_ask_for_the_body() {
    struct Louder(Body);

    impl Read for Louder {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buf)?;
            buf[..count].make_ascii_uppercase();
            Ok(count)
        }
    }

    in_tasklet(|| {
        let server = spawn(|request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let body = request.into_body();
            Response::new(match &path[..] {
                "/wrapped" => Body::from_reader(Louder(body)),
                _ => body,
            })
        });
        for path in ["/", "/wrapped"] {
            let mut client = Client::of(&server);
            client.send(format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            ));
            assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
            assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
            client.send(
                "3\r\nABC\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            );
            let rest = client.rest();
            assert!(
                rest.starts_with("3\r\nABC\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"),
                "{rest}"
            );
        }
    });
}

/// Whatever has come before the end of the input is answered, and nothing else.
#[test]
fn the_input_may_end_anywhere() {
    in_tasklet(|| {
        let server = spawn(echo);
        let parts = [
            get("/1"),
            post("Content-Length: 5", "hello"),
            post(
                "Transfer-Encoding: chunked",
                "2\r\nde\r\n1;x=y\r\nf\r\n0\r\nx: y\r\n\r\n",
            ),
            get("/2"),
        ];
        let all = parts.concat();
        for end in 0..=all.len() {
            let mut client = Client::of(&server);
            client.send(&all[..end]);
            client.0.shutdown(Shutdown::Write).unwrap();
            let mut whole = 0;
            let complete = parts
                .iter()
                .take_while(|part| {
                    whole += part.len();
                    whole <= end
                })
                .count();
            let rest = client.rest();
            assert_eq!(
                rest.matches("HTTP/1.1 200 OK\r\n").count(),
                complete,
                "{end}: {rest}"
            );
            assert_eq!(rest.matches("HTTP/1.1 ").count(), complete, "{end}: {rest}");
        }
        assert_well(&server);
    });
}

#[test]
fn answers_that_nobody_reads_do_not_pile_up() {
    in_tasklet(|| {
        let handled = Arc::new(AtomicUsize::new(0));
        let server = HttpServer::bind("127.0.0.1:0").unwrap();
        let limits =
            Limits::default().with(|limits| limits.write_time = Duration::from_millis(200));
        let answer = {
            let handled = handled.clone();
            move |request: Request<Body>| match request.uri().path() {
                "/well" => "GET /well".into_response(),
                _ => {
                    handled.fetch_add(1, Ordering::SeqCst);
                    vec![b'x'; 8_000].into_response()
                }
            }
        };
        let server = Running(server.limits(limits).spawn(answer).unwrap());
        let flood = Client::of(&server);
        let requests = get("/").repeat(1_000);
        let writer = flood.0.try_clone().unwrap();
        let writer = Tasklet::spawn(move || send_for_ever(writer, requests.as_bytes()));
        // A client that reads is served meanwhile.
        eventually("it has begun", || handled.load(Ordering::SeqCst) > 0);
        let mut client = Client::of(&server);
        client.send(get("/well"));
        assert_eq!(client.body(), "GET /well");
        drop(client);
        assert!(is_gone(&writer.join().unwrap()));
        assert_well(&server);
        // What the two sockets hold, and what is gathered: no more.
        let handled = handled.load(Ordering::SeqCst);
        assert!(handled * 8_000 < 32 << 20, "{handled} answers for nobody");
    });
}

#[test]
fn a_flood_leaves_room_for_others() {
    in_tasklet(|| {
        let server = spawn(echo);
        let floods: Vec<_> = (0..4)
            .map(|_| {
                let flood = Client::of(&server).0;
                let (mut reader, writer) = (flood.try_clone().unwrap(), flood);
                let requests = get("/flood").repeat(500);
                let writer = Tasklet::spawn(move || send_for_ever(writer, requests.as_bytes()));
                let reader = Tasklet::spawn(move || io::copy(&mut reader, &mut io::sink()));
                (reader, writer)
            })
            .collect();
        let mut client = Client::of(&server);
        for i in 0..200 {
            client.send(get(&format!("/{i}")));
            assert_eq!(client.body(), format!("GET /{i}"));
        }
        drop(client);
        // The floods end with their server.
        server.0.tasklet().stop();
        for (reader, writer) in floods {
            assert!(is_gone(&writer.join().unwrap()));
            let end = reader.join().unwrap();
            assert!(end.as_ref().err().is_none_or(is_gone), "{end:?}");
        }
    });
}

/// A byte in a chunk, and as much around it as is allowed.
#[test]
fn chunks_may_be_as_small_as_they_like() {
    in_tasklet(|| {
        let server = spawn(echo);
        let mut client = Client::of(&server);
        let body = "1;a=bcdefgh\r\nx\r\n".repeat(1_000) + &"1\r\ny\r\n".repeat(50_000);
        let end = "0\r\n\r\n";
        client.send(post("Transfer-Encoding: chunked", &(body + end)));
        assert_eq!(client.body(), "x".repeat(1_000) + &"y".repeat(50_000));
        // But what is around them has a limit.
        let body = "1;a=bcdefgh\r\nx\r\n".repeat(10_000);
        client.send(post("Transfer-Encoding: chunked", &body));
        let rest = client.rest();
        assert!(
            rest.starts_with("HTTP/1.1 413 Payload Too Large\r\n"),
            "{rest}"
        );
    });
}

/// Not among the headers, where some of them would mean something else.
#[test]
fn trailers_stay_where_they_are() {
    in_tasklet(|| {
        let server = spawn(|mut request: Request<Body>| {
            let mut body = String::new();
            request.body_mut().read_to_string(&mut body).unwrap();
            let names = |headers: &actor_net::http::HeaderMap| {
                let mut names: Vec<_> = headers
                    .keys()
                    .map(|name| name.as_str().to_owned())
                    .collect();
                names.sort();
                names.join(",")
            };
            let trailers = names(request.body().trailers().unwrap());
            format!("{}|{body}|{trailers}", names(request.headers()))
        });
        let mut client = Client::of(&server);
        let trailers = "x-sum: 1\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nHost: b\r\n\
                        Authorization: me\r\nCookie: c=d\r\nConnection: close\r\n";
        let body = format!("3\r\nabc\r\n0\r\n{trailers}\r\n");
        client.send(post("Trailer: x-sum\r\nTransfer-Encoding: chunked", &body));
        let (_, seen) = client.answer();
        let mut parts = seen.split('|');
        assert_eq!(
            parts.next(),
            Some("host,trailer,transfer-encoding"),
            "{seen}"
        );
        assert_eq!(parts.next(), Some("abc"), "{seen}");
        let trailers = parts.next().unwrap();
        for name in [
            "content-length",
            "transfer-encoding",
            "host",
            "authorization",
            "connection",
        ] {
            assert!(!trailers.contains(name), "{seen}");
        }
        assert!(trailers.contains("x-sum"), "{seen}");
        // Nor did any of them end the connection, or begin another request.
        client.send(post("Transfer-Encoding: chunked", "0\r\n\r\n"));
        assert_eq!(client.body(), "host,transfer-encoding||");
    });
}

/// An upgrade that is not offered is no reason not to answer.
#[test]
fn an_upgrade_may_be_ignored() {
    in_tasklet(|| {
        let server = spawn(echo);
        let mut client = Client::of(&server);
        for headers in [
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
            "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/3.0",
            "Upgrade: unheard-of",
        ] {
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n"));
            assert_eq!(client.body(), "GET /");
            // The body of such a request is one all the same.
            client.send(post(
                &format!("{headers}\r\nContent-Length: 20"),
                &"GET / HTTP/1.1\r\n"[..16],
            ));
            client.send("\r\n\r\n");
            assert_eq!(client.body(), "GET / HTTP/1.1\r\n\r\n\r\n");
        }
    });
}

/// Who is refused has its answer, even if it goes on sending; but not for ever.
#[test]
fn a_refused_client_may_go_on_for_a_while() {
    in_tasklet(|| {
        let server = limited(|limits| limits.body = 1_000);
        let mut client = Client::of(&server);
        client.send(post("Content-Length: 100000", &"x".repeat(50_000)));
        let rest = client.rest();
        assert!(
            rest.starts_with("HTTP/1.1 413 Payload Too Large\r\n"),
            "{rest}"
        );
        let mut client = Client::of(&server);
        client.send(post("Content-Length: 100000", ""));
        assert!(client.head().starts_with("HTTP/1.1 413 "));
        let writer = client.0.try_clone().unwrap();
        let writer = Tasklet::spawn(move || send_for_ever(writer, &[b'x'; 1_000]));
        assert!(is_gone(&writer.join().unwrap()));
        drop(client);
        assert_well(&server);
    });
}

/// What is on its way when the answer goes out does not cost the client the answer.
#[test]
fn a_body_that_nobody_wants_may_still_come() {
    in_tasklet(|| {
        let server = limited(|limits| limits.body = 5_000);
        let unwanted = spawn(|_: Request<Body>| StatusCode::UNAUTHORIZED);
        for (server, framing, status) in [
            (&server, "Content-Length: 6000", "413 "),
            (&unwanted, "Content-Length: 6000", "401 "),
            (&unwanted, "Transfer-Encoding: chunked", "401 "),
        ] {
            let mut client = Client::of(server);
            client.send(post(framing, ""));
            assert!(client.head().starts_with(&format!("HTTP/1.1 {status}")));
            for _ in 0..3 {
                client.send("1000\r\n".repeat(200));
                (0..10).for_each(|_| Tasklet::yield_now());
            }
            client.rest();
            client.0.shutdown(Shutdown::Write).unwrap();
            drop(client);
            eventually("the connection has gone", || server.connections() == 0);
        }
    });
}

/// A time that never comes is no limit.
#[test]
fn limits_may_be_as_large_as_they_like() {
    in_tasklet(|| {
        let server = limited(|limits| {
            let for_ever = Duration::MAX;
            limits.head_time = for_ever;
            limits.idle_time = for_ever;
            limits.body_grace = for_ever;
            limits.write_time = for_ever;
            limits.body_rate = u32::MAX;
            limits.requests = Some(u32::MAX);
            limits.body = u64::MAX;
            limits.chunk_extensions = usize::MAX;
            limits.trailers_bytes = usize::MAX;
            for limit in [
                &mut limits.method,
                &mut limits.target,
                &mut limits.headers,
                &mut limits.header,
                &mut limits.head,
                &mut limits.chunk_extension,
                &mut limits.trailers,
            ] {
                *limit = usize::MAX;
            }
        });
        let mut client = Client::of(&server);
        // Each piece has to be waited for.
        for piece in ["GET /1 HT", "TP/1.1\r\nHost: a\r\n", "\r\n"] {
            client.send(piece);
            (0..10).for_each(|_| Tasklet::yield_now());
        }
        assert_eq!(client.body(), "GET /1");
        for framing in ["Content-Length: 6", "Transfer-Encoding: chunked"] {
            client.send(post(framing, ""));
            let pieces = match framing.starts_with('C') {
                true => ["ab", "cd", "ef"],
                false => ["2\r\nab\r\n", "4\r\ncdef\r\n", "0\r\n\r\n"],
            };
            for piece in pieces {
                (0..10).for_each(|_| Tasklet::yield_now());
                client.send(piece);
            }
            assert_eq!(client.body(), "abcdef");
        }
        // The map of headers has its own limit, and so has a target.
        for headers in [&"x: y\r\n".repeat(20_000), "", "x: y\r\n"] {
            client.send(format!("GET /2 HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
            assert_eq!(client.body(), "GET /2");
        }
        for (refused, status) in [
            (post(&"x: y\r\n".repeat(50_000), ""), 431),
            (get(&format!("/{}", "a".repeat(100_000))), 400),
            (
                post(
                    "Transfer-Encoding: chunked",
                    &format!("0\r\n{}\r\n", "x: y\r\n".repeat(50_000)),
                ),
                431,
            ),
        ] {
            let mut client = Client::of(&server);
            client.send(refused);
            let rest = client.rest();
            assert!(rest.starts_with(&format!("HTTP/1.1 {status} ")), "{rest}");
        }
        let huge = format!("Content-Length: {}", u64::MAX);
        client.send(post(&huge, "some of it"));
        drop(client);
        assert_well(&server);
    });
}

/// Limits of nothing refuse everything, and do nothing else.
#[test]
fn limits_may_be_nothing() {
    in_tasklet(|| {
        let server = limited(|limits| {
            (limits.head, limits.body, limits.requests) = (0, 0, Some(0));
            (limits.idle_time, limits.head_time) = (Duration::ZERO, Duration::ZERO);
            (limits.body_rate, limits.body_grace) = (0, Duration::ZERO);
        });
        for _ in 0..10 {
            let mut client = Client::of(&server);
            // It may have been closed for saying nothing.
            let _ = client.0.write_all(get("/").as_bytes());
            let mut rest = Vec::new();
            let end = client.0.read_to_end(&mut rest);
            let rest = String::from_utf8(rest).unwrap();
            assert!(end.as_ref().err().is_none_or(is_gone), "{end:?}");
            assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 4"), "{rest}");
        }
        eventually("the connections have gone", || server.connections() == 0);
    });
}

// Bytes at random ------------------------------------------------------------------------------

/// Lehmer's generator: the same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        (self.0 >> 8) as usize % limit
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// Pieces that mean something, of which most messages are none.
const PIECES: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST / HTTP/1.1\r\n",
    "HEAD * HTTP/1.0\r\n",
    "Host: a\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, x\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n",
    "ffffffffffffffff\r\n",
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    ":",
    "x: y\r\n",
    "\u{ff}",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
];

/// Whether these are whole answers one behind the other, of which the last may be that to a `HEAD`.
fn assert_answers(mut bytes: &[u8]) {
    let all = String::from_utf8_lossy(bytes).into_owned();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        let (head, rest) = bytes.split_at(end.unwrap_or_else(|| panic!("half a head: {all}")) + 4);
        let head = str::from_utf8(head).unwrap();
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .unwrap_or_else(|| panic!("no status: {all}"));
        if status.starts_with("100 ") {
            bytes = rest;
            continue;
        }
        let length = head.split_once("content-length: ").expect(&all).1;
        let length: usize = length.split_once('\r').unwrap().0.parse().unwrap();
        // That to a `HEAD` has no body.
        let is_whole = rest.len() >= length && !rest[..length].starts_with(b"HTTP/1.1 ");
        bytes = if is_whole { &rest[length..] } else { rest };
    }
}

#[test]
fn bytes_at_random_have_whole_answers_or_none() {
    in_tasklet(|| {
        let server = spawn(echo);
        let mut dice = Dice(1);
        for conversation in 0..1_000 {
            let mut bytes = Vec::new();
            for _ in 0..=dice.below(12) {
                bytes.extend_from_slice(dice.of(PIECES).as_bytes());
            }
            for _ in 0..dice.below(3) {
                let at = dice.below(bytes.len());
                bytes[at] = dice.below(256) as u8;
            }
            let mut client = Client::of(&server);
            let cut = dice.below(bytes.len() + 1);
            for piece in [&bytes[..cut], &bytes[cut..]] {
                // It may have been refused by then.
                let _ = client.0.write_all(piece);
                (0..dice.below(3)).for_each(|_| Tasklet::yield_now());
            }
            if dice.below(10) == 0 {
                reset(client);
                continue;
            }
            let _ = client.0.shutdown(Shutdown::Write);
            let mut answers = Vec::new();
            let end = client.0.read_to_end(&mut answers);
            assert!(
                end.as_ref().err().is_none_or(is_gone),
                "{conversation}: {end:?} after {:?}",
                String::from_utf8_lossy(&bytes)
            );
            assert_answers(&answers);
        }
        assert_well(&server);
    });
}

#[test]
fn a_handler_may_say_what_makes_no_sense() {
    in_tasklet(|| {
        let server = spawn(|request: Request<Body>| {
            let mut response = Response::new(Body::from("hello"));
            let path = request.uri().path()[1..].to_owned();
            let (status, headers) = path.split_once('/').unwrap();
            *response.status_mut() = StatusCode::from_bytes(status.as_bytes()).unwrap();
            for header in headers.split(';').filter(|header| !header.is_empty()) {
                let (name, value) = header.split_once('=').unwrap();
                let name: actor_net::http::HeaderName = name.parse().unwrap();
                response.headers_mut().append(name, value.parse().unwrap());
            }
            response
        });
        for (path, body) in [
            ("200/content-length=3", "hel"),
            ("200/content-length=5;content-length=6", "hello"),
            ("200/transfer-encoding=gzip", "hello"),
            ("200/content-length=-1", "hello"),
            ("205/", ""),
        ] {
            let mut client = Client::of(&server);
            client.send([get(&format!("/{path}")), get("/200/")].concat());
            let (_, answered) = client.answer();
            assert_eq!(answered, body, "{path}");
            assert_eq!(client.body(), "hello", "{path}");
        }
        for path in [
            "204/content-length=5",
            "304/",
            "204/transfer-encoding=chunked",
        ] {
            let mut client = Client::of(&server);
            client.send([get(&format!("/{path}")), get("/200/")].concat());
            client.head();
            assert_eq!(client.body(), "hello", "{path}");
        }
    });
}
