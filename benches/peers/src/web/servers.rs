//! The servers, each as its users write it, with the pages of [`super`].

use super::{JSON, PLAINTEXT, Page, SMALL};
use crate::harness::{self, Result, Setup};
use crate::{runtimes, tools};
use axum::routing::get;
use axum::{Json, Router};
use concurrence::net::http::{
    Body, Bytes, HeaderName, HeaderValue, HttpServer, IntoResponse, RawAnswer, Request, Response,
    StatusCode,
};
use hyper::header::{CONTENT_TYPE, SERVER};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use std::fs;
use std::process::{Command, ExitCode};
use tokio::net::TcpListener;

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

const GREETING: Greeting = Greeting {
    message: PLAINTEXT.body,
};

// ---- ours ----

pub(crate) fn ours(setup: Setup) -> ExitCode {
    runtimes::concurrence(setup.workers(), || {
        let server = HttpServer::bind("127.0.0.1:0").expect("a free port");
        harness::listening(server.local_addr());
        server.run(handle).expect("it is killed in the end");
    })
}

fn handle(request: Request<Body>) -> Response<Body> {
    match request.uri().path() {
        "/plaintext" => page(&PLAINTEXT, PLAINTEXT.body),
        "/json" => page(&JSON, serde_json::to_vec(&GREETING).expect("it is JSON")),
        "/page" => page(&SMALL, SMALL.body),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn page(page: &'static Page, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    headers.insert(SERVER, HeaderValue::from_static(page.server));
    response
}

/// The plain text, raw: a [shortcut](HttpServer::shortcut) looks at heads where they have been received, and `http`'s
/// types are made of none. The headers of its answers are a table.
pub(crate) fn ours_shortcut(setup: Setup) -> ExitCode {
    runtimes::concurrence(setup.workers(), || {
        let server = HttpServer::bind("127.0.0.1:0").expect("a free port");
        harness::listening(server.local_addr());
        let server = server.shortcut(|head| {
            (head.method() == b"GET" && head.target() == PLAINTEXT.path.as_bytes()).then(|| {
                RawAnswer {
                    status: StatusCode::OK,
                    headers: &PLAINTEXT_HEADERS,
                    body: Bytes::from_static(PLAINTEXT.body.as_bytes()),
                }
            })
        });
        server.run(handle).expect("it is killed in the end");
    })
}

static PLAINTEXT_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (
        CONTENT_TYPE,
        HeaderValue::from_static(PLAINTEXT.content_type),
    ),
    (SERVER, HeaderValue::from_static(PLAINTEXT.server)),
];

/// The plain text, by a handler that returns it as it is: its type makes the headers, save for who the server is.
pub(crate) fn ours_text(setup: Setup) -> ExitCode {
    runtimes::concurrence(setup.workers(), || {
        let server = HttpServer::bind("127.0.0.1:0").expect("a free port");
        harness::listening(server.local_addr());
        let server = server.run(|request: Request<Body>| match request.uri().path() {
            "/plaintext" => Ok(Named(PLAINTEXT.body)),
            _ => Err(StatusCode::NOT_FOUND),
        });
        server.expect("it is killed in the end");
    })
}

/// What all servers add, so that their answers have the same bytes.
struct Named<T>(T);

impl<T: IntoResponse> IntoResponse for Named<T> {
    fn into_response(self) -> Response<Body> {
        let mut response = self.0.into_response();
        let server = HeaderValue::from_static(PLAINTEXT.server);
        response.headers_mut().insert(SERVER, server);
        response
    }
}

// ---- axum ----

/// On hyper as it is at its best: without Nagle's algorithm, and answers to requests that came together
/// go out together. `axum::serve` has neither.
pub(crate) fn axum(setup: Setup) -> ExitCode {
    runtimes::tokio_multi_thread(setup.workers(), serve_axum())
}

pub(crate) fn axum_current_thread(_: Setup) -> ExitCode {
    runtimes::tokio_current_thread(serve_axum())
}

async fn serve_axum() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    harness::listening(listener.local_addr().expect("it is bound"));
    let router = router();
    loop {
        let (stream, _) = listener.accept().await.expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            let connection = http.pipeline_flush(true);
            let connection = connection.serve_connection(TokioIo::new(stream), service);
            // A client that has gone is none of the server's affair.
            drop(connection.await);
        });
    }
}

fn router() -> Router {
    Router::new()
        .route(PLAINTEXT.path, get(async || named(PLAINTEXT.body)))
        .route(JSON.path, get(async || named(Json(GREETING))))
}

fn named(response: impl axum::response::IntoResponse) -> impl axum::response::IntoResponse {
    ([(SERVER, super::SERVER)], response)
}

/// The same pages on our server.
pub(crate) fn axum_on_ours(setup: Setup) -> ExitCode {
    runtimes::concurrence(setup.workers(), || {
        let server = HttpServer::bind("127.0.0.1:0").expect("a free port");
        harness::listening(server.local_addr());
        let server = server.run(concurrence::net::http::tower(router()));
        server.expect("it is killed in the end");
    })
}

// ---- may_minihttp ----

pub(crate) const MAY_MINIHTTP: &str = "may_minihttp";

/// A program of its own, which sends the headers that it always sends and the content's type.
pub(crate) fn may_minihttp(setup: Setup) -> ExitCode {
    let program = || -> Result<Command> {
        let address = tools::free_address()?;
        harness::listening(address);
        let mut program = tools::package(MAY_MINIHTTP)?;
        program.args([address.to_string(), setup.workers().to_string()]);
        Ok(program)
    };
    tools::become_program(program())
}

// ---- nginx ----

/// Debian's, in one process: what would be its one worker without the master. The page is in its configuration, so
/// that it need not open a file.
pub(crate) fn nginx(_: Setup) -> ExitCode {
    let program = || -> Result<Command> {
        let address = tools::free_address()?;
        harness::listening(address);
        let place = tools::built()?.join("nginx");
        fs::create_dir_all(&place)?;
        let configuration = place.join("nginx.conf");
        fs::write(&configuration, nginx_configuration(&address.to_string()))?;
        let mut program = tools::command("nginx")?;
        program.arg("-p").arg(&place).arg("-c").arg(configuration);
        program.args(["-e", "stderr"]);
        Ok(program)
    };
    tools::become_program(program())
}

fn nginx_configuration(address: &str) -> String {
    let Page {
        path,
        content_type,
        body,
        ..
    } = SMALL;
    let body = body.replace('\r', "\\r").replace('\n', "\\n");
    format!(
        r#"
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    types {{ }}
    default_type {content_type};
    server {{
        listen {address};
        location = {path} {{ return 200 "{body}"; }}
    }}
}}
"#
    )
}
