//! A server with the pages of the groups of HTTP, on may_minihttp: `may_minihttp ADDRESS WORKERS`.

use minihttp::{HttpServer, HttpService, Request, Response};
use serde::Serialize;
use std::env;
use std::io;

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

const GREETING: Greeting = Greeting {
    message: "Hello, World!",
};

#[derive(Clone)]
struct Pages;

impl HttpService for Pages {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        match request.path() {
            "/plaintext" => {
                response.header("Content-Type: text/plain; charset=utf-8");
                response.body("Hello, World!");
            }
            "/json" => {
                response.header("Content-Type: application/json");
                response.body_vec(serde_json::to_vec(&GREETING)?);
            }
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

fn main() {
    let mut arguments = env::args().skip(1);
    let (address, workers) = match (arguments.next(), arguments.next().map(|n| n.parse())) {
        (Some(address), Some(Ok(workers))) => (address, workers),
        _ => panic!("usage: may_minihttp ADDRESS WORKERS"),
    };
    may::config().set_workers(workers);
    let server = HttpServer(Pages).start(address).expect("a free port");
    server.join().expect("it is killed in the end");
}
