//! The divider of `stackless/divide.rs` in a process of its own: called over the network as if it were here.
//! Try it: `cargo run --release --example rpc -- server`, and in another terminal
//! `cargo run --release --example rpc -- client`, which asks for 8/4 and 8/0, or with what it is to ask for
//! behind it, such as `client 127.0.0.1:9030 7/2`. Two machines need to know a secret of at least 16 bytes, in
//! the variable `RPC_SECRET`.
//!
//! A division by zero is an error of the callee's, and reaches the caller as the value that it is. What may go
//! wrong besides, a broken link for instance, is the other error that a call can end with.

use std::{env, fmt, process::ExitCode};

use concurrence::remote::{Config, Node, RemoteRef, Secret};
use concurrence::{Addr, BoxError, Tasklet, dispatch, remote};
use serde::{Deserialize, Serialize};

const USAGE: &str = "usage: rpc server [ADDRESS] | rpc client [ADDRESS [TOP/BOTTOM ..]]";
const ADDRESS: &str = "127.0.0.1:9030";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum DivisionError {
    ByZero,
    Overflow,
}

impl fmt::Display for DivisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DivisionError::ByZero => "division by zero",
            DivisionError::Overflow => "the quotient is too big",
        })
    }
}

impl std::error::Error for DivisionError {}

/// What both sides agree on.
#[remote]
trait Divider {
    fn divide(&self, top: i64, bottom: i64) -> Result<i64, DivisionError>;
}

struct Schoolboy;

impl Divider for Schoolboy {
    fn divide(&self, top: i64, bottom: i64) -> Result<i64, DivisionError> {
        match bottom {
            0 => Err(DivisionError::ByZero),
            _ => top.checked_div(bottom).ok_or(DivisionError::Overflow),
        }
    }
}

fn server(addr: &str) -> Result<(), BoxError> {
    let node = Node::start(config("divider")?)?;
    let divider = Addr::spawn(DividerActor(Schoolboy));
    node.expose("divider", &divider)
        .protocol::<DividerProtocol>();
    node.listen_on(addr)?;
    for _ in Tasklet::receive() {} // until it is asked to stop
    node.close();
    Ok(())
}

fn client(addr: &str, questions: &[(i64, i64)]) -> Result<(), BoxError> {
    let node = Node::start(config(&format!("client {}", std::process::id()))?)?;
    let divider = node.connect(addr)?.lookup("divider")?;
    let asked = questions.iter().try_for_each(|q| ask(&divider, *q));
    node.close();
    asked
}

/// What the divider cannot do is an answer; whether there is one at all is the `?`.
fn ask(divider: &RemoteRef<DividerProtocol>, (top, bottom): (i64, i64)) -> Result<(), BoxError> {
    match divider.divide(top, bottom)? {
        Ok(quotient) => println!("{top}/{bottom} = {quotient}"),
        Err(DivisionError::ByZero) => println!("{top}/{bottom} = None"),
        Err(error) => println!("{top}/{bottom}: {error}"),
    }
    Ok(())
}

fn config(name: &str) -> Result<Config, BoxError> {
    let config = Config::new(name).cluster("rpc");
    Ok(match env::var("RPC_SECRET") {
        Ok(secret) => config.secret(Secret::from_bytes(secret)?),
        Err(_) => config,
    })
}

fn question(text: &str) -> Option<(i64, i64)> {
    let (top, bottom) = text.split_once('/')?;
    Some((top.parse().ok()?, bottom.parse().ok()?))
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let addr = arguments.get(1).map_or(ADDRESS, String::as_str).to_owned();
    let questions: Option<Vec<_>> = arguments.iter().skip(2).map(|q| question(q)).collect();
    match (arguments.first().map(String::as_str), questions) {
        (Some("server"), Some(none)) if none.is_empty() => dispatch(move || server(&addr)),
        (Some("client"), Some(questions)) => dispatch(move || match questions.as_slice() {
            [] => client(&addr, &[(8, 4), (8, 0)]),
            questions => client(&addr, questions),
        }),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
