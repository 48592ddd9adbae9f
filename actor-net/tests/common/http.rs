//! What the tests of HTTP share.

#![allow(dead_code, unreachable_pub)]

use std::io::{self, Read, Write};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use actor_core::{Tasklet, block_on_thread};
use actor_io::TcpStream;
use actor_net::ServerHandle;
use actor_net::http::{Body, HttpServer, IntoResponse, Limits, Request, Response};

pub use crate::common::Running;
use crate::common::{PATIENCE, eventually};

pub struct Client<S = TcpStream>(pub S);

impl Client {
    pub fn of(server: &ServerHandle) -> Client {
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    }
}

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    pub fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// A head, with its empty line.
    pub fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte());
        }
        String::from_utf8(head).unwrap()
    }

    /// An answer with a length: its head and its body.
    pub fn answer(&mut self) -> (String, String) {
        let head = self.head();
        let length = head.split_once("content-length: ").expect(&head).1;
        let mut body = vec![0; length.split_once('\r').unwrap().0.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// The body of an answer that is well.
    pub fn body(&mut self) -> String {
        let (head, body) = self.answer();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        body
    }

    /// All that comes, up to the orderly end.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

pub fn post(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n{body}")
}

/// What curl writes to its output, given the address of the server behind these options, or another.
pub fn curl(server: &ServerHandle, path: &str, options: &[&str]) -> String {
    let url = match path.contains("://") {
        true => path.to_owned(),
        false => format!("http://{}{path}", server.local_addr()),
    };
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--noproxy",
        "*",
    ]);
    command.args(options).arg(url);
    let output = block_on_thread(move || command.output()).expect("curl is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A server on a port that is free.
pub fn spawn<R: IntoResponse + 'static>(
    handler: impl Fn(Request<Body>) -> R + Send + Sync + 'static,
) -> Running {
    Running(
        HttpServer::bind("127.0.0.1:0")
            .unwrap()
            .spawn(handler)
            .unwrap(),
    )
}

/// A server that [echoes](echo), with other limits.
pub fn limited(change: impl FnOnce(&mut Limits)) -> Running {
    let server = HttpServer::bind("127.0.0.1:0").unwrap();
    let limits = Limits::default().with(change);
    Running(server.limits(limits).spawn(echo).unwrap())
}

/// Answers with the body, or else with method and path.
pub fn echo(request: Request<Body>) -> io::Result<Response<Body>> {
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body();
    Ok(match body.size() {
        Some(0) => line.into_response(),
        _ => Response::new(body.into_bytes()?.into()),
    })
}

/// What handlers tell the test.
pub fn told<T: Send + 'static>() -> (impl Fn(T) + Send + Sync + 'static, Receiver<T>) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let tell = move |what| {
        let _ = sender.lock().unwrap().send(what);
    };
    (tell, receiver)
}

/// The next that they tell.
pub fn next<T>(receiver: &Receiver<T>) -> T {
    let mut next = None;
    eventually("it is told", || {
        next = receiver.try_recv().ok();
        next.is_some()
    });
    next.unwrap()
}

/// Has a server that answers with the body of the request send back one that is larger than all buffers, while it is
/// still on its way there.
pub fn assert_mirrors(client: &mut Client) {
    let size = 4 * 1024 * 1024;
    let mut writer = client.0.try_clone().unwrap();
    let writer = Tasklet::spawn(move || {
        let head = post(&format!("Content-Length: {size}"), "");
        writer.write_all(head.as_bytes())?;
        (0..size / 4096).try_for_each(|i| writer.write_all(&[(i % 251) as u8; 4096]))
    });
    let length = format!("content-length: {size}\r\n");
    assert!(client.head().contains(&length));
    let mut piece = [0; 4096];
    for i in 0..size / 4096 {
        client.0.read_exact(&mut piece).unwrap();
        assert_eq!(piece, [(i % 251) as u8; 4096]);
    }
    writer.join().unwrap().unwrap();
}

/// A server whose handler says "enough" and reads no body does not wait for what has not come of one.
pub fn assert_does_not_wait_for_the_rest(client: &mut Client) {
    client.send(post("Content-Length: 5", "hell"));
    let rest = client.rest();
    assert!(
        rest.contains("connection: close") && rest.ends_with("enough"),
        "{rest}"
    );
}
