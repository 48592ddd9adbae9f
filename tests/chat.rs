//! The chat server as its users meet it: through `nc`, through sockets, well behaved and not. Written
//! with tasklets and written with actors it behaves the same.

mod common;

use std::io::{Read, Write};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, Program, eventually};

/// Tests that both servers are put to.
macro_rules! of_both {
    ($($test:ident),* $(,)?) => {
        mod of_tasklets {
            $(#[test] fn $test() { super::$test("chat") })*
        }

        mod of_actors {
            $(#[test] fn $test() { super::$test("chat_actors") })*
        }
    };
}

of_both!(
    three_people_hold_a_chat_through_nc,
    line_ends_of_telnet_are_understood,
    a_line_in_pieces_is_one_line,
    quit_end_of_file_and_reset_end_that_client_alone,
    a_line_without_end_ends_its_sender_alone,
    ctrl_c_tells_everyone_and_exits,
    fifty_clients_killed_in_mid_line_harm_nobody,
    one_that_never_reads_is_dropped_and_nobody_else_notices,
    sigterm_under_load_ends_within_the_grace_period,
);

/// `nc`, connected to the chat and welcomed by it.
fn nc(chat: &Program) -> Program {
    let addr = chat.address();
    let found = Command::new("nc").arg("-h").output();
    assert!(
        found.is_ok(),
        "`nc` is missing: apt-get install netcat-openbsd"
    );
    let client =
        Program::start(Command::new("nc").args([addr.ip().to_string(), addr.port().to_string()]));
    client.wait_for_output("type 'quit' to exit..\n");
    client
}

/// Types a line.
fn say(client: &mut Program, line: &str) {
    writeln!(client.stdin(), "{line}").unwrap();
}

fn three_people_hold_a_chat_through_nc(server: &str) {
    let chat = Program::chat(server);
    let (mut ann, mut bob, mut cleo) = (nc(&chat), nc(&chat), nc(&chat));
    say(&mut ann, "hello from ann");
    bob.wait_for_output("hello from ann\n");
    cleo.wait_for_output("hello from ann\n");
    say(&mut bob, "hello from bob");
    ann.wait_for_output("hello from bob\n");
    cleo.wait_for_output("hello from bob\n");
    say(&mut cleo, "grüße von cleo");
    ann.wait_for_output("grüße von cleo\n");
    bob.wait_for_output("grüße von cleo\n");

    say(&mut ann, "quit");
    let ann = ann.ended();
    assert_eq!(
        ann.stdout,
        "type 'quit' to exit..\nhello from bob\ngrüße von cleo\n"
    );
    say(&mut bob, "ann has gone");
    cleo.wait_for_output("ann has gone\n");

    chat.signal(libc::SIGINT);
    let (bob, cleo) = (bob.ended(), cleo.ended());
    assert_eq!(
        bob.stdout,
        "type 'quit' to exit..\nhello from ann\ngrüße von cleo\nserver is shutting down\n"
    );
    assert_eq!(
        cleo.stdout,
        "type 'quit' to exit..\nhello from ann\nhello from bob\nann has gone\nserver is shutting down\n"
    );
    assert_eq!(chat.ended().code(), Some(0));
}

fn line_ends_of_telnet_are_understood(server: &str) {
    let chat = Program::chat(server);
    let addr = chat.address();
    let (mut telnet, mut other) = (Client::join(addr), Client::join(addr));
    telnet.send("hello\r\nand more\r\n");
    assert_eq!(other.line(), "hello");
    assert_eq!(other.line(), "and more");
    telnet.send("quit\r\n");
    assert_eq!(telnet.rest(), "");
}

fn a_line_in_pieces_is_one_line(server: &str) {
    let chat = Program::chat(server);
    let addr = chat.address();
    let (mut slow, mut other) = (Client::join(addr), Client::join(addr));
    for piece in ["he", "ll", "o", "\n"] {
        slow.send(piece);
        // Somebody else's line goes through in between: the pieces do arrive one by one.
        other.send("tick\n");
        assert_eq!(slow.line(), "tick");
    }
    assert_eq!(other.line(), "hello");
}

fn quit_end_of_file_and_reset_end_that_client_alone(server: &str) {
    let chat = Program::chat(server);
    let addr = chat.address();
    let (mut ann, mut bob) = (Client::join(addr), Client::join(addr));
    let descriptors = chat.descriptors();

    let mut quitter = Client::join(addr);
    quitter.send("quit\n");
    assert_eq!(quitter.rest(), "");

    let mut leaver = Client::join(addr);
    leaver.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(leaver.rest(), "");

    let crasher = Client::join(addr);
    crasher.reset();

    drop((quitter, leaver));
    eventually("their sockets are closed", || {
        chat.descriptors() == descriptors
    });
    ann.send("still here\n");
    assert_eq!(bob.line(), "still here");
    bob.send("me too\n");
    assert_eq!(ann.line(), "me too");
}

fn a_line_without_end_ends_its_sender_alone(server: &str) {
    let chat = Program::chat(server);
    let addr = chat.address();
    let (mut ann, mut bob) = (Client::join(addr), Client::join(addr));
    let endless = Client::join(addr);
    let mut stream = endless.stream();
    while stream.write_all(&[b'x'; 64 * 1024]).is_ok() {} // until the server has had enough
    ann.send("what was that?\n");
    assert_eq!(bob.line(), "what was that?");
}

fn ctrl_c_tells_everyone_and_exits(server: &str) {
    let chat = Program::chat(server);
    let addr = chat.address();
    let mut clients: Vec<_> = (0..100).map(|_| Client::join(addr)).collect();
    chat.signal(libc::SIGINT);
    for client in &mut clients {
        assert_eq!(client.rest(), "server is shutting down\n");
    }
    let chat = chat.ended();
    assert_eq!(chat.code(), Some(0), "{}", chat.stderr);
}

fn fifty_clients_killed_in_mid_line_harm_nobody(server: &str) {
    let chat = Program::chat(server);
    let addr = chat.address();
    let (mut ann, mut bob) = (Client::join(addr), Client::join(addr));
    let descriptors = chat.descriptors();
    let mut victims: Vec<_> = (0..50).map(|_| nc(&chat)).collect();
    for victim in &mut victims {
        victim.stdin().write_all(b"half a li").unwrap();
    }
    // Ann's line reaches all of them, so all of them are in the middle of theirs.
    ann.send("look out\n");
    assert_eq!(bob.line(), "look out");
    for victim in &victims {
        victim.wait_for_output("look out\n");
    }
    for victim in &victims {
        victim.signal(libc::SIGKILL);
    }
    drop(victims);
    eventually("their sockets are closed", || {
        chat.descriptors() == descriptors
    });
    ann.send("still here\n");
    while bob.line() != "still here" {} // the halves may come before
}

fn one_that_never_reads_is_dropped_and_nobody_else_notices(server: &str) {
    const LINES: usize = 100_000;
    /// So many at a time: whoever reads, on however busy a machine, is never far behind.
    const STEP: usize = 200;
    let chat = Program::chat(server);
    let addr = chat.address();
    let dead = Client::join(addr);
    let dead_addr = dead.stream().local_addr().unwrap().to_string();
    let mut writer = Client::join(addr);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let mut reader = Client::join(addr);
            let (step, steps) = mpsc::channel();
            let reader = thread::spawn(move || {
                for n in 0..LINES {
                    let line = reader.line();
                    assert!(
                        line.starts_with(&format!("{n} ")),
                        "line {n} is {line:.20?}"
                    );
                    if n % STEP == 0 {
                        step.send(()).unwrap();
                    }
                }
            });
            (reader, steps)
        })
        .collect();
    let filler = "x".repeat(180); // the lines are more than the kernel would keep for the dead one
    for n in 0..LINES {
        if n % STEP == 0 && n > STEP {
            // One that has panicked is told of below.
            readers.iter().for_each(|(_, steps)| _ = steps.recv());
        }
        writer.send(&format!("{n} {filler}\n"));
    }
    for (reader, _steps) in readers {
        reader.join().unwrap();
    }
    chat.wait_for(&dead_addr);
    let log = chat.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        // On a busy machine a handler may lose its processor for long, which is nobody's fault.
        .filter(|line| !line.contains("holds its worker"));
    assert!(
        warnings.clone().all(|line| line.contains(&dead_addr)),
        "others are named:\n{log}"
    );
    assert!(
        warnings.count() <= 3,
        "a word would have been enough:\n{log}"
    );
    drop(dead);
}

fn sigterm_under_load_ends_within_the_grace_period(server: &str) {
    let chat = Program::chat(server);
    let addr = chat.address();
    // Dead weight: it reads nothing, so its writer is stuck when the stop comes.
    let dead = Client::join(addr);
    let heard = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..20).map(|_| Client::join(addr)).collect();
    let threads: Vec<_> = clients
        .into_iter()
        .enumerate()
        .flat_map(|(n, client)| {
            let mut writer = client.stream().try_clone().unwrap();
            let mut reader = writer.try_clone().unwrap();
            let heard = heard.clone();
            let talks = thread::spawn(move || {
                // Until the server has gone, or does not listen any more.
                while writer
                    .write_all(format!("talker {n} goes on\n").as_bytes())
                    .is_ok()
                {}
            });
            let listens = thread::spawn(move || {
                let mut chunk = [0; 64 * 1024];
                // A reset is as good an end as any for one who is still talking.
                while let Ok(count @ 1..) = reader.read(&mut chunk) {
                    heard.fetch_add(count as u64, Ordering::Relaxed);
                }
            });
            [talks, listens]
        })
        .collect();
    eventually("there is load", || {
        heard.load(Ordering::Relaxed) > 10_000_000
    });
    let start = Instant::now();
    chat.signal(libc::SIGTERM);
    let chat = chat.ended();
    let taken = start.elapsed();
    println!("ended {taken:.1?} after SIGTERM, with {:?}", chat.code());
    // That it ends when the grace period has passed is a promise; what the killed take to unwind, and
    // the machine to run all this, is not, and has the margin.
    const MARGIN: Duration = Duration::from_secs(3);
    assert!(
        taken < concurrence::DEFAULT_GRACE + MARGIN,
        "took {taken:?}:\n{}",
        chat.stderr
    );
    // Everybody has ended in time, or those who have not are told, and so is the caller.
    let somebody_was_killed = chat
        .stderr
        .contains("have not ended within the grace period");
    let code = if somebody_was_killed { 143 } else { 0 };
    assert_eq!(
        chat.code(),
        Some(code),
        "{:?}:\n{}",
        chat.signal(),
        chat.stderr
    );
    for thread in threads {
        thread.join().unwrap();
    }
    drop(dead);
}
