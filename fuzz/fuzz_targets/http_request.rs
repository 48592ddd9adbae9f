//! Requests: the same ones come out however they come in, and whether a shortcut takes some of them or none; their
//! bodies come through the chunks, and what has been served is written so that it is read back the same.

#![no_main]

use actor_net::http::__private::{BodyEnd, Event, RequestReader, encode, encode_end};
use actor_net::http::{BadMessage, HeaderMap, HeaderName, HeaderValue, Limits, RawHead, Request};
use bytes::BytesMut;
use fuzz::{choose, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let (tight, cuts) = (choose(&mut data), choose(&mut data));
    let limits = Limits::default().with(|limits| {
        if tight != 0 {
            limits.target = usize::from(tight % 16);
            limits.header = usize::from(tight);
            limits.head = usize::from(tight) * 4;
            limits.headers = usize::from(tight % 8);
            limits.body = u64::from(tight);
            limits.trailers_bytes = usize::from(tight % 32);
        }
    });
    let whole = read(&[data], &limits, Shortcut::None);
    let pieces = pieces(data, cuts);
    assert_eq!(read(&pieces, &limits, Shortcut::None), whole);
    for shortcut in [Shortcut::All, Shortcut::Some] {
        assert_eq!(read(&[data], &limits, shortcut), whole);
        assert_eq!(read(&pieces, &limits, shortcut), whole);
    }

    let again = write(&whole.0);
    if tight == 0 {
        let (requests, error) = read(&[&again], &limits, Shortcut::All);
        assert_eq!((requests, error), (whole.0, None));
    }
});

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    line: String,
    headers: HeaderMap,
    chunked: bool,
    body: Vec<u8>,
    trailers: HeaderMap,
}

/// Which of the requests that it is shown a shortcut answers.
#[derive(Clone, Copy)]
enum Shortcut {
    None,
    Some,
    All,
}

impl Shortcut {
    /// What it has seen of a request, if it answers that.
    fn take(self, head: &RawHead<'_>) -> Option<Seen> {
        let takes = match self {
            Shortcut::None => false,
            Shortcut::Some => head.target().len() % 2 == 0,
            Shortcut::All => true,
        };
        takes.then(|| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let headers = head.headers().map(|(name, value)| {
                let name: HeaderName = name.try_into().unwrap();
                (name, HeaderValue::from_bytes(value).unwrap())
            });
            let mut seen = Seen {
                line: format!("{} {} HTTP/1.1", text(head.method()), text(head.target())),
                ..Seen::default()
            };
            for (name, value) in headers {
                seen.headers.append(name, value);
            }
            seen
        })
    }
}

/// The requests that are whole, and the error that ends them.
fn read(pieces: &[&[u8]], limits: &Limits, shortcut: Shortcut) -> (Vec<Seen>, Option<BadMessage>) {
    let (mut reader, mut input) = (RequestReader::default(), BytesMut::new());
    let (mut requests, mut current) = (Vec::new(), Seen::default());
    let mut request = Request::new(());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let mut shown = None;
            let answered = reader.show(&mut input, limits, |head| {
                shown = Some((head.target().to_vec(), head.headers().count()));
                shortcut.take(head)
            });
            if let Some(seen) = answered {
                assert_eq!(current, Seen::default(), "in the middle of another");
                requests.push(seen);
                continue;
            }
            match reader.next(&mut input, &mut request, limits) {
                Ok(None) => {
                    assert!(shown.is_none());
                    break;
                }
                Ok(Some(Event::Head(framing))) => {
                    if let Some((target, headers)) = shown {
                        assert_eq!(request.uri().to_string().as_bytes(), target);
                        assert_eq!(request.headers().len(), headers);
                        assert!(framing.keep_alive && framing.body == BodyEnd::Length(0));
                    }
                    assert!(request.headers().len() <= limits.headers);
                    current.line = format!(
                        "{} {} {:?}",
                        request.method(),
                        request.uri(),
                        request.version()
                    );
                    current.headers = std::mem::take(request.headers_mut());
                    current.chunked = framing.body == BodyEnd::Chunked;
                }
                Ok(Some(Event::Data(data))) => {
                    current.body.extend(data);
                    assert!(current.body.len() as u64 <= limits.body);
                }
                Ok(Some(Event::End(trailers))) => {
                    current.trailers = trailers;
                    requests.push(std::mem::take(&mut current));
                }
                Err(error) => {
                    assert!(shown.is_none());
                    assert!(error.status().is_client_error() || error.status().is_server_error());
                    return (requests, Some(error));
                }
            }
        }
    }
    (requests, None)
}

fn write(requests: &[Seen]) -> Vec<u8> {
    let mut out = Vec::new();
    for request in requests {
        out.extend(request.line.as_bytes());
        out.extend(b"\r\n");
        for (name, value) in &request.headers {
            out.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        out.extend(b"\r\n");
        if request.chunked {
            request
                .body
                .chunks(7)
                .for_each(|piece| encode(piece, &mut out));
            encode_end(&request.trailers, &mut out);
        } else {
            out.extend(&request.body);
        }
    }
    out
}
