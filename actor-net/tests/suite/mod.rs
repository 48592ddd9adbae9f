//! Connections that actors serve, through their lives; of each kind.

mod ends;
mod flow;
mod frames;
mod storm;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use actor_core::sync::Event;
use actor_core::{
    Actor, Addr, BoxError, Context, ExitReason, Handler, Mailbox, Overflow, Tasklet, join_all,
};
use actor_io::{BufferedStream, LineTooLong, TcpStream};
use actor_net::{
    Codec, Connection, ConnectionError, Frame, FrameTooLong, LengthCodec, Line, LineCodec, Server,
    ServerBuilder, ServerHandle, Truncated,
};

use crate::STACKLESS;
use crate::common::{PATIENCE, ask, client, eventually, in_tasklet, is_closed, keep_log, logged};

// Of the log, which all tests share, each looks for the name of its own server: ports come again.

const MOMENT: Duration = Duration::from_millis(50);

fn builder() -> ServerBuilder {
    Server::builder().stackless(STACKLESS)
}

/// Does what its client asks for, and tells the test how it has ended.
struct Obedient {
    connection: Connection<LineCodec>,
    ends: mpsc::Sender<End>,
}

#[derive(Debug)]
struct End {
    reason: ExitReason,
    error: Option<Arc<ConnectionError>>,
}

impl Actor for Obedient {
    fn stopped(&mut self, reason: &ExitReason) {
        self.connection.send("goodbye");
        let _ = self.ends.send(End {
            reason: reason.clone(),
            error: self.connection.error(),
        });
    }
}

impl Handler<Line> for Obedient {
    fn handle(&mut self, Line(line): Line, ctx: &mut Context<Self>) {
        match line.as_str() {
            "panic" => panic!("as the client wished"),
            "die" => {
                ctx.addr().kill();
                Tasklet::sleep(PATIENCE);
            }
            "fail" => ctx.fail("as the client wished"),
            "end" => ctx.stop(),
            "close" => {
                self.connection.send("closing");
                self.connection.close();
                self.connection.send("too late");
            }
            "sulk" => {
                self.connection.send("sulking");
                Tasklet::sleep(10 * PATIENCE);
            }
            _ => self.connection.send(line),
        }
    }
}

/// A server of obedient actors, and how they end.
fn obedient(builder: ServerBuilder) -> (ServerHandle, mpsc::Receiver<End>) {
    let (sender, ends) = mpsc::channel();
    let server = builder.bind("127.0.0.1:0").unwrap();
    let make = move |connection| Obedient {
        connection,
        ends: sender.clone(),
    };
    (server.spawn_actors(LineCodec::new(), make).unwrap(), ends)
}

/// The next end, which is to come.
fn next(ends: &mpsc::Receiver<End>) -> End {
    let mut end = None;
    eventually("the end of an actor", || {
        end = ends.try_recv().ok();
        end.is_some()
    });
    end.unwrap()
}

fn address_of(client: &mut BufferedStream) -> String {
    client.reader().get_ref().local_addr().unwrap().to_string()
}

/// All that is still to come.
fn rest(client: BufferedStream) -> String {
    let mut stream = client;
    let mut rest = String::new();
    stream.reader().read_to_string(&mut rest).unwrap();
    rest
}

fn decode_error<E: std::error::Error + Copy + 'static>(end: &End) -> E {
    match end.error.as_deref() {
        Some(ConnectionError::Decode(error)) => *error.downcast_ref().expect("of this type"),
        other => panic!("{other:?}"),
    }
}

/// Sends far more than anybody has asked for.
struct Flood {
    connection: Connection<LineCodec>,
    lines: usize,
    ends: bool,
}

impl Actor for Flood {
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let line: Arc<str> = "x".repeat(1023).into();
        for _ in 0..self.lines {
            self.connection.send(line.clone());
        }
        if self.ends {
            ctx.stop();
        }
        Ok(())
    }
}

impl Handler<Line> for Flood {
    fn handle(&mut self, _: Line, _: &mut Context<Self>) {}
}

fn flood(builder: ServerBuilder, lines: usize, ends: bool) -> ServerHandle {
    let server = builder.bind("127.0.0.1:0").unwrap();
    let make = move |connection| Flood {
        connection,
        lines,
        ends,
    };
    server.spawn_actors(LineCodec::new(), make).unwrap()
}
