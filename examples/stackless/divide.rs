//! Questions on one channel, answers on another that comes with the question. Try it:
//! `cargo run --example divide`, and again with `-- --uncaught`.
//!
//! A division by zero is an error like any other value: it goes over the channel to whoever asked. This
//! prints:
//!
//! ```text
//! 8/4 = 2
//! 8/0 = None
//! ```
//!
//! With `--uncaught` the divider does not look, so its tasklet panics. The program asks for such panics to
//! go on in its main tasklet, and ends with a failure.

use std::env;
use std::process::ExitCode;

use concurrence::channel::{Channel, ReceiveError};
use concurrence::{BoxError, Runtime, Tasklet};

struct Request {
    top: i64,
    bottom: i64,
    answer: Channel<i64>,
}

#[derive(Debug)]
struct DivisionByZero;

impl std::fmt::Display for DivisionByZero {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("division by zero")
    }
}

impl std::error::Error for DivisionByZero {}

/// Answers until nobody can ask any more. An asker that has gone away is no concern of the others'.
fn divider(requests: &Channel<Request>) {
    for Request {
        top,
        bottom,
        answer,
    } in requests
    {
        let _gone = match top.checked_div(bottom) {
            Some(quotient) => answer.send(quotient).is_err(),
            None => answer.send_error(DivisionByZero).is_err(),
        };
    }
}

fn careless_divider(requests: &Channel<Request>) {
    for Request {
        top,
        bottom,
        answer,
    } in requests
    {
        let _gone = answer.send(top / bottom);
    }
}

fn divide(requests: &Channel<Request>, top: i64, bottom: i64) -> Result<i64, ReceiveError> {
    let answer = Channel::new();
    let request = Request {
        top,
        bottom,
        answer: answer.clone(),
    };
    requests.send(request).map_err(|_| ReceiveError::Closed)?;
    answer.receive()
}

fn ask(requests: &Channel<Request>, top: i64, bottom: i64) -> Result<(), BoxError> {
    let result = match divide(requests, top, bottom) {
        Ok(quotient) => quotient.to_string(),
        Err(ReceiveError::Raised(error)) if error.is::<DivisionByZero>() => "None".to_owned(),
        Err(error) => return Err(error.into()),
    };
    println!("{top}/{bottom} = {result}");
    Ok(())
}

fn main() -> ExitCode {
    let divider = match env::args().nth(1).as_deref() {
        None => divider,
        Some("--uncaught") => careless_divider,
        Some(_) => {
            eprintln!("usage: divide [--uncaught]");
            return ExitCode::from(2);
        }
    };
    Runtime::builder().forward_panics(true).dispatch(move || {
        let requests = Channel::new();
        let served = requests.clone();
        Tasklet::spawn(move || divider(&served));
        ask(&requests, 8, 4)?;
        ask(&requests, 8, 0)
    })
}
