//! What is sent.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_net::http::{
    Body, FetchError, HeaderMap, HttpClient, IntoResponse, Method, Request, Response, StatusCode,
    Timeouts,
};

use crate::common::in_tasklet;
use crate::{Running, Script, act, client, ok, text};

#[test]
fn all_methods_come_through() {
    in_tasklet(|| {
        let server = Running::new(|request: Request<Body>| -> io::Result<Response<Body>> {
            let line = format!("{} {}", request.method(), request.uri());
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            let body = request.into_body().into_bytes()?;
            let text = format!("{line} {host} {}", String::from_utf8_lossy(&body));
            Ok(text.into_response())
        });
        let client = client();
        let host = server.local_addr();
        let url = server.url("/a%20b?c=d");
        let all = [
            (client.get(&*url), "GET", ""),
            (client.post(&*url, "x"), "POST", "x"),
            (client.put(&*url, vec![b'y'; 3]), "PUT", "yyy"),
            (client.delete(&*url), "DELETE", ""),
        ];
        for (answer, method, body) in all {
            let expected = format!("{method} /a%20b?c=d {host} {body}");
            assert_eq!(text(answer.unwrap()), expected);
        }
        let answer = client.head(&*url).unwrap();
        let length = format!("HEAD /a%20b?c=d {host} ").len();
        assert_eq!(answer.headers()["content-length"], *length.to_string());
        assert_eq!(text(answer), "");
        let own = Request::builder().method("FROBNICATE").uri(&*url);
        let answer = client.request(own.body(Body::from("z")).unwrap()).unwrap();
        assert_eq!(text(answer), format!("FROBNICATE /a%20b?c=d {host} z"));
        // Four answers were there at once.
        assert_eq!(server.connections(), 4);
    });
}

#[test]
fn bodies_of_readers_go_in_chunks_or_by_their_length() {
    in_tasklet(|| {
        let server = Running::new(|request: Request<Body>| -> io::Result<String> {
            let size = request.body().size();
            let headers = request.headers();
            let framing = ["transfer-encoding", "content-length"].map(|name| {
                headers
                    .get(name)
                    .map(|value| value.to_str().unwrap().to_owned())
            });
            let bytes = request.into_body().into_bytes()?;
            Ok(format!("{size:?} {framing:?} {}", bytes.len()))
        });
        let client = client();
        let size = 1_000_000;
        let reader = || io::repeat(b'x').take(size);
        let url = server.url("/");
        let answer = client.post(&*url, Body::from_reader(reader())).unwrap();
        assert_eq!(text(answer), "None [Some(\"chunked\"), None] 1000000");
        let sized = Body::from_sized_reader(reader(), size);
        assert_eq!(
            text(client.post(&*url, sized).unwrap()),
            "Some(1000000) [None, Some(\"1000000\")] 1000000"
        );
        // No more of it is sent than was said.
        let longer = Body::from_sized_reader(reader(), 10);
        assert_eq!(
            text(client.post(&*url, longer).unwrap()),
            "Some(10) [None, Some(\"10\")] 10"
        );
        let whole = vec![b'x'; 100_000];
        assert_eq!(
            text(client.post(&*url, whole).unwrap()),
            "Some(100000) [None, Some(\"100000\")] 100000"
        );
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn trailers_go_behind_a_body() {
    in_tasklet(|| {
        let server = Running::new(|request: Request<Body>| -> io::Result<String> {
            let mut body = request.into_body();
            let mut text = String::new();
            body.read_to_string(&mut text)?;
            let sum = body.trailers().and_then(|trailers| trailers.get("x-sum"));
            Ok(format!("{text} {sum:?}"))
        });
        let with_sum = |body: Body| {
            body.with_trailers(|| {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sum", "6".parse().unwrap());
                trailers
            })
        };
        for body in [Body::from("abc"), Body::from_reader(&b"abc"[..])] {
            let answer = client().post(server.url("/"), with_sum(body)).unwrap();
            assert_eq!(text(answer), "abc Some(\"6\")");
        }
    });
}

#[test]
fn a_body_that_fails_or_is_short_ends_the_request() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no more"))
        }
    }
    in_tasklet(|| {
        let bodies = [
            Body::from_reader(Failing),
            Body::from_sized_reader(&b"short"[..], 10),
        ];
        for body in bodies {
            let script = Script::new(vec![act(|peer| {
                peer.head();
                // What comes is no whole request.
                while peer.more() {}
                assert!(!peer.ahead.ends_with(b"0\r\n\r\n"));
            })]);
            let client = client();
            let error = client.post(script.url("/"), body).unwrap_err();
            assert!(matches!(error, FetchError::Body(_)), "{error:?}");
            script.finish();
            assert_eq!(client.idle_connections(), 0);
        }
    });
}

#[test]
fn a_request_passed_on_from_a_server_goes_through() {
    in_tasklet(|| {
        let behind = Running::new(|request: Request<Body>| -> io::Result<Response<Body>> {
            let bytes = request.into_body().into_bytes()?;
            let body = io::Cursor::new(bytes.to_ascii_uppercase());
            Ok(Response::new(Body::from_reader(body)))
        });
        let (own, url) = (client(), behind.url("/x"));
        let front = Running::new(move |mut request: Request<Body>| {
            *request.uri_mut() = url.parse().unwrap();
            own.request(request).map_err(io::Error::from)
        });
        let client = client();
        for body in ["", "small", &"large ".repeat(100_000)] {
            let answer = client.post(front.url("/"), body.to_owned()).unwrap();
            assert_eq!(text(answer), body.to_ascii_uppercase());
        }
    });
}

#[test]
fn consent_is_waited_for() {
    let consent = |limit| HttpClient::builder().consent(limit).build();
    let hour = Duration::from_secs(3600);
    // It comes, behind other interim answers.
    in_tasklet(move || {
        let script = Script::new(vec![act(|peer| {
            let head = peer.head();
            assert!(head.contains("\r\nexpect: 100-continue\r\n"), "{head}");
            assert!(peer.ahead.is_empty());
            peer.say("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(peer.bytes(4), "body");
            peer.say(ok("thanks"));
        })]);
        let answer = consent(hour).post(script.url("/"), "body").unwrap();
        assert_eq!(text(answer), "thanks");
        script.finish();
    });
    // It never comes.
    in_tasklet(move || {
        let script = Script::new(vec![act(|peer| {
            peer.head();
            assert_eq!(peer.bytes(4), "body");
            peer.say(ok("thanks"));
        })]);
        let client = consent(Duration::from_millis(20));
        assert_eq!(
            text(client.post(script.url("/"), "body").unwrap()),
            "thanks"
        );
        script.finish();
    });
    // It is refused: the body is not sent, and the connection cannot go on.
    in_tasklet(move || {
        let script = Script::new(vec![act(|peer| {
            peer.head();
            peer.say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
            peer.expect_end();
            assert!(peer.ahead.is_empty());
        })]);
        let client = consent(hour);
        let answer = client.post(script.url("/"), "body").unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        drop(answer);
        script.finish();
        assert_eq!(client.idle_connections(), 0);
    });
    // It is not understood.
    in_tasklet(move || {
        let script = Script::new(vec![
            act(|peer| {
                peer.head();
                peer.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
            }),
            act(|peer| {
                let (head, body) = peer.request();
                assert!(!head.contains("expect"), "{head}");
                peer.say(ok(&body));
            }),
        ]);
        let request = Request::post(script.url("/")).header("expect", "100-continue");
        let answer = client().request(request.body(Body::from("body")).unwrap());
        assert_eq!(text(answer.unwrap()), "body");
        script.finish();
    });
    // Nobody is asked where there is no body.
    in_tasklet(move || {
        let server = Running::new(|request: Request<Body>| {
            request.headers().contains_key("expect").to_string()
        });
        assert_eq!(text(consent(hour).get(server.url("/")).unwrap()), "false");
    });
}

/// Counts how much has been read of a body without an end.
struct Endless(Arc<std::sync::atomic::AtomicUsize>);

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        buf.fill(b'x');
        self.0
            .fetch_add(buf.len(), std::sync::atomic::Ordering::Relaxed);
        Ok(buf.len())
    }
}

#[test]
fn an_early_error_ends_the_body() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.head();
            peer.say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
            while peer.more() {
                peer.ahead.clear();
            }
        })]);
        let client = client();
        let body = Body::from_reader(Endless(Arc::default()));
        let answer = client.post(script.url("/"), body).unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(text(answer), "big");
        script.finish();
        assert_eq!(client.idle_connections(), 0);
    });
}

#[test]
fn what_a_server_says_before_it_closes_is_heard() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.head();
            peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
            // Unread input would make it a reset.
            peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
            while peer.more() {
                peer.ahead.clear();
            }
        })]);
        let body = Body::from_reader(Endless(Arc::default()));
        let answer = client().put(script.url("/"), body).unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(text(answer), "no");
        script.finish();
    });
}

#[test]
fn a_server_may_answer_while_the_body_comes() {
    in_tasklet(|| {
        let heard = Arc::new(Event::new());
        let wait = Arc::clone(&heard);
        let script = Script::new(vec![act(move |peer| {
            peer.head();
            peer.say(ok("already"));
            heard.set();
            assert_eq!(peer.bytes(9), "3\r\nabc\r\n0");
            peer.bytes(4);
            peer.request();
            peer.say(ok("next"));
        })]);
        struct Late(Arc<Event>, &'static [u8]);
        impl Read for Late {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.wait();
                self.1.read(buf)
            }
        }
        let client = client();
        let body = Body::from_reader(Late(wait, b"abc"));
        assert_eq!(text(client.post(script.url("/"), body).unwrap()), "already");
        // All of the request has been sent, so the connection goes on.
        assert_eq!(text(client.get(script.url("/")).unwrap()), "next");
        script.finish();
    });
}

#[test]
fn what_cannot_be_asked_is_not() {
    in_tasklet(|| {
        let client = client();
        for url in [
            "",
            "/path",
            "example.org",
            "ftp://example.org/",
            "http://ex%41mple/",
            "http://a:b/",
            "http://a:99999/",
        ] {
            let error = client.get(url).unwrap_err();
            assert!(matches!(error, FetchError::Request(_)), "{url}: {error:?}");
        }
        let connect = Request::builder().method(Method::CONNECT).uri("http://a/");
        let error = client
            .request(connect.body(Body::empty()).unwrap())
            .unwrap_err();
        assert!(matches!(error, FetchError::Request(_)), "{error:?}");
        let wrong = Request::post("http://a/").header("content-length", "5");
        let failed = client
            .send(wrong.body(Body::from("abc")).unwrap())
            .unwrap_err();
        assert!(matches!(failed.error, FetchError::Request(_)), "{failed:?}");
        let back = failed.request.unwrap().into_body().into_bytes().unwrap();
        assert_eq!(back, "abc");
    });
}

#[test]
fn names_and_passwords_become_a_header() {
    in_tasklet(|| {
        let server = Running::new(|request: Request<Body>| {
            let header = |name| {
                request
                    .headers()
                    .get(name)
                    .map(|value| value.to_str().unwrap())
            };
            format!("{:?} {}", header("authorization"), header("host").unwrap())
        });
        let addr = server.local_addr();
        let answer = client()
            .get(format!("http://us%65r:p%40ss@{addr}/"))
            .unwrap();
        assert_eq!(text(answer), format!("Some(\"Basic dXNlcjpwQHNz\") {addr}"));
        let own = Request::get(format!("http://user:pass@{addr}/")).header("authorization", "Own");
        let answer = client().request(own.body(Body::empty()).unwrap()).unwrap();
        assert_eq!(text(answer), format!("Some(\"Own\") {addr}"));
    });
}

#[test]
fn a_request_has_timeouts_of_its_own() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.expect_end();
        })]);
        let brief =
            Timeouts::default().with(|limits| limits.answer = Some(Duration::from_millis(20)));
        let request = Request::get(script.url("/")).extension(brief);
        let error = client()
            .request(request.body(Body::empty()).unwrap())
            .unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
        script.finish();
    });
}
