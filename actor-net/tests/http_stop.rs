//! A server that is asked to stop at the same moment as its clients ask it for something.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;

use actor_core::{Runtime, block_on_thread};
use actor_net::ServerHandle;
use actor_net::http::{Body, Request};
use common::{PATIENCE, eventually};
use http::{Client, Running, get, spawn};

/// What is done without a wait is one moment, on one worker.
fn on_one_worker(test: impl FnOnce() + Send + 'static) {
    let code = Runtime::builder().workers(1).dispatch(test);
    assert_eq!(code, ExitCode::SUCCESS, "see above");
}

fn serve() -> Running {
    spawn(|request: Request<Body>| request.uri().path().to_owned())
}

/// A client whose operations are the thread's: it lets nobody else run.
fn connect(server: &ServerHandle) -> Client<TcpStream> {
    let stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client(stream)
}

fn assert_answered(mut clients: Vec<Client<TcpStream>>) {
    block_on_thread(move || {
        for (i, client) in clients.iter_mut().enumerate() {
            let rest = client.rest();
            assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{i}: {rest:?}");
            assert!(rest.contains("connection: close\r\n"), "{i}: {rest:?}");
            assert!(rest.ends_with("/late"), "{i}: {rest:?}");
        }
    });
}

/// More than are closed at a time.
const COUNT: usize = 150;

#[test]
fn a_request_that_has_come_on_an_idle_connection_is_answered() {
    on_one_worker(|| {
        for _ in 0..3 {
            let server = serve();
            let mut clients: Vec<_> = (0..COUNT).map(|_| connect(&server)).collect();
            clients = block_on_thread(move || {
                for client in &mut clients {
                    client.send(get("/early"));
                    assert_eq!(client.body(), "/early");
                }
                clients
            });
            // Every other one stays idle.
            let mut idle = Vec::new();
            let mut busy = Vec::new();
            for (i, mut client) in clients.into_iter().enumerate() {
                if i % 2 == 0 {
                    idle.push(client);
                } else {
                    client.send(get("/late"));
                    busy.push(client);
                }
            }
            server.shutdown(PATIENCE).unwrap();
            assert_answered(busy);
            block_on_thread(move || idle.iter_mut().for_each(|idle| assert_eq!(idle.rest(), "")));
        }
    });
}

#[test]
fn a_request_on_a_connection_that_has_not_been_accepted_is_answered() {
    on_one_worker(|| {
        for _ in 0..3 {
            let server = serve();
            let clients = (0..COUNT / 2).map(|_| {
                let mut client = connect(&server);
                client.send(get("/late"));
                client
            });
            let clients = clients.collect();
            server.shutdown(PATIENCE).unwrap();
            assert_answered(clients);
        }
    });
}

/// Neither is what has come no request, nor does it put the end off.
#[test]
fn what_is_no_request_is_not_waited_for() {
    on_one_worker(|| {
        let server = serve();
        let beginnings = ["", "GET /late HT", "\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"];
        let warm = beginnings.map(|beginning| (connect(&server), beginning));
        let mut warm = block_on_thread(move || {
            warm.map(|(mut client, beginning)| {
                client.send(get("/early"));
                assert_eq!(client.body(), "/early");
                (client, beginning)
            })
        });
        eventually("all are there", || server.connections() == warm.len());
        let mut all = Vec::from(beginnings.map(|beginning| {
            let mut client = connect(&server);
            client.send(beginning);
            client
        }));
        for (client, beginning) in &mut warm {
            client.send(*beginning);
        }
        // One has said all that it will.
        let ended = connect(&server);
        ended.0.shutdown(Shutdown::Write).unwrap();
        all.push(ended);
        all.extend(warm.map(|(client, _)| client));
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(server.connections(), 0);
        block_on_thread(move || {
            all.iter_mut()
                .for_each(|client| assert_eq!(client.rest(), ""))
        });
    });
}
