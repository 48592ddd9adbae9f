//! Requests that are answered without the handler.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actor_core::sync::Event;
use actor_net::http::{
    Body, Bytes, HeaderName, HeaderValue, HttpServer, Limits, RawAnswer, RawHead, Request,
    StatusCode,
};
use common::{PATIENCE, in_tasklet};
use http::{Client, Running, get, post};

static TEXT: [(HeaderName, HeaderValue); 1] = [(
    HeaderName::from_static("content-type"),
    HeaderValue::from_static("text/plain"),
)];

fn handler(request: Request<Body>) -> String {
    format!("handler: {} {}", request.method(), request.uri())
}

fn answer(body: impl Into<Bytes>) -> Option<RawAnswer> {
    Some(RawAnswer {
        status: StatusCode::OK,
        headers: &TEXT,
        body: body.into(),
    })
}

fn shortcut(head: &RawHead<'_>) -> Option<RawAnswer> {
    match head.target() {
        b"/short" => answer("short"),
        b"/long" => answer(vec![b'x'; 100_000]),
        b"/panic" => panic!("as it is told to"),
        b"/101" => Some(RawAnswer {
            status: StatusCode::SWITCHING_PROTOCOLS,
            headers: &[],
            body: Bytes::new(),
        }),
        _ => None,
    }
}

fn spawn(change: impl FnOnce(&mut Limits)) -> Running {
    let limits = Limits::default().with(change);
    let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
    Running(server.shortcut(shortcut).spawn(handler).unwrap())
}

#[test]
fn answers_come_in_order_whoever_gives_them() {
    in_tasklet(|| {
        let server = spawn(|_| {});
        let mut client = Client::of(&server);
        let requests = [
            get("/short"),
            get("/1"),
            get("/long"),
            post("Content-Length: 3", "abc"),
            get("/short"),
        ];
        client.send(requests.concat().repeat(50));
        for _ in 0..50 {
            let (head, body) = client.answer();
            assert_eq!(body, "short");
            let lines = [
                "HTTP/1.1 200 OK\r\n",
                "content-type: text/plain\r\n",
                "date: ",
            ];
            assert!(lines.iter().all(|line| head.contains(line)), "{head}");
            assert_eq!(client.body(), "handler: GET /1");
            assert_eq!(client.body().len(), 100_000);
            assert_eq!(client.body(), "handler: POST /");
            assert_eq!(client.body(), "short");
        }
        client.send("HEAD /short HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(client.head().contains("content-length: 5\r\n"));
        // It is not plain, so the handler is asked.
        client.send("GET /short HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(client.rest().ends_with("handler: GET /short"));
    });
}

#[test]
fn a_connection_ends_as_it_does_elsewhere() {
    in_tasklet(|| {
        let server = spawn(|limits| limits.requests = Some(3));
        let mut client = Client::of(&server);
        client.send(get("/short").repeat(4));
        for _ in 0..2 {
            assert!(!client.answer().0.contains("connection: close"));
        }
        let rest = client.rest();
        assert!(rest.contains("connection: close\r\n"), "{rest}");
        assert_eq!(rest.matches("HTTP/1.1").count(), 1);
        for path in ["/panic", "/101"] {
            let mut client = Client::of(&server);
            client.send([get("/short"), get(path), get("/short")].concat());
            assert_eq!(client.body(), "short");
            let rest = client.rest();
            assert!(rest.starts_with("HTTP/1.1 500 "), "{rest}");
            assert!(rest.contains("connection: close\r\n"), "{rest}");
            assert_eq!(rest.matches("HTTP/1.1").count(), 1);
        }
    });
}

#[test]
fn one_that_waits_holds_nobody_up() {
    in_tasklet(|| {
        let (go, asked) = (Arc::new(Event::new()), Arc::new(AtomicUsize::new(0)));
        let (gate, count) = (go.clone(), asked.clone());
        let shortcut = move |head: &RawHead<'_>| {
            if head.target() == b"/wait" {
                count.fetch_add(1, SeqCst);
                gate.wait();
            }
            // Its input is as it was.
            answer(head.target().to_vec())
        };
        let server = HttpServer::bind("127.0.0.1:0").unwrap().shortcut(shortcut);
        let server = Running(server.spawn(handler).unwrap());
        let mut slow = Client::of(&server);
        slow.send([get("/before"), get("/wait"), get("/behind")].concat());
        // What has been answered does not wait for it.
        assert_eq!(slow.body(), "/before");
        let mut other = Client::of(&server);
        other.send(get("/other"));
        assert_eq!(other.body(), "/other");
        common::eventually("it waits", || asked.load(SeqCst) == 1);
        go.set();
        assert_eq!(slow.body(), "/wait");
        assert_eq!(slow.body(), "/behind");
        drop((slow, other));
        server.0.shutdown(PATIENCE).unwrap();
    });
}
