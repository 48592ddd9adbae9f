//! The smaller examples, run as a reader would run them.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use common::{PATIENCE, Program, example};

#[test]
fn echo_sends_back_what_it_gets() {
    let echo = Program::start(example("echo").arg("127.0.0.1:0"));
    let addr = echo.address();
    let clients: Vec<_> = (0..10u8)
        .map(|n| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(addr).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let sent = vec![n; 100_000];
                let mut writer = stream.try_clone().unwrap();
                let to_send = sent.clone();
                let writer = thread::spawn(move || {
                    writer.write_all(&to_send).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                let mut back = Vec::new();
                stream.read_to_end(&mut back).unwrap();
                writer.join().unwrap();
                assert!(sent == back, "{} bytes came back", back.len());
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    echo.signal(libc::SIGTERM);
    echo.ended();
}

#[test]
fn ping_pong_counts_to_four() {
    let played = Program::start(&mut example("ping_pong")).ended();
    assert_eq!(
        played.stdout,
        "ping 1\npong 2\nping 2\npong 3\nping 3\npong 4\nyou are welcome\nnobody is left to play with\n"
    );
    assert_eq!(played.code(), Some(0), "{}", played.stderr);
}

#[test]
fn timeouts_end_a_block_that_takes_too_long() {
    let calculated = Program::start(&mut example("timeouts")).ended();
    let mut lines = calculated.stdout.lines();
    assert_eq!(lines.next(), Some("the first 3 squares: 14"));
    let second = lines.next().unwrap();
    assert!(
        second.starts_with("the first 1000 squares: ") && second.contains("time"),
        "{second}"
    );
    assert_eq!(calculated.code(), Some(0), "{}", calculated.stderr);
}
