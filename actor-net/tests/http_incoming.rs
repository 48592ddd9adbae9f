//! Requests whose bodies are still to come when they are handled: what their clients are told, and when.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::fs::{self, OpenOptions};
use std::hint;
use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor_core::{Placement, Tasklet, TimedOut};
use actor_net::http::{Body, HttpServer, Limits, Request, StatusCode};
use common::{eventually, in_tasklet};
use http::{Client, Running, get, next, post, spawn, told};

/// Gives a body in pieces, and lets others run before each.
struct Pieces(usize);

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Tasklet::yield_now();
        if self.0 == 0 {
            return Ok(0);
        }
        self.0 -= 1;
        buf[..3].copy_from_slice(b"abc");
        Ok(3)
    }
}

/// One worker reads the body while another answers: the client is told to go on before the answer, or not at all.
#[test]
fn who_reads_elsewhere_does_not_interrupt_the_answer() {
    in_tasklet(|| {
        let round = Arc::new(AtomicUsize::new(0));
        let server = spawn({
            let round = round.clone();
            move |request: Request<Body>| {
                let (ready, go) = (
                    Arc::new(AtomicBool::new(false)),
                    Arc::new(AtomicBool::new(false)),
                );
                let elsewhere = Tasklet::builder()
                    .placement(Placement::Worker(1))
                    .daemon(true);
                let reader = {
                    let (ready, go) = (ready.clone(), go.clone());
                    elsewhere.spawn(move || {
                        ready.store(true, Ordering::SeqCst);
                        while !go.load(Ordering::SeqCst) {
                            Tasklet::yield_now();
                        }
                        let _ = request.into_body().into_bytes();
                    })
                };
                drop(reader.unwrap());
                while !ready.load(Ordering::SeqCst) {
                    Tasklet::yield_now();
                }
                go.store(true, Ordering::SeqCst);
                let pause = round.fetch_add(1, Ordering::SeqCst) % 50;
                (0..pause * 20).for_each(|_| hint::spin_loop());
                Body::from_reader(Pieces(3))
            }
        });
        let mut interim = 0;
        for round in 0..1_000 {
            let mut client = Client::of(&server);
            client.send(post("Expect: 100-continue\r\nContent-Length: 5", ""));
            let mut head = client.head();
            if head.starts_with("HTTP/1.1 100 ") {
                interim += 1;
                head = client.head();
            }
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{round}: {head}");
            let rest = client.rest();
            assert_eq!(rest, "3\r\nabc\r\n".repeat(3) + "0\r\n\r\n", "{round}");
        }
        // A body that has got away is asked for.
        assert_eq!(interim, 1_000);
        eventually("all have gone", || server.connections() == 0);
    });
}

/// However quickly it came before.
#[test]
fn a_body_may_not_be_silent_for_long() {
    in_tasklet(|| {
        let (tell, read) = told();
        let limits = Limits::default().with(|limits| {
            limits.idle_time = Duration::from_millis(50);
            (limits.body_grace, limits.body_rate) = (Duration::from_secs(3_600), 1);
        });
        let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
        let handler = move |mut request: Request<Body>| {
            let mut read_all = || request.body_mut().read_to_end(&mut Vec::new());
            tell((read_all(), read_all()));
            "whatever it says"
        };
        let server = Running(server.spawn(handler).unwrap());
        for (framing, beginning) in [
            ("Content-Length: 100000", "x".repeat(90_000)),
            (
                "Transfer-Encoding: chunked",
                "3e8\r\n".to_owned() + &"x".repeat(1_000),
            ),
        ] {
            let mut client = Client::of(&server);
            client.send(post(framing, &beginning));
            let rest = client.rest();
            assert!(
                rest.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
                "{rest}"
            );
            assert!(rest.contains("connection: close"), "{rest}");
            let (first, second) = next(&read);
            let error = first.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(
                error.get_ref().is_some_and(|inner| inner.is::<TimedOut>()),
                "{error:?}"
            );
            assert_eq!(second.unwrap_err().kind(), ErrorKind::BrokenPipe);
            drop(client);
        }
        eventually("all have gone", || server.connections() == 0);
    });
}

/// The time for which a handler does something else is none that its client has let pass.
#[test]
fn a_handler_may_take_its_time_with_a_body() {
    in_tasklet(|| {
        let (tell, wanted) = told();
        let limits = Limits::default().with(|limits| {
            limits.body_grace = Duration::from_secs(1);
            limits.idle_time = Duration::from_secs(1);
            limits.body_rate = u32::MAX;
        });
        let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
        let handler = move |request: Request<Body>| {
            let mut body = request.into_body();
            let mut all = [0; 10];
            body.read_exact(&mut all[..5])?;
            Tasklet::sleep(Duration::from_millis(1_200));
            tell(());
            body.read_exact(&mut all[5..])?;
            io::Result::Ok(String::from_utf8_lossy(&all).into_owned())
        };
        let server = Running(server.spawn(handler).unwrap());
        let mut client = Client::of(&server);
        client.send(post("Expect: 100-continue\r\nContent-Length: 10", ""));
        // So that it has been waited for.
        assert!(client.head().starts_with("HTTP/1.1 100 "));
        client.send("hello");
        next(&wanted);
        // So that it waits.
        (0..10).for_each(|_| Tasklet::yield_now());
        client.send("world");
        assert_eq!(client.body(), "helloworld");
    });
}

/// The answers before it arrive, and as much of its own as there was.
#[test]
fn what_fails_takes_no_answer_before_it_along() {
    let path = std::env::temp_dir().join(format!("unreadable-{}", std::process::id()));
    in_tasklet({
        let path = path.clone();
        move || {
            let server = spawn(move |request: Request<Body>| match request.uri().path() {
                "/fails" => {
                    let mut options = OpenOptions::new();
                    let file = options.write(true).create(true).truncate(false).open(&path);
                    // It cannot be read.
                    Body::file(file.unwrap(), 0, 5)
                }
                path => path.to_owned().into(),
            });
            let mut client = Client::of(&server);
            client.send([get("/1"), get("/2"), get("/fails"), get("/3")].concat());
            assert_eq!([client.body(), client.body()], ["/1", "/2"]);
            assert!(client.head().contains("content-length: 5\r\n"));
            let mut rest = Vec::new();
            // It ends in whichever way.
            let _ = client.0.read_to_end(&mut rest);
            assert_eq!(rest, b"");
            eventually("it has gone", || server.connections() == 0);
        }
    });
    fs::remove_file(path).unwrap();
}

/// Somebody has it when the answer goes out, and nobody reads it: what is on its way does not cost the client the
/// answer.
#[test]
fn a_body_that_is_kept_may_still_come() {
    in_tasklet(|| {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let server = spawn({
            let kept = kept.clone();
            move |request: Request<Body>| {
                kept.lock().unwrap().push(request.into_body());
                StatusCode::UNAUTHORIZED
            }
        });
        for framing in ["Content-Length: 6000", "Transfer-Encoding: chunked"] {
            let mut client = Client::of(&server);
            client.send(post(framing, ""));
            assert!(client.head().starts_with("HTTP/1.1 401 "));
            for _ in 0..3 {
                client.send("1000\r\n".repeat(200));
                (0..10).for_each(|_| Tasklet::yield_now());
            }
            client.rest();
            drop(client);
            eventually("the connection has gone", || server.connections() == 0);
        }
        assert_eq!(kept.lock().unwrap().len(), 2);
    });
}
