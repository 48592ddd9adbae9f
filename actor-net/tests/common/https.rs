//! What the tests of HTTPS share.

use std::io::Read;

use actor_core::Tasklet;
use actor_io::{TcpListener, TcpStream};
use actor_net::ServerHandle;
use actor_net::http::{Body, HttpServer, IntoResponse, Request};
use actor_net::tls::{ClientTls, ServerTls, TlsStream};

use crate::http::{Client, Running};

pub(crate) fn serve<R: IntoResponse + 'static>(
    tls: &ServerTls,
    handler: impl Fn(Request<Body>) -> R + Send + Sync + 'static,
) -> Running {
    let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls.clone());
    Running(server.spawn(handler).unwrap())
}

pub(crate) fn connect(server: &ServerHandle, tls: &ClientTls) -> Client<TlsStream> {
    Client(tls.connect("localhost", Client::of(server).0).unwrap())
}

/// The first record that a client sends.
pub(crate) fn hello(tls: &ClientTls) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let tls = tls.clone();
    let client = Tasklet::spawn(move || tls.connect("localhost", stream).map(drop));
    let (mut stream, _) = listener.accept().unwrap();
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello).unwrap();
    let length = u16::from_be_bytes([hello[3], hello[4]]);
    hello.resize(5 + usize::from(length), 0);
    stream.read_exact(&mut hello[5..]).unwrap();
    drop(stream);
    assert!(client.join().unwrap().is_err());
    hello
}
