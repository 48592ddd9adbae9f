//! The client of HTTP, with our own server, with servers that say and do what they like, and with others' servers.

#![cfg(feature = "http")]

#[path = "../common/mod.rs"]
mod common;

mod answers;
#[cfg(feature = "compression")]
mod compressed;
mod faults;
mod peers;
mod pool;
mod proxies;
mod redirects;
mod requests;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websockets;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actor_core::{JoinHandle, Tasklet};
use actor_io::{TcpListener, TcpStream};
use actor_net::http::{Body, HttpClient, HttpServer, IntoResponse, Request, Response};
use common::{PATIENCE, Running};

impl Running {
    fn new<R: IntoResponse + 'static>(
        handler: impl Fn(Request<Body>) -> R + Send + Sync + 'static,
    ) -> Running {
        let server = HttpServer::bind("127.0.0.1:0").unwrap();
        Running(server.spawn(handler).unwrap())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.local_addr())
    }
}

/// A server that does what its test says: one function for each connection, in the order in which they come.
struct Script {
    addr: SocketAddr,
    /// How many connections there have been.
    seen: Arc<Mutex<usize>>,
    tasklet: Option<JoinHandle<()>>,
}

type Act = Box<dyn FnOnce(&mut Peer) + Send>;

fn act(f: impl FnOnce(&mut Peer) + Send + 'static) -> Act {
    Box::new(f)
}

/// Answers every request of a connection with these bytes, until the client goes.
fn always(answer: impl AsRef<[u8]> + Send + 'static) -> Act {
    act(move |peer| {
        while peer.try_request().is_some() {
            peer.say(answer.as_ref());
        }
    })
}

impl Script {
    fn new(acts: Vec<Act>) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(0));
        let count = Arc::clone(&seen);
        let tasklet = Tasklet::spawn(move || {
            for act in acts {
                let (stream, _) = listener.accept().unwrap();
                *count.lock().unwrap() += 1;
                act(&mut Peer::new(stream));
            }
        });
        Script {
            addr,
            seen,
            tasklet: Some(tasklet),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn seen(&self) -> usize {
        *self.seen.lock().unwrap()
    }

    /// All connections have come and gone.
    fn finish(mut self) {
        let tasklet = self.tasklet.take().expect("it is finished once");
        tasklet
            .join_timeout(PATIENCE)
            .expect("the script has ended");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if let Some(tasklet) = &self.tasklet {
            tasklet.kill();
        }
    }
}

/// The other end of a client's connection.
struct Peer {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Peer {
    fn new(stream: TcpStream) -> Peer {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Peer {
            stream,
            ahead: Vec::new(),
        }
    }

    /// Reads on; `false` at the end.
    fn more(&mut self) -> bool {
        let mut buf = [0; 4096];
        match self.stream.read(&mut buf) {
            Ok(0) => false,
            Ok(count) => {
                self.ahead.extend_from_slice(&buf[..count]);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// The head of the next request.
    fn head(&mut self) -> String {
        self.try_head().expect("a request comes")
    }

    fn try_head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.ahead.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = self.ahead.drain(..at + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// So many bytes behind it.
    fn bytes(&mut self, count: usize) -> String {
        while self.ahead.len() < count {
            assert!(self.more(), "the body ends in the middle");
        }
        String::from_utf8(self.ahead.drain(..count).collect()).unwrap()
    }

    /// The next request, its head and its body.
    fn request(&mut self) -> (String, String) {
        self.try_request().expect("a request comes")
    }

    fn try_request(&mut self) -> Option<(String, String)> {
        let head = self.try_head()?;
        let length = head.split_once("content-length: ");
        let length = length.map_or(0, |(_, rest)| {
            rest.split_once('\r').unwrap().0.parse().unwrap()
        });
        let body = self.bytes(length);
        Some((head, body))
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// As far as the client takes it.
    fn try_say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Nothing more comes, and the client has closed.
    fn expect_end(&mut self) {
        assert!(!self.more(), "{:?}", String::from_utf8_lossy(&self.ahead));
    }
}

fn text(answer: Response<Body>) -> String {
    let bytes = answer.into_body().into_bytes().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An answer with this body.
fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn client() -> HttpClient {
    HttpClient::new()
}
