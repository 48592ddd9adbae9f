//! The example written for axum, as its users meet it: through curl, and through clients that stall or go away.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;

use common::{PATIENCE, Program, eventually, example};

const MEGABYTE: u64 = 1024 * 1024;

struct Service(Program);

impl Service {
    fn start() -> Service {
        Service(Program::start(example("web_axum").arg("127.0.0.1:0")))
    }

    /// What curl writes to its output with these options.
    fn curl(&self, path: &str, options: &[&str]) -> String {
        let url = format!("http://{}{path}", self.0.address());
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "60",
                "--noproxy",
                "*",
            ])
            .args(options)
            .arg(url)
            .output()
            .expect("curl is installed");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path} {options:?}: {errors}");
        String::from_utf8(output.stdout).expect("a text")
    }

    /// The status, and the rest of what curl writes.
    fn status(&self, path: &str, options: &[&str]) -> (String, String) {
        let options = [options, &["--write-out", "\n%{http_code}"]].concat();
        let written = self.curl(path, &options);
        let (body, status) = written.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    }

    fn client(&self) -> TcpStream {
        let stream = TcpStream::connect(self.0.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn expect_nobody_downloads(&self) {
        eventually("the downloads end", || {
            self.curl("/downloads", &[]) == "0\n"
        });
    }
}

/// Five megabytes that are easily told from others, in a file that goes with this.
struct Upload(PathBuf);

impl Upload {
    fn new(name: &str) -> Upload {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let bytes: Vec<_> = (0..5_000_000u32).map(|n| (n * 31 / 7) as u8).collect();
        fs::write(&path, bytes).unwrap();
        Upload(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn extractors_and_rejections_are_those_of_axum() {
    let service = Service::start();
    assert_eq!(service.curl("/", &[]), "Hello, World!");
    assert_eq!(
        service.curl("/hello/ann?times=2", &[]),
        "hello ann\nhello ann\n"
    );
    assert_eq!(
        service.curl("/login", &["--data", "name=ann&password=1234"]),
        "ann has 4 letters to hide\n"
    );
    assert_eq!(
        service.curl("/headers/x", &["--user-agent", "me"]),
        "/headers/{any} for me\n"
    );
    assert_eq!(service.curl("/length", &["--data", "hello"]), "5\n");
    assert!(service.curl("/whoami", &[]).starts_with("127.0.0.1:"));
    assert_eq!(service.curl("/slow", &[]), "at last\n");

    let json = ["--header", "content-type: application/json", "--data"];
    let add = |text: &str| service.status("/notes", &[&json[..], &[text]].concat());
    let (status, note) = add(r#"{"text": "buy milk"}"#);
    assert_eq!(
        (&status[..], &note[..]),
        ("201", r#"{"id":0,"text":"buy milk"}"#)
    );
    assert_eq!(
        service.curl("/notes", &[]),
        r#"[{"id":0,"text":"buy milk"}]"#
    );
    assert_eq!(
        service.curl("/notes/0", &[]),
        r#"{"id":0,"text":"buy milk"}"#
    );

    let (status, error) = service.status("/notes/9", &[]);
    assert_eq!(
        (&status[..], &error[..]),
        ("404", r#"{"error":"no such note"}"#)
    );
    for (text, status) in [(r#"{"text": "#, "400"), (r#"{"note": 1}"#, "422")] {
        let refused = add(text);
        assert_eq!(refused.0, status, "{refused:?}");
        assert!(
            refused.1.starts_with(r#"{"error":"Failed to "#),
            "{refused:?}"
        );
    }
    assert_eq!(service.status("/notes", &["--data", "{}"]).0, "415");
    assert_eq!(service.status("/notes/x", &[]).0, "400");
    assert_eq!(service.status("/hello/ann?times=x", &[]).0, "400");
    assert_eq!(service.status("/nowhere", &[]).0, "404");
    let refused = service.curl("/notes/0", &["--request", "DELETE", "--include"]);
    assert!(
        refused.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"),
        "{refused}"
    );
    assert!(refused.contains("allow: GET,HEAD\r\n"), "{refused}");
    assert!(
        service
            .curl("/", &["--head"])
            .contains("content-length: 13\r\n")
    );
    let panicked = service.curl("/panics", &["--include"]);
    assert!(panicked.starts_with("HTTP/1.1 500 ") && panicked.contains("connection: close"));
    assert_eq!(service.curl("/", &[]), "Hello, World!");
}

#[test]
fn middleware_is_that_of_tower() {
    let service = Service::start();
    let numbers: String = (0..50_000).map(|n| format!("{n}\n")).collect();
    let compressed = service.curl("/numbers/50000", &["--compressed", "--include"]);
    let (head, body) = compressed.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(body == numbers);
    assert!(service.curl("/numbers/50000", &[]) == numbers);
    let allowed = service.curl("/", &["--include", "--header", "origin: http://a"]);
    assert!(
        allowed.contains("access-control-allow-origin: *\r\n"),
        "{allowed}"
    );
    let asked = service.curl(
        "/notes",
        &[
            "--include",
            "--request",
            "OPTIONS",
            "--header",
            "origin: http://a",
            "--header",
            "access-control-request-method: POST",
        ],
    );
    assert!(
        asked.contains("access-control-allow-methods: *\r\n"),
        "{asked}"
    );
}

#[test]
fn uploads_come_by_length_and_in_chunks_and_go_back() {
    let service = Service::start();
    let upload = Upload::new("web-axum-upload");
    let back = format!("{}-back", upload.path());
    for header in ["x: y", "transfer-encoding: chunked", "expect:"] {
        let options = ["--header", header, "--upload-file", upload.path()];
        assert_eq!(service.curl("/upload", &options), "5000000 bytes\n");
        service.curl("/echo", &[&options[..], &["--output", &back]].concat());
        assert!(
            fs::read(&back).unwrap() == fs::read(&upload.0).unwrap(),
            "{header}"
        );
        // As one piece.
        let options = [
            "--header",
            header,
            "--request",
            "POST",
            "--upload-file",
            upload.path(),
        ];
        assert_eq!(service.curl("/length", &options), "5000000\n");
    }
    fs::remove_file(back).unwrap();
}

#[test]
fn downloads_take_no_memory_whoever_reads_them() {
    let service = Service::start();
    let size = ["--output", "/dev/null", "--write-out", "%{size_download}"];
    assert_eq!(service.curl("/download/1", &size), MEGABYTE.to_string());
    let before = service.0.resident();
    assert_eq!(
        service.curl("/download/100", &size),
        (100 * MEGABYTE).to_string()
    );
    let grown = service.0.resident().saturating_sub(before);
    assert!(grown < 8 * MEGABYTE, "{grown} bytes more");

    // One that reads a little and stops holds its own answer up, and nobody else.
    let mut slow = service.client();
    slow.write_all(b"GET /download/1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    slow.read_exact(&mut vec![0; 100_000]).unwrap();
    for _ in 0..20 {
        assert_eq!(service.curl("/", &[]), "Hello, World!");
    }
    assert_eq!(service.curl("/downloads", &[]), "1\n");
    let grown = service.0.resident().saturating_sub(before);
    assert!(grown < 16 * MEGABYTE, "{grown} bytes more");
    // And it goes on where it was.
    slow.read_exact(&mut vec![0; 20_000_000]).unwrap();
    drop(slow);
    service.expect_nobody_downloads();
}

#[test]
fn clients_that_go_away_harm_nobody() {
    let service = Service::start();
    for path in ["/upload", "/echo", "/length"] {
        for _ in 0..20 {
            let mut client = service.client();
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
            client.write_all(head.as_bytes()).unwrap();
            client.write_all(&[b'x'; 100_000]).unwrap();
        }
    }
    for _ in 0..20 {
        let mut client = service.client();
        client
            .write_all(b"GET /download/100 HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        client.read_exact(&mut [0; 1000]).unwrap();
    }
    service.expect_nobody_downloads();
    eventually("the connections have gone", || service.0.descriptors() < 30);
    assert_eq!(service.curl("/", &[]), "Hello, World!");
}

/// Reads an answer with a length.
fn answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split_once("content-length: ").expect(&head).1;
    let mut body = vec![0; length.split_once('\r').unwrap().0.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn sixty_four_are_served_at_once() {
    const CLIENTS: usize = 64;
    let service = Service::start();
    let together = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (mut client, together) = (service.client(), together.clone());
            thread::spawn(move || {
                together.wait();
                let slow = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
                client.write_all(slow.as_bytes()).unwrap();
                assert_eq!(answer(&mut client), "at last\n");
                together.wait();
                for _ in 0..20 {
                    let note = format!(r#"{{"text":"from {n}"}}"#);
                    let add = format!(
                        "POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                         Content-Length: {}\r\n\r\n{note}",
                        note.len()
                    );
                    client.write_all(add.as_bytes()).unwrap();
                    let added = answer(&mut client);
                    assert!(
                        added.ends_with(&format!(r#""text":"from {n}"}}"#)),
                        "{added}"
                    );
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let all = service.curl("/notes", &[]);
    assert_eq!(all.matches("from ").count(), 20 * CLIENTS);
    service.0.signal(libc::SIGTERM);
    assert_eq!(service.0.ended().code(), Some(0));
}
