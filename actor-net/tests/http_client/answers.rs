//! What comes back.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_net::http::{
    BadMessage, Body, FetchError, HttpClient, Limits, Request, StatusCode, basic_auth,
};

use crate::common::in_tasklet;
use crate::{Script, act, client, ok, text};

#[test]
fn bodies_end_in_all_the_ways_there_are() {
    // What is said, the body, and whether the connection can go on.
    let cases = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "hello",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "",
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "hello", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", true),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "",
            true,
        ),
        (
            "HTTP/1.1 404 \r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            true,
        ),
    ];
    for (said, body, keeps) in cases {
        // At once, and byte by byte.
        for piece in [said.len(), 1] {
            in_tasklet(move || {
                let script = Script::new(vec![act(move |peer| {
                    peer.request();
                    for piece in said.as_bytes().chunks(piece) {
                        peer.say(piece);
                        actor_core::Tasklet::yield_now();
                    }
                })]);
                let client = client();
                let answer = client.get(script.url("/")).unwrap();
                assert_eq!(text(answer), body, "{said}");
                assert_eq!(client.idle_connections(), usize::from(keeps), "{said}");
            });
        }
    }
}

#[test]
fn the_answer_to_a_head_has_no_body() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            let (head, _) = peer.request();
            assert!(head.starts_with("HEAD / "), "{head}");
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
            peer.request();
            peer.say(ok("next"));
        })]);
        let client = client();
        let answer = client.head(script.url("/")).unwrap();
        assert_eq!(answer.headers()["content-length"], "5");
        assert_eq!(answer.body().size(), Some(0));
        drop(answer);
        assert_eq!(text(client.get(script.url("/")).unwrap()), "next");
    });
}

#[test]
fn interim_answers_are_passed_over() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
            peer.say(ok("at last"));
        })]);
        let answer = client().get(script.url("/")).unwrap();
        assert!(!answer.headers().contains_key("link"));
        assert_eq!(text(answer), "at last");
    });
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.try_say("HTTP/1.1 102 Processing\r\n\r\n".repeat(1000));
        })]);
        let error = client().get(script.url("/")).unwrap_err();
        assert!(matches!(error, FetchError::TooManyInterim), "{error:?}");
    });
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
        })]);
        let error = client().get(script.url("/")).unwrap_err();
        assert!(matches!(error, FetchError::Upgraded), "{error:?}");
    });
}

#[test]
fn bodies_are_read_as_they_come() {
    in_tasklet(|| {
        let (wanted, wait) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let (tell, hold) = (Arc::clone(&wait), Arc::clone(&wanted));
        let script = Script::new(vec![act(move |peer| {
            peer.request();
            peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
            hold.wait();
            peer.say("3\r\ntwo\r\n0\r\nX-Sum: 6\r\nContent-Length: 1\r\n\r\n");
            tell.set();
        })]);
        let client = client();
        let mut answer = client.get(script.url("/")).unwrap();
        let body = answer.body_mut();
        let mut piece = [0; 3];
        body.read_exact(&mut piece).unwrap();
        assert_eq!(&piece, b"one");
        assert!(body.trailers().is_none());
        wanted.set();
        body.read_exact(&mut piece).unwrap();
        assert_eq!(&piece, b"two");
        wait.wait();
        assert_eq!(body.read(&mut piece).unwrap(), 0);
        let trailers = body.trailers().unwrap();
        assert_eq!(
            (trailers.len(), &trailers["x-sum"]),
            (1, &"6".parse().unwrap())
        );
        assert_eq!(client.idle_connections(), 1);
    });
}

#[test]
fn what_is_not_http_or_leaves_open_where_it_ends_is_refused() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(9000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
    let cases: Vec<(String, BadMessage)> = [
        ("SSH-2.0-x\r\n", BadMessage::FirstLine),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", BadMessage::FirstLine),
        ("HTTP/2.0 200 OK\r\n\r\n", BadMessage::VersionNotSupported),
        ("HTTP/1.1 200 OK\n\n", BadMessage::LineEnd),
        ("HTTP/1.1 2x0 OK\r\n\r\n", BadMessage::FirstLine),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            BadMessage::RepeatedContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
            BadMessage::TwoLengths,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            BadMessage::ContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nx",
            BadMessage::CodingNotImplemented,
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
            BadMessage::TransferEncodingTooNew,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent_Length: 1\r\n\r\nx",
            BadMessage::HeaderName,
        ),
        ("HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", BadMessage::Header),
        (&long, BadMessage::HeaderTooLong),
        (&many, BadMessage::TooManyHeaders),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            BadMessage::ChunkSize,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
            BadMessage::ChunkEnd,
        ),
    ]
    .map(|(said, why)| (said.to_owned(), why))
    .into();
    for (said, expected) in cases {
        in_tasklet(move || {
            let bytes = said.clone();
            let script = Script::new(vec![act(move |peer| {
                peer.request();
                peer.say(bytes);
                peer.more();
            })]);
            let client = client();
            let outcome = client.get(script.url("/")).map(|answer| {
                let error = answer.into_body().into_bytes().unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                error.downcast::<FetchError>().unwrap()
            });
            match outcome {
                Ok(FetchError::Refused(why)) | Err(FetchError::Refused(why)) => {
                    assert_eq!(why, expected, "{said:?}");
                }
                other => panic!("{said:?}: {other:?}"),
            }
            script.finish();
            assert_eq!(client.idle_connections(), 0);
        });
    }
}

#[test]
fn bodies_have_the_limit_that_is_set() {
    let limited = || {
        let limits = Limits::default().with(|limits| limits.body = 4);
        HttpClient::builder().limits(limits).build()
    };
    let fits = [
        "Content-Length: 4\r\n\r\nabcd",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "\r\nabcd",
    ];
    for rest in fits {
        in_tasklet(move || {
            let script = Script::new(vec![act(move |peer| {
                peer.request();
                peer.say(format!("HTTP/1.1 200 OK\r\n{rest}"));
            })]);
            assert_eq!(text(limited().get(script.url("/")).unwrap()), "abcd");
        });
    }
    let exceeds = [
        "Content-Length: 5\r\n\r\nabcde",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\n",
        "\r\nabcde",
    ];
    for rest in exceeds {
        in_tasklet(move || {
            let script = Script::new(vec![act(move |peer| {
                peer.request();
                peer.say(format!("HTTP/1.1 200 OK\r\n{rest}"));
                peer.more();
            })]);
            let outcome = limited().get(script.url("/")).and_then(|answer| {
                let error = answer.into_body().into_bytes().unwrap_err();
                Err::<(), _>(error.downcast::<FetchError>().unwrap())
            });
            let too_long = matches!(outcome, Err(FetchError::Refused(BadMessage::BodyTooLong)));
            assert!(too_long, "{rest}: {outcome:?}");
            script.finish();
        });
    }
}

#[test]
fn another_protocol_follows_where_it_was_asked_for() {
    in_tasklet(|| {
        let script = Script::new(vec![
            act(|peer| {
                let head = peer.head();
                assert!(
                    head.contains("\r\nconnection: upgrade\r\nupgrade: echo\r\n"),
                    "{head}"
                );
                peer.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhello");
                assert_eq!(peer.bytes(3), "you");
                peer.say("and you");
            }),
            act(|peer| {
                peer.request();
                peer.say("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
            }),
        ]);
        let client = client();
        let ask = || {
            let request = Request::get(script.url("/").replace("http:", "ws:"));
            let request = request.header("upgrade", "echo").body(Body::empty());
            client.upgrade(request.unwrap()).unwrap()
        };
        let (answer, stream) = ask();
        assert_eq!(answer.headers()["upgrade"], "echo");
        let mut stream = stream.unwrap();
        stream.write_all(b"you").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "helloand you");
        let (answer, stream) = ask();
        assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED);
        assert!(stream.is_none());
        assert_eq!(text(answer), "no");
        script.finish();
    });
}

#[test]
fn requests_go_ahead_of_their_answers() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            // All of them before any answer.
            for i in 0..100 {
                assert!(peer.request().0.starts_with(&format!("GET /{i} ")));
            }
            let answers: String = (0..100).map(|i| ok(&i.to_string())).collect();
            peer.say(answers);
            assert!(peer.request().0.starts_with("HEAD /last "));
            peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n");
        })]);
        let mut connection = client().connect(script.url("")).unwrap();
        let get = |path: String| Request::get(path).body(Body::empty()).unwrap();
        for i in 0..100 {
            connection.send(get(format!("/{i}"))).unwrap();
        }
        assert_eq!(connection.pending(), 100);
        for i in 0..100 {
            let answer = connection.receive().unwrap();
            if i == 50 {
                // Only one at a time has the connection.
                let busy = connection.receive().unwrap_err();
                assert!(matches!(busy, FetchError::Request(_)), "{busy:?}");
            }
            assert_eq!(text(answer), i.to_string());
        }
        let elsewhere = connection.send(get("http://localhost:1/".to_owned()));
        assert!(matches!(elsewhere, Err(FetchError::Request(_))));
        let last = Request::head("/last").body(Body::empty()).unwrap();
        connection.send(last).unwrap();
        assert_eq!(text(connection.receive().unwrap()), "");
        // The server has ended it.
        assert!(connection.send(get("/".to_owned())).is_err());
        script.finish();
    });
}

#[test]
fn an_early_answer_is_the_answer_when_the_rest_is_not_taken() {
    /// Goes on for ever, and its first pieces wait for the server.
    struct Endless {
        said: Arc<Event>,
        read: Arc<Event>,
        count: usize,
    }

    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.count += 1;
            match self.count {
                1 => {}
                2 => self.said.wait(),
                _ => self.read.set(),
            }
            buf.fill(b'x');
            Ok(buf.len())
        }
    }

    in_tasklet(|| {
        let (said, read) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let body = Endless {
            said: Arc::clone(&said),
            read: Arc::clone(&read),
            count: 0,
        };
        // A body that looks like an answer.
        let inner = ok("another's");
        let outer = ok(&inner);
        let script = Script::new(vec![act(move |peer| {
            peer.head();
            peer.say(outer);
            said.set();
            read.wait();
            // The client's next bytes meet with a reset.
            peer.stream.set_linger(Some(Duration::ZERO)).unwrap();
        })]);
        let client = client();
        let answer = client.post(script.url("/"), Body::from_reader(body));
        assert_eq!(text(answer.unwrap()), inner);
        assert_eq!(client.idle_connections(), 0);
        script.finish();
    });
}

#[test]
fn nothing_is_sent_behind_the_end() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
            peer.expect_end();
        })]);
        let mut connection = client().connect(script.url("")).unwrap();
        let last = Request::get("/").header("connection", "close");
        connection.send(last.body(Body::empty()).unwrap()).unwrap();
        let more = connection.send(Request::get("/").body(Body::empty()).unwrap());
        assert!(matches!(more, Err(FetchError::Closed(_))), "{more:?}");
        assert_eq!(connection.pending(), 1);
        assert_eq!(text(connection.receive().unwrap()), "x");
        script.finish();
    });
}

#[test]
fn the_name_and_password_of_a_connections_url_are_sent() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            for _ in 0..3 {
                let (head, _) = peer.request();
                let value = head.split_once("authorization: ").expect(&head).1;
                peer.say(ok(value.split_once('\r').unwrap().0));
            }
        })]);
        let addr = script.addr;
        let mut connection = client().connect(format!("http://a:b@{addr}")).unwrap();
        let own = format!("http://c:d@{addr}/");
        let requests = [
            (Request::get("/"), basic_auth("a", "b")),
            (Request::get(own), basic_auth("c", "d")),
            (
                Request::get("/").header("authorization", "x"),
                "x".parse().unwrap(),
            ),
        ];
        for (request, expected) in requests {
            connection
                .send(request.body(Body::empty()).unwrap())
                .unwrap();
            let answer = connection.receive().unwrap();
            assert_eq!(text(answer), expected.to_str().unwrap());
        }
        drop(connection);
        script.finish();
    });
}
