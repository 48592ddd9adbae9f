//! A chat of 100 clients, where each line goes to the 99 others: deliveries a second, and the
//! server's CPU time for each. Fair because both servers are written as their users would: a reader
//! and a writer task a client, an outbox of 1,024 lines whose overflow drops the client, writers that
//! put what has queued up into one write, lines shared and not copied, buffers of 8 KiB, TCP_NODELAY.
//! Ours has one task and one hop more, the client's own, as in `examples/chat.rs`. The peer is tried
//! with both of its usual fan-outs, a map of outboxes and a broadcast channel.

use crate::harness::{self, Better, Child, Figure, Group, Metric, Result, Setup, Side};
use crate::load::Clients;
use crate::runtimes;
use concurrence::io::{self, BufferedReader, BufferedStream, BufferedWriter, Write};
use concurrence::net::Server;
use concurrence::{Mailbox, Message, Overflow, Tasklet, match_message};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{broadcast, mpsc};

const SETUPS: &[Setup] = &[Setup::OneCore, Setup::OneWorker, Setup::TwoWorkers];
const ONE_WORKER: &[Setup] = &[Setup::OneCore, Setup::OneWorker];

pub(crate) const GROUP: Group = Group {
    name: "chat",
    about: "100 clients, lines of 64 bytes, each to the 99 others",
    metrics: &[
        Metric {
            name: "deliveries",
            unit: "/s",
            better: Better::Higher,
        },
        Metric {
            name: "cpu",
            unit: "ns",
            better: Better::Lower,
        },
    ],
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: |setup| runtimes::concurrence(setup.workers(), serve_ours),
    },
    peers: &[
        Side {
            name: "tokio_mpsc",
            setups: SETUPS,
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), serve_mpsc()),
        },
        Side {
            name: "tokio_mpsc_current_thread",
            setups: ONE_WORKER,
            run: |_| runtimes::tokio_current_thread(serve_mpsc()),
        },
        Side {
            name: "tokio_broadcast",
            setups: SETUPS,
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), serve_broadcast()),
        },
        Side {
            name: "tokio_broadcast_current_thread",
            setups: ONE_WORKER,
            run: |_| runtimes::tokio_current_thread(serve_broadcast()),
        },
    ],
    apart: false,
    needs: &[],
    drive: |child, _| harness::serve(child, load),
};

const GREETING: &str = "type 'quit' to exit..";

/// Lines that a client may be behind.
const OUTBOX: usize = 1_024;

/// A line, shared by all who get it.
type Line = Arc<str>;

// ---- ours ----

#[derive(Message)]
struct LineRead(Line);

#[derive(Message, Clone)]
struct WriteLine(Line);

#[derive(Message)]
struct Quit;

fn serve_ours() {
    let server = Server::bind("127.0.0.1:0").expect("a free port");
    harness::listening(server.local_addr());
    let clients = concurrence::Group::new();
    server
        .run(move |stream| chat_ours(stream, clients.clone()))
        .expect("it is killed in the end");
}

fn chat_ours(
    stream: concurrence::net::TcpStream,
    clients: concurrence::Group<Tasklet>,
) -> io::Result<()> {
    let client = Tasklet::current();
    clients.join(&client);
    let (reader, writer) = BufferedStream::new(stream).split();
    let outbox = Mailbox::bounded(OUTBOX, Overflow::Fail);
    let writer = Tasklet::with_mailbox(outbox).spawn(|| write_ours(writer))?;
    let _reader = Tasklet::spawn(|| read_ours(reader, client)).kill_on_drop();
    writer.send(WriteLine(GREETING.into()))?;
    for message in Tasklet::receive() {
        match_message!(match message {
            LineRead(line) => {
                clients.broadcast_others(WriteLine(line));
            }
            Quit => return Ok(()),
            other => writer.forward(other)?, // a line from another client, as it came
        });
    }
    Ok(())
}

fn read_ours(mut reader: BufferedReader, client: Tasklet) -> io::Result<()> {
    while let Ok(Some(line)) = reader.read_line()
        && line != "quit"
    {
        client.call(LineRead(line.into()))?;
    }
    Ok(client.send(Quit)?)
}

fn write_ours(mut writer: BufferedWriter) -> io::Result<()> {
    for message in Tasklet::receive() {
        match_message!(match message {
            WriteLine(line) => writer.write_line(line)?,
        });
        if Tasklet::pending() == 0 {
            writer.flush()?;
        }
    }
    Ok(())
}

// ---- tokio, an outbox a client ----

type Outboxes = Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<Line>>>>;

async fn serve_mpsc() {
    let listener = listen().await;
    let outboxes = Outboxes::default();
    loop {
        let (stream, peer) = accept(&listener).await;
        tokio::spawn(chat_mpsc(stream, peer, outboxes.clone()));
    }
}

async fn chat_mpsc(stream: TcpStream, peer: SocketAddr, outboxes: Outboxes) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let (outbox, lines) = mpsc::channel(OUTBOX);
    outbox.try_send(GREETING.into()).expect("it is empty");
    outboxes.lock().expect("no panic").insert(peer, outbox);
    tokio::spawn(write_mpsc(writer, lines));
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    while read_line(&mut reader, &mut line).await? {
        let line = Line::from(line.as_str());
        outboxes.lock().expect("no panic").retain(|client, outbox| {
            // Who has stopped reading is dropped.
            *client == peer || outbox.try_send(line.clone()).is_ok()
        });
    }
    outboxes.lock().expect("no panic").remove(&peer);
    Ok(())
}

async fn write_mpsc(writer: OwnedWriteHalf, mut lines: mpsc::Receiver<Line>) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    while let Some(line) = lines.recv().await {
        write_line(&mut writer, &line).await?;
        while let Ok(line) = lines.try_recv() {
            write_line(&mut writer, &line).await?;
        }
        writer.flush().await?;
    }
    Ok(())
}

// ---- tokio, one broadcast channel ----

type Said = (SocketAddr, Line);

async fn serve_broadcast() {
    let listener = listen().await;
    let (said, _) = broadcast::channel(OUTBOX);
    loop {
        let (stream, peer) = accept(&listener).await;
        tokio::spawn(chat_broadcast(stream, peer, said.clone()));
    }
}

async fn chat_broadcast(
    stream: TcpStream,
    peer: SocketAddr,
    said: broadcast::Sender<Said>,
) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    tokio::spawn(write_broadcast(writer, peer, said.subscribe()));
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    while read_line(&mut reader, &mut line).await? {
        said.send((peer, Line::from(line.as_str())))
            .expect("this client listens");
    }
    Ok(())
}

async fn write_broadcast(
    writer: OwnedWriteHalf,
    client: SocketAddr,
    mut said: broadcast::Receiver<Said>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    write_line(&mut writer, GREETING).await?;
    writer.flush().await?;
    // An error: the client is too far behind, and is dropped.
    while let Ok((from, line)) = said.recv().await {
        if from != client {
            write_line(&mut writer, &line).await?;
        }
        loop {
            match said.try_recv() {
                Ok((from, _)) if from == client => {}
                Ok((_, line)) => write_line(&mut writer, &line).await?,
                Err(TryRecvError::Empty) => break,
                Err(_) => return Ok(()),
            }
        }
        writer.flush().await?;
    }
    Ok(())
}

// ---- tokio, what both need ----

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    harness::listening(listener.local_addr().expect("it is bound"));
    listener
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let (stream, peer) = listener.accept().await.expect("a client");
    stream.set_nodelay(true).expect("a TCP socket");
    (stream, peer)
}

/// Whether there was another line, without its end, that was not the request to leave.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>, line: &mut String) -> io::Result<bool> {
    line.clear();
    if reader.read_line(line).await? == 0 {
        return Ok(false);
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line != "quit")
}

async fn write_line(writer: &mut BufWriter<OwnedWriteHalf>, line: &str) -> io::Result<()> {
    writer.write_all(line.as_bytes()).await?;
    writer.write_all(b"\n").await
}

// ---- the clients ----

const CLIENTS: usize = 100;
/// The length of a line with its end.
const LINE: usize = 64;
/// How many rounds may be under way: no client is ever further behind than an outbox is long.
const WINDOW: usize = 4;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASURED: Duration = Duration::from_millis(1_000);

fn load(address: SocketAddr, server: &Child) -> Result<Vec<Figure>> {
    let mut chat = Chat::join(address)?;
    for _ in 0..WINDOW {
        chat.say_round()?;
    }
    chat.go_on(Instant::now() + WARM_UP)?;

    let (start, cpu, before) = (Instant::now(), server.cpu_time()?, chat.deliveries);
    chat.go_on(start + MEASURED)?;
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu);
    let delivered = (chat.deliveries - before) as f64;

    chat.finish()?;
    Ok(vec![
        Figure::new("deliveries", delivered / elapsed.as_secs_f64()),
        Figure::new("cpu", cpu.as_nanos() as f64 / delivered),
    ])
}

/// The chat goes in rounds, in each of which every client says a line.
struct Chat {
    clients: Clients,
    received: Vec<Received>,
    deliveries: u64,
    /// The rounds said so far, and how many of them all clients have received.
    said: usize,
    complete: usize,
    /// How many clients have received each of the rounds under way, by number modulo `WINDOW`.
    arrived: [usize; WINDOW],
    ready: Vec<usize>,
    buffer: Vec<u8>,
}

/// What one client has received, and what it should have in the end.
#[derive(Clone, Default)]
struct Received {
    lines: usize,
    /// The sum of the marks of its lines: shows one that was lost, doubled or mixed up.
    marks: u64,
    expected: u64,
    /// The beginning of a line whose rest has not come.
    partial: Vec<u8>,
}

impl Chat {
    fn join(address: SocketAddr) -> Result<Chat> {
        let mut chat = Chat {
            clients: Clients::connect(address, CLIENTS)?,
            received: vec![Received::default(); CLIENTS],
            deliveries: 0,
            said: 0,
            complete: 0,
            arrived: [0; WINDOW],
            ready: Vec::new(),
            buffer: vec![0; 64 * 1_024],
        };
        let mut greeted = 0;
        while greeted < CLIENTS {
            chat.clients.wait(&mut chat.ready)?;
            for &client in &chat.ready {
                let count = chat.clients.read(client, &mut chat.buffer)?;
                let partial = &mut chat.received[client].partial;
                partial.extend_from_slice(&chat.buffer[..count]);
                if partial.ends_with(b"\n") {
                    if partial.trim_ascii_end() != GREETING.as_bytes() {
                        return Err(format!("client {client} was not greeted").into());
                    }
                    partial.clear();
                    greeted += 1;
                }
            }
        }
        Ok(chat)
    }

    fn say_round(&mut self) -> Result<()> {
        let lines: Vec<_> = (0..CLIENTS).map(|client| line(client, self.said)).collect();
        let sum = lines.iter().map(mark).fold(0, u64::wrapping_add);
        for (client, line) in lines.iter().enumerate() {
            self.clients.write(client, line)?;
            let expected = &mut self.received[client].expected;
            *expected = expected.wrapping_add(sum).wrapping_sub(mark(line));
        }
        self.said += 1;
        Ok(())
    }

    /// Starts a new round for each that has come to all, for a while.
    fn go_on(&mut self, until: Instant) -> Result<()> {
        while Instant::now() < until {
            self.receive()?;
            while self.said - self.complete < WINDOW {
                self.say_round()?;
            }
        }
        Ok(())
    }

    /// Receives what is under way, and checks that everybody has what the others said.
    fn finish(mut self) -> Result<()> {
        while self.complete < self.said {
            self.receive()?;
        }
        for (client, received) in self.received.iter().enumerate() {
            let lines = self.said * (CLIENTS - 1);
            if received.lines != lines || received.marks != received.expected {
                let got = received.lines;
                return Err(
                    format!("client {client} has {got} lines, not the {lines} said").into(),
                );
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        self.clients.wait(&mut self.ready)?;
        for &client in &self.ready {
            let received = &mut self.received[client];
            let kept = received.partial.len();
            self.buffer[..kept].copy_from_slice(&received.partial);
            let end = kept + self.clients.read(client, &mut self.buffer[kept..])?;

            let (lines, rest) = self.buffer[..end].as_chunks::<LINE>();
            for line in lines {
                if line[LINE - 1] != b'\n' {
                    return Err(format!("client {client} has read a broken line").into());
                }
                received.marks = received.marks.wrapping_add(mark(line));
            }
            received.partial.clear();
            received.partial.extend_from_slice(rest);

            let rounds = received.lines / (CLIENTS - 1);
            received.lines += lines.len();
            self.deliveries += lines.len() as u64;
            for round in rounds..received.lines / (CLIENTS - 1) {
                if round >= self.said {
                    return Err(format!("client {client} has more lines than were said").into());
                }
                self.arrived[round % WINDOW] += 1;
            }
        }
        while self.arrived[self.complete % WINDOW] == CLIENTS {
            self.arrived[self.complete % WINDOW] = 0;
            self.complete += 1;
        }
        Ok(())
    }
}

/// What a client says in a round: begins with a mark that no other line has.
fn line(client: usize, round: usize) -> [u8; LINE] {
    let text = format!("{client:02x}{round:06x} {:.<54}\n", "");
    text.as_bytes().try_into().expect("the length of a line")
}

fn mark(line: &[u8; LINE]) -> u64 {
    u64::from_le_bytes(*line.first_chunk().expect("a line is longer than its mark"))
}
