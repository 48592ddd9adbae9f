//! An interactive console, served by the same handler at the terminal and at a port.
//! Try it: `cargo run --release --example console`, and `nc localhost 7777` in another terminal.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode};

use concurrence::io::{self, BufferedReader, BufferedStream, Console, Read, Split, Write};
use concurrence::net::Server;
use concurrence::{Message, Tasklet, dispatch, match_message, quit};

/// How many consoles are open.
static OPEN: AtomicUsize = AtomicUsize::new(0);
const PROMPT: &str = "% ";
const HELP: &str = "consoles    how many there are
tree        the tasklets of this program
sleep <n>   for so many seconds; other consoles go on meanwhile
quit        leave
shutdown    end the program
";

/// What has been typed; nothing at the end of the input.
#[derive(Message)]
struct Typed(Option<String>);

/// Serves one console, whatever it is connected to.
fn serve<S>(stream: BufferedStream<S>) -> io::Result<()>
where
    S: Split,
    S::Reader: Send + 'static,
{
    let console = Tasklet::current();
    let (reader, mut writer) = stream.split();
    let _open = Open::new();
    // A tasklet waits for one thing at a time: this one for messages, which a stop can end as well.
    let _reader = Tasklet::builder()
        .name("console reader")
        .spawn(move || read_lines(reader, &console))?
        .kill_on_drop();
    write!(writer, "type 'help' to see what there is\n{PROMPT}")?;
    writer.flush()?;
    for message in Tasklet::receive() {
        let mut typed = None;
        match_message!(match message {
            Typed(line) => typed = line,
        });
        match typed.as_deref().map(str::trim) {
            None | Some("quit") => return Ok(()),
            Some(line) => obey(line, &mut writer)?,
        }
        writer.write_all(PROMPT.as_bytes())?;
        writer.flush()?;
    }
    writer.write_line("the program ends")?;
    writer.flush()
}

fn obey(line: &str, out: &mut impl Write) -> io::Result<()> {
    let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "" => Ok(()),
        "help" => out.write_all(HELP.as_bytes()),
        "consoles" => writeln!(out, "{}", OPEN.load(Ordering::Relaxed)),
        "tree" => write!(out, "{}", root().tree()),
        "sleep" => match seconds(argument) {
            Some(time) => {
                let begun = Instant::now();
                Tasklet::sleep(time);
                writeln!(out, "slept for {:.1?}", begun.elapsed())
            }
            None => writeln!(out, "how long?"),
        },
        "shutdown" => {
            quit(0);
            Ok(())
        }
        _ => writeln!(out, "unknown: {command}"),
    }
}

/// A time of at most a minute. What people type may be a number and no time: "nan".
fn seconds(text: &str) -> Option<Duration> {
    let number = text.parse::<f64>().ok()?;
    Duration::try_from_secs_f64(number.clamp(0.0, 60.0)).ok()
}

/// The tasklet that all others come from.
fn root() -> Tasklet {
    let mut root = Tasklet::current();
    while let Some(parent) = root.parent() {
        root = parent;
    }
    root
}

fn read_lines(mut reader: BufferedReader<impl Read>, console: &Tasklet) -> io::Result<()> {
    while let Some(line) = reader.read_line()? {
        console.call(Typed(Some(line)))?; // the next line when this one is done
    }
    Ok(console.send(Typed(None))?)
}

/// Counts a console, for as long as it is there.
struct Open;

impl Open {
    fn new() -> Open {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let addr = env::args().nth(1).unwrap_or("localhost:7777".into());
    dispatch(|| -> io::Result<()> {
        let remote = |stream| serve(BufferedStream::new(stream));
        let server = Server::bind(addr)?.spawn(remote)?;
        let served = serve(BufferedStream::new(Console::new()));
        server.tasklet().stop();
        served
    })
}
