//! The fan-out of a chat over TCP: a line of one client to all the others, from the write to the last
//! read. The clients are one plain thread.

mod support;

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use concurrence::io::{BufferedReader, BufferedStream, BufferedWriter};
use concurrence::net::{Server, TcpStream};
use concurrence::{Group, Mailbox, Message, Overflow, Tasklet, match_message};
use criterion::Throughput;

const CLIENTS: usize = 100;
/// With its end.
const LINE: usize = 64;

#[derive(Message)]
struct Said(Arc<str>);

#[derive(Message, Clone)]
struct Line(Arc<str>);

fn main() -> ExitCode {
    support::run(|criterion, runner| {
        let server = runner.run(|| {
            let clients = Group::new();
            let server = Server::bind("127.0.0.1:0").expect("a free port");
            let server = server.spawn(move |stream| serve(stream, &clients));
            server.expect("a server within the limits")
        });
        let mut clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut client = support::connect(server.local_addr());
                // Each is greeted when it is in.
                client.read_exact(&mut [0; 3]).expect("a greeting");
                client
            })
            .collect();
        let mut line = [b'x'; LINE];
        line[LINE - 1] = b'\n';
        let mut group = criterion.benchmark_group("chat");
        group.throughput(Throughput::Elements(CLIENTS as u64 - 1));
        group.bench_function("fan_out", |bencher| {
            bencher.iter(|| {
                let (talker, listeners) = clients.split_first_mut().expect("there are some");
                talker.write_all(&line).expect("the server reads");
                for listener in listeners {
                    let mut heard = [0; LINE];
                    listener.read_exact(&mut heard).expect("the line");
                    assert_eq!(heard, line);
                }
            });
        });
        group.finish();
        let stopped = runner.run(move || server.shutdown(Duration::from_secs(1)));
        stopped.expect("its connections have ended");
    })
}

/// A client, as `examples/chat.rs` has it: its reader and its writer are tasklets of their own.
fn serve(stream: TcpStream, clients: &Group<Tasklet>) -> io::Result<()> {
    let client = Tasklet::current();
    clients.join(&client);
    let (reader, writer) = BufferedStream::new(stream).split();
    let outbox = Mailbox::bounded(1_024, Overflow::Fail);
    let writer = Tasklet::with_mailbox(outbox).spawn(|| write_lines(writer))?;
    let _reader = Tasklet::builder()
        .spawn(|| read_lines(reader, client))?
        .kill_on_drop();
    let _ = writer.send(Line("in".into()));
    for message in Tasklet::receive() {
        match_message!(match message {
            Said(line) => {
                clients.broadcast_others(Line(line));
            }
            other => {
                let _ = writer.forward(other);
            }
        });
    }
    Ok(())
}

fn read_lines(mut reader: BufferedReader, client: Tasklet) -> io::Result<()> {
    while let Some(line) = reader.read_line()? {
        let _ = client.call(Said(line.into()));
    }
    client.stop();
    Ok(())
}

fn write_lines(mut writer: BufferedWriter) -> io::Result<()> {
    for message in Tasklet::receive() {
        match_message!(match message {
            Line(line) => writer.write_line(line)?,
        });
        if Tasklet::pending() == 0 {
            writer.flush()?;
        }
    }
    Ok(())
}
