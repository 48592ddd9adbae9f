//! A service that wants tokio's timers and tasks, on workers that have entered a runtime of tokio's.

mod common;

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::{get, post};
use common::child;
use concurrence::io::{self, Read, Write};
use concurrence::net::TcpStream;
use concurrence::net::http::{self, HttpServer};
use concurrence::{Runtime, block_on};
use tower_http::timeout::TimeoutLayer;

async fn length(body: Body) -> String {
    // A task of tokio's, on a thread of tokio's, reads the body of a connection of ours.
    let task = tokio::spawn(async { axum::body::to_bytes(body, 1 << 20).await });
    format!("{}", task.await.unwrap().unwrap().len())
}

fn router() -> Router {
    Router::new()
        .route(
            "/sleep",
            get(async || tokio::time::sleep(Duration::from_millis(5)).await),
        )
        .route("/never", get(std::future::pending::<()>))
        .route("/length", post(length))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            // Far longer than the sleep takes, whatever else the machine does.
            Duration::from_millis(500),
        ))
}

fn ask(addr: std::net::SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn main_tasklet() -> io::Result<()> {
    // Here as well, and not only in services.
    block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move { sender.send(7).await });
    assert_eq!(block_on(receiver.recv()), Some(7));

    let server = HttpServer::bind("127.0.0.1:0")?.spawn(http::tower(router()))?;
    let get = |path| ask(server.local_addr(), &format!("GET {path} HTTP/1.0\r\n\r\n"));
    assert!(get("/sleep")?.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(get("/never")?.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"));
    let head = "POST /length HTTP/1.0\r\nContent-Length: 500000\r\n\r\n";
    let answer = ask(
        server.local_addr(),
        &(head.to_owned() + &"x".repeat(500_000)),
    )?;
    assert!(answer.ends_with("\r\n\r\n500000"), "{answer}");
    server.shutdown(Duration::from_secs(5))
}

#[test]
fn a_service_finds_the_runtime_that_the_workers_have_entered() {
    let mut program = child(|| {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let handle = tokio.handle().clone();
        let code = Runtime::builder()
            .workers(2)
            .on_worker_start(move || std::mem::forget(handle.enter()))
            .dispatch(main_tasklet);
        assert_eq!(code, ExitCode::SUCCESS);
        code
    });
    let ended = common::Program::start(&mut program).ended();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}
