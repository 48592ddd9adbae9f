//! A small site: a board of notes as JSON, its changes as server-sent events, uploads, and a tree of files.
//! Try it: `cargo run --release --example web`, then <http://localhost:8080/> in a browser, or
//!
//! - `curl -N localhost:8080/events` in one terminal, and in another
//! - `curl -d '{"text":"hello"}' localhost:8080/notes`, `curl localhost:8080/notes`, `curl -X DELETE localhost:8080/notes/1`
//! - `curl -T Cargo.lock localhost:8080/upload`
//! - `curl -r 0-99 localhost:8080/files/Cargo.toml`: the directory is the current one, or that of the second argument.
//!
//! Ctrl-C ends it: what is being answered is, and the streams of events come to their end.

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;
use std::{env, io};

use concurrence::io::Read;
use concurrence::net::http::sse::{self, Event, Events};
use concurrence::net::http::{
    Body, Bytes, Files, HeaderValue, HttpServer, IntoResponse, Method, Request, Response,
    StatusCode,
};
use concurrence::{Actor, Addr, CallError, dispatch, messages};
use serde_json::{Value, json};

/// How many notes the board has room for, and how many changes are kept for those who connect anew.
const MOST_NOTES: usize = 10_000;

/// How long the text of one may be, in bytes.
const LONGEST_NOTE: usize = 4096;
const KEPT_CHANGES: usize = 100;

/// The notes, and who is told when they change.
#[derive(Default)]
struct Board {
    notes: BTreeMap<u64, String>,
    /// Of the last note.
    last: u64,
    listeners: Vec<Events>,
    changes: VecDeque<(u64, Event)>,
    change: u64,
}

impl Actor for Board {}

impl Board {
    /// Tells everybody. Who has gone, or does not read, is a listener no more.
    fn tell(&mut self, name: &str, what: &Value) {
        self.change += 1;
        let event = Event::new()
            .name(name)
            .and_then(|event| event.id(&self.change.to_string()));
        let Ok(event) = event.map(|event| event.data(&what.to_string())) else {
            return; // neither has the end of a line in it
        };
        self.listeners
            .retain_mut(|listener| listener.try_send(&event).is_ok());
        self.changes.push_back((self.change, event));
        if self.changes.len() > KEPT_CHANGES {
            self.changes.pop_front();
        }
    }
}

#[messages]
impl Board {
    fn all(&self) -> Value {
        let notes = self.notes.iter();
        notes
            .map(|(id, text)| json!({"id": id, "text": text}))
            .collect()
    }

    fn note(&self, id: u64) -> Option<Value> {
        let text = self.notes.get(&id)?;
        Some(json!({"id": id, "text": text}))
    }

    /// Adds a note, if there is room.
    fn post(&mut self, text: String) -> Option<u64> {
        if self.notes.len() == MOST_NOTES {
            return None;
        }
        self.last += 1;
        self.tell("posted", &json!({"id": self.last, "text": text}));
        self.notes.insert(self.last, text);
        Some(self.last)
    }

    /// Changes a note; whether it is there.
    fn change(&mut self, id: u64, text: String) -> bool {
        let Some(note) = self.notes.get_mut(&id) else {
            return false;
        };
        note.clone_from(&text);
        self.tell("changed", &json!({"id": id, "text": text}));
        true
    }

    fn delete(&mut self, id: u64) -> bool {
        let is_there = self.notes.remove(&id).is_some();
        if is_there {
            self.tell("deleted", &json!({"id": id}));
        }
        is_there
    }

    /// Has somebody told of all changes from now on, and of those that he has missed.
    fn listen(&mut self, mut events: Events, after: Option<u64>) {
        let seen = after.unwrap_or(self.change);
        let missed = self.changes.iter().filter(|(change, _)| *change > seen);
        for (_, event) in missed {
            if events.try_send(event).is_err() {
                return;
            }
        }
        self.listeners.push(events);
    }

    /// Somebody has gone.
    fn look_round(&mut self) {
        self.listeners.retain(|listener| !listener.is_gone());
    }

    fn listeners(&self) -> usize {
        self.listeners.len()
    }
}

struct Site {
    board: Addr<Board>,
    files: Files,
}

/// What goes wrong, and what the client is told of it.
enum Failure {
    /// No such page.
    NotFound,
    /// There is such a page, for these methods.
    Method(&'static str),
    /// The client is to blame, and told why.
    Request(String),
    /// No more for the time being.
    Full,
    /// A body that could not be read.
    Io(io::Error),
    /// The board has gone.
    Board(CallError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Failure::Board(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response<Body> {
        let (status, what) = match self {
            Failure::NotFound => (StatusCode::NOT_FOUND, "no such page".to_owned()),
            Failure::Method(allowed) => {
                let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
                let allowed = HeaderValue::from_static(allowed);
                response.headers_mut().insert("allow", allowed);
                return response;
            }
            Failure::Request(what) => (StatusCode::BAD_REQUEST, what),
            Failure::Full => (
                StatusCode::INSUFFICIENT_STORAGE,
                "the board is full".to_owned(),
            ),
            Failure::Io(error) => return error.into_response(),
            Failure::Board(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        };
        answer(status, &json!({"error": what}))
    }
}

/// JSON with a status.
fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = (status, format!("{value}\n")).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}

/// The text of the note that a client has sent.
fn text_of(body: Body) -> Result<String, Failure> {
    let bytes: Bytes = body.into_bytes()?;
    let note: Value =
        serde_json::from_slice(&bytes).map_err(|error| Failure::Request(error.to_string()))?;
    match &note["text"] {
        Value::String(text) if text.len() > LONGEST_NOTE => {
            Err(Failure::Request("the note is too long".to_owned()))
        }
        Value::String(text) => Ok(text.clone()),
        _ => Err(Failure::Request(
            r#"{"text": ".."} was expected"#.to_owned(),
        )),
    }
}

fn id(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::NotFound)
}

fn there(is_there: bool) -> Result<Response<Body>, Failure> {
    match is_there {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Failure::NotFound),
    }
}

/// Counts what comes, as fast as it comes, and keeps nothing of it.
fn upload(mut body: Body) -> Result<Response<Body>, Failure> {
    let (mut count, mut sum) = (0, 0_u64);
    let mut piece = vec![0; 16 * 1024];
    loop {
        match body.read(&mut piece)? {
            0 => break,
            len => {
                count += len;
                sum = piece[..len]
                    .iter()
                    .fold(sum, |sum, &byte| sum + u64::from(byte));
            }
        }
    }
    Ok(answer(StatusCode::OK, &json!({"bytes": count, "sum": sum})))
}

fn listen(site: &Site, request: &Request<Body>) -> Result<Response<Body>, Failure> {
    let (events, response) = sse::stream();
    let after = sse::last_event_id(request.headers()).and_then(|id| id.parse().ok());
    let board = site.board.downgrade();
    events.when_gone(move || {
        if let Some(board) = board.upgrade() {
            let _ = board.look_round(); // it may be gone as well
        }
    });
    match site.board.listen(events, after) {
        Ok(()) => Ok(response),
        Err(_) => Err(Failure::Board(CallError::Ended)),
    }
}

impl Site {
    fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        // The server leaves the body out where only the head is asked for.
        let method = match request.method() {
            &Method::HEAD => Method::GET,
            other => other.clone(),
        };
        let board = &self.board;
        match (&method, &segments[..]) {
            (_, ["files", ..]) => {
                let path = path.strip_prefix("/files").unwrap_or_default();
                Ok(self.files.serve_path(path, &request))
            }
            (&Method::GET, [""]) => {
                let mut page = PAGE.into_response();
                let html = HeaderValue::from_static("text/html; charset=utf-8");
                page.headers_mut().insert("content-type", html);
                Ok(page)
            }
            (&Method::GET, ["notes"]) => Ok(answer(StatusCode::OK, &board.all()?)),
            (&Method::POST, ["notes"]) => {
                let id = board.post(text_of(request.into_body())?)?;
                let id = id.ok_or(Failure::Full)?;
                let mut response = answer(StatusCode::CREATED, &json!({"id": id}));
                if let Ok(location) = HeaderValue::from_str(&format!("/notes/{id}")) {
                    response.headers_mut().insert("location", location);
                }
                Ok(response)
            }
            (&Method::GET, ["notes", note]) => {
                let note = board.note(id(note)?)?.ok_or(Failure::NotFound)?;
                Ok(answer(StatusCode::OK, &note))
            }
            (&Method::PUT, ["notes", note]) => {
                let id = id(note)?;
                there(board.change(id, text_of(request.into_body())?)?)
            }
            (&Method::DELETE, ["notes", note]) => there(board.delete(id(note)?)?),
            (&Method::GET, ["events"]) => listen(self, &request),
            (&Method::GET, ["listeners"]) => Ok(answer(StatusCode::OK, &json!(board.listeners()?))),
            (&Method::POST | &Method::PUT, ["upload", ..]) => upload(request.into_body()),
            (_, [""] | ["events"] | ["listeners"]) => Err(Failure::Method("GET, HEAD")),
            (_, ["notes"]) => Err(Failure::Method("GET, HEAD, POST")),
            (_, ["notes", _]) => Err(Failure::Method("GET, HEAD, PUT, DELETE")),
            (_, ["upload", ..]) => Err(Failure::Method("POST, PUT")),
            _ => Err(Failure::NotFound),
        }
    }
}

const PAGE: &str = r#"<!DOCTYPE html>
<meta charset="utf-8">
<title>Notes</title>
<h1>Notes</h1>
<form><input name="text" autofocus> <button>post</button></form>
<ul></ul>
<p><a href="files/">files</a>
<script>
const list = document.querySelector('ul'), form = document.querySelector('form')
const show = ({id, text}) => {
  const item = document.getElementById(id) ?? list.appendChild(document.createElement('li'))
  item.id = id
  item.textContent = text
}
const events = new EventSource('events')
events.onopen = async () => (await (await fetch('notes')).json()).forEach(show)
events.addEventListener('posted', event => show(JSON.parse(event.data)))
events.addEventListener('changed', event => show(JSON.parse(event.data)))
events.addEventListener('deleted', event => document.getElementById(JSON.parse(event.data).id)?.remove())
form.onsubmit = event => {
  event.preventDefault()
  fetch('notes', {method: 'POST', body: JSON.stringify({text: form.text.value})})
  form.reset()
}
</script>
"#;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let mut args = env::args().skip(1);
    let addr = args.next().unwrap_or("localhost:8080".to_owned());
    let root = args.next().unwrap_or(".".to_owned());
    dispatch(move || -> io::Result<()> {
        let board = Addr::spawn(Board::default());
        let files = Files::new(root)?.listing(true).precompressed(true);
        let site = Site { board, files };
        HttpServer::serve(addr, move |request| site.answer(request))
    })
}
