//! Server-sent events: a response that goes on for as long as there is something to tell.
//!
//! The format, `text/event-stream`, is that of the HTML standard; a browser reads it with `EventSource`, which connects
//! anew when the connection is lost, and says then which event it had last.
//!
//! ```
//! # extern crate actor_core as concurrence;
//! use actor_core::{Actor, Addr, Context, Handler, Message};
//! use actor_net::http::sse::{self, Event, Events};
//! use actor_net::http::{Body, Request, Response};
//!
//! /// Tells all who listen what the others have written.
//! #[derive(Default)]
//! struct Board(Vec<Events>);
//!
//! #[derive(Message)]
//! struct Listen(Events);
//!
//! #[derive(Message)]
//! struct Post(String);
//!
//! impl Actor for Board {}
//!
//! impl Handler<Listen> for Board {
//!     fn handle(&mut self, Listen(events): Listen, _: &mut Context<Self>) {
//!         self.0.push(events);
//!     }
//! }
//!
//! impl Handler<Post> for Board {
//!     fn handle(&mut self, Post(text): Post, _: &mut Context<Self>) {
//!         let event = Event::new().data(&text);
//!         // Without those who have gone, or do not keep up.
//!         self.0.retain_mut(|events| events.try_send(&event).is_ok());
//!     }
//! }
//!
//! fn listen(board: &Addr<Board>) -> Response<Body> {
//!     let (events, response) = sse::stream();
//!     let _ = board.send(Listen(events));
//!     response
//! }
//! ```

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::body::{Body, Kind};
use super::channel::{BodyWriter, DEFAULT_BODY_AHEAD, Manners, channel};

/// After how long without an event a comment is sent, unless [said otherwise](Stream::keep_alive): it keeps those
/// between from thinking that the connection is idle, and shows when the client has gone.
///
/// ```
/// assert_eq!(actor_net::http::sse::DEFAULT_KEEP_ALIVE.as_secs(), 15);
/// ```
pub const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The response to be returned by the handler, and what sends its events.
///
/// ```
/// use actor_net::http::sse::{self, Event};
///
/// let (mut events, response) = sse::stream();
/// assert_eq!(response.headers()["content-type"], "text/event-stream");
/// events.send(&Event::new().data("hello")).unwrap();
/// drop(events);
/// assert_eq!(response.into_body().into_bytes().unwrap(), "data: hello\n\n");
/// ```
pub fn stream() -> (Events, Response<Body>) {
    Stream::new().open()
}

/// What the client says was the last event that it got, when it connects anew: the header `Last-Event-ID`.
///
/// ```
/// use actor_net::http::{Request, sse};
///
/// let request = Request::get("/").header("Last-Event-ID", "17").body(()).unwrap();
/// assert_eq!(sse::last_event_id(request.headers()), Some("17"));
/// ```
pub fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(HeaderName::from_static("last-event-id"))?;
    // Bytes of UTF-8, which a `HeaderValue` only gives as a string if they are ASCII.
    str::from_utf8(value.as_bytes()).ok()
}

/// How a stream of events is to be.
///
/// ```
/// use actor_net::http::sse::Stream;
/// use std::time::Duration;
///
/// let (events, response) = Stream::new().keep_alive(Duration::from_secs(5)).ahead(1024).open();
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    keep_alive: Option<Duration>,
    ahead: usize,
}

impl Stream {
    /// As [`stream`] makes it.
    ///
    /// ```
    /// let (events, response) = actor_net::http::sse::Stream::new().open();
    /// ```
    pub fn new() -> Self {
        Stream {
            keep_alive: Some(DEFAULT_KEEP_ALIVE),
            ahead: DEFAULT_BODY_AHEAD,
        }
    }

    /// After how long without an event a comment is sent, looked at once a second. Zero: never.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let stream = actor_net::http::sse::Stream::new().keep_alive(Duration::from_secs(60));
    /// ```
    pub fn keep_alive(mut self, wait: Duration) -> Self {
        self.keep_alive = (!wait.is_zero()).then_some(wait);
        self
    }

    /// By how many bytes the events may be ahead of the client.
    ///
    /// ```
    /// let stream = actor_net::http::sse::Stream::new().ahead(4096);
    /// ```
    pub fn ahead(mut self, bytes: usize) -> Self {
        self.ahead = bytes;
        self
    }

    /// The two ends: see [`stream`].
    ///
    /// ```
    /// let (events, response) = actor_net::http::sse::Stream::new().open();
    /// ```
    pub fn open(self) -> (Events, Response<Body>) {
        let manners = Manners {
            is_endless: true,
            keep_alive: self
                .keep_alive
                .map(|wait| (wait, Bytes::from_static(b":\n\n"))),
        };
        let (writer, reader) = channel(self.ahead, manners);
        let mut response = Response::new(Body(Kind::Channel(Box::new(reader))));
        let headers = response.headers_mut();
        let stream = HeaderValue::from_static("text/event-stream");
        headers.insert(CONTENT_TYPE, stream);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // nginx, and others that have learnt it from there, would gather the events otherwise.
        let buffering = HeaderName::from_static("x-accel-buffering");
        headers.insert(buffering, HeaderValue::from_static("no"));
        let events = Events {
            writer: Some(writer),
        };
        (events, response)
    }
}

impl Default for Stream {
    fn default() -> Self {
        Stream::new()
    }
}

/// Sends events to one client.
///
/// Each goes out at once. The stream ends when this is dropped, and when the connection is asked to stop: a
/// server that shuts down does not wait for it. Then, and when the client has gone, sending fails with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe). A client that says that it sends nothing more counts as gone, since
/// listeners do not say that otherwise.
pub struct Events {
    /// Until it is dropped.
    writer: Option<BodyWriter>,
}

impl Events {
    /// Sends an event, and waits for room if the client has not read enough of those before.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) when the client has gone, and
    /// [`TimedOut`](io::ErrorKind::TimedOut) at the deadline of a [`timeout`](actor_core::timeout()) block. Then nothing of
    /// the event is sent.
    ///
    /// ```
    /// use actor_net::http::sse::{self, Event};
    ///
    /// let (mut events, response) = sse::stream();
    /// events.send(&Event::new().data("hello")).unwrap();
    /// ```
    pub fn send(&mut self, event: &Event) -> io::Result<()> {
        match &mut self.writer {
            Some(writer) => writer.write_whole(event.text().as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Sends an event if there is room for it, and never waits: for an actor that has many clients.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and nothing has been sent;
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) when the client has gone.
    ///
    /// ```
    /// use actor_net::http::sse::{self, Event};
    ///
    /// let (mut events, response) = sse::stream();
    /// drop(response);
    /// assert!(events.try_send(&Event::new().data("hello")).is_err());
    /// ```
    pub fn try_send(&mut self, event: &Event) -> io::Result<()> {
        match &mut self.writer {
            Some(writer) => writer.try_write(event.text().as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Whether the client has gone, as far as is known.
    ///
    /// ```
    /// let (events, response) = actor_net::http::sse::stream();
    /// drop(response);
    /// assert!(events.is_gone());
    /// ```
    pub fn is_gone(&self) -> bool {
        self.writer.as_ref().is_none_or(BodyWriter::is_gone)
    }

    /// Has `tell` called when the client has gone: see [`BodyWriter::when_gone`].
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// use actor_core::{Actor, Addr, Context, Handler, Message};
    /// use actor_net::http::sse::Events;
    ///
    /// #[derive(Message)]
    /// struct Gone(u64);
    ///
    /// # struct Board;
    /// # impl Actor for Board {}
    /// # impl Handler<Gone> for Board {
    /// #     fn handle(&mut self, _: Gone, _: &mut Context<Self>) {}
    /// # }
    /// fn watch(events: &Events, id: u64, board: Addr<Board>) {
    ///     events.when_gone(move || drop(board.send(Gone(id))));
    /// }
    /// ```
    pub fn when_gone(&self, tell: impl FnOnce() + Send + 'static) {
        match &self.writer {
            Some(writer) => writer.when_gone(tell),
            None => tell(),
        }
    }
}

impl Drop for Events {
    /// There is no end that would be too early.
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            let _ = writer.finish();
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("is_gone", &self.is_gone())
            .finish_non_exhaustive()
    }
}

/// One event, or a comment, which the client does not see.
///
/// Made once, it can be sent to any number of clients.
///
/// ```
/// use actor_net::http::sse::Event;
/// use std::time::Duration;
///
/// let event = Event::new().name("news").unwrap().id("17").unwrap().data("two\nlines");
/// assert_eq!(event.text(), "event: news\nid: 17\ndata: two\ndata: lines\n\n");
/// let event = event.retry(Duration::from_secs(3));
/// assert_eq!(event.text(), "event: news\nid: 17\ndata: two\ndata: lines\nretry: 3000\n\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// With the empty line at its end.
    text: String,
}

impl Event {
    /// One without anything. What has no [data](Self::data) is not told to the page, though its `id` and `retry`
    /// count.
    ///
    /// ```
    /// assert_eq!(actor_net::http::sse::Event::new().text(), "\n");
    /// ```
    pub fn new() -> Self {
        Event {
            text: String::from("\n"),
        }
    }

    /// With this name, in place of `message`.
    ///
    /// # Errors
    ///
    /// If there is the end of a line in it.
    ///
    /// ```
    /// use actor_net::http::sse::Event;
    ///
    /// assert!(Event::new().name("x\ndata: y").is_err());
    /// ```
    pub fn name(self, name: &str) -> Result<Self, InvalidField> {
        self.checked("event", name, &['\r', '\n'])
    }

    /// With this name for itself, which the client [tells](last_event_id) when it has to connect anew.
    ///
    /// # Errors
    ///
    /// If there is the end of a line or a NUL in it.
    ///
    /// ```
    /// use actor_net::http::sse::Event;
    ///
    /// assert!(Event::new().id("a\0").is_err());
    /// ```
    pub fn id(self, id: &str) -> Result<Self, InvalidField> {
        self.checked("id", id, &['\r', '\n', '\0'])
    }

    /// With this text, of any number of lines; further ones are further lines. Every way to end a line is one: what
    /// comes out at the other end has `\n` alone.
    ///
    /// ```
    /// use actor_net::http::sse::Event;
    ///
    /// let event = Event::new().data("a\r\n b\rid: c");
    /// assert_eq!(event.text(), "data: a\ndata:  b\ndata: id: c\n\n");
    /// ```
    pub fn data(self, data: &str) -> Self {
        self.lines("data", data)
    }

    /// With this line, or lines, that nobody sees but who looks at what is sent.
    ///
    /// ```
    /// use actor_net::http::sse::Event;
    ///
    /// assert_eq!(Event::new().comment("still here").text(), ": still here\n\n");
    /// ```
    pub fn comment(self, text: &str) -> Self {
        self.lines("", text)
    }

    /// Has the client wait so long before it connects anew, from now on.
    ///
    /// ```
    /// use actor_net::http::sse::Event;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Event::new().retry(Duration::from_millis(1500)).text(), "retry: 1500\n\n");
    /// ```
    pub fn retry(self, wait: Duration) -> Self {
        let wait = wait.as_millis().to_string();
        self.field("retry", &wait)
    }

    /// As it is sent.
    ///
    /// ```
    /// assert_eq!(actor_net::http::sse::Event::new().data("").text(), "data: \n\n");
    /// ```
    pub fn text(&self) -> &str {
        &self.text
    }

    fn checked(self, field: &'static str, value: &str, bad: &[char]) -> Result<Self, InvalidField> {
        match value.contains(bad) {
            true => Err(InvalidField { field }),
            false => Ok(self.field(field, value)),
        }
    }

    fn lines(mut self, field: &str, text: &str) -> Self {
        let mut rest = text;
        while let Some(at) = rest.find(['\r', '\n']) {
            self = self.field(field, &rest[..at]);
            let end = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
            rest = &rest[at + end..];
        }
        self.field(field, rest)
    }

    /// Puts a line before the empty one. One blank in front of the value is not part of it.
    fn field(mut self, field: &str, value: &str) -> Self {
        self.text.pop();
        self.text.extend([field, ": ", value, "\n\n"]);
        self
    }
}

impl Default for Event {
    fn default() -> Self {
        Event::new()
    }
}

/// A field of an [`Event`] that cannot have what it was to have.
///
/// ```
/// use actor_net::http::sse::Event;
///
/// let error = Event::new().id("1\n2").unwrap_err();
/// assert_eq!(error.to_string(), "the id of an event is a single line without NUL");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidField {
    field: &'static str,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            "id" => f.write_str("the id of an event is a single line without NUL"),
            _ => f.write_str("the name of an event is a single line"),
        }
    }
}

impl Error for InvalidField {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads events as the standard has it: names, data and the last id.
    fn read(stream: &str) -> (Vec<(String, String)>, String) {
        let (mut events, mut id) = (Vec::new(), String::new());
        let (mut name, mut data) = (String::new(), String::new());
        let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
        for line in stream.split('\n') {
            if line.is_empty() {
                if let Some(data) = data.strip_suffix('\n') {
                    events.push((name.clone(), data.to_owned()));
                }
                name.clear();
                data.clear();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "data" => data.extend([value, "\n"]),
                "id" if !value.contains('\0') => value.clone_into(&mut id),
                _ => {}
            }
        }
        (events, id)
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(
            events in prop::collection::vec((".{0,5}", "(.|\n|\r|id: |data: |:){0,20}", ".{0,5}", "(.|\n){0,9}"), 1..5),
        ) {
            let (mut text, mut expected, mut last) = (String::new(), Vec::new(), String::new());
            for (name, data, id, comment) in &events {
                let mut event = Event::new().comment(comment).data(data);
                let mut seen = String::new();
                if let Ok(named) = event.clone().name(name) {
                    event = named;
                    seen.clone_from(name);
                }
                if let Ok(identified) = event.clone().id(id) {
                    event = identified;
                    last.clone_from(id);
                }
                text += event.text();
                expected.push((seen, data.replace("\r\n", "\n").replace('\r', "\n")));
            }
            prop_assert_eq!(read(&text), (expected, last));
        }
    }
}
