//! Over TLS.

use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use actor_io::BufferedStream;
use actor_net::http::{Body, FetchError, HttpClient, HttpServer, Phase, Request, Timeouts};
use actor_net::tls::{ClientTls, ServerTls, TlsStream};
use actor_net::{Server, ServerHandle};

use crate::common::{eventually, in_tasklet};
use crate::proxies::{through, tunnels};
use crate::{Script, act, ok, text};

#[path = "../common/certificates.rs"]
mod certificates;

fn both() -> (ServerTls, ClientTls) {
    let authority = certificates::Authority::new("authority");
    let server = ServerTls::new(authority.identity(&["localhost", "127.0.0.1"])).unwrap();
    let tls = ClientTls::builder(authority.roots())
        .alpn(["http/1.1"])
        .build();
    (server, tls.unwrap())
}

/// Answers each request with its path, or ends its own way.
fn serve(tls: ServerTls, end: fn(TlsStream) -> io::Result<()>) -> ServerHandle {
    let handler = move |stream: TlsStream| -> io::Result<()> {
        let mut stream = BufferedStream::new(stream);
        loop {
            let mut path = None;
            loop {
                let Some(line) = stream.reader().read_line()? else {
                    return Ok(());
                };
                if line.is_empty() {
                    break;
                }
                path.get_or_insert_with(|| line.split(' ').nth(1).unwrap().to_owned());
            }
            let path = path.unwrap();
            match path.as_str() {
                "/end" => return end(stream.into_inner()),
                path => stream.write_all(ok(path).as_bytes())?,
            }
            stream.flush()?;
        }
    };
    let server = Server::bind("127.0.0.1:0").unwrap().tls(tls);
    server.spawn(handler).unwrap()
}

fn url(server: SocketAddr, path: &str) -> String {
    format!("https://localhost:{}{path}", server.port())
}

#[test]
fn connections_are_used_again_over_tls() {
    in_tasklet(|| {
        let (server, tls) = both();
        let server = serve(server, |_| Ok(()));
        let client = HttpClient::builder().tls(tls).build();
        for path in ["/a", "/b", "/c"] {
            let answer = client.get(url(server.local_addr(), path)).unwrap();
            assert_eq!(text(answer), path);
            assert_eq!(server.connections(), 1);
        }
        client.close_idle();
        // Its end has been told, so that the handler returns.
        eventually("it has ended", || server.connections() == 0);
        server.tasklet().stop();
    });
}

#[test]
fn large_bodies_go_to_our_server_and_back() {
    in_tasklet(|| {
        let (tls, trust) = both();
        let handler = |request: Request<Body>| -> io::Result<Vec<u8>> {
            Ok(request.into_body().into_bytes()?.to_ascii_uppercase())
        };
        let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls);
        let server = server.spawn(handler).unwrap();
        let client = HttpClient::builder().tls(trust).build();
        let body: String = (0..300_000).map(|i| format!("x{i} ")).collect();
        let expected = body.to_ascii_uppercase();
        for _ in 0..2 {
            let at = url(server.local_addr(), "/");
            let answer = client.post(&*at, body.clone()).unwrap();
            assert!(text(answer) == expected);
            let reader = Body::from_reader(io::Cursor::new(body.clone()));
            assert!(text(client.put(&*at, reader).unwrap()) == expected);
        }
        assert_eq!(server.connections(), 1);
        client.close_idle();
        eventually("it has ended", || server.connections() == 0);
        server.tasklet().stop();
    });
}

#[test]
fn a_connection_that_the_server_has_closed_is_not_used() {
    in_tasklet(|| {
        let (server, tls) = both();
        let server = serve(server, |mut stream| stream.write_all(ok("last").as_bytes()));
        let client = HttpClient::builder().tls(tls).build();
        let end = || client.get(url(server.local_addr(), "/end")).unwrap();
        for _ in 0..3 {
            assert_eq!(text(end()), "last");
            eventually("it has ended", || server.connections() == 0);
        }
        server.tasklet().stop();
    });
}

#[test]
fn a_body_that_is_cut_off_is_an_error() {
    in_tasklet(|| {
        let (server, tls) = both();
        let server = serve(server, |mut stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf of")?;
            // Without TLS's own end, as anybody on the way could do it.
            stream.get_ref().shutdown(std::net::Shutdown::Both)?;
            Err(io::ErrorKind::Other.into())
        });
        let client = HttpClient::builder().tls(tls).build();
        let mut answer = client.get(url(server.local_addr(), "/end")).unwrap();
        let mut read = String::new();
        let error = answer.body_mut().read_to_string(&mut read).unwrap_err();
        let error: FetchError = error.downcast().unwrap();
        assert!(matches!(error, FetchError::Truncated), "{error:?}");
        server.tasklet().stop();
    });
}

#[test]
fn servers_that_are_not_who_they_ought_to_be_get_no_request() {
    in_tasklet(|| {
        let (server, tls) = both();
        let server = serve(server, |_| Ok(()));
        let (_, stranger) = both();
        let port = server.local_addr().port();
        let trusting = HttpClient::builder().tls(tls).build();
        let strange = HttpClient::builder().tls(stranger).build();
        let requests = [
            (&trusting, format!("https://ip6-localhost:{port}/")),
            (&strange, format!("https://localhost:{port}/")),
        ];
        for (client, url) in requests {
            let request = Request::post(url).body(Body::from("secret")).unwrap();
            let failed = client.send(request).unwrap_err();
            // The first name may not be known at all.
            let refused = matches!(
                failed.error,
                FetchError::Tls { .. } | FetchError::Resolve { .. } | FetchError::Connect { .. }
            );
            assert!(refused, "{:?}", failed.error);
            assert!(failed.request.is_some());
        }
        server.tasklet().stop();
        // And who speaks no TLS at all.
        let script = Script::new(vec![act(|peer| {
            peer.more();
            peer.say("HTTP/1.1 400 Bad Request\r\n\r\n");
        })]);
        let error = trusting.get(url(script.addr, "/")).unwrap_err();
        assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
    });
}

#[test]
fn a_handshake_has_its_time() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| while peer.more() {})]);
        let (_, tls) = both();
        let brief = Timeouts::default().with(|limits| limits.tls = Some(Duration::from_millis(20)));
        let client = HttpClient::builder().tls(tls).timeouts(brief).build();
        let error = client.get(url(script.addr, "/")).unwrap_err();
        assert!(
            matches!(error, FetchError::TimedOut { phase: Phase::Tls }),
            "{error:?}"
        );
        script.finish();
    });
}

#[test]
fn redirects_do_not_lead_out_of_tls() {
    in_tasklet(|| {
        let plain = crate::Running::new(|_| "plain");
        let there = plain.url("/");
        let (server, tls) = both();
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n");
        let handler = move |mut stream: TlsStream| {
            stream.read_exact(&mut [0; 16])?;
            stream.write_all(head.as_bytes())
        };
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server);
        let server = server.spawn(handler).unwrap();
        let builder = HttpClient::builder().tls(tls);
        let error = builder
            .clone()
            .build()
            .get(url(server.local_addr(), "/"))
            .unwrap_err();
        assert!(
            matches!(&error, FetchError::Downgrade { location } if *location == *there),
            "{error:?}"
        );
        let lax = builder.redirect_to_http(true).build();
        let answer = lax.get(url(server.local_addr(), "/")).unwrap();
        assert_eq!(text(answer), "plain");
        server.tasklet().stop();
    });
}

#[test]
fn proxies_are_passed_through() {
    in_tasklet(|| {
        let (server, tls) = both();
        let server = serve(server, |_| Ok(()));
        let proxy = tunnels("Basic dTpw");
        let builder = HttpClient::builder().tls(tls);
        let client = builder.proxy(through(&proxy, "u:p@")).build();
        for path in ["/a", "/b"] {
            let answer = client.get(url(server.local_addr(), path)).unwrap();
            assert_eq!(text(answer), path);
        }
        assert_eq!(proxy.connections(), 1);
        client.close_idle();
        server.tasklet().stop();
        proxy.tasklet().stop();
    });
}

#[test]
fn another_protocol_follows_over_tls() {
    in_tasklet(|| {
        let (server, tls) = both();
        let server = serve(server, |mut stream| {
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nhello")?;
            let mut said = [0; 3];
            stream.read_exact(&mut said)?;
            stream.write_all(&said)
        });
        let client = HttpClient::builder().tls(tls).build();
        let at = url(server.local_addr(), "/end").replace("https:", "wss:");
        let request = Request::get(at).header("upgrade", "echo");
        let (_, stream) = client
            .upgrade(request.body(Body::empty()).unwrap())
            .unwrap();
        let stream = stream.unwrap();
        assert!(stream.is_secure());
        let (mut reader, mut writer) = actor_io::Split::split(stream);
        writer.write_all(b"you").unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "helloyou");
        server.tasklet().stop();
    });
}

/// Ended with its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn files_come_from_openssl() {
    let authority = certificates::Authority::new("authority");
    let pem = authority.certify(&["localhost"]);
    let dir = std::env::temp_dir().join(format!("http-client-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("chain.pem"), &pem.chain).unwrap();
    std::fs::write(dir.join("key.pem"), &pem.key).unwrap();
    std::fs::write(dir.join("file.txt"), "from openssl\n").unwrap();
    let mut command = Command::new("openssl");
    command.args("s_server -WWW -accept 127.0.0.1:0 -cert chain.pem -key key.pem".split(' '));
    command
        .current_dir(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut program = Program(command.stderr(Stdio::null()).spawn().unwrap());
    let mut lines = io::BufReader::new(program.0.stdout.take().unwrap()).lines();
    // It says `ACCEPT 0.0.0.0:12345`.
    let port = loop {
        let line = lines.next().expect("it says where it listens").unwrap();
        if let Some(place) = line.strip_prefix("ACCEPT") {
            break place.rsplit_once(':').unwrap().1.trim().to_owned();
        }
    };
    in_tasklet(move || {
        let tls = ClientTls::builder(authority.roots())
            .alpn(["http/1.1"])
            .build();
        let client = HttpClient::builder().tls(tls.unwrap()).build();
        let answer = client.get(format!("https://localhost:{port}/file.txt"));
        // The end of its bodies is the end of the connection.
        assert_eq!(text(answer.unwrap()), "from openssl\n");
        assert_eq!(client.idle_connections(), 0);
    });
    drop(program);
    std::fs::remove_dir_all(dir).unwrap();
}
