//! Connections that are used again, and those that are not.

use std::io::Read;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Placement, Tasklet};
use actor_net::http::{Body, FetchError, HttpClient, Method, Request};

use crate::common::{eventually, in_tasklet};
use crate::{Running, Script, act, always, client, ok, text};

#[test]
fn one_connection_serves_requests_that_follow_each_other() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            for i in 0..5 {
                let (head, body) = peer.request();
                assert!(
                    head.starts_with(&format!("POST /{i} HTTP/1.1\r\n")),
                    "{head}"
                );
                peer.say(ok(&body));
            }
        })]);
        let client = client();
        for i in 0..5 {
            let answer = client.post(script.url(&format!("/{i}")), format!("body {i}"));
            assert_eq!(text(answer.unwrap()), format!("body {i}"));
        }
        assert_eq!(script.seen(), 1);
        script.finish();
    });
}

#[test]
fn many_clients_at_once_share_what_there_is() {
    in_tasklet(|| {
        let server = Running::new(|request: Request<Body>| request.uri().path().to_owned());
        let client = HttpClient::builder().idle_per_host(16).build();
        let url = server.url("");
        let spawn = |worker: usize| {
            let (client, url) = (client.clone(), url.clone());
            let requests = move || {
                for i in 0..50 {
                    let path = format!("/{worker}/{i}");
                    assert_eq!(text(client.get(format!("{url}{path}")).unwrap()), path);
                }
            };
            let builder = Tasklet::builder().placement(Placement::Worker(worker));
            builder.spawn(requests).unwrap()
        };
        let tasklets: Vec<_> = (0..16).map(spawn).collect();
        for tasklet in tasklets {
            tasklet.join().unwrap();
        }
        let idle = client.idle_connections();
        // No more connections than there were requests at once.
        assert!((1..=16).contains(&idle), "{idle}");
        assert_eq!(server.connections(), idle);
        client.close_idle();
        eventually("all are closed", || server.connections() == 0);
    });
}

#[test]
fn a_connection_goes_from_one_worker_to_another() {
    in_tasklet(|| {
        let script = Script::new(vec![always(ok("here"))]);
        let client = client();
        for worker in 0..6 {
            let (client, url) = (client.clone(), script.url("/"));
            let get = move || text(client.get(url).unwrap());
            let builder = Tasklet::builder().placement(Placement::Worker(worker));
            assert_eq!(builder.spawn(get).unwrap().join().unwrap(), "here");
        }
        assert_eq!(script.seen(), 1);
        drop(client);
        script.finish();
    });
}

#[test]
fn plain_threads_make_requests_as_well() {
    in_tasklet(|| {
        let server = Running::new(|_| "hello");
        let (client, url) = (client(), server.url("/"));
        let thread = std::thread::spawn(move || {
            (0..3)
                .map(|_| text(client.get(&*url).unwrap()))
                .collect::<Vec<_>>()
        });
        eventually("the thread has ended", || thread.is_finished());
        assert_eq!(thread.join().unwrap(), ["hello"; 3]);
    });
}

#[test]
fn one_that_the_server_has_closed_is_not_used() {
    in_tasklet(|| {
        let closed = Arc::new(Event::new());
        let tell = Arc::clone(&closed);
        let script = Script::new(vec![
            act(move |peer| {
                peer.request();
                peer.say(ok("one"));
                peer.stream.shutdown(Shutdown::Both).unwrap();
                tell.set();
            }),
            act(|peer| {
                let (head, body) = peer.request();
                assert!(head.starts_with("POST / "), "{head}");
                peer.say(ok(&body));
            }),
        ]);
        let client = client();
        assert_eq!(text(client.get(script.url("/")).unwrap()), "one");
        closed.wait();
        // One that could not be repeated, so that it is not by chance that it arrives.
        let body = Body::from_reader(&b"two"[..]);
        let request = Request::post(script.url("/"))
            .header("content-length", "3")
            .body(body)
            .unwrap();
        assert_eq!(text(client.request(request).unwrap()), "two");
        assert_eq!(script.seen(), 2);
        script.finish();
    });
}

#[test]
fn what_comes_unasked_is_never_an_answer() {
    // Behind the answer, in the same piece or later.
    for together in [true, false] {
        in_tasklet(move || {
            let said = Arc::new(Event::new());
            let tell = Arc::clone(&said);
            let script = Script::new(vec![
                act(move |peer| {
                    peer.request();
                    let smuggled = ok("smuggled");
                    if together {
                        peer.say(ok("one") + &smuggled);
                    } else {
                        peer.say(ok("one"));
                        // The client has read it when it asks for no more.
                        Tasklet::yield_now();
                        peer.try_say(smuggled);
                    }
                    tell.set();
                    peer.more();
                }),
                act(|peer| {
                    peer.request();
                    peer.say(ok("two"));
                }),
            ]);
            let client = client();
            assert_eq!(text(client.get(script.url("/")).unwrap()), "one");
            said.wait();
            assert_eq!(text(client.get(script.url("/")).unwrap()), "two");
            script.finish();
        });
    }
}

/// The first connection is closed when the second request has come over it, after so many bytes of an answer.
fn closes_on_the_second(bytes: &'static str) -> Script {
    Script::new(vec![
        act(move |peer| {
            peer.request();
            peer.say(ok("one"));
            peer.request();
            peer.say(bytes);
        }),
        act(|peer| {
            let (_, body) = peer.request();
            peer.say(ok(&format!("again {body}")));
        }),
    ])
}

#[test]
fn what_can_be_repeated_is_when_the_connection_ends() {
    in_tasklet(|| {
        for (method, body) in [(Method::GET, ""), (Method::PUT, "x"), (Method::DELETE, "")] {
            let script = closes_on_the_second("");
            let client = client();
            assert_eq!(text(client.get(script.url("/")).unwrap()), "one");
            let request = Request::builder().method(method).uri(script.url("/"));
            let answer = client.request(request.body(Body::from(body)).unwrap());
            assert_eq!(text(answer.unwrap()), format!("again {body}"));
            script.finish();
        }
    });
}

#[test]
fn what_cannot_be_repeated_is_not() {
    in_tasklet(|| {
        let put = || Request::put("http://x/").header("content-length", "1");
        let cases: [(&'static str, Request<Body>); 3] = [
            // Not idempotent.
            (
                "",
                Request::post("http://x/").body(Body::from("x")).unwrap(),
            ),
            // Its body is gone.
            ("", put().body(Body::from_reader(&b"x"[..])).unwrap()),
            // It has been answered, in part.
            (
                "HTTP/1.1 2",
                Request::get("http://x/").body(Body::empty()).unwrap(),
            ),
        ];
        for (bytes, mut request) in cases {
            let script = closes_on_the_second(bytes);
            let client = client();
            assert_eq!(text(client.get(script.url("/")).unwrap()), "one");
            *request.uri_mut() = script.url("/").parse().unwrap();
            let failed = client.send(request).unwrap_err();
            match failed.error {
                FetchError::Closed(_) => assert_eq!(bytes, ""),
                FetchError::Truncated => assert_ne!(bytes, ""),
                other => panic!("{other:?}"),
            }
            assert!(failed.request.is_none());
            assert_eq!(script.seen(), 1);
        }
    });
}

#[test]
fn it_is_repeated_once() {
    in_tasklet(|| {
        let script = Script::new(vec![
            act(|peer| {
                peer.request();
                peer.say(ok("one"));
                peer.request();
            }),
            act(|peer| {
                peer.request();
            }),
        ]);
        let client = client();
        assert_eq!(text(client.get(script.url("/")).unwrap()), "one");
        let error = client.get(script.url("/")).unwrap_err();
        assert!(matches!(error, FetchError::Closed(_)), "{error:?}");
        script.finish();
    });
}

#[test]
fn connections_are_kept_within_bounds() {
    in_tasklet(|| {
        let (one, other) = (Running::new(|_| "one"), Running::new(|_| "other"));
        let client = HttpClient::builder()
            .idle_per_host(2)
            .idle_in_all(3)
            .build();
        let open = |server: &Running, count| {
            let answers: Vec<_> = (0..count)
                .map(|_| client.get(server.url("/")).unwrap())
                .collect();
            for answer in answers {
                text(answer);
            }
        };
        open(&one, 4);
        assert_eq!(client.idle_connections(), 2);
        open(&other, 2);
        assert_eq!(client.idle_connections(), 3);
        eventually("the others are closed", || {
            one.connections() == 1 && other.connections() == 2
        });
    });
}

#[test]
fn connections_that_were_idle_for_too_long_are_not_used() {
    in_tasklet(|| {
        let script = Script::new(vec![always(ok("one")), always(ok("two"))]);
        let client = HttpClient::builder().idle_time(Duration::ZERO).build();
        assert_eq!(text(client.get(script.url("/")).unwrap()), "one");
        assert_eq!(text(client.get(script.url("/")).unwrap()), "two");
        client.close_idle();
        script.finish();
    });
}

#[test]
fn answers_that_end_the_connection_end_it() {
    let answers = [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\n\r\nx",
    ];
    for answer in answers {
        in_tasklet(move || {
            let once = move || {
                act(move |peer| {
                    peer.request();
                    peer.say(answer);
                })
            };
            let script = Script::new(vec![once(), once()]);
            let client = client();
            for _ in 0..2 {
                assert_eq!(text(client.get(script.url("/")).unwrap()), "x");
                assert_eq!(client.idle_connections(), 0);
            }
            script.finish();
        });
    }
}

#[test]
fn a_request_can_end_its_connection() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            let (head, _) = peer.request();
            assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
            peer.say(ok("x"));
            peer.expect_end();
        })]);
        let client = client();
        let request = Request::get(script.url("/")).header("connection", "close");
        let answer = client.request(request.body(Body::empty()).unwrap());
        assert_eq!(text(answer.unwrap()), "x");
        script.finish();
    });
}

#[test]
fn http_1_0_can_keep_its_connection() {
    in_tasklet(|| {
        let answer = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx";
        let script = Script::new(vec![always(answer)]);
        let client = client();
        for _ in 0..3 {
            assert_eq!(text(client.get(script.url("/")).unwrap()), "x");
        }
        assert_eq!(script.seen(), 1);
    });
}

#[test]
fn a_body_that_is_dropped_gives_its_connection_back_if_it_has_come() {
    in_tasklet(|| {
        let body = "0123456789".repeat(1000);
        let script = Script::new(vec![always(ok(&body))]);
        let client = client();
        for _ in 0..3 {
            let mut answer = client.get(script.url("/")).unwrap();
            // It has come when the server waits for the next request.
            let mut some = [0; 1];
            answer.body_mut().read_exact(&mut some).unwrap();
            Tasklet::yield_now();
            drop(answer);
            assert_eq!(client.idle_connections(), 1);
        }
        assert_eq!(script.seen(), 1);
    });
}

#[test]
fn a_body_that_is_dropped_in_the_middle_closes_its_connection() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
            peer.expect_end();
        })]);
        let client = client();
        let mut answer = client.get(script.url("/")).unwrap();
        answer.body_mut().read_exact(&mut [0; 2]).unwrap();
        drop(answer);
        assert_eq!(client.idle_connections(), 0);
        script.finish();
    });
}

#[test]
fn a_body_without_an_end_is_not_thrown_away_for_ever() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
            let piece = vec![0; 1 << 16];
            // Until the client has had enough.
            while std::io::Write::write_all(&mut peer.stream, &piece).is_ok() {}
        })]);
        let client = client();
        drop(client.get(script.url("/")).unwrap());
        assert_eq!(client.idle_connections(), 0);
        script.finish();
    });
}

#[test]
fn a_kill_in_the_middle_closes_the_connection() {
    // While it waits for the head, for the body, and with the body in hand.
    for (said, read) in [
        ("", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz", false),
    ] {
        in_tasklet(move || {
            let waits = Arc::new(Event::new());
            let tell = Arc::clone(&waits);
            let script = Script::new(vec![act(move |peer| {
                peer.request();
                peer.say(said);
                tell.set();
                peer.expect_end();
            })]);
            let client = client();
            let (own, url) = (client.clone(), script.url("/"));
            let tasklet = Tasklet::spawn(move || {
                let answer = own.get(url).unwrap();
                if read {
                    text(answer);
                } else {
                    Event::new().wait();
                    drop(answer);
                }
            });
            waits.wait();
            eventually("it waits", || tasklet.is_blocked());
            tasklet.kill();
            assert!(tasklet.join().is_err());
            script.finish();
            assert_eq!(client.idle_connections(), 0);
        });
    }
}

#[test]
fn a_reset_just_then_is_repeated_as_well() {
    in_tasklet(|| {
        let script = Script::new(vec![
            act(|peer| {
                peer.request();
                peer.say(ok("one"));
                // With input that nobody has read the end is a reset.
                assert_eq!(peer.bytes(3), "GET");
                peer.stream.set_linger(Some(Duration::ZERO)).unwrap();
            }),
            act(|peer| {
                peer.request();
                peer.say(ok("again"));
            }),
        ]);
        let client = client();
        assert_eq!(text(client.get(script.url("/")).unwrap()), "one");
        assert_eq!(text(client.get(script.url("/")).unwrap()), "again");
        script.finish();
    });
}
