//! Upgraded connections and tunnels, who the peer is, and trailers.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor_core::Tasklet;
use actor_core::sync::Event;
use actor_io::{Split, TcpListener, TcpStream, copy_bidirectional};
use actor_net::http::{
    Body, HeaderMap, HeaderValue, HttpServer, IntoResponse, Limits, Method, Request, Response,
    StatusCode, Upgrade, Upgraded, peer, peer_gone,
};
use common::{PATIENCE, eventually, in_tasklet, keep_log, logged};
use http::{Client, Running, curl, get, spawn};

const SWITCH: &str = "GET /switch HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

fn switching() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let name = HeaderValue::from_static("x");
    response.headers_mut().insert("upgrade", name);
    response
}

/// Does this on a connection that asks for it, and answers all other requests with their path.
fn spawn_switching<F>(then: F) -> Running
where
    F: Fn(Upgraded) -> io::Result<()> + Send + Sync + Clone + 'static,
{
    spawn(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        match request.headers().contains_key("upgrade") {
            true => {
                let then = then.clone();
                let _ = request.into_body().into_bytes();
                Upgrade::new(switching(), then).into_response()
            }
            false => path.into_response(),
        }
    })
}

/// Gives back what it gets, up to the end of that or of the server.
fn echo(stream: Upgraded) -> io::Result<()> {
    let mut buf = [0; 1000];
    while let Some(count @ 1..) = stream.read_or_stop(&mut buf)? {
        (&stream).write_all(&buf[..count])?;
    }
    (&stream).write_all(b"bye")
}

fn expect_switched(client: &mut Client) {
    let head = client.head();
    assert_eq!(
        head,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
    );
}

#[test]
fn what_follows_belongs_to_the_new_protocol() {
    in_tasklet(|| {
        let server = spawn_switching(echo);
        // What follows looks like a request, and is none.
        let all = [&get("/before"), SWITCH, &get("/behind")].concat();
        for cut in 1..all.len() {
            let mut client = Client::of(&server);
            let (first, second) = all.split_at(cut);
            client.send(first);
            // The server is to see it before the rest.
            Tasklet::yield_now();
            client.send(second);
            assert_eq!(client.body(), "/before", "{cut}");
            expect_switched(&mut client);
            client.0.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.rest(), get("/behind") + "bye", "{cut}");
        }
        eventually("the connections have gone", || server.connections() == 0);
    });
}

#[test]
fn much_that_follows_is_not_lost() {
    in_tasklet(|| {
        let server = spawn_switching(echo);
        let mut client = Client::of(&server);
        let much = "0123456789abcdef".repeat(20_000);
        let mut writer = client.0.try_clone().unwrap();
        let all = [SWITCH, &much].concat();
        let writer = Tasklet::spawn(move || {
            writer.write_all(all.as_bytes())?;
            writer.shutdown(Shutdown::Write)
        });
        expect_switched(&mut client);
        assert!(client.rest() == much + "bye");
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn several_tasklets_of_a_worker_read_one_stream() {
    in_tasklet(|| {
        let server = spawn_switching(|stream| {
            let stream = Arc::new(stream);
            let readers = [0, 1].map(|_| {
                let stream = stream.clone();
                Tasklet::spawn(move || (&*stream).read_exact(&mut [0; 1]))
            });
            // Both wait, one behind the other; the worker does not.
            eventually("both wait", || readers.iter().all(|one| one.is_blocked()));
            (&*stream).write_all(b"?")?;
            for reader in readers {
                reader.join().unwrap()?;
            }
            (&*stream).write_all(b"!")
        });
        let mut client = Client::of(&server);
        client.send(SWITCH);
        expect_switched(&mut client);
        assert_eq!(client.byte(), b'?');
        client.send("ab");
        assert_eq!(client.rest(), "!");
    });
}

#[test]
fn halves_are_used_by_different_tasklets() {
    in_tasklet(|| {
        let server = spawn_switching(|stream| {
            let (mut reader, mut writer) = stream.split();
            let reads = Tasklet::spawn(move || {
                let mut text = String::new();
                reader.read_to_string(&mut text).map(|_| text)
            });
            writer.write_all(b"write!")?;
            let text = reads.join().unwrap()?;
            writer.write_all(text.to_uppercase().as_bytes())
        });
        let mut client = Client::of(&server);
        client.send([SWITCH, "he"].concat());
        expect_switched(&mut client);
        let mut told = [0; 6];
        client.0.read_exact(&mut told).unwrap();
        client.send("llo");
        client.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.rest(), "HELLO");
    });
}

/// Notices its end.
struct Ends(Arc<Event>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[test]
fn a_shutdown_is_told_and_a_kill_ends_it() {
    in_tasklet(|| {
        let server = spawn_switching(echo);
        let mut client = Client::of(&server);
        client.send([SWITCH, "x"].concat());
        expect_switched(&mut client);
        assert_eq!(client.byte(), b'x');
        assert_eq!(server.connections(), 1);
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(client.rest(), "bye");

        let ended = Arc::new(Event::new());
        let server = spawn_switching({
            let ended = ended.clone();
            move |mut stream| {
                let _ends = Ends(ended.clone());
                // Deaf to a stop.
                stream.read_exact(&mut [0; 100])
            }
        });
        let mut client = Client::of(&server);
        client.send(SWITCH);
        expect_switched(&mut client);
        server.shutdown(Duration::from_millis(1)).unwrap();
        assert!(ended.is_set());
        assert_eq!(server.connections(), 0);
        assert_eq!(client.rest(), "");
    });
}

#[test]
fn a_panic_ends_the_connection() {
    keep_log();
    in_tasklet(|| {
        let server = spawn_switching(|_| panic!("out of cheese"));
        let mut client = Client::of(&server);
        client.send(SWITCH);
        expect_switched(&mut client);
        assert_eq!(client.rest(), "");
        eventually("the connection has gone", || server.connections() == 0);
        eventually("it is logged", || {
            !logged(&["ERROR", "out of cheese"]).is_empty()
        });
        // The server goes on.
        assert_eq!(curl(&server, "/path", &[]), "/path");
    });
}

#[test]
fn an_error_is_logged() {
    keep_log();
    in_tasklet(|| {
        let server = spawn_switching(|_| Err(io::Error::other("no more gum")));
        let mut client = Client::of(&server);
        client.send(SWITCH);
        expect_switched(&mut client);
        assert_eq!(client.rest(), "");
        eventually("it is logged", || {
            !logged(&["WARN", "no more gum"]).is_empty()
        });
    });
}

#[test]
fn whoever_keeps_the_stream_loses_the_connection() {
    in_tasklet(|| {
        let kept = Arc::<Mutex<Option<Upgraded>>>::default();
        let server = spawn_switching({
            let kept = kept.clone();
            move |stream| {
                *kept.lock().unwrap() = Some(stream);
                Ok(())
            }
        });
        let mut client = Client::of(&server);
        client.send(SWITCH);
        expect_switched(&mut client);
        assert_eq!(client.rest(), "");
        let mut kept = kept.lock().unwrap().take().unwrap();
        assert_eq!(kept.read(&mut [0; 8]).unwrap(), 0);
        assert!(kept.write(b"x").is_err());
        eventually("the connection has gone", || server.connections() == 0);
    });
}

#[test]
fn what_cannot_be_upgraded_is_answered() {
    in_tasklet(|| {
        let called = Arc::new(AtomicUsize::new(0));
        let server = spawn({
            let called = called.clone();
            move |request: Request<Body>| {
                let called = called.clone();
                let then = move |_| {
                    called.fetch_add(1, Ordering::SeqCst);
                };
                let mut response = switching();
                match request.uri().path() {
                    "/alone" => return response.map(Body::from),
                    "/forbidden" => *response.status_mut() = StatusCode::FORBIDDEN,
                    "/early" => *response.status_mut() = StatusCode::EARLY_HINTS,
                    // Not asked for as a tunnel.
                    "/ok" => *response.status_mut() = StatusCode::OK,
                    _ => {}
                }
                let mut response = Upgrade::new(response, then).into_response();
                if request.uri().path() == "/ok" {
                    *response.body_mut() = Body::from("fine");
                }
                response
            }
        });
        let refused = |request: &str| {
            let mut client = Client::of(&server);
            client.send([request, &get("/smuggled")].concat());
            let rest = client.rest();
            assert_eq!(rest.matches("HTTP/1.1").count(), 1, "{rest}");
            assert!(rest.contains("connection: close\r\n"), "{rest}");
            rest[9..12].to_owned()
        };
        assert_eq!(refused("GET / HTTP/1.0\r\nUpgrade: x\r\n\r\n"), "505");
        assert_eq!(refused(&get("/alone")), "500");
        assert_eq!(refused(&get("/early")), "500");
        // It waits for a body that nobody reads.
        let body = "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nContent-Length: 10000\r\n\r\n";
        assert_eq!(refused(body), "500");

        let mut client = Client::of(&server);
        client.send([get("/forbidden"), get("/ok")].concat());
        let (head, _) = client.answer();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
        assert_eq!(client.body(), "fine");
        assert_eq!(called.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_body_may_come_before_the_other_protocol() {
    in_tasklet(|| {
        let server = spawn_switching(echo);
        for framing in [
            "Content-Length: 5\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ] {
            let request = format!("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n{framing}more");
            for cut in [
                request.len() - 1,
                request.len() - 6,
                request.find("\r\n\r\n").unwrap() + 4,
            ] {
                let mut client = Client::of(&server);
                client.send(&request[..cut]);
                Tasklet::yield_now();
                client.send(&request[cut..]);
                expect_switched(&mut client);
                client.0.shutdown(Shutdown::Write).unwrap();
                assert_eq!(client.rest(), "morebye");
            }
        }
    });
}

// Tunnels --------------------------------------------------------------------------------------

fn spawn_proxy() -> Running {
    let limits = Limits::default().with(|limits| limits.connect = true);
    let proxy = |request: Request<Body>| {
        let (&Method::CONNECT, Some(target)) = (request.method(), request.uri().authority()) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if target.host() == "forbidden" {
            return StatusCode::FORBIDDEN.into_response();
        }
        match TcpStream::connect(target.as_str()) {
            Ok(target) => Upgrade::new(Response::default(), move |client| {
                copy_bidirectional(client, target).map(drop)
            })
            .into_response(),
            Err(_) => StatusCode::BAD_GATEWAY.into_response(),
        }
    };
    let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
    Running(server.spawn(proxy).unwrap())
}

#[test]
fn a_tunnel_leads_where_it_is_to() {
    in_tasklet(|| {
        let proxy = spawn_proxy();
        let server = spawn(|request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let body = request.into_body().into_bytes().unwrap();
            format!("{path} {}", body.len())
        });
        let addr = server.local_addr();
        // For HTTP/1.0 as well, in which tunnels began.
        for version in ["1.1", "1.0"] {
            let mut client = Client::of(&proxy);
            client.send(format!(
                "CONNECT {addr} HTTP/{version}\r\nHost: a\r\n\r\n{}",
                get("/1")
            ));
            assert_eq!(client.head(), "HTTP/1.1 200 OK\r\n\r\n");
            assert_eq!(client.body(), "/1 0");
            client.send(get("/2"));
            assert_eq!(client.body(), "/2 0");
            client.0.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.rest(), "");
        }

        let address = format!("http://{}", proxy.local_addr());
        let upload = std::env::temp_dir().join(format!("http-upgrade-{}", std::process::id()));
        std::fs::write(&upload, vec![b'x'; 300_000]).unwrap();
        let data = format!("@{}", upload.display());
        let tunnel = [
            "--proxy",
            &address,
            "--proxytunnel",
            "--noproxy",
            "",
            "--data-binary",
            &data,
        ];
        let answer = curl(&server, "/3", &tunnel);
        std::fs::remove_file(&upload).unwrap();
        assert_eq!(answer, "/3 300000");
        eventually("the tunnels have gone", || proxy.connections() == 0);
    });
}

#[test]
fn what_is_no_tunnel_is_answered() {
    in_tasklet(|| {
        let proxy = spawn_proxy();
        let unused = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        for (target, status) in [(&*unused.to_string(), "502"), ("forbidden:80", "403")] {
            let mut client = Client::of(&proxy);
            // Behind it comes what was meant for the tunnel.
            let request = format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            client.send(request + &get("/"));
            let rest = client.rest();
            assert_eq!(&rest[9..12], status);
            assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{rest}");
        }

        for target in [
            "a",
            "a:",
            ":80",
            "a:0",
            "a:65536",
            "a:+80",
            "/",
            "*",
            "http://a:80/",
            "u@a:80",
            "a:80/",
            "[::1]",
            "a:80?x",
            "a b:80",
        ] {
            let mut client = Client::of(&proxy);
            client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let rest = client.rest();
            assert!(
                rest.starts_with("HTTP/1.1 400 Bad Request\r\n"),
                "{target}: {rest}"
            );
        }
        for body in [
            "Content-Length: 0",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
        ] {
            let mut client = Client::of(&proxy);
            client.send(format!(
                "CONNECT forbidden:80 HTTP/1.1\r\nHost: a\r\n{body}\r\n\r\n"
            ));
            let rest = client.rest();
            assert!(
                rest.starts_with("HTTP/1.1 400 Bad Request\r\n"),
                "{body}: {rest}"
            );
        }
        // Who is no proxy has no use for it.
        let server = spawn(|_| "hello");
        let mut client = Client::of(&server);
        client.send("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(
            client
                .rest()
                .starts_with("HTTP/1.1 501 Not Implemented\r\n")
        );
    });
}

// Who the peer is ------------------------------------------------------------------------------

#[test]
fn a_handler_knows_its_peer_whoever_else_waits() {
    in_tasklet(|| {
        let go_on = Arc::new(Event::new());
        let server = spawn({
            let go_on = go_on.clone();
            move |request: Request<Body>| {
                let before = peer().unwrap();
                if request.uri().path() == "/wait" {
                    go_on.wait();
                }
                assert_eq!(peer(), Some(before));
                assert!(!before.is_encrypted());
                // Not for those whom it spawns.
                assert_eq!(Tasklet::spawn(peer).join().unwrap(), None);
                before.addr().to_string()
            }
        });
        let mut clients: Vec<_> = (0..8).map(|_| Client::of(&server)).collect();
        for client in &mut clients {
            client.send(get("/wait"));
        }
        let mut quick = Client::of(&server);
        for _ in 0..2 {
            quick.send(get("/"));
            assert_eq!(quick.body(), quick.0.local_addr().unwrap().to_string());
        }
        go_on.set();
        for client in &mut clients {
            assert_eq!(client.body(), client.0.local_addr().unwrap().to_string());
        }
        assert_eq!((peer(), peer_gone()), (None, false));
    });
}

#[test]
fn a_handler_can_find_out_that_its_client_has_gone() {
    in_tasklet(|| {
        let (begun, gone) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let server = spawn({
            let (begun, gone) = (begun.clone(), gone.clone());
            move |_| {
                assert!(!peer_gone());
                begun.set();
                eventually("the client has gone", peer_gone);
                gone.set();
            }
        });
        let mut client = Client::of(&server);
        client.send(get("/"));
        begun.wait();
        drop(client);
        gone.wait();
    });
}

// Trailers -------------------------------------------------------------------------------------

fn trailed(request: Request<Body>) -> Response<Body> {
    let body = match request.uri().path() {
        "/stream" => Body::from_reader(&b"hello"[..]),
        _ => Body::from("hello"),
    };
    let mut response = Response::new(body.with_trailers(|| {
        let mut trailers = HeaderMap::new();
        for name in ["x-sum", "content-length", "set-cookie", "host", "x-sum"] {
            trailers.append(name, HeaderValue::from_static("1"));
        }
        trailers
    }));
    if request.uri().path() == "/length" {
        let length = HeaderValue::from_static("5");
        response.headers_mut().insert("content-length", length);
    }
    response
}

#[test]
fn trailers_come_behind_a_chunked_body() {
    in_tasklet(|| {
        let server = spawn(trailed);
        let mut client = Client::of(&server);
        for path in ["/", "/stream"] {
            client.send(get(path));
            let head = client.head();
            assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
            let mut body = vec![0; "5\r\nhello\r\n0\r\nx-sum: 1\r\nx-sum: 1\r\n\r\n".len()];
            client.0.read_exact(&mut body).unwrap();
            assert_eq!(
                String::from_utf8(body).unwrap(),
                "5\r\nhello\r\n0\r\nx-sum: 1\r\nx-sum: 1\r\n\r\n"
            );
        }
        client.send(get("/length"));
        assert_eq!(client.body(), "hello");
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.head();
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert!(client.rest().ends_with("\r\n\r\nhello"));
        // The second is empty: nothing waits for its body.
        let all = curl(&server, "/", &["--include", "-w", "%{size_download}"]);
        assert!(
            all.contains("hello") && all.contains("x-sum: 1\r\n"),
            "{all}"
        );
        assert!(!all.contains("set-cookie"), "{all}");
    });
}
