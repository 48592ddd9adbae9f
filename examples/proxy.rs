//! A TCP proxy: `proxy LISTEN UPSTREAM` passes on each connection, both ways, with half-closes and all.
//! Try it: `cargo run --example echo`, `cargo run --example proxy localhost:9008 localhost:9007`, and then
//! `nc localhost 9008`.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use concurrence::net::{Connector, Server, TcpStream, copy_bidirectional};
use concurrence::{BoxError, dispatch, io};

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let mut args = env::args().skip(1);
    let (Some(addr), Some(upstream)) = (args.next(), args.next()) else {
        eprintln!("usage: proxy LISTEN UPSTREAM");
        return ExitCode::FAILURE;
    };
    let pass_on = move |client: TcpStream| -> Result<(), BoxError> {
        let server = Connector::builder()
            .timeout(Duration::from_secs(10))
            .connect(&upstream)?;
        copy_bidirectional(client, server)?;
        Ok(())
    };
    dispatch(|| Server::serve(addr, pass_on))
}
