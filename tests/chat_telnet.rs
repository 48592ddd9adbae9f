//! The chat for telnet clients, byte for byte.

mod common;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use common::terminal::Terminal;
use common::{Program, eventually};

const WELCOME: &str = "Connection OK\n\rType q! to quit.\n\r>";

fn join(addr: SocketAddr) -> Terminal {
    let mut client = Terminal::connect(addr, WELCOME);
    // Once this is answered the others reach it.
    client.types("help\r\n");
    client.sees(HELP);
    client
}

const HELP: &str =
    "Commands:\r\n  look - Who is online\r\n  help - Display this.\r\n  q! - Quit\r\n>";

fn table(clients: &[&Terminal]) -> String {
    let mut ports: Vec<_> = clients.iter().map(|client| client.port()).collect();
    ports.sort_unstable();
    let mut text = format!("There are {} users connected:\r\n", ports.len());
    text += "Name\tHost\t\tPort\r\n----------------------------------------\r\n";
    for port in ports {
        text += &format!("Unknown\t127.0.0.1\t{port}\r\n");
    }
    text + ">"
}

#[test]
fn what_one_says_all_get_to_see() {
    let chat = Program::chat("chat_telnet");
    let addr = chat.address();
    let (mut ann, mut bob) = (join(addr), join(addr));
    ann.types("look\r\n");
    let both = table(&[&ann, &bob]);
    ann.sees(&both);
    ann.types("hello\r\n");
    ann.sees("\rYou said: hello\r\n>");
    bob.sees(&format!(
        "\rClient ('127.0.0.1', {}) said: hello\r\n>",
        ann.port()
    ));
    // Commands are exact.
    bob.types(" look\r\n");
    bob.sees("\rYou said:  look\r\n>");
    ann.sees(&format!(
        "\rClient ('127.0.0.1', {}) said:  look\r\n>",
        bob.port()
    ));
    bob.types("\r\n");
    bob.sees("Unknown command.  Type 'help' to see a list of available commands.\r\n>");
    bob.types("q!\r\n");
    bob.sees_the_end();
    let alone = table(&[&ann]);
    eventually_alone(&mut ann, &both, &alone);
}

/// Looks until only one is left.
fn eventually_alone(client: &mut Terminal, before: &str, after: &str) {
    eventually("the end of the other", || {
        client.types("look\r\n");
        let mut head = [0; 11];
        client.0.read_exact(&mut head).unwrap();
        let expected = if head.ends_with(b"1") { after } else { before };
        assert!(expected.as_bytes().starts_with(&head));
        client.sees(&expected[head.len()..]);
        expected == after
    });
}

/// Those who are lost do not stay in the table, nor do they keep the others from talking.
#[test]
fn a_client_that_is_lost_harms_nobody() {
    let chat = Program::chat("chat_telnet");
    let addr = chat.address();
    let (mut ann, bob) = (join(addr), join(addr));
    let both = table(&[&ann, &bob]);
    socket2::SockRef::from(&bob.0)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(bob);
    let alone = table(&[&ann]);
    eventually_alone(&mut ann, &both, &alone);
    ann.types("alone\r\n");
    ann.sees("\rYou said: alone\r\n>");
    chat.signal(libc::SIGTERM);
    ann.sees("\rThe server is shutting down.\r\n");
    ann.sees_the_end();
    let ended = chat.ended();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}

/// Each line may have to be kept for everybody who reads slowly.
#[test]
fn a_line_without_end_is_the_end_of_the_client() {
    let chat = Program::chat("chat_telnet");
    let mut ann = join(chat.address());
    let most = "x".repeat(1024);
    ann.types(format!("{most}\r\n"));
    ann.sees(&format!("\rYou said: {most}\r\n>"));
    ann.types(format!("{most}xx"));
    ann.sees_the_end();
}

#[test]
fn options_are_refused_once_and_are_no_text() {
    let chat = Program::chat("chat_telnet");
    let mut ann = join(chat.address());
    ann.types(b"\xff\xfd\x01\xff\xfb\x18he\xff\xfd\x01lp\r\n");
    let mut refusals = [0; 6];
    ann.0.read_exact(&mut refusals).unwrap();
    assert_eq!(refusals, *b"\xff\xfc\x01\xff\xfe\x18", "will not, do not");
    ann.sees(HELP);
}

#[test]
fn two_talk_at_real_telnet_clients() {
    let found = Command::new("telnet").arg("--version").output();
    assert!(found.is_ok(), "`telnet` is missing: apt-get install telnet");
    let chat = Program::chat("chat_telnet");
    let addr = chat.address();
    let telnet = || {
        let args = [addr.ip().to_string(), addr.port().to_string()];
        let mut client = Program::start(Command::new("telnet").args(args));
        client.wait_for_output("Type q! to quit.");
        writeln!(client.stdin(), "help").unwrap();
        client.wait_for_output("q! - Quit");
        client
    };
    let (mut ann, mut bob) = (telnet(), telnet());
    writeln!(ann.stdin(), "hello from ann").unwrap();
    bob.wait_for_output("said: hello from ann");
    ann.wait_for_output("You said: hello from ann");
    writeln!(bob.stdin(), "q!").unwrap();
    eventually("the end of a client that quits", || {
        bob.log().contains("closed by foreign host")
    });
}
