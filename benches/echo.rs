//! A request to an echo server over TCP and its answer, on one connection, and on 64 at once. The client
//! is one plain thread.

mod support;

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use concurrence::net::{Server, TcpStream};
use criterion::Throughput;

const REQUEST: usize = 64;
const CONNECTIONS: usize = 64;

fn main() -> ExitCode {
    support::run(|criterion, runner| {
        let server = runner.run(|| {
            let server = Server::bind("127.0.0.1:0").expect("a free port");
            server.spawn(echo).expect("a server within the limits")
        });
        let request = [7; REQUEST];
        let mut group = criterion.benchmark_group("echo");
        for connections in [1, CONNECTIONS] {
            let mut clients: Vec<_> = (0..connections)
                .map(|_| support::connect(server.local_addr()))
                .collect();
            group.throughput(Throughput::Elements(connections as u64));
            group.bench_function(format!("{connections}"), |bencher| {
                bencher.iter(|| {
                    for client in &mut clients {
                        client.write_all(&request).expect("the server reads");
                    }
                    for client in &mut clients {
                        let mut answer = [0; REQUEST];
                        client.read_exact(&mut answer).expect("the server answers");
                        assert_eq!(answer, request);
                    }
                });
            });
        }
        group.finish();
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
