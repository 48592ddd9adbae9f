//! The example of a site, as curl meets it.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output};

use common::{PATIENCE, Program, example};
use serde_json::{Value, json};

/// The site, with some files.
struct Site {
    program: Program,
    files: PathBuf,
}

impl Site {
    fn new(name: &str) -> Site {
        let files = std::env::temp_dir().join(format!("web-{name}-{}", std::process::id()));
        fs::create_dir_all(files.join("public/sub")).unwrap();
        fs::write(files.join("secret"), "secret").unwrap();
        let root = files.join("public");
        fs::write(root.join("file.txt"), "0123456789").unwrap();
        fs::write(root.join("large.bin"), large()).unwrap();
        fs::write(root.join("sub/index.html"), "the sub").unwrap();
        fs::write(root.join(".hidden"), "hidden").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        let program = Program::start(example("web").arg("127.0.0.1:0").arg(root));
        Site { program, files }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.program.address())
    }

    fn curl(&self, args: &[&str], path: &str) -> Output {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "30"])
            .args(args)
            .arg(self.url(path))
            .output()
            .expect("`curl` is missing: apt-get install curl");
        assert!(output.status.success(), "{args:?} {path}: {output:?}");
        output
    }

    /// The status, and what came with it.
    fn ask(&self, args: &[&str], path: &str) -> (u16, String) {
        let status = ["-w", "\n%{http_code}"];
        let output = self.curl(&[args, &status].concat(), path);
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn json(&self, args: &[&str], path: &str) -> (u16, Value) {
        let (status, text) = self.ask(args, path);
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Ends it, and looks whether it ends well.
    fn end(self) {
        self.program.signal(libc::SIGTERM);
        self.has_ended();
    }

    /// Waits for the end that it has been asked for.
    fn has_ended(self) {
        let Site { program, files } = self;
        let ended = program.ended();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let _ = fs::remove_dir_all(files);
    }
}

fn large() -> Vec<u8> {
    (0..2_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn notes_are_kept() {
    let site = Site::new("notes");
    assert_eq!(site.json(&[], "/notes"), (200, json!([])));
    let posted = site.json(&["-d", r#"{"text":"one"}"#], "/notes");
    assert_eq!(posted, (201, json!({"id": 1})));
    let posted = site.json(&["--http1.0", "-d", r#"{"text":"two"}"#], "/notes");
    assert_eq!(posted, (201, json!({"id": 2})));
    let changed = site.ask(&["-X", "PUT", "-d", r#"{"text":"one!"}"#], "/notes/1");
    assert_eq!(changed, (204, String::new()));
    let one = (200, json!({"id": 1, "text": "one!"}));
    assert_eq!(site.json(&[], "/notes/1"), one);
    assert_eq!(site.json(&["--http1.0"], "/notes/1"), one);
    assert_eq!(site.ask(&["-X", "DELETE"], "/notes/2").0, 204);
    assert_eq!(site.ask(&["-X", "DELETE"], "/notes/2").0, 404);
    assert_eq!(site.json(&[], "/notes"), (200, json!([one.1])));

    let (status, head) = site.ask(&["-I"], "/notes/1");
    assert_eq!(status, 200);
    assert!(head.contains("content-length: 23\r\n"), "{head}");
    for (args, path, status) in [
        (&["-d", "{"][..], "/notes", 400),
        (&["-d", "[]"], "/notes", 400),
        (&["-d", r#"{"text":1}"#], "/notes", 400),
        (&["-X", "DELETE"], "/notes", 405),
        (&["-X", "OPTIONS"], "/notes", 405),
        (&["-X", "PATCH"], "/notes/1", 405),
        (&["-X", "TRACE"], "/", 405),
        (&["-d", "x"], "/events", 405),
        (&[], "/notes/0", 404),
        (&[], "/notes/x", 404),
        (&[], "/notes/1/2", 404),
        (&[], "/nothing", 404),
        (&["-X", "WONDER"], "/nothing", 404),
    ] {
        assert_eq!(site.ask(args, path).0, status, "{args:?} {path}");
    }
    assert!(site.ask(&[], "/").1.contains("new EventSource('events')"));
    site.end();
}

#[test]
fn uploads_stream() {
    let site = Site::new("uploads");
    let file = site.files.join("public/large.bin");
    let sum: u64 = large().into_iter().map(u64::from).sum();
    let expected = (200, json!({"bytes": 2_000_000, "sum": sum}));
    let (file, name) = (file.to_str().unwrap(), format!("@{}", file.display()));
    for args in [
        &["-T", file][..],
        &["-T", file, "-H", "Transfer-Encoding: chunked"],
        &["-T", file, "-H", "Expect: 100-continue"],
        &["-T", file, "--http1.0", "-H", "Expect:"],
        &["--data-binary", &name],
        &["--data-binary", &name, "-H", "Expect: 100-continue"],
    ] {
        assert_eq!(site.json(args, "/upload"), expected, "{args:?}");
    }
    // Told to go on, and told not to.
    let told = site.curl(&["-v", "-T", file, "-H", "Expect: 100-continue"], "/upload");
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("< HTTP/1.1 100 Continue"), "{told}");
    let refused = site.curl(
        &["-v", "-T", file, "-H", "Expect: 100-continue"],
        "/nothing",
    );
    let refused = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.contains("100 Continue"), "{refused}");
    assert!(refused.contains("< HTTP/1.1 404 Not Found"), "{refused}");
    site.end();
}

#[test]
fn files_are_served_in_whole_and_in_part() {
    let site = Site::new("files");
    assert_eq!(site.ask(&[], "/files/file.txt"), (200, "0123456789".into()));
    assert_eq!(
        site.ask(&["--http1.0"], "/files/file.txt"),
        (200, "0123456789".into())
    );
    assert_eq!(
        site.ask(&["-r", "2-4"], "/files/file.txt"),
        (206, "234".into())
    );
    assert_eq!(
        site.ask(&["-r", "-3"], "/files/file.txt"),
        (206, "789".into())
    );
    let (status, parts) = site.ask(&["-r", "0-0,-1", "-i"], "/files/large.bin");
    assert_eq!(status, 206);
    assert!(parts.contains("multipart/byteranges"), "{parts}");
    assert_eq!(site.ask(&["-r", "20-"], "/files/file.txt").0, 416);
    assert!(site.curl(&[], "/files/large.bin").stdout == large());
    let (status, head) = site.ask(&["-I"], "/files/large.bin");
    assert_eq!(status, 200);
    assert!(head.contains("content-length: 2000000\r\n"), "{head}");
    assert_eq!(site.ask(&["-d", "x"], "/files/file.txt").0, 405);

    // On from where it was left off.
    let copy = site.files.join("copy");
    fs::write(&copy, &large()[..777_777]).unwrap();
    site.curl(
        &["-C", "-", "-o", copy.to_str().unwrap()],
        "/files/large.bin",
    );
    assert!(fs::read(&copy).unwrap() == large());

    // Only if it is another one.
    let tags = site.files.join("tags");
    let tags = tags.to_str().unwrap();
    let first = site.ask(&["--etag-save", tags], "/files/file.txt");
    assert_eq!(first, (200, "0123456789".into()));
    let again = site.ask(&["--etag-compare", tags], "/files/file.txt");
    assert_eq!(again, (304, String::new()));
    let any = ["-H", "If-None-Match: \"x\", *"];
    assert_eq!(site.ask(&any, "/files/file.txt").0, 200);
    assert_eq!(
        site.ask(&["-z", "Mon, 01 Jan 2001 00:00:00 GMT"], "/files/file.txt")
            .0,
        200
    );
    assert_eq!(
        site.ask(&["-z", "Thu, 01 Jan 2037 00:00:00 GMT"], "/files/file.txt")
            .0,
        304
    );
    assert_eq!(
        site.ask(&["-z", "-Mon, 01 Jan 2001 00:00:00 GMT"], "/files/file.txt")
            .0,
        412
    );

    assert_eq!(site.ask(&["-L"], "/files/sub"), (200, "the sub".into()));
    assert_eq!(site.ask(&["-L"], "/files/sub?x").0, 200);
    let listing = site.ask(&["-L"], "/files").1;
    assert!(
        listing.contains("large.bin") && !listing.contains(".hidden"),
        "{listing}"
    );
    for path in [
        "/files/../../secret",
        "/files/../secret",
        "/files/..%2fsecret",
        "/files/%2e%2e/secret",
        "/files/%2e%2e%2fsecret",
        "/files/sub/../../secret",
        "/files/..%5csecret",
        "/files//etc/passwd",
        "/files/%2fetc/passwd",
        "/files/./file.txt",
        "/files/link",
        "/files/.hidden",
        "/files/%2ehidden",
        "/../../../../etc/passwd",
    ] {
        assert_eq!(site.ask(&["--path-as-is"], path).0, 404, "{path}");
    }
    for path in ["/files/%00", "/files/%zz", "/files/..\\secret"] {
        assert_eq!(site.ask(&["--path-as-is"], path).0, 400, "{path}");
    }
    site.end();
}

#[test]
fn changes_are_told_as_they_come() {
    let site = Site::new("events");
    let events = Program::start(Command::new("curl").args(["-sSN", &site.url("/events")]));
    // Nothing comes before there is something to tell.
    wait_for_listeners(&site, 1);
    site.ask(&["-d", r#"{"text":"one\ntwo"}"#], "/notes");
    let first = "event: posted\nid: 1\ndata: {\"id\":1,\"text\":\"one\\ntwo\"}\n\n";
    events.wait_for_output(first);
    site.ask(&["-X", "DELETE"], "/notes/1");
    let second = "event: deleted\nid: 2\ndata: {\"id\":1}\n\n";
    events.wait_for_output(&format!("{first}{second}"));

    // Who connects anew is told what it has missed.
    let mut late = Command::new("curl");
    late.args(["-sSN", "-H", "Last-Event-ID: 1", &site.url("/events")]);
    let late = Program::start(&mut late);
    late.wait_for_output(second);
    wait_for_listeners(&site, 2);

    // Who goes is missed at once, and not only when there is something to tell.
    drop(late);
    wait_for_listeners(&site, 1);

    // The end of the program is that of the events.
    site.program.signal(libc::SIGTERM);
    let listened = events.ended();
    assert_eq!(listened.code(), Some(0), "{}", listened.stderr);
    assert_eq!(listened.stdout, format!("{first}{second}"));
    site.has_ended();
}

fn wait_for_listeners(site: &Site, count: usize) {
    let begun = std::time::Instant::now();
    while site.json(&[], "/listeners").1 != json!(count) {
        assert!(
            begun.elapsed() < PATIENCE,
            "there are never {count} listeners"
        );
    }
}

#[test]
fn what_is_being_answered_is_answered_at_the_end() {
    let site = Site::new("end");
    let mut upload = TcpStream::connect(site.program.address()).unwrap();
    upload.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        upload,
        "POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    )
    .unwrap();
    // It reads: the handler is at work.
    let mut told = [0; 25];
    upload.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    site.program.signal(libc::SIGTERM);
    // New connections are refused from here on.
    let begun = std::time::Instant::now();
    while TcpStream::connect(site.program.address()).is_ok() {
        assert!(begun.elapsed() < PATIENCE);
    }
    upload.write_all(b"hello").unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.contains("\"bytes\":5"), "{answer}");
    site.has_ended();
}
