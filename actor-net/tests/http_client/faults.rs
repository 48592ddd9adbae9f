//! Servers that stop in the middle.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use actor_core::Tasklet;
use actor_core::sync::Event;
use actor_io::TcpListener;
use actor_net::http::{Body, Failed, FetchError, HttpClient, Request};

use crate::common::{PATIENCE, in_tasklet};
use crate::{Peer, Script, act, client, ok, text};

/// What becomes of a request whose connection ends behind these bytes.
fn cut(client: &HttpClient, said: Vec<u8>) -> Result<String, FetchError> {
    let script = Script::new(vec![act(move |peer| {
        peer.request();
        peer.say(said);
    })]);
    let mut text = String::new();
    let read = client
        .get(script.url("/"))?
        .into_body()
        .read_to_string(&mut text);
    script.finish();
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(error.downcast().unwrap()),
    }
}

#[test]
fn an_answer_that_is_cut_off_anywhere_is_an_error() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX: y\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ];
    in_tasklet(move || {
        for answer in answers {
            let client = client();
            for length in 0..answer.len() {
                let outcome = cut(&client, answer.as_bytes()[..length].to_vec());
                match outcome {
                    Err(FetchError::Closed(_)) => assert_eq!(length, 0),
                    Err(FetchError::Truncated) => assert_ne!(length, 0),
                    other => panic!("{length} bytes of {answer:?}: {other:?}"),
                }
                assert_eq!(client.idle_connections(), 0);
            }
            assert_eq!(cut(&client, answer.into()).unwrap(), "hello");
        }
    });
}

#[test]
fn a_reset_in_the_middle_is_an_error() {
    in_tasklet(|| {
        for rest in ["Content-Length: 5\r\n\r\nhe", "\r\nhe"] {
            let read = Arc::new(Event::new());
            let wait = Arc::clone(&read);
            let script = Script::new(vec![act(move |peer| {
                peer.request();
                peer.say(format!("HTTP/1.1 200 OK\r\n{rest}"));
                wait.wait();
                peer.stream.set_linger(Some(Duration::ZERO)).unwrap();
            })]);
            let client = client();
            let mut body = client.get(script.url("/")).unwrap().into_body();
            let mut two = [0; 2];
            body.read_exact(&mut two).unwrap();
            assert_eq!(&two, b"he");
            read.set();
            script.finish();
            // However the body was to end.
            for _ in 0..2 {
                let error = body.read(&mut two).unwrap_err();
                assert!(
                    matches!(error.downcast().unwrap(), FetchError::Io(_)),
                    "{rest:?}"
                );
            }
            assert_eq!(client.idle_connections(), 0);
        }
    });
}

#[test]
fn a_request_that_meets_nobody_comes_back() {
    in_tasklet(|| {
        // It has the port, so that nobody else listens there, and does not listen either.
        let holder = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let holder = holder.unwrap();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        holder.bind(&any.into()).unwrap();
        let dead = holder.local_addr().unwrap().as_socket().unwrap();
        let request = Request::post(format!("http://{dead}/"))
            .header("x", "y")
            .body(Body::from_reader(&b"stream"[..]))
            .unwrap();
        let failed = client().send(request).unwrap_err();
        assert!(failed.error.is_unsent());
        assert_eq!(failed.error.kind(), io::ErrorKind::ConnectionRefused);
        let FetchError::Connect { host, error } = failed.error else {
            panic!("another error");
        };
        assert_eq!((host.as_str(), error.attempts().len()), ("127.0.0.1", 1));
        let request = failed.request.unwrap();
        assert_eq!(request.headers()["x"], "y");
        assert_eq!(request.into_body().into_bytes().unwrap(), "stream");

        let nowhere = client().get("http://nowhere.invalid/").unwrap_err();
        assert!(
            matches!(&nowhere, FetchError::Resolve { host, .. } if host == "nowhere.invalid"),
            "{nowhere:?}"
        );
    });
}

#[test]
fn a_request_that_has_gone_out_does_not_come_back() {
    // The server takes one connection alone, and says what comes behind the last request's head.
    let cases = [
        ("", "", true),
        (
            "expect",
            "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n",
            false,
        ),
    ];
    for (header, last, closed) in cases {
        in_tasklet(move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let server = Tasklet::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                drop(listener);
                let mut peer = Peer::new(stream);
                peer.request();
                peer.say(ok("first"));
                peer.head();
                peer.say(last);
            });
            let client = client();
            assert_eq!(text(client.get(&*url).unwrap()), "first");
            let mut request = Request::put(&*url);
            if !header.is_empty() {
                request = request.header(header, "100-continue");
            }
            let failed = client.send(request.body(Body::from("x")).unwrap());
            let Failed { error, request } = failed.unwrap_err();
            assert!(request.is_none(), "{error:?}");
            let is_closed = matches!(error, FetchError::Closed(_));
            assert_eq!(is_closed, closed, "{error:?}");
            server.join_timeout(PATIENCE).unwrap();
        });
    }
}
