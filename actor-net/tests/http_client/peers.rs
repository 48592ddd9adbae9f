//! Servers of others: Python's.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use actor_net::http::StatusCode;

use crate::common::in_tasklet;
use crate::{client, text};

/// Ended with its test.
pub(crate) struct Python(Child, pub(crate) String);

impl Python {
    /// Runs a program that says its port first.
    pub(crate) fn run(program: &str) -> Python {
        let mut command = Command::new("python3");
        command.args(["-u", "-c", program]).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        Python(child, format!("http://127.0.0.1:{}", line.trim()))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const FILES: &str = r#"
import http.server, os, tempfile
os.chdir(tempfile.mkdtemp())
open("large", "wb").write(b"0123456789" * 100000)
open("small.txt", "w").write("small\n")
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.VERSION"
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port)
server.serve_forever()
"#;

#[test]
fn files_come_from_pythons_server() {
    for (version, kept) in [("0", 0), ("1", 1)] {
        let python = Python::run(&FILES.replace("VERSION", version));
        let at = python.1.clone();
        in_tasklet(move || {
            let client = client();
            let large = client.get(format!("{at}/large")).unwrap();
            assert_eq!(large.body().size(), Some(1_000_000));
            let bytes = large.into_body().into_bytes().unwrap();
            assert_eq!(&bytes[..], "0123456789".repeat(100_000).as_bytes());
            assert_eq!(client.idle_connections(), kept);
            let small = client.get(format!("{at}/small.txt")).unwrap();
            assert_eq!(small.headers()["content-type"], "text/plain");
            assert_eq!(text(small), "small\n");
            let missing = client.get(format!("{at}/missing")).unwrap();
            assert_eq!(missing.status(), StatusCode::NOT_FOUND);
            assert!(text(missing).contains("File not found"));
            let head = client.head(format!("{at}/large")).unwrap();
            assert_eq!(head.headers()["content-length"], "1000000");
            assert_eq!(text(head), "");
            // It cannot take any, and says so.
            let post = client.post(format!("{at}/large"), "x").unwrap();
            assert_eq!(post.status(), StatusCode::NOT_IMPLEMENTED);
        });
    }
}
