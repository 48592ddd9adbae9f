//! The smaller examples, run as a reader would run them.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use common::{PATIENCE, Program, example};

#[test]
fn echo_sends_back_what_it_gets() {
    sends_back_what_it_gets("echo");
}

#[test]
fn asyncore_echo_sends_back_what_it_gets() {
    sends_back_what_it_gets("asyncore_echo");
}

fn sends_back_what_it_gets(name: &str) {
    let echo = Program::start(example(name).arg("127.0.0.1:0"));
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

#[test]
fn counter_counts() {
    let counted = Program::start(&mut example("counter")).ended();
    assert_eq!(counted.stdout, "the counter is at 5500\n");
    assert_eq!(counted.code(), Some(0), "{}", counted.stderr);
}

#[test]
fn supervisor_starts_again_what_fails() {
    let supervised = Program::start(&mut example("supervisor")).ended();
    let expected = "\
life 1 begins
life 1, task 1: 6 / 3
6 / 3 = 2
life 1, task 2: 8 / 2
8 / 2 = 4
life 1, task 3: 1 / 0
1 / 0: calling a receiver that has ended
life 2 begins
life 2, task 1: 9 / 3
9 / 3 = 3
life 2, task 2: 2 / 0
2 / 0: calling a receiver that has ended
life 3 begins
life 3, task 1: 10 / 5
10 / 5 = 2
life 3 was shut down
the supervisor was asked to stop
";
    assert_eq!(supervised.stdout, expected);
    assert_eq!(supervised.code(), Some(0), "{}", supervised.stderr);
    // The log names who has failed, and why.
    let failed = |line: &&str| line.contains("divider") && line.contains("divide by zero");
    assert_eq!(supervised.stderr.lines().filter(failed).count(), 2);
}

#[test]
fn bank_loses_no_money() {
    for seed in ["1", "2", "3"] {
        let bank = Program::start(example("bank").arg(seed)).ended();
        assert_eq!(bank.code(), Some(0), "{}{}", bank.stdout, bank.stderr);
        assert!(
            bank.stdout
                .ends_with("money: 1000000 before, 1000000 after\n"),
            "{}",
            bank.stdout
        );
        println!("{}", bank.stdout);
    }
}
