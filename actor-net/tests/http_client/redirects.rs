//! Where redirects lead.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use actor_core::block_on_thread;
use actor_net::http::{
    Body, FetchError, FinalUri, HttpClient, IntoResponse, Method, Request, Response, StatusCode,
};

use crate::common::{PATIENCE, in_tasklet};
use crate::{Running, Script, always, client, text};

fn redirect(status: StatusCode, location: &str) -> Response<Body> {
    let mut response = (status, "elsewhere").into_response();
    let location = location.parse().unwrap();
    response.headers_mut().insert("location", location);
    response
}

/// `/301/x` leads to `/x`; what is at `/echo` says what has come.
fn server() -> Running {
    Running::new(
        |request: Request<Body>| -> std::io::Result<Response<Body>> {
            let path = request.uri().path().to_owned();
            if let Some((code, rest)) = path[1..].split_once('/')
                && let Ok(status) = code.parse::<u16>()
            {
                let status = StatusCode::from_u16(status).unwrap();
                return Ok(redirect(status, &format!("/{rest}")));
            }
            let kind = request.headers().contains_key("content-type");
            let auth = request.headers().contains_key("authorization");
            let method = request.method().clone();
            let body = request.into_body().into_bytes()?;
            let body = String::from_utf8_lossy(&body);
            Ok(format!("{method} {path} {body:?} {kind} {auth}").into_response())
        },
    )
}

#[test]
fn methods_change_or_stay_as_the_standard_says() {
    in_tasklet(|| {
        let server = server();
        let client = client();
        let (get, post, put, head) = (Method::GET, Method::POST, Method::PUT, Method::HEAD);
        let cases = [
            (301, &get, "GET /echo \"\" true true"),
            (301, &post, "GET /echo \"\" false true"),
            (301, &put, "PUT /echo \"x\" true true"),
            (302, &post, "GET /echo \"\" false true"),
            (303, &post, "GET /echo \"\" false true"),
            (303, &put, "GET /echo \"\" false true"),
            (303, &head, ""),
            (307, &post, "POST /echo \"x\" true true"),
            (308, &put, "PUT /echo \"x\" true true"),
        ];
        for (code, method, expected) in cases {
            let body = match *method == get || *method == head {
                true => Body::empty(),
                false => Body::from("x"),
            };
            let request = Request::builder()
                .method(method)
                .uri(server.url(&format!("/{code}/echo")))
                .header("content-type", "text/plain")
                .header("authorization", "secret")
                .body(body)
                .unwrap();
            let answer = client.request(request).unwrap();
            let at = answer.extensions().get::<FinalUri>().unwrap();
            assert_eq!(at.0.path(), "/echo");
            assert_eq!(text(answer), expected, "{code} {method}");
        }
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn what_cannot_be_followed_is_the_answer() {
    in_tasklet(|| {
        let server = server();
        let client = client();
        // A body that is gone.
        let body = Body::from_reader(&b"x"[..]);
        let answer = client.post(server.url("/307/echo"), body).unwrap();
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(text(answer), "elsewhere");
        // Not a redirect in the narrow sense.
        let answer = client.get(server.url("/300/echo")).unwrap();
        assert_eq!(answer.status(), StatusCode::MULTIPLE_CHOICES);
        let none = HttpClient::builder().redirects(0).build();
        let answer = none.get(server.url("/301/echo")).unwrap();
        assert_eq!(answer.status(), StatusCode::MOVED_PERMANENTLY);
        // No place is said, or two.
        for rest in ["", "Location: /a\r\nLocation: /b\r\n"] {
            let head = format!("HTTP/1.1 302 Found\r\n{rest}Content-Length: 0\r\n\r\n");
            let script = Script::new(vec![always(head)]);
            let answer = client.get(script.url("/")).unwrap();
            assert_eq!(answer.status(), StatusCode::FOUND);
        }
    });
}

#[test]
fn redirects_are_limited() {
    in_tasklet(|| {
        let server = server();
        let two = HttpClient::builder().redirects(2).build();
        let answer = two.get(server.url("/302/301/echo")).unwrap();
        assert!(text(answer).starts_with("GET /echo"));
        let error = two.get(server.url("/302/302/302/echo")).unwrap_err();
        let FetchError::TooManyRedirects { visited } = error else {
            panic!("{error:?}");
        };
        let paths: Vec<_> = visited.iter().map(|uri| uri.path()).collect();
        assert_eq!(paths, ["/302/302/302/echo", "/302/302/echo", "/302/echo"]);

        let circle = Running::new(|_| redirect(StatusCode::FOUND, "/again"));
        let error = client().get(circle.url("/")).unwrap_err();
        let FetchError::TooManyRedirects { visited } = error else {
            panic!("{error:?}");
        };
        assert_eq!(visited.len(), 11);
    });
}

#[test]
fn credentials_are_for_one_origin() {
    in_tasklet(|| {
        let other = Running::new(|request: Request<Body>| {
            let mut names: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
            names.sort_unstable();
            let host = request.headers()["host"].to_str().unwrap();
            format!("{host} {}", names.join(" "))
        });
        let there = other.url("/there");
        let server = Running::new(move |_| redirect(StatusCode::FOUND, &there));
        let request = Request::get(server.url("/"))
            .header("authorization", "secret")
            .header("cookie", "secret=1")
            .header("proxy-authorization", "secret")
            .header("host", "named")
            .header("x-other", "stays")
            .body(Body::empty())
            .unwrap();
        let answer = client().request(request).unwrap();
        let encoding = if cfg!(feature = "compression") {
            " accept-encoding"
        } else {
            ""
        };
        assert_eq!(
            text(answer),
            format!(
                "{} accept{encoding} host user-agent x-other",
                other.local_addr()
            )
        );
        // The name and the password of a URL are credentials as well, and none are taken from a redirect.
        let addr = server.local_addr();
        let answer = client().get(format!("http://user:pass@{addr}/")).unwrap();
        assert!(!text(answer).contains("authorization"));
        let with_user = other.url("/").replace("http://", "http://user:pass@");
        let server = Running::new(move |_| redirect(StatusCode::FOUND, &with_user));
        let answer = client().get(server.url("/")).unwrap();
        assert!(!text(answer).contains("authorization"));
    });
}

#[test]
fn redirects_to_nowhere_are_errors() {
    in_tasklet(|| {
        for nowhere in [
            "mailto:a@b",
            "http://",
            "ftp://a/",
            "ws://a/",
            "http://a:99999/",
        ] {
            let server = Running::new(move |_| redirect(StatusCode::FOUND, nowhere));
            let error = client().get(server.url("/")).unwrap_err();
            assert!(
                matches!(&error, FetchError::Location { location } if location == nowhere),
                "{error:?}"
            );
        }
    });
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_come_and_go_with_redirects() {
    use actor_net::http::CookieJar;

    in_tasklet(|| {
        let cookies = |request: &Request<Body>| {
            let value = request.headers().get("cookie");
            value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
        };
        let server = Running::new(move |request: Request<Body>| {
            let seen = cookies(&request);
            if request.uri().path() == "/enter" {
                let mut response = redirect(StatusCode::SEE_OTHER, "/inside");
                let cookie = "session=1; HttpOnly".parse().unwrap();
                response.headers_mut().insert("set-cookie", cookie);
                return response;
            }
            seen.into_response()
        });
        let jar = CookieJar::new();
        let client = HttpClient::builder().cookies(jar.clone()).build();
        assert_eq!(
            text(client.post(server.url("/enter"), "x").unwrap()),
            "session=1"
        );
        assert_eq!(text(client.get(server.url("/")).unwrap()), "session=1");
        let own = Request::get(server.url("/")).header("cookie", "own=2");
        let answer = client.request(own.body(Body::empty()).unwrap()).unwrap();
        assert_eq!(text(answer), "own=2");
        // Ports make no difference to cookies; other names do.
        let other = server.url("/").replace("127.0.0.1", "localhost");
        assert_eq!(text(client.get(other).unwrap()), "");
        jar.clear();
        assert_eq!(text(client.get(server.url("/")).unwrap()), "");
    });
}

/// The address of nobody, for as long as the first is kept.
fn nobody() -> (socket2::Socket, String) {
    let holder = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    holder.bind(&any.into()).unwrap();
    let addr = holder.local_addr().unwrap().as_socket().unwrap();
    (holder, format!("http://{addr}/"))
}

/// The first server has seen it, and may have done what it asks for.
#[test]
fn what_fails_behind_a_redirect_is_not_unsent() {
    in_tasklet(|| {
        let (_holder, dead) = nobody();
        let leads = [&dead, "http://nowhere.invalid/"];
        for (i, to) in leads.into_iter().enumerate() {
            let to = to.to_owned();
            let server =
                Running::new(move |_: Request<Body>| redirect(StatusCode::TEMPORARY_REDIRECT, &to));
            let url = server.url("/pay");
            let request = Request::post(&*url).body(Body::from("x")).unwrap();
            let failed = client().send(request).unwrap_err();
            assert!(failed.request.is_none());
            assert!(!failed.error.is_unsent(), "{:?}", failed.error);
            assert!(!failed.error.is_timed_out());
            let kind = failed.error.kind();
            let FetchError::Later { visited, error } = failed.error else {
                panic!("{:?}", failed.error);
            };
            assert_eq!(visited, [url.parse::<actor_net::http::Uri>().unwrap()]);
            assert_eq!(error.kind(), kind);
            // None of it has been sent to the last.
            assert!(error.is_unsent());
            match (i, *error) {
                (0, FetchError::Connect { .. }) | (1, FetchError::Resolve { .. }) => {}
                (_, other) => panic!("{other:?}"),
            }
        }
    });
}

/// A server that answers with a refused expectation, and is gone when the request is made without.
#[test]
fn what_fails_after_a_refused_expectation_is_not_unsent() {
    in_tasklet(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            drop(listener);
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let answer =
                "HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let client = HttpClient::builder().consent(PATIENCE).build();
        let request = Request::post(&*url).body(Body::from("x")).unwrap();
        let failed = client.send(request).unwrap_err();
        assert!(failed.request.is_none());
        assert!(!failed.error.is_unsent(), "{:?}", failed.error);
        let FetchError::Later { visited, error } = failed.error else {
            panic!("{:?}", failed.error);
        };
        assert!(visited.is_empty());
        assert!(matches!(*error, FetchError::Connect { .. }), "{error:?}");
        block_on_thread(move || server.join()).unwrap();
    });
}
