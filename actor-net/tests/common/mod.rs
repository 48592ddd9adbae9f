//! What the tests share.

#![allow(dead_code, unreachable_pub)]

#[path = "../../../actor-io/tests/common/program.rs"]
mod program;

use std::io::{self, Write};
use std::ops::Deref;
use std::sync::{Mutex, Once};

use actor_io::{BufferedStream, TcpStream, ToAddrs};
use actor_net::ServerHandle;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::fmt::MakeWriter;

pub use program::*;

/// A client that loses patience.
pub fn client(addr: impl ToAddrs) -> BufferedStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    BufferedStream::new(stream)
}

pub fn ask(client: &mut BufferedStream, line: &str) -> io::Result<Option<String>> {
    client.writer().write_line(line)?;
    client.flush()?;
    client.reader().read_line()
}

/// Whether the server has closed this connection, in whichever way.
pub fn is_closed(client: &mut BufferedStream) -> bool {
    match client.reader().read_line() {
        Ok(line) => line.is_none(),
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

/// A line for a line.
pub fn echo(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufferedStream::new(stream);
    while let Some(line) = stream.reader().read_line()? {
        stream.writer().write_line(line)?;
        stream.flush()?;
    }
    Ok(())
}

/// A server, stopped at the end of its test.
pub struct Running(pub ServerHandle);

impl Deref for Running {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.tasklet().stop();
    }
}

/// How many descriptors this program has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Lets this program have so many descriptors, or as many as it may at all; that is how many they are.
pub fn limit_descriptors(to: Option<usize>) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let current = to.map(|count| count as u64).or(limit.maximum);
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    count(current)
}

/// How many clients a server in this program can have: two descriptors each, of which there may be few.
pub fn many_clients() -> usize {
    let files = count(getrlimit(Resource::Nofile).current);
    let clients = (files.saturating_sub(500) / 2).min(2000);
    assert!(clients > 100, "a limit of {files} files");
    clients
}

fn count(limit: Option<u64>) -> usize {
    usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        Log
    }
}

/// Keeps from now on what is logged, from the level of debugging on.
pub fn keep_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(Log)
            .init();
    });
}

/// The lines logged so far that contain all of `parts`.
pub fn logged(parts: &[&str]) -> Vec<String> {
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let lines = log
        .lines()
        .filter(|line| parts.iter().all(|part| line.contains(part)));
    lines.map(str::to_owned).collect()
}
