//! An HTTP server that speaks TLS.

#![cfg(all(feature = "http", feature = "tls"))]

#[path = "common/certificates.rs"]
mod certificates;
mod common;
#[path = "common/http.rs"]
mod http;
#[path = "common/https.rs"]
mod https;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Tasklet, block_on_thread};
use actor_io::{Split, TcpListener, TcpStream};
use actor_net::http::{
    Body, HttpServer, IntoResponse, Limits, Request, Response, StatusCode, Upgrade, Upgraded, peer,
    peer_certificates, server_name,
};
use actor_net::tls::{ClientTls, ServerTls, TlsError, TlsStream};
use actor_net::{Server, ServerHandle};
use certificates::{Authority, both};
use common::{PATIENCE, eventually, in_tasklet, keep_log, logged};
use http::{Client, Running, curl, get};
use https::{connect, hello, serve};

/// Answers with the body, or else with method and path; large things on demand.
fn handler(request: Request<Body>) -> io::Result<Response<Body>> {
    assert!(peer().is_some_and(|peer| peer.is_encrypted()));
    let line = format!("{} {}", request.method(), request.uri());
    let path = request.uri().path().to_owned();
    let body = request.into_body();
    Ok(match (&*path, body.size()) {
        ("/large", _) => Body::from(vec![b'x'; LARGE]).into_response(),
        ("/long", _) => Body::from_reader(io::repeat(b'x').take(LARGE as u64)).into_response(),
        (_, Some(0)) => line.into_response(),
        _ => Response::new(body.into_bytes()?.into()),
    })
}

const LARGE: usize = 3_000_000;

#[test]
fn requests_are_served() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let server = serve(&tls, handler);
        let mut client = connect(&server, &client_tls);
        for i in 0..3 {
            client.send(get(&format!("/{i}")));
            assert_eq!(client.body(), format!("GET /{i}"));
        }
        client.send(["HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &get("/behind")].concat());
        assert!(client.head().contains("content-length: 6\r\n"));
        assert_eq!(client.body(), "GET /behind");

        // A pipeline, of which nothing is read before all of it has been sent.
        let count = 500;
        let all: String = (0..count).map(|i| get(&format!("/{i}"))).collect();
        client.send(all);
        for i in 0..count {
            assert_eq!(client.body(), format!("GET /{i}"));
        }
        client.send("GET /last HTTP/1.0\r\n\r\n");
        // Its end is told, or this were an error.
        let rest = client.rest();
        assert!(rest.ends_with("\r\n\r\nGET /last"), "{rest}");
        eventually("the connection has gone", || server.connections() == 0);
    });
}

#[test]
fn large_bodies_go_both_ways() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let server = serve(&tls, handler);
        let body = "0123456789abcdef".repeat(LARGE / 16);
        let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        for (framing, sent) in [
            (format!("Content-Length: {}", body.len()), &body),
            ("Transfer-Encoding: chunked".to_owned(), &chunk),
        ] {
            let mut client = connect(&server, &client_tls);
            client.send(format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{sent}"
            ));
            assert!(client.body() == body);
            client.send(get("/large"));
            assert_eq!(client.body().len(), LARGE);
            client.send("GET /long HTTP/1.0\r\n\r\n");
            assert!(client.rest().ends_with(&"x".repeat(LARGE)));
        }
    });
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let limits = Limits::default().with(|limits| limits.write_time = Duration::from_millis(50));
        let server = HttpServer::bind("127.0.0.1:0")
            .unwrap()
            .limits(limits)
            .tls(tls);
        let endless = |_: Request<Body>| Body::from_reader(io::repeat(b'x'));
        let server = Running(server.spawn(endless).unwrap());
        let mut client = connect(&server, &client_tls);
        client.send(get("/"));
        client.head();
        eventually("it has been given up", || server.connections() == 0);
        let mut rest = Vec::new();
        // It is not told the end, for it has not come.
        assert!(client.0.read_to_end(&mut rest).is_err());
    });
}

/// Passes bytes on, one at a time in one direction.
fn slowly(target: &ServerHandle) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (from, _) = listener.accept().unwrap();
    let to = Client::of(target).0;
    for stream in [&near, &from, &to] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut back, mut there) = (to.try_clone().unwrap(), from.try_clone().unwrap());
    Tasklet::spawn(move || {
        let mut byte = [0];
        while let Ok(1) = (&from).read(&mut byte) {
            if (&to).write_all(&byte).is_err() {
                break;
            }
            // The server is to see each alone.
            Tasklet::yield_now();
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    Tasklet::spawn(move || io::copy(&mut back, &mut there));
    near
}

#[test]
fn a_connection_may_come_byte_by_byte() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let server = serve(&tls, handler);
        let mut client = Client(client_tls.connect("localhost", slowly(&server)).unwrap());
        client.send([get("/1"), get("/2")].concat());
        assert_eq!(
            (client.body(), client.body()),
            ("GET /1".to_owned(), "GET /2".to_owned())
        );
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        client.send("hello");
        assert_eq!(client.body(), "hello");
        client.0.close_notify().unwrap();
        assert_eq!(client.rest(), "");
    });
}

#[test]
fn the_protocol_is_agreed_upon() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        // What it says otherwise is for others.
        let tls = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .alpn(["h2", "imap"])
            .build()
            .unwrap();
        let server = serve(&tls, handler);
        let client = |names: &[&str]| {
            let tls = ClientTls::builder(authority.roots())
                .alpn(names)
                .build()
                .unwrap();
            tls.connect("localhost", Client::of(&server).0)
        };
        for (offered, agreed) in [
            (&["h2", "http/1.1"][..], Some(&b"http/1.1"[..])),
            (&[], None),
        ] {
            let mut client = Client(client(offered).unwrap());
            assert_eq!(client.0.alpn(), agreed);
            client.send(get("/"));
            assert_eq!(client.body(), "GET /");
        }
        assert!(matches!(client(&["h2"]), Err(TlsError::Protocol(_))));

        // For whom it was made it still says so.
        let other = Server::bind("127.0.0.1:0").unwrap().tls(tls.clone());
        let other = other
            .spawn(|mut stream: TlsStream| stream.write_all(b"hello"))
            .unwrap();
        let imap = ClientTls::builder(authority.roots())
            .alpn(["imap"])
            .build()
            .unwrap();
        let stream = imap.connect("localhost", Client::of(&other).0).unwrap();
        assert_eq!(stream.alpn(), Some(&b"imap"[..]));
        other.shutdown(PATIENCE).unwrap();

        // A new certificate, for those who come.
        let renewed = Authority::new("another");
        tls.set_identity(renewed.identity(&["localhost"]));
        assert!(client(&[]).is_err());
        let client_tls = ClientTls::new(renewed.roots()).unwrap();
        let mut client = connect(&server, &client_tls);
        client.send(get("/"));
        assert_eq!(client.body(), "GET /");
    });
}

/// One for each kind of server: what it gives, and what it takes.
fn both_kinds(tls: &ServerTls) -> [Running; 2] {
    let echo = |stream: TlsStream| {
        let (mut reader, mut writer) = stream.split();
        io::copy(&mut reader, &mut writer).map(drop)
    };
    let server = Server::bind("127.0.0.1:0").unwrap().tls(tls.clone());
    [serve(tls, handler), Running(server.spawn(echo).unwrap())]
}

/// Some say nothing, some the beginning, and some send a hello and no more.
fn stall(server: &ServerHandle, tls: &ClientTls) -> Vec<Client> {
    let hello = hello(tls);
    (0..60)
        .map(|i| {
            let mut client = Client::of(server);
            client.send(&hello[..[0, 1, hello.len() / 2, hello.len()][i % 4]]);
            client
        })
        .collect()
}

#[test]
fn handshakes_that_stall_hold_nobody_up() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let tls = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .handshakes(1)
            .build()
            .unwrap();
        let client_tls = ClientTls::new(authority.roots()).unwrap();
        for server in both_kinds(&tls) {
            let stalled = stall(&server, &client_tls);
            let clients: Vec<_> = (0..20)
                .map(|_| {
                    let (tls, stream) = (client_tls.clone(), Client::of(&server).0);
                    Tasklet::spawn(move || {
                        let mut client = Client(tls.connect("localhost", stream).unwrap());
                        client.send(get("/"));
                        client.byte();
                    })
                })
                .collect();
            for client in clients {
                client.join().unwrap();
            }
            drop(stalled);
            eventually("all have gone", || server.connections() == 0);
        }
    });
}

#[test]
fn handshakes_that_stall_end() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let tls = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .handshake_timeout(Duration::from_millis(100))
            .build()
            .unwrap();
        let client_tls = ClientTls::new(authority.roots()).unwrap();
        for server in both_kinds(&tls) {
            // Whatever they have said.
            for mut client in stall(&server, &client_tls) {
                let _ = client.0.read_to_end(&mut Vec::new());
            }
            eventually("all have gone", || server.connections() == 0);
        }
    });
}

#[test]
fn what_is_no_handshake_is_refused() {
    keep_log();
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let server = serve(&tls, handler);
        let mut client = Client::of(&server);
        client.send(get("/"));
        let mut alert = Vec::new();
        client.0.read_to_end(&mut alert).unwrap();
        // An alert: a fatal one.
        assert_eq!((alert[0], alert[5]), (21, 2), "{alert:?}");
        eventually("it is logged", || {
            !logged(&["INFO", "no handshake"]).is_empty()
        });
        let mut client = connect(&server, &client_tls);
        client.send(get("/"));
        assert_eq!(client.body(), "GET /");
    });
}

#[test]
fn an_end_that_is_not_told_matters_where_something_is_missing() {
    in_tasklet(|| {
        let outcome = Arc::new(Mutex::new(None));
        let ended = Arc::new(Event::new());
        let (tls, client_tls) = both();
        let server = serve(&tls, {
            let (outcome, ended) = (outcome.clone(), ended.clone());
            move |request: Request<Body>| {
                let read = request.into_body().into_bytes();
                *outcome.lock().unwrap() = Some(read.map_err(|error| error.kind()));
                ended.set();
            }
        });
        let post =
            |length| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nhello");
        let mut client = connect(&server, &client_tls);
        client.send(post(5));
        // Without a close_notify.
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
        assert!(client.rest().starts_with("HTTP/1.1 200 OK\r\n"));
        let taken = outcome.lock().unwrap().take();
        assert_eq!(taken, Some(Ok(b"hello"[..].into())));
        ended.clear();

        let mut client = connect(&server, &client_tls);
        client.send(post(6));
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
        ended.wait();
        let taken = outcome.lock().unwrap().take();
        assert_eq!(taken, Some(Err(ErrorKind::UnexpectedEof)));
        eventually("the connections have gone", || server.connections() == 0);
    });
}

#[test]
fn idle_connections_are_told_the_end() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let limits = Limits::default().with(|limits| limits.idle_time = Duration::from_millis(500));
        let server = HttpServer::bind("127.0.0.1:0")
            .unwrap()
            .limits(limits)
            .tls(tls.clone());
        let server = Running(server.spawn(handler).unwrap());
        let mut client = connect(&server, &client_tls);
        client.send(get("/"));
        assert_eq!(client.body(), "GET /");
        assert_eq!(client.rest(), "");

        let server = serve(&tls, handler);
        let mut idle = connect(&server, &client_tls);
        idle.send(get("/"));
        assert_eq!(idle.body(), "GET /");
        let mut stalled = Client::of(&server);
        stalled.send([22]);
        eventually("both are there", || server.connections() == 2);
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(idle.rest(), "");
    });
}

#[test]
fn a_kill_is_not_taken_for_the_end() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        let server = serve(&tls, move |request: Request<Body>| {
            count.fetch_add(1, Ordering::SeqCst);
            match request.uri().path() {
                // It never comes.
                "/up" => drop(request.into_body().into_bytes()),
                "/wait" => Event::new().wait(),
                _ => return Body::from_reader(io::repeat(b'x')),
            }
            Body::empty()
        });
        let asked = [
            "GET /down HTTP/1.0\r\n\r\n",
            "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
            "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        let mut clients = asked.map(|asked| {
            let mut client = connect(&server, &client_tls);
            client.send(asked);
            client
        });
        eventually("all are at it", || begun.load(Ordering::SeqCst) == 3);
        server.shutdown(Duration::from_millis(1)).unwrap();
        assert_eq!(server.connections(), 0);
        for client in &mut clients {
            assert!(client.0.read_to_end(&mut Vec::new()).is_err());
        }
    });
}

fn switch(request: Request<Body>) -> Response<Body> {
    if request.uri().path() != "/switch" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let split = request.headers().contains_key("split");
    let echo = move |stream: Upgraded| -> io::Result<()> {
        let mut buf = [0; 1000];
        if split {
            let (mut reader, mut writer) = stream.split();
            while let Some(count @ 1..) = reader.read_or_stop(&mut buf)? {
                writer.write_all(&buf[..count])?;
            }
            writer.write_all(b"bye")
        } else {
            while let Some(count @ 1..) = stream.read_or_stop(&mut buf)? {
                (&stream).write_all(&buf[..count])?;
            }
            (&stream).write_all(b"bye")
        }
    };
    Upgrade::new(response, echo).into_response()
}

#[test]
fn an_upgrade_stays_encrypted() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let server = serve(&tls, switch);
        let much = "0123456789abcdef".repeat(20_000);
        for headers in ["", "Split: yes\r\n"] {
            let mut client = connect(&server, &client_tls);
            let request = format!("GET /switch HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n{headers}\r\n");
            client.send([&get("/before"), &*request, "more"].concat());
            assert!(client.answer().0.starts_with("HTTP/1.1 404"));
            assert!(client.head().starts_with("HTTP/1.1 101"));
            let (mut reader, mut writer) = client.0.split();
            let text = much.clone();
            let writer = Tasklet::spawn(move || {
                writer.write_all(text.as_bytes())?;
                writer.close_notify()
            });
            let mut rest = String::new();
            // With an orderly end.
            reader.read_to_string(&mut rest).unwrap();
            writer.join().unwrap().unwrap();
            assert!(rest == ["more", &much, "bye"].concat());
        }
        // Told of the server's end.
        let mut client = connect(&server, &client_tls);
        client.send("GET /switch HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\nx");
        client.head();
        assert_eq!(client.byte(), b'x');
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(client.rest(), "bye");
    });
}

// With other programs --------------------------------------------------------------------------

#[test]
fn a_handler_knows_what_its_client_has_shown() {
    in_tasklet(|| {
        let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
        let tls = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .request_client(clients.roots())
            .build()
            .unwrap();
        let server = serve(&tls, |_| {
            format!("{:?} {}", server_name(), peer_certificates().len())
        });
        let known = ClientTls::builder(authority.roots())
            .identity(clients.identity(&["somebody"]))
            .build()
            .unwrap();
        let unknown = ClientTls::new(authority.roots()).unwrap();
        for (tls, told) in [
            (known, "Some(\"localhost\") 1"),
            (unknown, "Some(\"localhost\") 0"),
        ] {
            let mut client = connect(&server, &tls);
            client.send(get("/"));
            assert_eq!(client.body(), told);
        }
        assert_eq!((server_name(), peer_certificates().len()), (None, 0));
    });
}

/// A file for one test.
struct File(String);

impl File {
    fn new(name: &str, content: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("https-{name}-{}", std::process::id()));
        fs::write(&path, content).unwrap();
        File(path.to_str().unwrap().to_owned())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn curl_is_served() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let tls = ServerTls::new(authority.identity(&["localhost"])).unwrap();
        let server = serve(&tls, handler);
        let ca = File::new("curl-ca", authority.pem().as_bytes());
        let url = |path: &str| format!("https://localhost:{}{path}", server.local_addr().port());
        let curl = |path: &str, options: &[&str]| {
            let all = [&["--cacert", &ca.0, "--ipv4"], options].concat();
            curl(&server, &url(path), &all)
        };
        assert_eq!(curl("/x?y=z", &[]), "GET /x?y=z");
        assert_eq!(curl("/old", &["--http1.0"]), "GET /old");
        let head = curl("/", &["--head"]);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        // It offers HTTP/2 as well.
        assert_eq!(curl("/", &["-w", " %{http_version}"]), "GET / 1.1");
        let again = url("/1");
        assert_eq!(
            curl("/2", &["-w", " %{num_connects} ", &again]),
            "GET /1 1 GET /2 0 "
        );

        let large = "0123456789abcdef".repeat(LARGE / 16);
        let upload = File::new("curl-upload", large.as_bytes());
        let data = format!("@{}", upload.0);
        for more in [
            &[][..],
            &["-H", "Transfer-Encoding: chunked"],
            &["-H", "Expect: 100-continue"],
        ] {
            let all = [&["--data-binary", &data], more].concat();
            assert!(curl("/", &all) == large);
        }
        assert_eq!(curl("/large", &[]).len(), LARGE);
        assert_eq!(curl("/long", &[]).len(), LARGE);
    });
}

#[test]
fn openssl_is_served() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let tls = ServerTls::new(authority.identity(&["localhost"])).unwrap();
        let server = serve(&tls, handler);
        let ca = File::new("openssl-ca", authority.pem().as_bytes());
        for version in ["-tls1_2", "-tls1_3"] {
            let at = server.local_addr().to_string();
            let mut command = Command::new("openssl");
            command.args([
                "s_client",
                "-connect",
                &at,
                "-CAfile",
                &ca.0,
                "-verify_return_error",
            ]);
            command.args([
                "-servername",
                "localhost",
                "-alpn",
                "h2,http/1.1",
                "-ign_eof",
                version,
            ]);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let output = block_on_thread(move || {
                let mut client = command.spawn()?;
                let mut stdin = client.stdin.take().unwrap();
                stdin.write_all(
                    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                )?;
                stdin.write_all(b"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
                let output = client.wait_with_output();
                drop(stdin);
                output
            })
            .expect("openssl is installed");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}");
            for part in [
                "ALPN protocol: http/1.1",
                "\r\n\r\nGET /1",
                "\r\n\r\nGET /2",
                "Verify return code: 0",
            ] {
                assert!(said.contains(part), "{part:?} is not in {said}");
            }
        }
    });
}
