//! An HTTP server and the clients that people have: curl, netcat, Python's, the tools that load servers.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use actor_core::block_on_thread;
use actor_net::ServerHandle;
use actor_net::http::{Body, IntoResponse, Method, Request, Response, StatusCode};
use common::in_tasklet;
use http::{Running, curl, echo, get, spawn};

/// Runs a client to its end, with this as its input.
fn output(mut command: Command, input: Vec<u8>) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let run = move || -> io::Result<Output> {
        let pipes = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
        let [stdin, stdout, stderr] = pipes;
        let mut child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn()?;
        let stdin = child.stdin.take();
        let writer = thread::spawn(move || {
            // A client may have had enough.
            let _ = stdin.map(|mut stdin| stdin.write_all(&input));
        });
        let output = child.wait_with_output()?;
        writer
            .join()
            .map_err(|_| io::Error::other("the writer has panicked"))?;
        Ok(output)
    };
    block_on_thread(run).unwrap_or_else(|error| panic!("`{name}` has to be installed: {error}"))
}

/// What a client that succeeds writes to its output and to its errors.
fn written(command: Command, input: impl Into<Vec<u8>>) -> (String, String) {
    let name = format!("{command:?}");
    let output = output(command, input.into());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(
        output.status.success(),
        "{name}: {:?}: {stdout}{stderr}",
        output.status
    );
    (stdout, stderr)
}

fn command<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Command {
    // What hangs, fails.
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", "30", program])
        .args(arguments);
    command
}

fn url(server: &ServerHandle, path: &str) -> String {
    format!("http://{}{path}", server.local_addr())
}

/// A file, taken away at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Scratch {
        let name = format!("http-clients-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        Scratch(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

// curl -----------------------------------------------------------------------------------------

/// As `curl`, of a client that is given more than options.
fn curl_command(server: &ServerHandle, path: &str, options: &[&str]) -> Command {
    let mut curl = command("curl", ["--silent", "--show-error", "--noproxy", "*"]);
    curl.args(options).arg(url(server, path));
    curl
}

#[test]
fn curl_has_every_method_answered() {
    in_tasklet(|| {
        let server = spawn(echo);
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            assert_eq!(
                curl(&server, "/x?y=z", &["-X", method]),
                format!("{method} /x?y=z")
            );
        }
        let head = curl(&server, "/", &["--head"]);
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 6\r\n"),
            "{head}"
        );
        assert_eq!(curl(&server, "/old", &["--http1.0"]), "GET /old");
        let target = ["--request-target", "*", "-X", "OPTIONS"];
        assert_eq!(curl(&server, "", &target), "OPTIONS *");
        let server = spawn(|request: Request<Body>| match *request.method() {
            Method::GET => (StatusCode::CREATED, "made").into_response(),
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        });
        let code = |method| {
            let options = ["-X", method, "-o", "/dev/null", "-w", "%{http_code}"];
            curl(&server, "/", &options)
        };
        assert_eq!((code("GET"), code("POST")), ("201".into(), "405".into()));
    });
}

#[test]
fn curl_sends_bodies() {
    in_tasklet(|| {
        let server = spawn(echo);
        assert_eq!(curl(&server, "/", &["--data", "a=b"]), "a=b");
        let chunked = ["--data", "a=b", "-H", "Transfer-Encoding: chunked"];
        assert_eq!(curl(&server, "/", &chunked), "a=b");
        for framing in ["Content-Length: 3", "Transfer-Encoding: chunked"] {
            let expecting = "Expect: 100-continue";
            let headers = ["-H", framing, "-H", expecting, "--data", "a=b", "--include"];
            let all = curl(&server, "/", &headers);
            assert!(
                all.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
                "{all}"
            );
        }

        let large = "0123456789abcdef".repeat(200_000);
        let file = Scratch::new("upload", &large);
        let file = file.path().to_str().unwrap();
        let data = format!("@{file}");
        let chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", &data];
        for options in [&chunked[2..], &chunked[..], &["--upload-file", file]] {
            assert!(curl(&server, "/", options) == large, "{options:?}");
        }
        // Of a length that nobody knows, as it comes.
        let upload = curl_command(&server, "/", &["--upload-file", "-"]);
        assert!(written(upload, large.as_str()).0 == large);
        // As it goes through: what comes back is chunked as well.
        let server = spawn(|request: Request<Body>| Response::new(request.into_body()));
        let upload = curl_command(&server, "/", &["--upload-file", "-"]);
        assert!(written(upload, large.as_str()).0 == large);
    });
}

#[test]
fn curl_uses_its_connection_again() {
    in_tasklet(|| {
        let server = spawn(echo);
        let one = url(&server, "/1");
        let twice = |options: &[&str]| {
            let shown = ["--verbose", "--write-out", "[%{num_connects}]", &one];
            let curl = curl_command(&server, "/2", &[&shown[..], options].concat());
            let (bodies, log) = written(curl, "");
            (bodies, log.contains("Re-using existing connection"))
        };
        let kept = ("GET /1[1]GET /2[0]".to_owned(), true);
        let closed = ("GET /1[1]GET /2[1]".to_owned(), false);
        assert_eq!(twice(&[]), kept);
        assert_eq!(twice(&["-H", "Connection: close"]), closed);
        assert_eq!(twice(&["--http1.0"]), closed);
        assert_eq!(twice(&["--http1.0", "-H", "Connection: keep-alive"]), kept);
        // What it would rather speak does not matter.
        assert_eq!(twice(&["--http2"]), kept);
    });
}

#[test]
fn curl_is_told_that_there_is_no_http_2() {
    in_tasklet(|| {
        let server = spawn(echo);
        let options = ["--http2-prior-knowledge"];
        let failed = output(curl_command(&server, "/", &options), Vec::new());
        assert!(!failed.status.success(), "{failed:?}");
        // The connection that has been refused has taken nothing with it.
        assert_eq!(curl(&server, "/", &[]), "GET /");
    });
}

#[test]
fn many_of_curls_transfers_go_on_at_a_time() {
    in_tasklet(|| {
        let server = spawn(|request: Request<Body>| format!("GET {}\n", request.uri()));
        let options = ["--parallel", "--parallel-max", "20"];
        let all = curl(&server, "/[1-200]", &options);
        let mut lines: Vec<_> = all.lines().map(str::to_owned).collect();
        let mut expected: Vec<_> = (1..=200).map(|i| format!("GET /{i}")).collect();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected);
    });
}

// netcat ---------------------------------------------------------------------------------------

#[test]
fn netcat_has_a_pipeline_answered_in_order() {
    in_tasklet(|| {
        let server = spawn(echo);
        let addr = server.local_addr();
        let requests: String = (0..100).map(|i| get(&format!("/{i}"))).collect();
        // It shuts down its side when it has sent all, and waits for the end of the other.
        let arguments = [
            "-N".to_owned(),
            addr.ip().to_string(),
            addr.port().to_string(),
        ];
        let (answers, _) = written(command("nc", arguments), requests);
        let bodies: Vec<_> = answers
            .split("HTTP/1.1 200 OK\r\n")
            .skip(1)
            .map(|answer| answer.split_once("\r\n\r\n").unwrap().1.to_owned())
            .collect();
        let expected: Vec<_> = (0..100).map(|i| format!("GET /{i}")).collect();
        assert_eq!(bodies, expected);
    });
}

// Python ---------------------------------------------------------------------------------------

#[test]
fn pythons_client_is_served() {
    in_tasklet(|| {
        let server = spawn(|request: Request<Body>| match request.uri().path() {
            "/stream" => {
                Body::from_reader(io::Read::take(io::repeat(b'x'), 3_000_000)).into_response()
            }
            "/back" => Response::new(request.into_body()),
            "/nothing" => StatusCode::NO_CONTENT.into_response(),
            "/refused" => (StatusCode::FORBIDDEN, "no").into_response(),
            _ => echo(request).into_response(),
        });
        let addr = server.local_addr();
        let arguments = [
            "-".to_owned(),
            addr.ip().to_string(),
            addr.port().to_string(),
        ];
        let (said, _) = written(command("python3", arguments), PYTHON);
        assert_eq!(said, "all is well\n");
    });
}

const PYTHON: &str = r#"
import http.client
import sys

connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=20)
connection.connect()
first = connection.sock


def ask(method, path, body=None, headers={}, **more):
    connection.request(method, path, body, headers, **more)
    response = connection.getresponse()
    body = response.read()
    assert response.version == 11, response.version
    assert connection.sock is first, "the connection has been closed"
    return response, body


# One after the other over one connection.
for number in range(50):
    response, body = ask("GET", f"/{number}")
    assert response.status == 200 and body == b"GET /%d" % number, body
    assert response.getheader("date"), response.getheaders()

response, body = ask("HEAD", "/head")
assert response.getheader("content-length") == "10" and body == b"", response.getheaders()
response, body = ask("GET", "/nothing")
assert response.status == 204 and body == b"", response.status
assert response.getheader("content-length") is None, response.getheaders()

# Large ones in both directions.
large = bytes(i % 251 for i in range(1 << 20)) * 5
response, body = ask("POST", "/", large)
assert body == large
assert response.getheader("content-length") == str(len(large))
response, body = ask("PUT", "/back", large)
assert body == large

# Chunks, whose number and sizes are the client's.
pieces = [b"a", b"bc" * 1000, b"", large[:70_000], b"end"]
for path in ["/", "/back"]:
    response, body = ask("POST", path, iter(pieces), encode_chunked=True)
    assert body == b"".join(pieces), len(body)
assert response.getheader("transfer-encoding") == "chunked", response.getheaders()
response, body = ask("GET", "/stream")
assert response.chunked and body == b"x" * 3_000_000, len(body)

# Headers as they are allowed to be.
response, body = ask("GET", "/headers", headers={"X-Many": "x" * 8000, "x-empty": ""})
assert body == b"GET /headers", body

# What nobody reads, and what is there already: in one piece, as `request` would send the body behind the head.
first.sendall(b"POST /refused HTTP/1.1\r\nhost: here\r\ncontent-length: 8\r\n\r\na little")
response = http.client.HTTPResponse(first, method="POST")
response.begin()
body = response.read()
assert response.status == 403 and body == b"no", body
response, body = ask("GET", "/after")
assert body == b"GET /after", body

# A header too long ends the connection, with an answer.
connection.request("GET", "/", headers={"x": "x" * 9000})
response = connection.getresponse()
assert response.status == 431 and response.will_close, response.status
response.read()
connection.close()

# HTTP/1.0.
old = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=20)
old._http_vsn, old._http_vsn_str = 10, "HTTP/1.0"
old.request("GET", "/stream")
response = old.getresponse()
assert response.will_close and not response.chunked
assert response.read() == b"x" * 3_000_000
print("all is well")
"#;

// Load -----------------------------------------------------------------------------------------

/// The number behind the label at the beginning of a line.
fn number(report: &str, label: &str) -> u64 {
    let line = report.lines().find_map(|line| line.strip_prefix(label));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    let number = word.and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no {label} {report}"))
}

fn ab(server: &Running, options: &[&str]) -> String {
    let mut ab = command("ab", ["-q", "-t", "1", "-n", "1000000", "-c", "16"]);
    ab.args(options).arg(url(server, "/page"));
    let report = written(ab, "").0;
    assert!(number(&report, "Complete requests:") > 0, "{report}");
    assert_eq!(number(&report, "Failed requests:"), 0, "{report}");
    for errors in ["Non-2xx responses:", "Write errors:"] {
        assert!(!report.contains(errors), "{report}");
    }
    report
}

#[test]
fn ab_has_no_errors() {
    in_tasklet(|| {
        let server = spawn(echo);
        let report = ab(&server, &[]);
        assert_eq!(number(&report, "Document Length:"), 9, "{report}");
        let report = ab(&server, &["-k"]);
        assert_eq!(
            number(&report, "Keep-Alive requests:"),
            number(&report, "Complete requests:"),
            "{report}"
        );
        let body = Scratch::new("ab", "x".repeat(10_000));
        let body = body.path().to_str().unwrap();
        let report = ab(&server, &["-k", "-p", body, "-T", "text/plain"]);
        assert_eq!(number(&report, "Document Length:"), 10_000, "{report}");
    });
}

/// What `wrk` is told to say in the end, and what with the pipeline is to be sent.
const SUMMARY: &str = r#"
function done(summary, latency, requests)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format("answered %.0f\nfailed %.0f\nbytes %.0f\n", summary.requests, failed, summary.bytes))
end
"#;

const PIPELINE: &str = r#"
local batch
function init(arguments)
    batch = string.rep(wrk.format(), 16)
end
function request()
    return batch
end
"#;

#[test]
fn wrk_has_no_errors() {
    in_tasklet(|| {
        let server = spawn(echo);
        for pipeline in ["", PIPELINE] {
            let script = Scratch::new("wrk.lua", format!("{pipeline}{SUMMARY}"));
            let options = ["-t", "1", "-c", "64", "-d", "1s", "-s"];
            let mut wrk = command("wrk", options);
            wrk.arg(script.path()).arg(url(&server, "/page"));
            let report = written(wrk, "").0;
            assert_eq!(number(&report, "failed"), 0, "{report}");
            let answered = number(&report, "answered");
            // Of those that were under way at the end some bytes may have come.
            let size = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n\
                 content-length: 9\r\ndate: {}\r\n\r\nGET /page",
                "Sun, 06 Nov 1994 08:49:37 GMT"
            );
            let whole = answered * size.len() as u64;
            let under_way = 64 * 16 * size.len() as u64;
            let bytes = number(&report, "bytes");
            assert!(answered > 0, "{report}");
            assert!((whole..=whole + under_way).contains(&bytes), "{report}");
        }
    });
}
