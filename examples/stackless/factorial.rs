//! Recursion in which each level has a stack of its own. Try it: `cargo run --example factorial`.
//!
//! A level is a tasklet that sends its result on a channel to the one above. So the depth is bounded by
//! memory and by how many tasklets there may be, and not by a stack. It prints:
//!
//! ```text
//! 5! = 120
//! 1000! / 998! = 999000
//! ```
//!
//! [`concurrence::call`] has this ready made; with `-- --call` the program uses that.

use std::env;
use std::process::ExitCode;

use concurrence::channel::Channel;
use concurrence::{BoxError, Tasklet, dispatch};
use num_bigint::BigUint;

/// Runs `function` on a stack of its own.
fn call<T, F>(function: F) -> Result<T, BoxError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, BoxError> + Send + 'static,
{
    let result = Channel::new();
    let sender = result.clone();
    Tasklet::builder().spawn(move || {
        // Whoever waits for it gets the error as well.
        match function() {
            Ok(value) => sender.send(value).is_ok(),
            Err(error) => sender.send_error(error).is_ok(),
        }
    })?;
    Ok(result.receive()?)
}

fn factorial(n: u32) -> Result<BigUint, BoxError> {
    if n <= 1 {
        return Ok(BigUint::from(1u32));
    }
    Ok(n * call(move || factorial(n - 1))?)
}

fn factorial_by_call(n: u32) -> Result<BigUint, BoxError> {
    if n <= 1 {
        return Ok(BigUint::from(1u32));
    }
    Ok(n * concurrence::call(|| factorial_by_call(n - 1))??)
}

fn main() -> ExitCode {
    let factorial = match env::args().nth(1).as_deref() {
        None => factorial,
        Some("--call") => factorial_by_call,
        Some(_) => {
            eprintln!("usage: factorial [--call]");
            return ExitCode::from(2);
        }
    };
    dispatch(move || -> Result<(), BoxError> {
        println!("5! = {}", factorial(5)?);
        let quotient = factorial(1000)? / factorial(998)?;
        println!("1000! / 998! = {quotient}");
        Ok(())
    })
}
