//! Servers and proxies as the programs of others meet them: `openssl`, `curl`, `nc`.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use common::clients::{client, is_echoed, nc, stops_orderly, words};
use common::{Ended, Program, child, example};
use concurrence::dispatch;
use concurrence::io::{self, BufRead, BufReader, Write};
use concurrence::net::{Server, TcpStream};

/// A certificate for `localhost`, which is its own root, and its key, in files.
struct Certificate {
    chain: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn new(name: &str) -> Certificate {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let path = |end: &str| {
            let name = format!("concurrence-{name}-{}.{end}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let made_files = Certificate {
            chain: path("pem"),
            key: path("key"),
        };
        fs::write(&made_files.chain, made.cert.pem()).unwrap();
        fs::write(&made_files.key, made.signing_key.serialize_pem()).unwrap();
        made_files
    }

    fn chain(&self) -> &str {
        self.chain.to_str().unwrap()
    }

    fn key(&self) -> &str {
        self.key.to_str().unwrap()
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.chain);
        let _ = fs::remove_file(&self.key);
    }
}

fn s_client<'a>(addr: &'a str, more: impl IntoIterator<Item = &'a str>) -> Program {
    let args = ["s_client", "-quiet", "-no_ign_eof", "-connect", addr];
    client("openssl", "openssl", args.into_iter().chain(more))
}

fn verifying(certificate: &Certificate) -> [&str; 5] {
    [
        "-CAfile",
        certificate.chain(),
        "-verify_return_error",
        "-verify_hostname",
        "localhost",
    ]
}

/// What `curl` gets, as HTTP/1.0.
fn curl<'a>(url: &'a str, more: impl IntoIterator<Item = &'a str>) -> Ended {
    let args = ["--http1.0", "--silent", "--show-error", "--include", url];
    client("curl", "curl", args.into_iter().chain(more)).ended()
}

#[test]
fn echo_speaks_tls_with_openssl() {
    let certificate = Certificate::new("echo-tls");
    let args = [
        "--tls",
        "127.0.0.1:0",
        certificate.chain(),
        certificate.key(),
    ];
    let echo = Program::start(example("echo").args(args));
    let addr = echo.address().to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let more = verifying(&certificate).into_iter().chain([version]);
        let mut openssl = s_client(&addr, more);
        for line in ["one", "two", "three"] {
            is_echoed(&mut openssl, line);
        }
        let ended = openssl.ended();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout, "one\ntwo\nthree\n");
    }
    // Who does not trust the certificate is the one to go.
    let strict = ["-verify_return_error", "-no-CAfile", "-no-CApath"];
    assert_eq!(s_client(&addr, strict).ended().code(), Some(1));
    // Nor does one who speaks no TLS disturb the others.
    let (host, port) = words(echo.address());
    let mut plain = nc(["-N", &*host, &*port]);
    writeln!(plain.stdin(), "GET / HTTP/1.0\r\n\r").unwrap();
    assert_eq!(plain.ended().code(), Some(0));

    let mut still_there = s_client(&addr, verifying(&certificate));
    is_echoed(&mut still_there, "four");
    stops_orderly(echo);
    let ended = still_there.ended();
    assert!(!ended.stderr.contains("unexpected eof"), "{}", ended.stderr);
}

#[test]
fn echo_makes_a_certificate_of_its_own() {
    let echo = Program::start(example("echo").args(["--tls", "127.0.0.1:0"]));
    let addr = echo.address().to_string();
    let mut openssl = s_client(&addr, []);
    is_echoed(&mut openssl, "hello");
    assert_eq!(openssl.ended().code(), Some(0));
    stops_orderly(echo);

    let missing = ["--tls", "127.0.0.1:0", "/nowhere.pem", "/nowhere.key"];
    let ended = Program::start(example("echo").args(missing)).ended();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("/nowhere.pem"), "{}", ended.stderr);
}

/// Answers one request, as HTTP/1.0 does, and ends the connection.
fn respond(stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut length = 0;
    for line in &mut lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (status, body) = match (method, path) {
        ("GET", "/") => ("200 OK", b"hello\n".to_vec()),
        ("GET", "/large") => ("200 OK", b"0123456789".repeat(500_000)),
        ("POST", "/length") => ("200 OK", format!("{length}\n").into_bytes()),
        _ => ("404 Not Found", Vec::new()),
    };
    let mut out = &stream;
    write!(
        out,
        "HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    out.write_all(&body)
}

fn responds(origin: &str, more: &[&str]) {
    let get = |path: &str| curl(&format!("{origin}{path}"), more.iter().copied());
    let ended = get("/");
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(
        ended.stdout,
        "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
    );
    let ended = get("/large");
    let (head, body) = ended.stdout.split_once("\r\n\r\n").unwrap();
    assert!(head.ends_with("Content-Length: 5000000"), "{head}");
    assert!(body.as_bytes().chunks(10).all(|part| part == b"0123456789"));
    assert_eq!(body.len(), 5_000_000);
    assert!(
        get("/no/such")
            .stdout
            .starts_with("HTTP/1.0 404 Not Found\r\n")
    );
}

fn proxy<'a>(args: impl IntoIterator<Item = &'a str>) -> Program {
    Program::start(example("proxy").args(args))
}

/// By the name that the certificate has.
fn at_localhost(addr: SocketAddr) -> String {
    format!("localhost:{}", addr.port())
}

#[test]
fn curl_reads_a_toy_responder_itself_and_through_proxies() {
    let responder = Program::start(&mut child(|| {
        tracing_subscriber::fmt().with_writer(io::stderr).init();
        dispatch(|| Server::serve("127.0.0.1:0", respond))
    }));
    let certificate = Certificate::new("proxies");
    let (chain, key) = (certificate.chain(), certificate.key());
    let addr = responder.address().to_string();
    responds(&format!("http://{addr}"), &[]);

    let plain = proxy(["127.0.0.1:0", &*addr]);
    responds(&format!("http://{}", plain.address()), &[]);

    let tls_in = proxy(["--tls-in", chain, key, "127.0.0.1:0", &*addr]);
    let trusting = ["--cacert", chain, "--ipv4"];
    let tls_addr = at_localhost(tls_in.address());
    responds(&format!("https://{tls_addr}"), &trusting);

    let tls_out = proxy(["--tls-out", chain, "127.0.0.1:0", &*tls_addr]);
    responds(&format!("http://{}", tls_out.address()), &[]);

    let both = [
        "--tls-in",
        chain,
        key,
        "--tls-out",
        chain,
        "127.0.0.1:0",
        &*tls_addr,
    ];
    let both = proxy(both);
    responds(
        &format!("https://{}", at_localhost(both.address())),
        &trusting,
    );

    // A body that goes up.
    let large = std::env::temp_dir().join(format!("concurrence-body-{}", std::process::id()));
    fs::write(&large, vec![b'x'; 100_000]).unwrap();
    let data = format!("@{}", large.display());
    let url = format!("https://{}/length", at_localhost(both.address()));
    let post = ["--data-binary", &*data, "--header", "Expect:"];
    let ended = curl(&url, post.into_iter().chain(trusting));
    fs::remove_file(large).unwrap();
    assert!(ended.stdout.ends_with("\r\n\r\n100000\n"), "{ended:?}");

    // The name is checked on the way out.
    let wrong = proxy([
        "--tls-out",
        chain,
        "127.0.0.1:0",
        &*tls_in.address().to_string(),
    ]);
    let ended = curl(&format!("http://{}/", wrong.address()), []);
    assert_eq!(ended.code(), Some(52), "an empty reply: {}", ended.stderr);
    wrong.wait_for("connection failed");

    for proxy in [plain, tls_in, tls_out, both, wrong] {
        stops_orderly(proxy);
    }
    stops_orderly(responder);
}

#[test]
fn proxy_cuts_off_what_is_open_when_it_ends_and_tls_tells() {
    let certificate = Certificate::new("cut");
    let echo = Program::start(example("echo").arg("127.0.0.1:0"));
    let upstream = echo.address().to_string();
    let args = [
        "--tls-in",
        certificate.chain(),
        certificate.key(),
        "127.0.0.1:0",
        &*upstream,
    ];
    let proxy = proxy(args);
    let addr = proxy.address().to_string();
    let mut openssl = s_client(&addr, verifying(&certificate));
    is_echoed(&mut openssl, "hello");
    stops_orderly(proxy);
    // No `close_notify`: a client that counts on one is not misled.
    let ended = openssl.ended();
    assert!(ended.stderr.contains("unexpected eof"), "{}", ended.stderr);
    stops_orderly(echo);
}

#[test]
fn proxy_refuses_what_it_does_not_understand() {
    for args in [
        &[][..],
        &["a"],
        &["a", "b", "c"],
        &["--frob", "a", "b"],
        &["--tls-in", "a"],
    ] {
        let ended = proxy(args.iter().copied()).ended();
        assert_eq!(ended.code(), Some(1));
        assert!(ended.stderr.starts_with("usage"), "{}", ended.stderr);
    }
    let ended = proxy(["--tls-out", "/nowhere.pem", "a:1", "b:2"]).ended();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("/nowhere.pem"), "{}", ended.stderr);
}
