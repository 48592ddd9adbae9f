//! Many clients of an HTTP server at once, of which each does something else, on several workers.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use actor_core::{Placement, Runtime, Tasklet};
use actor_net::ServerHandle;
use actor_net::http::{Body, Request, Response};
use common::eventually;
use http::{Client, get, post, spawn};

/// Numbers that look random, the same ones in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn handle(request: Request<Body>) -> io::Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    match path.as_bytes().get(1) {
        Some(b'y') => Tasklet::yield_now(),
        Some(b's') => Tasklet::sleep(Duration::from_micros(300)),
        Some(b'p') => panic!("as it is to"),
        Some(b't') => {
            // Elsewhere, where the body is read and the socket waited on.
            let read = Tasklet::builder()
                .placement(Placement::LeastLoaded)
                .spawn(move || request.into_body().into_bytes());
            let body = read.unwrap().join().unwrap()?;
            return Ok(Response::new(body.into()));
        }
        _ => {}
    }
    match request.into_body() {
        body if body.size() == Some(0) => Ok(Response::new(path.into())),
        body => Ok(Response::new(body.into_bytes()?.into())),
    }
}

/// A client's life: one batch of requests after the other, and an end of some kind. Gives how many were answered.
fn live(server: &ServerHandle, numbers: &mut Numbers) -> usize {
    let mut client = Client::of(server);
    let mut answered = 0;
    for _ in 0..numbers.below(8) + 1 {
        let kinds = ["/fast", "/yield", "/sleep"];
        let paths: Vec<_> = (0..numbers.below(6) + 1)
            .map(|_| kinds[numbers.below(3) as usize])
            .collect();
        let requests: String = paths.iter().map(|path| get(path)).collect();
        // In two pieces, wherever that cuts.
        let at = numbers.below(requests.len() as u64) as usize;
        client.send(&requests[..at]);
        if numbers.below(2) == 0 {
            Tasklet::yield_now();
        }
        client.send(&requests[at..]);
        for path in &paths {
            assert_eq!(client.body(), *path);
        }
        answered += paths.len();
    }
    match numbers.below(6) {
        0 => {
            client.send([get("/1"), get("/panic"), get("/2")].concat());
            assert_eq!(client.body(), "/1");
            assert!(client.rest().starts_with("HTTP/1.1 500 "));
            answered += 1;
        }
        // Gone in the middle.
        1 => client.send(&get("/sleep").repeat(5)[..100]),
        2 => {
            client.send(get("/sleep"));
            client.0.shutdown(std::net::Shutdown::Both).unwrap();
        }
        3 => {
            client.send([&get("/last"), "GARBAGE\r\n\r\n"].concat());
            assert_eq!(client.body(), "/last");
            assert!(client.rest().starts_with("HTTP/1.1 400 "));
            answered += 1;
        }
        4 => {
            // A body in pieces, read by another tasklet.
            let body = "0123456789".repeat(numbers.below(3000) as usize + 1);
            let request = post(&format!("Content-Length: {}", body.len()), &body);
            let request = request.replacen("POST / ", "POST /tasklet ", 1);
            for piece in request.as_bytes().chunks(request.len().div_ceil(5)) {
                client.0.write_all(piece).unwrap();
                Tasklet::yield_now();
            }
            assert_eq!(client.body(), body);
            client.send(get("/after"));
            assert_eq!(client.body(), "/after");
            answered += 2;
        }
        _ => {
            client.send(get("/half"));
            client.0.shutdown(std::net::Shutdown::Write).unwrap();
            let mut rest = String::new();
            client.0.read_to_string(&mut rest).unwrap();
            assert!(rest.ends_with("\r\n\r\n/half"), "{rest}");
            answered += 1;
        }
    }
    answered
}

#[test]
fn everybody_is_served_and_nothing_is_left() {
    const CLIENTS: u64 = 60;
    const LIVES: usize = 6;
    let code = Runtime::builder().workers(3).dispatch(|| {
        for round in 0..3 {
            let server = Arc::new(spawn(handle));
            let answered = Arc::new(AtomicUsize::new(0));
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (server, answered) = (server.clone(), answered.clone());
                    let mut numbers = Numbers(1 + client + CLIENTS * round);
                    // The first ones are much alike.
                    numbers.0 = (0..10).fold(numbers.0, |_, _| numbers.below(u64::MAX));
                    let life = move || {
                        for _ in 0..LIVES {
                            answered.fetch_add(live(&server, &mut numbers), SeqCst);
                        }
                    };
                    let builder = Tasklet::builder().placement(Placement::LeastLoaded);
                    builder.spawn(life).unwrap()
                })
                .collect();
            for client in clients {
                client.join().unwrap();
            }
            assert!(answered.load(SeqCst) > 10 * LIVES * CLIENTS as usize);
            eventually("all have gone", || server.connections() == 0);
            server.shutdown(common::PATIENCE).unwrap();
        }
    });
    assert_eq!(code, ExitCode::SUCCESS, "see above");
}
