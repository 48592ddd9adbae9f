//! Bodies that come compressed.

use std::io::{self, Read, Write};

use actor_net::http::{BadMessage, Body, FetchError, HttpClient, Limits, Request};

use crate::common::in_tasklet;
use crate::peers::Python;
use crate::{Script, act, always, client, text};

/// The text that the fixtures have compressed: "compressed " and a number, 200 times.
fn long_text() -> String {
    (0..200).map(|i| format!("compressed {i}\n")).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const BROTLI: &[u8] = include_bytes!("compressed.br");

fn encoded(name: &str, body: &[u8], chunked: bool) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\n").into_bytes();
    if chunked {
        answer.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(100) {
            answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            answer.extend_from_slice(chunk);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"0\r\nX-After: yes\r\n\r\n");
    } else {
        answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        answer.extend_from_slice(body);
    }
    answer
}

#[test]
fn compressed_bodies_are_undone() {
    let whole = long_text();
    let (first, second) = whole.split_at(1000);
    let members = [gzip(first), gzip(second)].concat();
    let bodies = [
        ("gzip", gzip(&whole)),
        ("X-Gzip", members),
        ("br", BROTLI.to_vec()),
    ];
    for (name, body) in bodies {
        for chunked in [false, true] {
            let answer = encoded(name, &body, chunked);
            let whole = whole.clone();
            in_tasklet(move || {
                let script = Script::new(vec![act(move |peer| {
                    for _ in 0..2 {
                        let (head, _) = peer.request();
                        assert!(head.contains("\r\naccept-encoding: gzip, br\r\n"), "{head}");
                        peer.say(&answer);
                    }
                })]);
                let client = client();
                for _ in 0..2 {
                    let mut answer = client.get(script.url("/")).unwrap();
                    for name in ["content-encoding", "content-length"] {
                        assert!(!answer.headers().contains_key(name));
                    }
                    let body = answer.body_mut();
                    assert_eq!(body.size(), None);
                    let mut text = String::new();
                    body.read_to_string(&mut text).unwrap();
                    assert_eq!(text, whole, "{name}");
                    let after = body.trailers().unwrap().get("x-after");
                    assert_eq!(after.is_some(), chunked);
                    assert_eq!(client.idle_connections(), 1);
                }
                assert_eq!(script.seen(), 1);
                script.finish();
            });
        }
    }
}

#[test]
fn compressed_bodies_that_are_broken_are_errors() {
    let mut wrong = gzip(&long_text());
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    let cut = gzip(&long_text());
    let bodies = [
        ("gzip", wrong),
        ("gzip", cut[..cut.len() / 2].to_vec()),
        ("gzip", b"not at all".to_vec()),
        ("br", BROTLI[..BROTLI.len() / 2].to_vec()),
        ("br", vec![0xff; 30]),
    ];
    for (name, body) in bodies {
        in_tasklet(move || {
            let script = Script::new(vec![always(encoded(name, &body, false))]);
            let answer = client().get(script.url("/")).unwrap();
            let mut read = Vec::new();
            let error = answer.into_body().read_to_end(&mut read).unwrap_err();
            let kinds = [
                io::ErrorKind::InvalidData,
                io::ErrorKind::InvalidInput,
                io::ErrorKind::UnexpectedEof,
            ];
            assert!(kinds.contains(&error.kind()), "{name}: {error:?}");
        });
    }
}

#[test]
fn bodies_are_left_as_they_are_where_that_is_wanted() {
    let body = gzip("hello");
    in_tasklet(move || {
        let answer = encoded("gzip", &body, false);
        let script = Script::new(vec![always(answer.clone()), always(answer.clone())]);
        let own = client();
        let request = || Request::get(script.url("/"));
        let empty = Body::empty;
        let asked = request()
            .header("accept-encoding", "gzip")
            .body(empty())
            .unwrap();
        let range = request().header("range", "bytes=0-").body(empty()).unwrap();
        for request in [asked, range] {
            let answer = own.request(request).unwrap();
            assert_eq!(answer.headers()["content-encoding"], "gzip");
            assert_eq!(answer.into_body().into_bytes().unwrap(), body);
        }
        own.close_idle();
        let plain = HttpClient::builder().compression(false).build();
        let answer = plain.get(script.url("/")).unwrap();
        assert_eq!(answer.into_body().into_bytes().unwrap(), body);
    });
    // Nothing at all is compressed as well.
    for said in [
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        in_tasklet(move || {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n{said}");
            let script = Script::new(vec![always(head)]);
            assert_eq!(text(client().get(script.url("/")).unwrap()), "");
        });
    }
}

#[test]
fn a_few_bytes_that_become_many_are_read_piece_by_piece() {
    // The encoder wants more stack than tasklets have.
    let bomb = gzip(&"\0".repeat(50_000_000));
    assert!(bomb.len() < 100_000);
    in_tasklet(move || {
        let script = Script::new(vec![act(move |peer| {
            peer.request();
            peer.try_say(encoded("gzip", &bomb, false));
            peer.more();
        })]);
        let client = client();
        let answer = client.get(script.url("/")).unwrap();
        let mut some = Vec::new();
        let read = answer.into_body().take(1000).read_to_end(&mut some);
        assert_eq!(read.unwrap(), 1000);
        client.close_idle();
        script.finish();
    });
}

/// Bodies up and down, by length, in chunks and compressed.
const ECHO: &str = r#"
import gzip, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline(), 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0: return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))
    def do_POST(self):
        body = gzip.compress(self.body())
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(0, len(body), 1000):
            piece = body[i:i + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")
    do_PUT = do_POST
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port)
server.serve_forever()
"#;

#[test]
fn bodies_go_to_python_and_back() {
    let python = Python::run(ECHO);
    let at = python.1.clone();
    in_tasklet(move || {
        let client = HttpClient::builder()
            .consent(std::time::Duration::from_secs(5))
            .build();
        let large: String = (0..50_000).map(|i| format!("{i} ")).collect();
        for body in ["", "x", &large] {
            let answer = client.post(&*at, body.to_owned()).unwrap();
            assert_eq!(text(answer), body);
            let reader = std::io::Cursor::new(body.to_owned());
            let request = Request::put(&*at).body(Body::from_reader(reader)).unwrap();
            assert_eq!(text(client.request(request).unwrap()), body);
        }
        assert_eq!(client.idle_connections(), 1);
    });
}

#[test]
fn what_comes_out_is_within_the_limit() {
    let whole = long_text();
    for (name, body) in [("gzip", gzip(&whole)), ("br", BROTLI.to_vec())] {
        let whole = whole.clone();
        in_tasklet(move || {
            let length = whole.len() as u64;
            assert!((body.len() as u64) < length - 1);
            let answer = encoded(name, &body, false);
            let script = Script::new(vec![always(answer.clone()), always(answer)]);
            for (limit, fits) in [(length, true), (length - 1, false)] {
                let limits = Limits::default().with(|limits| limits.body = limit);
                let client = HttpClient::builder().limits(limits).build();
                let mut body = client.get(script.url("/")).unwrap().into_body();
                let mut text = String::new();
                let read = body.read_to_string(&mut text);
                if fits {
                    assert_eq!(text, whole);
                    continue;
                }
                let error = read.unwrap_err().downcast().unwrap();
                let is_it = matches!(error, FetchError::Refused(BadMessage::BodyTooLong));
                assert!(is_it, "{name}: {error:?}");
                assert!(body.read(&mut [0]).is_err());
            }
        });
    }
}
