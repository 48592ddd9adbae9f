//! The chat server of `chat.rs`, with an actor for each client: a line that one types goes to the others.
//! Try it: `cargo run --release --example chat_actors`, then `nc localhost 9010` in two terminals.

use std::{env, process::ExitCode, sync::Arc};

use concurrence::net::{Connection, Line, LineCodec, Server};
use concurrence::{Actor, Addr, BoxError, Context, ExitReason, Group, Handler, Message, dispatch};

struct Client {
    connection: Connection<LineCodec>,
    clients: Group<Addr<Client>>,
}

/// What another client has typed.
#[derive(Message, Clone)]
struct Said(Arc<str>);

impl Actor for Client {
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        self.clients.join(&ctx.addr());
        self.connection.send("type 'quit' to exit..");
        Ok(())
    }

    fn stopped(&mut self, reason: &ExitReason) {
        if let ExitReason::Shutdown = reason {
            self.connection.send("server is shutting down");
        }
    }
}

impl Handler<Line> for Client {
    fn handle(&mut self, Line(line): Line, ctx: &mut Context<Self>) {
        if line == "quit" {
            return ctx.stop();
        }
        self.clients.broadcast_others(Said(line.into()));
    }
}

impl Handler<Said> for Client {
    fn handle(&mut self, Said(line): Said, _: &mut Context<Self>) {
        self.connection.send(line);
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let addr = env::args().nth(1).unwrap_or("localhost:9010".into());
    let clients = Group::new();
    let client = move |connection| Client {
        connection,
        clients: clients.clone(),
    };
    dispatch(|| Server::serve_actors(addr, LineCodec::new(), client))
}
