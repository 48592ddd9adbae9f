//! A web service written for axum, unmodified, on tasklets and without tokio's runtime: a `Router` with its extractors
//! and middleware, whose state is one of our actors.
//!
//! Try it: `cargo run --features tower --example web_axum [ADDRESS]`, then
//!
//! - `curl localhost:8080/hello/ann?times=2`
//! - `curl -d '{"text": "buy milk"}' -H 'content-type: application/json' localhost:8080/notes`
//! - `curl localhost:8080/notes`, `curl localhost:8080/notes/0`, `curl -i localhost:8080/notes/9`
//! - `curl -T FILE localhost:8080/upload`, `curl -T FILE localhost:8080/echo`
//! - `curl --compressed -i localhost:8080/numbers/10000`

use std::convert::Infallible;
use std::env;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::process::ExitCode;

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Form, FromRequest, MatchedPath, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use concurrence::net::http::{self, HttpServer, Limits};
use concurrence::{Actor, Addr, CallError, Runtime, Tasklet, messages};
use serde::{Deserialize, Serialize};
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::trace::TraceLayer;

/// The state that all requests share: an actor, which takes one message at a time.
#[derive(Default)]
struct Notes {
    notes: Vec<String>,
}

impl Actor for Notes {}

#[messages]
impl Notes {
    fn add(&mut self, text: String) -> usize {
        self.notes.push(text);
        self.notes.len() - 1
    }

    fn all(&self) -> Vec<Note> {
        let notes = self.notes.iter().enumerate();
        notes
            .map(|(id, text)| Note {
                id,
                text: text.clone(),
            })
            .collect()
    }

    fn get(&self, id: usize) -> Option<Note> {
        let text = self.notes.get(id)?.clone();
        Some(Note { id, text })
    }
}

#[derive(Debug, Serialize)]
struct Note {
    id: usize,
    text: String,
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

/// What goes wrong, told in JSON.
enum AppError {
    NoSuchNote,
    BadJson(JsonRejection),
    Call(CallError),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            AppError::NoSuchNote => (StatusCode::NOT_FOUND, "no such note".into()),
            AppError::BadJson(rejection) => (rejection.status(), rejection.body_text()),
            AppError::Call(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        (status, axum::Json(serde_json::json!({ "error": error }))).into_response()
    }
}

impl From<CallError> for AppError {
    fn from(error: CallError) -> Self {
        AppError::Call(error)
    }
}

/// axum's, with rejections in JSON.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(AppError))]
struct Json<T>(T);

impl From<JsonRejection> for AppError {
    fn from(rejection: JsonRejection) -> Self {
        AppError::BadJson(rejection)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A call of an actor waits as it does anywhere else: the connection's tasklet does, and not the thread.
async fn add_note(
    State(notes): State<Addr<Notes>>,
    Json(new): Json<NewNote>,
) -> Result<impl IntoResponse, AppError> {
    let id = notes.add(new.text)?;
    Ok((StatusCode::CREATED, Json(notes.get(id)?)))
}

async fn all_notes(State(notes): State<Addr<Notes>>) -> Result<Json<Vec<Note>>, AppError> {
    Ok(Json(notes.all()?))
}

async fn one_note(
    State(notes): State<Addr<Notes>>,
    Path(id): Path<usize>,
) -> Result<Json<Note>, AppError> {
    notes.get(id)?.map(Json).ok_or(AppError::NoSuchNote)
}

#[derive(Deserialize)]
struct Hello {
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

async fn hello(Path(name): Path<String>, Query(hello): Query<Hello>) -> String {
    format!("hello {name}\n").repeat(hello.times.min(100))
}

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

async fn login(Form(login): Form<Login>) -> String {
    format!(
        "{} has {} letters to hide\n",
        login.name,
        login.password.len()
    )
}

async fn headers(path: MatchedPath, headers: HeaderMap) -> String {
    let agent = headers
        .get("user-agent")
        .and_then(|agent| agent.to_str().ok());
    format!("{} for {}\n", path.as_str(), agent.unwrap_or("nobody"))
}

async fn length(body: Bytes) -> String {
    format!("{}\n", body.len())
}

/// Who has sent a request: `axum::extract::ConnectInfo` exists with tokio alone.
#[derive(Clone, Copy)]
struct ConnectInfo(SocketAddr);

async fn whoami(Extension(ConnectInfo(addr)): Extension<ConnectInfo>) -> String {
    format!("{addr}\n")
}

/// Waits as a tasklet does. tokio's timers would want tokio's runtime.
async fn slow() -> &'static str {
    Tasklet::sleep(Duration::from_millis(100));
    "at last\n"
}

async fn panics() {
    panic!("a handler that panics");
}

/// Reads an upload as it comes, and forgets it.
async fn upload(body: Body) -> Result<String, StatusCode> {
    let mut body = pin!(body);
    let mut count = 0;
    loop {
        match std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            None => return Ok(format!("{count} bytes\n")),
            Some(Ok(frame)) => count += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) => return Err(StatusCode::BAD_REQUEST),
        }
    }
}

/// Sends back what comes while it comes.
async fn echo(body: Body) -> Body {
    body
}

/// How many downloads go on.
static DOWNLOADS: AtomicU64 = AtomicU64::new(0);

/// Many bytes that are made while they are sent.
struct Download {
    piece: Bytes,
    left: u64,
}

impl Download {
    fn megabytes(count: u64) -> Download {
        DOWNLOADS.fetch_add(1, Ordering::SeqCst);
        Download {
            piece: vec![b'x'; 64 * 1024].into(),
            left: count << 20,
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        DOWNLOADS.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let count = self.left.min(self.piece.len() as u64);
        self.left -= count;
        let piece = self.piece.slice(..count as usize);
        Poll::Ready((count > 0).then_some(Ok(http_body::Frame::data(piece))))
    }
}

async fn download(Path(megabytes): Path<u64>) -> Body {
    Body::new(Download::megabytes(megabytes.min(1024)))
}

async fn downloads() -> String {
    format!("{}\n", DOWNLOADS.load(Ordering::SeqCst))
}

async fn numbers(Path(count): Path<u32>) -> String {
    (0..count.min(1_000_000))
        .map(|n| format!("{n}\n"))
        .collect()
}

fn router(notes: Addr<Notes>) -> Router {
    Router::new()
        .route("/", get(|| async { "Hello, World!" }))
        .route("/hello/{name}", get(hello))
        .route("/notes", get(all_notes).post(add_note))
        .route("/notes/{id}", get(one_note))
        .route("/login", post(login))
        .route("/headers/{any}", get(headers))
        .route("/length", post(length))
        .route("/whoami", get(whoami))
        .route("/slow", get(slow))
        .route("/panics", get(panics))
        .route("/upload", post(upload).put(upload))
        .route("/echo", post(echo).put(echo))
        .route("/download/{megabytes}", get(download))
        .route("/downloads", get(downloads))
        .route("/numbers/{count}", get(numbers))
        .layer(DefaultBodyLimit::max(16 << 20))
        .layer(CompressionLayer::new())
        .layer(CorsLayer::permissive())
        .layer(TraceLayer::new_for_http())
        .with_state(notes)
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let addr = env::args().nth(1).unwrap_or("localhost:8080".into());
    // A debug build of what compresses wants much stack: it is address space, and memory only where it is used.
    let runtime = Runtime::builder().stack_size(1024 * 1024);
    runtime.dispatch(move || -> std::io::Result<()> {
        let app = http::tower(router(Addr::spawn(Notes::default())));
        let limits = Limits::default().with(|limits| limits.body = 1 << 30);
        HttpServer::bind(addr)?
            .limits(limits)
            .run(move |mut request| {
                // What is to be known of the connection is put where the extractors look.
                if let Some(peer) = http::peer() {
                    request.extensions_mut().insert(ConnectInfo(peer.addr()));
                }
                app(request)
            })
    })
}
