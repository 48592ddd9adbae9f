//! Idle connections of HTTPS hold no stack, nor do handshakes that have not come far. In a program of its own: the limit
//! on tasklets is the runtime's.

#![cfg(all(feature = "http", feature = "tls"))]

#[path = "common/certificates.rs"]
mod certificates;
mod common;
#[path = "common/http.rs"]
mod http;

use std::net::TcpStream;
use std::process::ExitCode;

use actor_core::{Runtime, block_on_thread};
use actor_net::http::{Body, HttpServer, Request};
use certificates::both;
use common::{PATIENCE, eventually, many_clients};
use http::{Client, get};

/// How many tasklets there may be, and so stacks: what a server needs, and a few.
const STACKS: usize = 16;

#[test]
fn idle_connections_hold_no_stack() {
    let code = Runtime::builder().tasklets(STACKS).dispatch(|| {
        let count = many_clients();

        let (tls, client_tls) = both();
        let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls);
        let answer = |request: Request<Body>| request.uri().path().to_owned();
        let server = server.spawn(answer).unwrap();
        let addr = server.local_addr();
        // All clients are one thread's: they need no stacks.
        let clients = block_on_thread(move || {
            let connect = || {
                let stream = TcpStream::connect(addr).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream
            };
            let mut stalled: Vec<_> = (0..count / 10).map(|_| Client(connect())).collect();
            for client in &mut stalled {
                client.send([22, 3, 1]);
            }
            let mut idle: Vec<_> = (stalled.len()..count)
                .map(|_| Client(client_tls.connect("localhost", connect()).unwrap()))
                .collect();
            for client in &mut idle {
                client.send(get("/1"));
                assert_eq!(client.body(), "/1");
            }
            for client in &mut idle {
                client.send(get("/2"));
                assert_eq!(client.body(), "/2");
            }
            (idle, stalled)
        });
        assert_eq!(server.connections(), count);
        drop(clients);
        eventually("all have gone", || server.connections() == 0);
        server.shutdown(PATIENCE).unwrap();
    });
    assert_eq!(code, ExitCode::SUCCESS);
}
