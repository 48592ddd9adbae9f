//! Connections that end in every possible way leave no descriptor behind. In a program of its own,
//! which can count them.

mod common;

use std::io::{self, Write};
use std::net::Shutdown;
use std::time::Duration;

use actor_core::{Actor, Context, Tasklet};
use actor_io::{BufferedStream, TcpStream};
use actor_net::{Connection, Connector, Line, LineCodec, Server, ServerHandle};
use common::{PATIENCE, ask, client, eventually, in_tasklet, is_closed, open_descriptors};

/// Ends as its client asks for.
fn handle(stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = BufferedStream::new(stream).split();
    // Has a half of the stream in any case.
    let wish = Tasklet::spawn(move || {
        let wish = reader.read_line();
        Tasklet::later(Duration::from_millis(1), move || drop(reader));
        wish
    });
    let wish = wish.join().unwrap()?.unwrap_or_default();
    writer.write_line(&wish)?;
    match wish.as_str() {
        "panic" => panic!("as the client wished"),
        "fail" => Err(io::ErrorKind::Other.into()),
        "die" => {
            Tasklet::current().kill();
            writer.flush()
        }
        "wait" => {
            writer.flush()?;
            Tasklet::sleep(10 * PATIENCE);
            Ok(())
        }
        "time out" => {
            writer.flush()?;
            writer
                .get_ref()
                .set_read_timeout(Some(Duration::from_millis(1)))?;
            io::Read::read(writer.get_mut(), &mut [0; 1]).map(drop)
        }
        _ => Ok(()),
    }
}

/// The same, as an actor.
struct Handler(Connection<LineCodec>);

impl Actor for Handler {}

impl actor_core::Handler<Line> for Handler {
    fn handle(&mut self, Line(wish): Line, ctx: &mut Context<Self>) {
        self.0.send(wish.clone());
        match wish.as_str() {
            "panic" => panic!("as the client wished"),
            "fail" => ctx.fail("as the client wished"),
            "die" => {
                ctx.addr().kill();
                Tasklet::yield_now();
            }
            "wait" => Tasklet::sleep(10 * PATIENCE),
            "time out" => {
                self.0.send("closed by another");
                let connection = self.0.clone();
                Tasklet::later(Duration::from_millis(1), move || connection.close());
            }
            _ => ctx.stop(),
        }
    }
}

fn round() {
    let bind = || Server::builder().max_connections(20).bind("127.0.0.1:0");
    round_with(bind().unwrap().spawn(handle).unwrap());
    let server = bind().unwrap();
    round_with(server.spawn_actors(LineCodec::new(), Handler).unwrap());
    let stackless = Server::builder().stackless(true).max_connections(20);
    let server = stackless.bind("127.0.0.1:0").unwrap();
    round_with(server.spawn_actors(LineCodec::new(), Handler).unwrap());
    #[cfg(feature = "http")]
    round_of_http();
}

/// The same, of HTTP.
#[cfg(feature = "http")]
fn round_of_http() {
    use actor_net::http::{Body, HttpServer, Request};
    use std::io::Read;

    let server = Server::builder().max_connections(20);
    let server = HttpServer::new(server.bind("127.0.0.1:0").unwrap())
        .spawn(|request: Request<Body>| match request.uri().path() {
            "/panic" => panic!("as the client wished"),
            "/wait" => {
                Tasklet::sleep(10 * PATIENCE);
                Ok(Body::empty())
            }
            "/keep" => {
                let body = request.into_body();
                Tasklet::later(Duration::from_millis(1), move || drop(body));
                Ok(Body::empty())
            }
            _ => request.into_body().into_bytes().map(Body::from),
        })
        .unwrap();
    let addr = server.local_addr();
    let ask = |request: &str| {
        let mut stream = Connector::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{request}\r\nHost: a\r\n\r\n").unwrap();
        stream
    };
    // Gone in the middle of a body, and of an answer. Accepted before those that are answered.
    drop(ask("POST / HTTP/1.1\r\nContent-Length: 5"));
    drop(ask("GET / HTTP/1.1"));
    let close = "HTTP/1.1\r\nConnection: close";
    for request in [
        format!("GET / {close}"),
        format!("GET /panic {close}"),
        format!("POST /keep {close}\r\nContent-Length: 5"),
        "GET / HTTP/3.0".to_owned(),
    ] {
        let answer = ask(&request).read_to_end(&mut Vec::new());
        assert!(answer.unwrap() > 0);
    }
    eventually("the end of all", || server.connections() == 0);
    let waiting: Vec<_> = (0..20).map(|_| ask("GET /wait HTTP/1.1")).collect();
    eventually("all are there", || server.connections() == 20);
    assert!(is_closed(&mut client(addr)));
    server.shutdown(Duration::from_millis(1)).unwrap();
    for mut client in waiting {
        let _ = client.read_to_end(&mut Vec::new());
    }
}

fn round_with(server: ServerHandle) {
    let addr = server.local_addr();
    for wish in ["return", "panic", "fail", "die", "time out"] {
        let mut client = client(addr);
        // The answer may be lost with the rest.
        let _ = ask(&mut client, wish);
        while !is_closed(&mut client) {}
    }
    for _ in 0..5 {
        let mut silent = BufferedStream::new(Connector::connect(addr).unwrap());
        silent.writer().get_ref().shutdown(Shutdown::Write).unwrap();
        while !is_closed(&mut silent) {}
    }
    eventually("the end of all", || server.connections() == 0);
    let mut waiting: Vec<_> = (0..20).map(|_| client(addr)).collect();
    for client in &mut waiting {
        assert_eq!(ask(client, "wait").unwrap().as_deref(), Some("wait"));
    }
    for _ in 0..5 {
        assert!(is_closed(&mut client(addr)));
    }
    server.shutdown(Duration::from_millis(1)).unwrap();
    for client in &mut waiting {
        assert!(is_closed(client));
    }
    Connector::connect(addr).unwrap_err();
}

#[test]
fn descriptors_come_back() {
    in_tasklet(|| {
        // What the runtime opens for itself is open after this.
        round();
        eventually("quiet", || Tasklet::current().children().is_empty());
        let before = open_descriptors();
        for _ in 0..10 {
            round();
        }
        eventually("the end of all", || open_descriptors() == before);
    });
}
