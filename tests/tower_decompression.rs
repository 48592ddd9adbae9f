//! Requests that come compressed, where a layer of tower undoes that: a few bytes can become a great many.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::post;
use common::PATIENCE;
use concurrence::net::ServerHandle;
use concurrence::net::http::{self, HttpServer, Limits};
use concurrence::{Runtime, block_on_thread};
use flate2::Compression;
use flate2::write::GzEncoder;
use tower_http::decompression::RequestDecompressionLayer;

/// What the bomb becomes.
const SIZE: usize = 50_000_000;

/// How much a service takes.
const LIMIT: usize = 100_000;

fn gzip(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    (0..times).for_each(|_| encoder.write_all(bytes).unwrap());
    encoder.finish().unwrap()
}

async fn length(body: Bytes) -> String {
    body.len().to_string()
}

/// Reads no further than it needs.
async fn beginning(body: Body) -> Result<String, StatusCode> {
    match axum::body::to_bytes(body, 1_000).await {
        Ok(body) => Ok(body.len().to_string()),
        Err(_) => Err(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

fn router() -> Router {
    Router::new()
        .route("/length", post(length))
        .route("/beginning", post(beginning))
        .layer(DefaultBodyLimit::max(LIMIT))
        .layer(RequestDecompressionLayer::new())
}

/// Status and body of the answer, on a connection of its own.
fn ask(addr: SocketAddr, path: &str, is_chunked: bool, body: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let framing = match is_chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {}", body.len()),
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Encoding: gzip\r\n{framing}\r\n\r\n"
    );
    let mut writer = stream.try_clone().unwrap();
    let body = body.to_vec();
    // It may be refused before it has been sent.
    let writer = thread::spawn(move || {
        writer.write_all(head.as_bytes())?;
        if !is_chunked {
            return writer.write_all(&body);
        }
        for piece in body.chunks(5_000) {
            write!(writer, "{:x}\r\n", piece.len())?;
            writer.write_all(piece)?;
            writer.write_all(b"\r\n")?;
        }
        writer.write_all(b"0\r\n\r\n")
    });
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let _ = writer.join().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), body.to_owned())
}

/// The most memory that the process has had at a time, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

/// A server, stopped when its test fails.
struct Running(ServerHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.tasklet().stop();
    }
}

fn main_tasklet() {
    // By threads, whose stacks have room for the encoder.
    let (fits, too_large, bomb) = block_on_thread(|| {
        let piece = vec![0; SIZE / 100];
        (
            gzip(&piece[..LIMIT], 1),
            gzip(&piece[..LIMIT + 1], 1),
            gzip(&piece, 100),
        )
    });
    assert!(bomb.len() < SIZE / 500);
    let limits = Limits::default().with(|limits| limits.body = 1_000_000);
    let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
    let server = Running(server.spawn(http::tower(router())).unwrap());
    let addr = server.0.local_addr();
    block_on_thread(move || {
        let before = peak();
        for is_chunked in [false, true] {
            let ask = |path, body: &[u8]| ask(addr, path, is_chunked, body);
            assert_eq!(ask("/length", &fits), ("200".into(), LIMIT.to_string()));
            // What counts is what comes out of it.
            for body in [&too_large, &bomb] {
                assert_eq!(ask("/length", body).0, "413");
                assert_eq!(ask("/beginning", body).0, "413");
            }
            // And what goes into it, which is the server's to limit.
            if !is_chunked {
                assert_eq!(ask("/length", &[0; 1_000_001]).0, "413");
            }
            // What is not compressed at all is an error of the service's, and the client's alone.
            assert!(ask("/length", b"nonsense").0.starts_with('4'));
            assert_eq!(ask("/length", &fits), ("200".into(), LIMIT.to_string()));
        }
        let grown = peak() - before;
        assert!(grown < SIZE / 2, "{grown} bytes");
    });
    server.0.shutdown(PATIENCE).unwrap();
}

#[test]
fn a_body_is_limited_by_what_it_becomes() {
    let code = Runtime::builder().dispatch(main_tasklet);
    assert_eq!(code, ExitCode::SUCCESS);
}
