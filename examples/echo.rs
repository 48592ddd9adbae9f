//! An echo server: a tasklet a connection, and plain blocking reads and writes inside it.
//!
//! - `echo [ADDRESS]` over TCP. Try it: `cargo run --example echo`, then `nc localhost 9007` and type.
//! - `echo --udp [ADDRESS]` sends back each datagram: `nc -u localhost 9007`.
//! - `echo --unix PATH` serves a Unix socket: `nc -U PATH`.

use std::process::ExitCode;
use std::{env, fs};

use concurrence::io::{self, Write};
use concurrence::net::{Family, Server, Stream, UdpSocket, UnixListener};
use concurrence::{Tasklet, dispatch};

const DEFAULT: &str = "localhost:9007";

/// Blocks this connection's tasklet alone: a thousand others are served meanwhile. Ends when the peer
/// says no more, or the program is to end.
fn echo<F: Family>(mut stream: Stream<F>) -> io::Result<()> {
    let mut buf = vec![0; 16 * 1024];
    while let Some(len) = stream.read_or_stop(&mut buf)? {
        if len == 0 {
            break;
        }
        stream.write_all(&buf[..len])?;
    }
    Ok(())
}

fn serve_udp(addr: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(addr)?;
    eprintln!("listening on {}", socket.local_addr()?);
    let mut buf = vec![0; 65536];
    while let Some(datagram) = socket.receive_or_stop(&mut buf)? {
        // One that cannot be sent back concerns nobody else.
        if let Err(error) = socket.send_to(&buf[..datagram.len], datagram.from) {
            eprintln!("{}: {error}", datagram.from);
        }
    }
    Ok(())
}

fn serve_unix(path: &str) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    eprintln!("listening on {path}");
    while let Some((stream, _)) = listener.accept_or_stop()? {
        Tasklet::spawn(move || echo(stream));
    }
    // A Unix socket leaves its name behind.
    fs::remove_file(path)
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let mut args = env::args().skip(1).peekable();
    let flag = args.next_if(|arg| arg.starts_with("--"));
    let (addr, more) = (args.next(), args.next());
    match (flag.as_deref(), addr, more) {
        (None, addr, None) => {
            let addr = addr.unwrap_or(DEFAULT.to_owned());
            dispatch(|| Server::serve(addr, echo))
        }
        (Some("--udp"), addr, None) => {
            let addr = addr.unwrap_or(DEFAULT.to_owned());
            dispatch(move || serve_udp(&addr))
        }
        (Some("--unix"), Some(path), None) => dispatch(move || serve_unix(&path)),
        _ => {
            eprintln!("usage: echo [ADDRESS | --udp [ADDRESS] | --unix PATH]");
            ExitCode::FAILURE
        }
    }
}
