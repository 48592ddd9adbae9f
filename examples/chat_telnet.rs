//! A chat for people at telnet clients: what one types, all get to see.
//! Try it: `cargo run --release --example chat_telnet`, then `telnet localhost 3000` in two terminals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, process::ExitCode};

use concurrence::io::{self, BufferedReader, BufferedStream, BufferedWriter, Write as _};
use concurrence::net::{Server, TcpStream, TelnetReader, TelnetStream, TelnetWriter};
use concurrence::{Mailbox, Message, Overflow, Tasklet, dispatch, match_message};

/// Who is connected, and whom to send what they are to see.
type Clients = Arc<Mutex<Table>>;
type Table = BTreeMap<SocketAddr, Tasklet>;

/// How many bytes one may say at once: it may have to be kept for each who reads slowly.
const MAX_LINE: usize = 1024;

/// The table. Nothing waits while it is locked, so a lock of `std` is right.
fn table(clients: &Clients) -> MutexGuard<'_, Table> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a client is to see, as it is.
#[derive(Message)]
struct Show(String);

/// What a client has typed.
#[derive(Message)]
struct Typed(String);

#[derive(Message)]
struct Gone;

/// A client: its reader and its writer are tasklets of their own.
fn handle(stream: TcpStream, clients: &Clients) -> io::Result<()> {
    let client = Tasklet::current();
    let peer = stream.peer_addr()?;
    let (reader, writer) = BufferedStream::new(TelnetStream::new(stream)).split();
    let outbox = Mailbox::bounded(16 * 1024, Overflow::Fail); // full: the client has stopped reading
    let writer = Tasklet::with_mailbox(outbox).spawn(|| write(writer))?;
    let reader = reader.with_max_line(MAX_LINE);
    let _reader = Tasklet::builder()
        .spawn(|| read_lines(reader, client))?
        .kill_on_drop();
    writer.send(Show("Connection OK\n\rType q! to quit.\n\r>".into()))?;
    table(clients).insert(peer, (*writer).clone());
    let _registered = Registered { clients, peer };
    for message in Tasklet::receive() {
        match_message!(match message {
            Typed(line) => match line.as_str() {
                "q!" => return Ok(()),
                "look" => writer.send(Show(look(clients)))?,
                "help" => writer.send(Show(HELP.into()))?,
                "" => writer.send(Show(UNKNOWN.into()))?,
                _ => say(clients, peer, &line),
            },
            Gone => return Ok(()),
        });
    }
    writer.send(Show("\rThe server is shutting down.\r\n".into()))?; // a stop has ended the loop
    Ok(())
}

const HELP: &str =
    "Commands:\r\n  look - Who is online\r\n  help - Display this.\r\n  q! - Quit\r\n>";
const UNKNOWN: &str = "Unknown command.  Type 'help' to see a list of available commands.\r\n>";

fn look(clients: &Clients) -> String {
    let clients = table(clients);
    let mut text = format!("There are {} users connected:\r\n", clients.len());
    let _ = write!(text, "Name\tHost\t\tPort\r\n{}\r\n", "-".repeat(40));
    for peer in clients.keys() {
        let _ = write!(text, "Unknown\t{}\t{}\r\n", peer.ip(), peer.port());
    }
    text + ">"
}

fn say(clients: &Clients, speaker: SocketAddr, line: &str) {
    for (peer, writer) in &*table(clients) {
        let text = if *peer == speaker {
            format!("\rYou said: {line}\r\n>")
        } else {
            let (ip, port) = (speaker.ip(), speaker.port());
            format!("\rClient ('{ip}', {port}) said: {line}\r\n>")
        };
        // One that does not read, or has just gone: its own tasklet sees to that.
        let _ = writer.try_send(Show(text));
    }
}

/// A client is in the table for as long as this is there, however its tasklet ends.
struct Registered<'a> {
    clients: &'a Clients,
    peer: SocketAddr,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        table(self.clients).remove(&self.peer);
    }
}

fn read_lines(
    mut reader: BufferedReader<TelnetReader<TcpStream>>,
    client: Tasklet,
) -> io::Result<()> {
    while let Ok(Some(line)) = reader.read_line() {
        client.call(Typed(line))?; // not `send`: who floods us waits until we have passed it on
    }
    Ok(client.send(Gone)?)
}

fn write(mut writer: BufferedWriter<TelnetWriter<TcpStream>>) -> io::Result<()> {
    for message in Tasklet::receive() {
        match_message!(match message {
            Show(text) => writer.write_all(text.as_bytes())?,
        });
        if Tasklet::pending() == 0 {
            writer.flush()?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let addr = env::args().nth(1).unwrap_or("localhost:3000".into());
    let clients = Clients::default();
    dispatch(move || Server::serve(addr, move |stream| handle(stream, &clients)))
}
