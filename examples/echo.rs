//! An echo server: a tasklet a connection, and plain `std::io` inside it.
//! Try it: `cargo run --example echo`, then `nc localhost 9007` and type.

use std::{env, process::ExitCode};

use concurrence::dispatch;
use concurrence::io;
use concurrence::net::{Server, TcpStream};

/// Blocks this connection's tasklet alone: a thousand others are served meanwhile.
fn echo(stream: TcpStream) -> io::Result<()> {
    io::copy(&mut &stream, &mut &stream)?;
    Ok(())
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let addr = env::args().nth(1).unwrap_or("localhost:9007".into());
    dispatch(|| Server::serve(addr, echo))
}
