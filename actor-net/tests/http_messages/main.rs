//! What is taken for a request, and what is refused with which status, however it comes in.

#![cfg(feature = "http")]

mod bodies;
mod pieces;
mod requests;
mod responses;

use actor_net::http::__private::{BodyEnd, Event, Framing, RequestReader};
use actor_net::http::{BadMessage, HeaderMap, Limits, Request, Version};
use bytes::BytesMut;

/// A request as it has come out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    keep_alive: bool,
    expects_continue: bool,
    whole: bool,
}

fn list(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let pairs = headers.iter();
    pairs
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}

/// All requests of a connection that comes in these pieces, what is left, and the error that ends it.
fn read<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: &Limits,
) -> (Vec<Seen>, Vec<u8>, Option<BadMessage>) {
    let (mut reader, mut input) = (RequestReader::default(), BytesMut::new());
    let mut request = Request::new(());
    let mut seen: Vec<Seen> = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let shown = look_first(&mut reader, &mut input, limits);
            let event = reader.next(&mut input, &mut request, limits);
            if let Some(shown) = shown {
                let Ok(Some(Event::Head(framing))) = &event else {
                    panic!("{shown:?} has been shown, and then {event:?}");
                };
                shown.check(&request, framing);
            }
            match event {
                Ok(None) => break,
                Ok(Some(Event::Head(framing))) => seen.push(Seen {
                    line: format!(
                        "{} {} {:?}",
                        request.method(),
                        request.uri(),
                        request.version()
                    ),
                    headers: list(&std::mem::take(request.headers_mut())),
                    keep_alive: framing.keep_alive,
                    expects_continue: framing.expects_continue,
                    ..Seen::default()
                }),
                Ok(Some(Event::Data(data))) => {
                    assert!(!data.is_empty());
                    seen.last_mut().unwrap().body.extend(data);
                }
                Ok(Some(Event::End(trailers))) => {
                    let last = seen.last_mut().unwrap();
                    assert!(!last.whole);
                    last.whole = true;
                    last.trailers = list(&trailers);
                }
                Err(error) => {
                    assert!(reader.is_over());
                    let again = reader.next(&mut input, &mut request, limits);
                    assert_eq!(again.unwrap_err(), error, "it stays with it");
                    // What has come behind it is not looked at, so how much of that there is does not matter.
                    return (seen, Vec::new(), Some(error));
                }
            }
        }
    }
    (seen, input.to_vec(), None)
}

/// What a shortcut sees of a request, which it leaves to the handler.
#[derive(Debug)]
struct Shown {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
}

fn look_first(reader: &mut RequestReader, input: &mut BytesMut, limits: &Limits) -> Option<Shown> {
    let mut shown = None;
    let before = input.clone();
    let answered = reader.show(input, limits, |head| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        shown = Some(Shown {
            line: format!("{} {} HTTP/1.1", text(head.method()), text(head.target())),
            headers: head
                .headers()
                .map(|(name, value)| (text(name).to_lowercase(), value.to_vec()))
                .collect(),
        });
        None::<()>
    });
    assert!(answered.is_none() && *input == before);
    shown
}

impl Shown {
    /// It is the request that is read, and a plain one.
    fn check(mut self, request: &Request<()>, framing: &Framing) {
        let line = format!("{} {} HTTP/1.1", request.method(), request.uri());
        assert_eq!(self.line, line);
        // Those of one name come together there.
        let mut headers = list(request.headers());
        headers.sort();
        self.headers.sort();
        assert_eq!(self.headers, headers);
        let plain = Framing {
            body: BodyEnd::Length(0),
            keep_alive: true,
            expects_continue: false,
        };
        assert_eq!((*framing, request.version()), (plain, Version::HTTP_11));
    }
}

fn read_whole(bytes: &[u8]) -> (Vec<Seen>, Option<BadMessage>) {
    let (seen, _, error) = read([bytes], &Limits::default());
    (seen, error)
}

/// What is tried with every case: all cuts into two, and byte by byte.
fn check_cuts(bytes: &[u8]) {
    let limits = Limits::default();
    let whole = read([bytes], &limits);
    assert_eq!(
        read(bytes.chunks(1), &limits),
        whole,
        "byte by byte: {}",
        bytes.escape_ascii()
    );
    let step = (bytes.len() / 200).max(1);
    for at in (0..=bytes.len()).step_by(step) {
        let (front, back) = bytes.split_at(at);
        assert_eq!(
            read([front, back], &limits),
            whole,
            "at {at}: {}",
            bytes.escape_ascii()
        );
    }
}

/// A request that is refused, behind one that is not.
fn check_refused(kind: u32, request: &[u8], error: BadMessage, status: u16) {
    let shown = request[..request.len().min(200)].escape_ascii();
    assert_eq!(error.status(), status, "kind {kind}: {shown}");
    let bytes = [b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n", request].concat();
    // A request behind it is not served.
    let more = [&bytes[..], b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    for bytes in [bytes, more] {
        let (seen, found) = read_whole(&bytes);
        assert_eq!(found, Some(error), "kind {kind}: {shown}: {seen:?}");
        assert_eq!(seen[0].line, "GET /first HTTP/1.1");
        assert!(seen.iter().all(|seen| !seen.line.contains("smuggled")));
        check_cuts(&bytes);
    }
}

fn served(request: &[u8]) -> Seen {
    let (seen, error) = read_whole(request);
    assert_eq!(error, None, "{}", request.escape_ascii());
    check_cuts(request);
    let [seen] = &seen[..] else {
        panic!("{}: {seen:?}", request.escape_ascii());
    };
    assert!(seen.whole, "{}", request.escape_ascii());
    seen.clone()
}

/// With this line, and what else a request needs.
fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: a\r\n\r\n").into_bytes()
}

/// With these header lines beside the host.
fn with(headers: &str) -> Vec<u8> {
    [
        b"POST / HTTP/1.1\r\nHost: a\r\n",
        headers.as_bytes(),
        b"\r\n\r\n",
    ]
    .concat()
}

/// With this body, which is said to be chunked.
fn chunked(body: &[u8]) -> Vec<u8> {
    [&with("Transfer-Encoding: chunked")[..], body].concat()
}
