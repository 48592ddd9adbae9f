//! TLS between two ends of this crate: what is agreed upon, and how streams behave.

#![cfg(feature = "tls")]

#[path = "../common/certificates.rs"]
mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod handshakes;
mod streams;
mod users;

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use actor_core::{Actor, Context, Handler, Placement, Tasklet};
use actor_io::{BufferedStream, Split, TcpListener, TcpStream, copy_bidirectional};
use actor_net::tls::{ClientTls, ServerTls, TlsError, TlsStream, rustls};
use actor_net::{ConnectError, Connection, Connector, Line, LineCodec, Server};
use certificates::{Authority, both};
use common::{PATIENCE, eventually, in_tasklet};

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    (near, far)
}

/// A client and a server, connected.
fn pair_of(server: &ServerTls, client: &ClientTls) -> (TlsStream, TlsStream) {
    let (near, far) = tcp();
    let server = server.clone();
    let accepting = Tasklet::spawn(move || server.accept(far));
    let client = client.connect("localhost", near).unwrap();
    (client, accepting.join().unwrap().unwrap())
}

fn pair() -> (TlsStream, TlsStream) {
    let (server, client) = both();
    pair_of(&server, &client)
}

fn echo(mut stream: TlsStream) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            count => stream.write_all(&bytes[..count])?,
        }
    }
}

#[test]
fn a_server_and_a_client() {
    in_tasklet(|| {
        let (server, client) = both();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server);
        let server = server.spawn(echo).unwrap();
        let port = server.local_addr().port();
        let connector = Connector::tls(client);
        for _ in 0..3 {
            let mut stream = connector.connect("localhost", port).unwrap();
            stream.write_all(b"hello").unwrap();
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"hello");
            stream.close_notify().unwrap();
            assert_eq!(stream.read(&mut bytes).unwrap(), 0, "the server has closed");
        }
        server.shutdown(PATIENCE).unwrap();
    });
}
