//! The divider in a process of its own.

mod common;

use std::net::SocketAddr;

use common::clients::stops_orderly;
use common::{Ended, Program, example};

fn server() -> Program {
    Program::start(example("rpc").args(["server", "127.0.0.1:0"]))
}

fn client(addr: SocketAddr, questions: &[&str]) -> Ended {
    let mut command = example("rpc");
    command.args(["client", &addr.to_string()]).args(questions);
    Program::start(&mut command).ended()
}

#[test]
fn divides_for_others() {
    let server = server();
    let addr = server.address();
    let asked = client(addr, &[]);
    assert_eq!(asked.stdout, "8/4 = 2\n8/0 = None\n");
    assert_eq!(asked.code(), Some(0), "{}", asked.stderr);
    // The other error of its, and the server is none the worse for any.
    let asked = client(addr, &["-9223372036854775808/-1", "7/-2"]);
    assert_eq!(
        asked.stdout,
        "-9223372036854775808/-1: the quotient is too big\n7/-2 = -3\n"
    );
    stops_orderly(server);
}

#[test]
fn a_client_without_a_server_says_so() {
    let server = server();
    let addr = server.address();
    stops_orderly(server);
    let asked = client(addr, &[]);
    assert_eq!(asked.code(), Some(1), "{}", asked.stderr);
    assert_eq!(asked.stdout, "");
    assert!(
        asked.stderr.contains("ConnectionRefused"),
        "{}",
        asked.stderr
    );
}

#[test]
fn who_does_not_know_the_secret_is_not_served() {
    let secret = "sixteen bytes or more";
    let server = Program::start(
        example("rpc")
            .args(["server", "127.0.0.1:0"])
            .env("RPC_SECRET", secret),
    );
    let addr = server.address().to_string();
    let ask = |secret: &str| {
        let mut command = example("rpc");
        command
            .args(["client", &addr, "6/3"])
            .env("RPC_SECRET", secret);
        Program::start(&mut command).ended()
    };
    let refused = ask("sixteen other bytes");
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    let served = ask(secret);
    assert_eq!(served.stdout, "6/3 = 2\n", "{}", served.stderr);
    stops_orderly(server);
}
