//! Connections that end in every possible way leave no descriptor behind. In a program of its own,
//! which can count them.

mod common;

use std::io::{self, Write};
use std::net::Shutdown;
use std::time::Duration;

use actor_core::{Actor, Context, Tasklet};
use actor_io::{BufferedStream, TcpStream};
use actor_net::{Connection, Connector, Line, LineCodec, Server, ServerHandle};
use common::{PATIENCE, ask, client, eventually, in_tasklet, is_closed};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

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
