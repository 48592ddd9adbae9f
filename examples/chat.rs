//! A chat server: a line that one client types goes to all the others.
//! Try it: `cargo run --release --example chat`, then `nc localhost 9010` in two terminals.

use std::{env, process::ExitCode, sync::Arc};

use concurrence::io::{self, BufferedReader, BufferedStream, BufferedWriter, Write};
use concurrence::net::{Server, TcpStream};
use concurrence::{Group, Mailbox, Message, Overflow, Tasklet, dispatch, match_message};

#[derive(Message)]
struct LineRead(Arc<str>);

#[derive(Message, Clone)]
struct WriteLine(Arc<str>);

#[derive(Message)]
struct Quit;

/// A client: its reader and its writer are tasklets of their own, and it stands between them and
/// all the other clients.
fn handle(stream: TcpStream, clients: Group<Tasklet>) -> io::Result<()> {
    let client = Tasklet::current();
    clients.join(&client);
    let (reader, writer) = BufferedStream::new(stream).split();
    let outbox = Mailbox::bounded(16 * 1024, Overflow::Fail); // full: the client has stopped reading
    let writer = Tasklet::with_mailbox(outbox).spawn(|| write_lines(writer))?;
    let _reader = Tasklet::builder()
        .spawn(|| read_lines(reader, client))?
        .kill_on_drop();
    writer.send(WriteLine("type 'quit' to exit..".into()))?;
    for message in Tasklet::receive() {
        match_message!(match message {
            LineRead(line) => {
                clients.broadcast_others(WriteLine(line));
            }
            Quit => return Ok(()),
            other => writer.forward(other)?, // a line from another client, as it came
        });
    }
    writer.send(WriteLine("server is shutting down".into()))?; // a stop has ended the loop
    Ok(())
}

fn read_lines(mut reader: BufferedReader, client: Tasklet) -> io::Result<()> {
    while let Ok(Some(line)) = reader.read_line()
        && line != "quit"
    {
        client.call(LineRead(line.into()))?; // not `send`: who floods us waits until we have passed it on
    }
    Ok(client.send(Quit)?)
}

fn write_lines(mut writer: BufferedWriter) -> io::Result<()> {
    for message in Tasklet::receive() {
        match_message!(match message {
            WriteLine(line) => writer.write_line(line)?,
        });
        if Tasklet::pending() == 0 {
            writer.flush()?; // what has queued up goes out in one write
        }
    }
    Ok(()) // the client has ended, and with it the last who could send
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let addr = env::args().nth(1).unwrap_or("localhost:9010".into());
    let clients = Group::new();
    dispatch(move || Server::serve(addr, move |stream| handle(stream, clients.clone())))
}
