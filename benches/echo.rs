//! A request to an echo server over TCP and its answer: one connection, whose client is a plain thread.

mod support;

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use concurrence::net::{Server, TcpStream};

const REQUEST: usize = 64;

fn main() -> ExitCode {
    support::run(|criterion, runner| {
        let server = runner.run(|| {
            let server = Server::bind("127.0.0.1:0").expect("a free port");
            server.spawn(echo).expect("a server within the limits")
        });
        let mut client = std::net::TcpStream::connect(server.local_addr()).expect("a connection");
        client.set_nodelay(true).expect("a TCP socket");
        let request = [7; REQUEST];
        let mut answer = [0; REQUEST];
        criterion.bench_function("echo", |bencher| {
            bencher.iter(|| {
                client.write_all(&request).expect("the server reads");
                client.read_exact(&mut answer).expect("the server answers");
            });
        });
        assert_eq!(answer, request);
        drop(client);
        let stopped = runner.run(move || server.shutdown(Duration::from_secs(1)));
        stopped.expect("its connections have ended");
    })
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}
